/**
 * Voyage AI: embeddings and reranking.
 *
 * Wire: `POST {baseUrl}/embeddings` and `/rerank` with a bearer key.
 *
 * - `purpose` tells queries and documents apart; for other purposes Voyage wants to be told none, and is not.
 * - Vectors of other types (`extra: { output_dtype: "int8" }`, `encoding_format: "base64"`) come as numbers as well.
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
export const name = "voyage"

/** Where Voyage's API is. */
export const defaultBaseUrl = "https://api.voyageai.com/v1"

/** Documented parameters that are Voyage's alone, for the `extra` of a request. */
export interface Parameters {
  /** Whether texts that are too long are cut; an error where not. Voyage's default is `true`. */
  readonly truncation?: boolean
  /** Of embeddings: the type of the numbers. */
  readonly output_dtype?: "float" | "int8" | "uint8" | "binary" | "ubinary"
  /** Of embeddings: how the numbers travel; as a list where this is not set. */
  readonly encoding_format?: "base64"
  /** Of reranking: have the documents in `raw` again. */
  readonly return_documents?: boolean
}

/** Voyage's own parameters, checked by type, as `extra`. */
export const parameters = (own: Parameters): Readonly<Record<string, unknown>> => ({ ...own })

const encodeEmbedding = ({ dimensions, extra, input, purpose }: Embedding, model: string): JsonObject => ({
  model,
  input,
  input_type: purpose === "query" || purpose === "document" ? purpose : undefined,
  output_dimension: dimensions,
  ...extra
})

const encodeRerank = ({ documents, extra, query, topN }: Rerank, model: string): JsonObject => ({
  model,
  query,
  documents,
  top_k: topN,
  ...extra
})

const decodeVectors = EmbeddingVectors.decodeListed(({ extra }) => extra?.output_dtype)

const decodeRanking = RankedResults.decode("data", RankedResults.tokenUsage)

/** The protocol. */
export const wire: Wire.Wire = {
  ...VectorWire.make(name, {
    embedding: { encode: encodeEmbedding, decode: decodeVectors },
    rerank: { encode: encodeRerank, decode: decodeRanking }
  }),
  embeddingInputs: 128,
  rerankDocuments: 1_000
}

/** The provider over the `HttpClient` at hand. */
export const make: Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> = Wire.provider(wire)

/** This provider alone, as the {@link Providers} of an application. */
export const layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> = Providers.layer([make])

/**
 * The endpoint that the environment describes: `VOYAGE_API_KEY` (required), `VOYAGE_BASE_URL` (default Voyage's own)
 * and `VOYAGE_MODEL` (the model of requests that name none).
 */
export const config: Config.Config<Endpoint.Options> = Preset.endpoint(name, defaultBaseUrl, {
  apiKey: Preset.apiKey("VOYAGE_API_KEY", "Voyage"),
  baseUrl: ["VOYAGE_BASE_URL"],
  model: "VOYAGE_MODEL"
})

/** The provider and a router to the one endpoint that `config` describes. */
export const layerConfig = Preset.layerConfig(layer)

/**
 * All that `batch` and `complete` need to ask Voyage: the endpoint from the environment ({@link config}), a
 * connection pool, a limiter, and a cache in memory.
 *
 * @example
 * import { complete, Embedding, VoyageLive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const request = new Embedding({ input: ["The sky is blue."], purpose: "document", model: "voyage-3.5" })
 *
 * Effect.runPromise(complete(request).pipe(Effect.provide(VoyageLive)))
 */
export const VoyageLive: Preset.Live = Preset.live(layerConfig(config))
