/**
 * OpenAI's error body, and the checks its endpoints share.
 */
import type { Reply, WireOptions } from "./Wire.js"

/** An error reply: `{ "error": { "message", "type", "param", "code" } }`. */
export const error = (
  status: number,
  fields: {
    readonly message: string
    readonly type?: string
    readonly param?: string | null
    readonly code?: string | null
  }
): Reply => ({
  _tag: "Reply",
  status,
  body: JSON.stringify(
    {
      error: {
        message: fields.message,
        type: fields.type ?? "invalid_request_error",
        param: fields.param ?? null,
        code: fields.code ?? null
      }
    },
    undefined,
    2
  )
})

/** A body as it was parsed. */
export type Body = Readonly<Record<string, unknown>>

const kindOf = (value: unknown): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return "array"
  return typeof value === "number" ? (Number.isInteger(value) ? "integer" : "decimal number") : typeof value
}

/** The refusal of a value of the wrong type. */
export const wrongType = (param: string, expected: string, value: unknown): Reply =>
  error(400, {
    message: `Invalid type for '${param}': expected ${expected}, but got ${kindOf(value) === "integer" || kindOf(value) === "array" ? "an" : "a"} ${kindOf(value)} instead.`,
    param,
    code: "invalid_type"
  })

/** The refusal of a request without a field it needs. */
export const missing = (param: string): Reply =>
  error(400, {
    message: `Missing required parameter: '${param}'.`,
    param,
    code: "missing_required_parameter"
  })

/** The bounds of a numeric parameter. */
export interface Bounds {
  readonly min: number
  readonly max?: number
  readonly integer?: boolean
}

/** Checks a number, if it is there. */
export const outOfBounds = (body: Body, param: string, bounds: Bounds): Reply | undefined => {
  const value = body[param]
  if (value === undefined || value === null) return undefined
  const kind = bounds.integer === true ? "integer" : "decimal"
  if (typeof value !== "number" || (bounds.integer === true && !Number.isInteger(value))) {
    return wrongType(param, kind === "integer" ? "an integer" : "a decimal", value)
  }
  if (value < bounds.min) {
    const message = `Invalid '${param}': ${kind} below minimum value. Expected a value >= ${bounds.min}, but got ${value} instead.`
    return error(400, { message, param, code: `${kind}_below_min_value` })
  }
  if (bounds.max !== undefined && value > bounds.max) {
    const message = `Invalid '${param}': ${kind} above maximum value. Expected a value <= ${bounds.max}, but got ${value} instead.`
    return error(400, { message, param, code: `${kind}_above_max_value` })
  }
  return undefined
}

/** Checks what every endpoint checks first: a known model, no unknown parameter. */
export const refused = (body: Body, known: ReadonlySet<string>, options: WireOptions): Reply | undefined => {
  const model = body["model"]
  if (model === undefined || model === "") {
    return error(400, { message: "you must provide a model parameter", param: "model" })
  }
  if (typeof model !== "string") return wrongType("model", "a string", model)
  if (options.strict) {
    const unknown = Object.keys(body).filter((name) => !known.has(name))
    if (unknown.length > 0) {
      const noun = unknown.length === 1 ? "argument" : "arguments"
      return error(400, { message: `Unrecognized request ${noun} supplied: ${unknown.join(", ")}` })
    }
  }
  if (options.models !== undefined && !options.models.includes(model)) {
    return error(404, {
      message: `The model \`${model}\` does not exist or you do not have access to it.`,
      code: "model_not_found"
    })
  }
  return undefined
}

/** Checks that prompt and allowed answer fit the context window. */
export const tooLong = (
  options: WireOptions,
  inputTokens: number,
  maxOutputTokens: number | undefined,
  param: string
): Reply | undefined => {
  const { contextWindow } = options
  if (contextWindow === undefined || inputTokens + (maxOutputTokens ?? 0) <= contextWindow) return undefined
  const limit = `This model's maximum context length is ${contextWindow} tokens.`
  const message =
    maxOutputTokens === undefined
      ? `${limit} However, your messages resulted in ${inputTokens} tokens. Please reduce the length of the messages.`
      : `${limit} However, you requested ${inputTokens + maxOutputTokens} tokens (${inputTokens} in the messages, ` +
        `${maxOutputTokens} in the completion). Please reduce the length of the messages or completion.`
  return error(400, { message, param, code: "context_length_exceeded" })
}

/** A list of refusals to try in order: the first that applies. */
export const firstOf = (...checks: ReadonlyArray<() => Reply | undefined>): Reply | undefined => {
  for (const check of checks) {
    const reply = check()
    if (reply !== undefined) return reply
  }
  return undefined
}
