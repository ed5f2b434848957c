/**
 * The normalised answer to a request.
 *
 * @example
 * import { Chat, complete, Message, Response } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * // an answer, and the question that follows it
 * const program = Effect.gen(function* () {
 *   const messages = [Message.user("Name a river.")]
 *   const first = yield* complete(Chat.make({ messages }))
 *   const next = yield* complete(
 *     Chat.make({ messages: [...messages, Response.toMessage(first), Message.user("How long is it?")] })
 *   )
 *   return { text: next.text, why: next.finishReason, paid: next.meta.cost, cached: next.meta.cached }
 * })
 *
 * @module
 */
import * as Schema from "effect/Schema"
import { type AssistantMessage, ReasoningPart, ToolCall } from "./Message.js"
import { Usage } from "./Usage.js"

/**
 * Why the model stopped: `stop` (done), `length` (out of tokens: the answer is cut), `tool_calls` (it wants
 * tools run), `content_filter` (blocked or refused), `pause` (to be continued), `error` (the model failed),
 * `other` (the provider's own; see `rawFinishReason`).
 */
export const FinishReason = Schema.Literal(
  "stop",
  "length",
  "tool_calls",
  "content_filter",
  "pause",
  "error",
  "other"
)
export type FinishReason = typeof FinishReason.Type

/** How an answer came about. Not part of the answer: two equal answers may have different ones. */
export const Meta = Schema.Struct({
  /** Id of the endpoint that answered. */
  endpoint: Schema.optional(Schema.String),
  /** HTTP calls made for this request; 0 for an answer from the cache. */
  attempts: Schema.Number,
  /** Whether the answer came from the cache, or from an equal request in flight. */
  cached: Schema.Boolean,
  /** From the request's start to its outcome, waits included, in milliseconds. */
  latencyMs: Schema.Number,
  /** The provider's id of the call. */
  requestId: Schema.optional(Schema.String),
  /** The cache key of the request. */
  key: Schema.optional(Schema.String),
  /**
   * What the request's attempts cost together, in US dollars: failed ones that were billed, and answers that did not
   * fit, are in it; 0 for an answer from the cache. The nearest number to a sum of whole picodollars (1e-12), which is
   * exact below $9,000. Absent where nothing was billed, or where one of them has no price.
   */
  cost: Schema.optional(Schema.Number),
  /** Whether the outcome was restored from a checkpoint. */
  resumed: Schema.optional(Schema.Boolean)
})
export type Meta = typeof Meta.Type

/** A further answer to the same prompt, where the request asked for several (`n`). */
export const Choice = Schema.Struct({
  text: Schema.String,
  finishReason: FinishReason,
  toolCalls: Schema.Array(ToolCall),
  refusal: Schema.optional(Schema.String),
  logprobs: Schema.optional(Schema.Unknown)
})
export type Choice = typeof Choice.Type

/** The answer to a chat request. */
export class ChatResponse extends Schema.TaggedClass<ChatResponse>()("ChatResponse", {
  /** The provider's id of the answer. */
  id: Schema.optional(Schema.String),
  /** The text of the answer, empty where there is none (a tool call, a refusal). */
  text: Schema.String,
  finishReason: FinishReason,
  /** The provider's own word for it. */
  rawFinishReason: Schema.optional(Schema.String),
  /** Tools that the model wants called. */
  toolCalls: Schema.Array(ToolCall),
  /** What the model thought, where the provider shows it. */
  reasoning: Schema.optional(Schema.String),
  /** The same as the provider wants it back in a turn that follows; see {@link toMessage}. */
  reasoningParts: Schema.optional(Schema.Array(ReasoningPart)),
  /** Why the model would not answer. */
  refusal: Schema.optional(Schema.String),
  /** Log probabilities, in the provider's shape, where asked for. */
  logprobs: Schema.optional(Schema.Unknown),
  /** The second and further answers, where the request asked for several. */
  alternatives: Schema.optional(Schema.Array(Choice)),
  usage: Usage,
  /** The model that answered, as the provider names it. */
  model: Schema.String,
  provider: Schema.String,
  /** The tier that was billed. */
  serviceTier: Schema.optional(Schema.String),
  /** The body as the provider sent it. Absent on answers restored from a checkpoint. */
  raw: Schema.optional(Schema.Unknown),
  /** What the request asked for and the provider could not do, where the request had it dropped. */
  warnings: Schema.optional(Schema.Array(Schema.String)),
  meta: Meta
}) {}

