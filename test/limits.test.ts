/**
 * What the limits do to a whole batch, against a model of a provider on a clock of its own: no figure here depends on
 * the machine. The same over real HTTP is measured by `npm run bench:limits`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { batch } from "../src/Batch.js"
import * as Cache from "../src/Cache.js"
import { StrayRefusals } from "../src/internal/strayRefusals.js"
import { type LlmError, RateLimitError, ServerError } from "../src/LlmError.js"
import * as Mock from "../src/Mock.js"
import * as Providers from "../src/Providers.js"
import * as RateLimiter from "../src/RateLimiter.js"
import { Chat } from "../src/Request.js"
import * as Router from "../src/Router.js"
import { type Limits, makeLimiter } from "../src/simulator/Limits.js"
import { type Throttle, Verdict, type Window } from "../src/Throttle.js"
import { type Attempt, idealMillis } from "./bench/limitsIdeal.js"

/**
 * A clock that stands still while anything runs, and goes to the next time that is slept for when nothing does. Many
 * thousands of sleeps take it no time.
 */
const makeClock = () => {
  interface Sleeper {
    readonly at: number
    readonly wake: () => void
  }
  let now = 0
  const sleepers: Array<Sleeper> = []
  const add = (sleeper: Sleeper): void => {
    let low = 0
    let high = sleepers.length
    while (low < high) {
      const middle = (low + high) >> 1
      // the latest first, and of one time the last to come
      if ((sleepers[middle]?.at ?? 0) > sleeper.at) low = middle + 1
      else high = middle
    }
    sleepers.splice(low, 0, sleeper)
  }
  const millis = () => now
  const nanos = () => BigInt(Math.round(now * 1_000_000))
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: millis,
    unsafeCurrentTimeNanos: nanos,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.async<void>((resume) => {
        const sleeper = { at: now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
        add(sleeper)
        return Effect.sync(() => {
          const index = sleepers.indexOf(sleeper)
          if (index >= 0) sleepers.splice(index, 1)
        })
      })
  }
  const isIdle = Effect.promise(
    () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))
  )
  /** Goes on to the next time, if anybody sleeps. */
  const next = Effect.map(isIdle, () => {
    const first = sleepers.at(-1)
    if (first === undefined) return
    now = Math.max(now, first.at)
    while ((sleepers.at(-1)?.at ?? Number.POSITIVE_INFINITY) <= now) sleepers.pop()?.wake()
  })
  return { clock, next, now: millis }
}

