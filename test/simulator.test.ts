import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Simulator from "../src/Simulator.js"
import { drawFault, type RatedFault } from "../src/simulator/Faults.js"
import * as JsonInstance from "../src/simulator/JsonInstance.js"
import { makeLimiter } from "../src/simulator/Limits.js"
import * as RequestHash from "../src/simulator/RequestHash.js"
import { goDuration } from "../src/simulator/Wire.js"

const key = "sk-secret-0123456789"

interface Answered {
  readonly status: number
  readonly headers: globalThis.Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: wire JSON, each test asserts the part it reads
  readonly json: any
}

class NoAnswer extends Data.TaggedError("NoAnswer")<{ readonly cause: unknown }> {}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Sends a body; fails if the connection does. */
const post = (
  simulator: Simulator.Service,
  body: unknown,
  path = "/chat/completions",
  headers: Record<string, string> = { authorization: `Bearer ${key}` }
): Effect.Effect<Answered, NoAnswer> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(`${simulator.url}${path}`, {
        method: "POST",
        signal,
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body)
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, text, json: parsed(text) }
    },
    catch: (cause) => new NoAnswer({ cause })
  })

const chat = (content: string, more: Record<string, unknown> = {}) => ({
  model: "gpt-4o-mini",
  messages: [{ role: "user", content }],
  ...more
})

const get = (simulator: Simulator.Service, path: string, method = "GET") =>
  Effect.promise(async () => {
    const origin = simulator.url.slice(0, -"/v1".length)
    const response = await fetch(`${origin}${path}`, { method, headers: { authorization: `Bearer ${key}` } })
    return response.text()
  })

const contentOf = ({ json }: Answered): string => json.choices[0].message.content

