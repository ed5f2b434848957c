/** What charts there are. */
import type { Latencies, Limits, Report, Timeline } from "../internal/reportData.js"
import { type Chart, draw } from "./chart.js"
import { find } from "./dom.js"
import { clock, dollars, elapsed, latency, short } from "./format.js"

const sums = (...lists: ReadonlyArray<ReadonlyArray<number>>): Array<number> =>
  (lists[0] ?? []).map((_, at) => lists.reduce((total, list) => total + (list[at] ?? 0), 0))

const any = (list: ReadonlyArray<number>): boolean => list.some((n) => n > 0)

const peak = (list: ReadonlyArray<number | null>): number => Math.max(0, ...list.map((n) => n ?? 0))

const ofLimit = (most: number, limit: number | undefined): string =>
  limit === undefined || limit <= 0 ? "" : `, ${Math.round((most / limit) * 100)} % of the limit`

const seriesOf = (timeline: Timeline, limits: Limits): ReadonlyArray<Chart> => {
  const { step } = timeline
  const perSecond = (list: ReadonlyArray<number>) => list.map((n) => (n * 1_000) / step)
  const perMinute = (list: ReadonlyArray<number>) => list.map((n) => (n * 60_000) / step)
  const x = timeline.answered.map((_, at) => ((at + 0.5) * step) / 1_000)
  const when = (at: number) => {
    const from = (at * step) / 1_000
    return `${elapsed(from)} to ${elapsed(from + step / 1_000)}, ${clock(timeline.start + at * step)} UTC`
  }
  const common = { x, when, xLabel: elapsed, isTime: true }
  const answered = perSecond(timeline.answered)
  const requestLimit =
    limits.requestsPerSecond ??
    (limits.requestsPerMinute === undefined ? undefined : limits.requestsPerMinute / 60)
  const input = perMinute(timeline.inputTokens)
  const output = perMinute(timeline.outputTokens)
  const both = sums(input, output)
  const rate = (n: number) => `${short(n)}/s`
  const tokenRate = (n: number) => `${short(n)}/min`
  const calls = sums(timeline.answered, timeline.limited, timeline.failed)
  return [
    {
      ...common,
      title: "Calls per second",
      summary: `At most ${rate(peak(perSecond(calls)))} in all${ofLimit(peak(perSecond(calls)), requestLimit)}`,
      yLabel: rate,
      series: [
        { name: "answered", colour: "good", values: answered, fill: true },
        ...(any(timeline.limited)
          ? [{ name: "refused for a limit", colour: "warn", values: perSecond(timeline.limited) }]
          : []),
        ...(any(timeline.failed)
          ? [{ name: "failed", colour: "bad", values: perSecond(timeline.failed) }]
          : []),
        ...(any(timeline.free)
          ? [{ name: "from the cache", colour: "other", values: perSecond(timeline.free) }]
          : [])
      ],
      limits: requestLimit === undefined ? [] : [{ name: "limit", value: requestLimit }]
    },
    {
      ...common,
      title: "Tokens per minute",
      summary: `At most ${tokenRate(peak(both))}${ofLimit(peak(both), limits.tokensPerMinute)}`,
      yLabel: short,
      series: [
        { name: "input and output", colour: "main", values: both, fill: true },
        { name: "output", colour: "other", values: output }
      ],
      limits: [
        { name: "limit", value: limits.tokensPerMinute },
        { name: "limit of input", value: limits.inputTokensPerMinute },
        { name: "limit of output", value: limits.outputTokensPerMinute }
      ].flatMap(({ name, value }) => (value === undefined ? [] : [{ name, value }]))
    },
    {
      ...common,
      title: "Latency of calls",
      summary: `Slowest step: p95 ${latency(peak(timeline.p95))}`,
      yLabel: latency,
      series: [
        { name: "p95", colour: "warn", values: timeline.p95 },
        { name: "p50", colour: "main", values: timeline.p50, fill: true }
      ]
    },
    {
      ...common,
      title: "Calls under way",
      summary: `At most ${short(peak(timeline.inFlight))} on average over a step`,
      yLabel: short,
      series: [{ name: "under way", colour: "main", values: timeline.inFlight, fill: true }]
    },
    {
      ...common,
      title: "Dollars spent",
      summary: `${timeline.cost.at(-1)?.text ?? "$0.00"} in the end`,
      yLabel: dollars,
      series: [
        {
          name: "spent",
          colour: "money",
          values: timeline.cost.map((cost) => cost.dollars),
          texts: timeline.cost.map(({ text }) => text),
          fill: true
        }
      ]
    }
  ]
}

const histogram = (title: string, { bars, count, p50, p95, p99 }: Latencies): Chart => ({
  title,
  summary: `p50 ${latency(p50)} · p95 ${latency(p95)} · p99 ${latency(p99)} · ${short(count)} in all`,
  x: bars.map((_, at) => at),
  xLabel: (at) => {
    // ticks are between the bars
    const from = bars[Math.round(at + 0.5)]?.from ?? bars.at(-1)?.to ?? 0
    return latency(Number(from.toPrecision(1)))
  },
  when: (at) => `${latency(bars[at]?.from ?? 0)} to ${latency(bars[at]?.to ?? 0)}`,
  isTime: false,
  ticks: bars.flatMap(({ from }, at) => {
    // ten bars for a factor of ten: these begin at 1, 2 and 5
    const place = Math.round(Math.log10(Math.max(1, from)) * 10) % 10
    return place === 0 || (bars.length <= 30 && (place === 3 || place === 7)) ? [at - 0.5] : []
  }),
  yLabel: short,
  series: [{ name: "count", colour: "main", values: bars.map((bar) => bar.count), bars: true }]
})

/** Draws all charts, in place of those that there are. */
export const drawAll = (
  report: Pick<Report, "timeline" | "limits" | "requestLatency" | "callLatency">
): void => {
  const { callLatency, limits, requestLatency, timeline } = report
  const distributions = [
    ...(requestLatency === undefined
      ? []
      : [histogram("Latency of requests, waits included", requestLatency)]),
    ...(callLatency === undefined ? [] : [histogram("Latency of calls that were answered", callLatency)])
  ]
  const fill = (id: string, charts: ReadonlyArray<Chart>) => {
    const place = document.querySelector(`#${id}`)
    if (place !== null) draw(find(`#${id}`, HTMLElement), charts)
  }
  fill("over-time", timeline === undefined ? [] : seriesOf(timeline, limits))
  fill("distributions", distributions)
}
