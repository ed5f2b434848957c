/**
 * `POST /v1/messages`: what is answered, as one message or as a stream of events.
 */
import type { Body } from "./AnthropicError.js"
import type { Thinking } from "./AnthropicRules.js"
import * as JsonInstance from "./JsonInstance.js"
import * as RequestHash from "./RequestHash.js"
import * as Text from "./Text.js"
import type { Answer, AnswerContext } from "./Wire.js"

/** A tool the request insists on. */
export interface ForcedTool {
  readonly name: string
  /** JSON Schema of the arguments. */
  readonly schema: unknown
}

/** What the answer depends on. */
export interface Question {
  readonly model: string
  /** Text of the last user message. */
  readonly asked: string
  readonly inputTokens: number
  readonly maxTokens: number
  /** Tokens that are left of the context window. */
  readonly window: number | undefined
  readonly stop: ReadonlyArray<string>
  /** JSON Schema the text must fit; absent for prose. */
  readonly json: unknown
  readonly tools: ReadonlyArray<ForcedTool>
  readonly thinking: Thinking
  /** For how long the prompt is to be cached, if it is. */
  readonly cache: "5m" | "1h" | undefined
  readonly stream: boolean
}

/** The proof that a thought is ours: it goes with its text, and with no other. */
const signatureOf = (thought: string): string => `Eq${RequestHash.ofText(`thought ${thought}`).text}`

/** Whether a thought comes back as it was given. */
export const isSigned = ({ signature, thinking }: Body): boolean =>
  signature === signatureOf(String(thinking))

type Block =
  | { readonly type: "thinking"; readonly thinking: string; readonly signature: string }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; readonly input: unknown }

interface Written {
  readonly content: ReadonlyArray<Block>
  readonly reason: string
  readonly stopSequence: string | null
  readonly details: Body | null
  readonly outputTokens: number
  readonly thinkingTokens: number
}

interface Piece {
  readonly text: string
  readonly stopSequence: string | null
}

const cutAtStop = (text: string, stop: ReadonlyArray<string>): Piece => {
  let found: Piece = { text, stopSequence: null }
  for (const word of stop) {
    const at = found.text.indexOf(word)
    if (at >= 0) found = { text: found.text.slice(0, at), stopSequence: word }
  }
  return found
}

const thoughtOf = (question: Question, { hash }: AnswerContext, tokens: number): Block => {
  const full = `I think about ${hash.text}. ${"Step by step. ".repeat(Math.ceil(tokens / 4))}`
  const thinking = question.thinking.shown ? full.slice(0, Math.max(1, tokens) * Text.charsPerToken) : ""
  return { type: "thinking", thinking, signature: signatureOf(thinking) }
}

const refusedWith = (details: Body | null): Omit<Written, "outputTokens" | "thinkingTokens"> => ({
  content: [],
  reason: "refusal",
  stopSequence: null,
  details
})

/** Thinking comes first and is paid from the same allowance. */
const write = (question: Question, context: AnswerContext): Written => {
  const { bent, hash } = context
  const { thinking, window } = question
  const allowance = Math.min(question.maxTokens, window ?? Number.POSITIVE_INFINITY)
  const cutReason = allowance < question.maxTokens ? "model_context_window_exceeded" : "max_tokens"
  const most = Math.min(allowance, thinking.budget ?? Number.POSITIVE_INFINITY)
  const thinkingTokens = thinking.thinks ? Math.min(context.reasoningTokens, most) : 0
  const room = allowance - thinkingTokens
  const thoughts = thinkingTokens > 0 ? [thoughtOf(question, context, thinkingTokens)] : []

  switch (bent) {
    case "refusal": {
      const explanation = "This request could be related to an area that was determined as harmful."
      const details = { type: "refusal", category: "general_harms", explanation }
      return { ...refusedWith(details), outputTokens: 1, thinkingTokens: 0 }
    }
    case "contentFilter":
      return { ...refusedWith(null), outputTokens: 1, thinkingTokens: 0 }
    case "empty":
      return {
        ...refusedWith(null),
        content: thoughts,
        reason: "end_turn",
        outputTokens: thinkingTokens,
        thinkingTokens
      }
    default:
  }

  const label = Text.mark(hash)
  if (question.tools.length > 0) {
    const calls = question.tools.map(({ name, schema }, index) => ({
      type: "tool_use" as const,
      id: `toolu_${hash.text}${context.seq.toString(36)}_${index}`,
      name,
      input: JsonInstance.make(schema ?? { type: "object" }, label)
    }))
    const tokens = calls.reduce((sum, { input }) => sum + Text.tokensOf(JSON.stringify(input).length), 0)
    const isCut = tokens > room
    return {
      content: [...thoughts, ...(isCut ? [] : calls)],
      reason: isCut ? cutReason : "tool_use",
      stopSequence: null,
      details: null,
      outputTokens: thinkingTokens + Math.min(tokens, room),
      thinkingTokens
    }
  }
  const full =
    question.json === undefined
      ? Text.answer(hash, question.asked, 0, context.outputTokens)
      : JSON.stringify(JsonInstance.make(question.json, label))
  const { stopSequence, text } = cutAtStop(full, question.stop)
  const tokens = Text.tokensOf(text.length)
  const isCut = tokens > room
  const said = isCut ? text.slice(0, room * Text.charsPerToken) : text
  return {
    content: [...thoughts, ...(said === "" ? [] : [{ type: "text" as const, text: said }])],
    reason: isCut ? cutReason : stopSequence === null ? "end_turn" : "stop_sequence",
    stopSequence: isCut ? null : stopSequence,
    details: null,
    outputTokens: thinkingTokens + Math.min(tokens, room),
    thinkingTokens
  }
}

