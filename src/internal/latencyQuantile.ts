/**
 * A quantile of the latencies of late: a histogram whose buckets grow by 5 %, so that the figure is right to that much,
 * whatever the scale. Every so often all counts are halved: what was long ago weighs little.
 */

const growth = Math.log(1.05)
/** Up to 3 hours; what takes longer counts as that. */
const buckets = 340
/** How many latencies make the old ones weigh half. */
const memory = 500
/** The figure is made anew after so many. */
const stride = 8
const fewest = 20

export class LatencyQuantile {
  readonly #quantile: number
  /** Of fewer latencies than this the quantile is a guess. */
  readonly #fewest: number
  readonly #counts = new Float64Array(buckets)
  #total = 0
  #added = 0
  #value: number | undefined

  constructor(quantile: number) {
    this.#quantile = quantile
    this.#fewest = Math.max(fewest, Math.ceil(1 / (1 - quantile)))
  }

  /** In milliseconds, rounded up to the end of its bucket; `undefined` until enough was learned. */
  get value(): number | undefined {
    return this.#value
  }

  learn(millis: number): void {
    const bucket = Math.min(buckets - 1, Math.ceil(Math.log(Math.max(millis, 1)) / growth))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#total++
    if (this.#total >= 2 * memory) this.#forget()
    if (++this.#added === this.#fewest || (this.#added > this.#fewest && this.#added % stride === 0)) {
      this.#value = this.#find()
    }
  }

  #forget(): void {
    for (let bucket = 0; bucket < buckets; bucket++) {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) / 2
    }
    this.#total /= 2
  }

  #find(): number {
    let left = this.#quantile * this.#total
    let bucket = 0
    for (; bucket < buckets - 1; bucket++) {
      left -= this.#counts[bucket] ?? 0
      if (left <= 0) break
    }
    return Math.exp(bucket * growth)
  }
}
