/**
 * What floodgate costs beside raw undici, and how fast it answers from its cache.
 *
 * Every case runs in a process of its own and starts with a warm-up. On a machine with other work a single
 * figure says little, so each round runs raw undici right before and after the cases that are compared with it,
 * and the ratios are medians over the rounds of the ratios within each.
 *
 * `npm run bench` · `npm run bench -- --quick` (one round, no row of 100,000 requests)
 */
import { type ChildProcess, fork } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CaseName, Plan } from "./cases.js"
import type { Measurement } from "./measure.js"

const { values: flags } = parseArgs({
  options: { quick: { type: "boolean", default: false }, rounds: { type: "string", default: "5" } }
})
const rounds = flags.quick ? 1 : Number(flags.rounds)
const requests = 10_000
const manyRequests = 100_000

const settings = [
  { latencyMs: 0, concurrency: 256 },
  { latencyMs: 100, concurrency: 1_000 }
] as const

type Setting = (typeof settings)[number]

const child = (module: string, argument: string): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => fork(fileURLToPath(new URL(module, import.meta.url)), [argument])),
    (process) => Effect.sync(() => process.kill())
  )

/** The next message of a child, which its module knows the type of. */
const message = <A>(from: ChildProcess): Effect.Effect<A> =>
  Effect.async((resume) => {
    const exited = (code: number | null) => resume(Effect.dieMessage(`the child ended with ${code}`))
    from.once("exit", exited)
    from.once("message", (value) => {
      from.off("exit", exited)
      resume(Effect.succeed(value as A))
    })
  })

interface Server {
  readonly origin: string
  /** CPU used since the last call, in microseconds an answer. */
  readonly cpu: Effect.Effect<number>
}

const startServer = (latencyMs: number): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function* () {
    const process = yield* child("./server.js", String(latencyMs))
    const port = yield* message<number>(process)
    let before = { answered: 0, cpuMicros: 0 }
    const cpu = Effect.suspend(() => {
      process.send("cpu")
      return Effect.map(message<typeof before>(process), (now) => {
        const micros = (now.cpuMicros - before.cpuMicros) / (now.answered - before.answered)
        before = now
        return micros
      })
    })
    return { origin: `http://127.0.0.1:${port}`, cpu }
  })

const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "floodgate-bench-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

const run = (plan: Plan): Effect.Effect<Measurement> =>
  Effect.scoped(Effect.flatMap(child("./measure.js", JSON.stringify(plan)), message<Measurement>))

/** One case in one round. */
interface Run extends Measurement {
  readonly requests: number
  /** CPU against that of raw undici right before and after. */
  readonly ratio: number | undefined
}

type Results = Record<Exclude<CaseName, "streamed">, ReadonlyArray<Run>>

const meanCpu = (a: Measurement, b: Measurement): number => (a.cpuMicros + b.cpuMicros) / 2

/** Raw, complete, raw, batch, raw, and the batch again over the cache that it filled. */
const round = (origin: string, { concurrency }: Setting): Effect.Effect<Results> =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const of = (name: CaseName) => run({ case: name, origin, requests, concurrency, folder })
    const before = yield* of("raw")
    const withoutCache = yield* of("withoutCache")
    const between = yield* of("raw")
    const batched = yield* of("batched")
    const after = yield* of("raw")
    const cached = yield* of("cached")
    const alone = (measured: Measurement): Run => ({ ...measured, requests, ratio: undefined })
    const against = (measured: Measurement, raw: number): Run => ({
      ...measured,
      requests,
      ratio: measured.cpuMicros / raw
    })
    return {
      raw: [before, between, after].map(alone),
      withoutCache: [against(withoutCache, meanCpu(before, between))],
      batched: [against(batched, meanCpu(between, after))],
      cached: [alone(cached)]
    }
  }).pipe(Effect.scoped)

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}

const count = (value: number): string => Math.round(value).toLocaleString("en-US")

const ratioText = (ratios: ReadonlyArray<number>): string => {
  if (ratios.length === 0) return "-"
  const spread = `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`
  return `${median(ratios).toFixed(2)}${ratios.length === 1 ? "" : ` (${spread})`}`
}

const columns = [30, 12, 14, 18, 10] as const

const line = (cells: ReadonlyArray<string>, aim = ""): string => {
  const padded = cells.map((cell, at) =>
    at === 0 ? cell.padEnd(columns[0]) : cell.padStart(columns[at] ?? 0)
  )
  return `${padded.join("")}   ${aim}`.trimEnd()
}

const heading = line(["", "answers/s", "CPU us each", "CPU / raw", "peak RSS"], "aim")

const row = (name: string, runs: ReadonlyArray<Run>, aim?: string): string => {
  const of = (figure: (run: Run) => number) => median(runs.map(figure))
  return line(
    [
      name,
      count(of((run) => run.requests / run.seconds)),
      of((run) => run.cpuMicros / run.requests).toFixed(1),
      ratioText(runs.flatMap((run) => (run.ratio === undefined ? [] : [run.ratio]))),
      `${count(of((run) => run.peakRssBytes / 1e6))} MB`
    ],
    aim
  )
}

const print = (text: string): Effect.Effect<void> => Effect.sync(() => console.log(text))

const compare = (setting: Setting): Effect.Effect<void> =>
  Effect.gen(function* () {
    const server = yield* startServer(setting.latencyMs)
    const results: Array<Results> = []
    for (let at = 0; at < rounds; at++) results.push(yield* round(server.origin, setting))
    const all = (name: keyof Results) => results.flatMap((result) => result[name])
    yield* print(
      [
        `\n${count(requests)} requests, ${count(setting.concurrency)} in flight, server latency ${setting.latencyMs} ms`,
        heading,
        row("a  raw undici Pool", all("raw")),
        row("b  complete, no cache", all("withoutCache"), "b <= 2.0 x a"),
        row("c  batch, cache + checkpoint", all("batched"), "c <= 3.0 x a"),
        row("d  batch again, all cached", all("cached"), "d >= 20,000/s"),
        `   (the server: ${(yield* server.cpu).toFixed(0)} us an answer)`
      ].join("\n")
    )
  }).pipe(Effect.scoped)

const many: Effect.Effect<void> = Effect.gen(function* () {
  const { origin } = yield* startServer(0)
  const folder = yield* temporaryFolder
  const of = (name: CaseName) => run({ case: name, origin, requests: manyRequests, concurrency: 256, folder })
  const raw = yield* of("raw")
  const streamed = yield* of("streamed")
  const asRun = (measured: Measurement, ratio?: number): Run => ({
    ...measured,
    requests: manyRequests,
    ratio
  })
  yield* print(
    [
      `\n${count(manyRequests)} requests from a generator, 256 in flight, server latency 0 ms`,
      heading,
      row("   raw undici Pool", [asRun(raw)]),
      row("   batchStream, both", [asRun(streamed, streamed.cpuMicros / raw.cpuMicros)], "< 300 MB")
    ].join("\n")
  )
}).pipe(Effect.scoped)

const introduction = (): string =>
  [
    `floodgate bench, ${new Date().toISOString().slice(0, 16)}Z`,
    `node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.trim()}), load ${loadavg()[0]?.toFixed(1)}`,
    rounds === 1 ? "one round" : `medians of ${rounds} rounds; of ratios, the lowest and highest too`
  ].join("\n")

await Effect.runPromise(
  Effect.gen(function* () {
    yield* print(introduction())
    for (const setting of settings) yield* compare(setting)
    if (!flags.quick) yield* many
  })
)
