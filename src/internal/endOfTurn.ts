/**
 * The end of the event loop's turn, when all who ask together have asked: answers that arrive in one read of many
 * sockets, and timers that fire together, wake their fibers one after the other, and a yield to other fibers would not
 * see the next of them.
 */
import * as Effect from "effect/Effect"

export const endOfTurn: Effect.Effect<void> = Effect.async<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})
