/**
 * A JSON Schema in the form that Anthropic's structured outputs take: every object closed, no bounds on numbers,
 * texts and lists, no recursion. What cannot be enforced is said in the description, so that the model still reads it.
 *
 * Source: Anthropic's guide to structured outputs, and the schema transformation of its SDK.
 */
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { bound, describe } from "./schemaInWords.js"
import { isRecursive, nameOf, opened, referencesIn } from "./schemaReference.js"

const formats: ReadonlySet<string> = new Set([
  "date-time",
  "time",
  "date",
  "duration",
  "email",
  "hostname",
  "uri",
  "ipv4",
  "ipv6",
  "uuid"
])

/** Keywords that stay as they are. */
const kept: ReadonlySet<string> = new Set(["type", "title", "enum", "const", "default", "required", "$ref"])

/** Keywords that say nothing to a model. */
const silent: ReadonlySet<string> = new Set(["$schema", "$id", "$comment", "examples", "description"])

/** What is found on the way: whether all of the schema has a counterpart. */
interface Findings {
  fits: boolean
}

/** Stands for what has none: recursion, objects with any keys, values of any kind. */
const impossible = (findings: Findings): JsonObject => {
  findings.fits = false
  return {}
}

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** Bounds that stand in a list of their own are bounds of the schema; anything else in it is a schema. */
const withOwnBounds = (schema: JsonObject): JsonObject => {
  if (!Array.isArray(schema.allOf)) return schema
  const { allOf, ...rest } = schema
  const others: Array<unknown> = []
  let merged: JsonObject = rest
  for (const branch of allOf) {
    const isBound =
      isJsonObject(branch) && !["type", "$ref", "properties", "anyOf", "oneOf"].some((key) => key in branch)
    if (isBound) merged = { ...branch, ...merged }
    else others.push(branch)
  }
  if (others.length === 0) return merged
  // one schema and nothing else is that schema
  const [only] = others
  if (others.length === 1 && isJsonObject(only) && merged.type === undefined) return { ...only, ...merged }
  return { ...merged, allOf: others }
}

const isOf = (schema: JsonObject, type: string): boolean =>
  schema.type === type || list(schema.type).includes(type)

const object = (schema: JsonObject, findings: Findings): JsonObject => {
  const properties = isJsonObject(schema.properties) ? schema.properties : {}
  const { additionalProperties: open, patternProperties } = schema
  const isOpen = (open !== undefined && open !== false) || patternProperties !== undefined
  // a record: closed, it would always be empty
  if (isOpen && (Object.keys(properties).length === 0 || isJsonObject(open))) return impossible(findings)
  return {
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, value]) => [name, node(value, findings)])
    ),
    additionalProperties: false
  }
}

const node = (given: unknown, findings: Findings): JsonObject => {
  if (!isJsonObject(given)) return impossible(findings)
  const schema = withOwnBounds(given)
  if (schema.$ref !== undefined) return { $ref: schema.$ref }
  const {
    additionalProperties: _open,
    anyOf,
    format,
    items,
    minItems,
    oneOf,
    properties: _,
    ...rest
  } = schema
  const out: Record<string, unknown> = {}
  const constraints: Array<string> = []
  const say = (keyword: string, value: unknown) => constraints.push(bound(keyword, value))
  for (const [keyword, value] of Object.entries(rest)) {
    if (kept.has(keyword)) out[keyword] = value
    else if (keyword === "allOf") out.allOf = list(value).map((part) => branch(part, findings))
    else if (!silent.has(keyword) && keyword !== "$defs" && keyword !== "definitions") say(keyword, value)
  }
  const variants = anyOf ?? oneOf
  if (variants !== undefined) out.anyOf = list(variants).map((variant) => node(variant, findings))
  if (isOf(schema, "object") || isJsonObject(schema.properties)) {
    Object.assign(out, { type: schema.type ?? "object" }, object(schema, findings))
  }
  if (isOf(schema, "array")) {
    out.items = node(items, findings)
  }
  if (minItems === 0 || minItems === 1) out.minItems = minItems
  else if (minItems !== undefined) say("minItems", minItems)
  if (typeof format === "string" && formats.has(format)) out.format = format
  else if (format !== undefined) say("format", format)
  if (!["type", "anyOf", "enum", "const", "allOf"].some((keyword) => keyword in out))
    return impossible(findings)
  const description = describe(schema.description, constraints)
  return description === undefined ? out : { ...out, description }
}

/** References are not taken within `allOf`. */
const branch = (schema: unknown, findings: Findings): JsonObject =>
  isJsonObject(schema) && schema.$ref !== undefined ? impossible(findings) : node(schema, findings)

/** The schema as Anthropic takes it; nothing where it has no such form. */
export const normalise = (given: JsonObject): JsonObject | undefined => {
  const { $defs, ...root } = opened(given)
  const definitions = isJsonObject($defs) ? $defs : {}
  const isKnown = (reference: unknown) => nameOf(reference, definitions) !== undefined
  const references = [root, ...Object.values(definitions)].flatMap((schema) => [...referencesIn(schema)])
  if (!references.every(isKnown)) return undefined
  if (Object.keys(definitions).some((name) => isRecursive(name, definitions))) return undefined
  const findings: Findings = { fits: true }
  const schema = node(root, findings)
  const used = Object.entries(definitions).map(([name, definition]) => [name, node(definition, findings)])
  if (!findings.fits) return undefined
  return used.length === 0 ? schema : { ...schema, $defs: Object.fromEntries(used) }
}
