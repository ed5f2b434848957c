/**
 * Where the limits that several processes share are counted. The limiter speaks to its store in exchanges, one at a
 * time for each domain: what changed here since the last one goes along with what waits for admission, so that one
 * round trip serves many requests, and the store decides over all of it at once.
 *
 * @example
 * import { RateLimiter, RateLimiterStore } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * // a store of one's own, which here tells what passes through another
 * const telling = (store: RateLimiterStore.Service): RateLimiterStore.Service => ({
 *   ...store,
 *   exchange: (domain, exchange) =>
 *     Effect.tap(store.exchange(domain, exchange), ({ admitted, wait }) =>
 *       Effect.logDebug(`${domain}: ${admitted} of ${exchange.costs.length} admitted, the next in ${wait} ms`)
 *     )
 * })
 *
 * const limiter = (store: RateLimiterStore.Service) =>
 *   RateLimiter.layerStore({ domains: { "*": { requestsPerMinute: 500 } } }).pipe(
 *     Layer.provide(Layer.succeed(RateLimiterStore.RateLimiterStore, telling(store)))
 *   )
 *
 * @module
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Cost, Limits, RateName } from "./internal/limits.js"

/** The store could not be reached, or did not understand. */
export class RateLimiterStoreError extends Schema.TaggedError<RateLimiterStoreError>()(
  "RateLimiterStoreError",
  { message: Schema.String }
) {}

/** A change to what was booked. */
export interface Correction {
  /** When it was booked, by the store's clock; 0 is now. */
  readonly at: number
  readonly amounts: Readonly<Partial<Record<RateName, number>>>
  /** Books the amounts also where nothing was booked at that time. Without it, what has left its window is left. */
  readonly always: boolean
}

/** What one process says, and asks for. All times are in milliseconds. */
export interface Exchange {
  /** The process, by an id of its own. */
  readonly process: string
  /** The limits of the domain as this process has them configured. An adaptive concurrency is no matter of the store. */
  readonly limits: Limits
  /** The requests that could start here at once, first come first. */
  readonly costs: ReadonlyArray<Cost>
  /** Since when the first of them could have gone, as the store told: its pace makes good a short delay. */
  readonly due: number | undefined
  /** How many calls this process has in flight. They count against the concurrency for as long as `lease`. */
  readonly held: number
  readonly lease: number
  /** Booked before anything is admitted. */
  readonly corrections: ReadonlyArray<Correction>
  /** What a server stated, to hold for all processes. */
  readonly told: Readonly<Partial<Record<RateName, ToldRate>>>
  /** Nobody is to start anything for so long. */
  readonly pause: { readonly millis: number; readonly reason: string } | undefined
  /** To start the pace without a burst: always, or only if the store has lost what it knew of the domain. */
  readonly restart: "never" | "if-lost" | "always"
}

/** What a server said about one limit; the reset in milliseconds. */
export interface ToldRate {
  readonly limit: number | undefined
  readonly remaining: number | undefined
  readonly resetAfter: number | undefined
}

/** What came of an exchange. */
export interface Reply {
  /** The time by the store's clock, under which the admitted requests are booked. */
  readonly now: number
  /** How many of the requests are admitted, from the first on. */
  readonly admitted: number
  /** How long the next of them is to wait before it asks again. */
  readonly wait: number
  /** When it is due by the store's clock, if that can be told. */
  readonly due: number | undefined
  readonly waitingFor: RateName | "concurrency" | "pause" | undefined
  readonly pause: { readonly millis: number; readonly reason: string } | undefined
  /** What the windows hold. */
  readonly used: Readonly<Partial<Record<RateName, number>>>
  /** The limits that servers stated, to whichever process. */
  readonly stated: Readonly<Partial<Record<RateName, number>>>
}

/** Where the limits that several processes share are counted. */
export interface Service {
  /** Takes all that the exchange brings in, then admits what all limits allow: each request wholly or not at all. */
  readonly exchange: (domain: string, exchange: Exchange) => Effect.Effect<Reply, RateLimiterStoreError>
  /** Succeeds if the store is there and can do its work. */
  readonly check: Effect.Effect<void, RateLimiterStoreError>
}

/** A store of your own goes below `RateLimiter.layerStore`. */
export class RateLimiterStore extends Context.Tag("floodgate/RateLimiterStore")<
  RateLimiterStore,
  Service
>() {}
