/**
 * What a run says on stderr while it goes on: how it gets on, drawn anew on a terminal and line by line elsewhere, and
 * between that notes and logs, none of which garbles the other.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Service as Progress } from "../Progress.js"
import * as ProgressLines from "./progressLines.js"
import type { Mode } from "./progressModes.js"
import * as ProgressScreen from "./progressScreen.js"
import { paintFor } from "./progressStyle.js"

const redrawInterval = "200 millis"
const lineInterval = "5 seconds"
const jsonInterval = "1 second"

export interface Display {
  /** Whether all that is said is JSON, one object a line. */
  readonly isJson: boolean
  /** Writes whole lines, above what is drawn. */
  readonly print: (text: string) => void
  /** Shows the progress until the scope closes; what was drawn is taken away then. */
  readonly show: (progress: Progress) => Effect.Effect<void, never, Scope.Scope>
}

/** What a terminal can do that does not call itself dumb. */
const canRedraw = (stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): boolean =>
  stream.isTTY === true && env.TERM !== "dumb"

export const make = (
  options: { readonly mode: Mode; readonly stats: boolean },
  stream: NodeJS.WriteStream,
  env: NodeJS.ProcessEnv
): Display => {
  const mode = options.mode === "auto" ? (canRedraw(stream, env) ? "bar" : "plain") : options.mode
  let screen: ProgressScreen.Screen | undefined
  const write = (text: string) => void stream.write(text)

  const draw = (progress: Progress): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen(function* () {
      const opened = yield* Effect.acquireRelease(
        Effect.sync(() => ProgressScreen.make(stream)),
        (opened) =>
          Effect.sync(() => {
            screen = undefined
            opened.close()
          })
      )
      screen = opened
      const paint = paintFor(stream, env)
      const redraw = Effect.map(progress.snapshot, (snapshot) =>
        opened.draw(
          ProgressLines.lines(snapshot, {
            width: stream.columns || 80,
            height: stream.rows || 24,
            paint,
            stats: options.stats
          })
        )
      )
      yield* Effect.forkScoped(Effect.forever(Effect.zipRight(redraw, Effect.sleep(redrawInterval))))
    })

  const printJson = (progress: Progress) =>
    Effect.map(progress.snapshot, (snapshot) =>
      write(`${JSON.stringify({ type: "progress", ...snapshot })}\n`)
    )
  const printLine = (progress: Progress) =>
    Effect.map(progress.snapshot, (snapshot) => write(`${ProgressLines.line(snapshot)}\n`))

  const show: Display["show"] = (progress) => {
    switch (mode) {
      case "none":
        return Effect.void
      case "bar":
        return draw(progress)
      case "plain":
        return Effect.asVoid(
          Effect.forkScoped(Effect.forever(Effect.delay(printLine(progress), lineInterval)))
        )
      case "json":
        return Effect.zipRight(
          // a program that reads along sees the end as well
          Effect.addFinalizer(() => printJson(progress)),
          Effect.asVoid(Effect.forkScoped(Effect.forever(Effect.delay(printJson(progress), jsonInterval))))
        )
    }
  }

  return {
    isJson: mode === "json",
    print: (text) => (screen === undefined ? write(text) : screen.print(text)),
    show
  }
}
