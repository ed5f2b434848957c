/** A snapshot in words, the same on a terminal and in a log. */
import { count } from "../internal/countText.js"
import { format as formatMoney } from "../Prices.js"
import type { Snapshot } from "../Progress.js"
import type { RateName } from "../RateLimiter.js"
import { oneLine, type Style } from "./progressStyle.js"

/** Something to be said, in a style. */
export interface Fact {
  readonly text: string
  readonly style?: Style | undefined
}

export const dollars = (amount: number): string => formatMoney(BigInt(Math.round(amount * 1e12)))

export const duration = (seconds: number): string => {
  const s = Math.ceil(seconds)
  if (s < 60) return `${s}s`
  if (s < 3600) return `${Math.floor(s / 60)}m${String(s % 60).padStart(2, "0")}s`
  return `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}m`
}

export const rate = (perSecond: number): string =>
  `${perSecond < 10 ? perSecond.toFixed(1) : count(perSecond)}/s`

const shortNames: Readonly<Record<RateName, string>> = {
  requestsPerSecond: "rps",
  requestsPerMinute: "rpm",
  requestsPerDay: "rpd",
  tokensPerMinute: "tpm",
  inputTokensPerMinute: "itpm",
  outputTokensPerMinute: "otpm"
}

const reasonName = (name: string): string =>
  Object.hasOwn(shortNames, name) ? shortNames[name as RateName] : name

/** Of the limits in requests, and of those in tokens, the one of which most is used. */
export const limitUse = ({ domains }: Snapshot): ReadonlyArray<Fact> => {
  const uses = domains
    .flatMap(({ limits }) =>
      limits.map((use) => ({ ...use, share: use.limit > 0 ? use.used / use.limit : 1 }))
    )
    .sort((a, b) => b.share - a.share)
  const fullest = [
    uses.find(({ name }) => name.startsWith("requests")),
    uses.find(({ name }) => !name.startsWith("requests"))
  ]
  return fullest
    .filter((use) => use !== undefined)
    .map(({ limit, name, share, used }) => ({
      text: `${shortNames[name]} ${count(used)}/${count(limit)} (${Math.round(share * 100)} %)`,
      style: share >= 0.95 ? "yellow" : undefined
    }))
}

/** How many calls an adaptive concurrency allows. */
const adaptive = ({ domains }: Snapshot): ReadonlyArray<Fact> => {
  const found = domains.filter(({ isAdaptive }) => isAdaptive)
  const allowed = found.reduce((sum, { concurrency = 0 }) => sum + concurrency, 0)
  return found.length === 0 ? [] : [{ text: `up to ${count(allowed)} at once` }]
}

/** What is in flight, and what waits for what. */
export const underWay = (snapshot: Snapshot): ReadonlyArray<Fact> => {
  const { domains, inFlight, waiting } = snapshot
  const longest = [...domains].sort((a, b) => b.waiting - a.waiting)[0]?.waitingFor
  const why = longest === undefined || longest === "pause" ? "" : ` for ${reasonName(longest)}`
  return [
    ...(inFlight === undefined ? [] : [{ text: `${count(inFlight)} in flight` }]),
    ...adaptive(snapshot),
    ...(waiting.limiter === 0 ? [] : [{ text: `${count(waiting.limiter)} waiting${why}` }]),
    ...(waiting.router === 0 ? [] : [{ text: `${count(waiting.router)} waiting for an endpoint` }]),
    ...((waiting.budget ?? 0) === 0
      ? []
      : [{ text: `${count(waiting.budget ?? 0)} waiting for room in the budget` }])
  ]
}

const percent = (part: number, of: number): number => (of > 0 ? Math.round((part / of) * 100) : 100)

/** Dollars so far, and in the end; of a budget, what is held. */
export const costs = ({ cost, done, tokens, total }: Snapshot): ReadonlyArray<Fact> => {
  const { budget, projected, reserved = 0, soFar, unpriced, unsettled = 0 } = cost
  const names = `${oneLine(unpriced.slice(0, 2).join(", "))}${unpriced.length > 2 ? ", …" : ""}`
  const isOver = budget !== undefined && (projected ?? soFar) > budget
  const used = tokens.input + tokens.output
  const ofTokens: ReadonlyArray<Fact> =
    tokens.budget === undefined
      ? []
      : [{ text: `${count(used)} of ${count(tokens.budget)} tokens (${percent(used, tokens.budget)} %)` }]
  if (soFar === 0 && budget === undefined)
    return [
      ...(unpriced.length === 0 ? [] : [{ text: `unpriced: ${names}`, style: "dim" as const }]),
      ...ofTokens
    ]
  return [
    {
      text: `${dollars(soFar)}${projected === undefined || done === total ? "" : ` → ${dollars(projected)}`}`,
      style: isOver ? "yellow" : "cyan"
    },
    ...(budget === undefined
      ? []
      : [
          { text: `of ${dollars(budget)} (${percent(soFar, budget)} %)` },
          ...(reserved === 0 ? [] : [{ text: `${dollars(reserved)} reserved` }]),
          ...(unsettled === 0 ? [] : [{ text: `${dollars(unsettled)} unsettled` }])
        ]),
    ...ofTokens,
    ...(unpriced.length === 0 ? [] : [{ text: `and unpriced: ${names}`, style: "dim" as const }])
  ]
}

/** More pauses than this are counted. */
const mostPauses = 3

/** What holds requests up, one reason a line. */
export const pauses = ({ at, pauses }: Snapshot): ReadonlyArray<string> => {
  const shown = pauses.slice(0, mostPauses).map(({ name, of, reason, until }) => {
    const left = until === undefined ? "" : ` ${duration((until - at) / 1_000)}`
    return `${of === "domain" ? "paused" : "out"}${left}: ${oneLine(name)}: ${oneLine(reason)}`
  })
  return pauses.length <= mostPauses ? shown : [...shown, `and ${pauses.length - mostPauses} more held up`]
}

/** A failed attempt is news for as long as the longest backoff: while all wait for it, it is the reason. */
const newsMs = 75_000

/** Attempts that failed of late, most of which are made again. */
export const trouble = ({ at, failedAttempts: { count: n, last } }: Snapshot): string | undefined =>
  last === undefined || at - last.at > newsMs
    ? undefined
    : `${count(n)} failed ${n === 1 ? "attempt" : "attempts"}, the last: ${oneLine(last.message)}`

/** How far it is, as a share; unknown without a total. */
export const shareOf = ({ done, total }: Snapshot): number | undefined =>
  total === undefined ? undefined : total === 0 ? 1 : Math.min(1, done / total)
