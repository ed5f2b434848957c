/** Fields of an answer as they should be, absent where they are of another type: the answer is paid for. */
import { isJsonObject, type JsonObject } from "./jsonObject.js"

/** A text that says something. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

/** A number, which some servers write as text. */
export const numberOf = (value: unknown): number | undefined => {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value
  return typeof number === "number" && Number.isFinite(number) ? number : undefined
}

/** How many there are of something, such as tokens. */
export const countOf = (value: unknown): number | undefined => {
  const count = numberOf(value)
  return count !== undefined && count >= 0 ? count : undefined
}

/** A list; empty where there is none. */
export const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** An object; empty where there is none. */
export const objectOf = (value: unknown): JsonObject => (isJsonObject(value) ? value : {})

/** The arguments of a tool call as text, which some servers send as the object itself. */
export const argumentsOf = (value: unknown): string =>
  typeof value === "string" ? value : value == null ? "" : JSON.stringify(value)
