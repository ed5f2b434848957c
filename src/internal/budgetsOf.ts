/** The budgets that a run is made under. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Budget from "../Budget.js"
import type { BudgetAccount } from "./budgetAccount.js"

/** The run's own, which others may share, and that of the application, in the order in which all take them. */
export const accountsOf = (
  given: Budget.Input | Budget.Service | undefined
): Effect.Effect<ReadonlyArray<BudgetAccount>> =>
  Effect.gen(function* () {
    const accounts = new Set<BudgetAccount>()
    if (typeof given === "object" && "account" in given) accounts.add(given.account)
    // like a concurrency that is no number, a slip of the program
    else if (given !== undefined) accounts.add((yield* Effect.orDie(Budget.make(given))).account)
    const shared = yield* Effect.serviceOption(Budget.Budget)
    if (Option.isSome(shared)) accounts.add(shared.value.account)
    return Array.from(accounts).sort((a, b) => a.order - b.order)
  })
