/** The services of a run, as the flags and the environment describe them. */
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Cache from "../Cache.js"
import type { Options as EndpointOptions } from "../Endpoint.js"
import * as OpenAi from "../providers/OpenAi.js"
import * as RateLimiter from "../RateLimiter.js"
import type * as Retry from "../Retry.js"
import type { Flags } from "./batchCommand.js"
import { CliError } from "./CliError.js"
import { checkPositive, wrong } from "./flags.js"

/** `--max-retries` */
export const parseRetries = (text: string | undefined): Effect.Effect<Retry.Options, CliError> => {
  if (text === undefined) return Effect.succeed({})
  if (text === "forever") return Effect.succeed({ maxRetries: "forever" })
  return /^\d+$/.test(text)
    ? Effect.succeed({ maxRetries: Number(text) })
    : wrong(`--max-retries takes a whole number or "forever", not "${text}"`)
}

const configMessage = (error: ConfigError.ConfigError): string =>
  error._op === "And" || error._op === "Or" ? configMessage(error.left) : error.message

/** The endpoint of the environment, as far as the flags do not say otherwise. */
export const endpointOf = (flags: Flags): Effect.Effect<EndpointOptions, CliError> =>
  Effect.gen(function* () {
    const found = yield* Effect.mapError(
      OpenAi.config,
      (error) => new CliError({ message: configMessage(error) })
    )
    const baseUrl = flags.baseUrl ?? found.baseUrl
    if (!URL.canParse(baseUrl) || !/^https?:$/.test(new URL(baseUrl).protocol)) {
      return yield* wrong(`The base URL must start with http:// or https://, not "${baseUrl}"`)
    }
    return { ...found, baseUrl, model: flags.model ?? found.model }
  })

/** Whether `--cache` names a file. */
export const isCacheFile = (where: string): boolean => where !== "memory" && where !== "off"

/** `--cache` */
export const cacheOf = (where: string): Layer.Layer<Cache.Cache, CliError> => {
  switch (where) {
    case "memory":
      return Cache.layerMemory({ capacity: 100_000 })
    case "off":
      return Cache.layerNone
    default:
      return Layer.mapError(
        Cache.layerSqlite({ filename: where }),
        (error) => new CliError({ message: `--cache: ${error.message}` })
      )
  }
}

/** How many requests are under way at once where the limiter finds out how many the server bears. */
const adaptiveWorkers = 1_000

/** `--concurrency`: the workers of the batch, and what the limiter does about calls in flight. */
export const parseConcurrency = (
  text: string
): Effect.Effect<{ readonly workers: number; readonly limit: "adaptive" | undefined }, CliError> => {
  if (text === "adaptive") return Effect.succeed({ workers: adaptiveWorkers, limit: "adaptive" })
  return /^\d+$/.test(text) && Number(text) > 0
    ? Effect.succeed({ workers: Number(text), limit: undefined })
    : wrong(`--concurrency takes a whole number greater than 0 or "adaptive", not "${text}"`)
}

/** The limits that the flags name, for every domain. */
export const limitsOf = (
  flags: Flags,
  concurrency: "adaptive" | undefined
): Effect.Effect<RateLimiter.Limits, CliError> =>
  Effect.gen(function* () {
    for (const flag of ["rps", "rpm", "rpd", "tpm", "itpm", "otpm", "burst"] as const) {
      yield* checkPositive(flag, flags[flag])
    }
    return {
      requestsPerSecond: flags.rps,
      requestsPerMinute: flags.rpm,
      requestsPerDay: flags.rpd,
      tokensPerMinute: flags.tpm,
      inputTokensPerMinute: flags.itpm,
      outputTokensPerMinute: flags.otpm,
      burst: flags.burst,
      concurrency
    }
  })

/** A server's address without the password that may stand in it. */
const placeOf = (url: string | undefined): string =>
  url !== undefined && URL.canParse(url) ? new URL(url).host : "this address"

/** The limiter: of this process, or shared through Redis. */
export const limiterOf = (
  flags: Flags,
  limits: RateLimiter.Limits
): Layer.Layer<RateLimiter.RateLimiter, CliError> => {
  const domains = { "*": limits }
  return flags.redis === undefined
    ? RateLimiter.layer({ domains })
    : Layer.mapError(
        RateLimiter.layerRedis({ url: Redacted.make(flags.redis), domains }),
        ({ message }) =>
          new CliError({
            message: `--redis: no limits can be shared through ${placeOf(flags.redis)}: ${message}`
          })
      )
}
