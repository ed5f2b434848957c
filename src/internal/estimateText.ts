/** An estimate as people read it, within 80 columns. */
import type { Estimate, Range, Totals } from "../Estimate.js"
import { count, counted } from "./countText.js"
import { format } from "./money.js"

const width = 80

/** Three digits that count: `12.3M`. */
const short = (n: number): string => {
  for (const [unit, sign] of [
    [1e9, "B"],
    [1e6, "M"],
    [1e4, "k"]
  ] as const) {
    if (n < unit) continue
    const scaled = n / (sign === "k" ? 1e3 : unit)
    return `${scaled.toFixed(scaled >= 100 ? 0 : 1)}${sign}`
  }
  return count(n)
}

const from = <A>({ high, low }: Range<A>, write: (value: A) => string): string =>
  write(low) === write(high) ? write(low) : `${write(low)} – ${write(high)}`

const duration = (seconds: number): string => {
  if (!Number.isFinite(seconds)) return "for ever"
  if (seconds < 1) return "under 1 s"
  if (seconds < 90) return `${Math.round(seconds)} s`
  const minutes = seconds / 60
  if (minutes < 90) return `${Math.round(minutes)} min`
  const hours = minutes / 60
  return hours < 48 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(1)} days`
}

/** A name cut in its middle. */
const cut = (name: string, most: number): string => {
  const half = (most - 1) / 2
  return name.length <= most
    ? name
    : `${name.slice(0, Math.ceil(half))}…${name.slice(name.length - Math.floor(half))}`
}

/** Lines that break between words. */
const wrap = (text: string, indent = ""): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const given of text.split(" ")) {
    const word = cut(given, width - indent.length)
    if (line !== "" && line.length + word.length + 1 > width) {
      lines.push(line)
      line = indent + word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line]
}

const columns = ["model", "calls", "input", "output", "cost"] as const

const row = ({ calls, cost, inputTokens, isCounted, outputTokens, unpriced }: Totals, model: string) => [
  model,
  count(calls),
  `${isCounted ? "" : "~"}${short(inputTokens)}`,
  from(outputTokens, short),
  unpriced === calls && calls > 0 ? "no price" : from(cost, format)
]

/** The first column to the left, the others to the right; a long name is cut in the middle. */
const grid = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = columns.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
  const others = widths.slice(1).reduce((sum, size) => sum + size + 2, 0)
  const first = Math.max(8, Math.min(widths[0] ?? 0, width - others))
  return rows.map(([name = "", ...cells]) => {
    return [
      cut(name, first).padEnd(first),
      ...cells.map((cell, i) => cell.padStart((widths[i + 1] ?? 0) + 2))
    ].join("")
  })
}

const basis = (estimate: Estimate): ReadonlyArray<string> => {
  const lines = [...wrap(`Prices of ${estimate.priceVersion}. Low: typical answers; high: the longest.`)]
  if (!estimate.isCounted) {
    lines.push("~ estimated: the model's tokenizer is not known, or there is more than text.")
  }
  if (estimate.unlimited > 0) {
    lines.push(
      ...wrap(
        `${count(estimate.unlimited)} calls set no maxTokens: their answers may be longer than is taken for the longest.`
      )
    )
  }
  if (estimate.unpricedModels.length > 0) {
    lines.push(...wrap(`No price, and not in the cost: ${estimate.unpricedModels.join(", ")}`, "  "))
  }
  for (const doubt of estimate.doubts) lines.push(...wrap(`Doubtful: ${doubt}`, "  "))
  return lines
}

/** The estimate as text of several lines, at most 80 columns wide. */
export const table = (estimate: Estimate): string => {
  const counts = [
    counted(estimate.requests, "request"),
    ...(estimate.duplicates > 0 ? [counted(estimate.duplicates, "duplicate")] : []),
    ...(estimate.cached > 0 ? [`${count(estimate.cached)} cached`] : []),
    ...(estimate.failing > 0 ? [`${count(estimate.failing)} will fail`] : []),
    `${counted(estimate.calls, "call")} to make`
  ]
  const time =
    estimate.seconds === undefined
      ? "no rate limits are set, so that the time cannot be told"
      : `${from(estimate.seconds, duration)} at ${estimate.limitedBy ?? "the limits"}`
  const rows = [
    columns,
    ...estimate.models.map((totals) => row(totals, totals.model)),
    ...(estimate.models.length === 1 ? [] : [row(estimate, "total")])
  ]
  return [
    ...wrap(counts.join(", ")),
    "",
    ...grid(rows),
    "",
    ...wrap(`Time: ${time}`),
    ...basis(estimate)
  ].join("\n")
}
