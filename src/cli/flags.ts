/** Values of flags that several commands read in the same way. */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CliError } from "./CliError.js"

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

const units: Readonly<Record<string, Duration.Unit>> = {
  ms: "millis",
  s: "seconds",
  m: "minutes",
  h: "hours"
}

/** `90` (seconds), `90s`, `1.5m`, `500ms`, `10 minutes`. */
export const duration = (text: string): Option.Option<Duration.Duration> => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(text.trim()) ?? []
  return Duration.decodeUnknown(amount === undefined ? text.trim() : `${amount} ${units[unit ?? "s"]}`)
}

/** A duration longer than nothing. */
export const parseDuration = (flag: string, text: string): Effect.Effect<Duration.Duration, CliError> =>
  Option.match(Option.filter(duration(text), Duration.greaterThan(Duration.zero)), {
    onNone: () => wrong(`--${flag} takes a time such as 90s, 10m or 500ms, not "${text}"`),
    onSome: Effect.succeed
  })

/** A number that may be left out, and if not must be positive. */
export const checkPositive = (flag: string, value: number | undefined): Effect.Effect<void, CliError> =>
  value === undefined || value > 0 ? Effect.void : wrong(`--${flag} must be greater than 0, not ${value}`)
