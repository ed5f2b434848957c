/**
 * What each Claude model refuses. Models that this table does not know are taken for the newest.
 */
import { type Body, firstOf, invalid, list, record } from "./AnthropicError.js"
import type { Reply } from "./Wire.js"

/** Fragments of names, and the most tokens that those models write. */
const outputs: ReadonlyArray<readonly [names: RegExp, tokens: number]> = [
  [/claude-3-haiku|claude-3-opus|claude-3-sonnet/, 4_096],
  [/claude-3-5/, 8_192],
  [/claude-opus-4(-[01])?(-2\d{7})?$/, 32_000],
  [/claude-3-7|claude-sonnet-4(-0)?(-2\d{7})?$|-4-5/, 64_000]
]

const older = /claude-3-|claude-(opus|sonnet)-4(-[01])?(-2\d{7})?$/
const family45 = /-4-5(-2\d{7})?$/
const family46 = /-4-6$/
const always = /claude-(fable|mythos)-\d|claude-opus-5-5/
const defaultOn = /claude-(sonnet|opus)-5|claude-haiku-5/

/** The most tokens that a model writes. */
export const maxOutputOf = (model: string): number =>
  outputs.find(([names]) => names.test(model))?.[1] ?? 128_000

/** Before this, an answer that might not fit the context window was refused; since then it ends there. */
export const refusesLongAnswers = (model: string): boolean => older.test(model)

/** Whether the model thinks, and whether its thoughts are shown. */
export interface Thinking {
  readonly thinks: boolean
  readonly shown: boolean
  readonly budget: number | undefined
}

/** How this request has the model think. */
export const thinkingOf = (body: Body, model: string): Thinking => {
  const { budget_tokens: budget, display, type } = record(body["thinking"])
  const thinks =
    type === "enabled" ||
    type === "adaptive" ||
    (type === undefined && (always.test(model) || defaultOn.test(model)))
  const hides = !(older.test(model) || family45.test(model) || family46.test(model))
  return {
    thinks,
    shown: display === undefined ? !hides : display === "summarized",
    budget: typeof budget === "number" ? budget : undefined
  }
}

const badThinking = (body: Body, model: string): Reply | undefined => {
  const given = body["thinking"]
  if (given === undefined || given === null) return undefined
  const { budget_tokens: budget, type } = record(given)
  const isBudgeted = older.test(model) || family45.test(model)
  if (type !== "enabled" && type !== "adaptive" && type !== "disabled") {
    return invalid(
      `thinking: Input tag '${String(type)}' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'`
    )
  }
  if (type === "disabled") {
    return always.test(model)
      ? invalid(`thinking.type: 'disabled' is not supported for ${model}.`)
      : undefined
  }
  if (/claude-3-(5|haiku|opus|sonnet)/.test(model))
    return invalid(`thinking: ${model} does not support thinking.`)
  if (type === "adaptive") {
    return isBudgeted ? invalid(`thinking.type: adaptive thinking is not supported on this model`) : undefined
  }
  if (!isBudgeted && !family46.test(model)) {
    return invalid(
      `"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.`
    )
  }
  if (typeof budget !== "number" || budget < 1024) {
    return invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
  }
  return budget >= Number(body["max_tokens"])
    ? invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    : undefined
}

const badSampling = (body: Body, model: string): Reply | undefined => {
  const { temperature, top_k: topK, top_p: topP } = body
  for (const [name, value] of [
    ["temperature", temperature],
    ["top_p", topP]
  ] as const) {
    if (value === undefined) continue
    if (typeof value !== "number") return invalid(`${name}: Input should be a valid number`)
    if (value < 0 || value > 1) return invalid(`${name}: range: 0..1`)
  }
  if (!(older.test(model) || family45.test(model) || family46.test(model))) {
    const refused =
      topK !== undefined
        ? "top_k"
        : temperature !== undefined && temperature !== 1
          ? "temperature"
          : topP !== undefined && Number(topP) < 0.99
            ? "top_p"
            : undefined
    return refused === undefined ? undefined : invalid(`\`${refused}\` is not supported for this model.`)
  }
  if (record(body["thinking"])["type"] === "enabled" && temperature !== undefined && temperature !== 1) {
    return invalid("`temperature` may only be set to 1 when thinking is enabled.")
  }
  return family45.test(model) && temperature !== undefined && topP !== undefined
    ? invalid("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    : undefined
}

const badEffort = (body: Body, model: string): Reply | undefined => {
  const { effort } = record(body["output_config"])
  if (effort === undefined || effort === null) return undefined
  if (!["low", "medium", "high", "xhigh", "max"].includes(String(effort))) {
    return invalid("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
  }
  return older.test(model) || /(haiku|sonnet)-4-5/.test(model)
    ? invalid("This model does not support the effort parameter.")
    : undefined
}

const badForModel = (body: Body, model: string): Reply | undefined => {
  const { format } = record(body["output_config"])
  if (format !== undefined && format !== null && older.test(model) && !/claude-opus-4-1/.test(model)) {
    return invalid(`output_config.format: '${model}' does not support output format.`)
  }
  const choice = record(body["tool_choice"])["type"]
  const isForced = choice === "any" || choice === "tool"
  const { thinks } = thinkingOf(body, model)
  const cannotForce =
    always.test(model) || /sonnet-5-5/.test(model) || record(body["thinking"])["type"] === "enabled"
  if (isForced && thinks && cannotForce) {
    return invalid("Thinking may not be enabled when tool_choice forces tool use.")
  }
  const last = record(list(body["messages"]).at(-1))
  const isPaused = list(last["content"]).some((block) => record(block)["type"] === "server_tool_use")
  return last["role"] === "assistant" && !isPaused && !older.test(model) && !family45.test(model)
    ? invalid(
        "This model does not support assistant message prefill. The conversation must end with a user message."
      )
    : undefined
}

/** What of a request its model does not take. */
export const refused = (body: Body, model: string): Reply | undefined =>
  firstOf(
    () => {
      const most = maxOutputOf(model)
      return Number(body["max_tokens"]) > most
        ? invalid(
            `max_tokens: ${String(body["max_tokens"])} > ${most}, which is the maximum allowed number of output tokens for ${model}`
          )
        : undefined
    },
    () => badThinking(body, model),
    () => badSampling(body, model),
    () => badEffort(body, model),
    () => badForModel(body, model)
  )
