/**
 * OpenAI's wire: paths, key, errors and headers. Bodies are read and written by the modules beside it.
 *
 * Sources: OpenAI's API reference, error-code and rate-limit guides. Message texts are those the API sends,
 * where known; clients parse some of them ("Please try again in 20s").
 */
import type { Rejection } from "./Limits.js"
import * as OpenAiChat from "./OpenAiChat.js"
import * as OpenAiCompletions from "./OpenAiCompletions.js"
import * as OpenAiEmbeddings from "./OpenAiEmbeddings.js"
import { error } from "./OpenAiError.js"
import { type Flavour, openAi } from "./OpenAiFlavour.js"
import * as OpenAiRerank from "./OpenAiRerank.js"
import {
  bearerKey,
  goDuration,
  type HeaderContext,
  type Reply,
  type Route,
  retryAfterHeaders,
  type Wire,
  type WireOptions
} from "./Wire.js"

const organization = "org-simulator"

const dimensions: Record<Rejection["dimension"], { readonly words: string; readonly type: string }> = {
  rpm: { words: "requests per min (RPM)", type: "requests" },
  rps: { words: "requests per second (RPS)", type: "requests" },
  rpd: { words: "requests per day (RPD)", type: "requests" },
  tpm: { words: "tokens per min (TPM)", type: "tokens" },
  itpm: { words: "input tokens per min (ITPM)", type: "tokens" },
  otpm: { words: "output tokens per min (OTPM)", type: "tokens" },
  tpd: { words: "tokens per day (TPD)", type: "tokens" },
  concurrency: { words: "concurrent requests", type: "requests" }
}

const more = "Visit https://platform.openai.com/account/rate-limits to learn more."

const rateLimited = ({ dimension, limit, requested, used, waitMillis }: Rejection, model: string): Reply => {
  const { type, words } = dimensions[dimension]
  const place = `for ${model} in organization ${organization} on ${words}: Limit ${limit}`
  if (waitMillis === undefined) {
    const message = `Rate limit reached ${place}, Used ${used}, Requested ${requested}. ${more}`
    return error(429, { message, type, code: "rate_limit_exceeded" })
  }
  if (!Number.isFinite(waitMillis)) {
    const message =
      `Request too large ${place}, Requested ${requested}. The input or output tokens must be reduced in ` +
      `order to run successfully. ${more}`
    return error(429, { message, type, code: "rate_limit_exceeded" })
  }
  const message =
    `Rate limit reached ${place}, Used ${used}, Requested ${requested}. ` +
    `Please try again in ${goDuration(waitMillis)}. ${more}`
  return {
    ...error(429, { message, type, code: "rate_limit_exceeded" }),
    headers: retryAfterHeaders(waitMillis)
  }
}

const masked = (key: string): string =>
  key.length <= 8 ? "*".repeat(key.length) : `${key.slice(0, 3)}${"*".repeat(key.length - 7)}${key.slice(-4)}`

const unauthorized = (key: string | undefined): Reply =>
  key === undefined
    ? error(401, {
        message:
          "You didn't provide an API key. You need to provide your API key in an Authorization header using " +
          "Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from " +
          "https://platform.openai.com/account/api-keys."
      })
    : error(401, {
        message:
          `Incorrect API key provided: ${masked(key)}. You can find your API key at ` +
          "https://platform.openai.com/account/api-keys.",
        code: "invalid_api_key"
      })

interface Failure {
  readonly type: string
  readonly code: string | null
  readonly message: string
}

const failures: Readonly<Record<number, Failure>> = {
  400: { type: "invalid_request_error", code: null, message: "Invalid request." },
  401: { type: "invalid_request_error", code: "invalid_api_key", message: "Incorrect API key provided." },
  403: {
    type: "invalid_request_error",
    code: "unsupported_country_region_territory",
    message: "Country, region, or territory not supported"
  },
  404: { type: "invalid_request_error", code: null, message: "The requested resource was not found." },
  408: { type: "server_error", code: null, message: "Request timed out." },
  409: { type: "invalid_request_error", code: null, message: "The resource was changed by another request." },
  429: {
    type: "requests",
    code: "rate_limit_exceeded",
    message: "Rate limit reached for requests"
  },
  500: {
    type: "server_error",
    code: null,
    message: "The server had an error while processing your request. Sorry about that!"
  },
  503: {
    type: "service_unavailable_error",
    code: "server_is_overloaded",
    message: "That model is currently overloaded with other requests. You can retry your request."
  }
}

