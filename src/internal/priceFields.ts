/** Prices as they are written down: in the package's table, and by users. */
import * as Schema from "effect/Schema"
import { each } from "./money.js"

const perMillion = Schema.Number.pipe(
  Schema.filter((price) => price >= 0 && each(price, 6) !== undefined, {
    message: () => "must be a price of a million tokens in US dollars, from 0 on, with at most 6 decimals"
  })
)

const perThousand = Schema.Number.pipe(
  Schema.filter((price) => price >= 0 && each(price, 3) !== undefined, {
    message: () => "must be a price of a thousand searches in US dollars, from 0 on, with at most 9 decimals"
  })
)

const day = Schema.String.pipe(
  Schema.filter((text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)), {
    message: () => 'must be a day, such as "2026-12-31"'
  })
)

const tokens = Schema.Number.pipe(Schema.int(), Schema.positive())

/** US dollars for a million tokens of each class. */
const classes = {
  input: perMillion,
  output: perMillion,
  /** Input read from the provider's prompt cache. Default: as other input, so that a cost is never too low. */
  cacheRead: Schema.optional(perMillion),
  /** Input written to it. Default: as other input. */
  cacheWrite: Schema.optional(perMillion),
  /** Input written to be kept for an hour or longer. Default: as `cacheWrite`. */
  cacheWrite1h: Schema.optional(perMillion),
  /** Default: as other input. */
  audioInput: Schema.optional(perMillion),
  /** Default: as other output. */
  audioOutput: Schema.optional(perMillion)
}

/** A factor as a fraction: `[1, 2]` is half. */
const Factor = Schema.Tuple(Schema.NonNegativeInt, Schema.NonNegativeInt.pipe(Schema.positive()))

const Hours = Schema.Struct({
  /** 0 is Sunday. */
  days: Schema.Array(Schema.Number),
  /** From (inclusive) and to (exclusive), in hours of UTC. */
  hours: Schema.Array(Schema.Tuple(Schema.Number, Schema.Number))
})

/** The price of a model, in US dollars for a million tokens. */
export const PriceFields = Schema.Struct({
  ...classes,
  /** What a thousand search units of a reranking cost. */
  perThousandSearches: Schema.optional(perThousand),
  /** The prices of a whole request with more input than this. */
  longContext: Schema.optional(Schema.Struct({ overInputTokens: tokens, ...classes })),
  /** The prices outside of the peak hours. */
  offPeak: Schema.optional(Schema.Struct({ peak: Hours, ...classes })),
  /**
   * What the prices are multiplied with, by the service tier that was billed: `{ flex: [1, 2] }`; `batch` is the batch
   * API. A tier that is not named costs the full price.
   */
  tiers: Schema.optional(Schema.Record({ key: Schema.String, value: Factor })),
  /** Tokens that prompt and answer may have together. */
  contextWindow: Schema.optional(tokens),
  /** The most tokens of an answer. */
  maxOutputTokens: Schema.optional(tokens),
  /** The first day (UTC) of these prices. Default: always. */
  from: Schema.optional(day),
  /** The last one. Default: for good. Afterwards, where no other price begins, the model is unpriced. */
  until: Schema.optional(day),
  /** Where the prices were read. */
  source: Schema.optional(Schema.String),
  /** When. */
  asOf: Schema.optional(Schema.String),
  /** What is doubtful about them. */
  doubt: Schema.optional(Schema.String)
})
export type PriceFields = typeof PriceFields.Type

/** One price, or the prices of several times in order. */
export const PriceList = Schema.Union(PriceFields, Schema.NonEmptyArray(PriceFields))
export type PriceList = typeof PriceList.Type

/** A user's own prices, by `provider/model`. */
export const Own = Schema.Struct({
  override: Schema.optional(Schema.Record({ key: Schema.String, value: PriceList })),
  add: Schema.optional(Schema.Record({ key: Schema.String, value: PriceList }))
})
export type Own = typeof Own.Type

export type Classes = Schema.Struct.Type<typeof classes>
export type Factor = typeof Factor.Type
export type Hours = typeof Hours.Type
