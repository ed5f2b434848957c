import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { classify, classifyBody, classifyEvent, classifyTransport } from "../src/internal/classifyError.js"
import * as LlmError from "../src/LlmError.js"

const now = Date.parse("2026-08-21T12:00:00Z")

type Tag = LlmError.LlmError["_tag"]
type Row = readonly [
  expected: Tag,
  provider: string,
  status: number,
  body: unknown,
  headers?: Record<string, string>
]

const of = (...[, provider, status, body, headers = {}]: Row) =>
  classify(provider, { status, headers, body }, now)

const openAi = (code: string | number | null, message = "", type = "invalid_request_error") => ({
  error: { message, type, param: null, code }
})
const anthropic = (type: string, message = "", details?: object) => ({
  type: "error",
  error: { type, message, ...(details === undefined ? {} : { details }) },
  request_id: "req_1"
})
const google = (code: number, status: string, message = "", ...details: ReadonlyArray<object>) => ({
  error: { code, message, status, details }
})
const reason = (reason: string) => ({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason })
const quotaFailure = (quotaId: string, quotaValue: string) => ({
  "@type": "type.googleapis.com/google.rpc.QuotaFailure",
  violations: [{ quotaId, quotaValue }]
})

const openAiRows: ReadonlyArray<Row> = [
  ["ContextLengthError", "openai", 400, openAi("context_length_exceeded")],
  [
    "ContextLengthError",
    "openai",
    400,
    openAi(null, "This model's maximum context length is 8192 tokens. However …")
  ],
  ["ContextLengthError", "openai", 400, openAi(null, "Your input exceeds the context window of this model.")],
  [
    "InvalidRequestError",
    "openai",
    400,
    openAi("unsupported_parameter", "Unsupported parameter: 'max_tokens'")
  ],
  ["InvalidRequestError", "openai", 400, openAi("unsupported_value")],
  ["InvalidRequestError", "openai", 400, openAi("invalid_json_schema")],
  ["InvalidRequestError", "openai", 400, openAi(null)],
  ["ContentFilterError", "openai", 400, openAi("content_policy_violation")],
  ["ContentFilterError", "openai", 400, openAi("invalid_prompt")],
  ["AuthError", "openai", 401, openAi("invalid_api_key", "Incorrect API key provided: sk-ab***yz.")],
  ["PermissionError", "openai", 403, openAi("unsupported_country_region_territory")],
  ["PermissionError", "openai", 403, openAi("model_not_found", "Project does not have access to model")],
  ["NotFoundError", "openai", 404, openAi("model_not_found")],
  ["TimeoutError", "openai", 408, ""],
  ["ConflictError", "openai", 409, ""],
  ["RequestTooLargeError", "openai", 413, ""],
  ["InvalidRequestError", "openai", 422, openAi(null)],
  ["RateLimitError", "openai", 429, openAi("rate_limit_exceeded", "Rate limit reached", "tokens")],
  ["RateLimitError", "openai", 429, openAi("slow_down", "")],
  ["RateLimitError", "openai", 429, ""],
  ["QuotaExhaustedError", "openai", 429, openAi("insufficient_quota", "", "insufficient_quota")],
  ["QuotaExhaustedError", "openai", 429, openAi(null, "", "insufficient_quota")],
  ["QuotaExhaustedError", "openai", 429, openAi("credit_balance_exhausted")],
  ["QuotaExhaustedError", "openai", 429, openAi("organization_spend_limit_exceeded")],
  ["QuotaExhaustedError", "openai", 429, openAi("project_spend_limit_exceeded")],
  ["QuotaExhaustedError", "openai", 429, openAi("organization_usage_limit_exceeded")],
  ["QuotaExhaustedError", "openai", 429, openAi("billing_hard_limit_reached")],
  ["QuotaExhaustedError", "openai", 429, openAi("billing_not_active")],
  ["OverloadedError", "openai", 429, openAi("resource_unavailable")],
  [
    "RequestTooLargeError",
    "openai",
    429,
    openAi("rate_limit_exceeded", "Request too large for gpt-4o: Limit 30000, Requested 40000.")
  ],
  ["ServerError", "openai", 500, openAi(null, "The server had an error", "server_error")],
  ["OverloadedError", "openai", 503, openAi("server_is_overloaded", "", "service_unavailable_error")],
  ["OverloadedError", "openai", 503, openAi("slow_down")]
]

