/** A snapshot as lines that fit: several for a terminal, one for a log. */
import { count } from "../internal/countText.js"
import type { Snapshot } from "../Progress.js"
import * as Facts from "./progressFacts.js"
import { clip, type Paint, width as widthOf } from "./progressStyle.js"
import { table } from "./progressTable.js"

/** The room that there is, and what is to fill it. */
export interface Frame {
  readonly width: number
  readonly height: number
  readonly paint: Paint
  /** Whether endpoints are shown one by one. */
  readonly stats: boolean
}

const longestBar = 80
const shortestBar = 8
const gap = "  "
const wideGap = "     "

const bar = (share: number, width: number, paint: Paint): string => {
  const full = Math.floor(share * width)
  return paint("█".repeat(full), "green") + paint("░".repeat(width - full), "dim")
}

/** Bar, percentage, count, and when it will be done. */
const heading = (snapshot: Snapshot, { paint, width }: Frame): string => {
  const { done, etaSeconds, total } = snapshot
  const share = Facts.shareOf(snapshot)
  const counted = total === undefined ? `${count(done)} done` : `${count(done)}/${count(total)}`
  const eta = etaSeconds === undefined ? "" : `${gap}ETA ${Facts.duration(etaSeconds)}`
  const spent = `${gap}${Facts.duration(Math.floor(snapshot.elapsedSeconds))}`
  if (share === undefined) return clip(`${counted}${spent}`, width)
  const percent = `${String(Math.floor(share * 100)).padStart(3)} %`
  const text = `${percent}${gap}${counted}${spent}${eta}`
  const room = Math.min(longestBar, width - widthOf(text) - 1)
  if (room < shortestBar) return clip(text.trimStart(), width)
  return `${bar(share, room, paint)} ${paint(percent, "bold")}${gap}${counted}${paint(spent, "dim")}${eta}`
}

/** Facts one after the other, on as many lines as it takes. Facts of one group begin on one line. */
const flow = (
  groups: ReadonlyArray<ReadonlyArray<Facts.Fact>>,
  { paint, width }: Frame
): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  let taken = 0
  const add = (text: string, columns: number, before: string) => {
    if (taken > 0 && taken + before.length + columns > width) {
      lines.push(line)
      line = ""
      taken = 0
    }
    line += taken === 0 ? text : before + text
    taken += columns + (taken === 0 ? 0 : before.length)
  }
  for (const group of groups) {
    const whole = group.reduce((sum, { text }) => sum + widthOf(text) + gap.length, -gap.length)
    // a group that fits on the next line is not torn apart
    if (taken > 0 && taken + wideGap.length + whole > width && whole <= width) {
      lines.push(line)
      line = ""
      taken = 0
    }
    group.forEach(({ style, text }, at) => {
      const cut = clip(text, width)
      add(paint(cut, style), widthOf(cut), at === 0 ? wideGap : gap)
    })
  }
  return taken === 0 ? lines : [...lines, line]
}

const outcomes = ({ cached, failed, resumed, succeeded }: Snapshot): ReadonlyArray<Facts.Fact> => [
  { text: `${count(succeeded)} ok`, style: succeeded > 0 ? "green" : undefined },
  { text: `${count(failed)} failed`, style: failed > 0 ? "red" : undefined },
  { text: `${count(cached)} cached` },
  ...(resumed === 0 ? [] : [{ text: `${count(resumed)} resumed` }])
]

const pace = (snapshot: Snapshot): ReadonlyArray<Facts.Fact> => [
  { text: Facts.rate(snapshot.rate.now), style: "bold" },
  { text: `${Facts.rate(snapshot.rate.average)} on average` },
  { text: `${count(snapshot.tokens.perMinute)} tokens/min` }
]

/** What is drawn again and again. */
export const lines = (snapshot: Snapshot, frame: Frame): ReadonlyArray<string> => {
  const { height, paint, stats, width } = frame
  const trouble = Facts.trouble(snapshot)
  const head = [
    heading(snapshot, frame),
    ...flow(
      [
        [...outcomes(snapshot), ...Facts.underWay(snapshot)],
        pace(snapshot),
        Facts.limitUse(snapshot),
        Facts.costs(snapshot)
      ].filter((group) => group.length > 0),
      frame
    ),
    ...Facts.pauses(snapshot).map((text) => paint(clip(text, width), "yellow")),
    ...(trouble === undefined ? [] : [paint(clip(trouble, width), "dim")])
  ]
  const room = height - head.length - 3
  return stats ? [...head, ...table(snapshot, { width, paint, most: room })] : head
}

/** The same as one line. */
export const line = (snapshot: Snapshot): string => {
  const { done, etaSeconds, total } = snapshot
  const why = [...Facts.pauses(snapshot), Facts.trouble(snapshot)].filter((text) => text !== undefined)
  return [
    total === undefined ? `${count(done)} done` : `${count(done)}/${count(total)}`,
    `${count(snapshot.failed)} failed`,
    `${count(snapshot.cached)} cached`,
    ...(snapshot.resumed === 0 ? [] : [`${count(snapshot.resumed)} resumed`]),
    Facts.rate(snapshot.rate.now),
    ...Facts.underWay(snapshot).map(({ text }) => text),
    `${count(snapshot.tokens.perMinute)} tokens/min`,
    ...Facts.limitUse(snapshot).map(({ text }) => text),
    ...Facts.costs(snapshot).map(({ text }) => text),
    ...(etaSeconds === undefined ? [] : [`ETA ${Facts.duration(etaSeconds)}`]),
    ...(why.length === 0 ? [] : [`(${why.join("; ")})`])
  ].join(gap)
}
