/** Cohere's stream of a chat: events of named types, and `message-end` for the end. */
import * as Either from "effect/Either"
import { type LlmError, NetworkError, withUsage } from "../LlmError.js"
import { StreamPart } from "../StreamPart.js"
import type { Asked, EventReader } from "../Wire.js"
import { classifyEvent } from "./classifyError.js"
import * as CohereResponse from "./cohereResponse.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { context, eventJson, noAnswer } from "./noAnswer.js"
import { argumentsOf, countOf, objectOf, textOf } from "./wireValues.js"

/** Reads the events of one answer. */
export const events = (asked: Asked): EventReader => {
  let thinking = ""
  let planned = ""
  let isThinking = false
  let calls = 0
  let isEnded = false

  const content = (given: unknown): ReadonlyArray<StreamPart> => {
    const { text, thinking: thoughts, type } = objectOf(given)
    if (type === "thinking") isThinking = true
    const thought = textOf(thoughts)
    if (thought !== undefined) {
      isThinking = true
      thinking += thought
      return [StreamPart.Reasoning({ text: thought })]
    }
    const said = textOf(text)
    return said === undefined ? [] : [StreamPart.Text({ text: said })]
  }

  const endOfThought = (): ReadonlyArray<StreamPart> => {
    if (!isThinking) return []
    const part = CohereResponse.thought(thinking)
    thinking = ""
    isThinking = false
    return [StreamPart.ReasoningEnd({ part })]
  }

  const endOfPlan = (): ReadonlyArray<StreamPart> => {
    if (planned === "") return []
    const part = CohereResponse.plan(planned)
    planned = ""
    return [StreamPart.ReasoningEnd({ part })]
  }

  const toolCall = (event: JsonObject, given: unknown): StreamPart => {
    const { function: called, id } = objectOf(given)
    const { arguments: more, name } = objectOf(called)
    const index = countOf(event.index) ?? Math.max(0, calls - 1)
    return StreamPart.ToolCall({ index, id: textOf(id), name: textOf(name), arguments: argumentsOf(more) })
  }

  const end = (delta: JsonObject): Either.Either<ReadonlyArray<StreamPart>, LlmError> => {
    isEnded = true
    const raw = textOf(delta.finish_reason)
    const finishReason = CohereResponse.finishReasonOf(raw, calls > 0)
    const usage = CohereResponse.usageOf(delta.usage)
    if (finishReason === "error") return Either.left(withUsage(CohereResponse.failed(asked, raw), usage))
    return Either.right([
      ...endOfThought(),
      ...endOfPlan(),
      ...(usage === undefined ? [] : [StreamPart.Usage({ usage })]),
      StreamPart.Finish({ finishReason, rawFinishReason: raw })
    ])
  }

  const parts = (event: JsonObject, delta: JsonObject): ReadonlyArray<StreamPart> => {
    const message = objectOf(delta.message)
    switch (event.type) {
      case "message-start":
        return [StreamPart.Start({ id: textOf(event.id), model: asked.model })]
      case "content-start":
      case "content-delta": {
        const { logprobs } = event
        return [
          ...content(message.content),
          ...(logprobs == null ? [] : [StreamPart.Logprobs({ logprobs: [logprobs] })])
        ]
      }
      case "content-end":
        return endOfThought()
      case "tool-plan-delta": {
        const text = textOf(message.tool_plan)
        if (text === undefined) return []
        planned += text
        return [StreamPart.Reasoning({ text })]
      }
      case "tool-call-start":
        calls += 1
        return [...endOfPlan(), toolCall(event, message.tool_calls)]
      case "tool-call-delta":
        return [toolCall(event, message.tool_calls)]
      default:
        // citations, ends of calls, and what comes after us
        return []
    }
  }

  const failure = (event: JsonObject): LlmError | undefined =>
    // nothing here tells of an instant
    classifyEvent(asked.provider, { status: 200, headers: {}, body: event }, 0)

  return {
    read: ({ data }) => {
      if (data.trim() === "[DONE]") return Either.right([])
      const event = eventJson(data)
      if (!isJsonObject(event) || typeof event.type !== "string") {
        return Either.left(noAnswer(asked, event, "a stream of a chat's events"))
      }
      const error = failure(event)
      if (error !== undefined) return Either.left(error)
      const delta = objectOf(event.delta)
      return event.type === "message-end" ? end(delta) : Either.right(parts(event, delta))
    },
    end: () =>
      isEnded
        ? Either.right([])
        : Either.left(
            new NetworkError({ ...context(asked), message: "the stream ended early: message-end is missing" })
          )
  }
}
