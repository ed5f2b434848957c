/**
 * The identity of a request: two requests with one key are the same question.
 */
import * as crypto from "node:crypto"
import type { Request } from "../Request.js"
import type { Resolved } from "../Router.js"

/** Raised when the meaning of a key changes, so that old answers are never read as new ones. */
export const version = 1

/**
 * Fields of a request that cannot change its answer, and its kind, which goes before them. Of `cache` only the
 * sample matters, which goes after them.
 */
const notIdentity: ReadonlySet<string> = new Set(["_tag", "id", "metadata", "cache", "task"])

/** Names by UTF-16 code units, in place: there are few, and `sort` takes ten times the memory for so few. */
const sorted = (names: Array<string>): ReadonlyArray<string> => {
  if (names.length > 16) return names.sort()
  for (let end = 1; end < names.length; end++) {
    const name = names[end] as string
    let at = end
    for (; at > 0 && (names[at - 1] as string) > name; at--) names[at] = names[at - 1] as string
    names[at] = name
  }
  return names
}

/**
 * Canonical JSON after RFC 8785: members sorted by UTF-16 code units, no white space, numbers and strings as
 * ECMAScript writes them; members that are `undefined` are not there.
 */
export const canonicalJson = (value: unknown): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null"
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`
  // only enumerable own members: class instances and plain objects of the same shape are equal
  const members = value as Readonly<Record<string, unknown>>
  let json = ""
  for (const name of sorted(Object.keys(members))) {
    const member = members[name]
    if (member === undefined || typeof member === "function") continue
    json += `${json === "" ? "" : ","}${JSON.stringify(name)}:${canonicalJson(member)}`
  }
  return `{${json}}`
}

/** What of a request can change its answer. */
export const identityOf = (request: Request): Readonly<Record<string, unknown>> => {
  const identity: Record<string, unknown> = {}
  for (const field of Object.keys(request)) {
    if (!notIdentity.has(field)) identity[field] = request[field as keyof Request]
  }
  return identity
}

// in one call it is half as costly, where Node has it: from 20.12 on
export const sha256: (text: string) => string =
  typeof crypto.hash === "function"
    ? (text) => crypto.hash("sha256", text, "base64url")
    : (text) => crypto.createHash("sha256").update(text).digest("base64url")

/**
 * SHA-256 of the canonical request with its kind, the source of its answers and the sample asked for, in base64url
 * (43 characters). Sample 0 is the question itself.
 */
export const cacheKey = ({ request, source }: Resolved): string => {
  const sample = request.cache?.sample ?? 0
  // canonical JSON has no line breaks: what follows one cannot be taken for a part of it
  const suffix = sample === 0 ? "" : `\nsample ${sample}`
  return sha256(
    `floodgate/${version}\n${request._tag}\n${source}\n${canonicalJson(identityOf(request))}${suffix}`
  )
}
