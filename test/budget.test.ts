import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import {
  Budget,
  batch,
  Cache,
  Chat,
  Checkpoint,
  complete,
  Embedding,
  HttpClientPool,
  LlmError,
  Mock,
  OpenAi,
  Prices,
  Providers,
  RateLimiter,
  Response,
  Retry,
  Router,
  StreamPart,
  stream,
  Throttle,
  Tokens
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { reached } from "../src/cli/budget.js"
import * as OpenAiUsage from "../src/internal/openAiUsage.js"
import { timed } from "./virtualClock.js"

let folder = ""
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "floodgate-budget-"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A dollar for a million tokens of either kind: a millionth for each. */
const price = { input: 1, output: 1 }
const prices = Prices.layer({
  add: { "mock/priced": price, "p/cheap": price, "p/dear": { input: 10, output: 10 } }
})
const usd = (tokens: number) => tokens / 1e6
const quick = Retry.make({ maxRetries: 4, base: "5 millis", cap: "10 millis" })

/** What a call of the property below does, and what it is billed. */
interface Act {
  readonly millis: number
  readonly tokens: number
  readonly end: "answer" | "refusal" | "paidFailure" | "lost" | "hang"
}

const acts = FastCheck.record({
  millis: FastCheck.integer({ min: 0, max: 2_000 }),
  tokens: FastCheck.integer({ min: 1, max: 200 }),
  end: FastCheck.oneof(
    { weight: 8, arbitrary: FastCheck.constant("answer" as const) },
    {
      weight: 3,
      arbitrary: FastCheck.constantFrom(
        "refusal" as const,
        "paidFailure" as const,
        "lost" as const,
        "hang" as const
      )
    }
  )
})

/** Providers that act in turn, and count what they bill: each token a millionth, ten at the dear endpoint. */
const acting = (script: ReadonlyArray<Act>) => {
  const bill = { picodollars: 0n, tokens: 0, calls: 0, atOnce: 0, most: 0 }
  const failed = (error: LlmError.LlmError) => Effect.fail(error)
  const provider: Providers.Provider = {
    name: "p",
    attempt: (_, { model }) =>
      Effect.suspend((): Effect.Effect<Response.Response, LlmError.LlmError> => {
        const { end, millis, tokens } = script[bill.calls++ % script.length] ?? {
          end: "answer",
          millis: 0,
          tokens: 1
        }
        const usage = { inputTokens: 10, outputTokens: tokens }
        // as providers do: in full, whoever waits for it
        if (end !== "refusal") {
          bill.tokens += tokens + 10
          bill.picodollars += BigInt(tokens + 10) * (model === "dear" ? 10_000_000n : 1_000_000n)
        }
        bill.most = Math.max(bill.most, ++bill.atOnce)
        const done = (): Effect.Effect<Response.Response, LlmError.LlmError> => {
          switch (end) {
            case "answer":
              return Effect.succeed(Mock.response("yes", { usage, model: String(model), provider: "p" }))
            case "refusal":
              return failed(new LlmError.ServerError({ provider: "p", message: "broken", status: 500 }))
            case "paidFailure":
              return failed(new LlmError.ServerError({ provider: "p", message: "broken", usage }))
            case "lost":
              return failed(
                new LlmError.NetworkError({ provider: "p", message: "reset", code: "ECONNRESET" })
              )
            case "hang":
              return failed(new LlmError.TimeoutError({ provider: "p", message: "late" }))
          }
        }
        return Effect.ensuring(
          Effect.zipRight(millis === 0 ? Effect.void : Effect.sleep(millis), Effect.suspend(done)),
          Effect.sync(() => bill.atOnce--)
        )
      }).pipe(
        Effect.either,
        Effect.map((outcome) => ({ outcome, throttle: Throttle.none }))
      )
  }
  return { bill, provider }
}

const actingLayer = (provider: Providers.Provider, options: Partial<Router.Options> = {}) =>
  Layer.mergeAll(
    Layer.succeed(Providers.Providers, Providers.make([provider])),
    Router.layer({
      endpoints: [
        { id: "dear", provider: "p", baseUrl: "p://dear", model: "dear" },
        { id: "cheap", provider: "p", baseUrl: "p://cheap", model: "cheap" }
      ],
      ...options
    }),
    RateLimiter.layer({ domains: { "*": { concurrency: 7, tokensPerMinute: 1_000_000 } } }),
    Cache.layerMemory(),
    prices
  )

/** The rows that a killed process leaves: none before the first of them is written. */
const copyRows = (from: string, to: string): void => {
  if (existsSync(from)) copyFileSync(from, to)
}

describe("the bill", () => {
  it.live(
    "never passes the ceiling, whatever happens at any concurrency, and nobody waits for ever",
    () =>
      Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(
            FastCheck.array(acts, { minLength: 1, maxLength: 30 }),
            FastCheck.integer({ min: 1, max: 40 }),
            FastCheck.integer({ min: 0, max: 60_000 }),
            FastCheck.constantFrom("roundRobin" as const, "fallback" as const),
            FastCheck.option(FastCheck.integer({ min: 1, max: 3_000 }), { nil: undefined }),
            async (script, concurrency, ceiling, strategy, interruptAt) => {
              const { bill, provider } = acting(script)
              const program = Effect.gen(function* () {
                const budget = yield* Budget.make({ usd: usd(ceiling), tokens: ceiling })
                // the most that an attempt may use is a few hundred tokens
                const requests = Array.from({ length: 40 }, (_, i) =>
                  Chat.prompt(`question ${i % 36}`, { maxTokens: 200 })
                )
                const run = batch(requests, { concurrency, budget, retry: quick })
                const outcomes = yield* interruptAt === undefined
                  ? run
                  : Effect.timeoutOption(run, interruptAt)
                return { outcomes, state: yield* budget.state }
              }).pipe(
                Effect.provide(actingLayer(provider, { strategy, hedge: { quantile: 0.5, budget: 0.5 } }))
              )
              const { value } = await Effect.runPromise(timed(program))
              const { state } = value
              expect(bill.tokens).toBeLessThanOrEqual(ceiling)
              expect(bill.picodollars <= BigInt(ceiling) * 1_000_000n).toBe(true)
              // nothing is held by those who are gone
              expect(state.reserved).toEqual({ usd: 0, tokens: 0 })
              expect(state.waiting).toBe(0)
              expect(bill.atOnce).toBe(0)
              expect(state.spent.tokens + state.unsettled.tokens).toBeGreaterThanOrEqual(bill.tokens)
              expect(state.spent.tokens + state.unsettled.tokens).toBeLessThanOrEqual(ceiling)
            }
          ),
          { numRuns: 15, endOnFailure: true }
        )
      ),
    120_000
  )

  it.scopedLive(
    "of a real server stays below it: with faults, retries and second attempts that are given up",
    () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.make({
          seed: 3,
          latency: { kind: "uniform", min: "1 millis", max: "20 millis" },
          prices: { "*": price },
          faults: [
            { kind: "status", status: 500, rate: 0.1 },
            { kind: "reset", rate: 0.01 },
            { kind: "malformed", rate: 0.01 }
          ]
        })
        const endpoint = (id: string) => ({
          id,
          provider: "openai",
          baseUrl: simulator.url,
          apiKey: Redacted.make("sk-test"),
          model: "sim-1"
        })
        const budget = yield* Budget.make("$0.012")
        const outcomes = yield* batch(
          Array.from({ length: 400 }, (_, i) => Chat.prompt(`question ${i}`, { maxTokens: 80 })),
          { concurrency: 24, budget, retry: quick }
        ).pipe(
          Effect.provide(
            Layer.mergeAll(
              Layer.provide(OpenAi.layer, HttpClientPool.layer()),
              Router.layer({
                endpoints: [endpoint("one"), endpoint("two")],
                hedge: { quantile: 0.9, budget: 0.02 }
              }),
              RateLimiter.layerUnlimited,
              Cache.layerNone,
              Prices.layer({ add: { "openai/sim-*": price } })
            )
          )
        )
        while ((yield* simulator.stats).open > 0) yield* Effect.sleep("10 millis")
        const { cost } = yield* simulator.stats
        const { spent, unsettled } = yield* budget.state
        expect(cost).toBeLessThanOrEqual(0.012)
        // what nobody told us is known to within its bound
        expect(spent.usd).toBeLessThanOrEqual(cost + 1e-9)
        expect(spent.usd + unsettled.usd).toBeGreaterThanOrEqual(cost - 1e-9)
        expect(spent.usd + unsettled.usd).toBeGreaterThan(0.012 * 0.95)
        expect(tagsOf(outcomes).BudgetExceededError).toBeGreaterThan(0)
        expect(tagsOf(outcomes).answered).toBeGreaterThan(120)
      })
  )
})

