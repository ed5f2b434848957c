import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { LimitDomain } from "../src/internal/limitDomain.js"
import { type Cost, type Limits, limitsFor, rateKinds } from "../src/internal/limits.js"
import { Ticket } from "../src/internal/ticket.js"
import type { Time } from "../src/internal/time.js"

/** A simulated event loop: events in order of time, timers late by what `lateness` says. */
const makeWorld = (lateness: () => number = () => 0) => {
  let now = 0
  let order = 0
  const events: Array<{ at: number; order: number; run: () => void; live: boolean }> = []
  const at = (time: number, run: () => void) => {
    const event = { at: Math.max(time, now), order: order++, run, live: true }
    let low = 0
    let high = events.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = events[middle]
      if (
        other !== undefined &&
        (other.at < event.at || (other.at === event.at && other.order < event.order))
      ) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    events.splice(low, 0, event)
    return () => {
      event.live = false
    }
  }
  const time: Time = {
    now: () => now,
    makeTimer: (fire) => {
      let stop = () => {}
      return {
        start: (millis) => {
          stop()
          stop = at(now + millis + lateness(), fire)
        },
        stop: () => stop()
      }
    }
  }
  const run = (until: number) => {
    while (events[0] !== undefined && events[0].at <= until) {
      const event = events.shift()
      if (event?.live !== true) continue
      now = event.at
      event.run()
    }
    now = until
  }
  return { time, at, run, now: () => now }
}

interface Admission {
  readonly id: number
  readonly at: number
  cost: Cost
}

/** Sends requests to a domain and keeps the log of what it admitted. */
const makeClient = (world: ReturnType<typeof makeWorld>, domain: LimitDomain, onAdmit?: () => void) => {
  const log: Array<Admission> = []
  let ids = 0
  const send = (cost: Cost, options: { hold?: number; actual?: Cost; patience?: number } = {}) => {
    const id = ids++
    const ticket = domain.enter(cost)
    if (!(ticket instanceof Ticket)) return ticket
    ticket.onDecided((refused) => {
      if (refused !== undefined) return
      const admission: Admission = { id, at: world.now(), cost }
      log.push(admission)
      onAdmit?.()
      world.at(world.now() + (options.hold ?? 0), () => {
        if (options.actual !== undefined) {
          admission.cost = options.actual
          domain.settle(ticket, options.actual)
        }
        domain.release(ticket, true)
      })
    })
    if (options.patience !== undefined) {
      world.at(world.now() + options.patience, () => {
        if (ticket.status === "waiting") domain.leave(ticket)
      })
    }
    return ticket
  }
  return { send, log }
}

const tokens = (inputTokens: number, outputTokens = 0): Cost => ({ inputTokens, outputTokens })
const smallest = tokens(1)

/** A whole number of requests takes a fractional limit longer than its period. */
const span = (limit: number, period: number) => (period * Math.ceil(limit)) / limit

/** The most that the window of a limit held at the moment of any admission, with what was known by then. */
const overrun = (log: ReadonlyArray<Admission>, limits: Limits): string | undefined => {
  for (const kind of rateKinds) {
    const limit = limits[kind.name]
    if (limit === undefined) continue
    const period = span(limit, kind.period)
    let sum = 0
    let from = 0
    for (const admission of log) {
      sum += kind.measure(admission.cost)
      for (
        let first = log[from];
        first !== undefined && first.at <= admission.at - period;
        first = log[from]
      ) {
        sum -= kind.measure(first.cost)
        from++
      }
      if (sum > Math.ceil(limit)) return `${kind.name}: ${sum} of ${limit} at ${admission.at}`
    }
  }
  return undefined
}

const arbitraryLimits: FastCheck.Arbitrary<Limits> = FastCheck.record(
  {
    requestsPerSecond: FastCheck.oneof(
      FastCheck.integer({ min: 1, max: 300 }),
      FastCheck.constantFrom(0.5, 1.5, 7.3)
    ),
    requestsPerMinute: FastCheck.integer({ min: 5, max: 6_000 }),
    requestsPerDay: FastCheck.integer({ min: 2_000, max: 10_000 }),
    tokensPerMinute: FastCheck.integer({ min: 1_000, max: 200_000 }),
    inputTokensPerMinute: FastCheck.integer({ min: 1_000, max: 200_000 }),
    outputTokensPerMinute: FastCheck.integer({ min: 1_000, max: 200_000 }),
    concurrency: FastCheck.oneof(
      FastCheck.integer({ min: 1, max: 50 }),
      FastCheck.constant("adaptive" as const)
    ),
    burst: FastCheck.integer({ min: 1, max: 400 }),
    tokenBurst: FastCheck.integer({ min: 1, max: 200_000 })
  },
  { requiredKeys: [] }
)

