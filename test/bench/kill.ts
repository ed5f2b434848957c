/**
 * A run of `floodgate batch` that is killed at random moments, a hundred times, and started again each time.
 *
 * A moment is a number of calls and a time after the last of them, up to that of the slowest answer: so a busy machine
 * changes nothing. Some come before any call, while the files are read, and the last ones when all rows have been asked
 * and the output is put in order. The simulator's billing log says what was asked; what was in flight at a kill is what
 * it had seen of that process, less the rows that the process had written down.
 *
 * `npm run bench:kill` · `npm run bench:kill -- --kills 10 --rows 200 --seed 7`
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Simulator from "floodgate/Simulator"
import { count, report } from "./claim.js"
import { start } from "./rowsProcess.js"

const { values: flags } = parseArgs({
  options: {
    rows: { type: "string", default: "2000" },
    kills: { type: "string", default: "100" },
    seed: { type: "string" }
  }
})
const rows = Number(flags.rows)
const kills = Number(flags.kills)
const seed = flags.seed ?? String(Date.now())
const concurrency = 8
const latency = { min: 20, max: 80 } as const
/** The share of kills that come before any call. */
const earlyShare = 0.1
/** Kills at the end, when all rows have been asked. */
const lateKills = Math.max(1, Math.round(kills / 20))

interface Line {
  readonly index: number
  readonly status: string
  readonly response: { readonly text: string } | null
  readonly meta: { readonly key: string }
}

const prompt = (index: number): string => `Question ${index}.`

/** The rows written whole; the last line may be torn. */
const linesOf = (path: string): ReadonlyArray<Line> =>
  existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .slice(0, -1)
        .map((line): Line => JSON.parse(line))
    : []

/** The hash by which the simulator names the request of a line. */
const hashOf = ({ response }: Line): string => /^Answer ([0-9a-f]+):/.exec(response?.text ?? "")?.[1] ?? ""

/** How one process ended. */
interface Life {
  readonly killed: boolean
  readonly code: number | null
  readonly stderr: string
  /** Time from its start to its first call, in milliseconds. */
  readonly startMs: number
  /** Calls that it had made and not written down when it was killed. */
  readonly inFlight: number
}

