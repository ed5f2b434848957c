/**
 * What the user asks, provider-neutral, immutable and serialisable.
 *
 * Each kind of request is a `Schema.TaggedRequest`, so that its success and failure types, its encoding and
 * its identity come with it. A parameter left out is never sent: the provider's default holds.
 *
 * @module
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { Namespace } from "./internal/cacheNamespace.js"
import { InvalidRequestError, LlmError } from "./LlmError.js"
import { type Content, conversation, Message } from "./Message.js"
import { ChatResponse, EmbeddingResponse, type ObjectResponse, RerankResponse } from "./Response.js"

const JsonObject = Schema.Record({ key: Schema.String, value: Schema.Unknown })

/** A function that the model may call. `parameters` is a JSON Schema. */
export const FunctionTool = Schema.Struct({
  type: Schema.Literal("function"),
  name: Schema.String,
  description: Schema.optional(Schema.String),
  parameters: Schema.optional(JsonObject),
  /** Have the provider hold the arguments to the schema. */
  strict: Schema.optional(Schema.NullOr(Schema.Boolean))
})

/** A tool, choice or format that only the provider knows, sent as it is. */
export const ProviderValue = Schema.Struct({ type: Schema.Literal("provider"), value: Schema.Unknown })

/** What the model may call. */
export const Tool = Schema.Union(FunctionTool, ProviderValue)
export type Tool = typeof Tool.Type

/** Whether and which tools the model must call. `{ type: "function", name }` forces that one. */
export const ToolChoice = Schema.Union(
  Schema.Literal("auto", "none", "required"),
  Schema.Struct({ type: Schema.Literal("function"), name: Schema.String }),
  ProviderValue
)
export type ToolChoice = typeof ToolChoice.Type

/** Free text, any JSON object, or JSON that fits a schema. */
export const ResponseFormat = Schema.Union(
  Schema.Struct({ type: Schema.Literal("text") }),
  Schema.Struct({ type: Schema.Literal("json") }),
  Schema.Struct({
    type: Schema.Literal("jsonSchema"),
    name: Schema.String,
    description: Schema.optional(Schema.String),
    schema: JsonObject,
    strict: Schema.optional(Schema.NullOr(Schema.Boolean)),
    /**
     * Have the schema rewritten to what the provider takes, and put into words where it takes none. Without it the
     * schema is sent as it is, and a provider that takes none is an `UnsupportedError`. Default `false`.
     */
    adapt: Schema.optional(Schema.Boolean)
  }),
  ProviderValue
)
export type ResponseFormat = typeof ResponseFormat.Type

/** A wait as people write it, such as `"90 seconds"` or `"7 days"`. */
const DurationText = Schema.String.pipe(
  Schema.filter(
    // a negative one would be decoded to nothing
    (text): text is Extract<Duration.DurationInput, string> =>
      !text.startsWith("-") && Option.isSome(Duration.decodeUnknown(text)),
    { message: () => 'must be a time that is not negative, such as "7 days"' }
  )
)

/** How the cache is to treat one request. Never sent; see `Cache` for the modes. */
export const CacheControl = Schema.Struct({
  /** Default: the mode of the run. A run's `replay` comes before it. */
  mode: Schema.optional(Schema.Literal("readWrite", "bypass", "refresh", "readOnly", "replay")),
  /** How long the answer may be used once it is stored: milliseconds, or `"7 days"`. Default: the cache's. */
  timeToLive: Schema.optional(Schema.Union(Schema.NonNegative, DurationText)),
  /** Answers of one namespace are unknown to the others. Default: the cache's. */
  namespace: Schema.optional(Namespace),
  /**
   * Which of several answers to one question: 0 (the default), 1, 2, …, each asked and kept by itself. Requests
   * that differ in it alone are different questions, in the cache and in a checkpoint.
   */
  sample: Schema.optional(Schema.NonNegativeInt)
})
export type CacheControl = typeof CacheControl.Type

/**
 * How much to think: `"off"`; an effort such as `"minimal"`, `"low"`, `"medium"`, `"high"`, `"xhigh"` or `"max"`, as
 * the model allows; or the most tokens to think with. Where a provider has only one of the two, the other is
 * translated; see `Thinking`.
 */
