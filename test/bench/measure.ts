/** A child of the bench: runs one case in a process of its own, and tells its parent what that took. */
import * as Effect from "effect/Effect"
import type { Case, Plan } from "./cases.js"

/** What the questions of one run took, the warm-up's not counted, but for memory. */
export interface Measurement {
  readonly seconds: number
  readonly cpuMicros: number
  /** The most memory the process ever had. */
  readonly peakRssBytes: number
}

const warmUp = 1_000

const load = async (plan: Plan): Promise<Case> =>
  plan.case === "raw" ? (await import("./rawPool.js")).raw : (await import("./cases.js")).cases[plan.case]

const measure = (plan: Plan): Effect.Effect<Measurement> =>
  Effect.gen(function* () {
    const open = yield* Effect.promise(() => load(plan))
    const ask = yield* open(plan)
    yield* ask("warm-up", Math.max(warmUp, plan.concurrency))
    const before = process.cpuUsage()
    const start = performance.now()
    yield* ask("question", plan.requests)
    const seconds = (performance.now() - start) / 1_000
    const { system, user } = process.cpuUsage(before)
    return { seconds, cpuMicros: system + user, peakRssBytes: process.resourceUsage().maxRSS * 1_024 }
  }).pipe(Effect.scoped)

Effect.runPromise(measure(JSON.parse(process.argv[2] ?? "{}"))).then((measurement) => {
  if (process.send === undefined) console.log(measurement)
  else process.send(measurement)
})
