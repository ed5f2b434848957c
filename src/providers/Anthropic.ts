/**
 * Anthropic's messages, and servers that speak the same wire.
 *
 * Wire: `POST {baseUrl}/v1/messages` with an `x-api-key`. Every documented parameter has a field of `Chat` or a
 * name in {@link Parameters}; what Anthropic adds tomorrow goes through `extra` as well.
 *
 * - Anthropic wants to be told the most tokens of an answer. Where a request sets no `maxTokens`, it is the most that
 *   the model can write: 128,000 from Claude 4.6 on, 64,000 for the 4.5 family. Only tokens that are written count
 *   against limits and cost anything.
 * - Rules differ by model: newer ones refuse `temperature`, `topP` and `topK`, some cannot stop thinking, or cannot be
 *   made to call a tool. Such a field is an `UnsupportedError` before anything is sent.
 * - A `promptCache` mark of a part becomes `cache_control`. Anthropic takes four; of more, the last four count.
 * - `system` messages go to the top, wherever in the conversation they stand.
 * - An answer that paused (`pause`) goes on when it is sent back: `[...messages, Response.toMessage(answer)]`.
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Endpoint from "../Endpoint.js"
import { anthropicBatch } from "../internal/anthropicBatchWire.js"
import * as AnthropicEvents from "../internal/anthropicEvents.js"
import * as AnthropicRequest from "../internal/anthropicRequest.js"
import * as AnthropicResponse from "../internal/anthropicResponse.js"
import { providerName } from "../internal/anthropicThoughts.js"
import * as Preset from "../internal/preset.js"
import { optional, optionalKey } from "../internal/preset.js"
import * as WireWarnings from "../internal/wireWarnings.js"
import * as Providers from "../Providers.js"
import * as Wire from "../Wire.js"

/** Name of the provider in endpoints and answers. */
export const name = providerName

/** Where Anthropic's API is; its paths begin with `/v1`. */
export const defaultBaseUrl = "https://api.anthropic.com"

/** The version of the API that is spoken. An endpoint's own header `anthropic-version` comes before it. */
export const version = "2023-06-01"

/**
 * Documented parameters that are Anthropic's alone, for the `extra` of a request:
 * `extra: Anthropic.parameters({ inference_geo: "us" })`.
 */
export interface Parameters {
  /** Marks the last block that can be cached. */
  readonly cache_control?: { readonly type: "ephemeral"; readonly ttl?: "5m" | "1h" }
  readonly container?: unknown
  /** Where the model runs. */
  readonly inference_geo?: string
  /** In place of what `thinking` of the request would send. */
  readonly thinking?:
    | { readonly type: "adaptive"; readonly display?: "summarized" | "omitted" }
    | {
        readonly type: "enabled"
        readonly budget_tokens: number
        readonly display?: "summarized" | "omitted"
      }
    | { readonly type: "disabled" }
  /** In place of what `thinking` and `responseFormat` of the request would send. */
  readonly output_config?: { readonly effort?: string; readonly format?: unknown }
  /** Needs a header `anthropic-beta` of the endpoint. */
  readonly context_management?: unknown
  /** Needs a header `anthropic-beta` of the endpoint. */
  readonly mcp_servers?: ReadonlyArray<unknown>
}

/** Anthropic's own parameters, checked by type, as `extra`. */
export const parameters = (own: Parameters): Readonly<Record<string, unknown>> => ({ ...own })

const headers = (endpoint: Endpoint.Endpoint): Readonly<Record<string, string>> => {
  const spoken = { "anthropic-version": endpoint.headers?.["anthropic-version"] ?? version }
  if (endpoint.apiKey === undefined) return spoken
  const key = Redacted.value(endpoint.apiKey)
  return endpoint.keyHeader === "authorization"
    ? { ...spoken, authorization: `Bearer ${key}` }
    : { ...spoken, "x-api-key": key }
}

// other libraries' base URLs have the version in them
const pathOf = ({ baseUrl }: Endpoint.Endpoint): string =>
  /\/v1(?:$|\?)/.test(baseUrl) ? "/messages" : "/v1/messages"

/** The protocol: `POST /v1/messages`. */
export const wire: Wire.Wire = {
  name,
  chargesMaxTokens: false,
  streams: true,
  requestIdHeader: "request-id",
  headers,
  batch: anthropicBatch(pathOf),
  lacks: (request, { endpoint, model }) => AnthropicRequest.lacks(request, endpoint.family ?? model),
  warns: (request) => WireWarnings.ofLateInstructions(name, request),
  encode: (request, { endpoint, model, streaming }) =>
    request._tag === "Chat"
      ? Either.map(AnthropicRequest.encode(request, model, streaming, endpoint.family), (body) => ({
          path: pathOf(endpoint),
          body,
          decode: AnthropicResponse.decode,
          events: streaming ? AnthropicEvents.make : undefined
        }))
      : Either.left(Wire.unsupported(name, request._tag))
}

/** The provider over the `HttpClient` at hand. */
export const make: Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> = Wire.provider(wire)

/** This provider alone, as the {@link Providers} of an application. */
export const layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> = Providers.layer([make])

/**
 * The endpoint that the environment describes: `ANTHROPIC_API_KEY`, or `ANTHROPIC_AUTH_TOKEN` (a token of a gateway,
 * sent as `Authorization: Bearer`), one of which is required; `ANTHROPIC_BASE_URL` (without `/v1`; default Anthropic's
 * own) and `ANTHROPIC_MODEL` (the model of requests that name none).
 */
export const config: Config.Config<Endpoint.Options> = Config.all({
  apiKey: optionalKey("ANTHROPIC_API_KEY"),
  authToken: optionalKey("ANTHROPIC_AUTH_TOKEN"),
  baseUrl: optional("ANTHROPIC_BASE_URL"),
  model: optional("ANTHROPIC_MODEL")
}).pipe(
  Config.mapOrFail(
    ({ apiKey, authToken, baseUrl, model }): Either.Either<Endpoint.Options, ConfigError.ConfigError> => {
      const key = apiKey ?? authToken
      return key === undefined
        ? Either.left(
            ConfigError.MissingData(
              ["ANTHROPIC_API_KEY"],
              "Set the environment variable ANTHROPIC_API_KEY to your Anthropic API key"
            )
          )
        : Either.right({
            provider: name,
            apiKey: key,
            keyHeader: apiKey === undefined ? "authorization" : undefined,
            baseUrl: baseUrl ?? defaultBaseUrl,
            model
          })
    }
  )
)

/** The provider and a router to the one endpoint that `config` describes. */
export const layerConfig = Preset.layerConfig(layer)

/**
 * All that `batch` and `complete` need to ask Anthropic: the endpoint from the environment ({@link config}), a
 * connection pool, a limiter that follows what the server says of its limits, and a cache in memory.
 *
 * @example
 * import { AnthropicLive, batch, Chat } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const requests = ["Why is the sky blue?", "Why is grass green?"].map((prompt) =>
 *   Chat.prompt(prompt, { model: "claude-haiku-4-5" })
 * )
 *
 * Effect.runPromise(batch(requests).pipe(Effect.provide(AnthropicLive)))
 */
export const AnthropicLive: Preset.Live = Preset.live(layerConfig(config))
