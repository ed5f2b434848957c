/**
 * A conversation in Google's wire form: turns of `user` and `model`, made of parts. Standing instructions are apart,
 * tool results are part of the user's turn.
 */
import type { Content, FilePart, Message, Part, ReasoningPart, ToolCall, ToolMessage } from "../Message.js"
import type { Chat } from "../Request.js"
import type { Model } from "./geminiModels.js"
import { protocol, wholeOf } from "./geminiTurn.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"

/** What Google documents for a function call that no Gemini model made. */
export const foreignCall = "skip_thought_signature_validator"

/** What the servers that speak this protocol have in different ways. */
export interface Dialect {
  readonly name: string
  /** Whether function calls and their results have ids. */
  readonly callIds: boolean
  /** Whether requests can be labelled. */
  readonly labels: boolean
  /** Where the service tier is said. */
  readonly tier: "body" | "header"
}

// --- media -------------------------------------------------------------------------------------------------

const types: Readonly<Record<string, string>> = {
  pdf: "application/pdf",
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  webp: "image/webp",
  gif: "image/gif",
  mp3: "audio/mp3",
  wav: "audio/wav",
  mp4: "video/mp4",
  csv: "text/csv",
  html: "text/html",
  txt: "text/plain"
}

const typeOfName = (name: string | undefined): string | undefined =>
  name === undefined ? undefined : types[/\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? ""]

const percentDecoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    // not encoded after all
    return text
  }
}

/** The bytes of a `data:` URL, which Google wants bare, with their type beside them. */
const inlineData = (url: string): JsonObject => {
  const comma = url.indexOf(",")
  const [mimeType, ...parameters] = url.slice("data:".length, comma).split(";")
  const data = url.slice(comma + 1)
  const isBase64 = parameters.some((parameter) => parameter.trim().toLowerCase() === "base64")
  return {
    inlineData: {
      mimeType: mimeType || "text/plain",
      data: isBase64 ? data : Buffer.from(percentDecoded(data)).toString("base64")
    }
  }
}

const fileData = (fileUri: string, filename?: string): JsonObject => {
  const mimeType = typeOfName(filename) ?? typeOfName(fileUri)
  return { fileData: mimeType === undefined ? { fileUri } : { mimeType, fileUri } }
}

const isDataUrl = (url: string): boolean => /^data:[^,]{0,200},/i.test(url)

const media = (url: string, filename?: string): JsonObject =>
  isDataUrl(url) ? inlineData(url) : fileData(url, filename)

/** Files of the Files API are known by their addresses, of which the id is the end. */
const uploaded = ({ fileId = "", filename }: FilePart): JsonObject =>
  fileData(
    fileId.startsWith("files/") ? `https://generativelanguage.googleapis.com/v1beta/${fileId}` : fileId,
    filename
  )

// --- parts -------------------------------------------------------------------------------------------------

/** Extensions of recordings whose type has another name. */
const audioTypes: ReadonlyMap<string, string> = new Map([
  ["aif", "aiff"],
  ["oga", "ogg"],
  ["opus", "ogg"]
])

const encodePart = (part: Part): unknown => {
  switch (part.type) {
    case "text":
      return { text: part.text }
    case "image":
      return media(part.url)
    case "audio":
      return {
        inlineData: { mimeType: `audio/${audioTypes.get(part.format) ?? part.format}`, data: part.data }
      }
    case "file":
      return part.data === undefined ? uploaded(part) : media(part.data, part.filename)
    case "provider":
      return part.value
  }
}

const encodeContent = (content: Content): ReadonlyArray<unknown> =>
  typeof content === "string" ? [{ text: content }] : content.map(encodePart)

const argumentsOf = (text: string): JsonObject => {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : {}
  } catch {
    // what the model wrote was no JSON: there is no way to give it back
    return {}
  }
}

const encodeCall = (call: ToolCall, signature: string | undefined, { callIds }: Dialect): JsonObject => ({
  functionCall: {
    ...(callIds ? { id: call.id } : undefined),
    name: call.name,
    args: argumentsOf(call.arguments)
  },
  ...(signature === undefined ? undefined : { thoughtSignature: signature })
})

/** Thoughts without text are proofs that belong to the text of the answer. */
const isThought = ({ text }: ReasoningPart): boolean => text !== ""

