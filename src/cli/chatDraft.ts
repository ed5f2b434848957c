/** Lines as they are typed, put together to what is meant as one. */

/** What has been typed of a text that has not ended. */
export interface Draft {
  readonly lines: ReadonlyArray<string>
  /** Whether it is a text between `"""`, which ends with them only. */
  readonly isQuoted: boolean
}

/** Nothing typed yet. */
export const empty: Draft = { lines: [], isQuoted: false }

export const isEmpty = ({ isQuoted, lines }: Draft): boolean => lines.length === 0 && !isQuoted

/** The draft with one more line: whole, or to be gone on with. */
export type Added =
  | { readonly text: string; readonly draft?: never }
  | { readonly draft: Draft; readonly text?: never }

const quotes = '"""'

const inQuotes = (lines: ReadonlyArray<string>, line: string): Added => {
  const end = line.trimEnd()
  if (!end.endsWith(quotes)) return { draft: { lines: [...lines, line], isQuoted: true } }
  const last = end.slice(0, -quotes.length)
  return { text: [...lines, ...(last === "" ? [] : [last])].join("\n") }
}

/** Adds a line. */
export const add = ({ isQuoted, lines }: Draft, line: string): Added => {
  if (isQuoted) return inQuotes(lines, line)
  if (lines.length === 0 && line.trimStart().startsWith(quotes)) {
    const rest = line.trimStart().slice(quotes.length)
    return rest.trim() === "" ? { draft: { lines: [], isQuoted: true } } : inQuotes([], rest)
  }
  if (line.endsWith("\\")) return { draft: { lines: [...lines, line.slice(0, -1)], isQuoted: false } }
  return { text: [...lines, line].join("\n") }
}

/** What there is of a text that was never ended. */
export const textOf = ({ lines }: Draft): string => lines.join("\n")
