/** A chart with its caption, legend and tooltip. */
import uPlot from "uplot"
import { make } from "./dom.js"

export interface Series {
  readonly name: string
  /** Its name in the style sheet. */
  readonly colour: string
  readonly values: ReadonlyArray<number | null>
  /** What the tooltip says of each value. Default: as the axis has it. */
  readonly texts?: ReadonlyArray<string> | undefined
  readonly fill?: boolean | undefined
  readonly bars?: boolean | undefined
}

export interface Chart {
  readonly title: string
  /** What there is to see, in words. */
  readonly summary: string
  readonly x: ReadonlyArray<number>
  readonly xLabel: (x: number) => string
  /** What the tooltip says of a place. */
  readonly when: (at: number) => string
  readonly isTime: boolean
  /** Where the ticks are, if not at round values. */
  readonly ticks?: ReadonlyArray<number> | undefined
  readonly yLabel: (y: number) => string
  readonly series: ReadonlyArray<Series>
  readonly limits?: ReadonlyArray<{ readonly name: string; readonly value: number }> | undefined
}

const height = 190
const font = "12px system-ui, sans-serif"

/** Lengths of time between ticks, in seconds. */
const timeSteps = [
  ...[
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200
  ],
  ...[86_400, 172_800, 604_800, 2_592_000]
]

let drawn: Array<{ readonly plot: uPlot; readonly place: HTMLElement }> = []

