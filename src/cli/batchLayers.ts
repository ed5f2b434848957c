/** The settings and services of a run, as flags, the environment and the config file describe them. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { isRedis } from "../internal/configFields.js"
import { placeOf as originText } from "../internal/configProblem.js"
import { type Configured, configure, type Services, services } from "../internal/configServices.js"
import type { ServiceFlags } from "./batchCommand.js"
import { CliError } from "./CliError.js"
import { configError } from "./configError.js"
import { checkPositive, parseDuration, parseTimeToLive, wrong } from "./flags.js"
import { GivenLogLevel } from "./logLevel.js"

export { isRedis } from "../internal/configFields.js"

/** The address of a Redis server, with its scheme as clients know it. It may hold a password. */
export const redisUrl = (where: string): Redacted.Redacted<string> =>
  Redacted.make(where.replace(/^[a-z]+(?=:\/\/)/i, (scheme) => scheme.toLowerCase()))

/** A server's address without the password that may stand in it. */
export const placeOf = (url: string | undefined): string =>
  url !== undefined && URL.canParse(url) ? new URL(url).host : "this address"

/** Any other address is a slip: as the name of a file it would hold a password. The message does not repeat it. */
export const checkCachePlace = (where: string): Effect.Effect<void, CliError> => {
  const [, scheme] = /^([a-z][a-z\d+.-]*):\/\//i.exec(where) ?? []
  return scheme === undefined || isRedis(where)
    ? Effect.void
    : wrong(
        `--cache takes a file or a Redis server (redis://… or rediss://…), not an address of ${scheme}://`
      )
}

/** `--cache`, and what goes with it. */
export const checkCache = (
  flags: Pick<ServiceFlags, "cache" | "cacheTtl" | "namespace" | "cacheMode">
): Effect.Effect<void, CliError> =>
  Effect.gen(function* () {
    if (flags.cache !== undefined) yield* checkCachePlace(flags.cache)
    yield* parseTimeToLive(flags.cacheTtl)
    if (flags.cache === "off") {
      const moot = (
        [
          ["cache-ttl", flags.cacheTtl],
          ["namespace", flags.namespace],
          ["cache-mode", flags.cacheMode]
        ] as const
      ).find(([, value]) => value !== undefined)
      if (moot !== undefined)
        yield* wrong(`--${moot[0]} is about a cache, and --cache off says there is none`)
    }
    if (flags.cache === "memory" && flags.cacheMode === "replay") {
      yield* wrong(
        "--cache-mode replay gives stored answers only, and a cache in memory begins with none: name one with --cache PATH"
      )
    }
  })

const checkConcurrency = (text: string | undefined): Effect.Effect<void, CliError> =>
  text === undefined || text === "adaptive" || (/^\d+$/.test(text) && Number(text) > 0)
    ? Effect.void
    : wrong(`--concurrency takes a whole number greater than 0 or "adaptive", not "${text}"`)

const checkRetries = (text: string | undefined): Effect.Effect<void, CliError> =>
  text === undefined || text === "forever" || /^\d+$/.test(text)
    ? Effect.void
    : wrong(`--max-retries takes a whole number or "forever", not "${text}"`)

const checkBaseUrl = (text: string | undefined): Effect.Effect<void, CliError> =>
  text === undefined || (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol))
    ? Effect.void
    : wrong(`The base URL must start with http:// or https://, not "${text}"`)

const limitFlags = ["rps", "rpm", "rpd", "tpm", "itpm", "otpm", "burst"] as const

/** Whether the flags can be meant as they are written, found out before any file is looked at. */
export const checkFlags = (flags: ServiceFlags): Effect.Effect<void, CliError> =>
  Effect.gen(function* () {
    yield* checkConcurrency(flags.concurrency)
    for (const flag of limitFlags) yield* checkPositive(flag, flags[flag])
    yield* checkCache(flags)
    yield* checkRetries(flags.maxRetries)
    if (flags.timeout !== undefined) yield* parseDuration("timeout", flags.timeout)
    if (flags.deadline !== undefined) yield* parseDuration("deadline", flags.deadline)
    yield* checkBaseUrl(flags.baseUrl)
  })

// as a config file writes it
const modeOf = (mode: ServiceFlags["cacheMode"]): string | undefined =>
  mode?.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** The settings of a run: those of the flags, then of the environment, then of the config file. */
export const settingsOf = (
  flags: ServiceFlags
): Effect.Effect<Configured, CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const logLevel = yield* FiberRef.get(GivenLogLevel)
    return yield* Effect.mapError(
      configure({
        path: flags.config,
        flags: {
          ...Object.fromEntries(limitFlags.map((flag) => [flag, flags[flag]])),
          provider: flags.provider,
          model: flags.model,
          "base-url": flags.baseUrl,
          task: flags.task,
          concurrency: flags.concurrency,
          redis: flags.redis,
          "max-retries": flags.maxRetries,
          timeout: flags.timeout,
          deadline: flags.deadline,
          budget: flags.budget,
          cache: flags.cache,
          "cache-ttl": flags.cacheTtl,
          namespace: flags.namespace,
          "cache-mode": modeOf(flags.cacheMode),
          "log-level": logLevel
        }
      }),
      configError
    )
  })

/** The file that a cache is in, if it is in one. */
export const cacheFileOf = ({ loaded }: Configured): string | undefined => {
  const { store } = loaded.settings.cache ?? {}
  const where = store === undefined ? "memory" : Redacted.value(store)
  return where === "memory" || where === "off" || isRedis(where)
    ? undefined
    : loaded.resolve(["cache", "store"], where)
}

/** The services of a run. What fails names the setting that it is of. */
export const servicesOf = (configured: Configured): Layer.Layer<Services, CliError> => {
  const { loaded } = configured
  const saidAt = (path: ReadonlyArray<string>) => originText(loaded.origin(path)) || path.join(".")
  return Layer.mapError(services(configured), (error) => {
    switch (error._tag) {
      case "ConfigFileError":
        return configError(error)
      case "CacheStoreError":
        return new CliError({ message: `${saidAt(["cache", "store"])}: ${error.message}`, cause: error })
      case "RateLimiterStoreError": {
        const { store } = loaded.settings.limiter ?? {}
        const place = placeOf(store === undefined ? undefined : Redacted.value(store))
        return new CliError({
          message: `${saidAt(["limiter", "store"])}: no limits can be shared through ${place}: ${error.message}`,
          cause: error
        })
      }
    }
  })
}
