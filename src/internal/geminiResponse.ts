/**
 * Google's answer to a chat, normalised. Lenient: the answer is paid for, and what only describes it counts as absent
 * where it is of the wrong type. A 2xx may hold no answer: the prompt was blocked, or the model failed.
 */
import * as Either from "effect/Either"
import {
  ContentFilterError,
  InvalidRequestError,
  type LlmError,
  NetworkError,
  ServerError,
  withUsage
} from "../LlmError.js"
import type { ReasoningPart, ToolCall } from "../Message.js"
import { type ChatResponse, type Choice, type FinishReason, fromFields } from "../Response.js"
import { StreamPart, toolCall } from "../StreamPart.js"
import type { Usage } from "../Usage.js"
import { type Asked, answered } from "../Wire.js"
import * as FinishReasons from "./finishReasons.js"
import { protocol, Turn } from "./geminiTurn.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { safeText } from "./safeText.js"
import { estimatedUsage } from "./tokenEstimate.js"
import { countOf, textOf } from "./wireValues.js"

type Writable<A> = { -readonly [K in keyof A]: A[K] }

// --- finish reasons and usage ------------------------------------------------------------------------------

/** Why the answer ended. Tool calls end with `STOP`. */
const finishReasonOf = FinishReasons.reader(
  {
    STOP: "stop",
    MAX_TOKENS: "length",
    SAFETY: "content_filter",
    RECITATION: "content_filter",
    LANGUAGE: "content_filter",
    BLOCKLIST: "content_filter",
    PROHIBITED_CONTENT: "content_filter",
    SPII: "content_filter",
    IMAGE_SAFETY: "content_filter",
    IMAGE_PROHIBITED_CONTENT: "content_filter",
    IMAGE_RECITATION: "content_filter",
    MODEL_ARMOR: "content_filter",
    MALFORMED_FUNCTION_CALL: "error",
    MALFORMED_RESPONSE: "error",
    MISSING_THOUGHT_SIGNATURE: "error",
    UNEXPECTED_TOOL_CALL: "error",
    TOO_MANY_TOOL_CALLS: "error"
  },
  "STOP"
)

const audioOf = (details: unknown): number | undefined => {
  if (!Array.isArray(details)) return undefined
  const audio = details.find((detail) => isJsonObject(detail) && detail.modality === "AUDIO")
  return countOf(audio?.tokenCount) || undefined
}

/**
 * The prompt's count has the cached tokens in it and not those of tools that Google ran; the candidates' count does not
 * have the thoughts, which are paid for as output. Counts of zero are left out: where the output has none, the total
 * tells. `undefined` without the prompt's, which is never zero: what is not stated is not free.
 */
export const usageOf = (metadata: unknown): Usage | undefined => {
  if (!isJsonObject(metadata)) return undefined
  const prompt = countOf(metadata.promptTokenCount)
  const said = countOf(metadata.candidatesTokenCount)
  const thought = countOf(metadata.thoughtsTokenCount)
  if (prompt === undefined) return undefined
  const inputTokens = prompt + (countOf(metadata.toolUsePromptTokenCount) ?? 0)
  const outputTokens =
    said === undefined && thought === undefined
      ? Math.max(0, (countOf(metadata.totalTokenCount) ?? 0) - inputTokens)
      : (said ?? 0) + (thought ?? 0)
  const usage: Writable<Usage> = { inputTokens, outputTokens }
  const cached = countOf(metadata.cachedContentTokenCount)
  if (cached !== undefined) usage.cacheReadTokens = cached
  if (thought !== undefined) usage.reasoningTokens = thought
  const heard = audioOf(metadata.promptTokensDetails)
  if (heard !== undefined) usage.audioInputTokens = heard
  const spoken = audioOf(metadata.candidatesTokensDetails)
  if (spoken !== undefined) usage.audioOutputTokens = spoken
  return usage
}

/** The tier that was billed, under the name of either server. */
export const serviceTierOf = (metadata: unknown): string | undefined =>
  isJsonObject(metadata) ? (textOf(metadata.serviceTier) ?? textOf(metadata.trafficType)) : undefined

// --- one candidate -----------------------------------------------------------------------------------------

/**
 * A candidate, part by part, whole or streamed. Thoughts that follow each other are one thought, as a stream may cut
 * them anywhere; it ends with the proof of it, or with what is no thought.
 */
export class Candidate {
  text = ""
  reasoning = ""
  readonly reasoningParts: Array<ReasoningPart> = []
  readonly toolCalls: Array<ToolCall> = []
  readonly #emit: ((part: StreamPart) => void) | undefined
  readonly #turn = new Turn()
  #thought = ""

  constructor(emit?: (part: StreamPart) => void) {
    this.#emit = emit
  }

  /** Reads the parts of a candidate's content. */
  add(content: unknown): void {
    if (!isJsonObject(content) || !Array.isArray(content.parts)) return
    for (const part of content.parts) if (isJsonObject(part)) this.#part(part)
  }

  /** There are no more parts. */
  end(): void {
    this.#endThought()
    const { mixed } = this.#turn
    if (mixed !== undefined) this.#push({ text: "", provider: protocol, item: mixed })
  }

  #endThought(): void {
    if (this.#thought !== "") this.#keep(undefined)
  }

