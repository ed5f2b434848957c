/** The most that one call can use and cost at an endpoint, whichever model answers it, and by whichever tier. */
import type { Endpoint } from "../Endpoint.js"
import * as Prices from "../Prices.js"
import type { Request } from "../Request.js"
import * as Tokens from "../Tokens.js"
import { most } from "./tariff.js"

/** The service tier that a request asks for. What the provider is sent as it is goes before ours. */
export const tierOf = (request: Request): string | undefined => {
  const { extra } = request
  const stated = extra?.service_tier === undefined ? extra?.serviceTier : extra.service_tier
  if (stated !== undefined) return typeof stated === "string" ? stated : undefined
  return "serviceTier" in request ? request.serviceTier : undefined
}

/** The dearest tier that a call may be billed by: where the request leaves it open, the account's settings decide. */
const dearestTier = ({ tiers }: Prices.Price, request: Request): string | undefined => {
  const asked = tierOf(request)
  if (asked !== undefined && asked.toLowerCase() !== "auto") return asked
  let dearest = asked
  let factor = 1
  for (const [tier, [over, under]] of Object.entries(tiers)) {
    if (tier === "batch" || over / under <= factor) continue
    dearest = tier
    factor = over / under
  }
  return dearest
}

/**
 * The models that may answer besides the one that is asked: OpenRouter's `models`, LiteLLM's `fallbacks`, and a
 * `model` that takes the place of ours. `undefined` where any may.
 */
export const othersOf = ({ extra }: Request): ReadonlyArray<string> | undefined => {
  if (extra === undefined) return []
  const lists = [extra.models, extra.fallbacks].filter((list) => list != null)
  if (lists.length === 0 && extra.route != null) return undefined
  const others: Array<string> = []
  for (const named of [...lists.flat(), extra.model]) {
    if (typeof named === "string") others.push(named)
    else if (named != null) return undefined
  }
  return others
}

export interface CallAtMost {
  /** `Infinity` where nothing bounds it. */
  readonly tokens: number
  /** `undefined` where a model has no price, or nothing bounds what is used. */
  readonly money: Prices.Money | undefined
  /** A model that may answer and has no price. */
  readonly unpriced: string | undefined
}

const ofModel = (
  prices: Prices.Service,
  endpoint: Endpoint,
  request: Request,
  model: string,
  at: number
): CallAtMost => {
  const price = Prices.ofEndpoint(prices, endpoint, model, at)
  const contextWindow =
    endpoint.model === undefined || endpoint.model === model
      ? (endpoint.contextWindow ?? price?.contextWindow)
      : price?.contextWindow
  if (price === undefined) {
    const limits = { contextWindow, maxOutputTokens: undefined }
    const tokens = Tokens.atMost(request, limits) + Tokens.outputAtMost(request, limits)
    return { tokens, money: undefined, unpriced: model }
  }
  const bounds = Tokens.boundsOf(
    request,
    contextWindow === price.contextWindow ? price : { ...price, contextWindow }
  )
  return {
    tokens: bounds.inputTokens + bounds.outputTokens,
    money: Prices.worstCase(price, bounds, { serviceTier: dearestTier(price, request) }),
    unpriced: undefined
  }
}

/** The most that a call for `model` can come to. The request is as it is sent, with the endpoint's parameters. */
export const callAtMost = (
  prices: Prices.Service,
  endpoint: Endpoint,
  request: Request,
  model: string,
  at: number
): CallAtMost => {
  let { money, tokens, unpriced } = ofModel(prices, endpoint, request, model, at)
  const others = othersOf(request)
  if (others === undefined) return { tokens, money: undefined, unpriced }
  for (const name of others) {
    const other = ofModel(prices, endpoint, request, name, at)
    tokens = Math.max(tokens, other.tokens)
    money = money === undefined || other.money === undefined ? undefined : most(money, other.money)
    unpriced ??= other.unpriced
  }
  return { tokens, money, unpriced }
}
