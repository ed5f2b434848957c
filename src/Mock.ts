/**
 * Stand-ins for tests: the whole road of a request with a function of yours at its end.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Cache from "./Cache.js"
import type { Services } from "./internal/completer.js"
import type { LlmError } from "./LlmError.js"
import * as Providers from "./Providers.js"
import * as RateLimiter from "./RateLimiter.js"
import type { Chat, Completion, Embedding, Request, Rerank } from "./Request.js"
import { ChatResponse, type EmbeddingResponse, type RerankResponse, type Response } from "./Response.js"
import * as Router from "./Router.js"
import { unsupported } from "./Wire.js"

/** Name of the mock as a provider, and of its model. */
export const name = "mock"

/** An answer with this text; other fields as given, or as a plain finished answer has them. */
export const response = (text: string, fields?: Partial<Omit<ChatResponse, "_tag" | "text">>): ChatResponse =>
  new ChatResponse({
    finishReason: "stop",
    toolCalls: [],
    usage: { inputTokens: 1, outputTokens: 1 },
    model: name,
    provider: name,
    meta: { attempts: 1, cached: false, latencyMs: 0 },
    ...fields,
    text
  })

/** What a mock answers: a text, a whole response, or an effect of either, which may fail or take its time. */
export type Answer = string | Response | Effect.Effect<string | Response, LlmError>

const toEffect = (answer: Answer): Effect.Effect<Response, LlmError> =>
  Effect.map(Effect.isEffect(answer) ? answer : Effect.succeed(answer), (given) =>
    typeof given === "string" ? response(given) : given
  )

/** What a mock answers to requests that are no chats. */
export interface OtherAnswers {
  /** Default: an `UnsupportedError`, here and below. */
  readonly completion?: ((request: Completion) => Answer) | undefined
  /** The vectors of the request's texts. */
  readonly embedding?: ((request: Embedding) => EmbeddingResponse) | undefined
  /** The documents of the request by rank. */
  readonly rerank?: ((request: Rerank) => RerankResponse) | undefined
}

/** A provider that answers with the function, and with an `UnsupportedError` what it has no function for. */
export const provider = (
  answer: (request: Chat) => Answer,
  others: OtherAnswers = {}
): Providers.Provider => {
  const answerTo = (request: Request): Answer | undefined => {
    switch (request._tag) {
      case "Chat":
        return answer(request)
      case "Completion":
        return others.completion?.(request)
      case "Embedding":
        return others.embedding?.(request)
      case "Rerank":
        return others.rerank?.(request)
    }
  }
  return Providers.fromFunction(name, (request) =>
    Effect.suspend(() => {
      const answered = answerTo(request)
      return answered === undefined ? Effect.fail(unsupported(name, request._tag)) : toEffect(answered)
    })
  )
}

/**
 * All that `batch` and `complete` need, without network, limits or cache. To test with another one of these, lay
 * it over: `Layer.merge(Mock.layer(…), Cache.layerMemory())`.
 *
 * @example
 * import { batch, Chat, Mock } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const test = batch([Chat.prompt("2 + 2 = ?")]).pipe(Effect.provide(Mock.layer(() => "4")))
 */
export const layer = (answer: (request: Chat) => Answer, others?: OtherAnswers): Layer.Layer<Services> =>
  Layer.mergeAll(
    Layer.succeed(Providers.Providers, Providers.make([provider(answer, others)])),
    Router.layer({ endpoints: [{ provider: name, baseUrl: "mock://", model: name }] }),
    RateLimiter.layerUnlimited,
    Cache.layerNone
  )
