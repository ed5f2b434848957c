import { describe, expect, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import {
  Anthropic,
  Azure,
  batch,
  Cache,
  Chat,
  Cohere,
  complete,
  Gemini,
  HttpClientPool,
  Ledger,
  LlmError,
  Message,
  Mistral,
  Mock,
  OpenAi,
  OpenAiResponses,
  Prices,
  Providers,
  RateLimiter,
  Receipt,
  Report,
  Response,
  Retry,
  Router,
  StructuredOutput
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import * as RunSummary from "../src/cli/runSummary.js"
import { Books, decode, encode } from "../src/internal/ledgerBooks.js"
import { LatencySketch } from "../src/internal/ledgerLatency.js"
import type { AttemptEvent } from "../src/internal/observe.js"
import { html } from "../src/internal/reportHtml.js"

const price = { input: 0.15, output: 0.6, cacheRead: 0.075 }
const prices = Prices.layer({ add: { "openai/sim-*": price, "mock/priced": price } })

/** What the log's entries cost, in whole picodollars. */
const billOf = (entries: Iterable<Simulator.LogEntry>): bigint => {
  let sum = 0n
  for (const { cacheReadTokens, inputTokens, outputTokens } of entries) {
    sum += BigInt(inputTokens - cacheReadTokens) * 150_000n
    sum += BigInt(cacheReadTokens) * 75_000n + BigInt(outputTokens) * 600_000n
  }
  return sum
}

const Even = Schema.Struct({ n: Schema.Int.pipe(Schema.filter((n) => n % 2 === 0)) })

const plain = (i: number): Chat =>
  new Chat({
    messages: [Message.user(`question ${i}${" word".repeat(i % 3 === 0 ? 1_000 : 10)}`)],
    maxTokens: 80
  })

const quick = Retry.make({ maxRetries: 8, base: "5 millis", cap: "10 millis" })

const over = (simulator: Simulator.Service, options: Partial<Router.Options> = {}) => {
  const endpoint = (id: string) => ({
    id,
    provider: "openai",
    baseUrl: simulator.url,
    apiKey: Redacted.make("sk-test"),
    model: "sim-1"
  })
  return Layer.mergeAll(
    Layer.provide(OpenAi.layer, HttpClientPool.layer()),
    Router.layer({ endpoints: [endpoint("one"), endpoint("two")], ...options }),
    RateLimiter.layerUnlimited,
    Cache.layerMemory(),
    Ledger.layer,
    prices
  )
}

describe("the sum of the ledger", () => {
  it.scopedLive(
    "is that of the provider's invoice: with faults, retries, cached prompts, thoughts, corrections and doubles",
    () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.make({
          seed: 5,
          cachedShare: 0.5,
          reasoningTokens: { kind: "uniform", min: 0, max: 20 },
          prices: { "*": price },
          faults: [
            { kind: "status", status: 500, rate: 0.1 },
            { kind: "status", status: 429, rate: 0.1, retryAfter: "5 millis" },
            { kind: "reset", rate: 0.05 },
            { kind: "truncate", rate: 0.05 },
            { kind: "malformed", rate: 0.05 },
            { kind: "contentFilter", rate: 0.05 }
          ]
        })
        const requests = [
          ...Array.from({ length: 90 }, (_, i) => plain(i % 75)),
          ...Array.from({ length: 30 }, (_, i) =>
            StructuredOutput.withSchema(plain(1_000 + i), Even, { corrections: 1 })
          )
        ]
        yield* Effect.gen(function* () {
          const outcomes = yield* batch(requests, { concurrency: 16, retry: quick })
          const { cost, summary, wasted } = yield* Ledger.Ledger
          const found = yield* summary
          const stats = yield* simulator.stats
          const charged = (yield* simulator.log).filter((entry) => entry.charged)
          const delivered = charged.filter((entry) => entry.delivered)
          const lost = charged.filter((entry) => !entry.delivered)

          expect(yield* cost).toBe(billOf(delivered))
          expect(found.total.cost).toBeCloseTo(stats.cost - stats.undelivered.cost, 10)
          expect(found.total.attempts).toBe(stats.requests)
          expect(found.total.usage).toMatchObject({
            inputTokens: stats.inputTokens - stats.undelivered.inputTokens,
            outputTokens: stats.outputTokens - stats.undelivered.outputTokens,
            cacheReadTokens: stats.cacheReadTokens - stats.undelivered.cacheReadTokens,
            reasoningTokens: stats.reasoningTokens - stats.undelivered.reasoningTokens
          })
          expect(found.total.usage.cacheReadTokens).toBeGreaterThan(0)

          // what was billed without our being told is counted apart, within its bound
          expect(found.total.unsettled.unbounded).toBe(0)
          expect(found.total.unsettled.attempts).toBeGreaterThanOrEqual(lost.length)
          expect(lost.length).toBeGreaterThan(0)
          expect(Number(billOf(lost)) / 1e12).toBeLessThanOrEqual(found.total.unsettled.worst)

          // the answers that were used are what was not wasted, and each row says what it cost
          const answers = outcomes.flatMap((outcome) => (Either.isRight(outcome) ? [outcome.right] : []))
          const failed = outcomes.length - answers.length
          expect(failed).toBeGreaterThan(0)
          expect(found.requests.answered).toBe(answers.length)
          expect(found.requests.failed).toBe(failed)
          const used = found.outcomes.find(({ outcome }) => outcome === "answered")?.answered ?? 0
          expect(used - found.total.wasted.attempts).toBe(answers.filter(({ meta }) => !meta.cached).length)
          expect(found.total.wasted.attempts).toBeGreaterThan(10)
          expect((yield* wasted) > 0n).toBe(true)
          const rows = outcomes.reduce(
            (sum, outcome) => sum + (Either.isRight(outcome) ? (outcome.right.meta.cost ?? 0) : 0),
            0
          )
          const unused = outcomes.reduce(
            (sum, outcome) =>
              sum +
              (Either.isLeft(outcome) && outcome.left.usage !== undefined
                ? outcome.left.usage.inputTokens * 0.15e-6 -
                  (outcome.left.usage.cacheReadTokens ?? 0) * 0.075e-6 +
                  outcome.left.usage.outputTokens * 0.6e-6
                : 0),
            0
          )
          expect(rows + unused).toBeCloseTo(found.total.cost, 9)

          // the doubles cost nothing, and what they would have cost is known
          expect(found.requests.cached + found.requests.shared).toBe(
            answers.filter(({ meta }) => meta.cached).length
          )
          expect(found.saved.cost).toBeGreaterThan(0)
          expect(Ledger.table(found)).toMatch(/sim-1 .*\$0\.0/)
        }).pipe(Effect.provide(over(simulator)))
      })
  )

  it.scopedLive(
    "is that of the invoice of all providers and service tiers at once, endpoint by endpoint",
    () =>
      Effect.gen(function* () {
        const rates = { input: 1, output: 4, cacheRead: 0.1, cacheWrite: 1.25 }
        const simulator = yield* Simulator.make({
          seed: 11,
          cachedShare: 0.5,
          reasoningTokens: { kind: "uniform", min: 0, max: 20 },
          prices: { "*": { ...rates, tiers: { flex: 0.5, priority: 2 } } },
          faults: [
            { kind: "status", status: 500, rate: 0.05 },
            { kind: "status", status: 429, rate: 0.05, retryAfter: "5 millis" },
            { kind: "reset", rate: 0.03 },
            { kind: "contentFilter", rate: 0.03 }
          ]
        })
        const asked = [
          ["openai", "gpt-4.1-mini"],
          ["openai-responses", "gpt-5-mini"],
          ["azure", "our-deployment"],
          ["anthropic", "claude-haiku-4-5"],
          ["gemini", "gemini-2.5-flash"],
          ["mistral", "mistral-small-latest"],
          ["cohere", "command-a-03-2025"]
        ] as const
        const services = Layer.mergeAll(
          Layer.provide(
            Providers.layer([
              ...[OpenAi.make, OpenAiResponses.make, Azure.make(), Anthropic.make],
              ...[Gemini.make, Mistral.make, Cohere.make]
            ]),
            HttpClientPool.layer()
          ),
          Router.layer({
            endpoints: Arr.map(asked, ([provider, model]) => ({
              ...{ id: provider, provider, model, baseUrl: simulator.urls[provider] ?? "" },
              apiKey: Redacted.make("sk-test")
            }))
          }),
          RateLimiter.layerUnlimited,
          Cache.layerMemory(),
          Ledger.layer,
          Prices.layer({ add: { "*": { ...rates, tiers: { flex: [1, 2], priority: [2, 1] } } } })
        )
        const tiers = [undefined, "auto", "default", "flex", "priority"]
        const requests = Array.from({ length: 175 }, (_, i) =>
          Chat.prompt(
            [
              {
                type: "text",
                text: `question ${i}${" word".repeat(i % 3 === 0 ? 1_000 : 10)}`,
                promptCache: "5m"
              }
            ],
            {
              model: asked[i % asked.length]?.[1],
              maxTokens: 80,
              unsupported: "drop",
              serviceTier: tiers[i % tiers.length]
            }
          )
        )
        yield* Effect.gen(function* () {
          yield* batch(requests, { concurrency: 16, retry: quick })
          const found = yield* Effect.flatMap(Ledger.Ledger, ({ summary }) => summary)
          const { cost, undelivered } = yield* simulator.stats
          const charged = (yield* simulator.log).filter((entry) => entry.charged && entry.delivered)
          for (const { cost, endpoint, model } of found.rows) {
            const billed = charged.filter((entry) => entry.model === model)
            const sum = billed.reduce((sum, entry) => sum + entry.cost, 0)
            expect([endpoint, cost.toFixed(10)]).toEqual([endpoint, sum.toFixed(10)])
            expect(sum).toBeGreaterThan(0)
          }
          expect(found.rows).toHaveLength(asked.length)
          expect(found.total.cost).toBeCloseTo(cost - undelivered.cost, 10)
          expect(found.total.unsettled.worst).toBeGreaterThanOrEqual(undelivered.cost)
          expect(found.total.usage.cacheReadTokens).toBeGreaterThan(0)
          expect(found.total.usage.cacheWriteTokens).toBeGreaterThan(0)
          expect(found.serviceTiers.map(({ serviceTier }) => serviceTier)).toEqual(
            expect.arrayContaining(["default", "flex", "priority", "standard"])
          )
          expect(found.doubts).toEqual([])
        }).pipe(Effect.provide(services))
      })
  )

  it.scopedLive("counts an answer that came too late to be used as waste, or as unsettled", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        latency: { kind: "uniform", min: "1 millis", max: "60 millis" },
        prices: { "*": price }
      })
      const found = yield* Effect.gen(function* () {
        yield* batch(
          Array.from({ length: 80 }, (_, i) => plain(i)),
          { concurrency: 8 }
        )
        return yield* Effect.flatMap(Ledger.Ledger, ({ summary }) => summary)
      }).pipe(Effect.provide(over(simulator, { hedge: { quantile: 0.5, budget: 0.5 } })))
      while ((yield* simulator.stats).open > 0) yield* Effect.sleep("10 millis")
      const charged = (yield* simulator.log).filter((entry) => entry.charged)
      // one that was given up at once may never have arrived
      expect(found.total.attempts).toBeGreaterThanOrEqual(charged.length)
      expect(found.total.hedges).toBeGreaterThan(0)
      // those that were given up are of no use, whatever they cost
      expect(found.total.answered + found.total.interrupted - found.total.wasted.attempts).toBe(80)
      expect(found.total.unsettled.attempts).toBe(found.total.interrupted)
      const bill = Number(billOf(charged)) / 1e12
      expect(found.total.cost).toBeLessThanOrEqual(bill)
      expect(found.total.cost + found.total.unsettled.worst).toBeGreaterThanOrEqual(bill)
    })
  )
})

