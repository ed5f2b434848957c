/**
 * Many requests, every answer, in order.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import type { Checkpoint } from "./Checkpoint.js"
import * as BatchProgress from "./internal/batchProgress.js"
import * as BatchRun from "./internal/batchRun.js"
import type { CheckpointError } from "./internal/checkpointError.js"
import type * as Completer from "./internal/completer.js"
import type { Outcome, Settled } from "./Outcome.js"
import type { AnswerTo, Chat, ChatFields, Request, RequestInput } from "./Request.js"

/** How a batch is run. */
export interface Options extends Completer.Options, BatchProgress.Options {
  /**
   * Requests under way at once, waiting for the limiter included: a whole number, at least 1; anything else is a
   * defect. Default 64. Memory grows with this number, never with the size of the input.
   */
  readonly concurrency?: number | undefined
}

/** Where a batch writes its outcomes down, and finds those of an earlier run. */
export interface DurableOptions extends Options {
  /** Such as `Checkpoint.layerFile("answers.jsonl")`. */
  readonly checkpoint: Layer.Layer<Checkpoint, CheckpointError>
}

/** What is asked, one by one. A list, any iterable or async iterable, or a stream that may fail. */
export type Source<E = never, R = never, I extends RequestInput = RequestInput> =
  | Iterable<I>
  | AsyncIterable<I>
  | Stream.Stream<I, E, R>

/** The request that an input stands for: a plain object is a chat. */
type RequestOf<I extends RequestInput> = I extends Request ? I : I extends ChatFields ? Chat : never

/**
 * The outcome of each request, in input order: its answer or its typed error. A batch never fails because a
 * request did; with a checkpoint it fails if the checkpoint cannot be written. What its budget has no room for is a
 * `BudgetExceededError`: a checkpoint has no row of it, and waits for a run with a higher one.
 *
 * @example
 * import { batch, Chat, OpenAILive } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Either from "effect/Either"
 *
 * const program = Effect.gen(function* () {
 *   const outcomes = yield* batch([Chat.prompt("1 + 1 = ?"), Chat.prompt("2 + 2 = ?")], { concurrency: 8 })
 *   return outcomes.map(Either.match({
 *     onLeft: (error) => `${error._tag}: ${error.message}`,
 *     onRight: (response) => response.text
 *   }))
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(OpenAILive)))
 */
export const batch: {
  <I extends RequestInput>(
    requests: Iterable<I>,
    options?: Options
  ): Effect.Effect<Array<Outcome<AnswerTo<I>>>, never, Completer.Services>
  <I extends RequestInput>(
    requests: Iterable<I>,
    options: DurableOptions
  ): Effect.Effect<Array<Outcome<AnswerTo<I>>>, CheckpointError, Completer.Services>
} = <I extends RequestInput>(requests: Iterable<I>, options: Options & Partial<DurableOptions> = {}) =>
  Effect.scoped(
    Effect.flatMap(BatchRun.open(options, BatchProgress.sizeOf(requests)), ({ concurrency, seal, settle }) =>
      Effect.tap(
        Effect.forEach(
          requests,
          (request, index) => Effect.map(settle(index, request), ({ outcome }) => outcome),
          { concurrency }
        ),
        (outcomes) => seal(outcomes.length)
      )
    )
    // without a checkpoint nothing fails, and the kind of a request decides the kind of its answer
  ) as Effect.Effect<Array<Outcome<AnswerTo<I>>>, never, Completer.Services>

/**
 * Outcomes as they finish, each with its index: for inputs that do not fit into memory. The source is pulled
 * one request at a time, never further ahead than the concurrency.
 */
export const batchStream: {
  <I extends RequestInput, E = never, R = never>(
    source: Source<E, R, I>,
    options?: Options
  ): Stream.Stream<Settled<RequestOf<I>>, E, R | Completer.Services>
  <I extends RequestInput, E = never, R = never>(
    source: Source<E, R, I>,
    options: DurableOptions
  ): Stream.Stream<Settled<RequestOf<I>>, E | CheckpointError, R | Completer.Services>
} = <I extends RequestInput, E, R>(
  source: Source<E, R, I>,
  options: Options & Partial<DurableOptions> = {}
) => BatchRun.stream(source, options) as Stream.Stream<Settled<RequestOf<I>>, E, R | Completer.Services>
