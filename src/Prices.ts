/**
 * What models cost: a dated table of list prices that comes with the package, and your own.
 *
 * - **Money** is counted in whole picodollars (1e-12 US dollar), as a `bigint`: sums are exact over any number of rows.
 * - **A model's price** is found by its exact name, by a dated name of it (`gpt-4o-mini-2024-07-18`), by another name
 *   that the table knows, or by the `vendor/model` names of OpenRouter and of gateways. Nothing is guessed: a model
 *   whose name only begins like a known one is unpriced, and so are fine-tuned models and variants of aggregators.
 * - **Servers of your own** (vLLM, Ollama, LM Studio, llama.cpp) are unpriced as well, until you say what they cost:
 *   `add: { "ollama/*": Prices.free }`.
 * - **List prices** know no contract of yours, no free quota, no tax and no surcharge for a region. Tools that the
 *   provider runs, such as its web search, cost extra and are in no token count.
 *
 * @example
 * import { Prices } from "floodgate"
 *
 * const prices = Prices.layer({
 *   override: { "openai/gpt-4o-mini": { input: 0.12, output: 0.48 } },
 *   add: { "vllm/*": Prices.free, "azure/our-deployment": { input: 2.5, output: 10 } }
 * })
 *
 * @module
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Endpoint } from "./Endpoint.js"
import type { Money } from "./internal/money.js"
import type { Factor, Own, PriceFields } from "./internal/priceFields.js"
import * as PriceList from "./internal/priceList.js"
import { least, most, type Rates, type Tariff, times, whole } from "./internal/tariff.js"
import type { Usage } from "./Usage.js"

export { format, InvalidAmountError, type Money, parse, toDollars } from "./internal/money.js"
export { Own, PriceFields } from "./internal/priceFields.js"
export { InvalidPricesError } from "./internal/priceList.js"
export type { Rates, Tariff } from "./internal/tariff.js"

/** By what a model's price was found. `own`: by the user's; `endpoint`: stated by the endpoint itself. */
export type Rule = "exact" | "dated" | "alias" | "routed" | "own" | "endpoint"

/** The price of a model at one time. */
export interface Price {
  /** Its name in the table, such as `"openai/gpt-4o-mini"`. */
  readonly id: string
  readonly rule: Rule
  readonly tariff: Tariff
  /** All tariffs that a call made now may be billed by: another may begin before it ends. */
  readonly possible: ReadonlyArray<Tariff>
  /** What a search unit of a reranking costs; `undefined` where it is priced by tokens. */
  readonly perSearch: Money | undefined
  /** Factors by service tier; `batch` is the batch API. */
  readonly tiers: Readonly<Record<string, Factor>>
  readonly contextWindow: number | undefined
  readonly maxOutputTokens: number | undefined
  /** Whether the provider may write prompts to its cache, at their price, without being told to. */
  readonly cachesUnasked: boolean
  /** Whether audio has prices of its own. */
  readonly pricesAudio: boolean
  readonly source: string | undefined
  readonly asOf: string | undefined
  /** What is doubtful about the price. */
  readonly doubt: string | undefined
}

/** Whose price is asked for. */
export interface Query {
  /** Name of the provider, as endpoints have it. */
  readonly provider: string
  readonly model: string
  /** The model by its maker's name, where `model` is a name of your own; see `Endpoint.family`. */
  readonly family?: string | undefined
  /** In milliseconds since 1970: prices change. */
  readonly at: number
}

/** A table of prices. */
export interface Service {
  /** The day of the table; with prices of your own `+own.` and a hash of them: receipts name it. */
  readonly version: string
  /** The price, or `undefined`: the model is unpriced. Cheap enough to be asked for each call. */
  readonly find: (query: Query) => Price | undefined
  /** The names of the table and of your own, each as `provider/model`. */
  readonly ids: ReadonlyArray<string>
}

/** The prices at hand. By default the package's table, so that nothing need be provided. */
export class Prices extends Context.Reference<Prices>()("floodgate/Prices", {
  defaultValue: (): Service => table
}) {}

/** The package's table as it is. */
export const table: Service = PriceList.table

/** What costs nothing, for {@link Options.add}. */
export const free: PriceFields = { input: 0, output: 0 }

/** What {@link layer} takes: prices of your own, and what they go before. */
export interface Options extends Own {
  /**
   * Other prices for models of the table, by `provider/model` as in {@link Service.ids}. Each stands for the whole
   * of the table's price, and holds for all names of the model. In US dollars for a million tokens.
   */
  readonly override?: Own["override"]
  /**
   * Prices of models that are not in the table, by `provider/model`, where `*` stands for any characters. They come
   * before the table; of several that fit, the exact one, then the one with the most literal characters.
   */
  readonly add?: Own["add"]
  /** A JSON file with `override` and `add` of the same shape. What is written here goes before it. */
  readonly file?: string | undefined
}

/** The table with prices of your own. Fails where they name a model that there is not, or cannot be read. */
export const make = (options: Options): Effect.Effect<Service, PriceList.InvalidPricesError> =>
  PriceList.make(options)

/** The same as a layer, for all that count money. */
export const layer = (options: Options): Layer.Layer<Prices, PriceList.InvalidPricesError> =>
  Layer.effect(Prices, make(options))

/** The price of a model, or `undefined`: it is unpriced. */
export const lookup = (prices: Service, query: Query): Price | undefined => prices.find(query)

/**
 * The price of a model at an endpoint: what the endpoint itself states of its own model, in US dollars for a million
 * tokens, or the table's. An endpoint that names no model states the price of all.
 */
