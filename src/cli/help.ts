/** How the command line is explained, at 80 columns, and what is unknown to it. */
import type * as HelpDoc from "@effect/cli/HelpDoc"
import type { Span } from "@effect/cli/HelpDoc/Span"

/** What is explained: a command, in our words and in the parser's. */
export interface Topic {
  readonly name: string
  readonly usage: string
  readonly purpose: string
  readonly help: () => HelpDoc.HelpDoc
}

/** A flag or argument, as in `--output FILE`, and what it is for. */
interface Entry {
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

const entriesOf = (doc: HelpDoc.HelpDoc): ReadonlyArray<Entry> => {
  switch (doc._tag) {
    case "Sequence":
      return [...entriesOf(doc.left), ...entriesOf(doc.right)]
    case "DescriptionList":
      return doc.definitions.map(([term, text]) => ({
        term: textOf(term).replace(/^[(<](.*)[)>]$/, "$1"),
        // the first paragraph names the type, and those after the second whether it may be left out
        text: paragraphs(text)[1] ?? ""
      }))
    default:
      return []
  }
}

/** Options that every command has, which the parser adds. */
const common: ReadonlyArray<Entry> = [
  { term: "-h, --help", text: "Show this" },
  { term: "--version", text: "Show the version" },
  { term: "--log-level LEVEL", text: "all, debug, info (the default), warning, error or none" },
  { term: "--completions SHELL", text: "Print completions for sh, bash, fish or zsh" },
  { term: "--wizard", text: "Be asked for each option" }
]

const nameOf = ({ term }: Entry): string => /--[a-z-]+/.exec(term)?.[0] ?? term
const commonNames: ReadonlySet<string> = new Set(common.map(nameOf))

const entries = ({ help }: Topic): ReadonlyArray<Entry> => [
  ...entriesOf(help()).filter((entry) => !commonNames.has(nameOf(entry))),
  ...common
]

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

/** All of a command. */
export const explain = (topic: Topic): string =>
  `${wrap(topic.usage, 2)}\n\n${wrap(topic.purpose, 0)}\n\n${list(entries(topic))}`

/** What commands there are. */
export const overview = (purpose: string, topics: ReadonlyArray<Topic>): string =>
  [
    "floodgate COMMAND [options]\n",
    `${wrap(purpose, 0)}\n`,
    list(topics.map(({ name, purpose }) => ({ term: name, text: purpose }))),
    list(common),
    "floodgate COMMAND --help tells more of each.\n"
  ].join("\n")

/** The arguments of a command, as far as they must be understood before the parser sees them. */
export interface Reading {
  /** The same for the parser, with the standard input's path for a lone dash. */
  readonly args: ReadonlyArray<string>
  readonly asksForHelp: boolean
  /** What is no option of the command. */
  readonly unknown: string | undefined
}

/** Tells options, their values and the rest apart: what is a value is nothing else, whatever it looks like. */
export const read = (topic: Topic, given: ReadonlyArray<string>, standardInput: string): Reading => {
  const takesValue = new Map<string, boolean>()
  const longNames = new Map<string, string>()
  for (const { term } of entries(topic)) {
    const [, short, name, value] = /(?:(-[a-z]), )?(--[a-z-]+)( \S+)?/.exec(term) ?? []
    if (name === undefined) continue
    takesValue.set(name, value !== undefined)
    if (short !== undefined) longNames.set(short, name)
  }
  const args: Array<string> = []
  let asksForHelp = false
  let unknown: string | undefined
  for (let at = 0; at < given.length; at++) {
    const arg = given[at] ?? ""
    if (arg === "--") {
      args.push(...given.slice(at).map((rest) => (rest === "-" ? standardInput : rest)))
      break
    }
    if (arg === "-") {
      args.push(standardInput)
      continue
    }
    const name = longNames.get(arg) ?? arg.split("=", 1)[0] ?? arg
    const valued = takesValue.get(name)
    if (valued === undefined && arg.startsWith("--")) unknown ??= name
    if (name === "--help") asksForHelp = true
    const value = given[at + 1]
    if (valued !== true || arg.startsWith(`${name}=`) || value === undefined) {
      args.push(arg)
      continue
    }
    at++
    // the parser takes a dash for the end of the options, and -h for a call for help, even where a value is due
    if (/^-\S*$/.test(value)) args.push(`${name}=${value}`)
    else args.push(arg, value)
  }
  return { args, asksForHelp, unknown }
}
