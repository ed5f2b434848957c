/** Cohere's `POST /v2/chat`: what is answered, as one body or as a stream of events. */
import * as Text from "./Text.js"
import * as Utterance from "./Utterance.js"
import type { Answer, AnswerContext } from "./Wire.js"

/** What the answer depends on. */
export interface Question extends Utterance.Question {
  /** Of the prompt's tokens, those that are paid for. */
  readonly billedTokens: number
  readonly logprobs: boolean
}

const finishOf = ({ call, ending }: Utterance.Utterance): string => {
  if (ending === "cut") return "MAX_TOKENS"
  if (call !== undefined) return "TOOL_CALL"
  return ending === "stopped" ? "STOP_SEQUENCE" : "COMPLETE"
}

const planOf = (name: string): string => `I will use the ${name} tool.`

const logprobOf = (text: string) => ({
  token_ids: Text.splitTokens(text).map((_, i) => 1000 + i),
  text,
  logprobs: Text.splitTokens(text).map(() => -0.125)
})

/** Makes the answer to a question. */
export const make = (question: Question, context: AnswerContext): Answer => {
  const said = Utterance.make(question, context)
  const { call, text, thinking } = said
  const { inputTokens } = question
  const outputTokens = said.tokens
  const callId = call && `${call.name}_${context.hash.text.slice(0, 8)}${context.seq.toString(36)}`
  const id = `${context.hash.text}-${context.seq.toString(16).padStart(8, "0")}`
  const cached = Utterance.cachedTokens(inputTokens, context)
  const amounts = {
    inputTokens,
    outputTokens,
    cacheReadTokens: cached,
    billedInputTokens: question.billedTokens
  }
  const usage = {
    billed_units: { input_tokens: question.billedTokens, output_tokens: outputTokens },
    tokens: { input_tokens: inputTokens, output_tokens: outputTokens },
    cached_tokens: cached
  }
  const finish = finishOf(said)
  const pieces = Text.splitTokens(text, context.chunkTokens)
  if (!question.stream) {
    const body = {
      id,
      message: {
        role: "assistant",
        ...(thinking === "" && call !== undefined
          ? undefined
          : {
              content: [
                ...(thinking === "" ? [] : [{ type: "thinking", thinking }]),
                ...(call === undefined ? [{ type: "text", text }] : [])
              ]
            }),
        ...(call && {
          tool_plan: planOf(call.name),
          tool_calls: [{ id: callId, type: "function", function: call }]
        })
      },
      finish_reason: finish,
      usage,
      ...(question.logprobs ? { logprobs: pieces.map(logprobOf) } : undefined)
    }
    return { ...amounts, body: JSON.stringify(body) }
  }

  const events: Array<string> = []
  const push = (type: string, fields: Readonly<Record<string, unknown>>) =>
    events.push(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`)
  const block = (index: number, type: "text" | "thinking", parts: ReadonlyArray<string>) => {
    push("content-start", { index, delta: { message: { content: { type, [type]: "" } } } })
    for (const piece of parts) {
      push("content-delta", {
        index,
        delta: { message: { content: { [type]: piece } } },
        ...(question.logprobs && type === "text" ? { logprobs: logprobOf(piece) } : undefined)
      })
    }
    push("content-end", { index })
  }
  push("message-start", {
    id,
    delta: { message: { role: "assistant", content: [], tool_plan: "", tool_calls: [], citations: [] } }
  })
  if (thinking !== "") block(0, "thinking", Text.splitTokens(thinking, context.chunkTokens))
  if (call === undefined) {
    block(thinking === "" ? 0 : 1, "text", pieces)
  } else {
    for (const piece of Text.splitTokens(planOf(call.name), context.chunkTokens)) {
      push("tool-plan-delta", { delta: { message: { tool_plan: piece } } })
    }
    push("tool-call-start", {
      index: 0,
      delta: {
        message: {
          tool_calls: { id: callId, type: "function", function: { name: call.name, arguments: "" } }
        }
      }
    })
    for (const piece of Text.splitTokens(call.arguments, context.chunkTokens)) {
      push("tool-call-delta", {
        index: 0,
        delta: { message: { tool_calls: { function: { arguments: piece } } } }
      })
    }
    push("tool-call-end", { index: 0 })
  }
  push("message-end", { delta: { finish_reason: finish, usage } })
  return { ...amounts, body: events }
}
