/** What progress is made of: counters that attempts and requests add to as they end. */
import type { Money } from "../Prices.js"
import type { AttemptEvent, RequestEvent } from "./observe.js"

/** What became of the attempts at one endpoint. */
export interface EndpointCounts {
  readonly endpoint: string
  readonly provider: string
  attempts: number
  answered: number
  failed: number
  interrupted: number
  inputTokens: number
  outputTokens: number
  cost: Money
  /** The average of recent answers; each weighs a tenth. */
  latencyMs: number | undefined
}

/** The failed attempt before which there was no later one. */
export interface LastFailure {
  readonly at: number
  readonly endpoint: string
  readonly error: string
  readonly message: string
}

/** A model for every request would be a name for every request. */
const mostModels = 100

const latencyWeight = 0.1

const addTo = (counts: Map<string, number>, name: string): void => {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

export class Counts {
  succeeded = 0
  failed = 0
  /** Of those that succeeded: answers from the cache, or of an equal request. */
  cached = 0
  /** Of those that succeeded: answers of an earlier run. */
  resumed = 0
  /** Requests that an earlier run settled, whatever became of them. */
  before = 0
  attempts = 0
  inputTokens = 0
  outputTokens = 0
  cost: Money = 0n
  failedAttempts = 0
  lastFailure: LastFailure | undefined
  /** Failed requests by the error's tag. */
  readonly errors = new Map<string, number>()
  /** Failed attempts by the error's tag. */
  readonly attemptErrors = new Map<string, number>()
  readonly endpoints = new Map<string, EndpointCounts>()
  readonly unpriced = new Set<string>()

  get done(): number {
    return this.succeeded + this.failed
  }

  readonly attempt = (event: AttemptEvent): void => {
    const { cost, outcome, usage } = event
    const endpoint = this.#endpoint(event)
    this.attempts++
    endpoint.attempts++
    if (usage !== undefined) {
      this.inputTokens += usage.inputTokens
      this.outputTokens += usage.outputTokens
      endpoint.inputTokens += usage.inputTokens
      endpoint.outputTokens += usage.outputTokens
    }
    if (typeof cost === "bigint") {
      this.cost += cost
      endpoint.cost += cost
    } else if (cost === "unpriced" && this.unpriced.size < mostModels) this.unpriced.add(event.model)
    if (outcome === "answered") {
      const { latencyMs: before } = endpoint
      endpoint.answered++
      endpoint.latencyMs =
        before === undefined ? event.latencyMs : before + (event.latencyMs - before) * latencyWeight
      return
    }
    if (outcome === "interrupted") {
      endpoint.interrupted++
      return
    }
    endpoint.failed++
    this.failedAttempts++
    addTo(this.attemptErrors, outcome)
    this.lastFailure = {
      at: event.at,
      endpoint: event.endpoint,
      error: outcome,
      message: event.error?.message ?? outcome
    }
  }

  readonly request = ({ origin, outcome }: RequestEvent): void => {
    if (outcome !== "answered") {
      this.failure(outcome)
      return
    }
    this.succeeded++
    if (origin === "checkpoint") {
      this.resumed++
      this.before++
    } else if (origin !== "call") this.cached++
  }

  /** A request failed, if only because it was none. */
  failure(tag: string): void {
    this.failed++
    addTo(this.errors, tag)
  }

  #endpoint({ endpoint, provider }: AttemptEvent): EndpointCounts {
    const known = this.endpoints.get(endpoint)
    if (known !== undefined) return known
    const counts = {
      endpoint,
      provider,
      attempts: 0,
      answered: 0,
      failed: 0,
      interrupted: 0,
      inputTokens: 0,
      outputTokens: 0,
      cost: 0n,
      latencyMs: undefined
    }
    this.endpoints.set(endpoint, counts)
    return counts
  }
}
