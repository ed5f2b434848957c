/**
 * A prompt of `@effect/ai` as the messages, tools and format of a chat.
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Prompt from "@effect/ai/Prompt"
import * as AiTool from "@effect/ai/Tool"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { InvalidRequestError } from "../LlmError.js"
import * as Media from "../Media.js"
import {
  type AssistantMessage,
  type Content,
  type ImagePart,
  type Message,
  type Part,
  ReasoningPart,
  type TextPart,
  type ToolCall,
  type ToolMessage
} from "../Message.js"
import type { Tool, ToolChoice } from "../Request.js"
import type { Turns } from "./effectAiTurns.js"

/** Our name among the options and the metadata of parts. */
export const namespace = "floodgate"

export const invalid = (message: string): InvalidRequestError =>
  new InvalidRequestError({ provider: "floodgate", message })

/** What was thrown, in words. */
export const because = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** What our own options may say of a part. */
interface Marks {
  readonly promptCache?: TextPart["promptCache"]
  readonly detail?: ImagePart["detail"]
  readonly signature?: string | undefined
}

/** Our own options of a part or message. Those of other providers are theirs; a name that we do not know is an error. */
const optionsOf = (
  of: { readonly options: Prompt.ProviderOptions },
  known: ReadonlyArray<keyof Marks>
): Effect.Effect<Marks, InvalidRequestError> => {
  const options = of.options[namespace] ?? {}
  const unknown = Object.keys(options).find((name) => !known.some((one) => one === name))
  return unknown === undefined
    ? Effect.succeed(options as Marks) // the values are checked with the request
    : Effect.fail(
        invalid(`Unknown option "${unknown}" under "${namespace}". Known here: ${known.join(", ")}`)
      )
}

/** JSON of a value that a program gave. */
const json = (value: unknown, what: string): Effect.Effect<string, InvalidRequestError> =>
  Effect.try({
    try: () => JSON.stringify(value) ?? "null",
    catch: (cause) => invalid(`${what} cannot be written as JSON: ${because(cause)}`)
  })

/** The names that providers have for recordings whose media type says otherwise. */
const audioFormats: Readonly<Record<string, string>> = {
  mpeg: "mp3",
  "x-wav": "wav",
  wave: "wav",
  mp4: "m4a"
}

/** The data of a file as a URL, or as its bytes in base64. */
const dataOf = ({ data }: Prompt.FilePart): { readonly url: string } | { readonly base64: string } => {
  if (data instanceof URL) return { url: data.href }
  if (typeof data !== "string") return { base64: Buffer.from(data).toString("base64") }
  return /^(data|https?):/i.test(data) ? { url: data } : { base64: data }
}

const filePart = Effect.fnUntraced(function* (part: Prompt.FilePart) {
  const { detail, promptCache } = yield* optionsOf(part, ["detail", "promptCache"])
  const { fileName, mediaType } = part
  const data = dataOf(part)
  const marks = promptCache === undefined ? undefined : { promptCache }
  if (mediaType.startsWith("audio/")) {
    const base64 = "base64" in data ? data.base64 : /^data:[^,]*;base64,(.*)$/is.exec(data.url)?.[1]
    if (base64 === undefined) {
      return yield* Effect.fail(
        invalid("Providers take recordings as data: fetch the URL and pass its bytes")
      )
    }
    const kind = mediaType.slice("audio/".length)
    const audio: Part = { type: "audio", data: base64, format: audioFormats[kind] ?? kind }
    return audio
  }
  if (mediaType.startsWith("image/")) {
    const { url } =
      "url" in data
        ? data
        : mediaType === "image/*"
          ? yield* Media.image(data)
          : { url: `data:${mediaType};base64,${data.base64}` }
    const image: Part = { type: "image", url, ...(detail === undefined ? undefined : { detail }), ...marks }
    return image
  }
  const file: Part = {
    type: "file",
    data: "url" in data ? data.url : `data:${mediaType};base64,${data.base64}`,
    ...(fileName === undefined ? undefined : { filename: fileName }),
    ...marks
  }
  return file
})

const textPart = (part: Prompt.TextPart): Effect.Effect<Part, InvalidRequestError> =>
  Effect.map(optionsOf(part, ["promptCache"]), ({ promptCache }) => ({
    type: "text",
    text: part.text,
    ...(promptCache === undefined ? undefined : { promptCache })
  }))

const contentPart = (part: Prompt.TextPart | Prompt.FilePart): Effect.Effect<Part, InvalidRequestError> =>
  part.type === "text" ? textPart(part) : filePart(part)

/** A single plain text is one, not a list of it: some servers take no lists. */
const contentOf = (parts: ReadonlyArray<Part>): Content => {
  const [first] = parts
  if (first === undefined) return ""
  return parts.length === 1 && first.type === "text" && first.promptCache === undefined ? first.text : parts
}

/** What the model said is one text, whatever pieces it came in. */
const saidOf = (parts: ReadonlyArray<Part>): Content => {
  const texts = parts.flatMap((part) =>
    part.type === "text" && part.promptCache === undefined ? [part.text] : []
  )
  return texts.length === parts.length ? texts.join("") : parts
}

