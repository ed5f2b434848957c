/**
 * An answer, whole or bit by bit, as the parts of `@effect/ai`.
 */
import type * as AiResponse from "@effect/ai/Response"
import * as Effect from "effect/Effect"
import { InvalidOutputError } from "../LlmError.js"
import type { ReasoningPart, ToolCall } from "../Message.js"
import type { ChatResponse, FinishReason } from "../Response.js"
import * as StreamPart from "../StreamPart.js"
import * as Usage from "../Usage.js"
import { namespace } from "./effectAiPrompt.js"
import { callId, type Turns } from "./effectAiTurns.js"

type Metadata = AiResponse.ProviderMetadata

/** What is ours to say of a part; nothing where there is nothing. */
const metadata = (fields: Readonly<Record<string, unknown>>): { readonly metadata?: Metadata } => {
  const told = Object.entries(fields).filter(([, value]) => value !== undefined)
  return told.length === 0 ? {} : { metadata: { [namespace]: Object.fromEntries(told) } }
}

const reasons: Readonly<Record<FinishReason, AiResponse.FinishReason>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool-calls",
  content_filter: "content-filter",
  pause: "pause",
  error: "error",
  other: "other"
}

const usageOf = (usage: Usage.Usage): typeof AiResponse.Usage.Encoded => ({
  inputTokens: usage.inputTokens,
  outputTokens: usage.outputTokens,
  totalTokens: usage.inputTokens + usage.outputTokens,
  ...(usage.reasoningTokens === undefined ? undefined : { reasoningTokens: usage.reasoningTokens }),
  ...(usage.cacheReadTokens === undefined ? undefined : { cachedInputTokens: usage.cacheReadTokens })
})

const responseMetadata = (
  id: string | undefined,
  model: string | undefined
): AiResponse.ResponseMetadataPartEncoded => ({
  type: "response-metadata",
  ...(id === undefined ? undefined : { id }),
  ...(model === undefined ? undefined : { modelId: model })
})

const toolCallPart = (
  call: ToolCall,
  provider: string
): Effect.Effect<AiResponse.ToolCallPartEncoded, InvalidOutputError> =>
  call.invalid === undefined
    ? Effect.sync(() => ({
        type: "tool-call",
        id: call.id,
        name: call.name,
        // checked when the call was read: there is no "invalid"
        params: JSON.parse(call.arguments) as unknown,
        ...metadata({ signature: call.signature })
      }))
    : Effect.fail(
        new InvalidOutputError({
          provider,
          message: `The model called the tool "${call.name}", and ${call.invalid}`,
          text: call.arguments.slice(0, 2_000)
        })
      )

const reasoningParts = ({
  reasoning = "",
  reasoningParts = []
}: ChatResponse): ReadonlyArray<AiResponse.ReasoningPartEncoded> => {
  // some providers show a summary beside thoughts that are sealed
  const isSealed = reasoningParts.every(({ text }) => text === "")
  const parts = reasoningParts.map((part, index) => ({
    type: "reasoning" as const,
    text: isSealed && index === 0 ? reasoning : part.text,
    ...metadata({ ...part })
  }))
  return parts.length > 0 || reasoning === "" ? parts : [{ type: "reasoning", text: reasoning }]
}

/** JSON that was held to a schema is as it fits; any other text as the model wrote it. */
const textOf = (response: ChatResponse & { readonly value?: unknown }): string =>
  response.value === undefined ? response.text : JSON.stringify(response.value)

/** The parts of a whole answer. */
export const parts = (
  response: ChatResponse & { readonly value?: unknown },
  turns: Turns
): Effect.Effect<Array<AiResponse.PartEncoded>, InvalidOutputError> =>
  Effect.suspend(() => {
    const toolCalls = response.toolCalls.map((call) => ({ ...call, id: callId(call.id, response.id) }))
    return Effect.map(
      Effect.forEach(toolCalls, (call) => toolCallPart(call, response.provider)),
      (calls) => {
        const text = textOf(response)
        const said: ReadonlyArray<AiResponse.ReasoningPartEncoded | AiResponse.TextPartEncoded> = [
          ...reasoningParts(response),
          ...(text === "" ? [] : [{ type: "text" as const, text }])
        ]
        turns.keep([...said, ...calls], {
          reasoning: response.reasoningParts ?? [],
          toolCalls
        })
        const {
          meta,
          provider,
          rawFinishReason,
          serviceTier,
          refusal,
          logprobs,
          alternatives,
          usage,
          warnings
        } = response
        return [
          responseMetadata(response.id, response.model),
          ...said,
          ...calls,
          {
            type: "finish",
            reason: reasons[response.finishReason],
            usage: usageOf(usage),
            ...metadata({
              ...{ provider, rawFinishReason, serviceTier, refusal, logprobs, alternatives, usage, warnings },
              ...meta
            })
          }
        ]
      }
    )
  })

/** A tool call under way. */
interface OpenCall {
  id: string
  name: string
  arguments: string
  signature: string | undefined
  announced: boolean
}

