/**
 * Tells "no more until somebody pays or the period turns over" from "not so fast": both arrive as 429.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import { type ErrorBody, objects, text } from "./errorBody.js"
import { instant, maxWaitMillis } from "./waitText.js"

type Headers = Readonly<Record<string, string | undefined>>

/** A used-up quota: `until` is when it is known to be refilled (epoch milliseconds), if it is known. */
export interface Exhausted {
  readonly reason: string
  readonly until: number | undefined
}

// OpenAI (as code or as type), Anthropic (402 and `details.error_code`), Moonshot, OpenRouter.
const codes: ReadonlySet<string> = new Set([
  "insufficient_quota",
  "credit_balance_exhausted",
  "organization_spend_limit_exceeded",
  "project_spend_limit_exceeded",
  "organization_usage_limit_exceeded",
  "billing_hard_limit_reached",
  "billing_not_active",
  "billing_error",
  "enforced_spend_limit_reached",
  "exceeded_current_quota_error",
  "insufficient_balance",
  "insufficient_credits"
])

// Anthropic, Gemini, DeepSeek and its like, xAI, OpenRouter. Not "exceeded your current quota": Gemini says
// that of its limits per minute too, and OpenAI sends a code with it.
const texts =
  /credit balance is too low|prepayment credits are depleted|spending cap|insufficient (?:balance|credits?|funds)|used all available credits|monthly spending limit|key limit exceeded/i

const usageLimits = /reached your specified\b.*\busage limits/i
const regainDate = /regain access on (\d{4}-\d{2}-\d{2})(?: at (\d{2}:\d{2}))?/i

const pacific = DateTime.zoneMakeNamed("America/Los_Angeles")

/** Next midnight in California, where Google's days end. */
export const nextPacificMidnight = (now: number): number | undefined =>
  Option.getOrUndefined(
    Option.all([DateTime.make(now), pacific]).pipe(
      Option.map(([at, zone]) =>
        DateTime.setZone(at, zone).pipe(
          DateTime.startOf("day"),
          DateTime.add({ days: 1 }),
          DateTime.toEpochMillis
        )
      )
    )
  )

const future = (until: number | undefined, now: number): number | undefined =>
  until !== undefined && until > now && until - now <= maxWaitMillis ? until : undefined

/** Google's `QuotaFailure` violations, empty if there are none. */
export const violations = (body: ErrorBody): ReadonlyArray<{ readonly id: string; readonly value: string }> =>
  body.details.flatMap(({ violations }) =>
    objects(violations).map(({ quotaId, quotaMetric, quotaValue }) => ({
      id: text(quotaId) ?? text(quotaMetric) ?? "",
      value: text(quotaValue) ?? ""
    }))
  )

const google = (body: ErrorBody, now: number): Exhausted | undefined => {
  const failed = violations(body)
  if (failed.some(({ value }) => value === "0") || /\blimit: 0(?![\d.]*\d)/.test(body.message)) {
    return { reason: "this account's limit for the model is zero", until: undefined }
  }
  const perDay = failed.find(({ id }) => /per_?day/i.test(id))
  // A retryDelay of some seconds may stand beside it: it belongs to the limit per minute.
  return perDay === undefined
    ? undefined
    : { reason: `daily quota used up (${perDay.id})`, until: future(nextPacificMidnight(now), now) }
}

const openRouter = (status: number, body: ErrorBody, now: number): Exhausted | undefined => {
  const source = body.metadata?.["limit_source"]
  if (typeof source !== "string" || status < 402 || status > 403) return undefined
  const resetsAt = body.metadata?.["resets_at"]
  return {
    reason: `budget used up (${source})`,
    until: future(typeof resetsAt === "string" ? instant(resetsAt) : undefined, now)
  }
}

/**
 * Whether OpenRouter refused because calls still running fill the budget: 402, yet it passes by itself.
 */
export const isInFlightBudget = (body: ErrorBody): boolean =>
  body.metadata?.["limit_source"] === "openrouter_in_flight_budget" ||
  /in[-_ ]flight[-_ ]budget/i.test(`${body.code ?? ""} ${body.type ?? ""} ${body.message}`)

/**
 * Whether this one request is larger than the whole limit, so that no wait can help it. OpenAI and Groq
 * send it as 429 or 413: "Request too large for … Limit 10000, Requested 12000".
 */
export const exceedsWholeLimit = (status: number, body: ErrorBody): boolean => {
  if (status === 402)
    return /weight[-_ ]exceeds[-_ ]budget/i.test(`${body.code} ${body.type} ${body.message}`)
  if (status !== 429) return false
  if (/request too large for/i.test(body.message)) return true
  const numbers = /\blimit:? (\d+)\b.{0,60}\brequested:? (\d+)\b/i.exec(body.message)
  return numbers !== null && Number(numbers[2]) > Number(numbers[1])
}

/** The used-up quota a failed answer speaks of, if it does. `headers` have lower-case names. */
export const exhausted = (
  provider: string,
  status: number,
  headers: Headers,
  body: ErrorBody,
  now: number
): Exhausted | undefined => {
  if (isInFlightBudget(body) || exceedsWholeLimit(status, body)) return undefined
  for (const code of [body.code, body.type, body.reason]) {
    if (code !== undefined && codes.has(code)) return { reason: code, until: undefined }
  }
  const known = openRouter(status, body, now)
  if (known !== undefined) return known
  if (status === 402) return { reason: "payment required", until: undefined }
  if (status !== 400 && status !== 403 && status !== 429) return undefined
  if (usageLimits.test(body.message)) {
    const [, date, time] = regainDate.exec(body.message) ?? []
    const until = date === undefined ? undefined : instant(`${date}T${time ?? "00:00"}Z`)
    return { reason: "the account's own spending limit is reached", until: future(until, now) }
  }
  const said = texts.exec(body.message)
  if (said !== null) return { reason: said[0].toLowerCase(), until: undefined }
  if (status !== 429) return undefined
  if (provider.startsWith("mistral")) {
    if (headers["x-ratelimit-limit-req-minute"]?.trim() === "0") {
      return { reason: "this account's limit for the model is zero", until: undefined }
    }
    if (headers["x-ratelimit-remaining-tokens-month"]?.trim() === "0") {
      return { reason: "monthly tokens used up", until: undefined }
    }
  }
  // Cohere's trial keys have a limit per minute, which passes, and one per month, which does not.
  if (/\btrial key\b/i.test(body.message) && !/\/ ?min|per[- ]minute/i.test(body.message)) {
    return { reason: "monthly calls of the trial key used up", until: undefined }
  }
  return google(body, now)
}
