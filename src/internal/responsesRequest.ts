/**
 * A chat as OpenAI's Responses API takes it: a list of items instead of messages, tools without a wrapper, the
 * response format below `text`.
 *
 * Source: OpenAI's API description of `POST /responses`, and its guides to function calling and reasoning.
 */
import { InvalidRequestError } from "../LlmError.js"
import type { AssistantMessage, Content, Message, Part } from "../Message.js"
import { type Chat, type ResponseFormat, type Tool, type ToolChoice, withFields } from "../Request.js"
import type { Context } from "../Wire.js"
import * as Features from "./features.js"
import type { JsonObject } from "./jsonObject.js"
import * as OpenAiCacheMark from "./openAiCacheMark.js"
import * as OpenAiModels from "./openAiModels.js"
import * as OpenAiSchema from "./openAiSchema.js"
import { isOff } from "./openAiThinking.js"
import * as Renamed from "./renamed.js"
import * as ResponsesEcho from "./responsesEcho.js"
import { instruction } from "./schemaInWords.js"
import { isObjectSchema } from "./schemaRoot.js"
import { effortOf } from "./thinking.js"
import { objectOf } from "./wireValues.js"

/** Parameters that differ in name only. */
const renamed = Renamed.make({
  temperature: "temperature",
  topP: "top_p",
  maxTokens: "max_output_tokens",
  topLogprobs: "top_logprobs",
  parallelToolCalls: "parallel_tool_calls",
  serviceTier: "service_tier",
  store: "store",
  labels: "metadata",
  promptCacheKey: "prompt_cache_key",
  safetyIdentifier: "safety_identifier"
})

/** The model by its own name. */
const familyOf = ({ endpoint, model }: Context): string => endpoint.family ?? model

// --- what there is not ---------------------------------------------------------------------------------------

/** The chat as the rules for models know it: with the effort where chat completions has it. */
const withEffort = (chat: Chat): Chat => {
  const { effort } = objectOf(chat.extra?.reasoning)
  return effort === undefined ? chat : withFields(chat, { extra: { reasoning_effort: effort } })
}

/** See `Wire.lacks`. */
export const lacks = (chat: Chat, context: Context): ReadonlyArray<string> => {
  const { frequencyPenalty, n, presencePenalty } = chat
  const parts = Features.partsOf(chat)
  return [
    ...new Set([
      ...Features.setFields(chat, ["topK", "stop", "seed", "logitBias"]),
      ...(n !== undefined && n !== 1 ? ["n"] : []),
      // what no penalty does is what there is
      ...(frequencyPenalty ? ["frequencyPenalty"] : []),
      ...(presencePenalty ? ["presencePenalty"] : []),
      ...["messages.audio", "messages.name"].filter((kind) => parts.has(kind)),
      ...OpenAiModels.lacks(withEffort(chat), familyOf(context))
    ])
  ]
}

const leastMaxTokens = 16

/** Why a chat cannot be sent at all. */
export const refuses = ({ maxTokens }: Chat, { endpoint }: Context): InvalidRequestError | undefined =>
  maxTokens === undefined || maxTokens >= leastMaxTokens
    ? undefined
    : new InvalidRequestError({
        provider: endpoint.provider,
        message: `The Responses API takes no maxTokens below ${leastMaxTokens}, and ${maxTokens} was asked for; nothing was sent`
      })

// --- to the wire -----------------------------------------------------------------------------------------------

const isRemote = (url: string): boolean => /^https?:/i.test(url)

const encodePart = (part: Part, textType: TextType): unknown => {
  switch (part.type) {
    case "text":
      return { type: textType, text: part.text }
    case "image":
      return { type: "input_image", image_url: part.url, detail: part.detail }
    case "audio":
      // not reached: `lacks` names it
      return { type: "input_audio", input_audio: { data: part.data, format: part.format } }
    case "file": {
      const { data, fileId, filename } = part
      return data !== undefined && isRemote(data)
        ? { type: "input_file", file_url: data }
        : { type: "input_file", filename, file_data: data, file_id: fileId }
    }
    case "provider":
      return part.value
  }
}

type TextType = "input_text" | "output_text"

const encodeParts = (content: Content, textType: TextType, marks: boolean): ReadonlyArray<unknown> =>
  typeof content === "string"
    ? [{ type: textType, text: content }]
    : content.map((part) => {
        const wire = encodePart(part, textType)
        return marks && textType === "input_text" ? OpenAiCacheMark.add(wire, part) : wire
      })

const encodeContent = (content: Content, marks: boolean, textType: TextType = "input_text"): unknown =>
  typeof content === "string" ? content : encodeParts(content, textType, marks)

const isSaid = (content: Content | null | undefined): content is Content =>
  content != null && content.length > 0

const encodeAssistant = (message: AssistantMessage, isStored: boolean): ReadonlyArray<unknown> => {
  const { content, extra, refusal, toolCalls = [] } = message
  const { isWhole, items } = ResponsesEcho.itemsOf(message, isStored)
  if (isWhole) return items
  const calls = toolCalls.map(({ arguments: text, id, name }) => ({
    type: "function_call",
    call_id: id,
    name,
    arguments: text
  }))
  const isSilent = !isSaid(content) && refusal === undefined && extra === undefined
  if (isSilent && items.length + calls.length > 0) return [...items, ...calls]
  const said =
    refusal === undefined
      ? encodeContent(content ?? "", false, "output_text")
      : [...(isSaid(content) ? encodeParts(content, "output_text", false) : []), { type: "refusal", refusal }]
  return [...items, { role: "assistant", content: said, ...extra }, ...calls]
}

