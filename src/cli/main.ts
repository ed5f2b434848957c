#!/usr/bin/env node
/** The command line. Exit codes: 0 done, 1 some requests failed, 2 bad usage or input, 130 interrupted. */
import { createRequire } from "node:module"
import * as Command from "@effect/cli/Command"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { batchCommand } from "./batchCommand.js"
import { standardInput } from "./inputFile.js"
import { simulateCommand } from "./simulateCommand.js"

const exitWith = (code: number) =>
  Effect.sync(() => {
    process.exitCode = code
  })

const batch = Command.withHandler(batchCommand, (flags) =>
  Effect.promise(() => import("./runBatch.js")).pipe(
    Effect.flatMap(({ runBatch }) => Effect.scoped(runBatch(flags))),
    Effect.flatMap(exitWith)
  )
)

const simulate = Command.withHandler(simulateCommand, (flags) =>
  Effect.promise(() => import("./runSimulate.js")).pipe(
    Effect.flatMap(({ runSimulate }) => Effect.scoped(runSimulate(flags)))
  )
)

const floodgate = Command.make("floodgate").pipe(
  Command.withDescription("Send many prompts to language models: in order, paid once, as fast as they allow"),
  Command.withSubcommands([batch, simulate])
)

// beside src and dist alike, and outside of both: the compiler must not copy it
const { version }: { readonly version: string } = createRequire(import.meta.url)("../../package.json")

const run = Command.run(floodgate, { name: "floodgate", version })

// the parser takes a lone dash for the end of the options
const argv = process.argv.map((arg) => (arg === "-" ? standardInput : arg))

// whoever reads them may leave first, as `head` does: that is no reason to stop
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})

run(argv).pipe(
  Effect.catchAll((error) => {
    // the parser has printed its own
    if (ValidationError.isValidationError(error)) return exitWith(2)
    return Effect.zipRight(
      Effect.sync(() => void process.stderr.write(`floodgate: ${error.message}\n`)),
      exitWith(2)
    )
  }),
  Effect.provide(
    Layer.merge(
      NodeContext.layer,
      Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.prettyLogger()))
    )
  ),
  NodeRuntime.runMain({
    disablePrettyLogger: true,
    teardown: (exit, onExit) => {
      if (Exit.isSuccess(exit)) return onExit(Number(process.exitCode ?? 0))
      onExit(Cause.isInterruptedOnly(exit.cause) ? 130 : 1)
    }
  })
)
