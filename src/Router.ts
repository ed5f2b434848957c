/**
 * Sends each attempt to one of several endpoints: keys, models, regions and providers as one pool.
 *
 * - **Strategy**: a value of {@link Strategy}, which may nest.
 * - **Draining**: a request that no endpoint can admit just now waits at the router, first come, first served, and goes
 *   to the first that can. A paused limit domain holds up nobody who may go elsewhere.
 * - **Health**: each endpoint has a circuit. It opens after failures in a row, or a share of failures; after its
 *   cooldown one request goes through to see, and closes it or doubles the cooldown. One that is slow to end is not
 *   waited for by the rest: another goes through after the time of the cooldown, the next after twice that, and so on.
 *   An error of the account opens it at once, for as long as its limit domain is left alone. While all are open,
 *   requests wait for the earliest recovery, up to their deadline. Where no wait would mend any of those that may be
 *   asked (the key or the account is refused; the endpoint's own model is not there, or not permitted, as many times in
 *   a row as open a circuit), they fail at once, but for the one that goes through to see.
 * - **Failover**: after an error that another endpoint may not meet ({@link defaultFailover}) the next is asked at once.
 *   The one that failed is left out until all were asked, or the rest could not take the request for 5 seconds, be it
 *   that they are paused or full; then the retry schedule's wait applies. Meanwhile the request keeps its place among
 *   those that wait. An error that no other endpoint could mend is the last, whatever others have
 *   failed with before. Of a final error, `attempts` tells every attempt with its own cause.
 * - **Defaults**: what a request leaves out is taken from its task, and what that leaves out from the endpoint it is
 *   sent to.
 * - **Models**: a request that names a model goes to the endpoints that have it as theirs, where there are any. A model
 *   of the form `"gpt-4o-mini:1+gpt-4.1:2"` is drawn; see `Strategy.sample`.
 * - **Hedging**, where it is asked for: an attempt that is late is given a second one at another endpoint; see
 *   {@link HedgeOptions}.
 *
 * Two keys at one address are two endpoints, each with a quota of its own, unless they name the same `domain`.
 *
 * @example
 * import { Router, Strategy } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const RouterLive = Router.layer({
 *   endpoints: [
 *     { id: "mine", provider: "vllm", baseUrl: "http://gpu1.example:8000/v1", model: "qwen3" },
 *     { id: "theirs", provider: "openai", baseUrl: "https://api.openai.com/v1", model: "gpt-5-mini" }
 *   ],
 *   // the second takes what the first cannot
 *   strategy: Strategy.fallback(["mine", "theirs"]),
 *   health: { failures: 3, cooldown: "5 seconds" },
 *   hedge: { budget: 0.02 }
 * })
 *
 * const told = Effect.map(Router.states, Router.table).pipe(Effect.provide(RouterLive))
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { PCGRandom } from "effect/Utils"
import * as Endpoint from "./Endpoint.js"
import * as EndpointDefaults from "./internal/endpointDefaults.js"
import { failoverErrors } from "./internal/failoverErrors.js"
import { drawable, drawModel, faultOf, type Weight } from "./internal/modelDraw.js"
import { Pool } from "./internal/pool.js"
import type { EndpointState } from "./internal/poolMember.js"
import { InvalidRequestError, type LlmError, UnsupportedError } from "./LlmError.js"
import * as Prices from "./Prices.js"
import { type Request, withFields, withModel } from "./Request.js"
import * as Strategy from "./Strategy.js"
import * as Task from "./Task.js"

export type { EndpointState } from "./internal/poolMember.js"
export { table } from "./internal/stateTable.js"

/** A request with the endpoints' defaults filled in, and whose answers it asks for. */
export interface Resolved {
  readonly request: Request
  /** See {@link Endpoint.Endpoint.source}; part of the cache key. */
  readonly source: string
  /** Of a request whose model was drawn: those that were not. An answer of theirs in a checkpoint is as good. */
  readonly others?: ReadonlyArray<string> | undefined
}

