/** `--budget`: the ceiling of a run, and what is said of it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Budget from "../Budget.js"
import { type Configured, prices as pricesOf } from "../internal/configServices.js"
import { count } from "../internal/countText.js"
import type { Settled } from "../Outcome.js"
import * as Prices from "../Prices.js"
import type { Request } from "../Request.js"
import type { ServiceFlags } from "./batchCommand.js"
import { CliError } from "./CliError.js"
import { configError } from "./configError.js"
import { checkPositive, wrong } from "./flags.js"
import type { Questions } from "./questions.js"

/** Whether this request was not asked, or not to its end, for want of money. */
export const isUnasked = ({ outcome }: Settled<Request>): boolean =>
  Either.isLeft(outcome) && outcome.left._tag === "BudgetExceededError"

/** `--budget`, or the one of the config file, and what goes with it; none without either. */
export const make = (
  flags: ServiceFlags,
  { loaded }: Configured
): Effect.Effect<Budget.Service | undefined, CliError> =>
  Effect.gen(function* () {
    const { budgetTokens: tokens, budgetUnpriced: unpriced } = flags
    const { budget: usd } = loaded.settings
    yield* checkPositive("budget-tokens", tokens)
    if (usd === undefined && tokens === undefined) {
      if (unpriced !== undefined) yield* wrong("--budget-unpriced is about a --budget, and there is none")
      return undefined
    }
    return yield* Effect.mapError(
      Budget.make({ usd, tokens, unpriced }),
      ({ message }) => new CliError({ message: `--budget: ${message}` })
    )
  })

/** The questions, of which those to models without a price are wrong: found out before anything is sent. */
export const checked = (
  questions: Questions,
  budget: Budget.Service | undefined,
  configured: Configured
): Effect.Effect<Questions, CliError, Scope.Scope> =>
  Effect.gen(function* () {
    if (budget === undefined || budget.account.ceiling.money === undefined || budget.account.allowsUnpriced) {
      return questions
    }
    const context = yield* Effect.mapError(Layer.build(pricesOf(configured)), configError)
    const prices = Context.get(context, Prices.Prices)
    const clock = yield* Effect.clock
    const at = clock.unsafeCurrentTimeMillis()
    const { endpoints } = configured.router
    const isPriced = (request: Request): boolean =>
      endpoints.some((endpoint) => {
        const model = request.model ?? endpoint.model
        // without any it is found out elsewhere
        return model === undefined || Prices.ofEndpoint(prices, endpoint, model, at) !== undefined
      })
    return {
      ...questions,
      fromFields: (fields, isTable) =>
        Either.filterOrLeft(
          questions.fromFields(fields, isTable),
          isPriced,
          ({ model = endpoints[0].model }) =>
            `the model ${model} has no price, and --budget cannot hold: state one in the config file, or pass --budget-unpriced allow`
        )
    }
  })

/** What is said of a run that came to its ceiling. */
export const reached = (
  { ceiling, earlier, spent, unsettled, usedUp }: Budget.State,
  rows: number
): string => {
  const dollars = (usd: number) => Prices.format(BigInt(Math.round(usd * 1e12)))
  const gone = {
    usd: earlier.usd + spent.usd + unsettled.usd,
    tokens: earlier.tokens + spent.tokens + unsettled.tokens
  }
  // rows that may cost much are refused where much is left
  const part = (used: number, most: number): number => (usedUp ? used : Math.max(0, most - used))
  const sums = [
    ...(ceiling.usd === undefined
      ? []
      : [`${dollars(part(gone.usd, ceiling.usd))} of ${dollars(ceiling.usd)}`]),
    ...(ceiling.tokens === undefined
      ? []
      : [`${count(part(gone.tokens, ceiling.tokens))} of ${count(ceiling.tokens)} tokens`])
  ]
  const open =
    unsettled.usd > 0 && usedUp
      ? ` (${dollars(unsettled.usd)} of it at most, for calls that told no bill)`
      : ""
  const found = usedUp
    ? "The budget is used up"
    : "The rows that were refused may cost more than is left of the budget"
  return `${found}: ${sums.join(", ")}${open}. ${count(rows)} ${rows === 1 ? "row is" : "rows are"} left; the same command with a higher --budget goes on`
}
