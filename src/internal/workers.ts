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

type Source<A, E, R> = Iterable<A> | AsyncIterable<A> | Stream.Stream<A, E, R>

/** An item with its place in the source, given when it is pulled. */
interface Item<A> {
  readonly index: number
  readonly value: A
}

/** The next item, or none at the end. */
type Pull<A, E, R> = Effect.Effect<Option.Option<Item<A>>, E, R>

const fromIterable = <A>(source: Iterable<A>): Effect.Effect<Pull<A, never, never>, never, Scope.Scope> =>
  Effect.gen(function* () {
    let index = 0
    let ended = false
    const iterator = yield* Effect.acquireRelease(
      Effect.sync(() => source[Symbol.iterator]()),
      // tells a generator that is given up halfway
      (iterator) => Effect.sync(() => (ended ? undefined : iterator.return?.()))
    )
    return Effect.sync(() => {
      if (ended) return Option.none()
      const next = iterator.next()
      if (next.done !== true) return Option.some({ index: index++, value: next.value })
      ended = true
      return Option.none()
    })
  })

const fromStream = <A, E, R>(
  source: Stream.Stream<A, E, R>
): Effect.Effect<Pull<A, E, R>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const pullChunk = yield* Stream.toPull(source)
    const turn = yield* Effect.makeSemaphore(1)
    let buffer: ReadonlyArray<A> = []
    let at = 0
    let index = 0
    let ended = false
    const next: Pull<A, E, R> = Effect.suspend(() => {
      if (at < buffer.length) return Effect.succeedSome({ index: index++, value: buffer[at++] as A })
      if (ended) return Effect.succeedNone
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
          return next
        }
      })
    })
    return turn.withPermits(1)(next)
  })

const toPull = <A, E, R>(source: Source<A, E, R>): Effect.Effect<Pull<A, E, R>, never, R | Scope.Scope> => {
  if (Symbol.iterator in source) return fromIterable(source)
  if (Symbol.asyncIterator in source) {
    // what an async iterable throws is a defect, as what an iterable throws
    return fromStream(Stream.orDie(Stream.fromAsyncIterable(source, (cause) => cause)))
  }
  return fromStream(source)
}

/**
 * Runs `f` over the items with their index, `concurrency` at a time. `atEnd` runs with the number of items when
 * all are done. The first failure stops everything.
 */
export const workers = <A, B, E, R, E2>(
  source: Source<A, E, R>,
  f: (index: number, item: A) => Effect.Effect<B, E2>,
  options: { readonly concurrency: number; readonly atEnd: (total: number) => Effect.Effect<void, E2> }
): Stream.Stream<B, E | E2, R> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const pull = yield* toPull(source)
      const results = yield* Mailbox.make<B, E | E2>({ capacity: options.concurrency })
      let total = 0
      const work: Effect.Effect<void, E | E2, R> = Effect.flatMap(pull, (item) => {
        if (Option.isNone(item)) return Effect.void
        total++
        return Effect.flatMap(f(item.value.index, item.value.value), (result) =>
          Effect.flatMap(results.offer(result), () => work)
        )
      })
      yield* Effect.forkScoped(
        Effect.forEach(Array.from({ length: options.concurrency }), () => work, {
          concurrency: "unbounded",
          discard: true
        }).pipe(
          Effect.flatMap(() => options.atEnd(total)),
          Effect.matchCauseEffect({
            onSuccess: () => results.end,
            onFailure: (cause) => results.failCause(cause)
          })
        )
      )
      return Mailbox.toStream(results)
    })
  )
