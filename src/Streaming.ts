/**
 * One answer, bit by bit: the road of `complete`, with a stream at its end.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"
import * as Completer from "./internal/completer.js"
import type { LlmError } from "./LlmError.js"
import type { Chat, ChatFields } from "./Request.js"
import type { ChatResponse } from "./Response.js"
import { Collector, fromResponse, type StreamPart } from "./StreamPart.js"

/**
 * The parts of the answer as they come: text, thought, tool calls, usage, and `Finish` as the last. A stream that breaks
 * off before it fails; it is asked for again, at the same endpoint or another, only as long as no part of the answer
 * has been given out; what says nothing of the answer itself (`Start`, `Usage`, `Warning`) is given out with the first
 * part that does, so that it is told of the attempt that answers alone. An answer from the cache, or from an equal
 * request under way, comes at once. The call goes on for as long as somebody reads.
 *
 * @example
 * import { Chat, OpenAILive, stream, StreamPart } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const program = stream(Chat.prompt("Tell me a story.")).pipe(
 *   Stream.runForEach((part) => Effect.sync(() => part._tag === "Text" && process.stdout.write(part.text)))
 * )
 *
 * Effect.runPromise(program.pipe(Effect.provide(OpenAILive)))
 */
export const stream = (
  input: Chat | ChatFields,
  options: Completer.Options = {}
): Stream.Stream<StreamPart, LlmError, Completer.Services> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const completer = yield* Completer.make(options)
      // not bounded: a slow reader must not hold a permit, and one answer is small
      const parts = yield* Mailbox.make<StreamPart, LlmError>()
      let shown = false
      const onPart = (part: StreamPart): void => {
        shown = true
        parts.unsafeOffer(part)
      }
      const answer = Effect.flatMap(completer.resolve(input), (resolved) =>
        Effect.flatMap(completer.complete<never>(resolved, { onPart }), ({ outcome }) => outcome)
      )
      yield* Effect.forkScoped(
        Effect.matchCauseEffect(answer, {
          onFailure: (cause) => parts.failCause(cause),
          onSuccess: (response) =>
            Effect.zipRight(
              // the answer of another call than ours
              shown || response._tag !== "ChatResponse"
                ? Effect.void
                : parts.offerAll(fromResponse(response)),
              parts.end
            )
        })
      )
      return Mailbox.toStream(parts)
    })
  )

/** The answer that a stream of parts amounts to. A stream without a `Finish` is a failure. */
export const collect = <E, R>(
  parts: Stream.Stream<StreamPart, E, R>
): Effect.Effect<ChatResponse, E | LlmError, R> =>
  Effect.suspend(() => {
    const collector = new Collector()
    return Effect.zipRight(
      Stream.runForEach(parts, (part) => Effect.sync(() => collector.add(part))),
      Effect.suspend(() => collector.response({ provider: "floodgate", model: "" }))
    )
  })
