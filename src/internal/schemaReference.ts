/**
 * References in a JSON Schema. Servers take nothing beside a `$ref`: what stands there, such as a description or a bound,
 * is put together with the definition, so that it reaches the model.
 */
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { bound, describe } from "./schemaInWords.js"

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** The definitions of a schema, under either name. */
export const definitionsOf = (schema: JsonObject): JsonObject => ({
  ...(isJsonObject(schema.definitions) ? schema.definitions : undefined),
  ...(isJsonObject(schema.$defs) ? schema.$defs : undefined)
})

const decoded = (name: string): string => {
  try {
    return decodeURIComponent(name)
  } catch {
    // a "%" that stands for itself
    return name
  }
}

/** The name of the definition that a reference leads to; nothing where it leads elsewhere, or nowhere. */
export const nameOf = (reference: unknown, definitions: JsonObject): string | undefined => {
  const found = typeof reference === "string" ? /^#\/(?:\$defs|definitions)\/(.+)$/.exec(reference) : null
  if (found?.[1] === undefined) return undefined
  const name = found[1].replaceAll("~1", "/").replaceAll("~0", "~")
  // `JSONSchema.make` does not encode the rest, others do
  return [name, decoded(name)].find((candidate) => Object.hasOwn(definitions, candidate))
}

/** Under these there are schemas by names, which are no keywords. */
const named: ReadonlySet<string> = new Set(["properties", "patternProperties", "$defs", "definitions"])

/** Under these there are values, whatever they look like. */
const constants: ReadonlySet<string> = new Set(["enum", "const", "default", "examples"])

/** The references in a schema, but for those of its definitions. */
export const referencesIn = (schema: unknown, found: Set<unknown> = new Set()): ReadonlySet<unknown> => {
  if (Array.isArray(schema)) for (const element of schema) referencesIn(element, found)
  if (!isJsonObject(schema)) return found
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === "$ref") found.add(value)
    else if (keyword === "$defs" || keyword === "definitions" || constants.has(keyword)) continue
    else if (named.has(keyword) && isJsonObject(value)) referencesIn(Object.values(value), found)
    else referencesIn(value, found)
  }
  return found
}

/** Whether values of a definition may hold values of the same, or of the whole schema. */
export const isRecursive = (name: string, definitions: JsonObject): boolean => {
  const seen = new Set<string>()
  const reaches = (at: string): boolean =>
    [...referencesIn(definitions[at])].some((reference) => {
      const next = nameOf(reference, definitions)
      if (reference === "#" || next === name) return true
      if (next === undefined || seen.has(next)) return false
      seen.add(next)
      return reaches(next)
    })
  return reaches(name)
}

const lower = new Set(["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"])
const upper = new Set(["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"])
const otherBounds = new Set(["pattern", "format", "multipleOf", "uniqueItems"])
const silent = new Set(["title", "$schema", "$id", "$comment", "examples", "default"])

const isBound = (keyword: string): boolean =>
  lower.has(keyword) || upper.has(keyword) || otherBounds.has(keyword)

/** Whether there are words and bounds alone. */
const isBeside = (schema: JsonObject): boolean =>
  Object.keys(schema).every((keyword) => keyword === "description" || silent.has(keyword) || isBound(keyword))

/** Both at once: of two bounds the closer one, of two texts that of `beside`. Nothing where one schema cannot say it. */
const both = (schema: JsonObject, beside: JsonObject): JsonObject | undefined => {
  const whole: Record<string, unknown> = { ...schema }
  for (const [keyword, value] of Object.entries(beside)) {
    const other = schema[keyword]
    if (otherBounds.has(keyword) && other !== undefined && other !== value) return undefined
    const closer = lower.has(keyword) ? Math.max : upper.has(keyword) ? Math.min : undefined
    whole[keyword] =
      closer !== undefined && typeof value === "number" && typeof other === "number"
        ? closer(value, other)
        : value
  }
  return whole
}

