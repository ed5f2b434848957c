/**
 * The messages of a conversation, in one shape for every provider.
 *
 * Plain objects of the same shape are as good as the constructors: `{ role: "user", content: "Hi" }`.
 *
 * @module
 */
import * as Schema from "effect/Schema"

/** Fields of a message that a provider knows and we do not: sent as they are. */
const extra = Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))

/**
 * Marks the end of a prefix that the provider is to keep for this long, where it wants to be told: Anthropic, and OpenAI
 * from GPT-5.6 on, which keeps it for as long as it sees fit. Providers that cache by themselves, or not at all, are not
 * sent it: it changes the price and not the answer.
 */
const promptCache = Schema.optional(Schema.Literal("5m", "1h"))

/** Plain text within a message of several parts. */
export const TextPart = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String, promptCache })
export type TextPart = typeof TextPart.Type

/** An image, by `http(s):` or `data:` URL. */
export const ImagePart = Schema.Struct({
  type: Schema.Literal("image"),
  url: Schema.String,
  /** How closely the model looks: `"low"` costs fewer tokens. The provider's default if absent. */
  detail: Schema.optional(Schema.Literal("auto", "low", "high", "original")),
  promptCache
})
export type ImagePart = typeof ImagePart.Type

/** Recorded speech, base64 encoded. */
export const AudioPart = Schema.Struct({
  type: Schema.Literal("audio"),
  data: Schema.String,
  /** Encoding of the recording, such as `"wav"` or `"mp3"`. */
  format: Schema.String
})
export type AudioPart = typeof AudioPart.Type

/** A document: by `http(s):` or `data:` URL, or by the id of a file uploaded to the provider. */
export const FilePart = Schema.Struct({
  type: Schema.Literal("file"),
  data: Schema.optional(Schema.String),
  fileId: Schema.optional(Schema.String),
  filename: Schema.optional(Schema.String),
  promptCache
})
export type FilePart = typeof FilePart.Type

/** A part that only the provider knows, sent as it is. */
export const ProviderPart = Schema.Struct({ type: Schema.Literal("provider"), value: Schema.Unknown })
export type ProviderPart = typeof ProviderPart.Type

/** A part of a message of several parts. */
export const Part = Schema.Union(TextPart, ImagePart, AudioPart, FilePart, ProviderPart)
export type Part = typeof Part.Type

/** Text, or a list of parts. */
export const Content = Schema.Union(Schema.String, Schema.Array(Part))
export type Content = typeof Content.Type

/** One call of a tool that the model asks for. */
export const ToolCall = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  /** The arguments as the model wrote them: JSON text, which may be invalid. */
  arguments: Schema.String,
  /** Why the arguments are not a JSON object; absent where they are. */
  invalid: Schema.optional(Schema.String),
  /** What the provider wants back with the call, as it is (Gemini's thought signature). */
  signature: Schema.optional(Schema.String)
})
export type ToolCall = typeof ToolCall.Type

/**
 * What the model thought before it answered. Providers want it back unchanged in the turns after a tool call; it
 * is theirs alone and is left out when another provider is asked.
 */
export const ReasoningPart = Schema.Struct({
  /** Empty where the provider keeps it to itself. */
  text: Schema.String,
  /** The provider's proof that the text is its own. */
  signature: Schema.optional(Schema.String),
  /** Name of the wire protocol that it belongs to, such as `"anthropic"`. */
  provider: Schema.String,
  /** The item as the provider sent it, where text and signature are not all of it. */
  item: Schema.optional(Schema.Unknown)
})
export type ReasoningPart = typeof ReasoningPart.Type

/**
 * Standing instructions. Models that want them in a `developer` message get them there. Anthropic and Gemini have them
 * at the beginning alone: those within a conversation are moved there, and the answer has a warning.
 */
export const SystemMessage = Schema.Struct({
  role: Schema.Literal("system"),
  content: Content,
  name: Schema.optional(Schema.String),
  extra
})
export type SystemMessage = typeof SystemMessage.Type

/** A turn of the user. */
export const UserMessage = Schema.Struct({
  role: Schema.Literal("user"),
  content: Content,
  name: Schema.optional(Schema.String),
  extra
})
export type UserMessage = typeof UserMessage.Type

/** An earlier turn of the model. */
export const AssistantMessage = Schema.Struct({
  role: Schema.Literal("assistant"),
  content: Schema.optional(Schema.NullOr(Content)),
  name: Schema.optional(Schema.String),
  toolCalls: Schema.optional(Schema.Array(ToolCall)),
  /** See {@link ReasoningPart}. */
  reasoning: Schema.optional(Schema.Array(ReasoningPart)),
  refusal: Schema.optional(Schema.String),
  extra
})
export type AssistantMessage = typeof AssistantMessage.Type

/** What a tool gave back for the call with this id. */
export const ToolMessage = Schema.Struct({
  role: Schema.Literal("tool"),
  toolCallId: Schema.String,
  content: Content,
  /** Name of the tool, which some providers want again. Default: that of the call with this id. */
  name: Schema.optional(Schema.String),
  /**
   * Whether the tool failed, and the content says how. Anthropic and Gemini have a mark for it; of the others the answer
   * has a warning.
   */
  isError: Schema.optional(Schema.Boolean),
  extra
})
export type ToolMessage = typeof ToolMessage.Type

/** One message of a conversation. */
export const Message = Schema.Union(SystemMessage, UserMessage, AssistantMessage, ToolMessage)
export type Message = typeof Message.Type

/** Standing instructions for the whole conversation. */
export const system = (content: Content): SystemMessage => ({ role: "system", content })

/** What the user says. */
export const user = (content: Content): UserMessage => ({ role: "user", content })

/** What the model said in an earlier turn, with the tools it called. */
export const assistant = (
  content: Content | null,
  options?: {
    readonly toolCalls?: ReadonlyArray<ToolCall>
    readonly reasoning?: ReadonlyArray<ReasoningPart>
  }
): AssistantMessage => ({
  role: "assistant",
  content,
  ...(options?.toolCalls === undefined ? {} : { toolCalls: options.toolCalls }),
  ...(options?.reasoning === undefined ? {} : { reasoning: options.reasoning })
})

/** The result of the tool call `toolCallId`. */
export const tool = (
  toolCallId: string,
  content: Content,
  options?: { readonly name?: string; readonly isError?: boolean }
): ToolMessage => ({
  role: "tool",
  toolCallId,
  content,
  ...options
})

/** A text part, which may be the end of a prefix that the provider is to keep. */
export const text = (
  value: string,
  options?: { readonly promptCache?: TextPart["promptCache"] }
): TextPart => ({
  type: "text",
  text: value,
  ...(options?.promptCache === undefined ? {} : { promptCache: options.promptCache })
})

/** An image part from an `http(s):` or `data:` URL. */
export const image = (url: string, options?: { readonly detail?: ImagePart["detail"] }): ImagePart => ({
  type: "image",
  url,
  ...(options?.detail === undefined ? {} : { detail: options.detail })
})

/**
 * A conversation in one line: a prompt, with standing instructions if given.
 *
 * @example
 * import { Message } from "floodgate"
 *
 * const messages = Message.conversation("What is 2 + 2?", { system: "Answer with one number." })
 */
export const conversation = (
  prompt: Content,
  options?: { readonly system?: string | undefined; readonly history?: ReadonlyArray<Message> | undefined }
): ReadonlyArray<Message> => [
  ...(options?.system === undefined ? [] : [system(options.system)]),
  ...(options?.history ?? []),
  user(prompt)
]