const tagsOf = (outcomes: ReadonlyArray<Either.Either<unknown, LlmError.LlmError>>) => {
  const tags: Record<string, number> = {}
  for (const outcome of outcomes) {
    const tag = Either.isRight(outcome) ? "answered" : outcome.left._tag
    tags[tag] = (tags[tag] ?? 0) + 1
  }
  return tags
}

const answer = (tokens = 100, text = "yes") =>
  Mock.response(text, { usage: { inputTokens: tokens / 2, outputTokens: tokens / 2 }, model: "priced" })

const mocked = (reply: (request: Chat) => Mock.Answer, model = "priced") =>
  Layer.mergeAll(
    Mock.layer(reply),
    Router.layer({ endpoints: [{ provider: Mock.name, baseUrl: "mock://", model }] }),
    prices
  )

/** What is left of the budget of one call, with this answer. */
const booked = (fields: Omit<Partial<typeof Chat.Type>, "messages" | "_tag">, reply: Mock.Answer) =>
  Effect.gen(function* () {
    const budget = yield* Budget.make({ usd: 1, tokens: 1e6 })
    const outcome = yield* Effect.either(
      complete(Chat.prompt("a", { maxTokens: 100, ...fields }), {
        budget,
        retry: Retry.make({ maxRetries: 0 })
      })
    )
    return { outcome, state: yield* budget.state }
  }).pipe(
    Effect.provide(
      Layer.mergeAll(
        Mock.layer(() => reply),
        Router.layer({
          endpoints: [{ provider: Mock.name, baseUrl: "mock://", model: "priced" }]
        }),
        Prices.layer({
          add: {
            "mock/priced": { ...price, tiers: { flex: [1, 2], priority: [2, 1] } },
            "mock/dear": { input: 10, output: 10 }
          }
        })
      )
    )
  )

