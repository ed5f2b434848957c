/**
 * What a batch with a checkpoint has spent, kept so that a crash loses nothing of it: before an attempt is sent, the most
 * that all attempts so far may come to is durable. It is written some way ahead, so that few attempts wait for the disk;
 * a run that was killed has so much less to spend, and one that ended in any other way none.
 */
import * as Effect from "effect/Effect"
import {
  type Amount,
  BudgetAccount,
  type Ceiling,
  greatest,
  isWithin,
  nothing,
  plus
} from "./budgetAccount.js"
import type { CheckpointError } from "./checkpointError.js"
import type { Books } from "./ledgerBooks.js"
import { least } from "./tariff.js"

/** What runs of one output spent, at most. */
export interface Spending extends Amount {
  /** The ceiling that was reached. With the same or a lower one nothing more is admitted. */
  readonly usedUp?: Ceiling | undefined
}

/** What runs with a budget wrote, or what the ledger knows where there was none. */
export const spendingOf = (written: Spending | undefined, { lines }: Books): Spending => {
  let paid = nothing
  for (const { cost, tokens, worst } of lines.values()) {
    paid = plus(paid, { money: cost + worst, tokens: tokens.inputTokens + tokens.outputTokens })
  }
  return { ...greatest(written ?? nothing, paid), usedUp: written?.usedUp }
}

/** Where spending is kept. */
export interface SpendingStore {
  /** Names what is kept for an output, up to the run that seals it. */
  readonly id: string
  /** What earlier runs of this output left. */
  readonly earlier: Spending
  /** Writes what is to stand in its place. Returns once durable. */
  readonly write: (spending: Spending) => Effect.Effect<void, CheckpointError>
}

/** How far ahead is written: this part of the lowest ceiling. */
const aheadShare = 200

export class SpendingRecord {
  /** What this batch spends, without a ceiling of its own. */
  readonly account = new BudgetAccount({}, true)
  readonly #store: SpendingStore
  readonly #limited: ReadonlyArray<BudgetAccount>
  readonly #ahead: Amount
  #written: Amount = nothing
  #durable: Amount = nothing

  /** `limited` are the accounts with a ceiling: what earlier runs spent counts in each. */
  constructor(store: SpendingStore, limited: ReadonlyArray<BudgetAccount>) {
    const { earlier } = store
    this.#store = store
    this.#limited = limited
    this.#written = earlier
    this.#durable = earlier
    this.#ahead = nothing
    this.account.carry(earlier)
    for (const account of limited) {
      account.open(store.id, this.account)
      const { money, tokens } = account.ceiling
      const { usedUp } = earlier
      if (
        (money !== undefined && usedUp?.money !== undefined && money <= usedUp.money) ||
        (tokens !== undefined && usedUp?.tokens !== undefined && tokens <= usedUp.tokens)
      ) {
        account.close()
      }
      const part = {
        money: (money ?? 0n) / BigInt(aheadShare),
        tokens: Math.floor((tokens ?? 0) / aheadShare)
      }
      this.#ahead = this.#ahead === nothing ? part : smallest(this.#ahead, part)
    }
  }

  /** Makes what is reserved now durable; nothing where it is. */
  secured(): Effect.Effect<void, CheckpointError> | undefined {
    const { exposure } = this.account
    if (isWithin(exposure, this.#durable)) return undefined
    // what another is about to write is written once more: lines that come together are one write
    if (!isWithin(exposure, this.#written)) {
      this.#written = greatest(exposure, this.#bounded(plus(exposure, this.#ahead)))
    }
    return this.#write(this.#written)
  }

  /** At the end: what was spent indeed, and what is still under way. */
  get close(): Effect.Effect<void, CheckpointError> {
    return Effect.suspend(() => {
      const { exposure } = this.account
      const usedUp = this.#limited.find(({ isUsedUp }) => isUsedUp)?.ceiling
      const isNews = !isWithin(this.#written, exposure) || !isWithin(exposure, this.#written)
      return isNews || usedUp !== undefined ? this.#write({ ...exposure, usedUp }) : Effect.void
    })
  }

  /** No more than the ceilings let through. */
  #bounded(amount: Amount): Amount {
    return this.#limited.reduce(
      (bounded, { ceiling: { money = bounded.money, tokens = bounded.tokens } }) =>
        smallest(bounded, { money, tokens }),
      amount
    )
  }

  #write(spending: Spending): Effect.Effect<void, CheckpointError> {
    return Effect.tap(this.#store.write(spending), () => {
      if (!isWithin(spending, this.#durable)) this.#durable = spending
    })
  }
}

const smallest = (a: Amount, b: Amount): Amount => ({
  money: least(a.money, b.money),
  tokens: Math.min(a.tokens, b.tokens)
})
