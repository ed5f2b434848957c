/** How a run is stopped: nothing more is sent, and what has been sent may still be answered, for it is paid for. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as RateLimiter from "../RateLimiter.js"

/** How long a stopped run waits for its answers: people who press Ctrl-C expect it to stop. */
const patienceMs = 1_000
const pollMs = 20

export interface Drain {
  /** The limiter, which lets nothing more through once the run is being stopped. */
  readonly limiter: RateLimiter.Service
  /** Runs the effect; interrupted, it first lets the calls in flight end. */
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** A way to stop what goes through this limiter. */
export const make = (limiter: RateLimiter.Service): Drain => {
  let stopping = false
  let inFlight = 0

  const withPermit: RateLimiter.Service["withPermit"] = (domain, cost, use) =>
    limiter.withPermit(domain, cost, (permit) =>
      Effect.suspend(() => {
        if (stopping) return Effect.never
        inFlight++
        return Effect.ensuring(
          use(permit),
          Effect.sync(() => inFlight--)
        )
      })
    )

  const emptied = (polls: number): Effect.Effect<void> =>
    Effect.suspend(() =>
      inFlight === 0 || polls === 0 ? Effect.void : Effect.zipRight(Effect.sleep(pollMs), emptied(polls - 1))
    )
  const drained = Effect.suspend(() => {
    stopping = true
    // the last answers are still on their way into the output when their calls have ended
    return inFlight === 0 ? Effect.void : Effect.zipRight(emptied(patienceMs / pollMs), Effect.sleep(pollMs))
  })

  // A daemon: a child would be interrupted together with its parent. And whoever is interrupted can wait only where
  // nothing can interrupt it: the polls are counted, not timed out.
  const run: Drain["run"] = (effect) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.forkDaemon(Effect.interruptible(effect)), (fiber) =>
        Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.zipRight(drained, Fiber.interrupt(fiber)))
      )
    )

  return { limiter: { ...limiter, withPermit }, run }
}