type Read = Effect.Effect<ReadonlyArray<AiResponse.StreamPartEncoded>, InvalidOutputError>

/** Turns the parts of one streamed answer into those of `@effect/ai`, whose texts and thoughts are told by ids. */
export class Reader {
  #id: string | undefined
  #blocks = 0
  /** The text or thought that is under way. */
  #open: { readonly type: "text" | "reasoning"; readonly id: string; text: string } | undefined
  readonly #said: Array<{ readonly type: "text" | "reasoning"; readonly text: string }> = []
  readonly #reasoning: Array<ReasoningPart> = []
  readonly #calls = new Map<number, OpenCall>()
  readonly #logprobs: Array<unknown> = []
  #refusal = ""
  #usage: Usage.Usage | undefined

  constructor(readonly turns: Turns) {}

  read(part: StreamPart.StreamPart): Read {
    switch (part._tag) {
      case "Start":
        this.#id ??= part.id
        return Effect.succeed([responseMetadata(part.id, part.model)])
      case "Text":
        return Effect.succeed(this.#more("text", part.text))
      case "Reasoning":
        return Effect.succeed(this.#more("reasoning", part.text))
      case "ReasoningEnd":
        this.#reasoning.push(part.part)
        return Effect.succeed([
          ...(this.#open?.type === "reasoning" ? [] : this.#begin("reasoning")),
          ...this.#end({ ...part.part })
        ])
      case "Refusal":
        this.#refusal += part.text
        break
      case "ToolCall":
        return Effect.succeed(this.#call(part))
      case "Logprobs":
        this.#logprobs.push(part.logprobs)
        break
      case "Usage":
        this.#usage = part.usage
        break
      case "Finish":
        return this.#finish(part)
    }
    return Effect.succeed([])
  }

  #begin(type: "text" | "reasoning"): ReadonlyArray<AiResponse.StreamPartEncoded> {
    const ended = this.#end({})
    const id = String(this.#blocks++)
    this.#open = { type, id, text: "" }
    return [...ended, { type: `${type}-start`, id }]
  }

  #more(type: "text" | "reasoning", delta: string): ReadonlyArray<AiResponse.StreamPartEncoded> {
    if (delta === "") return []
    const begun = this.#open?.type === type ? [] : this.#begin(type)
    if (this.#open === undefined) return begun
    this.#open.text += delta
    return [...begun, { type: `${type}-delta`, id: this.#open.id, delta }]
  }

  #end(told: Readonly<Record<string, unknown>>): ReadonlyArray<AiResponse.StreamPartEncoded> {
    const open = this.#open
    if (open === undefined) return []
    this.#open = undefined
    this.#said.push(open)
    return [{ type: `${open.type}-end`, id: open.id, ...metadata(told) }]
  }

  #call(
    part: Extract<StreamPart.StreamPart, { _tag: "ToolCall" }>
  ): ReadonlyArray<AiResponse.StreamPartEncoded> {
    let call = this.#calls.get(part.index)
    if (call === undefined) {
      call = { id: "", name: "", arguments: "", signature: undefined, announced: false }
      this.#calls.set(part.index, call)
    }
    // the id is not changed any more once it has been told
    if (!call.announced) call.id = part.id || call.id
    if (part.name) call.name = part.name
    if (part.signature !== undefined) call.signature = part.signature
    call.arguments += part.arguments
    const { arguments: soFar, announced, name } = call
    if (name === "") return []
    if (!announced) call.id = callId(call.id || `call_${part.index}`, this.#id)
    call.announced = true
    const { id } = call
    const delta = announced ? part.arguments : soFar
    return [
      ...(announced ? [] : [...this.#end({}), { type: "tool-params-start" as const, id, name }]),
      ...(delta === "" ? [] : [{ type: "tool-params-delta" as const, id, delta }])
    ]
  }

  #finish({
    finishReason,
    rawFinishReason,
    serviceTier
  }: Extract<StreamPart.StreamPart, { _tag: "Finish" }>): Read {
    const calls = [...this.#calls.entries()]
      .sort(([a], [b]) => a - b)
      .map(([index, { arguments: text, id, name, signature }]) =>
        StreamPart.toolCall({
          id: id || `call_${index}`,
          name,
          arguments: text,
          ...(signature === undefined ? undefined : { signature })
        })
      )
    return Effect.map(
      Effect.forEach(calls, (call) => toolCallPart(call, "floodgate")),
      (parts) => {
        const ended = this.#end({})
        this.turns.keep([...this.#said, ...parts], { reasoning: this.#reasoning, toolCalls: calls })
        const usage = this.#usage
        return [
          ...ended,
          ...parts.flatMap((part) => [{ type: "tool-params-end" as const, id: part.id }, part]),
          {
            type: "finish",
            reason: reasons[finishReason],
            usage: usageOf(usage ?? Usage.zero),
            ...metadata({
              ...{ rawFinishReason, serviceTier, usage },
              refusal: this.#refusal === "" ? undefined : this.#refusal,
              logprobs: this.#logprobs.length === 0 ? undefined : this.#logprobs
            })
          }
        ]
      }
    )
  }
}
