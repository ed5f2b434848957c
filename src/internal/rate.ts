/**
 * One limit over a period: an exact sliding window says how much, a pace says how evenly.
 *
 * The pace is the generic cell rate algorithm (ITU-T I.371) in its debt form: an admission is due when the
 * debt of the earlier ones has fallen to the burst, so that a request larger than the burst still goes, and
 * those behind it wait the longer. The pace alone would admit limit + burst in a window; the window does not.
 */
import type { Cost, RateKind } from "./limits.js"
import { SlidingWindow, type Slot } from "./slidingWindow.js"

/**
 * Windows are held a little longer than the period, for the server sees requests arrive less evenly than
 * they left. Costs 0.4 % of a limit per second, 0.1 % of one per minute.
 */
export const guardShare = 1 / 256
export const maxGuard = 50
const guarded = (period: number): number => period + Math.min(period * guardShare, maxGuard)

/** Where the burst is not given: this share of the limit. */
export const defaultBurst = 0.01

export class Rate {
  readonly kind: RateKind
  /** What the user configured. */
  configured: number | undefined
  /** What the server stated. */
  stated: number | undefined
  #burst: number | undefined
  #limit = 0
  #window: SlidingWindow
  // The pace, in milliseconds: per unit, how far debt may run ahead, and when the debt so far is paid.
  #interval = 0
  #tolerance = 0
  #paidAt = Number.NEGATIVE_INFINITY
  // Use by others, as far as the server told us.
  #foreign = 0
  #foreignUntil = Number.NEGATIVE_INFINITY

  constructor(kind: RateKind) {
    this.kind = kind
    this.#window = new SlidingWindow(kind.period)
  }

  /** The limit in force, per period. */
  get limit(): number {
    return Math.min(this.configured ?? Number.POSITIVE_INFINITY, this.stated ?? Number.POSITIVE_INFINITY)
  }

  /** Puts {@link configured} and {@link stated} in force. `burst` is in the unit of the limit. */
  apply(burst: number | undefined, now: number): void {
    this.#burst = burst
    const limit = this.limit
    // No window can hold a fraction of a request: 1.5 a second are 2 in 1.33 seconds.
    const whole = Math.ceil(limit)
    const period = guarded(limit > 0 ? (this.kind.period * whole) / limit : this.kind.period)
    const interval = limit > 0 ? period / whole : 0
    const debt = Math.max(this.#paidAt - now, 0)
    if (debt > 0 && this.#interval > 0) this.#paidAt = now + (debt / this.#interval) * interval
    this.#limit = whole
    this.#interval = interval
    this.#window.period = period
    const allowed = this.#burst ?? limit * defaultBurst
    this.#tolerance = this.kind.unit === "requests" ? Math.max(allowed - 1, 0) * interval : allowed * interval
  }

  /** The amount in the window at `now`, use by others included. */
  used(now: number): number {
    this.#window.expire(now)
    return this.#window.total + this.#foreignAt(now)
  }

  /** Whether a request of this cost can ever be admitted. */
  fits(cost: Cost): boolean {
    return this.kind.measure(cost) <= this.#limit
  }

  /** When the pace is ready for the next admission. */
  get dueAt(): number {
    return this.kind.paced ? this.#paidAt - this.#tolerance : Number.NEGATIVE_INFINITY
  }

  /** The earliest time from `now` on at which both window and pace allow a request of this cost. */
  availableAt(cost: Cost, now: number): number {
    const amount = this.kind.measure(cost)
    const at = this.#window.availableAt(amount, this.#limit - this.#foreignAt(now), now)
    const without =
      at > this.#foreignUntil && at > now
        ? Math.max(this.#foreignUntil, this.#window.availableAt(amount, this.#limit, now))
        : at
    return Math.max(without, this.dueAt)
  }

  /** Books an admission at `now` that was due at `due`, which is earlier if the timer fired late. */
  take(cost: Cost, now: number, due: number): Slot {
    const amount = this.kind.measure(cost)
    this.#paidAt = Math.max(this.#paidAt, due) + amount * this.#interval
    return this.#window.add(amount, now)
  }

  /** Notes that an admission took place only at `now`. */
  delay(slot: Slot, now: number): void {
    this.#window.delay(slot, now)
  }

  /** Corrects an admission at its own time, in window and pace. */
  adjust(slot: Slot, delta: number): void {
    if (delta !== 0 && this.#window.adjust(slot, delta)) this.#paidAt += delta * this.#interval
  }

  /** Starts the pace afresh at `at`, with no burst. */
  restart(at: number): void {
    this.#paidAt = Math.max(this.#paidAt, at + this.#tolerance)
  }

  /**
   * Notes that the server has `remaining` left. What is missing beyond our own window, in which all that is
   * in flight is included, others have used; it counts until the server's reset. The newest word holds.
   */
  resynchronise(remaining: number, resetAfter: number | undefined, now: number): void {
    this.#window.expire(now)
    this.#foreign = Math.max(0, this.limit - remaining - this.#window.total)
    this.#foreignUntil = now + Math.min(resetAfter ?? this.kind.period, this.kind.period)
  }

  #foreignAt(now: number): number {
    return now < this.#foreignUntil ? this.#foreign : 0
  }
}
