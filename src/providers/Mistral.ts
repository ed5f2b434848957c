/**
 * Mistral: chats, the filling in of gaps in code (`Completion`), and embeddings.
 *
 * Wire: `POST {baseUrl}/chat/completions`, `/fim/completions` and `/embeddings` with a bearer key. Near OpenAI's and
 * stricter: what Mistral does not know is refused, so what it has no counterpart for is an `UnsupportedError` here.
 *
 * - Tool call ids of other providers are rewritten to the nine letters and digits that Mistral takes.
 * - A conversation that ends with the model's own turn is gone on with (`prefix`).
 * - `thinking` is a mode of the Magistral models, on or off; later models have one effort, `"high"`.
 * - Vectors of other types (`extra: { output_dtype: "int8" }`, `encoding_format: "base64"`) come as numbers as well.
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import type * as Endpoint from "../Endpoint.js"
import * as EmbeddingVectors from "../internal/embeddingVectors.js"
import { mistralBatch } from "../internal/mistralBatchWire.js"
import * as MistralEvents from "../internal/mistralEvents.js"
import * as MistralRequest from "../internal/mistralRequest.js"
import * as MistralResponse from "../internal/mistralResponse.js"
import * as Preset from "../internal/preset.js"
import * as WireWarnings from "../internal/wireWarnings.js"
import * as Providers from "../Providers.js"
import * as Wire from "../Wire.js"

/** Name of the provider in endpoints and answers. */
export const name = "mistral"

/** Where Mistral's API is. `https://api.eu.mistral.ai/v1` and `https://api.us.mistral.ai/v1` stay in their region. */
export const defaultBaseUrl = "https://api.mistral.ai/v1"

/** Documented parameters that are Mistral's alone, for the `extra` of a request. */
export interface Parameters {
  /** Puts Mistral's safety prompt before the conversation. */
  readonly safe_prompt?: boolean
  readonly prediction?: { readonly type: "content"; readonly content: string }
  readonly prompt_mode?: "reasoning" | null
  /** Of completions. */
  readonly min_tokens?: number
  /** Of embeddings: the type of the numbers. */
  readonly output_dtype?: "float" | "int8" | "uint8" | "binary" | "ubinary"
  /** Of embeddings: how the numbers travel. */
  readonly encoding_format?: "float" | "base64"
}

/** Mistral's own parameters, checked by type, as `extra`. */
export const parameters = (own: Parameters): Readonly<Record<string, unknown>> => ({ ...own })

const decodeVectors = EmbeddingVectors.decodeListed(({ extra }) => extra?.output_dtype)

/** The protocol. */
export const wire: Wire.Wire = {
  name,
  chargesMaxTokens: true,
  streams: true,
  embeddingInputs: 32,
  embeddingTokens: 16_000,
  batch: mistralBatch,
  requestIdHeader: "mistral-correlation-id",
  lacks: MistralRequest.lacks,
  warns: (request) => WireWarnings.ofFailedTools(name, request),
  encode: (request, context) => {
    switch (request._tag) {
      case "Chat":
        return Either.right({
          path: "/chat/completions",
          body: MistralRequest.encodeChat(request, context),
          decode: MistralResponse.decode,
          events: context.streaming ? MistralEvents.events : undefined
        })
      case "Completion":
        return Either.right({
          path: "/fim/completions",
          body: MistralRequest.encodeCompletion(request, context.model),
          decode: MistralResponse.decode
        })
      case "Embedding":
        return Either.right({
          path: "/embeddings",
          body: MistralRequest.encodeEmbedding(request, context.model),
          decode: decodeVectors
        })
      case "Rerank":
        return Either.left(Wire.unsupported(name, request._tag))
    }
  }
}

/** The provider over the `HttpClient` at hand. */
export const make: Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> = Wire.provider(wire)

/** This provider alone, as the {@link Providers} of an application. */
export const layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> = Providers.layer([make])

/**
 * The endpoint that the environment describes: `MISTRAL_API_KEY` (required), `MISTRAL_BASE_URL` (default Mistral's
 * own) and `MISTRAL_MODEL` (the model of requests that name none).
 */
export const config: Config.Config<Endpoint.Options> = Preset.endpoint(name, defaultBaseUrl, {
  apiKey: Preset.apiKey("MISTRAL_API_KEY", "Mistral"),
  baseUrl: ["MISTRAL_BASE_URL"],
  model: "MISTRAL_MODEL"
})

/** The provider and a router to the one endpoint that `config` describes. */
export const layerConfig = Preset.layerConfig(layer)

/**
 * All that `batch` and `complete` need to ask Mistral: the endpoint from the environment ({@link config}), a
 * connection pool, a limiter that follows what the server says of its limits, and a cache in memory.
 *
 * @example
 * import { batch, Chat, MistralLive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const requests = ["Why is the sky blue?", "Why is grass green?"].map((prompt) =>
 *   Chat.prompt(prompt, { model: "mistral-small-latest" })
 * )
 *
 * Effect.runPromise(batch(requests).pipe(Effect.provide(MistralLive)))
 */
export const MistralLive: Preset.Live = Preset.live(layerConfig(config))
