/**
 * A conversation as Anthropic wants it: standing instructions apart from the turns, turns of user and model in
 * blocks, tool results in the user's turn and before all else in it, arguments of tools as objects.
 *
 * Source: Anthropic's description of `POST /v1/messages`.
 */
import * as Either from "effect/Either"
import type { UnsupportedError } from "../LlmError.js"
import type { AssistantMessage, Content, FilePart, Message, Part, ToolCall, ToolMessage } from "../Message.js"
import { unsupported } from "../Wire.js"
import { blocksOf, providerName } from "./anthropicThoughts.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"

/** A `data:` URL, taken apart. */
interface Data {
  readonly type: string
  readonly base64: string
}

// the head alone: the data may be megabytes
const dataHead = /^data:([^,;]*)((?:;[^,;]*)*),/i

const dataOf = (url: string): Data | undefined => {
  const head = dataHead.exec(url)
  if (head === null) return undefined
  const body = url.slice(head[0].length)
  const isBase64 = /;base64$/i.test(head[2] ?? "")
  return {
    type: (head[1] ?? "").toLowerCase() || "text/plain",
    base64: isBase64 ? body : Buffer.from(unescaped(body)).toString("base64")
  }
}

const unescaped = (text: string): string =>
  Either.getOrElse(
    Either.try(() => decodeURIComponent(text)),
    () => text
  )

const isRemote = (url: string): boolean => /^https?:/i.test(url)

const isText = (type: string): boolean => /^text\/|^application\/(json|xml|yaml|x-ndjson)$/.test(type)

/** How a document travels; nothing where it cannot. */
const fileSource = (part: FilePart): JsonObject | undefined => {
  if (part.fileId !== undefined) return { type: "file", file_id: part.fileId }
  const url = part.data ?? ""
  if (isRemote(url)) return { type: "url", url }
  const data = dataOf(url)
  if (data === undefined) return undefined
  if (data.type === "application/pdf" || data.type.startsWith("image/")) {
    return { type: "base64", media_type: data.type, data: data.base64 }
  }
  return isText(data.type)
    ? { type: "text", media_type: "text/plain", data: Buffer.from(data.base64, "base64").toString("utf8") }
    : undefined
}

const isImage = (source: JsonObject): boolean =>
  typeof source.media_type === "string" && source.media_type.startsWith("image/")

const imageSource = (url: string): JsonObject => {
  const data = dataOf(url)
  return data === undefined
    ? { type: "url", url }
    : { type: "base64", media_type: data.type === "image/jpg" ? "image/jpeg" : data.type, data: data.base64 }
}

/** What these messages have that Anthropic does not. */
export const lacking = (messages: ReadonlyArray<Message>): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const { content, role, ...message } of messages) {
    // the name of a tool stands in its call
    if (role !== "tool" && "name" in message && message.name !== undefined) found.add("messages.name")
    if (content == null || typeof content === "string") continue
    for (const part of content) {
      const isPlain = part.type === "text" || part.type === "provider"
      if (part.type === "audio" || (role === "system" && !isPlain)) found.add(`messages.${part.type}`)
      if (part.type === "file" && fileSource(part) === undefined) found.add("messages.file")
      if (part.type === "image" && part.detail !== undefined && part.detail !== "auto") {
        found.add("messages.image.detail")
      }
    }
  }
  return [...found]
}

const cacheControl = (ttl: "5m" | "1h" | undefined): JsonObject | undefined =>
  ttl === undefined ? undefined : { cache_control: { type: "ephemeral", ttl } }

/** The blocks of a part: none for an empty text, which Anthropic refuses. */
const partBlocks = (part: Part): ReadonlyArray<unknown> => {
  switch (part.type) {
    case "text":
      return part.text === "" ? [] : [{ type: "text", text: part.text, ...cacheControl(part.promptCache) }]
    case "image":
      return [{ type: "image", source: imageSource(part.url), ...cacheControl(part.promptCache) }]
    case "file": {
      const source = fileSource(part)
      if (source === undefined) return []
      const title = part.filename === undefined || isImage(source) ? undefined : { title: part.filename }
      const type = isImage(source) ? "image" : "document"
      return [{ type, source, ...title, ...cacheControl(part.promptCache) }]
    }
    case "audio":
      return []
    case "provider":
      return [part.value]
  }
}

const contentBlocks = (content: Content | null | undefined): ReadonlyArray<unknown> => {
  if (content == null || content === "") return []
  return typeof content === "string" ? [{ type: "text", text: content }] : content.flatMap(partBlocks)
}

/** Ids of other providers' calls may have characters that Anthropic refuses. */
const safeId = (id: string): string => id.replace(/[^\w-]/g, "_")

/** The arguments as an object; none where the model wrote something else. */
const inputOf = (call: ToolCall): JsonObject => {
  const parsed = Either.try((): unknown => JSON.parse(call.arguments))
  return Either.isRight(parsed) && isJsonObject(parsed.right) ? parsed.right : {}
}

