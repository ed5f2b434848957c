/**
 * A JSON Schema by the rules of Mistral's strict mode: objects have the properties they name and no others. Their own
 * SDK rewrites schemas to the same end. Optional properties stay optional.
 */
import { isJsonObject, type JsonObject } from "./jsonObject.js"

const closed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(closed)
  if (!isJsonObject(value)) return value
  const { properties } = value
  const out: Record<string, unknown> = {}
  for (const [keyword, inner] of Object.entries(value)) {
    // the names under these are not keywords, and constants are not schemas
    out[keyword] =
      keyword === "enum" || keyword === "const" || keyword === "default" || keyword === "examples"
        ? inner
        : isNames(keyword) && isJsonObject(inner)
          ? Object.fromEntries(Object.entries(inner).map(([name, schema]) => [name, closed(schema)]))
          : closed(inner)
  }
  return isJsonObject(properties) && value.additionalProperties === undefined
    ? { ...out, additionalProperties: false }
    : out
}

const isNames = (keyword: string): boolean =>
  keyword === "properties" || keyword === "$defs" || keyword === "definitions"

// the requests of a batch share one schema, most often
const adapted = new WeakMap<JsonObject, JsonObject>()

/** The schema with its objects closed. */
export const adapt = (schema: JsonObject): JsonObject => {
  let found = adapted.get(schema)
  if (found === undefined) {
    const { $schema: _, ...rest } = schema
    // an object stays one
    found = closed(rest) as JsonObject
    adapted.set(schema, found)
  }
  return found
}
