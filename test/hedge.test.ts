import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import { batch, Chat, Checkpoint, complete, RateLimiter, Retry, Router } from "floodgate"
import { LatencyQuantile } from "../src/internal/latencyQuantile.js"
import { type Act, failures, pool, requests } from "./acts.js"
import { timed } from "./virtualClock.js"

const { serverError } = failures

describe("a learned quantile", () => {
  const numbers = FastCheck.array(FastCheck.integer({ min: 1, max: 1_000_000 }), {
    minLength: 200,
    maxLength: 900
  })

  it.prop("is right to a bucket, whatever the scale", [numbers], ([latencies]) => {
    const quantile = new LatencyQuantile(0.9)
    for (const millis of latencies) quantile.learn(millis)
    // made anew every few latencies
    const seen = latencies.slice(0, latencies.length - (latencies.length % 8))
    const sorted = seen.toSorted((a, b) => a - b)
    const exact = sorted[Math.ceil(0.9 * sorted.length) - 1] ?? 0
    expect(quantile.value).toBeGreaterThanOrEqual(exact * 0.999)
    expect(quantile.value).toBeLessThanOrEqual(exact * 1.051)
  })

  it("says nothing at first, and follows the present", () => {
    const quantile = new LatencyQuantile(0.95)
    for (let i = 0; i < 19; i++) quantile.learn(100)
    expect(quantile.value).toBeUndefined()
    for (let i = 0; i < 1_000; i++) quantile.learn(100)
    expect(quantile.value).toBeGreaterThanOrEqual(100)
    expect(quantile.value).toBeLessThan(106)
    for (let i = 0; i < 3_000; i++) quantile.learn(10)
    expect(quantile.value).toBeLessThan(11)
  })
})

/** Requests that teach what is usual, one after the other, on the first endpoint. */
const usual = 30

/** The first endpoint's call after the usual ones. */
const late =
  (act: Act, others: Act = {}) =>
  (_: number, turn: number): Act =>
    turn < usual ? { millis: 10 } : turn === usual ? act : others

// nearly all that can be saved up
const hedge = { budget: 0.3 }

/** Asks the usual requests, then this. */
const onceUsual = <A, E, R>(last: Effect.Effect<A, E, R>) =>
  Effect.zipRight(batch(requests(usual), { concurrency: 1 }), last)

const ask = complete(Chat.prompt("late"), { retry: Retry.never })

