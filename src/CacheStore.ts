/**
 * Where the cache keeps its answers. A store is asked for many keys at once: the cache gathers what its
 * fibers ask in one turn, so that a store pays its overhead once. What is asked, when an answer is good and who
 * waits for whom is the cache's business; a store keeps texts under keys, apart by namespace.
 *
 * @example
 * import { Cache, CacheStore } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * // a store of one's own, in a Map: what `Cache.layerMemory` has, without its bound
 * const StoreLive = Layer.sync(CacheStore.CacheStore, () => {
 *   const values = new Map<string, string>()
 *   return {
 *     getMany: (namespace, keys) =>
 *       Effect.sync(() => {
 *         const found = new Map<string, string>()
 *         for (const key of keys) {
 *           const value = values.get(`${namespace}/${key}`)
 *           if (value !== undefined) found.set(key, value)
 *         }
 *         return found
 *       }),
 *     setMany: (namespace, entries) =>
 *       Effect.sync(() => {
 *         for (const { key, value } of entries) values.set(`${namespace}/${key}`, value)
 *       }),
 *     remove: (namespace, keys) =>
 *       Effect.sync(() => {
 *         for (const key of keys === "all" ? values.keys() : keys.map((key) => `${namespace}/${key}`)) {
 *           if (key.startsWith(`${namespace}/`)) values.delete(key)
 *         }
 *       }),
 *     totals: () =>
 *       Effect.sync(() => ({
 *         entries: values.size,
 *         bytes: [...values.values()].reduce((sum, value) => sum + value.length, 0)
 *       }))
 *   }
 * })
 *
 * const CacheLive = Layer.provide(Cache.layer(), StoreLive)
 *
 * @module
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"

/** The store failed. The cache takes this for a miss and warns; a batch never fails because of it. */
export class CacheStoreError extends Schema.TaggedError<CacheStoreError>()("CacheStoreError", {
  message: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {}

/** One stored answer: the cache's own encoding, opaque to the store. */
export interface Entry {
  /** Letters, digits, `-` and `_`. */
  readonly key: string
  readonly value: string
  /** From when on it is gone, in milliseconds since 1970; `undefined`: never. */
  readonly expiresAt: number | undefined
  /** When it was stored, in milliseconds since 1970, for an entry that comes from elsewhere. Default: now. */
  readonly storedAt?: number | undefined
}

/** What is stored. Answers that have expired may count until they are swept away. */
export interface Totals {
  readonly entries: number
  /** Of the answers, as they are encoded. */
  readonly bytes: number
}

/**
 * Who is getting which answer, among all processes that share the store. A lease ends by itself, so that a
 * process that dies keeps nobody waiting for longer than that.
 */
export interface Leases {
  /**
   * Gives these keys to `owner` for so long, and returns those that it gave: not those that another owner has, nor
   * those that have an answer. An owner's own leases are renewed. One atomic step for each key.
   */
  readonly take: (
    namespace: string,
    keys: ReadonlyArray<string>,
    owner: string,
    millis: number
  ) => Effect.Effect<ReadonlySet<string>, CacheStoreError>
  /** Gives back those of the keys that are the owner's. */
  readonly release: (
    namespace: string,
    keys: ReadonlyArray<string>,
    owner: string
  ) => Effect.Effect<void, CacheStoreError>
}

/** One stored answer, as a listing gives it. */
export interface Listed extends Entry {
  readonly namespace: string
  /** `undefined` where the store keeps no such time, as Redis. */
  readonly storedAt: number | undefined
}

/** What one namespace holds. */
export interface Summary {
  readonly namespace: string
  /** Answers that have not expired. */
  readonly entries: number
  /** Answers that have expired, and take room until they are swept away. */
  readonly expired: number
  /** Of both, as they are encoded. */
  readonly bytes: number
  /** When the oldest and the newest of both were stored; `undefined` where the store keeps no such time. */
  readonly oldest: number | undefined
  readonly newest: number | undefined
}

/**
 * What is stored, for people and for copies. Looking takes no answer for asked for: it keeps none from being dropped
 * (Redis alone counts it as use). Where no namespace is given all are meant; in a Redis cluster one must be given.
 */
export interface Contents {
  /**
   * The answers that have not expired, oldest first where the store knows, a page at a time: memory is bounded by the
   * page. One that is stored while the listing goes on may be in it or not, or twice.
   */
  readonly list: (namespace?: string) => Stream.Stream<Listed, CacheStoreError>
  /** Namespaces that hold something, by name. */
  readonly summaries: (namespace?: string) => Effect.Effect<ReadonlyArray<Summary>, CacheStoreError>
  /** Removes what has expired. Default: of all namespaces. */
  readonly removeExpired: (namespace?: string) => Effect.Effect<void, CacheStoreError>
}

/** Where a cache keeps its answers: values by namespace and key. */
export interface Service {
  /** The values of those keys that are there and have not expired. */
  readonly getMany: (
    namespace: string,
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, string>, CacheStoreError>
  /**
   * Stores the entries, in place of older ones of the same keys, and ends the leases on them. Durable, if the
   * store is, on return.
   */
  readonly setMany: (namespace: string, entries: ReadonlyArray<Entry>) => Effect.Effect<void, CacheStoreError>
  /** Forgets the answers under these keys, or all of the namespace. */
  readonly remove: (
    namespace: string,
    keys: ReadonlyArray<string> | "all"
  ) => Effect.Effect<void, CacheStoreError>
  /** How much a namespace holds. */
  readonly totals: (namespace: string) => Effect.Effect<Totals, CacheStoreError>
  /** For a store that several processes share. Without it each process only waits for its own calls. */
  readonly leases?: Leases | undefined
  /** For a store that can be looked through, as all of ours can. */
  readonly contents?: Contents | undefined
}

/** A store of your own goes below `Cache.layer`: `Layer.provide(Cache.layer(), Layer.succeed(CacheStore, …))`. */
export class CacheStore extends Context.Tag("floodgate/CacheStore")<CacheStore, Service>() {}
