/** The stores that the cache can be laid over, each loaded when it is used. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CacheStore, CacheStoreError } from "../CacheStore.js"
import { makeMemoryStore } from "./cacheStoreMemory.js"
import type * as RedisStore from "./cacheStoreRedis.js"
import type * as SqliteStore from "./cacheStoreSqlite.js"

export const memory = (capacity: number): Layer.Layer<CacheStore> =>
  Layer.sync(CacheStore, () => makeMemoryStore(capacity))

const load = <A>(module: () => Promise<A>, message: string): Effect.Effect<A, CacheStoreError> =>
  Effect.tryPromise({ try: module, catch: (cause) => new CacheStoreError({ message, cause }) })

/** The native module is no cost to those who keep answers elsewhere. */
export const sqlite = (options: SqliteStore.Options): Layer.Layer<CacheStore, CacheStoreError> =>
  Layer.unwrapEffect(
    Effect.map(
      load(() => import("./cacheStoreSqlite.js"), "SQLite could not be loaded"),
      (store) => store.layer(options)
    )
  )

export const redis = (options: RedisStore.Options): Layer.Layer<CacheStore, CacheStoreError> =>
  Layer.scoped(
    CacheStore,
    Effect.flatMap(
      load(() => import("./cacheStoreRedis.js"), "the Redis store could not be loaded"),
      (store) => store.make(options)
    )
  )
