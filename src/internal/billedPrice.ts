/** Which price a call is billed by, and what is doubtful about that. */
import type { Endpoint } from "../Endpoint.js"
import * as Prices from "../Prices.js"
import type { Request } from "../Request.js"
import type { Usage } from "../Usage.js"
import { othersOf } from "./callAtMost.js"

/**
 * The price of the model that answered, where that is another one than was asked. `request` is as it was sent, with the
 * endpoint's parameters.
 */
export const priceOf = (
  prices: Prices.Service,
  endpoint: Endpoint,
  request: Request,
  { answeredBy, at, model }: { readonly model: string; readonly answeredBy: string; readonly at: number }
): Prices.Price | undefined => {
  const asked = Prices.ofEndpoint(prices, endpoint, model, at)
  if (answeredBy === model) return asked
  const answered = Prices.ofEndpoint(prices, endpoint, answeredBy, at)
  if (asked === undefined || answered === undefined || asked.id === answered.id) return answered ?? asked
  // a price of one's own is of the name that is asked for, whatever the server calls it
  const isOwn = asked.rule === "own" || asked.rule === "endpoint"
  const isOther = othersOf(request)?.some((other) => answeredBy.startsWith(other)) ?? true
  return isOwn && !isOther ? asked : answered
}

/** What usage cost, and what of that is doubtful, each with the name of the price; nothing where all is stated. */
export interface Charge {
  readonly cost: Prices.Money | "unpriced"
  readonly doubts: ReadonlyArray<string> | undefined
}

const unpriced: Charge = { cost: "unpriced", doubts: undefined }

export const chargeOf = (price: Prices.Price | undefined, usage: Usage, billing: Prices.Billing): Charge => {
  if (price === undefined) return unpriced
  const doubts = Prices.doubts(price, usage, billing)
  return {
    cost: Prices.cost(price, usage, billing),
    doubts: doubts.length === 0 ? undefined : doubts.map((doubt) => `${price.id}: ${doubt}`)
  }
}
