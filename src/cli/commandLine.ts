/** The arguments of a command, as far as they must be understood before the parser sees them. */
import * as Either from "effect/Either"
import { suggestion } from "../internal/nearest.js"
import { common, type Entry, nameOf } from "./help.js"

/** Path that stands for the standard input; on the command line people write `-`. */
export const standardInput = "/dev/stdin"

/** What holds for every command. */
export interface Common {
  readonly help: boolean
  readonly version: boolean
  readonly wizard: boolean
  readonly json: boolean
  readonly verbose: boolean
  readonly logLevel: string | undefined
  /** The shell whose completions are asked for. */
  readonly completions: string | undefined
}

export interface Reading {
  /** What is left for the parser, with the standard input's path for a lone dash. */
  readonly args: ReadonlyArray<string>
  readonly common: Common
  /** What is wrong with an option, and the option. */
  readonly fault: string | undefined
}

interface Option {
  readonly name: string
  /** Whether a value follows. */
  readonly isValued: boolean
}

const optionsOf = (entries: ReadonlyArray<Entry>): ReadonlyMap<string, Option> => {
  const options = new Map<string, Option>()
  for (const { term } of entries) {
    const [, short, name, value] = /(?:(-[a-z]), )?(--[a-z-]+)( \S+)?/.exec(term) ?? []
    if (name === undefined) continue
    const option = { name, isValued: value !== undefined }
    options.set(name, option)
    if (short !== undefined) options.set(short, option)
  }
  return options
}

const commonOptions = optionsOf(common)

/** Whether every command has this option. */
export const isCommon = (written: string): boolean => commonOptions.has(written.split("=", 1)[0] ?? written)

/** The words and options before the name of a command. Options of every command may stand there. */
export const split = (
  given: ReadonlyArray<string>
): { readonly before: ReadonlyArray<string>; readonly rest: ReadonlyArray<string> } => {
  let at = 0
  while (given[at]?.startsWith("-")) {
    const option = commonOptions.get(given[at] ?? "")
    at += option?.isValued === true ? 2 : 1
  }
  return { before: given.slice(0, at), rest: given.slice(at) }
}

/** What the options of every command say, whatever the command may be. */
export const readCommon = (given: ReadonlyArray<string>): Common => read([], given).common

/**
 * Tells options, their values and the rest apart: what is a value is nothing else, whatever it looks like. Options that
 * every command has are taken out, but for those that the command has itself.
 */
export const read = (own: ReadonlyArray<Entry>, given: ReadonlyArray<string>): Reading => {
  const options = optionsOf(own)
  const args: Array<string> = []
  const said = new Map<string, string>()
  let fault: string | undefined
  for (let at = 0; at < given.length; at++) {
    const arg = given[at] ?? ""
    if (arg === "--") {
      args.push(...given.slice(at).map((rest) => (rest === "-" ? standardInput : rest)))
      break
    }
    if (!arg.startsWith("-")) {
      args.push(arg)
      continue
    }
    if (arg === "-") {
      args.push(standardInput)
      continue
    }
    const written = arg.split("=", 1)[0] ?? arg
    const option = options.get(written) ?? commonOptions.get(written)
    if (option === undefined) {
      // a number may be below zero
      if (/^(--|-[a-z])/i.test(arg)) fault ??= `unknown option ${written}`
      args.push(arg)
      continue
    }
    const { isValued, name } = option
    const isAssigned = arg.startsWith(`${written}=`)
    const value = isAssigned ? arg.slice(written.length + 1) : isValued ? given[at + 1] : undefined
    if (isValued && value === undefined) fault ??= `${written} needs a value`
    if (isValued && !isAssigned) at++
    if (commonOptions.has(name)) said.set(name, value ?? "")
    if (!options.has(written)) continue
    // the parser takes a dash for the end of the options, and -h for a call for help, even where a value is due
    if (isAssigned || value === undefined) args.push(arg)
    else if (/^-\S*$/.test(value)) args.push(`${name}=${value}`)
    else args.push(arg, value)
  }
  return {
    args,
    fault,
    common: {
      help: said.has("--help"),
      version: said.has("--version"),
      wizard: said.has("--wizard"),
      json: said.has("--json"),
      verbose: said.has("--verbose"),
      logLevel: said.get("--log-level"),
      completions: said.get("--completions")
    }
  }
}

/** What was meant by an option that there is not. */
export const meantOption = (fault: string, own: ReadonlyArray<Entry>): string => {
  const [, unknown] = /^unknown option (\S+)$/.exec(fault) ?? []
  return unknown === undefined
    ? ""
    : suggestion(
        unknown,
        [...own, ...common].map(nameOf).filter((name) => name.startsWith("--"))
      )
}

/** One of these words, or what is wrong with it. */
export const oneOf = <A>(
  option: string,
  text: string,
  words: Readonly<Record<string, A>>
): Either.Either<A, string> => {
  const found = Object.hasOwn(words, text) ? words[text] : undefined
  return found === undefined
    ? Either.left(
        `${option} takes one of ${Object.keys(words).join(", ")}, not "${text}"${suggestion(text, Object.keys(words))}`
      )
    : Either.right(found)
}