export const Thinking = Schema.Union(Schema.String, Schema.NonNegativeInt)
export type Thinking = typeof Thinking.Type

/** What every kind of request has. */
const commonFields = {
  /** The model; the endpoint's own if absent. */
  model: Schema.optional(Schema.String),
  /** Body fields that the provider knows and we do not: sent as they are. */
  extra: Schema.optional(JsonObject),
  /**
   * What becomes of a field that the provider has no counterpart for: an `UnsupportedError` before anything is sent
   * (`"fail"`, the default), or left out with a warning in the answer (`"drop"`).
   */
  unsupported: Schema.optional(Schema.Literal("fail", "drop")),
  /** Your own id of the request: comes back with its outcome, is never sent. */
  id: Schema.optional(Schema.NullOr(Schema.String)),
  /** Whatever belongs to the request in your books: comes back with its outcome, is never sent. */
  metadata: Schema.optional(JsonObject),
  /** The task of the router under which it is asked, before that of the run. Never sent; see `Task`. */
  task: Schema.optional(Schema.String),
  /** How the cache is to treat this request; never sent. */
  cache: Schema.optional(CacheControl)
}

const chatFields = {
  ...commonFields,
  messages: Schema.Array(Message),
  /** Randomness, 0 to 2 with most providers. */
  temperature: Schema.optional(Schema.Number),
  /** Nucleus sampling: the share of probability mass considered. */
  topP: Schema.optional(Schema.Number),
  /** Sampling from this many of the most probable tokens. */
  topK: Schema.optional(Schema.Number),
  /** The most tokens the answer may have, reasoning included. */
  maxTokens: Schema.optional(Schema.Number),
  /** Texts at which the answer ends. */
  stop: Schema.optional(Schema.Union(Schema.String, Schema.Array(Schema.String))),
  /** Best-effort repeatability. */
  seed: Schema.optional(Schema.Number),
  /** How many answers to give; the second and further are in `alternatives`. */
  n: Schema.optional(Schema.Number),
  logprobs: Schema.optional(Schema.Boolean),
  topLogprobs: Schema.optional(Schema.Number),
  /** Bias by token id, -100 to 100. */
  logitBias: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Number })),
  frequencyPenalty: Schema.optional(Schema.Number),
  presencePenalty: Schema.optional(Schema.Number),
  responseFormat: Schema.optional(ResponseFormat),
  tools: Schema.optional(Schema.Array(Tool)),
  toolChoice: Schema.optional(ToolChoice),
  parallelToolCalls: Schema.optional(Schema.Boolean),
  thinking: Schema.optional(Thinking),
  /** How much to say: `"low"`, `"medium"`, `"high"`. */
  verbosity: Schema.optional(Schema.String),
  /** Price and speed class: `"auto"`, `"default"`, `"flex"`, `"priority"`, … */
  serviceTier: Schema.optional(Schema.String),
  /** Whether the provider keeps the answer for its dashboards. */
  store: Schema.optional(Schema.Boolean),
  /** Labels that are sent to the provider and kept by it (OpenAI's `metadata`). */
  labels: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.String })),
  /** Routes requests with a common prefix to one prompt cache. */
  promptCacheKey: Schema.optional(Schema.String),
  /** A stable, hashed id of the end user. */
  safetyIdentifier: Schema.optional(Schema.String)
}

/**
 * A conversation for which the model writes the next turn.
 *
 * @example
 * import { Chat, Message } from "floodgate"
 *
 * const request = new Chat({ messages: [Message.user("Why is the sky blue?")], maxTokens: 200 })
 */
export class Chat extends Schema.TaggedRequest<Chat>()("Chat", {
  failure: LlmError,
  success: ChatResponse,
  payload: chatFields
}) {
  /** A chat of one prompt, with standing instructions and parameters if given. */
  static prompt(
    prompt: Content,
    options?: Omit<ChatFields, "messages"> & { readonly system?: string | undefined }
  ): Chat {
    const { system, ...parameters } = options ?? {}
    const fields = { ...parameters, messages: conversation(prompt, { system }) }
    return chatOf(plainFields(fields) ?? validateChat(fields))
  }
}

