/** Jina's wire: embeddings and reranking. */

import type * as Vectors from "./Vectors.js"
import * as VectorWire from "./VectorWire.js"
import type { Wire, WireOptions } from "./Wire.js"

const tasks = [
  "retrieval.query",
  "retrieval.passage",
  "text-matching",
  "classification",
  "separation",
  "code.query",
  "code.passage"
]

/** Makes Jina's wire. */
export const make = (options: WireOptions): Wire =>
  VectorWire.make(
    {
      name: "jina",
      embeddingParameters: new Set([
        "dimensions",
        "embedding_type",
        "input",
        "late_chunking",
        "model",
        "normalized",
        "task",
        "truncate"
      ]),
      rerankParameters: new Set(["documents", "model", "query", "return_documents", "top_n", "truncation"]),
      dimensions: "dimensions",
      most: "top_n",
      results: "results",
      values: { task: tasks, embedding_type: ["float", "base64", "binary", "ubinary"] },
      kindOf: ({ embedding_type: type }) =>
        // one of the types, or it would have been refused
        type === undefined || type === null || type === "base64" ? "float" : (type as Vectors.Kind),
      isBase64: (body) => body["embedding_type"] === "base64",
      maxInputs: 2048,
      invalid: 422,
      usage: (tokens) => ({ total_tokens: tokens, prompt_tokens: tokens })
    },
    options
  )
