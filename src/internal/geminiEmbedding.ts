/**
 * Embeddings in Google's two wire forms: `embedContent` and `batchEmbedContents` of the Gemini API, `predict` of
 * Vertex AI. Vectors come as they are sent: those that were shortened may not have the length 1.
 */
import * as Either from "effect/Either"
import type { LlmError } from "../LlmError.js"
import type { Embedding } from "../Request.js"
import { fromEncoded, type Response } from "../Response.js"
import type { Usage } from "../Usage.js"
import { type Asked, answered, type WireCall } from "../Wire.js"
import { notAnswer, usageOf } from "./geminiResponse.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { estimatedUsage } from "./tokenEstimate.js"
import { listOf } from "./wireValues.js"

const taskTypes = {
  query: "RETRIEVAL_QUERY",
  document: "RETRIEVAL_DOCUMENT",
  classification: "CLASSIFICATION",
  clustering: "CLUSTERING"
} as const

const isVector = (value: unknown): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.length > 0 && value.every((number) => typeof number === "number")

/** The answer of these vectors, if there is one for each text. */
const response = (
  asked: Asked,
  body: unknown,
  vectors: ReadonlyArray<unknown>,
  told: Usage | undefined
): Either.Either<Response, LlmError> => {
  const { request } = asked
  const texts = request._tag === "Embedding" ? request.input.length : 0
  if (vectors.length !== texts || !vectors.every(isVector)) {
    return Either.left(notAnswer(asked, `the answer does not hold a vector for each of the ${texts} texts`))
  }
  return Either.right(
    fromEncoded({
      _tag: "EmbeddingResponse",
      ...answered(asked, body),
      embeddings: vectors,
      usage: told ?? estimatedUsage(request)
    })
  )
}

const member = (value: unknown, name: string): unknown => (isJsonObject(value) ? value[name] : undefined)

// --- the Gemini API ----------------------------------------------------------------------------------------

const decode: WireCall["decode"] = (body, asked) => {
  const one = member(body, "embedding")
  const all = one === undefined ? listOf(member(body, "embeddings")) : [one]
  return response(
    asked,
    body,
    all.map((embedding) => member(embedding, "values")),
    usageOf(member(body, "usageMetadata"))
  )
}

/** One text by itself, several in a batch; `extra` goes with each. */
export const encode = (request: Embedding, model: string, path: string): WireCall => {
  const { dimensions, extra, input, purpose } = request
  const one = (text: string): JsonObject => ({
    model,
    content: { parts: [{ text }] },
    ...(purpose === undefined ? undefined : { taskType: taskTypes[purpose] }),
    ...(dimensions === undefined ? undefined : { outputDimensionality: dimensions }),
    ...extra
  })
  const [first] = input
  return input.length === 1 && first !== undefined
    ? { path: `${path}:embedContent`, body: one(first), decode }
    : { path: `${path}:batchEmbedContents`, body: { requests: input.map(one) }, decode }
}

// --- Vertex AI ---------------------------------------------------------------------------------------------

const decodePredictions: WireCall["decode"] = (body, asked) => {
  const embeddings = listOf(member(body, "predictions")).map((prediction) => member(prediction, "embeddings"))
  const counts = embeddings.map((embedding) => member(member(embedding, "statistics"), "token_count"))
  const isTold = counts.every((count) => typeof count === "number")
  const inputTokens = counts.reduce<number>((sum, count) => sum + (typeof count === "number" ? count : 0), 0)
  return response(
    asked,
    body,
    embeddings.map((embedding) => member(embedding, "values")),
    isTold ? { inputTokens, outputTokens: 0 } : undefined
  )
}

/** `extra` is laid over the body, and within `parameters` over its members. */
export const encodePredict = (request: Embedding, path: string): WireCall => {
  const { dimensions, extra, input, purpose } = request
  const { parameters, ...rest } = extra ?? {}
  const settings = {
    ...(dimensions === undefined ? undefined : { outputDimensionality: dimensions }),
    ...(isJsonObject(parameters) ? parameters : undefined)
  }
  return {
    path: `${path}:predict`,
    body: {
      instances: input.map((content) => ({
        content,
        ...(purpose === undefined ? undefined : { task_type: taskTypes[purpose] })
      })),
      ...(Object.keys(settings).length === 0 ? undefined : { parameters: settings }),
      ...rest
    },
    decode: decodePredictions
  }
}
