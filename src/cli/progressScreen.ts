/** Lines at the bottom of a terminal that are drawn anew in place, and others that are written above them. */
import { createLogUpdate } from "log-update"
import { width } from "./progressStyle.js"

export interface Screen {
  readonly draw: (lines: ReadonlyArray<string>) => void
  /** Writes whole lines above what is drawn. */
  readonly print: (text: string) => void
  /** Takes away what is drawn. */
  readonly close: () => void
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what begins with an escape is no text
const colours = /\u001b\[[\d;]*m/g

const hideCursor = "\u001b[?25l"
const showCursor = "\u001b[?25h"

export const make = (stream: NodeJS.WriteStream): Screen => {
  // Hides no cursor itself: to show it again it listens for signals, and ends the process at the first.
  const log = createLogUpdate(stream, { showCursor: true })
  const restore = () => void stream.write(showCursor)
  stream.write(hideCursor)
  process.once("exit", restore)
  let drawn: ReadonlyArray<string> = []

  /** A terminal that has become narrower has wrapped what was drawn: it takes more lines than when it was. */
  const resized = () => {
    if (drawn.length === 0) return
    const columns = stream.columns || 80
    const rows = drawn.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(width(line.replace(colours, "")) / columns)),
      0
    )
    stream.write(`\u001b[${rows}A\r\u001b[J`)
    // forgets what it has drawn
    log.done()
    log(drawn.join("\n"))
  }
  stream.on("resize", resized)

  return {
    draw: (lines) => {
      drawn = lines
      log(lines.join("\n"))
    },
    print: (text) => {
      if (drawn.length > 0) log.clear()
      stream.write(text)
      if (drawn.length > 0) log(drawn.join("\n"))
    },
    close: () => {
      stream.off("resize", resized)
      if (drawn.length > 0) log.clear()
      drawn = []
      process.off("exit", restore)
      restore()
    }
  }
}