/** The fields of a {@link Chat}, as a plain object has them. */
export type ChatFields = ConstructorParameters<typeof Chat>[0]

/** A text for the model to go on with: the way of asking that came before conversations. */
export class Completion extends Schema.TaggedRequest<Completion>()("Completion", {
  failure: LlmError,
  success: ChatResponse,
  payload: {
    ...commonFields,
    prompt: Schema.String,
    /** What is to follow the answer, for models that fill gaps. */
    suffix: Schema.optional(Schema.String),
    temperature: Schema.optional(Schema.Number),
    topP: Schema.optional(Schema.Number),
    maxTokens: Schema.optional(Schema.Number),
    stop: Schema.optional(Schema.Union(Schema.String, Schema.Array(Schema.String))),
    seed: Schema.optional(Schema.Number),
    n: Schema.optional(Schema.Number),
    /** How many of the most probable tokens to tell with each token. */
    logprobs: Schema.optional(Schema.Number),
    logitBias: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Number })),
    frequencyPenalty: Schema.optional(Schema.Number),
    presencePenalty: Schema.optional(Schema.Number),
    safetyIdentifier: Schema.optional(Schema.String)
  }
}) {}

/**
 * Texts to turn into vectors.
 *
 * @example
 * import { Embedding } from "floodgate"
 *
 * const request = new Embedding({ input: ["a cat", "a dog"], model: "text-embedding-3-small" })
 */
export class Embedding extends Schema.TaggedRequest<Embedding>()("Embedding", {
  failure: LlmError,
  success: EmbeddingResponse,
  payload: {
    ...commonFields,
    input: Schema.Array(Schema.String),
    /** Length of the vectors, where the model can shorten them. */
    dimensions: Schema.optional(Schema.Number),
    /** What the vectors are for: models that tell the two apart make better matches. */
    purpose: Schema.optional(Schema.Literal("query", "document", "classification", "clustering")),
    safetyIdentifier: Schema.optional(Schema.String)
  }
}) {}

/** Documents to be put in the order of how well they fit a query. */
export class Rerank extends Schema.TaggedRequest<Rerank>()("Rerank", {
  failure: LlmError,
  success: RerankResponse,
  payload: {
    ...commonFields,
    query: Schema.String,
    documents: Schema.Array(Schema.String),
    /** How many of the best to give. Default: all. */
    topN: Schema.optional(Schema.Number)
  }
}) {}

/** Any request. */
export const Request = Schema.Union(Chat, Completion, Embedding, Rerank)
export type Request = typeof Request.Type

/** What `batch` and `complete` take: a request, or a plain object of a chat's shape. */
export type RequestInput = Request | ChatFields

/** Marks a request whose answer has a value of this type; see `StructuredOutput`. */
export interface Typed<out A> {
  readonly [Value]: A
}
declare const Value: unique symbol

/** The answer to this kind of request. */
export type AnswerTo<R extends RequestInput> = R extends Embedding
  ? EmbeddingResponse
  : R extends Rerank
    ? RerankResponse
    : R extends Typed<infer A>
      ? ObjectResponse<A>
      : ChatResponse

const knownFields: ReadonlySet<string> = new Set([...Object.keys(chatFields), "_tag"])

const invalid = (message: string) => Either.left(new InvalidRequestError({ provider: "floodgate", message }))

/** Fields of a chat whose values are the provider's own. */
const openFields = ["tools", "toolChoice", "responseFormat"] as const

const isPlain = ({ content, extra }: Message): boolean => typeof content === "string" && extra === undefined

