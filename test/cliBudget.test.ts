import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Simulator from "../src/Simulator.js"
import { folder, run, start, until } from "./process.js"

// those of the package's table
const prices = { "gpt-4o-mini": { input: 0.15, output: 0.6, cacheRead: 0.075 } }
const total = 200

const prepare = Effect.gen(function* () {
  const files = yield* folder
  const simulator = yield* Simulator.make({
    prices,
    latency: { kind: "uniform", min: "1 millis", max: "9 millis" }
  })
  const input = files.records(
    "in.jsonl",
    Array.from({ length: total }, (_, n) => ({ prompt: `Question ${n}.` }))
  )
  const args = (budget: string, ...more: ReadonlyArray<string>) => [
    ...["batch", input, "-o", files.path("out"), "--model", "gpt-4o-mini", "--max-tokens", "60"],
    ...["--receipt", files.path("receipt"), "--no-progress", "--concurrency", "8", "--budget", budget],
    ...more
  ]
  return { args, files, simulator, options: { url: simulator.url } }
})

describe.concurrent("a run with a budget", () => {
  it.scopedLive("stops at its ceiling, says what is left, and goes on with a higher one", () =>
    Effect.gen(function* () {
      const { args, files, options, simulator } = yield* prepare
      const ceiling = 0.0025
      const first = yield* run(args("0.0025 USD"), options)
      expect(first.code).toBe(1)
      const asked = files.lines("out").length
      const { cost } = yield* simulator.stats
      expect(cost).toBeLessThanOrEqual(ceiling)
      expect(cost).toBeGreaterThan(ceiling * 0.95)
      expect(first.stderr).toContain(
        `${total - asked} rows are left; the same command with a higher --budget goes on`
      )
      expect(files.json("receipt")).toMatchObject({
        requests: asked,
        failed: 0,
        errors: {},
        budget: { ceiling: { usd: ceiling }, usedUp: true, reserved: { usd: 0 } }
      })

      // what earlier runs spent counts
      const again = yield* run(args("0.0025 USD"), options)
      expect(again.stderr).toContain("is used up")
      expect(again.code).toBe(1)
      expect((yield* simulator.stats).requests).toBe(asked)

      expect((yield* run(args("$1"), options)).code).toBe(0)
      expect((yield* simulator.stats).requests).toBe(total)
      expect(files.lines("out").map(({ index }) => index)).toEqual(
        Array.from({ length: total }, (_, index) => index)
      )
    })
  )

  it.scopedLive("counts what it may have spent when it was killed", () =>
    Effect.gen(function* () {
      const { args, files, options, simulator } = yield* prepare
      const killed = yield* start(args("0.0025 USD"), options)
      yield* until(() => files.count("out") >= 20)
      yield* killed.end("SIGKILL")
      yield* run(args("0.0025 USD"), options)
      while ((yield* simulator.stats).open > 0) yield* Effect.sleep("10 millis")
      const { cost } = yield* simulator.stats
      expect(cost).toBeLessThanOrEqual(0.0025)
      expect(files.lines("out").length).toBeLessThan(total)
    })
  )

  it.scopedLive("asks no model without a price", () =>
    Effect.gen(function* () {
      const { args, options, simulator } = yield* prepare
      const unpriced = (...more: ReadonlyArray<string>) =>
        args("25 USD", ...more).map((word) => (word === "gpt-4o-mini" ? "home-made" : word))
      const refused = yield* run(unpriced(), options)
      expect(refused.code).toBe(2)
      expect(refused.stderr).toContain("the model home-made has no price")
      expect((yield* simulator.stats).requests).toBe(0)
    })
  )
})
