/** One timer, set to the earliest of the times that it was asked for. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"

/** The time as those who ask have it. */
export interface Timing {
  readonly clock: Clock.Clock
  /** Begins an effect in a fiber of its own. */
  readonly run: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
}

export class Alarm {
  readonly #ring: () => void
  #at = Number.POSITIVE_INFINITY
  #sleeper: Fiber.RuntimeFiber<void> | undefined

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** Rings at this time (epoch milliseconds) at the latest, unless it is stopped before. */
  set(at: number, { clock, run }: Timing): void {
    if (at >= this.#at) return
    this.stop()
    this.#at = at
    const millis = Math.max(Math.ceil(at - clock.unsafeCurrentTimeMillis()), 1)
    const ring = Effect.map(clock.sleep(Duration.millis(millis)), () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#sleeper = undefined
      this.#ring()
    })
    // those who ask may not be interrupted, and what they wait for is
    this.#sleeper = run(Effect.interruptible(ring))
  }

  stop(): void {
    this.#at = Number.POSITIVE_INFINITY
    this.#sleeper?.unsafeInterruptAsFork(FiberId.none)
    this.#sleeper = undefined
  }
}