describe("answers", () => {
  it.scoped(
    "are the same for the same request and seed, whatever the order of keys, and name their request",
    () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.make()
        const again = yield* Simulator.make()
        const body = chat("Question 17: why is the sky blue?", { temperature: 0.5 })
        const swapped = { temperature: 0.5, messages: body.messages, model: body.model }
        const answers = yield* Effect.all([
          post(simulator, body),
          post(simulator, swapped),
          post(again, body),
          post(simulator, chat("Question 18: why is the sky blue?"))
        ])
        const [first, second, third, other] = answers.map(contentOf)
        assert.strictEqual(second, first)
        assert.strictEqual(third, first)
        assert.notStrictEqual(other, first)
        assert.isTrue(
          first?.startsWith(`Answer ${Simulator.requestHash(body)}: Question 17: why is the sky blue?`)
        )
      })
  )

  it.scoped("carry the usage they are made of, and end at the token limit", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ outputTokens: 50 })
      const long = yield* post(simulator, chat("x".repeat(40)))
      assert.strictEqual(long.json.usage.completion_tokens, 50)
      assert.strictEqual(long.json.usage.prompt_tokens, 3 + 3 + 10)
      assert.strictEqual(long.json.usage.total_tokens, 66)
      assert.strictEqual(contentOf(long).length, 200)
      assert.strictEqual(long.json.choices[0].finish_reason, "stop")
      assert.strictEqual(long.json.usage.prompt_tokens_details.cached_tokens, 0)
      const short = yield* post(simulator, chat("x".repeat(40), { max_tokens: 7, n: 2 }))
      assert.strictEqual(short.json.usage.completion_tokens, 14)
      assert.strictEqual(short.json.choices.length, 2)
      assert.strictEqual(short.json.choices[0].finish_reason, "length")
      assert.isTrue(contentOf(long).startsWith("Answer "))
    })
  )

  it.scoped("spend reasoning tokens from the same allowance", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ outputTokens: 50, reasoningTokens: 100 })
      const model = "gpt-5-mini"
      const full = yield* post(simulator, chat("hm", { model }))
      assert.strictEqual(full.json.usage.completion_tokens_details.reasoning_tokens, 100)
      assert.strictEqual(full.json.usage.completion_tokens, 150)
      const starved = yield* post(simulator, chat("hm", { model, max_completion_tokens: 60 }))
      assert.strictEqual(contentOf(starved), "")
      assert.strictEqual(starved.json.choices[0].finish_reason, "length")
    })
  )

  it.scoped("fit the schema asked for, in content and in tool arguments", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make()
      const schema = {
        type: "object",
        properties: {
          name: { type: "string" },
          size: { type: "integer", minimum: 3 },
          tags: { type: "array", items: { enum: ["a", "b"] } },
          maybe: { anyOf: [{ type: "null" }, { $ref: "#" }] }
        },
        required: ["name", "size", "tags", "maybe"],
        additionalProperties: false
      }
      const format = { type: "json_schema", json_schema: { name: "out", strict: true, schema } }
      const body = chat("give", { response_format: format })
      const answer = yield* post(simulator, body)
      const expected = {
        name: `Answer ${Simulator.requestHash(body)}`,
        size: 3,
        tags: ["a"],
        maybe: null
      }
      assert.deepStrictEqual(JSON.parse(contentOf(answer)), expected)

      const tools = [{ type: "function", function: { name: "put", parameters: schema } }]
      const called = yield* post(simulator, chat("call", { tools, tool_choice: "required" }))
      const [choice] = called.json.choices
      assert.strictEqual(choice.finish_reason, "tool_calls")
      assert.isNull(choice.message.content)
      assert.strictEqual(choice.message.tool_calls[0].function.name, "put")
      assert.strictEqual(JSON.parse(choice.message.tool_calls[0].function.arguments).size, 3)

      const loose = { ...schema, additionalProperties: true }
      const refused = yield* post(
        simulator,
        chat("give", {
          response_format: { type: "json_schema", json_schema: { name: "out", strict: true, schema: loose } }
        })
      )
      assert.strictEqual(refused.status, 400)
      assert.match(refused.json.error.message, /^Invalid schema for response_format 'out'/)
    })
  )

  it.prop(
    "JSON instances keep the bounds of numbers and strings",
    [FastCheck.integer({ min: -50, max: 50 }), FastCheck.integer({ min: 1, max: 40 })],
    ([low, span]) => {
      const whole = JsonInstance.make({ type: "integer", minimum: low, maximum: low + span }, "t")
      const open = JsonInstance.make(
        { type: "number", exclusiveMinimum: low, exclusiveMaximum: low + span },
        "t"
      )
      const text = JsonInstance.make({ type: "string", minLength: span, maxLength: span + 1 }, "text")
      return (
        Number.isInteger(whole) &&
        (whole as number) >= low &&
        (whole as number) <= low + span &&
        (open as number) > low &&
        (open as number) < low + span &&
        (text as string).length >= span &&
        (text as string).length <= span + 1
      )
    }
  )

  it.scoped("stream the same text in chunks, with usage in the last", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make()
      const body = chat("Question 1")
      const plain = yield* post(simulator, body)
      const streamed = yield* post(simulator, {
        ...body,
        stream: true,
        stream_options: { include_usage: true }
      })
      assert.match(streamed.headers.get("content-type") ?? "", /^text\/event-stream/)
      const events = streamed.text.split("\n\n").filter((event) => event !== "")
      assert.strictEqual(events.at(-1), "data: [DONE]")
      const chunks = events.slice(0, -1).map((event) => JSON.parse(event.slice("data: ".length)))
      assert.strictEqual(chunks[0].choices[0].delta.role, "assistant")
      assert.strictEqual(
        chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""),
        contentOf(plain)
      )
      assert.strictEqual(chunks.at(-2).choices[0].finish_reason, "stop")
      assert.deepStrictEqual(chunks.at(-1).choices, [])
      assert.deepStrictEqual(chunks.at(-1).usage, plain.json.usage)
      assert.isTrue(chunks.slice(0, -1).every((chunk) => chunk.usage === null))
    })
  )

  it.scoped("of the other endpoints: completions, embeddings, models", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make()
      const completion = yield* post(
        simulator,
        { model: "davinci-002", prompt: ["one", "two"] },
        "/completions"
      )
      assert.strictEqual(completion.json.choices.length, 2)
      assert.strictEqual(completion.json.choices[1].index, 1)
      assert.strictEqual(completion.json.usage.completion_tokens, 32)

      const embed = (input: unknown, more = {}) =>
        post(simulator, { model: "text-embedding-3-small", input, dimensions: 8, ...more }, "/embeddings")
      const pair = yield* embed(["one", "two"])
      const alone = yield* embed("two")
      const packed = yield* embed("two", { encoding_format: "base64" })
      const vector: ReadonlyArray<number> = alone.json.data[0].embedding
      assert.deepStrictEqual(pair.json.data[1].embedding, vector)
      assert.strictEqual(vector.length, 8)
      assert.closeTo(
        vector.reduce((sum, x) => sum + x * x, 0),
        1,
        1e-5
      )
      const bytes = Buffer.from(packed.json.data[0].embedding, "base64")
      assert.deepStrictEqual(
        vector.map((_, i) => bytes.readFloatLE(i * 4)),
        [...vector]
      )

      assert.strictEqual(JSON.parse(yield* get(simulator, "/v1/models")).object, "list")
      assert.match(yield* get(simulator, "/v1/nowhere"), /Invalid URL \(GET \/v1\/nowhere\)/)
    })
  )
})

