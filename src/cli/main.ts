#!/usr/bin/env node
/** The command line. Exit codes: 0 done, 1 some requests failed, 2 bad usage or input, 130 interrupted. */
import { createRequire } from "node:module"
import * as CliConfig from "@effect/cli/CliConfig"
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
import { CliError } from "./CliError.js"
import * as Help from "./help.js"
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

const purpose = "Send many prompts to language models: in order, paid once, as fast as they allow"

const topics: ReadonlyArray<Help.Topic> = [
  {
    name: "batch",
    usage: "floodgate batch INPUT --output FILE [options]",
    purpose: "Answer a file of requests. Run again, the same command does only what is missing",
    help: () => Command.getHelp(batchCommand, CliConfig.defaultConfig)
  },
  {
    name: "simulate",
    usage: "floodgate simulate [options]",
    purpose: "Start a local server that speaks OpenAI's API, with limits, latency, faults and a billing log",
    help: () => Command.getHelp(simulateCommand, CliConfig.defaultConfig)
  }
]

const topicOf = (arg: string | undefined) => topics.find(({ name }) => name === arg)

const floodgate = Command.make("floodgate").pipe(
  Command.withDescription(purpose),
  Command.withSubcommands([batch, simulate])
)

// beside src and dist alike, and outside of both: the compiler must not copy it
const { version }: { readonly version: string } = createRequire(import.meta.url)("../../package.json")

const run = Command.run(floodgate, { name: "floodgate", version })

/** Explains itself where asked to, and names what the parser's own messages leave unnamed. */
const parsed = Effect.suspend(() => {
  const given = process.argv.slice(2)
  const [first] = given
  if (first === undefined || first === "--help" || first === "-h")
    return print(Help.overview(purpose, topics))
  // options of every command may come before its name
  const at = first.startsWith("--") ? given.findIndex((arg) => topicOf(arg) !== undefined) : 0
  const topic = topicOf(given[at])
  if (topic === undefined) {
    return first.startsWith("--")
      ? run(process.argv)
      : new CliError({ message: `there is no command "${first}": try batch, simulate or --help` })
  }
  const { args, asksForHelp, unknown } = Help.read(topic, given.slice(at + 1), standardInput)
  if (asksForHelp) return print(Help.explain(topic))
  return unknown === undefined
    ? run([...process.argv.slice(0, 2 + at + 1), ...args])
    : new CliError({ message: `unknown option ${unknown}: floodgate ${topic.name} --help lists them all` })
})

const print = (text: string) => Effect.sync(() => void process.stdout.write(text))

// whoever reads them may leave first, as `head` does: that is no reason to stop
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})

parsed.pipe(
  Effect.catchAll((error) => {
    // the parser has printed its own
    if (ValidationError.isValidationError(error)) return exitWith(2)
    return Effect.zipRight(
      Effect.sync(() => void process.stderr.write(`floodgate: ${error.message}\n`)),
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
    teardown: (exit, onExit) => {
      if (Exit.isSuccess(exit)) return onExit(Number(process.exitCode ?? 0))
      onExit(Cause.isInterruptedOnly(exit.cause) ? 130 : 1)
    }
  })
)
