/**
 * What OpenAI's models refuse, family by family. A model that is not known by its name refuses nothing: the server
 * tells.
 *
 * Sources: OpenAI's model pages and API description; for the tools of GPT-5.4 and later, what its users report.
 */
import type { UnsupportedError } from "../LlmError.js"
import type { Chat, ChatFields } from "../Request.js"
import { unsupported } from "../Wire.js"
import { isJsonObject } from "./jsonObject.js"
import * as OpenAiThinking from "./openAiThinking.js"
import { isOff } from "./openAiThinking.js"

/** Without the mark of a fine-tuned model. */
const base = (model: string): string => model.replace(/^ft:/, "")

/**
 * Models that think before they answer. They take `max_completion_tokens` and refuse `max_tokens`, and read
 * standing instructions from a `developer` message.
 */
export const isReasoningModel = (model: string): boolean => {
  const name = base(model)
  return /^(o\d|gpt-[5-9])/.test(name) && !name.startsWith("gpt-5-chat")
}

/** The number behind `gpt-`: 5.4 of `gpt-5.4-mini`. */
const generation = (name: string): number => Number(/^gpt-(\d+(?:\.\d+)?)/.exec(name)?.[1] ?? 0)

/** Models whose prompt cache takes marks: OpenAI's guide to prompt caching has them from GPT-5.6 on. */
export const takesCacheMarks = (model: string): boolean => generation(base(model)) >= 5.6

/** Models that cannot be told not to think. */
const alwaysThinks = (name: string): boolean =>
  /^(o\d|gpt-(6-astra|6\.[12](?!\d)))/.test(name) || (generation(name) === 5 && isReasoningModel(name))

/** Models that answer at once: they refuse to be told anything of thinking, that there be none included. */
export const neverThinks = (model: string): boolean => /^(gpt-[34]|chatgpt-4o|gpt-5-chat)/.test(base(model))

/** How much to think, for those that do. */
export const effort: OpenAiThinking.ThinkingFields = (thinking, family) =>
  isOff(thinking) && neverThinks(family) ? {} : OpenAiThinking.effort(thinking, family)

/** What the server takes from any model: the value that it would use itself. */
const standard: Partial<Record<keyof ChatFields, unknown>> = {
  temperature: 1,
  topP: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  logprobs: false
}

type Field = keyof ChatFields & keyof Chat & string

const sampling: ReadonlyArray<Field> = ["temperature", "topP", "logprobs", "topLogprobs"]
const biases: ReadonlyArray<Field> = ["frequencyPenalty", "presencePenalty", "logitBias"]

/** Whether a model may be thinking, as far as its own default is known: from GPT-5.4 on it is to think. */
const mayThink = (chat: Chat, name: string): boolean =>
  chat.thinking === undefined && chat.extra?.reasoning_effort === undefined
    ? generation(name) >= 5.4
    : !isSilent(chat)

const isSilent = (chat: Chat): boolean =>
  chat.extra?.reasoning_effort === undefined ? isOff(chat.thinking) : chat.extra.reasoning_effort === "none"

const refusedFields = (chat: Chat, name: string): ReadonlyArray<Field> => {
  if (name.startsWith("gpt-4o-search-preview")) return ["temperature"]
  if (!isReasoningModel(name)) return []
  if (/^o\d/.test(name)) {
    return /^(o3|o4-mini)/.test(name)
      ? [...sampling, ...biases, "stop"]
      : /^o[134]/.test(name)
        ? [...sampling, ...biases]
        : []
  }
  return generation(name) === 5 || mayThink(chat, name) ? sampling : []
}

/** Fields of a chat that the model refuses. */
export const lacks = (chat: Chat, model: string): ReadonlyArray<string> => {
  const name = base(model)
  const refused: Array<string> = refusedFields(chat, name).filter(
    (field) => chat[field] !== undefined && chat[field] !== standard[field]
  )
  if (chat.thinking !== undefined) {
    const cannot = isOff(chat.thinking) ? alwaysThinks(name) : neverThinks(name)
    if (cannot) refused.push("thinking")
  }
  return refused
}

const isFunction = (tool: unknown): boolean => isJsonObject(tool) && tool.type === "function"

/**
 * From GPT-5.4 on, chat completions takes function tools only from a model that is told not to think. That is the
 * caller's to decide: it makes for other answers.
 */
export const toolsTrap = (
  provider: "openai" | "azure",
  chat: Chat,
  model: string
): UnsupportedError | undefined => {
  const name = base(model)
  if (!isReasoningModel(name) || generation(name) < 5.4) return undefined
  if (chat.tools?.some(isFunction) !== true || isSilent(chat)) return undefined
  const responses = provider === "azure" ? 'with Azure\'s api: "responses"' : "by OpenAiResponses"
  const way = `${alwaysThinks(name) ? "Ask" : 'Set thinking: "off", or ask'} the Responses API, ${responses}`
  return unsupported(
    provider,
    "tools",
    `${model} takes no function tools on chat completions while it thinks; nothing was sent. ${way}`
  )
}
