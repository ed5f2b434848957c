/**
 * `POST /v1/completions`, the legacy endpoint: text in, text out, several prompts in one request.
 */
import { type Body, error, firstOf, missing, outOfBounds, refused, tooLong } from "./OpenAiError.js"
import * as Text from "./Text.js"
import type { Answer, AnswerContext, Call, Reply, WireOptions } from "./Wire.js"

const parameters = new Set([
  "best_of",
  "echo",
  "frequency_penalty",
  "logit_bias",
  "logprobs",
  "max_tokens",
  "model",
  "n",
  "presence_penalty",
  "prompt",
  "seed",
  "stop",
  "stream",
  "stream_options",
  "suffix",
  "temperature",
  "top_p",
  "user"
])

// The endpoint's own default.
const defaultMaxTokens = 16

interface Prompt {
  readonly text: string
  readonly tokens: number
}

const isTokens = (value: unknown): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "number")

/** Prompts come as text, texts, token ids, or lists of token ids. */
const promptsOf = (value: unknown): ReadonlyArray<Prompt> | undefined => {
  if (typeof value === "string") return [{ text: value, tokens: Text.tokensOf(value.length) }]
  if (isTokens(value)) return [{ text: value.join(" "), tokens: value.length }]
  if (!Array.isArray(value) || value.length === 0) return undefined
  const prompts = value.map(promptsOf)
  return prompts.every((prompt) => prompt !== undefined) ? prompts.flat() : undefined
}

interface Choice {
  readonly text: string
  readonly tokens: number
  readonly finish: "stop" | "length" | "content_filter"
}

const choose = (
  prompt: Prompt,
  context: AnswerContext,
  index: number,
  maxTokens: number,
  echo: boolean
): Choice => {
  if (context.bent !== undefined) {
    return { text: "", tokens: 0, finish: context.bent === "contentFilter" ? "content_filter" : "stop" }
  }
  const full = Text.answer(context.hash, prompt.text, index, context.outputTokens)
  const cut = Text.tokensOf(full.length) > maxTokens
  const text = cut ? full.slice(0, maxTokens * Text.charsPerToken) : full
  return {
    text: echo ? prompt.text + text : text,
    tokens: Text.tokensOf(text.length),
    finish: cut ? "length" : "stop"
  }
}

const logprobsOf = (text: string, alternatives: number) => {
  const tokens = Text.splitTokens(text)
  return {
    tokens,
    token_logprobs: tokens.map(() => -0.125),
    top_logprobs: tokens.map((token) =>
      Object.fromEntries(
        Array.from({ length: alternatives }, (_, rank) => [
          rank === 0 ? token : `${token}${rank}`,
          -0.125 * (rank + 1)
        ])
      )
    ),
    text_offset: tokens.map((_, i) => i * Text.charsPerToken)
  }
}

const answer = (
  body: Body,
  model: string,
  prompts: ReadonlyArray<Prompt>,
  context: AnswerContext
): Answer => {
  const n = typeof body["n"] === "number" ? body["n"] : 1
  const maxTokens = typeof body["max_tokens"] === "number" ? body["max_tokens"] : defaultMaxTokens
  const alternatives = body["logprobs"]
  const choices = prompts.flatMap((prompt, p) =>
    Array.from({ length: n }, (_, i) => choose(prompt, context, p * n + i, maxTokens, body["echo"] === true))
  )
  const inputTokens = prompts.reduce((sum, prompt) => sum + prompt.tokens, 0)
  const outputTokens = choices.reduce((sum, choice) => sum + choice.tokens, 0)
  const usage = {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens
  }
  const head = {
    id: `cmpl-${context.hash.text}${context.seq.toString(36)}`,
    object: "text_completion",
    created: Math.floor(context.now / 1000),
    model
  }
  const choiceOf = (text: string, index: number, finish: string | null) => ({
    text,
    index,
    logprobs: typeof alternatives === "number" ? logprobsOf(text, alternatives) : null,
    finish_reason: finish
  })
  if (body["stream"] !== true) {
    const whole = choices.map(({ finish, text }, index) => choiceOf(text, index, finish))
    return { inputTokens, outputTokens, body: JSON.stringify({ ...head, choices: whole, usage }) }
  }
  const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`
  const events = choices.flatMap(({ finish, text }, index) => [
    ...Text.splitTokens(text, context.chunkTokens).map((piece) =>
      event({ ...head, choices: [choiceOf(piece, index, null)] })
    ),
    event({ ...head, choices: [choiceOf("", index, finish)] })
  ])
  const streamOptions = body["stream_options"]
  if (typeof streamOptions === "object" && streamOptions !== null && "include_usage" in streamOptions) {
    events.push(event({ ...head, choices: [], usage }))
  }
  return { inputTokens, outputTokens, body: [...events, "data: [DONE]\n\n"] }
}

/** Reads a request, or refuses it as OpenAI does. */
export const read = (body: Body, options: WireOptions): Call | Reply => {
  const model = String(body["model"] ?? "")
  const prompts = promptsOf(body["prompt"] ?? "<|endoftext|>")
  const inputTokens = (prompts ?? []).reduce((sum, prompt) => sum + prompt.tokens, 0)
  const maxTokens = typeof body["max_tokens"] === "number" ? body["max_tokens"] : defaultMaxTokens
  const n = typeof body["n"] === "number" ? body["n"] : 1
  const reply = firstOf(
    () => refused(body, parameters, options),
    () => outOfBounds(body, "max_tokens", { min: 0, integer: true }),
    () => outOfBounds(body, "temperature", { min: 0, max: 2 }),
    () => outOfBounds(body, "top_p", { min: 0, max: 1 }),
    () => outOfBounds(body, "n", { min: 1, max: 128, integer: true }),
    () => outOfBounds(body, "logprobs", { min: 0, max: 5, integer: true }),
    () => tooLong(options, inputTokens, maxTokens, "prompt")
  )
  if (reply !== undefined) return reply
  if (prompts === undefined) {
    return body["prompt"] === undefined
      ? missing("prompt")
      : error(400, { message: "Invalid type for 'prompt'.", param: "prompt", code: "invalid_type" })
  }
  return {
    _tag: "Call",
    model,
    prompt: prompts.map((prompt) => prompt.text).join("\n"),
    inputTokens,
    maxOutputTokens: maxTokens * n * prompts.length,
    answer: (context) => answer(body, model, prompts, context)
  }
}
