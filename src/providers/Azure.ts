/**
 * OpenAI's models on Azure.
 *
 * Wire: OpenAI's, on one of two surfaces, told apart by the endpoint's base URL:
 *
 * - `https://{resource}.openai.azure.com/openai/v1`: `POST {baseUrl}/chat/completions`;
 * - `https://{resource}.openai.azure.com/openai?api-version=2024-10-21`: the deployment stands in the path,
 *   `POST …/openai/deployments/{model}/chat/completions?api-version=…`.
 *
 * {@link baseUrl} writes either address. Chats may go to the Responses API instead ({@link Options.api}). The model of a
 * request is the name of a deployment, which says nothing of the model behind it: that is the endpoint's `family`.
 * Without one nothing is known to be refused.
 *
 * The key goes in the `api-key` header; a token of Entra ID, as bearer ({@link Options.accessToken}). What the content
 * filter found is in the answer's `raw`; a prompt that it blocks is a `ContentFilterError`.
 *
 * Source: Microsoft's reference of Azure OpenAI.
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Endpoint from "../Endpoint.js"
import * as AccessToken from "../internal/accessToken.js"
import { openAiBatch } from "../internal/openAiBatchWire.js"
import * as OpenAiChat from "../internal/openAiChat.js"
import { azure } from "../internal/openAiDialects.js"
import * as Preset from "../internal/preset.js"
import { firstOf, optional, optionalKey } from "../internal/preset.js"
import * as Providers from "../Providers.js"
import type * as Router from "../Router.js"
import * as Wire from "../Wire.js"
import * as OpenAiResponses from "./OpenAiResponses.js"

/** Name of the provider in endpoints and answers. */
export const name = azure.name

/** What {@link make} takes. */
export interface Options {
  /**
   * The token of Entra ID for the scope `https://cognitiveservices.azure.com/.default`. With `expiresAt` it is kept until
   * then, without it is asked for before each call. A token that the server no longer takes is forgotten, and the call
   * may be tried again with a new one. Default: none, the endpoint's key is sent.
   */
  readonly accessToken?: AccessToken.Source | undefined
  /**
   * Where chats are sent: to chat completions, or to the Responses API, `POST {baseUrl}/responses` on either surface,
   * with what `OpenAiResponses` says of it. Other requests go where they always go. Default `"chat"`.
   */
  readonly api?: "chat" | "responses" | undefined
}

/**
 * The base URL of a resource: its name, or its address as the portal shows it. With an API version (`"2024-10-21"`),
 * that of the surface with deployments in the path; without one, or with `"v1"`, that of the newer.
 */
export const baseUrl = (resource: string, apiVersion?: string): string => {
  const given = /^https?:/i.test(resource) ? resource : `https://${resource}.openai.azure.com`
  const origin = given.replace(/\/+$/, "").replace(/\/openai(\/v1)?$/, "")
  return apiVersion === undefined || /^(v1|preview|latest)$/.test(apiVersion)
    ? `${origin}/openai/v1`
    : `${origin}/openai?api-version=${encodeURIComponent(apiVersion)}`
}

