/**
 * What one attempt holds of the budgets that it is made under: reserved before anything is sent, and booked as it ends.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Endpoint } from "../Endpoint.js"
import { BudgetExceededError, CancelledError, type LlmError, UnboundedCostError } from "../LlmError.js"
import * as Prices from "../Prices.js"
import type { Request } from "../Request.js"
import type { Usage } from "../Usage.js"
import { type Amount, type BudgetAccount, type Claim, greatest, isWithin, nothing } from "./budgetAccount.js"
import type { SpendingRecord } from "./budgetRecord.js"
import { callAtMost } from "./callAtMost.js"
import { fill } from "./requestDefaults.js"

/** The end of an attempt, as far as it is known. */
export interface End {
  /** What was stated of its usage. */
  readonly usage: Usage | undefined
  readonly cost: Prices.Money | "unpriced" | undefined
  /** Whether that is all that it may be billed for. */
  readonly isFinal: boolean
}

/** What an attempt has of each account, or waits for. */
export class Hold {
  readonly #accounts: ReadonlyArray<BudgetAccount>
  #claims: Array<Claim> = []
  #amount: Amount = nothing
  /** The most that any endpoint asked for so far: one that is dearer than the last need not wait again. */
  #most: Amount = nothing

  constructor(accounts: ReadonlyArray<BudgetAccount>) {
    this.#accounts = accounts
  }

