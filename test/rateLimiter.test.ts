import { monitorEventLoopDelay } from "node:perf_hooks"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as RateLimiter from "../src/RateLimiter.js"

const { RateLimiter: Limiter } = RateLimiter
const domain = "openai/gpt-4o"
const small: RateLimiter.Cost = { inputTokens: 10, outputTokens: 10 }

const withLimits = (limits: RateLimiter.Limits) =>
  Effect.provide(RateLimiter.layer({ domains: { [domain]: limits } }))

/** Sends `count` requests from a fiber each, and notes when each is admitted. */
const send = Effect.fnUntraced(function* (
  count: number,
  options?: { readonly cost?: RateLimiter.Cost; readonly hold?: Effect.Effect<void> }
) {
  const limiter = yield* Limiter
  const admitted: Array<number> = []
  const fibers: Array<Fiber.RuntimeFiber<void, unknown>> = []
  for (let i = 0; i < count; i++) {
    const attempt = Effect.zipRight(
      Effect.map(Clock.currentTimeMillis, (now) => admitted.push(now)),
      options?.hold ?? Effect.void
    )
    fibers.push(yield* Effect.fork(limiter.withPermit(domain, options?.cost ?? small, () => attempt)))
  }
  yield* Effect.yieldNow()
  return { admitted, fibers }
})

