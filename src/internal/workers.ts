/**
 * A pool of workers over one source: an item is pulled when a worker is free, so that the source is never read ahead,
 * and results come in the order in which they are done. An order of magnitude cheaper per item than
 * `Stream.mapEffect`.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
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

/** The next items, no more than asked for and none that must be waited for but the first; none at the end. */
type Pull<A, E, R> = (most: number) => Effect.Effect<ReadonlyArray<Item<A>>, E, R>

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
    return (most) =>
      Effect.sync(() => {
        const items: Array<Item<A>> = []
        while (!ended && items.length < most) {
          const next = iterator.next()
          if (next.done === true) ended = true
          else items.push({ index: indexes.next(), value: next.value })
        }
        return items
      })
  })

const fromStream = <A, E, R>(
  source: Stream.Stream<A, E, R>,
  indexes: Indexes
): Effect.Effect<Pull<A, E, R>, never, R | Scope.Scope> =>
  Effect.map(Stream.toPull(source), (pullChunk) => {
    let buffer: ReadonlyArray<A> = []
    let at = 0
    let ended = false
    const pull: Pull<A, E, R> = (most) =>
      Effect.suspend(() => {
        if (ended || at < buffer.length) {
          const items = buffer.slice(at, at + most).map((value) => ({ index: indexes.next(), value }))
          at += items.length
          return Effect.succeed(items)
        }
        return Effect.matchEffect(pullChunk, {
          onFailure: Option.match({
            onNone: () => {
              ended = true
              return Effect.succeed([])
            },
            onSome: (error) => Effect.fail(error)
          }),
          onSuccess: (chunk) => {
            buffer = Chunk.toReadonlyArray(chunk)
            at = 0
            return pull(most)
          }
        })
      })
    return pull
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

export interface Options<A, B, E> {
  readonly concurrency: number
  readonly atEnd: (total: number) => Effect.Effect<void, E>
  /** Indexes that the source leaves out. They count at the end. Default: none. */
  readonly leftOut?: ((index: number) => boolean) | undefined
  /**
   * The results, by index, of those items that need no work: looked for in many items at once, as long as that leaves
   * workers idle. Default: all are worked on.
   */
  readonly ahead?: ((items: ReadonlyArray<Item<A>>) => Effect.Effect<ReadonlyMap<number, B>, E>) | undefined
}

/** Fewer items than this are not looked through ahead. */
const fewestAhead = 8

/**
 * Runs `f` over the items with their index, `concurrency` at a time. `atEnd` runs with the number of items when
 * all are done. The first failure stops everything.
 */
export const workers = <A, B, E, R, E2>(
  source: Source<A, E, R>,
  f: (index: number, item: A) => Effect.Effect<B, E2>,
  { ahead, atEnd, concurrency, leftOut }: Options<A, B, E2>
): Stream.Stream<B, E | E2, R> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const indexes = makeIndexes(leftOut)
      const pull = yield* toPull(source, indexes)
      const results = yield* Mailbox.make<B, E | E2>({ capacity: concurrency })
      // all that is under way is interrupted together when the scope closes
      const fork = yield* FiberSet.makeRuntime<never, void>()
      let idle = concurrency
      let looking = 0
      let wake: (() => void) | undefined

      const done = (items: number): void => {
        idle += items
        wake?.()
      }
      const until = (isSo: () => boolean): Effect.Effect<void> =>
        Effect.suspend(() =>
          isSo()
            ? Effect.void
            : Effect.zipRight(
                Effect.async<void>((resume) => {
                  wake = () => {
                    wake = undefined
                    resume(Effect.void)
                  }
                }),
                until(isSo)
              )
        )
      const run = (work: Effect.Effect<void, E2>): void => {
        fork(Effect.catchAllCause(work, (cause) => Effect.asVoid(results.failCause(cause))))
      }

      const begin = ({ index, value }: Item<A>): void =>
        run(Effect.flatMap(f(index, value), (result) => Effect.map(results.offer(result), () => done(1))))

      /** Gives what needs no work, and begins the rest. */
      const lookAhead = (items: ReadonlyArray<Item<A>>, look: NonNullable<typeof ahead>): void => {
        looking++
        run(
          Effect.flatMap(look(items), (found) =>
            Effect.map(results.offerAll(found.values()), () => {
              looking--
              for (const item of items) if (!found.has(item.index)) begin(item)
              done(found.size)
            })
          )
        )
      }

      // one half is looked through while the results of the other half are on their way
      const half = Math.ceil(concurrency / 2)
      const enough = ahead === undefined ? 1 : Math.max(fewestAhead, half / 2)
      // as answers take their time few are idle: then each that is gets its item at once
      const isTime = () => idle >= enough || (idle > 0 && looking === 0)
      const read: Effect.Effect<void, E, R> = Effect.suspend(() => {
        const look = idle >= enough ? ahead : undefined
        return Effect.flatMap(pull(look === undefined ? idle : Math.min(idle, half)), (items) => {
          if (items.length === 0) return Effect.void
          idle -= items.length
          if (look !== undefined && items.length >= fewestAhead) lookAhead(items, look)
          else for (const item of items) begin(item)
          // others come in between, also where nothing is waited for
          return Effect.zipRight(Effect.yieldNow(), Effect.zipRight(until(isTime), read))
        })
      })
      yield* Effect.forkScoped(
        read.pipe(
          Effect.zipRight(until(() => idle === concurrency)),
          Effect.flatMap(() => atEnd(indexes.total())),
          Effect.matchCauseEffect({
            onSuccess: () => results.end,
            onFailure: (cause) => results.failCause(cause)
          })
        )
      )
      return Mailbox.toStream(results)
    })
  )
