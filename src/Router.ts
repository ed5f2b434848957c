/**
 * Chooses the endpoint for each attempt.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Endpoint from "./Endpoint.js"
import { InvalidRequestError, type LlmError } from "./LlmError.js"
import { type Request, withModel } from "./Request.js"

/**
 * The order in which endpoints are asked.
 *
 * - `roundRobin`: each in turn.
 * - `fallback`: the first, and a later one only when those before it failed this request.
 */
export type Strategy = "roundRobin" | "fallback"

/** A request with the endpoints' defaults filled in, and whose answers it asks for. */
export interface Resolved {
  readonly request: Request
  /** See {@link Endpoint.Endpoint.source}; part of the cache key. */
  readonly source: string
}

export interface Service {
  readonly endpoints: ReadonlyArray<Endpoint.Endpoint>
  /** Fills in what the request leaves to the endpoints. The result is what the cache key is made of. */
  readonly resolve: (request: Request) => Effect.Effect<Resolved, LlmError>
  /**
   * The endpoint for the next attempt. Those in `failed` are left out for as long as others remain; when all
   * have failed, all are good again.
   */
  readonly select: (
    request: Request,
    failed: ReadonlySet<string>
  ) => Effect.Effect<Endpoint.Endpoint, LlmError>
}

/** See {@link layer}. */
export class Router extends Context.Tag("floodgate/Router")<Router, Service>() {}

export interface Options {
  /** Where requests go; at least one. */
  readonly endpoints: readonly [Endpoint.Options, ...ReadonlyArray<Endpoint.Options>]
  /** Default `roundRobin`. */
  readonly strategy?: Strategy | undefined
}

/** A router over these endpoints. */
export const make = (options: Options): Service => {
  const [first, ...rest] = options.endpoints
  const primary = Endpoint.make(first)
  const endpoints: ReadonlyArray<Endpoint.Endpoint> = [primary, ...rest.map(Endpoint.make)]
  const models = new Set(endpoints.map((endpoint) => endpoint.model))
  const roundRobin = options.strategy !== "fallback"
  let turn = 0

  // the answer is the same whichever of several equal endpoints gives it: the first one names its source, so
  // that adding endpoints to a pool leaves the cache valid
  const resolve = (request: Request): Effect.Effect<Resolved, LlmError> => {
    if (request.model !== undefined) return Effect.succeed({ request, source: primary.source })
    if (models.size > 1) {
      return Effect.succeed({ request, source: `${primary.source}/${[...models].join("+")}` })
    }
    if (primary.model === undefined) {
      return Effect.fail(
        new InvalidRequestError({
          provider: primary.provider,
          message: "No model: name one in the request or as the endpoint's default"
        })
      )
    }
    return Effect.succeed({ request: withModel(request, primary.model), source: primary.source })
  }

  const select: Service["select"] = (_request, failed) =>
    Effect.sync(() => {
      const start = roundRobin ? turn++ % endpoints.length : 0
      for (let i = 0; i < endpoints.length; i++) {
        const endpoint = endpoints[(start + i) % endpoints.length] ?? primary
        if (!failed.has(endpoint.id)) return endpoint
      }
      return endpoints[start] ?? primary
    })

  return { endpoints, resolve, select }
}

/** The router of an application. */
export const layer = (options: Options): Layer.Layer<Router> => Layer.sync(Router, () => make(options))
