/**
 * Requests in Mistral's wire form: near OpenAI's, and strict. A field that Mistral does not know is a 422.
 *
 * Source: Mistral's API description of `POST /chat/completions`, `/fim/completions` and `/embeddings`.
 */
import { createHash } from "node:crypto"
import type { AssistantMessage, Content, Message, Part, ReasoningPart } from "../Message.js"
import type {
  Chat,
  Completion,
  Embedding,
  Request,
  ResponseFormat,
  Thinking,
  Tool,
  ToolChoice
} from "../Request.js"
import type { Context } from "../Wire.js"
import { partsOf, setFields } from "./features.js"
import type { JsonObject } from "./jsonObject.js"
import * as MistralSchema from "./mistralSchema.js"
import * as Renamed from "./renamed.js"
import { budgetOf, off } from "./thinking.js"

/** Name of the protocol in reasoning parts. */
export const protocol = "mistral"

/** Parameters that differ in name only. */
const renamed = Renamed.make({
  temperature: "temperature",
  topP: "top_p",
  maxTokens: "max_tokens",
  stop: "stop",
  seed: "random_seed",
  n: "n",
  frequencyPenalty: "frequency_penalty",
  presencePenalty: "presence_penalty",
  parallelToolCalls: "parallel_tool_calls",
  labels: "metadata",
  promptCacheKey: "prompt_cache_key"
})

// --- what there is no counterpart for ----------------------------------------------------------------------

const thinksByMode = (model: string): boolean => model.startsWith("magistral")

/** The first models that were told how much to think are of March 2026; before, only the Magistrals thought. */
const cannotThink = (model: string): boolean => {
  const date = /-(\d{4})$/.exec(model)?.[1]
  return !thinksByMode(model) && (model.startsWith("open-") || (date !== undefined && Number(date) < 2603))
}

const isOff = (thinking: Thinking): boolean => thinking === off || thinking === 0

const chatLacks = (chat: Chat, { model, streaming }: Context): ReadonlyArray<string> => [
  ...setFields(chat, [
    "topK",
    "logprobs",
    "topLogprobs",
    "logitBias",
    "verbosity",
    "serviceTier",
    "store",
    "safetyIdentifier"
  ]),
  // the parts of a stream are of one answer
  ...(streaming && (chat.n ?? 1) > 1 ? ["n"] : []),
  ...(chat.thinking !== undefined && !isOff(chat.thinking) && cannotThink(model) ? ["thinking"] : []),
  ...(partsOf(chat).has("messages.name") ? ["messages.name"] : [])
]

/** See `Wire.lacks`. */
export const lacks = (request: Request, context: Context): ReadonlyArray<string> => {
  switch (request._tag) {
    case "Chat":
      return chatLacks(request, context)
    case "Completion":
      return setFields(request, [
        "n",
        "logprobs",
        "logitBias",
        "frequencyPenalty",
        "presencePenalty",
        "safetyIdentifier"
      ])
    case "Embedding":
      return setFields(request, ["purpose", "safetyIdentifier"])
    case "Rerank":
      return []
  }
}

// --- chats -------------------------------------------------------------------------------------------------

const encodePart = (part: Part): unknown => {
  switch (part.type) {
    case "text":
      return { type: "text", text: part.text }
    case "image":
      return {
        type: "image_url",
        image_url: part.detail === undefined ? part.url : { url: part.url, detail: part.detail }
      }
    case "audio":
      return { type: "input_audio", input_audio: part.data }
    case "file":
      return part.data === undefined
        ? { type: "file", file_id: part.fileId }
        : { type: "document_url", document_url: part.data, document_name: part.filename }
    case "provider":
      return part.value
  }
}

const encodeContent = (content: Content): unknown =>
  typeof content === "string" ? content : content.map(encodePart)

const encodeThought = (part: ReasoningPart): unknown =>
  part.item ?? {
    type: "thinking",
    thinking: [{ type: "text", text: part.text }],
    signature: part.signature
  }

const encodeAnswer = ({ content, reasoning, refusal }: AssistantMessage): unknown => {
  const said = content == null || content === "" ? (refusal ?? "") : content
  const thoughts = (reasoning ?? []).filter(({ provider }) => provider === protocol)
  if (thoughts.length === 0) return encodeContent(said)
  const parts = typeof said === "string" ? [{ type: "text", text: said }] : said.map(encodePart)
  return [...thoughts.map(encodeThought), ...(said === "" ? [] : parts)]
}

