/**
 * Cohere: chats, embeddings and reranking, by its API v2.
 *
 * Wire: `POST {baseUrl}/chat`, `/embed` and `/rerank` with a bearer key.
 *
 * - A named tool is forced by offering it alone; a tool's `strict` holds for all of them (`strict_tools`).
 * - The plan that comes before tool calls is reasoning, and goes back with the calls.
 * - `usage` counts all tokens, `billedInputTokens` and `billedOutputTokens` those that are paid for: the template
 *   around a prompt is not. Reranking is billed in `searchUnits`.
 * - Embeddings have to say what they are for: `purpose`, `"document"` where there is none. Of several
 *   `embedding_types` the first that was asked for is in `embeddings`, and all are in `raw`.
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import type * as Endpoint from "../Endpoint.js"
import * as CohereEvents from "../internal/cohereEvents.js"
import * as CohereRequest from "../internal/cohereRequest.js"
import * as CohereResponse from "../internal/cohereResponse.js"
import * as Preset from "../internal/preset.js"
import * as WireWarnings from "../internal/wireWarnings.js"
import * as Providers from "../Providers.js"
import * as Wire from "../Wire.js"

/** Name of the provider in endpoints and answers. */
export const name = "cohere"

/** Where Cohere's API is. */
export const defaultBaseUrl = "https://api.cohere.com/v2"

/** Documented parameters that are Cohere's alone, for the `extra` of a request. */
export interface Parameters {
  /** Texts that the model is to ground its answer in, and to cite. */
  readonly documents?: ReadonlyArray<unknown>
  readonly citation_options?: { readonly mode: "ENABLED" | "DISABLED" | "FAST" | "ACCURATE" | "OFF" }
  readonly safety_mode?: "CONTEXTUAL" | "STRICT" | "OFF"
  /** From 0, which is served first. */
  readonly priority?: number
  readonly strict_tools?: boolean
  /** Of embeddings. */
  readonly embedding_types?: ReadonlyArray<"float" | "int8" | "uint8" | "binary" | "ubinary" | "base64">
  /** Of embeddings: what becomes of texts that are too long. */
  readonly truncate?: "NONE" | "START" | "END"
  /** Of embeddings: data URLs, in place of texts. */
  readonly images?: ReadonlyArray<string>
  /** Of embeddings: texts and images together. */
  readonly inputs?: ReadonlyArray<unknown>
  /** Of reranking. */
  readonly max_tokens_per_doc?: number
}

/** Cohere's own parameters, checked by type, as `extra`. */
export const parameters = (own: Parameters): Readonly<Record<string, unknown>> => ({ ...own })

/** The protocol. */
export const wire: Wire.Wire = {
  name,
  streams: true,
  embeddingInputs: 96,
  // more are taken, and advised against
  rerankDocuments: 1_000,
  requestIdHeader: "x-debug-trace-id",
  lacks: CohereRequest.lacks,
  warns: (request) => WireWarnings.ofFailedTools(name, request),
  encode: (request, context) => {
    switch (request._tag) {
      case "Chat":
        return Either.right({
          path: "/chat",
          body: CohereRequest.encodeChat(request, context),
          decode: CohereResponse.decode,
          events: context.streaming ? CohereEvents.events : undefined
        })
      case "Embedding":
        return Either.right({
          path: "/embed",
          body: CohereRequest.encodeEmbedding(request, context.model),
          decode: CohereResponse.decodeEmbedding
        })
      case "Rerank":
        return Either.right({
          path: "/rerank",
          body: CohereRequest.encodeRerank(request, context.model),
          decode: CohereResponse.decodeRerank
        })
      case "Completion":
        return Either.left(Wire.unsupported(name, request._tag))
    }
  }
}

/** The provider over the `HttpClient` at hand. */
export const make: Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> = Wire.provider(wire)

/** This provider alone, as the {@link Providers} of an application. */
export const layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> = Providers.layer([make])

/**
 * The endpoint that the environment describes: `CO_API_KEY` or `COHERE_API_KEY` (one is required),
 * `COHERE_BASE_URL` (default Cohere's own, with its `/v2`) and `COHERE_MODEL` (the model of requests that name none).
 */
export const config: Config.Config<Endpoint.Options> = Preset.endpoint(name, defaultBaseUrl, {
  apiKey: Preset.apiKey("CO_API_KEY", "Cohere", "COHERE_API_KEY"),
  baseUrl: ["COHERE_BASE_URL"],
  model: "COHERE_MODEL"
})

/** The provider and a router to the one endpoint that `config` describes. */
export const layerConfig = Preset.layerConfig(layer)

/**
 * All that `batch` and `complete` need to ask Cohere: the endpoint from the environment ({@link config}), a
 * connection pool, a limiter, and a cache in memory.
 *
 * @example
 * import { batch, CohereLive, Rerank } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const documents = ["Grass is green.", "The sky is blue."]
 * const requests = ["What is blue?", "What is green?"].map(
 *   (query) => new Rerank({ query, documents, model: "rerank-v3.5" })
 * )
 *
 * Effect.runPromise(batch(requests).pipe(Effect.provide(CohereLive)))
 */
export const CohereLive: Preset.Live = Preset.live(layerConfig(config))