const main = Effect.gen(function* () {
  const { end, tell } = report()
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "floodgate-kill-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  )
  const [input, output, receipt] = ["in.jsonl", "out.jsonl", "receipt.json"].map((name) => join(folder, name))
  if (input === undefined || output === undefined || receipt === undefined) return
  const records = Array.from({ length: rows }, (_, index) => `${JSON.stringify({ prompt: prompt(index) })}\n`)
  writeFileSync(input, records.join(""))
  const simulator = yield* Simulator.make({ latency: { kind: "uniform", ...latency } })
  const origin = simulator.url.slice(0, -"/v1".length)
  const args = [
    input,
    "-o",
    output,
    "--concurrency",
    String(concurrency),
    "--receipt",
    receipt,
    "--no-progress"
  ]

  const asked = Effect.map(simulator.stats, ({ requests }) => requests)

  /** Waits until so many calls have been made since the process began, or it has ended. */
  const untilCalls = (goal: number, isOver: () => boolean): Effect.Effect<void> =>
    Effect.flatMap(asked, (seen) =>
      seen >= goal || isOver() ? Effect.void : Effect.zipRight(Effect.sleep(1), untilCalls(goal, isOver))
    )

  const life = (moment: Effect.Effect<{ readonly calls: number; readonly delay: number } | undefined>) =>
    Effect.gen(function* () {
      const before = yield* asked
      const kept = linesOf(output).length
      const { ended, process } = start(origin, args)
      let over = false
      ended.then(() => {
        over = true
      })
      const when = yield* moment
      const startedAt = performance.now()
      if (when !== undefined && when.calls > 0) yield* untilCalls(before + 1, () => over)
      const startMs = performance.now() - startedAt
      if (when !== undefined) {
        yield* untilCalls(before + when.calls, () => over)
        yield* Effect.sleep(when.delay)
        process.kill("SIGKILL")
      }
      const { code, stderr } = yield* Effect.promise(() => ended)
      // what it had sent is on its way still
      yield* Effect.sleep(5)
      const inFlight = (yield* asked) - before - Math.max(0, linesOf(output).length - kept)
      return { killed: code === null, code, stderr, startMs, inFlight } satisfies Life
    })

  console.log(`floodgate bench: kill, ${new Date().toISOString().slice(0, 16)}Z, seed ${seed}`)
  console.log(`node ${process.version}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}`)

  const lives: Array<Life> = []
  let died = 0
  let startMs = 0
  while (died < kills) {
    const left = kills - died
    const moment = Effect.gen(function* () {
      const early = yield* Random.next
      const remaining = rows - linesOf(output).length
      // a run that is finished makes no calls: it is killed while it finds that out
      if (remaining === 0 || (left > lateKills && startMs > 0 && early < earlyShare)) {
        return { calls: 0, delay: yield* Random.nextRange(0, startMs) }
      }
      const calls =
        left <= lateKills
          ? remaining
          : // on average an equal part of what is left for each kill
            1 + (yield* Random.nextIntBetween(0, Math.ceil((2 * remaining) / (left - lateKills + 1))))
      return {
        calls: Math.max(1, Math.min(calls, remaining)),
        delay: yield* Random.nextRange(0, latency.max)
      }
    })
    const one = yield* life(moment)
    lives.push(one)
    if (startMs === 0) startMs = one.startMs
    if (one.killed && ++died % 10 === 0) console.error(`${died} of ${kills} killed`)
    if (!one.killed && one.code !== 0) break
  }
  const last = yield* life(Effect.succeed(undefined))
  lives.push(last)

  const log = yield* simulator.log
  const lines = linesOf(output)
  const dead = lives.filter(({ killed }) => killed)
  const broken = lives.find(({ code, killed }) => !killed && code !== 0)
  tell({
    asked: `${count(kills)} kills in a run of ${count(rows)} rows`,
    seen:
      broken === undefined
        ? `${dead.length} killed, ${lives.length - dead.length} ended well`
        : `exit ${broken.code}: ${broken.stderr}`,
    aim: "every other process ends with 0",
    met: broken === undefined && dead.length === kills
  })

  const wrong = lines.findIndex(
    (line, index) =>
      line.index !== index || line.status !== "success" || !line.response?.text.includes(`: ${prompt(index)}`)
  )
  const left = readdirSync(folder).filter((name) => !["in.jsonl", "out.jsonl", "receipt.json"].includes(name))
  tell({
    asked: "the output after the last start",
    seen: `${count(lines.length)} rows, ${wrong === -1 ? "in order" : `row ${wrong} is not right`}, beside it ${left.length === 0 ? "nothing" : left.join(", ")}`,
    aim: "complete, in input order, nothing beside it",
    met: lines.length === rows && wrong === -1 && left.length === 0
  })

  const inFlight = dead.reduce((sum, life) => sum + life.inFlight, 0)
  const most = Math.max(...dead.map((life) => life.inFlight))
  const extra = log.length - new Set(log.map(({ hash }) => hash)).size
  tell({
    asked: "calls made more than once",
    seen: `${count(extra)} of ${count(log.length)} calls`,
    aim: `<= ${count(inFlight)} in flight at the kills`,
    met: extra <= inFlight
  })
  tell({
    asked: "calls in flight at one kill",
    seen: `${most} at most`,
    aim: `<= the concurrency of ${concurrency}`,
    met: most <= concurrency
  })

  const keys = new Map(lines.map((line) => [hashOf(line), line.meta.key]))
  const { outcomeUnknown }: { readonly outcomeUnknown: ReadonlyArray<string> } = JSON.parse(
    readFileSync(receipt, "utf8")
  )
  const listed = new Set(outcomeUnknown)
  const repeated = new Set(log.filter(({ attempt }) => attempt > 1).map(({ hash }) => hash))
  const unlisted = [...repeated].filter((hash) => !listed.has(keys.get(hash) ?? ""))
  tell({
    asked: "requests asked more than once",
    seen: `${count(repeated.size)} requests, ${unlisted.length} not in the receipt's ${count(listed.size)}`,
    aim: "each one in the receipt",
    met: unlisted.length === 0
  })

  const torn = lives.filter(({ stderr }) => stderr.includes("cut off in mid-write")).length
  const sealing = lives.filter(({ inFlight, killed }) => killed && inFlight === 0).length
  console.log(`\n${torn} torn lines found; ${sealing} processes killed with nothing in flight`)
  end()
}).pipe(Effect.scoped, Effect.withRandom(Random.make(seed)))

await Effect.runPromise(main)