const usage = { inputTokens: 1_000, outputTokens: 100 }
const answer = (text = "yes") => Mock.response(text, { usage, model: "priced" })
const one = 150_000n * 1_000n + 600_000n * 100n
const mocked = (reply: (request: Chat) => Mock.Answer, own = prices) =>
  Layer.mergeAll(
    Mock.layer(reply),
    Router.layer({ endpoints: [{ provider: Mock.name, baseUrl: "mock://", model: "priced" }] }),
    Ledger.layer,
    own
  )

describe("a ledger", () => {
  it.effect("says of each row what it cost, and of a cached one what it saved", () =>
    Effect.gen(function* () {
      const first = yield* complete(Chat.prompt("a"))
      const second = yield* complete(Chat.prompt("a"))
      expect([first.meta.cost, second.meta.cost]).toEqual([0.00021, 0])
      const { saved, total } = yield* Effect.flatMap(Ledger.Ledger, ({ summary }) => summary)
      expect(total.cost).toBe(0.00021)
      expect(saved).toEqual({
        cost: 0.00021,
        unpriced: 0,
        models: [{ provider: "mock", model: "priced", hits: 1, cost: 0.00021, unpriced: 0 }]
      })
    }).pipe(
      Effect.provide(
        Layer.merge(
          mocked(() => answer()),
          Cache.layerMemory()
        )
      )
    )
  )

  it.effect("names models without a price, and never guesses", () =>
    Effect.gen(function* () {
      const response = yield* complete(Chat.prompt("a", { model: "home-made" }))
      expect(response.meta.cost).toBeUndefined()
      const summary = yield* Effect.flatMap(Ledger.Ledger, ({ summary }) => summary)
      expect(summary.total).toMatchObject({ cost: 0, unpriced: 1 })
      expect(summary.unpriced).toEqual(["home-made"])
      expect(Ledger.table(summary)).toContain("unpriced: home-made")
    }).pipe(Effect.provide(mocked(() => Mock.response("yes"))))
  )

  it.effect("books what a failed attempt was billed for, and calls that were given up", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.either(
        complete(Chat.prompt("fails"), { retry: Retry.make({ maxRetries: 0 }) })
      )
      expect(Either.isLeft(failed) && failed.left.usage).toEqual(usage)
      const late = yield* Effect.fork(
        Effect.either(complete(Chat.prompt("waits", { maxTokens: 10 }), { deadline: "1 minute" }))
      )
      const stopped = yield* Effect.fork(complete(Chat.prompt("waits too")))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(late)
      yield* Fiber.interrupt(stopped)
      const { total, outcomes, ...found } = yield* Effect.flatMap(Ledger.Ledger, ({ summary }) => summary)
      expect(yield* Effect.flatMap(Ledger.Ledger, ({ wasted }) => wasted)).toBe(one)
      expect(outcomes.map(({ attempts, outcome }) => [outcome, attempts])).toEqual([
        ["ServerError", 1],
        ["interrupted", 2]
      ])
      expect(total.unsettled).toMatchObject({ attempts: 2, unbounded: 1 })
      // calls that were given up were of no use, though only that of the failure is known to have cost anything
      expect(total.wasted).toMatchObject({ attempts: 3, ...usage })
      expect(total.unsettled.worst).toBeGreaterThan(10 * 0.6e-6)
      // one that was stopped is not settled, and will be asked again
      expect(found.requests).toMatchObject({ failed: 2, errors: { ServerError: 1, TimeoutError: 1 } })
    }).pipe(
      Effect.provide(
        mocked((request) =>
          request.messages.some(({ content }) => content === "fails")
            ? Effect.fail(new LlmError.ServerError({ provider: "mock", message: "broken", usage }))
            : Effect.never
        )
      )
    )
  )

  it.effect("shows in a report no sum of calls that nothing bounds", () =>
    Effect.gen(function* () {
      const report = yield* Report.build({ outcomes: Stream.empty })
      const told = (unbounded: number) => {
        const worst = { text: "$0.25", dollars: 0.25 }
        return html({ ...report, money: { ...report.money, unsettled: { attempts: 2, worst, unbounded } } })
      }
      expect(told(0)).toContain("and at most $0.25 for 2 calls of unknown end")
      expect(told(1)).toContain("and at most $0.25 for 1 call of unknown end")
      expect(told(1)).toContain("and 1 call of unknown end without a bound")
      expect(told(2)).toContain("and 2 calls of unknown end without a bound")
      expect(told(2)).not.toContain("at most $0.25 for")
    })
  )

  it.effect("says once what is doubtful about the prices: in the receipt, the table and the report", () =>
    Effect.gen(function* () {
      yield* batch([Chat.prompt("a"), Chat.prompt("b")])
      const summary = yield* Effect.flatMap(Ledger.Ledger, (ledger) => ledger.summary)
      const doubt = "mock/priced: second-hand price"
      expect(summary.doubts).toEqual([doubt])
      expect(Ledger.table(summary).split("\n")).toContain(`doubtful price: ${doubt}`)
      const tally = Receipt.tally().receipt({ wallSeconds: 1, interrupted: false })
      const receipt = Receipt.withLedger({ ...tally, requests: 2, succeeded: 2 }, summary)
      expect(receipt.doubts).toEqual([doubt])
      expect(RunSummary.summary(receipt, 2, "out.jsonl", new Map())).toContain(`doubtful: ${doubt}`)
      const { notes } = yield* Report.build({ outcomes: Stream.empty, receipt })
      expect(notes.join("\n")).toContain(`Some prices are doubtful. ${doubt}`)
      // the ledger of an output ends with the run that completes it: what its rows cost is known all the same
      const rerun = Receipt.tally()
      for (const index of [0, 1]) {
        rerun.add({
          ...{ index, request: undefined, outcome: Either.right(answer()) },
          meta: { attempts: 1, cached: false, latencyMs: 1, resumed: true, cost: 0.1 }
        })
      }
      const again = rerun.receipt({ wallSeconds: 1, interrupted: false })
      expect(again.earlierCost).toBe(0.2)
      expect(RunSummary.summary(again, 2, "out.jsonl", new Map())).toContain("$0.20 paid in earlier runs")
      // of receipts that were written before there was such a list
      const { doubts: _, ...before } = summary
      expect((yield* Schema.decodeUnknown(Ledger.Summary)(before)).doubts).toEqual([])
    }).pipe(
      Effect.provide(
        mocked(
          () => answer(),
          Prices.layer({ add: { "mock/priced": { ...price, doubt: "second-hand price" } } })
        )
      )
    )
  )

  it.effect("takes in twenty thousand models in bounded memory", () =>
    Effect.sync(() => {
      const books = new Books()
      for (let i = 0; i < 20_000; i++) books.attempt(event({ model: `model-${i}` }))
      expect(books.lines.size).toBeLessThanOrEqual(2_010)
      let attempts = 0
      for (const line of books.lines.values()) attempts += line.attempts
      expect(attempts).toBe(20_000)
    })
  )
})

