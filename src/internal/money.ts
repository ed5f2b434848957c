/** Exact money: whole picodollars, so that a price per token is a whole number too. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

/**
 * An amount in picodollars, 1e-12 of a US dollar. $0.075 for a million tokens is 75,000 for each of them, and sums over
 * any number of rows are exact.
 */
export type Money = bigint

/** Decimals of a dollar. */
const decimals = 12

/** A text that is no amount of US dollars. */
export class InvalidAmountError extends Schema.TaggedError<InvalidAmountError>()("InvalidAmountError", {
  input: Schema.String,
  message: Schema.String
}) {}

const plain = /^(\d+)(?:\.(\d*))?(?:e([+-]?\d{1,3}))?$/i

/**
 * A decimal number times ten to `shift`; `undefined` where that is no whole number, unless it is to be rounded down, or
 * the text no number from 0 on.
 */
const shifted = (text: string, shift: number, down = false): bigint | undefined => {
  const found = plain.exec(text)
  if (found === null) return undefined
  const [, whole = "", fraction = "", exponent = "0"] = found
  const digits = whole + fraction
  const places = shift + Number(exponent) - fraction.length
  if (places >= 0) return BigInt(digits) * 10n ** BigInt(places)
  const cut = digits.length + places
  if (!down && /[1-9]/.test(digits.slice(Math.max(0, cut)))) return undefined
  return cut <= 0 ? 0n : BigInt(digits.slice(0, cut))
}

/**
 * Picodollars for one, of dollars for ten to the power `per`: 6 for prices of a million tokens. Exact, for a number
 * stands for the decimal that it is written as; `undefined` where there is no whole amount.
 */
export const each = (dollars: number, per: number): Money | undefined =>
  Number.isFinite(dollars) ? shifted(String(dollars), decimals - per) : undefined

/** An amount in dollars, for arithmetic that need not be exact. */
export const toDollars = (money: Money): number => Number(money) / 1e12

const grouped = /^\d{1,3}(,\d{3})+(\.\d*)?$/
const amount = /^(?:(?:US)?\$|USD)?\s*([\d.,]+)\s*(?:USD|US dollars?|dollars?|\$)?$/i

/**
 * An amount of US dollars as people write it: `"25 USD"`, `"$25"`, `"0.50"`, `"$1,250"`. Other currencies, negative
 * amounts and more than twelve decimals are refused.
 */
export const parse = (input: string): Either.Either<Money, InvalidAmountError> => {
  const refused = (message: string) => Either.left(new InvalidAmountError({ input, message }))
  const number = amount.exec(input.trim())?.[1]
  if (number === undefined)
    return refused(`"${input}" is no amount of US dollars: write it as "25 USD" or "$25"`)
  const digits = grouped.test(number) ? number.replaceAll(",", "") : number
  if (!/^(\d+\.?\d*|\.\d+)$/.test(digits)) return refused(`"${input}" has no number in it that can be read`)
  const money = shifted(digits.startsWith(".") ? `0${digits}` : digits, decimals)
  return money === undefined ? refused(`"${input}" has more than ${decimals} decimals`) : Either.right(money)
}

/** An amount of US dollars that was reckoned, such as `0.1 * 3`: rounded down, and refused below 0 or without an end. */
export const ofNumber = (dollars: number): Either.Either<Money, InvalidAmountError> => {
  const money = shifted(String(dollars), decimals, true)
  if (money !== undefined) return Either.right(money)
  const message = `${dollars} is no amount of US dollars: it has to be a number from 0 on`
  return Either.left(new InvalidAmountError({ input: String(dollars), message }))
}

/** Rounded half up to this many decimals, without sign. */
const rounded = (money: bigint, places: number): string => {
  const unit = 10n ** BigInt(decimals - places)
  const digits = ((money + unit / 2n) / unit).toString().padStart(places + 1, "0")
  return places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`
}

const one = 10n ** BigInt(decimals)

/**
 * An amount for people: two decimals from a dollar on, and below it the first three digits that count:
 * `"$1,250.00"`, `"$0.50"`, `"$0.0123"`. Not for arithmetic: it is rounded.
 */
export const format = (money: Money): string => {
  const size = money < 0n ? -money : money
  // the digits behind those that count, of an amount below a dollar
  const places = size >= one ? 2 : Math.min(decimals, Math.max(2, decimals + 3 - size.toString().length))
  const [whole = "0", fraction = ""] = rounded(size, places).split(".")
  const cents = fraction.slice(0, 2) + fraction.slice(2).replace(/0+$/, "")
  return `${money < 0n ? "-" : ""}$${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${cents}`
}
