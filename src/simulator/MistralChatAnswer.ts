/** Mistral's chat completion: what is answered, as one body or as a stream of chunks. */
import { createHash } from "node:crypto"
import * as Text from "./Text.js"
import * as Utterance from "./Utterance.js"
import type { Answer, AnswerContext } from "./Wire.js"

/** Nine letters and digits, as the ids of its calls are. */
const callId = (context: AnswerContext, index: number): string =>
  createHash("sha256").update(`${context.hash.text} ${context.seq} ${index}`).digest("hex").slice(0, 9)

const finishOf = ({ call, ending }: Utterance.Utterance): string =>
  ending === "cut" ? "length" : call === undefined ? "stop" : "tool_calls"

const callsOf = ({ call }: Utterance.Utterance, context: AnswerContext, index: number) =>
  call && [{ id: callId(context, index), type: "function", function: call, index: 0 }]

const thought = (text: string) => ({ type: "thinking", thinking: [{ type: "text", text }] })

/** Text alone is text; with thoughts before it, it is a chunk among chunks. */
const contentOf = ({ text, thinking }: Utterance.Utterance): unknown =>
  thinking === "" ? text : [thought(thinking), ...(text === "" ? [] : [{ type: "text", text }])]

const deltas = (
  said: Utterance.Utterance,
  context: AnswerContext
): ReadonlyArray<Readonly<Record<string, unknown>>> => [
  { role: "assistant", content: "" },
  ...Text.splitTokens(said.thinking, context.chunkTokens).map((piece) => ({ content: [thought(piece)] })),
  ...Text.splitTokens(said.text, context.chunkTokens).map((piece) => ({ content: piece }))
]

/** Makes the answer to a question. */
export const make = (question: Utterance.Question, n: number, context: AnswerContext): Answer => {
  const choices = Array.from({ length: n }, (_, index) => Utterance.make(question, context, index))
  const outputTokens = choices.reduce((sum, { tokens }) => sum + tokens, 0)
  const { inputTokens } = question
  const cached = Utterance.cachedTokens(inputTokens, context)
  const amounts = { inputTokens, outputTokens, cacheReadTokens: cached }
  const usage = {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    ...(cached === 0
      ? undefined
      : { num_cached_tokens: cached, prompt_tokens_details: { cached_tokens: cached } })
  }
  const head = {
    id: `${context.hash.text}${context.seq.toString(16).padStart(16, "0")}`,
    created: Math.floor(context.now / 1000),
    model: question.model
  }
  if (!question.stream) {
    const body = {
      ...head,
      object: "chat.completion",
      usage,
      choices: choices.map((said, index) => ({
        index,
        message: {
          role: "assistant",
          content: contentOf(said),
          tool_calls: callsOf(said, context, index) ?? null
        },
        finish_reason: finishOf(said)
      }))
    }
    return { ...amounts, body: JSON.stringify(body) }
  }
  const events: Array<string> = []
  const push = (choice: unknown, more?: unknown) =>
    events.push(
      `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [choice], ...(more ?? {}) })}\n\n`
    )
  for (const [index, said] of choices.entries()) {
    for (const delta of deltas(said, context)) push({ index, delta, finish_reason: null })
    const calls = callsOf(said, context, index)
    // the last chunk of the last choice has the usage
    const delta = { content: "", ...(calls && { tool_calls: calls }) }
    push({ index, delta, finish_reason: finishOf(said) }, index === n - 1 ? { usage } : undefined)
  }
  events.push("data: [DONE]\n\n")
  return { ...amounts, body: events }
}
