/**
 * A JSON Schema in the words that `responseJsonSchema` knows. Bounds that it does not know are said in descriptions,
 * and what else it does not know is left out, or said in another way: the answer may then be looser than the schema,
 * and `StructuredOutput` checks what it decodes.
 *
 * Source: Google's API description of `GenerationConfig.responseJsonSchema`.
 */
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { bound, bounds, describe } from "./schemaInWords.js"
import { opened } from "./schemaReference.js"

/** Keywords that go as they are. */
const kept = [
  "type",
  "format",
  "title",
  "minItems",
  "maxItems",
  "minimum",
  "maximum",
  "required",
  "propertyOrdering"
]

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** Several schemas that all hold, as one: what two of them say otherwise, the first says. */
const merged = (schema: JsonObject): JsonObject => {
  const { allOf, ...rest } = schema
  let whole: JsonObject = rest
  for (const given of list(allOf)) {
    if (!isJsonObject(given)) continue
    const part = merged(given)
    const properties = [part.properties, whole.properties].filter(isJsonObject)
    const required = [...list(whole.required), ...list(part.required)]
    whole = { ...part, ...whole }
    if (properties.length > 0) whole = { ...whole, properties: Object.assign({}, ...properties) }
    if (required.length > 0) whole = { ...whole, required: [...new Set(required)] }
  }
  return whole
}

/** Bounds that exclude their value: the next whole number, or, looser, the value itself. */
const nearestBounds = (schema: JsonObject): JsonObject => {
  const step = schema.type === "integer" ? 1 : 0
  const { exclusiveMaximum: below, exclusiveMinimum: above } = schema
  return {
    ...(typeof above === "number" && schema.minimum === undefined ? { minimum: above + step } : undefined),
    ...(typeof below === "number" && schema.maximum === undefined ? { maximum: below - step } : undefined)
  }
}

/** What is said of the others. */
const unknownBounds = (schema: JsonObject): ReadonlyArray<string> =>
  Object.entries(schema)
    .filter(([keyword]) => bounds.has(keyword) && !kept.includes(keyword))
    .filter(([keyword]) => schema.type !== "integer" || !keyword.startsWith("exclusive"))
    .map(([keyword, value]) => bound(keyword, value))

/** Enums hold texts and numbers only. */
const choice = (schema: JsonObject): JsonObject => {
  const values = schema.const !== undefined ? [schema.const] : schema.enum
  if (!Array.isArray(values)) return {}
  const type = (value: unknown): string | undefined =>
    value === null ? "null" : typeof value === "boolean" ? "boolean" : undefined
  const listed = values.filter((value) => typeof value === "string" || typeof value === "number")
  const others = [...new Set(values.map(type))].filter((found) => found !== undefined)
  if (others.length === 0) return { enum: listed }
  const variants = others.map((found) => ({ type: found }))
  if (listed.length === 0 && variants.length === 1) return { ...variants[0] }
  return { type: undefined, anyOf: listed.length === 0 ? variants : [{ enum: listed }, ...variants] }
}

const node = (given: unknown): unknown => {
  if (!isJsonObject(given)) return given
  const schema = merged(given)
  // nothing may stand beside a reference
  if (typeof schema.$ref === "string") return { $ref: schema.$ref }
  const out: Record<string, unknown> = {}
  for (const keyword of kept) if (schema[keyword] !== undefined) out[keyword] = schema[keyword]
  Object.assign(out, nearestBounds(schema), choice(schema))
  if (out.type === undefined) delete out.type
  const description = describe(schema.description, unknownBounds(schema))
  if (description !== undefined) out.description = description
  const variants = schema.anyOf ?? schema.oneOf
  if (Array.isArray(variants)) out.anyOf = variants.map(node)
  if (isJsonObject(schema.properties)) out.properties = mapped(schema.properties)
  if (Array.isArray(schema.prefixItems)) out.prefixItems = schema.prefixItems.map(node)
  if (Array.isArray(schema.items)) out.prefixItems = schema.items.map(node)
  else if (schema.items !== undefined) out.items = node(schema.items)
  const open = schema.additionalProperties
  const patterns = isJsonObject(schema.patternProperties) ? Object.values(schema.patternProperties) : []
  // names by pattern are not known: any name will do
  if (patterns.length > 0) out.additionalProperties = patterns.length === 1 ? node(patterns[0]) : true
  else if (open !== undefined) out.additionalProperties = node(open)
  return out
}

const mapped = (schemas: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, node(schema)]))

// the requests of a batch share one schema, most often
const adapted = new WeakMap<JsonObject, JsonObject>()

/** The schema as the server takes it. */
export const adapt = (schema: JsonObject): JsonObject => {
  let found = adapted.get(schema)
  if (found === undefined) {
    const { $defs, ...whole } = opened(schema)
    const root = node(whole)
    found = {
      ...(isJsonObject(root) ? root : undefined),
      ...(isJsonObject($defs) ? { $defs: mapped($defs) } : undefined)
    }
    adapted.set(schema, found)
  }
  return found
}
