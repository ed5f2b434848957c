/**
 * Where the cache keeps its answers. A store is asked for many keys at once: the cache gathers what its
 * fibers ask in one turn, so that a store pays its overhead once.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The store failed. The cache takes this for a miss and warns; a batch never fails because of it. */
export class CacheStoreError extends Schema.TaggedError<CacheStoreError>()("CacheStoreError", {
  message: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {}

/** One stored answer: the cache's own encoding, opaque to the store. */
export interface Entry {
  readonly key: string
  readonly value: string
}

export interface Service {
  /** The values of those keys that are there. */
  readonly getMany: (
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, string>, CacheStoreError>
  /** Stores the entries, in place of older ones of the same keys. Durable, if the store is, on return. */
  readonly setMany: (entries: ReadonlyArray<Entry>) => Effect.Effect<void, CacheStoreError>
}

/** A store of your own goes below `Cache.layer`: `Layer.provide(Cache.layer, Layer.succeed(CacheStore, …))`. */
export class CacheStore extends Context.Tag("floodgate/CacheStore")<CacheStore, Service>() {}
