/**
 * The providers at hand, by name. A provider speaks one wire protocol; where to and with which credential is
 * the endpoint's business.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type { Endpoint } from "./Endpoint.js"
import { type LlmError, TimeoutError } from "./LlmError.js"
import type { Outcome } from "./Outcome.js"
import type { Request } from "./Request.js"
import type { Response } from "./Response.js"
import * as Throttle from "./Throttle.js"

/** What one HTTP call brought back: its outcome, and what the server said of its limits. */
export interface Attempt {
  readonly outcome: Outcome
  readonly throttle: Throttle.Throttle
}

/** One wire protocol. */
export interface Provider {
  readonly name: string
  /**
   * Whether the provider counts `maxTokens` against the token limit when a request arrives, and keeps what the answer
   * did not use, as OpenAI does. Others count what an answer really had. Default `false`.
   */
  readonly chargesMaxTokens?: boolean | undefined
  /**
   * Makes one call, without retry, and gives up with a `TimeoutError` after `timeoutMs` milliseconds (0: never).
   * A failed call is an outcome like any other, so that what the server said of its limits is never lost.
   */
  readonly attempt: (request: Request, endpoint: Endpoint, timeoutMs: number) => Effect.Effect<Attempt>
}

/** The providers that endpoints may name. */
export class Providers extends Context.Tag("floodgate/Providers")<
  Providers,
  { readonly get: (name: string) => Provider | undefined }
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
  }
})

/** The outcome of a call that was never made. */
export const notSent = (error: LlmError): Attempt => ({
  outcome: Either.left(error),
  throttle: Throttle.none
})
