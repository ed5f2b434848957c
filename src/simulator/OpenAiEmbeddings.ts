/**
 * `POST /v1/embeddings`: a unit vector per input, the same for the same input wherever it stands.
 */
import { type Body, error, firstOf, missing, outOfBounds, refused } from "./OpenAiError.js"
import { tokensOf } from "./Text.js"
import * as Vectors from "./Vectors.js"
import type { Call, Reply, WireOptions } from "./Wire.js"

const parameters = new Set(["dimensions", "encoding_format", "input", "model", "user"])

const maxInputs = 2048
const maxTokensEach = 8192
const maxTokensInAll = 300_000

interface Input {
  readonly text: string
  readonly tokens: number
}

const isTokens = (value: unknown): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "number")

/** One text, one list of token ids, or a list of either. */
const inputsOf = (value: unknown): ReadonlyArray<Input> | undefined => {
  const one = (item: unknown): Input | undefined => {
    if (typeof item === "string" && item !== "") return { text: item, tokens: tokensOf(item.length) }
    return isTokens(item) ? { text: item.join(" "), tokens: item.length } : undefined
  }
  const single = one(value)
  if (single !== undefined) return [single]
  if (!Array.isArray(value) || value.length === 0) return undefined
  const inputs = value.map(one)
  return inputs.every((input) => input !== undefined) ? inputs : undefined
}

const badSize = (
  body: Body,
  inputs: ReadonlyArray<Input> | undefined,
  options: WireOptions
): Reply | undefined => {
  if (body["input"] === undefined) return missing("input")
  if (inputs === undefined) {
    return error(400, { message: "'$.input' is invalid. Please check the API reference.", param: "input" })
  }
  if (inputs.length > maxInputs) {
    const message = `Invalid 'input': array too long. Expected an array with maximum length ${maxInputs}, but got an array with length ${inputs.length} instead.`
    return error(400, { message, param: "input", code: "array_above_max_length" })
  }
  const most = Math.min(options.contextWindow ?? maxTokensEach, maxTokensEach)
  const longest = inputs.reduce((longest, input) => Math.max(longest, input.tokens), 0)
  if (longest > most) {
    const message = `This model's maximum context length is ${most} tokens, however you requested ${longest} tokens (${longest} in your prompt; 0 for the completion). Please reduce your prompt; or completion length.`
    return error(400, { message, param: "input", code: "context_length_exceeded" })
  }
  const total = inputs.reduce((sum, input) => sum + input.tokens, 0)
  if (total > maxTokensInAll) {
    const message = `Requested ${total} tokens, max ${maxTokensInAll} tokens per request`
    return error(400, {
      message,
      type: "max_tokens_per_request",
      param: "input",
      code: "max_tokens_per_request"
    })
  }
  return undefined
}

/** Reads a request, or refuses it as OpenAI does. */
export const read = (body: Body, options: WireOptions): Call | Reply => {
  const model = String(body["model"] ?? "")
  const inputs = inputsOf(body["input"]) ?? []
  const reply = firstOf(
    () => refused(body, parameters, options),
    () => badSize(body, inputsOf(body["input"]), options),
    () => outOfBounds(body, "dimensions", { min: 1, max: 3072, integer: true })
  )
  if (reply !== undefined) return reply
  const standard = model.includes("3-large") ? 3072 : 1536
  const dimensions = typeof body["dimensions"] === "number" ? body["dimensions"] : standard
  const inputTokens = inputs.reduce((sum, input) => sum + input.tokens, 0)
  return {
    _tag: "Call",
    model,
    prompt: inputs.map((input) => input.text).join("\n"),
    inputTokens,
    maxOutputTokens: 0,
    answer: ({ seed }) => ({
      inputTokens,
      outputTokens: 0,
      body: JSON.stringify({
        object: "list",
        data: inputs.map(({ text }, index) => ({
          object: "embedding",
          index,
          embedding: Vectors.write(
            Vectors.unit(text, model, seed, dimensions),
            "float",
            body["encoding_format"] === "base64"
          )
        })),
        model,
        usage: { prompt_tokens: inputTokens, total_tokens: inputTokens }
      })
    })
  }
}
