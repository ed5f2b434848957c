/**
 * An answer of OpenAI's Responses API, normalised. It has no reason why it ended: that is told by its status and its
 * items. What only describes it counts as absent where it is of the wrong type.
 */
import * as Either from "effect/Either"
import { type LlmError, ServerError, withUsage } from "../LlmError.js"
import type { ToolCall } from "../Message.js"
import { type ChatResponse, type FinishReason, fromFields } from "../Response.js"
import { toolCall } from "../StreamPart.js"
import type { Usage } from "../Usage.js"
import { type Asked, answered } from "../Wire.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { context, noAnswer } from "./noAnswer.js"
import * as ResponsesEcho from "./responsesEcho.js"
import { estimatedUsage } from "./tokenEstimate.js"
import { argumentsOf, countOf, listOf, objectOf, textOf } from "./wireValues.js"

type Writable<A> = { -readonly [K in keyof A]: A[K] }

/** The items of an answer. */
export const outputOf = ({ output }: JsonObject): ReadonlyArray<JsonObject> =>
  listOf(output).filter(isJsonObject)

/**
 * Cached and cache-write tokens are parts of the input, and thoughts of the output. `undefined` without both counts:
 * what is not stated is not free.
 */
export const usageOf = (wire: unknown): Usage | undefined => {
  if (!isJsonObject(wire)) return undefined
  const inputTokens = countOf(wire.input_tokens)
  const outputTokens = countOf(wire.output_tokens)
  if (inputTokens === undefined || outputTokens === undefined) return undefined
  const input = objectOf(wire.input_tokens_details)
  const cached = countOf(input.cached_tokens)
  const written = countOf(input.cache_write_tokens)
  const thoughts = countOf(objectOf(wire.output_tokens_details).reasoning_tokens)
  const usage: Writable<Usage> = { inputTokens, outputTokens }
  if (cached !== undefined) usage.cacheReadTokens = cached
  if (written !== undefined) usage.cacheWriteTokens = written
  if (thoughts !== undefined) usage.reasoningTokens = thoughts
  return usage
}

/** How an answer ended. */
export interface Ending {
  readonly finishReason: FinishReason
  /** The status, or why the answer is not complete. */
  readonly raw: string | undefined
}

const incomplete: ReadonlyMap<string | undefined, FinishReason> = new Map([
  ["max_output_tokens", "length"],
  ["content_filter", "content_filter"]
])

/** The end by status and items. */
export const endingOf = (
  { incomplete_details: details, status: given }: JsonObject,
  said: { readonly refuses: boolean; readonly calls: boolean }
): Ending => {
  const status = textOf(given)
  switch (status) {
    case "incomplete": {
      const reason = textOf(objectOf(details).reason)
      return { finishReason: incomplete.get(reason) ?? "other", raw: reason ?? status }
    }
    case "queued":
    case "in_progress":
      return { finishReason: "pause", raw: status }
    case "failed":
    case "cancelled":
      return { finishReason: "error", raw: status }
  }
  const finishReason = said.refuses ? "content_filter" : said.calls ? "tool_calls" : "stop"
  return { finishReason, raw: status }
}

/** The error of an answer that the model did not bring to its end, where the answer itself does not say why. */
export const failed = (asked: Asked, status: string | undefined): LlmError =>
  new ServerError({ ...context(asked), message: `the answer ended with the status "${status ?? "failed"}"` })

/** The calls of an answer, by the ids that their results go by. */
const callsIn = (output: ReadonlyArray<JsonObject>): ReadonlyArray<ToolCall> =>
  output
    .filter(({ type }) => type === "function_call")
    .map(({ arguments: given, call_id: callId, id, name }, index) =>
      toolCall({
        id: textOf(callId) ?? textOf(id) ?? `call_${index}`,
        name: textOf(name) ?? "",
        arguments: argumentsOf(given)
      })
    )

/** The answer, or the typed error for a 2xx that holds none. */
export const decode = (body: unknown, asked: Asked): Either.Either<ChatResponse, LlmError> => {
  if (!isJsonObject(body) || !Array.isArray(body.output)) {
    return Either.left(noAnswer(asked, body, "one of the Responses API"))
  }
  const output = outputOf(body)
  const content = ResponsesEcho.contentIn(output)
  const text = ResponsesEcho.saidIn(output)
  const reasoning = ResponsesEcho.reasoningIn(output)
  const refusal = content.map((part) => textOf(part.refusal) ?? "").join("")
  const toolCalls = callsIn(output)
  const { finishReason, raw } = endingOf(body, { refuses: refusal !== "", calls: toolCalls.length > 0 })
  if (finishReason === "error") return Either.left(withUsage(failed(asked, raw), usageOf(body.usage)))
  const { meta, provider } = answered(asked, body)
  // one plain object, and what is rare after it: spreading what may be absent costs ten times as much
  const response: Writable<ChatResponse> = fromFields({
    text,
    finishReason,
    toolCalls,
    usage: usageOf(body.usage) ?? estimatedUsage(asked.request, { text, reasoning, refusal, toolCalls }),
    model: textOf(body.model) ?? asked.model,
    provider,
    raw: body,
    meta
  })
  const id = textOf(body.id)
  const tier = textOf(body.service_tier)
  const reasoningParts = ResponsesEcho.partsOf(output)
  const logprobs = content.flatMap((part) => listOf(part.logprobs))
  if (id !== undefined) response.id = id
  if (raw !== undefined) response.rawFinishReason = raw
  if (reasoning !== "") response.reasoning = reasoning
  if (reasoningParts.length > 0) response.reasoningParts = reasoningParts
  if (refusal !== "") response.refusal = refusal
  if (logprobs.length > 0) response.logprobs = logprobs
  if (tier !== undefined) response.serviceTier = tier
  return Either.right(response)
}
