/**
 * `POST /v1/chat/completions`: what is asked. What is answered is in `OpenAiChatAnswer`.
 */
import * as OpenAiChatAnswer from "./OpenAiChatAnswer.js"
import {
  type Body,
  error,
  firstOf,
  missing,
  outOfBounds,
  refused,
  tooLong,
  wrongType
} from "./OpenAiError.js"
import { type Flavour, isReasoning, openAi } from "./OpenAiFlavour.js"
import * as OpenAiStrictSchema from "./OpenAiStrictSchema.js"
import * as ServiceTier from "./ServiceTier.js"
import { tokensOf } from "./Text.js"
import type { Call, Reply, WireOptions } from "./Wire.js"

const parameters = new Set([
  "audio",
  "frequency_penalty",
  "function_call",
  "functions",
  "logit_bias",
  "logprobs",
  "max_completion_tokens",
  "max_tokens",
  "messages",
  "metadata",
  "modalities",
  "model",
  "n",
  "parallel_tool_calls",
  "prediction",
  "presence_penalty",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "reasoning_effort",
  "response_format",
  "safety_identifier",
  "seed",
  "service_tier",
  "stop",
  "store",
  "stream",
  "stream_options",
  "temperature",
  "tool_choice",
  "tools",
  "top_logprobs",
  "top_p",
  "user",
  "verbosity",
  "web_search_options"
])

const roles = ["system", "assistant", "user", "function", "tool", "developer"]

// From gpt-5.4 on, function tools need an explicit effort of "none" on this endpoint.
const refusesToolsWithEffort = (model: string): boolean => /^gpt-(5\.[4-9]|[6-9])/.test(model)

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const record = (value: unknown): Body =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Body) : {}

// Tokens a part that is not text stands for: OpenAI's count for an image in low detail, and as good as any.
const mediaTokens = 85
// Tokens around each message, and before the answer, by OpenAI's own counting recipe.
const messageTokens = 3

/** Of the prompt's tokens, those that stand for sound. */
const audioTokens = (body: Body): number =>
  list(body["messages"])
    .flatMap((message) => list(record(message)["content"]))
    .filter((part) => record(part)["type"] === "input_audio").length * mediaTokens

const partText = (part: unknown): string => {
  const { refusal, text } = record(part)
  return typeof text === "string" ? text : typeof refusal === "string" ? refusal : ""
}

/** The text of one message. */
const messageText = (message: Body): string => {
  const { content } = message
  return typeof content === "string" ? content : list(content).map(partText).join("")
}

const inputTokens = (body: Body): number => {
  let chars = 0
  let tokens = messageTokens
  for (const item of list(body["messages"])) {
    const message = record(item)
    tokens += messageTokens
    chars += messageText(message).length
    if (message["tool_calls"] !== undefined) chars += JSON.stringify(message["tool_calls"]).length
    for (const part of list(message["content"])) {
      const { type } = record(part)
      if (type !== "text" && type !== "refusal") tokens += mediaTokens
    }
  }
  for (const field of ["tools", "functions", "response_format"]) {
    if (body[field] !== undefined) chars += JSON.stringify(body[field]).length
  }
  return tokens + tokensOf(chars)
}

const badMessages = (body: Body): Reply | undefined => {
  const { messages } = body
  if (messages === undefined) return missing("messages")
  if (!Array.isArray(messages)) return wrongType("messages", "an array of objects", messages)
  if (messages.length === 0) {
    const message =
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
    return error(400, { message, param: "messages", code: "empty_array" })
  }
  for (const [i, item] of messages.entries()) {
    const { content, role } = record(item)
    if (role === undefined) return missing(`messages[${i}].role`)
    if (typeof role !== "string" || !roles.includes(role)) {
      const supported = roles.map((name) => `'${name}'`).join(", ")
      const message = `Invalid value: '${role}'. Supported values are: ${supported}.`
      return error(400, { message, param: `messages[${i}].role`, code: "invalid_value" })
    }
    if ((content === undefined || content === null) && role !== "assistant" && role !== "function") {
      const message = `Invalid value for 'content': expected a string, got null.`
      return error(400, { message, param: `messages[${i}].content`, code: null })
    }
    if (content !== undefined && content !== null && typeof content !== "string" && !Array.isArray(content)) {
      return wrongType(`messages[${i}].content`, "one of a string or array of objects", content)
    }
  }
  return undefined
}

