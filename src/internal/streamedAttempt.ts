/** An attempt whose answer comes bit by bit: the parts are given out as they come, and their sum is the answer. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import type { Endpoint } from "../Endpoint.js"
import { withUsage } from "../LlmError.js"
import { notSent, type Provider } from "../Providers.js"
import type { Request } from "../Request.js"
import { Collector, StreamPart } from "../StreamPart.js"
import { unsupported } from "../Wire.js"
import type { Glimpse } from "./attemptEvents.js"
import type { Ask, Story } from "./attempts.js"
import { estimatedUsage } from "./tokenEstimate.js"

type Start = Extract<StreamPart, { _tag: "Start" }>

interface Options {
  readonly timeoutMs: number
  readonly story: Story
  readonly onPart: ((part: StreamPart) => void) | undefined
  /** Whether a provider that cannot stream is an error, or asked for the whole answer. */
  readonly required: boolean
}

/** Whether a part is of the attempt, and not of its answer. */
const saysNothing = ({ _tag }: StreamPart): boolean =>
  _tag === "Start" || _tag === "Usage" || _tag === "Warning"

/** A start that says who answers. */
const withProvider = (start: Start, provider: string): StreamPart =>
  start.provider === undefined ? { ...start, provider } : start

/** Asks for a stream and reads it to its end. */
export const ask =
  ({ onPart, required, story, timeoutMs }: Options): Ask =>
  (provider: Provider, request: Request, endpoint: Endpoint, glimpse: Glimpse) => {
    const { stream } = provider
    if (stream === undefined) {
      return required
        ? Effect.succeed(notSent(unsupported(provider.name, "stream")))
        : provider.attempt(request, endpoint, timeoutMs)
    }
    const model = request.model ?? endpoint.model ?? ""
    return Effect.scoped(
      Effect.flatMap(stream(request, endpoint, timeoutMs), ({ isSent, parts, throttle }) => {
        if (Either.isLeft(parts))
          return Effect.succeed({ outcome: Either.left(parts.left), throttle, isSent })
        const collector = new Collector()
        // what says nothing of the answer waits for the first part that does: a retry takes it back
        const held: Array<StreamPart> = []
        const give = (part: StreamPart, onPart: (part: StreamPart) => void): void => {
          held.push(part)
          if (!story.shown && saysNothing(part)) return
          story.shown = true
          for (const part of held.splice(0)) onPart(part)
        }
        const take = (part: StreamPart): void => {
          collector.add(part)
          if (onPart !== undefined) give(part, onPart)
        }
        return Stream.runForEach(parts.right, (given) =>
          Effect.sync(() => {
            const part = given._tag === "Start" ? withProvider(given, endpoint.provider) : given
            if (part._tag === "Usage") glimpse.usage = part.usage
            if (part._tag === "Usage" || !saysNothing(part)) glimpse.hasBegun = true
            // none has come, and none will
            if (part._tag === "Finish" && collector.collected.usage === undefined) {
              take(StreamPart.Usage({ usage: estimatedUsage(request, collector.collected) }))
            }
            take(part)
          })
        ).pipe(
          Effect.either,
          Effect.map((ended) => ({
            outcome: Either.mapLeft(
              Either.flatMap(ended, () =>
                collector.response({ provider: endpoint.provider, model, request })
              ),
              // what a stream said of it before it broke off was paid for
              (error) => withUsage(error, glimpse.usage)
            ),
            throttle
          }))
        )
      })
    )
  }