/** A number in [0, 1) that is the same in each run. */
const draw = (request: number, attempt: number, purpose: number): number => {
  let h =
    Math.imul(request + 1, 0x9e3779b1) ^
    Math.imul(attempt + 1, 0x85ebca6b) ^
    Math.imul(purpose + 1, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32
}

interface Arrival extends Attempt {
  readonly request: number
  /** On the clock of the test. */
  readonly at: number
  readonly status: number
}

interface ServerOptions {
  readonly limits: Limits
  /** Milliseconds to an answer, or to an error that is not for the limits' sake. */
  readonly latency: (request: number, attempt: number) => number
  /** Tokens of each prompt and answer. Default 1 each. */
  readonly tokens?: (request: number) => { readonly inputTokens: number; readonly outputTokens: number }
  /** Whether an attempt fails, whatever the limits. */
  readonly fault?: (request: number, attempt: number) => 429 | 500 | undefined
  /** How long a 429 of those tells to wait, in milliseconds. Default 1,000. */
  readonly faultHint?: number
}

const provider = Mock.name

/** A provider that keeps limits as the simulator does, and the log of what it was sent. */
const makeServer = ({ fault, faultHint = 1_000, latency, limits, tokens }: ServerOptions) => {
  const limiter = makeLimiter(limits)
  const log: Array<Arrival> = []
  const attempts = new Map<number, number>()
  const window = (standing: ReturnType<typeof limiter.requests>): Window | undefined =>
    standing && {
      limit: standing.limit,
      remaining: standing.remaining,
      resetAfter: Duration.millis(standing.resetMillis),
      period: "minute"
    }
  const attempt: Providers.Provider["attempt"] = (request) =>
    Effect.gen(function* () {
      const index = Number(request._tag === "Chat" ? request.messages[0]?.content : "")
      const nth = (attempts.get(index) ?? 0) + 1
      attempts.set(index, nth)
      const at = yield* Clock.currentTimeMillis
      const cost = tokens?.(index) ?? { inputTokens: 1, outputTokens: 1 }
      const onEntry =
        limits.outputTokens === "used" ? 0 : request._tag === "Chat" ? (request.maxTokens ?? 0) : 0
      const refusal = limiter.admit(at, cost.inputTokens + onEntry)
      const status = refusal === undefined ? (fault?.(index, nth) ?? 200) : 429
      const took = refusal === undefined ? latency(index, nth) : 1
      const hint = refusal?.waitMillis ?? (status === 429 ? faultHint : 0)
      log.push({ request: index, at, status, took, hint })
      const requestWindow = window(limiter.requests(at))
      yield* Effect.sleep(took)
      if (refusal === undefined) {
        limiter.release()
        if (onEntry === 0) limiter.charge(at + took, 0, cost.outputTokens)
      }
      const throttle: Throttle = {
        verdict:
          hint > 0 ? Verdict.Wait({ for: Duration.millis(hint), source: "retry-after" }) : Verdict.None(),
        ...(requestWindow && { requests: requestWindow })
      }
      const error: LlmError | undefined =
        status === 429
          ? new RateLimitError({ provider, message: "too fast", retryAfter: Duration.millis(hint) })
          : status === 500
            ? new ServerError({ provider, message: "an error" })
            : undefined
      const outcome =
        error === undefined ? Either.right(Mock.response("yes", { usage: cost })) : Either.left(error)
      return { outcome, throttle }
    })
  return { attempt, change: limiter.change, log }
}

interface RunOptions {
  readonly requests: number
  readonly concurrency: number
  readonly limits: RateLimiter.Limits
  readonly maxTokens?: number
  readonly chargesMaxTokens?: boolean
  /** Is called as the time comes, each time only once. */
  readonly events?: ReadonlyArray<readonly [at: number, run: () => void]>
}

/** Asks a batch of the server, and gives its failures and how long it took, in milliseconds. */
const run = ({ attempt }: ReturnType<typeof makeServer>, options: RunOptions) =>
  Effect.gen(function* () {
    const requests = Array.from({ length: options.requests }, (_, index) =>
      Chat.prompt(String(index), {
        model: Mock.name,
        ...(options.maxTokens === undefined ? undefined : { maxTokens: options.maxTokens })
      })
    )
    const services = Layer.mergeAll(
      Layer.succeed(
        Providers.Providers,
        Providers.make([{ name: provider, attempt, chargesMaxTokens: options.chargesMaxTokens }])
      ),
      Router.layer({ endpoints: [{ provider, baseUrl: "mock://", model: Mock.name }] }),
      RateLimiter.layer({ domains: { "*": options.limits } }),
      Cache.layerNone
    )
    const { clock, next, now } = makeClock()
    const running = yield* batch(requests, { concurrency: options.concurrency }).pipe(
      Effect.provide(services),
      Effect.withClock(clock),
      Effect.fork
    )
    const events = [...(options.events ?? [])]
    while ((yield* Fiber.poll(running))._tag === "None") {
      yield* next
      while (events[0] !== undefined && events[0][0] <= now()) events.shift()?.[1]()
    }
    const outcomes = yield* Fiber.join(running)
    return { failures: outcomes.filter(Either.isLeft), millis: now() }
  })

const refused = (log: ReadonlyArray<Arrival>) => log.filter(({ status }) => status === 429)

describe("a server that halves its limit and restores it", () => {
  const rate = 100
  const halvedAt = 10_000
  const restoredAt = 30_000
  const storm = (told: boolean, configured: RateLimiter.Limits) =>
    Effect.gen(function* () {
      const limits: Limits = { rpm: rate * 60, slice: "1 second", told }
      const server = makeServer({
        limits,
        latency: (index, nth) => Math.round(100 + 200 * draw(index, nth, 0))
      })
      const { failures } = yield* run(server, {
        requests: (rate * (10_000 + 20_000 / 2 + 25_000)) / 1_000,
        concurrency: 64,
        limits: configured,
        events: [
          [halvedAt, () => server.change(halvedAt, { ...limits, rpm: rate * 30 })],
          [restoredAt, () => server.change(restoredAt, limits)]
        ]
      })
      assert.lengthOf(failures, 0)
      const later = server.log.filter(({ at }) => at >= halvedAt + 3_000)
      assert.isBelow(refused(later).length / later.length, 0.01)
      const during = later.filter(({ at, status }) => at < restoredAt && status === 200)
      assert.isAbove(during.length, (0.85 * (rate / 2) * (restoredAt - halvedAt - 3_000)) / 1_000)
      const restored = later.filter(({ at, status }) => at >= restoredAt && status === 200)
      const enough = 0.95 * rate * 2
      const full = restored.find(({ at }, index) => (restored[index + enough]?.at ?? Infinity) - at <= 2_000)
      assert.isBelow((full?.at ?? Infinity) - restoredAt, 20_000)
    })

  it.effect("loses little where it tells its limits", () => storm(true, { requestsPerMinute: rate * 60 }))
  it.effect("loses little where it does not", () => storm(false, { requestsPerMinute: rate * 60 }))
  it.effect("loses little where nobody knows the limits", () => storm(false, {}))
})

describe("a server that refuses and fails at random", () => {
  it.effect("is asked no more often than it failed, and nearly as fast as can be", () =>
    Effect.gen(function* () {
      const server = makeServer({
        limits: {},
        latency: (index, nth) => Math.round(500 + 1_500 * draw(index, nth, 0)),
        fault: (index, nth) => {
          const chance = draw(index, nth, 1)
          return chance < 0.1 ? 429 : chance < 0.15 ? 500 : undefined
        }
      })
      const concurrency = 64
      const requests = 2_000
      const { failures, millis } = yield* run(server, { requests, concurrency, limits: {} })
      assert.lengthOf(failures, 0)
      assert.lengthOf(
        server.log.filter(({ status }) => status === 200),
        requests
      )
      // the first word holds for all
      const first = Math.min(...refused(server.log).map(({ at, took }) => at + took))
      assert.lengthOf(
        server.log.filter(({ at }) => at > first && at < first + 1_000),
        0
      )
      const attempts = Array.from({ length: requests }, (): Array<Attempt> => [])
      const comesBack = new Map<number, number>()
      for (const { at, hint, request, took } of server.log) {
        attempts[request]?.push({ took, hint })
        // each request waits for its own hint, whatever the others do
        assert.isAtLeast(at, comesBack.get(request) ?? 0)
        comesBack.set(request, at + took + hint)
      }
      assert.isBelow(millis / idealMillis(attempts, { concurrency, holdsPlace: true }), 1.3)
    })
  )

  it.effect("is not asked ever more slowly where its hints are shorter than its answers", () =>
    Effect.gen(function* () {
      const server = makeServer({
        limits: {},
        latency: (index, nth) => Math.round(60 + 40 * draw(index, nth, 0)),
        fault: (index, nth) => (draw(index, nth, 1) < 0.02 ? 429 : undefined),
        faultHint: 20
      })
      const { failures, millis } = yield* run(server, { requests: 2_000, concurrency: 16, limits: {} })
      assert.lengthOf(failures, 0)
      assert.isBelow(millis / ((server.log.length * 80) / 16), 1.5)
    })
  )
})

describe("a server that refused by chance, and then refuses for want of room", () => {
  it("is listened to again", () => {
    const refusals = new StrayRefusals()
    const holds = (share: number, round: number) => {
      const now = round * 1_600
      const held = refusals.refused(refusals.start(now), 1_000, now + 10)
      for (let i = 0; i < 100; i++) {
        const start = refusals.start(now + 20 + i)
        if (i < share * 100) refusals.refused(start, 1_000, now + 500)
        else refusals.answered(start)
      }
      return held
    }
    assert.isFalse([0, 1, 2, 3].map((round) => holds(0.1, round)).at(-1))
    assert.isTrue([4, 5, 6, 7].map((round) => holds(0.45, round)).at(-1))
  })
})

describe("goodput at a fixed number of tokens a minute", () => {
  const maxTokens = 4_096
  const tokens = (index: number) => ({
    inputTokens: 60 + Math.floor(60 * draw(index, 0, 2)),
    outputTokens: 50 + Math.floor(200 * draw(index, 0, 3))
  })
  const goodput = (charges: "allowed" | "used", tpm: number, slice: Duration.DurationInput) =>
    Effect.gen(function* () {
      const server = makeServer({
        limits: { tpm, slice, outputTokens: charges },
        latency: (index, nth) => Math.round(500 + 2_000 * draw(index, nth, 0)),
        tokens
      })
      const { failures } = yield* run(server, {
        requests: 600,
        concurrency: 256,
        limits: { tokensPerMinute: tpm },
        maxTokens,
        chargesMaxTokens: charges === "allowed"
      })
      assert.lengthOf(failures, 0)
      assert.isBelow(refused(server.log).length / server.log.length, 0.001)
      const charged = server.log.reduce((sum, { request }) => {
        const { inputTokens, outputTokens } = tokens(request)
        return sum + inputTokens + (charges === "allowed" ? maxTokens : outputTokens)
      }, 0)
      const minutes = ((server.log.at(-1)?.at ?? 0) - (server.log[0]?.at ?? 0)) / 60_000
      assert.isAtLeast(charged / (tpm * minutes), 0.9)
    })

  it.effect("is nearly all of it where what a request may use is charged on entry", () =>
    goodput("allowed", 5_000_000, "1 second")
  )
  it.effect("is nearly all of it where what an answer used is charged", () =>
    goodput("used", 300_000, "10 seconds")
  )
})

describe("the simulator's limits, changed while it runs", () => {
  const admitted = (limiter: ReturnType<typeof makeLimiter>, now: number): number => {
    let count = 0
    while (count < 1_000 && limiter.admit(now, 0) === undefined) count++
    return count
  }

  it("go on where they were, a bucket's and a window's", () => {
    for (const enforcement of ["bucket", "sliding"] as const) {
      const limiter = makeLimiter({ rpm: 60, enforcement })
      assert.strictEqual(admitted(limiter, 0), 60)
      limiter.change(1_000, { rpm: 30, enforcement })
      limiter.change(1_000, { rpm: 60, enforcement })
      assert.isAtMost(admitted(limiter, 1_000), 1)
      assert.isAtLeast(admitted(limiter, 60_001), 58)
      // a smaller bucket holds no more than its size
      const full = makeLimiter({ rpm: 60, enforcement })
      full.change(0, { rpm: 30, enforcement })
      assert.strictEqual(admitted(full, 0), 30)
    }
  })

  it("count what is in flight", () => {
    const limiter = makeLimiter({ concurrency: 3 })
    assert.strictEqual(admitted(limiter, 0), 3)
    limiter.change(0, { concurrency: 2 })
    limiter.release()
    assert.strictEqual(admitted(limiter, 0), 0)
    limiter.release()
    assert.strictEqual(admitted(limiter, 0), 1)
  })
})
