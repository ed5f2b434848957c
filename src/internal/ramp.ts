/**
 * The pace after a pause, for a domain that states none: without one, all who waited would start at once, and a
 * server that had just asked for quiet would meet a herd.
 *
 * It starts with what the server last bore: the pace at which attempts started before the pause, times the share of
 * them that the server took; a few refusals among many answers leave the pace as it was. From there it doubles each
 * second, until it no longer holds anything up.
 */

/** The slowest start, in milliseconds from one admission to the next; also where nothing was answered. */
const slowest = 100
/** In milliseconds. */
const doubling = 1_000
/** Shorter times than this say nothing of a pace, in milliseconds. */
const shortest = 20
/** A server that takes this share was not asked too fast. */
const mostlyTaken = 0.8

export class Ramp {
  /** Whether the ramp still holds anything up. */
  active = false
  /** When the next may start. */
  dueAt = Number.NEGATIVE_INFINITY
  /** When the domain was last opened: at its first attempt, or at the end of a pause. */
  #openedAt: number | undefined
  #lastStart = 0
  #started = 0
  #answered = 0
  #refused = 0
  /** From one start to the next: before the pause, and at the opening; in milliseconds. */
  #intervalBefore = slowest
  #startInterval: number | undefined

  /** An attempt brought an answer. */
  answered(): void {
    this.#answered++
  }

  /** The server refused an attempt for want of room. */
  refused(): void {
    this.#refused++
  }

  /** A pause begins, or one that is under way gets longer. */
  pause(now: number, until: number): void {
    if (this.#openedAt !== undefined && this.#openedAt <= now && this.#started > 0) {
      this.#intervalBefore = this.active
        ? this.#interval(now)
        : Math.max(this.#lastStart - this.#openedAt, shortest) / this.#started
      this.#started = 0
    }
    this.#openedAt = until
    this.#startInterval = undefined
    this.active = true
    this.dueAt = until
  }

  /** An attempt starts at `now`, at most `lateness` after its time. */
  started(now: number, lateness: number): void {
    this.#openedAt ??= now
    this.#lastStart = now
    this.#started++
    if (!this.active) return
    if (this.#startInterval === undefined) {
      const taken = this.#answered / Math.max(1, this.#answered + this.#refused)
      const interval = taken > mostlyTaken ? this.#intervalBefore : this.#intervalBefore / taken
      this.#startInterval = Math.min(slowest, interval)
      this.#answered = 0
      this.#refused = 0
    }
    const interval = this.#interval(now)
    this.dueAt = Math.max(this.dueAt, now - lateness) + interval
    if (interval < 1) this.active = false
  }

  #interval(now: number): number {
    return (this.#startInterval ?? slowest) * 2 ** (-(now - (this.#openedAt ?? now)) / doubling)
  }
}
