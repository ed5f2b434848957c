/** Latencies for a chart and for figures, in fixed memory. */
import { LatencySketch } from "./ledgerLatency.js"
import type { Latencies } from "./reportData.js"

/** Bars for each factor of ten: bounds a quarter apart from one to the next. */
const barsPerDecade = 10
/** The last bar begins above a week. */
const lastBar = 9 * barsPerDecade

const boundOf = (bar: number): number => 10 ** (bar / barsPerDecade)

export class LatencySpread {
  readonly #sketch = new LatencySketch()
  readonly #bars = new Float64Array(lastBar + 1)
  #count = 0

  add(millis: number): void {
    this.#sketch.add(millis)
    const bar = millis < 1 ? 0 : Math.min(lastBar, Math.floor(Math.log10(millis) * barsPerDecade))
    this.#bars[bar] = (this.#bars[bar] ?? 0) + 1
    this.#count++
  }

  /** None without a latency. */
  latencies(): Latencies | undefined {
    const quantiles = this.#sketch.quantiles()
    if (quantiles === undefined) return undefined
    const first = this.#bars.findIndex((count) => count > 0)
    const last = this.#bars.findLastIndex((count) => count > 0)
    return {
      count: this.#count,
      ...quantiles,
      bars: Array.from(this.#bars.subarray(first, last + 1), (count, n) => ({
        from: first + n === 0 ? 0 : boundOf(first + n),
        to: boundOf(first + n + 1),
        count
      }))
    }
  }
}
