/** Text on a terminal: how wide it is, where it is cut, and its colours. */
import { WriteStream } from "node:tty"

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan"

/** Gives a text a style, or leaves it as it is where there are no colours. */
export type Paint = (text: string, style: Style | undefined) => string

const codes: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39]
}

const plain: Paint = (text) => text

const coloured: Paint = (text, style) => {
  if (style === undefined || text === "") return text
  const [on, off] = codes[style]
  return `\u001b[${on}m${text}\u001b[${off}m`
}

/** `FORCE_COLOR` goes before `NO_COLOR`, and that before what the terminal can do, as in Node itself. */
export const paintFor = (stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): Paint =>
  (stream.isTTY === true || env.FORCE_COLOR !== undefined) && WriteStream.prototype.getColorDepth(env) > 1
    ? coloured
    : plain

/** A text in which nothing moves the cursor. */
export const oneLine = (text: string): string => text.replace(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim()

/** Two columns for what may take two: too much room does no harm, and a line that wraps does. */
const widthOf = (character: string): number => {
  const point = character.codePointAt(0) ?? 0
  if (point < 0x300) return 1
  if (/\p{Mn}/u.test(character)) return 0
  return (point >= 0x1100 && point <= 0x115f) || (point >= 0x2e80 && point <= 0xffdc) || point > 0xffff
    ? 2
    : 1
}

/** The columns that a text without colours takes. */
export const width = (text: string): number => {
  let columns = 0
  for (const character of text) columns += widthOf(character)
  return columns
}

/** The beginning of a text that fits into so many columns. */
export const clip = (text: string, columns: number): string => {
  if (width(text) <= columns) return text
  let kept = ""
  let taken = 0
  for (const character of text) {
    taken += widthOf(character)
    if (taken > columns - 1) break
    kept += character
  }
  return columns < 1 ? "" : `${kept}…`
}
