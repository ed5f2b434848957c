/** Completions for shells, made of what the commands say of themselves. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { names } from "../internal/providerRegistry.js"
import { CliError } from "./CliError.js"
import { type CliCommand, groups } from "./command.js"
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
  readonly isRepeated: boolean
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
  const [, short, name, pseudoName] = /(?:(-[a-z]), )?(--[a-z-]+)(?: (\S+?)(?:\.{3})?$)?/.exec(term) ?? []
  if (name === undefined) return []
  const value = pseudoName === undefined ? undefined : (known[name] ?? valueOf(pseudoName))
  return [{ name, short, value, text: brief(text), isRepeated: term.endsWith("...") }]
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

/** What may stand where a command is expected. */
const general = ["--help", "--version"]

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const spellings = ({ name, short }: Option): ReadonlyArray<string> =>
  short === undefined ? [name] : [short, name]

/** What may follow these words, where they name no command yet. */
interface Next {
  readonly word: string
  readonly purpose: string
}

const nextWords = (all: ReadonlyArray<Completable>): ReadonlyMap<string, ReadonlyArray<Next>> => {
  const found = new Map<string, Array<Next>>()
  for (const { purpose, words } of all) {
    for (const [at, word] of words.entries()) {
      const before = words.slice(0, at).join(" ")
      const next = found.get(before) ?? []
      found.set(before, next)
      if (next.some((other) => other.word === word)) continue
      next.push({ word, purpose: at === words.length - 1 ? purpose : (groups[word] ?? "") })
    }
  }
  return found
}

/** Commands, and beginnings of their names. */
const beginnings = (all: ReadonlyArray<Completable>): ReadonlyArray<string> => [
  ...new Set(all.flatMap(({ words }) => words.map((_, at) => words.slice(0, at + 1).join(" "))))
]

/** Options that may stand before the name of a command, with a value of their own. */
const valuedBefore = common
  .flatMap(optionOf)
  .flatMap(({ name, value }) => (value === undefined ? [] : [name]))

/** Inside a loop over the words, in bash as in zsh: adds `$word` to the name of the command in `$said`. */
const follow = (all: ReadonlyArray<Completable>): string =>
  `    case "$said$word" in
      ${valuedBefore.join("|")}) ((at++)); continue ;;
      -*) continue ;;
    esac
    case "\${said:+$said }$word" in
      ${beginnings(all).map(quoted).join("|")}) said="\${said:+$said }$word" ;;
      *) break ;;
    esac`

const bash = (all: ReadonlyArray<Completable>): string => {
  const choices = (value: Option["value"]) =>
    value === "file"
      ? "_floodgate_files"
      : value === "other"
        ? ":"
        : `COMPREPLY=($(compgen -W ${quoted((value ?? []).join(" "))} -- "$cur"))`
  const next = [...nextWords(all)].map(
    ([before, words]) => `    ${quoted(before)}) next=${quoted(words.map(({ word }) => word).join(" "))} ;;`
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
_floodgate_files() {
  # a name may hold blanks
  local IFS=$'\\n'
  COMPREPLY=($(compgen -f -- "$cur"))
}
_floodgate() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" said="" next="" at word
  COMPREPLY=()
  # --name=value comes as three words
  if [[ "$cur" == "=" ]]; then
    cur=""
  elif [[ "$prev" == "=" ]]; then
    prev="\${COMP_WORDS[COMP_CWORD-2]}"
  fi
  for ((at = 1; at < COMP_CWORD; at++)); do
    word="\${COMP_WORDS[at]}"
${follow(all)}
  done
  case "$said" in
${next.join("\n")}
${commands.join("\n")}
  esac
  if [[ -n "$next" ]]; then COMPREPLY=($(compgen -W "$next ${general.join(" ")}" -- "$cur")); fi
}
complete -o filenames -F _floodgate floodgate
`
}

const zsh = (all: ReadonlyArray<Completable>): string => {
  const escaped = (text: string) => text.replace(/[\\[\]:]/g, "\\$&")
  const action = (value: Option["value"]) =>
    value === "file" ? "_files" : value === "other" || value === undefined ? "" : `(${value.join(" ")})`
  const commands = all.map(({ argument, options, words }) => {
    const specs = options.flatMap((option) => {
      // a second one of most has no sense, but some may be repeated
      const others = option.isRepeated
        ? "*"
        : option.short === undefined
          ? ""
          : `(${spellings(option).join(" ")})`
      return spellings(option).map((name) => {
        const assigned = option.value === undefined ? "" : name.startsWith("--") ? "=" : "+"
        const value = option.value === undefined ? "" : `:value:${action(option.value)}`
        return quoted(`${others}${name}${assigned}[${escaped(option.text)}]${value}`)
      })
    })
    const rest = argument === undefined ? [] : [quoted(`*:argument:${action(argument)}`)]
    return `    ${quoted(words.join(" "))}) _arguments -s ${[...specs, ...rest].join(" ")} ;;`
  })
  const next = [...nextWords(all)].map(([before, words]) => {
    const described = words.map(({ purpose, word }) => quoted(`${word}:${escaped(purpose)}`))
    return `    ${quoted(before)})
      local -a found=(${described.join(" ")})
      if [[ "$PREFIX" == -* ]]; then compadd -- ${general.join(" ")}; else _describe command found; fi ;;`
  })
  return `#compdef floodgate
