/**
 * Rate limits as a provider enforces them: charged on entry, refused with the time to wait.
 */
import * as Duration from "effect/Duration"

/** The limits of one domain. What is absent is not limited. */
export interface Limits {
  /** Requests per minute. */
  readonly rpm?: number
  /** Requests per second. */
  readonly rps?: number
  /** Requests per day. */
  readonly rpd?: number
  /** Tokens per minute, input and output together. */
  readonly tpm?: number
  /** Tokens per day. */
  readonly tpd?: number
  /** Requests in flight at once. A refusal for this reason carries no hint when to come back. */
  readonly concurrency?: number
  /**
   * `"bucket"` (default) refills continuously, as OpenAI's and Anthropic's limits do; a full bucket can go
   * at once and the refill comes on top, so one window may see up to twice its limit. `"sliding"` is
   * exact: no window of that length ever sees more than the limit.
   */
  readonly enforcement?: "bucket" | "sliding"
  /**
   * Enforces each limit in slices of this length, scaled down in proportion: 600 a minute in slices of one
   * second admits 10 at once. Default: the limit's own window.
   */
  readonly slice?: Duration.DurationInput
  /** What shares a quota: each model (default), each API key and model, or the whole server. */
  readonly per?: "model" | "key" | "server"
  /** Whether a request refused for its rate counts against the request limits as well. Default false. */
  readonly countRejected?: boolean
}

/** The limits by their short names, in the order of checking. */
export type Dimension = "rpm" | "rps" | "rpd" | "tpm" | "tpd" | "concurrency"

/** Why a request was refused. */
export interface Rejection {
  readonly dimension: Dimension
  readonly limit: number
  readonly used: number
  readonly requested: number
  /** Milliseconds until it would pass; infinite if it never can, absent if that is not known. */
  readonly waitMillis: number | undefined
}

/** Where one limit stands, for the rate-limit headers. */
export interface Standing {
  readonly limit: number
  readonly remaining: number
  /** Milliseconds until nothing of it is used. */
  readonly resetMillis: number
}

interface Meter {
  readonly dimension: Dimension
  readonly tokens: boolean
  readonly limit: number
  /** Milliseconds until `amount` fits. */
  readonly wait: (now: number, amount: number) => number
  readonly take: (now: number, amount: number) => void
  readonly used: (now: number) => number
  readonly reset: (now: number) => number
}

// Refills of fractions of a token add up to a hair less than a whole.
const tolerance = 1e-6

const bucket = (capacity: number, perMilli: number) => {
  let level = capacity
  let updated = 0
  const refill = (now: number) => {
    if (now > updated) {
      level = Math.min(capacity, level + (now - updated) * perMilli)
      updated = now
    }
  }
  return {
    wait: (now: number, amount: number) => {
      refill(now)
      if (amount > capacity) return Number.POSITIVE_INFINITY
      const missing = amount - level
      return missing <= tolerance ? 0 : Math.ceil(missing / perMilli)
    },
    take: (now: number, amount: number) => {
      refill(now)
      level -= amount
    },
    used: (now: number) => {
      refill(now)
      return Math.min(capacity, Math.max(0, Math.ceil(capacity - level - tolerance)))
    },
    reset: (now: number) => {
      refill(now)
      return Math.ceil((capacity - level) / perMilli)
    }
  }
}

const slidingWindow = (capacity: number, windowMillis: number) => {
  let times: Array<number> = []
  let amounts: Array<number> = []
  let head = 0
  let total = 0
  const expire = (now: number) => {
    while (head < times.length && (times[head] ?? 0) <= now - windowMillis) {
      total -= amounts[head] ?? 0
      head += 1
    }
    if (head > 1024 && head * 2 > times.length) {
      times = times.slice(head)
      amounts = amounts.slice(head)
      head = 0
    }
  }
  return {
    wait: (now: number, amount: number) => {
      expire(now)
      if (amount > capacity) return Number.POSITIVE_INFINITY
      let excess = total + amount - capacity
      if (excess <= tolerance) return 0
      for (let i = head; i < times.length; i++) {
        excess -= amounts[i] ?? 0
        if (excess <= tolerance) return (times[i] ?? 0) + windowMillis - now
      }
      return windowMillis
    },
    take: (now: number, amount: number) => {
      expire(now)
      times.push(now)
      amounts.push(amount)
      total += amount
    },
    used: (now: number) => {
      expire(now)
      return Math.min(capacity, Math.ceil(total))
    },
    reset: (now: number) => {
      expire(now)
      const last = times[times.length - 1]
      return head < times.length && last !== undefined ? last + windowMillis - now : 0
    }
  }
}

