/**
 * Mistral's batch jobs: near OpenAI's batches, with the model at the job and not in its lines.
 *
 * Source: Mistral's API description.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { linesOf, metadataKey, upload } from "./openAiBatchWire.js"
import * as Http from "./providerBatchHttp.js"
import type { BatchWire, Report, State } from "./providerBatchWire.js"

const states: Readonly<Record<string, State>> = {
  QUEUED: "queued",
  RUNNING: "running",
  SUCCESS: "succeeded",
  FAILED: "failed",
  TIMEOUT_EXCEEDED: "expired",
  CANCELLATION_REQUESTED: "cancelling",
  CANCELLED: "cancelled"
}

const problemOf = (job: JsonObject): Report["problem"] => {
  const [first] = Http.objects(job["errors"])
  return first === undefined
    ? undefined
    : { _tag: "Refused", status: 400, body: { object: "error", ...first }, requestId: undefined }
}

const read = (http: Http.BatchHttp, job: JsonObject, retryAfter?: number) => {
  const id = Http.text(job["id"])
  if (id === undefined) return Effect.fail(Http.noJob(http))
  const rawState = Http.text(job["status"]) ?? ""
  return Effect.succeed<Report>({
    id,
    rawState,
    state: states[rawState.toUpperCase()],
    total: Http.count(job["total_requests"]),
    succeeded: Http.count(job["succeeded_requests"]),
    failed: Http.count(job["failed_requests"]),
    problem: problemOf(job),
    retryAfter
  })
}

const withoutModel = (body: unknown): unknown => {
  if (!isJsonObject(body)) return body
  const { model: _, ...rest } = body
  return rest
}

const place = (id: string): string => `/batch/jobs/${encodeURIComponent(id)}`

/** Clocks differ. */
const slack = 120_000

export const mistralBatch: BatchWire = {
  maxRequests: 1_000_000,
  // nothing is said of bytes: what OpenAI takes
  maxBytes: 200_000_000,
  hasWindow: true,
  accepts: (path) => /^\/(chat\/completions|fim\/completions|embeddings)$/.test(path),
  body: withoutModel,
  upload: (http, { entries, key }) =>
    upload(
      http,
      key,
      entries.map(({ body, id }) => `{"custom_id":${JSON.stringify(id)},"body":${body}}`)
    ),
  create: (http, { key, model, path, windowHours }, uploaded) =>
    Effect.flatMap(
      http.post("/batch/jobs", {
        input_files: [uploaded],
        endpoint: `/v1${path}`,
        model,
        timeout_hours: windowHours,
        metadata: { [metadataKey]: key }
      }),
      ({ body }) => read(http, body)
    ),
  find: (http, { key, since }) =>
    Effect.flatMap(
      http.call(
        `/batch/jobs?page=0&page_size=100&created_after=${encodeURIComponent(new Date(since - slack).toISOString())}`
      ),
      ({ body }) => {
        const found = Http.objects(body["data"]).find(
          (job) => Http.object(job["metadata"])[metadataKey] === key
        )
        return found === undefined ? Effect.succeed(undefined) : read(http, found)
      }
    ),
  report: (http, id) =>
    Effect.flatMap(http.call(place(id)), (answer) => read(http, answer.body, Http.retryAfter(answer))),
  results: (http, id) =>
    Stream.unwrap(
      Effect.map(http.call(place(id)), ({ body }) => linesOf(http, [body["output_file"], body["error_file"]]))
    ),
  cancel: (http, id) => Effect.asVoid(http.post(`${place(id)}/cancel`, {}))
}
