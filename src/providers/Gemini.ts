/**
 * Google's Gemini API.
 *
 * Wire: `POST {baseUrl}/models/{model}:generateContent` (streamed: `:streamGenerateContent?alt=sse`), embeddings by
 * `:embedContent` and `:batchEmbedContents`, with the key in the `x-goog-api-key` header.
 *
 * - System messages become the `systemInstruction`, wherever in the conversation they stand.
 * - Images and documents by `http(s):` URL are fetched and put into the request. What Google fetches itself goes as the
 *   `fileId` of a file part: `files/…` of the Files API, or the address of a video.
 * - `thinking` is a budget of tokens for models up to 2.5 and a level from 3 on; `"dynamic"` leaves it to a 2.5 model.
 *   Where it is set and not off, the thoughts are asked for as well.
 * - `detail` of images is one setting for all images of a request: the finest that any of them asks for.
 * - A prompt that is blocked is a `ContentFilterError`; an answer that is cut off for its content has the finish reason
 *   `content_filter`.
 *
 * Other fields of the body go through `extra`; `extra.generationConfig` is laid over its members.
 *
 * Source: Google's API reference of `models.generateContent`.
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Endpoint from "../Endpoint.js"
import { geminiBatch } from "../internal/geminiBatchWire.js"
import type { Dialect } from "../internal/geminiContents.js"
import * as GeminiEmbedding from "../internal/geminiEmbedding.js"
import * as GeminiWire from "../internal/geminiWire.js"
import * as Preset from "../internal/preset.js"
import * as Providers from "../Providers.js"
import * as Wire from "../Wire.js"

/** Name of the provider in endpoints and answers. */
export const name = "gemini"

/** Where the Gemini API is. */
export const defaultBaseUrl = "https://generativelanguage.googleapis.com/v1beta"

/** Parameters that are Google's alone, for the `extra` of a request. */
export interface Parameters {
  readonly safetySettings?: ReadonlyArray<{ readonly category: string; readonly threshold: string }>
  /** Name of a cache that was made before: `"cachedContents/…"`. */
  readonly cachedContent?: string
  readonly generationConfig?: Readonly<Record<string, unknown>>
  readonly toolConfig?: Readonly<Record<string, unknown>>
}

/** Google's own parameters, checked by type, as `extra`. */
export const parameters = (own: Parameters): Readonly<Record<string, unknown>> => ({ ...own })

const dialect: Dialect = { name, callIds: true, labels: false, tier: "body" }

const path = (model: string): string => GeminiWire.modelPath(model, "models")

/** The protocol: `generateContent`. */
export const wire: Wire.Wire = {
  ...GeminiWire.make({
    dialect,
    path,
    embed: (request, model) =>
      GeminiEmbedding.encode(request, model.includes("/") ? model : `models/${model}`, path(model))
  }),
  batch: geminiBatch
}

/** The provider over the `HttpClient` at hand. */
export const make: Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> = Wire.provider(wire)

/** This provider alone, as the {@link Providers} of an application. */
export const layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> = Providers.layer([make])

/**
 * The endpoint that the environment describes: `GOOGLE_API_KEY`, `GEMINI_API_KEY` or `GOOGLE_GENERATIVE_AI_API_KEY`
 * (one is required; the first of these that is set counts, as in Google's SDK), `GOOGLE_GEMINI_BASE_URL` (with or
 * without the API's version; default Google's own) and `GEMINI_MODEL` (the model of requests that name none).
 */
export const config: Config.Config<Endpoint.Options> = Config.map(
  Preset.endpoint(name, defaultBaseUrl, {
    apiKey: Preset.apiKey("GOOGLE_API_KEY", "Gemini", "GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
    baseUrl: ["GOOGLE_GEMINI_BASE_URL"],
    model: "GEMINI_MODEL"
  }),
  (endpoint) => ({ ...endpoint, baseUrl: GeminiWire.versioned(endpoint.baseUrl, "v1beta") })
)

/** The provider and a router to the one endpoint that `config` describes. */
export const layerConfig = Preset.layerConfig(layer)

/**
 * All that `batch` and `complete` need to ask Gemini: the endpoint from the environment ({@link config}), a connection
 * pool, a limiter that follows what the server says of its limits, and a cache in memory.
 *
 * @example
 * import { batch, Chat, GeminiLive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const requests = ["Why is the sky blue?", "Why is grass green?"].map((prompt) =>
 *   Chat.prompt(prompt, { model: "gemini-2.5-flash" })
 * )
 *
 * Effect.runPromise(batch(requests).pipe(Effect.provide(GeminiLive)))
 */
export const GeminiLive: Preset.Live = Preset.live(layerConfig(config))
