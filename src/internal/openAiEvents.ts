/**
 * OpenAI's streamed chat completion, event by event. Lenient as `openAiResponse` is: roles and ids may be empty, a
 * call's index may be missing, a chunk may hold nothing, the usage may come last, in each chunk or never.
 */
import * as Either from "effect/Either"
import { type LlmError, NetworkError, ServerError, withUsage } from "../LlmError.js"
import { StreamPart } from "../StreamPart.js"
import type { Usage } from "../Usage.js"
import type { Asked, EventReader, ServerSentEvent } from "../Wire.js"
import { classify, classifyEvent } from "./classifyError.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import type { Dialect } from "./openAiDialect.js"
import * as OpenAiReasoning from "./openAiReasoning.js"
import { finishReasonOf, textOf } from "./openAiResponse.js"
import * as OpenAiUsage from "./openAiUsage.js"
import { Splitter } from "./thinkTags.js"
import * as WireValues from "./wireValues.js"

type Parts = ReadonlyArray<StreamPart>
type Read = Either.Either<Parts, LlmError>

const none: Read = Either.right([])

const filled = WireValues.textOf

/** What is known of a call that is coming in. */
interface Called {
  readonly id: string | undefined
  readonly isNamed: boolean
}

/** A piece of a call, and where it stood in its list. */
interface Piece {
  readonly id: string | undefined
  readonly name: string | undefined
  readonly position: number
  /** How long the list is. */
  readonly of: number
}

/** Reads one answer. */
class ChatReader implements EventReader {
  readonly #asked: Asked
  readonly #dialect: Dialect
  readonly #splitter: Splitter | undefined
  readonly #details = new OpenAiReasoning.Details()
  #thoughts = ""
  #begun = false
  #refuses = false
  /** The calls so far, by their indexes. */
  readonly #calls = new Map<number, Called>()
  /** Index of the call that the last piece was of. */
  #lastCall = 0
  #finishReason: string | undefined
  #serviceTier: string | undefined
  #usage: Usage | undefined
  #isOver = false

  constructor(dialect: Dialect, asked: Asked) {
    this.#dialect = dialect
    this.#asked = asked
    this.#splitter = dialect.thinkTags === false ? undefined : new Splitter(dialect.thinkTags)
  }

  read({ data, event }: ServerSentEvent): Read {
    const text = data.trim()
    if (text === "" || this.#isOver) return none
    if (text === "[DONE]") return this.#over()
    const parsed = Either.try((): unknown => JSON.parse(text))
    if (Either.isLeft(parsed)) return this.#fail("an event of the stream is not JSON")
    const chunk = parsed.right
    const failed = this.#errorOf(event, chunk)
    if (failed !== undefined) return Either.left(failed)
    return isJsonObject(chunk) ? Either.right(this.#chunk(chunk)) : none
  }

  end(): Read {
    if (this.#isOver) return none
    // some servers have no end mark: the reason why the model stopped is as good
    return this.#finishReason === undefined ? this.#fail("the stream ended early") : this.#over()
  }

  #fail(message: string): Read {
    return Either.left(new NetworkError({ ...this.#context, message }))
  }

  get #context() {
    const { provider, requestId } = this.#asked
    return { provider, ...(requestId === undefined ? undefined : { requestId }) }
  }

  #errorOf(event: string, chunk: unknown): LlmError | undefined {
    const answer = {
      status: 200,
      headers: this.#asked.requestId === undefined ? {} : { "x-request-id": this.#asked.requestId },
      body: chunk
    }
    const now = Date.now()
    const found = classifyEvent(this.#asked.provider, answer, now)
    if (found !== undefined || event !== "error") return found
    return classify(this.#asked.provider, { ...answer, body: { error: chunk } }, now)
  }

  #chunk(chunk: JsonObject): Parts {
    const parts: Array<StreamPart> = []
    const { choices, service_tier: tier, usage, x_groq: groq } = chunk
    // the first chunk of Azure tells of the prompt alone, and has no id
    if (!this.#begun && Array.isArray(choices) && choices.length > 0) {
      this.#begun = true
      parts.push(StreamPart.Start({ id: filled(chunk.id), model: filled(chunk.model) }))
    }
    this.#serviceTier = filled(tier) ?? this.#serviceTier
    const used = OpenAiUsage.read(
      isJsonObject(usage) ? usage : isJsonObject(groq) ? groq.usage : undefined,
      this.#dialect.reasoningTokens
    )
    if (used !== undefined) this.#usage = used
    for (const choice of Array.isArray(choices) ? choices : []) {
      if (isJsonObject(choice) && (choice.index ?? 0) === 0) this.#choice(choice, parts)
    }
    return parts
  }

  #choice(choice: JsonObject, parts: Array<StreamPart>): void {
    // a server that has the whole answer at once may send it as a message
    const delta = isJsonObject(choice.delta) ? choice.delta : choice.message
    if (isJsonObject(delta)) this.#delta(delta, parts)
    if (choice.logprobs != null) parts.push(StreamPart.Logprobs({ logprobs: choice.logprobs }))
    this.#finishReason = filled(choice.finish_reason) ?? this.#finishReason
  }

  #delta(delta: JsonObject, parts: Array<StreamPart>): void {
    this.#details.add(delta.reasoning_details)
    const told = filled(delta.reasoning_content) ?? filled(delta.reasoning)
    if (told !== undefined) this.#think(told, parts)
    const text = textOf(delta.content)
    if (text !== "") {
      const split = this.#splitter?.push(text) ?? { reasoning: "", text }
      this.#split(split, parts)
    }
    const refusal = filled(delta.refusal)
    if (refusal !== undefined) {
      this.#refuses = true
      parts.push(StreamPart.Refusal({ text: refusal }))
    }
    const calls = delta.tool_calls
    if (Array.isArray(calls)) {
      for (const [position, call] of calls.entries()) this.#call(call, position, calls.length, parts)
    }
    if (isJsonObject(delta.function_call))
      this.#call({ index: 0, function: delta.function_call }, 0, 1, parts)
  }

  #think(text: string, parts: Array<StreamPart>): void {
    this.#thoughts += text
    parts.push(StreamPart.Reasoning({ text }))
  }

  #split(
    { reasoning, text }: { readonly reasoning: string; readonly text: string },
    parts: Array<StreamPart>
  ) {
    if (reasoning !== "") this.#think(reasoning, parts)
    if (text !== "") parts.push(StreamPart.Text({ text }))
  }