const badNumbers = (body: Body): Reply | undefined =>
  firstOf(
    () => outOfBounds(body, "temperature", { min: 0, max: 2 }),
    () => outOfBounds(body, "top_p", { min: 0, max: 1 }),
    () => outOfBounds(body, "presence_penalty", { min: -2, max: 2 }),
    () => outOfBounds(body, "frequency_penalty", { min: -2, max: 2 }),
    () => outOfBounds(body, "n", { min: 1, max: 128, integer: true }),
    () => outOfBounds(body, "max_tokens", { min: 1, integer: true }),
    () => outOfBounds(body, "max_completion_tokens", { min: 1, integer: true }),
    () => outOfBounds(body, "top_logprobs", { min: 0, max: 20, integer: true })
  )

const unsupported = (param: string, more = ""): Reply =>
  error(400, {
    message: `Unsupported parameter: '${param}' is not supported with this model.${more}`,
    param,
    code: "unsupported_parameter"
  })

const badForModel = (body: Body, model: string): Reply | undefined => {
  if (!isReasoning(model)) {
    // of others nothing is known, as of a deployment's name
    return /^(gpt-[34]|gpt-5-chat)/.test(model) && body["reasoning_effort"] != null
      ? error(400, { message: "Unrecognized request argument supplied: reasoning_effort" })
      : undefined
  }
  if (body["max_tokens"] !== undefined && body["max_tokens"] !== null) {
    return unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
  }
  const effort = body["reasoning_effort"]
  const silent = effort === "none"
  for (const param of ["temperature", "top_p", "presence_penalty", "frequency_penalty"]) {
    const value = body[param]
    const standard = param.endsWith("penalty") ? 0 : 1
    if (!silent && value !== undefined && value !== null && value !== standard) {
      const message = `Unsupported value: '${param}' does not support ${value} with this model. Only the default (${standard}) value is supported.`
      return error(400, { message, param, code: "unsupported_value" })
    }
  }
  for (const param of ["logprobs", "top_logprobs", "logit_bias"]) {
    if (!silent && body[param] !== undefined && body[param] !== null && body[param] !== false) {
      return unsupported(param)
    }
  }
  if (refusesToolsWithEffort(model) && list(body["tools"]).length > 0 && !silent) {
    const message = `Function tools with reasoning_effort are not supported for ${model} in /v1/chat/completions. Please use /v1/responses instead.`
    return error(400, { message, param: "reasoning_effort" })
  }
  return undefined
}

const badChoices = (body: Body): Reply | undefined => {
  const { stop, tools } = body
  if (list(stop).length > 4) {
    const message = `Invalid 'stop': array too long. Expected an array with maximum length 4, but instead got an array with length ${list(stop).length} instead.`
    return error(400, { message, param: "stop", code: "array_above_max_length" })
  }
  const { function: named, type } = record(body["tool_choice"])
  const { name } = record(named)
  const isThere = type !== "function" || list(tools).some((tool) => toolDefinition(tool)?.name === name)
  return isThere
    ? undefined
    : error(400, { message: "Tool choice 'function' not found in 'tools' parameter.", param: "tool_choice" })
}

const badFormat = (body: Body, checksSchemas: boolean): Reply | undefined => {
  const format = record(body["response_format"])
  if (format["type"] === "json_object") {
    if (/json/i.test(JSON.stringify(body["messages"]))) return undefined
    const message =
      "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    return error(400, { message, param: "messages" })
  }
  if (format["type"] !== "json_schema") return undefined
  const { name, schema, strict } = record(format["json_schema"])
  if (name === undefined) return missing("response_format.json_schema.name")
  const problem = checksSchemas && strict === true ? OpenAiStrictSchema.problem(schema) : undefined
  if (problem === undefined) return undefined
  const message = `Invalid schema for response_format '${name}': ${problem}`
  return error(400, { message, param: "response_format" })
}

const badTools = (body: Body): Reply | undefined => {
  const tools = list(body["tools"])
  for (const [i, item] of tools.entries()) {
    const { function: definition, type } = record(item)
    if (type === undefined) return missing(`tools[${i}].type`)
    if (type !== "function") continue
    const { name, parameters, strict } = record(definition)
    if (typeof name !== "string") return missing(`tools[${i}].function.name`)
    const problem = strict === true ? OpenAiStrictSchema.problem(parameters) : undefined
    if (problem !== undefined) {
      const message = `Invalid schema for function '${name}': ${problem}`
      return error(400, {
        message,
        param: `tools[${i}].function.parameters`,
        code: "invalid_function_parameters"
      })
    }
  }
  const choice = body["tool_choice"]
  if (
    choice !== undefined &&
    choice !== null &&
    choice !== "none" &&
    choice !== "auto" &&
    tools.length === 0
  ) {
    const message =
      "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
    return error(400, { message, param: "tool_choice" })
  }
  return undefined
}

const toolDefinition = (tool: unknown): OpenAiChatAnswer.ForcedTool | undefined => {
  const { name, parameters } = record(record(tool)["function"])
  return typeof name === "string" ? { name, schema: parameters } : undefined
}