const encodeMessage = (
  message: Message,
  systemRole: string,
  isStored: boolean,
  marks: boolean
): ReadonlyArray<unknown> => {
  switch (message.role) {
    case "system":
      return [{ role: systemRole, content: encodeContent(message.content, marks), ...message.extra }]
    case "user":
      return [{ role: "user", content: encodeContent(message.content, marks), ...message.extra }]
    case "assistant":
      return encodeAssistant(message, isStored)
    case "tool":
      return [
        {
          type: "function_call_output",
          call_id: message.toolCallId,
          output: encodeContent(message.content, marks),
          ...message.extra
        }
      ]
  }
}

const noParameters = { type: "object", properties: {}, required: [], additionalProperties: false }

// a tool that does not say `strict` is made so here, and its optional parameters required ones
const encodeTool = (tool: Tool): unknown =>
  tool.type === "provider"
    ? tool.value
    : { ...tool, parameters: tool.parameters ?? noParameters, strict: tool.strict ?? false }

const encodeToolChoice = (choice: ToolChoice): unknown =>
  typeof choice !== "string" && choice.type === "provider" ? choice.value : choice

/** The schema that has to be put into words, if there is one: strict mode takes objects alone. */
const schemaInWords = (format: ResponseFormat | undefined): JsonObject | undefined =>
  format?.type === "jsonSchema" && format.adapt === true && !isObjectSchema(format.schema)
    ? format.schema
    : undefined

const encodeFormat = (format: ResponseFormat | undefined): unknown => {
  if (format === undefined || schemaInWords(format) !== undefined) return undefined
  switch (format.type) {
    case "text":
      return { type: "text" }
    case "json":
      return { type: "json_object" }
    case "jsonSchema": {
      const { adapt, ...asked } = format
      const isAdapted = adapt === true && format.strict !== false
      return {
        ...asked,
        ...(isAdapted ? OpenAiSchema.adaptOnce(format.schema) : undefined),
        type: "json_schema"
      }
    }
    case "provider":
      return format.value
  }
}

/** Standing instructions of plain text at the beginning have a field of their own; all others are items. */
const opening = ({ messages, responseFormat }: Chat) => {
  const [first, ...others] = messages
  const isInstructions =
    first?.role === "system" &&
    typeof first.content === "string" &&
    first.extra === undefined &&
    others.length > 0
  const given = isInstructions ? [first.content] : []
  const schema = schemaInWords(responseFormat)
  const instructions = schema === undefined ? given : [...given, instruction(schema)]
  return {
    instructions: instructions.length === 0 ? undefined : instructions.join("\n\n"),
    messages: isInstructions ? others : messages
  }
}

const storeOf = ({ extra, store }: Chat): unknown => extra?.store ?? store

/** What the answer is to hold besides. */
const includeOf = (chat: Chat, isReasoningModel: boolean): ReadonlyArray<string> => {
  const { logprobs, thinking, tools, topLogprobs } = chat
  const isContinued =
    (thinking !== undefined && !isOff(thinking)) || (tools ?? []).length > 0 || storeOf(chat) === false
  return [
    // models that do not think refuse it
    ...(isReasoningModel && isContinued ? ["reasoning.encrypted_content"] : []),
    ...(logprobs === true || (logprobs === undefined && topLogprobs !== undefined)
      ? ["message.output_text.logprobs"]
      : [])
  ]
}

/** The body of the call: what the request sets, and `include`; `extra` is laid over it as it is. */
export const encode = (chat: Chat, context: Context): JsonObject => {
  const isReasoningModel = OpenAiModels.isReasoningModel(familyOf(context))
  const systemRole = isReasoningModel ? "developer" : "system"
  const isStored = storeOf(chat) !== false
  const marks = OpenAiModels.takesCacheMarks(familyOf(context))
  const { instructions, messages } = opening(chat)
  const body: Record<string, unknown> = { model: context.model }
  const input = messages.flatMap((message) => encodeMessage(message, systemRole, isStored, marks))
  if (instructions !== undefined) {
    // those of `extra` would take their place
    if (chat.extra?.instructions === undefined) body.instructions = instructions
    else input.unshift({ role: systemRole, content: instructions })
  }
  body.input = input
  Renamed.write(body, chat, renamed)
  const { thinking, verbosity } = chat
  if (thinking !== undefined && !(isOff(thinking) && OpenAiModels.neverThinks(familyOf(context)))) {
    body.reasoning = isOff(thinking) ? { effort: "none" } : { effort: effortOf(thinking), summary: "auto" }
  }
  const format = encodeFormat(chat.responseFormat)
  if (format !== undefined || verbosity !== undefined) body.text = { format, verbosity }
  if (chat.tools !== undefined) body.tools = chat.tools.map(encodeTool)
  if (chat.toolChoice !== undefined) body.tool_choice = encodeToolChoice(chat.toolChoice)
  const include = includeOf(chat, isReasoningModel)
  if (include.length > 0) body.include = include
  if (context.streaming) body.stream = true
  return chat.extra === undefined ? body : { ...body, ...chat.extra }
}
