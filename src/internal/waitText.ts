/**
 * The ways servers write a time to wait, each read into milliseconds from now.
 *
 * Whatever cannot be a wait (negative, not a number, more than a year) reads as `undefined`, never as a
 * short wait. Fractions of a millisecond are rounded up: a wait may be longer than asked, not shorter.
 */

/** Longest wait believed. Beyond it a value is some other number in the wrong place. */
export const maxWaitMillis = 365 * 24 * 60 * 60 * 1000

// Rounded to the microsecond first, or 5.289 s would become 5290 ms where its product is a hair above.
const wait = (millis: number): number | undefined =>
  millis <= maxWaitMillis ? Math.max(0, Math.ceil(Math.round(millis * 1000) / 1000)) : undefined

const decimal = /^\d+(?:\.\d*)?$/
const goDuration = /^(?:\d+(?:\.\d*)?(?:ns|us|µs|μs|ms|s|m|h|d))+$/
const goPart = /(\d+(?:\.\d*)?)(ns|us|µs|μs|ms|s|m|h|d)/g
const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:?\d{2})?$/
const httpDate = /^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s.*\d{2}:\d{2}:\d{2}/i

const unitMillis: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000
}

/** A count of milliseconds: `retry-after-ms: 1500.5`. */
export const fromMillis = (text: string): number | undefined => {
  const trimmed = text.trim()
  return decimal.test(trimmed) ? wait(Number(trimmed)) : undefined
}

/**
 * A Go duration (`20ms`, `6m0s`, `1h2m3.5s`), which also covers protobuf's JSON form (`34.4s`).
 */
export const fromGoDuration = (text: string): number | undefined => {
  if (!goDuration.test(text)) return undefined
  let millis = 0
  for (const part of text.matchAll(goPart)) millis += Number(part[1]) * (unitMillis[part[2] ?? ""] ?? 0)
  return wait(millis)
}

/** The instant an RFC 3339 or HTTP date names, epoch milliseconds; without a zone it is read as UTC. */
export const instant = (text: string): number | undefined => {
  const zoned = rfc3339.test(text)
    ? /(?:[Zz]|[+-]\d{2}:?\d{2})$/.test(text)
      ? text
      : `${text}Z`
    : httpDate.test(text)
      ? /(?:GMT|UTC|[+-]\d{4})$/.test(text)
        ? text
        : `${text} GMT`
      : undefined
  if (zoned === undefined) return undefined
  const millis = Date.parse(zoned)
  return Number.isFinite(millis) ? millis : undefined
}

/**
 * A header that names a wait or the moment it ends: seconds, a Go duration, an RFC 3339 or HTTP date, or
 * an epoch. A bare number is epoch milliseconds above 1e12, epoch seconds above 1e9, else seconds. A
 * moment in the past is no wait: zero.
 */
export const fromHeader = (text: string, now: number): number | undefined => {
  const trimmed = text.trim()
  if (decimal.test(trimmed)) {
    const value = Number(trimmed)
    return wait(value > 1e12 ? value - now : value > 1e9 ? value * 1000 - now : value * 1000)
  }
  const duration = fromGoDuration(trimmed)
  if (duration !== undefined) return duration
  const at = instant(trimmed)
  return at === undefined ? undefined : wait(at - now)
}

const spoken =
  /\b(?:try again|retry(?:ing)?|wait|available)(?:\s+(?!in\b|after\b|for\b)[a-z]+){0,3}(?:\s+(?:in|after|for))?(?:\s+(?:about|approximately|at least))?\s+((?:\d+(?:\.\d+)?\s*(?:ms|milliseconds?|msecs?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])[\s,]*(?:and\s+)?)+)/gi
const spokenPart = /(\d+(?:\.\d+)?)\s*([a-z]+)/gi

const spokenUnit = (name: string): number =>
  (/^(?:ms|mil|mse)/.test(name) ? unitMillis["ms"] : unitMillis[name.charAt(0)]) ?? 0

/**
 * The longest wait a message asks for: "try again in 5.289s", "Please retry after 26 seconds", "retry in
 * 1m2.5s". Zero waits and messages without one are `undefined`.
 */
export const fromMessage = (message: string): number | undefined => {
  let longest = 0
  for (const match of message.matchAll(spoken)) {
    let millis = 0
    for (const part of (match[1] ?? "").matchAll(spokenPart)) {
      millis += Number(part[1]) * spokenUnit((part[2] ?? "").toLowerCase())
    }
    longest = Math.max(longest, wait(millis) ?? 0)
  }
  return longest > 0 ? longest : undefined
}
