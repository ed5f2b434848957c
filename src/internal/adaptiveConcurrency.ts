/**
 * Finds how many calls a server takes at once, as TCP finds its window (RFC 5681): it doubles per round trip
 * until the first congestion, then grows by one per round trip and shrinks by a factor when congestion shows.
 */

const initial = 8
const afterSlowStart = 0.5
// Gentler than TCP's half once the size is about known, as in CUBIC (RFC 9438).
const decrease = 0.7

export class AdaptiveConcurrency {
  #limit = initial
  #slowStart = true
  #decreasedAt = Number.NEGATIVE_INFINITY

  /** Calls that may be in flight: a whole number, at least 1. */
  get limit(): number {
    return Math.floor(this.#limit)
  }

  /** A call succeeded while `inUse` were in flight. A limit that is not used up says nothing about more. */
  succeeded(inUse: number): void {
    if (inUse >= this.limit) this.#limit += this.#slowStart ? 1 : 1 / this.#limit
  }

  /**
   * A call that was admitted at `admittedAt` met congestion. All calls admitted before the last decrease
   * belong to the episode that caused it.
   */
  congested(admittedAt: number, now: number): void {
    if (admittedAt <= this.#decreasedAt) return
    this.#limit = Math.max(1, this.#limit * (this.#slowStart ? afterSlowStart : decrease))
    this.#slowStart = false
    this.#decreasedAt = now
  }
}
