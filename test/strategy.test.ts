import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { Chat, LlmError, Router, Strategy, Usage } from "floodgate"
import { type Domains, Turn } from "../src/internal/turn.js"

const chat = Chat.prompt("x")

const endpoint = (id: string, more: object = {}) => ({ id, provider: "p", baseUrl: `p://${id}`, ...more })

/** Picks endpoints without sending anything; what it picked is under way until it is ended. */
const picker = (options: Omit<Router.Options, "health">, look: Partial<Domains> = {}) => {
  const { pool } = Router.make({ ...options, health: {} })
  if (pool === undefined) throw new Error("no pool")
  let now = 1_000_000
  const domains: Domains = {
    // only the time is asked for where nothing waits
    clock: { unsafeCurrentTimeMillis: () => now } as Domains["clock"],
    run: Effect.runFork,
    delay: () => 0,
    headroom: () => Number.POSITIVE_INFINITY,
    stop: () => undefined,
    ...look
  }
  const begin = () => {
    const turn = new Turn(chat, { failed: undefined }, domains)
    const member = Effect.runSync(pool.turn(turn))
    pool.admitted(turn)
    pool.sent(turn, true)
    return { id: member.endpoint.id, end: () => pool.answered(turn, Usage.zero), turn, pool }
  }
  const next = (millis = 10) => {
    const { end, id } = begin()
    now += millis
    end()
    return id
  }
  return { begin, next, pass: (millis: number) => (now += millis) }
}

const times = <A>(count: number, of: () => A): Array<A> => Array.from({ length: count }, of)

const countsOf = (ids: ReadonlyArray<string>) => {
  const counts: Record<string, number> = {}
  for (const id of ids) counts[id] = (counts[id] ?? 0) + 1
  return counts
}

const weights = FastCheck.array(FastCheck.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 6 })

const weighing = ([first = 1, ...rest]: ReadonlyArray<number>): Router.Options["endpoints"] => [
  endpoint("e0", { weight: first }),
  ...rest.map((weight, index) => endpoint(`e${index + 1}`, { weight }))
]

