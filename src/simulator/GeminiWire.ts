/**
 * Google's wire, as the Gemini API and Vertex AI speak it: paths, key, errors. Bodies are read and written by the
 * modules beside it. There are no headers that tell of limits.
 */
import { record } from "./BodyChecks.js"
import * as GeminiChat from "./GeminiChat.js"
import * as GeminiEmbeddings from "./GeminiEmbeddings.js"
import { detail, error, type Server } from "./GeminiError.js"
import type { Rejection } from "./Limits.js"
import type { Reply, Route, Wire, WireOptions } from "./Wire.js"

const paths: Readonly<Record<Server, RegExp>> = {
  gemini: /^\/v1(?:beta)?\/models\/([^/:]+):(\w+)$/,
  vertex:
    /^\/v1(?:beta1)?(?:\/projects\/[^/]+\/locations\/[^/]+)?\/publishers\/google\/models\/([^/:]+):(\w+)$/
}

const quotas: Readonly<Record<Rejection["dimension"], string>> = {
  rpm: "GenerateRequestsPerMinutePerProjectPerModel",
  rps: "GenerateRequestsPerSecondPerProjectPerModel",
  rpd: "GenerateRequestsPerDayPerProjectPerModel",
  tpm: "GenerateContentInputTokensPerModelPerMinute",
  itpm: "GenerateContentInputTokensPerModelPerMinute",
  otpm: "GenerateContentOutputTokensPerModelPerMinute",
  tpd: "GenerateContentInputTokensPerModelPerDay",
  concurrency: "GenerateConcurrentRequestsPerProjectPerModel"
}

/** A protobuf duration: whole milliseconds at most, never shorter. */
const duration = (millis: number): string => `${Math.ceil(millis) / 1000}s`

const exceeded =
  "You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."

const busy: Reply = error(
  429,
  "Resource exhausted. Please try again later. Please refer to https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details."
)

const rateLimited = ({ dimension, limit, waitMillis }: Rejection, model: string): Reply => {
  const quotaId = quotas[dimension]
  const quotaMetric = `generativelanguage.googleapis.com/${/token/i.test(quotaId) ? "generate_content_paid_tier_input_token_count" : "generate_requests_per_model"}`
  const isKnown = waitMillis !== undefined && Number.isFinite(waitMillis)
  const message =
    `${exceeded}\n* Quota exceeded for metric: ${quotaMetric}, limit: ${limit}, model: ${model}` +
    (isKnown ? `\nPlease retry in ${duration(waitMillis)}.` : "")
  const violation = {
    quotaMetric,
    quotaId,
    quotaDimensions: { model, location: "global" },
    quotaValue: String(limit)
  }
  return error(429, message, {
    details: [
      detail("QuotaFailure", { violations: [violation] }),
      detail("Help", { links: [{ url: "https://ai.google.dev/gemini-api/docs/rate-limits" }] }),
      ...(isKnown ? [detail("RetryInfo", { retryDelay: duration(waitMillis) })] : [])
    ]
  })
}

const badKey = error(400, "API key not valid. Please pass a valid API key.", {
  details: [
    detail("ErrorInfo", {
      reason: "API_KEY_INVALID",
      domain: "googleapis.com",
      metadata: { service: "generativelanguage.googleapis.com" }
    })
  ]
})

const unauthorized: Readonly<Record<Server, Wire["unauthorized"]>> = {
  gemini: (key) =>
    key === undefined
      ? error(
          403,
          "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API."
        )
      : badKey,
  vertex: () =>
    error(
      401,
      "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
      {
        details: [detail("ErrorInfo", { reason: "ACCESS_TOKEN_TYPE_UNSUPPORTED", domain: "googleapis.com" })]
      }
    )
}

const depleted: Reply = error(
  429,
  "Your prepayment credits are depleted. Please go to AI Studio to manage your project and billing."
)

const messages: Readonly<Record<number, string>> = {
  400: "Request contains an invalid argument.",
  401: "Request had invalid authentication credentials.",
  402: "Your prepayment credits are depleted.",
  403: "The caller does not have permission",
  404: "Requested entity was not found.",
  408: "Request timed out.",
  409: "The operation was aborted.",
  413: "Request payload size exceeds the limit: 20971520 bytes.",
  429: exceeded,
  499: "The operation was cancelled.",
  500: "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
  503: "The model is overloaded. Please try again later.",
  504: "The request timed out. Please try again."
}

