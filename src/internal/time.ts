/** The time as the limiter's synchronous parts see it: milliseconds that never run backwards, and timers on them. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"

/** The time, in milliseconds, never running backwards, and timers on it. */
export interface Time {
  readonly now: () => number
  readonly makeTimer: (fire: () => void) => Timer
}

/** Fires once after each start, unless it is started anew or stopped before. */
export interface Timer {
  readonly start: (millis: number) => void
  readonly stop: () => void
}

/** How late a timer may fire and still have its delay made good, as a busy event loop does it. */
export const maxLateness = 100
/**
 * The shortest sleep until a request is due: a fast pace admits several after each, and what it slept over is made
 * good. To wake a process costs as much as to admit a request.
 */
export const minSleep = 4
/** The longest single sleep: longer waits take several, well below what timers can hold. */
export const maxSleep = 3_600_000

/** The time by the clock of the fiber that asks for it. */
export const makeTime: Effect.Effect<Time> = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const origin = clock.unsafeCurrentTimeNanos()
  let latest = 0
  return {
    now: () => {
      latest = Math.max(latest, Number(clock.unsafeCurrentTimeNanos() - origin) / 1_000_000)
      return latest
    },
    // A fiber that sleeps, fires, and sleeps again if firing started it anew, which under load it always does.
    makeTimer: (fire) => {
      let sleeper: Fiber.RuntimeFiber<void> | undefined
      let generation = 0
      let firing = false
      let next: number | undefined
      const sleep = (millis: number, mine: number): Effect.Effect<void> =>
        Effect.flatMap(clock.sleep(Duration.millis(millis)), () => {
          if (mine !== generation) return Effect.void
          next = undefined
          firing = true
          fire()
          firing = false
          if (next !== undefined) return sleep(next, mine)
          sleeper = undefined
          return Effect.void
        })
      const stop = () => {
        generation++
        sleeper?.unsafeInterruptAsFork(FiberId.none)
        sleeper = undefined
      }
      return {
        start: (millis) => {
          if (firing) {
            next = millis
          } else {
            stop()
            sleeper = runFork(sleep(millis, generation))
          }
        },
        stop
      }
    }
  }
})
