/** Completions for shells, made of what the commands say of themselves. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { names } from "../internal/providerRegistry.js"
import { CliError } from "./CliError.js"
import type { CliCommand } from "./command.js"
import { oneOf } from "./commandLine.js"
import { type Shell, shells } from "./completionsCommand.js"
import { common, type Entry } from "./help.js"

/** An option as shells complete it. */
interface Option {
  readonly name: string
  readonly short: string | undefined
  /** The words that it takes, `file`, or `other`; absent where it takes no value. */
  readonly value: ReadonlyArray<string> | "file" | "other" | undefined
  readonly text: string
}

interface Completable {
  readonly words: ReadonlyArray<string>
  readonly purpose: string
  readonly options: ReadonlyArray<Option>
  /** What its arguments are. */
  readonly argument: ReadonlyArray<string> | "file" | undefined
}

const valueOf = (pseudoName: string): Exclude<Option["value"], undefined> => {
  // upper case stands for something, lower case for itself
  const words = pseudoName.split("|").filter((word) => /^[a-z][\w-]*$/.test(word))
  if (/\b(FILE|PATH)\b/.test(pseudoName)) return "file"
  return words.length > 0 ? words : "other"
}

/** The first sentence, or what there is of it before a colon. */
const brief = (text: string): string => text.split(/[.:;] /, 1)[0] ?? text

const optionOf = ({ term, text }: Entry): ReadonlyArray<Option> => {
  const [, short, name, pseudoName] = /(?:(-[a-z]), )?(--[a-z-]+)(?: (\S+))?/.exec(term) ?? []
  if (name === undefined) return []
  const value = pseudoName === undefined ? undefined : (known[name] ?? valueOf(pseudoName))
  return [{ name, short, value, text: brief(text) }]
}

const known: Readonly<Record<string, ReadonlyArray<string>>> = {
  "--provider": names,
  "--log-level": ["all", "debug", "info", "warning", "error", "none"],
  "--completions": ["bash", "zsh", "fish"]
}

const completable = ({ load, purpose, words }: CliCommand): Effect.Effect<Completable> =>
  Effect.map(load, ({ entries }) => {
    const options = [...entries, ...common].flatMap(optionOf)
    const first = entries.find(({ term }) => !term.startsWith("-"))?.term
    return {
      words,
      purpose: brief(purpose),
      // what a command has itself comes before what all have
      options: options.filter(({ name }, at) => options.findIndex((other) => other.name === name) === at),
      argument: first === "SHELL" ? ["bash", "zsh", "fish"] : first === undefined ? undefined : "file"
    }
  })

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const spellings = ({ name, short }: Option): ReadonlyArray<string> =>
  short === undefined ? [name] : [short, name]

/** The words that may follow these, where they name no command yet. */
const nextWords = (all: ReadonlyArray<Completable>): ReadonlyMap<string, ReadonlyArray<string>> => {
  const found = new Map<string, Array<string>>()
  for (const { words } of all) {
    for (const [at, word] of words.entries()) {
      const before = words.slice(0, at).join(" ")
      const next = found.get(before) ?? []
      if (!next.includes(word)) next.push(word)
      found.set(before, next)
    }
  }
  return found
}

const bash = (all: ReadonlyArray<Completable>): string => {
  const choices = (value: Option["value"]) =>
    value === "file"
      ? `COMPREPLY=($(compgen -f -- "$cur"))`
      : value === "other"
        ? "COMPREPLY=()"
        : `COMPREPLY=($(compgen -W ${quoted((value ?? []).join(" "))} -- "$cur"))`
  const groups = [...nextWords(all)].map(
    ([before, words]) => `    ${quoted(before)}) next=${quoted(words.join(" "))} ;;`
  )
  const commands = all.map(({ argument, options, words }) => {
    const valued = options.filter(({ value }) => value !== undefined)
    const cases = valued.map(
      (option) => `        ${spellings(option).join("|")}) ${choices(option.value)}; return ;;`
    )
    return `    ${quoted(words.join(" "))})
      case "$prev" in
${cases.join("\n")}
      esac
      if [[ "$cur" == -* ]]; then
        COMPREPLY=($(compgen -W ${quoted(options.flatMap(spellings).join(" "))} -- "$cur"))
      else
        ${choices(argument ?? "other")}
      fi ;;`
  })
  return `# completions of floodgate for bash
_floodgate() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" words="" next="" at
  COMPREPLY=()
  for ((at = 1; at < COMP_CWORD; at++)); do
    case " ${[...nextWords(all).values()].flat().join(" ")} " in
      *" \${COMP_WORDS[at]} "*) words="\${words:+$words }\${COMP_WORDS[at]}" ;;
      *) break ;;
    esac
  done
  case "$words" in
${groups.join("\n")}
${commands.join("\n")}
  esac
  if [[ -n "$next" ]]; then COMPREPLY=($(compgen -W "$next --help --version" -- "$cur")); fi
}
complete -o filenames -o bashdefault -F _floodgate floodgate
`
}

