/** What happened when, in steps that grow with the time there is to show: memory is the same for a minute and a month. */
import { LatencySketch } from "./ledgerLatency.js"
import type { Money } from "./money.js"
import { amountOf } from "./reportAmount.js"
import type { Timeline } from "./reportData.js"

/** More steps than these are made half as many or fewer. */
const mostSteps = 360

/** Lengths of a step in milliseconds, each a multiple of the one before. */
const lengths = [100, 200, 1_000, 2_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000]

/** What becomes of a call. */
export type End = "answered" | "limited" | "failed" | "free"

class Step {
  answered = 0
  limited = 0
  failed = 0
  free = 0
  inputTokens = 0
  outputTokens = 0
  cost: Money = 0n
  /** Milliseconds that calls were under way, over all of them. */
  busy = 0
  readonly latency = new LatencySketch()

  merge(other: Step): void {
    this.answered += other.answered
    this.limited += other.limited
    this.failed += other.failed
    this.free += other.free
    this.inputTokens += other.inputTokens
    this.outputTokens += other.outputTokens
    this.cost += other.cost
    this.busy += other.busy
    this.latency.merge(other.latency)
  }
}

/** An end of a call, or an answer without one. */
export interface Happened {
  /** In epoch milliseconds. */
  readonly at: number
  readonly latencyMs: number
  /** Absent of a call that was given up. */
  readonly end: End | undefined
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cost: Money
}

export class TimelineBuilder {
  #length = lengths[0] ?? 100
  #steps = new Map<number, Step>()
  #first = Number.POSITIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY

  add({ at, cost, end, inputTokens, latencyMs, outputTokens }: Happened): void {
    const began = end === "free" ? at : at - latencyMs
    this.#reach(began, at)
    const step = this.#at(Math.floor(at / this.#length))
    if (end !== undefined) step[end]++
    step.inputTokens += inputTokens
    step.outputTokens += outputTokens
    step.cost += cost
    if (end === "free") return
    if (end === "answered") step.latency.add(latencyMs)
    for (let from = began; from < at; ) {
      const place = Math.floor(from / this.#length)
      const to = Math.min(at, (place + 1) * this.#length)
      this.#at(place).busy += to - from
      from = to
    }
  }

  /** None where nothing happened. */
  timeline(): Timeline | undefined {
    if (this.#steps.size === 0) return undefined
    const steps = Array.from({ length: this.#last - this.#first + 1 }, (_, n) =>
      this.#steps.get(this.#first + n)
    )
    const counts = (of: (step: Step) => number) => steps.map((step) => (step === undefined ? 0 : of(step)))
    const quantiles = steps.map((step) => step?.latency.quantiles())
    let paid: Money = 0n
    return {
      start: this.#first * this.#length,
      step: this.#length,
      answered: counts(({ answered }) => answered),
      limited: counts(({ limited }) => limited),
      failed: counts(({ failed }) => failed),
      free: counts(({ free }) => free),
      inputTokens: counts(({ inputTokens }) => inputTokens),
      outputTokens: counts(({ outputTokens }) => outputTokens),
      inFlight: counts(({ busy }) => Math.round((busy / this.#length) * 100) / 100),
      p50: quantiles.map((found) => found?.p50 ?? null),
      p95: quantiles.map((found) => found?.p95 ?? null),
      cost: steps.map((step) => {
        paid += step?.cost ?? 0n
        return amountOf(paid)
      })
    }
  }

  #at(place: number): Step {
    const found = this.#steps.get(place)
    if (found !== undefined) return found
    const step = new Step()
    this.#steps.set(place, step)
    return step
  }

  /** Makes the steps long enough for all the time up to here. */
  #reach(from: number, to: number): void {
    const first = Math.floor(from / this.#length)
    const last = Math.floor(to / this.#length)
    if (first < this.#first) this.#first = first
    if (last > this.#last) this.#last = last
    while (this.#last - this.#first >= mostSteps) this.#lengthen()
  }

  #lengthen(): void {
    const before = this.#length
    this.#length = lengths.find((length) => length > before) ?? before * 2
    const place = (n: number) => Math.floor((n * before) / this.#length)
    const steps = this.#steps
    this.#steps = new Map()
    for (const [n, step] of steps) this.#at(place(n)).merge(step)
    this.#first = place(this.#first)
    this.#last = place(this.#last)
  }
}