/** Of a prompt that is to be cached, and long enough, a part was known and the rest is kept. */
const usageOf = (question: Question, context: AnswerContext, written: Written) => {
  const isCached = question.cache !== undefined && question.inputTokens >= 1024
  const read = isCached ? Math.floor(question.inputTokens * context.cachedShare) : 0
  // what follows the last mark is not kept
  const kept = isCached ? Math.floor((question.inputTokens - read) * 0.9) : 0
  return {
    input_tokens: question.inputTokens - read - kept,
    cache_creation_input_tokens: kept,
    cache_read_input_tokens: read,
    cache_creation: {
      ephemeral_5m_input_tokens: question.cache === "5m" ? kept : 0,
      ephemeral_1h_input_tokens: question.cache === "1h" ? kept : 0
    },
    output_tokens: written.outputTokens,
    output_tokens_details: { thinking_tokens: written.thinkingTokens },
    inference_geo: "not_available",
    server_tool_use: null,
    service_tier: "standard"
  }
}

type Event = Body & { readonly type: string }

const deltasOf = (block: Block, chunkTokens: number): ReadonlyArray<Body> => {
  switch (block.type) {
    case "thinking":
      return [
        ...Text.splitTokens(block.thinking, chunkTokens).map((thinking) => ({
          type: "thinking_delta",
          thinking
        })),
        { type: "signature_delta", signature: block.signature }
      ]
    case "text":
      return Text.splitTokens(block.text, chunkTokens).map((text) => ({ type: "text_delta", text }))
    case "tool_use":
      return ["", ...Text.splitTokens(JSON.stringify(block.input), chunkTokens)].map((json) => ({
        type: "input_json_delta",
        partial_json: json
      }))
  }
}

const emptied = (block: Block): Body => {
  switch (block.type) {
    case "thinking":
      return { ...block, thinking: "", signature: "" }
    case "text":
      return { ...block, text: "" }
    case "tool_use":
      return { ...block, input: {} }
  }
}

const eventsOf = (
  message: Body,
  written: Written,
  usage: ReturnType<typeof usageOf>,
  chunkTokens: number
): ReadonlyArray<Event> => {
  const begun = { ...usage, output_tokens: 1, output_tokens_details: null }
  const start = { ...message, content: [], stop_reason: null, stop_sequence: null, stop_details: null }
  return [
    { type: "message_start", message: { ...start, usage: begun } },
    { type: "ping" },
    ...written.content.flatMap(
      (block, index): ReadonlyArray<Event> => [
        { type: "content_block_start", index, content_block: emptied(block) },
        ...deltasOf(block, chunkTokens).map((delta) => ({ type: "content_block_delta", index, delta })),
        { type: "content_block_stop", index }
      ]
    ),
    {
      type: "message_delta",
      delta: {
        stop_reason: written.reason,
        stop_sequence: written.stopSequence,
        stop_details: written.details,
        container: null
      },
      usage: {
        input_tokens: usage.input_tokens,
        cache_creation_input_tokens: usage.cache_creation_input_tokens,
        cache_read_input_tokens: usage.cache_read_input_tokens,
        output_tokens: usage.output_tokens,
        output_tokens_details: usage.output_tokens_details,
        server_tool_use: null
      }
    },
    { type: "message_stop" }
  ]
}

/** Makes the answer to a question. */
export const make = (question: Question, context: AnswerContext): Answer => {
  const written = write(question, context)
  const usage = usageOf(question, context, written)
  const amounts = {
    inputTokens: question.inputTokens,
    outputTokens: written.outputTokens,
    cacheReadTokens: usage.cache_read_input_tokens,
    cacheWriteTokens: usage.cache_creation_input_tokens,
    reasoningTokens: written.thinkingTokens
  }
  const message = {
    id: `msg_${context.hash.text}${context.seq.toString(36)}`,
    type: "message",
    role: "assistant",
    model: question.model,
    content: written.content.map((block) => (block.type === "text" ? { ...block, citations: null } : block)),
    stop_reason: written.reason,
    stop_sequence: written.stopSequence,
    stop_details: written.details,
    container: null,
    usage
  }
  if (!question.stream) return { ...amounts, body: JSON.stringify(message) }
  const events = eventsOf(message, written, usage, context.chunkTokens)
  return {
    ...amounts,
    body: events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  }
}
