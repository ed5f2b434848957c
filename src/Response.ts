/**
 * The normalised answer to a request.
 */
import * as Schema from "effect/Schema"
import { ToolCall } from "./Message.js"
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
  meta: Meta
}) {}

/** Any answer. One member now; other kinds of requests bring theirs. */
export const Response = Schema.Union(ChatResponse)
export type Response = typeof Response.Type

/**
 * An answer of fields that are known to be good. The constructor of a schema class looks at every field that there
 * could be, even where it does not validate: five times the cost, paid for every answer out of the cache.
 */
export const fromFields = (
  fields: Omit<typeof ChatResponse.Encoded, "_tag"> & { readonly _tag?: "ChatResponse" }
): Response => Object.assign(Object.create(ChatResponse.prototype), fields, { _tag: "ChatResponse" })

/** The same answer, told of otherwise: another attempt count, another latency. */
export const withMeta = (response: Response, meta: Meta): Response => fromFields({ ...response, meta })
