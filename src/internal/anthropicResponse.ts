/**
 * Anthropic's message, normalised. The answer is paid for: what only describes it counts as absent where it is of the
 * wrong type. Blocks are found by their type and never by their place.
 */
import * as Either from "effect/Either"
import { NetworkError } from "../LlmError.js"
import type { ToolCall } from "../Message.js"
import { type ChatResponse, fromFields } from "../Response.js"
import { toolCall } from "../StreamPart.js"
import type { Usage } from "../Usage.js"
import { type Asked, answered } from "../Wire.js"
import * as Thoughts from "./anthropicThoughts.js"
import * as FinishReasons from "./finishReasons.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { estimatedUsage } from "./tokenEstimate.js"
import { countOf, textOf } from "./wireValues.js"

type Writable<A> = { -readonly [K in keyof A]: A[K] }

/** Why the model stopped. */
export const finishReasonOf = FinishReasons.reader(
  {
    end_turn: "stop",
    stop_sequence: "stop",
    max_tokens: "length",
    model_context_window_exceeded: "length",
    tool_use: "tool_calls",
    refusal: "content_filter",
    pause_turn: "pause",
    compaction: "pause"
  },
  "end_turn"
)

/** Why the model refused, where Anthropic says it: in a sentence, or by the name of a policy. */
export const refusalOf = (details: unknown): string | undefined =>
  isJsonObject(details) ? (textOf(details.explanation) ?? textOf(details.category) ?? undefined) : undefined

/**
 * Tokens read from and written to the prompt cache are no part of `input_tokens`, and are of ours. Thinking is part of
 * `output_tokens`. `undefined` without both counts: what is not stated is not free.
 */
export const usageOf = (wire: unknown): Usage | undefined => {
  if (!isJsonObject(wire)) return undefined
  const input = countOf(wire.input_tokens)
  const output = countOf(wire.output_tokens)
  if (input === undefined || output === undefined) return undefined
  const read = countOf(wire.cache_read_input_tokens)
  const written = countOf(wire.cache_creation_input_tokens)
  const creation = wire.cache_creation
  const writtenForAnHour = isJsonObject(creation) ? countOf(creation.ephemeral_1h_input_tokens) : undefined
  const details = wire.output_tokens_details
  const thought = isJsonObject(details) ? countOf(details.thinking_tokens) : undefined
  const usage: Writable<Usage> = {
    inputTokens: input + (read ?? 0) + (written ?? 0),
    outputTokens: output
  }
  if (read !== undefined) usage.cacheReadTokens = read
  if (written !== undefined) usage.cacheWriteTokens = written
  // most answers have none, and say so
  if (writtenForAnHour !== undefined && writtenForAnHour > 0) usage.cacheWrite1hTokens = writtenForAnHour
  if (thought !== undefined) usage.reasoningTokens = thought
  return usage
}

const callsIn = (content: ReadonlyArray<JsonObject>): ReadonlyArray<ToolCall> =>
  content
    .filter(({ type }) => type === "tool_use")
    .map(({ id, input, name }, index) =>
      toolCall({
        id: textOf(id) ?? `call_${index}`,
        name: textOf(name) ?? "",
        arguments: typeof input === "string" ? input : JSON.stringify(input ?? {})
      })
    )

/** Whether there is nothing but text, as in nearly all answers. */
const isPlain = (content: ReadonlyArray<JsonObject>): boolean =>
  content.every(({ citations, type }) => type === "text" && citations == null)

/** The answer, or the typed error for a 2xx that holds none. */
export const decode = (body: unknown, asked: Asked): Either.Either<ChatResponse, NetworkError> => {
  if (!isJsonObject(body) || !Array.isArray(body.content)) {
    return Either.left(
      new NetworkError({
        provider: asked.provider,
        message: `the answer is not a message: it has no list "content"`,
        ...(asked.requestId === undefined ? undefined : { requestId: asked.requestId })
      })
    )
  }
  const content = body.content.filter(isJsonObject)
  const text = Thoughts.saidIn(content)
  const plain = isPlain(content)
  const toolCalls = plain ? [] : callsIn(content)
  const reasoning = plain ? "" : Thoughts.textOf(content)
  const rawFinishReason = textOf(body.stop_reason)
  const from = answered(asked, body)
  const response: Writable<ChatResponse> = fromFields({
    ...from,
    text,
    finishReason: finishReasonOf(rawFinishReason, toolCalls.length > 0),
    toolCalls,
    usage: usageOf(body.usage) ?? estimatedUsage(asked.request, { text, reasoning, toolCalls }),
    model: textOf(body.model) ?? from.model
  })
  const id = textOf(body.id)
  if (id !== undefined) response.id = id
  if (rawFinishReason !== undefined) response.rawFinishReason = rawFinishReason
  if (reasoning !== "") response.reasoning = reasoning
  const thoughts = plain ? [] : Thoughts.partsOf(content)
  if (thoughts.length > 0) response.reasoningParts = thoughts
  const refusal = rawFinishReason === "refusal" ? refusalOf(body.stop_details) : undefined
  if (refusal !== undefined) response.refusal = refusal
  const tier = isJsonObject(body.usage) ? textOf(body.usage.service_tier) : undefined
  if (tier !== undefined) response.serviceTier = tier
  return Either.right(response)
}
