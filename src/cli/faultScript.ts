/** A script of faults, as `floodgate simulate --script FILE` reads it. */

import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { pathText } from "../internal/configProblem.js"
import { safeText } from "../internal/safeText.js"
import { duration } from "./flags.js"

/** A time as the flags have it: `"1s"`, `"500ms"`; or a number of seconds. */
const Time = Schema.transformOrFail(Schema.Union(Schema.String, Schema.Number), Schema.DurationFromSelf, {
  strict: true,
  decode: (written, _, ast) =>
    Option.match(duration(String(written)), {
      onNone: () =>
        Effect.fail(new ParseResult.Type(ast, written, `${written} is not a time such as 500ms or 2s`)),
      onSome: Effect.succeed
    }),
  encode: (time) => Effect.succeed(`${Duration.toMillis(time)}ms`)
})

const charged = Schema.optionalWith(Schema.Boolean, { exact: true })
const optionalText = Schema.optionalWith(Schema.String, { exact: true })
const optionalNumber = Schema.optionalWith(Schema.Number, { exact: true })

const Fault = Schema.Union(
  Schema.Struct({
    kind: Schema.Literal("status"),
    status: Schema.Number,
    retryAfter: Schema.optionalWith(Time, { exact: true }),
    code: optionalText,
    message: optionalText,
    charged
  }),
  Schema.Struct({
    kind: Schema.Literal("stall"),
    midway: Schema.optionalWith(Schema.Boolean, { exact: true }),
    charged
  }),
  Schema.Struct({ kind: Schema.Literal("errorBody"), message: optionalText, charged }),
  Schema.Struct({ kind: Schema.Literal("delay"), by: Time, charged }),
  Schema.Struct({
    kind: Schema.Literal("reset", "truncate", "malformed", "refusal", "contentFilter", "empty"),
    charged
  })
)

/** The rules of a script, in the order in which they are tried. */
const FaultScript = Schema.Array(
  Schema.Struct({
    at: optionalNumber,
    hash: optionalText,
    match: optionalText,
    attempt: optionalNumber,
    times: Schema.optionalWith(Schema.Union(Schema.Number, Schema.Literal("always")), { exact: true }),
    fault: Fault
  })
)

const decode = Schema.decodeUnknownEither(FaultScript, { onExcessProperty: "error", errors: "all" })

const kinds = [
  ...["status", "stall", "errorBody", "delay", "reset", "truncate", "malformed", "refusal"],
  ...["contentFilter", "empty"]
]

const isKind = (path: ReadonlyArray<PropertyKey>): boolean => path.at(-1) === "kind"

/** How many mistakes are told. */
const mostIssues = 3

const example = '[{"at": 3, "fault": {"kind": "reset"}}]'

/** The script that this says, or what is wrong with it. */
export const faultScript = (
  written: unknown
): Either.Either<Schema.Schema.Type<typeof FaultScript>, string> =>
  Either.mapLeft(decode(written), (error) => {
    const issues = ParseResult.ArrayFormatter.formatErrorSync(error)
    const found = new Map<string, string>()
    for (const { message, path } of issues) {
      // the whole of it, or of a fault, is told by the example
      if (path.length === 0 || path.at(-1) === "fault") continue
      const place = pathText(path)
      if (!found.has(place)) {
        found.set(place, isKind(path) ? `expected one of ${kinds.join(", ")}` : safeText(message, 120))
      }
    }
    const told = Array.from(found, ([place, message]) => `${place}: ${message}`).slice(0, mostIssues)
    return [`this is no list of faults such as ${example}`, ...told].join("; ")
  })
