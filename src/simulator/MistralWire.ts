/**
 * Mistral's wire: paths, key, errors and headers. Bodies are read and written by the modules beside it.
 *
 * Sources: Mistral's API description; message texts are those the API sends, where known.
 */
import { type Body, list, number, unknownFields } from "./BodyChecks.js"
import type { Standing } from "./Limits.js"
import * as MistralChat from "./MistralChat.js"
import { error, extraFields, gatewayError, missing } from "./MistralError.js"
import { firstOf } from "./OpenAiError.js"
import { tokensOf } from "./Text.js"
import * as Vectors from "./Vectors.js"
import {
  bearerKey,
  type Call,
  type HeaderContext,
  type Reply,
  type Route,
  type Wire,
  type WireOptions
} from "./Wire.js"

const embeddingParameters = new Set([
  "encoding_format",
  "input",
  "metadata",
  "model",
  "output_dimension",
  "output_dtype"
])

const maxTokensInAll = 16_384

const readEmbedding = (body: Body, options: WireOptions): Call | Reply => {
  const { input, model } = body
  const texts = typeof input === "string" ? [input] : list(input).map(String)
  const inputTokens = texts.reduce((sum, text) => sum + tokensOf(text.length), 0)
  const most = Math.min(options.contextWindow ?? maxTokensInAll, maxTokensInAll)
  const reply = firstOf(
    () => (options.strict ? extraFields(unknownFields(body, embeddingParameters)) : undefined),
    () => (typeof model === "string" ? undefined : missing("model")),
    () => (texts.length > 0 ? undefined : missing("input")),
    () =>
      inputTokens <= most
        ? undefined
        : error(400, {
            message: `Too many inputs in request: ${inputTokens} tokens. The maximum context length is ${most} tokens.`,
            code: "3210"
          })
  )
  if (reply !== undefined) return reply
  const kind = (body["output_dtype"] ?? "float") as Vectors.Kind
  const dimensions = number(body["output_dimension"]) ?? (kind === "float" ? 1024 : 64)
  return {
    _tag: "Call",
    model: String(model),
    prompt: texts.join("\n"),
    inputTokens,
    maxOutputTokens: 0,
    answer: ({ hash, seed }) => ({
      inputTokens,
      outputTokens: 0,
      body: JSON.stringify({
        id: hash.text,
        object: "list",
        model,
        usage: { prompt_tokens: inputTokens, completion_tokens: 0, total_tokens: inputTokens },
        data: texts.map((text, index) => ({
          object: "embedding",
          index,
          embedding: Vectors.write(
            Vectors.unit(text, String(model), seed, dimensions),
            kind,
            body["encoding_format"] === "base64"
          )
        }))
      })
    })
  }
}

const failures: Readonly<Record<number, () => Reply>> = {
  401: () => gatewayError(401, "Unauthorized"),
  402: () => gatewayError(402, "Payment required"),
  403: () => gatewayError(403, "You are not allowed to access this resource"),
  404: () => gatewayError(404, "no Route matched with those values"),
  429: () => error(429, { message: "Requests rate limit exceeded", type: "rate_limited", code: "1300" }),
  500: () => error(500, { message: "Internal server error", type: "internal_server_error", code: "1000" }),
  503: () =>
    error(503, {
      message: "Service tier capacity exceeded for this model.",
      type: "service_tier_capacity_exceeded",
      code: "3505"
    })
}

const failure: Wire["failure"] = ({ code, message, status }) => {
  if (message !== undefined || code !== undefined) {
    return error(status, {
      message: message ?? "Error",
      type: code ?? "invalid_request_error",
      code: code ?? null
    })
  }
  const known = failures[status]
  if (known !== undefined) return known()
  return status >= 500
    ? gatewayError(status, "The upstream server is timing out")
    : error(status, { message: "Invalid request" })
}

/** How often a limit of this kind is given anew in a minute: the headers speak of minutes. */
const perMinute: Partial<Record<Standing["dimension"], number>> = { rpm: 1, rps: 60, tpm: 1 }

const limitHeaders = (what: string, standing: Standing | undefined): Record<string, string> => {
  const times = standing === undefined ? undefined : perMinute[standing.dimension]
  if (standing === undefined || times === undefined) return {}
  const limit = standing.limit * times
  const used = standing.limit - standing.remaining
  return {
    [`x-ratelimit-limit-${what}-minute`]: String(limit),
    [`x-ratelimit-remaining-${what}-minute`]: String(Math.floor(limit - used))
  }
}

const headers = ({ hash, requests, seq, tokens }: HeaderContext): Record<string, string> => ({
  "mistral-correlation-id": `${hash.text.padStart(16, "0")}-${seq.toString(16).padStart(8, "0")}`,
  "x-kong-request-id": `${hash.text.padStart(16, "0")}${seq.toString(16).padStart(16, "0")}`,
  ...limitHeaders("req", requests),
  ...limitHeaders("tokens", tokens)
})

const standardModels = ["mistral-large-latest", "mistral-small-latest", "mistral-embed"]

const modelList = (models: ReadonlyArray<string>): Reply => ({
  _tag: "Reply",
  status: 200,
  body: JSON.stringify({
    object: "list",
    data: models.map((id) => ({
      id,
      object: "model",
      created: 1_700_000_000,
      owned_by: "mistralai",
      capabilities: {
        completion_chat: !id.includes("embed"),
        completion_fim: false,
        function_calling: !id.includes("embed"),
        fine_tuning: false,
        vision: false
      },
      name: id,
      description: null,
      max_context_length: id.includes("embed") ? 8_192 : 131_072,
      aliases: [],
      deprecation: null,
      type: "base"
    }))
  })
})

/** Makes Mistral's wire. */
export const make = (options: WireOptions): Wire => {
  const endpoints: Readonly<Record<string, Extract<Route, { readonly _tag: "Endpoint" }>>> = {
    "/v1/chat/completions": { _tag: "Endpoint", read: (body) => MistralChat.read(body, options) },
    "/v1/fim/completions": { _tag: "Endpoint", read: (body) => MistralChat.readFilling(body, options) },
    "/v1/embeddings": { _tag: "Endpoint", read: (body) => readEmbedding(body, options) }
  }
  return {
    name: "mistral",
    route: (method, path) => {
      if (path === "/v1/models" && method === "GET") return modelList(options.models ?? standardModels)
      const endpoint = endpoints[path]
      return endpoint === undefined || method === "POST" ? endpoint : gatewayError(405, "Method Not Allowed")
    },
    unknownPath: () => gatewayError(404, "no Route matched with those values"),
    credential: bearerKey,
    unauthorized: () => gatewayError(401, "Unauthorized"),
    invalidJson: error(422, {
      message: { detail: [{ type: "json_invalid", loc: ["body", 0], msg: "JSON decode error" }] }
    }),
    bodyTooLarge: gatewayError(413, "Request size limit exceeded"),
    // no hint how long to wait, as a rule
    rateLimited: () =>
      error(429, { message: "Requests rate limit exceeded", type: "rate_limited", code: "1300" }),
    quotaExhausted: gatewayError(402, "Payment required"),
    failure,
    headers
  }
}