const event = (fields: Partial<AttemptEvent>): AttemptEvent => ({
  at: 0,
  latencyMs: 100,
  endpoint: "one",
  provider: "openai",
  model: "sim-1",
  domain: "one",
  task: undefined,
  request: Chat.prompt("a"),
  key: undefined,
  attempt: 1,
  hedge: false,
  outcome: "answered",
  response: undefined,
  error: undefined,
  usage,
  cost: one,
  prices: "test",
  unsettled: undefined,
  serviceTier: undefined,
  requestId: undefined,
  ...fields
})

const events = FastCheck.record({
  latencyMs: FastCheck.integer({ min: 0, max: 1_000_000 }),
  endpoint: FastCheck.constantFrom("one", "two"),
  model: FastCheck.constantFrom("a", "b", "c"),
  task: FastCheck.constantFrom(undefined, "t"),
  outcome: FastCheck.constantFrom("answered", "ServerError", "interrupted"),
  usage: FastCheck.option(
    FastCheck.record({ inputTokens: FastCheck.nat(1e6), outputTokens: FastCheck.nat(1e6) }),
    { nil: undefined }
  ),
  cost: FastCheck.oneof(
    FastCheck.bigInt({ min: 0n, max: 10n ** 18n }),
    FastCheck.constant("unpriced" as const)
  ),
  isWasted: FastCheck.boolean()
})

