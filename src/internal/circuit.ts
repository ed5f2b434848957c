/**
 * The circuit of an endpoint. Closed, it lets all requests through; open, none; after its cooldown it is half open and
 * lets one through to see, the probe, whose end closes it or opens it for twice as long. A probe that takes longer than
 * the cooldown took is not all that is waited for: another goes through then, and the next after twice that time, and so
 * on. The first one to end decides.
 *
 * Plain synchronous code; times are epoch milliseconds that are handed in.
 */

/** When a circuit opens, and for how long. */
export interface CircuitOptions {
  /** Failures in a row that open it. */
  readonly consecutive: number
  /** The share of failures that opens it, */
  readonly share: number
  /** over about this time, in milliseconds, */
  readonly window: number
  /** of so many calls at the least. */
  readonly fewest: number
  /** The first cooldown, in milliseconds; doubled each time the probe fails. */
  readonly cooldown: number
  /** The longest cooldown of our own making, and the longest time between two probes. */
  readonly longest: number
}

export type CircuitState = "closed" | "open" | "half-open"

export class Circuit {
  readonly #options: CircuitOptions
  #consecutive = 0
  // counts that fade: an event of a window ago weighs 1/e
  #failures = 0
  #calls = 0
  #countedAt = 0
  /** When the cooldown ends; `undefined` while closed. */
  #until: number | undefined
  #length = 0
  /** Probes under way since it is half open, */
  #probes = 0
  /** and when the next may go: the last one takes its time. */
  #nextProbe = Number.NEGATIVE_INFINITY

  constructor(options: CircuitOptions) {
    this.#options = options
  }

  state(now: number): CircuitState {
    if (this.#until === undefined) return "closed"
    return this.#until > now ? "open" : "half-open"
  }

  /** When an open circuit lets its probe through. */
  get until(): number | undefined {
    return this.#until
  }

  /** Milliseconds until it may let a request through, unless a probe ends before: 0 is now. */
  wait(now: number): number {
    if (this.#until === undefined) return 0
    return Math.max(this.#until - now, this.#nextProbe - now, 0)
  }

  /** A request goes through. Returns whether it is the probe. */
  enter(now: number): boolean {
    if (this.#until === undefined) return false
    this.#nextProbe = now + Math.min(this.#options.longest, this.#length * 2 ** this.#probes++)
    return true
  }

  /** A probe came to nothing: it was interrupted, or never sent. Another may take its place at once. */
  leave(): void {
    this.#probes = Math.max(0, this.#probes - 1)
    this.#nextProbe = Number.NEGATIVE_INFINITY
  }

  /** The endpoint answered, be it that the request is wrong. Late answers to what was sent before close nothing. */
  succeeded(now: number, isProbe: boolean): void {
    if (isProbe && this.state(now) === "half-open") this.#close()
    if (this.#until !== undefined) return
    this.#consecutive = 0
    this.#count(now, false)
  }

  /** A call failed, and the server asked for `hint` milliseconds of quiet. Returns whether that opened it. */
  failed(now: number, isProbe: boolean, hint: number): boolean {
    if (isProbe && this.state(now) === "half-open") {
      this.open(now, hint)
      return true
    }
    if (this.#until !== undefined) return false
    this.#consecutive++
    this.#count(now, true)
    const { consecutive, fewest, share } = this.#options
    const isShare = this.#calls >= fewest && this.#failures >= share * this.#calls
    if (this.#consecutive < consecutive && !isShare) return false
    this.open(now, hint)
    return true
  }

  /** Opens it, for no less than `atLeast` milliseconds. */
  open(now: number, atLeast: number): void {
    const { cooldown, longest } = this.#options
    this.#length = this.#length === 0 ? cooldown : Math.min(longest, this.#length * 2)
    this.#until = now + Math.max(this.#length, atLeast)
    this.#forgetProbes()
  }

  #close(): void {
    this.#until = undefined
    this.#forgetProbes()
    this.#length = 0
    this.#failures = 0
    this.#calls = 0
  }

  #forgetProbes(): void {
    this.#probes = 0
    this.#nextProbe = Number.NEGATIVE_INFINITY
  }

  #count(now: number, isFailure: boolean): void {
    if (now > this.#countedAt) {
      const kept = Math.exp((this.#countedAt - now) / this.#options.window)
      this.#failures *= kept
      this.#calls *= kept
      this.#countedAt = now
    }
    this.#calls++
    if (isFailure) this.#failures++
  }
}
