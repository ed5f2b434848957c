/**
 * What a budget has spent, what attempts under way may still cost, and who waits for room. Plain synchronous code;
 * fibers meet it in budgetHold.ts.
 *
 * An amount is taken when spent, unsettled and reserved together leave room for it. Where they do not, it waits, first
 * come, first served, for as long as what is reserved may be given back; it is refused once nothing under way could
 * make room. What is spent or unsettled never shrinks, so a refusal is for good, and those who wait always have somebody
 * under way to wait for.
 */
import type { Money } from "./money.js"
import { PermitQueue, QueueNode } from "./permitQueue.js"
import { most } from "./tariff.js"

/** Money and tokens, input and output together. */
export interface Amount {
  readonly money: Money
  readonly tokens: number
}

export const nothing: Amount = { money: 0n, tokens: 0 }

export const plus = (a: Amount, b: Amount): Amount => ({
  money: a.money + b.money,
  tokens: a.tokens + b.tokens
})

export const minus = (a: Amount, b: Amount): Amount => ({
  money: a.money - b.money,
  tokens: a.tokens - b.tokens
})

/** The greater of each. */
export const greatest = (a: Amount, b: Amount): Amount => ({
  money: most(a.money, b.money),
  tokens: Math.max(a.tokens, b.tokens)
})

/** Whether both are within the other's. */
export const isWithin = (a: Amount, b: Amount): boolean => a.money <= b.money && a.tokens <= b.tokens

/** The most that may be spent; without one, that is only counted. */
export interface Ceiling {
  readonly money?: Money | undefined
  readonly tokens?: number | undefined
}

/** Below a twentieth left, the first refusal is the end: a budget is no use to whoever still fits by chance. */
const usedUpShare = 20

/** A part of a budget that an attempt has, or waits for. */
export class Claim extends QueueNode {
  status: "waiting" | "taken" | "refused" | "left" = "waiting"
  amount: Amount
  /** Is called when a wait ends. */
  onDecided: (() => void) | undefined

  constructor(amount: Amount) {
    super()
    this.amount = amount
  }
}

/** An output that was opened before so many others is taken for one that will not be opened again. */
const mostOutputs = 1_000

let accounts = 0

export class BudgetAccount {
  readonly ceiling: Ceiling
  /** Whether attempts whose cost nothing bounds are made all the same. */
  readonly allowsUnpriced: boolean
  /** What was billed. */
  spent: Amount = nothing
  /** Of attempts that may have been billed without our being told: the most that they may come to. */
  unsettled: Amount = nothing
  /** The most that attempts under way may come to. */
  reserved: Amount = nothing
  /** What runs before this one spent, at most. */
  earlier: Amount = nothing
  /** Attempts that were refused. */
  refused = 0
  /** Less than a twentieth is left, and it was not enough for somebody: nobody is admitted any more. */
  isUsedUp = false
  /** Accounts are taken in this order by all: who waits in one holds none that another may wait for. */
  readonly order = accounts++
  /** Of outputs that were opened: the accounts of what their last run here spent. */
  readonly #outputs = new Map<string, BudgetAccount>()
  readonly #queue = new PermitQueue<Claim>()

  constructor(ceiling: Ceiling, allowsUnpriced: boolean) {
    this.ceiling = ceiling
    this.allowsUnpriced = allowsUnpriced
  }

  /** Attempts that wait for room. */
  get waiting(): number {
    return this.#queue.size
  }

  /** All that is gone for good. */
  get booked(): Amount {
    return plus(plus(this.earlier, this.spent), this.unsettled)
  }

  /** All that may have been spent once what is under way has ended. */
  get exposure(): Amount {
    return plus(this.booked, this.reserved)
  }

  /** Counts what earlier runs spent. */
  carry(amount: Amount): void {
    this.earlier = plus(this.earlier, amount)
    this.#drain()
  }

  /**
   * Counts what earlier runs of an output spent, those excepted that were made under this account. `own` is what is
   * spent on the output from now on, with what was spent on it before.
   */
  open(output: string, own: BudgetAccount): void {
    const known = this.#outputs.get(output)?.exposure ?? nothing
    this.carry(minus(greatest(own.earlier, known), known))
    this.#outputs.delete(output)
    this.#outputs.set(output, own)
    const [oldest] = this.#outputs.keys()
    if (this.#outputs.size > mostOutputs && oldest !== undefined) this.#outputs.delete(oldest)
  }

  /** Whether there is room for the amount now, may be later, or never will be. */
  look(amount: Amount): "free" | "full" | "never" {
    if (!this.#mayFit(amount)) return "never"
    return this.#queue.size === 0 && this.#fits(amount) ? "free" : "full"
  }

  enter(amount: Amount): Claim {
    const claim = new Claim(amount)
    switch (this.look(amount)) {
      case "free":
        this.#take(claim)
        break
      case "full":
        this.#queue.push(claim)
        break
      case "never":
        // who is refused after a wait asks once more
        this.refused++
        this.#refuse(claim)
    }
    return claim
  }

  /** Gives the claim back as if it had never been, or ends its wait. */
  leave(claim: Claim): void {
    if (claim.status === "waiting") this.#queue.remove(claim)
    else if (claim.status === "taken") this.reserved = minus(this.reserved, claim.amount)
    else return
    claim.status = "left"
    this.#drain()
  }

  /** Gives back a part of what was taken. */
  reduce(claim: Claim, amount: Amount): void {
    if (claim.status !== "taken") return
    this.reserved = plus(minus(this.reserved, claim.amount), amount)
    claim.amount = amount
    this.#drain()
  }

  /** Books what an attempt came to in place of what was reserved for it. */
  settle(claim: Claim, spent: Amount, unsettled: Amount): void {
    if (claim.status !== "taken") return
    claim.status = "left"
    this.reserved = minus(this.reserved, claim.amount)
    this.spent = plus(this.spent, spent)
    this.unsettled = plus(this.unsettled, unsettled)
    this.#drain()
  }

  /** Refuses all that comes from now on, and all who wait. */
  close(): void {
    this.isUsedUp = true
    this.#drain()
  }

  #fits(amount: Amount): boolean {
    return isBelow(this.exposure, amount, this.ceiling)
  }

  /** Whether there is room, or would be if all that is under way cost nothing. */
  #mayFit(amount: Amount): boolean {
    return !this.isUsedUp && isBelow(this.booked, amount, this.ceiling)
  }

  #take(claim: Claim): void {
    claim.status = "taken"
    this.reserved = plus(this.reserved, claim.amount)
  }

  #refuse(claim: Claim): void {
    claim.status = "refused"
    if (!this.isUsedUp && isNearlyReached(this.booked, this.ceiling)) this.close()
  }

  #drain(): void {
    for (let head = this.#queue.head; head !== undefined; head = this.#queue.head) {
      if (!this.#mayFit(head.amount)) {
        this.#queue.remove(head)
        this.#refuse(head)
      } else if (this.#fits(head.amount)) {
        this.#queue.remove(head)
        this.#take(head)
      } else return
      head.onDecided?.()
    }
  }
}

const isBelow = (before: Amount, amount: Amount, { money, tokens }: Ceiling): boolean =>
  (money === undefined || before.money + amount.money <= money) &&
  (tokens === undefined || before.tokens + amount.tokens <= tokens)

const isNearlyReached = (booked: Amount, { money, tokens }: Ceiling): boolean =>
  (money !== undefined && (money - booked.money) * BigInt(usedUpShare) <= money) ||
  (tokens !== undefined && (tokens - booked.tokens) * usedUpShare <= tokens)
