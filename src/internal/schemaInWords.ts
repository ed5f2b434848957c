/** A JSON Schema, or what of one a server does not take, in words: for models that are not held to it. */
import type { JsonObject } from "./jsonObject.js"

/** What the model is told. */
export const instruction = (schema: JsonObject): string =>
  `Answer with JSON that fits this JSON Schema, and nothing else:\n${JSON.stringify(schema)}`

/** Bounds that servers may not know. */
export const bounds: ReadonlySet<string> = new Set([
  "exclusiveMaximum",
  "exclusiveMinimum",
  "format",
  "maxItems",
  "maxLength",
  "maxProperties",
  "maximum",
  "minItems",
  "minLength",
  "minProperties",
  "minimum",
  "multipleOf",
  "pattern",
  "uniqueItems"
])

/** A bound as it is said in a description. */
export const bound = (keyword: string, value: unknown): string => `${keyword}: ${JSON.stringify(value)}`

/** A description with the bounds that the schema itself cannot hold; `undefined` where there is nothing to say. */
export const describe = (description: unknown, said: ReadonlyArray<string>): string | undefined => {
  const own = typeof description === "string" ? description : undefined
  if (said.length === 0) return own
  const inBraces = `{${said.join(", ")}}`
  return own === undefined ? inBraces : `${own}\n\n${inBraces}`
}
