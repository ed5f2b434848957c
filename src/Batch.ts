/**
 * Many requests, every answer, in order.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Checkpoint } from "./Checkpoint.js"
import * as BatchItem from "./internal/batchItem.js"
import type { CheckpointError } from "./internal/checkpointError.js"
import * as Completer from "./internal/completer.js"
import { workers } from "./internal/workers.js"
import type { Outcome, Settled } from "./Outcome.js"
import type { RequestInput } from "./Request.js"

/** How a batch is run. */
export interface Options extends Completer.Options {
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
export type Source<E = never, R = never> =
  | Iterable<RequestInput>
  | AsyncIterable<RequestInput>
  | Stream.Stream<RequestInput, E, R>

/** Checked before anything is opened: a batch without workers would end at once, and seal its checkpoint empty. */
const concurrencyOf = ({ concurrency = 64 }: Options): Effect.Effect<number> =>
  Number.isSafeInteger(concurrency) && concurrency >= 1
    ? Effect.succeed(concurrency)
    : Effect.dieMessage(`The concurrency of a batch is a whole number of at least 1, not ${concurrency}`)

/** How each item is settled, and what is to be done when all are. */
interface Run<E> {
  readonly concurrency: number
  readonly settle: BatchItem.Settle<E>
  readonly seal: (total: number) => Effect.Effect<void, E>
}

const open = (
  options: Options & Partial<DurableOptions>
): Effect.Effect<Run<CheckpointError>, CheckpointError, Completer.Services | Scope.Scope> =>
  Effect.gen(function* () {
    const concurrency = yield* concurrencyOf(options)
    const completer = yield* Completer.make(options)
    if (options.checkpoint === undefined) {
      return { concurrency, settle: BatchItem.settle(completer), seal: () => Effect.void }
    }
    const checkpoint = Context.get(yield* Layer.build(options.checkpoint), Checkpoint)
    return {
      concurrency,
      settle: BatchItem.settleDurably(completer, checkpoint),
      seal: (total: number) => Effect.asVoid(checkpoint.seal(total))
    }
  })

/**
 * The outcome of each request, in input order: its answer or its typed error. A batch never fails because a
 * request did; with a checkpoint it fails if the checkpoint cannot be written.
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
  (
    requests: Iterable<RequestInput>,
    options?: Options
  ): Effect.Effect<Array<Outcome>, never, Completer.Services>
  (
    requests: Iterable<RequestInput>,
    options: DurableOptions
  ): Effect.Effect<Array<Outcome>, CheckpointError, Completer.Services>
} = (requests: Iterable<RequestInput>, options: Options & Partial<DurableOptions> = {}) =>
  Effect.scoped(
    Effect.flatMap(open(options), ({ concurrency, seal, settle }) =>
      Effect.tap(
        Effect.forEach(
          requests,
          (request, index) => Effect.map(settle(index, request), ({ outcome }) => outcome),
          { concurrency }
        ),
        (outcomes) => seal(outcomes.length)
      )
    )
    // without a checkpoint nothing fails, which the overloads say
  ) as Effect.Effect<Array<Outcome>, never, Completer.Services>

/**
 * Outcomes as they finish, each with its index: for inputs that do not fit into memory. The source is pulled
 * one request at a time, never further ahead than the concurrency.
 */
export const batchStream: {
  <E = never, R = never>(
    source: Source<E, R>,
    options?: Options
  ): Stream.Stream<Settled, E, R | Completer.Services>
  <E = never, R = never>(
    source: Source<E, R>,
    options: DurableOptions
  ): Stream.Stream<Settled, E | CheckpointError, R | Completer.Services>
} = <E, R>(source: Source<E, R>, options: Options & Partial<DurableOptions> = {}) =>
  Stream.unwrapScoped(
    Effect.map(open(options), ({ concurrency, seal, settle }) =>
      workers(source, settle, { concurrency, atEnd: seal })
    )
  ) as Stream.Stream<Settled, E, R | Completer.Services>