/** Why a value cannot be written as JSON, if it cannot. */
const unwritableField = (field: string, value: unknown): string | undefined => {
  if (value === undefined) return undefined
  try {
    JSON.stringify(value)
    return undefined
  } catch (cause) {
    return `"${field}" cannot be written as JSON: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}

/**
 * What of a request cannot be written as JSON: it is hashed, sent and kept as such. Found before anything is paid
 * for, and only looked for where there may be something.
 */
const unwritable = (request: Request): string | undefined => {
  const problem = unwritableField("extra", request.extra) ?? unwritableField("metadata", request.metadata)
  if (problem !== undefined || request._tag !== "Chat") return problem
  for (const field of openFields) {
    const problem = unwritableField(field, request[field])
    if (problem !== undefined) return problem
  }
  return request.messages.every(isPlain) ? undefined : unwritableField("messages", request.messages)
}

const writable = <R extends Request>(request: R): Either.Either<R, InvalidRequestError> => {
  const problem = unwritable(request)
  return problem === undefined ? Either.right(request) : invalid(problem)
}

const kinds = [Chat, Completion, Embedding, Rerank] as const

const isRequest = (input: RequestInput): input is Request => kinds.some((kind) => input instanceof kind)

/**
 * A request from a request or a plain object. A field that no request has is an error that names it: nothing
 * a user wrote is silently dropped.
 */
export const fromInput = (input: RequestInput): Either.Either<Request, InvalidRequestError> => {
  return isRequest(input) ? writable(input) : chatFromFields(input)
}

/** The same for a chat by its fields. */
export const chatFromFields = (input: ChatFields): Either.Either<Chat, InvalidRequestError> => {
  if (typeof input !== "object" || input === null) {
    return invalid(`A request is an object with "messages", not ${String(input)}`)
  }
  for (const field in input) {
    if (!knownFields.has(field)) {
      return invalid(`Unknown field "${field}". Fields that only the provider knows go into "extra"`)
    }
  }
  const plain = plainFields(input)
  if (plain !== undefined) return writable(chatOf(plain))
  const fields = validateInput(input)
  return Either.isRight(fields)
    ? writable(chatOf(fields.right))
    : invalid(
        ParseResult.ArrayFormatter.formatIssueSync(fields.left)
          .slice(0, 3)
          .map((issue) => `${issue.path.join(".")}: ${issue.message}`)
          .join("; ")
      )
}

const plainTypes: ReadonlyMap<string, "string" | "number"> = new Map([
  ["model", "string"],
  ["id", "string"],
  ["task", "string"],
  ["temperature", "number"],
  ["topP", "number"],
  ["maxTokens", "number"],
  ["seed", "number"]
])

const plainMessage = (message: Message): Message | undefined => {
  if (typeof message !== "object" || message === null) return undefined
  const { content, role } = message
  if ((role !== "user" && role !== "system") || typeof content !== "string") return undefined
  for (const field in message) if (field !== "role" && field !== "content") return undefined
  return { role, content }
}

/**
 * The fields, copied as the schema would, if they are a few texts with the usual parameters, as most are: the schema
 * takes ten times as long to see it.
 */
const plainFields = (input: ChatFields): ChatFields | undefined => {
  const { messages, metadata } = input
  if (!Array.isArray(messages)) return undefined
  const texts: Array<Message> = []
  for (const message of messages) {
    const text = plainMessage(message)
    if (text === undefined) return undefined
    texts.push(text)
  }
  for (const field in input) {
    const value = input[field as keyof ChatFields]
    if (field === "messages" || (field === "id" && value === null)) continue
    if (field === "metadata" && metadata?.constructor === Object) continue
    if (typeof value !== plainTypes.get(field)) return undefined
  }
  return metadata === undefined
    ? { ...input, messages: texts }
    : { ...input, messages: texts, metadata: { ...metadata } }
}

const chatStruct = Schema.Struct(chatFields)
// compiled once: each of these walks the whole schema
const validateChat = ParseResult.validateSync(chatStruct)
const validateInput = ParseResult.validateEither(chatStruct)

/**
 * A chat of fields that have been validated. The constructor of a schema class compiles its validation anew each time,
 * and without it still looks at every field that there could be: 4 to 10 µs of each request.
 */
const chatOf = (fields: ChatFields): Chat =>
  Object.assign(Object.create(Chat.prototype), fields, { _tag: "Chat" })

/** The same request for this model. */
export const withModel = <R extends Request>(request: R, model: string): R =>
  withFields<Request>(request, { model }) as R

/** The same request with other values of these fields; the constructor's cost is spared, as above. */
export const withFields = <R extends Request>(request: R, fields: Partial<R>): R =>
  Object.assign(Object.create(Object.getPrototypeOf(request)), request, fields)
