/**
 * Turns a failed answer of any provider into the {@link LlmError} a caller acts on.
 *
 * The status alone does not decide: a used-up quota comes as 429, 400 or inside a 200, a bad key as 400.
 * Order: used-up quota, content filter, context length, request too large, then what the status and the
 * provider's code say.
 */
import * as Duration from "effect/Duration"
import * as LlmError from "../LlmError.js"
import * as Throttle from "../Throttle.js"
import { type ErrorBody, read } from "./errorBody.js"
import { exceedsWholeLimit } from "./quota.js"
import { safeId, safeText } from "./safeText.js"

export { classifyTransport } from "./classifyTransport.js"

type Answer = Throttle.Answer

const classes = {
  AuthError: LlmError.AuthError,
  PermissionError: LlmError.PermissionError,
  NotFoundError: LlmError.NotFoundError,
  InvalidRequestError: LlmError.InvalidRequestError,
  ContextLengthError: LlmError.ContextLengthError,
  RequestTooLargeError: LlmError.RequestTooLargeError,
  ContentFilterError: LlmError.ContentFilterError,
  RateLimitError: LlmError.RateLimitError,
  QuotaExhaustedError: LlmError.QuotaExhaustedError,
  OverloadedError: LlmError.OverloadedError,
  ServerError: LlmError.ServerError,
  TimeoutError: LlmError.TimeoutError,
  ConflictError: LlmError.ConflictError,
  NetworkError: LlmError.NetworkError,
  CancelledError: LlmError.CancelledError
}

type Kind = keyof typeof classes

/** OpenAI, Azure; DeepSeek, xAI, Alibaba and OpenAI by their texts. */
const contentFilterCodes: ReadonlySet<string> = new Set([
  "content_filter",
  "content_policy_violation",
  "invalid_prompt",
  "moderation_blocked",
  "bio_policy",
  "image_content_policy_violation",
  "data_inspection_failed",
  "ResponsibleAIPolicyViolation"
])
const contentFilterText =
  /content management policy|content filtering policy|rejected as a result of our safety system|violat\w+ (?:our )?usage (?:policy|policies|guidelines)|content exists risk/i

const contextLengthText = new RegExp(
  [
    "context_length_exceeded",
    "maximum context length", // OpenAI, vLLM, DeepSeek
    "exceeds the context window", // OpenAI Responses
    "prompt is too long", // Anthropic
    "exceed context limit", // Anthropic, input and max_tokens together
    "input token count .{0,80}exceeds the maximum", // Gemini
    "too many tokens", // Cohere
    "too large for model with \\d+ maximum context", // Mistral
    "inputs?`? tokens .{0,80}max_new_tokens", // Together
    "reduce the length of the messages", // Groq
    "context size|\\bn_ctx\\b" // llama.cpp
  ].join("|"),
  "i"
)

const overloadedText =
  /\boverloaded(?:_error)?\b|service tier capacity exceeded|server_is_overloaded|resource_unavailable/i
const badKeyText = /api key not valid|(?:incorrect|invalid) api[ _-]?key/i
const noModelText = /model not exist|invalid_model\b|not a valid model id|model_not_found|DeploymentNotFound/i

/** What a status means where the body says nothing better. */
const kindOfStatus = (status: number): Kind => {
  switch (status) {
    case 401:
      return "AuthError"
    case 402:
      return "QuotaExhaustedError"
    case 403:
    case 407:
    case 451:
      return "PermissionError"
    case 404:
    case 410:
      return "NotFoundError"
    case 408:
    case 504:
      return "TimeoutError"
    case 409:
    case 425:
      return "ConflictError"
    case 413:
      return "RequestTooLargeError"
    case 429:
      return "RateLimitError"
    case 499:
      return "CancelledError"
    case 501:
    case 505:
      return "InvalidRequestError"
    case 503:
    case 529:
      return "OverloadedError"
  }
  if (status >= 500) return "ServerError"
  if (status >= 400) return "InvalidRequestError"
  // A redirect means that the address is not the API's.
  if (status >= 300) return "NotFoundError"
  // No status, or a success without a usable answer.
  return "NetworkError"
}

const kindOf400 = (body: ErrorBody, said: string): Kind => {
  // Gemini and xAI answer 400 to a wrong key.
  if (body.reason === "API_KEY_INVALID" || badKeyText.test(said)) return "AuthError"
  if (body.status === "FAILED_PRECONDITION") return "PermissionError"
  // Gemini, which has no 413.
  if (/request payload size exceeds/i.test(said)) return "RequestTooLargeError"
  if (noModelText.test(said)) return "NotFoundError"
  // Groq: the model wrote JSON that does not parse; another try may not.
  return /json_validate_failed|tool_use_failed/.test(said) ? "ServerError" : "InvalidRequestError"
}

