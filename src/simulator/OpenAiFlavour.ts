/**
 * How a server that speaks OpenAI's chat completions differs from OpenAI: what it asks of a request, and how it words
 * its answers.
 */
import type { Body } from "./OpenAiError.js"
import type { Reply } from "./Wire.js"

/** Tokens of one answer, as OpenAI counts them. */
export interface Counts {
  readonly input: number
  readonly cached: number
  readonly audio: number
  /** Thoughts included. */
  readonly output: number
  readonly reasoning: number
}

/** One server's ways. */
export interface Flavour {
  readonly name: string
  /** Parameters besides OpenAI's; absent where it ignores what it does not know. */
  readonly parameters: ReadonlyArray<string> | undefined
  /** Whether OpenAI's rules for its model families hold. */
  readonly families: boolean
  /** Whether a request has the model think. */
  readonly thinks: (body: Body, model: string) => boolean
  /** Where its thoughts are shown: in a field of the message, in tags in its text, nowhere. */
  readonly thoughts: "hidden" | "reasoning_content" | "reasoning" | "reasoning_details" | "tags"
  /** Whether a request may name the tool to call, or chooses among them in words alone, and is ignored elsewise. */
  readonly choosesTools: "named" | "words"
  /** What it refuses besides what OpenAI does. */
  readonly refuses: (body: Body) => Reply | undefined
  /** Most tokens of the answer that a request allows. */
  readonly maxTokens: (body: Body) => unknown
  /** What its usage tells apart. */
  readonly counts: ReadonlyArray<"cached" | "reasoning" | "audio">
  /** Its usage; absent where it states none. */
  readonly usage: ((counts: Counts) => Readonly<Record<string, unknown>>) | undefined
  /** Whether streams have their usage: when asked, always, or inside a member of Groq's own. */
  readonly streamUsage: "asked" | "always" | "x_groq"
  /** Whether it forgets ids, indexes and roles of calls, and the mark at the end of a stream. */
  readonly sloppy: boolean
  /** What an answer has besides, and its choices. */
  readonly extras: Readonly<Record<string, unknown>>
  readonly choiceExtras: Readonly<Record<string, unknown>>
  /** A chunk before all others, without choices. */
  readonly firstChunk: Readonly<Record<string, unknown>> | undefined
}

/** Models that reason before they answer, and refuse sampling parameters: o1, o3, o4-mini, gpt-5 and later. */
export const isReasoning = (model: string): boolean =>
  /^(o[134](-|$)|gpt-([5-9]|\d\d))/.test(model) && !model.startsWith("gpt-5-chat")

const openAiUsage = ({ audio, cached, input, output, reasoning }: Counts) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
  prompt_tokens_details: { cached_tokens: cached, audio_tokens: audio },
  completion_tokens_details: {
    reasoning_tokens: reasoning,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0
  }
})

/** OpenAI itself. */
export const openAi: Flavour = {
  name: "openai",
  parameters: [],
  families: true,
  thinks: (body, model) => isReasoning(model) && body["reasoning_effort"] !== "none",
  thoughts: "hidden",
  choosesTools: "named",
  refuses: () => undefined,
  maxTokens: (body) => body["max_completion_tokens"] ?? body["max_tokens"],
  counts: ["cached", "reasoning", "audio"],
  usage: openAiUsage,
  streamUsage: "asked",
  sloppy: false,
  extras: {},
  choiceExtras: {},
  firstChunk: undefined
}
