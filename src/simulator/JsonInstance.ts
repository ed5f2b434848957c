/**
 * A small value that fits a JSON Schema, for answers and tool arguments that must.
 */
import { isJsonObject } from "../internal/jsonObject.js"

// A node of a schema is JSON from outside: any object, its fields looked at one by one.
type Node = Readonly<Record<string, unknown>>

const asNode = (value: unknown): Node | undefined => (isJsonObject(value) ? value : undefined)

const asList = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const asNumber = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined)

const formats: Readonly<Record<string, string>> = {
  "date-time": "2026-01-02T03:04:05Z",
  date: "2026-01-02",
  time: "03:04:05Z",
  duration: "P1D",
  email: "someone@example.com",
  hostname: "example.com",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  uri: "https://example.com/",
  uuid: "123e4567-e89b-42d3-a456-426614174000"
}

const string = (schema: Node, text: string): string => {
  const format = schema["format"]
  if (typeof format === "string" && formats[format] !== undefined) return formats[format]
  const longest = asNumber(schema["maxLength"]) ?? Number.POSITIVE_INFINITY
  return text.padEnd(asNumber(schema["minLength"]) ?? 0, ".").slice(0, longest)
}

const number = (schema: Node, whole: boolean): number => {
  const step = asNumber(schema["multipleOf"])
  const low = asNumber(schema["minimum"]) ?? asNumber(schema["exclusiveMinimum"])
  const high = asNumber(schema["maximum"]) ?? asNumber(schema["exclusiveMaximum"])
  const open = schema["exclusiveMinimum"] !== undefined || schema["exclusiveMaximum"] !== undefined
  const unit = step ?? (whole ? 1 : open && low !== undefined && high !== undefined ? (high - low) / 2 : 1)
  if (low !== undefined) {
    const first = Math.ceil(low / unit) * unit
    return schema["exclusiveMinimum"] !== undefined && first <= low ? first + unit : first
  }
  if (high !== undefined) {
    const last = Math.floor(high / unit) * unit
    return schema["exclusiveMaximum"] !== undefined && last >= high ? last - unit : last
  }
  return unit
}

// Recursive schemas end here: optional parts are left out, unions take a branch that ends.
const maxDepth = 8

/**
 * A value that fits `schema`; free strings hold `text`. Covers what structured outputs allow: objects,
 * arrays, unions, enums, constants, references, bounds and common formats, not `pattern`.
 */
export const make = (schema: unknown, text: string): unknown => {
  const root = asNode(schema) ?? {}

  const resolve = (reference: string): Node => {
    let at: unknown = root
    for (const part of reference.replace(/^#\/?/, "").split("/")) {
      if (part !== "") at = asNode(at)?.[part.replaceAll("~1", "/").replaceAll("~0", "~")]
    }
    return asNode(at) ?? {}
  }

  const object = (node: Node, depth: number): unknown => {
    const required = new Set(asList(node["required"]))
    const out: Record<string, unknown> = {}
    for (const [key, property] of Object.entries(asNode(node["properties"]) ?? {})) {
      if (required.has(key) || depth < 2) out[key] = value(property, depth + 1)
    }
    return out
  }

  const branch = (branches: ReadonlyArray<unknown>, depth: number): unknown => {
    const ending = branches.find((candidate) => {
      const type = asNode(candidate)?.["type"]
      return type !== undefined && type !== "object" && type !== "array"
    })
    return value(depth >= maxDepth ? (ending ?? branches[0]) : branches[0], depth + 1)
  }

  const value = (part: unknown, depth: number): unknown => {
    const node = asNode(part) ?? {}
    // A schema without an end cannot be filled; null is as good an answer as any.
    if (depth > 2 * maxDepth) return null
    if (typeof node["$ref"] === "string") return value(resolve(node["$ref"]), depth + 1)
    if ("const" in node) return node["const"]
    const choices = asList(node["enum"])
    if (choices.length > 0) return choices[0]
    const branches = [...asList(node["anyOf"]), ...asList(node["oneOf"])]
    if (branches.length > 0) return branch(branches, depth)
    const types = Array.isArray(node["type"]) ? node["type"] : [node["type"]]
    switch (depth >= maxDepth && types.includes("null") ? "null" : types[0]) {
      case "string":
        return string(node, text)
      case "integer":
        return number(node, true)
      case "number":
        return number(node, false)
      case "boolean":
        return true
      case "null":
        return null
      case "array": {
        const least = asNumber(node["minItems"]) ?? 1
        const most = asNumber(node["maxItems"]) ?? Number.POSITIVE_INFINITY
        const length = depth >= maxDepth ? (asNumber(node["minItems"]) ?? 0) : Math.min(least, most)
        return Array.from({ length }, () => value(node["items"], depth + 1))
      }
      default:
        return node["properties"] !== undefined || types[0] === "object" ? object(node, depth) : text
    }
  }

  return value(root, 0)
}
