/** Progress at one moment, as data. */
import * as Schema from "effect/Schema"
import type { State as Budget } from "../Budget.js"
import type { DomainState, RateName } from "../RateLimiter.js"
import type { EndpointState } from "../Router.js"
import { toDollars } from "./money.js"
import type { Counts, EndpointCounts } from "./progressCounts.js"
import type { Growth, Pace } from "./progressPace.js"

const Counted = Schema.Record({ key: Schema.String, value: Schema.Number })

/** The names of `RateLimiter.Limits`. */
const rateNames = [
  "requestsPerSecond",
  "requestsPerMinute",
  "requestsPerDay",
  "tokensPerMinute",
  "inputTokensPerMinute",
  "outputTokensPerMinute"
] as const satisfies ReadonlyArray<RateName>

const Domain = Schema.Struct({
  domain: Schema.String,
  /** Attempts in flight. */
  inFlight: Schema.Number,
  /** Requests that wait to be admitted. */
  waiting: Schema.Number,
  /** What keeps the first of them waiting: the name of a limit, `"concurrency"` or `"pause"`. */
  waitingFor: Schema.optional(Schema.String),
  /** How many calls may be in flight; absent without such a limit. */
  concurrency: Schema.optional(Schema.Number),
  /** Whether that number is found by itself. */
  isAdaptive: Schema.Boolean,
  /** Each limit, and what its window holds. */
  limits: Schema.Array(
    Schema.Struct({
      name: Schema.Literal(...rateNames),
      used: Schema.Number,
      limit: Schema.Number
    })
  )
})

const Pause = Schema.Struct({
  /** Whether a limit domain is held up, or the circuit of an endpoint is open. */
  of: Schema.Literal("domain", "endpoint"),
  name: Schema.String,
  /** When it ends, in epoch milliseconds, where that is known. */
  until: Schema.optional(Schema.Number),
  reason: Schema.String
})

const EndpointProgress = Schema.Struct({
  endpoint: Schema.String,
  /** State of its circuit; absent where it has none. */
  circuit: Schema.optional(Schema.Literal("closed", "open", "half-open")),
  /** Attempts under way, those that wait for the limiter included; absent where nobody counts them. */
  inFlight: Schema.optional(Schema.Number),
  /** HTTP calls that have ended. */
  attempts: Schema.Number,
  answered: Schema.Number,
  failed: Schema.Number,
  interrupted: Schema.Number,
  inputTokens: Schema.Number,
  outputTokens: Schema.Number,
  /** In US dollars. */
  cost: Schema.Number,
  /** The average of recent answers. */
  latencyMs: Schema.optional(Schema.Number)
})

