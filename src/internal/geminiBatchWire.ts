/**
 * The Gemini API's batches of `generateContent`: up to 20 MB travel with the call that makes the job, more are
 * uploaded as a file first. A job is a long-running operation.
 *
 * Source: Google's guide to the Gemini Batch API.
 */
import * as HttpBody from "@effect/platform/HttpBody"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { JsonObject } from "./jsonObject.js"
import * as Http from "./providerBatchHttp.js"
import type { BatchWire, Draft, Line, Report, Result, State } from "./providerBatchWire.js"

const states: Readonly<Record<string, State>> = {
  PENDING: "queued",
  QUEUED: "queued",
  RUNNING: "running",
  CANCELLING: "cancelling",
  SUCCEEDED: "succeeded",
  PARTIALLY_SUCCEEDED: "succeeded",
  FAILED: "failed",
  CANCELLED: "cancelled",
  EXPIRED: "expired"
}

/** The HTTP status of each code of `google.rpc.Code`. */
const statusOf: Readonly<Record<number, number>> = {
  1: 499,
  3: 400,
  4: 504,
  5: 404,
  6: 409,
  7: 403,
  8: 429,
  9: 400,
  10: 409,
  11: 400,
  12: 501,
  13: 500,
  14: 503,
  15: 500,
  16: 401
}

const refused = (error: JsonObject): Result & { readonly _tag: "Refused" } => {
  const code = Http.count(error["code"])
  return {
    _tag: "Refused",
    status: statusOf[code] ?? (code >= 400 ? code : 500),
    body: { error },
    requestId: undefined
  }
}

const read = (http: Http.BatchHttp, operation: JsonObject, retryAfter?: number) => {
  const id = Http.text(operation["name"])
  if (id === undefined) return Effect.fail(Http.noJob(http))
  const metadata = Http.object(operation["metadata"])
  const stats = Http.object(metadata["batchStats"])
  const rawState = Http.text(metadata["state"]) ?? ""
  const error = operation["error"] ?? metadata["error"]
  return Effect.succeed<Report>({
    id,
    rawState,
    state: states[rawState.replace(/^(BATCH|JOB)_STATE_/, "")],
    total: Http.count(stats["requestCount"]),
    succeeded: Http.count(stats["successfulRequestCount"]),
    failed: Http.count(stats["failedRequestCount"]),
    problem: error === undefined ? undefined : refused(Http.object(error)),
    retryAfter
  })
}

const resultOf = (line: JsonObject): Result => {
  if (line["response"] !== undefined) {
    return { _tag: "Answered", body: line["response"], requestId: undefined }
  }
  const error = Http.object(line["error"])
  // the code of a request that was not begun before the job was cancelled
  return error["code"] === 1 ? { _tag: "Cancelled" } : refused(error)
}

/** The most bytes that travel with the call, below Google's 20 MB. */
const mostInline = 19_000_000

const inlineOverhead = 100

const isInline = ({ entries }: Draft, most: number): boolean => {
  let bytes = 0
  for (const { body, id } of entries) {
    bytes += Buffer.byteLength(body) + id.length + inlineOverhead
    if (bytes > most) return false
  }
  return true
}

/** Files are sent to, and fetched from, places beside the API's. */
const beside = ({ endpoint }: Http.BatchHttp, folder: string, path: string): string => {
  const [, origin = "", version = "/v1beta"] = /^(.*?)(\/v\d+\w*)?$/.exec(endpoint.baseUrl) ?? []
  return `${origin}/${folder}${version}${path}`
}

const upload = (http: Http.BatchHttp, draft: Draft) =>
  Effect.gen(function* () {
    const text = draft.entries
      .map(({ body, id }) => `{"key":${JSON.stringify(id)},"request":${body}}`)
      .join("\n")
    const { headers } = yield* http.call(beside(http, "upload", "/files"), {
      method: "POST",
      headers: {
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": String(Buffer.byteLength(text)),
        "x-goog-upload-header-content-type": "application/jsonl"
      },
      body: HttpBody.text(JSON.stringify({ file: { display_name: draft.key } }), "application/json")
    })
    const place = headers["x-goog-upload-url"]
    if (place === undefined) return yield* Http.noJob(http)
    const { body } = yield* http.call(place, {
      method: "POST",
      headers: { "x-goog-upload-offset": "0", "x-goog-upload-command": "upload, finalize" },
      body: HttpBody.text(text, "application/jsonl")
    })
    return Http.text(Http.object(body["file"])["name"])
  })

const inline = ({ entries }: Draft): string =>
  `{"requests":{"requests":[${entries
    .map(({ body, id }) => `{"request":${body},"metadata":{"key":${JSON.stringify(id)}}}`)
    .join(",")}]}}`

const place = (id: string): string => `/${id.split("/").map(encodeURIComponent).join("/")}`

const mostPages = 10

/** The API, where jobs of more than `most` bytes go by file. */
export const make = (most: number): BatchWire => ({
  // nothing is said of requests: what OpenAI takes
  maxRequests: 50_000,
  // Google takes 2 GB; a job is put together in memory
  maxBytes: 200_000_000,
  hasWindow: false,
  accepts: (path) => path.endsWith(":generateContent"),
  upload: (http, draft) => (isInline(draft, most) ? Effect.succeed(undefined) : upload(http, draft)),
  create: (http, draft, uploaded) => {
    const input = uploaded === undefined ? inline(draft) : JSON.stringify({ fileName: uploaded })
    return Effect.flatMap(
      http.call(draft.path.replace(/:generateContent$/, ":batchGenerateContent"), {
        method: "POST",
        body: HttpBody.text(
          `{"batch":{"displayName":${JSON.stringify(draft.key)},"inputConfig":${input}}}`,
          "application/json"
        )
      }),
      ({ body }) => read(http, body)
    )
  },
  find: (http, { key }) => {
    const page = (token: string | undefined, left: number): ReturnType<BatchWire["find"]> =>
      Effect.flatMap(
        http.call(
          `/batches?pageSize=100${token === undefined ? "" : `&pageToken=${encodeURIComponent(token)}`}`
        ),
        ({ body }) => {
          const found = Http.objects(body.operations).find(
            (operation) => Http.object(operation.metadata).displayName === key
          )
          if (found !== undefined) return read(http, found)
          const next = Http.text(body.nextPageToken)
          return next === undefined || left === 1 ? Effect.succeed(undefined) : page(next, left - 1)
        }
      )
    return page(undefined, mostPages)
  },
  report: (http, id) =>
    Effect.flatMap(http.call(place(id)), (answer) => read(http, answer.body, Http.retryAfter(answer))),
  results: (http, id) =>
    Stream.unwrap(
      Effect.map(http.call(place(id)), ({ body }) => {
        const output = Http.object(body["response"] ?? Http.object(body["metadata"])["output"])
        const file = Http.text(output["responsesFile"])
        const lines =
          file === undefined
            ? Stream.fromIterable(Http.objects(Http.object(output["inlinedResponses"])["inlinedResponses"]))
            : http.lines(beside(http, "download", `/${file}:download?alt=media`))
        return Stream.map(
          lines,
          (line): Line => ({
            id: Http.text(line["key"]) ?? Http.text(Http.object(line["metadata"])["key"]) ?? "",
            result: resultOf(line)
          })
        )
      })
    ),
  cancel: (http, id) => Effect.asVoid(http.post(`${place(id)}:cancel`, {}))
})

/** Gemini's batch API. */
export const geminiBatch: BatchWire = make(mostInline)