/** A router over its endpoints. */
export interface Service {
  readonly endpoints: readonly [Endpoint.Endpoint, ...ReadonlyArray<Endpoint.Endpoint>]
  /** Fills in what the request leaves to its task and to the endpoints. The result is what the cache key is made of. */
  readonly resolve: (request: Request, task?: string) => Effect.Effect<Resolved, LlmError>
  /** Chooses the endpoint of each attempt; absent where there is but one, whose health nobody asked to be watched. */
  readonly pool: Pool | undefined
  /** The endpoints at this moment; none without a {@link Service.pool}. */
  readonly states: Effect.Effect<ReadonlyArray<EndpointState>>
  /** Requests that wait at the router just now, since no endpoint could take them. */
  readonly waiting: Effect.Effect<number>
  /** The endpoints now and after each change; a slow reader sees only the newest. */
  readonly changes: Stream.Stream<ReadonlyArray<EndpointState>>
}

/** See {@link layer}. */
export class Router extends Context.Tag("floodgate/Router")<Router, Service>() {}

/** When the circuit of an endpoint opens, and for how long. */
export interface HealthOptions {
  /** Failures in a row that open it. Default 5. */
  readonly failures?: number | undefined
  /** The share of failures that opens it, from 0 to 1. Default 0.5. Values above 1: never. */
  readonly failureShare?: number | undefined
  /** The time over which the share is taken, about. Default 30 seconds. */
  readonly window?: Duration.DurationInput | undefined
  /** The share says nothing of fewer calls than this. Default 20. */
  readonly minimumCalls?: number | undefined
  /** The first cooldown; a server's hint may be longer. Doubled each time the probe fails. Default 1 second. */
  readonly cooldown?: Duration.DurationInput | undefined
  /** The longest cooldown of our own making. Default 60 seconds. */
  readonly longestCooldown?: Duration.DurationInput | undefined
}

/**
 * When late attempts are given a second one, at another endpoint that could answer the request, or at the same where it
 * is the only one. The first answer wins. The other attempt is interrupted; what it had taken until then may be billed.
 *
 * Second attempts pass the limiter, and are made only where nobody waits for it. Never asked twice are requests whose
 * answer is given out part by part, those that have it stored by the provider (`store`), and those with tools of the
 * provider's own.
 */
export interface HedgeOptions {
  /**
   * An attempt is late when it takes longer than this share of the answers of its endpoint and model, from 0 to 1.
   * Default 0.95. Learned from the answers of late; of fewer than 20 nothing is concluded.
   */
  readonly quantile?: number | undefined
  /**
   * The most second attempts for each request that was sent, as a share. Default 0.05. No more than 10 are saved up:
   * when all endpoints are slow at once, asking more helps nobody. The fewer of them are left, the later an attempt must
   * be, up to ten times the quantile with the last: who is very late comes before who is a little late.
   */
  readonly budget?: number | undefined
  /** No attempt is late before this time. Default: none. */
  readonly after?: Duration.DurationInput | undefined
}

/** What {@link layer} takes. */
export interface Options {
  /**
   * Where requests go; at least one. A `model` of the form `"gpt-4o-mini:1+gpt-4.1:2"` stands for an endpoint for each
   * of the models, with these weights; the default of `strategy` is then `Strategy.sample()`.
   */
  readonly endpoints: readonly [Endpoint.Options, ...ReadonlyArray<Endpoint.Options>]
  /**
   * The order in which endpoints are asked. Default `roundRobin`. The names are short for `Strategy.roundRobin()` and
   * `Strategy.fallback()`.
   */
  readonly strategy?: Strategy.Strategy | "roundRobin" | "fallback" | undefined
  /** Makes the strategies that use chance repeatable. */
  readonly seed?: number | undefined
  /** Circuits. Given for a router of one endpoint, that has one too; without it, such a router has none. */
  readonly health?: HealthOptions | undefined
  /** Second attempts beside late ones. Default: none. `{}` is hedging with all defaults. */
  readonly hedge?: HedgeOptions | undefined
  /**
   * The errors after which another endpoint is asked. Default {@link defaultFailover}. Whoever wants blocked prompts to
   * be tried elsewhere adds to it: `[...Router.defaultFailover, "ContentFilterError"]`. A request that is too long
   * goes only to an endpoint with a larger `contextWindow`; one that is not stated is taken for smaller than any.
   */
  readonly failover?: ReadonlyArray<LlmError["_tag"]> | undefined
  /** Named defaults, endpoints and strategies; see {@link Task.Task}. */
  readonly tasks?: Readonly<Record<string, Task.Task>> | undefined
}

