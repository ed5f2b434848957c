/** From the words of a command line to the command that they name; help, version and errors are of all commands. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { suggestion } from "../internal/nearest.js"
import { CliError } from "./CliError.js"
import { type CliCommand, groups, type Services } from "./command.js"
import * as CommandLine from "./commandLine.js"
import { commands } from "./commands.js"
import { report } from "./errorReport.js"
import * as Help from "./help.js"
import { GivenLogLevel } from "./logLevel.js"

const purpose = "Send many prompts to language models: in order, paid once, as fast as they allow"

const print = (text: string) => Effect.sync(() => void process.stdout.write(text))

/** The commands below these words, each by its next word. */
const below = (words: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const command of commands) {
    const name = command.words[words.length]
    if (name === undefined || !words.every((word, n) => command.words[n] === word)) continue
    found.set(name, command.words.length === words.length + 1 ? command.purpose : (groups[name] ?? ""))
  }
  return found
}

const overview = (words: ReadonlyArray<string>): string =>
  Help.overview({
    name: ["floodgate", ...words].join(" "),
    purpose: groups[words.join(" ")] ?? purpose,
    commands: [...below(words)].map(([name, purpose]) => ({ name, purpose }))
  })

const levels: Readonly<Record<string, LogLevel.LogLevel>> = Object.fromEntries(
  LogLevel.allLevels.map((level) => [level._tag.toLowerCase(), level])
)

/** An option that there is not, or without its value. */
const faulty = (fault: string, called: string, entries: ReadonlyArray<Help.Entry>): CliError =>
  new CliError({
    message: `${fault}: ${called} --help lists them all${CommandLine.meantOption(fault, entries)}`
  })

/** What is asked for whatever the command: the version, completions. `undefined` where it is something else. */
const general = ({ completions, version: isAsked }: CommandLine.Common, version: string) => {
  if (isAsked) return print(`${version}\n`)
  if (completions === undefined) return undefined
  return Effect.flatMap(
    Effect.promise(() => import("./completions.js")),
    ({ script }) => Effect.flatMap(script(commands, completions), print)
  )
}

/** Runs one command. `said` is told how the user wants things told, as soon as that is known. */
const run = (
  command: CliCommand,
  args: ReadonlyArray<string>,
  version: string,
  said: (manner: CommandLine.Common) => void
): Effect.Effect<number, CliError, Services> =>
  Effect.gen(function* () {
    const called = `floodgate ${command.words.join(" ")}`
    const { entries, run } = yield* command.load
    const reading = CommandLine.read(entries, args)
    const { common, fault } = reading
    said(common)
    if (common.help) {
      yield* print(Help.explain(`${called} ${command.usage}`, command.purpose, entries))
      return 0
    }
    if (fault !== undefined) return yield* faulty(fault, called, entries)
    const asked = general(common, version)
    if (asked !== undefined) return yield* Effect.as(asked, 0)
    const work = run(reading.args, { version, wizard: common.wizard })
    if (common.logLevel === undefined) return yield* work
    const level = CommandLine.oneOf("--log-level", common.logLevel.toLowerCase(), levels)
    if (Either.isLeft(level)) return yield* new CliError({ message: level.left })
    return yield* work.pipe(
      Logger.withMinimumLogLevel(level.right),
      Effect.locally(GivenLogLevel, common.logLevel)
    )
  })

/** Where there is no command: help, or the name of one that was meant. */
const otherwise = (
  before: ReadonlyArray<string>,
  rest: ReadonlyArray<string>,
  words: ReadonlyArray<string>,
  version: string
): Effect.Effect<number, CliError> =>
  Effect.suspend(() => {
    const [asked] = rest
    if (asked === undefined || asked.startsWith("-")) {
      const { common, fault } = CommandLine.read([], [...before, ...rest])
      if (fault !== undefined) return faulty(fault, ["floodgate", ...words].join(" "), [])
      return Effect.as(general(common, version) ?? print(overview(words)), 0)
    }
    const names = [...below(words).keys()]
    const last = before.at(-1) ?? ""
    if (last.startsWith("-") && !CommandLine.isCommon(last)) {
      const command = rest.find((word) => names.includes(word)) ?? "COMMAND"
      return new CliError({
        message: `${last} stands before the name of a command, and is an option of one: write floodgate ${command} ${last} …`
      })
    }
    return new CliError({
      message: `there is no command "${[...words, asked].join(" ")}": try ${names.join(", ")} or --help${suggestion(asked, names)}`
    })
  })

/**
 * Does what the words say, those after `floodgate`, and gives the exit code. Fails with what is to be said on stderr;
 * the exit code is then 2.
 */
export const dispatch = (
  given: ReadonlyArray<string>,
  version: string
): Effect.Effect<number, string, Exclude<Services, Scope.Scope>> =>
  Effect.suspend(() => {
    const { before, rest } = CommandLine.split(given)
    const command = commands.find(({ words }) => words.every((word, n) => rest[n] === word))
    const [first] = rest
    const words = command?.words ?? (first !== undefined && Object.hasOwn(groups, first) ? [first] : [])
    const after = rest.slice(words.length)
    let manner = CommandLine.readCommon(given)
    const work =
      command === undefined
        ? otherwise(before, after, words, version)
        : run(command, [...before, ...after], version, (common) => {
            manner = common
          })
    return Effect.mapError(Effect.scoped(work), (error) => report(error, manner, words.join(" "), 2))
  })
