/**
 * The parts of an answer that comes bit by bit, in one shape for every provider, and their sum.
 *
 * @example
 * import { Chat, stream, type StreamPart } from "floodgate"
 * import * as Console from "effect/Console"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const program = stream(Chat.prompt("Tell me a story.", { thinking: "low" })).pipe(
 *   Stream.runForEach((part: StreamPart.StreamPart) => {
 *     switch (part._tag) {
 *       case "Reasoning":
 *       case "Text":
 *         return Console.log(part.text)
 *       case "Finish":
 *         return Console.log(`(${part.finishReason}, ${part.serviceTier ?? "no tier told"})`)
 *       default:
 *         return Effect.void
 *     }
 *   })
 * )
 *
 * @module
 */
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import { estimatedUsage } from "./internal/tokenEstimate.js"
import { type LlmError, NetworkError, ServerError } from "./LlmError.js"
import type { ReasoningPart, ToolCall } from "./Message.js"
import type { Request } from "./Request.js"
import { type ChatResponse, type FinishReason, fromFields } from "./Response.js"
import type { Usage } from "./Usage.js"

/** One part of a streamed answer. `Finish` is the last, and there is none without it. */
export type StreamPart = Data.TaggedEnum<{
  /** The provider has begun. */
  Start: {
    readonly id?: string | undefined
    readonly model?: string | undefined
    /** Name of the provider that answers. */
    readonly provider?: string | undefined
  }
  /** More of the answer's text. */
  Text: { readonly text: string }
  /** More of what the model thinks. */
  Reasoning: { readonly text: string }
  /** A whole piece of thought, as the provider wants it back in a turn that follows. */
  ReasoningEnd: { readonly part: ReasoningPart }
  /** More of why the model will not answer. */
  Refusal: { readonly text: string }
  /** More of a tool call: its id and name come once, its arguments bit by bit. */
  ToolCall: {
    /** Which of the answer's calls, from 0. */
    readonly index: number
    readonly id?: string | undefined
    readonly name?: string | undefined
    readonly arguments: string
    readonly signature?: string | undefined
  }
  /** Log probabilities, in the provider's shape: each time those of the new tokens. */
  Logprobs: { readonly logprobs: unknown }
  /** Something that the request asked for was left out, because the provider has no counterpart. */
  Warning: { readonly message: string }
  /**
   * What the call has used so far, in all: the last one counts. Where a server states none, `stream` gives an estimate
   * (`estimated`) before the `Finish`.
   */
  Usage: { readonly usage: Usage }
  /** The answer is whole. */
  Finish: {
    readonly finishReason: FinishReason
    readonly rawFinishReason?: string | undefined
    readonly serviceTier?: string | undefined
  }
}>

/** Constructors and matchers: `StreamPart.Text({ text })`, `StreamPart.$match({ … })`. */
export const StreamPart = Data.taggedEnum<StreamPart>()

/** What the parts of an answer amount to. */
export interface Collected {
  readonly id: string | undefined
  readonly model: string | undefined
  readonly provider: string | undefined
  readonly text: string
  readonly reasoning: string
  readonly reasoningParts: ReadonlyArray<ReasoningPart>
  readonly refusal: string
  readonly toolCalls: ReadonlyArray<ToolCall>
  readonly logprobs: ReadonlyArray<unknown>
  readonly usage: Usage | undefined
  readonly warnings: ReadonlyArray<string>
  /** Absent if the stream ended without one. */
  readonly finish: Extract<StreamPart, { _tag: "Finish" }> | undefined
}