describe("refusals", () => {
  it.scoped("have OpenAI's status, param and code", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        models: ["gpt-4o-mini", "o3"],
        contextWindow: 100,
        apiKey: key
      })
      const cases: ReadonlyArray<readonly [unknown, number, string | null, string | null]> = [
        ["{", 400, null, null],
        [{ messages: [] }, 400, "model", null],
        [{ model: "gpt-4o-mini" }, 400, "messages", "missing_required_parameter"],
        [{ model: "gpt-4o-mini", messages: [] }, 400, "messages", "empty_array"],
        [chat("x", { model: "gpt-9" }), 404, null, "model_not_found"],
        [chat("x", { top_k: 1 }), 400, null, null],
        [chat("x", { temperature: 3 }), 400, "temperature", "decimal_above_max_value"],
        [chat("x", { max_tokens: 0 }), 400, "max_tokens", "integer_below_min_value"],
        [chat("x", { model: "o3", max_tokens: 5 }), 400, "max_tokens", "unsupported_parameter"],
        [chat("x", { model: "o3", temperature: 0.5 }), 400, "temperature", "unsupported_value"],
        [chat("x".repeat(1000)), 400, "messages", "context_length_exceeded"],
        [chat("x", { response_format: { type: "json_object" } }), 400, "messages", null]
      ]
      for (const [body, status, param, code] of cases) {
        const answer = yield* post(simulator, body)
        assert.strictEqual(answer.status, status, answer.text)
        assert.strictEqual(answer.json.error.type, "invalid_request_error")
        assert.strictEqual(answer.json.error.param, param, answer.text)
        assert.strictEqual(answer.json.error.code, code, answer.text)
        assert.isNotNull(answer.headers.get("x-request-id"))
      }
      assert.strictEqual((yield* post(simulator, chat("x"), undefined, {})).status, 401)
      const wrong = yield* post(simulator, chat("x"), undefined, {
        authorization: "Bearer sk-wrong-key-99999"
      })
      assert.strictEqual(wrong.json.error.code, "invalid_api_key")
      assert.notInclude(wrong.text, "sk-wrong-key-99999")
      assert.strictEqual((yield* simulator.stats).charged, 0)
    })
  )

  it.scoped("of unknown parameters are off where strict is", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ strict: false })
      assert.strictEqual((yield* post(simulator, chat("x", { top_k: 1 }))).status, 200)
    })
  )
})

