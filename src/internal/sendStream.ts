/**
 * One HTTP call whose answer comes as server-sent events. An answer that is an error is read whole, so that no
 * explanation is lost; the connection is closed with the scope.
 */

import * as Sse from "@effect/experimental/Sse"
import * as HttpBody from "@effect/platform/HttpBody"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type LlmError, NetworkError, TimeoutError } from "../LlmError.js"
import type { Throttle } from "../Throttle.js"
import * as Throttles from "../Throttle.js"
import type { ServerSentEvent } from "../Wire.js"
import { type Call, read, redactedHeaders, redaction, transportError } from "./send.js"

/** What came back from a call that streams. */
export interface StreamReply {
  /** The events as they come; or the typed error of an answer that is none. */
  readonly body: Either.Either<Stream.Stream<ServerSentEvent, LlmError>, LlmError>
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly throttle: Throttle
}

/** The whole events in a stream of texts. Comments and keep-alives are none. */
const events = (
  call: Call,
  texts: Stream.Stream<string, LlmError>
): Stream.Stream<ServerSentEvent, LlmError> =>
  Stream.suspend(() => {
    let found: Array<ServerSentEvent> = []
    const redact = redaction(call)
    const parser = Sse.makeParser((event) => {
      if (event._tag !== "Event") return
      // of whole events: the key may have come in two pieces
      const data = redact === undefined ? event.data : redact(event.data)
      found.push({ event: event.event, data })
    })
    const feed = (text: string): Effect.Effect<Chunk.Chunk<ServerSentEvent>, LlmError> =>
      Effect.suspend(() => {
        const tooLarge = parser.feed(text)
        if (tooLarge !== undefined) {
          return Effect.fail(new NetworkError({ provider: call.provider, message: tooLarge.message }))
        }
        const whole = found
        found = []
        return Effect.succeed(Chunk.unsafeFromArray(whole))
      })
    // an event that the server has not ended with a blank line is whole when the stream is
    return Stream.flattenChunks(Stream.mapEffect(Stream.concat(texts, Stream.make("\n\n")), feed))
  })

/**
 * Sends the call. The timeout is how long the server may be silent, before the answer and within it; an answer that is
 * no stream has as long for its whole body.
 */
export const sendStream = (
  client: HttpClient.HttpClient,
  call: Call
): Effect.Effect<StreamReply, never, Scope.Scope> => {
  const silent = () =>
    new TimeoutError({ provider: call.provider, message: `The stream was silent for ${call.timeoutMs} ms` })
  const request = HttpClientRequest.post(call.url, {
    headers: call.headers,
    body: HttpBody.text(JSON.stringify(call.body), "application/json")
  })
  const failed = (error: LlmError, headers: StreamReply["headers"], throttle: Throttle): StreamReply => ({
    body: Either.left(error),
    headers,
    throttle
  })
  const patient = <A>(waiting: Effect.Effect<A, LlmError>): Effect.Effect<A, LlmError> =>
    call.timeoutMs === 0
      ? waiting
      : Effect.timeoutFail(waiting, { duration: call.timeoutMs, onTimeout: silent })
  const redact = redaction(call) ?? identity
  const opened = Effect.mapError(client.execute(request), (error) => transportError(call, error))
  return Effect.matchEffect(patient(opened), {
    onFailure: (error) => Effect.succeed(failed(error, {}, Throttles.none)),
    onSuccess: (response) =>
      Effect.clockWith((clock) => {
        const { status } = response
        const headers = redactedHeaders(response.headers, redact)
        const type = headers["content-type"]
        const throttle = Throttles.decode(
          call.provider,
          { status, headers, body: undefined },
          clock.unsafeCurrentTimeMillis()
        )
        if (status < 200 || status >= 300 || type?.includes("text/event-stream") !== true) {
          const text = Effect.mapError(response.text, (error) => transportError(call, error))
          return Effect.match(patient(text), {
            onFailure: (error) => failed(error, headers, throttle),
            onSuccess: (text) => {
              const reply = read(call, { status, headers, text }, clock.unsafeCurrentTimeMillis())
              const body = Either.flatMap(reply.body, () =>
                Either.left<LlmError>(
                  new NetworkError({
                    provider: call.provider,
                    status,
                    message: `The answer is no stream of events but ${redact(type ?? "of unknown type")}`
                  })
                )
              )
              return { body, headers, throttle: reply.throttle }
            }
          })
        }
        const bytes = Stream.mapError(response.stream, (error) => transportError(call, error))
        const timed = call.timeoutMs === 0 ? bytes : Stream.timeoutFail(bytes, silent, call.timeoutMs)
        const body = Either.right(events(call, Stream.decodeText(timed)))
        return Effect.succeed({ body, headers, throttle })
      })
  })
}
