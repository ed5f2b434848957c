/**
 * An outcome as a line of an output file of OpenAI's Batch API.
 *
 * Source: OpenAI's API reference, "The request output object", and the shape of a `chat.completion`.
 */
import { createHash } from "node:crypto"
import { isJsonObject, type JsonObject } from "../internal/jsonObject.js"

const objectOf = (value: unknown): JsonObject => (isJsonObject(value) ? value : {})

const usageOf = (usage: JsonObject): JsonObject => {
  const { cacheReadTokens, inputTokens, outputTokens, reasoningTokens } = usage
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: Number(inputTokens) + Number(outputTokens),
    ...(cacheReadTokens === undefined
      ? undefined
      : { prompt_tokens_details: { cached_tokens: cacheReadTokens } }),
    ...(reasoningTokens === undefined
      ? undefined
      : { completion_tokens_details: { reasoning_tokens: reasoningTokens } })
  }
}

const toolCallOf = (call: unknown): JsonObject => {
  const { arguments: given, id, name } = objectOf(call)
  return {
    id,
    type: "function",
    function: { name, arguments: given }
  }
}

const choiceOf = (answer: JsonObject, index: number): JsonObject => {
  const { finishReason, logprobs, reasoning, refusal, text, toolCalls } = answer
  const calls = Array.isArray(toolCalls) ? toolCalls.map(toolCallOf) : []
  return {
    index,
    message: {
      role: "assistant",
      content: text === "" && (calls.length > 0 || refusal !== undefined) ? null : text,
      refusal: refusal ?? null,
      ...(reasoning === undefined ? undefined : { reasoning_content: reasoning }),
      ...(calls.length === 0 ? undefined : { tool_calls: calls })
    },
    logprobs: logprobs ?? null,
    finish_reason: finishReason
  }
}

const completionOf = (response: JsonObject, id: string): JsonObject => {
  const { alternatives, model, serviceTier, usage } = response
  const others = Array.isArray(alternatives) ? alternatives.map(objectOf) : []
  return {
    id: response.id ?? `chatcmpl-${id}`,
    object: "chat.completion",
    // readers want one, and ours do not say when they were answered
    created: 0,
    model,
    choices: [response, ...others].map(choiceOf),
    usage: usageOf(objectOf(usage)),
    ...(serviceTier === undefined ? undefined : { service_tier: serviceTier })
  }
}

/** `RateLimitError` as OpenAI writes such names: `rate_limit_error`. */
const codeOf = (tag: unknown): string =>
  String(tag)
    .replace(/(?<=[a-z])(?=[A-Z])/g, "_")
    .toLowerCase()

/** What the server answered stands in `response`, an answer or an error; what never had an answer is an `error`. */
export const openAiOutputLine = (outcome: JsonObject): JsonObject => {
  const meta = objectOf(outcome.meta)
  const id = createHash("sha256").update(`${outcome.index} ${meta.key}`).digest("hex").slice(0, 24)
  const head = {
    id: `batch_req_${id}`,
    custom_id: outcome.custom_id ?? null,
    ...(outcome.sample === undefined ? undefined : { sample: outcome.sample })
  }
  if (isJsonObject(outcome.response)) {
    return {
      ...head,
      response: {
        status_code: 200,
        request_id: meta.requestId ?? null,
        body: completionOf(outcome.response, id)
      },
      error: null
    }
  }
  const { _tag, code, message, requestId, status } = objectOf(outcome.error)
  const error = { code: code ?? codeOf(_tag), message }
  return typeof status === "number"
    ? {
        ...head,
        response: {
          status_code: status,
          request_id: requestId ?? null,
          body: { error: { message, type: codeOf(_tag), param: null, code: code ?? null } }
        },
        error: null
      }
    : { ...head, response: null, error }
}
