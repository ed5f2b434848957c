/**
 * Strict modes want every property, and so make optional ones nullable: the model writes `null` for what is not
 * there. Here those nulls are taken out again, by the schema as it was before.
 */
import { isJsonObject, type JsonObject } from "./jsonObject.js"

/** How well a value is of the shape of a schema: with nothing else, with more than that, or not. */
type Fit = 2 | 1 | 0

/** A value without its stand-ins, and whether the schema was the right one to find them by. */
interface Pruned {
  readonly value: unknown
  readonly fit: Fit
}

const least = (a: Fit, b: Fit): Fit => (a < b ? a : b)

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** References in a row, at most: some lead in circles. */
const longestChain = 16

const target = (reference: string, root: JsonObject): unknown => {
  if (reference === "#") return root
  const name = /^#\/(\$defs|definitions)\/(.+)$/.exec(reference)
  if (name === null) return undefined
  const defs = root[name[1] ?? ""]
  // as `JSONSchema.make` writes names: a "%" in one stands for itself
  const key = (name[2] ?? "").replaceAll("~1", "/").replaceAll("~0", "~")
  return isJsonObject(defs) ? defs[key] : undefined
}

const resolve = (given: unknown, root: JsonObject): JsonObject | undefined => {
  let schema = given
  for (let hops = 0; hops < longestChain; hops++) {
    if (!isJsonObject(schema)) return undefined
    if (typeof schema.$ref !== "string") return schema
    schema = target(schema.$ref, root)
  }
  return undefined
}

const allowsNull = (given: unknown, root: JsonObject, depth = 0): boolean => {
  const schema = resolve(given, root)
  if (schema === undefined || depth > longestChain) return true
  const { allOf, anyOf, const: constant, enum: values, oneOf, type } = schema
  if (type === "null" || (Array.isArray(type) && type.includes("null"))) return true
  if (constant === null || (Array.isArray(values) && values.includes(null))) return true
  const among = [anyOf, oneOf, allOf].flatMap(list)
  if (among.length > 0) return among.some((variant) => allowsNull(variant, root, depth + 1))
  return type === undefined && values === undefined && constant === undefined
}

const isOf = (value: unknown, type: unknown): boolean => {
  switch (type) {
    case "null":
      return value === null
    case "array":
      return Array.isArray(value)
    case "object":
      return isJsonObject(value)
    case "integer":
      return Number.isInteger(value)
    default:
      return typeof value === type
  }
}

/** Whether the value itself is what the schema says, whatever is in it. */
const suits = (value: unknown, { const: constant, enum: values, type }: JsonObject): boolean => {
  if (type !== undefined && ![type].flat().some((one) => isOf(value, one))) return false
  // lists and objects as constants are too rare to be told apart
  if (typeof value === "object" && value !== null) return true
  if (constant !== undefined && constant !== value) return false
  return !Array.isArray(values) || values.includes(value)
}

class Pruner {
  readonly #root: JsonObject
  /** Variants of variants ask the same again. */
  readonly #known = new Map<object, Map<JsonObject, Pruned>>()

  constructor(root: JsonObject) {
    this.#root = root
  }

  prune(value: unknown, given: unknown, depth = 0): Pruned {
    const schema = resolve(given, this.#root)
    if (schema === undefined || depth > longestChain) return { value, fit: 1 }
    if (typeof value !== "object" || value === null) return this.#anew(value, schema, depth)
    let known = this.#known.get(value)
    if (known === undefined) {
      known = new Map()
      this.#known.set(value, known)
    }
    let found = known.get(schema)
    if (found === undefined) {
      found = this.#anew(value, schema, depth)
      known.set(schema, found)
    }
    return found
  }

  #anew(given: unknown, schema: JsonObject, depth: number): Pruned {
    if (!suits(given, schema)) return { value: given, fit: 0 }
    let value = given
    let fit: Fit = 2
    const take = (pruned: Pruned): void => {
      value = pruned.value
      fit = least(fit, pruned.fit)
    }
    for (const part of list(schema.allOf)) take(this.prune(value, part, depth + 1))
    for (const among of [schema.anyOf, schema.oneOf]) {
      if (Array.isArray(among)) take(this.#best(value, among, depth))
    }
    if (Array.isArray(value)) take(this.#items(value, schema))
    else if (isJsonObject(value) && isJsonObject(schema.properties ?? schema.additionalProperties)) {
      take(this.#members(value, schema))
    }
    return { value, fit }
  }

  /** By the variant that the value is of: what is optional in one may be meant in another. */
  #best(value: unknown, variants: ReadonlyArray<unknown>, depth: number): Pruned {
    let best: Pruned = { value, fit: 0 }
    for (const variant of variants) {
      const pruned = this.prune(value, variant, depth + 1)
      if (pruned.fit > best.fit) best = pruned
      if (best.fit === 2) break
    }
    return best
  }

  #items(values: ReadonlyArray<unknown>, { additionalItems, items, prefixItems }: JsonObject): Pruned {
    const first = Array.isArray(items) ? items : list(prefixItems)
    const others = Array.isArray(items) ? additionalItems : items
    let fit: Fit = 2
    const pruned = values.map((item, index) => {
      const found = this.prune(item, index < first.length ? first[index] : others)
      // what has no schema may be anything
      if (index < first.length || isJsonObject(others)) fit = least(fit, found.fit)
      return found.value
    })
    return { value: pruned, fit }
  }

  #members(value: JsonObject, schema: JsonObject): Pruned {
    const properties = isJsonObject(schema.properties) ? schema.properties : {}
    const { additionalProperties: others } = schema
    const required = list(schema.required)
    // of another kind, by what tells kinds apart: there is no need to look further
    for (const [name, property] of Object.entries(properties)) {
      const { const: constant, enum: values } = resolve(property, this.#root) ?? {}
      const tells = constant !== undefined || values !== undefined
      if (tells && required.includes(name) && !suits(value[name], { const: constant, enum: values })) {
        return { value, fit: 0 }
      }
    }
    let fit: Fit = required.every((name) => typeof name === "string" && Object.hasOwn(value, name)) ? 2 : 0
    const members: Record<string, unknown> = {}
    for (const [name, member] of Object.entries(value)) {
      const isKnown = Object.hasOwn(properties, name)
      const property = isKnown ? properties[name] : others
      if (!isKnown && !isJsonObject(others)) {
        members[name] = member
        fit = least(fit, 1)
        continue
      }
      if (isKnown && member === null && !required.includes(name) && !allowsNull(property, this.#root))
        continue
      const pruned = this.prune(member, property)
      members[name] = pruned.value
      fit = least(fit, pruned.fit)
    }
    return { value: members, fit }
  }
}

/** The value without the nulls that stand for absent properties. */
export const withoutStandIns = (value: unknown, schema: JsonObject): unknown =>
  new Pruner(schema).prune(value, schema).value