const commonFields = {
  usage: Usage,
  model: Schema.String,
  provider: Schema.String,
  raw: Schema.optional(Schema.Unknown),
  warnings: Schema.optional(Schema.Array(Schema.String)),
  meta: Meta
}

/** The answer to an embedding request. */
export class EmbeddingResponse extends Schema.TaggedClass<EmbeddingResponse>()("EmbeddingResponse", {
  /** One vector for each input, in the order of the inputs. */
  embeddings: Schema.Array(Schema.Array(Schema.Number)),
  ...commonFields
}) {}

/** How well a document fits the query. */
export const Ranked = Schema.Struct({
  /** Place of the document in the request. */
  index: Schema.Number,
  /** The provider's own measure: higher fits better. */
  score: Schema.Number
})
export type Ranked = typeof Ranked.Type

/** The answer to a rerank request. */
export class RerankResponse extends Schema.TaggedClass<RerankResponse>()("RerankResponse", {
  /** The documents from the best fit down. */
  results: Schema.Array(Ranked),
  ...commonFields
}) {}

/** Any answer. */
export const Response = Schema.Union(ChatResponse, EmbeddingResponse, RerankResponse)
export type Response = typeof Response.Type

const prototypes = {
  ChatResponse: ChatResponse.prototype,
  EmbeddingResponse: EmbeddingResponse.prototype,
  RerankResponse: RerankResponse.prototype
}

/**
 * An answer of fields that are known to be good. The constructor of a schema class looks at every field that there
 * could be, even where it does not validate: five times the cost, paid for every answer out of the cache.
 */
export const fromFields = (
  fields: Omit<typeof ChatResponse.Encoded, "_tag"> & { readonly _tag?: "ChatResponse" }
): ChatResponse => Object.assign(Object.create(ChatResponse.prototype), fields, { _tag: "ChatResponse" })

/** The same for an answer of any kind, which its tag says. */
export const fromEncoded = <F extends typeof Response.Encoded>(
  fields: F
): Extract<Response, { readonly _tag: F["_tag"] }> =>
  Object.assign(Object.create(prototypes[fields._tag]), fields)

/** The same answer, told of otherwise: another attempt count, another latency. */
export const withMeta = <R extends Response>(response: R, meta: Meta): R =>
  Object.assign(Object.create(Object.getPrototypeOf(response)), response, { meta })

/** The same answer, with what had to be left out of its request. */
export const withWarnings = <R extends Response>(response: R, warnings: ReadonlyArray<string>): R =>
  Object.assign(Object.create(Object.getPrototypeOf(response)), response, { warnings })

/** The same answer, with the usage of all the calls it took. */
export const withUsage = (response: ChatResponse, usage: Usage): ChatResponse =>
  fromFields({ ...response, usage })

/** An answer with the value that its text holds, decoded with the request's schema. */
export type ObjectResponse<A> = ChatResponse & { readonly value: A }

/** The answer as a turn of the conversation, for the request that continues it. */
export const toMessage = (response: ChatResponse): AssistantMessage => ({
  role: "assistant",
  content: response.text === "" && response.toolCalls.length > 0 ? null : response.text,
  ...(response.toolCalls.length === 0 ? undefined : { toolCalls: response.toolCalls }),
  ...(response.reasoningParts === undefined ? undefined : { reasoning: response.reasoningParts }),
  ...(response.refusal === undefined ? undefined : { refusal: response.refusal })
})
