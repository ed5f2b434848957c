/** The services that settings describe, and what they say of how a batch is run. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as PlatformPath from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import type * as Batch from "../Batch.js"
import * as Cache from "../Cache.js"
import type { CacheStoreError } from "../CacheStore.js"
import * as HttpClientPool from "../HttpClientPool.js"
import type { Prices } from "../Prices.js"
import * as Providers from "../Providers.js"
import * as RateLimiter from "../RateLimiter.js"
import type { RateLimiterStoreError } from "../RateLimiterStore.js"
import * as Retry from "../Retry.js"
import * as Router from "../Router.js"
import * as ConfigEndpoints from "./configEndpoints.js"
import { isRedis } from "./configFields.js"
import { type Loaded, load, type Options, problemsOf } from "./configLoad.js"
import type { ConfigFileError, Problem } from "./configProblem.js"
import * as ConfigRouter from "./configRouter.js"
import type { Tariff } from "./configSchema.js"

/** All that `batch` and `complete` need. */
export type Services =
  | Providers.Providers
  | Router.Router
  | RateLimiter.RateLimiter
  | Cache.Cache
  | Retry.RetryPolicy
  | Prices

/** A configuration that was read and found good. */
export interface Configured {
  readonly loaded: Loaded
  readonly endpoints: ReadonlyArray<ConfigEndpoints.Described>
  readonly router: Router.Service
  readonly domains: Readonly<Record<string, RateLimiter.Limits>>
  /** Options of `batch` and `complete`. */
  readonly options: Batch.Options
  readonly retry: Retry.Options
  readonly log: Log
  /** What is no error, and should be known. */
  readonly warnings: ReadonlyArray<Problem>
}

/** What the command line logs. */
export interface Log {
  /** Default: `Info`. */
  readonly level: LogLevel.Literal | undefined
  /** The file; absent: standard error. */
  readonly file: string | undefined
  readonly calls: boolean
}

const logOf = ({ resolve, settings: { log } }: Loaded): Log => ({
  level: log?.level,
  file: log?.file === undefined ? undefined : resolve(["log", "file"], log.file),
  calls: log?.calls ?? false
})

/** Requests under way at once where the limiter finds out how many the server bears. */
const adaptiveWorkers = 1_000

const optionsOf = ({ settings: { batch, cache, retry } }: Loaded): Batch.Options => ({
  concurrency: batch?.concurrency === "adaptive" ? adaptiveWorkers : batch?.concurrency,
  task: batch?.task,
  streaming: batch?.streaming,
  timeout: retry?.timeout,
  deadline: retry?.deadline,
  cache: cache?.mode
})

const retryOf = ({ settings: { retry } }: Loaded): Retry.Options => ({
  maxRetries: retry?.max_retries,
  base: retry?.base,
  cap: retry?.cap,
  patience: retry?.patience
})

/** Keys that stand in the file: whoever reads it has them. */
const literalKeys = (
  { origin, written }: Loaded,
  endpoints: ReadonlyArray<ConfigEndpoints.Described>
): ReadonlyArray<Problem> =>
  endpoints.flatMap(({ path, entry }) => {
    const at = [...(path ?? []), "api_key"]
    return path !== undefined && ConfigEndpoints.isLiteral(written(at))
      ? [
          {
            origin: origin(at),
            path: "",
            message: `an API key stands in the file; put it into a variable and write \${${entry.key ?? "NAME"}}`
          }
        ]
      : []
  })

const checkReplay = ({ origin, settings: { cache } }: Loaded): ReadonlyArray<Problem> => {
  const where = cache?.store === undefined ? "memory" : Redacted.value(cache.store)
  const message = "replay gives stored answers only, and a cache in memory begins with none: name a store"
  return cache?.mode === "replay" && where === "memory"
    ? [{ origin: origin(["cache", "mode"]), path: "cache.mode", message }]
    : []
}

/** Reads a configuration, and finds all that is wrong with it before anything is sent. */
export const configure = (
  options: Options = {}
): Effect.Effect<Configured, ConfigFileError, FileSystem.FileSystem | PlatformPath.Path> =>
  Effect.gen(function* () {
    const loaded = yield* load(options)
    const stores = checkReplay(loaded)
    const endpoints = yield* Effect.mapError(ConfigEndpoints.endpoints(loaded), ({ problems }) =>
      problemsOf([...stores, ...problems])
    )
    const routed = ConfigRouter.make(loaded, endpoints)
    if (Either.isLeft(routed)) return yield* problemsOf([...stores, ...routed.left])
    if (stores.length > 0) return yield* problemsOf(stores)
    const { domains, router } = routed.right
    return {
      loaded,
      endpoints,
      router,
      domains,
      options: optionsOf(loaded),
      retry: retryOf(loaded),
      log: logOf(loaded),
      warnings: [
        ...loaded.warnings,
        ...literalKeys(loaded, endpoints),
        ...ConfigRouter.idlePatterns(loaded, router)
      ]
    }
  })