const textOf = ({ messages }: Chat): string => String(messages[0]?.content)
const numbered = (count: number, maxTokens = 50) =>
  Array.from({ length: count }, (_, i) =>
    Chat.prompt(`question ${String(i).padStart(3, "0")}`, { maxTokens })
  )
/** The most tokens that one of them may use. */
const worstOf = (maxTokens: number): number =>
  numbered(1, maxTokens).reduce((_, request) => Tokens.atMost(request) + Tokens.outputAtMost(request), 0)

describe("a budget", () => {
  it.effect(
    "is used to at least 95 % on a long run, where many are under way whose worst case would not fit",
    () =>
      Effect.gen(function* () {
        const budget = yield* Budget.make({ usd: usd(20_000) })
        // two hundred at once reserve more than there is
        const run = batch(numbered(500), { budget, concurrency: 200 })
        const { value } = yield* timed(
          Effect.provide(
            run,
            mocked(() => Effect.delay(Effect.succeed(answer(60)), "100 millis"))
          )
        )
        const state = yield* budget.state
        expect(state.spent.usd).toBeGreaterThanOrEqual(usd(20_000) * 0.95)
        expect(state).toMatchObject({ usedUp: true, waiting: 0, reserved: { usd: 0, tokens: 0 } })
        const { answered = 0, BudgetExceededError: refused = 0 } = tagsOf(value)
        expect(answered).toBe(Math.round(state.spent.usd / usd(60)))
        expect(answered + refused).toBe(500)
      })
  )

  it.live("is used to at least 95 %, however slow the limiter is and however many wait for it", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.integer({ min: 100, max: 200 }),
          FastCheck.constantFrom<RateLimiter.Limits>(
            { requestsPerMinute: 60 },
            { concurrency: 1 },
            { requestsPerSecond: 2, concurrency: 3 },
            { tokensPerMinute: 3_000 }
          ),
          FastCheck.array(FastCheck.integer({ min: 40, max: 120 }), { minLength: 1, maxLength: 10 }),
          async (concurrency, limits, sizes) => {
            let calls = 0
            const ceiling = 6_000
            // a twentieth of the ceiling is the most that one of them may use
            expect(worstOf(50)).toBeLessThan(ceiling / 20)
            const program = Effect.gen(function* () {
              const budget = yield* Budget.make({ usd: usd(ceiling) })
              yield* batch(numbered(200), { budget, concurrency })
              return yield* budget.state
            }).pipe(
              Effect.provide(
                Layer.merge(
                  mocked(() =>
                    Effect.delay(Effect.succeed(answer(sizes[calls++ % sizes.length])), "200 millis")
                  ),
                  RateLimiter.layer({ domains: { "*": limits } })
                )
              )
            )
            const { value } = await Effect.runPromise(timed(program))
            expect(value.spent.usd).toBeGreaterThanOrEqual(usd(ceiling) * 0.95)
            expect(value.spent.usd).toBeLessThanOrEqual(usd(ceiling))
            expect(value).toMatchObject({ usedUp: true, waiting: 0, reserved: { usd: 0 } })
          }
        ),
        { numRuns: 5, endOnFailure: true }
      )
    )
  )

  it.effect("has those wait for whom there is no room just now, in order, and lets them go", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const budget = yield* Budget.make({ tokens: 700 })
      const layer = mocked((request) => {
        asked.push(textOf(request))
        return Effect.delay(Effect.succeed(answer(20)), "1 second")
      })
      const worst = 400
      const fiber = yield* Effect.fork(
        Effect.provide(batch(numbered(4, worst), { budget, concurrency: 4 }), layer)
      )
      yield* TestClock.adjust("500 millis")
      expect(asked).toEqual(["question 000"])
      expect(yield* budget.state).toMatchObject({ waiting: 3, usedUp: false })
      yield* TestClock.adjust("4 seconds")
      expect(tagsOf(yield* Fiber.join(fiber))).toEqual({ answered: 4 })
      expect(asked).toEqual(["question 000", "question 001", "question 002", "question 003"])

      // who waits can be stopped, and leaves nothing behind
      const stopped = yield* Effect.fork(
        Effect.provide(batch(numbered(4, worst), { budget, concurrency: 4 }), layer)
      )
      yield* TestClock.adjust("500 millis")
      const late = yield* Effect.fork(
        Effect.provide(batch(numbered(1, worst), { budget, deadline: "100 millis" }), layer)
      )
      yield* TestClock.adjust("200 millis")
      const [outcome] = yield* Fiber.join(late)
      expect(outcome !== undefined && Either.isLeft(outcome) && outcome.left.message).toMatch(
        /deadline.*: the rest of the budget is reserved/
      )
      yield* Fiber.interrupt(stopped)
      const state = yield* budget.state
      expect(state).toMatchObject({ waiting: 0, reserved: { tokens: 0 }, spent: { tokens: 80 } })
      expect(state.unsettled.tokens).toBeGreaterThan(worst)
    })
  )

  it.effect("is not touched by what the cache has, and holds for corrections and retries", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ tokens: 10_000 })
      let calls = 0
      const layer = Layer.merge(
        mocked(() =>
          Effect.suspend(() =>
            ++calls === 1
              ? Effect.fail(new LlmError.ServerError({ provider: "mock", message: "broken" }))
              : Effect.succeed(answer())
          )
        ),
        Cache.layerMemory()
      )
      const { value } = yield* timed(
        Effect.provide(
          batch([...numbered(1), ...numbered(1), ...numbered(1)], { budget, retry: quick }),
          layer
        )
      )
      expect(tagsOf(value)).toEqual({ answered: 3 })
      expect(calls).toBe(2)
      expect((yield* budget.state).spent.tokens).toBe(100)
    })
  )

  it.effect("refuses what nothing bounds, before anything is sent, unless it is told otherwise", () =>
    Effect.gen(function* () {
      let calls = 0
      const layer = (model: string) =>
        mocked(() => {
          calls++
          return answer(100)
        }, model)
      const ask = (model: string, budget: Budget.Input, fields?: { readonly maxTokens: number }) =>
        Effect.either(Effect.provide(complete(Chat.prompt("a", fields), { budget }), layer(model)))
      const short = { maxTokens: 10 }
      for (const [model, budget, fields, code] of [
        ["home-made", "25 USD", short, "unpriced"],
        ["priced", "25 USD", undefined, "unbounded"],
        ["home-made", { tokens: 1e9 }, undefined, "unbounded"]
      ] as const) {
        const refused = yield* ask(model, budget, fields)
        expect(Either.isLeft(refused) && refused.left).toMatchObject({ _tag: "UnboundedCostError", code })
      }
      expect(calls).toBe(0)
      expect(Either.isRight(yield* ask("home-made", { usd: 25, unpriced: "allow" }))).toBe(true)
      expect(Either.isRight(yield* ask("home-made", { tokens: 1e9 }, short))).toBe(true)
      const wrong = yield* Effect.either(Budget.make("25 EUR"))
      expect(Either.isLeft(wrong) && wrong.left._tag).toBe("InvalidAmountError")
    })
  )

  it.effect("holds what the dearest tier and the dearest model that may answer cost", () =>
    Effect.gen(function* () {
      const one = Chat.prompt("a", { maxTokens: 100 })
      const worst = Tokens.atMost(one) + Tokens.outputAtMost(one)
      const lost = Effect.fail(
        new LlmError.NetworkError({ provider: "mock", message: "reset", code: "ECONNRESET" })
      )
      const held = (fields: Parameters<typeof booked>[0]) =>
        Effect.map(booked(fields, lost), ({ state }) => Math.round(state.unsettled.usd * 1e6) / worst)
      expect(yield* held({ serviceTier: "default" })).toBe(1)
      for (const open of [
        {},
        { serviceTier: "auto" },
        { extra: { service_tier: "priority" } },
        { serviceTier: "default", extra: { service_tier: null } }
      ]) {
        expect(yield* held(open)).toBeGreaterThanOrEqual(2)
      }
      expect(yield* held({ extra: { models: ["dear"] } })).toBeGreaterThanOrEqual(10)
      for (const [extra, code] of [
        [{ models: ["home-made"] }, "unpriced"],
        [{ route: "fallback" }, "unbounded"]
      ] as const) {
        const { outcome } = yield* booked({ extra }, lost)
        expect(Either.isLeft(outcome) && outcome.left).toMatchObject({ _tag: "UnboundedCostError", code })
      }
    })
  )

  it.effect("books by the tier and the model that answered", () =>
    Effect.gen(function* () {
      const usage = { inputTokens: 50, outputTokens: 50 }
      const spent = (model: string, extra: { readonly [name: string]: string | Array<string> }) =>
        Effect.map(booked({ extra }, Mock.response("yes", { usage, model })), ({ state }) => state.spent.usd)
      expect(yield* spent("priced", { service_tier: "priority" })).toBe(usd(200))
      expect(yield* spent("dear", { models: ["dear"] })).toBe(usd(1_000))
      // the price of one's own is of the name that was asked for
      expect(yield* spent("dear", {})).toBe(usd(100))
    })
  )

  it.effect(
    "keeps the most that a call may come to which a gateway lost, and gives it back where it was refused",
    () =>
      Effect.gen(function* () {
        for (const [status, isKept] of [
          [500, false],
          [503, false],
          [502, true],
          [504, true],
          [520, true],
          [524, true]
        ] as const) {
          const error = new LlmError.ServerError({ provider: "mock", message: "broken", status })
          const { state } = yield* booked({}, Effect.fail(error))
          expect([status, state.unsettled.tokens > 100]).toEqual([status, isKept])
        }
      })
  )

  it.effect("keeps the most of a stream that breaks off, though it stated a usage", () =>
    Effect.gen(function* () {
      const broken = new LlmError.ServerError({ provider: "p", message: "broken", status: 500 })
      const started = StreamPart.StreamPart.Usage({ usage: { inputTokens: 10, outputTokens: 1 } })
      const one = { endpoints: [{ provider: "p", baseUrl: "p://cheap", model: "cheap" }] } as const
      const said = StreamPart.StreamPart.Text({ text: "Once" })
      for (const parts of [[], [said], [started], [started, said]]) {
        const provider: Providers.Provider = {
          ...acting([]).provider,
          stream: () =>
            Effect.succeed({
              parts: Either.right(Stream.concat(Stream.fromIterable(parts), Stream.fail(broken))),
              throttle: Throttle.none
            })
        }
        const budget = yield* Budget.make({ tokens: 10_000 })
        yield* stream(Chat.prompt("a", { maxTokens: 100 }), {
          budget,
          retry: Retry.make({ maxRetries: 0 })
        }).pipe(Stream.runDrain, Effect.either, Effect.provide(actingLayer(provider, one)))
        const { spent, unsettled } = yield* budget.state
        expect(spent.tokens).toBe(parts.includes(started) ? 11 : 0)
        if (parts.length === 0) expect(unsettled.tokens).toBe(0)
        else expect(spent.tokens + unsettled.tokens).toBeGreaterThan(100)
      }
    })
  )

  it("has no bound where the provider's own fields lift it, and counts all answers", () => {
    const most = (extra: Chat["extra"]) =>
      Tokens.outputAtMost(Chat.prompt("a", { maxTokens: 10, ...(extra && { extra }) }))
    expect(most(undefined)).toBe(10)
    expect(most({ max_tokens: null })).toBe(Number.POSITIVE_INFINITY)
    expect(most({ generationConfig: { maxOutputTokens: null } })).toBe(Number.POSITIVE_INFINITY)
    expect(most({ generationConfig: { candidateCount: 3 } })).toBe(30)
  })

  it("takes a usage without counts for none", () => {
    const read = (usage: unknown) => OpenAiUsage.read(usage, "within")
    for (const usage of [
      {},
      { total_tokens: 12 },
      { prompt_tokens: 10 },
      { prompt_tokens: -1, completion_tokens: 2 },
      { prompt_tokens: 1, completion_tokens: Number.NaN },
      { prompt_tokens: "10", completion_tokens: "many" }
    ]) {
      expect(read(usage)).toBeUndefined()
    }
    expect(read({ prompt_tokens: 10, completion_tokens: 0 })).toEqual({ inputTokens: 10, outputTokens: 0 })
  })

  it.effect("has a cheaper endpoint asked where the first is too dear", () =>
    Effect.gen(function* () {
      const { bill, provider } = acting([{ millis: 10, tokens: 40, end: "answer" }])
      const budget = yield* Budget.make({ usd: usd(10 * worstOf(100) + 900) })
      const { value } = yield* timed(
        Effect.provide(
          batch(numbered(5, 100), { budget, concurrency: 1 }),
          actingLayer(provider, { strategy: "fallback" })
        )
      )
      const models = value.map((outcome) => (Either.isRight(outcome) ? outcome.right.model : ""))
      // the dear one is asked for as long as there is money for it
      expect(models).toEqual(["dear", "dear", "cheap", "cheap", "cheap"])
      expect(bill.picodollars).toBe(50n * 23_000_000n)
    })
  )

  it.effect("has no late attempt doubled for whom there is no room", () =>
    Effect.gen(function* () {
      const usual = 30
      const endpoint = (id: string) => ({ id, provider: "p", baseUrl: `p://${id}`, model: "cheap" })
      for (const [room, calls] of [
        [1.5, usual + 1],
        [3, usual + 2]
      ] as const) {
        const script = Array.from({ length: usual + 1 }, (_, i) => ({
          millis: i === usual ? 5_000 : 10,
          tokens: 10,
          end: "answer" as const
        }))
        const { bill, provider } = acting([...script, { millis: 10, tokens: 10, end: "answer" }])
        const budget = { tokens: usual * 20 + Math.floor(room * worstOf(100)) }
        const layer = actingLayer(provider, {
          endpoints: [endpoint("a"), endpoint("b")],
          strategy: "fallback",
          hedge: { budget: 0.3 }
        })
        const run = batch(numbered(usual + 1, 100), { budget, concurrency: 1 })
        const { value } = yield* timed(Effect.provide(run, layer))
        expect(tagsOf(value)).toEqual({ answered: usual + 1 })
        expect(bill.calls).toBe(calls)
      }
    })
  )

  it.effect("of a layer is shared by all below it, beside their own", () =>
    Effect.gen(function* () {
      const worst = worstOf(50)
      const [first, second, third, state] = yield* Effect.gen(function* () {
        const first = yield* batch(numbered(5), { budget: { tokens: worst + 60 }, concurrency: 1 })
        const second = yield* batch(numbered(20), { concurrency: 1 })
        const third = yield* Effect.either(complete(Chat.prompt("c", { maxTokens: 50 })))
        return [first, second, third, yield* Effect.flatMap(Budget.Budget, ({ state }) => state)] as const
      }).pipe(
        Effect.provide(
          Layer.merge(
            mocked(() => answer(20)),
            Budget.layer({ tokens: worst + 220 })
          )
        )
      )
      expect(tagsOf(first)).toEqual({ answered: 4, BudgetExceededError: 1 })
      expect(tagsOf(second).answered).toBe(8)
      expect(Either.isLeft(third) && third.left._tag).toBe("BudgetExceededError")
      expect(state.spent.tokens).toBe(240)
    })
  )
})

