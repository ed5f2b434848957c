/**
 * OpenAI's chat completion, normalised. Lenient as OpenAI-compatible servers need it: usage missing, tool call
 * ids missing or empty, arguments as objects, reasoning under either of its two names. The answer is paid for: what
 * only describes it counts as absent where it is of the wrong type.
 */

import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { NetworkError, ServerError } from "../LlmError.js"
import type { ToolCall } from "../Message.js"
import { type ChatResponse, type Choice, type FinishReason, fromFields, type Meta } from "../Response.js"
import type { Usage } from "../Usage.js"
import { isJsonObject } from "./jsonObject.js"
import { safeText } from "./safeText.js"
import { tokensOf } from "./tokenEstimate.js"

const nullish = <A, I>(schema: Schema.Schema<A, I>) => Schema.optional(Schema.NullOr(schema))

/** Absent where it is not what it should be. */
const lenient = <A, I>(schema: Schema.Schema<A, I>) =>
  Schema.optional(Schema.NullOr(schema).annotations({ decodingFallback: () => Either.right(null) }))

const Count = lenient(Schema.Union(Schema.Number, Schema.NumberFromString.pipe(Schema.finite())))

const WireFunction = Schema.Struct({
  name: nullish(Schema.String),
  arguments: Schema.optional(Schema.Unknown)
}).annotations({ identifier: "a function" })

const WireMessage = Schema.Struct({
  content: nullish(Schema.Union(Schema.String, Schema.Array(Schema.Unknown))),
  refusal: nullish(Schema.String),
  reasoning_content: lenient(Schema.String),
  reasoning: lenient(Schema.String),
  tool_calls: nullish(
    Schema.Array(Schema.Struct({ id: lenient(Schema.String), function: nullish(WireFunction) }))
  ),
  function_call: nullish(WireFunction)
}).annotations({ identifier: "a message" })

const WireChoice = Schema.Struct({
  finish_reason: lenient(Schema.String),
  message: WireMessage,
  logprobs: Schema.optional(Schema.Unknown)
}).annotations({ identifier: "a choice" })

const WireUsage = Schema.Struct({
  prompt_tokens: Count,
  completion_tokens: Count,
  prompt_tokens_details: lenient(
    Schema.Struct({
      cached_tokens: Count,
      cache_write_tokens: Count,
      audio_tokens: Count
    })
  ),
  completion_tokens_details: lenient(Schema.Struct({ reasoning_tokens: Count, audio_tokens: Count }))
})

const WireCompletion = Schema.Struct({
  id: lenient(Schema.String),
  model: lenient(Schema.String),
  choices: Schema.NonEmptyArray(WireChoice),
  usage: lenient(WireUsage),
  service_tier: lenient(Schema.String)
}).annotations({ identifier: "a completion" })

const decodeWire = Schema.decodeUnknownEither(WireCompletion)

type Wire = typeof WireCompletion.Type

const isText = (value: unknown) => value == null || typeof value === "string"
const isCount = (value: unknown) => value == null || typeof value === "number"

const isUsage = (usage: unknown): boolean => {
  if (usage == null) return true
  if (!isJsonObject(usage) || !isCount(usage.prompt_tokens) || !isCount(usage.completion_tokens)) return false
  const { completion_tokens_details: output, prompt_tokens_details: input } = usage
  const inputFits =
    input == null ||
    (isJsonObject(input) &&
      isCount(input.cached_tokens) &&
      isCount(input.cache_write_tokens) &&
      isCount(input.audio_tokens))
  const outputFits =
    output == null ||
    (isJsonObject(output) && isCount(output.reasoning_tokens) && isCount(output.audio_tokens))
  return inputFits && outputFits
}

/** Whether the body is one plain text answer, as nearly all are. The schema reads the rest, at ten times the cost. */
const isPlain = (body: unknown): body is Wire => {
  if (!isJsonObject(body) || !isText(body.id) || !isText(body.model) || !isText(body.service_tier))
    return false
  if (!Array.isArray(body.choices) || body.choices.length !== 1) return false
  const first: unknown = body.choices[0]
  if (!isJsonObject(first) || !isText(first.finish_reason) || !isJsonObject(first.message)) return false
  const {
    content,
    function_call: call,
    reasoning,
    reasoning_content,
    refusal,
    tool_calls: calls
  } = first.message
  const isTextOnly = isText(content) && isText(refusal) && isText(reasoning) && isText(reasoning_content)
  return isTextOnly && calls == null && call == null && isUsage(body.usage)
}

const finishReasons: ReadonlyMap<string, FinishReason> = new Map(
  Object.entries({
    stop: "stop",
    length: "length",
    tool_calls: "tool_calls",
    function_call: "tool_calls",
    content_filter: "content_filter",
    error: "error",
    abort: "error",
    insufficient_system_resource: "error"
  })
)

const toolCall = (
  id: string | null | undefined,
  call: typeof WireFunction.Type | null | undefined,
  index: number
): ToolCall => {
  const given = call?.arguments
  return {
    id: id || `call_${index}`,
    name: call?.name ?? "",
    // a model that calls without arguments may send "" for {}
    arguments: typeof given === "string" ? given || "{}" : JSON.stringify(given ?? {})
  }
}

