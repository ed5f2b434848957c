/** What a limit domain may be limited in, and how a request is counted against each limit. */

/**
 * The limits of one domain. All are optional and any may be combined; a request is admitted when every one
 * of them allows it. A limit may be a fraction (`requestsPerSecond: 0.5` is one request every two seconds).
 * A limit of zero refuses every request.
 */
export interface Limits {
  readonly requestsPerSecond?: number | undefined
  readonly requestsPerMinute?: number | undefined
  /** A budget rather than a pace: it may be spent as fast as the other limits allow. */
  readonly requestsPerDay?: number | undefined
  /** Input and output tokens together. */
  readonly tokensPerMinute?: number | undefined
  readonly inputTokensPerMinute?: number | undefined
  readonly outputTokensPerMinute?: number | undefined
  /** Calls in flight at once; `"adaptive"` finds the number by itself from what the callers report. */
  readonly concurrency?: number | "adaptive" | undefined
  /** How many requests may start at once. Default: 1 % of the request limit, at least 1. */
  readonly burst?: number | undefined
  /** How many tokens may start at once; a larger request goes alone. Default: 1 % of the token limit. */
  readonly tokenBurst?: number | undefined
}

/** The tokens of one request: estimated when it is admitted, actual when it is settled. */
export interface Cost {
  readonly inputTokens: number
  readonly outputTokens: number
}

/** The limits that count something over a period. */
export type RateName =
  | "requestsPerSecond"
  | "requestsPerMinute"
  | "requestsPerDay"
  | "tokensPerMinute"
  | "inputTokensPerMinute"
  | "outputTokensPerMinute"

/** How one of the {@link RateName}s counts. */
export interface RateKind {
  readonly name: RateName
  /** In milliseconds. */
  readonly period: number
  readonly measure: (cost: Cost) => number
  readonly unit: "requests" | "tokens"
  /** Whether admissions are spread over the period; a day's quota is only capped. */
  readonly paced: boolean
}

const one = () => 1
const second = 1_000
const minute = 60_000
const day = 86_400_000

export const rateKinds: ReadonlyArray<RateKind> = [
  { name: "requestsPerSecond", period: second, measure: one, unit: "requests", paced: true },
  { name: "requestsPerMinute", period: minute, measure: one, unit: "requests", paced: true },
  { name: "requestsPerDay", period: day, measure: one, unit: "requests", paced: false },
  {
    name: "tokensPerMinute",
    period: minute,
    measure: (cost) => cost.inputTokens + cost.outputTokens,
    unit: "tokens",
    paced: true
  },
  {
    name: "inputTokensPerMinute",
    period: minute,
    measure: (cost) => cost.inputTokens,
    unit: "tokens",
    paced: true
  },
  {
    name: "outputTokensPerMinute",
    period: minute,
    measure: (cost) => cost.outputTokens,
    unit: "tokens",
    paced: true
  }
]

const matches = (pattern: string, name: string): boolean => {
  const [first = "", ...rest] = pattern.split("*")
  if (rest.length === 0) return pattern === name
  const last = rest.pop() ?? ""
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last))
    return false
  let from = first.length
  const end = name.length - last.length
  for (const part of rest) {
    const found = name.indexOf(part, from)
    if (found < 0 || found + part.length > end) return false
    from = found + part.length
  }
  return true
}

const literals = (pattern: string): number => pattern.replaceAll("*", "").length

/**
 * Finds the limits that a table of names and patterns gives to `name`. In a pattern `*` stands for any
 * characters. The exact name wins, then the pattern with the most literal characters, so that `"*"` is the
 * default; of two equally good patterns the first one written.
 */
export const limitsFor = <A = Limits>(table: Readonly<Record<string, A>>, name: string): A | undefined => {
  if (Object.hasOwn(table, name)) return table[name]
  let best: string | undefined
  for (const pattern of Object.keys(table)) {
    if (matches(pattern, name) && (best === undefined || literals(pattern) > literals(best))) best = pattern
  }
  return best === undefined ? undefined : table[best]
}
