/** What is said on a terminal while something takes its time, before there is anything to show. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** How long nothing is said. */
const quiet = "1 second"

/** Says this where somebody watches and has waited for a while; takes it back at the end. */
export const whileBusy =
  (text: string, isWanted: boolean) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const { stderr } = process
    if (!isWanted || stderr.isTTY !== true) return work
    return Effect.gen(function* () {
      let isShown = false
      const note = yield* Effect.fork(
        Effect.delay(
          Effect.sync(() => {
            isShown = true
            stderr.write(text)
          }),
          quiet
        )
      )
      const end = Effect.sync(() => {
        if (isShown) stderr.write("\r\u001b[K")
      })
      return yield* Effect.ensuring(work, Effect.zipRight(Fiber.interrupt(note), end))
    })
  }