/** The names by which an injected fault may ask for a special case: those of OpenAI, and Google's own. */
const special: Readonly<Record<string, Reply>> = {
  insufficient_quota: depleted,
  API_KEY_INVALID: badKey,
  FAILED_PRECONDITION: error(400, "User location is not supported for the API use.", {
    status: "FAILED_PRECONDITION"
  }),
  context_length_exceeded: error(
    400,
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
  )
}

const isGateway = (status: number): boolean => status === 502 || (status >= 520 && status < 540)

const failureOf =
  (server: Server): Wire["failure"] =>
  ({ code, message, status, waitMillis }) => {
    if (waitMillis !== undefined) {
      return error(status, message ?? `${exceeded}\nPlease retry in ${duration(waitMillis)}.`, {
        details: [detail("RetryInfo", { retryDelay: duration(waitMillis) })]
      })
    }
    const found = message === undefined && code !== undefined ? special[code] : undefined
    if (found !== undefined) return found
    if (isGateway(status) && message === undefined && code === undefined) {
      return {
        _tag: "Reply",
        status,
        headers: { "content-type": "text/html; charset=UTF-8" },
        body: `<!DOCTYPE html>\n<html lang=en>\n<title>Error ${status} (Server Error)!!1</title>\n<p>The server encountered a temporary error and could not complete your request.\n</html>\n`
      }
    }
    // a shared pool that is full: no details
    if (server === "vertex" && status === 429 && message === undefined && code === undefined) return busy
    return error(
      status,
      message ?? messages[status] ?? "Unknown Error.",
      code === undefined ? {} : { details: [detail("ErrorInfo", { reason: code, domain: "googleapis.com" })] }
    )
  }

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value.trim() !== "" ? value.trim() : undefined

const modelList = (models: ReadonlyArray<string>): Reply => ({
  _tag: "Reply",
  status: 200,
  body: JSON.stringify({
    models: models.map((name) => ({
      name: `models/${name}`,
      displayName: name,
      supportedGenerationMethods: ["generateContent", "countTokens"]
    }))
  })
})

const standardModels = [
  "gemini-2.5-flash",
  "gemini-2.5-pro",
  "gemini-3-flash-preview",
  "gemini-embedding-001"
]

/** Makes the wire of one of the two servers. */
export const make = (options: WireOptions, server: Server): Wire => {
  const endpoint = (model: string, method: string): Route | undefined => {
    switch (method) {
      case "generateContent":
      case "streamGenerateContent":
        return {
          _tag: "Endpoint",
          read: (body) =>
            GeminiChat.read(body, { model, server, stream: method === "streamGenerateContent" }, options)
        }
      case "embedContent":
        return server === "vertex"
          ? undefined
          : { _tag: "Endpoint", read: (body) => GeminiEmbeddings.readOne(record(body), model, options) }
      case "batchEmbedContents":
        return server === "vertex"
          ? undefined
          : { _tag: "Endpoint", read: (body) => GeminiEmbeddings.readBatch(record(body), model, options) }
      case "predict":
        return server === "gemini"
          ? undefined
          : { _tag: "Endpoint", read: (body) => GeminiEmbeddings.readPredict(record(body), model, options) }
      default:
        return undefined
    }
  }
  return {
    name: server,
    route: (method, path) => {
      if (server === "gemini" && path === "/v1beta/models" && method === "GET") {
        return modelList(options.models ?? standardModels)
      }
      const found = paths[server].exec(path)
      if (found === null) return undefined
      const [, model = "", action = ""] = found
      if (method !== "POST") return error(404, "Requested entity was not found.")
      if (options.models !== undefined && !options.models.includes(model)) {
        return error(
          404,
          `models/${model} is not found for API version v1beta, or is not supported for ${action}. Call ListModels to see the list of available models and their supported methods.`
        )
      }
      return endpoint(model, action) ?? error(404, `Method ${action} not found.`)
    },
    unknownPath: () => error(404, "Requested entity was not found."),
    credential: (headers) => {
      const key = textOf(headers["x-goog-api-key"])
      const token = textOf(/^Bearer\s+(.+)$/i.exec(textOf(headers["authorization"]) ?? "")?.[1])
      return server === "vertex" ? (token ?? key) : (key ?? token)
    },
    unauthorized: unauthorized[server],
    invalidJson: error(400, "Invalid JSON payload received. Unexpected token."),
    bodyTooLarge: error(400, "Request payload size exceeds the limit: 20971520 bytes."),
    rateLimited,
    quotaExhausted: depleted,
    failure: failureOf(server),
    waitText: (waitMillis) => `Please retry in ${duration(waitMillis)}.`,
    headers: ({ serviceTier = "standard" }) => ({ "x-gemini-service-tier": serviceTier })
  }
}
