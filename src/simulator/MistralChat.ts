/**
 * Mistral's `POST /v1/chat/completions` and `/v1/fim/completions`: what is asked. What is answered is in
 * `MistralChatAnswer`.
 */
import { type Body, list, number, outOfRange, record, textOf, unknownFields } from "./BodyChecks.js"
import * as MistralChatAnswer from "./MistralChatAnswer.js"
import { error, extraFields, invalid, missing } from "./MistralError.js"
import { firstOf } from "./OpenAiError.js"
import * as Utterance from "./Utterance.js"
import type { Call, Reply, WireOptions } from "./Wire.js"

const parameters = new Set([
  "frequency_penalty",
  "guardrails",
  "max_tokens",
  "messages",
  "metadata",
  "model",
  "n",
  "parallel_tool_calls",
  "prediction",
  "presence_penalty",
  "prompt_cache_key",
  "prompt_mode",
  "random_seed",
  "reasoning_effort",
  "response_format",
  "safe_prompt",
  "stop",
  "stream",
  "temperature",
  "tool_choice",
  "tools",
  "top_p"
])

const fillingParameters = new Set([
  "max_tokens",
  "metadata",
  "min_tokens",
  "model",
  "prompt",
  "random_seed",
  "stop",
  "stream",
  "suffix",
  "temperature",
  "top_p"
])

const messageFields: Readonly<Record<string, ReadonlySet<string>>> = {
  system: new Set(["role", "content"]),
  user: new Set(["role", "content"]),
  assistant: new Set(["role", "content", "tool_calls", "prefix"]),
  tool: new Set(["role", "content", "name", "tool_call_id"])
}

const ranges = [
  ["temperature", 0, 1.5],
  ["top_p", 0, 1],
  ["max_tokens", 0, 1_000_000],
  ["n", 1, 16],
  ["presence_penalty", -2, 2],
  ["frequency_penalty", -2, 2],
  ["random_seed", 0, Number.MAX_SAFE_INTEGER]
] as const

const isMagistral = (model: string): boolean => model.startsWith("magistral")

/** Models that are told by effort how much to think. */
const takesEffort = (model: string): boolean => /^mistral-(small|medium)-(latest|26(0[3-9]|1\d))$/.test(model)

const badMessage = (item: unknown, at: number, strict: boolean): Reply | undefined => {
  const message = record(item)
  const { content, role, tool_calls: calls } = message
  const known = typeof role === "string" ? messageFields[role] : undefined
  if (known === undefined) {
    return invalid([
      {
        type: "union_tag_invalid",
        loc: ["messages", at],
        msg: `Input tag '${role}' found using 'role' does not match any of the expected tags: 'assistant', 'system', 'tool', 'user'`
      }
    ])
  }
  if (strict) {
    const reply = extraFields(unknownFields(message, known), ["messages", at, String(role)])
    if (reply !== undefined) return reply
  }
  if (role !== "assistant" && content == null) return missing("messages", at, "content")
  const ids = [
    ...list(calls).map((call) => record(call)["id"]),
    ...(role === "tool" ? [message["tool_call_id"]] : [])
  ]
  const wrong = ids.find((id) => typeof id !== "string" || !/^[A-Za-z0-9]{9}$/.test(id))
  return wrong === undefined
    ? undefined
    : error(400, {
        message: `Tool call id was ${wrong} but must be a-z, A-Z, 0-9, with a length of 9.`,
        type: "invalid_request_message_order",
        code: "3280"
      })
}

const badMessages = ({ messages }: Body, strict: boolean): Reply | undefined => {
  if (messages === undefined) return missing("messages")
  const items = list(messages)
  if (items.length === 0) {
    return error(400, { message: "Conversation must have at least one message", code: "3200" })
  }
  for (const [at, item] of items.entries()) {
    const reply = badMessage(item, at, strict)
    if (reply !== undefined) return reply
  }
  const last = record(items.at(-1))
  const isDone = last["role"] === "user" || last["role"] === "tool" || last["prefix"] === true
  return isDone
    ? undefined
    : error(400, {
        message: `Expected last role User or Tool (or Assistant with prefix True) for serving but got ${last["role"]}`,
        type: "invalid_request_message_order",
        code: "3230"
      })
}

const badNumbers = (body: Body): Reply | undefined => {
  const range = outOfRange(body, ranges)
  if (range === undefined) return undefined
  const [field, min, max] = range
  return invalid([{ type: "value_error", loc: [field], msg: `Input should be between ${min} and ${max}` }])
}

const badThinking = (body: Body, model: string): Reply | undefined => {
  const { prompt_mode: mode, reasoning_effort: effort } = body
  if (mode != null && !isMagistral(model)) {
    return error(400, { message: `prompt_mode is not supported for model ${model}`, code: "3051" })
  }
  if (effort === undefined || effort === null) return undefined
  if (!takesEffort(model)) {
    return error(400, { message: `reasoning_effort is not enabled for model ${model}`, code: "3051" })
  }
  return effort === "none" || effort === "high"
    ? undefined
    : invalid([{ type: "enum", loc: ["reasoning_effort"], msg: "Input should be 'none' or 'high'" }])
}

const badTools = (body: Body): Reply | undefined => {
  for (const [at, item] of list(body["tools"]).entries()) {
    const { function: definition, type } = record(item)
    if (type !== "function") continue
    const { name, parameters } = record(definition)
    if (typeof name !== "string") return missing("tools", at, "function", "name")
    if (parameters === undefined) return missing("tools", at, "function", "parameters")
  }
  const choice = body["tool_choice"]
  if (typeof choice === "string" && !["auto", "none", "any", "required"].includes(choice)) {
    return invalid([
      { type: "enum", loc: ["tool_choice"], msg: "Input should be 'auto', 'none', 'any' or 'required'" }
    ])
  }
  return undefined
}

