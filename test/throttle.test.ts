import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as FastCheck from "effect/FastCheck"
import { ToldRates } from "../src/internal/told.js"
import { decode, type Throttle, type Window } from "../src/Throttle.js"

const now = Date.parse("2026-08-21T12:00:00Z")
const second = 1000
const minute = 60 * second
const hour = 60 * minute
const year = 365 * 24 * hour

interface Case {
  readonly name: string
  readonly provider?: string
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: unknown
  readonly now?: number
}

const run = ({ provider = "openai", status = 429, headers = {}, body, now: at = now }: Case): Throttle =>
  decode(provider, { status, headers, body }, at)

/** A verdict in few characters: `none`, `1500 retry-after-ms`, `park 2026-08-22T07:00:00.000Z`, `fatal`. */
const verdict = ({ verdict }: Throttle): string => {
  switch (verdict._tag) {
    case "None":
      return "none"
    case "Wait":
      return `${Duration.toMillis(verdict.for)} ${verdict.source}`
    case "Park":
      return `park ${new Date(verdict.until).toISOString()}`
    case "Fatal":
      return "fatal"
  }
}

const show = (window: Window | undefined) =>
  window === undefined
    ? undefined
    : [
        window.limit,
        window.remaining,
        window.resetAfter === undefined ? undefined : Duration.toMillis(window.resetAfter),
        window.period
      ]

const error = (fields: object) => ({ error: fields })
const said = (message: string) => error({ message, type: "tokens", code: "rate_limit_exceeded" })
const google = (message: string, ...details: ReadonlyArray<object>) =>
  error({ code: 429, message, status: "RESOURCE_EXHAUSTED", details })
