/** Amounts of a report, of sums that are exact. */
import { each, format, type Money, toDollars } from "./money.js"
import type { Amount } from "./reportData.js"

/** The money that a number of dollars stands for; above $9,000 a number has fewer decimals than money. */
export const moneyOf = (dollars: number): Money =>
  each(dollars, 0) ?? (Number.isFinite(dollars) ? BigInt(Math.round(dollars * 1e12)) : 0n)

export const amountOf = (money: Money): Amount => ({ text: format(money), dollars: toDollars(money) })

/** The amount of a number of dollars. */
export const amount = (dollars: number): Amount => amountOf(moneyOf(dollars))
