/**
 * A JSON Schema that somebody wrote, as a schema that answers are held to: the keywords of structured outputs, in any
 * nesting. What it does not know (`format`, `if`, …) it leaves to the provider.
 */
import * as Equal from "effect/Equal"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { canonicalJson } from "../internal/cacheKey.js"
import { isJsonObject, type JsonObject } from "../internal/jsonObject.js"

interface Issue {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

const same = (one: unknown, other: unknown): boolean =>
  Equal.equals(one, other) || canonicalJson(one) === canonicalJson(other)

const typeOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : typeof value

const isOfType = (type: unknown, value: unknown): boolean =>
  type === "integer" ? Number.isInteger(value) : type === typeOf(value)

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** What a local reference (`#/$defs/name`) points to. */
const resolve = (root: unknown, reference: string): unknown =>
  reference
    .replace(/^#\/?/, "")
    .split("/")
    .filter((part) => part !== "")
    .reduce<unknown>((node, part) => {
      const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~")
      if (Array.isArray(node)) return node[Number(name)]
      return isJsonObject(node) && Object.hasOwn(node, name) ? node[name] : undefined
    }, root)

type Bound = readonly [keyword: string, holds: (value: number, bound: number) => boolean, words: string]

const ofNumbers: ReadonlyArray<Bound> = [
  ["minimum", (value, bound) => value >= bound, "at least"],
  ["maximum", (value, bound) => value <= bound, "at most"],
  ["exclusiveMinimum", (value, bound) => value > bound, "more than"],
  ["exclusiveMaximum", (value, bound) => value < bound, "less than"],
  // 0.3 is three times 0.1 only nearly
  [
    "multipleOf",
    (value, bound) => Math.abs(value / bound - Math.round(value / bound)) < 1e-9,
    "a multiple of"
  ]
]
const ofTexts: ReadonlyArray<Bound> = [
  ["minLength", (length, bound) => length >= bound, "a text with a length of at least"],
  ["maxLength", (length, bound) => length <= bound, "a text with a length of at most"]
]
const ofLists: ReadonlyArray<Bound> = [
  ["minItems", (length, bound) => length >= bound, "a list with a length of at least"],
  ["maxItems", (length, bound) => length <= bound, "a list with a length of at most"]
]

const checkBounds = (node: JsonObject, amount: number, bounds: ReadonlyArray<Bound>) =>
  bounds.flatMap(([keyword, holds, words]): ReadonlyArray<Issue> => {
    const bound = node[keyword]
    return typeof bound !== "number" || holds(amount, bound)
      ? []
      : [{ path: [], message: `expected ${words} ${bound}` }]
  })

const under = (key: string | number, issues: ReadonlyArray<Issue>): ReadonlyArray<Issue> =>
  issues.map(({ message, path }) => ({ path: [key, ...path], message }))

const pattern = (source: string): RegExp | undefined => {
  try {
    return new RegExp(source, "u")
  } catch {
    return undefined
  }
}

/** What of a value does not fit. */
export const issues = (schema: unknown, value: unknown, root: unknown = schema): ReadonlyArray<Issue> => {
  if (schema === false) return [{ path: [], message: "nothing is allowed here" }]
  if (!isJsonObject(schema)) return []
  const found: Array<Issue> = []
  const expect = (holds: boolean, message: string) => {
    if (!holds) found.push({ path: [], message })
  }
  if (typeof schema.$ref === "string") {
    const target = resolve(root, schema.$ref)
    // a reference to itself says nothing
    if (target !== schema) found.push(...issues(target, value, root))
  }
  if (schema.type !== undefined) {
    const types = Array.isArray(schema.type) ? schema.type : [schema.type]
    if (!types.some((type) => isOfType(type, value))) {
      return [{ path: [], message: `expected ${types.join(" or ")}, not ${typeOf(value)}` }]
    }
  }
  if (Object.hasOwn(schema, "const"))
    expect(same(schema.const, value), `expected ${JSON.stringify(schema.const)}`)
  if (Array.isArray(schema.enum)) {
    expect(
      schema.enum.some((one) => same(one, value)),
      `expected one of ${schema.enum.map((one) => JSON.stringify(one)).join(", ")}`
    )
  }
  for (const part of listOf(schema.allOf)) found.push(...issues(part, value, root))
  if (Array.isArray(schema.anyOf)) {
    const branches = schema.anyOf.map((part: unknown) => issues(part, value, root))
    if (!branches.some((branch) => branch.length === 0)) found.push(...(branches[0] ?? []))
  }
  if (Array.isArray(schema.oneOf)) {
    const branches = schema.oneOf.map((part: unknown) => issues(part, value, root))
    const fitting = branches.filter((branch) => branch.length === 0).length
    if (fitting === 0) found.push(...(branches[0] ?? []))
    else expect(fitting === 1, "expected to fit exactly one of the alternatives")
  }
  if (typeof value === "number") found.push(...checkBounds(schema, value, ofNumbers))
  if (typeof value === "string") {
    // lengths are in characters, not in UTF-16 code units
    found.push(...checkBounds(schema, Array.from(value).length, ofTexts))
    if (typeof schema.pattern === "string") {
      expect(
        pattern(schema.pattern)?.test(value) !== false,
        `expected a text of the pattern ${schema.pattern}`
      )
    }
  }
  if (Array.isArray(value)) {
    found.push(...checkBounds(schema, value.length, ofLists))
    const first = listOf(schema.prefixItems)
    for (const [index, item] of value.entries()) {
      found.push(...under(index, issues(index < first.length ? first[index] : schema.items, item, root)))
    }
  }
  if (isJsonObject(value)) {
    const properties = isJsonObject(schema.properties) ? schema.properties : {}
    for (const name of listOf(schema.required)) {
      if (typeof name === "string" && !Object.hasOwn(value, name))
        found.push({ path: [name], message: "missing" })
    }
    for (const [name, member] of Object.entries(value)) {
      const known = Object.hasOwn(properties, name)
      const inner = issues(known ? properties[name] : schema.additionalProperties, member, root)
      found.push(
        ...(!known && schema.additionalProperties === false
          ? [{ path: [name], message: "there is no such property" }]
          : under(name, inner))
      )
    }
  }
  return found
}

/** The schema for `StructuredOutput.withSchema`: the value as it is, if it fits. */
export const make = (jsonSchema: JsonObject): Schema.Schema<unknown> =>
  Schema.declare(
    [],
    {
      decode: () => (value, _options, ast) => {
        const [first, ...rest] = issues(jsonSchema, value).map(({ message, path: [top, ...below] }) => {
          const issue = new ParseResult.Type(ast, value, message)
          return top === undefined ? issue : new ParseResult.Pointer([top, ...below], value, issue)
        })
        return first === undefined
          ? ParseResult.succeed(value)
          : ParseResult.fail(new ParseResult.Composite(ast, value, [first, ...rest]))
      },
      encode: () => (value) => ParseResult.succeed(value)
    },
    { jsonSchema }
  )