export const ofEndpoint = (
  prices: Service,
  endpoint: Pick<Endpoint, "provider" | "model" | "family" | "price">,
  model: string,
  at: number
): Price | undefined =>
  endpoint.price !== undefined && (endpoint.model === undefined || endpoint.model === model)
    ? PriceList.stated(endpoint.price, `${endpoint.provider}/${model}`)
    : prices.find({
        provider: endpoint.provider,
        model,
        family: model === endpoint.model ? endpoint.family : undefined,
        at
      })

/** How a call was billed. */
export interface Billing {
  /** The tier of the answer, or of the request where it tells none. */
  readonly serviceTier?: string | undefined
  /** Whether it went through the batch API. */
  readonly batch?: boolean | undefined
}

/** The tiers at the full price. */
const standard: ReadonlySet<string> = new Set(["default", "standard", "auto", "on_demand", "standard_only"])

const full: Factor = [1, 1]

/** The factor of a tier; `undefined` where the price has none for it. */
const tierFactor = ({ tiers }: Price, { batch, serviceTier }: Billing): Factor | undefined => {
  const tier = batch === true ? "batch" : serviceTier?.toLowerCase()
  if (tier !== undefined && Object.hasOwn(tiers, tier)) return tiers[tier]
  return tier === undefined || standard.has(tier) ? full : undefined
}

const ratesFor = ({ longContext, rates }: Tariff, inputTokens: number): Rates =>
  longContext !== undefined && inputTokens > longContext.overInputTokens ? longContext.rates : rates

/**
 * What usage costs. Exact; where a factor leaves a fraction of a picodollar, it is rounded up. What a price does not
 * know is charged as the class that it is a part of: see {@link doubts}.
 */
export const cost = (price: Price, usage: Usage, billing: Billing = {}): Money => {
  const rates = ratesFor(price.tariff, usage.inputTokens)
  const input = whole(usage.billedInputTokens ?? usage.inputTokens)
  const read = least(whole(usage.cacheReadTokens), input)
  const written = least(whole(usage.cacheWriteTokens), input - read)
  const written1h = least(whole(usage.cacheWrite1hTokens), written)
  const heard = least(whole(usage.audioInputTokens), input - read - written)
  const output = whole(usage.billedOutputTokens ?? usage.outputTokens)
  const spoken = least(whole(usage.audioOutputTokens), output)
  const money =
    read * rates.cacheRead +
    (written - written1h) * rates.cacheWrite +
    written1h * rates.cacheWrite1h +
    heard * rates.audioInput +
    (input - read - written - heard) * rates.input +
    spoken * rates.audioOutput +
    (output - spoken) * rates.output +
    whole(usage.searchUnits) * (price.perSearch ?? 0n)
  return times(money, tierFactor(price, billing) ?? full)
}

/** What of a bill rests on less than a stated price, in words; none where all is stated. */
export const doubts = (price: Price, usage: Usage, billing: Billing = {}): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (price.doubt !== undefined) found.push(price.doubt)
  if (tierFactor(price, billing) === undefined) {
    const tier = billing.batch === true ? "batch" : billing.serviceTier
    found.push(`no price for the service tier "${tier}": counted at the full price`)
  }
  if (!price.pricesAudio && ((usage.audioInputTokens ?? 0) > 0 || (usage.audioOutputTokens ?? 0) > 0)) {
    found.push("no price for audio: counted as text")
  }
  if (price.perSearch === undefined && (usage.searchUnits ?? 0) > 0) {
    found.push("no price for searches: not counted")
  }
  if (usage.estimated === true) found.push("the server stated no usage: tokens are estimated")
  return found
}

/** The most that a call can use. */
export interface Bounds {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly searchUnits?: number | undefined
  /**
   * The longest that the provider may keep the prompt. Default `"1h"`, the dearest. `Tokens.boundsOf` tells it of a
   * request.
   */
  readonly promptCache?: "none" | "5m" | "1h" | undefined
  /** Whether there may be audio in the request or the answer. Default `true`. */
  readonly audio?: boolean | undefined
}

/**
 * The most that a call can cost: each token at the dearest rate that it could have, by the dearest tariff that could
 * apply. A tier that costs more counts; of those that cost less only the batch API, for `flex` may be refused and asked
 * again in full. A count of `Infinity` is no bound: then there is no worst case, and the result is `undefined`.
 */
export const worstCase = (price: Price, bounds: Bounds, billing: Billing = {}): Money | undefined => {
  const { audio = true, inputTokens, outputTokens, promptCache = "1h", searchUnits = 0 } = bounds
  if (!Number.isFinite(inputTokens + outputTokens + searchUnits)) return undefined
  const dearest = (rates: Rates): Money => {
    let input = most(rates.input, rates.cacheRead)
    if (promptCache !== "none") input = most(input, rates.cacheWrite)
    if (promptCache === "1h") input = most(input, rates.cacheWrite1h)
    if (audio) input = most(input, rates.audioInput)
    const output = audio ? most(rates.output, rates.audioOutput) : rates.output
    return whole(inputTokens) * input + whole(outputTokens) * output
  }
  let money = 0n
  for (const tariff of price.possible) {
    money = most(money, dearest(tariff.rates))
    money = most(money, dearest(ratesFor(tariff, inputTokens)))
  }
  const factor = tierFactor(price, billing) ?? full
  const total = money + whole(searchUnits) * (price.perSearch ?? 0n)
  return billing.batch === true || factor[0] > factor[1] ? times(total, factor) : total
}
