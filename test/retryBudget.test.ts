import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { RetryBudget } from "../src/internal/retryBudget.js"

/** Fibers that each take one retry, and the numbers of those that had their turn, in order. */
const takers = (budget: RetryBudget, n: number) =>
  Effect.gen(function* () {
    const served: Array<number> = []
    const fibers = yield* Effect.forEach(Array.from({ length: n }), (_, i) =>
      Effect.fork(Effect.map(budget.take, () => served.push(i)))
    )
    yield* TestClock.adjust("1 millis")
    return { served, fibers }
  })

describe("RetryBudget", () => {
  it.effect("gives a hundred at once, then one each second, in order", () =>
    Effect.gen(function* () {
      const { served } = yield* takers(new RetryBudget(), 200)
      expect(served).toHaveLength(100)
      yield* TestClock.adjust("10 seconds")
      expect(served).toHaveLength(110)
      expect(served).toEqual(served.toSorted((a, b) => a - b))
    })
  )

  it.effect("lets all who wait go soon after answers come again", () =>
    Effect.gen(function* () {
      const budget = new RetryBudget()
      const { served } = yield* takers(budget, 1_000)
      yield* TestClock.adjust("5 seconds")
      let answered = 100
      for (let round = 0; round < 10; round++) {
        while (answered < served.length) {
          answered++
          budget.earn()
          yield* Effect.yieldNow()
        }
      }
      yield* TestClock.adjust("1 millis")
      expect(served).toHaveLength(1_000)
    })
  )

  it.effect("takes nothing from those who left", () =>
    Effect.gen(function* () {
      const budget = new RetryBudget()
      const { fibers, served } = yield* takers(budget, 150)
      yield* Fiber.interruptAll(fibers.slice(100, 149))
      yield* TestClock.adjust("1 second")
      expect(served.at(-1)).toBe(149)
      expect(served).toHaveLength(101)
    })
  )
})
