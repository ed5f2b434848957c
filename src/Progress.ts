/**
 * How far a run has come: what is done, how fast it goes, what it cost and will cost, and what it waits for.
 *
 * A {@link Snapshot} is data, made when somebody looks. In between there are only counters, so that nobody who watches,
 * however slowly, holds up a request or uses memory: a slow reader sees fewer snapshots, and always the newest.
 *
 * There are two ways to watch:
 *
 * - `batch(requests, { onProgress })` calls a function now and then, and once more at the end of the batch;
 * - {@link layer} counts all that is asked where it is provided, over any number of batches, and gives snapshots one by
 *   one, or as a stream.
 *
 * @example
 * import { batch, Chat, OpenAILive, Progress } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Stream from "effect/Stream"
 *
 * const program = Effect.gen(function* () {
 *   const progress = yield* Progress.Progress
 *   const shown = Stream.runForEach(progress.changes, ({ done, rate, total }) =>
 *     Effect.log(`${done} of ${total}, ${rate.now.toFixed(1)} a second`)
 *   )
 *   yield* Effect.race(batch([Chat.prompt("1 + 1 = ?"), Chat.prompt("2 + 2 = ?")]), Effect.zipRight(shown, Effect.never))
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Layer.mergeAll(OpenAILive, Progress.layer()))))
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Budget from "./Budget.js"
import * as Observe from "./internal/observe.js"
import { Counts } from "./internal/progressCounts.js"
import { Pace } from "./internal/progressPace.js"
import * as ProgressSnapshot from "./internal/progressSnapshot.js"
import type * as RateLimiter from "./RateLimiter.js"
import type * as Router from "./Router.js"

/** Schema of a {@link Snapshot}. */
export const Snapshot = ProgressSnapshot.Snapshot
/** How far a run has come, as data that can be written as JSON. */
export type Snapshot = ProgressSnapshot.Snapshot

/** Where requests come from and go to. */
export interface Followed {
  readonly limiter: RateLimiter.Service
  readonly router: Router.Service
  /** How many requests there are, where that is known. */
  readonly total: number | undefined
}

/** Progress to look at, once or again and again. */
export interface Service {
  /** The progress at this moment. */
  readonly snapshot: Effect.Effect<Snapshot>
  /** The progress now, and anew after each `interval`. It has no end: who watches stops when it likes. */
  readonly changes: Stream.Stream<Snapshot>
  /** Counts what it is told. For those who make requests without {@link layer}. */
  readonly observer: Observe.Observer
  /** Has snapshots tell what its limiter and its router do; its requests add to the total. `batch` does so itself. */
  readonly follow: (followed: Followed) => Effect.Effect<void>
  /** Counts a request that failed before it was asked. `batch` does so itself. */
  readonly failed: (tag: string) => void
}

/** See {@link layer}. */
export class Progress extends Context.Tag("floodgate/Progress")<Progress, Service>() {}

/** What {@link make} and {@link layer} take. */
export interface Options {
  /** How many requests there are. Default: what the batches say that know it. */
  readonly total?: number | undefined
  /** Requests of these that were settled before, and of which nobody tells: they are done. Default: none. */
  readonly before?: { readonly succeeded: number; readonly failed: number } | undefined
  /** The time between snapshots of {@link Service.changes}. Default 1 second. */
  readonly interval?: Duration.DurationInput | undefined
  /** The time over which the rate of the moment is taken. Default 15 seconds: steady to read, and still of the moment. */
  readonly window?: Duration.DurationInput | undefined
  /**
   * The budget of the run, or US dollars that it may spend: shown beside the cost, and nothing else. Of a budget it is
   * shown as well what is held for calls under way, and how many requests wait for room. Default: none.
   */
  readonly budget?: number | Budget.Service | undefined
}

/** Progress that nobody tells anything yet. It begins now. */
export const make = (options: Options = {}): Effect.Effect<Service> =>
  Effect.map(Effect.clock, (clock) => {
    const {
      before = { succeeded: 0, failed: 0 },
      budget,
      interval = "1 second",
      window = "15 seconds"
    } = options
    const counts = new Counts()
    counts.succeeded = before.succeeded
    counts.resumed = before.succeeded
    counts.failed = before.failed
    counts.before = before.succeeded + before.failed
    const startedAt = clock.unsafeCurrentTimeMillis()
    const pace = new Pace({ at: startedAt, done: 0, tokens: 0 }, Duration.toMillis(window))
    const limiters = new Set<RateLimiter.Service>()
    const routers = new Set<Router.Service>()
    let followed: number | undefined = 0
    let batches = 0

    const snapshot = Effect.gen(function* () {
      const domains = (yield* Effect.all(Array.from(limiters, ({ states }) => states))).flat()
      const endpoints = (yield* Effect.all(Array.from(routers, ({ states }) => states))).flat()
      const waiting = yield* Effect.all(Array.from(routers, (router) => router.waiting))
      return ProgressSnapshot.make(counts, pace, {
        at: clock.unsafeCurrentTimeMillis(),
        startedAt,
        total: options.total ?? (batches === 0 ? undefined : followed),
        budget: typeof budget === "object" ? yield* budget.state : budget,
        domains,
        endpoints,
        waiting: waiting.reduce((sum, n) => sum + n, 0)
      })
    })

    return {
      snapshot,
      changes: Stream.repeatEffectWithSchedule(snapshot, Schedule.spaced(interval)),
      observer: { attempt: counts.attempt, request: counts.request },
      follow: ({ limiter, router, total }) =>
        Effect.sync(() => {
          limiters.add(limiter)
          routers.add(router)
          batches++
          followed = followed === undefined || total === undefined ? undefined : followed + total
        }),
      failed: (tag) => counts.failure(tag)
    }
  })

/** The progress of all that is asked below this layer. */
export const layer = (options?: Options): Layer.Layer<Progress> =>
  Layer.unwrapEffect(
    Effect.map(make(options), (progress) =>
      Layer.merge(Layer.succeed(Progress, progress), Observe.add(progress.observer))
    )
  )