const arbitraryCost: FastCheck.Arbitrary<Cost> = FastCheck.record({
  inputTokens: FastCheck.integer({ min: 0, max: 500 }),
  outputTokens: FastCheck.integer({ min: 0, max: 500 })
})

const arbitraryTraffic = FastCheck.array(
  FastCheck.record({
    gap: FastCheck.oneof(FastCheck.constant(0), FastCheck.nat(50), FastCheck.nat(3_000)),
    cost: arbitraryCost,
    hold: FastCheck.nat(2_000),
    share: FastCheck.option(FastCheck.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
    patience: FastCheck.option(FastCheck.nat(5_000), { nil: undefined, freq: 4 })
  }),
  { minLength: 1, maxLength: 200 }
)

const lateTimers = FastCheck.infiniteStream(FastCheck.double({ min: 0, max: 4, noNaN: true }))

describe("LimitDomain", () => {
  it("never admits more than a limit in any window, in order of arrival, and loses no permit", () => {
    FastCheck.assert(
      FastCheck.property(arbitraryLimits, arbitraryTraffic, lateTimers, (limits, traffic, late) => {
        const world = makeWorld(() => late.next().value)
        const domain = new LimitDomain(limits, world.time)
        const { log, send } = makeClient(world, domain, () => {
          const { concurrency, inUse } = domain.snapshot()
          assert.isTrue(concurrency === undefined || inUse <= concurrency)
        })
        let at = 0
        let impatient = 0
        for (const { cost, gap, hold, patience, share } of traffic) {
          at += gap
          if (patience !== undefined) impatient++
          const actual =
            share === undefined
              ? cost
              : tokens(Math.floor(cost.inputTokens * share), Math.floor(cost.outputTokens * share))
          world.at(at, () => send(cost, { hold, actual, ...(patience === undefined ? {} : { patience }) }))
        }
        world.run(at + 100_000_000)
        assert.isUndefined(overrun(log, limits))
        assert.isAtLeast(log.length, traffic.length - impatient)
        for (let i = 1; i < log.length; i++) assert.isAbove(log[i]?.id ?? 0, log[i - 1]?.id ?? 0)
        const { inUse, waiting } = domain.snapshot()
        assert.deepStrictEqual({ inUse, waiting }, { inUse: 0, waiting: 0 })
        world.run(world.now() + 90_000_000)
        for (const amount of Object.values(domain.snapshot().used)) assert.strictEqual(amount, 0)
      }),
      { numRuns: 300 }
    )
  })

  it("keeps the window when answers cost more than reserved, and when limits change and pauses come", () => {
    const action = FastCheck.oneof(
      { weight: 12, arbitrary: FastCheck.record({ cost: arbitraryCost, factor: FastCheck.nat(30) }) },
      { weight: 1, arbitrary: FastCheck.record({ pause: FastCheck.nat(5_000) }) },
      { weight: 1, arbitrary: FastCheck.record({ limits: arbitraryLimits }) }
    )
    const actions = FastCheck.array(FastCheck.tuple(FastCheck.nat(200), action), {
      minLength: 1,
      maxLength: 150
    })
    FastCheck.assert(
      FastCheck.property(arbitraryLimits, actions, lateTimers, (initial, script, late) => {
        const world = makeWorld(() => late.next().value)
        const domain = new LimitDomain(initial, world.time)
        let limits = initial
        let pausedUntil = 0
        // how much of the log each limit's own log does not know: by number, since much may happen in one instant
        let since = new Map(rateKinds.map((kind) => [kind.name, 0]))
        const { log, send } = makeClient(world, domain, () => {
          const now = world.now()
          assert.isAtLeast(now, pausedUntil)
          for (const kind of rateKinds) {
            const limit = limits[kind.name]
            if (limit === undefined) continue
            const from = now - span(limit, kind.period)
            let sum = 0
            for (const { at, cost } of log.slice(since.get(kind.name)))
              if (at > from) sum += kind.measure(cost)
            assert.isAtMost(sum, Math.ceil(limit), kind.name)
          }
        })
        let at = 0
        let sent = 0
        for (const [gap, step] of script) {
          at += gap
          world.at(at, () => {
            if ("cost" in step) {
              const actual = tokens(
                Math.floor((step.cost.inputTokens * step.factor) / 10),
                Math.floor((step.cost.outputTokens * step.factor) / 10)
              )
              if (send(step.cost, { hold: 300, actual }) instanceof Ticket) sent++
            } else if ("pause" in step) {
              pausedUntil = Math.max(pausedUntil, world.now() + step.pause)
              domain.pause(step.pause, "told")
            } else {
              // The log of a limit begins anew when the limit is new, or when its period is now a longer one.
              const previous = limits
              limits = step.limits
              since = new Map(
                rateKinds.map((kind) => {
                  const [old, now] = [previous[kind.name], limits[kind.name]]
                  const kept =
                    old !== undefined && now !== undefined && span(now, kind.period) <= span(old, kind.period)
                  return [kind.name, kept ? (since.get(kind.name) ?? 0) : log.length]
                })
              )
              domain.setLimits(limits)
            }
          })
        }
        world.run(at + 500_000_000)
        const { inUse, waiting } = domain.snapshot()
        assert.deepStrictEqual({ inUse, waiting }, { inUse: 0, waiting: 0 })
        assert.isAtMost(log.length, sent)
      }),
      { numRuns: 300 }
    )
  })

  it("uses at least 98 % of a limit under demand, with timers that fire late", () => {
    const cases: ReadonlyArray<readonly [Limits, number]> = [
      [{ requestsPerSecond: 1 }, 1_000],
      [{ requestsPerSecond: 0.5 }, 1_000],
      [{ requestsPerSecond: 10 }, 1_000],
      [{ requestsPerSecond: 100, burst: 1 }, 1_000],
      [{ requestsPerSecond: 333.3 }, 1_000],
      [{ requestsPerSecond: 5_000 }, 1_000],
      [{ requestsPerSecond: 5_000, burst: 5_000 }, 1_000],
      [{ requestsPerMinute: 30 }, 60_000],
      [{ requestsPerMinute: 500, burst: 1 }, 60_000],
      [{ requestsPerMinute: 10_000 }, 60_000]
    ]
    for (const [limits, period] of cases) {
      let seed = 1
      const world = makeWorld(() => {
        seed = (seed * 16_807) % 2_147_483_647
        return (seed % 2_000) / 1_000
      })
      const domain = new LimitDomain(limits, world.time)
      const limit = limits.requestsPerSecond ?? limits.requestsPerMinute ?? 0
      let sent = 0
      const { log, send } = makeClient(world, domain, () => world.at(world.now(), () => send(smallest)))
      const periods = Math.max(10, Math.ceil(10 / limit))
      while (sent++ < 50) send(smallest)
      world.run(periods * period)
      assert.isUndefined(overrun(log, limits), JSON.stringify(limits))
      assert.isAtLeast(log.length, Math.floor(0.98 * limit * periods), JSON.stringify(limits))
    }
  })
})

describe("limitsFor", () => {
  it("prefers the exact name, then the most literal pattern", () => {
    const [exact, family, any]: ReadonlyArray<Limits> = [{ burst: 1 }, { burst: 2 }, { burst: 3 }]
    const table = { "*": any ?? {}, "gpt-4o*": family ?? {}, "gpt-4o": exact ?? {}, "*-a*b-*z": {} }
    assert.strictEqual(limitsFor(table, "gpt-4o"), exact)
    assert.strictEqual(limitsFor(table, "gpt-4o-mini"), family)
    assert.strictEqual(limitsFor(table, "claude"), any)
    assert.strictEqual(limitsFor(table, "x-a1b-z"), table["*-a*b-*z"])
    assert.strictEqual(limitsFor(table, "x-ab"), any)
    assert.isUndefined(limitsFor({ "gpt*": any ?? {} }, "toString"))
    assert.isUndefined(limitsFor({}, "toString"))
  })
})
