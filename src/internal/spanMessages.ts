/**
 * Prompts and answers in the shape that OpenTelemetry's conventions give to them, as JSON.
 */
import * as Either from "effect/Either"
import type { AssistantMessage, Content, Message, Part, ToolCall } from "../Message.js"
import type { Request } from "../Request.js"
import type { FinishReason, Response } from "../Response.js"

/** A part has a type, and whatever belongs to it. */
type SpanPart = { readonly type: string } & Readonly<Record<string, unknown>>

const text = (content: string): SpanPart => ({ type: "text", content })

/** What is no text is told of and left out: an image is larger than all the rest of a trace. */
const partOf = (part: Part): SpanPart => {
  switch (part.type) {
    case "text":
      return text(part.text)
    case "image":
      return part.url.startsWith("data:")
        ? { type: "image", characters: part.url.length }
        : { type: "uri", modality: "image", uri: part.url }
    case "audio":
      return { type: "audio", format: part.format, characters: part.data.length }
    case "file":
      return { type: "file", file_id: part.fileId, filename: part.filename, characters: part.data?.length }
    case "provider":
      return { type: "provider" }
  }
}

const partsOf = (content: Content): ReadonlyArray<SpanPart> =>
  typeof content === "string" ? [text(content)] : content.map(partOf)

/** The arguments as what they are written in, where they can be read. */
const callOf = ({ arguments: given, id, invalid, name }: ToolCall): SpanPart => ({
  type: "tool_call",
  id,
  name,
  arguments: invalid === undefined ? parsed(given) : given
})

const parsed = (json: string): unknown =>
  Either.getOrElse(
    Either.try((): unknown => JSON.parse(json)),
    () => json
  )

const turnOf = ({ content, reasoning = [], toolCalls = [] }: AssistantMessage): ReadonlyArray<SpanPart> => [
  ...reasoning.map(({ text }) => ({ type: "reasoning", content: text })),
  ...(content == null ? [] : partsOf(content)),
  ...toolCalls.map(callOf)
]

const messageOf = (message: Message) => {
  switch (message.role) {
    case "assistant":
      return { role: message.role, parts: turnOf(message) }
    case "tool": {
      const response = typeof message.content === "string" ? message.content : message.content.map(partOf)
      return {
        role: message.role,
        parts: [{ type: "tool_call_response", id: message.toolCallId, response }]
      }
    }
    default:
      return { role: message.role, parts: partsOf(message.content) }
  }
}

/** `gen_ai.input.messages`; absent for requests that are no prompts. */
export const input = (request: Request): string | undefined => {
  switch (request._tag) {
    case "Chat":
      return JSON.stringify(request.messages.map(messageOf))
    case "Completion":
      return JSON.stringify([{ role: "user", parts: [text(request.prompt)] }])
    default:
      return undefined
  }
}

/** `gen_ai.tool.definitions` */
export const tools = (request: Request): string | undefined =>
  request._tag === "Chat" && request.tools !== undefined ? JSON.stringify(request.tools) : undefined

const finish: Readonly<Partial<Record<FinishReason, string>>> = { tool_calls: "tool_call" }

interface Answer {
  readonly text: string
  readonly finishReason: FinishReason
  readonly toolCalls: ReadonlyArray<ToolCall>
  readonly reasoning?: string | undefined
}

const answerOf = ({ finishReason, reasoning, text: content, toolCalls }: Answer) => ({
  role: "assistant",
  parts: [
    ...(reasoning === undefined ? [] : [{ type: "reasoning", content: reasoning }]),
    ...(content === "" ? [] : [text(content)]),
    ...toolCalls.map(callOf)
  ],
  finish_reason: finish[finishReason] ?? finishReason
})

/** `gen_ai.output.messages`; absent for vectors and rankings. */
export const output = (response: Response): string | undefined =>
  response._tag === "ChatResponse"
    ? JSON.stringify([response, ...(response.alternatives ?? [])].map(answerOf))
    : undefined
