/** The usage that servers of OpenAI's chat completions state, each in its way. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Usage } from "../Usage.js"
import { isJsonObject } from "./jsonObject.js"
import type { Dialect } from "./openAiDialect.js"

/** Absent where it is not what it should be. */
export const lenient = <A, I>(schema: Schema.Schema<A, I>) =>
  Schema.optional(Schema.NullOr(schema).annotations({ decodingFallback: () => Either.right(null) }))

const Count = lenient(Schema.Union(Schema.Number, Schema.NumberFromString.pipe(Schema.finite())))

export const WireUsage = Schema.Struct({
  prompt_tokens: Count,
  completion_tokens: Count,
  prompt_tokens_details: lenient(
    Schema.Struct({
      cached_tokens: Count,
      cache_write_tokens: Count,
      audio_tokens: Count
    })
  ),
  completion_tokens_details: lenient(Schema.Struct({ reasoning_tokens: Count, audio_tokens: Count })),
  /** DeepSeek's: what it had in its cache of the prompt. */
  prompt_cache_hit_tokens: Count
})
export type WireUsage = typeof WireUsage.Type

const decodeWire = Schema.decodeUnknownEither(WireUsage)

const isCount = (value: unknown) => value == null || typeof value === "number"

/** Whether a usage can be read as it is, as nearly all can: the schema costs ten times as much. */
export const isPlain = (usage: unknown): usage is WireUsage | null | undefined => {
  if (usage == null) return true
  if (!isJsonObject(usage) || !isCount(usage.prompt_tokens) || !isCount(usage.completion_tokens)) return false
  if (!isCount(usage.prompt_cache_hit_tokens)) return false
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

type Writable<A> = { -readonly [K in keyof A]: A[K] }

const isStated = (count: number | null | undefined): count is number =>
  count != null && Number.isFinite(count) && count >= 0

/**
 * Cached and cache-write tokens are parts of `prompt_tokens`, and thoughts of `completion_tokens`, but for xAI.
 * `undefined` without both counts: what is not stated is not free.
 */
export const usageOf = (wire: WireUsage, reasoningTokens: Dialect["reasoningTokens"]): Usage | undefined => {
  if (!isStated(wire.prompt_tokens) || !isStated(wire.completion_tokens)) return undefined
  const input = wire.prompt_tokens_details
  const output = wire.completion_tokens_details
  const cached = input?.cached_tokens ?? wire.prompt_cache_hit_tokens
  const thoughts = output?.reasoning_tokens
  const usage: Writable<Usage> = {
    inputTokens: wire.prompt_tokens,
    outputTokens: wire.completion_tokens
  }
  if (reasoningTokens === "beside") {
    usage.outputTokens += thoughts ?? 0
    if (cached != null && cached > usage.inputTokens) usage.inputTokens += cached
  }
  if (cached != null) usage.cacheReadTokens = cached
  if (input?.cache_write_tokens != null) usage.cacheWriteTokens = input.cache_write_tokens
  if (thoughts != null) usage.reasoningTokens = thoughts
  if (input?.audio_tokens) usage.audioInputTokens = input.audio_tokens
  if (output?.audio_tokens) usage.audioOutputTokens = output.audio_tokens
  return usage
}

/** The same of what stands in an event. */
export const read = (wire: unknown, reasoningTokens: Dialect["reasoningTokens"]): Usage | undefined => {
  if (!isJsonObject(wire)) return undefined
  if (isPlain(wire)) return usageOf(wire, reasoningTokens)
  const decoded = decodeWire(wire)
  return Either.isRight(decoded) ? usageOf(decoded.right, reasoningTokens) : undefined
}
