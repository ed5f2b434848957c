/**
 * Anthropic's message, normalised. The answer is paid for: what only describes it counts as absent where it is of the
 * wrong type. Blocks are found by their type and never by their place.
 */
import * as Either from "effect/Either"
import { NetworkError } from "../LlmError.js"
import type { ToolCall } from "../Message.js"
import { type ChatResponse, type FinishReason, fromFields } from "../Response.js"
import { toolCall } from "../StreamPart.js"
import type { Usage } from "../Usage.js"
import { type Asked, answered } from "../Wire.js"
import * as Thoughts from "./anthropicThoughts.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { estimatedUsage } from "./tokenEstimate.js"

type Writable<A> = { -readonly [K in keyof A]: A[K] }

/** A text that is there; the empty one says nothing. */
export const textIn = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

const countIn = (value: unknown): number | undefined => {
  if (typeof value === "number") return value
  const count = typeof value === "string" && value.trim() !== "" ? Number(value) : Number.NaN
  return Number.isFinite(count) ? count : undefined
}

const finishReasons: ReadonlyMap<string, FinishReason> = new Map([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["tool_use", "tool_calls"],
  ["refusal", "content_filter"],
  ["pause_turn", "pause"],
  ["compaction", "pause"]
])

/** Why the model stopped. Servers that speak this wire may end a call with another word for it: the calls tell. */
export const finishReasonOf = (raw: string | undefined, hasCalls: boolean): FinishReason => {
  const reason = raw === undefined ? "other" : (finishReasons.get(raw) ?? "other")
  return hasCalls && (raw === undefined || raw === "end_turn") ? "tool_calls" : reason
}

/** Why the model refused, where Anthropic says it: in a sentence, or by the name of a policy. */
export const refusalOf = (details: unknown): string | undefined =>
  isJsonObject(details) ? (textIn(details.explanation) ?? textIn(details.category) ?? undefined) : undefined

/**
 * Tokens read from and written to the prompt cache are no part of `input_tokens`, and are of ours. Thinking is part of
 * `output_tokens`. Nothing where the server states none.
 */
export const usageOf = (wire: unknown): Usage | undefined => {
  if (!isJsonObject(wire)) return undefined
  const input = countIn(wire.input_tokens)
  const output = countIn(wire.output_tokens)
  if (input === undefined && output === undefined) return undefined
  const read = countIn(wire.cache_read_input_tokens)
  const written = countIn(wire.cache_creation_input_tokens)
  const creation = wire.cache_creation
  const writtenForAnHour = isJsonObject(creation) ? countIn(creation.ephemeral_1h_input_tokens) : undefined
  const details = wire.output_tokens_details
  const thought = isJsonObject(details) ? countIn(details.thinking_tokens) : undefined
  const usage: Writable<Usage> = {
    inputTokens: (input ?? 0) + (read ?? 0) + (written ?? 0),
    outputTokens: output ?? 0
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
        id: textIn(id) ?? `call_${index}`,
        name: textIn(name) ?? "",
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
  const rawFinishReason = textIn(body.stop_reason)
  const from = answered(asked, body)
  const response: Writable<ChatResponse> = fromFields({
    ...from,
    text,
    finishReason: finishReasonOf(rawFinishReason, toolCalls.length > 0),
    toolCalls,
    usage: usageOf(body.usage) ?? estimatedUsage(asked.request, { text, reasoning, toolCalls }),
    model: textIn(body.model) ?? from.model
  })
  const id = textIn(body.id)
  if (id !== undefined) response.id = id
  if (rawFinishReason !== undefined) response.rawFinishReason = rawFinishReason
  if (reasoning !== "") response.reasoning = reasoning
  const thoughts = plain ? [] : Thoughts.partsOf(content)
  if (thoughts.length > 0) response.reasoningParts = thoughts
  const refusal = rawFinishReason === "refusal" ? refusalOf(body.stop_details) : undefined
  if (refusal !== undefined) response.refusal = refusal
  const tier = isJsonObject(body.usage) ? textIn(body.usage.service_tier) : undefined
  if (tier !== undefined) response.serviceTier = tier
  return Either.right(response)
}
