/**
 * Google's streamed answer: each event is a piece of the same shape as the plain one. There is no end mark; the reason
 * why the model stopped is it.
 */
import * as Either from "effect/Either"
import { type LlmError, withUsage } from "../LlmError.js"
import { StreamPart } from "../StreamPart.js"
import type { Asked, EventReader, ServerSentEvent } from "../Wire.js"
import { classifyEvent } from "./classifyError.js"
import { blocked, Candidate, finishOf, notAnswer, serviceTierOf, usageOf } from "./geminiResponse.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { listOf, textOf } from "./wireValues.js"

type Read = Either.Either<ReadonlyArray<StreamPart>, LlmError>

/** Reads one answer. */
class ChatReader implements EventReader {
  readonly #asked: Asked
  readonly #candidate: Candidate
  #parts: Array<StreamPart> = []
  #begun = false
  #finishReason: string | undefined
  #finishMessage: unknown
  #serviceTier: string | undefined
  /** The pieces put together, as the plain answer has them. */
  #logprobs: Record<string, unknown> | undefined

  constructor(asked: Asked) {
    this.#asked = asked
    this.#candidate = new Candidate((part) => this.#parts.push(part))
  }

  read({ data }: ServerSentEvent): Read {
    const text = data.trim()
    if (text === "") return Either.right([])
    const parsed = Either.try((): unknown => JSON.parse(text))
    if (Either.isLeft(parsed))
      return Either.left(notAnswer(this.#asked, "an event of the stream is not JSON"))
    const answer = { status: 200, headers: {}, body: parsed.right }
    const failed = classifyEvent(this.#asked.provider, answer, Date.now())
    if (failed !== undefined) return Either.left(failed)
    return isJsonObject(parsed.right) ? this.#piece(parsed.right) : Either.right([])
  }

  end(): Read {
    if (this.#finishReason === undefined) {
      return Either.left(notAnswer(this.#asked, "the stream ended early"))
    }
    this.#candidate.end()
    return Either.map(
      finishOf(this.#asked, this.#finishReason, this.#finishMessage, this.#candidate.toolCalls.length > 0),
      (finishReason) => {
        if (this.#logprobs !== undefined) this.#parts.push(StreamPart.Logprobs({ logprobs: this.#logprobs }))
        this.#parts.push(
          StreamPart.Finish({
            finishReason,
            rawFinishReason: this.#finishReason,
            ...(this.#serviceTier === undefined ? undefined : { serviceTier: this.#serviceTier })
          })
        )
        return this.#taken()
      }
    )
  }

  #taken(): ReadonlyArray<StreamPart> {
    const parts = this.#parts
    this.#parts = []
    return parts
  }

  #piece(piece: JsonObject): Read {
    if (!this.#begun) {
      this.#begun = true
      this.#parts.push(StreamPart.Start({ id: textOf(piece.responseId), model: textOf(piece.modelVersion) }))
    }
    const candidates = listOf(piece.candidates).filter(isJsonObject)
    const refused = candidates.length === 0 ? blocked(this.#asked, piece.promptFeedback) : undefined
    if (refused !== undefined) return Either.left(withUsage(refused, usageOf(piece.usageMetadata)))
    for (const candidate of candidates) if ((candidate.index ?? 0) === 0) this.#add(candidate)
    // what has been used so far: the next piece says it anew
    const usage = usageOf(piece.usageMetadata)
    if (usage !== undefined) this.#parts.push(StreamPart.Usage({ usage }))
    this.#serviceTier = serviceTierOf(piece.usageMetadata) ?? this.#serviceTier
    return Either.right(this.#taken())
  }

  #add(candidate: JsonObject): void {
    this.#candidate.add(candidate.content)
    this.#finishReason = textOf(candidate.finishReason) ?? this.#finishReason
    this.#finishMessage = candidate.finishMessage ?? this.#finishMessage
    const { logprobsResult: logprobs } = candidate
    if (!isJsonObject(logprobs)) return
    const before = this.#logprobs ?? {}
    this.#logprobs = { ...before, ...logprobs }
    for (const [name, value] of Object.entries(logprobs)) {
      if (Array.isArray(value)) this.#logprobs[name] = [...listOf(before[name]), ...value]
    }
  }
}

/** A reader for the events of one answer. */
export const make = (asked: Asked): EventReader => new ChatReader(asked)