  /** Reserves the amount where there is room for it now, in place of what is held. */
  take(amount: Amount): "taken" | "full" | "never" {
    this.#most = greatest(this.#most, amount)
    if (this.#claims.length > 0 && isWithin(amount, this.#amount)) {
      this.#amount = amount
      for (const [i, claim] of this.#claims.entries()) this.#accounts[i]?.reduce(claim, amount)
      return "taken"
    }
    this.release()
    this.#amount = amount
    for (const account of this.#accounts) {
      const claim = account.enter(amount)
      this.#claims.push(claim)
      if (claim.status === "taken") continue
      const isRefused = claim.status === "refused"
      this.release()
      return isRefused ? "never" : "full"
    }
    return "taken"
  }

  /**
   * Waits for room, first come, first served, in one account after the other. Ends when the amount is held, or can never
   * be: `take` tells which. Interrupted, it is to be released like any other.
   */
  wait(amount: Amount): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.release()
      this.#amount = greatest(this.#most, amount)
      if (this.#accounts.some((account) => account.look(this.#amount) === "never")) this.#amount = amount
      return this.#waitIn(0)
    })
  }

  #waitIn(index: number): Effect.Effect<void> {
    const account = this.#accounts[index]
    if (account === undefined) return Effect.void
    const claim = account.enter(this.#amount)
    this.#claims.push(claim)
    const next = Effect.suspend(() => {
      if (claim.status === "taken") return this.#waitIn(index + 1)
      this.release()
      return Effect.void
    })
    if (claim.status !== "waiting") return next
    const decided = Effect.async<void>((resume) => {
      if (claim.status === "waiting") claim.onDecided = () => resume(Effect.void)
      else resume(Effect.void)
    })
    return Effect.zipRight(decided, next)
  }

  /** Books how the attempt ended. What may still be billed stays booked at the most that it can come to. */
  settle({ cost, isFinal, usage }: End): void {
    const spent: Amount = {
      money: typeof cost === "bigint" ? cost : 0n,
      tokens: usage === undefined ? 0 : usage.inputTokens + usage.outputTokens
    }
    const worst = greatest(spent, this.#amount)
    const unsettled = isFinal
      ? nothing
      : { money: worst.money - spent.money, tokens: worst.tokens - spent.tokens }
    for (const [i, claim] of this.#claims.entries()) this.#accounts[i]?.settle(claim, spent, unsettled)
    this.#claims = []
  }

  /** Gives back what was not settled. */
  release(): void {
    if (this.#claims.length === 0) return
    const claims = this.#claims
    this.#claims = []
    this.#amount = nothing
    for (const [i, claim] of claims.entries()) this.#accounts[i]?.leave(claim)
  }
}

/** Reserves for attempts in the accounts that they are made under. */
export interface Budgets {
  /** Runs with an empty hold, and gives back what it holds unsettled in the end. */
  readonly withHold: <A, E>(use: (hold: Hold) => Effect.Effect<A, E>) => Effect.Effect<A, E>
  /**
   * Reserves the most that an attempt may cost at the endpoint of `place`, before it comes near the limiter. Where there
   * is no room just now, the attempt waits. It `leave`s the endpoint for that time, and takes another place after it:
   * nobody waits for money with what others could use. Without `leave` it does not wait.
   */
  readonly reserve: (
    hold: Hold,
    request: Request,
    place: Effect.Effect<Endpoint, LlmError>,
    leave: (() => void) | undefined
  ) => Effect.Effect<Endpoint, LlmError>
  /** Why attempts wait, where some do. */
  readonly waiting: () => string | undefined
}

/** Whether this is what budgets fail attempts with, before anything is sent. */
export const isRefusal = ({ _tag }: LlmError): boolean =>
  _tag === "BudgetExceededError" || _tag === "UnboundedCostError"

const notWritten = (message: string): LlmError =>
  new CancelledError({
    provider: "floodgate",
    message: `What the request may cost could not be written down: ${message}`
  })

export const make = (
  accounts: ReadonlyArray<BudgetAccount>,
  prices: Prices.Service,
  clock: Clock.Clock,
  record: SpendingRecord | undefined
): Budgets => {
  const limitsMoney = accounts.some(({ ceiling }) => ceiling.money !== undefined)
  const limitsTokens = accounts.some(({ ceiling }) => ceiling.tokens !== undefined)
  const allowsUnpriced = accounts.every(({ allowsUnpriced }) => allowsUnpriced)

  const unbounded = (endpoint: Endpoint, code: "unpriced" | "unbounded", message: string) =>
    Either.left(new UnboundedCostError({ provider: endpoint.provider, code, message }))

  /** The most that an attempt may use, or why that is not known. */
  const worst = (request: Request, endpoint: Endpoint): Either.Either<Amount, UnboundedCostError> => {
    const model = request.model ?? endpoint.model ?? ""
    const most = callAtMost(prices, endpoint, request, model, clock.unsafeCurrentTimeMillis())
    const { money, unpriced } = most
    if (unpriced !== undefined && limitsMoney && !allowsUnpriced) {
      return unbounded(
        endpoint,
        "unpriced",
        `${endpoint.provider}/${unpriced} has no price, so that no budget can hold: state one, or allow unpriced models`
      )
    }
    const tokens = limitsTokens ? most.tokens : 0
    if (!allowsUnpriced && ((limitsMoney && money === undefined) || tokens === Number.POSITIVE_INFINITY)) {
      return unbounded(
        endpoint,
        "unbounded",
        "Nothing bounds what this request may cost, so that no budget can hold: give it a longest answer (maxTokens), or allow unpriced requests"
      )
    }
    return Either.right({ money: money ?? 0n, tokens: tokens === Number.POSITIVE_INFINITY ? 0 : tokens })
  }

  const exceeded = ({ provider }: Endpoint, amount: Amount): LlmError => {
    const short = accounts.find((account) => account.look(amount) !== "free") ?? accounts[0]
    const { booked, ceiling } = short ?? { booked: nothing, ceiling: {} }
    const parts = [
      ...(ceiling.money === undefined
        ? []
        : [
            `${Prices.format(ceiling.money - booked.money)} is left of ${Prices.format(ceiling.money)}, and it may cost ${Prices.format(amount.money)}`
          ]),
      ...(ceiling.tokens === undefined
        ? []
        : [
            `${ceiling.tokens - booked.tokens} tokens are left of ${ceiling.tokens}, and it may use ${amount.tokens}`
          ])
    ]
    return new BudgetExceededError({
      provider,
      message: `The budget has no room for this request: ${parts.join("; ")}`
    })
  }

  const reserve: Budgets["reserve"] = (hold, request, place, leave) =>
    Effect.flatMap(place, (endpoint) => {
      const most = worst(fill(request, endpoint.parameters), endpoint)
      if (Either.isLeft(most)) return Effect.fail(most.left)
      const amount = most.right
      const taken = hold.take(amount)
      if (taken === "taken") {
        const secured = record?.secured()
        return secured === undefined
          ? Effect.succeed(endpoint)
          : Effect.matchEffect(secured, {
              onFailure: ({ message }) => Effect.fail(notWritten(message)),
              onSuccess: () => Effect.succeed(endpoint)
            })
      }
      if (taken === "never" || leave === undefined) return Effect.fail(exceeded(endpoint, amount))
      leave()
      return Effect.zipRight(hold.wait(amount), reserve(hold, request, place, leave))
    })

  return {
    withHold: (use) =>
      Effect.suspend(() => {
        const hold = new Hold(accounts)
        return Effect.ensuring(
          use(hold),
          Effect.sync(() => hold.release())
        )
      }),
    reserve,
    waiting: () =>
      accounts.some(({ waiting }) => waiting > 0)
        ? "the rest of the budget is reserved for requests under way"
        : undefined
  }
}
