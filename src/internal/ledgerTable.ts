/** A ledger's summary as lines of text. */
import { count, counted } from "./countText.js"
import type { Summary, Sums } from "./ledgerSummary.js"
import { format } from "./money.js"

const money = (dollars: number): string => format(BigInt(Math.round(dollars * 1e12)))

const millis = (ms: number | undefined): string =>
  ms === undefined ? "-" : ms < 10_000 ? `${count(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`

const costOf = ({ cost, unpriced }: Pick<Sums, "cost" | "unpriced">): string =>
  unpriced === 0 ? money(cost) : cost === 0 ? "unpriced" : `${money(cost)} + unpriced`

const heads = [
  "id",
  "provider",
  "model",
  "calls",
  "prompt",
  "completion",
  "total tokens",
  "cost",
  "p50",
  "p95",
  "p99",
  "cache hits",
  "saved"
] as const

/** The columns of text; those after them are numbers, and end at one edge. */
const texts = 3

const rowOf = (
  names: readonly [string, string, string],
  sums: Sums,
  hits: number,
  saved: string
): ReadonlyArray<string> => [
  ...names,
  count(sums.attempts),
  count(sums.usage.inputTokens),
  count(sums.usage.outputTokens),
  count(sums.usage.inputTokens + sums.usage.outputTokens),
  costOf(sums),
  millis(sums.latencyMs?.p50),
  millis(sums.latencyMs?.p95),
  millis(sums.latencyMs?.p99),
  count(hits),
  saved
]

/** What needs a word beside the numbers. */
const notes = ({ doubts, outcomeUnknown, total, unpriced }: Summary): ReadonlyArray<string> => {
  const { unsettled, wasted } = total
  return [
    ...(wasted.attempts === 0
      ? []
      : [
          `wasted: ${money(wasted.cost)} for ${counted(wasted.attempts, "call")} (${count(wasted.inputTokens + wasted.outputTokens)} tokens) without use`
        ]),
    ...(unsettled.attempts === 0
      ? []
      : [
          `unsettled: ${counted(unsettled.attempts, "call")} ended without an answer and may have been billed: at most ${money(unsettled.worst)}${unsettled.unbounded === 0 ? "" : `, and ${count(unsettled.unbounded)} without a bound`}`
        ]),
    ...(outcomeUnknown === 0
      ? []
      : [
          `unknown: ${counted(outcomeUnknown, "call")} of runs that died, whose outcome is not known: they may have been billed`
        ]),
    ...(unpriced.length === 0 ? [] : [`unpriced: ${unpriced.join(", ")}`]),
    ...doubts.map((doubt) => `doubtful price: ${doubt}`)
  ]
}

/** A table with a line for each endpoint and model, a line for all, and what else is to be said. */
export const table = (summary: Summary): string => {
  const left = new Map(summary.saved.models.map((saving) => [`${saving.provider}\n${saving.model}`, saving]))
  const rows = summary.rows.map((row) => {
    const key = `${row.provider}\n${row.model}`
    const saving = left.get(key)
    // the hits of a model are told once, at the first endpoint that has it
    left.delete(key)
    return rowOf(
      [row.endpoint, row.provider, row.model],
      row,
      saving?.hits ?? 0,
      saving === undefined ? money(0) : costOf(saving)
    )
  })
  for (const { hits, model, provider, ...saving } of left.values()) {
    const nothing = ["0", "0", "0", "0", money(0), "-", "-", "-"]
    rows.push(["(cache)", provider, model, ...nothing, count(hits), costOf(saving)])
  }
  const hits = summary.saved.models.reduce((all, saving) => all + saving.hits, 0)
  rows.push(rowOf(["total", "", ""], summary.total, hits, costOf(summary.saved)))
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const lineOf = (cells: ReadonlyArray<string>): string =>
    cells
      .map((cell, at) => (at < texts ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd()
  const rule = "─".repeat(widths.reduce((all, width) => all + width + 2, -2))
  return [
    lineOf(heads),
    rule,
    ...rows.slice(0, -1).map(lineOf),
    rule,
    lineOf(rows.at(-1) ?? []),
    ...notes(summary)
  ].join("\n")
}