/**
 * What another endpoint may not meet. Not what is wrong with the request wherever it is sent (`InvalidRequestError`,
 * `ContentFilterError`, `InvalidOutputError`), and not what we gave up ourselves.
 */
export const defaultFailover: ReadonlyArray<LlmError["_tag"]> = failoverErrors

const strategyOf = ({ endpoints, strategy }: Options): Strategy.Strategy => {
  switch (strategy) {
    case undefined:
      return endpoints.some(({ model = "" }) => Strategy.weightsOf(model) !== undefined)
        ? Strategy.sample()
        : Strategy.roundRobin()
    case "roundRobin":
      return Strategy.roundRobin()
    case "fallback":
      return Strategy.fallback()
    default:
      return strategy
  }
}

/** An endpoint for each model of a short form. */
const spread = (options: Endpoint.Options): ReadonlyArray<Endpoint.Options> => {
  const weights = drawable(options.model)
  if (weights.length === 0) return [options]
  const { domain, id, weight = 1, ...rest } = options
  return weights.map(({ model, weight: share }) => ({
    ...rest,
    model,
    weight: weight * share,
    ...(id === undefined ? undefined : { id: `${id}/${model}` }),
    ...(domain === undefined ? undefined : { domain })
  }))
}

/** Endpoints with ids of their own. The same key for the same model at the same place is the same quota. */
const named = (all: ReadonlyArray<Endpoint.Options>): ReadonlyArray<Endpoint.Endpoint> => {
  const taken = new Set(all.map(({ id }) => id))
  const made: Array<Endpoint.Endpoint> = []
  for (const options of all) {
    const endpoint = Endpoint.make(options)
    if (options.id !== undefined) {
      made.push(endpoint)
      continue
    }
    let id = endpoint.id
    for (let count = 2; taken.has(id); count++) id = `${endpoint.id}#${count}`
    taken.add(id)
    const twin = made.find(
      ({ apiKey, baseUrl, model, provider }) =>
        provider === endpoint.provider &&
        baseUrl === endpoint.baseUrl &&
        model === endpoint.model &&
        Equal.equals(apiKey, endpoint.apiKey)
    )
    made.push({ ...endpoint, id, domain: options.domain ?? twin?.domain ?? id })
  }
  return made
}

const circuitOf = (health: HealthOptions = {}) => ({
  consecutive: health.failures ?? 5,
  share: health.failureShare ?? 0.5,
  window: Duration.toMillis(health.window ?? "30 seconds"),
  fewest: health.minimumCalls ?? 20,
  cooldown: Duration.toMillis(health.cooldown ?? "1 second"),
  longest: Duration.toMillis(health.longestCooldown ?? "60 seconds")
})

const hedgeOf = ({ after = 0, budget = 0.05, quantile = 0.95 }: HedgeOptions) => ({
  quantile,
  budget,
  after: Duration.toMillis(after)
})

const hedgeFault = ({ hedge }: Options): string | undefined => {
  if (hedge === undefined) return undefined
  const { budget, quantile } = hedgeOf(hedge)
  if (!(quantile > 0 && quantile < 1)) {
    return `The quantile of hedging is a number between 0 and 1, not ${quantile}`
  }
  return budget >= 0 && budget <= 1 ? undefined : `The budget of hedging is from 0 to 1, not ${budget}`
}

const weightsFault = ({ endpoints }: Options): string | undefined =>
  endpoints.map(({ model }) => faultOf(model)).find((fault) => fault !== undefined)

const randomOf = (seed: number | undefined) => {
  const random = seed === undefined ? new PCGRandom() : new PCGRandom(seed)
  return () => random.number()
}