const windows: ReadonlyArray<readonly [Exclude<Dimension, "concurrency">, number]> = [
  ["rpd", 86_400_000],
  ["rpm", 60_000],
  ["rps", 1_000],
  ["tpd", 86_400_000],
  ["tpm", 60_000]
]

/** The meters of one domain, and how many of its requests are in flight. */
export interface Limiter {
  /** Charges a request and its tokens, or says why not and charges nothing. */
  readonly admit: (now: number, tokens: number) => Rejection | undefined
  /** Charges without asking: what a refused or mispriced request costs. */
  readonly charge: (now: number, requests: number, tokens: number) => void
  readonly release: () => void
  readonly requests: (now: number) => Standing | undefined
  readonly tokens: (now: number) => Standing | undefined
}

/** Makes the limiter of one domain. */
export const makeLimiter = (limits: Limits): Limiter => {
  const meters: Array<Meter> = []
  const slice = limits.slice === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(limits.slice)
  for (const [dimension, windowMillis] of windows) {
    const limit = limits[dimension]
    if (limit === undefined) continue
    const length = Math.min(windowMillis, slice)
    const capacity = Math.max(1, (limit * length) / windowMillis)
    meters.push({
      dimension,
      tokens: dimension.startsWith("t"),
      limit,
      ...(limits.enforcement === "sliding"
        ? slidingWindow(Math.floor(capacity + tolerance), length)
        : bucket(capacity, limit / windowMillis))
    })
  }
  const standing = (meter: Meter | undefined) => (now: number) =>
    meter && {
      limit: meter.limit,
      remaining: Math.max(0, meter.limit - meter.used(now)),
      resetMillis: meter.reset(now)
    }
  // The headers speak of the minute where there is one.
  const shown = (...dimensions: ReadonlyArray<Dimension>) =>
    dimensions
      .map((dimension) => meters.find((meter) => meter.dimension === dimension))
      .find((meter) => meter !== undefined)
  let inFlight = 0

  const rejection = (now: number, tokens: number): Rejection | undefined => {
    if (limits.concurrency !== undefined && inFlight >= limits.concurrency) {
      const { concurrency } = limits
      return {
        dimension: "concurrency",
        limit: concurrency,
        used: inFlight,
        requested: 1,
        waitMillis: undefined
      }
    }
    let longest = 0
    let binding: Meter | undefined
    for (const meter of meters) {
      const wait = meter.wait(now, meter.tokens ? tokens : 1)
      if (wait > longest) {
        longest = wait
        binding = meter
      }
    }
    return (
      binding && {
        dimension: binding.dimension,
        limit: binding.limit,
        used: binding.used(now),
        requested: binding.tokens ? tokens : 1,
        waitMillis: longest
      }
    )
  }

  const charge = (now: number, requests: number, tokens: number) => {
    for (const meter of meters) {
      const amount = meter.tokens ? tokens : requests
      if (amount > 0) meter.take(now, amount)
    }
  }

  return {
    admit: (now, tokens) => {
      const refused = rejection(now, tokens)
      if (refused !== undefined) {
        if (limits.countRejected === true) charge(now, 1, 0)
        return refused
      }
      charge(now, 1, tokens)
      inFlight += 1
      return undefined
    },
    charge,
    release: () => {
      inFlight -= 1
    },
    requests: standing(shown("rpm", "rps", "rpd")),
    tokens: standing(shown("tpm", "tpd"))
  }
}
