/** An endpoint of a pool, and how it has done so far. */
import type { Endpoint } from "../Endpoint.js"
import { isRetryable, type LlmError } from "../LlmError.js"
import type { Request } from "../Request.js"
import type { Usage } from "../Usage.js"
import { Circuit, type CircuitOptions, type CircuitState } from "./circuit.js"

/** How fast the average of latencies forgets: the time after which a sample weighs 1/e. */
const latencyMemory = 10_000
/** After this time without a success an average says nothing of the present. */
const latencyLasts = 60_000
const firstPunishment = 1_000
const longestPunishment = 60_000

/** Failures that speak against the endpoint. A throttled one is well, and its limit domain is paused. */
const illness: ReadonlySet<LlmError["_tag"]> = new Set<LlmError["_tag"]>([
  "AuthError",
  "PermissionError",
  "QuotaExhaustedError",
  "NotFoundError",
  "OverloadedError",
  "ServerError",
  "TimeoutError",
  "NetworkError"
])

/** Failures that the next request would meet as well: they open the circuit at once. */
const atOnce: ReadonlySet<LlmError["_tag"]> = new Set<LlmError["_tag"]>(["AuthError", "QuotaExhaustedError"])

/** Requests on their way to a limit domain, chosen for it and not yet admitted. Shared by all its endpoints. */
export interface Approach {
  readonly domain: string
  ahead: number
}

/** An endpoint at one moment; its counts are those since the router was made. */
export interface EndpointState {
  readonly id: string
  readonly circuit: CircuitState
  /** When an open circuit lets a request through to see, in epoch milliseconds. */
  readonly opensAt: number | undefined
  /** Attempts under way, waiting for the limiter included. */
  readonly inFlight: number
  /** The decaying average of recent successes. */
  readonly latencyMs: number | undefined
  /** Attempts that brought an answer. */
  readonly answered: number
  /** Attempts that failed. */
  readonly failed: number
  /** The same by class of error. */
  readonly errors: Readonly<Partial<Record<LlmError["_tag"], number>>>
  /** Second attempts beside a late one, whatever became of them. */
  readonly hedges: number
  /** Tokens of the answers that came. */
  readonly inputTokens: number
  readonly outputTokens: number
  readonly lastError: LlmError | undefined
}

export class PoolMember {
  readonly endpoint: Endpoint
  readonly approach: Approach
  readonly circuit: Circuit
  /**
   * Milliseconds until it could be asked, for the decision at hand: 0 is now, `Infinity` when a call ends, `-1` not for
   * this request.
   */
  wait = -1
  inFlight = 0
  lastUsed = 0
  #answered = 0
  hedges = 0
  #failures = 0
  readonly #errors: Partial<Record<LlmError["_tag"], number>> = {}
  #inputTokens = 0
  #outputTokens = 0
  lastError: LlmError | undefined
  #latency: number | undefined
  #latencyAt = Number.NEGATIVE_INFINITY
  #consecutive = 0
  /** Failures in a row that no wait mends, */
  #lasting = 0
  /** and how many of them are no accident. */
  readonly #enough: number
  #punishedUntil = Number.NEGATIVE_INFINITY

  constructor(endpoint: Endpoint, approach: Approach, options: CircuitOptions) {
    this.endpoint = endpoint
    this.approach = approach
    this.circuit = new Circuit(options)
    this.#enough = options.consecutive
  }

  latency(now: number): number | undefined {
    return now - this.#latencyAt > latencyLasts ? undefined : this.#latency
  }

  punished(now: number): boolean {
    return this.#punishedUntil > now
  }

  state(now: number): EndpointState {
    return {
      id: this.endpoint.id,
      circuit: this.circuit.state(now),
      opensAt: this.circuit.until,
      inFlight: this.inFlight,
      latencyMs: this.latency(now),
      answered: this.#answered,
      failed: this.#failures,
      errors: { ...this.#errors },
      hedges: this.hedges,
      inputTokens: this.#inputTokens,
      outputTokens: this.#outputTokens,
      lastError: this.lastError
    }
  }

  succeeded(now: number, millis: number, isProbe: boolean, usage: Usage): void {
    this.#took(now, millis)
    this.#consecutive = 0
    this.#lasting = 0
    this.#punishedUntil = Number.NEGATIVE_INFINITY
    this.#answered++
    this.#inputTokens += usage.inputTokens
    this.#outputTokens += usage.outputTokens
    this.circuit.succeeded(now, isProbe)
  }

  /** An attempt was given up after this time: had it been let run, it would have taken longer. */
  overtaken(now: number, millis: number): void {
    if (millis > (this.latency(now) ?? 0)) this.#took(now, millis)
  }

  #took(now: number, millis: number): void {
    const before = this.latency(now)
    const kept = before === undefined ? 0 : Math.min(0.9, Math.exp((this.#latencyAt - now) / latencyMemory))
    this.#latency = (before ?? 0) * kept + millis * (1 - kept)
    this.#latencyAt = now
  }

  /** An attempt failed for what was asked: the endpoint is well. */
  refused(error: LlmError, now: number, isProbe: boolean): void {
    this.#count(error)
    this.#lasting = 0
    this.circuit.succeeded(now, isProbe)
  }

  /** An attempt failed. Returns whether that opened the circuit. `stoppedUntil` is when the limit domain may be asked again after an error of its account. */
  failed(error: LlmError, now: number, isProbe: boolean, hint: number, stoppedUntil: number): boolean {
    if (!illness.has(error._tag)) {
      this.refused(error, now, isProbe)
      return false
    }
    this.#count(error)
    this.#lasting = isRetryable(error) ? 0 : this.#lasting + 1
    const length = Math.min(longestPunishment, firstPunishment * 2 ** Math.min(this.#consecutive++, 10))
    this.#punishedUntil = now + length
    if (atOnce.has(error._tag) && !isRetryable(error)) {
      const state = this.circuit.state(now)
      const isNews = state === "closed" || (isProbe && state === "half-open")
      // as long as its domain is left alone: both try again with the same request
      if (isNews) this.circuit.open(now, Math.max(hint, stoppedUntil - now))
      return isNews
    }
    return this.circuit.failed(now, isProbe, hint)
  }

  /**
   * What the request would fail with here, where the endpoint rests for what no wait mends: its model is not there, its
   * key is refused. None while a probe finds out.
   */
  hopeless(now: number, { model }: Request): LlmError | undefined {
    if (this.#lasting < this.#enough || this.circuit.state(now) !== "open") return undefined
    const error = this.lastError
    return error !== undefined && isOfOtherModel(error, this.endpoint, model) ? undefined : error
  }

  #count(error: LlmError): void {
    this.#failures++
    this.#errors[error._tag] = (this.#errors[error._tag] ?? 0) + 1
    this.lastError = error
  }
}

/** Whether this speaks against a model that is asked for, and is not the endpoint's own. */
export const isOfOtherModel = ({ _tag }: LlmError, endpoint: Endpoint, model: string | undefined): boolean =>
  _tag === "NotFoundError" && model !== undefined && model !== endpoint.model
