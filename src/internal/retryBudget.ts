/**
 * How many retries a limit domain can afford, so that an outage does not multiply its traffic.
 *
 * Each retry costs one; each answer earns two, up to a hundred in hand; and one is given each second, which is what
 * finds out that an outage is over. Stray failures never feel it. When everything fails, one retry a second is left;
 * when the first of them is answered, those who wait follow in the order in which they came, twice as many with each
 * answer.
 */
import * as Effect from "effect/Effect"

const most = 100
const perAnswer = 2

export class RetryBudget {
  #left = most
  #ticking = false
  // a Set keeps the order of insertion
  readonly #waiting = new Set<(turn: Effect.Effect<void>) => void>()

  /** An answer came. */
  earn(): void {
    this.#give(perAnswer)
  }

  /** Takes one retry; waits for its turn if there is none in hand. */
  readonly take: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#left >= 1) {
      this.#left--
      return Effect.void
    }
    const turn = Effect.async<void>((resume) => {
      this.#waiting.add(resume)
      return Effect.sync(() => this.#waiting.delete(resume))
    })
    return this.#ticking ? turn : Effect.zipRight(this.#tick, turn)
  })

  #give(retries: number): void {
    this.#left = Math.min(most, this.#left + retries)
    for (const resume of this.#waiting) {
      if (this.#left < 1) break
      this.#left--
      this.#waiting.delete(resume)
      resume(Effect.void)
    }
  }

  /**
   * Gives one each second, for as long as anybody waits: whoever asked first may leave before the others. Uninterruptible
   * from the flag to the fork: who is interrupted in between would leave the flag up and nobody to give.
   */
  readonly #tick: Effect.Effect<void> = Effect.uninterruptible(
    Effect.suspend(() => {
      if (this.#ticking) return Effect.void
      this.#ticking = true
      const second: Effect.Effect<void> = Effect.flatMap(Effect.sleep("1 second"), () => {
        this.#give(1)
        this.#ticking = this.#waiting.size > 0
        return this.#ticking ? second : Effect.void
      })
      return Effect.forkDaemon(Effect.interruptible(second))
    })
  )
}
