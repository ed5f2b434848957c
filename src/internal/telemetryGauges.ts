/**
 * Limits and endpoints as gauges, looked at now and then: nothing is done for them on the way of a request.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricLabel from "effect/MetricLabel"
import * as Option from "effect/Option"
import { type DomainState, RateLimiter } from "../RateLimiter.js"
import { type EndpointState, Router } from "../Router.js"

type Labels = Readonly<Record<string, string>>

const gauge = (name: string, unit: string, description: string) => {
  const metric = Metric.gauge(name, { description })
  return (labels: Labels, value: number): void => {
    const tags = Object.entries(labels).map(([key, value]) => MetricLabel.make(key, value))
    metric.unsafeUpdate(value, [...tags, MetricLabel.make("unit", unit)])
  }
}

const use = gauge("floodgate.limit.use", "1", "The share of a rate limit that its window holds.")
const inFlight = gauge("floodgate.limit.in_flight", "{attempt}", "Attempts in flight under a limit domain.")
const waiting = gauge("floodgate.limit.waiting", "{request}", "Requests waiting for a limit domain.")
const pause = gauge("floodgate.limit.pause", "s", "Until the pause of a limit domain ends; 0 without one.")
const routed = gauge("floodgate.router.waiting", "{request}", "Requests that no endpoint could take as yet.")
const circuit = gauge(
  "floodgate.circuit.state",
  "{endpoint}",
  "1 for the state of the circuit, 0 for others."
)
const endpointInFlight = gauge(
  "floodgate.endpoint.in_flight",
  "{attempt}",
  "Attempts at an endpoint, those waiting for its limits included."
)

const circuitStates: ReadonlyArray<EndpointState["circuit"]> = ["closed", "open", "half-open"]

const tellDomain = (
  { concurrency, domain, inUse, limits, pausedUntil, used, waiting: queue }: DomainState,
  now: number
): void => {
  const labels = { "floodgate.domain": domain }
  inFlight(labels, inUse)
  waiting(labels, queue)
  pause(labels, Math.max(0, (pausedUntil ?? 0) - now) / 1_000)
  const share = (limit: string, of: number | undefined, taken: number) => {
    if (of !== undefined && of > 0) use({ ...labels, "floodgate.limit": limit }, taken / of)
  }
  share("concurrency", concurrency, inUse)
  for (const name in used) {
    const rate = name as keyof typeof used
    share(rate, limits[rate], used[rate] ?? 0)
  }
}

const tellEndpoint = ({ circuit: is, id, inFlight }: EndpointState): void => {
  const labels = { "floodgate.endpoint": id }
  endpointInFlight(labels, inFlight)
  for (const state of circuitStates) {
    circuit({ ...labels, "floodgate.circuit.state": state }, state === is ? 1 : 0)
  }
}

/** Services that are held for as long as somebody else does. */
class Seen<S extends object> {
  readonly #known = new WeakSet<S>()
  #all: ReadonlyArray<WeakRef<S>> = []

  add(service: Option.Option<S>): void {
    if (Option.isNone(service) || this.#known.has(service.value)) return
    this.#known.add(service.value)
    this.#all = [...this.#all.filter((ref) => ref.deref() !== undefined), new WeakRef(service.value)]
  }

  get all(): ReadonlyArray<S> {
    return this.#all.flatMap((ref) => ref.deref() ?? [])
  }
}

export interface Gauges {
  /** Takes the limiter and the router of a fiber that makes requests among those that are looked at. */
  readonly meet: Effect.Effect<void>
  /** Looks at all of them. */
  readonly look: Effect.Effect<void>
}

export const make: Effect.Effect<Gauges> = Effect.sync(() => {
  const limiters = new Seen<Context.Tag.Service<RateLimiter>>()
  const routers = new Seen<Context.Tag.Service<Router>>()
  return {
    meet: Effect.map(Effect.context<never>(), (services) => {
      limiters.add(Context.getOption(services, RateLimiter))
      routers.add(Context.getOption(services, Router))
    }),
    look: Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      for (const { states } of limiters.all) {
        for (const state of yield* states) tellDomain(state, now)
      }
      for (const router of routers.all) {
        for (const state of yield* router.states) tellEndpoint(state)
        if (router.pool !== undefined) routed({}, yield* router.waiting)
      }
    })
  }
})
