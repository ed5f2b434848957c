/** How an answer is written down in a cache store, and read back. */
import * as Schema from "effect/Schema"
import { CacheStoreError } from "../CacheStore.js"
import type { Request } from "../Request.js"
import { ChatResponse, EmbeddingResponse, fromEncoded, RerankResponse, type Response } from "../Response.js"
import { identityOf, version as keyVersion } from "./cacheKey.js"
import { isJsonObject } from "./jsonObject.js"
import * as PlainAnswer from "./plainAnswer.js"

/** The format of a stored value. */
const version = 1

/** Whether an answer is whole and willing, so that asking again would buy nothing better. */
export const isComplete = (response: Response): boolean =>
  response._tag !== "ChatResponse" ||
  ((response.finishReason === "stop" || response.finishReason === "tool_calls") &&
    response.refusal === undefined)

/** Whether it is an answer at all: a model that failed gave none. */
export const isAnswer = (response: Response): boolean =>
  response._tag !== "ChatResponse" || response.finishReason !== "error"

// `meta` tells of one asking; it is not part of the answer
const Stored = Schema.Struct({
  version: Schema.Literal(version),
  /** The version of the key that the answer lies under. Default 1. */
  keyVersion: Schema.optional(Schema.Number),
  request: Schema.optional(Schema.Unknown),
  response: Schema.encodedSchema(
    Schema.Union(
      ChatResponse.pipe(Schema.omit("meta")),
      EmbeddingResponse.pipe(Schema.omit("meta")),
      RerankResponse.pipe(Schema.omit("meta"))
    )
  )
})
const isOfSchema = Schema.is(Stored)

const besideAnswer: ReadonlySet<string> = new Set(["_tag", "raw"])

const isPlain = (value: unknown): boolean =>
  isJsonObject(value) &&
  value.version === version &&
  (value.keyVersion === undefined || typeof value.keyVersion === "number") &&
  isJsonObject(value.response) &&
  value.response._tag === "ChatResponse" &&
  PlainAnswer.isAnswer(value.response, besideAnswer)

const isStored = (value: unknown): value is typeof Stored.Type => isPlain(value) || isOfSchema(value)

/** `beside` is the request, where it is to be kept with the answer for those who look into the store. */
export const encode = (response: Response, beside: Request | undefined): string => {
  const { meta: _, ...stored } = response
  return JSON.stringify({
    version,
    keyVersion,
    response: stored,
    request: beside === undefined ? undefined : { _tag: beside._tag, ...identityOf(beside) }
  })
}

/** A stored value as it is carried elsewhere. */
export interface Parts {
  readonly keyVersion: number
  /** As it is encoded, without `meta`. */
  readonly response: (typeof Stored.Type)["response"]
  readonly request: unknown
}

const unread = (what: string) => new CacheStoreError({ message: `a stored answer ${what}` })

const parse = (value: string): typeof Stored.Type | CacheStoreError => {
  let stored: unknown
  try {
    stored = JSON.parse(value)
  } catch {
    return unread("is not JSON")
  }
  return isStored(stored) ? stored : unread("has another format")
}

export const partsOf = (value: string): Parts | CacheStoreError => {
  const stored = parse(value)
  if (stored instanceof CacheStoreError) return stored
  return { keyVersion: stored.keyVersion ?? 1, response: stored.response, request: stored.request }
}

/** The value of these parts, or none if they are no answer. */
export const fromParts = (parts: { readonly response: unknown; readonly request: unknown }) => {
  const stored = { version, keyVersion, ...parts }
  return isStored(stored) ? JSON.stringify(stored) : undefined
}

const fromStore: Response["meta"] = { attempts: 0, cached: true, latencyMs: 0 }

export const decode = (value: string): Response | CacheStoreError => {
  const stored = parse(value)
  if (stored instanceof CacheStoreError) return stored
  // it has just been parsed, and nobody else has it
  return fromEncoded(Object.assign(stored.response, { meta: fromStore }))
}