/** Mistral takes tool call ids of nine letters and digits: those of others become such, always the same. */
export const toolCallId = (id: string): string =>
  /^[A-Za-z0-9]{9}$/.test(id)
    ? id
    : createHash("sha256")
        .update(id)
        .digest("base64")
        .replace(/[^A-Za-z0-9]/g, "")
        .slice(0, 9)

/** The names of the tools that were called, by the ids of the calls. */
const calledNames = (messages: ReadonlyArray<Message>): ReadonlyMap<string, string> => {
  const names = new Map<string, string>()
  for (const message of messages) {
    if (message.role !== "assistant") continue
    for (const { id, name } of message.toolCalls ?? []) names.set(id, name)
  }
  return names
}

const encodeMessage = (message: Message, names: ReadonlyMap<string, string>, isLast: boolean): JsonObject => {
  switch (message.role) {
    case "system":
    case "user":
      return { role: message.role, content: encodeContent(message.content), ...message.extra }
    case "assistant":
      return {
        role: "assistant",
        content: encodeAnswer(message),
        tool_calls: message.toolCalls?.map((call) => ({
          id: toolCallId(call.id),
          type: "function",
          function: { name: call.name, arguments: call.arguments }
        })),
        // a conversation may end with the model's own turn only where it is to go on with it
        prefix: isLast ? true : undefined,
        ...message.extra
      }
    case "tool":
      return {
        role: "tool",
        tool_call_id: toolCallId(message.toolCallId),
        name: message.name ?? names.get(message.toolCallId),
        content: encodeContent(message.content),
        ...message.extra
      }
  }
}

const noParameters = { type: "object", properties: {} }

const encodeTool = (tool: Tool): unknown => {
  if (tool.type === "provider") return tool.value
  const { description, name, parameters, strict } = tool
  return {
    type: "function",
    // the parameters are not optional here
    function: { name, description, parameters: parameters ?? noParameters, strict: strict ?? undefined }
  }
}

const encodeToolChoice = (choice: ToolChoice): unknown => {
  if (choice === "required") return "any"
  if (typeof choice === "string") return choice
  return choice.type === "provider" ? choice.value : { type: "function", function: { name: choice.name } }
}

const encodeResponseFormat = (format: ResponseFormat): unknown => {
  switch (format.type) {
    case "text":
      return { type: "text" }
    case "json":
      return { type: "json_object" }
    case "jsonSchema": {
      const { adapt, description, name, schema, strict } = format
      return {
        type: "json_schema",
        json_schema: {
          name,
          description,
          strict: strict ?? undefined,
          schema: adapt === true ? MistralSchema.adapt(schema) : schema
        }
      }
    }
    case "provider":
      return format.value
  }
}

/**
 * Magistral models think with a prompt of their own or without. The others have one effort, `"high"`; one that we
 * do not know is sent as it is.
 */
const encodeThinking = (thinking: Thinking, model: string): JsonObject => {
  if (thinksByMode(model)) return { prompt_mode: isOff(thinking) ? null : "reasoning" }
  if (cannotThink(model)) return {}
  if (isOff(thinking)) return { reasoning_effort: "none" }
  return { reasoning_effort: budgetOf(thinking) === undefined ? thinking : "high" }
}

/** The body of a chat's call: what the request sets and nothing else; `extra` is laid over it as it is. */
export const encodeChat = (chat: Chat, { model, streaming }: Context): JsonObject => {
  const names = calledNames(chat.messages)
  const last = chat.messages.length - 1
  const body: Record<string, unknown> = {
    model,
    messages: chat.messages.map((message, i) => encodeMessage(message, names, i === last))
  }
  Renamed.write(body, chat, renamed)
  if (chat.thinking !== undefined) Object.assign(body, encodeThinking(chat.thinking, model))
  if (chat.responseFormat !== undefined) body.response_format = encodeResponseFormat(chat.responseFormat)
  if (chat.tools !== undefined) body.tools = chat.tools.map(encodeTool)
  if (chat.toolChoice !== undefined) body.tool_choice = encodeToolChoice(chat.toolChoice)
  Object.assign(body, chat.extra)
  if (streaming) body.stream = true
  return body
}

// --- other kinds -------------------------------------------------------------------------------------------

/** The body of the call that fills in a middle. */
export const encodeCompletion = (request: Completion, model: string): JsonObject => ({
  model,
  prompt: request.prompt,
  suffix: request.suffix,
  temperature: request.temperature,
  top_p: request.topP,
  max_tokens: request.maxTokens,
  stop: request.stop,
  random_seed: request.seed,
  ...request.extra
})

/** The body of the call for vectors. */
export const encodeEmbedding = (request: Embedding, model: string): JsonObject => ({
  model,
  input: request.input,
  output_dimension: request.dimensions,
  ...request.extra
})
