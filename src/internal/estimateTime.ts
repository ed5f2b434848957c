/** How long calls take at the limits of their domains. */
import * as Effect from "effect/Effect"
import type { Range } from "../Estimate.js"
import type { Service as Limiter } from "../RateLimiter.js"
import { type Cost, type RateKind, type RateName, rateKinds } from "./limits.js"

/** What is asked of domains that share the work. */
interface Load {
  readonly domains: ReadonlyArray<string>
  calls: number
  readonly low: { inputTokens: number; outputTokens: number }
  readonly high: { inputTokens: number; outputTokens: number }
}

export interface Time {
  readonly seconds: Range<number> | undefined
  readonly limitedBy: RateName | undefined
}

const secondsAt = (kind: RateKind, limit: number, calls: number, tokens: Cost): number => {
  const periods = (kind.unit === "requests" ? calls : kind.measure(tokens)) / limit
  // what is only capped may be spent at once
  return ((kind.paced ? periods : Math.max(0, Math.ceil(periods) - 1)) * kind.period) / 1_000
}

export class Demand {
  readonly #loads = new Map<string, Load>()

  /** A call that any of the domains may take. */
  add(domains: ReadonlyArray<string>, low: Cost, high: Cost): void {
    const key = domains.join("\n")
    let load = this.#loads.get(key)
    if (load === undefined) {
      load = {
        domains,
        calls: 0,
        low: { inputTokens: 0, outputTokens: 0 },
        high: { inputTokens: 0, outputTokens: 0 }
      }
      this.#loads.set(key, load)
    }
    load.calls++
    load.low.inputTokens += low.inputTokens
    load.low.outputTokens += low.outputTokens
    load.high.inputTokens += high.inputTokens
    load.high.outputTokens += high.outputTokens
  }

  /**
   * The time of the set of domains that takes longest. Domains that share work take it in proportion to their limits;
   * a limit that one of them does not have is none.
   */
  time(limiter: Limiter): Effect.Effect<Time> {
    return Effect.map(
      Effect.forEach(this.#loads.values(), (load) =>
        Effect.map(
          Effect.forEach(load.domains, (domain) => limiter.state(domain)),
          (states) => ({ load, limits: states.map(({ limits }) => limits) })
        )
      ),
      (loads) => {
        let seconds: Range<number> | undefined
        let limitedBy: RateName | undefined
        for (const { limits, load } of loads) {
          for (const kind of rateKinds) {
            let total = 0
            for (const limit of limits) total += limit[kind.name] ?? Number.POSITIVE_INFINITY
            if (total === Number.POSITIVE_INFINITY) continue
            const low = secondsAt(kind, total, load.calls, load.low)
            const high = secondsAt(kind, total, load.calls, load.high)
            if (seconds === undefined || high > seconds.high) limitedBy = kind.name
            seconds = { low: Math.max(low, seconds?.low ?? 0), high: Math.max(high, seconds?.high ?? 0) }
          }
        }
        return { seconds, limitedBy }
      }
    )
  }
}
