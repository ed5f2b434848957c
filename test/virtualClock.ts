/**
 * A clock whose time jumps to whoever sleeps next as soon as nothing else is to be done. For programs of thousands of
 * sleeps, each of which takes the test clock milliseconds; nothing in them may wait for the world outside.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

class VirtualClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  #now = 0
  /** The next is the last. */
  #sleepers: Array<Sleeper> = []
  #isDue = false

  unsafeCurrentTimeMillis = () => this.#now
  unsafeCurrentTimeNanos = () => BigInt(Math.round(this.#now * 1_000_000))
  currentTimeMillis = Effect.sync(this.unsafeCurrentTimeMillis)
  currentTimeNanos = Effect.sync(this.unsafeCurrentTimeNanos)

  sleep = (duration: Duration.Duration) =>
    Effect.async<void>((resume) => {
      const sleeper = { at: this.#now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      let place = this.#sleepers.length
      while (place > 0 && (this.#sleepers[place - 1] as Sleeper).at <= sleeper.at) place--
      this.#sleepers.splice(place, 0, sleeper)
      this.#jumpLater()
      return Effect.sync(() => {
        const place = this.#sleepers.indexOf(sleeper)
        if (place >= 0) this.#sleepers.splice(place, 1)
      })
    })

  stop(): void {
    this.#sleepers = []
  }

  /** Fibers run in microtasks: two rounds of the event loop later all of them wait. */
  #jumpLater(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => setImmediate(() => this.#jump()))
  }

  #jump(): void {
    this.#isDue = false
    const next = this.#sleepers.at(-1)
    if (next === undefined) return
    this.#now = next.at
    while (this.#sleepers.at(-1)?.at === this.#now) this.#sleepers.pop()?.wake()
    if (this.#sleepers.length > 0) this.#jumpLater()
  }
}

/** Runs on a clock of its own that begins at zero; gives the result and how long it took by that clock. */
export const timed = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<{ readonly value: A; readonly millis: number }, E, R> =>
  Effect.suspend(() => {
    const clock = new VirtualClock()
    return effect.pipe(
      Effect.map((value) => ({ value, millis: clock.unsafeCurrentTimeMillis() })),
      Effect.ensuring(Effect.sync(() => clock.stop())),
      Effect.withClock(clock)
    )
  })
