#!/usr/bin/env node
/** The command line. Exit codes: 0 done, 1 some requests failed, 2 bad usage or input, 130 interrupted. */
import { createRequire } from "node:module"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { dispatch } from "./dispatch.js"

// beside src and dist alike, and outside of both: the compiler must not copy it
const { version }: { readonly version: string } = createRequire(import.meta.url)("../../package.json")

const exitWith = (code: number) =>
  Effect.sync(() => {
    process.exitCode = code
  })

// whoever reads them may leave first, as `head` does: that is no reason to stop. A full disk is one to say so
let unwritten: Error | undefined
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") unwritten ??= error
})
process.stderr.on("error", () => {})

dispatch(process.argv.slice(2), version).pipe(
  Effect.matchEffect({
    onSuccess: exitWith,
    onFailure: (message) =>
      Effect.zipRight(
        Effect.sync(() => void process.stderr.write(message)),
        exitWith(2)
      )
  }),
  // reported here, where logs go to stderr
  Effect.tapDefect((cause) => Effect.logError("This should not happen", cause)),
  Effect.provide(
    Layer.merge(
      NodeContext.layer,
      Logger.replace(Logger.defaultLogger, Logger.prettyLogger({ stderr: true }))
    )
  ),
  NodeRuntime.runMain({
    disablePrettyLogger: true,
    disableErrorReporting: true,
    teardown: (exit, onExit) =>
      // a write that has failed says so in the next turn
      setImmediate(() => {
        if (unwritten !== undefined) {
          process.stderr.write(`floodgate: Cannot write the standard output: ${unwritten.message}\n`)
          return onExit(2)
        }
        if (Exit.isSuccess(exit)) return onExit(Number(process.exitCode ?? 0))
        onExit(Cause.isInterruptedOnly(exit.cause) ? 130 : 1)
      })
  })
)
