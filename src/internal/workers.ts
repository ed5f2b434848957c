/**
 * A pool of workers over one source: each pulls an item when it is free, so that the source is never read ahead,
 * and results come in the order in which they are done. An order of magnitude cheaper per item than
 * `Stream.mapEffect`.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** What is worked through. */
export type Source<A, E, R> = Iterable<A> | AsyncIterable<A> | Stream.Stream<A, E, R>

/** An item with its place in the source, given when it is pulled. */
interface Item<A> {
  readonly index: number
  readonly value: A
}

/** The next item, or none at the end. */
type Pull<A, E, R> = Effect.Effect<Option.Option<Item<A>>, E, R>

/** Gives each item its index, and knows how many there were in the end, those left out included. */
interface Indexes {
  readonly next: () => number
  readonly total: () => number
}

const makeIndexes = (leftOut: (index: number) => boolean = () => false): Indexes => {
  let index = 0
  const pass = () => {
    while (leftOut(index)) index++
    return index
  }
  return {
    next: () => {
      const next = pass()
      index++
      return next
    },
    total: pass
  }
}

const fromIterable = <A>(
  source: Iterable<A>,
  indexes: Indexes
): Effect.Effect<Pull<A, never, never>, never, Scope.Scope> =>
  Effect.gen(function* () {
    let ended = false
    const iterator = yield* Effect.acquireRelease(
      Effect.sync(() => source[Symbol.iterator]()),
      // tells a generator that is given up halfway
      (iterator) => Effect.sync(() => (ended ? undefined : iterator.return?.()))
    )
    return Effect.sync(() => {
      if (ended) return Option.none()
      const next = iterator.next()
      if (next.done !== true) return Option.some({ index: indexes.next(), value: next.value })
      ended = true
      return Option.none()
    })
  })

const fromStream = <A, E, R>(
  source: Stream.Stream<A, E, R>,
  indexes: Indexes
): Effect.Effect<Pull<A, E, R>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const pullChunk = yield* Stream.toPull(source)
    const turn = yield* Effect.makeSemaphore(1)
    let buffer: ReadonlyArray<A> = []
    let at = 0
    let ended = false
    /** The next item of what has been pulled; `undefined` if more must be pulled first. */
    const take = (): Option.Option<Item<A>> | undefined => {
      if (at < buffer.length) return Option.some({ index: indexes.next(), value: buffer[at++] as A })
      return ended ? Option.none() : undefined
    }
    const refill: Pull<A, E, R> = Effect.suspend(() => {
      const next = take()
      if (next !== undefined) return Effect.succeed(next)
      return Effect.matchEffect(pullChunk, {
        onFailure: Option.match({
          onNone: () => {
            ended = true
            return Effect.succeedNone
          },
          onSome: (error) => Effect.fail(error)
        }),
        onSuccess: (chunk) => {
          buffer = Chunk.toReadonlyArray(chunk)
          at = 0
          return refill
        }
      })
    })
    // one at a time pulls; what has been pulled is taken without waiting for a turn
    const pulled = turn.withPermits(1)(refill)
    return Effect.suspend(() => {
      const next = take()
      return next === undefined ? pulled : Effect.succeed(next)
    })
  })

const toPull = <A, E, R>(
  source: Source<A, E, R>,
  indexes: Indexes
): Effect.Effect<Pull<A, E, R>, never, R | Scope.Scope> => {
  if (Symbol.iterator in source) return fromIterable(source, indexes)
  if (Symbol.asyncIterator in source) {
    // what an async iterable throws is a defect, as what an iterable throws
    return fromStream(Stream.orDie(Stream.fromAsyncIterable(source, (cause) => cause)), indexes)
  }
  return fromStream(source, indexes)
}

export interface Options<E> {
  readonly concurrency: number
  readonly atEnd: (total: number) => Effect.Effect<void, E>
  /** Indexes that the source leaves out. They count at the end. Default: none. */
  readonly leftOut?: ((index: number) => boolean) | undefined
}

/**
 * Runs `f` over the items with their index, `concurrency` at a time. `atEnd` runs with the number of items when
 * all are done. The first failure stops everything.
 */
export const workers = <A, B, E, R, E2>(
  source: Source<A, E, R>,
  f: (index: number, item: A) => Effect.Effect<B, E2>,
  options: Options<E2>
): Stream.Stream<B, E | E2, R> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const indexes = makeIndexes(options.leftOut)
      const pull = yield* toPull(source, indexes)
      const results = yield* Mailbox.make<B, E | E2>({ capacity: options.concurrency })
      const work: Effect.Effect<void, E | E2, R> = Effect.flatMap(pull, (item) => {
        if (Option.isNone(item)) return Effect.void
        return Effect.flatMap(f(item.value.index, item.value.value), (result) =>
          Effect.flatMap(results.offer(result), () => work)
        )
      })
      yield* Effect.forkScoped(
        Effect.forEach(Array.from({ length: options.concurrency }), () => work, {
          concurrency: "unbounded",
          discard: true
        }).pipe(
          Effect.flatMap(() => options.atEnd(indexes.total())),
          Effect.matchCauseEffect({
            onSuccess: () => results.end,
            onFailure: (cause) => results.failCause(cause)
          })
        )
      )
      return Mailbox.toStream(results)
    })
  )
