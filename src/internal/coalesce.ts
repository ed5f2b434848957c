/**
 * Gathers what many fibers ask for one at a time into calls for many at once.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import { endOfTurn } from "./endOfTurn.js"

/** Who waits for the answer to an item. Lighter than a `Deferred`: one fiber waits, once. */
interface Asker<I, A, E> {
  readonly item: I
  answer: Effect.Effect<A, E> | undefined
  resume: ((answer: Effect.Effect<A, E>) => void) | undefined
}

/**
 * A function for one item over a function for many. Items that arrive while a call is under way, or in the same
 * turn of the event loop, share the next call: no timer, no delay when idle, and ever larger calls under load.
 * `many` answers in the order of its items. Calls run in the scope, so that an interrupted asker takes no other
 * down; when the scope closes, those who wait are interrupted.
 */
export const coalesce = <I, A, E>(
  many: (items: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<A>, E>,
  options: { readonly most: number }
): Effect.Effect<(item: I) => Effect.Effect<A, E>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const waiting: Array<Asker<I, A, E>> = []
    let group: ReadonlyArray<Asker<I, A, E>> = []
    let running = false

    const done = (exit: Exit.Exit<ReadonlyArray<A>, E>): void => {
      for (const [i, asker] of group.entries()) {
        // `many` gives one answer for each item
        asker.answer =
          exit._tag === "Success" ? Effect.succeed(exit.value[i] as A) : Effect.failCause(exit.cause)
        asker.resume?.(asker.answer)
      }
      group = []
    }
    const drain: Effect.Effect<void> = Effect.suspend(() => {
      if (waiting.length === 0) {
        running = false
        return Effect.void
      }
      group = waiting.splice(0, options.most)
      const call = Effect.suspend(() => many(group.map(({ item }) => item)))
      return Effect.flatMap(Effect.exit(call), (exit) => {
        done(exit)
        return drain
      })
    })
    const closed = Effect.sync(() => {
      group = [...group, ...waiting.splice(0)]
      running = false
      done(Exit.interrupt(FiberId.none))
    })
    // Uninterruptible from the flag to the fork: an asker interrupted in between would leave the flag up and nobody
    // running.
    const start = Effect.uninterruptible(
      Effect.suspend(() => {
        if (running) return Effect.void
        running = true
        const run = Effect.interruptible(Effect.zipRight(endOfTurn, drain))
        return Effect.forkIn(
          Effect.onInterrupt(run, () => closed),
          scope
        )
      })
    )

    return (item) =>
      Effect.suspend(() => {
        const asker: Asker<I, A, E> = { item, answer: undefined, resume: undefined }
        waiting.push(asker)
        const answer = Effect.async<A, E>((resume) => {
          if (asker.answer === undefined) asker.resume = resume
          else resume(asker.answer)
        })
        return running ? answer : Effect.zipRight(start, answer)
      })
  })
