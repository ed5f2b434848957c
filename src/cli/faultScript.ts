/** A script of faults, as `floodgate simulate --script FILE` reads it. */

import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
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
export const FaultScript = Schema.Array(
  Schema.Struct({
    at: optionalNumber,
    hash: optionalText,
    match: optionalText,
    attempt: optionalNumber,
    times: Schema.optionalWith(Schema.Union(Schema.Number, Schema.Literal("always")), { exact: true }),
    fault: Fault
  })
)
