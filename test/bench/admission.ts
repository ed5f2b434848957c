/**
 * Admission under contention: 10,000 fibers that wait for a limit of 5,000 requests a second.
 *
 * What a limiter costs and how true it is: the share of the ideal that it admits and the CPU per admission
 * once all fibers wait, the busiest window of one second from the start on, and the memory it takes.
 */
import * as Experimental from "@effect/experimental/RateLimiter"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as EffectRateLimiter from "effect/RateLimiter"
import type * as Scope from "effect/Scope"
import * as RateLimiter from "../../src/RateLimiter.js"

const limit = 5_000
const waiting = 10_000
const seconds = 3

type Limit = (admitted: Effect.Effect<void>) => Effect.Effect<void>

const ours = Effect.gen(function* () {
  const context = yield* Layer.build(
    RateLimiter.layer({ domains: { bench: { requestsPerSecond: limit, tokensPerMinute: 1e9 } } })
  )
  const limiter = yield* Effect.provide(RateLimiter.RateLimiter, context)
  const cost = { inputTokens: 100, outputTokens: 100 }
  return (admitted: Effect.Effect<void>) => Effect.orDie(limiter.withPermit("bench", cost, () => admitted))
})

const effects = Effect.map(
  EffectRateLimiter.make({ limit, interval: "1 seconds" }),
  (limiter): Limit =>
    (admitted) =>
      limiter(admitted)
)

const experimental = Effect.gen(function* () {
  const context = yield* Layer.build(Layer.provide(Experimental.layer, Experimental.layerStoreMemory))
  const withLimiter = yield* Effect.provide(Experimental.makeWithRateLimiter, context)
  const limited = withLimiter({
    key: "bench",
    limit,
    window: "1 seconds",
    algorithm: "token-bucket",
    onExceeded: "delay"
  })
  return (admitted: Effect.Effect<void>) => Effect.orDie(limited(admitted))
})

/** The most admissions in any window of one second. */
const busiest = (times: ReadonlyArray<number>): number => {
  let most = 0
  let from = 0
  times.forEach((time, to) => {
    while (time - (times[from] ?? time) >= 1_000) from++
    most = Math.max(most, to - from + 1)
  })
  return most
}

const measure = Effect.fnUntraced(function* (name: string, make: Effect.Effect<Limit, never, Scope.Scope>) {
  const limited = yield* make
  const times: Array<number> = []
  const one = limited(Effect.sync(() => void times.push(performance.now())))
  const heapBefore = process.memoryUsage().heapUsed
  const fibers = yield* Effect.forEach(Array.from({ length: waiting }), () =>
    Effect.fork(Effect.forever(one))
  )
  yield* Effect.sleep("1 seconds")
  const cpu = process.cpuUsage()
  const start = performance.now()
  const before = times.length
  yield* Effect.sleep(`${seconds} seconds`)
  const { system, user } = process.cpuUsage(cpu)
  const elapsed = performance.now() - start
  const count = times.length - before
  const heap = process.memoryUsage().heapUsed - heapBefore
  yield* Fiber.interruptAll(fibers)
  return [
    name,
    Math.round((count / elapsed) * 1_000).toLocaleString("en"),
    `${((count / elapsed / limit) * 100_000).toFixed(1)} %`,
    `${busiest(times).toLocaleString("en")} of ${limit.toLocaleString("en")}`,
    ((user + system) / count).toFixed(1),
    (heap / 2 ** 20).toFixed(1),
    (process.resourceUsage().maxRSS / 1_024).toFixed(0)
  ]
}, Effect.scoped)

const heads = ["limiter", "admitted/s", "of ideal", "busiest second", "CPU µs each", "heap MB", "peak RSS MB"]

/** Runs the comparison and gives its table. */
export const run = (): Effect.Effect<string> =>
  Effect.gen(function* () {
    const rows = [
      yield* measure("floodgate", ours),
      yield* measure("effect", effects),
      yield* measure("@effect/experimental", experimental)
    ]
    return [heads, heads.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")
  })
