/**
 * Reads from any provider's answer whether to wait, how long, and what is left of its limits.
 *
 * Of the hints the longest wins: the header (`retry-after-ms`, or else `retry-after`), Gemini's `RetryInfo`, the
 * message's text. Reset headers count where there is none of these. A used-up quota comes before all of them. Dates
 * are measured from the answer's own `Date`, where it has one: the clocks need not agree.
 *
 * A bucket's reset header says when it will be **full**, not when one more request fits. Where a wait has
 * to be made of it, it is the time for one request to flow into an empty one: `reset / limit`.
 *
 * @example
 * import { Throttle } from "floodgate"
 * import * as Duration from "effect/Duration"
 *
 * const { verdict } = Throttle.decode(
 *   "openai",
 *   {
 *     status: 429,
 *     headers: { "retry-after-ms": "1500", "x-ratelimit-limit-requests": "500" },
 *     body: { error: { message: "Rate limit reached. Please try again in 1.5s." } }
 *   },
 *   Date.now()
 * )
 *
 * const told = Throttle.Verdict.$match(verdict, {
 *   None: () => "go on",
 *   Wait: (wait) => `wait ${Duration.toMillis(wait.for)} ms`,
 *   Park: ({ until }) => `come back at ${new Date(until).toISOString()}`,
 *   Fatal: ({ reason }) => `stop: ${reason}`
 * })
 *
 * @module
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import { type ErrorBody, read } from "./internal/errorBody.js"
import { exceedsWholeLimit, exhausted, violations } from "./internal/quota.js"
import { fromGoDuration, fromHeader, fromMessage, fromMillis, instant } from "./internal/waitText.js"

/** The parts of an HTTP answer that are read here. */
export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Parsed JSON; the text where it is not JSON; `undefined` where there is none. Not read on success. */
  readonly body: unknown
}

/** Where a wait was read from. */
export type Source = "retry-after-ms" | "retry-after" | "retry-info" | "message" | "reset" | "remaining"

/**
 * What to do before the next call in the same limit domain.
 *
 * - `None`: the answer asks for nothing.
 * - `Wait`: no call for this long. Never shorter than the server asked.
 * - `Park`: the quota of a long period is used up; `until` (epoch milliseconds) it is known to be empty.
 * - `Fatal`: money or a cap is used up; no wait helps.
 */
export type Verdict = Data.TaggedEnum<{
  None: Record<never, never>
  Wait: { readonly for: Duration.Duration; readonly source: Source }
  Park: { readonly until: number; readonly reason: string }
  Fatal: { readonly reason: string }
}>

/** Constructors and `$match` of {@link Verdict}. */
export const Verdict = Data.taggedEnum<Verdict>()

/** The time over which a limit counts. */
export type Period = "second" | "minute" | "day" | "month" | "unknown"

/** One limit as the server sees it after this call. */
export interface Window {
  readonly limit?: number
  readonly remaining?: number
  /** Until the bucket is full again. **Not** a time to wait. */
  readonly resetAfter?: Duration.Duration
  readonly period: Period
  /**
   * Whether the period is told from these numbers alone, and how a further answer may be measured. One answer does not
   * tell a bucket from a window: the period is then the shorter one that fits.
   */
  readonly isMeasured?: boolean
}

/** All that an answer says about throttling. */
export interface Throttle {
  readonly verdict: Verdict
  /** `x-should-retry` of OpenAI and Anthropic: overrides what the status suggests. */
  readonly shouldRetry?: boolean
  readonly requests?: Window
  /** Input and output together, or where a provider counts only one of them, that one. */
  readonly tokens?: Window
  readonly inputTokens?: Window
  readonly outputTokens?: Window
}

const nothing: Verdict = Verdict.None()

/** Of an answer that says nothing about throttling, and of a call that got no answer. */
export const none: Throttle = { verdict: nothing }

type Mutable<A> = { -readonly [K in keyof A]: A[K] }
type Headers = Answer["headers"]

const waitFor = (millis: number, source: Source): Verdict =>
  Verdict.Wait({ for: Duration.millis(millis), source })

const count = (text: string | undefined): number | undefined => {
  if (text === undefined || text === "") return undefined
  const value = Math.floor(Number(text))
  return value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : undefined
}

const periodMillis = { second: 1_000, minute: 60_000, day: 86_400_000 } as const

/**
 * The time in which a whole bucket flows in, told from its own numbers: 10,000 with one used resets in 6 ms if
 * they are per minute, in 8.64 s if they are per day. Of a window, whose reset is when it ends, it says nothing.
 */
