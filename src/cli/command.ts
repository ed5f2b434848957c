/** A command of the command line: what it is called, what it takes, and what it does. The last two are loaded when used. */
import type * as Command from "@effect/cli/Command"
import type * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CliError } from "./CliError.js"
import type { Entry } from "./help.js"

/** What every command may use. */
export type Services = NodeContext.NodeContext | Scope.Scope

/** The parser of a command, loaded. */
export interface Loaded {
  /** Its options and arguments. */
  readonly entries: ReadonlyArray<Entry>
  /** Reads the arguments and does what they say; gives the exit code. */
  readonly run: (
    args: ReadonlyArray<string>,
    options: { readonly version: string; readonly wizard: boolean }
  ) => Effect.Effect<number, CliError, Services>
}

export interface CliCommand {
  /** Such as `["cache", "stats"]`. */
  readonly words: ReadonlyArray<string>
  /** What comes after the words. */
  readonly usage: string
  readonly purpose: string
  readonly load: Effect.Effect<Loaded>
}

/** What a word is for that only other words follow. */
export const groups: Readonly<Record<string, string>> = {
  cache: "Look into a cache, clear it, and carry its answers to another",
  config: "Look at the settings"
}

/** What a command is made of. */
export interface Parts<Name extends string, A> {
  readonly words: ReadonlyArray<string>
  readonly usage: string
  readonly purpose: string
  readonly command: () => Promise<Command.Command<Name, never, never, A>>
  /** What it does; a number is the exit code. */
  readonly run: (flags: A) => Promise<Effect.Effect<unknown, CliError, Services>>
}

export const make = <Name extends string, A>({
  command,
  purpose,
  run,
  usage,
  words
}: Parts<Name, A>): CliCommand => ({
  words,
  usage,
  purpose,
  load: Effect.promise(async () => {
    const [loaded, { parser }] = await Promise.all([command(), import("./parser.js")])
    return parser(loaded, words, (flags) => Effect.flatten(Effect.promise(() => run(flags))))
  })
})
