/**
 * Admits requests under the limits of their domain: requests and tokens per period, and calls in flight.
 *
 * - **Domain**: what shares a quota, usually an account and a model, however many endpoints use it. {@link Options}
 *   gives limits to domains by name, or by a pattern in which `*` stands for any characters; each domain that a
 *   pattern matches has a quota of its own.
 * - **Limits**: a request is admitted when all limits of its domain allow it at once, first come, first served. In any
 *   sliding window of a limit's period never more than the limit starts, from the first second on.
 * - **Burst**: within the window, requests are spread evenly. `burst` and `tokenBurst` say how much may start at once;
 *   by default 1 % of the limit.
 * - **Settle**: a request is admitted by its estimated tokens; its {@link Permit} books the actual ones in their
 *   place, so that what was not used is free for others. One that is interrupted while it waits gives back all.
 * - **Pause**: when a server asks for quiet, `pause` holds up its whole domain, and then lets it start with no burst.
 *   `observe` takes over the limits that a server states, and the use by others that shows in what it has left.
 * - **Sharing**: {@link layer} counts in the memory of this process, {@link layerRedis} for all processes that share a
 *   Redis. Limits, pauses and what servers stated hold for all of them together.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { RateLimiter } from "floodgate"
 *
 * const limited = RateLimiter.layer({
 *   domains: {
 *     "openai/gpt-4o*": { requestsPerMinute: 500, tokensPerMinute: 200_000 },
 *     "*": { concurrency: 64 }
 *   }
 * })
 *
 * // 400 tokens are reserved, and 250 booked
 * const call = Effect.gen(function* () {
 *   const limiter = yield* RateLimiter.RateLimiter
 *   return yield* limiter.withPermit("openai/gpt-4o", { inputTokens: 100, outputTokens: 300 }, (permit) =>
 *     Effect.succeed("an answer").pipe(Effect.tap(permit.settle({ inputTokens: 100, outputTokens: 150 })))
 *   )
 * }).pipe(Effect.provide(limited))
 * ```
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Admission, refusalError } from "./internal/admission.js"
import { LimitDomain } from "./internal/limitDomain.js"
import { type Cost, type Limits, limitsFor, type RateName } from "./internal/limits.js"
import type { RedisClient } from "./internal/redisClient.js"
import type { SharedDomain } from "./internal/sharedDomain.js"
import { makeSharing } from "./internal/sharing.js"
import { Ticket } from "./internal/ticket.js"
import { makeTime, type Time } from "./internal/time.js"
import type { NetworkError, RequestTooLargeError } from "./LlmError.js"
import { RateLimiterStore, RateLimiterStoreError } from "./RateLimiterStore.js"

export type { Cost, Limits, RateName } from "./internal/limits.js"
export { limitsFor } from "./internal/limits.js"
export type { RedisClient } from "./internal/redisClient.js"

/** Leave to make one attempt. It is given back when the attempt ends, however it ends. */
export interface Permit {
  /**
   * Books the actual tokens in place of those reserved, at the time of the admission. May be called more
   * than once, such as while an answer streams: the last word counts.
   */
  readonly settle: (actual: Cost) => Effect.Effect<void>
  /** The attempt met congestion (429, 503, 529, a timeout): an adaptive concurrency is lowered. */
  readonly congested: Effect.Effect<void>
}

/** What a server said about one limit. */
export interface Told {
  readonly limit?: number | undefined
  readonly remaining?: number | undefined
  /** Until the quota is whole again. */
  readonly resetAfter?: Duration.DurationInput | undefined
}