/** The tool the request insists on, or asks for in words. */
const forcedTool = (
  body: Body,
  choosesTools: Flavour["choosesTools"]
): OpenAiChatAnswer.ForcedTool | undefined => {
  const tools = list(body["tools"])
  const given = body["tool_choice"]
  const choice = choosesTools === "words" && typeof given !== "string" ? "auto" : given
  const named = (wanted: unknown) => tools.map(toolDefinition).find((tool) => tool?.name === wanted)
  if (choice === "required") return toolDefinition(tools[0])
  const { allowed_tools: allowed, function: chosen, type } = record(choice)
  if (type === "function") {
    const tool = named(record(chosen)["name"])
    // Naming one function ends with "stop", not "tool_calls": clients must look at the calls.
    return tool && { ...tool, finish: "stop" }
  }
  if (type === "allowed_tools" && record(allowed)["mode"] === "required") {
    return named(record(record(list(record(allowed)["tools"])[0])["function"])["name"])
  }
  return choice === undefined || choice === "auto" ? wantedTool(body, tools) : undefined
}

/** The tool whose name the last message says to call: "Call weather." A model that is free to would do so. */
const wantedTool = (body: Body, tools: ReadonlyArray<unknown>): OpenAiChatAnswer.ForcedTool | undefined => {
  const last = record(list(body["messages"]).at(-1))
  if (last["role"] !== "user") return undefined
  const text = messageText(last)
  return tools
    .map(toolDefinition)
    .find((tool) => tool !== undefined && text.toLowerCase().includes(`call ${tool.name.toLowerCase()}`))
}

/** A JSON Schema that the messages ask for in words, which a model that can write JSON goes by. */
const schemaInWords = (texts: ReadonlyArray<string>): unknown => {
  for (const text of texts) {
    const schema = /JSON Schema[^\n]*\n(\{.*\})\s*$/i.exec(text)?.[1]
    if (schema === undefined) continue
    try {
      return JSON.parse(schema)
    } catch {
      // words, not a schema
    }
  }
  return undefined
}

const wholeNumber = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined)

/** Reads a request, or refuses it as OpenAI does. */
export const read = (body: Body, given: WireOptions, flavour: Flavour = openAi): Call | Reply => {
  const options = flavour.parameters === undefined ? { ...given, strict: false } : given
  const model = String(body["model"] ?? "")
  const input = inputTokens(body)
  const n = wholeNumber(body["n"]) ?? 1
  const maxTokens = wholeNumber(flavour.maxTokens(body))
  const reply = firstOf(
    () => refused(body, new Set([...parameters, ...(flavour.parameters ?? [])]), options),
    () => badMessages(body),
    () => badNumbers(body),
    () => (flavour.families ? badForModel(body, model) : undefined),
    () => flavour.refuses(body),
    // servers that ignore what they do not know take any schema
    () => badFormat(body, flavour.parameters !== undefined),
    () => badTools(body),
    // as OpenAI does; what others make of it is not known
    () => (flavour.families ? badChoices(body) : undefined),
    () => tooLong(options, input, maxTokens, "messages")
  )
  if (reply !== undefined) return reply

  const messages = list(body["messages"]).map(record)
  const asked = messages.findLast((message) => message["role"] === "user") ?? messages[messages.length - 1]
  const format = record(body["response_format"])
  const { stop } = body
  const question: OpenAiChatAnswer.Question = {
    model,
    asked: asked === undefined ? "" : messageText(asked),
    inputTokens: input,
    audioTokens: audioTokens(body),
    n,
    maxTokens,
    stop: typeof stop === "string" ? [stop] : list(stop).map(String),
    json:
      format["type"] === "json_object"
        ? (schemaInWords(messages.map(messageText)) ?? {
            type: "object",
            properties: { answer: { type: "string" } }
          })
        : format["type"] === "json_schema"
          ? (record(format["json_schema"])["schema"] ?? {})
          : undefined,
    tool: forcedTool(body, flavour.choosesTools),
    topLogprobs: body["logprobs"] === true ? (wholeNumber(body["top_logprobs"]) ?? 0) : undefined,
    reasons: flavour.thinks(body, model),
    serviceTier: ServiceTier.ofOpenAi(body["service_tier"]),
    flavour,
    stream: body["stream"] === true,
    includeUsage: record(body["stream_options"])["include_usage"] === true
  }
  return {
    _tag: "Call",
    model,
    prompt: messages.map(messageText).join("\n"),
    inputTokens: input,
    maxOutputTokens: maxTokens === undefined ? undefined : maxTokens * n,
    serviceTier: question.serviceTier,
    answer: (context) => OpenAiChatAnswer.make(question, context)
  }
}