const retryInfo = (retryDelay: string) => ({
  "@type": "type.googleapis.com/google.rpc.RetryInfo",
  retryDelay
})
const quotaFailure = (...ids: ReadonlyArray<readonly [id: string, value: string]>) => ({
  "@type": "type.googleapis.com/google.rpc.QuotaFailure",
  violations: ids.map(([quotaId, quotaValue]) => ({ quotaMetric: "m", quotaId, quotaValue }))
})
const perDay = ["GenerateRequestsPerDayPerProjectPerModel-FreeTier", "50"] as const
const perMinute = ["GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "15"] as const
const tokensPerMinute = ["GenerateContentInputTokensPerModelPerMinute-FreeTier", "250000"] as const

describe("Throttle.decode", () => {
  describe("waits", () => {
    const cases: ReadonlyArray<readonly [expected: string, Case]> = [
      // Headers
      ["1500 retry-after-ms", { name: "milliseconds", headers: { "retry-after-ms": "1500" } }],
      ["1501 retry-after-ms", { name: "a fraction rounds up", headers: { "retry-after-ms": "1500.5" } }],
      [
        "1500 retry-after-ms",
        { name: "milliseconds before seconds", headers: { "retry-after-ms": "1500", "retry-after": "2" } }
      ],
      ["12000 retry-after", { name: "seconds", headers: { "retry-after": "12" } }],
      ["500 retry-after", { name: "a fraction of a second", headers: { "retry-after": " 0.5 " } }],
      [
        "90000 retry-after",
        { name: "HTTP date", headers: { "retry-after": "Fri, 21 Aug 2026 12:01:30 GMT" } }
      ],
      [
        "90000 retry-after",
        { name: "RFC 850 date", headers: { "retry-after": "Friday, 21-Aug-26 12:01:30 GMT" } }
      ],
      ["90000 retry-after", { name: "asctime date", headers: { "retry-after": "Fri Aug 21 12:01:30 2026" } }],
      [
        "none",
        { name: "HTTP date in the past", headers: { "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" } }
      ],
      ["34000 retry-after", { name: "a duration as retry-after", headers: { "retry-after": "34s" } }],
      [
        "60000 retry-after",
        { name: "an epoch as retry-after", headers: { "retry-after": `${now / 1000 + 60}` } }
      ],
      [
        "90000 retry-after",
        {
          name: "HTTP date by the answer's own clock",
          headers: { "retry-after": "Fri, 21 Aug 2026 13:01:30 GMT", date: "Fri, 21 Aug 2026 13:00:00 GMT" }
        }
      ],
      ["40000 retry-after", { name: "a repeated header", headers: { "retry-after": "30, 40" } }],
      [
        "20000 message",
        {
          name: "the longer of header and text",
          headers: { "retry-after": "9" },
          body: said("try again in 20s")
        }
      ],
      ["none", { name: "negative", headers: { "retry-after": "-5" } }],
      ["none", { name: "zero", headers: { "retry-after": "0", "retry-after-ms": "0" } }],
      ["none", { name: "not a number", headers: { "retry-after": "soon" } }],
      ["none", { name: "empty", headers: { "retry-after": "" } }],
      ["none", { name: "infinite", headers: { "retry-after": "Infinity" } }],
      ["none", { name: "more than a year", headers: { "retry-after": "99999999" } }],
      ["none", { name: "hexadecimal", headers: { "retry-after": "0x10" } }],
      [
        "5289 message",
        {
          name: "an unreadable header leaves the text",
          headers: { "retry-after": "-1" },
          body: said("Please try again in 5.289s.")
        }
      ],
      [
        "9000 retry-after",
        { name: "header before text", headers: { "retry-after": "9" }, body: said("Please try again in 5s.") }
      ],
      ["30000 retry-after", { name: "on 503", status: 503, headers: { "retry-after": "30" } }],
      [
        "30000 retry-after",
        { name: "on 529", provider: "anthropic", status: 529, headers: { "retry-after": "30" } }
      ],
      // Texts
      [
        "5289 message",
        {
          name: "Groq",
          provider: "groq",
          body: said("(TPM): Limit 15000, Used 11972, Requested 4351. Please try again in 5.289s. Visit …")
        }
      ],
      ["10670 message", { name: "Gemini's text", body: said("Please retry in 10.67s.") }],
      ["6000 message", { name: "after 6 seconds", body: said("Rate limited, retry after 6 seconds") }],
      ["62500 message", { name: "minutes and seconds", body: said("Please try again in 1m2.5s.") }],
      ["20 message", { name: "milliseconds are not minutes", body: said("Please try again in 20ms.") }],
      ["360000 message", { name: "6m0s", body: said("Please try again in 6m0s.") }],
      [
        "26000 message",
        { name: "Azure", provider: "azure", body: said("Please retry after 26 seconds. Please go here") }
      ],
      ["3723000 message", { name: "in words", body: said("Try again in 1 hour, 2 minutes and 3 seconds") }],
      ["20000 message", { name: "wait for", body: said("Please wait for 20 seconds") }],
      ["7200000 message", { name: "the longest of several", body: said("try again in 5s, or retry in 2h") }],
      ["none", { name: "an hour ago is no wait", body: said("You sent 20 requests in 1 minute") }],
      ["none", { name: "no unit", body: said("try again in 5 fruitful ways") }],
      [
        "none",
        { name: "texts count only where waiting may help", status: 400, body: said("try again in 5s") }
      ],
      ["5000 message", { name: "plain text body", status: 503, body: "Overloaded, try again in 5 s" }],
      // Gemini
      [
        "34400 retry-info",
        {
          name: "RetryInfo",
          provider: "gemini",
          body: google("Please retry in 10s.", quotaFailure(perMinute), retryInfo("34.4s"))
        }
      ],
      [
        "34000 retry-info",
        { name: "RetryInfo in an array", provider: "gemini", body: [google("quota", retryInfo("34s"))] }
      ],
      ["none", { name: "RetryInfo of zero", provider: "gemini", body: google("quota", retryInfo("0s")) }],
      [
        "none",
        {
          name: "Vertex without details",
          provider: "vertex",
          body: google("Resource exhausted, please try again later.")
        }
      ],
      [
        "34000 retry-info",
        {
          name: "Gemini says 'check your plan and billing' of its limits per minute too",
          provider: "gemini",
          body: google(
            "You exceeded your current quota, please check your plan and billing details.",
            quotaFailure(perMinute),
            retryInfo("34s")
          )
        }
      ],
      // Reset headers: until full, not a wait
      [
        "none",
        {
          name: "reset is not a wait",
          headers: {
            "x-ratelimit-limit-tokens": "10000",
            "x-ratelimit-remaining-tokens": "200",
            "x-ratelimit-reset-tokens": "6m0s"
          }
        }
      ],
      [
        "120 reset",
        {
          name: "one request of an empty bucket",
          headers: {
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1m0s"
          }
        }
      ],
      [
        "17000 reset",
        {
          name: "Azure's reset is seconds to wait",
          provider: "azure",
          headers: { "x-ratelimit-reset-tokens": "17" }
        }
      ],
      [
        "none",
        {
          name: "Azure's -1 and 0",
          provider: "azure",
          headers: {
            "x-ratelimit-limit-tokens": "-1",
            "x-ratelimit-remaining-tokens": "-1",
            "x-ratelimit-reset-tokens": "0"
          }
        }
      ],
      [
        "25000 reset",
        { name: "Cohere's epoch", provider: "cohere", headers: { "x-ratelimit-reset": `${now / 1000 + 25}` } }
      ],
      [
        "25000 reset",
        {
          name: "an epoch in milliseconds",
          provider: "openrouter",
          headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": `${now + 25_000}` }
        }
      ],
      [
        "none",
        {
          name: "an epoch that has passed",
          provider: "cohere",
          headers: { "x-ratelimit-reset": `${now / 1000 - 25}` }
        }
      ],
      [
        "25000 reset",
        {
          name: "OpenRouter's headers inside the body",
          provider: "openrouter",
          body: error({
            code: 429,
            message: "Rate limit exceeded: free-models-per-min.",
            metadata: {
              headers: {
                "X-RateLimit-Limit": "20",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": `${now + 25_000}`
              }
            }
          })
        }
      ],
      [
        "4000 retry-after",
        {
          name: "OpenRouter's budget in flight",
          provider: "openrouter",
          status: 402,
          headers: { "retry-after": "4" },
          body: error({
            code: 402,
            message: "In-flight budget exhausted",
            metadata: { limit_source: "openrouter_in_flight_budget" }
          })
        }
      ],
      // A success asks for nothing, unless nothing remains
      ["none", { name: "success", status: 200 }],
      ["none", { name: "202 with retry-after", status: 202, headers: { "retry-after": "30" } }],
      [
        "none",
        {
          name: "success with some left",
          status: 200,
          headers: {
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "1",
            "x-ratelimit-reset-requests": "1m0s"
          }
        }
      ],
      [
        "120 remaining",
        {
          name: "success with none left",
          status: 200,
          headers: {
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1m0s"
          }
        }
      ],
      [
        "6000 remaining",
        {
          name: "Groq's day flows in too",
          provider: "groq",
          status: 200,
          headers: {
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "24h0m0s"
          }
        }
      ],
      [
        "25000 remaining",
        {
          name: "a fixed window has to end",
          provider: "cohere",
          status: 200,
          headers: {
            "x-ratelimit-limit": "20",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": `${now / 1000 + 25}`
          }
        }
      ]
    ]
    for (const [expected, input] of cases) {
      it(`${input.name}: ${expected}`, () => assert.strictEqual(verdict(run(input)), expected))
    }
  })

  describe("used-up quotas", () => {
    const fatal: ReadonlyArray<Case> = [
      ...[
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active"
      ].flatMap((code) => [
        { name: `OpenAI code ${code}`, body: error({ message: "", type: "x", code }) },
        {
          name: `OpenAI type ${code}`,
          headers: { "retry-after": "1" },
          body: error({ message: "", type: code, code: null })
        }
      ]),
      {
        name: "Anthropic spend limit",
        provider: "anthropic",
        body: {
          type: "error",
          error: {
            type: "rate_limit_error",
            message: "",
            details: { error_code: "enforced_spend_limit_reached" }
          }
        }
      },
      {
        name: "Anthropic limit of one's own",
        provider: "anthropic",
        status: 400,
        body: error({
          type: "invalid_request_error",
          message: "You have reached your specified workspace API usage limits."
        })
      },
      {
        name: "Anthropic balance",
        provider: "anthropic",
        status: 400,
        body: error({
          type: "invalid_request_error",
          message: "Your credit balance is too low to access the API."
        })
      },
      { name: "402", provider: "deepseek", status: 402, body: error({ message: "Insufficient Balance" }) },
      { name: "402 without a body", status: 402 },
      {
        name: "Gemini prepaid credits",
        provider: "gemini",
        body: google("Your prepayment credits are depleted.")
      },
      {
        name: "Gemini spending cap",
        provider: "gemini",
        body: google("The project has exceeded its monthly spending cap."),
        headers: { "retry-after": "3" }
      },
      {
        name: "Gemini quota of zero",
        provider: "gemini",
        body: google("quota", quotaFailure([perMinute[0], "0"]), retryInfo("3s"))
      },
      {
        name: "Gemini limit: 0",
        provider: "gemini",
        body: google("Quota exceeded for metric: m, limit: 0, model: gemini-2.5-pro", retryInfo("3s"))
      },
      {
        name: "Mistral limit of zero",
        provider: "mistral",
        headers: { "x-ratelimit-limit-req-minute": "0" },
        body: { message: "Requests rate limit exceeded" }
      },
      {
        name: "Mistral month",
        provider: "mistral",
        headers: { "x-ratelimit-limit-tokens-month": "1000000", "x-ratelimit-remaining-tokens-month": "0" }
      },
      {
        name: "Cohere trial month",
        provider: "cohere",
        body: { message: "You are using a Trial key, which is limited to 1000 API calls / month." }
      },
      {
        name: "OpenRouter budget",
        provider: "openrouter",
        status: 403,
        body: error({
          code: 403,
          message: "Budget",
          metadata: { limit_source: "openrouter_workspace_budget" }
        })
      },
      {
        name: "OpenRouter key",
        provider: "openrouter",
        status: 403,
        body: error({ code: 403, message: "Key limit exceeded (monthly limit)." })
      }
    ]
    for (const input of fatal) {
      it(`${input.name}: fatal`, () => assert.strictEqual(verdict(run(input)), "fatal"))
    }

    const parked: ReadonlyArray<readonly [until: string, Case]> = [
      // Midnight in California, whatever short delay stands beside it.
      [
        "2026-08-22T07:00:00.000Z",
        {
          name: "Gemini per day",
          provider: "gemini",
          body: google("quota", quotaFailure(perMinute, perDay), retryInfo("34s"))
        }
      ],
      [
        "2026-03-08T08:00:00.000Z",
        {
          name: "the night before clocks go forward",
          provider: "gemini",
          now: Date.parse("2026-03-07T20:00:00Z"),
          body: google("", quotaFailure(perDay))
        }
      ],
      [
        "2026-03-09T07:00:00.000Z",
        {
          name: "the short day",
          provider: "gemini",
          now: Date.parse("2026-03-08T08:00:00Z"),
          body: google("", quotaFailure(perDay))
        }
      ],
      [
        "2026-11-02T08:00:00.000Z",
        {
          name: "the long day",
          provider: "gemini",
          now: Date.parse("2026-11-01T07:30:00Z"),
          body: google("", quotaFailure(perDay))
        }
      ],
      [
        "2026-09-01T00:00:00.000Z",
        {
          name: "Anthropic says when",
          provider: "anthropic",
          status: 400,
          body: error({
            type: "invalid_request_error",
            message:
              "You have reached your specified API usage limits. You will regain access on 2026-09-01 at 00:00 UTC."
          })
        }
      ],
      [
        "2026-08-22T00:00:00.000Z",
        {
          name: "OpenRouter says when",
          provider: "openrouter",
          status: 403,
          body: error({
            code: 403,
            message: "",
            metadata: { limit_source: "openrouter_key_limit", resets_at: "2026-08-22T00:00:00Z" }
          })
        }
      ],
      [
        "2026-08-22T00:00:00.000Z",
        {
          name: "OpenRouter free models per day",
          provider: "openrouter",
          body: error({
            code: 429,
            message: "Rate limit exceeded: free-models-per-day. Add credits",
            metadata: {
              headers: {
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": `${Date.parse("2026-08-22T00:00:00Z")}`
              }
            }
          })
        }
      ]
    ]
    for (const [until, input] of parked) {
      it(`${input.name}: park`, () => assert.strictEqual(verdict(run(input)), `park ${until}`))
    }

    const passing: ReadonlyArray<Case> = [
      { name: "rate_limit_exceeded", body: said("Rate limit reached") },
      { name: "slow_down", body: error({ message: "", code: "slow_down" }) },
      {
        name: "Cohere trial minute",
        provider: "cohere",
        body: { message: "You are using a Trial key, which is limited to 20 API calls / minute." }
      },
      { name: "Gemini limit: 50", provider: "gemini", body: google("Quota exceeded, limit: 50") },
      // Parking a domain for one oversized request would stop all the others.
      {
        name: "one request larger than the limit",
        headers: { "retry-after": "60" },
        body: said("Request too large for gpt-4o (TPM): Limit 30000, Requested 40000.")
      },
      {
        name: "the same without these words",
        body: said("(TPM): Limit 30000, Used 1, Requested 40000. Please try again in 20s.")
      }
    ]
    for (const input of passing) {
      it(`${input.name}: none`, () => assert.strictEqual(verdict(run(input)), "none"))
    }
  })

  describe("limits", () => {
    const openAi = {
      "x-ratelimit-limit-requests": "10000",
      "x-ratelimit-remaining-requests": "9999",
      "x-ratelimit-reset-requests": "6ms",
      "x-ratelimit-limit-tokens": "2000000",
      "x-ratelimit-remaining-tokens": "1000000",
      "x-ratelimit-reset-tokens": "30s"
    }

    it("OpenAI, on successes and failures alike", () => {
      for (const status of [200, 400, 429, 500]) {
        const { requests, tokens } = run({ name: "", status, headers: openAi })
        assert.deepStrictEqual(show(requests), [10_000, 9_999, 6, "minute"])
        assert.deepStrictEqual(show(tokens), [2_000_000, 1_000_000, 30_000, "minute"])
      }
    })

    it("one answer says a day only where its reset is too long for a window of a minute", () => {
      const period = (provider: string, limit: number, remaining: number, reset: string) =>
        run({
          name: "",
          provider,
          status: 200,
          headers: {
            "x-ratelimit-limit-requests": `${limit}`,
            "x-ratelimit-remaining-requests": `${remaining}`,
            "x-ratelimit-reset-requests": reset
          }
        }).requests?.period
      // a day's bucket with little used may as well be a window that ends soon, and a run would wait a day for nothing
      assert.strictEqual(period("openai", 10_000, 9_999, "8.64s"), "minute")
      assert.strictEqual(period("openai", 10_000, 9_900, "14m24s"), "day")
      assert.strictEqual(period("groq", 10_000, 9_999, "8.64s"), "day")
      for (const provider of ["openai", "local"]) {
        assert.strictEqual(period(provider, 600, 599, "60s"), "minute")
      }
      assert.strictEqual(period("local", 50, 49, "1s"), "second")
    })

    it("further answers tell a bucket from a window, and take back what was taken for another period", () => {
      const reader = new ToldRates()
      const read = (limit: number, remaining: number, reset: string) =>
        reader.read(
          run({
            name: "",
            status: 200,
            headers: {
              "x-ratelimit-limit-requests": `${limit}`,
              "x-ratelimit-remaining-requests": `${remaining}`,
              "x-ratelimit-reset-requests": reset
            }
          })
        )
      assert.deepStrictEqual(Object.keys(read(50, 49, "1s") ?? {}), ["requestsPerMinute"])
      const second = read(50, 40, "1s")
      assert.strictEqual(second?.requestsPerSecond?.limit, 50)
      assert.strictEqual(second?.requestsPerMinute?.limit, Number.MAX_SAFE_INTEGER)
      read(10_000, 9_999, "8.64s")
      assert.strictEqual(read(10_000, 9_998, "17.28s")?.requestsPerDay?.limit, 10_000)
    })

    it("measures the period of a server it does not know", () => {
      const of = (reset: string) =>
        run({
          name: "",
          provider: "local",
          status: 200,
          headers: {
            ...openAi,
            "x-ratelimit-remaining-requests": "5000",
            "x-ratelimit-reset-requests": reset
          }
        }).requests?.period
      assert.deepStrictEqual(["500ms", "30s", "12h0m0s", "10m0s"].map(of), [
        "second",
        "minute",
        "day",
        "unknown"
      ])
    })

    it("reads every form of a reset", () => {
      const of = (reset: string) =>
        show(
          run({ name: "", status: 200, headers: { ...openAi, "x-ratelimit-reset-tokens": reset } }).tokens
        )?.[2]
      const resets = [
        "20ms",
        "1s",
        "6m0s",
        "1h2m3.5s",
        "2m59.56s",
        "60",
        `${now / 1000 + 5}`,
        `${now + 5000}`,
        "2026-08-21T12:00:05Z",
        "2026-08-21T11:00:00Z",
        "-1",
        "x",
        "1e5s"
      ]
      assert.deepStrictEqual(resets.map(of), [
        20,
        1_000,
        360_000,
        3_723_500,
        179_560,
        60_000,
        5_000,
        5_000,
        5_000,
        0,
        undefined,
        undefined,
        undefined
      ])
    })

    it("Groq: requests per day, tokens per minute", () => {
      const { requests, tokens } = run({
        name: "",
        provider: "groq",
        status: 200,
        headers: {
          "x-ratelimit-limit-requests": "14400",
          "x-ratelimit-remaining-requests": "14370",
          "x-ratelimit-reset-requests": "2m59.56s",
          "x-ratelimit-limit-tokens": "18000",
          "x-ratelimit-remaining-tokens": "17997",
          "x-ratelimit-reset-tokens": "7.66s"
        }
      })
      assert.deepStrictEqual(show(requests), [14_400, 14_370, 179_560, "day"])
      assert.deepStrictEqual(show(tokens), [18_000, 17_997, 7_660, "minute"])
    })

    it("Azure: sometimes only what remains, sometimes nonsense", () => {
      const of = (headers: Record<string, string>) =>
        run({ name: "", provider: "azure", status: 200, headers })
      const some = of({ "x-ratelimit-remaining-requests": "79", "x-ratelimit-remaining-tokens": "61353" })
      assert.deepStrictEqual(show(some.requests), [undefined, 79, undefined, "minute"])
      assert.deepStrictEqual(show(some.tokens), [undefined, 61_353, undefined, "minute"])
      const bad = of({
        "x-ratelimit-limit-tokens": "-1",
        "x-ratelimit-remaining-tokens": "-1",
        "x-ratelimit-reset-tokens": "0"
      })
      assert.isUndefined(bad.tokens)
      assert.isUndefined(of({ "x-ratelimit-limit-tokens": "0", "x-ratelimit-remaining-tokens": "0" }).tokens)
    })

    it("Anthropic: input and output are not swapped", () => {
      const headers = Object.fromEntries(
        (["requests", "tokens", "input-tokens", "output-tokens"] as const).flatMap((kind, index) => [
          [`anthropic-ratelimit-${kind}-limit`, `${(index + 1) * 1000}`],
          [`anthropic-ratelimit-${kind}-remaining`, `${(index + 1) * 100}`],
          [`anthropic-ratelimit-${kind}-reset`, `2026-08-21T12:00:0${index + 1}Z`]
        ])
      )
      const found = run({ name: "", provider: "anthropic", status: 200, headers })
      assert.deepStrictEqual(show(found.requests), [1_000, 100, 1_000, "minute"])
      assert.deepStrictEqual(show(found.tokens), [2_000, 200, 2_000, "minute"])
      assert.deepStrictEqual(show(found.inputTokens), [3_000, 300, 3_000, "minute"])
      assert.deepStrictEqual(show(found.outputTokens), [4_000, 400, 4_000, "minute"])
      assert.strictEqual(verdict(found), "none")
    })

    it("Mistral's own names, new and old", () => {
      const found = run({
        name: "",
        provider: "mistral",
        status: 200,
        headers: {
          "x-ratelimit-limit-req-minute": "60",
          "x-ratelimit-remaining-req-minute": "59",
          "x-ratelimit-limit-tokens-minute": "500000",
          "x-ratelimit-remaining-tokens-minute": "499000",
          "x-ratelimit-limit-tokens-month": "1000000000",
          "x-ratelimit-remaining-tokens-month": "999000000"
        }
      })
      assert.deepStrictEqual(show(found.requests), [60, 59, undefined, "minute"])
      assert.deepStrictEqual(show(found.tokens), [500_000, 499_000, undefined, "minute"])
      const old = run({
        name: "",
        provider: "mistral",
        status: 200,
        headers: {
          "x-ratelimitbysize-limit-minute": "500000",
          "x-ratelimitbysize-remaining-minute": "499900",
          "ratelimitbysize-reset": "51"
        }
      })
      assert.deepStrictEqual(show(old.tokens), [500_000, 499_900, 51_000, "minute"])
    })

    it("Gemini: the limits it enforced", () => {
      const found = run({
        name: "",
        provider: "gemini",
        body: google("", quotaFailure(perDay, perMinute, tokensPerMinute))
      })
      assert.deepStrictEqual(show(found.requests), [15, undefined, undefined, "minute"])
      assert.deepStrictEqual(show(found.inputTokens), [250_000, undefined, undefined, "minute"])
    })

    it("x-should-retry", () => {
      const of = (value: string) => run({ name: "", headers: { "x-should-retry": value } }).shouldRetry
      assert.deepStrictEqual(["true", "false", "maybe"].map(of), [true, false, undefined])
    })
  })

  describe("on anything at all", () => {
    const names = [
      "retry-after",
      "retry-after-ms",
      "x-should-retry",
      "x-ratelimit-limit",
      "x-ratelimit-remaining",
      "x-ratelimit-reset",
      ...["limit", "remaining", "reset"].flatMap((what) => [
        ...["requests", "tokens"].map((kind) => `x-ratelimit-${what}-${kind}`),
        ...["requests", "tokens", "input-tokens", "output-tokens"].map(
          (kind) => `anthropic-ratelimit-${kind}-${what}`
        ),
        `x-ratelimit-${what}-req-minute`
      ]),
      "anthropic-ratelimit-unified-reset"
    ]
    const value = FastCheck.oneof(
      FastCheck.string(),
      FastCheck.double().map(String),
      FastCheck.integer({ min: -10, max: 100_000 }).map(String),
      FastCheck.integer({ min: -year, max: 2 * year }).map((offset) => String(now + offset)),
      FastCheck.date().map((date) => (Number.isNaN(date.getTime()) ? "Invalid Date" : date.toUTCString())),
      FastCheck.date().map((date) => (Number.isNaN(date.getTime()) ? "Invalid Date" : date.toISOString())),
      FastCheck.tuple(FastCheck.nat(1_000_000), FastCheck.constantFrom("ns", "ms", "s", "m0s", "h")).map(
        ([n, unit]) => `${n}${unit}`
      )
    )
    const headers = FastCheck.dictionary(FastCheck.constantFrom(...names), value, { maxKeys: 12 })
    const phrase = FastCheck.tuple(
      FastCheck.constantFrom(
        "try again in ",
        "Please retry after ",
        "Limit 5, Requested ",
        "per-day wait ",
        "limit: "
      ),
      value,
      FastCheck.constantFrom("", "s", "ms", " seconds", "h", " days")
    ).map((parts) => parts.join(""))
    const body = FastCheck.letrec((tie) => ({
      any: FastCheck.oneof(
        { maxDepth: 4 },
        phrase,
        value,
        FastCheck.jsonValue(),
        FastCheck.array(tie("any"), { maxLength: 3 }),
        FastCheck.dictionary(
          FastCheck.constantFrom(
            "error",
            "message",
            "code",
            "type",
            "status",
            "details",
            "detail",
            "metadata",
            "headers",
            "violations",
            "quotaId",
            "quotaValue",
            "retryDelay",
            "raw",
            "resets_at",
            "limit_source",
            "X-RateLimit-Reset",
            "toString",
            "loc",
            "msg"
          ),
          tie("any"),
          { maxKeys: 6 }
        )
      )
    })).any
    const provider = FastCheck.constantFrom(
      "openai",
      "azure",
      "anthropic",
      "gemini",
      "vertex",
      "groq",
      "mistral",
      "cohere",
      "openrouter",
      "local"
    )
    const status = FastCheck.constantFrom(200, 400, 402, 403, 408, 429, 498, 500, 503, 529)

    const isSound = (millis: number): boolean => Number.isFinite(millis) && millis >= 0 && millis <= year

    it.prop(
      "no wait, limit or reset is negative, infinite or absurd",
      [provider, status, headers, body],
      ([provider, status, headers, body]) => {
        const found = decode(provider, { status, headers, body }, now)
        if (found.verdict._tag === "Wait") {
          const millis = Duration.toMillis(found.verdict.for)
          assert.isTrue(isSound(millis) && millis > 0, `wait ${millis}`)
        }
        if (found.verdict._tag === "Park")
          assert.isTrue(isSound(found.verdict.until - now) && found.verdict.until > now)
        for (const window of [found.requests, found.tokens, found.inputTokens, found.outputTokens]) {
          if (window === undefined) continue
          assert.isTrue(
            window.limit === undefined || (Number.isSafeInteger(window.limit) && window.limit > 0)
          )
          assert.isTrue(
            window.remaining === undefined ||
              (Number.isSafeInteger(window.remaining) && window.remaining >= 0)
          )
          assert.isTrue(window.resetAfter === undefined || isSound(Duration.toMillis(window.resetAfter)))
        }
      },
      { fastCheck: { numRuns: 2_000 } }
    )

    it.prop(
      "never waits less than the server asked",
      [
        provider,
        FastCheck.constantFrom(429, 500, 503, 529),
        FastCheck.double({ min: 0.001, max: 31_000_000, noNaN: true }),
        FastCheck.constantFrom("retry-after", "retry-after-ms", "date", "retry-info", "message")
      ],
      ([provider, status, seconds, how]) => {
        const asked = seconds.toFixed(3)
        const date = new Date(Math.floor(now / 1000 + seconds) * 1000)
        const { verdict } = decode(
          provider,
          {
            status,
            headers:
              how === "date"
                ? { "retry-after": date.toUTCString() }
                : how === "retry-after-ms"
                  ? { "retry-after-ms": (Number(asked) * 1000).toFixed(1) }
                  : how === "retry-after"
                    ? { "retry-after": asked }
                    : {},
            body:
              how === "retry-info"
                ? google("quota", retryInfo(`${asked}s`))
                : said(how === "message" ? `Please try again in ${asked}s.` : "")
          },
          now
        )
        const expected = how === "date" ? date.getTime() - now : Math.round(Number(asked) * 1000)
        const waited = verdict._tag === "Wait" ? Duration.toMillis(verdict.for) : 0
        assert.isAtLeast(waited, expected)
        // Nor a second more.
        assert.isBelow(waited, expected + 1000)
      },
      { fastCheck: { numRuns: 1_000 } }
    )
  })
})