describe("limits", () => {
  it.scoped("refuse with the true body and headers, and let through what waits as told", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ limits: { rpm: 3 } })
      const ok = yield* post(simulator, chat("1"))
      assert.strictEqual(ok.headers.get("x-ratelimit-limit-requests"), "3")
      assert.strictEqual(ok.headers.get("x-ratelimit-remaining-requests"), "2")
      assert.strictEqual(ok.headers.get("x-ratelimit-reset-requests"), "20s")
      yield* post(simulator, chat("2"))
      yield* post(simulator, chat("3"))
      const refused = yield* post(simulator, chat("4"))
      assert.strictEqual(refused.status, 429)
      assert.strictEqual(refused.headers.get("retry-after"), "20")
      assert.strictEqual(refused.headers.get("retry-after-ms"), "20000")
      assert.strictEqual(refused.json.error.code, "rate_limit_exceeded")
      assert.strictEqual(refused.json.error.type, "requests")
      assert.strictEqual(
        refused.json.error.message,
        "Rate limit reached for gpt-4o-mini in organization org-simulator on requests per min (RPM): " +
          "Limit 3, Used 3, Requested 1. Please try again in 20s. " +
          "Visit https://platform.openai.com/account/rate-limits to learn more."
      )
      yield* TestClock.adjust("19999 millis")
      assert.strictEqual((yield* post(simulator, chat("4"))).status, 429)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* post(simulator, chat("4"))).status, 200)
      const other = yield* post(simulator, chat("4", { model: "gpt-4.1" }))
      assert.strictEqual(other.status, 200, "each model has its own quota")
    })
  )

  it.scoped("charge tokens on entry, by the prompt and the tokens allowed", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ limits: { tpm: 1000 } })
      const body = chat("x".repeat(40), { max_tokens: 384 })
      const first = yield* post(simulator, body)
      assert.strictEqual(first.headers.get("x-ratelimit-remaining-tokens"), "600")
      yield* post(simulator, body)
      const refused = yield* post(simulator, body)
      assert.strictEqual(refused.status, 429)
      assert.strictEqual(refused.json.error.type, "tokens")
      assert.match(
        refused.json.error.message,
        /Limit 1000, Used 800, Requested 400\. Please try again in 12s\./
      )
      const never = yield* post(simulator, chat("x", { max_tokens: 2000 }))
      assert.match(never.json.error.message, /^Request too large for gpt-4o-mini/)
      assert.isNull(never.headers.get("retry-after"))
    })
  )

  it.scoped("count input and output apart, without what the prompt cache had, and tell each", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        limits: { itpm: 4_000, otpm: 100 },
        cachedShare: 0.5,
        outputTokens: 60
      })
      const ask = (n: number) =>
        post(
          simulator,
          {
            model: "claude-haiku-4-5",
            max_tokens: 500,
            messages: [
              {
                role: "user",
                content: [
                  { type: "text", text: `${n}${"x".repeat(7_999)}`, cache_control: { type: "ephemeral" } }
                ]
              }
            ]
          },
          "/messages",
          { "x-api-key": key }
        )
      const told = ({ headers }: Answered) =>
        ["input-tokens", "output-tokens", "tokens"].map((name) =>
          ["limit", "remaining"].map((what) => Number(headers.get(`anthropic-ratelimit-${name}-${what}`)))
        )
      const first = yield* ask(1)
      const { input_tokens: input, cache_creation_input_tokens: written } = first.json.usage
      assert.strictEqual(first.json.usage.cache_read_input_tokens, 1_003)
      const left = 4_000 - input - written
      // what an answer has is charged when it is sent
      assert.deepStrictEqual(told(first), [
        [4_000, left],
        [100, 100],
        [4_100, left + 100]
      ])
      const second = yield* ask(2)
      assert.strictEqual(second.status, 200)
      assert.deepStrictEqual(told(second)[1], [100, 40])
      const third = yield* ask(3)
      assert.strictEqual(third.status, 429)
      assert.match(third.json.error.message, /rate limit of 100 output tokens per minute/)
      assert.strictEqual(third.headers.get("retry-after"), "12")
      assert.deepStrictEqual(told(third), [
        [4_000, left - input - written],
        [100, 0],
        [4_100, left - input - written]
      ])
    })
  )

  it.scoped("of concurrency hold until the answer is sent", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ limits: { concurrency: 2 }, latency: "1 second" })
      const held = yield* Effect.fork(
        Effect.all([post(simulator, chat("1")), post(simulator, chat("2"))], { concurrency: 2 })
      )
      while ((yield* simulator.stats).open < 2) yield* Effect.promise(() => new Promise(setImmediate))
      const third = yield* post(simulator, chat("3"))
      assert.strictEqual(third.status, 429)
      assert.isNull(third.headers.get("retry-after"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        (yield* held).map(({ status }) => status),
        [200, 200]
      )
      assert.strictEqual((yield* simulator.stats).maxInFlight, 3)
    })
  )

  it.scoped("can be changed, and end in an exhausted quota", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        prices: { "*": { input: 0, output: 1_000_000 } },
        outputTokens: 30,
        quota: { dollars: 70 }
      })
      const body = (n: number) => chat(`${n}`)
      const costs = [
        yield* post(simulator, body(1)),
        yield* post(simulator, body(2)),
        yield* post(simulator, body(3))
      ]
      assert.deepStrictEqual(
        costs.map(({ status }) => status),
        [200, 200, 200]
      )
      const broke = yield* post(simulator, body(4))
      assert.strictEqual(broke.status, 429)
      assert.strictEqual(broke.json.error.code, "insufficient_quota")
      assert.strictEqual((yield* simulator.stats).cost, 90)
    })
  )

  const arrivals = FastCheck.array(
    FastCheck.record({
      after: FastCheck.integer({ min: 0, max: 900 }),
      tokens: FastCheck.integer({ min: 1, max: 80 })
    }),
    { minLength: 1, maxLength: 120 }
  )

  it.prop(
    "a sliding limit never lets a window see more than it allows, and its hint is exact",
    [arrivals],
    ([list]) => {
      const limiter = makeLimiter({ rps: 4, tpm: 6000, slice: "1 second", enforcement: "sliding" })
      const admitted: Array<{ readonly at: number; readonly tokens: number }> = []
      let now = 0
      for (const { after, tokens } of list) {
        now += after
        const refused = limiter.admit(now, tokens)
        if (refused === undefined) {
          admitted.push({ at: now, tokens })
        } else {
          const wait = refused.waitMillis ?? 0
          if (limiter.admit(now + wait - 1, tokens) === undefined) return false
          now += wait
          if (limiter.admit(now, tokens) !== undefined) return false
          admitted.push({ at: now, tokens })
        }
      }
      return admitted.every(({ at }) => {
        const window = admitted.filter((other) => other.at > at - 1000 && other.at <= at)
        return window.length <= 4 && window.reduce((sum, { tokens }) => sum + tokens, 0) <= 100
      })
    }
  )

  it.prop("a bucket lets through no more than its size and its refill", [arrivals], ([list]) => {
    const limiter = makeLimiter({ tpm: 6000, slice: "1 second" })
    let now = 0
    let total = 0
    for (const { after, tokens } of list) {
      now += after
      const refused = limiter.admit(now, tokens)
      if (refused === undefined) total += tokens
      else if ((refused.waitMillis ?? 0) > 1 && limiter.admit(now + 0.5, tokens) === undefined) return false
      if (total > 100 + now * 0.1 + 0.001) return false
    }
    return true
  })

  it("print durations as Go does", () => {
    const printed = [0, 20, 999.2, 1000, 1284, 60_000, 360_000, 3_723_500].map(goDuration)
    assert.deepStrictEqual(printed, ["0ms", "20ms", "1s", "1s", "1.284s", "1m0s", "6m0s", "1h2m3.5s"])
  })
})