const zsh = (all: ReadonlyArray<Completable>): string => {
  const escaped = (text: string) => text.replace(/[\\[\]:]/g, "\\$&")
  const action = (value: Option["value"]) =>
    value === "file" ? "_files" : value === "other" || value === undefined ? "" : `(${value.join(" ")})`
  const commands = all.map(({ argument, options, words }) => {
    const specs = options.flatMap((option) =>
      spellings(option).map((name) =>
        quoted(
          `${name}[${escaped(option.text)}]${option.value === undefined ? "" : `:value:${action(option.value)}`}`
        )
      )
    )
    const rest = argument === undefined ? [] : [quoted(`*:argument:${action(argument)}`)]
    return `    ${quoted(words.join(" "))}) _arguments -s ${[...specs, ...rest].join(" ")} ;;`
  })
  const groups = [...nextWords(all)].map(
    ([before, next]) =>
      `    ${quoted(before)}) compadd -- ${next.join(" ")}${before === "" ? " --help --version" : ""} ;;`
  )
  return `#compdef floodgate
# completions of floodgate for zsh
_floodgate() {
  local said="" at
  for ((at = 2; at < CURRENT; at++)); do
    case " ${[...nextWords(all).values()].flat().join(" ")} " in
      *" \${words[at]} "*) said="\${said:+$said }\${words[at]}" ;;
      *) break ;;
    esac
  done
  case "$said" in
${groups.join("\n")}
${commands.join("\n")}
  esac
}
compdef _floodgate floodgate
`
}

const fish = (all: ReadonlyArray<Completable>): string => {
  const seen = (words: ReadonlyArray<string>) => words.map((word) => `__fish_seen_subcommand_from ${word}`)
  const lines = [...nextWords(all)].flatMap(([before, next]) => {
    const condition = [
      ...seen(before === "" ? [] : before.split(" ")),
      `not __fish_seen_subcommand_from ${next.join(" ")}`
    ].join("; and ")
    return next.map((word) => {
      const purpose = all.find(({ words }) => words.join(" ") === `${before} ${word}`.trim())?.purpose
      return `complete -c floodgate -n ${quoted(condition)} -f -a ${word}${purpose === undefined ? "" : ` -d ${quoted(purpose)}`}`
    })
  })
  const options = all.flatMap(({ options, words }) =>
    options.map(({ name, short, text, value }) => {
      const shortly = short === undefined ? "" : ` -s ${short.slice(1)}`
      const taken =
        value === undefined
          ? ""
          : value === "file"
            ? " -r -F"
            : ` -x${value === "other" ? "" : ` -a ${quoted(value.join(" "))}`}`
      return `complete -c floodgate -n ${quoted(seen(words).join("; and "))}${shortly} -l ${name.slice(2)}${taken} -d ${quoted(text)}`
    })
  )
  return `# completions of floodgate for fish\n${[...lines, ...options].join("\n")}\n`
}

const writers: Readonly<Record<Shell, (all: ReadonlyArray<Completable>) => string>> = { bash, zsh, fish }

/** The script for a shell. */
export const script = (commands: ReadonlyArray<CliCommand>, shell: string): Effect.Effect<string, CliError> =>
  Either.match(oneOf("SHELL", shell, shells), {
    onLeft: (message) => new CliError({ message }),
    onRight: (shell) => Effect.map(Effect.forEach(commands, completable), writers[shell])
  })
