/**
 * One request, to its one paid-for answer.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Completer from "./internal/completer.js"
import type { LlmError } from "./LlmError.js"
import type { AnswerTo, RequestInput } from "./Request.js"

/** See `complete`. */
export type { Options, Services } from "./internal/completer.js"

/**
 * The answer to one request: from the cache, from an equal request that is under way, or from an endpoint, with
 * retries. Takes a request or a plain object of the same shape.
 *
 * @example
 * import { complete } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const answer = complete({ messages: [{ role: "user", content: "Why is the sky blue?" }] }).pipe(
 *   Effect.map((response) => response.text),
 *   Effect.catchTag("RateLimitError", () => Effect.succeed("Later."))
 * )
 */
export const complete = <R extends RequestInput>(
  input: R,
  options: Completer.Options = {}
): Effect.Effect<AnswerTo<R>, LlmError, Completer.Services> =>
  Effect.flatMap(
    Completer.make(options),
    (completer) =>
      Effect.flatMap(completer.resolve(input), (resolved) =>
        Effect.flatMap(completer.complete(resolved, {}), ({ outcome }) => outcome)
      )
    // the kind of a request decides the kind of its answer
  ) as Effect.Effect<AnswerTo<R>, LlmError, Completer.Services>