const kindOf429 = (provider: string, body: ErrorBody, said: string): Kind => {
  if (overloadedText.test(said)) return "OverloadedError"
  // Vertex: the shared pool of the region is full; limits of one's own come with details.
  const isShared =
    body.details.length === 0 &&
    body.status === "RESOURCE_EXHAUSTED" &&
    (provider.includes("vertex") || /resource (?:has been )?exhausted.*try again later/i.test(body.message))
  return isShared ? "OverloadedError" : "RateLimitError"
}

/** OpenRouter refuses flagged prompts with 403, and a few accesses. */
const kindOf403 = (provider: string, body: ErrorBody): Kind => {
  if (!provider.startsWith("openrouter")) return "PermissionError"
  if (body.metadata?.["reasons"] !== undefined) return "ContentFilterError"
  return /region|country|permission|not allowed|access|terms of service|data policy/i.test(body.message)
    ? "PermissionError"
    : "ContentFilterError"
}

const kindOf = (provider: string, status: number, body: ErrorBody, verdict: Throttle.Verdict): Kind => {
  if (verdict._tag === "Fatal" || verdict._tag === "Park") return "QuotaExhaustedError"
  const said = `${body.code ?? ""} ${body.type ?? ""} ${body.reason ?? ""} ${body.message}`
  const isRefusal = status === 400 || status === 403 || status === 413 || status === 422 || status === 451
  if (isRefusal) {
    const isFiltered =
      [body.code, body.type, body.reason].some(
        (code) => code !== undefined && contentFilterCodes.has(code)
      ) || contentFilterText.test(body.message)
    if (isFiltered) return "ContentFilterError"
  }
  if ((isRefusal && status !== 403) || status === 500) {
    if (contextLengthText.test(said)) return "ContextLengthError"
  }
  if (exceedsWholeLimit(status, body)) return "RequestTooLargeError"
  switch (status) {
    case 400:
    case 422:
      return kindOf400(body, said)
    case 402:
      // Not a used-up quota, or the verdict would say so: OpenRouter's budget for calls in flight.
      return "RateLimitError"
    case 403:
      return kindOf403(provider, body)
    case 429:
      return kindOf429(provider, body, said)
    case 498:
      if (provider.startsWith("groq")) return "OverloadedError"
      return provider.startsWith("cohere") ? "ContentFilterError" : "InvalidRequestError"
    case 500:
    case 502:
      return overloadedText.test(said) ? "OverloadedError" : "ServerError"
  }
  return kindOfStatus(status)
}

/** Header names in the order of trust; each provider sends one or two of them. */
export const requestIdHeaders: ReadonlyArray<string> = [
  "x-request-id",
  "request-id",
  "apim-request-id",
  "x-groq-request-id",
  "x-groq-id",
  "mistral-correlation-id",
  "x-kong-request-id",
  "x-generation-id",
  "x-debug-trace-id" // Cohere
]

const requestIdOf = (headers: Answer["headers"], body: ErrorBody): string | undefined => {
  for (const name of requestIdHeaders) {
    const id = safeId(headers[name])
    if (id !== undefined) return id
  }
  return safeId(body.requestId)
}

const isNumeric = (text: string | undefined): boolean => text !== undefined && /^\d+$/.test(text)

/** The most telling name of the error: a number only where there is no word. */
const codeOf = (body: ErrorBody): string | undefined => {
  const names = [body.reason, body.code, body.status, body.type]
  const name = names.find((name) => name !== undefined && !isNumeric(name)) ?? body.code
  return name === undefined ? undefined : safeText(name, 100)
}

const hintOf = (verdict: Throttle.Verdict, now: number): Duration.Duration | undefined =>
  verdict._tag === "Wait"
    ? verdict.for
    : verdict._tag === "Park"
      ? Duration.millis(verdict.until - now)
      : undefined

