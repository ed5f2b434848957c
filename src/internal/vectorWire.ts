/** The wire of those who make vectors and rank documents, and nothing else: Voyage and Jina. */
import * as Either from "effect/Either"
import type { LlmError } from "../LlmError.js"
import type { Embedding, Rerank } from "../Request.js"
import type { EmbeddingResponse, RerankResponse } from "../Response.js"
import * as Wire from "../Wire.js"
import { setFields } from "./features.js"
import type { JsonObject } from "./jsonObject.js"

/** How one kind of request is written, and its answer read. */
interface Kind<Request, Response> {
  readonly encode: (request: Request, model: string) => JsonObject
  readonly decode: (body: unknown, asked: Wire.Asked) => Either.Either<Response, LlmError>
}

export const make = (
  name: string,
  kinds: {
    readonly embedding: Kind<Embedding, EmbeddingResponse>
    readonly rerank: Kind<Rerank, RerankResponse>
  }
): Pick<Wire.Wire, "name" | "lacks" | "encode"> => ({
  name,
  lacks: (request) => (request._tag === "Embedding" ? setFields(request, ["safetyIdentifier"]) : []),
  encode: (request, { model }) => {
    switch (request._tag) {
      case "Embedding": {
        const { decode, encode } = kinds.embedding
        return Either.right({ path: "/embeddings", body: encode(request, model), decode })
      }
      case "Rerank": {
        const { decode, encode } = kinds.rerank
        return Either.right({ path: "/rerank", body: encode(request, model), decode })
      }
      case "Chat":
      case "Completion":
        return Either.left(Wire.unsupported(name, request._tag))
    }
  }
})
