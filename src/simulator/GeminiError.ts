/** Google's error body, and who it speaks to. */
import type { Reply } from "./Wire.js"

/** The two servers that speak this wire. */
export type Server = "gemini" | "vertex"

const statuses: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  402: "RESOURCE_EXHAUSTED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ABORTED",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  500: "INTERNAL",
  501: "UNIMPLEMENTED",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED"
}

/** An error reply: `{ "error": { "code", "message", "status", "details" } }`. */
export const error = (
  code: number,
  message: string,
  more: { readonly status?: string; readonly details?: ReadonlyArray<unknown> } = {}
): Reply => ({
  _tag: "Reply",
  status: code,
  body: JSON.stringify(
    {
      error: {
        code,
        message,
        status: more.status ?? statuses[code] ?? "UNKNOWN",
        ...(more.details && { details: more.details })
      }
    },
    undefined,
    2
  )
})

/** A typed detail of an error. */
export const detail = (type: string, fields: Readonly<Record<string, unknown>>) => ({
  "@type": `type.googleapis.com/google.rpc.${type}`,
  ...fields
})

/** The refusal of a request as it stands. */
export const invalid = (message: string): Reply => error(400, message)

/** The refusal of a field that there is not. */
export const unknownField = (name: string, place: string): Reply =>
  invalid(
    `Invalid JSON payload received. Unknown name "${name}"${place === "" ? "" : ` at '${place}'`}: Cannot find field.`
  )