export const bucketPeriod = (limit = 0, remaining = 0, resetMillis = 0): Period => {
  const millis = (resetMillis * limit) / (limit - remaining)
  for (const period of ["second", "minute", "day"] as const) {
    if (millis > periodMillis[period] / 3 && millis < periodMillis[period] * 3) return period
  }
  return "unknown"
}

/** Servers round up: a window of a minute may be said to end in 61 s. */
const slack = 1.05

/** The shortest period whose window can have that long to go, in milliseconds. */
export const windowPeriod = (resetMillis: number): Period => {
  if (resetMillis <= periodMillis.second * slack) return "second"
  if (resetMillis <= periodMillis.minute * slack) return "minute"
  // up to an hour it may be an hour's
  return resetMillis > (periodMillis.day / 24) * slack && resetMillis <= periodMillis.day * slack
    ? "day"
    : "unknown"
}

/** What one answer can say without a risk: as a bucket has it, unless a window of a shorter period fits as well. */
const measuredPeriod = (limit = 0, remaining = 0, resetMillis = 0): Period => {
  const ofBucket = bucketPeriod(limit, remaining, resetMillis)
  if (ofBucket !== "minute" && ofBucket !== "day") return ofBucket
  const ofWindow = windowPeriod(resetMillis)
  return ofWindow === "second" || ofWindow === "minute" ? ofWindow : ofBucket
}

/** OpenAI's limits are per minute, unless the reset is too long for that. A whole bucket says nothing. */
const openAiPeriod = (limit = 0, remaining = 0, resetMillis = 0): Period => {
  if (remaining >= limit) return "unknown"
  return resetMillis > periodMillis.minute * slack && bucketPeriod(limit, remaining, resetMillis) === "day"
    ? "day"
    : "minute"
}

/** Documented periods; `undefined` where the numbers have to tell. */
const documentedPeriod = (provider: string, kind: "requests" | "tokens"): Period | undefined =>
  provider.startsWith("groq")
    ? kind === "requests"
      ? "day"
      : "minute"
    : provider.startsWith("azure") || provider.startsWith("anthropic")
      ? "minute"
      : undefined

/** A limit that is not positive means "unlimited" or "unknown" (Azure sends -1): no window at all. */
const window = (
  limitText: string | undefined,
  remainingText: string | undefined,
  resetText: string | undefined,
  period: Period | ((limit?: number, remaining?: number, resetMillis?: number) => Period),
  now: number
): Window | undefined => {
  const limit = count(limitText)
  if (limitText !== undefined && !(limit !== undefined && limit > 0)) return undefined
  const remaining = count(remainingText)
  const resetMillis = resetText === undefined ? undefined : fromHeader(resetText, now)
  if (limit === undefined && remaining === undefined && resetMillis === undefined) return undefined
  const out: Mutable<Window> = {
    period: typeof period === "string" ? period : period(limit, remaining, resetMillis)
  }
  if (typeof period !== "string") out.isMeasured = true
  if (limit !== undefined) out.limit = limit
  if (remaining !== undefined) out.remaining = remaining
  if (resetMillis !== undefined) out.resetAfter = Duration.millis(resetMillis)
  return out
}

/** OpenAI's headers, and those of Azure, Groq and most compatible servers. */
const readOpenAi = (out: Mutable<Throttle>, provider: string, headers: Headers, now: number): void => {
  for (const kind of ["requests", "tokens"] as const) {
    const period =
      documentedPeriod(provider, kind) ?? (provider.startsWith("openai") ? openAiPeriod : measuredPeriod)
    const found = window(
      headers[`x-ratelimit-limit-${kind}`],
      headers[`x-ratelimit-remaining-${kind}`],
      headers[`x-ratelimit-reset-${kind}`],
      period,
      now
    )
    if (found !== undefined) out[kind] = found
  }
}

const anthropicKinds = [
  ["requests", "requests"],
  ["tokens", "tokens"],
  ["inputTokens", "input-tokens"],
  ["outputTokens", "output-tokens"]
] as const

const readAnthropic = (out: Mutable<Throttle>, headers: Headers, now: number): void => {
  for (const [field, name] of anthropicKinds) {
    const found = window(
      headers[`anthropic-ratelimit-${name}-limit`],
      headers[`anthropic-ratelimit-${name}-remaining`],
      headers[`anthropic-ratelimit-${name}-reset`],
      "minute",
      now
    )
    if (found !== undefined) out[field] = found
  }
}

