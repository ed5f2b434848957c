/** Made-up vectors and scores: the same for the same text wherever it stands. */
import * as RequestHash from "./RequestHash.js"

/** A unit vector. */
export const unit = (text: string, model: string, seed: number, dimensions: number): Float32Array => {
  const out = new Float32Array(dimensions)
  const hash = RequestHash.ofText(`${model} ${text}`)
  // xorshift32; its state must not be zero
  let state = (hash.high ^ hash.low ^ seed) | 1
  let sum = 0
  for (let i = 0; i < dimensions; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const value = state / 0x80000000
    out[i] = value
    sum += value * value
  }
  const length = Math.sqrt(sum)
  return out.map((value) => value / length)
}

/** How the numbers of a vector are written. */
export type Kind = "float" | "int8" | "uint8" | "binary" | "ubinary"

const bits = (values: Float32Array): ReadonlyArray<number> =>
  Array.from({ length: Math.ceil(values.length / 8) }, (_, i) =>
    values.subarray(8 * i, 8 * i + 8).reduce((byte, value, at) => byte | (value > 0 ? 128 >> at : 0), 0)
  )

const numbers = (values: Float32Array, kind: Kind): ReadonlyArray<number> => {
  switch (kind) {
    case "float":
      return Array.from(values)
    case "int8":
      return Array.from(values, (value) => Math.round(value * 127))
    case "uint8":
      return Array.from(values, (value) => Math.round(value * 127) + 128)
    case "ubinary":
      return bits(values)
    case "binary":
      return bits(values).map((byte) => byte - 128)
  }
}

const bytes = (values: ReadonlyArray<number>, kind: Kind): Buffer => {
  if (kind !== "float") return Buffer.from(values.map((value) => value & 255))
  const buffer = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) buffer.writeFloatLE(value, i * 4)
  return buffer
}

/** The numbers of a vector, as a list or in base64. */
export const write = (values: Float32Array, kind: Kind, base64: boolean): string | ReadonlyArray<number> => {
  const written = numbers(values, kind)
  return base64 ? bytes(written, kind).toString("base64") : written
}

const words = (text: string): ReadonlySet<string> =>
  new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])

/** How well a document fits a query, 0 to 1: the share of the query's words in it, and a little by chance. */
export const fitness = (query: string, document: string): number => {
  const wanted = words(query)
  const found = words(document)
  const shared = [...wanted].filter((word) => found.has(word)).length
  const chance = (RequestHash.ofText(`${query} ${document}`).low % 1000) / 100_000
  return (0.98 * shared) / Math.max(1, wanted.size) + chance
}

/** Documents from the best fit down. */
export const rank = (
  query: string,
  documents: ReadonlyArray<string>,
  most: number | undefined
): ReadonlyArray<{ readonly index: number; readonly relevance_score: number }> =>
  documents
    .map((document, index) => ({ index, relevance_score: fitness(query, document) }))
    .sort((a, b) => b.relevance_score - a.relevance_score)
    .slice(0, most)
