/** The vectors of an embedding, whichever way they are written: lists of numbers, or their bytes in base64. */
import * as Either from "effect/Either"
import { type LlmError, NetworkError } from "../LlmError.js"
import type { Embedding } from "../Request.js"
import { type EmbeddingResponse, fromEncoded } from "../Response.js"
import type { Usage } from "../Usage.js"
import { type Asked, answered } from "../Wire.js"
import { noAnswer } from "./noAnswer.js"
import { estimatedUsage } from "./tokenEstimate.js"
import { countOf, listOf, objectOf, textOf } from "./wireValues.js"

type Vector = ReadonlyArray<number>

const isNumbers = (value: unknown): value is Vector =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "number")

/** The numbers behind base64, little-endian floats where the type of a number is not another. */
const fromBase64 = (text: string, type: string): Vector | undefined => {
  const { buffer, byteLength, byteOffset } = Buffer.from(text, "base64")
  if (byteLength === 0) return undefined
  if (type === "int8" || type === "binary") return [...new Int8Array(buffer, byteOffset, byteLength)]
  if (type === "uint8" || type === "ubinary") return [...new Uint8Array(buffer, byteOffset, byteLength)]
  if (byteLength % 4 !== 0) return undefined
  const view = new DataView(buffer, byteOffset, byteLength)
  return Array.from({ length: byteLength / 4 }, (_, i) => view.getFloat32(i * 4, true))
}

/** The numbers as the bytes of little-endian 32-bit floats, in base64: the precision in which models make them. */
export const toBase64 = (vector: Vector): string => {
  const bytes = Buffer.allocUnsafe(vector.length * 4)
  for (const [place, number] of vector.entries()) bytes.writeFloatLE(number, place * 4)
  return bytes.toString("base64")
}

/** One vector; nothing where it is none. `type` is that of its numbers: `float`, `int8`, `uint8`, `binary`, `ubinary`. */
export const vectorOf = (value: unknown, type: string): Vector | undefined =>
  typeof value === "string" ? fromBase64(value, type) : isNumbers(value) ? value : undefined

/** The answer of these vectors, if there is one for each input. */
export const respond = (
  body: unknown,
  asked: Asked,
  vectors: ReadonlyArray<Vector | undefined>,
  usage: Usage | undefined
): Either.Either<EmbeddingResponse, LlmError> => {
  const { request } = asked
  const whole = vectors.filter((vector) => vector !== undefined)
  // inputs of other kinds travel in `extra`
  const wanted =
    request._tag === "Embedding" && request.input.length > 0 ? request.input.length : vectors.length
  if (whole.length > 0 && whole.length !== wanted) {
    // it was paid for, and would be so again
    return Either.left(
      new NetworkError({
        provider: asked.provider,
        message: `${whole.length} vectors came back for ${wanted} inputs`,
        shouldRetry: false
      })
    )
  }
  if (whole.length === 0 || whole.length !== vectors.length || whole.length !== wanted) {
    return Either.left(noAnswer(asked, body, `one vector for each of ${wanted} inputs`))
  }
  const response = fromEncoded({
    ...answered(asked, body),
    _tag: "EmbeddingResponse",
    embeddings: whole,
    usage: usage ?? estimatedUsage(asked.request),
    model: textOf(objectOf(body).model) ?? asked.model
  })
  // the tag says so
  return Either.right(response as EmbeddingResponse)
}

/**
 * Reads OpenAI's form of the answer: `data: [{ index, embedding }]` with `usage`, in the order of the indices.
 * `typeOf` tells the type of the numbers that the request asked for.
 */
export const decodeListed =
  (typeOf: (request: Embedding) => unknown) =>
  (body: unknown, asked: Asked): Either.Either<EmbeddingResponse, LlmError> => {
    const { data, usage } = objectOf(body)
    const type = asked.request._tag === "Embedding" ? (textOf(typeOf(asked.request)) ?? "float") : "float"
    const items = listOf(data).map(objectOf)
    const vectors: Array<Vector | undefined> = items.map(() => undefined)
    for (const [place, { embedding, index }] of items.entries()) {
      const told = countOf(index)
      vectors[told !== undefined && told in vectors ? told : place] = vectorOf(embedding, type)
    }
    const { prompt_tokens: prompt, total_tokens: total } = objectOf(usage)
    const inputTokens = countOf(prompt) ?? countOf(total)
    return respond(
      body,
      asked,
      vectors,
      inputTokens === undefined ? undefined : { inputTokens, outputTokens: 0 }
    )
  }
