/**
 * A million rows: memory, order and speed of `floodgate batch`, of a resumed run and of a full cache, and what two
 * processes do to each other that share one.
 *
 * Figures are of one run each and depend on what else the machine does; the load is printed beside them.
 *
 * `npm run bench:rows` · `npm run bench:rows -- --quick` (a tenth of the rows)
 */
import { mkdtemp, rm } from "node:fs/promises"
import { connect } from "node:net"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { count, report } from "./claim.js"
import type { Plan, Report } from "./rowsChild.js"
import { faultOf, prompt, writeHead, writeInput } from "./rowsFiles.js"
import { child, type Ended, message, start } from "./rowsProcess.js"

const { values: flags } = parseArgs({ options: { quick: { type: "boolean", default: false } } })
const rows = flags.quick ? 100_000 : 1_000_000
const resumedRows = flags.quick ? 10_000 : 100_000

const mostBytes = 400e6
const { end, tell } = report()
const load = (): string => `load ${loadavg()[0]?.toFixed(1)}`
const megabytes = (bytes: number): string => `${count(bytes / 1e6)} MB`
const micros = ({ cpuSeconds }: { readonly cpuSeconds: number }, of: number): string =>
  `${((cpuSeconds * 1e6) / of).toFixed(0)} us CPU each`

const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "floodgate-rows-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

/** Nothing listens there: an answer that does not come from a file is none. */
const nowhere = "http://127.0.0.1:9"

const batch = (origin: string, input: string, output: string, ...more: ReadonlyArray<string>) =>
  Effect.promise(
    () =>
      start(origin, [
        input,
        "-o",
        output,
        "--concurrency",
        "256",
        "--timeout",
        "24h",
        "--no-progress",
        ...more
      ]).ended
  )

const tellOutput = (asked: string, { code, stderr }: Ended, output: string, expected: number) =>
  Effect.map(
    Effect.promise(async () => (code === 0 ? await faultOf(output, expected) : `exit ${code}: ${stderr}`)),
    (fault) =>
      tell({
        asked: `${asked}: the output`,
        seen: fault ?? `${count(expected)} rows, each with its answer, in order`,
        aim: "complete and in input order",
        met: fault === undefined
      })
  )

const tellMemory = (asked: string, { peakRssBytes }: Pick<Ended, "peakRssBytes">) =>
  tell({
    asked: `${asked}: memory`,
    seen: `${megabytes(peakRssBytes)} at most`,
    aim: `< ${megabytes(mostBytes)}`,
    met: peakRssBytes < mostBytes,
    isSpeed: true
  })

/** All rows over HTTP, the first one answered last. */
const overHttp = (input: string, output: string) =>
  Effect.gen(function* () {
    const asked = `${count(rows)} rows, row 0 answered last`
    const server = yield* child("./rowsServer.js", { requests: rows, last: prompt(0) })
    const port = yield* message<number>(server)
    const ended = yield* batch(`http://127.0.0.1:${port}`, input, output)
    yield* tellOutput(asked, ended, output, rows)
    tellMemory(asked, ended)
    tell({
      asked: `${asked}: speed`,
      seen: `${count(rows / ended.seconds)}/s, ${micros(ended, rows)} (${load()})`,
      aim: "none",
      met: true
    })
  }).pipe(Effect.scoped)

/** The same command once more, on an output that is finished. */
const resumed = (input: string, output: string, expected: number, seconds: number | undefined) =>
  Effect.gen(function* () {
    const asked = `${count(expected)} finished rows, run again`
    const ended = yield* batch(nowhere, input, output)
    yield* tellOutput(asked, ended, output, expected)
    tellMemory(asked, ended)
    tell({
      asked: `${asked}: time`,
      seen: `${ended.seconds.toFixed(2)} s, ${ended.cpuSeconds.toFixed(2)} s CPU (${load()})`,
      aim: seconds === undefined ? "none" : `< ${seconds} s`,
      met: seconds === undefined || ended.seconds < seconds,
      isSpeed: true
    })
  })

const inChild = (plan: Plan): Effect.Effect<Report> =>
  Effect.scoped(
    Effect.gen(function* () {
      const process = yield* child("./rowsChild.js", plan)
      yield* message(process)
      return yield* message<Report>(process)
    })
  )

