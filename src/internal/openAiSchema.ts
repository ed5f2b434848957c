/**
 * A JSON Schema by the rules of OpenAI's strict mode: an object at the root, every property required, nothing beside
 * the properties, no keyword that the mode does not know.
 *
 * An optional property becomes a required one that may be `null`: the text of the answer says `null` for what is not
 * there. `StructuredOutput` takes these nulls out again before it decodes; who reads the text reads `null` as absent.
 *
 * Source: OpenAI's guide to structured outputs.
 */
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { merged } from "./schemaAllOf.js"
import { opened } from "./schemaReference.js"
import { isObjectSchema } from "./schemaRoot.js"

/** A schema as it is sent: by the rules; or as it was, where they cannot say it (open maps, tuples, conditions). */
export interface Adapted {
  readonly schema: JsonObject
  readonly strict: boolean
}

/** What changes nothing for the model, or is said anew. */
const dropped = new Set([
  "$schema",
  "$id",
  "$comment",
  "$defs",
  "definitions",
  "default",
  "examples",
  "oneOf",
  "anyOf",
  "items",
  "properties",
  "required",
  "additionalProperties"
])

/** What cannot be left out without letting in other values. */
const inexpressible = [
  "not",
  "if",
  "then",
  "else",
  "dependentRequired",
  "dependentSchemas",
  "dependencies",
  "patternProperties",
  "propertyNames",
  "prefixItems",
  "contains",
  "unevaluatedProperties",
  "unevaluatedItems"
]

const limits = {
  properties: 5_000,
  depth: 10,
  enumValues: 1_000,
  characters: 120_000,
  longEnum: 250,
  longEnumCharacters: 15_000
}

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const typesOf = ({ type }: JsonObject): ReadonlyArray<unknown> => (Array.isArray(type) ? type : [type])

const characters = (values: ReadonlyArray<unknown>): number =>
  values.reduce<number>((sum, value) => sum + (typeof value === "string" ? value.length : 0), 0)

/** What has been used of the limits that hold for a whole schema. */
class Size {
  #properties = 0
  #enumValues = 0
  #characters = 0

  names(names: ReadonlyArray<string>): void {
    this.#properties += names.length
    this.#characters += characters(names)
  }

  values(values: ReadonlyArray<unknown>): void {
    this.#enumValues += values.length
    this.#characters += characters(values)
  }

  get fits(): boolean {
    return (
      this.#properties <= limits.properties &&
      this.#enumValues <= limits.enumValues &&
      this.#characters <= limits.characters
    )
  }
}

/** The same, or `null`. */
const nullable = (schema: JsonObject): JsonObject => {
  const { anyOf, const: constant, enum: values, type } = schema
  const isSimple = values === undefined && constant === undefined && anyOf === undefined
  if (isSimple && typesOf(schema).includes("null")) return schema
  if (Array.isArray(anyOf)) {
    const has = anyOf.some((variant) => isJsonObject(variant) && variant.type === "null")
    return has ? schema : { ...schema, anyOf: [...anyOf, { type: "null" }] }
  }
  return isSimple && typeof type === "string"
    ? { ...schema, type: [type, "null"] }
    : { anyOf: [schema, { type: "null" }] }
}

/** The members of an object, which may have no others. */
const closed = (schema: JsonObject, size: Size, depth: number): JsonObject | undefined => {
  const { additionalProperties: others } = schema
  const isOpen = isJsonObject(others) || (others !== false && schema.properties === undefined)
  if (isOpen) return undefined
  const given = isJsonObject(schema.properties) ? schema.properties : {}
  const names = Object.keys(given)
  const required = list(schema.required)
  size.names(names)
  const properties: Record<string, unknown> = {}
  for (const name of names) {
    const property = strictly(given[name], size, depth + 1)
    if (property === undefined) return undefined
    properties[name] = required.includes(name) ? property : nullable(property)
  }
  return { properties, required: names, additionalProperties: false }
}

/** The schema by the rules; nothing where they cannot say it. */
const strictly = (given: unknown, size: Size, depth: number): JsonObject | undefined => {
  if (!isJsonObject(given) || depth > limits.depth) return undefined
  if (inexpressible.some((keyword) => given[keyword] !== undefined)) return undefined
  const schema = merged(given)
  if (schema === undefined) return undefined
  // what cannot be put together with a definition
  if (schema.$ref !== undefined) return Object.keys(schema).length === 1 ? schema : undefined
  const { const: constant, enum: values, items, properties, type } = schema
  // where `oneOf` wants one alone to hold, this is looser; what is decoded is checked
  const variants = schema.anyOf ?? schema.oneOf
  const isObject = typesOf(schema).includes("object") || properties !== undefined
  const saysNothing = [type, properties, variants, values, constant].every((part) => part === undefined)
  if (saysNothing) return undefined
  if (values !== undefined) size.values(list(values))
  if (constant !== undefined) size.values([constant])
  const isLong = list(values).length > limits.longEnum && characters(list(values)) > limits.longEnumCharacters
  if (isLong || !size.fits) return undefined

  const out: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    if (!dropped.has(keyword)) out[keyword] = value
  }
  if (isObject) {
    const members = closed(schema, size, depth)
    if (members === undefined) return undefined
    Object.assign(out, { type: type ?? "object" }, members)
  }
  if (typesOf(schema).includes("array")) {
    const item = strictly(items, size, depth + 1)
    if (item === undefined) return undefined
    out.items = item
  }
  if (variants !== undefined) {
    const strict = list(variants).map((variant) => strictly(variant, size, depth))
    if (strict.includes(undefined)) return undefined
    out.anyOf = strict
  }
  return size.fits ? out : undefined
}

/** The schema for strict mode; as it is, and not strict, where strict mode has no words for it. */
export const adapt = (schema: JsonObject): Adapted => {
  const size = new Size()
  const asItIs = { schema, strict: false }
  const { $defs, ...whole } = opened(schema)
  const root = isObjectSchema(schema) ? strictly(whole, size, 1) : undefined
  if (root === undefined) return asItIs
  const defs: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(isJsonObject($defs) ? $defs : {})) {
    const definition = strictly(given, size, 1)
    if (definition === undefined) return asItIs
    defs[name] = definition
  }
  return { schema: Object.keys(defs).length === 0 ? root : { ...root, $defs: defs }, strict: true }
}

// the requests of a batch share one schema, most often
const adapted = new WeakMap<JsonObject, Adapted>()

/** The same, remembered by the schema. */
export const adaptOnce = (schema: JsonObject): Adapted => {
  let found = adapted.get(schema)
  if (found === undefined) {
    found = adapt(schema)
    adapted.set(schema, found)
  }
  return found
}
