/**
 * The pace that a server bears, for a domain whose server does not state one. It is learned from refusals alone: a
 * domain that was never refused has none.
 *
 * After a refusal, attempts start a little slower than the server took them before. From there the pace grows as TCP's
 * window does in CUBIC (RFC 9438): it comes back to what was borne, stays near it for some seconds, and then looks for
 * more, faster and faster, until it no longer holds anything up. So a server that keeps to a limit is seldom asked for
 * more than that, and one that restores a limit is soon asked for all of it again.
 */

/** Where nothing is known of the pace: from one admission to the next after a pause, in milliseconds; halved each second. */
const unknown = 100
/** The slowest start, in milliseconds from one admission to the next. */
const slowest = 1_000
/** Shorter times than this say nothing of a pace, in milliseconds. */
const shortest = 20
/** Over about this time it is told how fast attempts started, in milliseconds. */
const memory = 5_000
/** A server that takes this share of what it is sent was not asked much too fast. */
const mostlyTaken = 0.8
/** Where the pace begins after a refusal, as a share of what was borne. */
const decrease = 0.9
/** When it is back at what was borne, in seconds. */
const plateau = 5
const growth = (1 - decrease) / plateau ** 3
/** From here on it doubles each second: the limit that was met is not there any more. */
const doublesFrom = 15

/** The pace at some time after a refusal, in seconds, as a multiple of what was borne. */
const multipleAt = (seconds: number): number => {
  const within = Math.min(seconds, doublesFrom)
  return (1 + growth * (within - plateau) ** 3) * 2 ** (seconds - within)
}

export class Ramp {
  /** Whether the ramp still holds anything up. */
  active = false
  /** When the next may start. */
  dueAt = Number.NEGATIVE_INFINITY
  /** When the domain was last opened: at its first attempt, or at the end of a pause. */
  #openedAt: number | undefined
  #lastStart = 0
  /** Attempts since then, and the same with the older ones fading. */
  #started = 0
  #recent = 0
  /** Those of them that were refused; they were admitted at this time or later. */
  #refused = 0
  #countedFrom = Number.NEGATIVE_INFINITY
  /** Whether no attempt has started since the last pause began. */
  #isPaused = false
  /** From one start to the next, refused ones included, before the pause; and as the server bore it. In milliseconds. */
  #intervalBefore: number | undefined
  #borne: number | undefined

  /** The server refused, for want of room, an attempt that was admitted at `admittedAt`. */
  refused(admittedAt: number): void {
    if (admittedAt >= this.#countedFrom) this.#refused++
  }

  /** A pause begins, or one that is under way gets longer. */
  pause(now: number, until: number): void {
    if (!this.#isPaused && this.#openedAt !== undefined && this.#openedAt <= now && this.#started > 0) {
      const length = Math.max(this.#lastStart - this.#openedAt, shortest)
      const measured = (memory * (1 - Math.exp(-length / memory))) / this.#recent
      // so short a time may say little
      this.#intervalBefore = this.active ? Math.max(measured, this.#interval(this.#lastStart)) : measured
      this.#isPaused = true
    }
    this.#openedAt = until
    this.active = true
    this.dueAt = until
  }

  /** An attempt starts at `now`, at most `lateness` after its time. */
  started(now: number, lateness: number): void {
    this.#openedAt ??= now
    if (this.#isPaused) this.#restart(now)
    this.#recent = this.#recent * Math.exp((this.#lastStart - now) / memory) + 1
    this.#lastStart = now
    this.#started++
    if (!this.active) return
    const interval = this.#interval(now)
    this.dueAt = Math.max(this.dueAt, now - lateness) + interval
    if (interval < 1) this.active = false
  }

  /** The pause is over, and all is known that came of the attempts before it. */
  #restart(now: number): void {
    // half an attempt was taken at the least, or there would be no way back
    const taken = Math.max(this.#started - this.#refused, 0.5) / this.#started
    if (this.#intervalBefore !== undefined) {
      this.#borne = Math.min(slowest, this.#intervalBefore / (taken > mostlyTaken ? 1 : taken))
    }
    this.#isPaused = false
    this.#started = 0
    this.#recent = 0
    this.#refused = 0
    this.#countedFrom = now
  }

  #interval(now: number): number {
    const seconds = Math.max(0, now - (this.#openedAt ?? now)) / 1_000
    return this.#borne === undefined ? unknown / 2 ** seconds : this.#borne / multipleAt(seconds)
  }
}
