/** How an answer is written down in a cache store, and read back. */
import * as Schema from "effect/Schema"
import { CacheStoreError } from "../CacheStore.js"
import type { Request } from "../Request.js"
import { ChatResponse, fromFields, type Response } from "../Response.js"
import { identityOf } from "./cacheKey.js"

/** The format of a stored value. */
const version = 1

/** Whether an answer is whole and willing, so that asking again would buy nothing better. */
export const isComplete = (response: Response): boolean =>
  (response.finishReason === "stop" || response.finishReason === "tool_calls") &&
  response.refusal === undefined

/** Whether it is an answer at all: a model that failed gave none. */
export const isAnswer = (response: Response): boolean => response.finishReason !== "error"

// `meta` tells of one asking; it is not part of the answer
const Stored = Schema.Struct({
  version: Schema.Literal(version),
  response: Schema.encodedSchema(ChatResponse.pipe(Schema.omit("meta")))
})
const isStored = Schema.is(Stored)

/** `beside` is the request, where it is to be kept with the answer for those who look into the store. */
export const encode = (response: Response, beside: Request | undefined): string => {
  const { meta: _, ...stored } = response
  return JSON.stringify({
    version,
    response: stored,
    request: beside === undefined ? undefined : { _tag: beside._tag, ...identityOf(beside) }
  })
}

const fromStore: Response["meta"] = { attempts: 0, cached: true, latencyMs: 0 }

export const decode = (value: string): Response | CacheStoreError => {
  let stored: unknown
  try {
    stored = JSON.parse(value)
  } catch {
    return new CacheStoreError({ message: "a stored answer is not JSON" })
  }
  return isStored(stored)
    ? fromFields({ ...stored.response, meta: fromStore })
    : new CacheStoreError({ message: "a stored answer has another format" })
}
