/**
 * Gathers what many fibers ask for one at a time into calls for many at once.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"

/**
 * A function for one item over a function for many. Items that arrive while a call is under way, or in the same
 * turn of the scheduler, share the next call: no timer, no delay when idle, and ever larger calls under load.
 * `many` answers in the order of its items. Calls run in the scope, so that an interrupted asker takes no other
 * down.
 */
export const coalesce = <I, A, E>(
  many: (items: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<A>, E>,
  options: { readonly most: number }
): Effect.Effect<(item: I) => Effect.Effect<A, E>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const waiting: Array<{ readonly item: I; readonly deferred: Deferred.Deferred<A, E> }> = []
    let running = false

    const done = (group: typeof waiting, exit: Exit.Exit<ReadonlyArray<A>, E>): void => {
      for (const [i, { deferred }] of group.entries()) {
        // `many` gives one answer for each item
        Deferred.unsafeDone(
          deferred,
          exit._tag === "Success" ? Effect.succeed(exit.value[i] as A) : Effect.failCause(exit.cause)
        )
      }
    }
    const drain: Effect.Effect<void> = Effect.suspend(() => {
      if (waiting.length === 0) {
        running = false
        return Effect.void
      }
      const group = waiting.splice(0, options.most)
      return Effect.flatMap(Effect.exit(many(group.map(({ item }) => item))), (exit) => {
        done(group, exit)
        return drain
      })
    })
    // One yield first: fibers that were woken together ask together. Uninterruptible from the flag to the fork:
    // an asker interrupted in between would leave the flag up and nobody running.
    const start = Effect.uninterruptible(
      Effect.suspend(() => {
        if (running) return Effect.void
        running = true
        return Effect.forkIn(Effect.interruptible(Effect.zipRight(Effect.yieldNow(), drain)), scope)
      })
    )

    return (item) =>
      Effect.suspend(() => {
        const deferred = Deferred.unsafeMake<A, E>(FiberId.none)
        waiting.push({ item, deferred })
        const answer = Deferred.await(deferred)
        return running ? answer : Effect.zipRight(start, answer)
      })
  })
