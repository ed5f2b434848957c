/**
 * Anthropic's message batches: the requests travel with the call that makes the job, and are looked at only when they
 * are run. A batch holds no metadata: one that may have been made is told by its time and its size.
 *
 * Source: Anthropic's API reference of message batches.
 */
import * as HttpBody from "@effect/platform/HttpBody"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Endpoint } from "../Endpoint.js"
import type { JsonObject } from "./jsonObject.js"
import * as Http from "./providerBatchHttp.js"
import type { BatchWire, Line, Report, Result, State } from "./providerBatchWire.js"

// one l in canceling, where OpenAI has two
const states: Readonly<Record<string, State>> = {
  in_progress: "running",
  canceling: "cancelling",
  ended: "succeeded"
}

const countNames = ["processing", "succeeded", "errored", "canceled", "expired"] as const

const read = (http: Http.BatchHttp, batch: JsonObject, retryAfter?: number) => {
  const id = Http.text(batch["id"])
  if (id === undefined) return Effect.fail(Http.noJob(http))
  const rawState = Http.text(batch["processing_status"]) ?? ""
  const counts = Http.object(batch["request_counts"])
  const [processing = 0, succeeded = 0, ...others] = countNames.map((name) => Http.count(counts[name]))
  const failed = others.reduce((sum, each) => sum + each, 0)
  return Effect.succeed<Report>({
    id,
    rawState,
    state: states[rawState],
    total: processing + succeeded + failed,
    succeeded,
    failed,
    problem: undefined,
    retryAfter
  })
}

/** The status that an ordinary call with such an error has. */
const statusOf: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529
}

const resultOf = (result: JsonObject): Result => {
  switch (result["type"]) {
    case "succeeded":
      return { _tag: "Answered", body: result["message"], requestId: undefined }
    case "canceled":
      return { _tag: "Cancelled" }
    case "expired":
      return { _tag: "Expired" }
    default: {
      const envelope = Http.object(result["error"])
      const type = Http.text(Http.object(envelope["error"])["type"]) ?? ""
      return {
        _tag: "Refused",
        status: statusOf[type] ?? 500,
        body: envelope,
        requestId: Http.text(envelope["request_id"])
      }
    }
  }
}

/** Clocks differ. */
const slack = 120_000

/** Anthropic's batch API, where its messages have this path. */
export const anthropicBatch = (messages: (endpoint: Endpoint) => string): BatchWire => {
  const batches = (endpoint: Endpoint): string => `${messages(endpoint)}/batches`
  const place = ({ endpoint }: Http.BatchHttp, id: string): string =>
    `${batches(endpoint)}/${encodeURIComponent(id)}`
  return {
    maxRequests: 100_000,
    maxBytes: 256_000_000,
    hasWindow: false,
    accepts: (path, endpoint) => path === messages(endpoint),
    create: (http, { entries }) => {
      const requests = entries.map(({ body, id }) => `{"custom_id":${JSON.stringify(id)},"params":${body}}`)
      return Effect.flatMap(
        http.call(batches(http.endpoint), {
          method: "POST",
          body: HttpBody.text(`{"requests":[${requests.join(",")}]}`, "application/json")
        }),
        ({ body }) => read(http, body)
      )
    },
    find: (http, { known, since, size }) =>
      Effect.flatMap(http.call(`${batches(http.endpoint)}?limit=100`), ({ body }) =>
        Effect.map(
          Effect.forEach(
            Http.objects(body["data"]).filter(
              (batch) => Date.parse(Http.text(batch["created_at"]) ?? "") >= since - slack
            ),
            (batch) => read(http, batch)
          ),
          (recent) => recent.find(({ id, total }) => total === size && !known.has(id))
        )
      ),
    report: (http, id) =>
      Effect.flatMap(http.call(place(http, id)), (answer) =>
        read(http, answer.body, Http.retryAfter(answer))
      ),
    results: (http, id) =>
      Stream.unwrap(
        Effect.map(http.call(place(http, id)), ({ body }) => {
          const given = Http.text(body["results_url"])
          // the same through a gateway, whose key is not Anthropic's
          const where =
            given !== undefined && Http.isOwn(given, http.endpoint) ? given : `${place(http, id)}/results`
          return Stream.map(
            http.lines(where),
            (line): Line => ({
              id: Http.text(line["custom_id"]) ?? "",
              result: resultOf(Http.object(line["result"]))
            })
          )
        })
      ),
    cancel: (http, id) => Effect.asVoid(http.post(`${place(http, id)}/cancel`, {}))
  }
}
