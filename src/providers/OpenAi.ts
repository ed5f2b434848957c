/**
 * OpenAI's chat completions, embeddings and legacy completions.
 *
 * Wire: `POST {baseUrl}/chat/completions`, `/embeddings` and `/completions` with a bearer key. Every documented parameter has a field of
 * `Chat` or a name in {@link Parameters}; what OpenAI adds tomorrow goes through `extra` as well.
 *
 * What a model is known to refuse is an `UnsupportedError` before anything is sent: sampling parameters of models
 * that think, and the function tools of GPT-5.4 and later unless `thinking` is `"off"`. An endpoint's `family` says
 * which model answers where its name does not. `topK` is unknown to OpenAI.
 *
 * A response format with `adapt` is rewritten by the rules of strict mode: optional properties become required ones
 * that may be `null`, and the answer's text says `null` for what is absent. `StructuredOutput` reads them as absent.
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Endpoint from "../Endpoint.js"
import { openAiBatch } from "../internal/openAiBatchWire.js"
import * as OpenAiChat from "../internal/openAiChat.js"
import * as Preset from "../internal/preset.js"
import * as Providers from "../Providers.js"
import * as Wire from "../Wire.js"

/** Name of the provider in endpoints and answers. */
export const name = "openai"

/** Where OpenAI's API is. */
export const defaultBaseUrl = "https://api.openai.com/v1"

/**
 * Documented parameters that are OpenAI's alone, for the `extra` of a request:
 * `extra: OpenAi.parameters({ prediction: { type: "content", content: draft } })`.
 */
export interface Parameters {
  readonly audio?: { readonly voice: unknown; readonly format: string }
  readonly modalities?: ReadonlyArray<"text" | "audio">
  readonly moderation?: unknown
  readonly prediction?: { readonly type: "content"; readonly content: unknown }
  readonly prompt_cache_options?: { readonly mode?: "implicit" | "explicit"; readonly ttl?: unknown }
  /** Deprecated by OpenAI for `prompt_cache_options`. */
  readonly prompt_cache_retention?: "in_memory" | "24h"
  readonly web_search_options?: unknown
  /** Deprecated by OpenAI for `safety_identifier`. */
  readonly user?: string
  /** Deprecated by OpenAI for `tool_choice`. */
  readonly function_call?: unknown
  /** Deprecated by OpenAI for `tools`. */
  readonly functions?: ReadonlyArray<unknown>
}

/** OpenAI's own parameters, checked by type, as `extra`. */
export const parameters = (own: Parameters): Readonly<Record<string, unknown>> => ({ ...own })

/** The protocol. */
export const wire: Wire.Wire = { ...OpenAiChat.openAiWire, batch: openAiBatch }

/** The provider over the `HttpClient` at hand. */
export const make: Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> = Wire.provider(wire)

/** This provider alone, as the {@link Providers} of an application. */
export const layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> = Providers.layer([make])

/**
 * The endpoint that the environment describes: `OPENAI_API_KEY` (required), `OPENAI_BASE_URL` or
 * `OPENAI_API_BASE` (default OpenAI's own), `OPENAI_MODEL` (the model of requests that name none),
 * `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID`.
 */
export const config: Config.Config<Endpoint.Options> = Config.zipWith(
  Preset.endpoint(name, defaultBaseUrl, {
    apiKey: Preset.apiKey("OPENAI_API_KEY", "OpenAI"),
    baseUrl: ["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    model: "OPENAI_MODEL"
  }),
  Config.all({
    organization: Preset.optional("OPENAI_ORG_ID"),
    project: Preset.optional("OPENAI_PROJECT_ID")
  }),
  (endpoint, { organization, project }) => ({
    ...endpoint,
    headers: {
      ...(organization === undefined ? undefined : { "openai-organization": organization }),
      ...(project === undefined ? undefined : { "openai-project": project })
    }
  })
)

/** The provider and a router to the one endpoint that `config` describes. */
export const layerConfig = Preset.layerConfig(layer)

/**
 * All that `batch` and `complete` need to ask OpenAI: the endpoint from the environment ({@link config}), a
 * connection pool, a limiter that follows what the server says of its limits, and a cache in memory.
 *
 * @example
 * import { batch, Chat, OpenAILive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const requests = ["Why is the sky blue?", "Why is grass green?"].map((prompt) => Chat.prompt(prompt))
 *
 * Effect.runPromise(batch(requests).pipe(Effect.provide(OpenAILive)))
 */
export const OpenAILive: Preset.Live = Preset.live(layerConfig(config))