describe("RateLimiter", () => {
  it.effect("spreads requests over the period and starts no more than the burst at once", () =>
    Effect.gen(function* () {
      const { admitted } = yield* send(20)
      assert.deepStrictEqual(admitted, [0, 0])
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(admitted.length, 10)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(admitted.length, 20)
    }).pipe(withLimits({ requestsPerSecond: 10, burst: 2 }))
  )

  it.effect("admits without a pause for thought while nothing is short", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const result = Effect.runSyncExit(limiter.withPermit(domain, small, () => Effect.succeed("now")))
      assert.deepStrictEqual(result, Exit.succeed("now"))
    }).pipe(withLimits({ requestsPerMinute: 600, tokensPerMinute: 10_000, concurrency: 2 }))
  )

  it.effect("turns away at once what is larger than a whole limit", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const ask = (inputTokens: number, outputTokens: number) =>
        limiter.withPermit(domain, { inputTokens, outputTokens }, () => Effect.void).pipe(Effect.either)
      const refused = yield* ask(900, 101)
      assert.isTrue(Either.isLeft(refused) && refused.left._tag === "RequestTooLargeError")
      assert.include(Either.isLeft(refused) ? refused.left.message : "", "tokensPerMinute")
      assert.isTrue(Either.isRight(yield* ask(900, 100)))
    }).pipe(withLimits({ tokensPerMinute: 1_000 }))
  )

  it.effect("does not let small requests overtake a large one", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const order: Array<string> = []
      const ask = (name: string, inputTokens: number) =>
        limiter.withPermit(domain, { inputTokens, outputTokens: 0 }, () =>
          Effect.sync(() => void order.push(name))
        )
      yield* ask("first", 500)
      yield* Effect.fork(ask("large", 1_000))
      for (let i = 0; i < 5; i++) yield* Effect.fork(ask("small", 1))
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(order, ["first"])
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(order, ["first", "large", "small", "small", "small", "small", "small"])
    }).pipe(withLimits({ tokensPerMinute: 1_000 }))
  )

  it.effect("lets the small ones go when the large one ahead of them gives up", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      yield* limiter.withPermit(domain, { inputTokens: 500, outputTokens: 0 }, () => Effect.void)
      yield* TestClock.adjust("40 seconds")
      const large = yield* send(1, { cost: { inputTokens: 1_000, outputTokens: 0 } })
      const { admitted } = yield* send(1)
      assert.strictEqual(admitted.length, 0)
      yield* Fiber.interruptAll(large.fibers)
      yield* Effect.yieldNow()
      assert.strictEqual(admitted.length, 1)
    }).pipe(withLimits({ tokensPerMinute: 1_000 }))
  )

  it.effect("books the actual tokens when an answer is settled", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const used = Effect.map(limiter.state(domain), (state) => state.used.tokensPerMinute)
      yield* limiter.withPermit(domain, { inputTokens: 400, outputTokens: 400 }, (permit) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* used, 800)
          yield* permit.settle({ inputTokens: 400, outputTokens: 100 })
          yield* permit.settle({ inputTokens: 400, outputTokens: 100 })
          assert.strictEqual(yield* used, 500)
          yield* permit.settle({ inputTokens: 400, outputTokens: 1_000 })
        })
      )
      assert.strictEqual(yield* used, 1_400)
      const { admitted } = yield* send(1)
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(admitted.length, 0)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(admitted.length, 1)
      assert.strictEqual(yield* used, 20)
    }).pipe(withLimits({ tokensPerMinute: 1_000 }))
  )

  it.effect("lets the next in at once when settling frees tokens", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const settle = yield* Deferred.make<void>()
      yield* Effect.fork(
        limiter.withPermit(domain, { inputTokens: 1_000, outputTokens: 0 }, (permit) =>
          Effect.zipRight(Deferred.await(settle), permit.settle({ inputTokens: 0, outputTokens: 0 }))
        )
      )
      yield* Effect.yieldNow()
      const { admitted } = yield* send(1)
      assert.strictEqual((yield* limiter.state(domain)).waitingFor, "tokensPerMinute")
      yield* Deferred.succeed(settle, undefined)
      yield* Effect.yieldNow()
      yield* Effect.yieldNow()
      assert.strictEqual(admitted.length, 1)
    }).pipe(withLimits({ tokensPerMinute: 1_000 }))
  )

  it.effect("gives slots back however an attempt ends", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const ask = <A, E>(effect: Effect.Effect<A, E>) => limiter.withPermit(domain, small, () => effect)
      yield* Effect.exit(ask(Effect.fail("no")))
      yield* Effect.exit(ask(Effect.die("no")))
      const bad = (): Effect.Effect<void> => {
        throw new Error("no")
      }
      yield* Effect.exit(limiter.withPermit(domain, small, bad))
      yield* Fiber.interrupt(yield* Effect.fork(ask(Effect.never)))
      assert.strictEqual((yield* limiter.state(domain)).inUse, 0)
      assert.strictEqual(yield* ask(Effect.succeed(1)), 1)
    }).pipe(withLimits({ concurrency: 1 }))
  )

  it.effect("takes back what an interrupted waiter held, also when it was admitted that very moment", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const open = yield* Deferred.make<void>()
      const first = yield* send(1, { hold: Deferred.await(open) })
      const { admitted, fibers } = yield* send(3)
      assert.strictEqual((yield* limiter.state(domain)).waiting, 3)
      yield* Deferred.succeed(open, undefined)
      yield* Effect.forEach(first.fibers, Fiber.await)
      yield* Effect.forEach(fibers, (fiber) => Effect.sync(() => fiber.unsafeInterruptAsFork(fiber.id())))
      yield* Effect.forEach(fibers, Fiber.await)
      const { inUse, used, waiting } = yield* limiter.state(domain)
      assert.deepStrictEqual({ inUse, waiting }, { inUse: 0, waiting: 0 })
      assert.strictEqual(used.requestsPerMinute, 1 + admitted.length)
      assert.isBelow(admitted.length, 3)
    }).pipe(withLimits({ concurrency: 1, requestsPerMinute: 100, burst: 100 }))
  )

  it.effect("loses no permit and no count, whoever is interrupted when", () => {
    const steps = FastCheck.array(
      FastCheck.record({
        step: FastCheck.constantFrom("send", "send", "send", "end", "interrupt", "yield"),
        index: FastCheck.nat(8)
      }),
      { maxLength: 100, size: "max" }
    )
    const run = Effect.fnUntraced(function* (script: ReadonlyArray<{ step: string; index: number }>) {
      const limiter = yield* Limiter
      const running: Array<{ fiber: Fiber.RuntimeFiber<void, unknown>; end: Deferred.Deferred<void> }> = []
      let started = 0
      for (const { index, step } of script) {
        const chosen = running[index % Math.max(running.length, 1)]
        if (step === "send") {
          const end = yield* Deferred.make<void>()
          const attempt = Effect.suspend(() => {
            started++
            return Deferred.await(end)
          })
          running.push({ fiber: yield* Effect.fork(limiter.withPermit(domain, small, () => attempt)), end })
        } else if (step === "yield") yield* Effect.yieldNow()
        else if (chosen === undefined) continue
        else if (step === "end") Deferred.unsafeDone(chosen.end, Effect.void)
        else chosen.fiber.unsafeInterruptAsFork(chosen.fiber.id())
        const { inUse } = yield* limiter.state(domain)
        assert.isAtMost(inUse, 3)
      }
      for (const { end } of running) Deferred.unsafeDone(end, Effect.void)
      yield* Effect.forEach(running, ({ fiber }) => Fiber.await(fiber))
      const { inUse, used, waiting } = yield* limiter.state(domain)
      assert.deepStrictEqual(
        { inUse, used, waiting },
        { inUse: 0, used: { requestsPerMinute: started }, waiting: 0 }
      )
    })
    const provide = withLimits({ concurrency: 3, requestsPerMinute: 1_000, burst: 1_000 })
    return Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(steps, (script) => Effect.runPromise(run(script).pipe(provide))),
        { numRuns: 200 }
      )
    )
  })

  it.effect("counts an attempt that failed or was interrupted after it started", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      yield* Effect.exit(limiter.withPermit(domain, small, () => Effect.fail("no")))
      yield* Fiber.interrupt(
        yield* Effect.fork(limiter.withPermit(domain, small, () => Effect.never)).pipe(
          Effect.zipLeft(Effect.yieldNow())
        )
      )
      assert.strictEqual((yield* limiter.state(domain)).used.requestsPerMinute, 2)
    }).pipe(withLimits({ requestsPerMinute: 100, burst: 100 }))
  )

  it.effect("pauses the whole domain, then goes on at its pace", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      yield* limiter.pause(domain, "10 seconds", "429 from openai")
      yield* limiter.pause(domain, "1 seconds", "an older answer")
      const { admitted } = yield* send(20)
      yield* TestClock.adjust("10 seconds")
      const state = yield* limiter.state(domain)
      assert.strictEqual(state.waiting, 20)
      assert.strictEqual(state.waitingFor, "pause")
      assert.strictEqual(state.pauseReason, "429 from openai")
      assert.isTrue(state.pausedUntil !== undefined && state.pausedUntil <= 10_500)
      yield* TestClock.adjust("500 millis")
      assert.isAtLeast(admitted[0] ?? 0, 10_000)
      assert.isAtMost(admitted.length, 6)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(admitted.length, 20)
      assert.isUndefined((yield* limiter.state(domain)).pausedUntil)
    }).pipe(withLimits({ requestsPerSecond: 10, burst: 10 }))
  )

  it.effect("does not release a herd after a pause where there is no pace", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      yield* limiter.pause(domain, "1 seconds", "overloaded")
      const { admitted } = yield* send(200)
      yield* TestClock.adjust("1050 millis")
      assert.isAtMost(admitted.length, 2)
      yield* TestClock.adjust("1 seconds")
      assert.isAtLeast(admitted.length, 8)
      assert.isAtMost(admitted.length, 20)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(admitted.length, 200)
    }).pipe(withLimits({}))
  )

  it.effect("applies new limits to those who wait", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const { admitted, fibers } = yield* send(100, { cost: { inputTokens: 100, outputTokens: 0 } })
      assert.strictEqual(admitted.length, 1)
      yield* limiter.setLimits(domain, { requestsPerMinute: 50, burst: 50 })
      yield* Effect.yieldNow()
      assert.strictEqual(admitted.length, 50)
      yield* limiter.setLimits(domain, { tokensPerMinute: 99 })
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.strictEqual(exits.filter(Exit.isFailure).length, 50)
      yield* limiter.setLimits(domain, {})
      const more = yield* send(100)
      assert.strictEqual(more.admitted.length, 100)
    }).pipe(withLimits({ requestsPerMinute: 1 }))
  )

  it.effect("resizes the concurrency", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const { admitted } = yield* send(10, { hold: Effect.never })
      assert.strictEqual(admitted.length, 2)
      yield* limiter.setLimits(domain, { concurrency: 5 })
      yield* Effect.yieldNow()
      assert.strictEqual(admitted.length, 5)
      yield* limiter.setLimits(domain, { concurrency: 1 })
      const { concurrency, inUse, waiting, waitingFor } = yield* limiter.state(domain)
      assert.deepStrictEqual(
        { concurrency, inUse, waiting, waitingFor },
        { concurrency: 1, inUse: 5, waiting: 5, waitingFor: "concurrency" }
      )
    }).pipe(withLimits({ concurrency: 2 }))
  )

  it.effect("counts what others used, as the server tells, and not twice what is in flight", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const used = Effect.map(limiter.state(domain), (state) => state.used.requestsPerMinute)
      yield* send(10, { hold: Effect.never })
      // The server has seen 4 of our 10.
      yield* limiter.observe(domain, { requestsPerMinute: { limit: 100, remaining: 96 } })
      assert.strictEqual(yield* used, 10)
      // 95 are gone, 85 of them not ours.
      yield* limiter.observe(domain, {
        requestsPerMinute: { limit: 100, remaining: 5, resetAfter: "30 seconds" }
      })
      assert.strictEqual(yield* used, 95)
      const { admitted } = yield* send(10)
      assert.strictEqual(admitted.length, 5)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(admitted.length, 10)
    }).pipe(withLimits({ requestsPerMinute: 100, burst: 100 }))
  )

  it.effect("takes over stated limits: lower ones, and where none was given", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      yield* limiter.observe(domain, {
        requestsPerMinute: { limit: 40 },
        tokensPerMinute: { limit: 5_000, remaining: 5_000 }
      })
      assert.deepInclude((yield* limiter.state(domain)).limits, {
        requestsPerMinute: 40,
        tokensPerMinute: 5_000
      })
      yield* limiter.observe(domain, { requestsPerMinute: { limit: 1_000 } })
      assert.strictEqual((yield* limiter.state(domain)).limits.requestsPerMinute, 100)
    }).pipe(withLimits({ requestsPerMinute: 100 }))
  )

  it.effect("finds the concurrency: doubles, shrinks once per episode, grows only in use", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const concurrency = Effect.map(limiter.state(domain), (state) => state.concurrency ?? 0)
      const round = (count: number, congested: boolean) =>
        Effect.gen(function* () {
          const { fibers } = yield* send(0)
          for (let i = 0; i < count; i++) {
            fibers.push(
              yield* Effect.fork(
                limiter.withPermit(domain, small, (permit) =>
                  Effect.zipRight(
                    Effect.sleep("1 seconds"),
                    congested ? Effect.zipRight(permit.congested, Effect.fail("529")) : Effect.void
                  )
                )
              )
            )
          }
          yield* Effect.yieldNow()
          yield* TestClock.adjust("1 seconds")
          yield* Effect.forEach(fibers, Fiber.await)
        })
      const initial = yield* concurrency
      yield* round(initial, false)
      assert.strictEqual(yield* concurrency, initial + 1)
      yield* round(1, false)
      assert.strictEqual(yield* concurrency, initial + 1)
      yield* round(initial + 1, true)
      assert.strictEqual(yield* concurrency, Math.floor((initial + 1) / 2))
    }).pipe(withLimits({ concurrency: "adaptive" }))
  )

  it.effect("grows to what is asked of it under demand", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      yield* send(300, { hold: Effect.sleep("1 seconds") })
      yield* TestClock.adjust("3 seconds")
      assert.isAtLeast((yield* limiter.state(domain)).concurrency ?? 0, 64)
    }).pipe(withLimits({ concurrency: "adaptive" }))
  )

  it.effect("gives each domain of a pattern its own quota, and others none", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const never = (name: string) => Effect.fork(limiter.withPermit(name, small, () => Effect.never))
      yield* Effect.forEach(["gpt-4o", "gpt-4o", "gpt-4o-mini", "claude", "claude"], never)
      yield* Effect.yieldNow()
      const states = yield* limiter.states
      assert.deepStrictEqual(
        states.map((state) => [state.domain, state.inUse, state.waiting]),
        [
          ["gpt-4o", 1, 1],
          ["gpt-4o-mini", 1, 0],
          ["claude", 2, 0]
        ]
      )
    }).pipe(Effect.provide(RateLimiter.layer({ domains: { "gpt-4o*": { concurrency: 1 } } })))
  )

  it.effect("shows the state and its changes", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const seen = yield* limiter.changes(domain).pipe(
        Stream.takeUntil((state) => state.waiting === 1),
        Stream.runCollect,
        Effect.fork
      )
      yield* Effect.yieldNow()
      yield* send(2, { hold: Effect.never })
      const states = Chunk.toReadonlyArray(yield* Fiber.join(seen))
      const last = states[states.length - 1]
      assert.deepInclude(last, { domain, inUse: 1, waiting: 1, waitingFor: "concurrency" })
    }).pipe(withLimits({ concurrency: 1 }))
  )

  it.effect("survives ten thousand waiters that give up", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const { admitted, fibers } = yield* send(10_000)
      assert.strictEqual(admitted.length, 1)
      yield* Fiber.interruptAll(fibers)
      const { inUse, used, waiting } = yield* limiter.state(domain)
      assert.deepStrictEqual({ inUse, waiting }, { inUse: 0, waiting: 0 })
      assert.strictEqual(used.requestsPerMinute, 1)
    }).pipe(withLimits({ requestsPerMinute: 1 }))
  )

  it.effect("limits nothing in the unlimited layer", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      yield* limiter.pause(domain, "1 hours", "ignored")
      const { admitted } = yield* send(100)
      assert.strictEqual(admitted.length, 100)
    }).pipe(Effect.provide(RateLimiter.layerUnlimited))
  )

  it.live("holds its limit by the wall clock", () =>
    Effect.gen(function* () {
      const limiter = yield* Limiter
      const times: Array<number> = []
      const stalls = monitorEventLoopDelay({ resolution: 2 })
      stalls.enable()
      const ask = limiter.withPermit(domain, small, () =>
        Effect.sync(() => void times.push(performance.now()))
      )
      yield* Effect.forEach(Array.from({ length: 300 }), () => ask, {
        concurrency: "unbounded",
        discard: true
      })
      stalls.disable()
      // The operating system may hold us up between the limiter's look at the clock and ours.
      const least = 950 - stalls.max / 1e6
      for (let i = 200; i < times.length; i++) {
        assert.isAtLeast((times[i] ?? 0) - (times[i - 200] ?? 0), least)
      }
    }).pipe(withLimits({ requestsPerSecond: 200 }))
  )
})
