/** Reads the arguments of one command, and says what is wrong with them in our words. */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { CliError } from "./CliError.js"
import type { Loaded, Services } from "./command.js"
import { entriesOf } from "./help.js"

/** The parser prints its errors itself; they are told with all others. Logs have another way. */
const silent = Effect.map(Console.consoleWith(Effect.succeed), (console) => ({
  ...console,
  error: () => Effect.void
}))

const messageOf = (error: ValidationError.ValidationError, called: string): string => {
  // without the colours of a terminal
  const text = HelpDoc.toAnsiText(error.error)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape is what is looked for
    .replace(/\u001b\[[\d;]*m/g, "")
    .trim()
    .replace(/\s+/g, " ")
  const [, option] = /^Expected to find option: '(--[a-z-]+)'$/.exec(text) ?? []
  if (option !== undefined) return `${option} is missing: ${called} --help tells what it takes`
  const [, argument] = /^Missing argument <(.+)>/.exec(text) ?? []
  if (argument !== undefined) return `${argument} is missing: ${called} --help tells what it takes`
  const [, extra] = /^Received unknown argument: '(.*)'$/.exec(text) ?? []
  if (extra !== undefined) return `unexpected argument "${extra}": ${called} --help tells what it takes`
  return text
}

/** The parser of a command, whose words these are, and what is done with what it reads. */
export const parser = <Name extends string, A>(
  command: Command.Command<Name, never, never, A>,
  words: ReadonlyArray<string>,
  run: (flags: A) => Effect.Effect<unknown, CliError, Services>
): Loaded => ({
  entries: entriesOf(Command.getHelp(command, CliConfig.defaultConfig)),
  run: (args, { version, wizard }) =>
    Effect.gen(function* () {
      let exitCode = 0
      const handled = Command.withHandler(command, (flags) =>
        Effect.map(run(flags), (code) => {
          if (typeof code === "number") exitCode = code
        })
      )
      const called = `floodgate ${words.join(" ")}`
      yield* Command.run(handled, { name: called, version })([
        "",
        "",
        ...args,
        ...(wizard ? ["--wizard"] : [])
      ]).pipe(
        Effect.withConsole(yield* silent),
        Effect.mapError((error) =>
          ValidationError.isValidationError(error)
            ? new CliError({ message: messageOf(error, called) })
            : error
        )
      )
      return exitCode
    })
})
