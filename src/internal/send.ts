/**
 * One HTTP call of a provider: JSON out, JSON or a typed error back. The body of every answer is read, so that no
 * connection is held and no explanation is lost.
 */

import * as Headers from "@effect/platform/Headers"
import * as HttpBody from "@effect/platform/HttpBody"
import type * as HttpClient from "@effect/platform/HttpClient"
import type { HttpClientError } from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { CallTimeout, callTimeout, honoursCallTimeout } from "../HttpClientPool.js"
import { type LlmError, NetworkError, TimeoutError } from "../LlmError.js"
import * as Throttle from "../Throttle.js"
import { classify, classifyBody, classifyTransport } from "./classifyError.js"

/** What came back from one call. */
export interface Reply {
  /** The body, parsed; or the typed error of an answer that is none. */
  readonly body: Either.Either<unknown, LlmError>
  readonly headers: Headers.Headers
  /** What the server said of its limits. */
  readonly throttle: Throttle.Throttle
}

export interface Call {
  readonly provider: string
  readonly url: string
  readonly headers: Headers.Headers
  readonly body: unknown
  readonly timeoutMs: number
}

const parse = (text: string): Either.Either<unknown, unknown> =>
  // servers that keep a connection alive with blank lines put them before the answer, which JSON allows
  text === "" ? Either.right(undefined) : Either.try((): unknown => JSON.parse(text))

const timeout = (call: Call): TimeoutError =>
  new TimeoutError({ provider: call.provider, message: `No answer within ${call.timeoutMs} ms` })

const transportError = (call: Call, error: HttpClientError): LlmError =>
  error.cause instanceof CallTimeout ? timeout(call) : classifyTransport(call.provider, error.cause ?? error)

/** Reads an answer: its limits, and its body or why there is none. */
const read = (call: Call, status: number, headers: Headers.Headers, text: string, now: number): Reply => {
  const parsed = parse(text)
  const answer = { status, headers, body: Either.getOrElse(parsed, () => text) }
  const throttle = Throttle.decode(call.provider, answer, now)
  const isError = status < 200 || status >= 300
  const error = isError ? classify(call.provider, answer, now) : classifyBody(call.provider, answer, now)
  if (error !== undefined) return { body: Either.left(error), headers, throttle }
  const body = Either.mapLeft(
    parsed,
    () =>
      new NetworkError({
        provider: call.provider,
        status,
        message: `The answer is not JSON, or was cut short (${text.length} characters)`
      })
  )
  return { body, headers, throttle }
}

/** A call that brought back nothing. */
const nothing = (error: LlmError): Reply => ({
  body: Either.left(error),
  headers: Headers.empty,
  throttle: Throttle.none
})

/** Sends the call. */
export const send = (client: HttpClient.HttpClient, call: Call): Effect.Effect<Reply> => {
  const request = HttpClientRequest.post(call.url, {
    headers: call.headers,
    body: HttpBody.raw(JSON.stringify(call.body), { contentType: "application/json" })
  })
  const exchange = Effect.flatMap(client.execute(request), (response) =>
    Effect.flatMap(response.text, (text) =>
      Effect.map(Clock.currentTimeMillis, (now) => read(call, response.status, response.headers, text, now))
    )
  )
  const answered = Effect.catchAll(exchange, (error) => Effect.succeed(nothing(transportError(call, error))))
  if (call.timeoutMs === 0) return answered
  return honoursCallTimeout(client)
    ? Effect.locally(answered, callTimeout, call.timeoutMs)
    : Effect.timeoutTo(answered, {
        duration: call.timeoutMs,
        onSuccess: (reply) => reply,
        onTimeout: () => nothing(timeout(call))
      })
}
