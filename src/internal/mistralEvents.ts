/**
 * Mistral's stream of a chat completion. Text comes as text or as chunks, thoughts as chunks, a tool call whole, and
 * the usage with the reason why it ended.
 */
import * as Either from "effect/Either"
import { type LlmError, NetworkError, withUsage } from "../LlmError.js"
import { StreamPart } from "../StreamPart.js"
import type { Asked, EventReader } from "../Wire.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import * as MistralResponse from "./mistralResponse.js"
import { context, eventJson, noAnswer } from "./noAnswer.js"
import { argumentsOf, countOf, listOf, objectOf, textOf } from "./wireValues.js"

/** Which call a piece belongs to: by its id, else by its number, else it is a new one. */
class Calls {
  readonly #known: Array<{ readonly id: string | undefined; readonly index: number | undefined }> = []

  placeOf(id: string | undefined, index: number | undefined): number {
    const found = this.#known.findLastIndex((call) =>
      id === undefined ? index !== undefined && call.index === index : call.id === id
    )
    return found >= 0 ? found : this.#known.push({ id, index }) - 1
  }

  get isEmpty(): boolean {
    return this.#known.length === 0
  }
}

/** The thought that is being written: pieces of one chunk that come one by one. */
class Thought {
  #chunk: JsonObject | undefined

  add(chunk: JsonObject): void {
    const before = listOf(this.#chunk?.thinking)
    const pieces =
      typeof chunk.thinking === "string" ? [{ type: "text", text: chunk.thinking }] : listOf(chunk.thinking)
    const last = objectOf(before.at(-1))
    const [first, ...rest] = pieces
    const { text, type } = objectOf(first)
    const joined =
      last.type === "text" && type === "text"
        ? [
            ...before.slice(0, -1),
            { type: "text", text: `${textOf(last.text) ?? ""}${textOf(text) ?? ""}` },
            ...rest
          ]
        : [...before, ...pieces]
    this.#chunk = { ...this.#chunk, ...chunk, thinking: joined }
  }

  end(): ReadonlyArray<StreamPart> {
    if (this.#chunk === undefined) return []
    const part = MistralResponse.reasoningPart(this.#chunk)
    this.#chunk = undefined
    return [StreamPart.ReasoningEnd({ part })]
  }
}

/** Reads the events of one answer. */
export const events = (asked: Asked): EventReader => {
  const calls = new Calls()
  const thought = new Thought()
  let isStarted = false
  let ended: { readonly raw: string } | undefined

  const content = (given: unknown): ReadonlyArray<StreamPart> => {
    const chunks = typeof given === "string" ? [{ type: "text", text: given }] : listOf(given).map(objectOf)
    return chunks.flatMap((chunk): ReadonlyArray<StreamPart> => {
      if (chunk.type === "thinking") {
        thought.add(chunk)
        const text = MistralResponse.thinkingText(chunk.thinking)
        return text === "" ? [] : [StreamPart.Reasoning({ text })]
      }
      const text = MistralResponse.contentText([chunk])
      return text === "" ? [] : [...thought.end(), StreamPart.Text({ text })]
    })
  }

  const toolCall = (item: unknown): StreamPart => {
    const { function: called, id: givenId, index } = objectOf(item)
    const { arguments: given, name } = objectOf(called)
    const id = MistralResponse.callId(givenId)
    return StreamPart.ToolCall({
      index: calls.placeOf(id, countOf(index)),
      id,
      name: textOf(name),
      arguments: argumentsOf(given)
    })
  }

  const start = ({ id, model }: JsonObject): ReadonlyArray<StreamPart> => {
    if (isStarted) return []
    isStarted = true
    return [StreamPart.Start({ id: textOf(id), model: textOf(model) })]
  }

  const chunk = (event: JsonObject): Either.Either<ReadonlyArray<StreamPart>, LlmError> => {
    const choice = objectOf(listOf(event.choices)[0])
    const delta = objectOf(choice.delta)
    const usage = MistralResponse.usageOf(event.usage)
    const parts = [
      ...start(event),
      ...content(delta.content),
      ...listOf(delta.tool_calls).map(toolCall),
      ...(usage === undefined ? [] : [StreamPart.Usage({ usage })])
    ]
    const raw = textOf(choice.finish_reason)
    if (raw !== undefined) {
      if (MistralResponse.finishReasonOf(raw, false) === "error") {
        return Either.left(withUsage(MistralResponse.failed(asked, raw), usage))
      }
      ended = { raw }
    }
    return Either.right(parts)
  }

  return {
    read: ({ data }) => {
      if (data.trim() === "[DONE]") return Either.right([])
      const event = eventJson(data)
      return isJsonObject(event) && Array.isArray(event.choices)
        ? chunk(event)
        : Either.left(noAnswer(asked, event, "a stream of chat completion chunks"))
    },
    end: () => {
      if (ended === undefined) {
        return Either.left(
          new NetworkError({
            ...context(asked),
            message: "the stream ended early: no reason why it ended came"
          })
        )
      }
      return Either.right([
        ...thought.end(),
        StreamPart.Finish({
          finishReason: MistralResponse.finishReasonOf(ended.raw, !calls.isEmpty),
          rawFinishReason: ended.raw
        })
      ])
    }
  }
}