const pathOf = (path: string, deployment: string, { baseUrl }: Endpoint.Endpoint): string => {
  const [base = ""] = baseUrl.split(/[?#]/, 1)
  // the newer surface, a deployment that is named already, or a gateway with paths of its own
  const isWhole = !base.endsWith("/openai") || !baseUrl.includes("api-version=")
  return isWhole ? path : `/deployments/${encodeURIComponent(deployment)}${path}`
}

const headers = ({ apiKey }: Endpoint.Endpoint): Readonly<Record<string, string>> =>
  apiKey === undefined ? {} : { "api-key": Redacted.value(apiKey) }

/** The protocol, by key. */
export const wire: Wire.Wire = {
  ...OpenAiChat.wire(azure, { family: (_, endpoint) => endpoint.family ?? "", path: pathOf }),
  headers,
  batch: openAiBatch
}

// the name of a deployment is no model's
const anonymous = (context: Wire.Context): Wire.Context =>
  context.endpoint.family === undefined
    ? { ...context, endpoint: { ...context.endpoint, family: "" } }
    : context

/** The protocol, by key, with chats on the Responses API. */
export const responsesWire: Wire.Wire = {
  ...wire,
  lacks: (request, context) =>
    (request._tag === "Chat" ? OpenAiResponses.wire : wire).lacks?.(request, anonymous(context)) ?? [],
  encode: (request, context) =>
    (request._tag === "Chat" ? OpenAiResponses.wire : wire).encode(request, anonymous(context))
}

/** The provider over the `HttpClient` at hand. */
export const make = ({
  accessToken,
  api
}: Options = {}): Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> => {
  const spoken = api === "responses" ? responsesWire : wire
  if (accessToken === undefined) return Wire.provider(spoken)
  return Effect.suspend(() => {
    const tokens = new AccessToken.TokenCache(accessToken)
    return Effect.map(Wire.provider({ ...spoken, accessToken: () => tokens.get }), (inner) =>
      tokens.provider(inner)
    )
  })
}

/** This provider alone, as the {@link Providers} of an application. */
export const layer = (
  options: Options = {}
): Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> => Providers.layer([make(options)])

/**
 * The endpoint that the environment describes: `AZURE_OPENAI_ENDPOINT` or `AZURE_RESOURCE_NAME` (one of the two is
 * required), `AZURE_OPENAI_API_KEY` or `AZURE_API_KEY`, `AZURE_OPENAI_API_VERSION` or `OPENAI_API_VERSION` (default:
 * the surface without versions), `AZURE_OPENAI_DEPLOYMENT` (the deployment of requests that name none) and
 * `AZURE_OPENAI_MODEL` (the model behind it).
 */
export const config: Config.Config<Endpoint.Options> = Config.all({
  resource: firstOf("AZURE_OPENAI_ENDPOINT", "AZURE_RESOURCE_NAME"),
  apiKey: optionalKey("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
  apiVersion: firstOf("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"),
  model: optional("AZURE_OPENAI_DEPLOYMENT"),
  family: optional("AZURE_OPENAI_MODEL")
}).pipe(
  Config.mapOrFail(({ apiKey, apiVersion, family, model, resource }) =>
    resource === undefined
      ? Either.left(
          ConfigError.MissingData(
            ["AZURE_OPENAI_ENDPOINT"],
            "Set the environment variable AZURE_OPENAI_ENDPOINT to the address of your Azure OpenAI resource"
          )
        )
      : Either.right({ provider: name, apiKey, baseUrl: baseUrl(resource, apiVersion), model, family })
  )
)

/** The provider and a router to the one endpoint that a config describes. */
export const layerConfig = (
  endpoint: Config.Config.Wrap<Endpoint.Options>,
  options: Options = {}
): Layer.Layer<Providers.Providers | Router.Router, ConfigError.ConfigError, HttpClient.HttpClient> =>
  Preset.layerConfig(layer(options))(endpoint)

const fromEnvironment = Layer.unwrapEffect(
  Effect.gen(function* () {
    const token = yield* optionalKey("AZURE_OPENAI_AD_TOKEN")
    const { apiKey } = yield* config
    if (token === undefined && apiKey === undefined) {
      return yield* Effect.fail(
        ConfigError.MissingData(
          ["AZURE_OPENAI_API_KEY"],
          "Set the environment variable AZURE_OPENAI_API_KEY to your Azure OpenAI API key, or AZURE_OPENAI_AD_TOKEN to a token"
        )
      )
    }
    return layerConfig(config, token === undefined ? {} : { accessToken: Effect.succeed(token) })
  })
)

/**
 * All that `batch` and `complete` need to ask Azure: the endpoint from the environment ({@link config}), the key or a
 * token in `AZURE_OPENAI_AD_TOKEN`, a connection pool, a limiter that follows what the server says of its limits, and a
 * cache in memory.
 *
 * @example
 * import { AzureLive, batch, Chat } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * Effect.runPromise(batch([Chat.prompt("Why is the sky blue?")]).pipe(Effect.provide(AzureLive)))
 */
export const AzureLive: Preset.Live = Preset.live(fromEnvironment)