/** How far a run has come. */
export const Snapshot = Schema.Struct({
  /** In epoch milliseconds. */
  at: Schema.Number,
  elapsedSeconds: Schema.Number,
  /** How many requests there are, where that is known. */
  total: Schema.optional(Schema.Number),
  /** Settled requests: `succeeded` and `failed`. */
  done: Schema.Number,
  succeeded: Schema.Number,
  failed: Schema.Number,
  /** Of those that succeeded: answers from the cache, or shared with an equal request. */
  cached: Schema.Number,
  /** Of those that succeeded: answers that an earlier run left in the checkpoint. */
  resumed: Schema.Number,
  /** Failed requests by the error's class. */
  errors: Counted,
  /** HTTP calls that have ended. */
  attempts: Schema.Number,
  /** Those that failed, most of which are made again. */
  failedAttempts: Schema.Struct({
    count: Schema.Number,
    errors: Counted,
    last: Schema.optional(
      Schema.Struct({
        at: Schema.Number,
        endpoint: Schema.String,
        error: Schema.String,
        message: Schema.String
      })
    )
  }),
  /** Requests a second that were settled, resumed ones apart: over the last seconds, and since the start. */
  rate: Schema.Struct({ now: Schema.Number, average: Schema.Number }),
  /** Tokens that were used, and how many a minute of late. */
  tokens: Schema.Struct({
    input: Schema.Number,
    output: Schema.Number,
    perMinute: Schema.Number,
    /** How many this run may use, where there is such a bound. */
    budget: Schema.optional(Schema.Number)
  }),
  /** In US dollars; of this run alone. */
  cost: Schema.Struct({
    soFar: Schema.Number,
    /** What it comes to if the rest costs what requests have cost so far; absent while that cannot be said. */
    projected: Schema.optional(Schema.Number),
    /** What this run may spend, where there is such a bound. */
    budget: Schema.optional(Schema.Number),
    /** The most that calls under way may come to, where there is a budget. */
    reserved: Schema.optional(Schema.Number),
    /** The most that ended calls may come to of whose bill nobody told us, where there is a budget. */
    unsettled: Schema.optional(Schema.Number),
    /** Models that were used and have no price: they are in none of these sums. */
    unpriced: Schema.Array(Schema.String)
  }),
  /** Attempts in flight; absent where nobody counts them: without a limiter, or outside of batches. */
  inFlight: Schema.optional(Schema.Number),
  waiting: Schema.Struct({
    /** Requests that wait for a limit domain to admit them. */
    limiter: Schema.Number,
    /** Requests that wait until any endpoint can take them. */
    router: Schema.Number,
    /** Requests that wait for room in the budget, where there is one. */
    budget: Schema.optional(Schema.Number)
  }),
  domains: Schema.Array(Domain),
  /** What holds requests up, and why. */
  pauses: Schema.Array(Pause),
  /** Seconds until all is done, at the pace of the last minute; absent while that cannot be said. */
  etaSeconds: Schema.optional(Schema.Number),
  endpoints: Schema.Array(EndpointProgress)
})
export type Snapshot = typeof Snapshot.Type
export type EndpointProgress = typeof EndpointProgress.Type

const domainOf = (state: DomainState): typeof Domain.Type => ({
  domain: state.domain,
  inFlight: state.inUse,
  waiting: state.waiting,
  ...(state.waitingFor === undefined ? undefined : { waitingFor: state.waitingFor }),
  ...(state.concurrency === undefined ? undefined : { concurrency: state.concurrency }),
  isAdaptive: state.limits.concurrency === "adaptive",
  limits: rateNames.flatMap((name) => {
    const limit = state.limits[name]
    return limit === undefined ? [] : [{ name, used: state.used[name] ?? 0, limit }]
  })
})

const pausesOf = (
  domains: ReadonlyArray<DomainState>,
  endpoints: ReadonlyArray<EndpointState>,
  now: number
): Snapshot["pauses"] => [
  ...domains.flatMap(({ domain, pauseReason, pausedUntil }) =>
    pausedUntil === undefined || pausedUntil <= now
      ? []
      : [
          {
            of: "domain" as const,
            name: domain,
            until: pausedUntil,
            reason: pauseReason ?? "the server asked for it"
          }
        ]
  ),
  ...endpoints.flatMap(({ circuit, id, lastError, opensAt }) =>
    circuit === "closed"
      ? []
      : [
          {
            of: "endpoint" as const,
            name: id,
            ...(opensAt === undefined || opensAt <= now || !Number.isFinite(opensAt)
              ? undefined
              : { until: opensAt }),
            reason: lastError?.message ?? "it failed"
          }
        ]
  )
]

const endpointsOf = (
  counts: ReadonlyMap<string, EndpointCounts>,
  states: ReadonlyArray<EndpointState>
): ReadonlyArray<EndpointProgress> => {
  const stateOf = new Map(states.map((state) => [state.id, state]))
  return Array.from(new Set([...stateOf.keys(), ...counts.keys()]), (endpoint) => {
    const state = stateOf.get(endpoint)
    const of = counts.get(endpoint)
    return {
      endpoint,
      ...(state === undefined ? undefined : { circuit: state.circuit, inFlight: state.inFlight }),
      attempts: of?.attempts ?? 0,
      answered: of?.answered ?? 0,
      failed: of?.failed ?? 0,
      interrupted: of?.interrupted ?? 0,
      inputTokens: of?.inputTokens ?? 0,
      outputTokens: of?.outputTokens ?? 0,
      cost: of === undefined ? 0 : toDollars(of.cost),
      ...(of?.latencyMs === undefined ? undefined : { latencyMs: of.latencyMs })
    }
  })
}