/** A domain at one moment. */
export interface DomainState {
  readonly domain: string
  /** The limits in force: the configured ones, tightened by what the server stated. */
  readonly limits: Limits
  /** How many calls may be in flight at the moment; absent where there is no such limit. */
  readonly concurrency: number | undefined
  /** Attempts in flight. */
  readonly inUse: number
  /** Requests waiting for admission. */
  readonly waiting: number
  /** What keeps the first of them waiting. */
  readonly waitingFor: RateName | "concurrency" | "pause" | undefined
  /** What the window of each limit holds at the moment. */
  readonly used: Readonly<Partial<Record<RateName, number>>>
  /** When the pause ends, in epoch milliseconds. */
  readonly pausedUntil: number | undefined
  /** Why the domain is paused. */
  readonly pauseReason: string | undefined
}

/** A limiter over all domains. */
export interface Service {
  /**
   * Runs `use` once the domain admits it. A request that is larger than a whole limit fails at once; one whose
   * limits are shared fails with a `NetworkError` of the code `rate_limiter_unavailable` while they cannot be known.
   * Interrupted while waiting, the request gives back all it held; once it has started it counts, however
   * it ends.
   */
  readonly withPermit: <A, E, R>(
    domain: string,
    cost: Cost,
    use: (permit: Permit) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | RequestTooLargeError | NetworkError, R>
  /** Admits nothing in the domain until `hint` has passed (and a little jitter); the later end wins. */
  readonly pause: (domain: string, hint: Duration.DurationInput, reason: string) => Effect.Effect<void>
  /** Replaces the domain's limits. What was admitted so far still counts. */
  readonly setLimits: (domain: string, limits: Limits) => Effect.Effect<void>
  /**
   * Takes over what the server stated with an answer. A stated limit tightens the configured one, or stands
   * in where none is configured; use by others that we could not know is counted until it resets.
   */
  readonly observe: (domain: string, told: Readonly<Partial<Record<RateName, Told>>>) => Effect.Effect<void>
  /** Whether the domain has a limit in tokens at the moment, so that the cost of a request is worth knowing. */
  readonly countsTokens: (domain: string) => boolean
  /**
   * Milliseconds until the domain could admit a small request after `ahead` others that are on their way to it: 0 is
   * now, `Infinity` when something else has to end first. A look, as cheap as can be: nothing is reserved.
   */
  readonly delay: (domain: string, ahead: number) => number
  /** What is left of the domain's tightest limit: 0 to 1, `Infinity` where there is none. */
  readonly headroom: (domain: string) => number
  /** The domain at this moment. */
  readonly state: (domain: string) => Effect.Effect<DomainState>
  /** All domains in use so far. */
  readonly states: Effect.Effect<ReadonlyArray<DomainState>>
  /** The domain's state now and after each change; a slow reader sees only the newest. */
  readonly changes: (domain: string) => Stream.Stream<DomainState>
}

/** The service. Give it with {@link layer} or {@link layerUnlimited}, once: two layers are two quotas. */
export class RateLimiter extends Context.Tag("floodgate/RateLimiter")<RateLimiter, Service>() {}

/** What {@link layer} needs to know. */
export interface Options {
  /**
   * The limits of the domains, by name or by a pattern in which `*` stands for any characters:
   * `{ "openai/gpt-4o*": { requestsPerMinute: 500 }, "*": { concurrency: 64 } }`. Each domain that a pattern
   * matches has a quota of its own. See {@link limitsFor} for which of several wins. A domain that none
   * matches is unlimited.
   */
  readonly domains?: Readonly<Record<string, Limits>> | undefined
}

/** The jitter after a server's hint: up to this share of it, and never more than a second. */
const jitterShare = 0.05
const maxJitter = 1_000

type Domain = LimitDomain | SharedDomain

/** Builds the service over domains of either kind, on the clock of the fiber that builds it. */
const makeWith = Effect.fnUntraced(function* (
  options: Options | undefined,
  makeDomain: (name: string, limits: Limits, time: Time) => Domain
) {
  const clock = yield* Effect.clock
  const time = yield* makeTime
  const domains = new Map<string, Domain>()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const domain of domains.values()) domain.close()
    })
  )

  const domainOf = (name: string): Domain => {
    let domain = domains.get(name)
    if (domain === undefined) {
      domain = makeDomain(name, limitsFor(options?.domains ?? {}, name) ?? {}, time)
      domains.set(name, domain)
    }
    return domain
  }

  const stateOf = (name: string): DomainState => {
    const { pauseLeft, ...snapshot } = domainOf(name).snapshot()
    return {
      domain: name,
      ...snapshot,
      pausedUntil: pauseLeft > 0 ? clock.unsafeCurrentTimeMillis() + pauseLeft : undefined
    }
  }

  const withPermit: Service["withPermit"] = <A, E, R>(
    name: string,
    cost: Cost,
    use: (permit: Permit) => Effect.Effect<A, E, R>
  ) =>
    Effect.uninterruptibleMask((restore): Effect.Effect<A, E | RequestTooLargeError | NetworkError, R> => {
      const domain = domainOf(name)
      const ticket = domain.enter(cost)
      if (!(ticket instanceof Ticket)) return Effect.fail(refusalError(name, ticket))
      const admission = new Admission(domain, ticket)
      return Effect.matchCauseEffect(restore(admission.run(name, use)), {
        onFailure: (cause) => {
          admission.end(false)
          return Effect.failCause(cause)
        },
        onSuccess: (value) => {
          admission.end(true)
          return Effect.succeed(value)
        }
      })
    })

  return RateLimiter.of({
    withPermit,
    pause: (name, hint, reason) =>
      Effect.map(Random.next, (random) => {
        const millis = Duration.toMillis(hint)
        domainOf(name).pause(millis + random * Math.min(millis * jitterShare, maxJitter), reason)
      }),
    setLimits: (name, limits) => Effect.sync(() => domainOf(name).setLimits(limits)),
    observe: (name, told) =>
      Effect.sync(() => {
        const domain = domainOf(name)
        for (const [rate, { limit, remaining, resetAfter }] of Object.entries(told)) {
          domain.observe(rate as RateName, {
            limit,
            remaining,
            resetAfter: resetAfter === undefined ? undefined : Duration.toMillis(resetAfter)
          })
        }
      }),
    countsTokens: (name) => domainOf(name).countsTokens,
    delay: (name, ahead) => domainOf(name).delay(ahead),
    headroom: (name) => domainOf(name).headroom,
    state: (name) => Effect.sync(() => stateOf(name)),
    states: Effect.sync(() => Array.from(domains.keys(), stateOf)),
    changes: (name) =>
      Stream.asyncPush<void>(
        (emit) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              emit.single()
              return domainOf(name).watch(() => emit.single())
            }),
            (unwatch) => Effect.sync(unwatch)
          ),
        { bufferSize: 1, strategy: "sliding" }
      ).pipe(Stream.map(() => stateOf(name)))
  })
})