describe("with a checkpoint", () => {
  const services = (reply: (request: Chat) => Mock.Answer) => mocked(reply)

  it.live("it goes on with a higher ceiling, and with the same one admits nothing more", () =>
    Effect.gen(function* () {
      const path = join(folder, "ceiling.jsonl")
      let calls = 0
      const layer = services(() => {
        calls++
        return answer(60)
      })
      const run = (budget: Budget.Input) =>
        Effect.gen(function* () {
          const service = yield* Budget.make(budget)
          const checkpoint = Checkpoint.layerFile(path)
          const outcomes = yield* batch(numbered(100), { budget: service, checkpoint, concurrency: 8 })
          return { tags: tagsOf(outcomes), state: yield* service.state }
        }).pipe(Effect.provide(layer))
      const first = yield* run({ usd: usd(3_000) })
      expect(calls).toBeGreaterThan(40)
      expect(calls).toBeLessThanOrEqual(50)
      expect(first.state.spent.usd).toBeCloseTo(usd(60 * calls), 12)
      const rows = readFileSync(path, "utf8").trimEnd().split("\n")
      // what was not asked has no row
      expect(rows.length).toBe(calls)

      const before = calls
      const second = yield* run({ usd: usd(3_000) })
      expect(calls).toBe(before)
      expect(second.tags).toEqual({ answered: before, BudgetExceededError: 100 - before })
      expect(second.state.earlier.usd).toBeCloseTo(usd(60 * before), 12)

      const third = yield* run({ usd: usd(10_000) })
      expect(third.tags).toEqual({ answered: 100 })
      expect(calls).toBe(100)
      expect(readFileSync(path, "utf8").trimEnd().split("\n").length).toBe(100)
    })
  )

  it.live("what was only waited for when a run was killed does not count", () =>
    Effect.gen(function* () {
      const path = join(folder, "waiting.jsonl")
      const at = join(folder, "waiting-left.jsonl")
      const ceiling = usd(2_000)
      let calls = 0
      let waiting = 0
      const first = yield* Budget.make({ usd: ceiling })
      const kill = Effect.map(first.state, (state) => {
        waiting = state.waiting
        copyRows(path, at)
        copyFileSync(`${path}.journal`, `${at}.journal`)
      })
      const options = (path: string, budget: Budget.Service) => ({
        ...{ budget, concurrency: 40, retry: quick },
        checkpoint: Checkpoint.layerFile(path)
      })
      yield* Effect.provide(
        batch(numbered(60), options(path, first)),
        services(() =>
          Effect.delay(++calls === 12 ? Effect.as(kill, answer(60)) : Effect.succeed(answer(60)), "5 millis")
        )
      )
      expect(waiting).toBeGreaterThan(0)
      const second = yield* Budget.make({ usd: ceiling })
      let more = 0
      yield* Effect.provide(
        batch(numbered(60), options(at, second)),
        services(() => {
          more++
          return answer(60)
        })
      )
      const { earlier } = yield* second.state
      expect(earlier.usd).toBeGreaterThan(usd(11 * 60))
      expect(earlier.usd).toBeLessThanOrEqual(ceiling)
      expect(usd((12 + more) * 60)).toBeLessThanOrEqual(ceiling)
    })
  )

  it.live("what a killed run spent, or may have, counts", () =>
    Effect.gen(function* () {
      const path = join(folder, "killed.jsonl")
      const ceiling = usd(4_000)
      let calls = 0
      const left: Array<{ readonly at: string; readonly calls: number }> = []
      const kill = Effect.sync(() => {
        const at = join(folder, `left-${calls}.jsonl`)
        copyRows(path, at)
        copyFileSync(`${path}.journal`, `${at}.journal`)
        left.push({ at, calls })
      })
      const budgeted = (path: string, layer: ReturnType<typeof mocked>) =>
        Effect.provide(
          batch(numbered(100), {
            budget: { usd: ceiling },
            checkpoint: Checkpoint.layerFile(path),
            concurrency: 5,
            retry: quick
          }),
          layer
        )
      yield* budgeted(
        path,
        services(() =>
          Effect.suspend(() => {
            calls++
            const failed = new LlmError.ServerError({
              provider: "mock",
              message: "paid",
              usage: { inputTokens: 30, outputTokens: 30 }
            })
            const reply = calls % 4 === 0 ? Effect.fail(failed) : Effect.succeed(answer(60))
            // what a kill would leave at this moment, the calls under way included
            return calls % 17 === 0 ? Effect.zipRight(kill, reply) : reply
          })
        )
      )
      expect(left.length).toBeGreaterThan(1)
      for (const { at, calls } of left) {
        const before = calls
        let more = 0
        const outcomes = yield* budgeted(
          at,
          services(() => {
            more++
            return answer(60)
          })
        )
        // every call was billed, those included whose answer a kill took
        expect(usd((before + more) * 60)).toBeLessThanOrEqual(ceiling)
        expect(tagsOf(outcomes).BudgetExceededError).toBeGreaterThan(0)
        expect(more).toBeGreaterThan(0)
      }
    })
  )
})