describe("faults", () => {
  it.scoped("by script hit exactly the requests they name", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        script: [
          { at: 2, fault: { kind: "status", status: 503, retryAfter: "1500 millis" } },
          { match: "poison", times: "always", fault: { kind: "status", status: 500 } },
          { match: "twice", times: 2, fault: { kind: "status", status: 502 } }
        ]
      })
      const status = (content: string) =>
        Effect.map(post(simulator, chat(content)), (answer) => answer.status)
      assert.strictEqual(yield* status("a"), 200)
      const overloaded = yield* post(simulator, chat("b"))
      assert.strictEqual(overloaded.status, 503)
      assert.strictEqual(overloaded.json.error.code, "server_is_overloaded")
      assert.strictEqual(overloaded.headers.get("retry-after"), "2")
      assert.strictEqual(overloaded.headers.get("retry-after-ms"), "1500")
      assert.deepStrictEqual(
        yield* Effect.all([status("poison"), status("poison"), status("poison")]),
        [500, 500, 500]
      )
      assert.deepStrictEqual(
        yield* Effect.all([status("twice"), status("twice"), status("twice")]),
        [502, 502, 200]
      )
    })
  )

  it.scoped("break the answer as they say, and the log says what was charged", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make()
      const under = (fault: Simulator.Fault, more: Record<string, unknown> = {}) =>
        Effect.gen(function* () {
          yield* simulator.setScript([{ fault }])
          const answer = yield* Effect.either(post(simulator, chat("hello", more)))
          const entries = yield* simulator.log
          const entry = entries.at(-1)
          assert.isDefined(entry)
          assert.strictEqual(entry?.fault, fault.kind)
          return { answer: answer._tag === "Right" ? answer.right : undefined, entry }
        })

      const reset = yield* under({ kind: "reset" })
      assert.isUndefined(reset.answer)
      assert.deepInclude(reset.entry, { outcome: "reset", charged: false, status: 0 })

      const truncated = yield* under({ kind: "truncate" })
      assert.isUndefined(truncated.answer)
      assert.deepInclude(truncated.entry, { outcome: "truncated", charged: true, status: 200 })

      const cutStream = yield* under({ kind: "truncate" }, { stream: true })
      assert.isUndefined(cutStream.answer)

      const malformed = yield* under({ kind: "malformed" })
      assert.strictEqual(malformed.answer?.status, 200)
      assert.isUndefined(malformed.answer?.json)
      assert.deepInclude(malformed.entry, { outcome: "answered", charged: true })

      const errorBody = yield* under({ kind: "errorBody", message: "upstream failed" })
      assert.strictEqual(errorBody.answer?.status, 200)
      assert.strictEqual(errorBody.answer?.json.error.message, "upstream failed")
      assert.isFalse(errorBody.entry?.charged)

      const errorEvent = yield* under({ kind: "errorBody" }, { stream: true })
      assert.notInclude(errorEvent.answer?.text, "[DONE]")
      assert.include(errorEvent.answer?.text.trim().split("\n\n").at(-1), '"error"')

      const refusal = yield* under({ kind: "refusal" })
      assert.isNull(refusal.answer?.json.choices[0].message.content)
      assert.isString(refusal.answer?.json.choices[0].message.refusal)

      const filtered = yield* under({ kind: "contentFilter", charged: false })
      assert.strictEqual(filtered.answer?.json.choices[0].finish_reason, "content_filter")
      assert.isFalse(filtered.entry?.charged)

      const empty = yield* under({ kind: "empty" })
      assert.strictEqual(empty.answer?.json.choices[0].message.content, "")

      const gateway = yield* under({ kind: "status", status: 502 })
      assert.match(gateway.answer?.headers.get("content-type") ?? "", /html/)

      const stats = yield* simulator.stats
      assert.strictEqual(stats.successes, 3)
      assert.strictEqual(stats.distinctHashes, 1)
      assert.strictEqual(stats.answeredMoreThanOnce, 1)
      assert.strictEqual(stats.chargedMoreThanOnce, 1)
    })
  )

  it.live("midway through an answer: half of it, then silence", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ script: [{ fault: { kind: "stall", midway: true } }] })
      const received = yield* Effect.promise(async () => {
        const controller = new AbortController()
        const response = await fetch(`${simulator.url}/chat/completions`, {
          method: "POST",
          signal: controller.signal,
          headers: { authorization: `Bearer ${key}` },
          body: JSON.stringify(chat("x", { stream: true }))
        })
        const { value } = (await response.body?.getReader().read()) ?? {}
        controller.abort()
        return Buffer.from(value ?? []).toString()
      })
      assert.include(received, "chat.completion.chunk")
      assert.notInclude(received, "[DONE]")
      while ((yield* simulator.stats).open === 1) yield* Effect.sleep(5)
      const [entry] = yield* simulator.log
      assert.deepInclude(entry, { outcome: "abandoned", status: 200, charged: true, fault: "stall" })
    }).pipe(Effect.scoped)
  )

  it.scoped("can stall until the client gives up", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ script: [{ at: 1, fault: { kind: "stall" } }] })
      const controller = new AbortController()
      const request = fetch(`${simulator.url}/chat/completions`, {
        method: "POST",
        signal: controller.signal,
        headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify(chat("x"))
      }).then(
        () => "answered",
        () => "gave up"
      )
      while ((yield* simulator.stats).open === 0) yield* Effect.promise(() => new Promise(setImmediate))
      controller.abort()
      assert.strictEqual(yield* Effect.promise(() => request), "gave up")
      while ((yield* simulator.stats).open === 1) yield* Effect.promise(() => new Promise(setImmediate))
      const [entry] = yield* simulator.log
      assert.deepInclude(entry, { outcome: "abandoned", status: 0, charged: false, fault: "stall" })
    })
  )

  it("by rate are drawn anew at every attempt, each at its own rate", () => {
    const faults: ReadonlyArray<RatedFault> = [
      { kind: "reset", rate: 0.05 },
      { kind: "status", status: 500, rate: 0.2 }
    ]
    const runs = 40_000
    const counts = { reset: 0, status: 0, both: 0 }
    for (let i = 0; i < runs; i++) {
      const hash = RequestHash.ofText(`request ${i}`)
      const [first, second] = [1, 2].map((attempt) =>
        drawFault(7, faults, { seq: i, hash, attempt, prompt: "" })
      )
      if (first?.kind === "reset") counts.reset += 1
      if (first?.kind === "status") counts.status += 1
      if (first?.kind === "status" && second?.kind === "status") counts.both += 1
    }
    assert.closeTo(counts.reset / runs, 0.05, 0.005)
    assert.closeTo(counts.status / runs, 0.2, 0.008)
    assert.closeTo(counts.both / runs, 0.04, 0.005)
  })
})

