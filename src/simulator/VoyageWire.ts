/** Voyage's wire: embeddings and reranking. */

import type * as Vectors from "./Vectors.js"
import * as VectorWire from "./VectorWire.js"
import type { Wire, WireOptions } from "./Wire.js"

const types = ["float", "int8", "uint8", "binary", "ubinary"]

/** Makes Voyage's wire. */
export const make = (options: WireOptions): Wire =>
  VectorWire.make(
    {
      name: "voyage",
      embeddingParameters: new Set([
        "encoding_format",
        "input",
        "input_type",
        "model",
        "output_dimension",
        "output_dtype",
        "truncation"
      ]),
      rerankParameters: new Set(["documents", "model", "query", "return_documents", "top_k", "truncation"]),
      dimensions: "output_dimension",
      most: "top_k",
      results: "data",
      values: { input_type: ["query", "document"], output_dtype: types, encoding_format: ["base64"] },
      // one of the types, or it would have been refused
      kindOf: (body) => (body["output_dtype"] ?? "float") as Vectors.Kind,
      isBase64: (body) => body["encoding_format"] === "base64",
      maxInputs: 1000,
      invalid: 400,
      usage: (tokens) => ({ total_tokens: tokens })
    },
    options
  )
