/**
 * An exact sliding log of what was admitted during the last period, in bounded memory.
 *
 * Admissions that fall into the same thousandth of the period share a slot, which leaves the window when its
 * last admission does. So the log may hold an amount a thousandth of a period too long and never too short:
 * no window holds more than the limit, and at most 0.1 % of it is lost.
 */

const slices = 1024

/** What {@link SlidingWindow.add} returns, to correct the amount later. */
export type Slot = number

export class SlidingWindow {
  /** The amount in the window, as of the last {@link expire}. */
  total = 0
  #period: number
  // A ring: slot n lives at index n & mask, from #oldest to #next - 1.
  #times = new Float64Array(16)
  #amounts = new Float64Array(16)
  #oldest = 0
  #next = 0

  /** @param period in milliseconds */
  constructor(period: number) {
    this.#period = period
  }

  set period(period: number) {
    this.#period = period
  }

  /** Drops what has left the window that ends at `now`. */
  expire(now: number): void {
    const mask = this.#times.length - 1
    while (this.#oldest < this.#next && this.#time(this.#oldest & mask) + this.#period <= now) {
      this.total -= this.#amount(this.#oldest & mask)
      this.#oldest++
    }
    if (this.#oldest === this.#next) this.total = 0
  }

  /** The earliest time from `now` on at which `amount` more stays within `limit`; `Infinity` if there is none. */
  availableAt(amount: number, limit: number, now: number): number {
    this.expire(now)
    let excess = this.total + amount - limit
    if (excess <= 0) return now
    if (amount > limit) return Number.POSITIVE_INFINITY
    const mask = this.#times.length - 1
    let latest = 0
    for (let slot = this.#oldest; slot < this.#next && excess > 0; slot++) {
      excess -= this.#amount(slot & mask)
      latest = Math.max(latest, this.#time(slot & mask))
    }
    return latest + this.#period
  }

  /** Adds an admission at `now`, which must not lie before an earlier one. */
  add(amount: number, now: number): Slot {
    this.total += amount
    const slice = this.#period / slices
    let mask = this.#times.length - 1
    const newest = this.#next - 1
    if (newest >= this.#oldest && Math.floor(this.#time(newest & mask) / slice) === Math.floor(now / slice)) {
      this.#times[newest & mask] = now
      this.#amounts[newest & mask] = this.#amount(newest & mask) + amount
      return newest
    }
    if (this.#next - this.#oldest > mask) {
      this.#grow()
      mask = this.#times.length - 1
    }
    this.#times[this.#next & mask] = now
    this.#amounts[this.#next & mask] = amount
    return this.#next++
  }

  /** Corrects the amount of an earlier admission. False if it has left the window and no longer matters. */
  adjust(slot: Slot, delta: number): boolean {
    if (slot < this.#oldest) return false
    this.total += delta
    const index = slot & (this.#times.length - 1)
    this.#amounts[index] = this.#amount(index) + delta
    return true
  }

  /** Moves an admission to the later time at which it really took place. */
  delay(slot: Slot, until: number): void {
    const index = slot & (this.#times.length - 1)
    if (slot >= this.#oldest && until > this.#time(index)) this.#times[index] = until
  }

  #time(index: number): number {
    return this.#times[index] as number
  }

  #amount(index: number): number {
    return this.#amounts[index] as number
  }

  #grow(): void {
    const mask = this.#times.length - 1
    const times = new Float64Array(this.#times.length * 2)
    const amounts = new Float64Array(this.#times.length * 2)
    for (let slot = this.#oldest; slot < this.#next; slot++) {
      times[slot & (times.length - 1)] = this.#time(slot & mask)
      amounts[slot & (times.length - 1)] = this.#amount(slot & mask)
    }
    this.#times = times
    this.#amounts = amounts
  }
}
