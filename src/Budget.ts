/**
 * A ceiling for what is spent, in US dollars, in tokens, or both, that holds under any concurrency.
 *
 * - **Reserved**: before an attempt is sent, the most that it may cost is reserved: its tokens at most, at the dearest
 *   price that they could have. Retries, second attempts and corrections are attempts like any other. Answers from the
 *   cache, of equal requests and of earlier runs cost nothing.
 * - **Settled**: as soon as the answer is there, what it cost is booked instead, and the rest is free for others. What a
 *   server refused is given back. An attempt of whose bill nobody told us stays booked at the most that it may come to,
 *   `unsettled`: given up, timed out, its connection lost, its stream broken off, its answer cut short or unreadable, or
 *   lost behind a gateway (502, 504, 520, 524).
 * - **At the ceiling**: an attempt for which there is no room waits, first come, first served, while others under way may
 *   give some back, and fails with a `BudgetExceededError` once none can: unless the router has an endpoint that is cheap
 *   enough. With less than a twentieth left, the first that fails is the end: nothing more is admitted.
 * - **Unpriced**: where nothing bounds what a request may cost, since its model has no price or its answer no end, it fails
 *   with an `UnboundedCostError` before anything is sent. `unpriced: "allow"` lets it through; a model without a price
 *   then costs nothing, as far as the budget knows.
 *
 * The most that a request may cost is several times what it will cost: a token is taken for a byte, and an answer to be
 * as long as `maxTokens` allows, or as the model can. Without `maxTokens`, few requests fit into a small budget at once,
 * and they wait for each other.
 *
 * A batch takes a budget of its own as its option. One that is provided by {@link layer} holds for all that is asked below
 * it, several batches included, beside their own. In a batch with a checkpoint a budget counts what earlier runs of the
 * same output spent, those that were killed included: to go on, give it a higher ceiling. A run that is complete ends
 * that count. Jobs of the providers' batch APIs, which are submitted whole, are refused under a budget.
 *
 * @example
 * import { batch, Budget, Chat, OpenAILive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function* () {
 *   const budget = yield* Budget.make({ usd: 25, tokens: 10_000_000 })
 *   const outcomes = yield* batch([Chat.prompt("1 + 1 = ?", { maxTokens: 10 })], { budget })
 *   return { outcomes, spent: (yield* budget.state).spent.usd }
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(OpenAILive)))
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type Amount, BudgetAccount } from "./internal/budgetAccount.js"
import { InvalidAmountError, ofNumber, parse, toDollars } from "./internal/money.js"

/** How much may be spent. */
export interface Options {
  /**
   * In US dollars: a number, of which what is below 1e-12 is left off, or as text such as `"25"`, `"$25"` or
   * `"0.50 USD"`. Default: no ceiling.
   */
  readonly usd?: number | string | undefined
  /** In tokens, input and output together. Default: no ceiling. */
  readonly tokens?: number | undefined
  /** What to do with a request of which nothing bounds the cost. Default `"refuse"`. */
  readonly unpriced?: "refuse" | "allow" | undefined
}

/** A budget: an amount of US dollars such as `"25 USD"`, or more exactly. */
export type Input = string | Options

const Part = Schema.Struct({
  /** US dollars: the nearest number to the exact sum. */
  usd: Schema.Number,
  tokens: Schema.Number
})

/** Schema of {@link State}. */
export const State = Schema.Struct({
  /** The most that may be spent; absent where there is no such ceiling. */
  ceiling: Schema.Struct({ usd: Schema.optional(Schema.Number), tokens: Schema.optional(Schema.Number) }),
  /** What runs before this one spent, at most. */
  earlier: Part,
  /** What was billed. */
  spent: Part,
  /** The most that attempts may come to of whose bill nobody told us. */
  unsettled: Part,
  /** The most that attempts under way may come to. */
  reserved: Part,
  /** Attempts that wait for room. */
  waiting: Schema.Number,
  /** Attempts for which there was none. */
  refused: Schema.Number,
  /** Nothing more is admitted. */
  usedUp: Schema.Boolean
})
/** A budget at one moment. `earlier`, `spent`, `unsettled` and `reserved` together never pass the ceiling. */
export type State = typeof State.Type

/** A budget that attempts are booked in. */
export interface Service {
  readonly state: Effect.Effect<State>
  /** What attempts book in. For this package. */
  readonly account: BudgetAccount
}

/** See {@link layer}. */
export class Budget extends Context.Tag("floodgate/Budget")<Budget, Service>() {}

const partOf = ({ money, tokens }: Amount): typeof Part.Type => ({ usd: toDollars(money), tokens })

const stateOf = (account: BudgetAccount): State => {
  const { ceiling, earlier, isUsedUp, refused, reserved, spent, unsettled, waiting } = account
  return {
    ceiling: {
      ...(ceiling.money === undefined ? undefined : { usd: toDollars(ceiling.money) }),
      ...(ceiling.tokens === undefined ? undefined : { tokens: ceiling.tokens })
    },
    earlier: partOf(earlier),
    spent: partOf(spent),
    unsettled: partOf(unsettled),
    reserved: partOf(reserved),
    waiting,
    refused,
    usedUp: isUsedUp
  }
}

/** A budget of which nothing is spent. Fails where an amount cannot be read. */
export const make = (input: Input): Effect.Effect<Service, InvalidAmountError> =>
  Effect.suspend(() => {
    const { tokens, unpriced, usd } = typeof input === "string" ? { usd: input } : input
    const money =
      usd === undefined ? Either.right(undefined) : typeof usd === "number" ? ofNumber(usd) : parse(usd)
    if (Either.isLeft(money)) return Effect.fail(money.left)
    if (tokens !== undefined && !(Number.isSafeInteger(tokens) && tokens >= 0)) {
      const message = `A budget in tokens is a whole number from 0 on, not ${tokens}`
      return Effect.fail(new InvalidAmountError({ input: String(tokens), message }))
    }
    const account = new BudgetAccount({ money: money.right, tokens }, unpriced === "allow")
    return Effect.succeed({ state: Effect.sync(() => stateOf(account)), account })
  })

/**
 * A budget for all that is asked below this layer. What earlier runs of an output spent counts in it when the
 * output is opened, and counts once, however often that is.
 */
export const layer = (input: Input): Layer.Layer<Budget, InvalidAmountError> =>
  Layer.effect(Budget, make(input))