describe("Strategy", () => {
  it.prop(
    "round robin gives each its share of every stretch, as evenly as can be",
    [weights],
    ([weights]) => {
      const { next } = picker({ endpoints: weighing(weights) })
      const total = weights.reduce((a, b) => a + b, 0)
      const given = weights.map(() => 0)
      for (let i = 1; i <= 2 * total; i++) {
        const index = Number(next().slice(1))
        given[index] = (given[index] ?? 0) + 1
        // never further from its share than the number of endpoints
        for (const [j, count] of given.entries()) {
          expect(Math.abs(count - (i * (weights[j] ?? 0)) / total)).toBeLessThan(weights.length)
        }
      }
      expect(given).toEqual(weights.map((weight) => 2 * weight))
    },
    { fastCheck: { numRuns: 30 } }
  )

  it("round robin is smooth", () => {
    const { next } = picker({ endpoints: weighing([5, 1, 1]) })
    expect(times(7, next).join(" ")).toBe("e0 e0 e1 e0 e2 e0 e0")
  })

  it.prop(
    "shares of a weighted choice converge to the weights, and a seed repeats it",
    [weights, FastCheck.integer()],
    ([weights, seed]) => {
      const options = { endpoints: weighing(weights), strategy: Strategy.weighted(), seed }
      const ids = times(10_000, picker(options).next)
      const total = weights.reduce((a, b) => a + b, 0)
      const counts = countsOf(ids)
      for (const [index, weight] of weights.entries()) {
        const p = weight / total
        // four and a half standard deviations, or one percent of all
        const bound = Math.max(0.01, 4.5 * Math.sqrt((p * (1 - p)) / 10_000))
        expect(Math.abs((counts[`e${index}`] ?? 0) / 10_000 - p)).toBeLessThan(bound)
      }
      expect(times(50, picker(options).next)).toEqual(ids.slice(0, 50))
    },
    { fastCheck: { numRuns: 10 } }
  )

  it("random gives all the same chance", () => {
    const { next } = picker({ endpoints: weighing([9, 1]), strategy: Strategy.random(), seed: 1 })
    const { e0 = 0 } = countsOf(times(10_000, next))
    expect(Math.abs(e0 - 5_000)).toBeLessThan(250)
  })

  it("least recently used counts the dispatch, not the answer", () => {
    const { begin } = picker({
      endpoints: weighing([1, 1, 1]),
      strategy: Strategy.leastRecentlyUsed()
    })
    expect(times(6, () => begin().id)).toEqual(["e0", "e1", "e2", "e0", "e1", "e2"])
  })

  it("least busy asks in proportion to the weight", () => {
    const { begin } = picker({ endpoints: weighing([1, 3]), strategy: Strategy.leastBusy() })
    expect(countsOf(times(40, () => begin().id))).toEqual({ e0: 10, e1: 30 })
  })

  it("lowest latency tries all, then prefers the fast one, and tries the others again after a while", () => {
    const { begin, pass } = picker({
      endpoints: weighing([1, 1]),
      strategy: Strategy.lowestLatency()
    })
    const ask = () => {
      const { end, id } = begin()
      pass(id === "e0" ? 300 : 100)
      end()
      return id
    }
    expect(new Set([ask(), ask()])).toEqual(new Set(["e0", "e1"]))
    expect(countsOf(times(20, ask))).toEqual({ e1: 20 })
    // three at once are as slow with the fast one as one with the slow
    expect(times(4, () => begin().id)).toContain("e0")
    pass(120_000)
    expect(ask()).toBeDefined()
  })

  it("lowest latency does not take failing fast for speed", () => {
    const { begin, pass } = picker({
      endpoints: weighing([1, 1]),
      strategy: Strategy.lowestLatency()
    })
    for (let i = 0; i < 30; i++) {
      const { end, id, pool, turn } = begin()
      pass(id === "e0" ? 1 : 200)
      if (id === "e0") pool.failed(turn, new LlmError.ServerError({ provider: "p", message: "no" }))
      else end()
    }
    const ids = times(20, () => {
      const { end, id } = begin()
      end()
      return id
    })
    expect(ids.filter((id) => id === "e0").length).toBeLessThanOrEqual(1)
  })

  it("most headroom goes where the limiter has the most left", () => {
    const left: Record<string, number> = { e0: 0.2, e1: 0.7, e2: 0.5 }
    const { next } = picker(
      { endpoints: weighing([1, 1, 1]), strategy: Strategy.mostHeadroom() },
      { headroom: (domain) => left[domain] ?? 0 }
    )
    expect(next()).toBe("e1")
    left.e1 = 0.1
    expect(next()).toBe("e2")
  })

  it("lowest cost asks the cheapest that has room", () => {
    let full = false
    const { next } = picker(
      {
        endpoints: [
          endpoint("unknown"),
          endpoint("dear", { price: { input: 2, output: 8 } }),
          endpoint("cheap", { price: { input: 0.15, output: 0.6 } })
        ],
        strategy: Strategy.lowestCost()
      },
      { delay: (domain) => (full && domain === "cheap" ? 5_000 : 0) }
    )
    expect(times(3, next)).toEqual(["cheap", "cheap", "cheap"])
    full = true
    expect(next()).toBe("dear")
  })

  it("takes a function of one's own", () => {
    const { next } = picker({
      endpoints: weighing([1, 1, 1]),
      strategy: Strategy.custom((candidates) => candidates.find(({ id }) => id === "e2"))
    })
    expect(times(3, next)).toEqual(["e2", "e2", "e2"])
  })

  it("nests: tiers of balanced groups", () => {
    const paused = new Set<string>()
    const { next } = picker(
      {
        endpoints: weighing([1, 2, 1, 1]),
        strategy: Strategy.fallback([
          Strategy.roundRobin(["e0", "e1"]),
          Strategy.leastRecentlyUsed(["e2", "e3"])
        ])
      },
      { delay: (domain) => (paused.has(domain) ? 60_000 : 0) }
    )
    expect(countsOf(times(9, next))).toEqual({ e0: 3, e1: 6 })
    paused.add("e1")
    expect(countsOf(times(3, next))).toEqual({ e0: 3 })
    paused.add("e0")
    expect(countsOf(times(4, next))).toEqual({ e2: 2, e3: 2 })
  })

  it("takes weights by model, in full and in short", () => {
    const models = { endpoints: [endpoint("a", { model: "mini" }), endpoint("b", { model: "big" })] as const }
    const { next } = picker({ ...models, strategy: Strategy.roundRobin({ mini: 1, big: 2 }) })
    expect(countsOf(times(9, next))).toEqual({ a: 3, b: 6 })
    const short = picker({ endpoints: [{ provider: "p", baseUrl: "p://x", model: "mini:1+big:2" }] })
    expect(countsOf(times(9, short.next))).toEqual({ "p/x/mini": 3, "p/x/big": 6 })
    expect(Strategy.weightsOf("llama3.2:3")).toBeUndefined()
    expect(Strategy.weightsOf("qwen2.5:7b+llama3.2:3b")).toBeUndefined()
    expect(Strategy.weightsOf("qwen2.5:7b:1+llama3.2:3b:2")).toEqual([
      { model: "qwen2.5:7b", weight: 1 },
      { model: "llama3.2:3b", weight: 2 }
    ])
  })

  it.effect("tells of a name that is none", () =>
    Effect.gen(function* () {
      const { resolve } = Router.make({
        endpoints: [endpoint("a", { model: "m" }), endpoint("b", { model: "m" })],
        strategy: Strategy.roundRobin(["a", "c"])
      })
      const error = yield* Effect.flip(resolve(chat))
      expect(error.message).toContain(`"c", which is no endpoint or model of: a, b`)
    })
  )
})
