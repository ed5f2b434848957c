/** The ways in which providers, and gateways before them, say when to come back. */
import { goDuration, type Reply, retryAfterHeaders, type Wire } from "./Wire.js"

/**
 * One of them:
 * - `"headers"`: `retry-after` in whole seconds, rounded up, and `retry-after-ms`
 * - `"seconds"`: `retry-after: 3` alone
 * - `"fraction"`: `retry-after: 2.5`
 * - `"date"`: `retry-after: Sat, 21 Nov 2026 07:28:00 GMT`, rounded up to the second
 * - `"millis"`: `retry-after-ms: 1500`
 * - `"text"`: nothing but the provider's words, `Please try again in 5.289s.`
 * - `"details"`: a `RetryInfo` among the details of Google's error; of no other provider's
 * - `"reset"`: the provider's own headers of a limit that is used up, of which one is free again after that time;
 *   nothing where it has none
 */
export type Hint = (typeof hints)[number]

/** All of them. */
export const hints = ["headers", "seconds", "fraction", "date", "millis", "text", "details", "reset"] as const

const headersOf = (wire: Wire, hint: Hint, waitMillis: number, now: number): Record<string, string> => {
  switch (hint) {
    case "headers":
      return retryAfterHeaders(waitMillis)
    case "seconds":
      return { "retry-after": String(Math.ceil(waitMillis / 1000)) }
    case "fraction":
      return { "retry-after": String(waitMillis / 1000) }
    case "date":
      return { "retry-after": new Date(Math.ceil((now + waitMillis) / 1000) * 1000).toUTCString() }
    case "millis":
      return { "retry-after-ms": String(waitMillis) }
    case "reset":
      return wire.resetHeaders?.(waitMillis, now) ?? {}
    case "text":
    case "details":
      return {}
  }
}

const spoken = (waitMillis: number): string => `Please try again in ${goDuration(waitMillis)}.`

/** An injected error that says in this way how long to wait. */
export const failure = (
  wire: Wire,
  fault: Parameters<Wire["failure"]>[0],
  { hint, now, waitMillis }: { readonly hint: Hint; readonly waitMillis: number; readonly now: number }
): Reply => {
  const words = (wire.waitText ?? spoken)(waitMillis)
  const reply = wire.failure({
    ...fault,
    ...(hint === "text" && { message: `${fault.message ?? "Rate limit reached."} ${words}` }),
    ...(hint === "details" && { waitMillis })
  })
  return { ...reply, headers: { ...reply.headers, ...headersOf(wire, hint, waitMillis, now) } }
}
