/**
 * Admission under contention: 10,000 fibers that wait for a limit of 5,000 requests a second.
 *
 * What a limiter costs and how true it is: the share of the ideal that it admits and the CPU per admission while all
 * fibers wait, the busiest window of one second from the start on, and the memory that the fibers hold and that
 * grows meanwhile. Each limiter runs in a process of its own. The floors check nothing, and are Effect's own part of
 * it: to park a fiber and resume it in time; and the same so that an interruption at any time gives back what was
 * held, which is what each limiter has to do.
 *
 * `npm run bench:admission` · with `REDIS_URL` also floodgate's limits shared through that Redis
 */
import { type ChildProcess, fork } from "node:child_process"
import { cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import * as Experimental from "@effect/experimental/RateLimiter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as EffectRateLimiter from "effect/RateLimiter"
import type * as Scope from "effect/Scope"
import { RateLimiter } from "floodgate"

const limit = 5_000
const waiting = 10_000
const seconds = 5
const rounds = 3

type Limit = (admitted: Effect.Effect<void>) => Effect.Effect<void, unknown>

const limits: RateLimiter.Limits = { requestsPerSecond: limit, tokensPerMinute: 1e9 }

const over = Effect.fnUntraced(function* <E>(layer: Layer.Layer<RateLimiter.RateLimiter, E>) {
  const limiter = Context.get(yield* Effect.orDie(Layer.build(layer)), RateLimiter.RateLimiter)
  const cost = { inputTokens: 100, outputTokens: 100 }
  return (admitted: Effect.Effect<void>) => limiter.withPermit("bench", cost, () => admitted)
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
  return (admitted: Effect.Effect<void>) => limited(admitted)
})

/** Resumes every few milliseconds as many fibers as makes the limit, and checks nothing. */
const parking = Effect.gen(function* () {
  const parked: Array<() => void> = []
  let next = 0
  let owed = 0
  let last = performance.now()
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      setInterval(() => {
        const now = performance.now()
        owed += ((now - last) * limit) / 1_000
        last = now
        for (; owed >= 1 && next < parked.length; owed--) parked[next++]?.()
        if (next > waiting) parked.splice(0, next)
        if (next > parked.length) next = 0
      }, 4)
    ),
    (timer) => Effect.sync(() => clearInterval(timer))
  )
  return Effect.async<void>((resume) => {
    parked.push(() => resume(Effect.void))
  })
})

const floor = Effect.map(
  parking,
  (park): Limit =>
    (admitted) =>
      Effect.zipRight(park, admitted)
)

/** As any limiter must: what a request holds is given back, whenever it is interrupted. */
const guardedFloor = Effect.map(parking, (park): Limit => {
  const held = new Set<object>()
  return (admitted) =>
    Effect.uninterruptibleMask((restore) => {
      const request = {}
      held.add(request)
      return Effect.matchCauseEffect(restore(Effect.zipRight(park, admitted)), {
        onFailure: (cause) => {
          held.delete(request)
          return Effect.failCause(cause)
        },
        onSuccess: () => {
          held.delete(request)
          return Effect.void
        }
      })
    })
})

const prefix = `floodgate-bench-${process.pid}:`
const redis = process.env["REDIS_URL"]

const limiters: Readonly<Record<string, Effect.Effect<Limit, never, Scope.Scope>>> = {
  floodgate: over(RateLimiter.layer({ domains: { bench: limits } })),
  ...(redis === undefined
    ? {}
    : {
        "floodgate, Redis": over(RateLimiter.layerRedis({ url: redis, prefix, domains: { bench: limits } }))
      }),
  "effect/RateLimiter": effects,
  "@effect/experimental": experimental,
  "floor, that gives back": guardedFloor,
  "floor, parked only": floor
}

interface Measurement {
  readonly perSecond: number
  readonly busiestSecond: number
  readonly cpuMicros: number
  readonly heapBytes: number
  readonly grownBytes: number
  readonly peakRssBytes: number
}

/** The most admissions in any window of one second. */
const busiest = (times: Float64Array): number => {
  let most = 0
  let from = 0
  times.forEach((time, to) => {
    while (time - (times[from] ?? time) >= 1_000) from++
    most = Math.max(most, to - from + 1)
  })
  return most
}

