/**
 * A JSON Schema by the rules of Cohere's JSON mode: an object at the root, and none of the bounds on numbers, lengths
 * and numbers of items that it does not know, which are said in descriptions instead. They are checked where the answer
 * is decoded.
 *
 * Source: Cohere's guide to structured outputs.
 */
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { merged } from "./schemaAllOf.js"
import { bound, bounds, describe } from "./schemaInWords.js"
import { opened } from "./schemaReference.js"

const dropped: ReadonlySet<string> = new Set([
  "$schema",
  "$id",
  "$comment",
  "additionalProperties",
  "default",
  "description",
  "examples",
  "title"
])

/** What cannot be left out without letting in, or wanting, something else. */
const inexpressible = ["not", "if", "then", "else", "patternProperties", "prefixItems", "dependentSchemas"]

const formats: ReadonlySet<unknown> = new Set(["date-time", "uuid", "date", "time"])

const simplified = (given: unknown): unknown => {
  if (Array.isArray(given)) {
    const items = given.map(simplified)
    return items.includes(undefined) ? undefined : items
  }
  if (!isJsonObject(given)) return given
  const schema = merged(given)
  if (schema === undefined || inexpressible.some((keyword) => schema[keyword] !== undefined)) return undefined
  // a map of any names has no properties to list
  if (isJsonObject(schema.additionalProperties)) return undefined
  const out: Record<string, unknown> = {}
  const said: Array<string> = []
  for (const [keyword, inner] of Object.entries(schema)) {
    if (dropped.has(keyword)) continue
    if (bounds.has(keyword) && !(keyword === "format" && formats.has(inner))) {
      said.push(bound(keyword, inner))
      continue
    }
    const value =
      keyword === "enum" || keyword === "const" || keyword === "required"
        ? inner
        : keyword === "properties" || keyword === "$defs" || keyword === "definitions"
          ? members(inner)
          : simplified(inner)
    if (value === undefined) return undefined
    // it knows one kind of union, which is looser than the other
    out[keyword === "oneOf" ? "anyOf" : keyword] = value
  }
  const description = describe(schema.description, said)
  return description === undefined ? out : { ...out, description }
}

const members = (given: unknown): unknown => {
  if (!isJsonObject(given)) return given
  const out: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(given)) {
    const value = simplified(schema)
    if (value === undefined) return undefined
    out[name] = value
  }
  return out
}

/** An object that must have something: Cohere wants one required property at the root. */
const isRoot = (schema: JsonObject): boolean =>
  schema.type === "object" && Array.isArray(schema.required) && schema.required.length > 0

// the requests of a batch share one schema, most often; `null` stands for none
const adapted = new WeakMap<JsonObject, JsonObject | null>()

/** The schema by the rules; nothing where they cannot say it. */
export const adapt = (schema: JsonObject): JsonObject | undefined => {
  let found = adapted.get(schema)
  if (found === undefined) {
    const whole = opened(schema)
    const simple = isRoot(whole) ? simplified(whole) : undefined
    found = isJsonObject(simple) ? simple : null
    adapted.set(schema, found)
  }
  return found ?? undefined
}