const badFormat = (body: Body): Reply | undefined => {
  const { json_schema: schema, type } = record(body["response_format"])
  if (type !== "json_schema") return undefined
  if (record(schema)["name"] === undefined) return missing("response_format", "json_schema", "name")
  return record(schema)["schema"] === undefined
    ? missing("response_format", "json_schema", "schema")
    : undefined
}

const badModel = (body: Body, options: WireOptions): Reply | undefined => {
  const { model } = body
  if (typeof model !== "string") return missing("model")
  return options.models !== undefined && !options.models.includes(model)
    ? error(400, { message: `Invalid model: ${model}`, type: "invalid_model", code: "1500" })
    : undefined
}

const tooLong = (
  options: WireOptions,
  inputTokens: number,
  maxTokens: number | undefined
): Reply | undefined => {
  const { contextWindow } = options
  if (contextWindow === undefined || inputTokens + (maxTokens ?? 0) <= contextWindow) return undefined
  return error(400, {
    message: `Prompt contains ${inputTokens} tokens and ${maxTokens ?? 0} draft tokens, too large for model with ${contextWindow} maximum context length`,
    code: "3051"
  })
}

const definition = (tool: unknown): Utterance.ForcedTool | undefined => {
  const { name, parameters } = record(record(tool)["function"])
  return typeof name === "string" ? { name, schema: parameters } : undefined
}

/** The tool the request insists on, if it insists. */
const forcedTool = (body: Body): Utterance.ForcedTool | undefined => {
  const tools = list(body["tools"]).map(definition)
  const choice = body["tool_choice"]
  if (choice === "any" || choice === "required") return tools[0]
  const { function: chosen, type } = record(choice)
  return type === "function" ? tools.find((tool) => tool?.name === record(chosen)["name"]) : undefined
}

const jsonOf = (body: Body): unknown => {
  const { json_schema: schema, type } = record(body["response_format"])
  if (type === "json_object") return { type: "object", properties: { answer: { type: "string" } } }
  return type === "json_schema" ? (record(schema)["schema"] ?? {}) : undefined
}

const stopOf = ({ stop }: Body): ReadonlyArray<string> =>
  typeof stop === "string" ? [stop] : list(stop).map(String)

const inputTokens = (body: Body): number => {
  const messages = list(body["messages"]).map(record)
  let characters = 0
  let media = 0
  for (const { content, tool_calls: calls } of messages) {
    characters += textOf(content).length + (calls === undefined ? 0 : JSON.stringify(calls).length)
    media += list(content).filter(
      (part) => !["text", "thinking"].includes(String(record(part)["type"]))
    ).length
  }
  for (const field of ["tools", "response_format"]) {
    if (body[field] !== undefined) characters += JSON.stringify(body[field]).length
  }
  return Utterance.promptTokens({ messages: messages.length, characters, media })
}

/** Reads a chat, or refuses it as Mistral does. */
export const read = (body: Body, options: WireOptions): Call | Reply => {
  const model = String(body["model"] ?? "")
  const input = inputTokens(body)
  const maxTokens = number(body["max_tokens"])
  const n = number(body["n"]) ?? 1
  const reply = firstOf(
    () => (options.strict ? extraFields(unknownFields(body, parameters)) : undefined),
    () => badModel(body, options),
    () => badMessages(body, options.strict),
    () => badNumbers(body),
    () => badThinking(body, model),
    () => badFormat(body),
    () => badTools(body),
    () => tooLong(options, input, maxTokens)
  )
  if (reply !== undefined) return reply
  const messages = list(body["messages"]).map(record)
  const asked = messages.findLast((message) => message["role"] === "user") ?? messages.at(-1)
  const question: Utterance.Question = {
    model,
    asked: textOf(asked?.["content"]),
    inputTokens: input,
    maxTokens,
    stop: stopOf(body),
    json: jsonOf(body),
    tool: forcedTool(body),
    thinks: isMagistral(model) ? body["prompt_mode"] !== null : body["reasoning_effort"] === "high",
    stream: body["stream"] === true
  }
  return {
    _tag: "Call",
    model,
    prompt: messages.map((message) => textOf(message["content"])).join("\n"),
    inputTokens: input,
    maxOutputTokens: maxTokens === undefined ? undefined : maxTokens * n,
    answer: (context) => MistralChatAnswer.make(question, n, context)
  }
}

/** Reads a request to fill a gap, or refuses it. */
export const readFilling = (body: Body, options: WireOptions): Call | Reply => {
  const { prompt, suffix } = body
  const text = typeof prompt === "string" ? prompt : ""
  const characters = text.length + (typeof suffix === "string" ? suffix.length : 0)
  const input = Utterance.promptTokens({ messages: 0, characters, media: 0 })
  const maxTokens = number(body["max_tokens"])
  const reply = firstOf(
    () => (options.strict ? extraFields(unknownFields(body, fillingParameters)) : undefined),
    () => badModel(body, options),
    () => (typeof prompt === "string" ? undefined : missing("prompt")),
    () => badNumbers(body),
    () => tooLong(options, input, maxTokens)
  )
  if (reply !== undefined) return reply
  const question: Utterance.Question = {
    model: String(body["model"]),
    asked: text,
    inputTokens: input,
    maxTokens,
    stop: stopOf(body),
    json: undefined,
    tool: undefined,
    thinks: false,
    stream: body["stream"] === true
  }
  return {
    _tag: "Call",
    model: question.model,
    prompt: text,
    inputTokens: input,
    maxOutputTokens: maxTokens,
    answer: (context) => MistralChatAnswer.make(question, 1, context)
  }
}
