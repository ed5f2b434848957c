/** Cohere's `POST /v2/chat`: what is asked. What is answered is in `CohereChatAnswer`. */
import { type Body, list, number, outOfRange, record, textOf, unknownFields } from "./BodyChecks.js"
import * as CohereChatAnswer from "./CohereChatAnswer.js"
import { error } from "./CohereError.js"
import { firstOf } from "./OpenAiError.js"
import * as Utterance from "./Utterance.js"
import type { Call, Reply, WireOptions } from "./Wire.js"

const parameters = new Set([
  "citation_options",
  "documents",
  "frequency_penalty",
  "k",
  "logprobs",
  "max_tokens",
  "messages",
  "model",
  "p",
  "presence_penalty",
  "priority",
  "response_format",
  "safety_mode",
  "seed",
  "stop_sequences",
  "stream",
  "strict_tools",
  "temperature",
  "thinking",
  "tool_choice",
  "tools"
])

const messageFields: Readonly<Record<string, ReadonlySet<string>>> = {
  system: new Set(["role", "content"]),
  user: new Set(["role", "content"]),
  assistant: new Set(["role", "content", "tool_calls", "tool_plan", "citations"]),
  tool: new Set(["role", "content", "tool_call_id"])
}

const ranges = [
  ["temperature", 0, 1],
  ["p", 0.01, 0.99],
  ["k", 0, 500],
  ["max_tokens", 0, 1_000_000],
  ["seed", 0, Number.MAX_SAFE_INTEGER],
  ["frequency_penalty", 0, 1],
  ["presence_penalty", 0, 1]
] as const

const schemaKeywords = [
  "allOf",
  "not",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems"
]

// Tokens of the template around a prompt, which are not billed.
const templateTokens = 64

/** Models that think before they answer unless they are told not to. */
const thinks = (model: string): boolean => model.includes("reasoning")

const badMessages = (body: Body, strict: boolean): Reply | undefined => {
  const messages = list(body["messages"])
  if (messages.length === 0) return error(400, "invalid request: messages must be at least 1 element")
  for (const [at, item] of messages.entries()) {
    const message = record(item)
    const { content, role, tool_calls: calls } = message
    const known = typeof role === "string" ? messageFields[role] : undefined
    if (known === undefined) return error(400, `invalid request: invalid role '${role}' in message ${at}`)
    const [unknown] = unknownFields(message, known)
    if (strict && unknown !== undefined) {
      return error(422, `unknown field: parameter 'messages[${at}].${unknown}' is not a valid field`)
    }
    const isEmpty = content === undefined || content === null || content === ""
    if (isEmpty && (role !== "assistant" || list(calls).length === 0)) {
      return error(400, `invalid request: message ${at} must have content`)
    }
    if (role === "tool" && typeof message["tool_call_id"] !== "string") {
      return error(400, `invalid request: message ${at} must have a tool_call_id`)
    }
  }
  return undefined
}

const badSchema = (schema: unknown): string | undefined => {
  const { required, type } = record(schema)
  if (type !== "object") return "the root must be of type object"
  if (list(required).length === 0) return "at least one property must be required"
  const text = JSON.stringify(schema)
  const keyword = schemaKeywords.find((name) => text.includes(`"${name}":`))
  return keyword && `'${keyword}' is not supported`
}

const badFormat = (body: Body): Reply | undefined => {
  const { json_schema: schema, type } = record(body["response_format"])
  if (type === undefined || type === "text") return undefined
  if (type !== "json_object") return error(400, `invalid request: invalid response_format type '${type}'`)
  if (list(body["tools"]).length > 0 || list(body["documents"]).length > 0) {
    return error(400, "invalid request: response_format json_object is not supported with tools or documents")
  }
  const problem = schema === undefined ? undefined : badSchema(schema)
  return problem === undefined ? undefined : error(400, `invalid request: invalid json_schema: ${problem}`)
}

const badTools = (body: Body): Reply | undefined => {
  const choice = body["tool_choice"]
  if (choice !== undefined && choice !== "REQUIRED" && choice !== "NONE") {
    return error(400, "invalid request: tool_choice must be REQUIRED or NONE")
  }
  if (choice === "REQUIRED" && list(body["tools"]).length === 0) {
    return error(400, "invalid request: tool_choice requires tools")
  }
  for (const item of list(body["tools"])) {
    const { name, parameters } = record(record(item)["function"])
    if (typeof name !== "string") return error(400, "invalid request: every tool must have a name")
    if (body["strict_tools"] === true && list(record(parameters)["required"]).length === 0) {
      return error(400, `invalid request: with strict_tools, tool '${name}' must have a required parameter`)
    }
  }
  return undefined
}