/** A colour of the style sheet, as the theme of the moment has it. */
const colourOf = (name: string): string => {
  const probe = make("span", { hidden: "" })
  probe.style.color = `var(--${name})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

const faded = (colour: string): string => colour.replace(/^rgb\((.*)\)$/, "rgba($1, 0.14)")

const tooltip = (chart: Chart, box: HTMLElement) => (plot: uPlot) => {
  const { idx, left } = plot.cursor
  if (idx == null || left == null || left < 0) {
    box.hidden = true
    return
  }
  const said = chart.series.flatMap(({ colour, name, texts, values }) => {
    const value = values[idx]
    return value == null
      ? []
      : [
          make(
            "div",
            {},
            make("i", { class: `swatch ${colour}` }),
            `${name} `,
            make("b", {}, texts?.[idx] ?? chart.yLabel(value))
          )
        ]
  })
  box.replaceChildren(make("div", { class: "when" }, chart.when(idx)), ...said)
  box.hidden = false
  // beside the cursor, on the side where there is room
  const start = plot.over.offsetLeft + left
  const isRight = start > plot.root.offsetWidth / 2
  box.style.left = isRight ? "" : `${start + 10}px`
  box.style.right = isRight ? `${plot.root.offsetWidth - start + 10}px` : ""
}

const optionsOf = (chart: Chart, width: number, box: HTMLElement): uPlot.Options => {
  const ink = colourOf("quiet")
  const grid = { stroke: colourOf("grid"), width: 1 }
  const ticks = { stroke: colourOf("grid"), width: 1, size: 4 }
  const top = Math.max(
    ...chart.series.flatMap(({ values }) => values.map((value) => value ?? 0)),
    ...(chart.limits ?? []).map(({ value }) => value)
  )
  const count = chart.x.length
  return {
    width,
    height,
    legend: { show: false },
    padding: [10, 14, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: {
        time: false,
        range: () => (chart.isTime ? [0, (chart.x.at(-1) ?? 0) + (chart.x[0] ?? 0.5)] : [-0.5, count - 0.5])
      },
      y: { range: () => [0, top > 0 ? top * 1.08 : 1] }
    },
    axes: [
      {
        stroke: ink,
        font,
        grid: { ...grid, show: chart.isTime },
        ticks,
        size: 30,
        space: 64,
        // a tick that has no room has no value
        values: (_, at) => at.map((x: number | null) => (x === null ? "" : chart.xLabel(x))),
        ...(chart.isTime ? { incrs: timeSteps } : undefined),
        ...(chart.ticks === undefined
          ? undefined
          : {
              splits: () => [...(chart.ticks ?? [])],
              // as many as have room
              filter: (plot: uPlot, at: Array<number>) => {
                const every = Math.max(
                  1,
                  Math.ceil((at.length * 52) / Math.max(1, plot.bbox.width / devicePixelRatio))
                )
                return at.map((place, n) => (n % every === 0 ? place : null))
              }
            })
      },
      {
        stroke: ink,
        font,
        grid,
        ticks,
        size: 62,
        space: 34,
        values: (_, at) => at.map((y) => chart.yLabel(y))
      }
    ],
    series: [
      {},
      ...chart.series.map(({ bars, colour, fill }): uPlot.Series => {
        const stroke = colourOf(colour)
        return {
          stroke,
          width: bars ? 0 : 1.75,
          points: { show: !bars && count <= 40, size: 4, fill: stroke },
          ...(fill ? { fill: faded(stroke) } : undefined),
          ...(bars
            ? { fill: stroke, paths: uPlot.paths.bars?.({ size: [0.86, 60] }) ?? (() => null) }
            : undefined)
        }
      }),
      ...(chart.limits ?? []).map(
        (): uPlot.Series => ({ stroke: colourOf("limit"), width: 1.5, dash: [6, 4], points: { show: false } })
      )
    ],
    hooks: { setCursor: [tooltip(chart, box)] }
  }
}

/** Arrows move the cursor of a chart that has the focus. */
const onKey = (plot: uPlot, count: number) => (event: KeyboardEvent) => {
  const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0
  if (event.key === "Escape") plot.setCursor({ left: -10, top: -10 })
  if (step === 0) return
  event.preventDefault()
  const at = Math.min(count - 1, Math.max(0, (plot.cursor.idx ?? (step > 0 ? -1 : count)) + step))
  plot.setCursor({ left: plot.valToPos(plot.data[0][at] ?? 0, "x"), top: height / 2 })
}

const figure = (chart: Chart): { readonly element: HTMLElement; readonly show: () => void } => {
  const named = [
    ...chart.series.map(({ colour, name }) => ({ colour, name })),
    ...(chart.limits ?? []).map(({ name, value }) => ({
      colour: "limit",
      name: `${name} ${chart.yLabel(value)}`
    }))
  ]
  const legend = make("p", { class: "legend" })
  if (named.length > 1) {
    legend.append(
      ...named.map(({ colour, name }) => make("span", {}, make("i", { class: `swatch ${colour}` }), name))
    )
  }
  const box = make("div", { class: "tooltip", role: "status", hidden: "" })
  const place = make("div", {
    class: "plot",
    tabindex: "0",
    role: "img",
    "aria-label": `${chart.title}. ${chart.summary}. Arrow keys tell the values.`
  })
  const element = make(
    "figure",
    { class: "chart" },
    make(
      "figcaption",
      {},
      make("h3", {}, chart.title),
      make("p", { class: "summary" }, chart.summary),
      legend
    ),
    place
  )
  const show = () => {
    const limits = (chart.limits ?? []).map(({ value }) => chart.x.map(() => value))
    const data = [
      [...chart.x],
      ...chart.series.map(({ values }) => [...values]),
      ...limits
    ] as uPlot.AlignedData
    const plot = new uPlot(optionsOf(chart, Math.max(240, place.clientWidth), box), data, place)
    place.append(box)
    place.addEventListener("keydown", onKey(plot, chart.x.length))
    place.addEventListener("blur", () => plot.setCursor({ left: -10, top: -10 }))
    drawn.push({ plot, place })
  }
  return { element, show }
}

/** Draws the charts into the element, in place of what is there. */
export const draw = (into: HTMLElement, charts: ReadonlyArray<Chart>): void => {
  drawn = drawn.filter(({ place, plot }) => {
    if (!into.contains(place)) return true
    plot.destroy()
    return false
  })
  const figures = charts.map(figure)
  into.replaceChildren(...figures.map(({ element }) => element))
  // their widths are known only now
  for (const { show } of figures) show()
}

/** Makes all charts as wide as there is room. */
export const resize = (): void => {
  for (const { place, plot } of drawn) plot.setSize({ width: Math.max(240, place.clientWidth), height })
}