/** All rows out of a cache file: by `batchStream`, and by the command line with all that it does besides. */
const cached = (folder: string, input: string) =>
  Effect.gen(function* () {
    const cache = { filename: join(folder, "cache.sqlite") }
    const filled = yield* inChild({ kind: "fill", rows, concurrency: 1_000, cache })
    tell({
      asked: `${count(rows)} answers stored in SQLite`,
      seen: `${count(rows / filled.seconds)}/s, ${micros(filled, rows)}, ${filled.wrong} wrong (${load()})`,
      aim: "none wrong",
      met: filled.wrong === 0 && filled.calls === rows
    })
    const output = join(folder, "cached.jsonl")
    const replayed = yield* inChild({ kind: "replay", rows, concurrency: 256, cache, output })
    const asked = `${count(rows)} cached answers, batchStream`
    tell({
      asked: `${asked}: answers`,
      seen: `${count(replayed.calls)} asked again, ${count(replayed.wrong)} wrong`,
      aim: "none",
      met: replayed.calls === 0 && replayed.wrong === 0
    })
    tellMemory(asked, replayed)
    tell({
      asked: `${asked}: speed`,
      seen: `${count(rows / replayed.seconds)}/s, ${micros(replayed, rows)} (${load()})`,
      aim: ">= 20,000/s",
      met: rows / replayed.seconds >= 20_000,
      isSpeed: true
    })
    yield* Effect.promise(() => rm(output))
    const byCli = `${count(rows)} cached answers, floodgate batch`
    const ended = yield* batch(nowhere, input, output, "--cache", cache.filename)
    yield* tellOutput(byCli, ended, output, rows)
    tellMemory(byCli, ended)
    tell({
      asked: `${byCli}: speed`,
      seen: `${count(rows / ended.seconds)}/s, ${micros(ended, rows)} (${load()})`,
      aim: ">= 20,000/s, start and end included",
      met: rows / ended.seconds >= 20_000,
      isSpeed: true
    })
    yield* Effect.promise(() => rm(output))
  })

const questions = 1_000

/** Two processes that ask the same at the same time. */
const shared = (kind: string, cache: Plan["cache"]) =>
  Effect.gen(function* () {
    const plan: Plan = { kind: "share", rows: questions, concurrency: 100, cache }
    const pair = yield* Effect.all([child("./rowsChild.js", plan), child("./rowsChild.js", plan)])
    yield* Effect.forEach(pair, (process) => message(process), { concurrency: 2 })
    for (const process of pair) process.send("start")
    const reports = yield* Effect.forEach(pair, (process) => message<Report>(process), { concurrency: 2 })
    const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0)
    const calls = sum(({ calls }) => calls)
    const warnings = reports.flatMap((report) => report.warnings)
    const asked = `2 processes, ${count(questions)} equal prompts, ${kind}`
    const wrong = sum(({ wrong }) => wrong)
    tell({
      asked: `${asked}: calls`,
      seen: `${count(calls)} calls, ${wrong} failed, ${warnings[0] ?? "no warnings"}`,
      aim: `<= ${count(questions)} calls, no errors`,
      met: calls <= questions && wrong === 0 && warnings.length === 0
    })
    tell({
      asked: `${asked}: stall`,
      seen: `${reports.map(({ stall }) => stall.toFixed(0)).join(" and ")} ms at most (${load()})`,
      aim: "< 100 ms",
      met: reports.every(({ stall }) => stall < 100),
      isSpeed: true
    })
  }).pipe(Effect.scoped)

const redisIsThere = Effect.promise(
  () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(6379, "127.0.0.1")
      socket.once("connect", () => resolve(socket.destroy() !== undefined))
      socket.once("error", () => resolve(false))
    })
)

await Effect.runPromise(
  Effect.gen(function* () {
    const cores = `${cpus().length} cores (${cpus()[0]?.model.trim()})`
    console.log(`floodgate bench: rows, ${new Date().toISOString().slice(0, 16)}Z`)
    console.log(`node ${process.version}, ${cores}, ${load()}`)
    const folder = yield* temporaryFolder
    const [input, output] = [join(folder, "in.jsonl"), join(folder, "out.jsonl")]
    yield* Effect.promise(() => writeInput(input, rows))
    yield* shared("SQLite", { filename: join(folder, "shared.sqlite") })
    if (yield* redisIsThere) {
      const prefix = `floodgate-bench-${process.pid}-${Date.now()}:`
      yield* shared("Redis", { url: "redis://127.0.0.1:6379", prefix })
    } else console.log("no Redis at 127.0.0.1:6379: not measured")
    yield* overHttp(input, output)
    const [someInput, someOutput] = [join(folder, "some-in.jsonl"), join(folder, "some-out.jsonl")]
    yield* Effect.promise(() => writeHead(input, resumedRows, someInput))
    yield* Effect.promise(() => writeHead(output, resumedRows, someOutput))
    yield* resumed(someInput, someOutput, resumedRows, 3)
    yield* resumed(input, output, rows, undefined)
    yield* Effect.promise(() => rm(output))
    yield* cached(folder, input)
    end()
  }).pipe(Effect.scoped)
)
