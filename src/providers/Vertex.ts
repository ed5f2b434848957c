/**
 * Gemini on Google Cloud's Vertex AI.
 *
 * Wire: as the Gemini API's (see `Gemini`), at `POST {baseUrl}/publishers/google/models/{model}:generateContent`;
 * embeddings by `:predict`. {@link baseUrl} writes the base URL of a project. A model whose name has slashes goes as it
 * is below the base: `endpoints/123` of a tuned one, for which the endpoint's `family` says what it was tuned from.
 *
 * The credential is a token of OAuth for the scope `https://www.googleapis.com/auth/cloud-platform`
 * ({@link Options.accessToken}), or the endpoint's key of the express mode. `labels` are sent; the service tier goes in
 * a header, and function calls have no ids.
 *
 * Source: Google Cloud's reference of Vertex AI.
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Endpoint from "../Endpoint.js"
import * as AccessToken from "../internal/accessToken.js"
import type { Dialect } from "../internal/geminiContents.js"
import * as GeminiEmbedding from "../internal/geminiEmbedding.js"
import * as GeminiWire from "../internal/geminiWire.js"
import * as Preset from "../internal/preset.js"
import { firstOf, optional, optionalKey } from "../internal/preset.js"
import * as Providers from "../Providers.js"
import type * as Router from "../Router.js"
import * as Wire from "../Wire.js"

/** Name of the provider in endpoints and answers. */
export const name = "vertex"

/** What {@link make} takes. */
export interface Options {
  /**
   * What gives a token: the token alone, which is then asked for before each call, or with `expiresAt` (epoch
   * milliseconds), and then it is kept until a minute before that. A kept token that the server no longer takes is
   * forgotten, and the call may be tried again with a new one. Default: none, the endpoint's key is sent.
   */
  readonly accessToken?: AccessToken.Source | undefined
}

const hostOf = (location: string): string => {
  if (location === "global") return "aiplatform.googleapis.com"
  return location === "us" || location === "eu"
    ? `aiplatform.${location}.rep.googleapis.com`
    : `${location}-aiplatform.googleapis.com`
}

/**
 * The base URL of a project at a location: a region such as `"europe-west4"`, `"us"`, `"eu"`, or `"global"`, the
 * default. Without a project, that of the express mode, which has keys instead of projects.
 */
export const baseUrl = (options: {
  readonly project?: string | undefined
  readonly location?: string | undefined
  /** Address of the server. Default: Google's for the location. */
  readonly origin?: string | undefined
}): string => {
  const { project } = options
  const location = options.location ?? "global"
  const base = GeminiWire.versioned(
    options.origin ?? `https://${hostOf(project === undefined ? "global" : location)}`,
    "v1"
  )
  return project === undefined
    ? base
    : `${base}/projects/${encodeURIComponent(project)}/locations/${encodeURIComponent(location)}`
}

const dialect: Dialect = { name, callIds: false, labels: true, tier: "header" }

