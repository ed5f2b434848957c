/** The endpoints of a run as a table that fits into the terminal. */

import { count } from "../internal/countText.js"
import type { EndpointProgress } from "../internal/progressSnapshot.js"
import type { Snapshot } from "../Progress.js"
import { dollars } from "./progressFacts.js"
import { clip, oneLine, type Paint, type Style, width as widthOf } from "./progressStyle.js"

interface Column {
  readonly head: string
  readonly cell: (endpoint: EndpointProgress) => string
  /** Where there is no room for all columns, the one with the highest number goes first. */
  readonly rank: number
  readonly style?: ((endpoint: EndpointProgress) => Style | undefined) | undefined
}

const latency = ({ latencyMs }: EndpointProgress): string =>
  latencyMs === undefined
    ? "-"
    : latencyMs < 1_000
      ? `${Math.round(latencyMs)} ms`
      : `${(latencyMs / 1_000).toFixed(1)} s`

const columns: ReadonlyArray<Column> = [
  {
    head: "circuit",
    cell: ({ circuit }) => circuit ?? "-",
    rank: 3,
    style: ({ circuit }) => (circuit === undefined || circuit === "closed" ? "dim" : "yellow")
  },
  { head: "in flight", cell: ({ inFlight }) => (inFlight === undefined ? "-" : count(inFlight)), rank: 4 },
  { head: "latency", cell: latency, rank: 2 },
  { head: "answered", cell: ({ answered }) => count(answered), rank: 0 },
  {
    head: "failed",
    cell: ({ failed }) => count(failed),
    rank: 1,
    style: ({ failed }) => (failed === 0 ? undefined : "yellow")
  },
  { head: "given up", cell: ({ interrupted }) => count(interrupted), rank: 7 },
  {
    head: "tokens in / out",
    cell: ({ inputTokens, outputTokens }) => `${count(inputTokens)} / ${count(outputTokens)}`,
    rank: 6
  },
  { head: "cost", cell: ({ cost }) => dollars(cost), rank: 5 }
]

const gap = "  "
/** No endpoint's name is cut shorter than this for the sake of a column. */
const shortestName = 20
const longestName = 48

/** What is said of an endpoint, and how wide it is. */
const measured = (endpoints: ReadonlyArray<EndpointProgress>) =>
  columns.flatMap((column) => {
    const cells = endpoints.map(column.cell)
    // a router of one endpoint has neither circuit nor queue
    if (cells.every((cell) => cell === "-")) return []
    return { ...column, cells, width: Math.max(column.head.length, ...cells.map(({ length }) => length)) }
  })

/** A line of heads and one for each endpoint, at most `most`. */
export const table = (
  { endpoints }: Snapshot,
  { most, paint, width }: { readonly width: number; readonly most: number; readonly paint: Paint }
): ReadonlyArray<string> => {
  if (endpoints.length === 0 || most < 1) return []
  const shown = endpoints.slice(0, most)
  const names = shown.map(({ endpoint }) => oneLine(endpoint))
  const name = Math.min(longestName, Math.max("endpoint".length, ...names.map(widthOf)))
  const least = Math.min(name, shortestName)
  let kept = measured(shown)
  const taken = () => kept.reduce((sum, column) => sum + gap.length + column.width, 0)
  while (kept.length > 0 && least + taken() > width) {
    const worst = Math.max(...kept.map(({ rank }) => rank))
    kept = kept.filter(({ rank }) => rank !== worst)
  }
  const room = Math.max(1, Math.min(name, width - taken()))
  const first = (text: string) => {
    const cut = clip(text, room)
    return cut + " ".repeat(Math.max(0, room - widthOf(cut)))
  }
  const heads = [first("endpoint"), ...kept.map(({ head, width }) => head.padStart(width))].join(gap)
  const rows = shown.map((endpoint, row) =>
    [
      first(names[row] ?? ""),
      ...kept.map(({ cells, style, width }) => paint((cells[row] ?? "").padStart(width), style?.(endpoint)))
    ].join(gap)
  )
  const more = endpoints.length - shown.length
  return [paint(heads, "dim"), ...rows, ...(more > 0 ? [paint(`and ${more} more endpoints`, "dim")] : [])]
}