const azureRows: ReadonlyArray<Row> = [
  [
    "ContentFilterError",
    "azure",
    400,
    {
      error: {
        code: "content_filter",
        param: "prompt",
        type: null,
        status: 400,
        message: "The response was filtered",
        innererror: { code: "ResponsibleAIPolicyViolation" }
      }
    }
  ],
  ["AuthError", "azure", 401, openAi("401", "Access denied due to invalid subscription key")],
  ["NotFoundError", "azure", 404, openAi("DeploymentNotFound")],
  ["TimeoutError", "azure", 408, openAi("408")],
  ["RateLimitError", "azure", 429, openAi("429", "Please retry after 26 seconds.")],
  ["RateLimitError", "azure", 429, openAi("RateLimitReached")],
  ["RateLimitError", "azure", 429, openAi("too_many_requests")],
  ["ServerError", "azure", 500, openAi("500")]
]

const anthropicRows: ReadonlyArray<Row> = [
  [
    "InvalidRequestError",
    "anthropic",
    400,
    anthropic("invalid_request_error", "messages: at least one message is required")
  ],
  // Never "context length" in Anthropic's words.
  [
    "ContextLengthError",
    "anthropic",
    400,
    anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")
  ],
  [
    "ContextLengthError",
    "anthropic",
    400,
    anthropic(
      "invalid_request_error",
      "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"
    )
  ],
  [
    "QuotaExhaustedError",
    "anthropic",
    400,
    anthropic("invalid_request_error", "You have reached your specified API usage limits.")
  ],
  [
    "QuotaExhaustedError",
    "anthropic",
    400,
    anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API.")
  ],
  ["AuthError", "anthropic", 401, anthropic("authentication_error", "invalid x-api-key")],
  ["QuotaExhaustedError", "anthropic", 402, anthropic("billing_error")],
  ["PermissionError", "anthropic", 403, anthropic("permission_error")],
  ["NotFoundError", "anthropic", 404, anthropic("not_found_error", "model: claude-x")],
  ["ConflictError", "anthropic", 409, anthropic("conflict_error")],
  ["RequestTooLargeError", "anthropic", 413, anthropic("request_too_large")],
  ["RateLimitError", "anthropic", 429, anthropic("rate_limit_error")],
  [
    "QuotaExhaustedError",
    "anthropic",
    429,
    anthropic("rate_limit_error", "", { error_code: "enforced_spend_limit_reached" })
  ],
  ["ServerError", "anthropic", 500, anthropic("api_error")],
  ["TimeoutError", "anthropic", 504, anthropic("timeout_error")],
  ["OverloadedError", "anthropic", 529, anthropic("overloaded_error", "Overloaded")]
]

