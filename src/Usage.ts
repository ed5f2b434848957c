/**
 * What a call used, in tokens, counted the same way for every provider.
 *
 * @example
 * import { batch, Chat, Usage } from "floodgate"
 * import * as Array from "effect/Array"
 * import * as Effect from "effect/Effect"
 *
 * const used = Effect.map(batch([Chat.prompt("1 + 1 = ?"), Chat.prompt("2 + 2 = ?")]), (outcomes) =>
 *   Array.reduce(Array.getRights(outcomes), Usage.zero, (sum, { usage }) => Usage.add(sum, usage))
 * )
 *
 * @module
 */
import * as Schema from "effect/Schema"

/**
 * Tokens of one call. `cacheReadTokens` and `cacheWriteTokens` are parts of `inputTokens`, and
 * `reasoningTokens` is part of `outputTokens`, whatever the provider's own fields do.
 */
export const Usage = Schema.Struct({
  /** All input, cached or not. */
  inputTokens: Schema.Number,
  /** All output, reasoning included. */
  outputTokens: Schema.Number,
  /** Input read from the provider's prompt cache. */
  cacheReadTokens: Schema.optional(Schema.Number),
  /** Input written to the provider's prompt cache. */
  cacheWriteTokens: Schema.optional(Schema.Number),
  /** The part of `cacheWriteTokens` that is kept for an hour, which costs more than five minutes. */
  cacheWrite1hTokens: Schema.optional(Schema.Number),
  /** Output spent on reasoning. */
  reasoningTokens: Schema.optional(Schema.Number),
  audioInputTokens: Schema.optional(Schema.Number),
  audioOutputTokens: Schema.optional(Schema.Number),
  /** Input that is paid for, where that is not all of it: Cohere does not bill the template around a prompt. */
  billedInputTokens: Schema.optional(Schema.Number),
  /** The same of the output. */
  billedOutputTokens: Schema.optional(Schema.Number),
  /** What Cohere bills a reranking in: a query with up to a hundred documents is one. */
  searchUnits: Schema.optional(Schema.Number),
  /** `true` where the server stated no usage and the counts are ours. */
  estimated: Schema.optional(Schema.Boolean)
})
export type Usage = typeof Usage.Type

/** No usage at all. */
export const zero: Usage = { inputTokens: 0, outputTokens: 0 }

const plus = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined && b === undefined ? undefined : (a ?? 0) + (b ?? 0)

/** The sum of two usages, class by class. Estimated if either is. */
export const add = (a: Usage, b: Usage): Usage => {
  const optional = {
    cacheReadTokens: plus(a.cacheReadTokens, b.cacheReadTokens),
    cacheWriteTokens: plus(a.cacheWriteTokens, b.cacheWriteTokens),
    cacheWrite1hTokens: plus(a.cacheWrite1hTokens, b.cacheWrite1hTokens),
    reasoningTokens: plus(a.reasoningTokens, b.reasoningTokens),
    audioInputTokens: plus(a.audioInputTokens, b.audioInputTokens),
    audioOutputTokens: plus(a.audioOutputTokens, b.audioOutputTokens),
    billedInputTokens: plus(a.billedInputTokens, b.billedInputTokens),
    billedOutputTokens: plus(a.billedOutputTokens, b.billedOutputTokens),
    searchUnits: plus(a.searchUnits, b.searchUnits),
    estimated: a.estimated === true || b.estimated === true ? true : undefined
  }
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    ...optional
  }
}
