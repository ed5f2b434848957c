/** What is typed into a chat: text, or a command that begins with a slash. */
import * as Data from "effect/Data"
import { suggestion } from "../internal/nearest.js"

/** One thing that was typed. */
export type Line = Data.TaggedEnum<{
  /** A turn of the conversation. */
  Text: { readonly text: string }
  Help: object
  /** Without a name: which it is. */
  Model: { readonly name: string | undefined }
  /** Without a text: what they are. */
  System: { readonly text: string | undefined }
  Clear: object
  Retry: object
  Undo: object
  Save: { readonly path: string }
  Load: { readonly path: string }
  Image: { readonly source: string }
  Usage: object
  Exit: object
  /** A command that cannot be done, and why. */
  Mistake: { readonly message: string }
}>

export const Line = Data.taggedEnum<Line>()

interface Command {
  readonly name: string
  /** What follows the name, in capitals; in brackets where it may be left out. */
  readonly takes?: string
  readonly purpose: string
  readonly make: (argument: string) => Line
}

const orNone = (text: string): string | undefined => (text === "" ? undefined : text)

/** A path as it is typed or dropped into a terminal: quotes around it are no part of it. */
const unquoted = (text: string): string => /^(["'])(.*)\1$/.exec(text)?.[2] ?? text

export const commands: ReadonlyArray<Command> = [
  { name: "help", purpose: "Show this", make: () => Line.Help() },
  {
    name: "model",
    takes: "[NAME]",
    purpose: "Ask another model, or say which it is",
    make: (name) => Line.Model({ name: orNone(name) })
  },
  {
    name: "system",
    takes: "[TEXT]",
    purpose: "Set or show the standing instructions; off takes them away",
    make: (text) => Line.System({ text: orNone(text) })
  },
  { name: "clear", purpose: "Forget the conversation", make: () => Line.Clear() },
  { name: "retry", purpose: "Ask the last question again", make: () => Line.Retry() },
  { name: "undo", purpose: "Forget the last question and its answer", make: () => Line.Undo() },
  {
    name: "save",
    takes: "FILE",
    purpose: "Write the conversation, as JSON",
    make: (path) => Line.Save({ path: unquoted(path) })
  },
  {
    name: "load",
    takes: "FILE",
    purpose: "Go on with a conversation that was saved",
    make: (path) => Line.Load({ path: unquoted(path) })
  },
  {
    name: "image",
    takes: "FILE|URL",
    purpose: "Show an image with the next question",
    make: (source) => Line.Image({ source: unquoted(source) })
  },
  { name: "usage", purpose: "Say what was used, and what it cost", make: () => Line.Usage() },
  { name: "exit", purpose: "Leave; Ctrl-D does as well", make: () => Line.Exit() }
]

/** What is also understood. */
const aliases: Readonly<Record<string, string>> = { quit: "exit", q: "exit", "?": "help" }

/** Reads what was typed. Two slashes stand for one that begins a text. */
export const parse = (typed: string): Line => {
  const text = typed.trim()
  if (text.startsWith("//")) return Line.Text({ text: text.slice(1) })
  // a path such as /etc/hosts is no command
  const [, word, rest = ""] = /^\/([a-z?]+)(?:\s+([\s\S]*))?$/i.exec(text) ?? []
  if (word === undefined) return Line.Text({ text })
  const name = aliases[word.toLowerCase()] ?? word.toLowerCase()
  const command = commands.find((known) => known.name === name)
  if (command === undefined) {
    const names = commands.map(({ name }) => name)
    const meant = suggestion(name, names).replace(/"(\w+)"/, '"/$1"')
    return Line.Mistake({ message: `there is no command /${word}${meant || "; /help tells them all"}` })
  }
  const argument = rest.trim()
  if (command.takes === undefined && argument !== "") {
    return Line.Mistake({ message: `/${name} takes nothing after it` })
  }
  if (command.takes !== undefined && !command.takes.startsWith("[") && argument === "") {
    return Line.Mistake({ message: `write /${name} ${command.takes}` })
  }
  return command.make(argument)
}

/** The commands that begin so, for the Tab key. */
export const complete = (typed: string): ReadonlyArray<string> =>
  /^\/[a-z]*$/.test(typed)
    ? commands
        .map(({ name, takes }) => `/${name}${takes === undefined ? "" : " "}`)
        .filter((command) => command.startsWith(typed))
    : []

/** All commands, for `/help`. */
export const help: string = [
  ...commands.map(({ name, purpose, takes }) => [
    `/${name}${takes === undefined ? "" : ` ${takes}`}`,
    purpose
  ]),
  ["\\ at the end", "The line goes on in the next one"],
  ['""" … """', "A text of several lines"],
  ["Ctrl-C", "Stops the answer; on an empty line, twice, it leaves"]
]
  .map(([term = "", purpose = ""]) => `  ${term.padEnd(18)}${purpose}\n`)
  .join("")
