/**
 * OpenAI's batches, and Azure's: a file of lines is uploaded, and a job made of it. What could not be answered comes
 * in a file of its own, the error file; a job may have either file, or both.
 *
 * Source: OpenAI's API reference of files and batches.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { JsonObject } from "./jsonObject.js"
import * as Http from "./providerBatchHttp.js"
import type { BatchWire, Line, Report, Result, State } from "./providerBatchWire.js"

const states: Readonly<Record<string, State>> = {
  validating: "queued",
  in_progress: "running",
  finalizing: "finalizing",
  completed: "succeeded",
  failed: "failed",
  expired: "expired",
  cancelling: "cancelling",
  cancelled: "cancelled"
}

/** Name of the job's metadata that holds our key. */
export const metadataKey = "floodgate"

/** The first of the reasons why no line was run. A full queue passes, all else has to be mended. */
const problemOf = (batch: JsonObject): Report["problem"] => {
  const [first] = Http.objects(Http.object(batch["errors"])["data"])
  return first === undefined
    ? undefined
    : {
        _tag: "Refused",
        status: first["code"] === "token_limit_exceeded" ? 429 : 400,
        body: { error: { ...first, type: "invalid_request_error" } },
        requestId: undefined
      }
}

const read = (http: Http.BatchHttp, batch: JsonObject, retryAfter?: number) => {
  const id = Http.text(batch["id"])
  if (id === undefined) return Effect.fail(Http.noJob(http))
  const rawState = Http.text(batch["status"]) ?? ""
  const counts = Http.object(batch["request_counts"])
  return Effect.succeed<Report>({
    id,
    rawState,
    state: states[rawState.toLowerCase()],
    total: Http.count(counts["total"]),
    succeeded: Http.count(counts["completed"]),
    failed: Http.count(counts["failed"]),
    problem: problemOf(batch),
    retryAfter
  })
}

/** The result in a line of OpenAI's or Mistral's files. */
export const resultOf = (line: JsonObject): Result => {
  const response = Http.object(line["response"])
  const status = response["status_code"]
  const requestId = Http.text(response["request_id"])
  if (typeof status === "number") {
    return status >= 200 && status < 300
      ? { _tag: "Answered", body: response["body"], requestId }
      : { _tag: "Refused", status, body: response["body"], requestId }
  }
  const error = Http.object(line["error"])
  switch (error["code"]) {
    case "batch_expired":
      return { _tag: "Expired" }
    case "batch_cancelled":
      return { _tag: "Cancelled" }
    case "request_timeout":
      return { _tag: "Refused", status: 408, body: { error }, requestId }
    default:
      return { _tag: "Refused", status: 500, body: { error }, requestId }
  }
}

/** The lines of these files. */
export const linesOf = (http: Http.BatchHttp, files: ReadonlyArray<unknown>) =>
  Stream.fromIterable(files.flatMap((file) => Http.text(file) ?? [])).pipe(
    Stream.flatMap((file) => http.lines(`/files/${encodeURIComponent(file)}/content`)),
    Stream.map((line): Line => ({ id: Http.text(line["custom_id"]) ?? "", result: resultOf(line) }))
  )

/** Uploads lines; gives the file's id. */
export const upload = (http: Http.BatchHttp, key: string, lines: ReadonlyArray<string>) =>
  Effect.map(
    http.call("/files", {
      method: "POST",
      body: Http.form({ purpose: "batch" }, `${key}.jsonl`, lines.join("\n"))
    }),
    ({ body }) => Http.text(body["id"])
  )

const newest = 100
const mostPages = 10

/** The address of a kind of call, as a line names it. */
const urlOf = (path: string): string => `/v1${path}`

const wire: BatchWire = {
  maxRequests: 50_000,
  maxBytes: 200_000_000,
  hasWindow: true,
  // the deployments of Azure's older surface have no place in a line
  accepts: (path) => /^\/(chat\/completions|responses|completions|embeddings)$/.test(path),
  upload: (http, { entries, key, path }) =>
    upload(
      http,
      key,
      entries.map(
        ({ body, id }) =>
          `{"custom_id":${JSON.stringify(id)},"method":"POST","url":${JSON.stringify(urlOf(path))},"body":${body}}`
      )
    ),
  create: (http, { key, path, windowHours }, uploaded) =>
    Effect.flatMap(
      http.post("/batches", {
        input_file_id: uploaded,
        endpoint: urlOf(path),
        completion_window: `${windowHours}h`,
        metadata: { [metadataKey]: key }
      }),
      ({ body }) => read(http, body)
    ),
  find: (http, { key, since }) => {
    const page = (after: string | undefined, left: number): ReturnType<BatchWire["find"]> =>
      Effect.flatMap(
        http.call(
          `/batches?limit=${newest}${after === undefined ? "" : `&after=${encodeURIComponent(after)}`}`
        ),
        ({ body }) => {
          const batches = Http.objects(body["data"])
          const found = batches.find((batch) => Http.object(batch["metadata"])[metadataKey] === key)
          if (found !== undefined) return read(http, found)
          const last = batches.at(-1)
          const isMore =
            body["has_more"] === true && left > 1 && Http.count(last?.["created_at"]) * 1000 >= since
          return isMore ? page(Http.text(last?.["id"]), left - 1) : Effect.succeed(undefined)
        }
      )
    return page(undefined, mostPages)
  },
  report: (http, id) =>
    Effect.flatMap(http.call(`/batches/${encodeURIComponent(id)}`), (answer) =>
      read(http, answer.body, Http.retryAfter(answer))
    ),
  results: (http, id) =>
    Stream.unwrap(
      Effect.map(http.call(`/batches/${encodeURIComponent(id)}`), ({ body }) =>
        linesOf(http, [body["output_file_id"], body["error_file_id"]])
      )
    ),
  cancel: (http, id) => Effect.asVoid(http.post(`/batches/${encodeURIComponent(id)}/cancel`, {}))
}

/** OpenAI's batch API. */
export const openAiBatch: BatchWire = wire
