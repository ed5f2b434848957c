import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Budget, batch, Cache, Chat, LlmError, Mock, Prices, Progress, RateLimiter, Retry } from "floodgate"
import type { AttemptEvent, RequestEvent } from "../src/internal/observe.js"
import { Pace } from "../src/internal/progressPace.js"

const prices = Prices.layer({ add: { "mock/mock": { input: 1_000_000, output: 0 } } })

const chats = (n: number) => Array.from({ length: n }, (_, i) => Chat.prompt(`question ${i}`))

const overloaded = new LlmError.OverloadedError({ provider: "mock", message: "too much" })

describe("the progress of a batch", () => {
  it.effect("tells what is done, what it costs and will cost, and when it will be done", () =>
    Effect.gen(function* () {
      const progress = yield* Progress.Progress
      const running = yield* Effect.fork(batch(chats(100), { concurrency: 2 }))
      yield* TestClock.adjust("20 seconds")
      const snapshot = yield* progress.snapshot
      // two at once, a second each, a dollar each
      expect(snapshot).toMatchObject({
        total: 100,
        elapsedSeconds: 20,
        done: 40,
        succeeded: 40,
        failed: 0,
        cached: 0,
        resumed: 0,
        rate: { average: 2 },
        cost: { soFar: 40, projected: 100, unpriced: [] },
        tokens: { input: 40, output: 40 },
        inFlight: 2,
        waiting: { limiter: 0, router: 0 },
        etaSeconds: 30,
        endpoints: [{ endpoint: "mock/mock", attempts: 40, answered: 40, cost: 40, latencyMs: 1_000 }]
      })
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.join(running)
      const end = yield* progress.snapshot
      expect(end).toMatchObject({ done: 100, cost: { soFar: 100, projected: 100 }, inFlight: 0 })
      expect(end.etaSeconds).toBeUndefined()
      expect(Schema.decodeUnknownSync(Progress.Snapshot)(JSON.parse(JSON.stringify(end)))).toEqual(end)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          Mock.layer(() => Effect.delay(Effect.succeed("yes"), "1 second")),
          RateLimiter.layer(),
          prices,
          Progress.layer()
        )
      )
    )
  )

  it.effect("tells apart failed, cached and unpriced ones, by class, and what cannot be asked at all", () =>
    Effect.gen(function* () {
      const seen: Array<Progress.Snapshot> = []
      yield* batch(
        [
          ...[Chat.prompt("same"), Chat.prompt("same"), Chat.prompt("bad")],
          ...[Chat.prompt("ill"), { messages: "none" } as unknown as Chat]
        ],
        {
          concurrency: 1,
          retry: Retry.make({ maxRetries: 1, base: "1 millis" }),
          onProgress: (snapshot) => Effect.sync(() => seen.push(snapshot))
        }
      ).pipe(Effect.fork, Effect.tap(TestClock.adjust("10 minutes")), Effect.flatMap(Fiber.join))
      expect(seen.at(-1)).toMatchObject({
        total: 5,
        done: 5,
        succeeded: 2,
        failed: 3,
        cached: 1,
        errors: { ContentFilterError: 1, OverloadedError: 1, InvalidRequestError: 1 },
        attempts: 4,
        failedAttempts: {
          count: 3,
          errors: { ContentFilterError: 1, OverloadedError: 2 },
          last: { endpoint: "mock/mock", error: "OverloadedError", message: "too much" }
        },
        cost: { soFar: 0, unpriced: ["mock"] }
      })
    }).pipe(
      Effect.provide(
        Layer.merge(
          Mock.layer(({ messages }) => {
            const [message] = messages
            if (message?.content === "bad") {
              return Effect.fail(new LlmError.ContentFilterError({ provider: "mock", message: "no" }))
            }
            return message?.content === "ill" ? Effect.fail(overloaded) : "yes"
          }),
          Cache.layerMemory()
        )
      )
    )
  )

  it.effect("is told on time, at the end once more, and never holds anything up", () =>
    Effect.gen(function* () {
      const asleep = yield* Deferred.make<void>()
      const told: Array<number> = []
      let calls = 0
      const outcomes = yield* batch(chats(10), {
        concurrency: 1,
        progressInterval: "2 seconds",
        onProgress: ({ done }) => {
          told.push(done)
          return Effect.void
        }
      }).pipe(
        Effect.zip(
          batch(chats(10), {
            concurrency: 1,
            // of the first call nothing comes back until the end
            onProgress: () => (calls++ === 0 ? Deferred.await(asleep) : Effect.die("a fault of ours"))
          }),
          { concurrent: true }
        ),
        Effect.fork,
        Effect.tap(TestClock.adjust("11 seconds")),
        Effect.flatMap(Fiber.join)
      )
      expect(outcomes.map(({ length }) => length)).toEqual([10, 10])
      expect(told).toHaveLength(5)
      expect(told.at(-1)).toBe(10)
      expect(told).toEqual([...told].sort((a, b) => a - b))
      expect(calls).toBe(2)
    }).pipe(Effect.provide(Mock.layer(() => Effect.delay(Effect.succeed("yes"), "1 second"))))
  )

  it.effect("says why nothing moves: a paused domain, with what waits for it and until when", () =>
    Effect.gen(function* () {
      const progress = yield* Progress.Progress
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.pause("mock/mock", "60 seconds", "slow down, please")
      const running = yield* Effect.fork(batch(chats(5)))
      yield* TestClock.adjust("1 second")
      const { domains, pauses, waiting } = yield* progress.snapshot
      expect(waiting).toEqual({ limiter: 5, router: 0 })
      expect(pauses).toMatchObject([{ of: "domain", name: "mock/mock", reason: "slow down, please" }])
      expect(pauses[0]?.until).toBeGreaterThanOrEqual(60_000)
      expect(domains).toMatchObject([
        {
          domain: "mock/mock",
          waitingFor: "pause",
          limits: [{ name: "requestsPerMinute", used: 0, limit: 600 }]
        }
      ])
      yield* Fiber.interrupt(running)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          Mock.layer(() => "yes"),
          RateLimiter.layer({ domains: { "*": { requestsPerMinute: 600 } } }),
          Progress.layer()
        )
      )
    )
  )

  it.effect("comes as a stream, of which a slow reader sees the newest", () =>
    Effect.gen(function* () {
      const progress = yield* Progress.Progress
      const seen: Array<number> = []
      const reading = progress.changes.pipe(
        Stream.take(3),
        Stream.runForEach(({ elapsedSeconds }) =>
          Effect.delay(
            Effect.sync(() => seen.push(elapsedSeconds)),
            "10 seconds"
          )
        )
      )
      const reader = yield* Effect.fork(reading)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(reader)
      expect(seen).toEqual([0, 11, 22])
    }).pipe(Effect.provide(Progress.layer()))
  )

  it.effect("begins with what an earlier run did, which is in no rate and no projection", () =>
    Effect.gen(function* () {
      const progress = yield* Progress.make({
        total: 100,
        before: { succeeded: 40, failed: 10 },
        budget: 30
      })
      const { attempt, request } = progress.observer
      for (let n = 0; n < 10; n++) {
        attempt?.({ ...answered, cost: 2_000_000_000_000n } as AttemptEvent)
        request?.({ origin: "call", outcome: "answered" } as RequestEvent)
      }
      yield* TestClock.adjust("10 seconds")
      expect(yield* progress.snapshot).toMatchObject({
        done: 60,
        succeeded: 50,
        failed: 10,
        resumed: 40,
        rate: { now: 1, average: 1 },
        cost: { soFar: 20, projected: 100, budget: 30 },
        etaSeconds: 40
      })
    })
  )
})