# completions of floodgate for zsh
_floodgate() {
  local said="" word at
  for ((at = 2; at < CURRENT; at++)); do
    word="\${words[at]}"
${follow(all)}
  done
  # what follows is of that command, as if that were one word
  ((at > CURRENT)) && at=CURRENT
  words=(floodgate "\${(@)words[at,-1]}")
  ((CURRENT -= at - 2))
  case "$said" in
${next.join("\n")}
${commands.join("\n")}
  esac
}
compdef _floodgate floodgate
`
}

const fish = (all: ReadonlyArray<Completable>): string => {
  const isAt = (words: string) => quoted(`_floodgate_at${words === "" ? "" : ` ${words}`}`)
  const next = [...nextWords(all)].flatMap(([before, words]) => [
    ...words.map(
      ({ purpose, word }) => `complete -c floodgate -n ${isAt(before)} -f -a ${word} -d ${quoted(purpose)}`
    ),
    ...general.map((name) => `complete -c floodgate -n ${isAt(before)} -f -l ${name.slice(2)}`)
  ])
  const commands = all.flatMap(({ argument, options, words }) => {
    const at = isAt(words.join(" "))
    const rest =
      argument === "file" ? " -F" : argument === undefined ? " -f" : ` -f -a ${quoted(argument.join(" "))}`
    return [
      `complete -c floodgate -n ${at}${rest}`,
      ...options.map(({ name, short, text, value }) => {
        const shortly = short === undefined ? "" : ` -s ${short.slice(1)}`
        const taken =
          value === undefined
            ? ""
            : value === "file"
              ? " -r -F"
              : ` -x${value === "other" ? "" : ` -a ${quoted(value.join(" "))}`}`
        return `complete -c floodgate -n ${at}${shortly} -l ${name.slice(2)}${taken} -d ${quoted(text)}`
      })
    ]
  })
  return `# completions of floodgate for fish
function _floodgate_at
  set -l said
  set -l isValue no
  for word in (commandline -opc)[2..]
    if test $isValue = yes
      set isValue no
      continue
    end
    if test -z "$said"
      switch $word
        case ${valuedBefore.join(" ")}
          set isValue yes
          continue
        case '-*'
          continue
      end
    end
    switch (string trim -- "$said $word")
      case ${beginnings(all).map(quoted).join(" ")}
        set -a said $word
      case '*'
        break
    end
  end
  test "$said" = "$argv"
end
complete -c floodgate -f
${[...next, ...commands].join("\n")}
`
}

const writers: Readonly<Record<Shell, (all: ReadonlyArray<Completable>) => string>> = { bash, zsh, fish }

/** The script for a shell. */
export const script = (commands: ReadonlyArray<CliCommand>, shell: string): Effect.Effect<string, CliError> =>
  Either.match(oneOf("SHELL", shell, shells), {
    onLeft: (message) => new CliError({ message }),
    onRight: (shell) => Effect.map(Effect.forEach(commands, completable), writers[shell])
  })
