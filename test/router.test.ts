import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import {
  batch,
  Cache,
  Chat,
  complete,
  LlmError,
  Providers,
  RateLimiter,
  type Request,
  Response,
  Retry,
  Router,
  Strategy,
  StructuredOutput,
  type Task
} from "floodgate"
import { cacheKey } from "../src/internal/cacheKey.js"
import { type Act, failures, pool, requests } from "./acts.js"
import { timed } from "./virtualClock.js"

const share = (ids: ReadonlyArray<string>, id: string) => ids.filter((one) => one === id).length / ids.length

const { authError, fields, serverError } = failures

describe("failover", () => {
  const retryable = [
    new LlmError.RateLimitError({ ...fields, retryAfter: Duration.minutes(5) }),
    new LlmError.OverloadedError(fields),
    serverError,
    new LlmError.NetworkError(fields),
    new LlmError.TimeoutError(fields),
    authError,
    new LlmError.PermissionError(fields),
    new LlmError.QuotaExhaustedError(fields),
    new LlmError.NotFoundError(fields)
  ]

  for (const error of retryable) {
    it.effect(`${error._tag}: another endpoint is asked at once`, () =>
      Effect.gen(function* () {
        const { ids, layer } = pool({ a: () => ({ error }), b: () => ({}) }, { strategy: "fallback" })
        const { millis, value } = yield* timed(Effect.provide(complete(Chat.prompt("q")), layer))
        expect(value.text).toBe("q from b")
        expect(value.meta).toMatchObject({ attempts: 2, endpoint: "b" })
        expect(ids()).toEqual(["a", "b"])
        expect(millis).toBeLessThan(50)
      })
    )
  }

  for (const error of [new LlmError.InvalidRequestError(fields), new LlmError.ContentFilterError(fields)]) {
    it.effect(`${error._tag}: nowhere, unless the user says so`, () =>
      Effect.gen(function* () {
        const acts = { a: () => ({ error }), b: () => ({}) }
        const strict = pool(acts, { strategy: "fallback" })
        const failed = yield* timed(Effect.flip(Effect.provide(complete(Chat.prompt("q")), strict.layer)))
        expect(failed.value._tag).toBe(error._tag)
        expect(strict.ids()).toEqual(["a"])
        const failover = [...Router.defaultFailover, error._tag]
        const lax = pool(acts, { strategy: "fallback", failover })
        expect((yield* timed(Effect.provide(complete(Chat.prompt("q")), lax.layer))).value.text).toBe(
          "q from b"
        )
      })
    )
  }

  it.effect("a prompt that is too long goes only where the window is larger", () =>
    Effect.gen(function* () {
      const error = new LlmError.ContextLengthError(fields)
      const acts = { a: () => ({ error }), b: () => ({}), c: () => ({}), d: () => ({}) }
      const some = pool(acts, { strategy: "fallback", windows: { a: 8_000, b: 8_000, d: 128_000 } })
      yield* timed(Effect.provide(complete(Chat.prompt("q")), some.layer))
      expect(some.ids()).toEqual(["a", "d"])
      // a window that nobody states may be the smallest
      const unstated = pool(acts, { strategy: "fallback", windows: { c: 1_000_000 } })
      yield* timed(Effect.provide(complete(Chat.prompt("q")), unstated.layer))
      expect(unstated.ids()).toEqual(["a", "c"])
      const none = pool(acts, { strategy: "fallback", windows: { a: 8_000, b: 8_000 } })
      const failed = yield* timed(Effect.flip(Effect.provide(complete(Chat.prompt("q")), none.layer)))
      expect(failed.value._tag).toBe("ContextLengthError")
      expect(none.ids()).toEqual(["a"])
    })
  )

  const verdicts = [
    new LlmError.InvalidRequestError({ ...fields, status: 400 }),
    new LlmError.ContentFilterError(fields),
    new LlmError.CancelledError(fields),
    new LlmError.ContextLengthError(fields)
  ]
  for (const error of verdicts) {
    it.effect(`${error._tag} after a failure elsewhere is the last word, at once`, () =>
      Effect.gen(function* () {
        const { ids, layer } = pool(
          { a: () => ({ error: serverError }), b: () => ({ error }) },
          { strategy: "fallback", windows: { a: 8_000, b: 8_000 } }
        )
        const { millis, value } = yield* timed(Effect.flip(Effect.provide(complete(Chat.prompt("q")), layer)))
        expect(value._tag).toBe(error._tag)
        expect(value.attempts?.map(({ error }) => error)).toEqual(["ServerError", error._tag])
        expect(ids()).toEqual(["a", "b"])
        expect(millis).toBeLessThan(50)
      })
    )
  }

  it.effect("what is too long waits for an endpoint that is ill and has room, and for no other", () =>
    Effect.gen(function* () {
      const error = new LlmError.ContextLengthError(fields)
      const ill = (_: number, turn: number): Act => (turn === 0 ? { error: serverError } : {})
      const windows = { a: 128_000, b: 8_000 }
      const mended = pool({ a: ill, b: () => ({ error }) }, { strategy: "fallback", windows })
      const { value } = yield* timed(Effect.provide(complete(Chat.prompt("q")), mended.layer))
      expect(value.text).toBe("q from a")
      const wrong = pool(
        { c: () => ({ error: serverError }), a: () => ({ error: authError }), b: () => ({ error }) },
        { strategy: "fallback", windows }
      )
      const failed = yield* timed(Effect.flip(Effect.provide(complete(Chat.prompt("q")), wrong.layer)))
      expect(failed.value._tag).toBe("ContextLengthError")
      expect(wrong.ids()).toEqual(["c", "a", "b"])
    })
  )

  it.effect("asks all before the wait, and tells every attempt with its cause", () =>
    Effect.gen(function* () {
      const network = new LlmError.NetworkError({ ...fields, message: "reset" })
      const { calls, layer } = pool({
        a: () => ({ error: serverError }),
        b: () => ({ error: authError }),
        c: () => ({ error: network })
      })
      const retry = Retry.make({ maxRetries: 1, base: "2 seconds" })
      const { value: error } = yield* timed(
        Effect.flip(Effect.provide(complete(Chat.prompt("q"), { retry }), layer))
      )
      // the second round leaves out the key that is wrong
      expect(calls.slice(0, 3).map(({ at, id }) => [id, at - (calls[0]?.at ?? 0)])).toEqual([
        ["a", 0],
        ["b", 0],
        ["c", 0]
      ])
      const second = calls.slice(3)
      expect(new Set(second.map(({ id }) => id))).toEqual(new Set(["a", "c"]))
      for (const { at } of second) expect(at - (calls[0]?.at ?? 0)).toBeGreaterThanOrEqual(2_000)
      expect(error.attempts?.map(({ endpoint, error }) => [endpoint, error])).toEqual(
        calls.map(({ id }) => [
          id,
          { a: "ServerError", b: "AuthError", c: "NetworkError" }[id as "a" | "b" | "c"]
        ])
      )
      expect(LlmError.isRetryable(error)).toBe(true)
    })
  )

  it.effect("asks an endpoint again only after its own hint", () =>
    Effect.gen(function* () {
      const hinted = new LlmError.RateLimitError({ ...fields, retryAfter: Duration.seconds(30) })
      const { calls, layer } = pool(
        {
          a: (_, turn) => (turn === 0 ? { error: hinted } : {}),
          b: (_, turn) => (turn < 3 ? { error: serverError } : {})
        },
        { strategy: "fallback" }
      )
      yield* timed(Effect.provide(complete(Chat.prompt("q")), layer))
      expect(calls.map(({ id }) => id)).toEqual(["a", "b", "b", "b", "b"])
    })
  )

  it.effect("is retried where it was, when the others are paused or full for long", () =>
    Effect.gen(function* () {
      const failsOnce = (_: number, turn: number): Act =>
        turn === 0 ? { error: serverError } : { millis: 10 }
      const asked = (b: Act, isPaused: boolean) => {
        const { calls, layer } = pool(
          { a: failsOnce, b: () => b },
          { strategy: "fallback", limits: { a: { concurrency: 2 }, b: { concurrency: 1 } } }
        )
        const program = Effect.gen(function* () {
          const limiter = yield* RateLimiter.RateLimiter
          if (isPaused) yield* limiter.pause("b", "1 hour", "429")
          else
            yield* Effect.fork(
              limiter.withPermit("b", { inputTokens: 1, outputTokens: 1 }, () => Effect.never)
            )
          yield* Effect.yieldNow()
          return yield* complete(Chat.prompt("q"), { retry: Retry.make({ maxRetries: 1 }) })
        })
        return Effect.map(timed(Effect.provide(program, layer)), ({ millis, value }) => {
          expect(calls.map(({ id }) => id)).toEqual(["a", "a"])
          expect(value.meta.attempts).toBe(2)
          return millis
        })
      }
      // what is paused will not come soon, what is full might
      expect(yield* asked({}, true)).toBeLessThan(1_000)
      expect(yield* asked({}, false)).toBeLessThan(7_000)
    })
  )

  it.effect("waits for the others where they come soon", () =>
    Effect.gen(function* () {
      const { calls, layer } = pool(
        { a: () => ({ error: serverError }), b: () => ({ millis: 10 }) },
        { strategy: "fallback", limits: { "*": { concurrency: 2 } } }
      )
      const paused = Effect.flatMap(RateLimiter.RateLimiter, (limiter) =>
        limiter.pause("b", "4 seconds", "429")
      )
      const { millis } = yield* timed(
        Effect.provide(Effect.zipRight(paused, complete(Chat.prompt("q"))), layer)
      )
      expect(calls.map(({ id }) => id)).toEqual(["a", "b"])
      expect(millis).toBeGreaterThanOrEqual(4_000)
    })
  )

  it.effect.prop(
    "no request is lost or answered twice, and none goes back to an endpoint before the others",
    [FastCheck.array(FastCheck.integer({ min: 0, max: 6 }), { minLength: 30, maxLength: 60 })],
    ([dice]) =>
      Effect.gen(function* () {
        const errors = [serverError, new LlmError.OverloadedError(fields), new LlmError.NetworkError(fields)]
        let roll = 0
        const act = (): Act => {
          const die = dice[roll++ % dice.length] ?? 0
          return { millis: die * 7, error: die < 3 ? errors[die] : undefined }
        }
        const { calls, layer } = pool(
          { a: act, b: act, c: act },
          { health: { failures: 1_000, failureShare: 2 } }
        )
        const { value } = yield* timed(
          Effect.provide(
            batch(requests(40), { concurrency: 8, retry: Retry.make({ maxRetries: "forever" }) }),
            layer
          )
        )
        for (const [index, outcome] of value.entries()) {
          expect(Either.map(outcome, ({ text }) => text.split(" ")[0])).toEqual(Either.right(`q${index}`))
        }
        for (const [index, outcome] of value.entries()) {
          const asked = calls.filter(({ text }) => text === `q${index}`).map(({ id }) => id)
          expect(Either.map(outcome, ({ meta }) => meta.attempts)).toEqual(Either.right(asked.length))
          // in each round of three all three
          for (let i = 0; i < asked.length; i += 3) {
            const round = asked.slice(i, i + 3)
            expect(new Set(round).size).toBe(round.length)
          }
        }
      }),
    { fastCheck: { numRuns: 5 } }
  )
})