const googleRows: ReadonlyArray<Row> = [
  ["InvalidRequestError", "gemini", 400, google(400, "INVALID_ARGUMENT")],
  [
    "RequestTooLargeError",
    "gemini",
    400,
    google(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes.")
  ],
  [
    "ContextLengthError",
    "gemini",
    400,
    google(
      400,
      "INVALID_ARGUMENT",
      "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576)."
    )
  ],
  [
    "AuthError",
    "gemini",
    400,
    google(
      400,
      "INVALID_ARGUMENT",
      "API key not valid. Please pass a valid API key.",
      reason("API_KEY_INVALID")
    )
  ],
  [
    "PermissionError",
    "gemini",
    400,
    google(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")
  ],
  ["AuthError", "vertex", 401, google(401, "UNAUTHENTICATED")],
  ["PermissionError", "gemini", 403, google(403, "PERMISSION_DENIED", "", reason("SERVICE_DISABLED"))],
  ["QuotaExhaustedError", "gemini", 402, google(402, "RESOURCE_EXHAUSTED")],
  ["NotFoundError", "gemini", 404, google(404, "NOT_FOUND")],
  [
    "RateLimitError",
    "gemini",
    429,
    google(
      429,
      "RESOURCE_EXHAUSTED",
      "You exceeded your current quota, please check your plan and billing details.",
      quotaFailure("GenerateRequestsPerMinutePerProjectPerModel", "15")
    )
  ],
  [
    "QuotaExhaustedError",
    "gemini",
    429,
    google(
      429,
      "RESOURCE_EXHAUSTED",
      "",
      quotaFailure("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "50")
    )
  ],
  [
    "QuotaExhaustedError",
    "gemini",
    429,
    google(429, "RESOURCE_EXHAUSTED", "", quotaFailure("GenerateRequestsPerMinutePerProjectPerModel", "0"))
  ],
  [
    "QuotaExhaustedError",
    "gemini",
    429,
    google(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")
  ],
  [
    "OverloadedError",
    "vertex",
    429,
    [google(429, "RESOURCE_EXHAUSTED", "Resource exhausted, please try again later.")]
  ],
  ["CancelledError", "gemini", 499, google(499, "CANCELLED")],
  ["ServerError", "gemini", 500, google(500, "INTERNAL")],
  ["OverloadedError", "gemini", 503, google(503, "UNAVAILABLE", "The model is overloaded.")],
  ["TimeoutError", "gemini", 504, google(504, "DEADLINE_EXCEEDED")]
]

const otherRows: ReadonlyArray<Row> = [
  // Mistral
  ["AuthError", "mistral", 401, { message: "Unauthorized", request_id: "m1" }],
  ["QuotaExhaustedError", "mistral", 402, { message: "Payment required" }],
  [
    "InvalidRequestError",
    "mistral",
    422,
    { detail: [{ loc: ["body", "seed"], msg: "Extra inputs are not permitted", type: "extra_forbidden" }] }
  ],
  [
    "InvalidRequestError",
    "mistral",
    422,
    {
      object: "error",
      message: { detail: [{ loc: ["body", "seed"], msg: "Extra inputs are not permitted" }] },
      type: "invalid_request_error"
    }
  ],
  [
    "RateLimitError",
    "mistral",
    429,
    { object: "error", message: "Rate limit exceeded", type: "rate_limited", param: null, code: "1300" }
  ],
  ["RateLimitError", "mistral", 429, { message: "Requests rate limit exceeded" }],
  [
    "QuotaExhaustedError",
    "mistral",
    429,
    { message: "Requests rate limit exceeded" },
    { "x-ratelimit-limit-req-minute": "0" }
  ],
  [
    "OverloadedError",
    "mistral",
    429,
    { object: "error", message: "Service tier capacity exceeded for this model." }
  ],
  [
    "OverloadedError",
    "mistral",
    503,
    { object: "error", message: "Service tier capacity exceeded for this model." }
  ],
  [
    "ContextLengthError",
    "mistral",
    400,
    {
      object: "error",
      message:
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"
    }
  ],
  // Cohere
  [
    "ContextLengthError",
    "cohere",
    400,
    { message: "too many tokens: total number of tokens in the prompt exceeds the limit" }
  ],
  ["AuthError", "cohere", 401, { message: "invalid api token" }],
  ["QuotaExhaustedError", "cohere", 402, { message: "billing" }],
  ["PermissionError", "cohere", 403, { message: "" }],
  ["NotFoundError", "cohere", 404, { message: "model 'x' not found" }],
  ["InvalidRequestError", "cohere", 422, { message: "" }],
  [
    "QuotaExhaustedError",
    "cohere",
    429,
    { message: "You are using a Trial key, which is limited to 1000 API calls / month." }
  ],
  [
    "RateLimitError",
    "cohere",
    429,
    { message: "You are using a Trial key, which is limited to 20 API calls / minute." }
  ],
  ["RateLimitError", "cohere", 429, { message: "Please slow down: too many tokens" }],
  ["ContentFilterError", "cohere", 498, { message: "blocked" }],
  ["CancelledError", "cohere", 499, { message: "" }],
  ["ServerError", "cohere", 500, { message: "internal server error", id: "c1" }],
  ["InvalidRequestError", "cohere", 501, { message: "not implemented" }],
  ["OverloadedError", "cohere", 503, { message: "" }],
  ["TimeoutError", "cohere", 504, { message: "" }],
  // Groq: the same status, another meaning
  ["OverloadedError", "groq", 498, openAi("flex_tier_capacity_exceeded")],
  [
    "RequestTooLargeError",
    "groq",
    413,
    openAi("rate_limit_exceeded", "Request too large for model `x` (TPM): Limit 6000, Requested 8000")
  ],
  [
    "ContextLengthError",
    "groq",
    400,
    openAi(null, "Please reduce the length of the messages or completion.")
  ],
  ["ServerError", "groq", 400, openAi("json_validate_failed", "Failed to generate JSON.")],
  // DeepSeek
  ["QuotaExhaustedError", "deepseek", 402, openAi("invalid_request_error", "Insufficient Balance")],
  ["ContentFilterError", "deepseek", 400, openAi(null, "Content Exists Risk")],
  ["NotFoundError", "deepseek", 400, openAi(null, "Model Not Exist")],
  // OpenRouter
  ["QuotaExhaustedError", "openrouter", 402, openAi(402, "Insufficient credits")],
  [
    "RateLimitError",
    "openrouter",
    402,
    { error: { code: 402, message: "", metadata: { limit_source: "openrouter_in_flight_budget" } } },
    { "retry-after": "3" }
  ],
  ["RequestTooLargeError", "openrouter", 402, openAi("weight_exceeds_budget")],
  [
    "ContentFilterError",
    "openrouter",
    403,
    {
      error: {
        code: 403,
        message: "Your chosen model requires moderation and your input was flagged",
        metadata: { reasons: ["violence"], flagged_input: "…" }
      }
    }
  ],
  ["PermissionError", "openrouter", 403, openAi(403, "This model is not available in your region")],
  ["QuotaExhaustedError", "openrouter", 403, openAi(403, "Key limit exceeded (daily limit).")],
  ["ServerError", "openrouter", 502, openAi(502, "Provider returned error")],
  [
    "ContextLengthError",
    "openrouter",
    400,
    {
      error: {
        code: 400,
        message: "Provider returned error",
        metadata: { raw: '{"error":{"message":"prompt is too long: 5 tokens > 4 maximum"}}' }
      }
    }
  ],
  // Compatible servers
  [
    "ContextLengthError",
    "local",
    400,
    {
      object: "error",
      message: "This model's maximum context length is 4096 tokens.",
      type: "BadRequestError",
      param: null,
      code: 400
    }
  ],
  [
    "ContextLengthError",
    "local",
    400,
    {
      error: {
        message: "the request exceeds the available context size",
        type: "exceed_context_size_error",
        code: 400
      }
    }
  ],
  ["ContextLengthError", "together", 422, openAi(null, "`inputs` tokens + `max_new_tokens` must be <= 8193")],
  ["NotFoundError", "ollama", 404, openAi(null, "model 'x' not found", "not_found_error")],
  ["InvalidRequestError", "local", 400, { error: "bad request" }],
  ["InvalidRequestError", "local", 400, { error: { error: { message: "bad request" } } }],
  [
    "AuthError",
    "xai",
    400,
    { code: "Client specified an invalid argument", error: "Incorrect API key provided: xa***2b." }
  ],
  ["InvalidRequestError", "voyage", 400, { detail: "bad input" }],
  ["QuotaExhaustedError", "jina", 402, { detail: "balance" }],
  // Gateways
  ["ServerError", "together", 502, "<html>\r\n<head><title>502 Bad Gateway</title></head></html>"],
  ["ServerError", "local", 520, ""],
  ["ServerError", "local", 524, undefined],
  ["ServerError", "local", 530, null],
  ["OverloadedError", "local", 503, "no healthy upstream"],
  ["InvalidRequestError", "local", 498, ""],
  ["NotFoundError", "local", 301, ""],
  ["NetworkError", "local", 200, "<html>login</html>"],
  ["NetworkError", "local", 0, undefined]
]

describe("classify", () => {
  for (const row of [...openAiRows, ...azureRows, ...anthropicRows, ...googleRows, ...otherRows]) {
    const [expected, provider, status, body] = row
    it(`${provider} ${status} ${JSON.stringify(body)?.slice(0, 90)}: ${expected}`, () => {
      const error = of(...row)
      assert.strictEqual(error._tag, expected)
      assert.strictEqual(error.provider, provider)
      assert.strictEqual(error.status, status)
      assert.isAbove(error.message.length, 0)
      // Errors travel in checkpoints.
      const stored = Schema.encodeSync(LlmError.LlmError)(error)
      assert.strictEqual(Schema.decodeSync(LlmError.LlmError)(stored)._tag, expected)
    })
  }

  it("keeps the provider's message, code and wait", () => {
    const error = of(
      "RateLimitError",
      "groq",
      429,
      openAi("rate_limit_exceeded", "Rate limit reached.\n  Please try again in 5.289s.", "tokens")
    )
    assert.strictEqual(error.message, "Rate limit reached. Please try again in 5.289s.")
    assert.strictEqual(error.code, "rate_limit_exceeded")
    assert.strictEqual(Duration.toMillis(LlmError.waitHint(error)), 5_289)
    assert.isTrue(LlmError.isRetryable(error))
  })

  it("a used-up quota is never retried, and says when it is full again if it is known", () => {
    const error = of(
      "QuotaExhaustedError",
      "gemini",
      429,
      google(429, "RESOURCE_EXHAUSTED", "Please retry in 3s.", quotaFailure("RequestsPerDay", "50"))
    )
    assert.isFalse(LlmError.isRetryable(error))
    assert.strictEqual(Duration.toHours(LlmError.waitHint(error)), 19)
  })

  it("prefers words to numbers as code", () => {
    const codes = [
      of("RateLimitError", "mistral", 429, { message: "x", type: "rate_limited", code: "1300" }),
      of("AuthError", "gemini", 400, google(400, "INVALID_ARGUMENT", "", reason("API_KEY_INVALID"))),
      of("OverloadedError", "gemini", 503, google(503, "UNAVAILABLE")),
      of("OverloadedError", "anthropic", 529, anthropic("overloaded_error")),
      of("InvalidRequestError", "local", 400, { error: { message: "x", code: 400 } }),
      of("InvalidRequestError", "local", 400, { error: { message: "x", code: null } })
    ].map((error) => error.code)
    assert.deepStrictEqual(codes, [
      "rate_limited",
      "API_KEY_INVALID",
      "UNAVAILABLE",
      "overloaded_error",
      "400",
      undefined
    ])
  })

  it("finds the request id", () => {
    const id = (headers: Record<string, string>, body: unknown = {}) =>
      of("ServerError", "x", 500, body, headers).requestId
    assert.strictEqual(id({ "x-request-id": "a", "apim-request-id": "b" }), "a")
    assert.strictEqual(id({ "request-id": "req_1" }), "req_1")
    assert.strictEqual(id({ "apim-request-id": "b" }), "b")
    assert.strictEqual(id({ "mistral-correlation-id": "m" }), "m")
    assert.strictEqual(id({}, anthropic("api_error")), "req_1")
    assert.strictEqual(id({}, { x_groq: { id: "g" } }), "g")
    assert.isUndefined(id({ "x-request-id": "two words\n" }))
  })

  it("reads messages out of every shape", () => {
    const message = (body: unknown, status = 400) => of("InvalidRequestError", "x", status, body).message
    assert.strictEqual(
      message("<!DOCTYPE html><title>502 Bad\nGateway</title><h1>x</h1>", 502),
      "502 Bad Gateway"
    )
    assert.strictEqual(message("<html><body><p>no <b>luck</b></p></body></html>", 502), "no luck")
    assert.strictEqual(message("upstream connect error", 503), "upstream connect error")
    assert.strictEqual(
      message({ detail: [{ loc: ["body", "seed"], msg: "not permitted" }] }),
      "body.seed: not permitted"
    )
    assert.strictEqual(message({ error: "plain" }), "plain")
    assert.strictEqual(message({ error: { error: { message: "deep" } } }), "deep")
    assert.strictEqual(message([{ error: { message: "first" } }]), "first")
    assert.strictEqual(
      message({ error: { message: "Provider returned error", metadata: { raw: "upstream says no" } } }),
      "Provider returned error: upstream says no"
    )
    assert.strictEqual(message(undefined), "x answered 400 without a message")
  })

  describe("messages are safe", () => {
    const keys = [
      "sk-proj-abcdefghijklmnop1234567890",
      "sk-ab***yz",
      "my-own***",
      "sk-ant-api03-AbC_dEf-123",
      "sk-or-v1-0123456789abcdef",
      "gsk_abcdefghij1234567890",
      "xai-abcdefghijkl",
      "AIzaSyA-1234567890abcdefghijklmnopqrstu",
      "ya29.a0AfH6SMBx-yz",
      "hf_abcdefghijklmnop",
      "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_123",
      "0123456789abcdef0123456789abcdef",
      "AKIAIOSFODNN7EXAMPLE"
    ]
    for (const key of keys) {
      it(`hides ${key}`, () => {
        for (const text of [
          `Incorrect API key provided: ${key}. You can find yours at …`,
          `Bearer ${key}`,
          `(${key})`
        ]) {
          const { message } = of("AuthError", "openai", 401, openAi("invalid_api_key", text))
          assert.notInclude(message, key)
          assert.notInclude(message, key.slice(4))
          assert.include(message, "[redacted]")
        }
      })
    }

    it("hides the values of credential headers and queries, whatever they look like", () => {
      for (const text of [
        "x-api-key: my-own-k3y",
        "authorization: Bearer abc.def-123",
        "https://h/v1?key=my-own-k3y&x=1",
        '"api_key":"my-own-k3y"'
      ]) {
        const { message } = of("AuthError", "x", 400, text)
        assert.notInclude(message, "my-own-k3y")
        assert.notInclude(message, "abc.def-123")
      }
    })

    it("leaves ordinary words alone", () => {
      for (const text of [
        "Invalid API key: missing",
        "The task-based risk-adjusted model claude-sonnet-4-5-20250929 is not in us-east-1",
        "request 550e8400-e29b-41d4-a716-446655440000 of org-abc failed, bearer of bad news",
        "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
      ]) {
        assert.strictEqual(of("InvalidRequestError", "x", 400, { message: text }).message, text)
      }
    })

    it("cuts at 500 characters, not inside one", () => {
      const { message } = of("InvalidRequestError", "x", 400, {
        message: `${"a".repeat(498)}😀${"b".repeat(100)}`
      })
      assert.strictEqual(message, `${"a".repeat(498)}…`)
    })

    it.prop(
      "one bounded line of any body, and nothing throws",
      [
        FastCheck.constantFrom("openai", "azure", "anthropic", "gemini", "groq", "openrouter", "x"),
        FastCheck.integer({ min: 0, max: 600 }),
        FastCheck.oneof(
          FastCheck.string({ unit: "binary", maxLength: 2_000 }),
          FastCheck.jsonValue(),
          FastCheck.record({
            error: FastCheck.oneof(
              FastCheck.string(),
              FastCheck.dictionary(
                FastCheck.constantFrom(
                  "message",
                  "code",
                  "type",
                  "status",
                  "details",
                  "metadata",
                  "error",
                  "detail"
                ),
                FastCheck.jsonValue()
              )
            )
          })
        )
      ],
      ([provider, status, body]) => {
        for (const error of [
          classify(provider, { status, headers: {}, body }, now),
          classifyEvent(provider, { status: 200, headers: {}, body }, now)
        ]) {
          if (error === undefined) continue
          assert.isAtMost(error.message.length, 500)
          assert.match(error.message, /^[^\p{Cc}]+$/u)
          assert.isAtMost(error.code?.length ?? 0, 100)
        }
      },
      { fastCheck: { numRuns: 1_000 } }
    )
  })
})

describe("classifyBody: errors inside a 200", () => {
  const inside = (body: unknown, provider = "openrouter", headers = {}) =>
    classifyBody(provider, { status: 200, headers, body }, now)

  it("finds none in good answers", () => {
    for (const body of [
      { id: "1", choices: [{ message: { content: "hi" } }] },
      { object: "response", status: "completed", error: null, output: [] },
      { candidates: [] },
      { error: "" },
      undefined,
      "text"
    ]) {
      assert.isUndefined(inside(body))
    }
  })

  it("classifies by the code inside", () => {
    const rows: ReadonlyArray<readonly [Tag, unknown, string?]> = [
      ["RateLimitError", { error: { code: 429, message: "slow" } }],
      ["QuotaExhaustedError", { error: { code: 402, message: "credits" } }],
      ["ServerError", { error: { code: 502, message: "upstream" } }],
      ["OverloadedError", { error: { code: 503, message: "no provider" } }],
      ["ContextLengthError", { error: { message: "maximum context length is 5 tokens" } }],
      ["ServerError", { error: "something" }],
      ["ServerError", { choices: [{ finish_reason: "error", error: { code: 502, message: "upstream" } }] }],
      [
        "ServerError",
        { object: "response", status: "failed", error: { code: "server_error", message: "x" } },
        "openai"
      ],
      [
        "RateLimitError",
        { object: "response", status: "failed", error: { code: "rate_limit_exceeded", message: "x" } },
        "openai"
      ],
      [
        "ContentFilterError",
        { object: "response", status: "failed", error: { code: "invalid_prompt", message: "x" } },
        "openai"
      ],
      ...(
        [
          ["ContentFilterError", "bio_policy"],
          ["ContentFilterError", "image_content_policy_violation"],
          ["InvalidRequestError", "invalid_image"],
          ["InvalidRequestError", "data_residency_mismatch"],
          ["TimeoutError", "vector_store_timeout"]
        ] as const
      ).map(
        ([tag, code]) =>
          [tag, { object: "response", status: "failed", error: { code, message: "x" } }, "openai"] as const
      )
    ]
    for (const [expected, body, provider] of rows) {
      const error = inside(body, provider)
      assert.strictEqual(error?._tag, expected, JSON.stringify(body))
      assert.strictEqual(error?.status, 200)
      assert.strictEqual(
        classify(provider ?? "openrouter", { status: 200, headers: {}, body }, now)._tag,
        expected
      )
    }
  })

  it("keeps the hint", () => {
    const error = inside({ error: { code: 429, message: "slow" } }, "openrouter", { "retry-after": "7" })
    assert.strictEqual(Duration.toSeconds(error === undefined ? 0 : LlmError.waitHint(error)), 7)
  })
})

describe("classifyEvent: errors inside a stream", () => {
  const rows: ReadonlyArray<readonly [Tag | undefined, string, unknown]> = [
    [undefined, "openai", { choices: [{ delta: { content: "hi" } }] }],
    [undefined, "openai", { type: "response.completed", response: { error: null } }],
    [undefined, "anthropic", { type: "ping" }],
    [undefined, "cohere", { type: "message-end", delta: { finish_reason: "COMPLETE" } }],
    [
      "QuotaExhaustedError",
      "openai",
      { type: "error", code: "insufficient_quota", message: "x", param: null, sequence_number: 2 }
    ],
    [
      "QuotaExhaustedError",
      "openai",
      { type: "error", error: { type: "insufficient_quota", code: "insufficient_quota", message: "x" } }
    ],
    [
      "QuotaExhaustedError",
      "openai",
      {
        type: "response.failed",
        response: { status: "failed", error: { code: "insufficient_quota", message: "x" } }
      }
    ],
    [
      "RateLimitError",
      "openai",
      { type: "response.failed", response: { error: { code: "rate_limit_exceeded", message: "x" } } }
    ],
    ["ServerError", "openai", { error: { type: "server_error", code: null, message: "x" } }],
    ["ContextLengthError", "openai", { type: "error", code: "context_length_exceeded", message: "x" }],
    [
      "OverloadedError",
      "anthropic",
      { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }
    ],
    ["ServerError", "anthropic", { type: "error", error: { type: "api_error", message: "x" } }],
    ["RateLimitError", "anthropic", { type: "error", error: { type: "rate_limit_error", message: "x" } }],
    ["TimeoutError", "anthropic", { type: "error", error: { type: "timeout_error", message: "x" } }],
    ["OverloadedError", "gemini", { error: { code: 503, status: "UNAVAILABLE", message: "x" } }],
    ["OverloadedError", "vertex", [{ error: { code: 503, status: "UNAVAILABLE", message: "x" } }]],
    [
      "ServerError",
      "openrouter",
      { error: { code: 502, message: "x" }, choices: [{ delta: {}, finish_reason: "error" }] }
    ],
    ["ServerError", "cohere", { type: "message-end", delta: { finish_reason: "ERROR", error: "x" } }],
    ["InvalidRequestError", "local", { object: "error", message: "x", type: "BadRequestError", code: 400 }]
  ]
  for (const [expected, provider, body] of rows) {
    it(`${provider} ${JSON.stringify(body).slice(0, 90)}: ${expected}`, () => {
      const error = classifyEvent(provider, { status: 200, headers: {}, body }, now)
      assert.strictEqual(error?._tag, expected)
      if (error !== undefined)
        assert.strictEqual(
          error.message,
          provider === "anthropic" && expected === "OverloadedError" ? "Overloaded" : "x"
        )
    })
  }
})

describe("classifyTransport", () => {
  const failure = (code: string, fields: object = {}) =>
    Object.assign(new Error(`text of ${code} Bearer sk-secret1234`), { code }, fields)

  const rows: ReadonlyArray<readonly [Tag, string]> = [
    ["NetworkError", "ECONNRESET"],
    ["NetworkError", "ECONNREFUSED"],
    ["NetworkError", "ETIMEDOUT"],
    ["NetworkError", "EAI_AGAIN"],
    ["NetworkError", "ENOTFOUND"],
    ["NetworkError", "EPIPE"],
    ["NetworkError", "UND_ERR_SOCKET"],
    ["NetworkError", "UND_ERR_CONNECT_TIMEOUT"],
    ["TimeoutError", "UND_ERR_HEADERS_TIMEOUT"],
    ["TimeoutError", "UND_ERR_BODY_TIMEOUT"],
    ["NetworkError", "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["NetworkError", "CERT_HAS_EXPIRED"],
    ["NetworkError", "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["NetworkError", "HPE_INVALID_CONSTANT"],
    ["NetworkError", "ESOMETHINGNEW"],
    ["InvalidRequestError", "ERR_INVALID_CHAR"]
  ]
  for (const [expected, code] of rows) {
    it(`${code}: ${expected}`, () => {
      const inner = failure(code)
      const request = { headers: { authorization: "Bearer sk-secret1234" }, url: "http://h/?key=secret" }
      for (const cause of [
        inner,
        new TypeError("fetch failed", { cause: inner }),
        { _tag: "RequestError", reason: "Transport", request, cause: inner, message: "Bearer sk-secret1234" },
        new AggregateError([inner, failure(code)])
      ]) {
        const error = classifyTransport("openai", cause)
        assert.strictEqual(error._tag, expected)
        assert.strictEqual(error.code, code)
        assert.include(error.message, `[${code}]`)
        assert.notInclude(error.message, "secret")
        assert.notInclude(error.message, "Bearer")
      }
    })
  }

  it("says where it was going", () => {
    assert.strictEqual(
      classifyTransport("local", failure("ECONNREFUSED", { address: "127.0.0.1", port: 8000 })).message,
      "the server refused the connection: is it running, and is the address right? (127.0.0.1:8000) [ECONNREFUSED]"
    )
    assert.include(
      classifyTransport("x", failure("ENOTFOUND", { hostname: "api.example.com" })).message,
      "(api.example.com)"
    )
  })

  it("knows failures by name where they have no code", () => {
    const tag = (cause: unknown) => classifyTransport("x", cause)._tag
    assert.strictEqual(tag(new DOMException("late", "TimeoutError")), "TimeoutError")
    assert.strictEqual(tag(new DOMException("stop", "AbortError")), "CancelledError")
    assert.strictEqual(tag({ _tag: "TimeoutException" }), "TimeoutError")
    assert.strictEqual(tag({ _tag: "ResponseError", reason: "Decode" }), "NetworkError")
    assert.strictEqual(tag({ _tag: "RequestError", reason: "InvalidUrl" }), "InvalidRequestError")
    assert.strictEqual(tag(new SyntaxError("Unexpected token")), "NetworkError")
  })

  it("takes anything, cycles too", () => {
    const loop: { cause?: unknown } = {}
    loop.cause = loop
    for (const cause of [undefined, null, 1, "text sk-secret1234", {}, [], loop, new Error("x")]) {
      const error = classifyTransport("x", cause)
      assert.strictEqual(error._tag, "NetworkError")
      assert.strictEqual(error.message, "the request got no answer")
    }
  })
})
