/**
 * Stand-ins for tests: the whole road of a request with a function of yours at its end.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Cache from "./Cache.js"
import type { Services } from "./internal/completer.js"
import type { LlmError } from "./LlmError.js"
import * as Providers from "./Providers.js"
import * as RateLimiter from "./RateLimiter.js"
import type { Request } from "./Request.js"
import { ChatResponse, type Response } from "./Response.js"
import * as Router from "./Router.js"

/** Name of the mock as a provider, and of its model. */
export const name = "mock"

/** An answer with this text; other fields as given, or as a plain finished answer has them. */
export const response = (text: string, fields?: Partial<Omit<Response, "_tag" | "text">>): Response =>
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

/** A provider that answers with the function. */
export const provider = (answer: (request: Request) => Answer): Providers.Provider =>
  Providers.fromFunction(name, (request) => Effect.suspend(() => toEffect(answer(request))))

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
export const layer = (answer: (request: Request) => Answer): Layer.Layer<Services> =>
  Layer.mergeAll(
    Layer.succeed(Providers.Providers, Providers.make([provider(answer)])),
    Router.layer({ endpoints: [{ provider: name, baseUrl: "mock://", model: name }] }),
    RateLimiter.layerUnlimited,
    Cache.layerNone
  )