describe("books", () => {
  it.prop(
    "add up to the sum of all events, in whatever order and parts they come, and after they were written down",
    [FastCheck.array(FastCheck.tuple(events, FastCheck.nat(2)), { maxLength: 60 })],
    ([given]) => {
      const parts = [new Books(), new Books(), new Books()] as const
      let cost = 0n
      let wasted = 0n
      let tokens = 0
      for (const [{ cost: each, isWasted, ...fields }, part] of given) {
        const told = event({
          ...fields,
          cost: fields.usage === undefined ? undefined : each
        } as Partial<AttemptEvent>)
        parts[part as 0]?.attempt(told)
        const isUnused = told.outcome === "answered" && isWasted
        // of a waste another part may be told
        if (isUnused) parts[0].wasted(told)
        tokens += fields.usage?.inputTokens ?? 0
        if (fields.usage === undefined || each === "unpriced") continue
        cost += each
        if (isUnused || told.outcome !== "answered") wasted += each
      }
      const whole = new Books()
      for (const part of parts) whole.merge(decode(JSON.parse(encode(part))) ?? new Books())
      const other = new Books()
      for (const part of [...parts].reverse()) other.merge(part)
      for (const books of [whole, other]) {
        const lines = [...books.lines.values()]
        expect(lines.reduce((sum, line) => sum + line.cost, 0n)).toBe(cost)
        expect(lines.reduce((sum, line) => sum + line.wastedCost, 0n)).toBe(wasted)
        expect(lines.reduce((sum, line) => sum + line.tokens.inputTokens, 0)).toBe(tokens)
        expect(lines.reduce((sum, line) => sum + line.attempts, 0)).toBe(given.length)
      }
    },
    { fastCheck: { numRuns: 50 } }
  )

  it.prop(
    "give quantiles to within 2 %",
    [FastCheck.array(FastCheck.integer({ min: 1, max: 10_000_000 }), { minLength: 1, maxLength: 200 })],
    ([latencies]) => {
      const sketch = new LatencySketch()
      for (const latency of latencies) sketch.add(latency)
      const sorted = [...latencies].sort((a, b) => a - b)
      const found = sketch.quantiles()
      for (const [q, given] of [
        [0.5, found?.p50],
        [0.95, found?.p95],
        [0.99, found?.p99]
      ] as const) {
        const exact = sorted[Math.floor(q * (sorted.length - 1))] ?? 0
        // and the rounding to whole milliseconds
        expect(Math.abs((given ?? 0) - exact)).toBeLessThanOrEqual(exact * 0.02 + 0.5)
      }
    },
    { fastCheck: { numRuns: 50 } }
  )
})

it.effect("a summary can be written as JSON, and read again", () =>
  Effect.gen(function* () {
    yield* complete(Chat.prompt("a"))
    const { summary } = yield* Ledger.Ledger
    const told = yield* summary
    expect(yield* Schema.decodeUnknown(Ledger.Summary)(JSON.parse(JSON.stringify(told)))).toEqual(told)
    expect(Response.Meta.fields.cost).toBeDefined()
  }).pipe(Effect.provide(mocked(() => answer())))
)