const unknownTask = (name: string, known: ReadonlyArray<string>): string =>
  known.length === 0
    ? `The router has no tasks, and "${name}" was asked for`
    : `The router has no task "${name}"; its tasks are: ${known.join(", ")}`

interface Draw {
  readonly weights: ReadonlyArray<Weight>
  readonly seed: number
}

/** What the endpoints of each model weigh together. */
const sharesOf = (endpoints: ReadonlyArray<Endpoint.Endpoint>): Readonly<Record<string, number>> => {
  const shares: Record<string, number> = {}
  for (const { model, weight = 1 } of endpoints) {
    if (model !== undefined) shares[model] = (shares[model] ?? 0) + weight
  }
  return shares
}

const sameId = (endpoints: ReadonlyArray<Endpoint.Endpoint>): string | undefined => {
  const ids = endpoints.map(({ id }) => id)
  const twice = ids.find((id, index) => ids.indexOf(id) !== index)
  return twice === undefined ? undefined : `Two endpoints of the router have the id "${twice}"`
}

/** What `lowestCost` goes by where an endpoint states no price: dollars for a million tokens, whatever their number. */
const listPriceOf =
  (prices: Prices.Service) =>
  (endpoint: Endpoint.Endpoint, at: number): Endpoint.Price | undefined => {
    if (endpoint.model === undefined) return undefined
    const { provider, model, family } = endpoint
    const rates = prices.find({ provider, model, family, at })?.tariff.rates
    // picodollars of a token are millionths of a dollar of a million of them
    return rates && { input: Number(rates.input) / 1e6, output: Number(rates.output) / 1e6 }
  }

