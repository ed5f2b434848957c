/**
 * What a batch did, in numbers.
 *
 * @example
 * import { batchStream, Chat, Receipt } from "floodgate"
 * import * as Duration from "effect/Duration"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const program = Effect.gen(function* () {
 *   const tally = Receipt.tally()
 *   const [time] = yield* batchStream([Chat.prompt("1 + 1 = ?"), Chat.prompt("2 + 2 = ?")]).pipe(
 *     Stream.runForEach((settled) => Effect.sync(() => tally.add(settled))),
 *     Effect.timed
 *   )
 *   const { cached, errors, succeeded } = tally.receipt({
 *     wallSeconds: Duration.toSeconds(time),
 *     interrupted: false
 *   })
 *   return { succeeded, cached, errors }
 * })
 *
 * @module
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { State } from "./Budget.js"
import type { Found } from "./Checkpoint.js"
import { type Money, toDollars } from "./internal/money.js"
import { moneyOf } from "./internal/reportAmount.js"
import { Summary } from "./Ledger.js"
import type { Settled } from "./Outcome.js"
import type { Request } from "./Request.js"

/** The sums of a run so far, or of a whole one. */
export const Receipt = Schema.Struct({
  /** Outcomes so far. */
  requests: Schema.Number,
  succeeded: Schema.Number,
  failed: Schema.Number,
  /** Successes from the cache, or shared with an equal request of the same run. */
  cached: Schema.Number,
  /** Successes that an earlier run had left in the checkpoint. */
  resumed: Schema.Number,
  /** HTTP calls made. */
  attempts: Schema.Number,
  /** Tokens of the answers that this run asked for: not of cached and resumed ones. */
  inputTokens: Schema.Number,
  outputTokens: Schema.Number,
  wallSeconds: Schema.Number,
  /** Failures by the error's tag. */
  errors: Schema.Record({ key: Schema.String, value: Schema.Number }),
  /** Whether the run was stopped before its end. */
  interrupted: Schema.Boolean,
  /**
   * Keys of requests that an earlier run had sent when it was stopped, whose answers never arrived, and that were
   * sent again since: they may have been paid for twice.
   */
  outcomeUnknown: Schema.Array(Schema.String),
  /** What this run paid in US dollars, as far as models have prices; the nearest number to the exact sum. */
  cost: Schema.optional(Schema.Number),
  /**
   * What earlier runs of this output paid, as far as models have prices: all of it while the output is not complete,
   * and after that what its rows say that they cost. Absent where that is nothing.
   */
  earlierCost: Schema.optional(Schema.Number),
  /** The part of `cost` that is no request's answer. */
  wasted: Schema.optional(Schema.Number),
  /** What the answers of `cached` would have cost, in US dollars. */
  saved: Schema.optional(Schema.Number),
  /** Models that were used and have no price: they are in no sum of money. */
  unpriced: Schema.optional(Schema.Array(Schema.String)),
  /** What of `cost` rests on less than a stated price, each with the name of that price. */
  doubts: Schema.optional(Schema.Array(Schema.String)),
  /** What the run could spend, and what is left; absent without a budget. */
  budget: Schema.optional(State),
  /** All that the ledger knows, by endpoint, model, task and error; earlier runs of this output included. */
  ledger: Schema.optional(Summary)
})
export type Receipt = typeof Receipt.Type

const paidEarlier = (earlierCost: number): Pick<Receipt, "earlierCost"> | undefined =>
  earlierCost === 0 ? undefined : { earlierCost }

/** The receipt with what was paid. */
export const withLedger = (receipt: Receipt, ledger: Summary): Receipt => ({
  ...receipt,
  cost: ledger.run.cost,
  ...paidEarlier(Math.max(receipt.earlierCost ?? 0, ledger.earlier.cost)),
  wasted: ledger.run.wasted,
  saved: ledger.run.saved,
  ...(ledger.unpriced.length === 0 ? undefined : { unpriced: ledger.unpriced }),
  ...(ledger.doubts.length === 0 ? undefined : { doubts: ledger.doubts }),
  ledger
})

/** Adds outcomes up, one by one. Mutable: it is told of every outcome of a batch. */
export interface Tally {
  /** Adds one outcome. */
  readonly add: (settled: Settled<Request>) => void
  /** The sums so far. */
  readonly receipt: (end: { readonly wallSeconds: number; readonly interrupted: boolean }) => Receipt
}

/** An empty tally, with what a checkpoint found of calls whose outcome is unknown, if there is one. */
export const tally = (found: Pick<Found, "unknown" | "resent"> = { unknown: [], resent: [] }): Tally => {
  const open = new Set(found.unknown)
  const outcomeUnknown = new Set(found.resent)
  const errors: Record<string, number> = {}
  const sums = { requests: 0, succeeded: 0, failed: 0, cached: 0, resumed: 0, attempts: 0 }
  const tokens = { inputTokens: 0, outputTokens: 0 }
  let earlier: Money = 0n
  return {
    add: ({ meta, outcome }) => {
      sums.requests++
      const resumed = meta.resumed === true
      if (resumed && meta.cost !== undefined) earlier += moneyOf(meta.cost)
      if (!resumed) sums.attempts += meta.attempts
      if (!resumed && meta.attempts > 0 && meta.key !== undefined && open.delete(meta.key)) {
        outcomeUnknown.add(meta.key)
      }
      if (Either.isLeft(outcome)) {
        const { _tag } = outcome.left
        sums.failed++
        errors[_tag] = (errors[_tag] ?? 0) + 1
        return
      }
      sums.succeeded++
      if (resumed) sums.resumed++
      else if (meta.cached) sums.cached++
      else {
        tokens.inputTokens += outcome.right.usage.inputTokens
        tokens.outputTokens += outcome.right.usage.outputTokens
      }
    },
    receipt: (end) => ({
      ...sums,
      ...tokens,
      ...end,
      ...paidEarlier(toDollars(earlier)),
      errors: { ...errors },
      outcomeUnknown: [...outcomeUnknown]
    })
  }
}