describe("amounts and shared budgets", () => {
  it.effect("takes numbers that were reckoned, and refuses those that are no amount", () =>
    Effect.gen(function* () {
      const ceilingOf = (usd: number) =>
        Effect.map(Budget.make({ usd }), ({ account }) => account.ceiling.money)
      expect(yield* ceilingOf(0.3 - 0.1)).toBe(199_999_999_999n)
      expect(yield* ceilingOf(0.1 * 3)).toBe(300_000_000_000n)
      expect(yield* ceilingOf(0.3)).toBe(300_000_000_000n)
      expect(yield* ceilingOf(1e-8)).toBe(10_000n)
      expect(yield* ceilingOf(1e-13)).toBe(0n)
      expect(yield* ceilingOf(1e21)).toBe(10n ** 33n)
      for (const usd of [-1, -1e-20, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(yield* Effect.flip(ceilingOf(usd))).toMatchObject({ _tag: "InvalidAmountError" })
      }
    })
  )

  it.effect(
    "a run that ends for want of room says whether the budget is used up, or what is left of it",
    () =>
      Effect.gen(function* () {
        const told = (tokens: number) =>
          Effect.gen(function* () {
            const budget = yield* Budget.make({ tokens })
            yield* batch(numbered(1), { budget })
            return reached(yield* budget.state, 1)
          }).pipe(Effect.provide(mocked(() => answer())))
        expect(yield* told(40)).toBe(
          "The rows that were refused may cost more than is left of the budget: 40 of 40 tokens. 1 row is left; the same command with a higher --budget goes on"
        )
        expect(yield* told(0)).toBe(
          "The budget is used up: 0 of 0 tokens. 1 row is left; the same command with a higher --budget goes on"
        )
      })
  )

  it.live("an embedding for which there is no room leaves no row, and is asked with a higher ceiling", () =>
    Effect.gen(function* () {
      const path = join(folder, "embedding.jsonl")
      const embedded = ({ input }: Embedding) =>
        Response.fromEncoded({
          _tag: "EmbeddingResponse",
          embeddings: input.map(({ length }) => [length]),
          usage: { inputTokens: input.length, outputTokens: 0 },
          model: "priced",
          provider: Mock.name,
          meta: { attempts: 1, cached: false, latencyMs: 0 }
        })
      const layer = Layer.mergeAll(
        Mock.layer(() => answer(), { embedding: embedded }),
        Router.layer({ endpoints: [{ provider: Mock.name, baseUrl: "mock://", model: "priced" }] }),
        prices
      )
      const run = (tokens: number) =>
        Effect.provide(
          batch(
            [["a"], ["b".repeat(400), "c"], ["d", "e"]].map((input) => new Embedding({ input })),
            { budget: { tokens }, checkpoint: Checkpoint.layerFile(path), concurrency: 1 }
          ),
          layer
        )
      const rows = () => readFileSync(path, "utf8").trimEnd().split("\n")
      expect(tagsOf(yield* run(200))).toEqual({ answered: 2, BudgetExceededError: 1 })
      expect(rows().length).toBe(2)
      // what was begun is written down, and nothing else
      expect(readFileSync(`${path}.journal`, "utf8").split('"begin"').length - 1).toBe(2)
      expect(tagsOf(yield* run(10_000))).toEqual({ answered: 3 })
      expect(rows().length).toBe(3)
    })
  )

  it.live("two budgets that are taken in opposite order do not wait for each other", () =>
    Effect.gen(function* () {
      const tokens = worstOf(50) + 45
      const [one, other] = yield* Effect.all([Budget.make({ tokens }), Budget.make({ tokens })])
      const run = (own: Budget.Service, shared: Budget.Service) =>
        Effect.provideService(batch(numbered(5), { budget: own, concurrency: 3 }), Budget.Budget, shared)
      const outcomes = yield* Effect.all([run(one, other), run(other, one)], { concurrency: 2 }).pipe(
        Effect.provide(mocked(() => Effect.as(Effect.sleep("2 millis"), answer(4))))
      )
      expect(outcomes.map(tagsOf)).toEqual([{ answered: 5 }, { answered: 5 }])
      expect((yield* one.state).spent.tokens).toBe(40)
    })
  )

  it.live("what was spent under a budget counts once where an output is opened under it again", () =>
    Effect.gen(function* () {
      const checkpoint = Checkpoint.layerFile(join(folder, "shared.jsonl"))
      const run = (budget: Budget.Input) => batch(numbered(20), { budget, checkpoint, concurrency: 1 })
      const worst = worstOf(50)
      // by somebody else
      yield* run({ tokens: worst + 40 })
      const shared = yield* Budget.make({ tokens: 10_000 })
      const states = yield* Effect.forEach([worst + 160, worst + 160, 10_000], (tokens) =>
        Effect.zipRight(run({ tokens }), shared.state)
      ).pipe(Effect.provideService(Budget.Budget, shared))
      const earlier = states[0]?.earlier.tokens ?? 0
      expect(earlier).toBeGreaterThan(0)
      expect(states.map((state) => state.earlier.tokens)).toEqual([earlier, earlier, earlier])
      expect(states[0]?.spent.tokens).toBeGreaterThan(0)
      expect(states[1]?.spent).toEqual(states[0]?.spent)
      expect(earlier + (states[2]?.spent.tokens ?? 0)).toBe(20 * 20)
    }).pipe(Effect.provide(mocked(() => answer(20))))
  )
})
