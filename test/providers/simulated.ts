/** The services around one provider, against a simulator that is given too. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Cache, HttpClientPool, type Providers, RateLimiter, Retry, Router } from "floodgate"
import * as Simulator from "floodgate/Simulator"

export const apiKey = "key-0123456789abcdefghij"

/** Asked once, whatever comes back. */
export const once = { retry: Retry.never }

export const simulated =
  (provider: string, layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient>, model: string) =>
  (options: Simulator.Options = {}, key = apiKey) =>
    Layer.unwrapEffect(
      Effect.map(Simulator.Simulator, ({ urls }) =>
        Layer.mergeAll(
          Layer.provide(layer, HttpClientPool.layer()),
          Router.layer({
            endpoints: [{ provider, baseUrl: urls[provider] ?? "", apiKey: Redacted.make(key), model }]
          }),
          RateLimiter.layer(),
          Cache.layerNone
        )
      )
    ).pipe(Layer.provideMerge(Layer.orDie(Simulator.layer(options))))