describe("latency", () => {
  it.scoped("is the drawn time plus the time of generation", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ latency: "2 seconds", tokensPerSecond: 10, outputTokens: 30 })
      const answer = yield* Effect.fork(post(simulator, chat("x")))
      while ((yield* simulator.stats).open === 0) yield* Effect.promise(() => new Promise(setImmediate))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual((yield* simulator.stats).open, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* answer).status, 200)
      const [entry] = yield* simulator.log
      assert.strictEqual(entry?.latencyMs, 5000)
    })
  )

  it.live("paces a stream, whose reader pays only for what was written when it leaves", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        tokensPerSecond: 200,
        outputTokens: 400,
        streamChunkTokens: 4
      })
      yield* Effect.promise(async () => {
        const controller = new AbortController()
        const response = await fetch(`${simulator.url}/chat/completions`, {
          method: "POST",
          signal: controller.signal,
          headers: { authorization: `Bearer ${key}` },
          body: JSON.stringify(chat("x", { stream: true }))
        })
        await response.body?.getReader().read()
        controller.abort()
      })
      while ((yield* simulator.stats).open === 1) yield* Effect.sleep(5)
      const [entry] = yield* simulator.log
      assert.deepInclude(entry, { outcome: "abandoned", status: 200, charged: true })
      assert.isBelow(entry?.outputTokens ?? 400, 200)
    }).pipe(Effect.scoped)
  )
})

