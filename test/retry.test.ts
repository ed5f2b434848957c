import { assert, describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { Chat, complete, LlmError, Mock, Retry } from "floodgate"

const fields = { provider: "mock", message: "no" }

/** The times, in milliseconds, at which attempts were made until the request failed or `most` were made. */
const attemptTimes = (error: LlmError.LlmError, options: Retry.Options, most: number) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    const layer = Mock.layer(() =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        times.push(now)
        return times.length > most ? Effect.succeed("ok") : Effect.fail(error)
      })
    )
    const fiber = yield* Effect.fork(
      Effect.either(complete(Chat.prompt("x"), { retry: Retry.make(options) }).pipe(Effect.provide(layer)))
    )
    yield* TestClock.adjust("30 days")
    return { times, outcome: yield* Fiber.join(fiber) }
  })

const waits = (times: ReadonlyArray<number>) => times.slice(1).map((time, i) => time - (times[i] ?? 0))

describe("Retry", () => {
  it("keeps its patience in a policy made of it", () => {
    const policy = Retry.make({ patience: "1 minute" })
    const told = Schedule.tapInput<LlmError.LlmError, void, never>(() => Effect.void)
    expect(Retry.patienceOf(told(policy))).toBe(600_000)
    expect(Retry.patienceOf(Retry.wrap(policy, told))).toBe(60_000)
  })

  it.effect("waits twice as long each time, up to the cap, with jitter on top", () =>
    Effect.gen(function* () {
      const { times } = yield* attemptTimes(
        new LlmError.ServerError(fields),
        { base: "1 second", cap: "10 seconds", maxRetries: 7 },
        7
      )
      const expected = [1, 2, 4, 8, 10, 10, 10].map((seconds) => seconds * 1000)
      for (const [i, wait] of waits(times).entries()) {
        expect(wait).toBeGreaterThanOrEqual(expected[i] ?? 0)
        expect(wait).toBeLessThanOrEqual((expected[i] ?? 0) * 1.25)
      }
      expect(times).toHaveLength(8)
    })
  )

  it.effect.prop(
    "never retries before the server's hint, whatever the settings",
    [
      FastCheck.integer({ min: 0, max: 500_000 }),
      FastCheck.integer({ min: 1, max: 100_000 }),
      FastCheck.integer({ min: 1, max: 100_000 })
    ],
    ([hint, base, cap]) =>
      Effect.gen(function* () {
        const error = new LlmError.RateLimitError({ ...fields, retryAfter: Duration.millis(hint) })
        const { times } = yield* attemptTimes(error, { base, cap, maxRetries: 4 }, 4)
        expect(times).toHaveLength(5)
        for (const wait of waits(times)) {
          expect(wait).toBeGreaterThanOrEqual(hint)
          // and not much later either: the hint stands in for our own backoff
          expect(wait).toBeLessThanOrEqual(
            hint === 0 ? cap * 1.25 + 1 : Math.min(hint * 1.25, hint + 1000) + 1
          )
        }
      }),
    { fastCheck: { numRuns: 20 } }
  )

  it.effect("gives up after maxRetries, and with the last error", () =>
    Effect.gen(function* () {
      const { outcome, times } = yield* attemptTimes(new LlmError.NetworkError(fields), { maxRetries: 2 }, 99)
      expect(times).toHaveLength(3)
      assert(Either.isLeft(outcome))
      expect(outcome.left._tag).toBe("NetworkError")
    })
  )

  it.effect("goes on for ever when asked to", () =>
    Effect.gen(function* () {
      const { outcome, times } = yield* attemptTimes(
        new LlmError.OverloadedError(fields),
        { maxRetries: "forever", cap: "1 second" },
        60
      )
      expect(times).toHaveLength(61)
      expect(Either.isRight(outcome)).toBe(true)
    })
  )

  it.effect("retries a timeout three times only: it may have been billed", () =>
    Effect.gen(function* () {
      const { times } = yield* attemptTimes(new LlmError.TimeoutError(fields), { maxRetries: 20 }, 99)
      expect(times).toHaveLength(4)
      const patient = yield* attemptTimes(
        new LlmError.TimeoutError(fields),
        { maxRetries: "forever", cap: "1 second" },
        20
      )
      expect(patient.times).toHaveLength(21)
    })
  )

  it.effect("does not wait for a hint beyond its patience", () =>
    Effect.gen(function* () {
      const error = new LlmError.RateLimitError({ ...fields, retryAfter: Duration.hours(3) })
      expect((yield* attemptTimes(error, {}, 99)).times).toHaveLength(1)
      const patient = yield* attemptTimes(error, { patience: "1 day" }, 2)
      expect(waits(patient.times).every((wait) => wait >= 3 * 3_600_000)).toBe(true)
      expect(patient.times).toHaveLength(3)
    })
  )

  it.effect("waits for any hint where it goes on for ever", () =>
    Effect.gen(function* () {
      const error = new LlmError.RateLimitError({ ...fields, retryAfter: Duration.hours(3) })
      const { times } = yield* attemptTimes(error, { maxRetries: "forever" }, 2)
      expect(times).toHaveLength(3)
      expect(waits(times).every((wait) => wait >= 3 * 3_600_000)).toBe(true)
    })
  )

  it.effect("takes any Schedule over typed errors", () =>
    Effect.gen(function* () {
      let calls = 0
      const outcome = yield* Effect.either(
        complete(Chat.prompt("x"), { retry: Retry.never }).pipe(
          Effect.provide(
            Mock.layer(() =>
              Effect.suspend(() => {
                calls++
                return Effect.fail(new LlmError.ServerError(fields))
              })
            )
          )
        )
      )
      expect(Either.isLeft(outcome)).toBe(true)
      expect(calls).toBe(1)
    })
  )
})
