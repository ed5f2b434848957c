/**
 * Anthropic's error body, and its checks of single values.
 */
import type { Body } from "./BodyChecks.js"
import type { Reply } from "./Wire.js"

export { type Body, list, record } from "./BodyChecks.js"

const types: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error"
}

/** The kind of error that goes with a status. */
export const typeOf = (status: number): string =>
  types[status] ?? (status >= 500 ? "api_error" : "invalid_request_error")

/** An error reply: `{ "type": "error", "error": { "type", "message", "details"? } }`. */
export const error = (
  status: number,
  message: string,
  more: { readonly type?: string; readonly details?: Body } = {}
): Reply => ({
  _tag: "Reply",
  status,
  body: JSON.stringify({
    type: "error",
    error: {
      type: more.type ?? typeOf(status),
      message,
      ...(more.details === undefined ? undefined : { details: more.details })
    }
  })
})

/** The refusal of a request that is not right. */
export const invalid = (message: string): Reply => error(400, message)

/** Refuses what has other keys than these, in Anthropic's words. */
export const extraKeys = (value: Body, known: ReadonlyArray<string>, path = ""): Reply | undefined => {
  const found = Object.keys(value).find((key) => !known.includes(key))
  return found === undefined ? undefined : invalid(`${path}${found}: Extra inputs are not permitted`)
}

/** The first refusal of these checks. */
export const firstOf = (...checks: ReadonlyArray<() => Reply | undefined>): Reply | undefined => {
  for (const check of checks) {
    const reply = check()
    if (reply !== undefined) return reply
  }
  return undefined
}