const badThinking = (body: Body, model: string): Reply | undefined => {
  const { type } = record(body["thinking"])
  if (type === undefined || type === "disabled" || thinks(model)) return undefined
  return error(400, `invalid request: thinking is not supported by model '${model}'`)
}

/** Refuses a model that is not there. */
export const badModel = (body: Body, options: WireOptions): Reply | undefined => {
  const { model } = body
  if (typeof model !== "string" || model === "") return error(400, "invalid request: model is required")
  return options.models !== undefined && !options.models.includes(model)
    ? error(
        404,
        `model '${model}' not found, make sure the correct model ID was used and that you have access to the model.`
      )
    : undefined
}

/** Refuses parameters that are not known. */
export const badFields = (
  body: Body,
  known: ReadonlySet<string>,
  options: WireOptions
): Reply | undefined => {
  const [unknown] = options.strict ? unknownFields(body, known) : []
  return unknown === undefined
    ? undefined
    : error(422, `unknown field: parameter '${unknown}' is not a valid field`)
}

const badNumbers = (body: Body): Reply | undefined => {
  const range = outOfRange(body, ranges)
  if (range !== undefined) {
    const [field, min, max] = range
    return error(400, `invalid request: ${field} must be between ${min} and ${max} inclusive.`)
  }
  return list(body["stop_sequences"]).length > 5
    ? error(400, "invalid request: list of stop_sequences must not exceed 5 elements.")
    : undefined
}

/** Refuses what is longer than the model takes. */
export const tooLong = (options: WireOptions, tokens: number): Reply | undefined =>
  options.contextWindow === undefined || tokens <= options.contextWindow
    ? undefined
    : error(
        400,
        `too many tokens: size limit exceeded by ${tokens - options.contextWindow} tokens. Try using shorter or fewer inputs.`
      )

const inputTokens = (body: Body): number => {
  const messages = list(body["messages"]).map(record)
  let characters = 0
  let media = 0
  for (const { content, tool_calls: calls } of messages) {
    characters += textOf(content).length + (calls === undefined ? 0 : JSON.stringify(calls).length)
    media += list(content).filter((part) => record(part)["type"] === "image_url").length
  }
  for (const field of ["tools", "response_format", "documents"]) {
    if (body[field] !== undefined) characters += JSON.stringify(body[field]).length
  }
  return Utterance.promptTokens({ messages: messages.length, characters, media })
}

/** Reads a request, or refuses it as Cohere does. */
export const read = (body: Body, options: WireOptions): Call | Reply => {
  const model = String(body["model"] ?? "")
  const billed = inputTokens(body)
  const input = billed + templateTokens
  const maxTokens = number(body["max_tokens"])
  const reply = firstOf(
    () => badFields(body, parameters, options),
    () => badModel(body, options),
    () => badMessages(body, options.strict),
    () => badNumbers(body),
    () => badThinking(body, model),
    () => badFormat(body),
    () => badTools(body),
    () => tooLong(options, input + (maxTokens ?? 0))
  )
  if (reply !== undefined) return reply
  const messages = list(body["messages"]).map(record)
  const asked = messages.findLast((message) => message["role"] === "user") ?? messages.at(-1)
  const format = record(body["response_format"])
  const forced = record(record(list(body["tools"])[0])["function"])
  const question: CohereChatAnswer.Question = {
    model,
    asked: textOf(asked?.["content"]),
    inputTokens: input,
    billedTokens: billed,
    maxTokens,
    stop: list(body["stop_sequences"]).map(String),
    json:
      format["type"] === "json_object"
        ? (format["json_schema"] ?? { type: "object", properties: { answer: { type: "string" } } })
        : undefined,
    tool:
      body["tool_choice"] === "REQUIRED"
        ? { name: String(forced["name"]), schema: forced["parameters"] }
        : undefined,
    thinks: thinks(model) && record(body["thinking"])["type"] !== "disabled",
    stream: body["stream"] === true,
    logprobs: body["logprobs"] === true
  }
  return {
    _tag: "Call",
    model,
    prompt: messages.map((message) => textOf(message["content"])).join("\n"),
    inputTokens: input,
    maxOutputTokens: maxTokens,
    answer: (context) => CohereChatAnswer.make(question, context)
  }
}