describe("health", () => {
  it.effect("an endpoint that fails at once gets next to nothing, and its share again when it is well", () =>
    Effect.gen(function* () {
      const { calls, layer } = pool({
        a: (now) => (now < 10_000 ? { error: serverError } : { millis: 100 }),
        b: () => ({ millis: 100 }),
        c: () => ({ millis: 100 })
      })
      const { value } = yield* timed(Effect.provide(batch(requests(400), { concurrency: 2 }), layer))
      expect(value.every(Either.isRight)).toBe(true)
      const between = (from: number, to: number) =>
        calls.filter(({ at }) => at >= from && at < to).map(({ id }) => id)
      // probes, after one, two and four seconds
      expect(between(1_000, 10_000).filter((id) => id === "a").length).toBeLessThanOrEqual(3)
      expect(share(between(16_000, 20_000), "a")).toBeGreaterThan(0.2)
    })
  )

  it.effect("waits for the earliest recovery while all are ill, and fails no request", () =>
    Effect.gen(function* () {
      const down = (now: number): Act =>
        now >= 1_000 && now < 21_000 ? { error: serverError } : { millis: 100 }
      const { calls, layer } = pool({ a: down, b: down })
      const { millis, value } = yield* timed(Effect.provide(batch(requests(200), { concurrency: 4 }), layer))
      expect(value.every(Either.isRight)).toBe(true)
      // probes, not every request's retries
      expect(calls.filter(({ at }) => at >= 4_000 && at < 21_000).length).toBeLessThan(40)
      expect(millis).toBeLessThan(60_000)
    })
  )

  it.effect("ends at the deadline with every attempt's cause where it is down for good", () =>
    Effect.gen(function* () {
      const down = () => ({ error: serverError })
      const { layer } = pool({ a: down, b: down })
      const { millis, value } = yield* timed(
        Effect.provide(
          batch(requests(4), { deadline: "2 minutes", retry: Retry.make({ maxRetries: "forever" }) }),
          layer
        )
      )
      expect(millis).toBeLessThanOrEqual(120_200)
      for (const outcome of value) {
        const error = Either.getOrThrow(Either.flip(outcome))
        expect(error._tag).toBe("TimeoutError")
        expect(error.message).toContain("a rests after ServerError: no; b rests after")
        expect(new Set(error.attempts?.map(({ endpoint }) => endpoint))).toEqual(new Set(["a", "b"]))
      }
    })
  )

  it.effect("says at the deadline which pauses it was that held it up", () =>
    Effect.gen(function* () {
      const { layer } = pool({ a: () => ({}), b: () => ({}) }, { limits: { "*": { concurrency: 4 } } })
      const program = Effect.gen(function* () {
        const limiter = yield* RateLimiter.RateLimiter
        for (const id of ["a", "b"]) yield* limiter.pause(id, "1 minute", "429")
        return yield* batch([Chat.prompt("q")], { deadline: "3 seconds" })
      })
      const { value } = yield* timed(Effect.provide(program, layer))
      const [error] = value.filter(Either.isLeft).map(({ left }) => left)
      // a pause is lengthened by a little chance
      expect(error?.message).toMatch(
        /^No answer within the deadline of 3s: a is paused or at its limit for 5\d s; b is paused or at its limit for 5\d s$/
      )
    })
  )

  it.effect("a wrong key is left alone at once, as long as its domain is; all wrong is told at once", () =>
    Effect.gen(function* () {
      const wrong = () => ({ error: authError })
      const one = pool({ a: wrong, b: () => ({ millis: 1_000 }) })
      const { value } = yield* timed(Effect.provide(batch(requests(50), { concurrency: 1 }), one.layer))
      expect(value.every(Either.isRight)).toBe(true)
      expect(one.ids().filter((id) => id === "a")).toHaveLength(1)
      const all = pool({ a: wrong, b: wrong })
      const failed = yield* timed(Effect.provide(batch(requests(50), { concurrency: 1 }), all.layer))
      expect(failed.millis).toBeLessThan(1_000)
      expect(
        failed.value.every((outcome) => Either.isLeft(outcome) && outcome.left._tag === "AuthError")
      ).toBe(true)
      expect(all.calls).toHaveLength(2)
      const last = Either.getOrThrow(Either.flip(failed.value.at(-1) ?? Either.right(undefined)))
      expect(last.attempts?.map(({ endpoint }) => endpoint)).toEqual(["a", "b"])
    })
  )

  it.effect("a model that some requests name, and nobody has, rests no endpoint", () =>
    Effect.gen(function* () {
      const notFound = new LlmError.NotFoundError({ ...fields, status: 404 })
      const { calls, layer } = pool({ a: () => ({ error: notFound }), b: () => ({ error: notFound }) })
      const { millis, value } = yield* timed(
        Effect.provide(
          Effect.zip(
            batch(Array.from({ length: 20 }, (_, i) => Chat.prompt(`q${i}`, { model: "nope" }))),
            Router.states
          ),
          layer
        )
      )
      const [outcomes, states] = value
      for (const outcome of outcomes) {
        const error = Either.getOrThrow(Either.flip(outcome))
        expect(error._tag).toBe("NotFoundError")
        expect(error.attempts?.map(({ endpoint }) => endpoint).sort()).toEqual(["a", "b"])
      }
      expect(calls).toHaveLength(40)
      expect(millis).toBe(0)
      expect(states.map(({ circuit, errors }) => [circuit, errors])).toEqual([
        ["closed", { NotFoundError: 20 }],
        ["closed", { NotFoundError: 20 }]
      ])
    })
  )

  it.effect(
    "a model that nobody has is told at once, with each endpoint's word, and looked for now and then",
    () =>
      Effect.gen(function* () {
        const notFound = new LlmError.NotFoundError({ ...fields, status: 404 })
        const warnings: Array<string> = []
        const logger = Logger.make(({ message }) => void warnings.push(String(message)))
        // the model is there after a minute
        const typo = (now: number): Act => ({ millis: 10, error: now < 60_000 ? notFound : undefined })
        const { calls, layer } = pool({ a: typo, b: typo })
        const { value } = yield* timed(
          Effect.gen(function* () {
            const [time, outcomes] = yield* Effect.timed(batch(requests(300), { concurrency: 10 }))
            expect(Duration.toMillis(time)).toBeLessThan(1_000)
            expect(calls.length).toBeLessThan(30)
            // one now and then finds out
            const [first] = yield* Effect.repeat(Effect.delay(batch([Chat.prompt("again")]), "1 second"), {
              until: ([outcome]) => outcome !== undefined && Either.isRight(outcome)
            })
            expect(calls.length).toBeLessThan(60)
            return { outcomes, first }
          }).pipe(Effect.provide(layer), Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
        )
        const errors = value.outcomes.filter(Either.isLeft).map(({ left }) => left)
        expect(errors.map(({ _tag }) => _tag)).toEqual(requests(300).map(() => "NotFoundError"))
        // of its own attempts, and of a row that was not sent, why it was not
        const told = errors.map(({ attempts = [] }) =>
          attempts.map(({ endpoint, status }) => `${endpoint} ${status}`).sort()
        )
        expect(told.filter((attempts) => attempts.length === 0)).toEqual([])
        expect(told.at(-1)).toEqual(["a 404", "b 404"])
        expect(warnings.filter((warning) => warning.startsWith("No endpoint can answer"))).toEqual([
          "No endpoint can answer, and no wait mends that: requests fail at once, but for one now and then to see. a: no; b: no"
        ])
      })
  )

  it.effect("one without the model and one that is down: requests wait for the one that may come back", () =>
    Effect.gen(function* () {
      const notFound = new LlmError.NotFoundError({ ...fields, status: 404 })
      const { layer } = pool({
        a: () => ({ millis: 5, error: notFound }),
        b: (now) => ({ millis: 5, error: now < 20_000 ? serverError : undefined })
      })
      const { millis, value } = yield* timed(Effect.provide(batch(requests(200), { concurrency: 10 }), layer))
      expect(value.filter(Either.isLeft)).toEqual([])
      expect(millis).toBeGreaterThan(20_000)
    })
  )

  it.effect("an interrupted probe gives its place to the next", () =>
    Effect.gen(function* () {
      const { calls, layer } = pool(
        { a: (_, turn) => (turn === 0 ? { error: serverError } : turn === 1 ? { millis: 1e9 } : {}) },
        { health: { failures: 1, cooldown: "10 seconds" } }
      )
      yield* Effect.gen(function* () {
        const ask = complete(Chat.prompt("q"), { retry: Retry.never })
        yield* Effect.flip(ask)
        const probe = yield* Effect.fork(ask)
        const next = yield* Effect.fork(ask)
        yield* TestClock.adjust("10 seconds")
        expect(calls).toHaveLength(2)
        expect((yield* Router.states)[0]).toMatchObject({ id: "a", circuit: "half-open", inFlight: 1 })
        yield* Fiber.interrupt(probe)
        yield* TestClock.adjust(1)
        expect((yield* Fiber.join(next)).text).toBe("q from a")
        expect((yield* Router.states)[0]).toMatchObject({
          circuit: "closed",
          inFlight: 0,
          answered: 1,
          failed: 1
        })
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("a probe that sent nothing says nothing of the endpoint", () =>
    Effect.gen(function* () {
      const unsupported = new LlmError.UnsupportedError({ ...fields, feature: "seed" })
      const { layer } = pool(
        { a: (_, turn) => ({ error: turn === 1 ? unsupported : serverError }) },
        { health: { failures: 1, cooldown: "10 seconds" } }
      )
      const ask = Effect.flip(complete(Chat.prompt("q"), { retry: Retry.never }))
      const { value } = yield* timed(
        Effect.provide(Effect.all([ask, ask, Router.states, ask, Router.states]), layer)
      )
      const [, second, [between], third, [after]] = value
      expect([second._tag, third._tag]).toEqual(["UnsupportedError", "ServerError"])
      expect(between).toMatchObject({ circuit: "half-open", failed: 1 })
      // the next was the probe, and opened it anew
      expect(after).toMatchObject({ circuit: "open", failed: 2 })
    })
  )

  it.effect("nobody waits for a slow probe longer than for the cooldown", () =>
    Effect.gen(function* () {
      const { calls, layer } = pool(
        { a: (_, turn) => (turn === 0 ? { error: serverError } : turn < 3 ? { millis: 600_000 } : {}) },
        { health: { failures: 1, cooldown: "1 second" } }
      )
      const ask = complete(Chat.prompt("q"), { retry: Retry.never })
      const { millis } = yield* timed(
        Effect.gen(function* () {
          yield* Effect.flip(ask)
          const slow = yield* Effect.fork(Effect.all([ask, ask], { concurrency: 2 }))
          yield* Effect.sleep(1)
          yield* ask
          expect((yield* Router.states)[0]).toMatchObject({ circuit: "closed", inFlight: 2 })
          yield* Fiber.interrupt(slow)
        }).pipe(Effect.provide(layer))
      )
      // the third after twice the time
      expect(calls.map(({ at }) => at)).toEqual([0, 1_000, 2_000, 4_000])
      expect(millis).toBe(4_000)
    })
  )

  it.effect("tells what each endpoint has done, and how many wait", () =>
    Effect.gen(function* () {
      const { layer } = pool(
        { a: () => ({ millis: 10 }), b: (_, turn) => ({ error: turn < 2 ? serverError : authError }) },
        { limits: { a: { concurrency: 1 } } }
      )
      yield* Effect.gen(function* () {
        const router = yield* Router.Router
        yield* timed(batch(requests(6), { concurrency: 1 }))
        const [a, b] = yield* router.states
        expect(a).toMatchObject({ answered: 6, failed: 0, errors: {}, inputTokens: 6, outputTokens: 6 })
        expect(b).toMatchObject({ failed: 3, errors: { ServerError: 2, AuthError: 1 }, circuit: "open" })
        expect(Router.table(yield* router.states, 80).split("\n")).toEqual([
          "endpoint  circuit  in flight  latency  answered  failed    tokens in / out  last error",
          "a         closed           0    10 ms         6  0                   6 / 6",
          "b         open             0        -         0  3 Server            0 / 0  AuthError…"
        ])
        // one is asked, the others wait
        const busy = yield* Effect.fork(batch(requests(4)))
        yield* TestClock.adjust(1)
        expect(yield* router.waiting).toBe(3)
        yield* Fiber.interrupt(busy)
        expect(yield* router.waiting).toBe(0)
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("can be watched", () =>
    Effect.gen(function* () {
      const { layer } = pool({ a: () => ({ millis: 50 }), b: () => ({ error: serverError }) })
      const seen = yield* Effect.gen(function* () {
        const { changes } = yield* Router.Router
        const watching = yield* Effect.fork(Stream.runCollect(Stream.takeUntil(changes, done)))
        yield* TestClock.adjust(1)
        yield* timed(batch(requests(4), { concurrency: 1 }))
        return Chunk.toReadonlyArray(yield* Fiber.join(watching))
      }).pipe(Effect.provide(layer))
      expect(seen[0]).toMatchObject([{ answered: 0 }, { answered: 0 }])
      expect(seen[seen.length - 1]).toMatchObject([
        { id: "a", answered: 4, latencyMs: expect.any(Number) },
        { id: "b", answered: 0 }
      ])
    })
  )
})

const done = (states: ReadonlyArray<Router.EndpointState>) => states[0]?.answered === 4

describe("a batch", () => {
  it.effect("drains a pool of unequal limits as fast as all of them allow", () =>
    Effect.gen(function* () {
      const act = () => ({ millis: 200 })
      const { ids, layer } = pool(
        { a: act, b: act, c: act },
        {
          limits: {
            a: { requestsPerSecond: 10 },
            b: { requestsPerSecond: 10 },
            c: { requestsPerSecond: 3 }
          }
        }
      )
      const { millis, value } = yield* timed(Effect.provide(batch(requests(230), { concurrency: 16 }), layer))
      expect(value.every(Either.isRight)).toBe(true)
      // 23 a second
      expect(millis).toBeGreaterThan(9_000)
      expect(millis).toBeLessThan(11_500)
      expect(share(ids(), "c")).toBeLessThan(0.15)
    })
  )

  it.effect("splits by speed where calls in flight are limited", () =>
    Effect.gen(function* () {
      const limits = { "*": { concurrency: 4 } }
      const { ids, layer } = pool(
        { a: () => ({ millis: 100 }), b: () => ({ millis: 100 }), c: () => ({ millis: 300 }) },
        { limits }
      )
      const { millis } = yield* timed(Effect.provide(batch(requests(350), { concurrency: 30 }), layer))
      // 4 / 0.1 + 4 / 0.1 + 4 / 0.3 a second: 3.75 s
      expect(millis).toBeLessThan(3_750 * 1.05 + 300)
      expect(share(ids(), "c")).toBeCloseTo(1 / 7, 1)
    })
  )

  it.effect("a choice of the user's own that throws is the end of its request, and of no other", () =>
    Effect.gen(function* () {
      const act = (now: number): Act => (now < 500 ? { error: serverError } : { millis: 10 })
      let recovered = 0
      const choose: Strategy.Choose = ([first]) => {
        // all others wait at the router then: both endpoints have been ill
        if (first !== undefined && first.lastUsed > 0 && first.punished && ++recovered === 1)
          throw new Error("a bug")
        return first
      }
      const { layer } = pool(
        { a: act, b: act },
        { strategy: Strategy.custom(choose), health: { failures: 1, cooldown: "600 millis" } }
      )
      const retry = Retry.make({ maxRetries: "forever" })
      const all = Effect.forEach(requests(9), (request) => Effect.exit(complete(request, { retry })), {
        concurrency: 9
      })
      const { value } = yield* timed(
        Effect.provide(Effect.timeoutOption(Effect.zip(all, Router.states), "1 minute"), layer)
      )
      const [exits, states] = Option.getOrThrow(value)
      expect(recovered).toBeGreaterThan(0)
      expect(exits.filter(Exit.isSuccess)).toHaveLength(8)
      expect(exits.filter(Exit.isFailure).map(({ cause }) => Cause.isDie(cause))).toEqual([true])
      expect(states.map(({ inFlight }) => inFlight)).toEqual([0, 0])
    })
  )

  it.effect("goes round a paused domain, and a tier waits for a short pause only", () =>
    Effect.gen(function* () {
      const act = () => ({ millis: 10 })
      const limits = { "*": { concurrency: 100 } }
      const asked = (strategy: Strategy.Strategy, pause: Duration.DurationInput) =>
        Effect.gen(function* () {
          const { ids, layer } = pool({ a: act, b: act }, { limits, strategy })
          yield* timed(
            Effect.gen(function* () {
              const limiter = yield* RateLimiter.RateLimiter
              yield* limiter.pause("a", pause, "429")
              return yield* batch(requests(10))
            }).pipe(Effect.provide(layer))
          )
          return new Set(ids())
        })
      expect(yield* asked(Strategy.roundRobin(), "1 minute")).toEqual(new Set(["b"]))
      expect(yield* asked(Strategy.fallback(), "2 seconds")).toEqual(new Set(["a"]))
      expect(yield* asked(Strategy.fallback(), "1 minute")).toEqual(new Set(["b"]))
      expect(yield* asked(Strategy.fallback(["a", "b"], { patience: 0 }), "2 seconds")).toEqual(
        new Set(["b"])
      )
    })
  )
})

describe("tasks", () => {
  const asked: Array<{ readonly id: string; readonly request: Request.Request }> = []
  const provider = Providers.fromFunction("p", (request, { id }) =>
    Effect.sync(() => {
      asked.push({ id, request })
      return Response.fromFields({
        text: `{"n":1}`,
        finishReason: "stop",
        toolCalls: [],
        usage: { inputTokens: 1, outputTokens: 1 },
        model: "m",
        provider: "p",
        meta: { attempts: 0, cached: false, latencyMs: 0 }
      })
    })
  )
  const of = (tasks: Readonly<Record<string, Task.Task>>) =>
    Layer.mergeAll(
      Layer.succeed(Providers.Providers, Providers.make([provider])),
      Router.layer({
        endpoints: [
          { id: "fast", provider: "p", baseUrl: "p://a", model: "mini" },
          { id: "good", provider: "p", baseUrl: "p://b", model: "big" }
        ],
        tasks
      }),
      RateLimiter.layerUnlimited,
      Cache.layerNone
    )

  it.effect("fill in what the request leaves out, and say who may be asked", () =>
    Effect.gen(function* () {
      asked.length = 0
      const layer = of({
        label: {
          system: "One word.",
          parameters: { temperature: 0, maxTokens: 5 },
          endpoints: ["good"]
        }
      })
      yield* Effect.provide(
        batch([Chat.prompt("a"), Chat.prompt("b", { temperature: 1 }), Chat.prompt("c")], { task: "label" }),
        layer
      )
      expect(asked.map(({ id }) => id)).toEqual(["good", "good", "good"])
      expect(asked.map(({ request }) => request)).toMatchObject(
        [0, 1, 0].map((temperature) => ({
          model: "big",
          temperature,
          maxTokens: 5,
          messages: [{ role: "system", content: "One word." }, { role: "user" }]
        }))
      )
    })
  )

  it.effect("may give a schema, and a strategy of their own", () =>
    Effect.gen(function* () {
      asked.length = 0
      const layer = of({
        count: {
          prepare: (chat) => StructuredOutput.withSchema(chat, Schema.Struct({ n: Schema.Number })),
          strategy: Strategy.fallback(["good", "fast"])
        }
      })
      const response = yield* Effect.provide(complete(Chat.prompt("a"), { task: "count" }), layer)
      expect(response).toMatchObject({ value: { n: 1 } })
      expect(asked).toMatchObject([{ id: "good", request: { responseFormat: { type: "jsonSchema" } } }])
    })
  )

  it.effect("a request may name its own, before that of the batch; it is sent to nobody", () =>
    Effect.gen(function* () {
      asked.length = 0
      const layer = of({ label: { endpoints: ["fast"] }, write: { endpoints: ["good"] } })
      const outcomes = yield* Effect.provide(
        batch([Chat.prompt("a", { task: "write" }), Chat.prompt("b"), Chat.prompt("c", { task: "wirte" })], {
          task: "label",
          concurrency: 1
        }),
        layer
      )
      expect(asked.map(({ id }) => id)).toEqual(["good", "fast"])
      expect(Either.isLeft(outcomes[2] as (typeof outcomes)[number])).toBe(true)
      expect(outcomes[2]).toMatchObject({
        left: { message: `The router has no task "wirte"; its tasks are: label, write` }
      })
    })
  )

  it("a task says nothing of the answer by itself: the key is that of what it fills in", () => {
    const { resolve } = Router.make({
      endpoints: [{ provider: "p", baseUrl: "p://a", model: "mini" }],
      tasks: { label: { system: "One word." } }
    })
    const keyOf = (request: Request.Request, task?: string) =>
      cacheKey(Effect.runSync(resolve(request, request.task ?? task)))
    const labelled = keyOf(Chat.prompt("a", { task: "label" }))
    expect(labelled).toBe(keyOf(Chat.prompt("a"), "label"))
    expect(labelled).toBe(keyOf(Chat.prompt("a", { system: "One word." })))
    expect(labelled).not.toBe(keyOf(Chat.prompt("a")))
  })

  it.effect("an unknown one is told with those there are, an unknown endpoint too", () =>
    Effect.gen(function* () {
      const ask = (task: string, tasks: Readonly<Record<string, Task.Task>>) =>
        Effect.flip(Effect.provide(complete(Chat.prompt("a"), { task }), of(tasks)))
      const unknown = yield* ask("lable", { label: {}, count: {} })
      expect(unknown).toMatchObject({
        _tag: "InvalidRequestError",
        message: `The router has no task "lable"; its tasks are: label, count`
      })
      expect((yield* ask("label", { label: { endpoints: ["god"] } })).message).toContain(`"god"`)
    })
  )
})

describe("endpoints", () => {
  const at = (key: string, more: object = {}) => ({
    provider: "p",
    baseUrl: "https://api.test/v1",
    model: "m",
    apiKey: Redacted.make(key),
    ...more
  })

  it("two keys at one address are two, with a quota each", () => {
    const { endpoints } = Router.make({
      endpoints: [at("k1"), at("k2"), at("k1"), at("k3", { domain: "team" })]
    })
    expect(endpoints.map(({ domain, id }) => [id, domain])).toEqual([
      ["p/api.test/m", "p/api.test/m"],
      ["p/api.test/m#2", "p/api.test/m#2"],
      ["p/api.test/m#3", "p/api.test/m"],
      ["p/api.test/m#4", "team"]
    ])
  })

  it.effect("the same id twice is told of", () =>
    Effect.gen(function* () {
      const { resolve } = Router.make({ endpoints: [at("k1", { id: "x" }), at("k2", { id: "x" })] })
      expect((yield* Effect.flip(resolve(Chat.prompt("q")))).message).toContain(`the id "x"`)
    })
  )

  it("one endpoint needs no pool", () => {
    expect(Router.make({ endpoints: [at("k1")] }).pool).toBeUndefined()
    expect(Router.make({ endpoints: [at("k1")], health: {} }).pool).toBeDefined()
  })
})
