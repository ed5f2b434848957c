/**
 * The rules a JSON Schema must keep for Anthropic's structured outputs: every object closed, no bounds, no recursion.
 */
import { type Body, list, record } from "./AnthropicError.js"

const refusedKeywords: Readonly<Record<string, ReadonlyArray<string>>> = {
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  string: ["minLength", "maxLength", "pattern"],
  array: ["maxItems", "uniqueItems", "contains", "prefixItems"],
  any: ["oneOf", "not", "if", "then", "else", "patternProperties", "propertyNames"]
}

const formats = "date-time time date duration email hostname uri ipv4 ipv6 uuid".split(" ")

/** What is wrong with a schema, undefined if nothing is. */
export const problem = (schema: unknown): string | undefined => {
  const root = record(schema)
  const definitions = record(root["$defs"])

  const check = (given: unknown, above: ReadonlyArray<string>): string | undefined => {
    const node = record(given)
    const reference = node["$ref"]
    if (typeof reference === "string") {
      const name = reference.replace("#/$defs/", "")
      if (above.includes(name)) return "Circular references are not supported"
      return name in definitions
        ? check(definitions[name], [...above, name])
        : `Unresolvable reference: ${reference}`
    }
    return own(node) ?? firstIn(children(node), above)
  }

  const firstIn = (nodes: ReadonlyArray<unknown>, above: ReadonlyArray<string>): string | undefined => {
    for (const node of nodes) {
      const found = check(node, above)
      if (found !== undefined) return found
    }
    return undefined
  }

  return Object.keys(root).length === 0 ? "Schema must not be empty" : check(root, [])
}

const own = (node: Body): string | undefined => {
  for (const [kind, keywords] of Object.entries(refusedKeywords)) {
    const found = keywords.find((keyword) => keyword in node)
    if (found !== undefined) {
      return `For '${kind === "any" ? "object" : kind}' type, property '${found}' is not supported`
    }
  }
  const types = Array.isArray(node["type"]) ? node["type"] : [node["type"]]
  if (types.includes("object") && node["additionalProperties"] !== false) {
    return "For 'object' type, 'additionalProperties' must be explicitly set to false"
  }
  if (Number(node["minItems"] ?? 0) > 1)
    return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
  const { format } = node
  if (format !== undefined && !formats.includes(String(format))) {
    return `String format '${String(format)}' is not supported`
  }
  const says = ["type", "enum", "const", "anyOf", "allOf", "$ref"].some((keyword) => keyword in node)
  return says ? undefined : "Schema without a type is not supported"
}

const children = (node: Body): ReadonlyArray<unknown> => [
  ...Object.values(record(node["properties"])),
  ...list(node["anyOf"]),
  ...list(node["allOf"]),
  ...(node["items"] === undefined ? [] : [node["items"]])
]