/** A reference and what stands beside it, also where they are parts of a list of schemas that all hold. */
const beside = (schema: JsonObject): { readonly $ref: unknown; readonly others: JsonObject } | undefined => {
  const { allOf, ...rest } = schema
  let reference: unknown
  let others: JsonObject | undefined = {}
  // what stands outside of the list has the last word
  for (const part of [...list(allOf), rest]) {
    if (!isJsonObject(part)) return undefined
    const { $ref, ...more } = part
    if ($ref !== undefined) {
      if (reference !== undefined) return undefined
      reference = $ref
    }
    others = isBeside(more) ? both(others, more) : undefined
    if (others === undefined) return undefined
  }
  return reference === undefined ? undefined : { $ref: reference, others }
}

/** Definitions written out, at most: beyond that the schema would grow too large. */
const mostWrittenOut = 1_000

class Opener {
  readonly #definitions: JsonObject
  readonly #recursive = new Map<string, boolean>()
  #writtenOut = 0

  constructor(definitions: JsonObject) {
    this.#definitions = definitions
  }

  walk(given: unknown): unknown {
    if (Array.isArray(given)) return given.map((element) => this.walk(element))
    return isJsonObject(given) ? this.node(given) : given
  }

  node(given: JsonObject, isRoot = false): JsonObject {
    const found = beside(given)
    if (found === undefined) return this.#inside(given)
    const { $ref, others } = found
    const name = nameOf($ref, this.#definitions)
    const definition = name === undefined ? undefined : this.#definitions[name]
    if (name === undefined || !isJsonObject(definition)) return this.#inside(given)
    const says = Object.keys(others).some((keyword) => !silent.has(keyword))
    if (!isRoot && !says) return this.#inside({ $ref })
    const isFull = this.#writtenOut >= mostWrittenOut
    if (isFull || (!isRoot && this.#isRecursive(name))) {
      return { anyOf: [this.#inside({ $ref })], ...inWords(others) }
    }
    this.#writtenOut++
    const whole = both(definition, others)
    return whole === undefined ? this.#inside({ allOf: [definition, others] }) : this.node(whole, isRoot)
  }

  #inside(schema: JsonObject): JsonObject {
    const out: Record<string, unknown> = {}
    for (const [keyword, value] of Object.entries(schema)) {
      if (keyword === "$ref" && typeof value === "string") {
        out.$ref = value.replace(/^#\/definitions\//, "#/$defs/")
      } else if (constants.has(keyword)) {
        out[keyword] = value
      } else if (named.has(keyword) && isJsonObject(value)) {
        out[keyword] = Object.fromEntries(
          Object.entries(value).map(([name, property]) => [name, this.walk(property)])
        )
      } else {
        out[keyword] = this.walk(value)
      }
    }
    return out
  }

  #isRecursive(name: string): boolean {
    let known = this.#recursive.get(name)
    if (known === undefined) {
      known = isRecursive(name, this.#definitions)
      this.#recursive.set(name, known)
    }
    return known
  }
}

/** What stands beside a reference that is not written out: bounds have no place there but in words. */
const inWords = (others: JsonObject): JsonObject => {
  const bounds = Object.entries(others).filter(([keyword]) => isBound(keyword))
  const description = describe(
    others.description,
    bounds.map(([keyword, value]) => bound(keyword, value))
  )
  return description === undefined ? {} : { description }
}

// the requests of a batch share one schema, most often
const known = new WeakMap<JsonObject, JsonObject>()

/**
 * The schema with nothing beside its references, its root written out, and the definitions that it uses under `$defs`.
 */
export const opened = (schema: JsonObject): JsonObject => {
  let found = known.get(schema)
  if (found === undefined) {
    const definitions = definitionsOf(schema)
    const { $defs: _, definitions: __, ...rest } = schema
    const opener = new Opener(definitions)
    const root = opener.node(rest, true)
    const used: Record<string, unknown> = {}
    const use = (from: unknown): void => {
      for (const reference of referencesIn(from)) {
        const name = nameOf(reference, definitions)
        if (name === undefined || Object.hasOwn(used, name)) continue
        used[name] = opener.walk(definitions[name])
        use(used[name])
      }
    }
    use(root)
    found = Object.keys(used).length === 0 ? root : { ...root, $defs: used }
    known.set(schema, found)
  }
  return found
}