/** The providers of the endpoints, each loaded and made once. */
const providers = ({ endpoints, loaded }: Configured): Layer.Layer<Providers.Providers, ConfigFileError> => {
  const used = new Map(endpoints.map(({ entry, options }) => [options.provider, entry]))
  const make = Effect.forEach([...used], ([name, entry]) =>
    Effect.flatMap(entry.load, (provider) =>
      provider.make(
        endpoints.some(({ options }) => options.provider === name && options.apiKey !== undefined)
      )
    ).pipe(
      Effect.withConfigProvider(loaded.environment.provider),
      Effect.mapError(() =>
        problemsOf([
          {
            origin: { kind: "env", name: entry.token ?? "" },
            path: "",
            message: "holds characters that no token has"
          }
        ])
      )
    )
  )
  const http = loaded.settings.http
  return Layer.provide(
    Layer.effect(Providers.Providers, Effect.map(make, Providers.make)),
    HttpClientPool.layer({
      connections: http?.connections,
      keepAlive: http?.keep_alive,
      connectTimeout: http?.connect_timeout
    })
  )
}

/** How many answers a cache in memory keeps where nobody says. */
const memoryCapacity = 30_000

/** Where answers are kept. */
const cache = ({ loaded }: Configured): Layer.Layer<Cache.Cache, CacheStoreError> => {
  const { capacity, max_bytes, max_entries, namespace, store, store_incomplete, store_requests, ttl } =
    loaded.settings.cache ?? {}
  const where = store === undefined ? "memory" : Redacted.value(store)
  const options = {
    timeToLive: ttl,
    namespace,
    storeIncomplete: store_incomplete,
    storeRequest: store_requests
  }
  if (where === "off") return Cache.layerNone
  if (where === "memory") return Cache.layerMemory({ ...options, capacity: capacity ?? memoryCapacity })
  return isRedis(where)
    ? Cache.layerRedis({ ...options, url: store })
    : Cache.layerSqlite({
        ...options,
        filename: loaded.resolve(["cache", "store"], where),
        maxEntries: max_entries,
        maxBytes: max_bytes
      })
}

/** Where limits are counted. */
const limiter = ({
  domains,
  loaded
}: Configured): Layer.Layer<RateLimiter.RateLimiter, RateLimiterStoreError> => {
  const { processes, store } = loaded.settings.limiter ?? {}
  return store === undefined || Redacted.value(store) === "memory"
    ? RateLimiter.layer({ domains })
    : RateLimiter.layerRedis({
        url: store,
        domains,
        ...(processes === undefined ? undefined : { whenAway: { processes } })
      })
}

const pricesOf = (tariffs: Readonly<Record<string, Tariff>> = {}) =>
  Object.fromEntries(
    Object.entries(tariffs).map(([model, { cache_read, cache_write, input, output }]) => [
      model,
      { input, output, cacheRead: cache_read, cacheWrite: cache_write }
    ])
  )

/** What models cost; loaded only where the settings say so. */
export const prices = ({ loaded }: Configured): Layer.Layer<Prices, ConfigFileError> =>
  Layer.unwrapEffect(
    Effect.map(
      Effect.promise(() => import("../Prices.js")),
      (module) => {
        const { add, file, override } = loaded.settings.prices ?? {}
        if ((add ?? file ?? override) === undefined) return Layer.succeed(module.Prices, module.table)
        return Layer.mapError(
          module.layer({
            override: pricesOf(override),
            add: pricesOf(add),
            file: file === undefined ? undefined : loaded.resolve(["prices", "file"], file)
          }),
          ({ message }) => problemsOf([{ origin: loaded.origin(["prices"]), path: "prices", message }])
        )
      }
    )
  )

/** The services of a configuration. */
export const services = (
  configured: Configured
): Layer.Layer<Services, ConfigFileError | CacheStoreError | RateLimiterStoreError> =>
  Layer.mergeAll(
    providers(configured),
    Layer.succeed(Router.Router, configured.router),
    limiter(configured),
    cache(configured),
    Retry.layer(configured.retry),
    prices(configured)
  )