const assistantParts = (
  message: Extract<Message, { readonly role: "assistant" }>,
  model: Model,
  dialect: Dialect
): ReadonlyArray<unknown> => {
  const whole = wholeOf(message, dialect.callIds)
  if (whole !== undefined) return whole
  const own = message.reasoning?.filter(({ provider }) => provider === protocol) ?? []
  const parts: Array<unknown> = own.filter(isThought).map(({ signature, text }) => ({
    text,
    thought: true,
    ...(signature === undefined ? undefined : { thoughtSignature: signature })
  }))
  const proofs = own.filter((part) => !isThought(part) && part.signature !== undefined)
  const texts =
    message.content == null || message.content === ""
      ? message.refusal === undefined
        ? []
        : [{ text: message.refusal }]
      : encodeContent(message.content)
  for (const { signature } of proofs.slice(0, -1)) parts.push({ text: "", thoughtSignature: signature })
  const proof = proofs.at(-1)?.signature
  for (const [index, text] of texts.entries()) {
    const isLast = index === texts.length - 1
    parts.push(
      isLast && proof !== undefined && isJsonObject(text) ? { ...text, thoughtSignature: proof } : text
    )
  }
  if (texts.length === 0 && proof !== undefined) parts.push({ text: "", thoughtSignature: proof })
  const calls = message.toolCalls ?? []
  // of calls made together the first one carries the proof
  const isForeign = model.wantsSignatures && calls.every(({ signature }) => signature === undefined)
  for (const [index, call] of calls.entries()) {
    parts.push(encodeCall(call, isForeign && index === 0 ? foreignCall : call.signature, dialect))
  }
  // a turn without parts is refused
  return parts.length === 0 ? [{ text: "" }] : parts
}

/** A result is an object: the one that the text is, or one around it. */
const resultOf = (text: string, isError: boolean): JsonObject => {
  if (isError) return { error: text }
  if (text.trimStart().startsWith("{")) {
    try {
      const value: unknown = JSON.parse(text)
      if (isJsonObject(value)) return value
    } catch {
      // a text that begins like an object
    }
  }
  return { output: text }
}

const toolParts = (
  message: ToolMessage,
  name: string,
  model: Model,
  dialect: Dialect
): ReadonlyArray<unknown> => {
  const { content } = message
  const isText = (part: Part) => part.type === "text"
  const text =
    typeof content === "string"
      ? content
      : content.map((part) => (part.type === "text" ? part.text : "")).join("")
  const others = typeof content === "string" ? [] : content.filter((part) => !isText(part)).map(encodePart)
  const functionResponse = {
    ...(dialect.callIds ? { id: message.toolCallId } : undefined),
    name,
    response: resultOf(text, message.isError === true),
    ...(others.length > 0 && model.mediaInResults ? { parts: others } : undefined),
    ...message.extra
  }
  return [{ functionResponse }, ...(model.mediaInResults ? [] : others)]
}

// --- the conversation --------------------------------------------------------------------------------------

/** What a conversation is on the wire. */
export interface Conversation {
  readonly systemInstruction: JsonObject | undefined
  readonly contents: ReadonlyArray<JsonObject>
}

interface Turn {
  readonly role: "user" | "model"
  readonly parts: Array<unknown>
  readonly extra: JsonObject | undefined
  readonly isResult: boolean
}

/** The turns, and the standing instructions with `instruction` at their end. */
export const encode = (
  messages: Chat["messages"],
  instruction: string | undefined,
  model: Model,
  dialect: Dialect
): Conversation => {
  const system: Array<unknown> = []
  let systemExtra: JsonObject | undefined
  const turns: Array<Turn> = []
  // ids may come again in a later turn: the last call before the result is meant
  const names = new Map<string, string>()
  for (const message of messages) {
    switch (message.role) {
      case "system":
        system.push(...encodeContent(message.content))
        if (message.extra !== undefined) systemExtra = { ...systemExtra, ...message.extra }
        break
      case "user":
        turns.push({
          role: "user",
          parts: [...encodeContent(message.content)],
          extra: message.extra,
          isResult: false
        })
        break
      case "assistant":
        for (const { id, name } of message.toolCalls ?? []) names.set(id, name)
        turns.push({
          role: "model",
          parts: [...assistantParts(message, model, dialect)],
          extra: message.extra,
          isResult: false
        })
        break
      case "tool": {
        const name = message.name ?? names.get(message.toolCallId) ?? ""
        const parts = toolParts(message, name, model, dialect)
        const last = turns.at(-1)
        // results of calls made together are given together
        if (last?.isResult) last.parts.push(...parts)
        else turns.push({ role: "user", parts: [...parts], extra: undefined, isResult: true })
      }
    }
  }
  if (instruction !== undefined) system.push({ text: instruction })
  if (system.length > 0 && !model.systemInstruction) {
    const first = turns.find(({ isResult, role }) => role === "user" && !isResult)
    if (first === undefined) turns.unshift({ role: "user", parts: system, extra: undefined, isResult: false })
    else first.parts.unshift(...system)
  }
  return {
    systemInstruction:
      system.length > 0 && model.systemInstruction ? { parts: system, ...systemExtra } : undefined,
    contents: turns.map(({ extra, parts, role }) => ({ role, parts, ...extra }))
  }
}
