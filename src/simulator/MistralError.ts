/** Mistral's error bodies, of its models and of the gateway before them. */
import type { Reply } from "./Wire.js"

/** An error of the API: `{ "object": "error", "message", "type", "param", "code" }`. */
export const error = (
  status: number,
  fields: { readonly message: unknown; readonly type?: string; readonly code?: string | null }
): Reply => ({
  _tag: "Reply",
  status,
  body: JSON.stringify({
    object: "error",
    message: fields.message,
    type: fields.type ?? "invalid_request_error",
    param: null,
    code: fields.code ?? null
  })
})

/** An error of the gateway: `{ "message", "request_id" }`. */
export const gatewayError = (status: number, message: string): Reply => ({
  _tag: "Reply",
  status,
  body: JSON.stringify({ message, request_id: "b1d1f7c27e1a4c0f8f0e1a2b3c4d5e6f" })
})

/** The refusal of fields by name, as its validator words it. */
export const invalid = (
  problems: ReadonlyArray<{
    readonly loc: ReadonlyArray<string | number>
    readonly msg: string
    readonly type: string
  }>
): Reply =>
  error(422, {
    message: { detail: problems.map((problem) => ({ ...problem, loc: ["body", ...problem.loc] })) }
  })

/** The refusal of fields that are not known. */
export const extraFields = (
  names: ReadonlyArray<string>,
  place: ReadonlyArray<string | number> = []
): Reply | undefined =>
  names.length === 0
    ? undefined
    : invalid(
        names.map((name) => ({
          type: "extra_forbidden",
          loc: [...place, name],
          msg: "Extra inputs are not permitted"
        }))
      )

/** The refusal of a request without a field it needs. */
export const missing = (...loc: ReadonlyArray<string | number>): Reply =>
  invalid([{ type: "missing", loc, msg: "Field required" }])
