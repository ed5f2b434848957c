/** Cohere's answers, normalised. What only describes an answer counts as absent where it is of another type. */
import * as Either from "effect/Either"
import { type LlmError, ServerError, TimeoutError, withUsage } from "../LlmError.js"
import type { ReasoningPart, ToolCall } from "../Message.js"
import type { Embedding } from "../Request.js"
import { type ChatResponse, type EmbeddingResponse, fromFields } from "../Response.js"
import { toolCall } from "../StreamPart.js"
import type { Usage } from "../Usage.js"
import { type Asked, answered } from "../Wire.js"
import { protocol } from "./cohereRequest.js"
import * as EmbeddingVectors from "./embeddingVectors.js"
import * as FinishReasons from "./finishReasons.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { context, noAnswer } from "./noAnswer.js"
import * as RankedResults from "./rankedResults.js"
import { estimatedUsage } from "./tokenEstimate.js"
import { argumentsOf, countOf, listOf, objectOf, textOf } from "./wireValues.js"

/** Why the answer ended. */
export const finishReasonOf = FinishReasons.reader(
  {
    COMPLETE: "stop",
    STOP_SEQUENCE: "stop",
    MAX_TOKENS: "length",
    TOOL_CALL: "tool_calls",
    ERROR_TOXIC: "content_filter",
    ERROR: "error",
    TIMEOUT: "error"
  },
  "COMPLETE"
)

/** The error of an answer that ended before it was whole. */
export const failed = (asked: Asked, raw: string | undefined): LlmError => {
  const fields = { ...context(asked), message: `the model stopped with "${raw ?? "ERROR"}"` }
  return raw === "TIMEOUT" ? new TimeoutError(fields) : new ServerError(fields)
}

type Writable<A> = { -readonly [K in keyof A]: A[K] }

/** A thought as it is to be sent back. */
export const thought = (text: string): ReasoningPart => ({ text, provider: protocol })

/** The same of the plan that comes before tool calls. */
export const plan = (text: string): ReasoningPart => ({ text, provider: protocol, item: { tool_plan: text } })

/** What was used, the prompt's template included, and beside it what is billed of it. */
export const usageOf = (wire: unknown): Usage | undefined => {
  if (!isJsonObject(wire)) return undefined
  const tokens = objectOf(wire.tokens)
  const billed = objectOf(wire.billed_units)
  const billedInputTokens = countOf(billed.input_tokens)
  const billedOutputTokens = countOf(billed.output_tokens)
  const cacheReadTokens = countOf(wire.cached_tokens)
  const inputTokens = countOf(tokens.input_tokens) ?? billedInputTokens
  const outputTokens = countOf(tokens.output_tokens) ?? billedOutputTokens
  // what is not stated is not free
  if (inputTokens === undefined || outputTokens === undefined) return undefined
  const usage: Writable<Usage> = { inputTokens, outputTokens }
  if (cacheReadTokens !== undefined) usage.cacheReadTokens = cacheReadTokens
  if (billedInputTokens !== undefined) usage.billedInputTokens = billedInputTokens
  if (billedOutputTokens !== undefined) usage.billedOutputTokens = billedOutputTokens
  return usage
}

const toolCallOf = (item: unknown, index: number): ToolCall => {
  const { function: called, id } = objectOf(item)
  const { arguments: given, name } = objectOf(called)
  return toolCall({
    id: textOf(id) ?? `call_${index}`,
    name: textOf(name) ?? "",
    arguments: argumentsOf(given)
  })
}

const contentText = (content: unknown): string => {
  if (typeof content === "string") return content
  let text = ""
  for (const block of listOf(content).map(objectOf))
    if (block.type === "text") text += textOf(block.text) ?? ""
  return text
}

/** What was thought before the answer, and planned before the calls. */
const thoughtsOf = ({ content, tool_plan: given }: JsonObject): ReadonlyArray<ReasoningPart> => {
  const thoughts: Array<ReasoningPart> = []
  for (const block of listOf(content).map(objectOf)) {
    if (block.type === "thinking") thoughts.push(thought(textOf(block.thinking) ?? ""))
  }
  const planned = textOf(given)
  if (planned !== undefined) thoughts.push(plan(planned))
  return thoughts
}

/** The chat's answer, or the typed error for a 2xx that holds none. */
export const decode = (body: unknown, asked: Asked): Either.Either<ChatResponse, LlmError> => {
  const { finish_reason: reason, id, logprobs, message, usage } = objectOf(body)
  if (!isJsonObject(message)) return Either.left(noAnswer(asked, body, "a chat's answer"))
  const { meta, provider } = answered(asked, body)
  const raw = textOf(reason)
  const toolCalls = listOf(message.tool_calls).map(toolCallOf)
  const finishReason = finishReasonOf(raw, toolCalls.length > 0)
  if (finishReason === "error") return Either.left(withUsage(failed(asked, raw), usageOf(usage)))
  const text = contentText(message.content)
  const thoughts = thoughtsOf(message)
  const reasoning = thoughts.map((part) => part.text).join("")
  // one plain object, and what is rare after it: spreading what may be absent costs ten times as much
  const response: Writable<ChatResponse> = fromFields({
    text,
    finishReason,
    toolCalls,
    usage: usageOf(usage) ?? estimatedUsage(asked.request, { text, reasoning, toolCalls }),
    model: asked.model,
    provider,
    raw: body,
    meta
  })
  const answerId = textOf(id)
  if (answerId !== undefined) response.id = answerId
  if (raw !== undefined) response.rawFinishReason = raw
  if (reasoning !== "") response.reasoning = reasoning
  if (thoughts.length > 0) response.reasoningParts = thoughts
  if (logprobs != null) response.logprobs = logprobs
  return Either.right(response)
}

// --- vectors -----------------------------------------------------------------------------------------------

/** The kind of vectors to read, of those that came: the first that was asked for, or floats. */
const kindOf = (embeddings: JsonObject, { extra }: Embedding): string => {
  const asked = listOf(extra?.embedding_types).find((type) => typeof type === "string" && type in embeddings)
  return textOf(asked) ?? ("float" in embeddings ? "float" : (Object.keys(embeddings)[0] ?? "float"))
}

const billedUsage = ({ meta }: JsonObject): Usage | undefined => {
  const { image_tokens: images, input_tokens: texts } = objectOf(objectOf(meta).billed_units)
  const inputTokens = countOf(texts)
  return inputTokens === undefined
    ? undefined
    : { inputTokens: inputTokens + (countOf(images) ?? 0), outputTokens: 0 }
}

/** The vectors, which come by their kind, each kind in the order of the inputs; or in one list, as in API v1. */
export const decodeEmbedding = (body: unknown, asked: Asked): Either.Either<EmbeddingResponse, LlmError> => {
  const answer = objectOf(body)
  const { embeddings } = answer
  const kinds = isJsonObject(embeddings) ? embeddings : { float: embeddings }
  const kind = asked.request._tag === "Embedding" ? kindOf(kinds, asked.request) : "float"
  const vectors = listOf(kinds[kind]).map((vector) =>
    // base64 holds floats
    EmbeddingVectors.vectorOf(vector, kind === "base64" ? "float" : kind)
  )
  return EmbeddingVectors.respond(body, asked, vectors, billedUsage(answer))
}

/** The ranked documents; searches are billed, not tokens. */
export const decodeRerank = RankedResults.decode("results", (body, asked) => {
  const searchUnits = countOf(objectOf(objectOf(body.meta).billed_units).search_units)
  return searchUnits === undefined ? undefined : { ...estimatedUsage(asked.request), searchUnits }
})