// a name in full repeats what the base URL says
const path = (model: string): string =>
  GeminiWire.modelPath(
    model.replace(/^projects\/[^/]+\/locations\/[^/]+\//, "").replace(/^models\//, ""),
    "publishers/google/models"
  )

/** Tokens that one call may embed, by Google's quotas. */
const embeddingTokens = 20_000

/** The protocol, with what gives the token of an endpoint if keys are not used. */
export const wire = (accessToken?: Wire.Wire["accessToken"]): Wire.Wire =>
  GeminiWire.make({
    dialect,
    path,
    embed: (request, model) => GeminiEmbedding.encodePredict(request, path(model)),
    embeddingTokens,
    accessToken
  })

/** The provider over the `HttpClient` at hand. */
export const make = (
  options: Options = {}
): Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> => {
  const { accessToken } = options
  if (accessToken === undefined) return Wire.provider(wire())
  return Effect.suspend(() => {
    const tokens = new AccessToken.TokenCache(accessToken)
    return Effect.map(Wire.provider(wire(() => tokens.get)), (inner) => tokens.provider(inner))
  })
}

/** This provider alone, as the {@link Providers} of an application. */
export const layer = (
  options: Options = {}
): Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> => Providers.layer([make(options)])

/**
 * The endpoint that the environment describes: `GOOGLE_CLOUD_PROJECT` or `GOOGLE_VERTEX_PROJECT`,
 * `GOOGLE_CLOUD_LOCATION` or `GOOGLE_VERTEX_LOCATION` (default `global`), `GOOGLE_VERTEX_API_KEY` (a key of the express
 * mode: with it no project is needed), `GOOGLE_VERTEX_BASE_URL` (address of the server) and `GOOGLE_VERTEX_MODEL` (the
 * model of requests that name none).
 */
export const config: Config.Config<Endpoint.Options> = Config.all({
  project: firstOf("GOOGLE_CLOUD_PROJECT", "GOOGLE_VERTEX_PROJECT"),
  location: firstOf("GOOGLE_CLOUD_LOCATION", "GOOGLE_VERTEX_LOCATION"),
  apiKey: optionalKey("GOOGLE_VERTEX_API_KEY"),
  origin: optional("GOOGLE_VERTEX_BASE_URL"),
  model: optional("GOOGLE_VERTEX_MODEL")
}).pipe(
  Config.mapOrFail(({ apiKey, location, model, origin, project }) =>
    project === undefined && apiKey === undefined
      ? Either.left(
          ConfigError.MissingData(
            ["GOOGLE_CLOUD_PROJECT"],
            "Set the environment variable GOOGLE_CLOUD_PROJECT to your Google Cloud project, or GOOGLE_VERTEX_API_KEY to a key of the express mode"
          )
        )
      : Either.right({ provider: name, apiKey, baseUrl: baseUrl({ project, location, origin }), model })
  )
)

/** The provider and a router to the one endpoint that a config describes. */
export const layerConfig = (
  endpoint: Config.Config.Wrap<Endpoint.Options>,
  options: Options = {}
): Layer.Layer<Providers.Providers | Router.Router, ConfigError.ConfigError, HttpClient.HttpClient> =>
  Preset.layerConfig(layer(options))(endpoint)

/**
 * All that `batch` and `complete` need to ask Vertex AI with these tokens: the endpoint from the environment
 * ({@link config}), a connection pool, a limiter that follows what the server says of its limits, and a cache in memory.
 *
 * @example
 * import { batch, Chat, Vertex } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Redacted from "effect/Redacted"
 *
 * // as google-auth-library gives it
 * declare const auth: { readonly getAccessToken: () => Promise<string> }
 * const accessToken = Effect.map(
 *   Effect.promise(() => auth.getAccessToken()),
 *   (token) => Redacted.make(token)
 * )
 *
 * const requests = [Chat.prompt("Why is the sky blue?", { model: "gemini-2.5-flash" })]
 *
 * Effect.runPromise(batch(requests).pipe(Effect.provide(Vertex.live({ accessToken }))))
 */
export const live = (options: Options): Preset.Live => Preset.live(layerConfig(config, options))

const fromEnvironment = Layer.unwrapEffect(
  Effect.gen(function* () {
    const token = yield* optionalKey("CLOUDSDK_AUTH_ACCESS_TOKEN")
    const { apiKey } = yield* config
    if (token === undefined && apiKey === undefined) {
      return yield* Effect.fail(
        ConfigError.MissingData(
          ["GOOGLE_VERTEX_API_KEY"],
          "Set the environment variable GOOGLE_VERTEX_API_KEY to a key of the express mode, or CLOUDSDK_AUTH_ACCESS_TOKEN to a token; Vertex.live takes tokens that are renewed"
        )
      )
    }
    return layerConfig(config, token === undefined ? {} : { accessToken: Effect.succeed(token) })
  })
)

/**
 * The same with what the environment has: the key, or a token in `CLOUDSDK_AUTH_ACCESS_TOKEN`, which is good for an
 * hour at most.
 *
 * @example
 * import { batch, Chat, VertexLive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * Effect.runPromise(batch([Chat.prompt("Why is the sky blue?")]).pipe(Effect.provide(VertexLive)))
 */
export const VertexLive: Preset.Live = Preset.live(fromEnvironment)
