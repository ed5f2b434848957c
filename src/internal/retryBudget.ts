/**
 * How many retries a limit domain can afford, so that an outage does not multiply its traffic.
 *
 * Each retry costs one; each answer earns two, up to a hundred in hand; and one is given each second, which is what
 * finds out that an outage is over. Stray failures never feel it; when everything fails, one retry a second is left.
 */
const most = 100
const perAnswer = 2
const perSecond = 1

export class RetryBudget {
  #left = most
  #at = 0

  /** An answer came. */
  earn(): void {
    this.#left = Math.min(most, this.#left + perAnswer)
  }

  /**
   * Takes one retry at `now`, in milliseconds, and returns how long it has to wait for its turn. Those who wait have
   * their turns one after the other.
   */
  take(now: number): number {
    if (now > this.#at) {
      this.#left = Math.min(most, this.#left + ((now - this.#at) * perSecond) / 1000)
      this.#at = now
    }
    this.#left -= 1
    return this.#left >= 0 ? 0 : (-this.#left * 1000) / perSecond
  }
}
