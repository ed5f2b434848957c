import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as RateLimiter from "../src/RateLimiter.js"

const domain = "openai/gpt-4o"
const minute = 60_000
/** A window may be held this much longer than its period: by the guard, and by the slice that an admission is in. */
const slack = 50 + minute / 1_000

type Name = "requestsPerMinute" | "tokensPerMinute"
const names: ReadonlyArray<Name> = ["requestsPerMinute", "tokensPerMinute"]
const measure = (name: Name, tokens: number) => (name === "requestsPerMinute" ? 1 : tokens)

type Step =
  | { readonly ask: { readonly tokens: number; readonly hold: number } }
  | { readonly interrupt: number }
  | { readonly limits: RateLimiter.Limits }
  | {
      readonly name: Name
      readonly limit: number | undefined
      readonly remaining: number | undefined
      readonly resetAfter: number | undefined
    }

const optional = <A>(arbitrary: FastCheck.Arbitrary<A>) => FastCheck.option(arbitrary, { nil: undefined })
const requestLimit = FastCheck.integer({ min: 3, max: 60 })
const tokenLimit = FastCheck.integer({ min: 100, max: 3_000 })
const resetAfter = optional(FastCheck.nat(90_000))

const arbitraryLimits: FastCheck.Arbitrary<RateLimiter.Limits> = FastCheck.record(
  {
    requestsPerMinute: requestLimit,
    tokensPerMinute: tokenLimit,
    concurrency: FastCheck.integer({ min: 1, max: 8 }),
    burst: FastCheck.integer({ min: 1, max: 60 }),
    tokenBurst: FastCheck.integer({ min: 1, max: 3_000 })
  },
  { requiredKeys: [] }
)

const arbitraryStep: FastCheck.Arbitrary<Step> = FastCheck.oneof(
  {
    weight: 8,
    arbitrary: FastCheck.record({
      ask: FastCheck.record({ tokens: FastCheck.integer({ min: 1, max: 200 }), hold: FastCheck.nat(5_000) })
    })
  },
  { weight: 1, arbitrary: FastCheck.record({ interrupt: FastCheck.nat(100) }) },
  { weight: 1, arbitrary: FastCheck.record({ limits: arbitraryLimits }) },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      name: FastCheck.constant("requestsPerMinute" as const),
      limit: optional(requestLimit),
      remaining: optional(FastCheck.nat(60)),
      resetAfter
    })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      name: FastCheck.constant("tokensPerMinute" as const),
      limit: optional(tokenLimit),
      remaining: optional(FastCheck.nat(3_000)),
      resetAfter
    })
  }
)

const arbitraryScript = FastCheck.array(
  FastCheck.tuple(
    FastCheck.oneof(FastCheck.constant(0), FastCheck.nat(500), FastCheck.nat(30_000)),
    arbitraryStep
  ),
  { minLength: 20, maxLength: 50, size: "max" }
)

/** What is known of one limit, told apart from how the limiter counts it. */
interface Known {
  configured: number | undefined
  stated: number | undefined
  /** How many had been admitted before the limit was there: they are not counted. */
  before: number
  /** The server's last word on what is left. */
  told:
    | { readonly at: number; readonly limit: number; readonly remaining: number; readonly until: number }
    | undefined
}

const makeModel = (limits: RateLimiter.Limits) => {
  const log: Array<{ readonly at: number; readonly tokens: number }> = []
  const known = new Map<Name, Known>(
    names.map((name) => [name, { configured: limits[name], stated: undefined, before: 0, told: undefined }])
  )
  const of = (name: Name): Known => known.get(name) ?? assert.fail()
  const limitOf = (name: Name): number =>
    Math.min(of(name).configured ?? Number.POSITIVE_INFINITY, of(name).stated ?? Number.POSITIVE_INFINITY)

  /** What of those admitted in one span of time the window that began at `from` holds. */
  const sum = (name: Name, from: number, to: number) =>
    log
      .slice(of(name).before)
      .reduce((total, { at, tokens }) => (at > from && at <= to ? total + measure(name, tokens) : total), 0)
  const change = (name: Name, next: Partial<Known>) => {
    const entry = of(name)
    const previous = limitOf(name)
    Object.assign(entry, next)
    if (previous === Number.POSITIVE_INFINITY || limitOf(name) === Number.POSITIVE_INFINITY) {
      Object.assign(entry, { before: log.length, told: undefined })
    }
  }
  return {
    limitOf,
    setLimits: (limits: RateLimiter.Limits) => {
      for (const name of names) change(name, { configured: limits[name] })
    },
    observe: (step: Extract<Step, { readonly name: Name }>, now: number) => {
      const { limit, name, remaining, resetAfter } = step
      if (limit !== undefined) change(name, { stated: limit })
      if (remaining === undefined || limitOf(name) === Number.POSITIVE_INFINITY) return
      const until = now + Math.min(resetAfter ?? minute, minute)
      of(name).told = { at: now, limit: limitOf(name), remaining, until }
    },
    /** Notes an admission, and checks it against every limit and all that the server told. */
    admitted: (tokens: number, now: number) => {
      log.push({ at: now, tokens })
      for (const name of names) {
        const { told } = of(name)
        const start = now - minute
        assert.isAtMost(sum(name, start, now), limitOf(name), `${name} at ${now}`)
        if (told === undefined || now >= told.until || told.at === now) continue
        // More than was left may go only as far as own requests have left the window since, or the limit was raised.
        const left = sum(name, told.at - minute - slack, Math.min(start, told.at))
        assert.isAtMost(
          sum(name, told.at, now),
          told.remaining + left + limitOf(name) - told.limit,
          `${name} left at ${now}`
        )
      }
    },
    admissions: (from: number) => log.filter(({ at }) => at > from).length
  }
}

