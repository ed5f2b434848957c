/** The bench's provider: a simulator in a process of its own. It is told its options, and tells its URL. */
import * as Effect from "effect/Effect"
import * as Simulator from "floodgate/Simulator"

const options: Simulator.Options = JSON.parse(process.argv[2] ?? "{}")

Effect.runFork(
  Effect.scoped(
    Effect.flatMap(Simulator.make(options), ({ url }) =>
      Effect.zipRight(
        Effect.sync(() => process.send?.(url)),
        Effect.never
      )
    )
  )
)
process.on("disconnect", () => process.exit())