/** What a snapshot is made of, besides the counters. */
export interface Sources {
  readonly at: number
  readonly startedAt: number
  readonly total: number | undefined
  /** US dollars, or a budget and what is held of it. */
  readonly budget: number | Budget | undefined
  readonly domains: ReadonlyArray<DomainState>
  readonly endpoints: ReadonlyArray<EndpointState>
  /** Requests that wait at routers. */
  readonly waiting: number
}

const perSecond = ({ done, seconds }: Growth): number => (seconds > 0 ? done / seconds : 0)

const sum = <A>(items: ReadonlyArray<A>, of: (item: A) => number): number =>
  items.reduce((total, item) => total + of(item), 0)

const inFlightOf = ({ domains, endpoints }: Sources): number | undefined =>
  domains.length > 0
    ? sum(domains, ({ inUse }) => inUse)
    : endpoints.length > 0
      ? sum(endpoints, ({ inFlight }) => inFlight)
      : undefined

/** What this run may spend: what earlier ones left. */
const allowanceOf = (budget: Sources["budget"]) => {
  if (typeof budget !== "object") return { usdLeft: budget }
  const { ceiling, earlier, reserved, unsettled, waiting } = budget
  return {
    usdLeft: ceiling.usd === undefined ? undefined : Math.max(0, ceiling.usd - earlier.usd),
    tokensLeft: ceiling.tokens === undefined ? undefined : Math.max(0, ceiling.tokens - earlier.tokens),
    held: { reserved: reserved.usd, unsettled: unsettled.usd },
    waiting: { budget: waiting }
  }
}

/** The snapshot of this moment. */
export const make = (counts: Counts, pace: Pace, sources: Sources): Snapshot => {
  const { at, total } = sources
  const { held, tokensLeft, usdLeft, waiting } = allowanceOf(sources.budget)
  const { done } = counts
  const asked = done - counts.before
  const tokens = counts.inputTokens + counts.outputTokens
  const { all, recent, steady } = pace.look({ at, done: asked, tokens })
  const left = total === undefined ? undefined : Math.max(0, total - done)
  const soFar = toDollars(counts.cost)
  const expected = perSecond(steady) || perSecond(all)
  const inFlight = inFlightOf(sources)
  return {
    at,
    elapsedSeconds: (at - sources.startedAt) / 1_000,
    ...(total === undefined ? undefined : { total }),
    done,
    succeeded: counts.succeeded,
    failed: counts.failed,
    cached: counts.cached,
    resumed: counts.resumed,
    errors: Object.fromEntries(counts.errors),
    attempts: counts.attempts,
    failedAttempts: {
      count: counts.failedAttempts,
      errors: Object.fromEntries(counts.attemptErrors),
      ...(counts.lastFailure === undefined ? undefined : { last: counts.lastFailure })
    },
    rate: { now: perSecond(recent), average: perSecond(all) },
    tokens: {
      input: counts.inputTokens,
      output: counts.outputTokens,
      perMinute: recent.seconds > 0 ? (recent.tokens * 60) / recent.seconds : 0,
      ...(tokensLeft === undefined ? undefined : { budget: tokensLeft })
    },
    cost: {
      soFar,
      ...(left === undefined || asked === 0 ? undefined : { projected: soFar + (left * soFar) / asked }),
      ...(usdLeft === undefined ? undefined : { budget: usdLeft, ...held }),
      unpriced: [...counts.unpriced]
    },
    ...(inFlight === undefined ? undefined : { inFlight }),
    waiting: { limiter: sum(sources.domains, ({ waiting }) => waiting), router: sources.waiting, ...waiting },
    domains: sources.domains.map(domainOf),
    pauses: pausesOf(sources.domains, sources.endpoints, at),
    ...(left === undefined || left === 0 || expected === 0 ? undefined : { etaSeconds: left / expected }),
    endpoints: endpointsOf(counts.endpoints, sources.endpoints)
  }
}
