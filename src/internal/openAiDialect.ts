/**
 * What differs between servers that speak OpenAI's chat completions. Everything else about them is the same and
 * stands in `openAiRequest`, `openAiResponse` and `openAiEvents`.
 */
import type { UnsupportedError } from "../LlmError.js"
import type { Chat } from "../Request.js"
import type { FinishReason } from "../Response.js"
import * as OpenAiModels from "./openAiModels.js"
import * as OpenAiThinking from "./openAiThinking.js"
import type { ThinkTags } from "./thinkTags.js"

/** One server's way of speaking. `family` is the model by its own name, empty where it is not known. */
export interface Dialect {
  /** Name of the provider in endpoints, answers and errors. */
  readonly name: string
  /** Field for the most tokens of the answer. */
  readonly maxTokensField: (family: string) => "max_tokens" | "max_completion_tokens"
  /** Role of standing instructions. */
  readonly systemRole: (family: string) => "system" | "developer"
  /** Whether streams are asked for their usage with `stream_options`, which some servers refuse. */
  readonly streamUsage: boolean
  /** Whether there is `top_k`. */
  readonly topK: boolean
  /** The fields that say how much to think; absent where the server has none. */
  readonly thinking: OpenAiThinking.ThinkingFields | undefined
  /** Under which name earlier thoughts are sent back with the turns they belong to; most servers want none. */
  readonly echo: "reasoning_content" | "reasoning_details" | undefined
  /** How thoughts are told from an answer that holds them in its text; `false`: not at all. */
  readonly thinkTags: ThinkTags | false
  /**
   * What `responseFormat` of a schema can be: `"strict"`, a schema by OpenAI's rules for strict mode; `"plain"`, any
   * schema; `"json"`, JSON of any kind with the schema in words; `"none"`, words alone.
   */
  readonly schemas: "strict" | "plain" | "json" | "none"
  /** Whether a part can be marked as the end of a prefix to keep (`prompt_cache_breakpoint`). */
  readonly cacheMarks: (family: string) => boolean
  /** Whether `completion_tokens` has the tokens of thought in it, or beside it (xAI). */
  readonly reasoningTokens: "within" | "beside"
  /** Finish reasons that OpenAI does not have. */
  readonly finishReasons: Readonly<Record<string, FinishReason>>
  /** What a chat asks for and the server or the model has not, by the request's field names. */
  readonly lacks: (chat: Chat, family: string) => ReadonlyArray<string>
  /** Why a chat cannot be sent at all, where leaving something out would not help. */
  readonly refuses: (chat: Chat, family: string) => UnsupportedError | undefined
  /** See `Provider.chargesMaxTokens`. */
  readonly chargesMaxTokens: boolean
  /** What it can be asked besides chats: `/completions`, `/embeddings`, `/rerank`. */
  readonly kinds: ReadonlyArray<"Completion" | "Embedding" | "Rerank">
  /** Most texts in one call for vectors, and most tokens of all of them. */
  readonly embeddingInputs: number
  readonly embeddingTokens: number
  /** Whether images by URL are fetched by the server; else by us. */
  readonly fetchesMedia: boolean | "images"
}

/** OpenAI itself. */
export const openAi: Dialect = {
  name: "openai",
  maxTokensField: (family) =>
    OpenAiModels.isReasoningModel(family) ? "max_completion_tokens" : "max_tokens",
  systemRole: (family) => (OpenAiModels.isReasoningModel(family) ? "developer" : "system"),
  streamUsage: true,
  topK: false,
  thinking: OpenAiModels.effort,
  echo: undefined,
  thinkTags: false,
  schemas: "strict",
  cacheMarks: OpenAiModels.takesCacheMarks,
  reasoningTokens: "within",
  finishReasons: {},
  lacks: OpenAiModels.lacks,
  refuses: (chat, family) => OpenAiModels.toolsTrap("openai", chat, family),
  chargesMaxTokens: true,
  kinds: ["Completion", "Embedding"],
  embeddingInputs: 2_048,
  embeddingTokens: 300_000,
  fetchesMedia: "images"
}

/** A server that is known for nothing but its wire: it is sent what it is asked, and its answers are read leniently. */
export const compatible: Dialect = {
  name: "openai-compatible",
  maxTokensField: () => "max_tokens",
  systemRole: () => "system",
  streamUsage: true,
  topK: true,
  thinking: OpenAiThinking.effort,
  echo: undefined,
  thinkTags: "answer",
  schemas: "plain",
  cacheMarks: () => false,
  reasoningTokens: "within",
  finishReasons: {},
  lacks: () => [],
  refuses: () => undefined,
  chargesMaxTokens: false,
  kinds: ["Completion", "Embedding", "Rerank"],
  // as much as the least of them take
  embeddingInputs: 32,
  embeddingTokens: 16_000,
  fetchesMedia: "images"
}
