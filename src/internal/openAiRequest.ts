/**
 * A chat request in OpenAI's wire form, and back.
 *
 * Source: OpenAI's API description of `POST /chat/completions`.
 */

import * as Either from "effect/Either"
import { InvalidRequestError } from "../LlmError.js"
import type { Content, Message, Part } from "../Message.js"
import {
  type Chat,
  type ChatFields,
  chatFromFields,
  type ResponseFormat,
  type Tool,
  type ToolChoice
} from "../Request.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import * as OpenAiCacheMark from "./openAiCacheMark.js"
import { type Dialect, openAi } from "./openAiDialect.js"
import * as OpenAiReasoning from "./openAiReasoning.js"
import * as OpenAiSchema from "./openAiSchema.js"
import { isOff } from "./openAiThinking.js"
import * as Renamed from "./renamed.js"
import { instruction } from "./schemaInWords.js"
import { isObjectSchema } from "./schemaRoot.js"
import { off } from "./thinking.js"

type Writable<A> = { -readonly [K in keyof A]: A[K] }

/** Parameters that differ in name only. */
const renamed = Renamed.make({
  temperature: "temperature",
  topP: "top_p",
  stop: "stop",
  seed: "seed",
  n: "n",
  logprobs: "logprobs",
  topLogprobs: "top_logprobs",
  logitBias: "logit_bias",
  frequencyPenalty: "frequency_penalty",
  presencePenalty: "presence_penalty",
  parallelToolCalls: "parallel_tool_calls",
  verbosity: "verbosity",
  serviceTier: "service_tier",
  store: "store",
  labels: "metadata",
  promptCacheKey: "prompt_cache_key",
  safetyIdentifier: "safety_identifier"
})

/** The wire's names of those parameters, without `metadata`, which only OpenAI gives a meaning. */
export const parameterNames: ReadonlyArray<string> = [
  ...renamed.map(([, wire]) => wire).filter((wire) => wire !== "metadata"),
  "reasoning_effort"
]

// --- to the wire -------------------------------------------------------------------------------------------

const encodePart = (part: Part, marks: boolean): unknown => {
  const wire = plainPart(part)
  return marks ? OpenAiCacheMark.add(wire, part) : wire
}

const plainPart = (part: Part): unknown => {
  switch (part.type) {
    case "text":
      return { type: "text", text: part.text }
    case "image":
      return {
        type: "image_url",
        image_url: part.detail === undefined ? { url: part.url } : { url: part.url, detail: part.detail }
      }
    case "audio":
      return { type: "input_audio", input_audio: { data: part.data, format: part.format } }
    case "file":
      return { type: "file", file: { filename: part.filename, file_data: part.data, file_id: part.fileId } }
    case "provider":
      return part.value
  }
}

const encodeContent = (content: Content, marks: boolean): unknown =>
  typeof content === "string" ? content : content.map((part) => encodePart(part, marks))

/** How a chat is written for one server. */
export interface How {
  readonly dialect: Dialect
  /** The model by its own name, empty where it is not known. */
  readonly family: string
  readonly streaming: boolean
}

/** The same for all messages of a chat. */
interface Manner {
  readonly dialect: Dialect
  readonly systemRole: string
  /** Whether thoughts are on, or may be. */
  readonly thinks: boolean
  /** See {@link Dialect.cacheMarks}. */
  readonly marks: boolean
}

const encodeMessage = (message: Message, { dialect, marks, systemRole, thinks }: Manner): JsonObject => {
  switch (message.role) {
    case "system":
      return {
        role: systemRole,
        content: encodeContent(message.content, marks),
        name: message.name,
        ...message.extra
      }
    case "user":
      return {
        role: "user",
        content: encodeContent(message.content, marks),
        name: message.name,
        ...message.extra
      }
    case "assistant":
      return {
        role: "assistant",
        content: message.content == null ? message.content : encodeContent(message.content, marks),
        name: message.name,
        refusal: message.refusal,
        tool_calls: message.toolCalls?.map((call) => ({
          id: call.id,
          type: "function",
          function: { name: call.name, arguments: call.arguments }
        })),
        ...OpenAiReasoning.fieldsOf(
          dialect,
          message.reasoning,
          thinks && message.toolCalls !== undefined && message.toolCalls.length > 0
        ),
        ...message.extra
      }
    case "tool":
      return {
        role: "tool",
        tool_call_id: message.toolCallId,
        content: encodeContent(message.content, marks),
        ...message.extra
      }
  }
}

const encodeTool = (tool: Tool): unknown => {
  if (tool.type === "provider") return tool.value
  const { type, ...definition } = tool
  return { type, function: definition }
}

