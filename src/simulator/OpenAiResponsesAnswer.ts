/** `POST /v1/responses`: what is answered, as one body or as a stream of events. */
import { logprobsOf } from "./OpenAiChatAnswer.js"
import { encryptedMark, unstoredMark } from "./OpenAiResponsesRules.js"
import * as Text from "./Text.js"
import * as Utterance from "./Utterance.js"
import type { Answer, AnswerContext } from "./Wire.js"

/** What the answer depends on. */
export interface Question extends Utterance.Question {
  /** Whether a summary of the thoughts was asked for. */
  readonly showsThoughts: boolean
  /** Whether thoughts come in encrypted form as well. */
  readonly encrypts: boolean
  readonly stores: boolean
  /** Alternatives per token; absent if log probabilities were not asked for. */
  readonly topLogprobs: number | undefined
  /** Settings that every answer repeats. */
  readonly echo: Readonly<Record<string, unknown>>
}

/** An item of the output. */
type Item = Readonly<Record<string, unknown>>

const messageOf = (question: Question, context: AnswerContext, id: string, text: string): Item => {
  const isRefusal = context.bent === "refusal"
  const { topLogprobs } = question
  const logprobs = topLogprobs === undefined ? [] : logprobsOf(text, topLogprobs).content
  return {
    type: "message",
    id: `msg_${id}`,
    status: "completed",
    role: "assistant",
    content: [
      isRefusal
        ? { type: "refusal", refusal: text }
        : { type: "output_text", text, annotations: [], logprobs }
    ]
  }
}

const itemsOf = (
  question: Question,
  context: AnswerContext,
  { call, ending, text, thinking }: Utterance.Utterance
): ReadonlyArray<Item> => {
  const id = `${context.hash.text}${context.seq.toString(36)}`
  const status = ending === "cut" ? "incomplete" : "completed"
  const thought: Item = {
    type: "reasoning",
    id: question.stores ? `rs_${id}` : `${unstoredMark}_${id}`,
    summary: question.showsThoughts ? [{ type: "summary_text", text: thinking }] : [],
    ...(question.encrypts ? { encrypted_content: `${encryptedMark}${id}` } : undefined)
  }
  const thoughts = thinking === "" ? [] : [thought]
  if (call !== undefined) {
    const called = { type: "function_call", id: `fc_${id}`, status, call_id: `call_${id}`, ...call }
    return [...thoughts, called]
  }
  // cut while it was still thinking, or blocked
  if (context.bent === "contentFilter" || (ending === "cut" && text === "")) return thoughts
  return [...thoughts, { ...messageOf(question, context, id, text), status }]
}

/** One event: its name is in its data too. */
type Event = Readonly<Record<string, unknown>> & { readonly type: string }

/** A piece of an item: that it begins, its deltas, that it is done. */
const piece = (
  kind: string,
  at: Item,
  text: string,
  chunkTokens: number,
  more: (delta: string) => Item = () => ({})
): ReadonlyArray<Event> => [
  ...Text.splitTokens(text, chunkTokens).map((delta) => ({
    type: `response.${kind}.delta`,
    ...at,
    delta,
    ...more(delta)
  })),
  { type: `response.${kind}.done`, ...at, text }
]

const eventsOf = (
  item: Item,
  index: number,
  { topLogprobs }: Question,
  chunkTokens: number
): ReadonlyArray<Event> => {
  const at = { item_id: item["id"], output_index: index }
  const begun = (fields: Item): Event => ({
    type: "response.output_item.added",
    output_index: index,
    item: { ...item, status: "in_progress", ...fields }
  })
  const done: Event = { type: "response.output_item.done", output_index: index, item }
  // items are made above: these are their fields
  const {
    arguments: given,
    content,
    summary
  } = item as {
    readonly arguments?: string
    readonly content?: ReadonlyArray<{ readonly text?: string; readonly refusal?: string }>
    readonly summary?: ReadonlyArray<{ readonly text: string }>
  }
  if (summary !== undefined) {
    const parts = summary.flatMap(({ text }, i) =>
      piece("reasoning_summary_text", { ...at, summary_index: i }, text, chunkTokens)
    )
    return [begun({ summary: [] }), ...parts, done]
  }
  if (given !== undefined) {
    return [begun({ arguments: "" }), ...piece("function_call_arguments", at, given, chunkTokens), done]
  }
  const parts = (content ?? []).flatMap(({ refusal, text = "" }, i) => {
    const here = { ...at, content_index: i }
    return refusal === undefined
      ? piece("output_text", here, text, chunkTokens, (delta) => ({
          logprobs: topLogprobs === undefined ? [] : logprobsOf(delta, topLogprobs).content
        }))
      : piece("refusal", here, refusal, chunkTokens)
  })
  return [begun({ content: [] }), ...parts, done]
}

/** Makes the answer to a question. */
export const make = (question: Question, context: AnswerContext): Answer => {
  const said = Utterance.make(question, context)
  const isBlocked = context.bent === "contentFilter"
  const thoughtTokens = question.thinks
    ? Math.min(context.reasoningTokens, question.maxTokens ?? Number.POSITIVE_INFINITY)
    : 0
  const outputTokens = isBlocked ? thoughtTokens : said.tokens
  const cached = Utterance.cachedTokens(question.inputTokens, context)
  const amounts = {
    inputTokens: question.inputTokens,
    outputTokens,
    cacheReadTokens: cached,
    reasoningTokens: thoughtTokens
  }
  const output = itemsOf(question, context, said)
  const reason = isBlocked ? "content_filter" : said.ending === "cut" ? "max_output_tokens" : undefined
  const head = {
    id: `resp_${context.hash.text}${context.seq.toString(36)}`,
    object: "response",
    created_at: Math.floor(context.now / 1000),
    model: question.model,
    background: false,
    error: null,
    ...question.echo
  }
  const whole = {
    ...head,
    status: reason === undefined ? "completed" : "incomplete",
    incomplete_details: reason === undefined ? null : { reason },
    output,
    usage: {
      input_tokens: question.inputTokens,
      input_tokens_details: { cached_tokens: cached },
      output_tokens: outputTokens,
      output_tokens_details: { reasoning_tokens: thoughtTokens },
      total_tokens: question.inputTokens + outputTokens
    }
  }
  if (!question.stream) return { ...amounts, body: JSON.stringify(whole) }
  const begun = { ...head, status: "in_progress", incomplete_details: null, output: [], usage: null }
  const events: ReadonlyArray<Event> = [
    { type: "response.created", response: begun },
    { type: "response.in_progress", response: begun },
    ...output.flatMap((item, index) => eventsOf(item, index, question, context.chunkTokens)),
    { type: `response.${whole.status}`, response: whole }
  ]
  return {
    ...amounts,
    body: events.map(
      (event, index) =>
        `event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: index })}\n\n`
    )
  }
}
