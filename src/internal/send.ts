/**
 * One HTTP call of a provider: JSON out, JSON or a typed error back. The body of every answer is read, so that no
 * connection is held and no explanation is lost.
 */

import * as Headers from "@effect/platform/Headers"
import * as HttpBody from "@effect/platform/HttpBody"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { CallTimeout, postText, type TextExchange } from "../HttpClientPool.js"
import { type LlmError, NetworkError, TimeoutError } from "../LlmError.js"
import * as Throttle from "../Throttle.js"
import { classify, classifyBody, classifyTransport, requestIdHeaders } from "./classifyError.js"

/** What came back from one call. */
export interface Reply {
  /** The body, parsed; or the typed error of an answer that is none. */
  readonly body: Either.Either<unknown, LlmError>
  readonly headers: Readonly<Record<string, string | undefined>>
  /** What the server said of its limits. */
  readonly throttle: Throttle.Throttle
}

export interface Call {
  readonly provider: string
  readonly url: string
  readonly headers: Headers.Headers
  readonly body: unknown
  readonly timeoutMs: number
  /** The endpoint's key: where the answer repeats it, it is taken out before anything is read. */
  readonly secret?: Redacted.Redacted | undefined
}

const parse = (text: string): Either.Either<unknown, unknown> =>
  // servers that keep a connection alive with blank lines put them before the answer, which JSON allows
  text === "" ? Either.right(undefined) : Either.try((): unknown => JSON.parse(text))

const timeout = (call: Call): TimeoutError =>
  new TimeoutError({ provider: call.provider, message: `No answer within ${call.timeoutMs} ms` })

/** What the transport failed with; a client that is not ours wraps it. */
export const transportError = (call: Call, error: Error): LlmError => {
  const cause = HttpClientError.isHttpClientError(error) ? (error.cause ?? error) : error
  return cause instanceof CallTimeout ? timeout(call) : classifyTransport(call.provider, cause)
}

/** What stands where the key stood. */
const redacted = "[redacted]"

// a shorter key, or one of digits only, is a dummy such as "EMPTY" that any text or number may hold
const isTelling = (key: string): boolean => key.length >= 8 && /\D/.test(key)

/** Takes the key of a call, whatever it looks like, out of texts. Nothing if the call has none that tells. */
export const redaction = ({ secret }: Call): ((text: string) => string) | undefined => {
  if (secret === undefined) return undefined
  const key = Redacted.value(secret)
  return isTelling(key) ? (text) => (text.includes(key) ? text.replaceAll(key, redacted) : text) : undefined
}

/** The headers without the key, in those that are kept as ids. */
export const redactedHeaders = <H extends TextExchange["headers"]>(
  given: H,
  redact: (text: string) => string
): H => {
  let headers = given
  for (const name of requestIdHeaders) {
    const value = headers[name]
    if (value === undefined) continue
    const safe = redact(value)
    if (safe !== value) headers = { ...headers, [name]: safe }
  }
  return headers
}

/** The answer without the key: in its text, and in the headers kept as ids. */
const withoutSecret = (answer: TextExchange, call: Call): TextExchange => {
  const redact = redaction(call)
  if (redact === undefined) return answer
  const text = redact(answer.text)
  const headers = redactedHeaders(answer.headers, redact)
  return text === answer.text && headers === answer.headers ? answer : { ...answer, headers, text }
}

/** Reads an answer: its limits, and its body or why there is none. */
export const read = (call: Call, exchanged: TextExchange, now: number): Reply => {
  const { headers, status, text } = withoutSecret(exchanged, call)
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

/** Those of the call, and what the body is. */
const withContentType = (headers: Headers.Headers): Headers.Headers => {
  let found = jsonHeaders.get(headers)
  if (found === undefined) {
    found = Headers.set(headers, "content-type", "application/json")
    jsonHeaders.set(headers, found)
  }
  return found
}

// an endpoint's headers are the same for all of its calls
const jsonHeaders = new WeakMap<Headers.Headers, Headers.Headers>()

const exchange = (
  client: HttpClient.HttpClient,
  call: Call,
  body: string
): Effect.Effect<TextExchange, CallTimeout | HttpClientError.HttpClientError> => {
  const request = HttpClientRequest.post(call.url, {
    headers: call.headers,
    body: HttpBody.text(body, "application/json")
  })
  const sent = Effect.flatMap(client.execute(request), ({ headers, status, text }) =>
    Effect.map(text, (text) => ({ status, headers, text }))
  )
  return call.timeoutMs === 0
    ? sent
    : Effect.timeoutFail(sent, {
        duration: call.timeoutMs,
        onTimeout: () => new CallTimeout(`no answer within ${call.timeoutMs} ms`)
      })
}

/** Reads what is at the address of the call, whose body is not sent. */
export const get = (client: HttpClient.HttpClient, call: Call): Effect.Effect<Reply> =>
  client.execute(HttpClientRequest.get(call.url, { headers: call.headers })).pipe(
    Effect.flatMap(({ headers, status, text }) => Effect.map(text, (text) => ({ status, headers, text }))),
    Effect.timeoutFail({
      duration: call.timeoutMs === 0 ? Number.POSITIVE_INFINITY : call.timeoutMs,
      onTimeout: () => new CallTimeout(`no answer within ${call.timeoutMs} ms`)
    }),
    Effect.matchEffect({
      onFailure: (error) => Effect.succeed(nothing(transportError(call, error))),
      onSuccess: (answer) =>
        Effect.clockWith((clock) => Effect.succeed(read(call, answer, clock.unsafeCurrentTimeMillis())))
    })
  )

/** Sends the call. */
export const send = (client: HttpClient.HttpClient, call: Call): Effect.Effect<Reply> => {
  const body = JSON.stringify(call.body)
  const post = postText(client)
  const sent: Effect.Effect<TextExchange, Error> =
    post === undefined
      ? exchange(client, call, body)
      : post(call.url, withContentType(call.headers), body, call.timeoutMs)
  return Effect.matchEffect(sent, {
    onFailure: (error) => Effect.succeed(nothing(transportError(call, error))),
    onSuccess: (answer) =>
      Effect.clockWith((clock) => Effect.succeed(read(call, answer, clock.unsafeCurrentTimeMillis())))
  })
}