const encodeToolChoice = (choice: ToolChoice): unknown => {
  if (typeof choice === "string") return choice
  return choice.type === "provider" ? choice.value : { type: "function", function: { name: choice.name } }
}

/** Whether a schema has to be put into words: the server's modes do not take it. */
const isInWords = (format: ResponseFormat | undefined, { schemas }: Dialect): boolean =>
  format?.type === "jsonSchema" &&
  format.adapt === true &&
  (schemas === "json" || schemas === "none" || (schemas === "strict" && !isObjectSchema(format.schema)))

const encodeResponseFormat = (format: ResponseFormat, dialect: Dialect): unknown => {
  switch (format.type) {
    case "text":
      return { type: "text" }
    case "json":
      return { type: "json_object" }
    case "jsonSchema": {
      const { adapt, type: _, ...asked } = format
      if (isInWords(format, dialect)) {
        return dialect.schemas === "json" && isObjectSchema(format.schema)
          ? { type: "json_object" }
          : undefined
      }
      return {
        type: "json_schema",
        json_schema:
          adapt === true && dialect.schemas === "strict" && format.strict !== false
            ? { ...asked, ...OpenAiSchema.adaptOnce(format.schema) }
            : asked
      }
    }
    case "provider":
      return format.value
  }
}

/** The conversation with the schema in its standing instructions. */
const withInstruction = (
  messages: ReadonlyArray<Message>,
  format: ResponseFormat | undefined
): ReadonlyArray<Message> => {
  if (format?.type !== "jsonSchema") return messages
  const schema = instruction(format.schema)
  const [first, ...others] = messages
  return first?.role === "system" && typeof first.content === "string"
    ? [{ ...first, content: `${first.content}\n\n${schema}` }, ...others]
    : [{ role: "system", content: schema }, ...messages]
}

const asOpenAi = (model: string): How => ({ dialect: openAi, family: model, streaming: false })

/** The body of the call: what the request sets and nothing else; `extra` is laid over it as it is. */
export const encode = (chat: Chat, model: string, how: How = asOpenAi(model)): JsonObject => {
  const { dialect, family, streaming } = how
  const { responseFormat: format } = chat
  const manner = {
    dialect,
    systemRole: dialect.systemRole(family),
    thinks: !isOff(chat.thinking),
    marks: dialect.cacheMarks(family)
  }
  const messages = isInWords(format, dialect) ? withInstruction(chat.messages, format) : chat.messages
  const body: Record<string, unknown> = {
    model,
    messages: messages.map((message) => encodeMessage(message, manner))
  }
  Renamed.write(body, chat, renamed)
  if (chat.maxTokens !== undefined) body[dialect.maxTokensField(family)] = chat.maxTokens
  if (chat.topK !== undefined && dialect.topK) body.top_k = chat.topK
  if (chat.thinking !== undefined) Object.assign(body, dialect.thinking?.(chat.thinking, family))
  if (format !== undefined) {
    const wireFormat = encodeResponseFormat(format, dialect)
    if (wireFormat !== undefined) body.response_format = wireFormat
  }
  if (chat.tools !== undefined) body.tools = chat.tools.map(encodeTool)
  if (chat.toolChoice !== undefined) body.tool_choice = encodeToolChoice(chat.toolChoice)
  if (streaming) {
    body.stream = true
    if (dialect.streamUsage) body.stream_options = { include_usage: true }
  }
  return chat.extra === undefined ? body : { ...body, ...chat.extra }
}

// --- from the wire -----------------------------------------------------------------------------------------

/** Whether an object has these keys and no others: what else it has must not be lost. */
const hasOnly = (value: JsonObject, keys: ReadonlyArray<string>): boolean =>
  Object.keys(value).every((key) => keys.includes(key))

const decodePart = (part: unknown): unknown => {
  if (!isJsonObject(part)) return part
  if (part.type === "text" && hasOnly(part, ["type", "text"])) return part
  const { image_url: image, input_audio: audio, file } = part
  if (
    part.type === "image_url" &&
    isJsonObject(image) &&
    hasOnly(part, ["type", "image_url"]) &&
    hasOnly(image, ["url", "detail"])
  ) {
    return { type: "image", ...image }
  }
  if (part.type === "input_audio" && isJsonObject(audio) && hasOnly(audio, ["data", "format"])) {
    return { type: "audio", ...audio }
  }
  if (
    part.type === "file" &&
    isJsonObject(file) &&
    hasOnly(part, ["type", "file"]) &&
    hasOnly(file, ["file_data", "file_id", "filename"])
  ) {
    return defined({ type: "file", data: file.file_data, fileId: file.file_id, filename: file.filename })
  }
  return { type: "provider", value: part }
}