  #call(call: unknown, position: number, of: number, parts: Array<StreamPart>): void {
    if (!isJsonObject(call)) return
    const called = isJsonObject(call.function) ? call.function : {}
    const id = filled(call.id)
    // its name comes once; a server that repeats it with the call's index or id means the same
    const name = filled(called.name)
    const index = typeof call.index === "number" ? call.index : this.#indexOf({ id, name, position, of })
    const known = this.#calls.get(index)
    this.#calls.set(index, {
      id: id ?? known?.id,
      isNamed: name !== undefined || known?.isNamed === true
    })
    this.#lastCall = index
    parts.push(StreamPart.ToolCall({ index, id, name, arguments: WireValues.argumentsOf(called.arguments) }))
  }

  /** Which call a piece is of, where the server gives no index. */
  #indexOf({ id, name, of, position }: Piece): number {
    const last = this.#calls.get(this.#lastCall)
    if (last === undefined) return 0
    const next = Math.max(...this.#calls.keys()) + 1
    if (id !== undefined) {
      for (const [index, call] of this.#calls) if (call.id === id) return index
      return next
    }
    // two pieces in one list are of two calls
    if (name !== undefined) return last.isNamed || position > 0 ? next : this.#lastCall
    if (of === 1) return this.#lastCall
    return this.#calls.has(position) ? position : next
  }

  #over(): Read {
    this.#isOver = true
    const raw = this.#finishReason
    const finishReason = finishReasonOf(raw, this.#dialect, {
      refuses: this.#refuses,
      calls: this.#calls.size > 0
    })
    if (finishReason === "error") {
      const error = new ServerError({ ...this.#context, message: `the model stopped with "${raw}"` })
      return Either.left(withUsage(error, this.#usage))
    }
    const parts: Array<StreamPart> = []
    if (this.#splitter !== undefined) this.#split(this.#splitter.end(raw === "length"), parts)
    const thoughts = OpenAiReasoning.partsOf(this.#dialect, this.#thoughts, this.#details.whole)
    for (const part of thoughts) parts.push(StreamPart.ReasoningEnd({ part }))
    if (this.#usage !== undefined) parts.push(StreamPart.Usage({ usage: this.#usage }))
    parts.push(
      StreamPart.Finish({
        finishReason,
        ...(raw === undefined ? undefined : { rawFinishReason: raw }),
        ...(this.#serviceTier === undefined ? undefined : { serviceTier: this.#serviceTier })
      })
    )
    return Either.right(parts)
  }
}

/** A reader for the events of one answer. */
export const reader =
  (dialect: Dialect) =>
  (asked: Asked): EventReader =>
    new ChatReader(dialect, asked)
