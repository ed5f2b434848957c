/** Text as a terminal may be given it. */
import { safeText } from "../internal/safeText.js"

/** Without control characters: what a model writes could move the cursor, or change the terminal's title. */
export const plain = (text: string): string => text.replace(/[^\P{Cc}\n\t]/gu, "")

/** Where text is written, as far as this module looks at it. */
export interface Output {
  readonly isTTY?: boolean | undefined
  readonly write: (text: string) => unknown
}

const noColor = process.env["NO_COLOR"] !== undefined && process.env["NO_COLOR"] !== ""

/** In a fainter colour, where there are colours. Ends what it begins: whoever is interrupted leaves none behind. */
export const dim = ({ isTTY }: Output, text: string): string =>
  isTTY === true && !noColor && text !== "" ? `\u001b[2m${text}\u001b[22m` : text

/** A remark for people, on a line of its own. */
export const remark = (output: Output, text: string): void => {
  output.write(`${dim(output, safeText(text))}\n`)
}
