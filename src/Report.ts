/**
 * What a run did, on one page to look at and to send around: throughput over time, latencies, tokens, what it cost and
 * where, what went wrong, and the rows themselves to search.
 *
 * The page is one file. It asks nothing of the network, and cannot: what prompts and answers hold is shown as text.
 * Memory is the same for a hundred rows and ten million.
 *
 * @example
 * import { Report } from "floodgate"
 * import * as FileSystem from "@effect/platform/FileSystem"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const program = Effect.gen(function* () {
 *   const fs = yield* FileSystem.FileSystem
 *   const lines = (path: string) => Stream.splitLines(Stream.decodeText(fs.stream(path)))
 *   const report = yield* Report.build({ outcomes: lines("answers.jsonl"), calls: lines("calls.jsonl") })
 *   yield* fs.writeFileString("report.html", Report.html(report))
 * })
 *
 * @module
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as IndexSet from "./internal/indexSet.js"
import * as OutcomeRow from "./internal/outcomeRow.js"
import { Calls } from "./internal/reportCalls.js"
import type * as Data from "./internal/reportData.js"
import * as Figures from "./internal/reportFigures.js"
import * as ReportHtml from "./internal/reportHtml.js"
import { Rows } from "./internal/reportRows.js"
import type { Receipt } from "./Receipt.js"

/** What a report tells, as data that can be written as JSON. */
export type Report = Data.Report
/** Limits of a run, to be drawn beside what was used of them. */
export type Limits = Data.Limits

/** What a run has left behind. */
export interface Sources<E = never, R = never> {
  /**
   * The lines of the output: an outcome each, as a checkpoint has them. The output of a run that is under way, or was
   * stopped, will do: of several outcomes of a row the last one counts. Read twice where there are such.
   */
  readonly outcomes: Stream.Stream<string, E, R>
  /** The lines of the call log, each a `CallLog.Line` as JSON. Default: none. */
  readonly calls?: Stream.Stream<string, E, R> | undefined
  /** The receipt of the run, or of the last one of this output. Default: none. */
  readonly receipt?: Receipt | undefined
}

/** What {@link build} takes besides. */
export interface Options {
  /** What the page is called, such as the name of the output. Default `"Run"`. */
  readonly title?: string | undefined
  /** How many rows the page has at most. Default 5,000, at about half a kilobyte each. */
  readonly rows?: number | undefined
  /** Default: none. */
  readonly limits?: Limits | undefined
}

const runEach = <E, R>(lines: Stream.Stream<string, E, R>, f: (line: string) => void) =>
  Stream.runForEachChunk(lines, (chunk) => Effect.sync(() => Chunk.forEach(chunk, f)))

/** Reads the outcomes. `repeats` tells of each row how many outcomes come before its last one, where that is known. */
const readRows = <E, R>(
  outcomes: Stream.Stream<string, E, R>,
  most: number,
  repeats: Map<number, number>
): Effect.Effect<Pick<Figures.Found, "rows" | "unreadable">, E, R> =>
  Effect.gen(function* () {
    const rows = new Rows(most)
    const left = new Map(repeats)
    const met = IndexSet.make()
    let unreadable = 0
    yield* runEach(outcomes, (line) => {
      const row = OutcomeRow.parse(line)
      if (typeof row === "string") {
        if (line.trim() !== "") unreadable++
        return
      }
      const before = left.get(row.index) ?? 0
      if (before > 0) {
        left.set(row.index, before - 1)
        return
      }
      if (met.has(row.index)) repeats.set(row.index, (repeats.get(row.index) ?? 0) + 1)
      else met.add(row.index)
      rows.add(row)
    })
    return { rows, unreadable }
  })

const sum = (counts: Iterable<number>): number => {
  let total = 0
  for (const count of counts) total += count
  return total
}

/** Reads what a run has left behind. */
export const build = <E = never, R = never>(
  { calls: log, outcomes, receipt }: Sources<E, R>,
  { limits = {}, rows: most = 5_000, title = "Run" }: Options = {}
): Effect.Effect<Report, E, R> =>
  Effect.gen(function* () {
    const repeats = new Map<number, number>()
    const first = yield* readRows(outcomes, most, repeats)
    // a run that was stopped, or is under way: only now is it known which outcomes are the last
    const { rows, unreadable } = repeats.size === 0 ? first : yield* readRows(outcomes, most, repeats)
    const calls = log === undefined ? undefined : new Calls(rows.chosen().map(({ key }) => key))
    if (log !== undefined && calls !== undefined) yield* runEach(log, (line) => calls.add(line))
    return Figures.make(
      { rows, calls, receipt, unreadable, superseded: sum(repeats.values()) },
      { title, limits, madeAt: yield* Clock.currentTimeMillis }
    )
  })

/** The report as a page of its own: HTML with all it needs in it. */
export const html: (report: Report) => string = ReportHtml.html