// for every message of every line: by entries it is ten times as costly
const defined = (fields: JsonObject): JsonObject => {
  const kept: Record<string, unknown> = {}
  for (const name in fields) if (fields[name] !== undefined) kept[name] = fields[name]
  return kept
}

const decodeContent = (content: unknown): unknown =>
  Array.isArray(content) ? content.map(decodePart) : content

const decodeMessage = (message: unknown): unknown => {
  if (!isJsonObject(message)) return message
  const { role, content, name, tool_calls: calls, tool_call_id: toolCallId, refusal, ...extra } = message
  const plainCalls =
    Array.isArray(calls) &&
    calls.every((call) => isJsonObject(call) && call.type === "function" && isJsonObject(call.function))
  if (calls !== undefined && !plainCalls) Object.assign(extra, { tool_calls: calls })
  if (refusal === null) Object.assign(extra, { refusal })
  return defined({
    role: role === "developer" ? "system" : role,
    content: decodeContent(content),
    name,
    toolCallId,
    refusal: refusal ?? undefined,
    toolCalls: plainCalls
      ? calls.map((call) => ({ id: call.id, name: call.function.name, arguments: call.function.arguments }))
      : undefined,
    extra: Object.keys(extra).length === 0 ? undefined : extra
  })
}

const decodeTool = (tool: unknown): unknown =>
  isJsonObject(tool) &&
  tool.type === "function" &&
  hasOnly(tool, ["type", "function"]) &&
  isJsonObject(tool.function) &&
  hasOnly(tool.function, ["name", "description", "parameters", "strict"])
    ? { type: "function", ...tool.function }
    : { type: "provider", value: tool }

const decodeToolChoice = (choice: unknown): unknown => {
  if (choice === "auto" || choice === "none" || choice === "required") return choice
  return isJsonObject(choice) && choice.type === "function" && isJsonObject(choice.function)
    ? { type: "function", name: choice.function.name }
    : { type: "provider", value: choice }
}

const decodeResponseFormat = (format: unknown): unknown => {
  if (isJsonObject(format)) {
    if (format.type === "text") return { type: "text" }
    if (format.type === "json_object") return { type: "json" }
    const schema = format.json_schema
    if (
      format.type === "json_schema" &&
      isJsonObject(schema) &&
      hasOnly(schema, ["name", "description", "schema", "strict"])
    ) {
      return { type: "jsonSchema", ...schema }
    }
  }
  return { type: "provider", value: format }
}

/**
 * A request from a body written for OpenAI's chat completions endpoint. What has no field of ours goes into
 * `extra`. `stream` and `stream_options` are left out: how an answer travels is not part of the question.
 */
export const decode = (
  body: JsonObject,
  own: Pick<ChatFields, "id" | "metadata"> = {}
): Either.Either<Chat, InvalidRequestError> => {
  const {
    model,
    messages,
    max_tokens: maxTokens,
    max_completion_tokens: maxCompletionTokens,
    response_format: responseFormat,
    reasoning_effort: effort,
    tools,
    tool_choice: toolChoice,
    stream: _stream,
    stream_options: _streamOptions,
    ...rest
  } = body
  if (!Array.isArray(messages)) {
    return Either.left(
      new InvalidRequestError({ provider: "floodgate", message: `"messages" must be a list of messages` })
    )
  }
  const extra: Record<string, unknown> = { ...rest }
  const fields: Record<string, unknown> = { messages: messages.map(decodeMessage) }
  for (const [field, wire] of renamed) {
    if (!Object.hasOwn(extra, wire)) continue
    // OpenAI takes an explicit null for most parameters and reads it as "not set"
    if (extra[wire] != null) fields[field] = extra[wire]
    delete extra[wire]
  }
  if (model != null) fields.model = model
  const limit = maxCompletionTokens ?? maxTokens
  if (limit != null) fields.maxTokens = limit
  if (effort != null) fields.thinking = effort === "none" ? off : effort
  if (responseFormat != null) fields.responseFormat = decodeResponseFormat(responseFormat)
  if (tools != null) fields.tools = Array.isArray(tools) ? tools.map(decodeTool) : tools
  if (toolChoice != null) fields.toolChoice = decodeToolChoice(toolChoice)
  if (Object.keys(extra).length > 0) fields.extra = extra
  // the wire is untyped: chatFromFields checks every field
  return chatFromFields({ ...fields, ...own } as unknown as Writable<ChatFields>)
}