type Model = ReturnType<typeof makeModel>
type Asked = Fiber.RuntimeFiber<void, unknown>

const runScript = Effect.fnUntraced(function* (
  limits: RateLimiter.Limits,
  script: ReadonlyArray<readonly [number, Step]>
) {
  const limiter = yield* RateLimiter.RateLimiter
  const model: Model = makeModel(limits)
  const faults: Array<unknown> = []
  const asked: Array<{ readonly fiber: Asked; readonly tokens: number }> = []

  let running = 0
  const ask = Effect.fnUntraced(function* (tokens: number, hold: number) {
    const start = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      running++
      return Effect.try(() => model.admitted(tokens, now)).pipe(
        Effect.catchAll((fault) => Effect.sync(() => void faults.push(fault.cause ?? fault)))
      )
    })
    const end = Effect.sync(() => running--)
    const attempt = Effect.acquireUseRelease(
      start,
      () => Effect.sleep(hold),
      () => end
    )
    const cost = { inputTokens: tokens, outputTokens: 0 }
    asked.push({ fiber: yield* Effect.fork(limiter.withPermit(domain, cost, () => attempt)), tokens })
  })

  /** Waits until all who are admitted know it: what they note is then of the same moment. */
  const settled: Effect.Effect<void> = Effect.flatMap(limiter.state(domain), ({ inUse }) =>
    inUse === running ? Effect.void : Effect.zipRight(Effect.yieldNow(), settled)
  )

  for (const [gap, step] of script) {
    yield* TestClock.adjust(gap)
    yield* settled
    const now = yield* Clock.currentTimeMillis
    if ("ask" in step) yield* ask(step.ask.tokens, step.ask.hold)
    else if ("interrupt" in step) {
      const chosen = asked[step.interrupt % Math.max(asked.length, 1)]
      if (chosen !== undefined) yield* Fiber.interrupt(chosen.fiber)
    } else if ("limits" in step) {
      model.setLimits(step.limits)
      yield* limiter.setLimits(domain, step.limits)
    } else {
      model.observe(step, now)
      const { limit, name, remaining, resetAfter } = step
      const reset = resetAfter === undefined ? undefined : Duration.millis(resetAfter)
      yield* limiter.observe(domain, { [name]: { limit, remaining, resetAfter: reset } })
    }
    yield* Effect.yieldNow()
    yield* settled
    if (faults.length > 0) return yield* Effect.die(faults[0])
  }

  // All come through, at the latest when the slowest limit has let each of them by.
  yield* TestClock.adjust(Duration.minutes(asked.length * 2 + 2))
  for (const { fiber } of asked) {
    const exit = Option.getOrUndefined(yield* Fiber.poll(fiber))
    assert.isDefined(exit, "a request is stuck")
    if (exit === undefined || Exit.isSuccess(exit) || Cause.isInterrupted(exit.cause)) continue
    const error = Cause.squash(exit.cause)
    assert.strictEqual((error as { readonly _tag?: string })._tag, "RequestTooLargeError", String(error))
  }
  const { inUse, used, waiting } = yield* limiter.state(domain)
  assert.deepStrictEqual({ inUse, waiting }, { inUse: 0, waiting: 0 })
  for (const amount of Object.values(used)) assert.strictEqual(amount, 0)

  // Under demand all of what is in force is used.
  const tokens = 10
  const start = yield* Clock.currentTimeMillis
  model.setLimits({ requestsPerMinute: 20 })
  yield* limiter.setLimits(domain, { requestsPerMinute: 20 })
  const perMinute = Math.min(
    model.limitOf("requestsPerMinute"),
    Math.floor(model.limitOf("tokensPerMinute") / tokens)
  )
  for (let i = 0; i < 3 * perMinute; i++) yield* ask(tokens, 0)
  yield* TestClock.adjust("2 minutes")
  assert.isAtLeast(model.admissions(start), Math.floor(2 * perMinute * 0.97) - 1)
  yield* TestClock.adjust("10 minutes")
  if (faults.length > 0) return yield* Effect.die(faults[0])
  assert.strictEqual((yield* limiter.state(domain)).waiting, 0)
})

describe("RateLimiter.observe", () => {
  it.live(
    "never goes over what is set or told, loses no permit, and uses all of it, whatever comes when",
    () => {
      const seed = Number(process.env["FLOODGATE_TEST_SEED"] ?? Date.now() % 1_000_000)
      const cases = FastCheck.sample(FastCheck.tuple(arbitraryLimits, arbitraryScript), { seed, numRuns: 24 })
      // at the same time, for a test clock mostly waits
      return Effect.forEach(
        cases,
        ([limits, script], index) =>
          runScript(limits, script).pipe(
            Effect.provide(RateLimiter.layer({ domains: { [domain]: limits } })),
            Effect.provide(TestContext.TestContext),
            Effect.tapErrorCause(() =>
              Effect.sync(() =>
                console.error(`seed ${seed}, case ${index}`, JSON.stringify({ limits, script }))
              )
            )
          ),
        { concurrency: "unbounded", discard: true }
      )
    }
  )
})
