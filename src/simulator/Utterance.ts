/**
 * What the simulated model says, before it is put into any wire's JSON.
 */
import * as JsonInstance from "./JsonInstance.js"
import * as Text from "./Text.js"
import type { AnswerContext } from "./Wire.js"

/** A tool the request insists on. */
export interface ForcedTool {
  readonly name: string
  /** JSON Schema of the arguments; absent if it takes none. */
  readonly schema: unknown
}

/** What the answer depends on. */
export interface Question {
  readonly model: string
  /** Text of the last user message. */
  readonly asked: string
  readonly inputTokens: number
  /** Most tokens of the answer, reasoning included. */
  readonly maxTokens: number | undefined
  readonly stop: ReadonlyArray<string>
  /** JSON Schema the text must fit; absent for prose. */
  readonly json: unknown
  readonly tool: ForcedTool | undefined
  readonly thinks: boolean
  readonly stream: boolean
}

/** One answer. */
export interface Utterance {
  readonly text: string
  readonly thinking: string
  readonly call: { readonly name: string; readonly arguments: string } | undefined
  /** Whether it ran out of tokens, ended at a stop text, or is done. */
  readonly ending: "cut" | "stopped" | "done"
  /** Tokens in all. */
  readonly tokens: number
}

const cutAtStop = (text: string, stop: ReadonlyArray<string>): string => {
  const ends = stop.map((word) => text.indexOf(word)).filter((at) => at >= 0)
  return ends.length === 0 ? text : text.slice(0, Math.min(...ends))
}

/** What is said, where a fault bends it: these models know no refusals but in plain words. */
const bentText: Readonly<Record<string, string>> = {
  refusal: "I'm sorry, I can't assist with that request.",
  contentFilter: "I'm sorry, I can't assist with that request.",
  empty: ""
}

/** Says something. Reasoning comes first and is paid from the same allowance. */
export const make = (question: Question, context: AnswerContext, index = 0): Utterance => {
  const { bent, hash } = context
  const allowance = question.maxTokens ?? Number.POSITIVE_INFINITY
  const thinkingTokens = question.thinks ? Math.min(context.reasoningTokens, allowance) : 0
  const thinking = Text.answer(hash, question.asked, index, thinkingTokens)
    .replace("Answer", "Thought")
    .slice(0, thinkingTokens * Text.charsPerToken)
  const room = allowance - thinkingTokens
  const finish = (text: string) => {
    const tokens = Text.tokensOf(text.length)
    return tokens > room
      ? { text: text.slice(0, room * Text.charsPerToken), tokens: thinkingTokens + room, cut: true }
      : { text, tokens: thinkingTokens + tokens, cut: false }
  }
  if (bent === undefined && question.tool !== undefined) {
    const { name, schema } = question.tool
    const fitting = JSON.stringify(JsonInstance.make(schema ?? { type: "object" }, Text.mark(hash, index)))
    const { cut, text, tokens } = finish(fitting)
    return { text: "", thinking, call: { name, arguments: text }, ending: cut ? "cut" : "done", tokens }
  }
  const full =
    bent !== undefined
      ? (bentText[bent] ?? "")
      : question.json === undefined
        ? Text.answer(hash, question.asked, index, context.outputTokens)
        : JSON.stringify(JsonInstance.make(question.json, Text.mark(hash, index)))
  const kept = cutAtStop(full, question.stop)
  const { cut, text, tokens } = finish(kept)
  return { text, thinking, call: undefined, ending: cut ? "cut" : kept === full ? "done" : "stopped", tokens }
}

/** Tokens of a part that is no text. */
export const mediaTokens = 85

/** Tokens of a prompt by the simulator's recipe: 3 for each message and the answer, 85 for each part that is no text. */
export const promptTokens = (counts: {
  readonly messages: number
  readonly characters: number
  readonly media: number
}): number => 3 + 3 * counts.messages + mediaTokens * counts.media + Text.tokensOf(counts.characters)

/** Part of a prompt that a cache would know: prompts of 1024 tokens and more, in steps of 128. */
export const cachedTokens = (inputTokens: number, { cachedShare }: AnswerContext): number =>
  inputTokens < 1024 ? 0 : Math.floor((inputTokens * cachedShare) / 128) * 128