it.effect("a budget tells what is held, and who waits", () =>
  Effect.gen(function* () {
    const budget = yield* Budget.make({ usd: 1, tokens: 700 })
    const progress = yield* Progress.make({ total: 3, budget })
    const ask = (n: number) => Chat.prompt(`question ${n}`, { maxTokens: 400 })
    const running = yield* Effect.fork(batch([ask(1), ask(2), ask(3)], { budget, concurrency: 3 }))
    yield* TestClock.adjust("500 millis")
    const { cost, tokens, waiting } = yield* progress.snapshot
    const { reserved } = yield* budget.state
    expect(reserved.usd).toBeGreaterThan(0)
    expect(cost).toMatchObject({ budget: 1, reserved: reserved.usd, unsettled: 0 })
    expect(tokens.budget).toBe(700)
    expect(waiting.budget).toBe(2)
    yield* TestClock.adjust("5 seconds")
    yield* Fiber.join(running)
    expect((yield* progress.snapshot).cost).toMatchObject({ reserved: 0 })
  }).pipe(
    Effect.provide(
      Layer.merge(
        Mock.layer(() => Effect.delay(Effect.succeed("yes"), "1 second")),
        Prices.layer({ add: { "mock/mock": { input: 1, output: 1 } } })
      )
    )
  )
)

const answered = {
  endpoint: "mock/mock",
  provider: "mock",
  model: "mock",
  outcome: "answered",
  latencyMs: 100,
  usage: { inputTokens: 1, outputTokens: 1 }
}

describe("the pace", () => {
  it("follows a change within its window, and the steady one within a minute", () => {
    const pace = new Pace({ at: 0, done: 0, tokens: 0 }, 15_000)
    let done = 0
    const look = (second: number) => pace.look({ at: second * 1_000, done, tokens: done * 100 })
    for (let second = 1; second <= 200; second++) {
      done += second <= 100 ? 10 : 50
      look(second)
    }
    const { all, recent, steady } = look(200)
    expect(recent.done / recent.seconds).toBe(50)
    expect(steady.done / steady.seconds).toBe(50)
    expect(all).toEqual({ seconds: 200, done: 6_000, tokens: 600_000 })
  })

  it("is right for who looks seldom, and for who looks all the time", () => {
    const pace = new Pace({ at: 0, done: 0, tokens: 0 }, 15_000)
    const { recent } = pace.look({ at: 600_000, done: 600, tokens: 0 })
    expect(recent).toEqual({ seconds: 600, done: 600, tokens: 0 })
    for (let at = 600_001; at <= 700_000; at++) pace.look({ at, done: 600 + (at - 600_000), tokens: 0 })
    const { recent: now } = pace.look({ at: 700_000, done: 100_600, tokens: 0 })
    expect(now.done / now.seconds).toBe(1_000)
    expect(now.seconds).toBeGreaterThanOrEqual(15)
    expect(now.seconds).toBeLessThan(17)
  })
})
