// @ts-check
/**
 * The main job on this machine alone: a simulated provider that fails now and then, a file of prompts, and
 * `floodgate batch` three times. `npm run demo` builds the package and runs this.
 *
 * Prints each command, what it says, and what the provider's billing log says of it: 42 answers paid for once,
 * then none at all.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Command from "@effect/platform/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

const floodgate = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url))
const project = fileURLToPath(new URL("..", import.meta.url))
const folder = ".floodgate/demo"

/**
 * The command line as a user types it, shown before it is run.
 *
 * @param {ReadonlyArray<string>} args
 */
const command = (args) => {
  const typed = args.map((arg) => (/^[\w./:=%-]+$/.test(arg) ? arg : `'${arg}'`)).join(" ")
  return Effect.as(
    Console.log(`\n$ floodgate ${typed}`),
    Command.make(process.execPath, floodgate, ...args).pipe(Command.workingDirectory(project))
  )
}

/** Starts a provider, which ends with the scope, and gives its base URL. */
const startProvider = Effect.gen(function* () {
  const faults = ["--fault", "500=10%", "--fault", "429=5%:1s", "--fault", "reset=5%"]
  const simulate = yield* command(["simulate", "--port", "0", "--latency", "200ms..1500ms", ...faults])
  const { stdout } = yield* Command.start(simulate)
  // the address stands in the line that users copy
  const url = yield* Stream.decodeText(stdout).pipe(
    Stream.splitLines,
    Stream.filterMap((line) => Option.fromNullable(/OPENAI_BASE_URL=(\S+)/.exec(line)?.[1])),
    Stream.runHead,
    Effect.flatten
  )
  yield* Console.log(`It answers at ${url}`)
  return url
})

/**
 * Answers the prompts into a file, as a user would.
 *
 * @param {string} url
 * @param {string} output
 */
const runBatch = (url, output) =>
  Effect.gen(function* () {
    const files = ["--output", `${folder}/${output}`, "--cache", `${folder}/cache.db`]
    const args = ["examples/prompts.jsonl", "--prompt", "{{question}}", "--model", "sim-1", ...files]
    const batch = yield* command(["batch", ...args, "--concurrency", "16"])
    const code = yield* batch.pipe(
      Command.env({ OPENAI_BASE_URL: url, OPENAI_API_KEY: "any-key" }),
      Command.stdout("inherit"),
      Command.stderr("inherit"),
      Command.exitCode
    )
    if (code !== 0) yield* Effect.fail(`floodgate batch ended with exit code ${code}`)
  })

/**
 * What the provider has on its books so far, in one line.
 *
 * @param {string} url
 */
const bill = (url) =>
  Effect.promise(async () => {
    const response = await fetch(new URL("/__log?summary=1", url))
    /** @type {import("floodgate/Simulator").Summary} */
    const { answeredMoreThanOnce, charged, requests, successes } = JSON.parse(await response.text())
    const failed = requests - successes
    return `The provider's books: ${requests} requests, ${failed} failed, ${charged} charged, ${answeredMoreThanOnce} answered twice`
  })

const demo = Effect.gen(function* () {
  yield* Effect.sync(() => {
    rmSync(`${project}/${folder}`, { recursive: true, force: true })
    mkdirSync(`${project}/${folder}`, { recursive: true })
  })
  yield* Console.log("1. A provider to practise on: slow, and one request in five fails")
  const url = yield* startProvider

  yield* Console.log("\n2. All prompts, every answer in order")
  yield* runBatch(url, "answers.jsonl")
  yield* Console.log(yield* Effect.map(bill(url), (line) => `\n${line}`))
  const [first = ""] = readFileSync(`${project}/${folder}/answers.jsonl`, "utf8").split("\n")
  yield* Console.log(`The first line of the output:\n${first}`)

  yield* Console.log("\n3. The same command again: the output file is its own checkpoint")
  yield* runBatch(url, "answers.jsonl")
  yield* Console.log(yield* Effect.map(bill(url), (line) => `\n${line}`))

  yield* Console.log("\n4. Another output: the cache has the answers")
  yield* runBatch(url, "again.jsonl")
  yield* Console.log(yield* Effect.map(bill(url), (line) => `\n${line}`))

  yield* Console.log(`\nThree runs, one bill. The files are in ${folder}`)
})

demo.pipe(Effect.scoped, Effect.provide(NodeContext.layer), NodeRuntime.runMain)
