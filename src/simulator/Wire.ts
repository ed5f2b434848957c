/**
 * What a provider's wire tells the engine: how its requests are read and its answers and errors written.
 * The engine knows limits, faults, latency and the log, and no provider's JSON.
 */

import type { BatchOptions, RawRequest } from "./BatchJobs.js"
import type { Counted } from "./Bill.js"
import type { Rejection, Standing } from "./Limits.js"
import type { RequestHash } from "./RequestHash.js"

/** Headers by lower-case name. */
export type HeaderMap = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** A complete answer that is not generated: an error, a listing. */
export interface Reply {
  readonly _tag: "Reply"
  readonly status: number
  readonly body: string
  readonly headers?: Record<string, string>
}

/** How an answer is bent by a fault, if it is. */
export type Bent = "refusal" | "contentFilter" | "empty" | undefined

/** What an answer is made from, besides the request. */
export interface AnswerContext {
  readonly hash: RequestHash
  readonly seq: number
  readonly attempt: number
  /** Epoch milliseconds. */
  readonly now: number
  readonly seed: number
  /** Tokens drawn for the visible answer, and for the reasoning before it. */
  readonly outputTokens: number
  readonly reasoningTokens: number
  /** Part of the prompt, 0 to 1, that a provider's prompt cache would know. */
  readonly cachedShare: number
  /** Tokens per streamed event. */
  readonly chunkTokens: number
  readonly bent: Bent
}

/**
 * A generated answer: a JSON body, or the server-sent events of a stream, each with its blank line, and the tokens it
 * is billed.
 */
export interface Answer extends Counted {
  readonly body: string | ReadonlyArray<string>
}

/** A request that was read and found right. */
export interface Call {
  readonly _tag: "Call"
  readonly model: string
  /** The text a script's `match` looks at. */
  readonly prompt: string
  readonly inputTokens: number
  /** Most output tokens the request allows, over all its choices, if it says so. */
  readonly maxOutputTokens: number | undefined
  /** The tier that it is billed by, as its answer names it. */
  readonly serviceTier?: string | undefined
  readonly answer: (context: AnswerContext) => Answer
}

/** What lies behind a path. `read` gets the parsed body, undefined if the method carries none. */
export type Route =
  | Reply
  | {
      readonly _tag: "Endpoint"
      readonly read: (body: Readonly<Record<string, unknown>>) => Call | Reply
    }
  /** A step of a batch API: costs nothing by itself, and its body may be anything. */
  | { readonly _tag: "Raw"; readonly answer: (request: RawRequest) => Reply }

/** Settings a wire reads. */
export interface WireOptions {
  readonly strict: boolean
  readonly models: ReadonlyArray<string> | undefined
  readonly contextWindow: number | undefined
  readonly batches?: BatchOptions | undefined
}

/** What the headers of every answer speak of. */
export interface HeaderContext {
  readonly seq: number
  /** Epoch milliseconds. */
  readonly now: number
  readonly hash: RequestHash
  readonly processingMillis: number
  readonly requests: Standing | undefined
  readonly tokens: Standing | undefined
  readonly inputTokens: Standing | undefined
  readonly outputTokens: Standing | undefined
  /** Of a call that has one. */
  readonly serviceTier?: string | undefined
}

/** One provider's wire. */
export interface Wire {
  readonly name: string
  /** What is behind a method and path; undefined if the path is not this wire's. */
  readonly route: (method: string, path: string) => Route | undefined
  /** Whether a request whose path several wires have is for this one. Default: for the first that has the path. */
  readonly claims?: (headers: HeaderMap) => boolean
  readonly unknownPath: (method: string, path: string) => Reply
  /** The API key of a request. */
  readonly credential: (headers: HeaderMap) => string | undefined
  readonly unauthorized: (key: string | undefined) => Reply
  readonly invalidJson: Reply
  readonly bodyTooLarge: Reply
  readonly rateLimited: (rejection: Rejection, model: string) => Reply
  readonly quotaExhausted: Reply
  /** An injected error of any status. */
  readonly failure: (fault: {
    readonly status: number
    readonly code?: string | undefined
    readonly message?: string | undefined
    /** The wait to tell in the body, of the wires that do so. */
    readonly waitMillis?: number
  }) => Reply
  /** How its messages tell a wait. Default: `Please try again in 1.5s.` */
  readonly waitText?: (waitMillis: number) => string
  /** Its headers where no request is left, and one more fits after that time; absent if they do not say when. */
  readonly resetHeaders?: (waitMillis: number, now: number) => Record<string, string>
  readonly headers: (context: HeaderContext) => Record<string, string>
}

/** Two headers most providers send with a refusal that has an end. */
export const retryAfterHeaders = (waitMillis: number): Record<string, string> => ({
  "retry-after": String(Math.ceil(waitMillis / 1000)),
  "retry-after-ms": String(Math.ceil(waitMillis))
})

/** A duration as Go prints it: `20ms`, `1.5s`, `6m0s`, `1h2m3.5s`. */
export const goDuration = (millis: number): string => {
  const whole = Math.ceil(millis)
  if (whole < 1000) return `${whole}ms`
  const hours = Math.floor(whole / 3_600_000)
  const minutes = Math.floor((whole % 3_600_000) / 60_000)
  const seconds = (whole % 60_000) / 1000
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds}s`
}

/** The key of a request with a bearer token. */
export const bearerKey = (headers: HeaderMap): string | undefined => {
  const value = headers["authorization"]
  const key = typeof value === "string" ? /^Bearer\s+(.+)$/i.exec(value)?.[1]?.trim() : undefined
  return key === "" ? undefined : key
}
