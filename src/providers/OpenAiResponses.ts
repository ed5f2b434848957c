/**
 * OpenAI's Responses API: chats, and nothing else. The one way to function tools with a model that thinks, from
 * GPT-5.4 on.
 *
 * Wire: `POST {baseUrl}/responses` with a bearer key. It has no `stop`, `seed`, `n`, `logitBias` or penalties, no names
 * of speakers and no audio: these are an `UnsupportedError` here. What a model is known to refuse is one too, as with
 * `OpenAi`. Answers have at least 16 `maxTokens`: fewer are an `InvalidRequestError` before anything is sent.
 *
 * - **OpenAI keeps what it answers here**, for 30 days, unless `store: false` says otherwise. `store` is sent where the
 *   request sets it, and not where it does not. An organisation without data retention keeps nothing either way.
 * - What a model thought goes back with the turns that follow (`Response.toMessage`). So that this works without the
 *   server's memory too, thoughts are asked for in encrypted form (`include`) wherever a model that thinks is given
 *   tools, `thinking` or `store: false`; an `include` in `extra` takes the place of ours. Thoughts that are not
 *   encrypted are found by their ids among what OpenAI keeps.
 * - `thinking` asks for a summary of the thoughts as well, which OpenAI shows to verified organisations only for some
 *   models: `extra: OpenAiResponses.parameters({ reasoning: { effort: "low" } })` asks for none.
 * - Answers with OpenAI's own tools in them (`{ type: "provider", value: { type: "web_search" } }`), or with several
 *   messages, go back item by item as they were.
 * - Function tools are sent with `strict: false` where they do not say: left to itself this API makes optional
 *   parameters required.
 * - With `background: true` in `extra` the answer is not there yet: its `finishReason` is `"pause"`.
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import type * as Endpoint from "../Endpoint.js"
import { openAiBatch } from "../internal/openAiBatchWire.js"
import * as Preset from "../internal/preset.js"
import * as ResponsesEcho from "../internal/responsesEcho.js"
import * as ResponsesEvents from "../internal/responsesEvents.js"
import * as ResponsesRequest from "../internal/responsesRequest.js"
import * as ResponsesResponse from "../internal/responsesResponse.js"
import * as WireWarnings from "../internal/wireWarnings.js"
import * as Providers from "../Providers.js"
import * as Wire from "../Wire.js"
import * as OpenAi from "./OpenAi.js"

/** Name of the provider in endpoints and answers. */
export const name = ResponsesEcho.protocol

/** Where OpenAI's API is. */
export const defaultBaseUrl = OpenAi.defaultBaseUrl

/** Documented parameters that this API has alone, for the `extra` of a request. */
export interface Parameters {
  readonly background?: boolean
  readonly conversation?: string | { readonly id: string }
  /** What the answer is to hold besides, such as `"web_search_call.action.sources"`. */
  readonly include?: ReadonlyArray<string>
  readonly max_tool_calls?: number
  /** Goes on from an answer that OpenAI keeps; `messages` are then what is new. */
  readonly previous_response_id?: string
  /** A prompt that is kept at OpenAI. */
  readonly prompt?: unknown
  readonly prompt_cache_options?: { readonly mode?: "implicit" | "explicit"; readonly ttl?: unknown }
  /** In place of what `thinking` says. */
  readonly reasoning?: {
    readonly effort?: string
    readonly summary?: "auto" | "concise" | "detailed"
  }
  /** Deprecated by OpenAI. */
  readonly truncation?: "auto" | "disabled"
}

/** This API's own parameters, checked by type, as `extra`. */
export const parameters = (own: Parameters): Readonly<Record<string, unknown>> => ({ ...own })

/** The protocol. */
export const wire: Wire.Wire = {
  name,
  chargesMaxTokens: true,
  streams: true,
  batch: openAiBatch,
  lacks: (request, context) => (request._tag === "Chat" ? ResponsesRequest.lacks(request, context) : []),
  warns: (request, { endpoint }) => WireWarnings.ofFailedTools(endpoint.provider, request),
  encode: (request, context) => {
    if (request._tag !== "Chat") return Either.left(Wire.unsupported(name, request._tag))
    const refused = ResponsesRequest.refuses(request, context)
    if (refused !== undefined) return Either.left(refused)
    return Either.right({
      path: "/responses",
      body: ResponsesRequest.encode(request, context),
      decode: ResponsesResponse.decode,
      events: context.streaming ? ResponsesEvents.events : undefined
    })
  }
}

/** The provider over the `HttpClient` at hand. */
export const make: Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> = Wire.provider(wire)

/** This provider alone, as the {@link Providers} of an application. */
export const layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> = Providers.layer([make])

/** The endpoint that the environment describes, by the same variables as `OpenAi.config`. */
export const config: Config.Config<Endpoint.Options> = Config.map(OpenAi.config, (endpoint) => ({
  ...endpoint,
  provider: name
}))

/** The provider and a router to the one endpoint that `config` describes. */
export const layerConfig = Preset.layerConfig(layer)

/**
 * All that `batch` and `complete` need to ask OpenAI's Responses API: the endpoint from the environment
 * ({@link config}), a connection pool, a limiter that follows what the server says of its limits, and a cache in memory.
 *
 * @example
 * import { batch, Chat, OpenAIResponsesLive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const requests = ["Why is the sky blue?", "Why is grass green?"].map((prompt) =>
 *   Chat.prompt(prompt, { thinking: "low", store: false })
 * )
 *
 * Effect.runPromise(batch(requests).pipe(Effect.provide(OpenAIResponsesLive)))
 */
export const OpenAIResponsesLive: Preset.Live = Preset.live(layerConfig(config))
