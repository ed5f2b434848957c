/** An answer on a terminal, as it comes. */
import type { StreamPart } from "../StreamPart.js"
import { dim, type Output, plain } from "./terminalText.js"

/** One answer that is being shown. */
export interface Shown {
  readonly onPart: (part: StreamPart) => void
  /** Begins a new line, if the last has not ended. */
  readonly end: () => void
  /** The text until now. */
  readonly text: () => string
  /** Whether anything of the answer was shown. */
  readonly hasBegun: () => boolean
}

/** Text goes to `stdout`, thoughts to `stderr` where they are wanted at all. */
export const make = (options: {
  readonly stdout: Output
  readonly stderr: Output
  readonly showThinking: boolean
}): Shown => {
  const { showThinking, stderr, stdout } = options
  let text = ""
  let last: Output | undefined
  let endsLine = true
  const write = (output: Output, chunk: string, shown: string): void => {
    if (chunk === "") return
    // thoughts and text in paragraphs of their own
    if (last !== undefined && last !== output) last.write(endsLine ? "\n" : "\n\n")
    last = output
    endsLine = chunk.endsWith("\n")
    output.write(shown)
  }
  return {
    onPart: (part) => {
      if (part._tag === "Text") {
        text += part.text
        const chunk = stdout.isTTY === true ? plain(part.text) : part.text
        write(stdout, chunk, chunk)
      } else if (part._tag === "Reasoning" && showThinking) {
        const chunk = plain(part.text)
        write(stderr, chunk, dim(stderr, chunk))
      }
    },
    end: () => {
      if (!endsLine) last?.write("\n")
      endsLine = true
    },
    text: () => text,
    hasBegun: () => last !== undefined
  }
}
