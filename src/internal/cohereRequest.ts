/**
 * Requests in the form of Cohere's API v2.
 *
 * Source: Cohere's API description of `POST /v2/chat`, `/v2/embed` and `/v2/rerank`.
 */
import type { AssistantMessage, Content, Message, Part, ReasoningPart } from "../Message.js"
import type { Chat, Embedding, Request, Rerank, ResponseFormat, Thinking, Tool } from "../Request.js"
import type { Context } from "../Wire.js"
import * as CohereSchema from "./cohereSchema.js"
import { partsOf, setFields } from "./features.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import * as Renamed from "./renamed.js"
import { instruction } from "./schemaInWords.js"
import { budgetOf, off } from "./thinking.js"

/** Name of the protocol in reasoning parts. */
export const protocol = "cohere"

/** Parameters that differ in name only. */
const renamed = Renamed.make({
  temperature: "temperature",
  topP: "p",
  topK: "k",
  maxTokens: "max_tokens",
  seed: "seed",
  logprobs: "logprobs",
  frequencyPenalty: "frequency_penalty",
  presencePenalty: "presence_penalty"
})

// --- what there is no counterpart for ----------------------------------------------------------------------

/** Models that are known not to think. */
const cannotThink = (model: string): boolean =>
  /^(command(-light|-nightly|-r.*)?$|command-a-(03|vision|translate)|c4ai-)/.test(model)

const isOff = (thinking: Thinking): boolean => thinking === off || thinking === 0

const lacksThinking = (thinking: Thinking | undefined, model: string): boolean =>
  thinking !== undefined && !isOff(thinking) && (cannotThink(model) || budgetOf(thinking) === undefined)

const chatLacks = (chat: Chat, { model }: Context): ReadonlyArray<string> => {
  const parts = partsOf(chat)
  return [
    ...setFields(chat, [
      "n",
      "topLogprobs",
      "logitBias",
      "parallelToolCalls",
      "verbosity",
      "serviceTier",
      "store",
      "labels",
      "safetyIdentifier"
    ]),
    ...["messages.audio", "messages.file", "messages.name"].filter((kind) => parts.has(kind)),
    ...(lacksThinking(chat.thinking, model) ? ["thinking"] : [])
  ]
}

/**
 * See `Wire.lacks`. `promptCacheKey` is not among them: Cohere keeps prompts by itself, and the key would change no
 * answer.
 */
export const lacks = (request: Request, context: Context): ReadonlyArray<string> => {
  switch (request._tag) {
    case "Chat":
      return chatLacks(request, context)
    case "Embedding":
      return setFields(request, ["safetyIdentifier"])
    default:
      return []
  }
}

// --- chats -------------------------------------------------------------------------------------------------

const encodePart = (part: Part): unknown => {
  switch (part.type) {
    case "text":
      return { type: "text", text: part.text }
    case "image":
      return { type: "image_url", image_url: { url: part.url, detail: part.detail } }
    case "provider":
      return part.value
    // reported as lacking before anything is encoded
    case "audio":
    case "file":
      return undefined
  }
}

const encodeContent = (content: Content): unknown =>
  typeof content === "string" ? content : content.map(encodePart)

/** The plan that came before tool calls, if this is one. */
const planOf = ({ item }: ReasoningPart): string | undefined =>
  isJsonObject(item) && typeof item.tool_plan === "string" ? item.tool_plan : undefined

const encodeAnswer = (message: AssistantMessage): JsonObject => {
  const own = (message.reasoning ?? []).filter(({ provider }) => provider === protocol)
  const plan = own.map(planOf).find((text) => text !== undefined)
  const thoughts = own.filter((part) => planOf(part) === undefined)
  const { content } = message
  const said = content == null || content === "" ? message.refusal : content
  const calls = message.toolCalls?.map((call) => ({
    id: call.id,
    type: "function",
    function: { name: call.name, arguments: call.arguments }
  }))
  const spoken =
    said === undefined ? [] : typeof said === "string" ? [{ type: "text", text: said }] : said.map(encodePart)
  return {
    role: "assistant",
    content:
      thoughts.length === 0
        ? said === undefined
          ? undefined
          : encodeContent(said)
        : [...thoughts.map(({ text }) => ({ type: "thinking", thinking: text })), ...spoken],
    tool_plan: plan,
    tool_calls: calls,
    ...message.extra
  }
}

const encodeMessage = (message: Message): JsonObject => {
  switch (message.role) {
    case "system":
    case "user":
      return { role: message.role, content: encodeContent(message.content), ...message.extra }
    case "assistant":
      return encodeAnswer(message)
    case "tool":
      return {
        role: "tool",
        tool_call_id: message.toolCallId,
        content: encodeContent(message.content),
        ...message.extra
      }
  }
}