const readMistral = (out: Mutable<Throttle>, headers: Headers, now: number): void => {
  const of = (what: string, period: Period) =>
    window(
      headers[`x-ratelimit-limit-${what}`],
      headers[`x-ratelimit-remaining-${what}`],
      undefined,
      period,
      now
    )
  const requests = of("req-minute", "minute")
  const tokens =
    of("tokens-minute", "minute") ??
    window(
      headers["x-ratelimitbysize-limit-minute"],
      headers["x-ratelimitbysize-remaining-minute"],
      headers["ratelimitbysize-reset"],
      "minute",
      now
    ) ??
    of("tokens-month", "month")
  if (requests !== undefined) out.requests = requests
  if (tokens !== undefined) out.tokens = tokens
}

/** Gateways, Cohere and OpenRouter: one unnamed limit on requests, fixed windows. */
const readPlain = (out: Mutable<Throttle>, headers: Headers, now: number): void => {
  const found = window(
    headers["x-ratelimit-limit"],
    headers["x-ratelimit-remaining"],
    headers["x-ratelimit-reset"],
    "unknown",
    now
  )
  if (found !== undefined) out.requests ??= found
}

// One look-up for each family that is not there: this runs on every answer.
const readWindows = (out: Mutable<Throttle>, provider: string, headers: Headers, now: number): void => {
  if (
    headers["x-ratelimit-limit-requests"] !== undefined ||
    headers["x-ratelimit-limit-tokens"] !== undefined ||
    headers["x-ratelimit-remaining-requests"] !== undefined ||
    headers["x-ratelimit-remaining-tokens"] !== undefined ||
    headers["x-ratelimit-reset-tokens"] !== undefined
  ) {
    readOpenAi(out, provider, headers, now)
  }
  if (
    headers["anthropic-ratelimit-requests-limit"] !== undefined ||
    headers["anthropic-ratelimit-tokens-limit"] !== undefined ||
    headers["anthropic-ratelimit-input-tokens-limit"] !== undefined ||
    headers["anthropic-ratelimit-output-tokens-limit"] !== undefined
  ) {
    readAnthropic(out, headers, now)
  }
  if (
    headers["x-ratelimit-limit-req-minute"] !== undefined ||
    headers["x-ratelimit-limit-tokens-minute"] !== undefined ||
    headers["x-ratelimitbysize-limit-minute"] !== undefined ||
    headers["x-ratelimit-limit-tokens-month"] !== undefined
  ) {
    readMistral(out, headers, now)
  }
  if (headers["x-ratelimit-remaining"] !== undefined || headers["x-ratelimit-reset"] !== undefined) {
    readPlain(out, headers, now)
  }
}

/** Gemini has no headers, but names the limit it enforced. */
const readViolations = (out: Mutable<Throttle>, body: ErrorBody): void => {
  for (const { id, value } of violations(body)) {
    const limit = count(value)
    if (limit === undefined || limit === 0) continue
    const period = /per_?minute/i.test(id) ? "minute" : /per_?day/i.test(id) ? "day" : "unknown"
    if (/token/i.test(id)) out.inputTokens ??= { limit, period }
    else if (out.requests === undefined || period === "minute") out.requests = { limit, period }
  }
}

/**
 * Until one more request fits, once none are left: a bucket has to let one in, a fixed window has to end.
 * Buckets of tokens are not asked: how many the next request needs is the limiter's to know.
 */
const untilOneMore = (
  provider: string,
  headers: Headers,
  { limit, remaining, resetAfter }: Window
): number => {
  if (remaining !== 0 || resetAfter === undefined) return 0
  const isBucket =
    headers["anthropic-ratelimit-requests-reset"] !== undefined ||
    (headers["x-ratelimit-reset-requests"] !== undefined && !provider.startsWith("azure"))
  const millis = Duration.toMillis(resetAfter)
  return isBucket ? (limit === undefined ? 0 : Math.ceil(millis / limit)) : millis
}

const parse = (
  headers: Headers,
  name: string,
  reader: (text: string, now: number) => number | undefined,
  now: number
): number => {
  const text = headers[name]
  if (text === undefined) return 0
  const value = reader(text, now)
  if (value !== undefined || !text.includes(",")) return value ?? 0
  // a repeated header: the larger; the comma inside an HTTP date is none between values
  return Math.max(...text.split(/,(?!\s*\d{1,2}[ -][a-z]{3})/i).map((part) => reader(part, now) ?? 0))
}

