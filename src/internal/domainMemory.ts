/**
 * What the requests of a process have learned of a limit domain, beyond what its limiter knows: what its answers
 * cost, what it can afford in retries, and whether it is any use at all. Kept for as long as the limiter.
 */
import type { LlmError } from "../LlmError.js"
import type { Service as RateLimiter } from "../RateLimiter.js"
import { RetryBudget } from "./retryBudget.js"
import { StrayRefusals } from "./strayRefusals.js"
import { TokenForecast } from "./tokenForecast.js"
import { ToldRates } from "./told.js"

/** How long a domain is left alone after an error that the next request would meet as well. Doubled each time. */
const firstStop = 60_000
const longestStop = 3_600_000

/** Errors that the key, the account or the model meets, whatever is asked. */
const stopping: ReadonlySet<LlmError["_tag"]> = new Set(["AuthError", "QuotaExhaustedError"])

export class DomainMemory {
  readonly retries = new RetryBudget()
  readonly refusals = new StrayRefusals()
  readonly forecast = new TokenForecast()
  readonly told = new ToldRates()
  #stop: { readonly error: LlmError; readonly until: number; readonly length: number } | undefined

  /** The error that every request to this domain would meet now. */
  stopped(now: number): LlmError | undefined {
    const stop = this.#stop
    if (stop === undefined) return undefined
    if (stop.until > now) return stop.error
    // one request goes through to see; the others wait for what becomes of it
    this.#stop = { ...stop, until: now + stop.length }
    return undefined
  }

  /** The same, and until when, for those who only look: it lets nobody through. */
  stop(now: number): { readonly error: LlmError; readonly until: number } | undefined {
    return this.#stop !== undefined && this.#stop.until > now ? this.#stop : undefined
  }

  /** The domain answered: whatever was wrong is mended. */
  answered(): void {
    this.#stop = undefined
    this.retries.earn()
  }

  /** An attempt failed. Returns whether the domain is given up with it, and was not before. */
  failed(error: LlmError, now: number): boolean {
    // a credential that can be renewed is no reason to give up
    if (!stopping.has(error._tag) || error.shouldRetry === true) return false
    const before = this.#stop
    const length = before === undefined ? firstStop : Math.min(longestStop, before.length * 2)
    if (before !== undefined && before.until > now && before.error._tag === error._tag) return false
    this.#stop = { error, until: now + length, length }
    return before === undefined
  }
}

const memories = new WeakMap<RateLimiter, Map<string, DomainMemory>>()

/** The memory of this domain under this limiter. */
export const memoryOf = (limiter: RateLimiter, domain: string): DomainMemory => {
  let domains = memories.get(limiter)
  if (domains === undefined) {
    domains = new Map()
    memories.set(limiter, domains)
  }
  let memory = domains.get(domain)
  if (memory === undefined) {
    memory = new DomainMemory()
    domains.set(domain, memory)
  }
  return memory
}