/** A router over these endpoints. What is wrong with its options, every request is told. */
export const make = (options: Options, prices: Prices.Service = Prices.table): Service => {
  const [primary = Endpoint.make(options.endpoints[0]), ...rest] = named(options.endpoints.flatMap(spread))
  const endpoints: Service["endpoints"] = [primary, ...rest]
  const models = new Set(endpoints.map((endpoint) => endpoint.model))
  const shares = sharesOf(endpoints)
  const tasks = new Map(Object.entries(options.tasks ?? {}))
  const strategy = strategyOf(options)
  const isAlone =
    rest.length === 0 &&
    options.health === undefined &&
    options.hedge === undefined &&
    typeof options.strategy !== "object" &&
    [...tasks.values()].every(({ endpoints, strategy }) => (endpoints ?? strategy) === undefined)
  const pool = isAlone
    ? undefined
    : new Pool(endpoints, {
        strategy,
        hedge: options.hedge === undefined ? undefined : hedgeOf(options.hedge),
        circuit: circuitOf(options.health),
        random: randomOf(options.seed),
        failover: new Set(options.failover ?? defaultFailover),
        tasks: options.tasks ?? {},
        listPrice: listPriceOf(prices)
      })
  const fault = sameId(endpoints) ?? hedgeFault(options) ?? weightsFault(options) ?? pool?.fault

  // the answer is the same whichever of several equal endpoints gives it: the first one names its source, so
  // that adding endpoints to a pool leaves the cache valid
  const resolve: Service["resolve"] = (given, name) => {
    if (fault !== undefined) return refused(fault)
    const task = name === undefined ? undefined : tasks.get(name)
    if (name !== undefined && task === undefined) return refused(unknownTask(name, [...tasks.keys()]))
    if (task === undefined) return modelled(given, undefined, undefined)
    const unfit = Task.unfit(task, given)
    const request = Task.apply(task, given)
    if (unfit.length === 0) return modelled(request, task, name)
    const message = `The task "${name}" gives ${unfit.join(", ")}, which requests of the kind ${given._tag} have not`
    if (request.unsupported !== "drop") {
      return Effect.fail(
        new UnsupportedError({
          provider: "floodgate",
          feature: unfit[0] ?? "",
          message: `${message}; nothing was sent. With unsupported: "drop" it is left out`
        })
      )
    }
    const resolved = modelled(request, task, name)
    if (told.has(message)) return resolved
    told.add(message)
    return Effect.zipRight(Effect.logWarning(message), resolved)
  }
  const told = new Set<string>()

  /** The request for a model, or for one of several. */
  const modelled = (
    request: Request,
    task: Task.Task | undefined,
    name: string | undefined
  ): Effect.Effect<Resolved, LlmError> => {
    const fault = faultOf(request.model)
    if (fault !== undefined) return refused(fault)
    const draw = drawOf(request, task)
    if (draw !== undefined) {
      const { others, request: drawn } = drawModel(request, draw.weights, draw.seed)
      return completed({ request: drawn, source: primary.source, others }, name)
    }
    if (request.model !== undefined) return completed({ request, source: primary.source }, name)
    if (models.size > 1) {
      const [model, ...others] = modelsOf(task)
      return completed(
        model !== undefined && others.length === 0
          ? { request: withModel(request, model), source: primary.source }
          : { request, source: `${primary.source}/${[model, ...others].join("+")}` },
        name
      )
    }
    if (primary.model === undefined) {
      return refused("No model: name one in the request or as the endpoint's default")
    }
    return completed({ request: withModel(request, primary.model), source: primary.source }, name)
  }

  const hasParameters = endpoints.some(({ parameters }) => parameters !== undefined)

  /** With what the endpoints say, that may be asked. */
  const completed = (resolved: Resolved, task: string | undefined): Effect.Effect<Resolved> => {
    if (!hasParameters) return Effect.succeed(resolved)
    const { others, request, source } = resolved
    // in an earlier run it may have been drawn another model
    const any = others === undefined ? request : withFields<Request>(request, { model: undefined })
    const candidates = pool === undefined ? endpoints : pool.allowed(any, task)
    const filled = EndpointDefaults.apply(request, candidates, others !== undefined)
    return Effect.succeed({ ...resolved, request: filled.request, source: source + filled.suffix })
  }

  const refused = (message: string) =>
    Effect.fail(new InvalidRequestError({ provider: primary.provider, message }))

  /** What the model of a request is drawn from, if it is. */
  const drawOf = ({ model }: Request, task: Task.Task | undefined): Draw | undefined => {
    const { members, kind, seed = options.seed ?? 0 } = task?.strategy ?? strategy
    if (model !== undefined) {
      const weights = Strategy.weightsOf(model)
      return weights === undefined ? undefined : { weights, seed }
    }
    if (kind !== "sample") return undefined
    const allowed = new Set(modelsOf(task))
    const weights = Object.entries(members ?? shares)
      .map(([model, weight]) => ({ model, weight: Number(weight) }))
      .filter(({ model }) => allowed.has(model) || allowed.has(undefined))
    return weights.length === 0 ? undefined : { weights, seed }
  }

  /** The models that may answer: the same question to other models has other answers. */
  const modelsOf = (task: Task.Task | undefined): Iterable<string | undefined> => {
    const names = task?.endpoints
    if (names === undefined) return models
    const isNamed = ({ id, model }: Endpoint.Endpoint) =>
      names.includes(id) || (model !== undefined && names.includes(model))
    return new Set(endpoints.filter(isNamed).map(({ model }) => model))
  }

  const states = Effect.clockWith((clock) =>
    Effect.sync(() => pool?.states(clock.unsafeCurrentTimeMillis()) ?? [])
  )
  const changes =
    pool === undefined
      ? Stream.make([])
      : Stream.asyncPush<void>(
          (emit) =>
            Effect.acquireRelease(
              Effect.sync(() => {
                emit.single()
                return pool.watch(() => emit.single())
              }),
              (unwatch) => Effect.sync(unwatch)
            ),
          { bufferSize: 1, strategy: "sliding" }
        ).pipe(Stream.mapEffect(() => states))

  return { endpoints, resolve, pool, states, changes, waiting: Effect.sync(() => pool?.waiting ?? 0) }
}

/** The router of an application. */
export const layer = (options: Options): Layer.Layer<Router> =>
  Layer.effect(
    Router,
    Effect.map(Prices.Prices, (prices) => make(options, prices))
  )

/** The endpoints of the router at hand, as they are at this moment. */
export const states: Effect.Effect<ReadonlyArray<EndpointState>, never, Router> = Effect.flatMap(
  Router,
  (router) => router.states
)
