/** The calls of a batch API: JSON and files out, JSON and lines of JSON back, failures typed as those of any call. */
import { randomBytes } from "node:crypto"
import * as Headers from "@effect/platform/Headers"
import * as HttpBody from "@effect/platform/HttpBody"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Endpoint from "../Endpoint.js"
import { type LlmError, NetworkError, TimeoutError } from "../LlmError.js"
import { classify } from "./classifyError.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { type Call, redaction, transportError } from "./send.js"

/** What came back: an object, empty where the answer was none. */
export interface Answer {
  readonly body: JsonObject
  readonly headers: Readonly<Record<string, string | undefined>>
}

export interface Sending {
  readonly method?: "GET" | "POST" | undefined
  readonly body?: HttpBody.HttpBody | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** The calls of one endpoint. A place is a path below its base URL, or a whole address. */
export interface BatchHttp {
  readonly endpoint: Endpoint.Endpoint
  readonly call: (place: string, sending?: Sending) => Effect.Effect<Answer, LlmError>
  /** A JSON object, posted. */
  readonly post: (place: string, body: JsonObject) => Effect.Effect<Answer, LlmError>
  /** The objects of a file of lines. A line that is none is passed over with a warning. */
  readonly lines: (place: string) => Stream.Stream<JsonObject, LlmError>
}

const isWhole = (place: string): boolean => /^https?:\/\//i.test(place)

const originOf = (url: string): string | undefined => (URL.canParse(url) ? new URL(url).origin : undefined)

/** Whether an address that a server named is one that the endpoint's credential may be sent to. */
export const isOwn = (address: string, { baseUrl }: Endpoint.Endpoint): boolean =>
  originOf(address) !== undefined && originOf(address) === originOf(baseUrl)

/** One file and some fields, as a form: written here, since clients differ in what they make of `FormData`. */
export const form = (
  fields: Readonly<Record<string, string>>,
  name: string,
  text: string
): HttpBody.HttpBody => {
  // as good as certain not to be in the text
  const boundary = `floodgate-${randomBytes(18).toString("base64url")}`
  const parts = Object.entries(fields).map(
    ([field, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${field}"\r\n\r\n${value}\r\n`
  )
  const head = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${name}"\r\ncontent-type: application/jsonl\r\n\r\n`
  return HttpBody.text(
    `${parts.join("")}${head}${text}\r\n--${boundary}--\r\n`,
    `multipart/form-data; boundary=${boundary}`
  )
}

const parse = (text: string): Option.Option<unknown> =>
  Option.liftThrowable((): unknown => JSON.parse(text))()

const patience = ({ timeoutMs }: Call): number => (timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs)

const silence = ({ provider, timeoutMs }: Call): TimeoutError =>
  new TimeoutError({ provider, message: `No answer of the batch API within ${timeoutMs} ms` })

/** The calls of an endpoint. `credentials` holds the address's headers and its secret. */
export const make = (
  client: HttpClient.HttpClient,
  endpoint: Endpoint.Endpoint,
  credentials: Effect.Effect<Call, LlmError>
): BatchHttp => {
  const request = (place: string, { body, headers, method = "GET" }: Sending, call: Call) => {
    const url = isWhole(place) ? place : Endpoint.url(endpoint, place)
    // a credential does not go where a server points
    const own = !isWhole(place) || isOwn(place, endpoint) ? call.headers : Headers.empty
    return HttpClientRequest.make(method)(url, {
      headers: headers === undefined ? own : Headers.setAll(own, headers),
      ...(body === undefined ? undefined : { body })
    })
  }

  const refusal = ({ headers, status }: HttpClientResponse.HttpClientResponse, text: string) =>
    Effect.clockWith((clock) =>
      Effect.fail(
        classify(
          endpoint.provider,
          { status, headers, body: Option.getOrElse(parse(text), () => text) },
          clock.unsafeCurrentTimeMillis()
        )
      )
    )

  const isGood = ({ status }: HttpClientResponse.HttpClientResponse) => status >= 200 && status < 300

  const textOf = (call: Call, response: HttpClientResponse.HttpClientResponse) =>
    Effect.map(response.text, redaction(call) ?? ((text: string) => text))

  const call: BatchHttp["call"] = (place, sending = {}) =>
    Effect.flatMap(credentials, (call) =>
      client.execute(request(place, sending, call)).pipe(
        Effect.flatMap((response) => Effect.map(textOf(call, response), (text) => ({ response, text }))),
        Effect.mapError((error) => transportError(call, error)),
        Effect.timeoutFail({ duration: patience(call), onTimeout: () => silence(call) }),
        Effect.flatMap(({ response, text }) => {
          if (!isGood(response)) return refusal(response, text)
          const body = text === "" ? Option.some({}) : Option.filter(parse(text), isJsonObject)
          return Option.match(body, {
            onSome: (body) => Effect.succeed({ body, headers: response.headers }),
            onNone: () =>
              Effect.fail(
                new NetworkError({
                  provider: endpoint.provider,
                  status: response.status,
                  message: `The answer of the batch API is not JSON, or was cut short (${text.length} characters)`
                })
              )
          })
        })
      )
    )

  const lines: BatchHttp["lines"] = (place) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const call = yield* credentials
        const response = yield* client.execute(request(place, {}, call)).pipe(
          Effect.mapError((error) => transportError(call, error)),
          Effect.timeoutFail({ duration: patience(call), onTimeout: () => silence(call) })
        )
        if (!isGood(response)) {
          const text = yield* Effect.mapError(textOf(call, response), (error) => transportError(call, error))
          return yield* refusal(response, text)
        }
        const redact = redaction(call)
        return response.stream.pipe(
          Stream.mapError((error) => transportError(call, error)),
          Stream.timeoutFail(() => silence(call), patience(call)),
          Stream.decodeText(),
          Stream.splitLines,
          Stream.filter((line) => line.trim() !== ""),
          Stream.mapChunksEffect((lines) => {
            const found = Chunk.filterMap(lines, (line) =>
              Option.filter(parse(redact === undefined ? line : redact(line)), isJsonObject)
            )
            const lost = lines.length - found.length
            return lost === 0
              ? Effect.succeed(found)
              : Effect.as(Effect.logWarning(`Lines of a batch's results that are not JSON: ${lost}`), found)
          })
        )
      })
    )

  return {
    endpoint,
    call,
    lines,
    post: (place, body) =>
      call(place, { method: "POST", body: HttpBody.text(JSON.stringify(body), "application/json") })
  }
}

/** The seconds of a `retry-after`, where it is a number. */
export const retryAfter = ({ headers }: Answer): number | undefined => {
  const seconds = Number(headers["retry-after"] ?? Number.NaN)
  return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined
}

/** Fields of what a server sent. */
export const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

/** A number, or one as text, as Google writes 64 bits. */
export const count = (value: unknown): number => {
  const found = typeof value === "string" ? Number(value) : value
  return typeof found === "number" && Number.isFinite(found) ? found : 0
}

export const object = (value: unknown): JsonObject => (isJsonObject(value) ? value : {})

export const objects = (value: unknown): ReadonlyArray<JsonObject> =>
  Array.isArray(value) ? value.filter(isJsonObject) : []

/** The error for an answer that names no job. */
export const noJob = (http: BatchHttp): NetworkError =>
  new NetworkError({
    provider: http.endpoint.provider,
    message: "The batch API's answer names no job"
  })