const noParameters = { type: "object", properties: {} }

const encodeTool = (tool: Tool): unknown => {
  if (tool.type === "provider") return tool.value
  const { description, name, parameters } = tool
  return { type: "function", function: { name, description, parameters: parameters ?? noParameters } }
}

/**
 * A call can be required or ruled out, and is left to the model otherwise. To force one tool, it is the only one
 * that is offered.
 */
const encodeTools = ({ toolChoice, tools }: Chat): JsonObject => {
  const forced =
    typeof toolChoice === "object" && toolChoice.type === "function" ? toolChoice.name : undefined
  const offered =
    forced === undefined ? tools : tools?.filter((tool) => tool.type === "function" && tool.name === forced)
  const choice =
    toolChoice === "required" || forced !== undefined
      ? "REQUIRED"
      : toolChoice === "none"
        ? "NONE"
        : typeof toolChoice === "object" && toolChoice.type === "provider"
          ? toolChoice.value
          : undefined
  return {
    ...(offered === undefined ? undefined : { tools: offered.map(encodeTool) }),
    ...(choice === undefined ? undefined : { tool_choice: choice }),
    // one switch for all tools
    ...(offered?.some((tool) => tool.type === "function" && tool.strict === true)
      ? { strict_tools: true }
      : undefined)
  }
}

/** The format of the answer, and what has to be said in words because there is no format for it. */
interface Format {
  readonly fields: JsonObject
  readonly words?: string
}

const encodeResponseFormat = (format: ResponseFormat, hasTools: boolean): Format => {
  switch (format.type) {
    case "text":
      return { fields: { response_format: { type: "text" } } }
    case "json":
      return { fields: { response_format: { type: "json_object" } } }
    case "jsonSchema": {
      if (format.adapt !== true) {
        return { fields: { response_format: { type: "json_object", json_schema: format.schema } } }
      }
      // JSON mode and tools rule each other out
      const schema = hasTools ? undefined : CohereSchema.adapt(format.schema)
      if (schema !== undefined)
        return { fields: { response_format: { type: "json_object", json_schema: schema } } }
      return {
        fields: hasTools ? {} : { response_format: { type: "json_object" } },
        words: instruction(format.schema)
      }
    }
    case "provider":
      return { fields: { response_format: format.value } }
  }
}

const encodeThinking = (thinking: Thinking, model: string): JsonObject => {
  if (isOff(thinking)) return cannotThink(model) ? {} : { thinking: { type: "disabled" } }
  return { thinking: { type: "enabled", token_budget: budgetOf(thinking) } }
}

/** The body of a chat's call: what the request sets and nothing else; `extra` is laid over it as it is. */
export const encodeChat = (chat: Chat, { model, streaming }: Context): JsonObject => {
  const format =
    chat.responseFormat === undefined
      ? undefined
      : encodeResponseFormat(chat.responseFormat, (chat.tools?.length ?? 0) > 0)
  const messages = chat.messages.map(encodeMessage)
  const body: Record<string, unknown> = {
    model,
    messages:
      format?.words === undefined ? messages : [{ role: "system", content: format.words }, ...messages]
  }
  Renamed.write(body, chat, renamed)
  if (chat.stop !== undefined) body.stop_sequences = typeof chat.stop === "string" ? [chat.stop] : chat.stop
  if (chat.thinking !== undefined) Object.assign(body, encodeThinking(chat.thinking, model))
  Object.assign(body, encodeTools(chat), format?.fields, chat.extra)
  if (streaming) body.stream = true
  return body
}

// --- other kinds -------------------------------------------------------------------------------------------

const inputTypes: Readonly<Record<NonNullable<Embedding["purpose"]>, string>> = {
  query: "search_query",
  document: "search_document",
  classification: "classification",
  clustering: "clustering"
}

/** What vectors are for has to be said: they are of documents where nothing is, or of images. */
const inputTypeOf = ({ extra, purpose }: Embedding): string =>
  purpose === undefined && extra?.images !== undefined ? "image" : inputTypes[purpose ?? "document"]

/** The body of the call for vectors. */
export const encodeEmbedding = (request: Embedding, model: string): JsonObject => ({
  model,
  texts: request.input.length === 0 ? undefined : request.input,
  input_type: inputTypeOf(request),
  output_dimension: request.dimensions,
  ...request.extra
})

/** The body of the call that ranks. */
export const encodeRerank = (request: Rerank, model: string): JsonObject => ({
  model,
  query: request.query,
  documents: request.documents,
  top_n: request.topN,
  ...request.extra
})
