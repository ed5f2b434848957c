/** All that a model is given to read with a request, part by part. */
import type { Content, Message, Part } from "../Message.js"
import type { Chat, Request } from "../Request.js"
import { isJsonObject } from "./jsonObject.js"

/** Is told what there is. */
export interface Reader {
  readonly text: (text: string) => void
  /** JSON beside the conversation: tools, a schema, fields that only the provider knows. */
  readonly json: (json: string, of: "tool" | "schema" | "other") => void
  readonly part: (part: Exclude<Part, { readonly type: "text" }>) => void
  /** The frame around a message, or around one of several texts. */
  readonly frame: () => void
  /** Something that has the provider add input of its own, such as a tool that it runs. */
  readonly open: () => void
}

/** Fields of the provider's own that bring input from elsewhere. */
const bringsInput =
  /tool|search|plugin|connector|previous|conversation|prompt_id|container|file|cached_?content/i

const contentTo = (content: Content | null | undefined, reader: Reader): void => {
  if (content == null) return
  const parts = typeof content === "string" ? [{ type: "text" as const, text: content }] : content
  for (const part of parts) {
    if (part.type === "text") reader.text(part.text)
    else reader.part(part)
  }
}

const extraTo = (extra: Readonly<Record<string, unknown>> | undefined, reader: Reader): void => {
  if (extra === undefined) return
  reader.json(JSON.stringify(extra), "other")
  const isOpen = Object.entries(extra).some(
    ([name, value]) => value !== null && value !== false && bringsInput.test(name)
  )
  if (isOpen) reader.open()
}

const messageTo = (message: Message, reader: Reader): void => {
  reader.frame()
  contentTo(message.content, reader)
  extraTo(message.extra, reader)
  if (message.name !== undefined) reader.text(message.name)
  if (message.role === "tool") reader.text(message.toolCallId)
  if (message.role !== "assistant") return
  if (message.refusal !== undefined) reader.text(message.refusal)
  for (const call of message.toolCalls ?? []) {
    reader.frame()
    reader.json(JSON.stringify(call), "other")
  }
  for (const thought of message.reasoning ?? []) reader.json(JSON.stringify(thought), "other")
}

const chatTo = (chat: Chat, reader: Reader): void => {
  for (const message of chat.messages) messageTo(message, reader)
  for (const tool of chat.tools ?? []) {
    if (tool.type === "function") reader.json(JSON.stringify(tool), "tool")
    else if (isJsonObject(tool.value) && tool.value.type === "function") {
      reader.json(JSON.stringify(tool.value), "tool")
    } else reader.open()
  }
  const format = chat.responseFormat
  if (format !== undefined && format.type !== "text") reader.json(JSON.stringify(format), "schema")
}

/** Tells the reader all of it. */
export const read = (request: Request, reader: Reader): void => {
  extraTo(request.extra, reader)
  switch (request._tag) {
    case "Chat":
      chatTo(request, reader)
      return
    case "Completion":
      reader.frame()
      reader.text(request.prompt)
      if (request.suffix !== undefined) reader.text(request.suffix)
      return
    case "Embedding":
      for (const text of request.input) {
        reader.frame()
        reader.text(text)
      }
      return
    case "Rerank":
      // the query is read with each document
      for (const document of request.documents) {
        reader.frame()
        reader.text(request.query)
        reader.text(document)
      }
  }
}
