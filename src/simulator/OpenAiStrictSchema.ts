/**
 * The rules a JSON Schema must keep for OpenAI's strict mode: an object at the root, every property
 * required, `additionalProperties: false` on every object, none of the keywords it does not know.
 */
import { isJsonObject } from "../internal/jsonObject.js"

const refusedKeywords = [
  "oneOf",
  "allOf",
  "not",
  "if",
  "then",
  "else",
  "dependentRequired",
  "dependentSchemas",
  "patternProperties",
  "default"
]

type Node = Readonly<Record<string, unknown>>

const asNode = (value: unknown): Node | undefined => (isJsonObject(value) ? value : undefined)

const context = (path: ReadonlyArray<string>): string =>
  `In context=(${path.map((part) => `'${part}'`).join(", ")}${path.length === 1 ? "," : ""})`

/** What is wrong with a strict schema, in OpenAI's words; undefined if nothing is. */
export const problem = (schema: unknown): string | undefined => {
  const root = asNode(schema)
  if (root === undefined || root["type"] !== "object") {
    const type = root === undefined ? "None" : String(root["type"] ?? "None")
    return `schema must be a JSON Schema of 'type: "object"', got 'type: "${type}"'.`
  }
  return check(root, [])
}

const check = (node: Node, path: ReadonlyArray<string>): string | undefined => {
  for (const keyword of refusedKeywords) {
    if (keyword in node) return `${context(path)}, '${keyword}' is not permitted.`
  }
  const properties = asNode(node["properties"])
  const types = Array.isArray(node["type"]) ? node["type"] : [node["type"]]
  if (types.includes("object") || properties !== undefined) {
    if (node["additionalProperties"] !== false) {
      return `${context(path)}, 'additionalProperties' is required to be supplied and to be false.`
    }
    const required: ReadonlyArray<unknown> = Array.isArray(node["required"]) ? node["required"] : []
    const forgotten = Object.keys(properties ?? {}).find((key) => !required.includes(key))
    if (forgotten !== undefined) {
      return `${context(path)}, 'required' is required to be supplied and to be an array including every key in properties. Missing '${forgotten}'.`
    }
  }
  const children: Array<readonly [ReadonlyArray<string>, unknown]> = [
    ...Object.entries(properties ?? {}).map(([key, child]) => [["properties", key], child] as const),
    ...Object.entries(asNode(node["$defs"]) ?? {}).map(([key, child]) => [["$defs", key], child] as const),
    ...(Array.isArray(node["anyOf"]) ? node["anyOf"] : []).map(
      (child, i) => [["anyOf", String(i)], child] as const
    ),
    ...(node["items"] === undefined ? [] : [[["items"], node["items"]] as const])
  ]
  for (const [step, child] of children) {
    const childNode = asNode(child)
    const found = childNode && check(childNode, [...path, ...step])
    if (found !== undefined) return found
  }
  return undefined
}
