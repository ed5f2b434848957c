/**
 * Which of several endpoints is asked next. A strategy is a value, over endpoints by their names, or over other
 * strategies: tiers of balanced groups, groups of tiers.
 *
 * A name is the id of an endpoint, or a model: then it stands for all endpoints that have it. Without members a
 * strategy is over all endpoints of the router. What is over nothing a router has is an error that every request meets.
 *
 * All strategies but {@link fallback} balance: they prefer an endpoint whose limits admit a request now to one that is
 * paused or full, so that none idles while requests wait. Endpoints that are ill, or that failed the request at hand,
 * are left out by all.
 *
 * @example
 * import { Router, Strategy } from "floodgate"
 *
 * // two accounts in turn; the dear model only when neither can be asked
 * const router = Router.layer({
 *   endpoints: [
 *     { id: "a", provider: "openai", baseUrl: "https://a.example/v1", model: "gpt-4o-mini" },
 *     { id: "b", provider: "openai", baseUrl: "https://b.example/v1", model: "gpt-4o-mini", weight: 2 },
 *     { id: "dear", provider: "openai", baseUrl: "https://a.example/v1", model: "gpt-4.1" }
 *   ],
 *   strategy: Strategy.fallback([Strategy.roundRobin(["a", "b"]), "dear"])
 * })
 *
 * @module
 */
import * as Duration from "effect/Duration"
import type { Price } from "./Endpoint.js"
import type { Request } from "./Request.js"

/** The strategies of this module. */
export type Kind =
  | "roundRobin"
  | "weighted"
  | "random"
  | "fallback"
  | "leastRecentlyUsed"
  | "lowestLatency"
  | "leastBusy"
  | "mostHeadroom"
  | "lowestCost"
  | "sample"
  | "custom"

/** An endpoint's id, a model, or a strategy over further ones. */
export type Member = string | Strategy

/** Members in order, or names with their weights, which go before those of the endpoints. */
export type Members = ReadonlyArray<Member> | Readonly<Record<string, number>>

/** An endpoint, or a group of them, that could be asked now. Of a group the figures are those of its members together. */
export interface Candidate {
  /** Id of the endpoint; of a group the kind of its strategy. */
  readonly id: string
  readonly weight: number
  /** Attempts under way, waiting for the limiter included. */
  readonly inFlight: number
  /** The decaying average of recent successes in milliseconds; absent where there were none lately. */
  readonly latencyMs: number | undefined
  /** What is left of the tightest limit: 0 to 1, `Infinity` where there is none. */
  readonly headroom: number
  readonly price: Price | undefined
  /** Number of the last dispatch, counted over the router; 0 before the first. */
  readonly lastUsed: number
  /** Whether failures of the last seconds speak against it. */
  readonly punished: boolean
}

/** A user's own choice among those that could be asked now; anything but one of them is the first. */
export type Choose = (candidates: ReadonlyArray<Candidate>, request: Request) => Candidate | undefined

/** A way to choose. Made by the functions of this module. */
export interface Strategy {
  readonly kind: Kind
  /** Default: all endpoints of the router. */
  readonly members?: Members | undefined
  /** Of {@link fallback}, in milliseconds. */
  readonly patienceMs?: number | undefined
  /** Of {@link sample}. */
  readonly seed?: number | undefined
  /** Of {@link custom}. */
  readonly choose?: Choose | undefined
}

const of =
  (kind: Kind) =>
  (members?: Members): Strategy => ({ kind, members })

/**
 * Each in turn, as often as it weighs, and as evenly as can be: with weights of 5, 1 and 1 the order is
 * a a b a c a a. A group weighs as much as its members. Nginx's smooth weighted round robin.
 */
export const roundRobin = of("roundRobin")

/** Any, with a chance in proportion to its weight. */
export const weighted = of("weighted")

/** Any, all with the same chance. */
export const random = of("random")

/** The one that was asked the longest time ago; that it is asked counts, not that it answered. */
export const leastRecentlyUsed = of("leastRecentlyUsed")

/**
 * The one with the lowest product of average latency and attempts in flight, so that a fast one is not asked
 * until it is slow. One without a success in the last minute is tried, one request at a time. One that fails ranks last
 * for a second, and twice as long with each further failure, up to a minute: to fail fast is no speed.
 */
export const lowestLatency = of("lowestLatency")

/** The one with the fewest attempts in flight for its weight. */
export const leastBusy = of("leastBusy")

/** The one whose limits have the greatest share left, as the limiter counts; of equals the least busy. */
export const mostHeadroom = of("mostHeadroom")

/**
 * The one with the lowest price, three tokens of input to one of output; of equals the least busy. An endpoint
 * that states no price has that of `Prices`; one without any comes last. When the cheapest is full the next one is asked: {@link fallback} would wait.
 */
export const lowestCost = of("lowestCost")

/** What {@link sample} needs to know. */
export interface SampleOptions {
  /** Another seed draws other models. Default: that of the router, or 0. */
  readonly seed?: number | undefined
}

/**
 * Draws the model of each request that names none, with a chance in proportion to its weight. Requests are asked of the
 * endpoints of their model alone, in turn; it is a part of their cache key.
 *
 * The draw depends on what is asked and the seed, so that a resumed run gives each request the model that it had; equal
 * requests are one question and have one model, while each of several samples is drawn by itself. With other weights
 * no more requests change their model than the shares demand, and those that a checkpoint has answers to keep them,
 * as long as their model is among the drawn.
 *
 * Without weights: the models of all endpoints, by the endpoints' weights. A request whose own `model` is of the form
 * `"gpt-4o-mini:1+gpt-4.1:2"` is drawn in the same way. Of a router or a task, and not within another strategy.
 */
export const sample = (
  weights?: Readonly<Record<string, number>>,
  options: SampleOptions = {}
): Strategy => ({ kind: "sample", members: weights, seed: options.seed })

/** What {@link fallback} needs to know. */
export interface FallbackOptions {
  /**
   * How long requests wait for a tier that cannot admit one just now, before they go to the next: a pause, or a
   * rate limit. Default 5 seconds. A tier that waits for its calls in flight to end is waited for, unless this is
   * zero: then the next tier takes all that does not fit.
   */
  readonly patience?: Duration.DurationInput | undefined
}

/** The first member, and a later one only where those before it failed the request, are ill or paused for long. */
export const fallback = (members?: Members, options: FallbackOptions = {}): Strategy => ({
  kind: "fallback",
  members,
  patienceMs: Duration.toMillis(options.patience ?? "5 seconds")
})

/** A choice of your own; it is asked for each attempt and should be quick. What it throws is a defect of that request. */
export const custom = (choose: Choose, members?: Members): Strategy => ({ kind: "custom", members, choose })

/**
 * The models and weights of the short form `"gpt-4o-mini:1+gpt-4.1:2"`; `undefined` for any other text. There are at
 * least two, for `"qwen2.5:7"` is a model. One of weight 0 is never drawn; what a checkpoint has of it is kept. Where all
 * weigh 0, nothing can be drawn: every request is told so.
 */
export const weightsOf = (
  model: string
): ReadonlyArray<{ readonly model: string; readonly weight: number }> | undefined => {
  const parts = model.split("+")
  if (parts.length < 2) return undefined
  const weights: Array<{ readonly model: string; readonly weight: number }> = []
  for (const part of parts) {
    const found = /^\s*(\S+):(\d+(?:\.\d+)?)\s*$/.exec(part)
    if (found?.[1] === undefined) return undefined
    weights.push({ model: found[1], weight: Number(found[2]) })
  }
  return weights
}