const quota: Failure = {
  type: "insufficient_quota",
  code: "insufficient_quota",
  message:
    "You exceeded your current quota, please check your plan and billing details. For more information on " +
    "this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
}

const gateway = (status: number): boolean =>
  status === 502 || status === 504 || (status >= 520 && status < 540)

const failure: Wire["failure"] = ({ code, message, status }) => {
  if (gateway(status) && message === undefined && code === undefined) {
    return {
      _tag: "Reply",
      status,
      headers: { "content-type": "text/html" },
      body: `<html>\r\n<head><title>${status} Gateway Error</title></head>\r\n<body>\r\n<center><h1>${status} Gateway Error</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n`
    }
  }
  const standard =
    code === "insufficient_quota" ? quota : (failures[status] ?? failures[status < 500 ? 400 : 500])
  return error(status, {
    ...standard,
    ...(code && { code }),
    message: message ?? standard?.message ?? "Error"
  })
}

const headers = ({
  hash,
  processingMillis,
  requests,
  seq,
  tokens
}: HeaderContext): Record<string, string> => {
  const out: Record<string, string> = {
    "x-request-id": `req_${hash.text.padStart(16, "0")}${seq.toString(16).padStart(16, "0")}`,
    "openai-processing-ms": String(Math.round(processingMillis)),
    "openai-version": "2020-10-01",
    "openai-organization": organization
  }
  if (requests !== undefined) {
    out["x-ratelimit-limit-requests"] = String(requests.limit)
    out["x-ratelimit-remaining-requests"] = String(requests.remaining)
    out["x-ratelimit-reset-requests"] = goDuration(requests.resetMillis)
  }
  if (tokens !== undefined) {
    out["x-ratelimit-limit-tokens"] = String(tokens.limit)
    out["x-ratelimit-remaining-tokens"] = String(tokens.remaining)
    out["x-ratelimit-reset-tokens"] = goDuration(tokens.resetMillis)
  }
  return out
}

/** The whole bucket is back after as many times the wait for one request as it has. */
const resetHeaders = (waitMillis: number): Record<string, string> => ({
  "x-ratelimit-limit-requests": "60",
  "x-ratelimit-remaining-requests": "0",
  "x-ratelimit-reset-requests": goDuration(waitMillis * 60)
})

const listed = (id: string) => ({ id, object: "model", created: 1_700_000_000, owned_by: "system" })

const modelList = (models: ReadonlyArray<string>): Reply => ({
  _tag: "Reply",
  status: 200,
  body: JSON.stringify({ object: "list", data: models.map(listed) })
})

/** Makes OpenAI's wire, or that of a server like it. Paths are good with and without their `/v1`. */
export const make = (options: WireOptions, flavour: Flavour = openAi): Wire => {
  const endpoints: Readonly<Record<string, Extract<Route, { readonly _tag: "Endpoint" }>>> = {
    "/chat/completions": { _tag: "Endpoint", read: (body) => OpenAiChat.read(body, options, flavour) },
    "/completions": { _tag: "Endpoint", read: (body) => OpenAiCompletions.read(body, options) },
    "/embeddings": { _tag: "Endpoint", read: (body) => OpenAiEmbeddings.read(body, options) },
    // OpenAI itself has none
    ...(flavour.parameters === undefined
      ? { "/rerank": { _tag: "Endpoint", read: (body) => OpenAiRerank.read(body, options) } }
      : undefined)
  }
  const models = options.models ?? ["gpt-4o-mini", "gpt-4.1-mini", "gpt-5-mini", "text-embedding-3-small"]
  return {
    name: flavour.name,
    route: (method, fullPath) => {
      const path = fullPath.startsWith("/v1/") ? fullPath.slice(3) : fullPath
      if (path === "/models" && method === "GET") return modelList(models)
      const endpoint = endpoints[path]
      if (endpoint === undefined || method === "POST") return endpoint
      return error(405, { message: `Not allowed to ${method} on ${fullPath}.` })
    },
    unknownPath: (method, path) => error(404, { message: `Invalid URL (${method} ${path})` }),
    credential: bearerKey,
    unauthorized,
    invalidJson: error(400, {
      message:
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your " +
        "HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. " +
        "If you have trouble figuring out how to fix this, please contact us through our help center at " +
        "help.openai.com.)"
    }),
    bodyTooLarge: error(413, { message: "Request body too large." }),
    rateLimited,
    quotaExhausted: error(429, quota),
    failure,
    resetHeaders,
    headers
  }
}
