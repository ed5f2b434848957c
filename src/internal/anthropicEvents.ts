/**
 * Anthropic's stream of events, read. The blocks are put together as the plain answer has them, so that what has to
 * be given back in a later turn is the same, streamed or not.
 */
import * as Either from "effect/Either"
import { type LlmError, NetworkError } from "../LlmError.js"
import { StreamPart } from "../StreamPart.js"
import type { Asked, EventReader, ServerSentEvent } from "../Wire.js"
import { finishReasonOf, refusalOf, usageOf } from "./anthropicResponse.js"
import * as Thoughts from "./anthropicThoughts.js"
import { classifyEvent } from "./classifyError.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { textOf } from "./wireValues.js"

type Parts = ReadonlyArray<StreamPart>

const nothing: Either.Either<Parts, never> = Either.right([])

/** A block that is being put together. */
interface Block {
  readonly fields: Record<string, unknown>
  /** Which of the answer's calls; of a call alone. */
  readonly call: number | undefined
  json: string
}

const stringIn = (value: unknown): string => (typeof value === "string" ? value : "")

const lateJson = (json: string): unknown => {
  if (json.trim() === "") return {}
  // the call says what is wrong with it; the block keeps the text
  return Either.getOrElse(
    Either.try((): unknown => JSON.parse(json)),
    () => json
  )
}

/** Whether a start brings the whole input of a call at once, as no delta will. */
const givenInput = (input: unknown): string =>
  isJsonObject(input) && Object.keys(input).length > 0 ? JSON.stringify(input) : stringIn(input)

/** Reads one answer. */
export const make = (asked: Asked): EventReader => {
  const blocks = new Map<number, Block>()
  let calls = 0
  let hasThought = false
  let usage: JsonObject = {}
  let stopReason: string | undefined
  let isWhole = false

  const failure = (message: string): NetworkError =>
    new NetworkError({
      provider: asked.provider,
      message,
      ...(asked.requestId === undefined ? undefined : { requestId: asked.requestId })
    })

  // a later event restates some counts and leaves out, or nulls, the others
  const count = (told: unknown): Parts => {
    if (!isJsonObject(told)) return []
    usage = { ...usage, ...Object.fromEntries(Object.entries(told).filter(([, value]) => value != null)) }
    const counted = usageOf(usage)
    return counted === undefined ? [] : [StreamPart.Usage({ usage: counted })]
  }

  const think = (text: unknown, block: Block): Parts => {
    const thought = stringIn(text)
    if (thought === "") return []
    const isFirst = stringIn(block.fields.thinking) === ""
    block.fields.thinking = stringIn(block.fields.thinking) + thought
    const between = isFirst && hasThought ? Thoughts.gap : ""
    hasThought = true
    return [StreamPart.Reasoning({ text: between + thought })]
  }

  const say = (text: unknown, block: Block): Parts => {
    const said = stringIn(text)
    block.fields.text = stringIn(block.fields.text) + said
    return said === "" ? [] : [StreamPart.Text({ text: said })]
  }

  const extend = (json: string, { call, fields }: Block): Parts =>
    call === undefined || fields.type !== "tool_use"
      ? []
      : [StreamPart.ToolCall({ index: call, arguments: json })]

  const start = (index: number, given: JsonObject): Parts => {
    const isCall = given.type === "tool_use"
    const block: Block = { fields: { ...given }, call: isCall ? calls++ : undefined, json: "" }
    blocks.set(index, block)
    if (given.type === "text") {
      block.fields.text = ""
      return say(given.text, block)
    }
    if (given.type === "thinking") {
      block.fields.thinking = ""
      return think(given.thinking, block)
    }
    if (block.call === undefined) return []
    const json = givenInput(given.input)
    block.json = json
    return [
      StreamPart.ToolCall({
        index: block.call,
        id: textOf(given.id),
        name: textOf(given.name),
        arguments: json
      })
    ]
  }

  const grow = (block: Block, delta: JsonObject): Parts => {
    switch (delta.type) {
      case "text_delta":
        return say(delta.text, block)
      case "thinking_delta":
        return think(delta.thinking, block)
      case "signature_delta":
        block.fields.signature = stringIn(block.fields.signature) + stringIn(delta.signature)
        return []
      case "input_json_delta": {
        const json = stringIn(delta.partial_json)
        block.json += json
        return json === "" ? [] : extend(json, block)
      }
      case "citations_delta": {
        const known = Array.isArray(block.fields.citations) ? block.fields.citations : []
        block.fields.citations = [...known, delta.citation]
        return []
      }
      default:
        return []
    }
  }

  const content = (): ReadonlyArray<JsonObject> =>
    [...blocks.entries()]
      .sort(([a], [b]) => a - b)
      .map(([, { fields, json }]) => ("input" in fields ? { ...fields, input: lateJson(json) } : fields))

  const stop = (): Parts => {
    isWhole = true
    const parts = Thoughts.partsOf(content())
    return [
      ...parts.map((part) => StreamPart.ReasoningEnd({ part })),
      StreamPart.Finish({
        finishReason: finishReasonOf(stopReason, calls > 0),
        rawFinishReason: stopReason,
        serviceTier: textOf(usage.service_tier)
      })
    ]
  }

  const change = (event: JsonObject): Parts => {
    const delta = isJsonObject(event.delta) ? event.delta : {}
    stopReason = textOf(delta.stop_reason) ?? stopReason
    const refusal = stopReason === "refusal" ? refusalOf(delta.stop_details) : undefined
    return [...(refusal === undefined ? [] : [StreamPart.Refusal({ text: refusal })]), ...count(event.usage)]
  }

  const partsOf = (event: JsonObject): Parts => {
    const index = typeof event.index === "number" ? event.index : 0
    switch (event.type) {
      case "message_start": {
        const message = isJsonObject(event.message) ? event.message : {}
        const started = StreamPart.Start({ id: textOf(message.id), model: textOf(message.model) })
        return [started, ...count(message.usage)]
      }
      case "content_block_start":
        return isJsonObject(event.content_block) ? start(index, event.content_block) : []
      case "content_block_delta": {
        const block = blocks.get(index)
        return block !== undefined && isJsonObject(event.delta) ? grow(block, event.delta) : []
      }
      case "message_delta":
        return change(event)
      case "message_stop":
        return stop()
      default:
        return []
    }
  }

  return {
    read: ({ data }: ServerSentEvent): Either.Either<Parts, LlmError> => {
      // servers that speak more than one protocol may add the end mark of another
      if (isWhole) return nothing
      const event = Either.try((): unknown => JSON.parse(data))
      if (Either.isLeft(event) || !isJsonObject(event.right)) {
        return Either.left(failure("an event of the stream is not JSON"))
      }
      if (event.right.type === "ping") return nothing
      const answer = { status: 200, headers: { "request-id": asked.requestId }, body: event.right }
      // the time only matters to hints in headers, which came before
      const error = classifyEvent(asked.provider, answer, Date.now())
      return error === undefined ? Either.right(partsOf(event.right)) : Either.left(error)
    },
    end: () => (isWhole ? nothing : Either.left(failure("the stream ended early: there was no message_stop")))
  }
}