const build = (
  provider: string,
  answer: Answer,
  body: ErrorBody,
  now: number,
  status: number = answer.status
): LlmError.LlmError => {
  const { shouldRetry, verdict } = Throttle.decode(provider, { ...answer, status }, now)
  const message = safeText(body.message)
  const code = codeOf(body)
  const requestId = requestIdOf(answer.headers, body)
  const retryAfter = hintOf(verdict, now)
  const kind = kindOf(provider, status, body, verdict)
  const LlmErrorClass = classes[kind]
  const fields = {
    provider,
    message: message === "" ? `${provider} answered ${answer.status} without a message` : message,
    status: answer.status,
    ...(code === undefined ? {} : { code }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    // it overrides what the status suggests, and no retry mends an empty account
    ...(shouldRetry === undefined || kind === "QuotaExhaustedError" ? {} : { shouldRetry })
  }
  // The types say all that validation would, and it is most of the cost in a storm of 429s.
  return new LlmErrorClass(fields, { disableValidation: true })
}

/**
 * The error of an answer that failed: any status outside 2xx, or a 2xx that has no usable body (a
 * `NetworkError`). `now` in epoch milliseconds.
 */
export const classify = (provider: string, answer: Answer, now: number): LlmError.LlmError =>
  (answer.status >= 200 && answer.status < 300 ? classifyBody(provider, answer, now) : undefined) ??
  build(provider, answer, read(answer.body), now)

/** What the Responses API has against an image: the same image fares no better again. */
const imageCodes = [
  "empty_image_file",
  "failed_to_download_image",
  "image_content_policy_violation",
  "image_file_not_found",
  "image_file_too_large",
  "image_parse_error",
  "image_too_large",
  "image_too_small",
  "invalid_base64_image",
  "invalid_image",
  "invalid_image_format",
  "invalid_image_mode",
  "invalid_image_url",
  "unsupported_image_media_type"
]

/** Statuses that errors inside a 200 would have had. Codes of OpenAI, types of Anthropic. */
const statusOfName: Readonly<Record<string, number>> = {
  ...Object.fromEntries(imageCodes.map((code) => [code, 400])),
  bio_policy: 400,
  data_residency_mismatch: 400,
  vector_store_timeout: 504,
  invalid_request_error: 400,
  invalid_prompt: 400,
  content_filter: 400,
  content_policy_violation: 400,
  context_length_exceeded: 400,
  authentication_error: 401,
  invalid_api_key: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  model_not_found: 404,
  conflict_error: 409,
  request_too_large: 413,
  insufficient_quota: 429,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  too_many_requests: 429,
  request_timeout: 408,
  server_error: 500,
  api_error: 500,
  service_unavailable: 503,
  service_unavailable_error: 503,
  server_is_overloaded: 503,
  slow_down: 503,
  timeout_error: 504,
  overloaded_error: 529,
  UNAVAILABLE: 503,
  RESOURCE_EXHAUSTED: 429,
  DEADLINE_EXCEEDED: 504,
  INVALID_ARGUMENT: 400
}

/** The status that an error which came inside a success would have had; 500 where nothing tells. */
const statusInside = (body: ErrorBody): number => {
  for (const name of [body.code, body.type, body.status]) {
    const status = name === undefined ? undefined : isNumeric(name) ? Number(name) : statusOfName[name]
    if (status !== undefined && status >= 400 && status < 600) return status
  }
  return contextLengthText.test(body.message) ? 400 : 500
}

const inside = (provider: string, answer: Answer, body: unknown, now: number): LlmError.LlmError => {
  const facts = read(body)
  return build(provider, { ...answer, body }, facts, now, statusInside(facts))
}

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null

/**
 * The error inside a successful answer's body, `undefined` if it holds none: OpenRouter's `error` member,
 * a failed answer of the Responses API. Cheap on good bodies: called for each.
 */
export const classifyBody = (
  provider: string,
  answer: Answer,
  now: number
): LlmError.LlmError | undefined => {
  const body: unknown = Array.isArray(answer.body) ? answer.body[0] : answer.body
  if (!isObject(body)) return undefined
  const error = body["error"]
  if (error !== undefined && error !== null && error !== "") return inside(provider, answer, body, now)
  // OpenRouter, where one of its upstreams failed while writing.
  const choice: unknown = Array.isArray(body["choices"]) ? body["choices"][0] : undefined
  return isObject(choice) && isObject(choice["error"]) ? inside(provider, answer, choice, now) : undefined
}

/**
 * The error that a stream's event reports after the status said 200, `undefined` for all other events.
 * `answer` is the stream's status and headers, its body the event's parsed data.
 *
 * Known: `{error}` (OpenAI chat, OpenRouter, Gemini), `{type:"error"}` (Anthropic; Responses, flat),
 * `{type:"response.failed",response:{error}}`, `{object:"error"}` (vLLM, Mistral), Cohere's
 * `{type:"message-end",delta:{error}}`.
 */
export const classifyEvent = (
  provider: string,
  answer: Answer,
  now: number
): LlmError.LlmError | undefined => {
  const event: unknown = Array.isArray(answer.body) ? answer.body[0] : answer.body
  if (!isObject(event)) return undefined
  switch (event["type"]) {
    case "error":
      return inside(provider, answer, event, now)
    case "response.failed":
      return inside(provider, answer, event["response"], now)
    case "message-end": {
      const delta = event["delta"]
      return isObject(delta) && delta["error"] ? inside(provider, answer, delta, now) : undefined
    }
  }
  if (event["object"] === "error") return inside(provider, answer, event, now)
  return classifyBody(provider, answer, now)
}
