/**
 * The options that may come as JSON, checked: what `POST /__control` and a command line are given.
 * Misspelt fields are errors, not silence.
 */
import * as Duration from "effect/Duration"
import type * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { RatedFault, ScriptedFault } from "./Faults.js"
import { hints } from "./Hints.js"
import type { Limits } from "./Limits.js"

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

const DurationText = Schema.String.pipe(
  Schema.filter((text): text is `${number} ${Duration.Unit}` => Option.isSome(Duration.decodeUnknown(text)), {
    message: () => `expected a duration such as "250 millis"`
  })
)

/** A duration as JSON can write it: milliseconds, or text such as `"2 seconds"`. */
const DurationJson = Schema.Union(Schema.NonNegative, DurationText)

const limit = optional(Schema.Positive)

const LimitsJson = Schema.Struct({
  rpm: limit,
  rps: limit,
  rpd: limit,
  tpm: limit,
  itpm: limit,
  otpm: limit,
  tpd: limit,
  concurrency: limit,
  enforcement: optional(Schema.Literal("bucket", "sliding")),
  slice: optional(DurationJson),
  per: optional(Schema.Literal("model", "key", "server")),
  countRejected: optional(Schema.Boolean),
  outputTokens: optional(Schema.Literal("allowed", "used")),
  told: optional(Schema.Boolean)
})

const members = <F extends Schema.Struct.Fields>(extra: F) =>
  Schema.Union(
    Schema.Struct({
      kind: Schema.Literal("status"),
      status: Schema.Int.pipe(Schema.between(400, 599)),
      retryAfter: optional(DurationJson),
      hint: optional(Schema.Literal(...hints)),
      code: optional(Schema.String),
      message: optional(Schema.String),
      charged: optional(Schema.Boolean),
      ...extra
    }),
    Schema.Struct({
      kind: Schema.Literal("stall"),
      midway: optional(Schema.Boolean),
      charged: optional(Schema.Boolean),
      ...extra
    }),
    Schema.Struct({
      kind: Schema.Literal("errorBody"),
      message: optional(Schema.String),
      charged: optional(Schema.Boolean),
      ...extra
    }),
    Schema.Struct({
      kind: Schema.Literal("delay"),
      by: DurationJson,
      charged: optional(Schema.Boolean),
      ...extra
    }),
    Schema.Struct({
      kind: Schema.Literal("reset", "truncate", "malformed", "refusal", "contentFilter", "empty"),
      charged: optional(Schema.Boolean),
      ...extra
    })
  )

const RatedFaultJson = members({ rate: Schema.Number.pipe(Schema.between(0, 1)) })

const ScriptedFaultJson = Schema.Struct({
  at: optional(Schema.Int.pipe(Schema.positive())),
  hash: optional(Schema.String),
  match: optional(Schema.String),
  attempt: optional(Schema.Int.pipe(Schema.positive())),
  times: optional(Schema.Union(Schema.NonNegativeInt, Schema.Literal("always"))),
  fault: members({})
})

/** A change of behaviour: what is left out stays as it is. */
export interface Change {
  readonly limits?: Limits
  readonly faults?: ReadonlyArray<RatedFault>
  readonly script?: ReadonlyArray<ScriptedFault>
}

const ChangeJson = Schema.parseJson(
  Schema.Struct({
    limits: optional(LimitsJson),
    faults: optional(Schema.Array(RatedFaultJson)),
    script: optional(Schema.Array(ScriptedFaultJson))
  })
)

/** Reads a change from JSON text. */
export const readChange: (text: string) => Either.Either<Change, ParseError> = Schema.decodeEither(
  ChangeJson,
  {
    onExcessProperty: "error"
  }
)
