/** Prices in whole picodollars, and what usage costs by them. */
import { each, type Money } from "./money.js"
import type { Classes, Factor, PriceFields } from "./priceFields.js"

/** What one token of each class costs. */
export interface Rates {
  readonly input: Money
  readonly cacheRead: Money
  readonly cacheWrite: Money
  readonly cacheWrite1h: Money
  readonly audioInput: Money
  readonly output: Money
  readonly audioOutput: Money
}

/** The rates of a request by the length of its input. */
export interface Tariff {
  readonly rates: Rates
  /** For the whole of a request with more input than this. */
  readonly longContext: { readonly overInputTokens: number; readonly rates: Rates } | undefined
}

// the schema has let through only prices that are whole picodollars
const perToken = (price: number): Money => each(price, 6) ?? 0n

const ratesOf = (fields: Classes): Rates => {
  const input = perToken(fields.input)
  const output = perToken(fields.output)
  const or = (price: number | undefined, other: Money): Money =>
    price === undefined ? other : perToken(price)
  const cacheWrite = or(fields.cacheWrite, input)
  return {
    input,
    cacheRead: or(fields.cacheRead, input),
    cacheWrite,
    cacheWrite1h: or(fields.cacheWrite1h, cacheWrite),
    audioInput: or(fields.audioInput, input),
    output,
    audioOutput: or(fields.audioOutput, output)
  }
}

/** The tariff of the peak hours, or the one outside of them. */
export const tariffOf = (fields: PriceFields, isOffPeak: boolean): Tariff => {
  const { longContext: long } = fields
  if (isOffPeak && fields.offPeak !== undefined) {
    return { rates: ratesOf(fields.offPeak), longContext: undefined }
  }
  return {
    rates: ratesOf(fields),
    longContext:
      long === undefined ? undefined : { overInputTokens: long.overInputTokens, rates: ratesOf(long) }
  }
}

/** What a search unit costs, if the price is one for searches. */
export const perSearch = ({ perThousandSearches: price }: PriceFields): Money | undefined =>
  price === undefined ? undefined : each(price, 3)

/** A count as whole tokens. Part of a token is one; what is no number is none. */
export const whole = (count: number | undefined): bigint =>
  count === undefined || !(count > 0) || count === Number.POSITIVE_INFINITY ? 0n : BigInt(Math.ceil(count))

/** Rounded up, where a fraction of a picodollar is left. */
export const times = (money: Money, [over, under]: Factor): Money => {
  const by = BigInt(under)
  return (money * BigInt(over) + by - 1n) / by
}

export const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
export const most = (a: bigint, b: bigint): bigint => (a > b ? a : b)
