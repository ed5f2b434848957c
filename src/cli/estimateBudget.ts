/** Whether an estimate fits a budget. */
import type * as Context from "effect/Context"
import type * as Budget from "../Budget.js"
import type { Checkpoint } from "../Checkpoint.js"
import type { Estimate, Range } from "../Estimate.js"
import { count } from "../internal/countText.js"
import { format } from "../Prices.js"

/** How an estimate stands to a ceiling, in US dollars (as money) or in tokens. */
export interface Verdict {
  readonly unit: "usd" | "tokens"
  /** `fits`: even the high estimate does. `may not`: the low one does, and the high one does not. */
  readonly verdict: "fits" | "may not fit" | "does not fit"
  readonly ceiling: bigint
  /** What earlier runs of the output spent of it. */
  readonly earlier: bigint
  /** What is missing, by the low and by the high estimate. */
  readonly missing: Range<bigint>
}

const verdictOf = (
  unit: Verdict["unit"],
  ceiling: bigint,
  earlier: bigint,
  needed: Range<bigint>
): Verdict => {
  const lack = (amount: bigint) => (earlier + amount > ceiling ? earlier + amount - ceiling : 0n)
  const missing = { low: lack(needed.low), high: lack(needed.high) }
  const verdict = missing.high === 0n ? "fits" : missing.low === 0n ? "may not fit" : "does not fit"
  return { unit, verdict, ceiling, earlier, missing }
}

const tokens = (count: number): bigint => BigInt(Math.ceil(count))

/** One verdict for each ceiling that the budget has. */
export const verdicts = (
  estimate: Estimate,
  { account: { ceiling } }: Budget.Service,
  { earlier }: Context.Tag.Service<Checkpoint>["spending"]
): ReadonlyArray<Verdict> => {
  const { cost, inputTokens, outputTokens } = estimate
  return [
    ...(ceiling.money === undefined ? [] : [verdictOf("usd", ceiling.money, earlier.money, cost)]),
    ...(ceiling.tokens === undefined
      ? []
      : [
          verdictOf("tokens", tokens(ceiling.tokens), tokens(earlier.tokens), {
            low: tokens(inputTokens + outputTokens.low),
            high: tokens(inputTokens + outputTokens.high)
          })
        ])
  ]
}

const from = (low: string, high: string): string => (low === high ? low : `${low} to ${high}`)

/** The verdict in a sentence. */
export const told = ({ ceiling, earlier, missing, unit, verdict }: Verdict, unpriced: number): string => {
  const amount = (value: bigint) => (unit === "usd" ? format(value) : `${count(Number(value))} tokens`)
  const spent = earlier === 0n ? "" : ` (${amount(earlier)} of it spent by earlier runs)`
  const how =
    verdict === "fits"
      ? "fits"
      : verdict === "may not fit"
        ? `fits typical answers; too small by ${amount(missing.high)} if all are the longest`
        : `too small by ${from(amount(missing.low), amount(missing.high))}`
  const beside =
    unit === "usd" && unpriced > 0 ? `. ${count(unpriced)} calls without a price are not in it` : ""
  return `Budget of ${amount(ceiling)}${spent}: ${how}${beside}`
}
