/** What a report tells, as data: its page is made of nothing else. Types only, for the page's own script reads it too. */

/** An amount of US dollars. */
export interface Amount {
  /** For people, reckoned from the exact sum. */
  readonly text: string
  /** The nearest number to it, to sort and to draw by. */
  readonly dollars: number
}

/** How latencies are spread, in milliseconds. */
export interface Latencies {
  readonly count: number
  /** To within 2 %. */
  readonly p50: number
  readonly p95: number
  readonly p99: number
  /** Counts between bounds that grow by a constant factor, from the first that was met to the last. */
  readonly bars: ReadonlyArray<{ readonly from: number; readonly to: number; readonly count: number }>
}

/** Tokens by class, as a ledger has them. */
export interface TokenCounts {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly reasoningTokens: number
  readonly audioInputTokens: number
  readonly audioOutputTokens: number
}

/** The sums of an endpoint and a model, of a model, or of a task. */
export interface Part {
  readonly endpoint?: string | undefined
  readonly provider?: string | undefined
  readonly model?: string | undefined
  readonly task?: string | undefined
  /** HTTP calls. */
  readonly attempts: number
  readonly answered: number
  readonly failed: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cost: Amount
  /** Calls that used tokens at a model without a price: they are not in `cost`. */
  readonly unpriced: number
  /** The part of `cost` that is no request's answer. Absent where there is no ledger. */
  readonly wasted?: Amount | undefined
  /** Of one call, with a ledger; else of a request. */
  readonly p50?: number | undefined
  readonly p95?: number | undefined
}

/** A class of errors. */
export interface ErrorClass {
  readonly tag: string
  /** Requests that ended so. */
  readonly requests: number
  /** Attempts that ended so, those included that a later one made good. Absent where neither ledger nor call log is. */
  readonly attempts?: number | undefined
  /** The first few that say something different. */
  readonly examples: ReadonlyArray<{
    /** Row of the output; absent for an attempt of the call log. */
    readonly index?: number | undefined
    readonly status?: number | undefined
    readonly message: string
  }>
}

/** A row of the output, its texts cut short. */
export interface Row {
  readonly index: number
  readonly id?: string | undefined
  /** The beginning of what was asked, where the call log tells. */
  readonly prompt?: string | undefined
  /** The beginning of the answer, or of the error's message. */
  readonly text: string
  /** Class of the error; absent for an answer. */
  readonly error?: string | undefined
  readonly status?: number | undefined
  readonly model?: string | undefined
  readonly endpoint?: string | undefined
  readonly finish?: string | undefined
  readonly cached: boolean
  readonly attempts: number
  readonly latencyMs: number
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly cost?: Amount | undefined
  /** The beginning of the row's metadata, as JSON. */
  readonly metadata?: string | undefined
}

/**
 * What happened over time, in equal steps. All lists are as long as there are steps; what is counted is counted in the
 * step in which a call ended.
 */
export interface Timeline {
  /** Where the first step begins, in epoch milliseconds. */
  readonly start: number
  /** Length of a step in milliseconds. */
  readonly step: number
  readonly answered: ReadonlyArray<number>
  /** Refused for the sake of a limit: `RateLimitError`. */
  readonly limited: ReadonlyArray<number>
  /** All other calls that brought no answer. */
  readonly failed: ReadonlyArray<number>
  /** Answers without a call: of the cache, and of equal requests. */
  readonly free: ReadonlyArray<number>
  readonly inputTokens: ReadonlyArray<number>
  readonly outputTokens: ReadonlyArray<number>
  /** Calls under way, on average over the step. */
  readonly inFlight: ReadonlyArray<number>
  /** Of the calls that were answered; `null` in a step without one. */
  readonly p50: ReadonlyArray<number | null>
  readonly p95: ReadonlyArray<number | null>
  /** What was paid up to the end of each step. */
  readonly cost: ReadonlyArray<Amount>
}

/** Limits of a run, to be drawn beside what was used of them. */
export interface Limits {
  readonly requestsPerSecond?: number | undefined
  readonly requestsPerMinute?: number | undefined
  readonly tokensPerMinute?: number | undefined
  readonly inputTokensPerMinute?: number | undefined
  readonly outputTokensPerMinute?: number | undefined
}

/** A report on a run. */
export interface Report {
  readonly title: string
  /** When it was made, in epoch milliseconds. */
  readonly madeAt: number
  readonly requests: {
    readonly total: number
    readonly succeeded: number
    readonly failed: number
    readonly cached: number
    /** HTTP calls made for them. */
    readonly attempts: number
  }
  /** Of the last run, as its receipt tells. */
  readonly wallSeconds?: number | undefined
  readonly interrupted?: boolean | undefined
  readonly money: {
    /** `ledger`: all that was paid, as the receipt tells; `rows`: what the rows say that they cost. */
    readonly source: "ledger" | "rows"
    readonly cost: Amount
    readonly wasted?: Amount | undefined
    readonly saved?: Amount | undefined
    /**
     * Calls that may have been billed and of which nobody told, with the most that they may come to, but for those that
     * have no bound.
     */
    readonly unsettled?:
      | { readonly attempts: number; readonly worst: Amount; readonly unbounded: number }
      | undefined
    readonly unpriced: ReadonlyArray<string>
  }
  readonly tokens: TokenCounts
  /** From a request's start to its outcome, waits included; not of answers that took no call. */
  readonly requestLatency?: Latencies | undefined
  /** Of the calls that were answered, from sending to the answer. */
  readonly callLatency?: Latencies | undefined
  readonly timeline?: Timeline | undefined
  readonly limits: Limits
  readonly parts: ReadonlyArray<Part>
  readonly models: ReadonlyArray<Part>
  readonly tasks: ReadonlyArray<Part>
  readonly errors: ReadonlyArray<ErrorClass>
  /** Rows to look through: all, or of more than fit the failures, the slowest, the dearest, and an even sample. */
  readonly rows: ReadonlyArray<Row>
  /** The indexes of the slowest rows, the slowest first. */
  readonly slowest: ReadonlyArray<number>
  /** The indexes of the dearest rows, the dearest first. */
  readonly dearest: ReadonlyArray<number>
  /** What the report cannot tell and why, and what is odd about its files. */
  readonly notes: ReadonlyArray<string>
}