/** Builds the service in the memory of this process. */
export const make = (options?: Options): Effect.Effect<Service, never, Scope.Scope> =>
  makeWith(options, (_name, limits, time) => new LimitDomain(limits, time))

/** A limiter in the memory of this process. */
export const layer = (options?: Options): Layer.Layer<RateLimiter> => Layer.scoped(RateLimiter, make(options))

/** How limits are shared. */
export interface SharedOptions extends Options {
  /**
   * How long the calls in flight of a process count against a shared concurrency after it was last heard of:
   * slots of a process that was killed are free after this time. Default 10 seconds. Renewed while in use.
   */
  readonly lease?: Duration.DurationInput | undefined
  /**
   * How long the store may fail to answer before it counts as away. Default 2 seconds. At the start a server that lets
   * us in slowly is waited for at least 5 seconds; one that refuses us because of a password, say, fails at once.
   */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * What to do while the store is away. `"fail"`, the default: the layer fails if it is away at the start, later on
   * requests fail with a `NetworkError`, which retries. `{ processes }`: so many processes share the limits, and each
   * goes on alone within its part of them, with a warning, until the store is there again. Limits then hold to within
   * a burst; a concurrency below the number of processes is one for each.
   */
  readonly whenAway?: "fail" | { readonly processes: number } | undefined
}