  #part(part: JsonObject): void {
    this.#turn.add(part)
    const signature = textOf(part.thoughtSignature)
    const text = typeof part.text === "string" ? part.text : ""
    if (part.thought === true) {
      this.reasoning += text
      this.#thought += text
      if (text !== "") this.#emit?.(StreamPart.Reasoning({ text }))
      if (signature !== undefined) this.#keep(signature)
      return
    }
    this.#endThought()
    if (isJsonObject(part.functionCall)) {
      this.#call(part.functionCall, signature)
      return
    }
    if (text !== "") {
      this.text += text
      this.#emit?.(StreamPart.Text({ text }))
    }
    // proof of the thought behind the text: it is given back with the text
    if (signature !== undefined) this.#keep(signature)
  }

  #keep(signature: string | undefined): void {
    const text = this.#thought
    this.#thought = ""
    this.#push({ text, provider: protocol, ...(signature === undefined ? undefined : { signature }) })
  }

  #push(part: ReasoningPart): void {
    this.reasoningParts.push(part)
    this.#emit?.(StreamPart.ReasoningEnd({ part }))
  }

  #call(call: JsonObject, signature: string | undefined): void {
    const index = this.toolCalls.length
    const whole = toolCall({
      id: textOf(call.id) ?? `call_${index}`,
      name: textOf(call.name) ?? "",
      // a call without arguments may come without them
      arguments: JSON.stringify(call.args ?? {}),
      ...(signature === undefined ? undefined : { signature })
    })
    this.toolCalls.push(whole)
    const { arguments: text, id, name } = whole
    this.#emit?.(
      StreamPart.ToolCall({
        index,
        id,
        name,
        arguments: text,
        ...(signature === undefined ? undefined : { signature })
      })
    )
  }
}

// --- the answer --------------------------------------------------------------------------------------------

const context = ({ provider, requestId }: Asked) => ({
  provider,
  ...(requestId === undefined ? undefined : { requestId })
})

/** The error for a body, or a stream, without an answer. */
export const notAnswer = (asked: Asked, message: string): NetworkError =>
  new NetworkError({ ...context(asked), message })

/** The error for a prompt that was blocked; nothing if it was not. */
export const blocked = (asked: Asked, feedback: unknown): ContentFilterError | undefined => {
  const reason = isJsonObject(feedback) ? textOf(feedback.blockReason) : undefined
  if (reason === undefined || !isJsonObject(feedback)) return undefined
  const words = textOf(feedback.blockReasonMessage)
  return new ContentFilterError({
    ...context(asked),
    status: 200,
    code: safeText(reason, 100),
    message: safeText(`the prompt was blocked: ${words === undefined ? reason : `${reason}: ${words}`}`)
  })
}

/** How a candidate ended, or the error that it ended with. */
export const finishOf = (
  asked: Asked,
  raw: string | undefined,
  words: unknown,
  calls: boolean
): Either.Either<FinishReason, LlmError> => {
  const reason = finishReasonOf(raw, calls)
  if (reason !== "error") return Either.right(reason)
  const more = textOf(words)
  const fields = {
    ...context(asked),
    code: safeText(raw ?? "", 100),
    message: safeText(`the model stopped with "${raw}"${more === undefined ? "" : `: ${more}`}`)
  }
  return Either.left(
    // the conversation lacks a proof: it will lack it the next time, too
    raw === "MISSING_THOUGHT_SIGNATURE" ? new InvalidRequestError(fields) : new ServerError(fields)
  )
}

const read = (candidate: JsonObject): Candidate => {
  const found = new Candidate()
  found.add(candidate.content)
  found.end()
  return found
}

const choice = (candidate: JsonObject): Choice => {
  const { text, toolCalls } = read(candidate)
  return {
    text,
    toolCalls,
    finishReason: finishReasonOf(textOf(candidate.finishReason), toolCalls.length > 0),
    ...(candidate.logprobsResult == null ? undefined : { logprobs: candidate.logprobsResult })
  }
}

/** The answer, or the typed error for a 2xx that holds none. */
export const decode = (body: unknown, asked: Asked): Either.Either<ChatResponse, LlmError> => {
  // as the streaming method answers where no events are asked for
  const whole: unknown = Array.isArray(body) && body.length === 1 ? body[0] : body
  if (!isJsonObject(whole)) return Either.left(notAnswer(asked, "the answer is not a JSON object"))
  const candidates = Array.isArray(whole.candidates) ? whole.candidates.filter(isJsonObject) : []
  const [first, ...others] = candidates
  if (first === undefined) {
    return Either.left(
      withUsage(
        blocked(asked, whole.promptFeedback) ?? notAnswer(asked, "the answer has no candidates"),
        usageOf(whole.usageMetadata)
      )
    )
  }
  const found = read(first)
  const raw = textOf(first.finishReason)
  const finish = finishOf(asked, raw, first.finishMessage, found.toolCalls.length > 0)
  if (Either.isLeft(finish)) return Either.left(withUsage(finish.left, usageOf(whole.usageMetadata)))
  const response: Writable<ChatResponse> = fromFields({
    ...answered(asked, body),
    model: textOf(whole.modelVersion) ?? asked.model,
    text: found.text,
    finishReason: finish.right,
    toolCalls: found.toolCalls,
    usage: usageOf(whole.usageMetadata) ?? estimatedUsage(asked.request, found)
  })
  const id = textOf(whole.responseId)
  const tier = serviceTierOf(whole.usageMetadata)
  if (id !== undefined) response.id = id
  if (raw !== undefined) response.rawFinishReason = raw
  if (found.reasoning !== "") response.reasoning = found.reasoning
  if (found.reasoningParts.length > 0) response.reasoningParts = found.reasoningParts
  if (first.logprobsResult != null) response.logprobs = first.logprobsResult
  if (others.length > 0) response.alternatives = others.map(choice)
  if (tier !== undefined) response.serviceTier = tier
  return Either.right(response)
}