/** Why the arguments of a tool call are not a JSON object; nothing if they are. */
export const invalidArguments = (text: string): string | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? undefined
      : "the arguments are not a JSON object"
  } catch (cause) {
    return `the arguments are not JSON: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}

/** A tool call of these arguments, told whether they can be read. Empty arguments stand for none. */
export const toolCall = (fields: Omit<ToolCall, "invalid">): ToolCall => {
  const call = fields.arguments.trim() === "" ? { ...fields, arguments: "{}" } : fields
  const invalid = invalidArguments(call.arguments)
  return invalid === undefined ? call : { ...call, invalid }
}

/** Log probabilities come in pieces of one shape, whose lists follow each other. */
const joined = (pieces: ReadonlyArray<unknown>): unknown => {
  if (pieces.every(Array.isArray)) return pieces.flat()
  const lists = pieces.map((piece) =>
    typeof piece === "object" && piece !== null && "content" in piece && Array.isArray(piece.content)
      ? piece.content
      : undefined
  )
  if (pieces.length === 1) return pieces[0]
  return lists.every((list) => list !== undefined) ? { content: lists.flat() } : pieces
}

/** Adds up parts, one after the other. */
export class Collector {
  #id: string | undefined
  #model: string | undefined
  #provider: string | undefined
  #text = ""
  #reasoning = ""
  readonly #reasoningParts: Array<ReasoningPart> = []
  #refusal = ""
  readonly #calls = new Map<number, { id: string; name: string; arguments: string; signature?: string }>()
  readonly #logprobs: Array<unknown> = []
  readonly #warnings: Array<string> = []
  #usage: Usage | undefined
  #finish: Collected["finish"]

  /** Takes in the next part. */
  add(part: StreamPart): void {
    switch (part._tag) {
      case "Start":
        // a later start is another attempt: nothing of the first holds for it
        this.#id = part.id
        this.#model = part.model
        this.#provider = part.provider
        return
      case "Text":
        this.#text += part.text
        return
      case "Reasoning":
        this.#reasoning += part.text
        return
      case "ReasoningEnd":
        this.#reasoningParts.push(part.part)
        return
      case "Refusal":
        this.#refusal += part.text
        return
      case "ToolCall": {
        let call = this.#calls.get(part.index)
        if (call === undefined) {
          call = { id: "", name: "", arguments: "" }
          this.#calls.set(part.index, call)
        }
        if (part.id) call.id = part.id
        if (part.name) call.name = part.name
        if (part.signature !== undefined) call.signature = part.signature
        call.arguments += part.arguments
        return
      }
      case "Logprobs":
        this.#logprobs.push(part.logprobs)
        return
      case "Warning":
        this.#warnings.push(part.message)
        return
      case "Usage":
        this.#usage = part.usage
        return
      case "Finish":
        this.#finish = part
    }
  }

  /** The answer that the parts amount to, if they are the whole of one. */
  response(asked: {
    /** Where the start does not say. */
    readonly provider: string
    readonly model: string
    /** What the usage is estimated from where none was told. */
    readonly request?: Request | undefined
  }): Either.Either<ChatResponse, LlmError> {
    const { finish, logprobs, reasoning, reasoningParts, refusal, text, toolCalls, ...told } = this.collected
    const provider = told.provider ?? asked.provider
    if (finish === undefined) {
      const message = "The stream ended before the answer was whole"
      return Either.left(new NetworkError({ provider, message }))
    }
    if (finish.finishReason === "error") {
      const message = `the model stopped with "${finish.rawFinishReason ?? "error"}"`
      return Either.left(new ServerError({ provider, message }))
    }
    return Either.right(
      fromFields({
        text,
        finishReason: finish.finishReason,
        toolCalls,
        usage: told.usage ?? estimatedUsage(asked.request, { text, reasoning, refusal, toolCalls }),
        model: told.model ?? asked.model,
        provider,
        meta: { attempts: 1, cached: false, latencyMs: 0 },
        ...(told.id === undefined ? undefined : { id: told.id }),
        ...(finish.rawFinishReason === undefined ? undefined : { rawFinishReason: finish.rawFinishReason }),
        ...(finish.serviceTier === undefined ? undefined : { serviceTier: finish.serviceTier }),
        ...(reasoning === "" ? undefined : { reasoning }),
        ...(reasoningParts.length === 0 ? undefined : { reasoningParts }),
        ...(refusal === "" ? undefined : { refusal }),
        ...(told.warnings.length === 0 ? undefined : { warnings: told.warnings }),
        ...(logprobs.length === 0 ? undefined : { logprobs: joined(logprobs) })
      })
    )
  }

  get collected(): Collected {
    return {
      id: this.#id,
      model: this.#model,
      provider: this.#provider,
      text: this.#text,
      reasoning: this.#reasoning,
      reasoningParts: this.#reasoningParts,
      refusal: this.#refusal,
      toolCalls: [...this.#calls.entries()]
        .sort(([a], [b]) => a - b)
        .map(([, call], index) => toolCall({ ...call, id: call.id || `call_${index}` })),
      logprobs: this.#logprobs,
      usage: this.#usage,
      warnings: this.#warnings,
      finish: this.#finish
    }
  }
}

/** A whole answer as the parts of a stream, as one from the cache is given. */
export const fromResponse = (response: ChatResponse): ReadonlyArray<StreamPart> => [
  StreamPart.Start({ id: response.id, model: response.model, provider: response.provider }),
  ...(response.warnings ?? []).map((message) => StreamPart.Warning({ message })),
  ...(response.reasoning === undefined ? [] : [StreamPart.Reasoning({ text: response.reasoning })]),
  ...(response.reasoningParts ?? []).map((part) => StreamPart.ReasoningEnd({ part })),
  ...(response.refusal === undefined ? [] : [StreamPart.Refusal({ text: response.refusal })]),
  ...(response.text === "" ? [] : [StreamPart.Text({ text: response.text })]),
  ...response.toolCalls.map(({ arguments: text, id, name, signature }, index) =>
    StreamPart.ToolCall({ index, id, name, arguments: text, signature })
  ),
  ...(response.logprobs === undefined ? [] : [StreamPart.Logprobs({ logprobs: response.logprobs })]),
  StreamPart.Usage({ usage: response.usage }),
  StreamPart.Finish({
    finishReason: response.finishReason,
    rawFinishReason: response.rawFinishReason,
    serviceTier: response.serviceTier
  })
]
