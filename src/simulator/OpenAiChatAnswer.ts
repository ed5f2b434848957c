/**
 * `POST /v1/chat/completions`: what is answered, as one body or as a stream of chunks.
 */
import * as JsonInstance from "./JsonInstance.js"
import type { Counts, Flavour } from "./OpenAiFlavour.js"
import * as Text from "./Text.js"
import type { Answer, AnswerContext } from "./Wire.js"

/** A tool the request insists on. */
export interface ForcedTool {
  readonly name: string
  /** JSON Schema of the arguments; absent if it takes none. */
  readonly schema: unknown
  readonly finish?: "stop"
}

/** What the answer depends on. */
export interface Question {
  readonly model: string
  /** Text of the last user message. */
  readonly asked: string
  readonly inputTokens: number
  /** Of those, sound. */
  readonly audioTokens: number
  readonly n: number
  /** Most tokens of each choice, reasoning included. */
  readonly maxTokens: number | undefined
  readonly stop: ReadonlyArray<string>
  /** JSON Schema the text must fit; absent for prose. */
  readonly json: unknown
  readonly tool: ForcedTool | undefined
  /** Alternatives per token; absent if log probabilities were not asked for. */
  readonly topLogprobs: number | undefined
  readonly reasons: boolean
  readonly serviceTier: string
  readonly flavour: Flavour
  readonly stream: boolean
  readonly includeUsage: boolean
}

interface ToolCall {
  readonly id: string
  readonly type: "function"
  readonly function: { readonly name: string; readonly arguments: string }
}

interface Choice {
  readonly content: string | null
  readonly refusal: string | null
  readonly toolCalls: ReadonlyArray<ToolCall> | undefined
  readonly finish: "stop" | "length" | "tool_calls" | "content_filter"
  readonly visibleTokens: number
  readonly reasoningTokens: number
  /** The thoughts, where they are shown. */
  readonly thoughts: string | undefined
}

const cutAtStop = (text: string, stop: ReadonlyArray<string>): string => {
  const ends = stop.map((word) => text.indexOf(word)).filter((at) => at >= 0)
  return ends.length === 0 ? text : text.slice(0, Math.min(...ends))
}

/** Reasoning comes first and is paid from the same allowance. */
const choose = (question: Question, context: AnswerContext, index: number): Choice => {
  const { hash } = context
  const allowance = question.maxTokens ?? Number.POSITIVE_INFINITY
  const reasoningTokens = question.reasons ? Math.min(context.reasoningTokens, allowance) : 0
  const room = allowance - reasoningTokens
  const finished = (text: string) => {
    const visibleTokens = Text.tokensOf(text.length)
    return visibleTokens > room
      ? { text: text.slice(0, room * Text.charsPerToken), visibleTokens: room, cut: true }
      : { text, visibleTokens, cut: false }
  }
  const { thoughts: shown } = question.flavour
  const thoughts =
    shown === "hidden" || reasoningTokens === 0
      ? undefined
      : Text.answer(hash, "thinking", index, reasoningTokens).slice(0, reasoningTokens * Text.charsPerToken)
  const none = { content: null, refusal: null, toolCalls: undefined, reasoningTokens, thoughts }

  switch (context.bent) {
    case "refusal": {
      const { text, visibleTokens } = finished("I'm sorry, I can't assist with that request.")
      return { ...none, refusal: text, finish: "stop", visibleTokens }
    }
    case "contentFilter":
      return { ...none, content: "", finish: "content_filter", visibleTokens: 0 }
    case "empty":
      return { ...none, content: "", finish: "stop", visibleTokens: 0 }
    default:
  }

  const label = Text.mark(hash, index)
  if (question.tool !== undefined) {
    const { finish, name, schema } = question.tool
    const fitting = JSON.stringify(JsonInstance.make(schema ?? { type: "object" }, label))
    const { cut, text, visibleTokens } = finished(fitting)
    const call: ToolCall = {
      id: `call_${hash.text}${context.seq.toString(36)}_${index}`,
      type: "function",
      function: { name, arguments: text }
    }
    return { ...none, toolCalls: [call], finish: cut ? "length" : (finish ?? "tool_calls"), visibleTokens }
  }
  const full =
    question.json === undefined
      ? Text.answer(hash, question.asked, index, context.outputTokens)
      : JSON.stringify(JsonInstance.make(question.json, label))
  const { cut, text, visibleTokens } = finished(cutAtStop(full, question.stop))
  const content =
    shown === "tags" && thoughts !== undefined ? `<think>\n${thoughts}\n</think>\n\n${text}` : text
  return { ...none, content, finish: cut ? "length" : "stop", visibleTokens }
}

/** The members of a message, or of a delta, that hold thoughts. */
const thoughtFields = ({ thoughts: shown }: Flavour, thoughts: string | undefined) => {
  if (thoughts === undefined || shown === "hidden" || shown === "tags") return {}
  if (shown !== "reasoning_details") return { [shown]: thoughts }
  return {
    reasoning: thoughts,
    reasoning_details: [{ type: "reasoning.text", text: thoughts, format: "simulator-v1", index: 0 }]
  }
}

