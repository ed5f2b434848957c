import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import {
  batchStream,
  Cache,
  HttpClientPool,
  type LlmError,
  OpenAi,
  type Outcome,
  RateLimiter,
  type Response,
  Retry,
  Router
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { requests } from "./acts.js"

const names = ["a", "b", "c"] as const

/** Endpoints over a simulator each, of which calls in flight are limited. */
const endpoints = (
  latencies: ReadonlyArray<number>,
  { concurrency = 4, ...options }: Omit<Router.Options, "endpoints"> & { readonly concurrency?: number } = {},
  models?: ReadonlyArray<string>
) =>
  Effect.gen(function* () {
    const simulators = yield* Effect.forEach(latencies, (latency, i) =>
      // the time of an answer is a function of the seed
      Simulator.make({ latency, seed: i + 1, ...(models === undefined ? undefined : { models }) })
    )
    const [first, ...rest] = simulators.map(({ url }, i) => ({
      id: names[i] ?? "",
      provider: "openai",
      baseUrl: url,
      apiKey: Redacted.make("sk-test"),
      model: "gpt-4o-mini"
    }))
    if (first === undefined) return yield* Effect.dieMessage("no endpoint")
    const services = yield* Layer.build(
      Layer.mergeAll(
        Layer.provide(OpenAi.layer, HttpClientPool.layer()),
        Router.layer({
          health: { cooldown: "50 millis", longestCooldown: "400 millis" },
          ...options,
          endpoints: [first, ...rest]
        }),
        RateLimiter.layer({ domains: { "*": { concurrency } } }),
        Cache.layerNone
      )
    )
    return { simulators, services }
  })

const patient = Retry.make({ maxRetries: "forever", base: "20 millis", cap: "200 millis" })

const down = [{ kind: "reset", rate: 1 }] as const

interface Options {
  readonly concurrency?: number
  readonly deadline?: Duration.DurationInput
  readonly timeout?: Duration.DurationInput
}

/** Asks them all; `at` is run when so many are done. */
const run = (count: number, options: Options, at: Readonly<Record<number, Effect.Effect<void>>> = {}) =>
  Effect.gen(function* () {
    const outcomes: Array<Outcome.Outcome<Response.ChatResponse>> = []
    const start = yield* Clock.currentTimeMillis
    let done = 0
    yield* Stream.runForEach(batchStream(requests(count), { retry: patient, ...options }), (settled) => {
      outcomes[settled.index] = settled.outcome
      return at[++done] ?? Effect.void
    })
    return { outcomes, millis: (yield* Clock.currentTimeMillis) - start, states: yield* Router.states }
  })

const failed = (
  outcomes: ReadonlyArray<Outcome.Outcome<Response.Response>>
): ReadonlyArray<LlmError.LlmError> => outcomes.filter(Either.isLeft).map(({ left }) => left)

describe("over HTTP", () => {
  it.scopedLive("work goes to three endpoints by their speed", () =>
    Effect.gen(function* () {
      const { services } = yield* endpoints([60, 60, 180])
      const { millis, outcomes, states } = yield* Effect.provide(run(120, { concurrency: 30 }), services)
      expect(failed(outcomes)).toEqual([])
      expect(states.reduce((sum, { answered }) => sum + answered, 0)).toBe(120)
      const [a, b, c] = states.map(({ answered }) => answered)
      expect(c).toBeLessThan(Math.min(a ?? 0, b ?? 0))
      // none was idle: the answers of each, by their latency, fill its four slots. A busy machine adds time of its own
      for (const { answered, latencyMs = 0 } of states) {
        expect((answered * latencyMs) / (4 * millis)).toBeGreaterThan(0.25)
      }
      for (const { inputTokens, outputTokens } of states) {
        expect(inputTokens).toBeGreaterThan(0)
        expect(outputTokens).toBeGreaterThan(0)
      }
    })
  )

  it.scopedLive("one that dies and comes back costs no row, and takes its load again", () =>
    Effect.gen(function* () {
      const { services, simulators } = yield* endpoints([10, 10, 10])
      const [, , third] = simulators
      if (third === undefined) return yield* Effect.dieMessage("no third")
      let lost = 0
      const { outcomes } = yield* Effect.provide(
        run(
          250,
          { concurrency: 12 },
          {
            75: third.setFaults(down),
            // the others wait meanwhile, until its circuit has rested for as long as it may
            175: third.setFaults([]).pipe(
              Effect.zipRight(third.stats),
              Effect.flatMap(({ successes }) => {
                lost = successes
                return Effect.sleep("500 millis")
              })
            )
          }
        ),
        services
      )
      expect(failed(outcomes)).toEqual([])
      expect((yield* third.stats).successes).toBeGreaterThan(lost + 5)
    })
  )

  it.scopedLive("one that fails at once gets less than a hundredth after its circuit has opened", () =>
    Effect.gen(function* () {
      const { services, simulators } = yield* endpoints([15, 15, 0], {
        health: { cooldown: "10 minutes", longestCooldown: "10 minutes" }
      })
      const [, , third] = simulators
      if (third === undefined) return yield* Effect.dieMessage("no third")
      yield* third.setFaults([{ kind: "status", status: 500, rate: 1 }])
      const { outcomes, states } = yield* Effect.provide(run(400, { concurrency: 8 }), services)
      expect(failed(outcomes)).toEqual([])
      const calls = yield* third.log
      // five failures open it, and four more may have been on their way by then: it is not asked again
      expect(calls.length).toBeGreaterThanOrEqual(5)
      expect(calls.length).toBeLessThanOrEqual(9)
      expect(states[2]?.errors).toEqual({ ServerError: states[2]?.failed })
    })
  )

  it.scopedLive("waits while all are down, and completes", () =>
    Effect.gen(function* () {
      const { services, simulators } = yield* endpoints([5, 5])
      const all = (faults: ReadonlyArray<Simulator.RatedFault>) =>
        Effect.forEach(simulators, ({ setFaults }) => setFaults(faults), { discard: true })
      const outage = Effect.forkDaemon(
        Effect.zipRight(all(down), Effect.zipRight(Effect.sleep("600 millis"), all([])))
      )
      const { millis, outcomes } = yield* Effect.provide(
        run(120, { concurrency: 8 }, { 20: Effect.asVoid(outage) }),
        services
      )
      expect(failed(outcomes)).toEqual([])
      expect(millis).toBeGreaterThan(600)
      // probes find out that they are back, not the retries of every row
      const stats = yield* Effect.forEach(simulators, (simulator) => simulator.stats)
      expect(stats.reduce((sum, { byOutcome }) => sum + (byOutcome.reset ?? 0), 0)).toBeLessThan(60)
    })
  )

  it.scopedLive("ends at the deadline with every attempt's cause where all are down for good", () =>
    Effect.gen(function* () {
      const { services, simulators } = yield* endpoints([0, 0])
      yield* Effect.forEach(simulators, ({ setFaults }) => setFaults(down))
      const { outcomes } = yield* Effect.provide(run(6, { deadline: "1500 millis" }), services)
      const errors = failed(outcomes)
      expect(errors).toHaveLength(6)
      for (const { _tag, attempts, message } of errors) {
        expect(_tag).toBe("TimeoutError")
        expect(message).toMatch(/a rests after NetworkError: .+; b rests after NetworkError: /)
        expect(attempts?.every(({ error }) => error === "NetworkError")).toBe(true)
      }
      // some waited all the time for others to find out
      expect(
        new Set(errors.flatMap(({ attempts = [] }) => attempts.map(({ endpoint }) => endpoint)))
      ).toEqual(new Set(["a", "b"]))
    })
  )

  it.scopedLive("a model that none of them has fails every row at once", () =>
    Effect.gen(function* () {
      const { services, simulators } = yield* endpoints([0, 0], { health: { cooldown: "10 minutes" } }, [
        "gpt-4o"
      ])
      const { outcomes } = yield* Effect.provide(run(60, { concurrency: 8 }), services)
      const errors = failed(outcomes)
      expect(errors.map(({ _tag }) => _tag)).toEqual(Array.from({ length: 60 }, () => "NotFoundError"))
      expect(errors.at(-1)?.attempts?.map(({ endpoint, status }) => `${endpoint} ${status}`)).toEqual([
        "a 404",
        "b 404"
      ])
      const stats = yield* Effect.forEach(simulators, (simulator) => simulator.stats)
      expect(stats.reduce((sum, { requests }) => sum + requests, 0)).toBeLessThan(40)
    })
  )

  it.scopedLive("a heavy tail is cut by second attempts, within their budget", () =>
    Effect.gen(function* () {
      const { services, simulators } = yield* endpoints([10, 10], { hedge: {}, concurrency: 32 })
      // one in 25 of the first stalls until the client gives up
      yield* Effect.forEach(simulators.slice(0, 1), ({ setFaults }) =>
        setFaults([{ kind: "stall", rate: 0.04 }])
      )
      const { millis, outcomes, states } = yield* Effect.provide(
        run(300, { concurrency: 16, timeout: "60 seconds" }),
        services
      )
      expect(failed(outcomes)).toEqual([])
      expect(millis).toBeLessThan(40_000)
      const hedges = states.reduce((sum, state) => sum + state.hedges, 0)
      expect(hedges).toBeGreaterThan(0)
      expect(hedges).toBeLessThanOrEqual(15)
      const stats = yield* Effect.forEach(simulators, (simulator) => simulator.stats)
      expect(stats.reduce((sum, { requests }) => sum + requests, 0)).toBeLessThanOrEqual(315)
    })
  )
})