const assistantBlocks = (message: AssistantMessage): ReadonlyArray<unknown> => {
  const calls = message.toolCalls ?? []
  const thoughts = blocksOf(message)
  if (thoughts.isWhole) return thoughts.blocks
  const said = contentBlocks(message.content)
  const text =
    said.length === 0 && calls.length === 0 && message.refusal
      ? [{ type: "text", text: message.refusal }]
      : said
  return [
    ...thoughts.blocks,
    ...text,
    ...calls.map((call) => ({
      type: "tool_use",
      id: safeId(call.id),
      name: call.name,
      input: inputOf(call)
    }))
  ]
}

/** A mark at the end of a result is one of the whole result. */
const resultBlock = (message: ToolMessage): JsonObject => {
  const { content } = message
  const last = typeof content === "string" ? undefined : content.at(-1)
  const ttl = last !== undefined && "promptCache" in last ? last.promptCache : undefined
  const parts =
    typeof content === "string" || last === undefined || ttl === undefined
      ? content
      : [...content.slice(0, -1), { ...last, promptCache: undefined }]
  return {
    type: "tool_result",
    tool_use_id: safeId(message.toolCallId),
    content: typeof parts === "string" ? parts : parts.flatMap(partBlocks),
    ...(message.isError === undefined ? undefined : { is_error: message.isError }),
    ...cacheControl(ttl),
    ...message.extra
  }
}

/** A turn that is being put together. A text alone stays a text. */
interface Turn {
  readonly role: "user" | "assistant"
  text: string | undefined
  readonly results: Array<unknown>
  readonly blocks: Array<unknown>
  extra: JsonObject | undefined
}

const turnOf = (message: Exclude<Message, { role: "system" }>): Turn => {
  switch (message.role) {
    case "tool":
      return { role: "user", text: undefined, results: [resultBlock(message)], blocks: [], extra: undefined }
    case "user":
      return {
        role: "user",
        text: typeof message.content === "string" ? message.content : undefined,
        results: [],
        blocks: [...contentBlocks(message.content)],
        extra: message.extra
      }
    case "assistant": {
      const isText = message.toolCalls === undefined && message.reasoning === undefined
      return {
        role: "assistant",
        text: isText && typeof message.content === "string" ? message.content || undefined : undefined,
        results: [],
        blocks: [...assistantBlocks(message)],
        extra: message.extra
      }
    }
  }
}

/** The turns, those of one side in a row made one. An earlier answer without anything in it is left out. */
export const turns = (messages: ReadonlyArray<Message>): ReadonlyArray<JsonObject> => {
  const found: Array<Turn> = []
  for (const message of messages) {
    if (message.role === "system") continue
    const turn = turnOf(message)
    if (turn.role === "assistant" && turn.blocks.length === 0) continue
    const before = found.at(-1)
    if (before?.role !== turn.role) {
      found.push(turn)
      continue
    }
    before.results.push(...turn.results)
    before.blocks.push(...turn.blocks)
    before.text = undefined
    before.extra = turn.extra === undefined ? before.extra : { ...before.extra, ...turn.extra }
  }
  return found.map(({ blocks, extra, results, role, text }) => ({
    role,
    content: text ?? [...results, ...blocks],
    ...extra
  }))
}

/** The standing instructions: a text where they are one, else blocks; nothing where there are none. */
export const system = (
  messages: ReadonlyArray<Message>,
  instruction: string | undefined
): string | ReadonlyArray<unknown> | undefined => {
  const own = messages.filter((message) => message.role === "system")
  const [first] = own
  const isOne = own.length === 1 && typeof first?.content === "string" && first.extra === undefined
  if (isOne && instruction === undefined) return first.content === "" ? undefined : first.content
  const blocks = own.flatMap(({ content, extra }) => {
    const found = contentBlocks(content)
    const last = found.at(-1)
    return extra !== undefined && isJsonObject(last) ? [...found.slice(0, -1), { ...last, ...extra }] : found
  })
  if (instruction !== undefined) blocks.push({ type: "text", text: instruction })
  return blocks.length === 0 ? undefined : blocks
}

/** The most marks that a request may have. */
const maxMarks = 4

/**
 * The blocks with the last four of their marks. A mark changes what a request costs and not what it says, and the
 * last ones cover the most.
 */
export const withinMarks = <A>(value: A): A => {
  let marks = 0
  const walk = (at: unknown): unknown => {
    if (Array.isArray(at)) {
      // from the end: the last ones stay
      const out = new Array<unknown>(at.length)
      for (let i = at.length - 1; i >= 0; i--) out[i] = walk(at[i])
      return out
    }
    if (!isJsonObject(at)) return at
    const { cache_control: mark, ...rest } = at
    const isKept = mark == null || ++marks <= maxMarks
    const content = Array.isArray(at.content) ? { content: walk(at.content) } : undefined
    return isKept ? { ...at, ...content } : { ...rest, ...content }
  }
  // the same shape, with fewer marks
  return walk(value) as A
}

/** Whether a turn has the provider's own blocks, and so is one that paused rather than one that is made up. */
export const isPaused = (message: AssistantMessage): boolean =>
  blocksOf(message).isWhole ||
  (Array.isArray(message.content) && message.content.some(({ type }) => type === "provider"))

/** Why a conversation cannot end with a message of the model's. */
export const prefillUnsupported = (model: string): UnsupportedError =>
  unsupported(
    providerName,
    "prefill",
    `${model} does not go on with an answer that has begun: the last message cannot be the model's; nothing was sent`
  )
