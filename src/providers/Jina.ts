/**
 * Jina AI: embeddings and reranking.
 *
 * Wire: `POST {baseUrl}/embeddings` and `/rerank` with a bearer key.
 *
 * - `purpose` becomes a `task`: `retrieval.query`, `retrieval.passage`, `classification`, `separation`. Models that
 *   know others take them from `extra: { task: "code.query" }`.
 * - Vectors of other types (`extra: { embedding_type: "base64" }`) come as numbers as well.
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Endpoint from "../Endpoint.js"
import * as EmbeddingVectors from "../internal/embeddingVectors.js"
import type { JsonObject } from "../internal/jsonObject.js"
import * as Preset from "../internal/preset.js"
import * as RankedResults from "../internal/rankedResults.js"
import * as VectorWire from "../internal/vectorWire.js"
import * as Providers from "../Providers.js"
import type { Embedding, Rerank } from "../Request.js"
import * as Wire from "../Wire.js"

/** Name of the provider in endpoints and answers. */
export const name = "jina"

/** Where Jina's API is. */
export const defaultBaseUrl = "https://api.jina.ai/v1"

/** Documented parameters that are Jina's alone, for the `extra` of a request. */
export interface Parameters {
  /** Of embeddings: what they are for, in Jina's own words. */
  readonly task?: string
  /** Of embeddings: the type of the numbers, or how floats travel. */
  readonly embedding_type?: "float" | "base64" | "binary" | "ubinary"
  /** Of embeddings: whether vectors have length 1. */
  readonly normalized?: boolean
  /** Of embeddings: whether the inputs are parts of one text. */
  readonly late_chunking?: boolean
  readonly truncate?: boolean
  /** Of reranking: whether the documents are in `raw` again. */
  readonly return_documents?: boolean
}

/** Jina's own parameters, checked by type, as `extra`. */
export const parameters = (own: Parameters): Readonly<Record<string, unknown>> => ({ ...own })

const tasks: Readonly<Record<NonNullable<Embedding["purpose"]>, string>> = {
  query: "retrieval.query",
  document: "retrieval.passage",
  classification: "classification",
  clustering: "separation"
}

const encodeEmbedding = ({ dimensions, extra, input, purpose }: Embedding, model: string): JsonObject => ({
  model,
  input,
  task: purpose === undefined ? undefined : tasks[purpose],
  dimensions,
  ...extra
})

const encodeRerank = ({ documents, extra, query, topN }: Rerank, model: string): JsonObject => ({
  model,
  query,
  documents,
  top_n: topN,
  ...extra
})

const decodeVectors = EmbeddingVectors.decodeListed(({ extra }) =>
  // base64 holds floats
  extra?.embedding_type === "base64" ? "float" : extra?.embedding_type
)

const decodeRanking = RankedResults.decode("results", RankedResults.tokenUsage)

/** The protocol. */
export const wire: Wire.Wire = VectorWire.make(name, {
  embedding: { encode: encodeEmbedding, decode: decodeVectors },
  rerank: { encode: encodeRerank, decode: decodeRanking }
})

/** The provider over the `HttpClient` at hand. */
export const make: Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> = Wire.provider(wire)

/** This provider alone, as the {@link Providers} of an application. */
export const layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> = Providers.layer([make])

/**
 * The endpoint that the environment describes: `JINA_API_KEY` (required), `JINA_BASE_URL` (default Jina's own) and
 * `JINA_MODEL` (the model of requests that name none).
 */
export const config: Config.Config<Endpoint.Options> = Preset.endpoint(name, defaultBaseUrl, {
  apiKey: Preset.apiKey("JINA_API_KEY", "Jina"),
  baseUrl: ["JINA_BASE_URL"],
  model: "JINA_MODEL"
})

/** The provider and a router to the one endpoint that `config` describes. */
export const layerConfig = Preset.layerConfig(layer)

/**
 * All that `batch` and `complete` need to ask Jina: the endpoint from the environment ({@link config}), a connection
 * pool, a limiter, and a cache in memory.
 *
 * @example
 * import { complete, JinaLive, Rerank } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const request = new Rerank({
 *   query: "What is blue?",
 *   documents: ["Grass is green.", "The sky is blue."],
 *   topN: 1,
 *   model: "jina-reranker-v2-base-multilingual"
 * })
 *
 * Effect.runPromise(complete(request).pipe(Effect.provide(JinaLive)))
 */
export const JinaLive: Preset.Live = Preset.live(layerConfig(config))