const toolMessage = (part: Prompt.ToolResultPart): Effect.Effect<ToolMessage, InvalidRequestError> =>
  Effect.map(
    typeof part.result === "string"
      ? Effect.succeed(part.result)
      : json(part.result, `The result of the tool "${part.name}"`),
    (content) => ({
      role: "tool",
      toolCallId: part.id,
      content,
      name: part.name,
      ...(part.isFailure ? { isError: true } : undefined)
    })
  )

const toolCall = Effect.fnUntraced(function* (part: Prompt.ToolCallPart) {
  const { signature } = yield* optionsOf(part, ["signature"])
  const call: ToolCall = {
    id: part.id,
    name: part.name,
    arguments: yield* json(part.params ?? {}, `The parameters of the tool "${part.name}"`),
    ...(signature === undefined ? undefined : { signature })
  }
  return call
})

const isReasoning = Schema.is(ReasoningPart)

export interface Options {
  /** Leave out what a chat has no counterpart for, where it is to be an error by default. */
  readonly drop: boolean
  readonly turns: Turns
}

const assistantMessages = Effect.fnUntraced(function* (
  { content: given }: Prompt.AssistantMessage,
  { drop, turns }: Options
) {
  const content: Array<Part> = []
  const toolCalls: Array<ToolCall> = []
  const reasoning: Array<ReasoningPart> = []
  const results: Array<ToolMessage> = []
  for (const part of given) {
    if ((part.type === "tool-call" || part.type === "tool-result") && part.providerExecuted) {
      if (drop) continue
      return yield* Effect.fail(
        invalid(`The tool "${part.name}" was run by another provider: its turns can only be continued there`)
      )
    }
    switch (part.type) {
      case "text":
      case "file":
        content.push(yield* contentPart(part))
        break
      case "reasoning": {
        // thoughts without their proof, or of other libraries, are nothing that a provider takes back
        const own = part.options[namespace]
        if (isReasoning(own)) reasoning.push(own)
        break
      }
      case "tool-call":
        toolCalls.push(yield* toolCall(part))
        break
      case "tool-result":
        results.push(yield* toolMessage(part))
    }
  }
  const isProven = reasoning.length > 0 || toolCalls.some(({ signature }) => signature !== undefined)
  const kept = isProven ? undefined : turns.recall(given)
  const calls = kept?.toolCalls ?? toolCalls
  const thoughts = kept?.reasoning ?? reasoning
  const message: AssistantMessage = {
    role: "assistant",
    content: content.length === 0 && calls.length > 0 ? null : saidOf(content),
    ...(calls.length === 0 ? undefined : { toolCalls: calls }),
    ...(thoughts.length === 0 ? undefined : { reasoning: thoughts })
  }
  return [message, ...results]
})

const messagesOf = (
  message: Prompt.Message,
  options: Options
): Effect.Effect<ReadonlyArray<Message>, InvalidRequestError> => {
  switch (message.role) {
    case "system":
      return Effect.map(optionsOf(message, ["promptCache"]), ({ promptCache }) => [
        {
          role: "system",
          content:
            promptCache === undefined
              ? message.content
              : [{ type: "text", text: message.content, promptCache }]
        }
      ])
    case "user":
      return Effect.map(Effect.forEach(message.content, contentPart), (parts) => [
        { role: "user", content: contentOf(parts) }
      ])
    case "assistant":
      return assistantMessages(message, options)
    case "tool":
      return Effect.forEach(message.content, toolMessage)
  }
}

/** The messages of a prompt. */
export const messages = (
  prompt: Prompt.Prompt,
  options: Options
): Effect.Effect<ReadonlyArray<Message>, InvalidRequestError> =>
  Effect.map(
    Effect.forEach(prompt.content, (message) => messagesOf(message, options)),
    (lists) => lists.flat()
  )

const definition = (tool: AiTool.Any): Effect.Effect<Tool, InvalidRequestError> => {
  const { ast } = tool.parametersSchema
  return Effect.map(
    Effect.try({
      try: () => AiTool.getJsonSchemaFromSchemaAst(ast),
      catch: (cause) => invalid(`The tool "${tool.name}" has no JSON Schema: ${because(cause)}`)
    }),
    (parameters) => {
      const description = tool.description ?? AiTool.getDescriptionFromSchemaAst(ast)
      return {
        type: "function",
        name: tool.name,
        ...(description === undefined ? undefined : { description }),
        parameters: { ...parameters }
      }
    }
  )
}

/** Tools that the provider runs by itself have a form of each provider's own. */
const isForeign = AiTool.isProviderDefined

export const tools = (
  given: ReadonlyArray<AiTool.Any>,
  { drop }: Pick<Options, "drop">
): Effect.Effect<ReadonlyArray<Tool>, InvalidRequestError> => {
  const foreign = given.find(isForeign)
  return foreign !== undefined && !drop
    ? Effect.fail(
        invalid(
          `The tool "${foreign.name}" is a provider's own: pass it as that provider wants it, in the "tools" of the parameters`
        )
      )
    : Effect.forEach(
        given.filter((tool) => !isForeign(tool)),
        definition
      )
}

/** The choice among the tools; nothing where it is the model's anyway. A subset of them was made by `@effect/ai`. */
export const toolChoice = (choice: LanguageModel.ToolChoice<string>): ToolChoice | undefined => {
  if (typeof choice === "string") return choice === "auto" ? undefined : choice
  if ("tool" in choice) return { type: "function", name: choice.tool }
  return choice.mode === "required" ? "required" : undefined
}
