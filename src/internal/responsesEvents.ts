/**
 * The stream of OpenAI's Responses API. Pieces come as deltas of items; the last event holds the whole answer. A server
 * that leaves out the deltas, or the items of the last event, is read all the same.
 */
import * as Either from "effect/Either"
import { type LlmError, NetworkError, withUsage } from "../LlmError.js"
import { StreamPart } from "../StreamPart.js"
import type { Asked, EventReader } from "../Wire.js"
import { classify, classifyEvent } from "./classifyError.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { context, eventJson } from "./noAnswer.js"
import * as ResponsesEcho from "./responsesEcho.js"
import * as ResponsesResponse from "./responsesResponse.js"
import { argumentsOf, countOf, listOf, objectOf, textOf } from "./wireValues.js"

type Parts = ReadonlyArray<StreamPart>
type Read = Either.Either<Parts, LlmError>

const nothing: Read = Either.right([])

/** Reads the events of one answer. */
class ResponseReader implements EventReader {
  readonly #asked: Asked
  #isStarted = false
  #isOver = false
  #refuses = false
  /** The thought, and the piece of it, that came last. */
  #thought: string | undefined
  /** Items that said something, and which calls they are. */
  readonly #said = new Set<number>()
  readonly #calls = new Map<number, number>()
  readonly #items = new Map<number, JsonObject>()

  constructor(asked: Asked) {
    this.#asked = asked
  }

  read({ data, event: name }: { readonly data: string; readonly event: string }): Read {
    const text = data.trim()
    if (text === "" || text === "[DONE]" || this.#isOver) return nothing
    const event = eventJson(text)
    if (!isJsonObject(event)) return this.#fail("an event of the stream is not JSON")
    const failed = this.#errorOf(event, name)
    return failed === undefined ? this.#partsOf(event, name) : Either.left(failed)
  }

  end(): Read {
    return this.#isOver ? nothing : this.#fail("the stream ended early: there was no end of the response")
  }

  #fail(message: string): Read {
    return Either.left(new NetworkError({ ...context(this.#asked), message }))
  }

  #errorOf(event: JsonObject, name: string): LlmError | undefined {
    const { provider, requestId } = this.#asked
    const answer = {
      status: 200,
      headers: requestId === undefined ? {} : { "x-request-id": requestId },
      body: event
    }
    const now = Date.now()
    const found = classifyEvent(provider, answer, now)
    if (found !== undefined || name !== "error") return found
    return classify(provider, { ...answer, body: { error: event } }, now)
  }

  #partsOf(event: JsonObject, name: string): Read {
    const index = countOf(event.output_index) ?? 0
    switch (event.type ?? name) {
      case "response.created":
      case "response.in_progress":
        return Either.right(this.#start(objectOf(event.response)))
      case "response.output_item.added":
        return Either.right(this.#begin(index, objectOf(event.item)))
      case "response.output_item.done":
        return Either.right(this.#complete(index, objectOf(event.item)))
      case "response.output_text.delta":
        return Either.right(this.#say(index, event.delta, listOf(event.logprobs)))
      case "response.refusal.delta":
        return Either.right(this.#refuse(index, event.delta))
      case "response.reasoning_summary_text.delta":
        return Either.right(this.#think(index, `summary ${String(event.summary_index)}`, event.delta))
      case "response.reasoning_text.delta":
        return Either.right(this.#think(index, `text ${String(event.content_index)}`, event.delta))
      case "response.function_call_arguments.delta":
        return Either.right(this.#extend(index, event.delta))
      case "response.completed":
      case "response.incomplete":
      case "response.cancelled":
        return this.#finish(objectOf(event.response))
      default:
        return nothing
    }
  }

  #start({ id, model }: JsonObject): Parts {
    if (this.#isStarted) return []
    this.#isStarted = true
    return [StreamPart.Start({ id: textOf(id), model: textOf(model) })]
  }

  #begin(index: number, item: JsonObject): Parts {
    if (item.type !== "function_call" || this.#calls.has(index)) return []
    const call = this.#calls.size
    this.#calls.set(index, call)
    return [
      StreamPart.ToolCall({
        index: call,
        id: textOf(item.call_id) ?? textOf(item.id),
        name: textOf(item.name),
        arguments: ""
      })
    ]
  }

  #say(index: number, delta: unknown, logprobs: ReadonlyArray<unknown>): Parts {
    const text = textOf(delta)
    if (text === undefined) return []
    this.#said.add(index)
    const said = StreamPart.Text({ text })
    return logprobs.length === 0 ? [said] : [said, StreamPart.Logprobs({ logprobs })]
  }

  #refuse(index: number, delta: unknown): Parts {
    const text = textOf(delta)
    if (text === undefined) return []
    this.#said.add(index)
    this.#refuses = true
    return [StreamPart.Refusal({ text })]
  }

  #think(index: number, piece: string, delta: unknown): Parts {
    const text = textOf(delta)
    if (text === undefined) return []
    this.#said.add(index)
    const thought = `${index} ${piece}`
    const isNext = this.#thought !== undefined && this.#thought !== thought
    this.#thought = thought
    return [StreamPart.Reasoning({ text: isNext ? ResponsesEcho.gap + text : text })]
  }

  #extend(index: number, delta: unknown): Parts {
    const call = this.#calls.get(index)
    const text = textOf(delta)
    if (call === undefined || text === undefined) return []
    this.#said.add(index)
    return [StreamPart.ToolCall({ index: call, arguments: text })]
  }

  /** What an item holds that no delta brought. */
  #complete(index: number, item: JsonObject): Parts {
    this.#items.set(index, item)
    const begun = this.#begin(index, item)
    if (this.#said.has(index)) return begun
    switch (item.type) {
      case "function_call":
        return [...begun, ...this.#extend(index, argumentsOf(item.arguments))]
      case "reasoning":
        return this.#think(index, "whole", ResponsesEcho.reasoningIn([item]))
      default:
        return ResponsesEcho.contentIn([item]).flatMap(({ logprobs, refusal, text }) => [
          ...this.#say(index, text, listOf(logprobs)),
          ...this.#refuse(index, refusal)
        ])
    }
  }

  #finish(response: JsonObject): Read {
    const told = ResponsesResponse.outputOf(response)
    const late = told.flatMap((item, index) => (this.#items.has(index) ? [] : this.#complete(index, item)))
    const items =
      told.length > 0 ? told : [...this.#items.entries()].sort(([a], [b]) => a - b).map(([, item]) => item)
    const { finishReason, raw } = ResponsesResponse.endingOf(response, {
      refuses: this.#refuses,
      calls: this.#calls.size > 0
    })
    const usage = ResponsesResponse.usageOf(response.usage)
    if (finishReason === "error") {
      return Either.left(withUsage(ResponsesResponse.failed(this.#asked, raw), usage))
    }
    this.#isOver = true
    return Either.right([
      ...this.#start(response),
      ...late,
      ...ResponsesEcho.partsOf(items).map((part) => StreamPart.ReasoningEnd({ part })),
      ...(usage === undefined ? [] : [StreamPart.Usage({ usage })]),
      StreamPart.Finish({
        finishReason,
        rawFinishReason: raw,
        serviceTier: textOf(response.service_tier)
      })
    ])
  }
}

/** A reader for the events of one answer. */
export const events = (asked: Asked): EventReader => new ResponseReader(asked)
