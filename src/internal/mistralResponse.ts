/** Mistral's chat completion, normalised. What only describes the answer counts as absent where it is of another type. */
import * as Either from "effect/Either"
import { type LlmError, ServerError, withUsage } from "../LlmError.js"
import type { ReasoningPart, ToolCall } from "../Message.js"
import { type ChatResponse, type Choice, fromFields } from "../Response.js"
import { toolCall } from "../StreamPart.js"
import type { Usage } from "../Usage.js"
import { type Asked, answered } from "../Wire.js"
import * as FinishReasons from "./finishReasons.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { protocol } from "./mistralRequest.js"
import { context, noAnswer } from "./noAnswer.js"
import { estimatedUsage } from "./tokenEstimate.js"
import { argumentsOf, countOf, listOf, objectOf, textOf } from "./wireValues.js"

/** Why the answer ended. */
export const finishReasonOf = FinishReasons.reader(
  { stop: "stop", length: "length", model_length: "length", tool_calls: "tool_calls", error: "error" },
  "stop"
)

/** The error of a model that failed in the middle. */
export const failed = (asked: Asked, raw: string | undefined): LlmError =>
  new ServerError({ ...context(asked), message: `the model stopped with "${raw ?? "error"}"` })

/** The text of content, which is one or a list of chunks. */
export const contentText = (content: unknown): string =>
  typeof content === "string"
    ? content
    : listOf(content)
        .map(objectOf)
        .map(({ text, type }) => (type === "text" || type === undefined ? (textOf(text) ?? "") : ""))
        .join("")

/** The chunks of thought in content. */
export const thinkingChunks = (content: unknown): ReadonlyArray<JsonObject> =>
  listOf(content)
    .map(objectOf)
    .filter(({ type }) => type === "thinking")

/** The text of pieces of thought, which is one itself with some servers. */
export const thinkingText = (thinking: unknown): string =>
  typeof thinking === "string" ? thinking : contentText(thinking)

/** A thought as it is to be sent back: the chunk itself where there is more to it than text. */
export const reasoningPart = (chunk: JsonObject): ReasoningPart => {
  const { signature, thinking } = chunk
  const isPlain =
    typeof thinking === "string" || listOf(thinking).every((piece) => objectOf(piece).type === "text")
  const proof = textOf(signature)
  return {
    text: thinkingText(thinking),
    provider: protocol,
    ...(proof === undefined ? undefined : { signature: proof }),
    ...(isPlain ? undefined : { item: chunk })
  }
}

/** The id of a call; servers write `"null"` where there is none. */
export const callId = (id: unknown): string | undefined => (id === "null" ? undefined : textOf(id))

const toolCallOf = (item: unknown, index: number): ToolCall => {
  const { function: called, id } = objectOf(item)
  const { arguments: given, name } = objectOf(called)
  return toolCall({
    id: callId(id) ?? `call_${index}`,
    name: textOf(name) ?? "",
    arguments: argumentsOf(given)
  })
}

/** Cached tokens stand under one of three names. `undefined` without both counts: what is not stated is not free. */
export const usageOf = (wire: unknown): Usage | undefined => {
  if (!isJsonObject(wire)) return undefined
  const cached =
    countOf(wire.num_cached_tokens) ??
    countOf(objectOf(wire.prompt_tokens_details).cached_tokens) ??
    countOf(objectOf(wire.prompt_token_details).cached_tokens)
  const inputTokens = countOf(wire.prompt_tokens)
  const outputTokens = countOf(wire.completion_tokens)
  if (inputTokens === undefined || outputTokens === undefined) return undefined
  return cached === undefined
    ? { inputTokens, outputTokens }
    : { inputTokens, outputTokens, cacheReadTokens: cached }
}

const noCalls: ReadonlyArray<ToolCall> = []

const choiceOf = ({ finish_reason: reason, message }: JsonObject): Choice => {
  const { content, tool_calls: calls } = objectOf(message)
  const toolCalls = calls == null ? noCalls : listOf(calls).map(toolCallOf)
  return {
    text: contentText(content),
    finishReason: finishReasonOf(textOf(reason), toolCalls.length > 0),
    toolCalls
  }
}

type Writable<A> = { -readonly [K in keyof A]: A[K] }

/** The answer, or the typed error for a 2xx that holds none. */
export const decode = (body: unknown, asked: Asked): Either.Either<ChatResponse, LlmError> => {
  const { choices, id, model, usage } = objectOf(body)
  const [first, ...others] = listOf(choices)
  if (!isJsonObject(first) || !isJsonObject(first.message)) {
    return Either.left(noAnswer(asked, body, "a chat completion"))
  }
  const { meta, provider } = answered(asked, body)
  const { finishReason, text, toolCalls } = choiceOf(first)
  const raw = textOf(first.finish_reason)
  if (finishReason === "error") return Either.left(withUsage(failed(asked, raw), usageOf(usage)))
  const { content } = first.message
  const thoughts = typeof content === "string" ? [] : thinkingChunks(content).map(reasoningPart)
  const reasoning = thoughts.map((thought) => thought.text).join("")
  // one plain object, and what is rare after it: spreading what may be absent costs ten times as much
  const response: Writable<ChatResponse> = fromFields({
    text,
    finishReason,
    toolCalls,
    usage: usageOf(usage) ?? estimatedUsage(asked.request, { text, reasoning, toolCalls }),
    model: textOf(model) ?? asked.model,
    provider,
    raw: body,
    meta
  })
  const answerId = textOf(id)
  if (answerId !== undefined) response.id = answerId
  if (raw !== undefined) response.rawFinishReason = raw
  if (reasoning !== "") response.reasoning = reasoning
  if (thoughts.length > 0) response.reasoningParts = thoughts
  if (others.length > 0) response.alternatives = others.map((other) => choiceOf(objectOf(other)))
  return Either.right(response)
}
