/**
 * Anthropic's wire: paths, key, errors and headers. Bodies are read and written by the modules beside it.
 *
 * Sources: Anthropic's API reference, its guides to errors and rate limits. Message texts are those the API sends,
 * where known. Where input and output are limited apart, the limit on tokens is told as the sum of the two.
 */
import { error } from "./AnthropicError.js"
import * as AnthropicMessages from "./AnthropicMessages.js"
import type { Rejection, Standing } from "./Limits.js"
import type { HeaderContext, Reply, Route, Wire, WireOptions } from "./Wire.js"

const words: Readonly<Record<string, string>> = {
  rpm: "requests per minute",
  rps: "requests per second",
  rpd: "requests per day",
  tpm: "tokens per minute",
  itpm: "input tokens per minute",
  otpm: "output tokens per minute",
  tpd: "tokens per day"
}

const rateLimited = ({ dimension, limit, waitMillis }: Rejection, model: string): Reply => {
  const message =
    dimension === "concurrency"
      ? "Number of concurrent connections has exceeded your rate limit. Please try again later or contact sales at https://www.anthropic.com/contact-sales to discuss your options for a rate limit increase."
      : `This request would exceed your organization's rate limit of ${limit} ${words[dimension] ?? dimension} (model: ${model}). For details, refer to: https://docs.claude.com/en/api/rate-limits. You can see the response headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try again later.`
  const refused = error(429, message)
  return waitMillis === undefined || !Number.isFinite(waitMillis)
    ? refused
    : { ...refused, headers: { "retry-after": String(Math.ceil(waitMillis / 1000)) } }
}

const messages: Readonly<Record<number, string>> = {
  400: "Invalid request.",
  401: "invalid x-api-key",
  402: "Your organization's payment is past due.",
  403: "Your API key does not have permission to use the specified resource.",
  404: "Not found",
  409: "The resource was changed by another request.",
  413: "Request exceeds the maximum size",
  429: "This request would exceed your organization's rate limit of 50 requests per minute.",
  500: "Internal server error",
  504: "The request timed out while processing.",
  529: "Overloaded"
}

const isGateway = (status: number): boolean =>
  status === 502 || status === 503 || (status >= 520 && status < 529)

/** The names by which an injected fault may ask for a special case: those of OpenAI, and Anthropic's own. */
const special: Readonly<Record<string, (status: number) => Reply>> = {
  context_length_exceeded: (status) => error(status, "prompt is too long: 210000 tokens > 200000 maximum"),
  insufficient_quota: (status) =>
    error(status, "This request would exceed your organization's monthly spend limit.", {
      details: { error_code: "enforced_spend_limit_reached" }
    }),
  enforced_spend_limit_reached: (status) =>
    error(status, "This request would exceed your organization's monthly spend limit.", {
      details: { error_code: "enforced_spend_limit_reached" }
    })
}

const failure: Wire["failure"] = ({ code, message, status }) => {
  if (message === undefined && code !== undefined) {
    const found = special[code]
    if (found !== undefined) return found(status)
  }
  if (isGateway(status) && message === undefined && code === undefined) {
    return {
      _tag: "Reply",
      status,
      headers: { "content-type": "text/html" },
      body: `<html>\r\n<head><title>${status} Bad gateway</title></head>\r\n<body>\r\n<center><h1>${status} Bad gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n`
    }
  }
  const text = message ?? messages[status] ?? "Error"
  return error(status, text, code === undefined ? {} : { details: { error_code: code } })
}

const kinds = [
  ["requests", "requests"],
  ["tokens", "tokens"],
  ["inputTokens", "input-tokens"],
  ["outputTokens", "output-tokens"]
] as const

const both = (input: Standing | undefined, output: Standing | undefined): Standing | undefined =>
  input === undefined || output === undefined
    ? undefined
    : {
        dimension: "tpm",
        limit: input.limit + output.limit,
        remaining: input.remaining + output.remaining,
        resetMillis: Math.max(input.resetMillis, output.resetMillis)
      }

const instant = (millis: number): string => new Date(millis).toISOString().replace(/\.\d+Z$/, "Z")

const limitHeaders = (name: string, standing: Standing, now: number): Record<string, string> => ({
  [`anthropic-ratelimit-${name}-limit`]: String(standing.limit),
  [`anthropic-ratelimit-${name}-remaining`]: String(standing.remaining),
  // whole seconds, and never before the time
  [`anthropic-ratelimit-${name}-reset`]: instant(Math.ceil((now + standing.resetMillis) / 1000) * 1000)
})

const headers = (context: HeaderContext): Record<string, string> => {
  const { hash, now, seq } = context
  const out: Record<string, string> = {
    "request-id": `req_${hash.text.padStart(16, "0")}${seq.toString(16).padStart(8, "0")}`,
    "anthropic-organization-id": "00000000-0000-4000-8000-000000000000"
  }
  const tokens = context.tokens ?? both(context.inputTokens, context.outputTokens)
  for (const [field, name] of kinds) {
    const standing = field === "tokens" ? tokens : context[field]
    if (standing !== undefined) Object.assign(out, limitHeaders(name, standing, now))
  }
  return out
}

/** The whole bucket is back after as many times the wait for one request as it has. */
const resetHeaders = (waitMillis: number, now: number): Record<string, string> =>
  limitHeaders("requests", { dimension: "rpm", limit: 50, remaining: 0, resetMillis: waitMillis * 50 }, now)

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value.trim() !== "" ? value.trim() : undefined

const standardModels = ["claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"]

/** `GET /v1/models`, in one page. */
const modelList = (models: ReadonlyArray<string>): Reply => ({
  _tag: "Reply",
  status: 200,
  body: JSON.stringify({
    data: models.map((id) => ({
      type: "model",
      id,
      display_name: id,
      created_at: "2025-10-01T00:00:00Z"
    })),
    has_more: false,
    first_id: models[0] ?? null,
    last_id: models.at(-1) ?? null
  })
})

/** Makes Anthropic's wire. */
export const make = (options: WireOptions): Wire => {
  const endpoint: Route = { _tag: "Endpoint", read: (body) => AnthropicMessages.read(body, options) }
  return {
    name: "anthropic",
    claims: (headers) => headers["anthropic-version"] !== undefined,
    route: (method, path) => {
      if (path === "/v1/models" && method === "GET") return modelList(options.models ?? standardModels)
      if (path !== "/v1/messages") return undefined
      return method === "POST"
        ? endpoint
        : error(405, "Method Not Allowed", { type: "invalid_request_error" })
    },
    unknownPath: () => error(404, "Not found"),
    credential: (headers) => {
      const authorization = textOf(headers["authorization"])
      return textOf(headers["x-api-key"]) ?? textOf(/^Bearer\s+(.+)$/i.exec(authorization ?? "")?.[1])
    },
    unauthorized: (key) =>
      error(401, key === undefined ? "x-api-key header is required" : "invalid x-api-key"),
    invalidJson: error(400, "The request body is not valid JSON: expected value at line 1 column 1"),
    bodyTooLarge: error(413, "Request exceeds the maximum size"),
    rateLimited,
    quotaExhausted: error(
      400,
      "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."
    ),
    failure,
    resetHeaders,
    headers
  }
}
