/**
 * What the user asks, provider-neutral, immutable and serialisable.
 *
 * Each kind of request is a `Schema.TaggedRequest`, so that its success and failure types, its encoding and
 * its identity come with it. A parameter left out is never sent: the provider's default holds.
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { InvalidRequestError, LlmError } from "./LlmError.js"
import { type Content, conversation, Message } from "./Message.js"
import { ChatResponse } from "./Response.js"

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
    strict: Schema.optional(Schema.NullOr(Schema.Boolean))
  }),
  ProviderValue
)
export type ResponseFormat = typeof ResponseFormat.Type

/** A wait as people write it, such as `"90 seconds"` or `"7 days"`. */
const DurationText = Schema.String.pipe(
  Schema.filter((text): text is Extract<Duration.DurationInput, string> =>
    Option.isSome(Duration.decodeUnknown(text))
  )
)

/** How the cache is to treat one request. Never sent; see `Cache` for the modes. */
export const CacheControl = Schema.Struct({
  /** Default: the mode of the run. */
  mode: Schema.optional(Schema.Literal("readWrite", "bypass", "refresh", "readOnly", "replay")),
  /** How long the answer may be used once it is stored: milliseconds, or `"7 days"`. Default: the cache's. */
  timeToLive: Schema.optional(Schema.Union(Schema.NonNegative, DurationText)),
  /** Answers of one namespace are unknown to the others. Default: the cache's. */
  namespace: Schema.optional(Schema.String),
  /**
   * Which of several answers to one question: 0 (the default), 1, 2, …, each asked and kept by itself. Requests
   * that differ in it alone are different questions, in the cache and in a checkpoint.
   */
  sample: Schema.optional(Schema.NonNegativeInt)
})
export type CacheControl = typeof CacheControl.Type

const chatFields = {
  /** The model; the endpoint's own if absent. */
  model: Schema.optional(Schema.String),
  messages: Schema.Array(Message),
  /** Randomness, 0 to 2 with most providers. */
  temperature: Schema.optional(Schema.Number),
  /** Nucleus sampling: the share of probability mass considered. */
  topP: Schema.optional(Schema.Number),
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
  /** How much to think: `"none"`, `"minimal"`, `"low"`, `"medium"`, `"high"`, … as the model allows. */
  reasoningEffort: Schema.optional(Schema.String),
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
  safetyIdentifier: Schema.optional(Schema.String),
  /** Body fields that the provider knows and we do not: sent as they are. */
  extra: Schema.optional(JsonObject),
  /** Your own id of the request: comes back with its outcome, is never sent. */
  id: Schema.optional(Schema.NullOr(Schema.String)),
  /** Whatever belongs to the request in your books: comes back with its outcome, is never sent. */
  metadata: Schema.optional(JsonObject),
  /** How the cache is to treat this request; never sent. */
  cache: Schema.optional(CacheControl)
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
    return chatOf(validateChat({ ...parameters, messages: conversation(prompt, { system }) }))
  }
}

/** The fields of a {@link Chat}, as a plain object has them. */
export type ChatFields = ConstructorParameters<typeof Chat>[0]

/** Any request. One member now; the other kinds join here. */
export const Request = Schema.Union(Chat)
export type Request = typeof Request.Type

/** What `batch` and `complete` take: a request, or a plain object of the same shape. */
export type RequestInput = Request | ChatFields

const knownFields: ReadonlySet<string> = new Set([...Object.keys(chatFields), "_tag"])

const invalid = (message: string) => Either.left(new InvalidRequestError({ provider: "floodgate", message }))

/** Fields whose values are the provider's or the user's own. */
const openFields = ["extra", "metadata", "tools", "toolChoice", "responseFormat"] as const

const isPlain = ({ content, extra }: Message): boolean => typeof content === "string" && extra === undefined

/**
 * What of a request cannot be written as JSON: it is hashed, sent and kept as such. Found before anything is paid
 * for, and only looked for where there may be something.
 */
const unwritable = (request: Request): string | undefined => {
  const parts: ReadonlyArray<readonly [field: string, value: unknown]> = [
    ...openFields.map((field) => [field, request[field]] as const),
    ["messages", request.messages.every(isPlain) ? undefined : request.messages]
  ]
  for (const [field, value] of parts) {
    if (value === undefined) continue
    try {
      JSON.stringify(value)
    } catch (cause) {
      return `"${field}" cannot be written as JSON: ${cause instanceof Error ? cause.message : String(cause)}`
    }
  }
  return undefined
}

const writable = (request: Request): Either.Either<Request, InvalidRequestError> => {
  const problem = unwritable(request)
  return problem === undefined ? Either.right(request) : invalid(problem)
}

/**
 * A request from a request or a plain object. A field that no request has is an error that names it: nothing
 * a user wrote is silently dropped.
 */
export const fromInput = (input: RequestInput): Either.Either<Request, InvalidRequestError> => {
  if (input instanceof Chat) return writable(input)
  if (typeof input !== "object" || input === null) {
    return invalid(`A request is an object with "messages", not ${String(input)}`)
  }
  for (const field in input) {
    if (!knownFields.has(field)) {
      return invalid(`Unknown field "${field}". Fields that only the provider knows go into "extra"`)
    }
  }
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
export const withModel = (request: Request, model: string): Request => chatOf({ ...request, model })