/** The reset headers that are a time to wait, on an answer that was throttled and says nothing clearer. */
const fromResets = (provider: string, headers: Headers, limits: Throttle, now: number): number =>
  Math.max(
    limits.requests === undefined ? 0 : untilOneMore(provider, headers, limits.requests),
    // Azure: seconds to wait. Cohere: the SDK waits for it where there is no retry-after.
    provider.startsWith("azure") ? parse(headers, "x-ratelimit-reset-tokens", fromHeader, now) : 0,
    headers["x-ratelimit-remaining"] === undefined ? parse(headers, "x-ratelimit-reset", fromHeader, now) : 0,
    parse(headers, "anthropic-ratelimit-unified-reset", fromHeader, now)
  )

const retryInfo = (body: ErrorBody): number =>
  body.details.reduce((longest, { retryDelay }) => {
    const delay = typeof retryDelay === "string" ? fromGoDuration(retryDelay) : undefined
    return Math.max(longest, delay ?? 0)
  }, 0)

const mayPass = (status: number): boolean =>
  status === 402 || status === 408 || status === 409 || status === 429 || status === 498 || status >= 500

const failureVerdict = (
  provider: string,
  status: number,
  headers: Headers,
  body: ErrorBody,
  limits: Throttle,
  now: number,
  serverNow: number
): Verdict => {
  const quota = exhausted(provider, status, headers, body, now)
  if (quota !== undefined) {
    return quota.until === undefined
      ? Verdict.Fatal({ reason: quota.reason })
      : Verdict.Park({ until: quota.until, reason: quota.reason })
  }
  if (exceedsWholeLimit(status, body)) return nothing
  const inMillis = parse(headers, "retry-after-ms", fromMillis, now)
  // the same in milliseconds is the more exact
  const after = inMillis > 0 ? 0 : parse(headers, "retry-after", fromHeader, serverNow)
  const info = retryInfo(body)
  const message = mayPass(status) ? (fromMessage(body.message) ?? 0) : 0
  const longest = Math.max(inMillis, after, info, message)
  if (longest > 0) {
    if (longest === inMillis) return waitFor(longest, "retry-after-ms")
    if (longest === after) return waitFor(longest, "retry-after")
    return waitFor(longest, longest === info ? "retry-info" : "message")
  }
  if (status !== 429 && status !== 503 && status !== 529) return nothing
  const reset = fromResets(provider, headers, limits, serverNow)
  if (reset === 0) return nothing
  // OpenRouter's free models: a number of calls a day, and the header says when the day ends.
  return /per[-_ ]day\b/i.test(body.message) && headers["x-ratelimit-reset"] !== undefined
    ? Verdict.Park({ until: now + reset, reason: "daily calls used up" })
    : waitFor(reset, "reset")
}

/** OpenRouter reports the limits of a refused call inside its body. */
const withBodyHeaders = (headers: Headers, body: ErrorBody): Headers => {
  const inside = body.metadata?.["headers"]
  if (typeof inside !== "object" || inside === null) return headers
  const lower = Object.entries(inside).flatMap(([name, value]) =>
    typeof value === "string" || typeof value === "number" ? [[name.toLowerCase(), String(value)]] : []
  )
  return { ...Object.fromEntries(lower), ...headers }
}

/**
 * Decodes one answer. `now` is the wall clock in epoch milliseconds, for dates and epochs.
 *
 * On success the verdict is `None`, unless the server says that no request is left. Unreadable, negative
 * and absurd values (more than a year) count as absent.
 */
export const decode = (provider: string, answer: Answer, now: number): Throttle => {
  const out: Mutable<Throttle> = { verdict: nothing }
  const shouldRetry = answer.headers["x-should-retry"]
  if (shouldRetry === "true" || shouldRetry === "false") out.shouldRetry = shouldRetry === "true"
  if (answer.status >= 200 && answer.status < 300) {
    readWindows(out, provider, answer.headers, now)
    if (out.requests?.remaining === 0) {
      const millis = untilOneMore(provider, answer.headers, out.requests)
      if (millis > 0) out.verdict = waitFor(millis, "remaining")
    }
    return out
  }
  const body = read(answer.body)
  const headers = withBodyHeaders(answer.headers, body)
  const serverNow = instant(headers["date"]?.trim() ?? "") ?? now
  readWindows(out, provider, headers, serverNow)
  readViolations(out, body)
  out.verdict = failureVerdict(provider, answer.status, headers, body, out, now, serverNow)
  return out
}
