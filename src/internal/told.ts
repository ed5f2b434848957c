/**
 * What a server said of its limits, in the limiter's words; and what its answers, one after another, say of the period
 * of a limit that names none. The reset of a bucket grows with its use, that of a window does not.
 */
import * as Duration from "effect/Duration"
import type { RateName, Told } from "../RateLimiter.js"
import { bucketPeriod, type Period, type Throttle, type Window, windowPeriod } from "../Throttle.js"

type Rates = Partial<Record<RateName, Told>>

const requestRates: Partial<Record<Period, RateName>> = {
  second: "requestsPerSecond",
  minute: "requestsPerMinute",
  day: "requestsPerDay"
}
const tokenRates: Partial<Record<Period, RateName>> = { minute: "tokensPerMinute" }

/** Two answers are compared where their use differs by this factor at the least, */
const different = 1.5
/** and the resets grew as a bucket's where they did as the use did, but for this share. */
const inexact = 0.2
/** Takes back what was stated: no run comes near it. */
const unlimited: Told = { limit: Number.MAX_SAFE_INTEGER }

/** The period of one limit, as the answers so far have it. */
class Measure {
  #limit = 0
  #used = 0
  #reset = 0
  /** The longest reset, which is nearest to the length of a window. */
  #longest = 0
  /** What two answers that were compared say. */
  #compared: Period | undefined

  period(window: Window): Period {
    const { limit = 0, remaining = 0, resetAfter } = window
    const reset = resetAfter === undefined ? 0 : Duration.toMillis(resetAfter)
    const used = limit - remaining
    if (used <= 0 || reset <= 0) return this.#compared ?? window.period
    if (this.#limit !== limit) {
      this.#longest = reset
      this.#keep(limit, used, reset)
      return this.#compared ?? window.period
    }
    this.#longest = Math.max(this.#longest, reset)
    const use = used / this.#used
    if (use < different && use > 1 / different) return this.#compared ?? window.period
    const isBucket = Math.abs(reset / this.#reset / use - 1) <= inexact
    this.#compared = isBucket ? bucketPeriod(limit, remaining, reset) : windowPeriod(this.#longest)
    this.#keep(limit, used, reset)
    return this.#compared
  }

  #keep(limit: number, used: number, reset: number): void {
    this.#limit = limit
    this.#used = used
    this.#reset = reset
  }
}

/** The limits that the servers of a domain state. */
export class ToldRates {
  readonly #requests = new Measure()
  readonly #tokens = new Measure()
  /** What was stated of a limit whose period is measured. */
  #requestRate: RateName | undefined
  #tokenRate: RateName | undefined

  /** The limits stated with this answer, by the rate they speak of; nothing where it stated none. */
  read(throttle: Throttle): Rates | undefined {
    const { inputTokens, outputTokens, requests, tokens } = throttle
    if (
      requests === undefined &&
      tokens === undefined &&
      inputTokens === undefined &&
      outputTokens === undefined
    ) {
      return undefined
    }
    const rates: Rates = {}
    if (requests !== undefined) {
      this.#requestRate = tell(rates, requests, requestRates, this.#requests, this.#requestRate)
    }
    if (tokens !== undefined) {
      this.#tokenRate = tell(rates, tokens, tokenRates, this.#tokens, this.#tokenRate)
    }
    if (inputTokens?.period === "minute") rates.inputTokensPerMinute = inputTokens
    if (outputTokens?.period === "minute") rates.outputTokensPerMinute = outputTokens
    return rates
  }
}

/** Adds what a window states to the rates, and takes back what it was measured as `before`. */
const tell = (
  rates: Rates,
  window: Window,
  names: Partial<Record<Period, RateName>>,
  measure: Measure,
  before: RateName | undefined
): RateName | undefined => {
  const period = window.isMeasured === true ? measure.period(window) : window.period
  const name = names[period]
  if (name !== undefined) rates[name] = window
  if (window.isMeasured !== true) return before
  // a whole bucket does not say what it is, nor that it is not what it was
  if (name === undefined && window.remaining === window.limit) return before
  if (before !== undefined && before !== name) rates[before] = unlimited
  return name
}