describe("the bill", () => {
  it.scoped("has what was read from the cache, written to it, and thought, at their prices", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        cachedShare: 0.5,
        outputTokens: 30,
        reasoningTokens: 12,
        prices: { "*": { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 } }
      })
      const text = "x".repeat(8_000)
      const answer = yield* post(
        simulator,
        {
          model: "claude-haiku-4-5",
          max_tokens: 5_000,
          thinking: { type: "enabled", budget_tokens: 2_000 },
          messages: [
            { role: "user", content: [{ type: "text", text, cache_control: { type: "ephemeral" } }] }
          ]
        },
        "/messages",
        { "x-api-key": key }
      )
      const { usage } = answer.json
      const bill = {
        inputTokens: 2_006,
        outputTokens: 42,
        cacheReadTokens: 1_003,
        cacheWriteTokens: 902,
        reasoningTokens: 12,
        audioTokens: 0,
        billedInputTokens: 2_006,
        searchUnits: 0
      }
      assert.deepInclude(usage, {
        input_tokens: 101,
        cache_read_input_tokens: 1_003,
        cache_creation_input_tokens: 902,
        output_tokens: 42
      })
      const [entry] = yield* simulator.log
      assert.deepInclude(entry, { ...bill, charged: true, delivered: true })
      assert.closeTo(entry?.cost ?? 0, (101 * 3 + 1_003 * 0.3 + 902 * 3.75 + 42 * 15) / 1e6, 1e-12)
      assert.deepInclude(yield* simulator.stats, { ...bill, cost: entry?.cost ?? 0 })
    })
  )

  const abandoned = (simulator: Simulator.Service) =>
    Effect.gen(function* () {
      const { requests } = yield* simulator.stats
      const call = yield* Effect.fork(post(simulator, chat("hello")))
      while ((yield* simulator.stats).requests === requests)
        yield* Effect.promise(() => new Promise(setImmediate))
      yield* Fiber.interrupt(call)
      while ((yield* simulator.stats).open > 0) yield* Effect.promise(() => new Promise(setImmediate))
      return (yield* simulator.log).at(-1)
    })

  it.scoped("has the calls whose answer reached nobody, and says whose doing that was", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ outputTokens: 30, latency: "1 second" })
      // the client hangs up: the provider goes on, and bills
      const left = yield* abandoned(simulator)
      assert.deepInclude(left, { outcome: "abandoned", charged: true, delivered: false, outputTokens: 30 })
      // the provider breaks what it bills
      yield* simulator.setScript([{ fault: { kind: "malformed" } }])
      const broken = yield* Effect.fork(post(simulator, chat("hello")))
      while ((yield* simulator.stats).open === 0) yield* Effect.promise(() => new Promise(setImmediate))
      yield* TestClock.adjust("1 second")
      yield* broken
      assert.deepInclude((yield* simulator.log).at(-1), {
        outcome: "answered",
        charged: true,
        delivered: false
      })
      const { charged, inputTokens, outputTokens, undelivered } = yield* simulator.stats
      assert.deepInclude(undelivered, { requests: charged, inputTokens, outputTokens })
      assert.strictEqual(charged, 2)
    })
  )

  it.scoped("leaves out the calls that a client hung up on, where told to", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ latency: "1 second", chargeAbandoned: false })
      assert.deepInclude(yield* abandoned(simulator), {
        outcome: "abandoned",
        charged: false,
        delivered: false
      })
      assert.deepInclude(yield* simulator.stats, { charged: 0, outputTokens: 0 })
    })
  )
})

