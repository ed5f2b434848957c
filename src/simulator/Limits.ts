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
  /** Input tokens per minute. What is read from the prompt cache does not count, as Anthropic has it. */
  readonly itpm?: number
  /** Output tokens per minute. */
  readonly otpm?: number
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
  /**
   * Which output tokens count: `"allowed"` (default) charges on entry what the request allows, and gives nothing
   * back, as OpenAI does; `"used"` charges what the answer really has, once it has it, as Anthropic does.
   */
  readonly outputTokens?: "allowed" | "used"
  /** Whether answers tell these limits in their headers. Default true. */
  readonly told?: boolean
}

/** The limits by their short names, in the order of checking. */
export type Dimension = "rpm" | "rps" | "rpd" | "tpm" | "itpm" | "otpm" | "tpd" | "concurrency"

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
  readonly dimension: Dimension
  readonly limit: number
  readonly remaining: number
  /** Milliseconds until nothing of it is used. */
  readonly resetMillis: number
}

/** How much a limit takes at once, how fast that comes back, and over which time it is counted. */
interface Size {
  readonly capacity: number
  readonly perMilli: number
  readonly windowMillis: number
}

interface Gauge {
  /** Milliseconds until `amount` fits. */
  readonly wait: (now: number, amount: number) => number
  readonly take: (now: number, amount: number) => void
  readonly used: (now: number) => number
  readonly reset: (now: number) => number
  /** Goes on with another size; what was taken stays taken. */
  readonly resize: (now: number, size: Size) => void
}

interface Meter extends Gauge {
  readonly dimension: Exclude<Dimension, "concurrency">
  readonly limit: number
  readonly enforcement: "bucket" | "sliding"
}

// Refills of fractions of a token add up to a hair less than a whole.
const tolerance = 1e-6

const bucket = (size: Size): Gauge => {
  let { capacity, perMilli } = size
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
    },
    resize: (now, next) => {
      refill(now)
      capacity = next.capacity
      perMilli = next.perMilli
      level = Math.min(level, capacity)
    }
  }
}

const slidingWindow = (size: Size): Gauge => {
  let { capacity, windowMillis } = size
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
      const last = times.length - 1
      // what is given back at once was never there
      if (amount < 0 && times[last] === now) amounts[last] = (amounts[last] ?? 0) + amount
      else {
        times.push(now)
        amounts.push(amount)
      }
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
    },
    resize: (_now, next) => {
      capacity = next.capacity
      windowMillis = next.windowMillis
    }
  }
}

const windows: ReadonlyArray<readonly [Meter["dimension"], number]> = [
  ["rpd", 86_400_000],
  ["rpm", 60_000],
  ["rps", 1_000],
  ["tpd", 86_400_000],
  ["tpm", 60_000],
  ["itpm", 60_000],
  ["otpm", 60_000]
]

/** What each of them counts of a request. */
const amountOf = (dimension: Meter["dimension"], requests: number, input: number, output: number): number => {
  switch (dimension) {
    case "tpm":
    case "tpd":
      return input + output
    case "itpm":
      return input
    case "otpm":
      return output
    default:
      return requests
  }
}

/** The meters of one domain, and how many of its requests are in flight. */
export interface Limiter {
  /** Charges a request and its tokens, or says why not and charges nothing. */
  readonly admit: (now: number, inputTokens: number, outputTokens?: number) => Rejection | undefined
  /** Charges without asking: what a refused or mispriced request costs. */
  readonly charge: (now: number, requests: number, inputTokens: number, outputTokens?: number) => void
  /** Gives back input that was charged at this moment and came from the prompt cache, where that does not count. */
  readonly giveBack: (now: number, cachedTokens: number) => void
  readonly release: () => void
  /** Goes on with other limits: what was charged, and is in flight, still counts. */
  readonly change: (now: number, limits: Limits) => void
  readonly requests: (now: number) => Standing | undefined
  readonly tokens: (now: number) => Standing | undefined
  readonly inputTokens: (now: number) => Standing | undefined
  readonly outputTokens: (now: number) => Standing | undefined
}

const sizeOf = (limits: Limits, limit: number, windowMillis: number): Size => {
  const slice = limits.slice === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(limits.slice)
  const length = Math.min(windowMillis, slice)
  const capacity = Math.max(1, (limit * length) / windowMillis)
  return {
    capacity: limits.enforcement === "sliding" ? Math.floor(capacity + tolerance) : capacity,
    perMilli: limit / windowMillis,
    windowMillis: length
  }
}

/** The meters of these limits: those there were go on. */
const metersOf = (limits: Limits, before: ReadonlyArray<Meter>, now: number): ReadonlyArray<Meter> => {
  const meters: Array<Meter> = []
  const enforcement = limits.enforcement ?? "bucket"
  for (const [dimension, windowMillis] of windows) {
    const limit = limits[dimension]
    if (limit === undefined) continue
    const size = sizeOf(limits, limit, windowMillis)
    const known = before.find((meter) => meter.dimension === dimension && meter.enforcement === enforcement)
    known?.resize(now, size)
    const gauge = known ?? (enforcement === "sliding" ? slidingWindow(size) : bucket(size))
    meters.push({ ...gauge, dimension, limit, enforcement })
  }
  return meters
}

/** Makes the limiter of one domain. */
export const makeLimiter = (initial: Limits): Limiter => {
  let limits = initial
  let meters = metersOf(limits, [], 0)
  // The headers speak of the minute where there is one: the first of these dimensions that is limited.
  const standing =
    (...dimensions: ReadonlyArray<Dimension>) =>
    (now: number): Standing | undefined => {
      if (limits.told === false) return undefined
      const meter = dimensions
        .map((dimension) => meters.find((meter) => meter.dimension === dimension))
        .find((meter) => meter !== undefined)
      return (
        meter && {
          dimension: meter.dimension,
          limit: meter.limit,
          remaining: Math.max(0, meter.limit - meter.used(now)),
          resetMillis: meter.reset(now)
        }
      )
    }
  let inFlight = 0

  const rejection = (now: number, input: number, output: number): Rejection | undefined => {
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
      const wait = meter.wait(now, amountOf(meter.dimension, 1, input, output))
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
        requested: amountOf(binding.dimension, 1, input, output),
        waitMillis: longest
      }
    )
  }

  const charge = (now: number, requests: number, input: number, output = 0) => {
    for (const meter of meters) {
      const amount = amountOf(meter.dimension, requests, input, output)
      if (amount > 0) meter.take(now, amount)
    }
  }

  return {
    admit: (now, input, output = 0) => {
      const refused = rejection(now, input, output)
      if (refused !== undefined) {
        if (limits.countRejected === true) charge(now, 1, 0)
        return refused
      }
      charge(now, 1, input, output)
      inFlight += 1
      return undefined
    },
    charge,
    giveBack: (now, cached) => {
      const meter = meters.find(({ dimension }) => dimension === "itpm")
      if (cached > 0) meter?.take(now, -cached)
    },
    release: () => {
      inFlight -= 1
    },
    change: (now, next) => {
      meters = metersOf(next, meters, now)
      limits = next
    },
    requests: standing("rpm", "rps", "rpd"),
    tokens: standing("tpm", "tpd"),
    inputTokens: standing("itpm"),
    outputTokens: standing("otpm")
  }
}