/**
 * Builds the service over the {@link RateLimiterStore} that is provided. Processes must give a domain the same limits.
 * An adaptive concurrency is found by each process for itself, and `setLimits` is this process's word alone; pauses,
 * and limits that a server states, hold for all.
 */
export const makeShared = (
  options?: SharedOptions
): Effect.Effect<Service, RateLimiterStoreError, RateLimiterStore | Scope.Scope> =>
  Effect.flatMap(makeSharing(options ?? {}), (makeDomain) => makeWith(options, makeDomain))

/** A limiter over the {@link RateLimiterStore} that is provided. See {@link makeShared}. */
export const layerStore = (
  options?: SharedOptions
): Layer.Layer<RateLimiter, RateLimiterStoreError, RateLimiterStore> =>
  Layer.scoped(RateLimiter, makeShared(options))

/** What {@link layerRedis} needs to know: a `url` or a `client`. */
export interface RedisOptions extends SharedOptions {
  /** `redis://user:password@host:port/db`, or `rediss://` for TLS. Needs the package `ioredis`. */
  readonly url?: string | Redacted.Redacted<string> | undefined
  /** A client of `ioredis`, single or cluster, which stays yours to close. */
  readonly client?: RedisClient | undefined
  /** What the keys begin with. Default `"floodgate:"`. */
  readonly prefix?: string | undefined
}

/**
 * A limiter whose limits hold for all processes that use the same Redis (5 or later) and prefix. One script decides
 * over all limits of a domain at once, on the server's clock; keys expire, and those of a domain share a hash slot.
 * See {@link makeShared} for what is shared.
 *
 * @example
 * ```ts
 * import * as Config from "effect/Config"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { RateLimiter } from "floodgate"
 *
 * // 500 a minute over all processes; each of 4 goes on with 125 while Redis is away
 * const shared = Layer.unwrapEffect(
 *   Effect.map(Config.redacted("REDIS_URL"), (url) =>
 *     RateLimiter.layerRedis({
 *       url,
 *       domains: { "openai/*": { requestsPerMinute: 500 } },
 *       whenAway: { processes: 4 }
 *     })
 *   )
 * )
 * ```
 */
export const layerRedis = (options: RedisOptions): Layer.Layer<RateLimiter, RateLimiterStoreError> =>
  Layer.provide(
    layerStore(options),
    // loaded when used, as its client is
    Layer.scoped(
      RateLimiterStore,
      Effect.flatMap(
        Effect.tryPromise({
          try: () => import("./internal/redisLimiterStore.js"),
          catch: (cause) =>
            new RateLimiterStoreError({ message: `The Redis store could not be loaded: ${String(cause)}` })
        }),
        (redis) => redis.make(options)
      )
    )
  )

const noPermit: Permit = { settle: () => Effect.void, congested: Effect.void }

/** Admits everything at once, and neither pauses nor learns. */
export const layerUnlimited: Layer.Layer<RateLimiter> = Layer.sync(RateLimiter, () => ({
  withPermit: (_domain, _cost, use) => Effect.suspend(() => use(noPermit)),
  pause: () => Effect.void,
  setLimits: () => Effect.void,
  observe: () => Effect.void,
  countsTokens: () => false,
  delay: () => 0,
  headroom: () => Number.POSITIVE_INFINITY,
  state: (domain) => Effect.succeed(unlimitedState(domain)),
  states: Effect.succeed([]),
  changes: (domain) => Stream.succeed(unlimitedState(domain))
}))

const unlimitedState = (domain: string): DomainState => ({
  domain,
  limits: {},
  concurrency: undefined,
  inUse: 0,
  waiting: 0,
  waitingFor: undefined,
  used: {},
  pausedUntil: undefined,
  pauseReason: undefined
})