/** A call as a server gives it that keeps no ids, and arguments as they are. */
const sloppyCall = (call: ToolCall) => ({
  id: "",
  type: call.type,
  function: { name: call.function.name, arguments: parsed(call.function.arguments) }
})

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The log probabilities of a text. */
export const logprobsOf = (text: string, topLogprobs: number) => {
  const one = (token: string, rank: number) => ({
    token,
    logprob: -0.125 * (rank + 1),
    bytes: [...Buffer.from(token)]
  })
  return {
    content: Text.splitTokens(text).map((token) => ({
      ...one(token, 0),
      top_logprobs: Array.from({ length: topLogprobs }, (_, rank) =>
        rank === 0 ? one(token, 0) : one(`${token}${rank}`, rank)
      )
    })),
    refusal: null
  }
}

const countsOf = (question: Question, context: AnswerContext, choices: ReadonlyArray<Choice>): Counts => {
  let output = 0
  let reasoning = 0
  for (const choice of choices) {
    output += choice.visibleTokens + choice.reasoningTokens
    reasoning += choice.reasoningTokens
  }
  const { audioTokens: audio, inputTokens: input } = question
  // OpenAI caches prompts of 1024 tokens and more, in steps of 128.
  const cached = input < 1024 ? 0 : Math.floor((input * context.cachedShare) / 128) * 128
  return { input, cached, audio, output, reasoning }
}

const chunksOf = (
  question: Question,
  choices: ReadonlyArray<Choice>,
  chunkTokens: number
): ReadonlyArray<ReadonlyArray<unknown>> => {
  const chunks: Array<ReadonlyArray<unknown>> = []
  const { choiceExtras, sloppy } = question.flavour
  for (const [index, choice] of choices.entries()) {
    const push = (delta: unknown, finish: string | null = null, logprobs: unknown = null) =>
      chunks.push([{ index, delta, logprobs, finish_reason: finish, ...choiceExtras }])
    const role = sloppy ? "" : "assistant"
    push({ role, content: choice.toolCalls === undefined ? "" : null, refusal: null })
    for (const piece of Text.splitTokens(choice.thoughts ?? "", chunkTokens)) {
      const fields = thoughtFields(question.flavour, piece)
      if (Object.keys(fields).length > 0) push({ content: "", ...fields })
    }
    for (const piece of Text.splitTokens(choice.content ?? "", chunkTokens)) {
      const { topLogprobs } = question
      push({ content: piece }, null, topLogprobs === undefined ? null : logprobsOf(piece, topLogprobs))
    }
    for (const piece of Text.splitTokens(choice.refusal ?? "", chunkTokens)) push({ refusal: piece })
    for (const [at, call] of (choice.toolCalls ?? []).entries()) {
      const { function: called, id, type } = call
      if (sloppy) {
        push({ tool_calls: [sloppyCall(call)] })
        continue
      }
      push({ tool_calls: [{ index: at, id, type, function: { name: called.name, arguments: "" } }] })
      for (const piece of Text.splitTokens(called.arguments, chunkTokens)) {
        push({ tool_calls: [{ index: at, function: { arguments: piece } }] })
      }
    }
    push({}, choice.finish)
  }
  return chunks
}

/** Makes the answer to a question. */
export const make = (question: Question, context: AnswerContext): Answer => {
  const choices = Array.from({ length: question.n }, (_, index) => choose(question, context, index))
  const { flavour } = question
  const counts = countsOf(question, context, choices)
  const usage = flavour.usage?.(counts)
  const stated = usage === undefined ? {} : { usage }
  const told = (kind: Flavour["counts"][number]) => (flavour.counts.includes(kind) ? counts[kind] : 0)
  const amounts = {
    inputTokens: counts.input,
    outputTokens: counts.output,
    cacheReadTokens: told("cached"),
    reasoningTokens: told("reasoning"),
    audioTokens: told("audio")
  }
  const head = {
    id: `chatcmpl-${context.hash.text}${context.seq.toString(36)}`,
    created: Math.floor(context.now / 1000),
    model: question.model,
    service_tier: question.serviceTier,
    system_fingerprint: "fp_simulator",
    ...flavour.extras
  }
  if (!question.stream) {
    const body = {
      ...head,
      object: "chat.completion",
      choices: choices.map(({ content, finish, refusal, thoughts, toolCalls }, index) => ({
        index,
        message: {
          role: "assistant",
          content,
          refusal,
          annotations: [],
          ...thoughtFields(flavour, thoughts),
          ...(toolCalls && { tool_calls: flavour.sloppy ? toolCalls.map(sloppyCall) : toolCalls })
        },
        logprobs:
          question.topLogprobs === undefined || content === null
            ? null
            : logprobsOf(content, question.topLogprobs),
        finish_reason: finish,
        ...flavour.choiceExtras
      })),
      ...stated
    }
    return { ...amounts, body: JSON.stringify(body) }
  }
  const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`
  const chunk = { ...head, object: "chat.completion.chunk" }
  const pending = question.includeUsage ? { usage: null } : {}
  const events = chunksOf(question, choices, context.chunkTokens).map((parts) =>
    event({ ...chunk, choices: parts, ...pending })
  )
  if (flavour.firstChunk !== undefined) {
    events.unshift(event({ ...chunk, choices: [], ...flavour.firstChunk }))
  }
  if (flavour.streamUsage === "x_groq") {
    events.push(event({ ...chunk, choices: [], x_groq: { id: "req_simulator", ...stated } }))
  } else if (usage !== undefined && (question.includeUsage || flavour.streamUsage === "always")) {
    events.push(event({ ...chunk, choices: [], usage }))
  }
  if (!flavour.sloppy) events.push("data: [DONE]\n\n")
  return { ...amounts, body: events }
}
