/** What a server said of its limits, in the limiter's words. */
import type { RateName, Told } from "../RateLimiter.js"
import type { Throttle, Window } from "../Throttle.js"

type ToldRates = Partial<Record<RateName, Told>>

const requestRates: Partial<Record<Window["period"], RateName>> = {
  second: "requestsPerSecond",
  minute: "requestsPerMinute",
  day: "requestsPerDay"
}

/** The stated limits by the rate they speak of; nothing where the answer stated none that we know. */
export const told = (throttle: Throttle): ToldRates | undefined => {
  const { inputTokens, outputTokens, requests, tokens } = throttle
  if (
    requests === undefined &&
    tokens === undefined &&
    inputTokens === undefined &&
    outputTokens === undefined
  ) {
    return undefined
  }
  const rates: ToldRates = {}
  const requestRate = requests === undefined ? undefined : requestRates[requests.period]
  if (requests !== undefined && requestRate !== undefined) rates[requestRate] = requests
  if (tokens?.period === "minute") rates.tokensPerMinute = tokens
  if (inputTokens?.period === "minute") rates.inputTokensPerMinute = inputTokens
  if (outputTokens?.period === "minute") rates.outputTokensPerMinute = outputTokens
  return rates
}
