/**
 * What a call is billed: tokens by their kinds, as the provider's own usage counts them, and dollars.
 */

/** The tokens of one answer, or the sum of many. */
export interface Tokens {
  /** All of the prompt, cached or not. */
  readonly inputTokens: number
  /** All of the answer, thoughts included. */
  readonly outputTokens: number
  /** Of the input, what was read from the provider's prompt cache. */
  readonly cacheReadTokens: number
  /** Of the input, what was written to it. */
  readonly cacheWriteTokens: number
  /** Of the output, thoughts, where the provider tells them apart: Mistral, Cohere and vLLM do not. */
  readonly reasoningTokens: number
  /** Of the input, sound, where the provider tells it apart. */
  readonly audioTokens: number
  /** Of the input, what is paid for: all of it, but for the template that Cohere puts around a prompt. */
  readonly billedInputTokens: number
  /** What Cohere bills a reranking in. */
  readonly searchUnits: number
}

/** Its kinds. */
export const kinds = [
  "inputTokens",
  "outputTokens",
  "cacheReadTokens",
  "cacheWriteTokens",
  "reasoningTokens",
  "audioTokens",
  "billedInputTokens",
  "searchUnits"
] as const satisfies ReadonlyArray<keyof Tokens>

/** Nothing. */
export const none: Tokens = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  audioTokens: 0,
  billedInputTokens: 0,
  searchUnits: 0
}

/** What an answer module has to say of them: what is left out is none, and all input is paid for. */
export type Counted = Pick<Tokens, "inputTokens" | "outputTokens"> & Partial<Tokens>

/** All of them. */
export const of = (counted: Counted): Tokens => ({
  ...none,
  billedInputTokens: counted.inputTokens,
  ...counted
})

/** The bill of an answer that was stopped after this share of its output, 0 to 1. Thoughts come first. */
export const upTo = (tokens: Tokens, share: number): Tokens => {
  if (share >= 1) return tokens
  const outputTokens = Math.round(tokens.outputTokens * share)
  return { ...tokens, outputTokens, reasoningTokens: Math.min(tokens.reasoningTokens, outputTokens) }
}

/** Dollars for a million tokens. */
export interface Price {
  readonly input: number
  readonly output: number
  /** Of input read from the prompt cache. Default: as other input. */
  readonly cacheRead?: number
  /** Of input written to it. Default: as other input. */
  readonly cacheWrite?: number
  /** Factors by the service tier that the answer names, such as `{ flex: 0.5 }`. Default: 1. */
  readonly tiers?: Readonly<Record<string, number>>
}

/** Dollars for these tokens. */
export const cost = (tokens: Tokens, { cacheRead, cacheWrite, input, output }: Price): number => {
  const { billedInputTokens, cacheReadTokens, cacheWriteTokens, outputTokens } = tokens
  const plain = Math.max(0, billedInputTokens - cacheReadTokens - cacheWriteTokens)
  return (
    (plain * input +
      cacheReadTokens * (cacheRead ?? input) +
      cacheWriteTokens * (cacheWrite ?? input) +
      outputTokens * output) /
    1_000_000
  )
}
