/**
 * The providers at hand, by name. A provider speaks one wire protocol; where to and with which credential is
 * the endpoint's business.
 *
 * @example
 * import { Cache, Mock, Providers, RateLimiter, Router } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * // a model that is no HTTP server
 * const local = Providers.fromFunction("local", (request, { model }) =>
 *   Effect.succeed(Mock.response(`${model} was asked a ${request._tag}`))
 * )
 *
 * const services = Layer.mergeAll(
 *   Providers.layer([Effect.succeed(local)]),
 *   Router.layer({ endpoints: [{ provider: "local", baseUrl: "local:", model: "parrot" }] }),
 *   RateLimiter.layer(),
 *   Cache.layerMemory()
 * )
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Endpoint } from "./Endpoint.js"
import type { Batches } from "./internal/providerBatches.js"
import { type LlmError, TimeoutError } from "./LlmError.js"
import type { Outcome } from "./Outcome.js"
import type { Request } from "./Request.js"
import type { Response } from "./Response.js"
import { fromResponse, type StreamPart } from "./StreamPart.js"
import * as Throttle from "./Throttle.js"

/** What one HTTP call brought back: its outcome, and what the server said of its limits. */
export interface Attempt {
  readonly outcome: Outcome<Response>
  readonly throttle: Throttle.Throttle
  /** `false` where nothing was sent: then a failure says nothing of the endpoint's health. */
  readonly isSent?: false | undefined
}

/** A document that was read, or why it could not be, and what the server said of its limits. */
export interface Document {
  readonly body: Either.Either<unknown, LlmError>
  readonly throttle: Throttle.Throttle
}

/** What one HTTP call with a streamed answer brought back. */
export interface StreamAttempt {
  /** The parts as they come, or why there are none. The stream may fail later still. */
  readonly parts: Either.Either<Stream.Stream<StreamPart, LlmError>, LlmError>
  readonly throttle: Throttle.Throttle
  /** As of an {@link Attempt}. */
  readonly isSent?: false | undefined
}

/** One wire protocol. */
export interface Provider {
  readonly name: string
  /**
   * Whether the provider counts `maxTokens` against the token limit when a request arrives, and keeps what the answer
   * did not use, as OpenAI does. Others count what an answer really had. Default `false`.
   */
  readonly chargesMaxTokens?: boolean | undefined
  /** Texts that one embedding call may hold. Default 100. */
  readonly embeddingInputs?: number | undefined
  /** Tokens that one embedding call may hold, all texts together. Default: no bound. */
  readonly embeddingTokens?: number | undefined
  /** Documents that one reranking call may hold. Default: no bound. */
  readonly rerankDocuments?: number | undefined
  /**
   * Makes one call, without retry, and gives up with a `TimeoutError` after `timeoutMs` milliseconds (0: never).
   * A failed call is an outcome like any other, so that what the server said of its limits is never lost.
   */
  readonly attempt: (request: Request, endpoint: Endpoint, timeoutMs: number) => Effect.Effect<Attempt>
  /**
   * The same with an answer that comes bit by bit, for providers that have it. `timeoutMs` is how long the server may
   * be silent. The call is given up when the scope closes.
   */
  readonly stream?: (
    request: Request,
    endpoint: Endpoint,
    timeoutMs: number
  ) => Effect.Effect<StreamAttempt, never, Scope.Scope>
  /**
   * Reads a JSON document at `path` below the endpoint's base URL, with its credential: a list of its models. Costs
   * nothing with any provider. Absent where there is no HTTP.
   */
  readonly get?:
    | ((path: string, endpoint: Endpoint, timeoutMs: number) => Effect.Effect<Document>)
    | undefined
  /** The provider's own batch API, for `ProviderBatch`. Absent where it has none. */
  readonly batch?: Batches | undefined
}

/** The providers that endpoints may name. */
export class Providers extends Context.Tag("floodgate/Providers")<
  Providers,
  {
    /** The provider of this name. */
    readonly get: (name: string) => Provider | undefined
  }
>() {}

/** A registry of these providers. */
export const make = (providers: ReadonlyArray<Provider>): typeof Providers.Service => {
  const byName = new Map(providers.map((provider) => [provider.name, provider]))
  return { get: (name) => byName.get(name) }
}

/**
 * The registry as a layer, from providers that may need an `HttpClient`:
 * `Providers.layer([OpenAi.make, myProvider])`.
 */
export const layer = <E, R>(
  providers: ReadonlyArray<Effect.Effect<Provider, E, R>>
): Layer.Layer<Providers, E, R> => Layer.effect(Providers, Effect.map(Effect.all(providers), make))

/** A provider from a function, for tests and for servers reached by other means than HTTP. */
export const fromFunction = (
  name: string,
  answer: (request: Request, endpoint: Endpoint) => Effect.Effect<Response, LlmError>
): Provider => ({
  name,
  attempt: (request, endpoint, timeoutMs) => {
    const call = answer(request, endpoint)
    const timed =
      timeoutMs === 0
        ? call
        : Effect.timeoutFail(call, {
            duration: timeoutMs,
            onTimeout: () => new TimeoutError({ provider: name, message: `No answer within ${timeoutMs} ms` })
          })
    return Effect.map(Effect.either(timed), (outcome) => ({ outcome, throttle: Throttle.none }))
  },
  stream: (request, endpoint) =>
    Effect.map(Effect.either(answer(request, endpoint)), (outcome) => ({
      parts: Either.map(outcome, (response) =>
        Stream.fromIterable(response._tag === "ChatResponse" ? fromResponse(response) : [])
      ),
      throttle: Throttle.none
    }))
})

/** The outcome of a streamed call that was never made. */
export const noStream = (error: LlmError): StreamAttempt => ({
  parts: Either.left(error),
  throttle: Throttle.none,
  isSent: false
})

/** The outcome of a call that was never made. */
export const notSent = (error: LlmError): Attempt => ({
  outcome: Either.left(error),
  throttle: Throttle.none,
  isSent: false
})