const toolCalls = (message: typeof WireMessage.Type): ReadonlyArray<ToolCall> => {
  if (message.tool_calls) return message.tool_calls.map((call, i) => toolCall(call.id, call.function, i))
  return message.function_call ? [toolCall(undefined, message.function_call, 0)] : []
}

const text = (content: typeof WireMessage.Type.content): string => {
  if (typeof content === "string") return content
  if (!content) return ""
  return content
    .map((part) =>
      typeof part === "object" && part !== null && "text" in part && typeof part.text === "string"
        ? part.text
        : ""
    )
    .join("")
}

const choice = (wire: typeof WireChoice.Type): Choice => {
  const calls = toolCalls(wire.message)
  const raw = wire.finish_reason
  // a forced function ends with "stop": the calls tell, not the reason
  const finishReason: FinishReason = wire.message.refusal
    ? "content_filter"
    : calls.length > 0 && (raw === "stop" || raw == null)
      ? "tool_calls"
      : ((raw == null ? undefined : finishReasons.get(raw)) ?? "other")
  const answer: Writable<Choice> = { text: text(wire.message.content), finishReason, toolCalls: calls }
  if (wire.message.refusal) answer.refusal = wire.message.refusal
  if (wire.logprobs != null) answer.logprobs = wire.logprobs
  return answer
}

type Writable<A> = { -readonly [K in keyof A]: A[K] }

/** cached and cache-write tokens are parts of `prompt_tokens`, reasoning is part of `completion_tokens` */
const usageOf = (wire: typeof WireUsage.Type): Usage => {
  const input = wire.prompt_tokens_details
  const output = wire.completion_tokens_details
  const usage: Writable<Usage> = {
    inputTokens: wire.prompt_tokens ?? 0,
    outputTokens: wire.completion_tokens ?? 0
  }
  if (input?.cached_tokens != null) usage.cacheReadTokens = input.cached_tokens
  if (input?.cache_write_tokens != null) usage.cacheWriteTokens = input.cache_write_tokens
  if (output?.reasoning_tokens != null) usage.reasoningTokens = output.reasoning_tokens
  if (input?.audio_tokens) usage.audioInputTokens = input.audio_tokens
  if (output?.audio_tokens) usage.audioOutputTokens = output.audio_tokens
  return usage
}

/** Where the server states no usage. */
const estimatedUsage = (promptCharacters: number, answer: Choice): Usage => ({
  inputTokens: tokensOf(promptCharacters),
  outputTokens: tokensOf(answer.text.length),
  estimated: true
})

const blankMeta: Meta = { attempts: 1, cached: false, latencyMs: 0 }

/** What the answer was asked with, for the fields that a server may leave out. */
export interface Asked {
  readonly provider: string
  readonly model: string
  readonly promptCharacters: number
  readonly requestId: string | undefined
}

/** The answer, or the typed error for a 2xx that holds none. */
export const decode = (
  body: unknown,
  asked: Asked
): Either.Either<ChatResponse, NetworkError | ServerError> => {
  const parsed = isPlain(body) ? Either.right(body) : decodeWire(body)
  const context = {
    provider: asked.provider,
    ...(asked.requestId === undefined ? undefined : { requestId: asked.requestId })
  }
  if (Either.isLeft(parsed)) {
    return Either.left(new NetworkError({ ...context, message: issue(parsed.left) }))
  }
  const wire = parsed.right
  const first = wire.choices[0]
  const answer = choice(first)
  if (answer.finishReason === "error") {
    return Either.left(
      new ServerError({ ...context, message: `the model stopped with "${first.finish_reason}"` })
    )
  }
  const response: Writable<ChatResponse> = fromFields({
    text: answer.text,
    finishReason: answer.finishReason,
    toolCalls: answer.toolCalls,
    usage: wire.usage ? usageOf(wire.usage) : estimatedUsage(asked.promptCharacters, answer),
    model: wire.model || asked.model,
    provider: asked.provider,
    raw: body,
    meta: asked.requestId === undefined ? blankMeta : { ...blankMeta, requestId: asked.requestId }
  })
  const reasoning = first.message.reasoning_content || first.message.reasoning
  if (answer.refusal !== undefined) response.refusal = answer.refusal
  if (answer.logprobs !== undefined) response.logprobs = answer.logprobs
  if (wire.id) response.id = wire.id
  if (first.finish_reason != null) response.rawFinishReason = first.finish_reason
  if (reasoning) response.reasoning = reasoning
  if (wire.choices.length > 1) response.alternatives = wire.choices.slice(1).map(choice)
  if (wire.service_tier) response.serviceTier = wire.service_tier
  return Either.right(response)
}

/** Where the body stops being an answer, and why, in one line. */
const issue = (error: ParseResult.ParseError): string => {
  const [first] = ParseResult.ArrayFormatter.formatErrorSync(error)
  const path = first?.path.length ? `${first.path.map(String).join(".")}: ` : ""
  return safeText(`the answer is not a chat completion: ${path}${first?.message ?? ""}`, 200)
}
