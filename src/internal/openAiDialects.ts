/**
 * Servers that speak OpenAI's chat completions, each as its documentation says. What they ignore without a word is
 * told to the caller here; what they refuse, they tell themselves.
 */
import type { Chat } from "../Request.js"
import { partsOf, setFields } from "./features.js"
import { isJsonObject } from "./jsonObject.js"
import { compatible, type Dialect, openAi } from "./openAiDialect.js"
import * as OpenAiModels from "./openAiModels.js"
import * as OpenAiThinking from "./openAiThinking.js"

type Field = keyof Chat & string

/** Of OpenAI's platform: others take them without a word and do nothing. */
const platform: ReadonlyArray<Field> = ["labels", "store", "verbosity", "serviceTier"]

const audio = "messages.audio"
const file = "messages.file"
const name = "messages.name"

/** Those of these fields and kinds of parts that a chat has. */
const asked = (
  chat: Chat,
  fields: ReadonlyArray<Field>,
  parts: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const found = partsOf(chat)
  return [...setFields(chat, fields), ...parts.filter((part) => found.has(part))]
}

/** What a server has not that takes text and images, and perhaps more kinds of parts than most. */
const without =
  (fields: ReadonlyArray<Field>, parts: ReadonlyArray<string> = [audio, file]) =>
  (chat: Chat): ReadonlyArray<string> =>
    asked(chat, fields, parts)

/**
 * Azure: OpenAI's models behind deployments. Of a model that is not known, `max_completion_tokens` and a `system`
 * message are taken by all there are.
 */
export const azure: Dialect = {
  ...openAi,
  name: "azure",
  maxTokensField: (family) => (family === "" ? "max_completion_tokens" : openAi.maxTokensField(family)),
  refuses: (chat, family) => OpenAiModels.toolsTrap("azure", chat, family)
}

export const vllm: Dialect = {
  ...compatible,
  name: "vllm",
  lacks: without(platform, [file]),
  thinking: OpenAiThinking.templateAndEffort
}

/** Reads `max_tokens` alone; ignores what is named here. Prompts beyond its context are cut without a word. */
export const ollama: Dialect = {
  ...compatible,
  name: "ollama",
  lacks: without(["toolChoice", "n", "logitBias", ...platform]),
  topK: false,
  kinds: ["Completion", "Embedding"],
  fetchesMedia: false
}

/** Whether a request names the tool to call. */
const namesTool = ({ toolChoice }: Chat): boolean =>
  typeof toolChoice === "object" && toolChoice.type === "function"

/** Refuses a tool by name, and JSON without a schema. */
const lmStudioLacks = (chat: Chat): ReadonlyArray<string> => [
  ...asked(chat, platform, [audio, file]),
  ...(namesTool(chat) ? ["toolChoice"] : []),
  ...(chat.responseFormat?.type === "json" ? ["responseFormat"] : [])
]

export const lmStudio: Dialect = {
  ...compatible,
  name: "lmstudio",
  lacks: lmStudioLacks,
  kinds: ["Completion", "Embedding"],
  fetchesMedia: false
}

/** Ignores a tool by name: any may be called, or none. */
const llamaCppLacks = (chat: Chat): ReadonlyArray<string> => [
  ...asked(chat, platform, [audio, file]),
  ...(namesTool(chat) ? ["toolChoice"] : [])
]

export const llamaCpp: Dialect = {
  ...compatible,
  name: "llamacpp",
  lacks: llamaCppLacks,
  thinking: OpenAiThinking.templateAndBudget
}

/** Whether DeepSeek thinks: always, unless the switch says otherwise. */
const deepSeekThinks = ({ extra, thinking }: Chat): boolean =>
  isJsonObject(extra?.thinking) ? extra.thinking.type !== "disabled" : !OpenAiThinking.isOff(thinking)

const deepSeekLacks = (chat: Chat): ReadonlyArray<string> =>
  asked(
    chat,
    deepSeekThinks(chat)
      ? ["temperature", "topP", "frequencyPenalty", "presencePenalty", ...platform]
      : platform,
    [audio, file]
  )

/** Thinks unless told not to, and takes and ignores temperature, `topP` and penalties while it does. */
export const deepSeek: Dialect = {
  ...compatible,
  name: "deepseek",
  lacks: deepSeekLacks,
  topK: false,
  thinking: OpenAiThinking.deepSeek,
  echo: "reasoning_content",
  thinkTags: false,
  schemas: "json",
  kinds: []
}

/** Answers 400 to log probabilities, `logit_bias`, names of speakers and more than one answer; has tiers of its own. */
const groqLacks = (chat: Chat): ReadonlyArray<string> => [
  ...asked(
    chat,
    ["logprobs", "topLogprobs", "logitBias", "labels", "store", "verbosity"],
    [audio, file, name]
  ),
  ...(chat.n !== undefined && chat.n > 1 ? ["n"] : [])
]

export const groq: Dialect = {
  ...compatible,
  name: "groq",
  lacks: groqLacks,
  maxTokensField: () => "max_completion_tokens",
  topK: false,
  schemas: "strict",
  kinds: []
}

export const together: Dialect = {
  ...compatible,
  name: "together",
  lacks: without(platform),
  thinking: OpenAiThinking.together,
  finishReasons: { eos: "stop" }
}

/** Sends usage with every stream, unasked. */
export const openRouter: Dialect = {
  ...compatible,
  name: "openrouter",
  lacks: without(platform, []),
  streamUsage: false,
  thinking: OpenAiThinking.openRouter,
  echo: "reasoning_details",
  thinkTags: false,
  schemas: "strict",
  kinds: ["Completion", "Embedding"]
}

/** Models that think, and take no penalties and no `stop`. */
const isGrokThinker = (family: string): boolean =>
  /^grok-(3-mini|4|code)/.test(family) && !family.includes("non-reasoning")

const xaiLacks = (chat: Chat, family: string): ReadonlyArray<string> =>
  asked(
    chat,
    isGrokThinker(family) ? ["frequencyPenalty", "presencePenalty", "stop", ...platform] : platform,
    [audio, file]
  )

export const xai: Dialect = {
  ...compatible,
  name: "xai",
  lacks: xaiLacks,
  topK: false,
  thinkTags: false,
  schemas: "strict",
  reasoningTokens: "beside",
  kinds: []
}

export const fireworks: Dialect = { ...compatible, name: "fireworks", lacks: without(platform) }

export const nvidia: Dialect = {
  ...compatible,
  name: "nvidia",
  lacks: without(platform),
  topK: false,
  thinking: OpenAiThinking.templateAndEffort,
  kinds: ["Completion", "Embedding"]
}