const heapUsed = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const measure = Effect.fnUntraced(function* (make: Effect.Effect<Limit, never, Scope.Scope>) {
  const limited = yield* make
  // as long as may be needed from the start, so that the log does not count as memory that grows
  const times = new Float64Array(limit * (seconds + 10) * 2)
  let count = 0
  const one = limited(
    Effect.sync(() => {
      times[count++] = performance.now()
    })
  )
  const empty = heapUsed()
  const fibers = yield* Effect.forEach(Array.from({ length: waiting }), () =>
    Effect.fork(Effect.forever(one))
  )
  yield* Effect.sleep("2 seconds")
  const full = heapUsed()
  const cpu = process.cpuUsage()
  const start = performance.now()
  const before = count
  yield* Effect.sleep(`${seconds} seconds`)
  const { system, user } = process.cpuUsage(cpu)
  const elapsed = performance.now() - start
  const admitted = count - before
  const measurement: Measurement = {
    perSecond: (admitted / elapsed) * 1_000,
    busiestSecond: busiest(times.subarray(0, count)),
    cpuMicros: (system + user) / admitted,
    heapBytes: full - empty,
    grownBytes: heapUsed() - full,
    peakRssBytes: process.resourceUsage().maxRSS * 1_024
  }
  yield* Fiber.interruptAll(fibers)
  return measurement
}, Effect.scoped)

/** Measures in a process of its own. */
const run = (name: string): Effect.Effect<Measurement> =>
  Effect.acquireUseRelease(
    Effect.sync(() => fork(fileURLToPath(import.meta.url), [name])),
    (child: ChildProcess) =>
      Effect.async<Measurement>((resume) => {
        // the child is this module
        child.once("message", (measurement) => resume(Effect.succeed(measurement as Measurement)))
        child.once("exit", (code) => resume(Effect.dieMessage(`${name} ended with ${code}`)))
      }),
    (child) => Effect.sync(() => child.kill())
  )

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN

const whole = (value: number): string => Math.round(value).toLocaleString("en")

const row = (name: string, runs: ReadonlyArray<Measurement>): string => {
  const of = (get: (run: Measurement) => number) => median(runs.map(get))
  const perSecond = of((run) => run.perSecond)
  return [
    name.padEnd(22),
    whole(perSecond).padStart(10),
    `${((perSecond / limit) * 100).toFixed(1)} %`.padStart(9),
    whole(Math.max(...runs.map((run) => run.busiestSecond))).padStart(15),
    of((run) => run.cpuMicros)
      .toFixed(1)
      .padStart(12),
    (of((run) => run.heapBytes) / 1e6).toFixed(1).padStart(9),
    (of((run) => run.grownBytes) / 1e6).toFixed(1).padStart(10),
    whole(of((run) => run.peakRssBytes) / 1e6).padStart(12)
  ].join("")
}

const heading = [
  `${whole(waiting)} fibers, ${whole(limit)} a second`.padEnd(22),
  "admitted/s".padStart(10),
  "of ideal".padStart(9),
  "busiest second".padStart(15),
  "CPU us each".padStart(12),
  "heap MB".padStart(9),
  "growth MB".padStart(10),
  "peak RSS MB".padStart(12)
].join("")

const compare = Effect.gen(function* () {
  console.log(
    [
      `floodgate bench of admission, ${new Date().toISOString().slice(0, 16)}Z`,
      `node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.trim()}), load ${loadavg()[0]?.toFixed(1)}`,
      `medians of ${rounds} rounds; of the busiest second the worst\n`,
      heading
    ].join("\n")
  )
  for (const name of Object.keys(limiters)) {
    const runs: Array<Measurement> = []
    for (let round = 0; round < rounds; round++) runs.push(yield* run(name))
    console.log(row(name, runs))
  }
})

const chosen = limiters[process.argv[2] ?? ""]
if (chosen === undefined) await Effect.runPromise(compare)
else {
  const measurement = await Effect.runPromise(measure(chosen))
  if (process.send === undefined) console.log(measurement)
  else process.send(measurement)
}
