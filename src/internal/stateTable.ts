/** The endpoints of a router as a table of text, for people. */
import { count } from "./countText.js"
import type { EndpointState } from "./poolMember.js"

const latency = (millis: number | undefined): string =>
  millis === undefined
    ? "-"
    : millis < 1_000
      ? `${Math.round(millis)} ms`
      : `${(millis / 1_000).toFixed(1)} s`

const clip = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(width - 1, 0))}…`

const lastError = ({ lastError: error }: EndpointState): string =>
  error === undefined ? "" : `${error._tag}: ${error.message.replace(/\s+/g, " ")}`

const failures = ({ errors, failed }: EndpointState): string => {
  const [most] = Object.entries(errors).sort(([, a], [, b]) => b - a)
  if (most === undefined) return "0"
  return `${count(failed)} ${most[0].replace(/Error$/, "")}`
}

/** A column: its head, its cells, and whether they are numbers, which stand to the right. */
type Column = readonly [head: string, cell: (state: EndpointState) => string, isNumber?: boolean]

const columns: ReadonlyArray<Column> = [
  ["endpoint", ({ id }) => clip(id, 32)],
  ["circuit", ({ circuit }) => circuit],
  ["in flight", ({ inFlight }) => count(inFlight), true],
  ["latency", ({ latencyMs }) => latency(latencyMs), true],
  ["answered", ({ answered }) => count(answered), true],
  ["failed", failures],
  [
    "tokens in / out",
    ({ inputTokens, outputTokens }) => `${count(inputTokens)} / ${count(outputTokens)}`,
    true
  ]
]

/**
 * The states of endpoints as a table, one line each below a line of heads, without a newline at its end. `failed` names
 * the most frequent class. The last error takes what is left of `width` characters (default 120); the other columns are
 * never cut, but for ids longer than 32.
 */
export const table = (states: ReadonlyArray<EndpointState>, width = 120): string => {
  const cells = columns.map(([head, cell]) => [head, ...states.map(cell)])
  const widths = cells.map((texts) => Math.max(...texts.map(({ length }) => length)))
  const taken = widths.reduce((sum, width) => sum + width + 2, 0)
  const errors = ["last error", ...states.map(lastError)]
  return errors
    .map((error, line) => {
      const shown = columns.map(([, , isNumber], column) => {
        const text = cells[column]?.[line] ?? ""
        const to = widths[column] ?? 0
        return isNumber === true ? text.padStart(to) : text.padEnd(to)
      })
      return [...shown, clip(error, Math.max(width - taken, 10))].join("  ").trimEnd()
    })
    .join("\n")
}