describe("hedging", () => {
  it.effect("asks another endpoint beside a late one, and takes the first answer", () =>
    Effect.gen(function* () {
      const { calls, givenUp, layer } = pool(
        { a: late({ millis: 60_000 }), b: () => ({ millis: 10 }) },
        { hedge, strategy: "fallback" }
      )
      const { millis, value } = yield* timed(Effect.provide(onceUsual(Effect.zip(ask, Router.states)), layer))
      const [response, [a, b]] = value
      expect(response.text).toBe("late from b")
      expect(response.meta).toMatchObject({ attempts: 2, endpoint: "b" })
      expect(millis).toBeLessThan(usual * 10 + 40)
      expect(calls.slice(usual).map(({ id }) => id)).toEqual(["a", "b"])
      expect(givenUp).toEqual(["a"])
      // what was given up speaks against nobody's health
      expect(a).toMatchObject({ inFlight: 0, answered: usual, failed: 0, hedges: 0, circuit: "closed" })
      expect(b).toMatchObject({ inFlight: 0, answered: 1, failed: 0, hedges: 1 })
    })
  )

  it.effect("asks the same endpoint again where it is the only one", () =>
    Effect.gen(function* () {
      const { givenUp, ids, layer } = pool({ a: late({ millis: 60_000 }) }, { hedge })
      const { value } = yield* timed(Effect.provide(onceUsual(ask), layer))
      expect(value.meta).toMatchObject({ attempts: 2, endpoint: "a" })
      expect(ids()).toHaveLength(usual + 2)
      expect(givenUp).toEqual(["a"])
    })
  )

  it.effect("the first may still be the first to answer", () =>
    Effect.gen(function* () {
      const { givenUp, layer } = pool(
        { a: late({ millis: 50 }), b: () => ({ millis: 500 }) },
        { hedge, strategy: "fallback" }
      )
      const { value } = yield* timed(Effect.provide(onceUsual(ask), layer))
      expect(value).toMatchObject({ text: "late from a", meta: { attempts: 2, endpoint: "a" } })
      expect(givenUp).toEqual(["b"])
    })
  )

  it.effect("a failure waits for the other's answer, whichever of the two fails", () =>
    Effect.gen(function* () {
      const first = pool(
        { a: late({ millis: 30, error: serverError }), b: () => ({ millis: 100 }) },
        { hedge, strategy: "fallback" }
      )
      expect((yield* timed(Effect.provide(onceUsual(ask), first.layer))).value.text).toBe("late from b")
      const second = pool(
        { a: late({ millis: 300 }), b: () => ({ error: serverError }) },
        { hedge, strategy: "fallback" }
      )
      const { value } = yield* timed(Effect.provide(onceUsual(ask), second.layer))
      expect(value).toMatchObject({ text: "late from a", meta: { attempts: 2, endpoint: "a" } })
      expect(second.givenUp).toEqual([])
    })
  )

  it.effect("if both fail, the request is retried, and its error tells of both", () =>
    Effect.gen(function* () {
      const { calls, layer } = pool(
        {
          a: late({ millis: 50, error: serverError }, { error: serverError }),
          b: () => ({ error: serverError })
        },
        { hedge, strategy: "fallback" }
      )
      const retry = Retry.make({ maxRetries: 1 })
      const { value } = yield* timed(
        Effect.provide(onceUsual(Effect.flip(complete(Chat.prompt("late"), { retry }))), layer)
      )
      const asked = calls.slice(usual).map(({ id }) => id)
      expect(asked.slice(0, 2)).toEqual(["a", "b"])
      expect(value._tag).toBe("ServerError")
      expect(value.attempts?.slice(0, 2).map(({ endpoint }) => endpoint)).toEqual(["b", "a"])
      expect(value.attempts).toHaveLength(asked.length)
    })
  )

  it.effect("interrupts both with the request", () =>
    Effect.gen(function* () {
      const never = { millis: 1e9 }
      const { givenUp, layer } = pool({ a: late(never), b: () => never }, { hedge, strategy: "fallback" })
      const { value } = yield* timed(
        Effect.provide(onceUsual(Effect.zip(Effect.timeoutOption(ask, "10 seconds"), Router.states)), layer)
      )
      expect(value[0]._tag).toBe("None")
      expect(new Set(givenUp)).toEqual(new Set(["a", "b"]))
      expect(value[1].map(({ inFlight }) => inFlight)).toEqual([0, 0])
    })
  )

  it.effect("writes one intent into the checkpoint", () =>
    Effect.gen(function* () {
      const { layer } = pool({ a: late({ millis: 60_000 }), b: () => ({}) }, { hedge, strategy: "fallback" })
      const begun: Array<string> = []
      const counting = Layer.effect(
        Checkpoint.Checkpoint,
        Effect.map(Checkpoint.Checkpoint, (none) => ({
          ...none,
          begin: (key: string) => Effect.sync(() => void begun.push(key))
        }))
      )
      yield* timed(
        Effect.provide(
          batch(requests(usual + 1), {
            concurrency: 1,
            checkpoint: Layer.provide(counting, Checkpoint.layerNone)
          }),
          layer
        )
      )
      expect(begun).toHaveLength(usual + 1)
      expect(new Set(begun).size).toBe(usual + 1)
    })
  )

  it.effect("not what must not be done twice", () =>
    Effect.gen(function* () {
      const acts = { a: late({ millis: 60_000 }, { millis: 60_000 }), b: () => ({}) }
      const { ids, layer } = pool(acts, { hedge, strategy: "fallback" })
      const search = { type: "provider" as const, value: { type: "web_search" } }
      yield* timed(
        Effect.provide(
          onceUsual(
            Effect.all([
              complete(Chat.prompt("kept", { store: true })),
              complete(Chat.prompt("searched", { tools: [search] }))
            ])
          ),
          layer
        )
      )
      expect(ids()).not.toContain("b")
    })
  )

  it.effect("none where its limit has others waiting, is paused or full", () =>
    Effect.gen(function* () {
      const acts = { a: late({ millis: 5_000 }), b: () => ({}) }
      const paused = pool(acts, { hedge, strategy: "fallback", limits: { "*": { concurrency: 9 } } })
      const pause = Effect.flatMap(RateLimiter.RateLimiter, (limiter) => limiter.pause("b", "1 hour", "429"))
      yield* timed(Effect.provide(onceUsual(Effect.zipRight(pause, ask)), paused.layer))
      expect(paused.ids()).not.toContain("b")
      const full = pool({ a: late({ millis: 5_000 }) }, { hedge, limits: { "*": { concurrency: 1 } } })
      yield* timed(Effect.provide(onceUsual(ask), full.layer))
      expect(full.ids()).toHaveLength(usual + 1)
    })
  )

  it.effect("gives up a second attempt that is held up by a token limit", () =>
    Effect.gen(function* () {
      const { ids, layer } = pool(
        { a: late({ millis: 5_000 }), b: () => ({}) },
        { hedge, strategy: "fallback", limits: { b: { tokensPerMinute: 60_000 } } }
      )
      // half of the limit is used: a small request could go at once, one of 40,000 tokens not
      const use = Effect.flatMap(RateLimiter.RateLimiter, (limiter) =>
        limiter.withPermit("b", { inputTokens: 30_000, outputTokens: 0 }, () => Effect.sleep("35 seconds"))
      )
      const long = complete(Chat.prompt("word ".repeat(40_000), { maxTokens: 1 }), { retry: Retry.never })
      const { value } = yield* timed(
        Effect.provide(onceUsual(Effect.zipRight(use, Effect.zip(long, Router.states))), layer)
      )
      expect(value[0].meta).toMatchObject({ endpoint: "a", attempts: 1 })
      expect(ids()).not.toContain("b")
      expect(value[1][1]).toMatchObject({ id: "b", hedges: 1, inFlight: 0 })
    })
  )

  it.effect("a wrong quantile or budget is told of", () =>
    Effect.gen(function* () {
      for (const wrong of [{ quantile: 95 }, { quantile: 0 }, { budget: 5 }, { budget: Number.NaN }]) {
        const { layer } = pool({ a: () => ({}) }, { hedge: wrong })
        const error = yield* Effect.flip(Effect.provide(complete(Chat.prompt("q")), layer))
        expect(error).toMatchObject({ _tag: "InvalidRequestError" })
        expect(error.message).toContain("hedging")
      }
    })
  )

  it.effect("cuts a heavy tail to a fifth above the least, for less than its budget", () =>
    Effect.gen(function* () {
      const rows = 2_000
      const workers = 50
      // from 100 to 140 ms, one in a hundred 50 times as long
      const act = (_: number, turn: number): Act => ({
        millis: (100 + ((turn * 7) % 41)) * (turn % 100 === 37 ? 50 : 1)
      })
      const least = (rows * 120) / workers
      const { calls, layer } = pool({ a: act }, { hedge: {} })
      const { millis } = yield* timed(Effect.provide(batch(requests(rows), { concurrency: workers }), layer))
      // without it is two and a half times the least
      expect(millis).toBeLessThan(1.2 * least)
      expect(calls.length).toBeLessThanOrEqual(1.05 * rows)
    })
  )

  it.effect.prop(
    "stays in its budget, and every request has one answer, its own",
    [FastCheck.array(FastCheck.integer({ min: 0, max: 99 }), { minLength: 50, maxLength: 99 })],
    ([dice]) =>
      Effect.gen(function* () {
        let roll = 0
        const act = (): Act => {
          const die = dice[roll++ % dice.length] ?? 0
          return { millis: die < 10 ? 2_000 : 10 + die, error: die > 95 ? serverError : undefined }
        }
        const { calls, layer } = pool(
          { a: act, b: act },
          { hedge: { budget: 0.05 }, health: { failures: 1_000, failureShare: 2 } }
        )
        const { value } = yield* timed(
          Effect.provide(
            Effect.zip(
              batch(requests(240), { concurrency: 16, retry: Retry.make({ maxRetries: "forever" }) }),
              Router.states
            ),
            layer
          )
        )
        const [outcomes, states] = value
        let attempts = 0
        for (const [index, outcome] of outcomes.entries()) {
          const { meta, text } = Either.getOrThrow(outcome)
          expect(text).toMatch(new RegExp(`^q${index} from`))
          attempts += meta.attempts
        }
        expect(attempts).toBe(calls.length)
        const hedges = states.reduce((sum, state) => sum + state.hedges, 0)
        expect(hedges).toBeLessThanOrEqual(240 * 0.05)
        expect(states.map(({ inFlight }) => inFlight)).toEqual([0, 0])
      }),
    { fastCheck: { numRuns: 4 } }
  )
})
