/** How the command line is explained, at 80 columns. */
import type * as HelpDoc from "@effect/cli/HelpDoc"
import type { Span } from "@effect/cli/HelpDoc/Span"

/** A flag or argument, as in `--output FILE`, and what it is for. */
export interface Entry {
  readonly term: string
  readonly text: string
}

const textOf = (span: Span): string =>
  span._tag === "Sequence"
    ? textOf(span.left) + textOf(span.right)
    : typeof span.value === "string"
      ? span.value
      : textOf(span.value)

const paragraphs = (doc: HelpDoc.HelpDoc): ReadonlyArray<string> => {
  switch (doc._tag) {
    case "Paragraph":
      return [textOf(doc.value)]
    case "Sequence":
      return [...paragraphs(doc.left), ...paragraphs(doc.right)]
    default:
      return []
  }
}

/** The flags and arguments of a command, as the parser tells of them. */
export const entriesOf = (doc: HelpDoc.HelpDoc): ReadonlyArray<Entry> => {
  const all = definitionsOf(doc)
  return all.filter((entry) => !builtIn.has(nameOf(entry)))
}

const definitionsOf = (doc: HelpDoc.HelpDoc): ReadonlyArray<Entry> => {
  switch (doc._tag) {
    case "Sequence":
      return [...definitionsOf(doc.left), ...definitionsOf(doc.right)]
    case "DescriptionList":
      return doc.definitions.map(([term, text]) => ({
        term: textOf(term).replace(/^[(<](.*)[)>](\.{3})?$/, "$1$2"),
        // the first paragraph names the type, and those after the second whether it may be left out
        text: paragraphs(text)[1] ?? ""
      }))
    default:
      return []
  }
}

/** Options that every command has. */
export const common: ReadonlyArray<Entry> = [
  { term: "-h, --help", text: "Show this" },
  { term: "--version", text: "Show the version" },
  { term: "--log-level LEVEL", text: "all, debug, info (the default), warning, error or none" },
  { term: "--json", text: "Tell errors as JSON, on stderr" },
  { term: "--verbose", text: "Tell what an error comes from" },
  { term: "--completions SHELL", text: "Print completions for bash, zsh or fish" },
  { term: "--wizard", text: "Be asked for each option" }
]

/** The option's long name; of an argument its own. */
export const nameOf = ({ term }: Entry): string => /--[a-z-]+/.exec(term)?.[0] ?? term

/** Options that the parser adds to those of a command. */
const builtIn: ReadonlySet<string> = new Set([
  "--help",
  "--version",
  "--log-level",
  "--completions",
  "--wizard"
])

const columns = 80

const wrap = (text: string, indent: number): string => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns - indent) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${" ".repeat(indent)}`)
}

const termWidth = 30

const list = (all: ReadonlyArray<Entry>): string =>
  all
    .map(({ term, text }) => {
      const gap =
        term.length + 4 > termWidth ? `\n${" ".repeat(termWidth)}` : " ".repeat(termWidth - 2 - term.length)
      return `  ${term}${gap}${wrap(text, termWidth)}\n`
    })
    .join("")

/** All of a command. `usage` is how it is called. */
export const explain = (usage: string, purpose: string, own: ReadonlyArray<Entry>): string => {
  const names = new Set(own.map(nameOf))
  const others = common.filter((entry) => !names.has(nameOf(entry)))
  return `${wrap(usage, 2)}\n\n${wrap(purpose, 0)}\n\n${list(own)}\n${list(others)}`
}

/** A command that is only the name of others. */
export interface Group {
  /** What is written before the names of its commands: `floodgate`, `floodgate cache`. */
  readonly name: string
  readonly purpose: string
  readonly commands: ReadonlyArray<{ readonly name: string; readonly purpose: string }>
}

/** What commands there are. */
export const overview = ({ commands, name, purpose }: Group): string =>
  [
    `${name} COMMAND [options]\n`,
    `${wrap(purpose, 0)}\n`,
    list(commands.map(({ name, purpose }) => ({ term: name, text: purpose }))),
    list(common),
    `${name} COMMAND --help tells more of each.\n`
  ].join("\n")
