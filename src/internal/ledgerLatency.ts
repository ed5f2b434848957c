/**
 * Quantiles of latencies in fixed memory: counts in buckets whose bounds grow by a constant factor, so that every
 * quantile is right to within 2 % of itself, and two sketches add up to that of all their latencies. Masson, Rim and
 * Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees" (VLDB 2019).
 */

/** The relative error of a quantile. */
const accuracy = 0.02
const growth = (1 + accuracy) / (1 - accuracy)
const perNaturalLog = 1 / Math.log(growth)

/** Bucket 0 is below one millisecond; the last one is of more than a week. */
const buckets = 512

const bucketOf = (millis: number): number =>
  millis < 1 ? 0 : Math.min(buckets - 1, 1 + Math.ceil(Math.log(millis) * perNaturalLog))

const middleOf = (bucket: number): number => (bucket === 0 ? 0 : (2 * growth ** (bucket - 1)) / (growth + 1))

/** How often each bucket was met, from the lowest; those that were not are left out. */
export type Encoded = ReadonlyArray<readonly [bucket: number, count: number]>

export interface Quantiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

export class LatencySketch {
  #counts: Float64Array | undefined
  #total = 0

  add(millis: number): void {
    this.#count(bucketOf(millis), 1)
  }

  merge(other: LatencySketch): void {
    for (const [bucket, count] of other.encode()) this.#count(bucket, count)
  }

  /** Adds what {@link encode} gave. */
  restore(encoded: Encoded): void {
    for (const [bucket, count] of encoded) this.#count(Math.min(bucket, buckets - 1), count)
  }

  encode(): Encoded {
    const met: Array<readonly [number, number]> = []
    this.#counts?.forEach((count, bucket) => {
      if (count > 0) met.push([bucket, count])
    })
    return met
  }

  /** In whole milliseconds; none without a latency. */
  quantiles(): Quantiles | undefined {
    return this.#total === 0
      ? undefined
      : { p50: this.#quantile(0.5), p95: this.#quantile(0.95), p99: this.#quantile(0.99) }
  }

  #quantile(q: number): number {
    let left = q * (this.#total - 1)
    const counts = this.#counts ?? []
    for (const [bucket, count] of counts.entries()) {
      left -= count
      if (left < 0) return Math.round(middleOf(bucket))
    }
    return Math.round(middleOf(buckets - 1))
  }

  #count(bucket: number, count: number): void {
    this.#counts ??= new Float64Array(buckets)
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count
    this.#total += count
  }
}