describe("log", () => {
  it.scoped("tells each request, over HTTP too, and never the key", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        logPrompts: 5,
        prices: { "gpt-4o-mini": { input: 1, output: 2 } }
      })
      const body = chat("Question 1")
      const answer = yield* post(simulator, body)
      yield* post(simulator, body)
      yield* post(simulator, {})
      const entries = yield* simulator.log
      const { completion_tokens: output, prompt_tokens: input } = answer.json.usage
      assert.deepInclude(entries[1], {
        seq: 2,
        method: "POST",
        path: "/v1/chat/completions",
        model: "gpt-4o-mini",
        hash: Simulator.requestHash(body),
        attempt: 2,
        outcome: "answered",
        status: 200,
        fault: null,
        inputTokens: input,
        outputTokens: output,
        charged: true,
        cost: (input + 2 * output) / 1_000_000,
        prompt: "Quest"
      })
      assert.deepInclude(entries[2], { status: 400, charged: false, inputTokens: 0 })
      const lines = yield* get(simulator, "/__log?since=1")
      assert.deepStrictEqual(
        lines
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
        entries.slice(1)
      )
      assert.notInclude(lines, key)
      const summary: Simulator.Summary = JSON.parse(yield* get(simulator, "/__log?summary=1"))
      assert.deepInclude(summary, {
        requests: 3,
        successes: 2,
        charged: 2,
        distinctHashes: 2,
        answeredMoreThanOnce: 1
      })
      assert.deepStrictEqual(summary.byStatus, { "200": 2, "400": 1 })
      yield* get(simulator, "/__log", "DELETE")
      assert.deepStrictEqual(yield* simulator.log, [])
      yield* post(simulator, body)
      assert.deepStrictEqual(
        (yield* simulator.log).map(({ attempt, seq }) => [seq, attempt]),
        [[4, 1]]
      )
    })
  )

  it.scoped("can be steered over HTTP", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make()
      const change = (body: unknown) =>
        post({ ...simulator, url: simulator.url.replace("/v1", "") }, body, "/__control")
      assert.strictEqual((yield* change({ limits: { rpm: 1 } })).status, 200)
      yield* post(simulator, chat("1"))
      assert.strictEqual((yield* post(simulator, chat("2"))).status, 429)
      yield* change({ limits: {}, faults: [{ kind: "status", status: 500, rate: 1 }] })
      assert.strictEqual((yield* post(simulator, chat("2"))).status, 500)
      assert.strictEqual((yield* change("no")).status, 400)
      assert.strictEqual((yield* change({ limits: { rpm: "many" } })).status, 400)
      assert.strictEqual((yield* change({ speed: 1 })).status, 400)
    })
  )

  it.scoped("keeps only so many entries, and counts them all", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({ logLimit: 10 })
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, i) => chat(`${i}`)),
        (body) => post(simulator, body),
        {
          concurrency: 8
        }
      )
      assert.isAtLeast((yield* simulator.log).length, 10)
      assert.strictEqual((yield* simulator.stats).requests, 40)
      assert.strictEqual((yield* simulator.stats).distinctHashes, 40)
    })
  )
})

describe("closing", () => {
  it.live("is at once, with a stalled connection open, and completes the log file", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "floodgate-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const logFile = join(directory, "log.jsonl")
      const scope = yield* Scope.make()
      const simulator = yield* Scope.extend(
        Simulator.make({ logFile, script: [{ match: "stall", fault: { kind: "stall" } }] }),
        scope
      )
      yield* post(simulator, chat("fine"))
      const stalled = yield* Effect.fork(Effect.either(post(simulator, chat("stall"))))
      while ((yield* simulator.stats).open === 0) yield* Effect.sleep(1)
      const [elapsed] = yield* Effect.timed(Scope.close(scope, Exit.void))
      assert.isBelow(Duration.toMillis(elapsed), 10_000)
      assert.strictEqual((yield* stalled)._tag, "Left")
      const lines = readFileSync(logFile, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
      assert.deepStrictEqual(
        lines.map(({ outcome }) => outcome),
        ["answered", "open"]
      )
      assert.notInclude(readFileSync(logFile, "utf8"), key)
    }).pipe(Effect.scoped)
  )

  it.scoped("frees the port; a taken one is a typed failure", () =>
    Effect.gen(function* () {
      const first = yield* Simulator.make()
      const second = yield* Effect.either(Effect.scoped(Simulator.make({ port: first.port })))
      assert.strictEqual(second._tag, "Left")
    })
  )
})
