/** Values of flags that several commands read in the same way. */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { duration } from "../internal/durationText.js"
import { suggestion } from "../internal/nearest.js"
import { CliError } from "./CliError.js"

export { duration } from "../internal/durationText.js"

/** A flag that may be left out. */
export const optional = <A>(option: Options.Options<A>): Options.Options<A | undefined> =>
  option.pipe(Options.optional, Options.map(Option.getOrUndefined))

/** A text that may be left out. */
export const text = (
  name: string,
  pseudoName: string,
  description: string
): Options.Options<string | undefined> =>
  optional(Options.text(name).pipe(Options.withPseudoName(pseudoName), Options.withDescription(description)))

/** The command was written wrong. */
export const wrong = (message: string): Effect.Effect<never, CliError> =>
  Effect.fail(new CliError({ message }))

const numeric = (name: string, pattern: RegExp, wanted: string): Options.Options<number> =>
  Options.text(name).pipe(
    Options.withPseudoName("N"),
    Options.mapEffect((text) =>
      pattern.test(text.trim())
        ? Effect.succeed(Number(text))
        : Effect.fail(ValidationError.invalidValue(HelpDoc.p(`--${name} takes ${wanted}, not "${text}"`)))
    )
  )

/** A number; the message about anything else names the flag, which the parser's own does not. */
export const number = (name: string): Options.Options<number> =>
  numeric(name, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, "a number")

export const wholeNumber = (name: string): Options.Options<number> =>
  numeric(name, /^[+-]?\d+$/, "a whole number")

/** One of these words; the message about any other names the flag, as above. */
export const choice = <A>(name: string, words: Readonly<Record<string, A>>): Options.Options<A> =>
  Options.text(name).pipe(
    Options.withPseudoName(Object.keys(words).join("|")),
    Options.mapEffect((text) => {
      const found = Object.hasOwn(words, text) ? words[text] : undefined
      const known = Object.keys(words)
      return found === undefined
        ? Effect.fail(
            ValidationError.invalidValue(
              HelpDoc.p(`--${name} takes one of ${known.join(", ")}, not "${text}"${suggestion(text, known)}`)
            )
          )
        : Effect.succeed(found)
    })
  )

/** A duration longer than nothing. */
export const parseDuration = (
  flag: string,
  text: string,
  examples = "90s, 10m or 500ms"
): Effect.Effect<Duration.Duration, CliError> =>
  Option.match(Option.filter(duration(text), Duration.greaterThan(Duration.zero)), {
    onNone: () => wrong(`--${flag} takes a time such as ${examples}, not "${text}"`),
    onSome: Effect.succeed
  })

/** `--cache-ttl` */
export const parseTimeToLive = (
  text: string | undefined
): Effect.Effect<Duration.Duration | undefined, CliError> =>
  text === undefined ? Effect.succeed(undefined) : parseDuration("cache-ttl", text, '12h, 7d or "7 days"')

/** A number that may be left out, and if not must be positive. */
export const checkPositive = (flag: string, value: number | undefined): Effect.Effect<void, CliError> =>
  value === undefined || value > 0 ? Effect.void : wrong(`--${flag} must be greater than 0, not ${value}`)
