/** What all providers' presets are made of: settings from the environment, and the services around an endpoint. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Cache from "../Cache.js"
import type * as Endpoint from "../Endpoint.js"
import * as HttpClientPool from "../HttpClientPool.js"
import type * as Providers from "../Providers.js"
import * as RateLimiter from "../RateLimiter.js"
import * as Router from "../Router.js"

/** A variable that may be set to nothing, as shells and `.env` files leave it. */
export const optional = (variable: string): Config.Config<string | undefined> =>
  Config.string(variable).pipe(
    Config.withDefault(""),
    Config.map((value) => value.trim() || undefined)
  )

/** The first of these variables that is set. */
export const firstOf = (...variables: ReadonlyArray<string>): Config.Config<string | undefined> =>
  Config.map(Config.all(variables.map(optional)), (values) => values.find((value) => value !== undefined))

// such a key cannot be sent as a header; the message must not show it
const keyOf = (variable: string, key: string): Either.Either<Redacted.Redacted, ConfigError.ConfigError> =>
  /^[\x21-\x7e]+$/.test(key)
    ? Either.right(Redacted.make(key))
    : Either.left(
        ConfigError.InvalidData(
          [variable],
          `${variable} holds characters that no API key has, such as a space or an accent`
        )
      )

/** The key in the first of these variables that is set. */
export const optionalKey = (
  ...variables: readonly [string, ...ReadonlyArray<string>]
): Config.Config<Redacted.Redacted | undefined> =>
  Config.mapOrFail(
    firstOf(...variables),
    (key): Either.Either<Redacted.Redacted | undefined, ConfigError.ConfigError> =>
      key === undefined ? Either.right(undefined) : keyOf(variables[0], key)
  )

/** The same where there is nothing without one. */
export const apiKey = (
  variable: string,
  vendor: string,
  ...others: ReadonlyArray<string>
): Config.Config<Redacted.Redacted> =>
  Config.mapOrFail(optionalKey(variable, ...others), (key) =>
    key === undefined
      ? Either.left(
          ConfigError.MissingData(
            [variable],
            `Set the environment variable ${variable} to your ${vendor} API key`
          )
        )
      : Either.right(key)
  )

/** The variables that describe an endpoint. */
export interface Variables {
  readonly apiKey: Config.Config<Redacted.Redacted | undefined>
  /** The first of these that is set. */
  readonly baseUrl: readonly [string, ...ReadonlyArray<string>]
  readonly model: string
}

/** An endpoint by its key, its base URL, which has a default, and the model of requests that name none. */
export const endpoint = (
  provider: string,
  defaultBaseUrl: string,
  { apiKey, baseUrl, model }: Variables
): Config.Config<Endpoint.Options> =>
  Config.map(
    Config.all({ apiKey, baseUrl: firstOf(...baseUrl), model: optional(model) }),
    ({ apiKey, baseUrl, model }) => ({ provider, apiKey, baseUrl: baseUrl ?? defaultBaseUrl, model })
  )

/** A provider and a router to the one endpoint that a config describes. */
export const layerConfig =
  (provider: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient>) =>
  (
    endpoint: Config.Config.Wrap<Endpoint.Options>
  ): Layer.Layer<Providers.Providers | Router.Router, ConfigError.ConfigError, HttpClient.HttpClient> =>
    Layer.merge(
      provider,
      Layer.effect(
        Router.Router,
        Effect.map(Config.unwrap(endpoint), (options) => Router.make({ endpoints: [options] }))
      )
    )

/** All that `batch` and `complete` need, from the environment. */
export type Live = Layer.Layer<
  Providers.Providers | Router.Router | RateLimiter.RateLimiter | Cache.Cache,
  ConfigError.ConfigError
>

/**
 * The endpoint with a connection pool, a limiter that follows what the server says of its limits, and a cache in
 * memory.
 */
export const live = (
  endpoint: Layer.Layer<Providers.Providers | Router.Router, ConfigError.ConfigError, HttpClient.HttpClient>
): Live =>
  Layer.mergeAll(Layer.provide(endpoint, HttpClientPool.layer()), RateLimiter.layer(), Cache.layerMemory())
