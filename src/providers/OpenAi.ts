/**
 * OpenAI's chat completions.
 *
 * Wire: `POST {baseUrl}/chat/completions` with a bearer key. Every documented parameter has a field of
 * {@link Chat} or a name in {@link Parameters}; what OpenAI adds tomorrow goes through `extra` as well.
 */
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Cache from "../Cache.js"
import * as Endpoint from "../Endpoint.js"
import * as HttpClientPool from "../HttpClientPool.js"
import * as OpenAiRequest from "../internal/openAiRequest.js"
import * as OpenAiResponse from "../internal/openAiResponse.js"
import { send } from "../internal/send.js"
import { promptCharacters } from "../internal/tokenEstimate.js"
import { InvalidRequestError } from "../LlmError.js"
import * as Providers from "../Providers.js"
import * as RateLimiter from "../RateLimiter.js"
import type { Request } from "../Request.js"
import * as Router from "../Router.js"

/** Name of the provider in endpoints and answers. */
export const name = "openai"

/** Where OpenAI's API is. */
export const defaultBaseUrl = "https://api.openai.com/v1"

/**
 * Documented parameters that are OpenAI's alone, for the `extra` of a request:
 * `extra: OpenAi.parameters({ prediction: { type: "content", content: draft } })`.
 */
export interface Parameters {
  readonly audio?: { readonly voice: unknown; readonly format: string }
  readonly modalities?: ReadonlyArray<"text" | "audio">
  readonly moderation?: unknown
  readonly prediction?: { readonly type: "content"; readonly content: unknown }
  readonly prompt_cache_options?: { readonly mode?: "implicit" | "explicit"; readonly ttl?: unknown }
  /** Deprecated by OpenAI for `prompt_cache_options`. */
  readonly prompt_cache_retention?: "in_memory" | "24h"
  readonly web_search_options?: unknown
  /** Deprecated by OpenAI for `safety_identifier`. */
  readonly user?: string
  /** Deprecated by OpenAI for `tool_choice`. */
  readonly function_call?: unknown
  /** Deprecated by OpenAI for `tools`. */
  readonly functions?: ReadonlyArray<unknown>
}

/** OpenAI's own parameters, checked by type, as `extra`. */
export const parameters = (own: Parameters): Readonly<Record<string, unknown>> => ({ ...own })

const headersOf = (endpoint: Endpoint.Endpoint): Headers.Headers =>
  Headers.fromInput({
    ...endpoint.headers,
    ...(endpoint.apiKey === undefined
      ? undefined
      : { authorization: `Bearer ${Redacted.value(endpoint.apiKey)}` })
  })

interface Target {
  readonly url: string
  readonly headers: Headers.Headers
}

/** The provider over the `HttpClient` at hand. */
export const make: Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> = Effect.map(
  HttpClient.HttpClient,
  (client) => {
    // the same for all calls of an endpoint
    const targets = new WeakMap<Endpoint.Endpoint, Target>()

    const attempt = (
      request: Request,
      endpoint: Endpoint.Endpoint,
      timeoutMs: number
    ): Effect.Effect<Providers.Attempt> => {
      const model = request.model ?? endpoint.model
      if (model === undefined) {
        return Effect.succeed(
          Providers.notSent(
            new InvalidRequestError({ provider: name, message: "No model in the request or the endpoint" })
          )
        )
      }
      let target = targets.get(endpoint)
      if (target === undefined) {
        target = { url: Endpoint.url(endpoint, "/chat/completions"), headers: headersOf(endpoint) }
        targets.set(endpoint, target)
      }
      const call = {
        provider: endpoint.provider,
        url: target.url,
        headers: target.headers,
        body: OpenAiRequest.encode(request, model),
        timeoutMs,
        secret: endpoint.apiKey
      }
      return Effect.map(send(client, call), ({ body, headers, throttle }) => ({
        outcome: Either.flatMap(body, (completion) =>
          OpenAiResponse.decode(completion, {
            provider: endpoint.provider,
            model,
            promptCharacters: promptCharacters(request),
            requestId: headers["x-request-id"]
          })
        ),
        throttle
      }))
    }

    return { name, attempt, chargesMaxTokens: true }
  }
)

/** This provider alone, as the {@link Providers} of an application. */
export const layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> = Providers.layer([make])

/** A variable that may be set to nothing, as shells and `.env` files leave it. */
const optional = (variable: string): Config.Config<string | undefined> =>
  Config.string(variable).pipe(
    Config.withDefault(""),
    Config.map((value) => value.trim() || undefined)
  )

const missingKey = ConfigError.MissingData(
  ["OPENAI_API_KEY"],
  "Set the environment variable OPENAI_API_KEY to your OpenAI API key"
)

const apiKey: Config.Config<Redacted.Redacted> = Config.string("OPENAI_API_KEY").pipe(
  Config.withDefault(""),
  Config.mapOrFail((text) => {
    const key = text.trim()
    if (key === "") return Either.left(missingKey)
    // such a key cannot be sent as a header; the message must not show it
    return /^[\x21-\x7e]+$/.test(key)
      ? Either.right(Redacted.make(key))
      : Either.left(
          ConfigError.InvalidData(
            ["OPENAI_API_KEY"],
            "OPENAI_API_KEY holds characters that no API key has, such as a space or an accent"
          )
        )
  })
)

/**
 * The endpoint that the environment describes: `OPENAI_API_KEY` (required), `OPENAI_BASE_URL` or
 * `OPENAI_API_BASE` (default OpenAI's own), `OPENAI_MODEL` (the model of requests that name none),
 * `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID`.
 */
export const config: Config.Config<Endpoint.Options> = Config.all({
  apiKey,
  baseUrl: optional("OPENAI_BASE_URL"),
  apiBase: optional("OPENAI_API_BASE"),
  model: optional("OPENAI_MODEL"),
  organization: optional("OPENAI_ORG_ID"),
  project: optional("OPENAI_PROJECT_ID")
}).pipe(
  Config.map(({ apiKey, baseUrl, apiBase, model, organization, project }) => ({
    provider: name,
    apiKey,
    baseUrl: baseUrl ?? apiBase ?? defaultBaseUrl,
    model,
    headers: {
      ...(organization === undefined ? undefined : { "openai-organization": organization }),
      ...(project === undefined ? undefined : { "openai-project": project })
    }
  }))
)

/** The provider and a router to the one endpoint that `config` describes. */
export const layerConfig = (
  endpoint: Config.Config.Wrap<Endpoint.Options>
): Layer.Layer<Providers.Providers | Router.Router, ConfigError.ConfigError, HttpClient.HttpClient> =>
  Layer.merge(
    layer,
    Layer.effect(
      Router.Router,
      Effect.map(Config.unwrap(endpoint), (options) => Router.make({ endpoints: [options] }))
    )
  )

/**
 * All that `batch` and `complete` need to ask OpenAI: the endpoint from the environment ({@link config}), a
 * connection pool, a limiter that follows what the server says of its limits, and a cache in memory.
 *
 * @example
 * import { batch, Chat, OpenAILive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const requests = ["Why is the sky blue?", "Why is grass green?"].map((prompt) => Chat.prompt(prompt))
 *
 * Effect.runPromise(batch(requests).pipe(Effect.provide(OpenAILive)))
 */
export const OpenAILive: Layer.Layer<
  Providers.Providers | Router.Router | RateLimiter.RateLimiter | Cache.Cache,
  ConfigError.ConfigError
> = Layer.mergeAll(
  Layer.provide(layerConfig(config), HttpClientPool.layer()),
  RateLimiter.layer(),
  Cache.layerMemory()
)
