/**
 * A chat request in Google's wire form.
 *
 * Source: Google's API description of `models.generateContent`, and Vertex AI's differences from it.
 */
import type { Chat, ResponseFormat, Tool, ToolChoice } from "../Request.js"
import { partsOf, setFields } from "./features.js"
import * as Contents from "./geminiContents.js"
import * as Models from "./geminiModels.js"
import * as Schemas from "./geminiSchema.js"
import * as Thinking from "./geminiThinking.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import * as Renamed from "./renamed.js"
import { instruction as schemaInstruction } from "./schemaInWords.js"

/** Parameters that differ in name only, and where they stand. */
const renamed = Renamed.make({
  maxTokens: "maxOutputTokens",
  temperature: "temperature",
  topP: "topP",
  topK: "topK",
  seed: "seed",
  n: "candidateCount",
  presencePenalty: "presencePenalty",
  frequencyPenalty: "frequencyPenalty",
  logprobs: "responseLogprobs",
  topLogprobs: "logprobs"
})

// --- what there is no counterpart for ----------------------------------------------------------------------

const isFormat = (format: ResponseFormat | undefined): boolean =>
  format?.type === "json" || format?.type === "jsonSchema"

const hasFunctions = (tools: ReadonlyArray<Tool> | undefined): boolean =>
  tools?.some(({ type }) => type === "function") === true

/** Whether the model can be held to JSON in this request. */
const takesJson = ({ tools }: Chat, model: Models.Model): boolean =>
  model.json && (model.jsonWithTools || !hasFunctions(tools))

/** Fields that are never there, whatever the model. `promptCacheKey` is a hint to caches that need none here. */
const absent = ["logitBias", "verbosity", "safetyIdentifier"] as const

/** What the chat asks for and the server or the model does not have. */
export const lacks = (
  chat: Chat,
  model: string,
  streaming: boolean,
  dialect: Contents.Dialect
): ReadonlyArray<string> => {
  const found: Array<string> = [...setFields(chat, absent)]
  const known = Models.of(model)
  // nothing is kept for dashboards: not to keep it is what happens
  if (chat.store === true) found.push("store")
  // calls made together cannot be forbidden
  if (chat.parallelToolCalls === false) found.push("parallelToolCalls")
  if (chat.labels !== undefined && !dialect.labels) found.push("labels")
  if (chat.thinking !== undefined && Thinking.lacks(chat.thinking, model)) found.push("thinking")
  if (streaming && chat.n !== undefined && chat.n > 1) found.push("n")
  const { responseFormat: format } = chat
  const isAdapted = format?.type === "jsonSchema" && format.adapt === true
  if (isFormat(format) && !isAdapted && !takesJson(chat, known)) found.push("responseFormat")
  if (partsOf(chat).has("messages.name")) found.push("messages.name")
  return found
}

// --- to the wire -------------------------------------------------------------------------------------------

interface Format {
  readonly config: JsonObject | undefined
  /** The schema in words, where the model is not held to it. */
  readonly instruction: string | undefined
}

const noFormat: Format = { config: undefined, instruction: undefined }

const encodeFormat = (chat: Chat, model: Models.Model): Format => {
  const { responseFormat: format } = chat
  switch (format?.type) {
    case "json":
      return { ...noFormat, config: { responseMimeType: "application/json" } }
    case "jsonSchema": {
      if (!takesJson(chat, model)) return { ...noFormat, instruction: schemaInstruction(format.schema) }
      const { description } = format
      const adapted = format.adapt === true ? Schemas.adapt(format.schema) : format.schema
      const schema =
        format.adapt === true && description !== undefined && adapted.description === undefined
          ? { ...adapted, description }
          : adapted
      return { ...noFormat, config: { responseMimeType: "application/json", responseJsonSchema: schema } }
    }
    case "provider":
      return { ...noFormat, config: isJsonObject(format.value) ? format.value : undefined }
    default:
      return noFormat
  }
}

const encodeTools = (tools: ReadonlyArray<Tool>): ReadonlyArray<unknown> => {
  const functionDeclarations = tools.flatMap((tool): ReadonlyArray<JsonObject> => {
    if (tool.type === "provider") return []
    const { description, name, parameters } = tool
    return [
      {
        name,
        ...(description === undefined ? undefined : { description }),
        ...(parameters === undefined ? undefined : { parametersJsonSchema: parameters })
      }
    ]
  })
  return [
    ...(functionDeclarations.length === 0 ? [] : [{ functionDeclarations }]),
    ...tools.flatMap((tool) => (tool.type === "provider" ? [tool.value] : []))
  ]
}

const isStrict = (tool: Tool): boolean => tool.type === "function" && tool.strict === true

/** A strict tool's arguments are held to their schema where a call is forced, or else in the mode `VALIDATED`. */
const encodeChoice = (choice: ToolChoice | undefined, tools: ReadonlyArray<Tool>): unknown => {
  const mode = (mode: string, more?: JsonObject) => ({ functionCallingConfig: { mode, ...more } })
  if (choice === undefined) return tools.some(isStrict) ? mode("VALIDATED") : undefined
  switch (choice) {
    case "auto":
      return mode(tools.some(isStrict) ? "VALIDATED" : "AUTO")
    case "none":
      return mode("NONE")
    case "required":
      return mode("ANY")
  }
  return choice.type === "provider" ? choice.value : mode("ANY", { allowedFunctionNames: [choice.name] })
}

/** One resolution for all images of a request: the finest that any of them asks for. */
const mediaResolution = (chat: Chat): string | undefined => {
  if (!partsOf(chat).has("messages.image")) return undefined
  const details = chat.messages.flatMap(({ content }) =>
    Array.isArray(content) ? content.flatMap((part) => (part.type === "image" ? [part.detail] : [])) : []
  )
  if (details.some((detail) => detail === "high" || detail === "original")) return "MEDIA_RESOLUTION_HIGH"
  return details.every((detail) => detail === "low") ? "MEDIA_RESOLUTION_LOW" : undefined
}

/** Google's word for the tier; nothing where it is to choose. */
const tierOf = ({ serviceTier: tier }: Chat): string | undefined =>
  tier === "auto" ? undefined : tier === "default" ? "standard" : tier

/** Headers of this call: Vertex is told the tier there. */
export const headers = (
  chat: Chat,
  { tier: place }: Contents.Dialect
): Readonly<Record<string, string>> | undefined => {
  const tier = place === "header" ? tierOf(chat) : undefined
  return tier === undefined || tier === "standard"
    ? undefined
    : { "x-vertex-ai-llm-shared-request-type": tier }
}

/** The second over the first; within objects of both, member by member. */
const laidOver = (under: unknown, over: unknown): unknown => {
  if (!isJsonObject(under) || !isJsonObject(over)) return over
  const out: Record<string, unknown> = { ...under }
  for (const [name, value] of Object.entries(over)) out[name] = laidOver(under[name], value)
  return out
}

const generationConfig = (chat: Chat, model: string, format: Format): JsonObject => {
  const config: Record<string, unknown> = {}
  Renamed.write(config, chat, renamed)
  if (chat.stop !== undefined) config.stopSequences = typeof chat.stop === "string" ? [chat.stop] : chat.stop
  Object.assign(config, format.config)
  const thinking = chat.thinking === undefined ? undefined : Thinking.encode(chat.thinking, model)
  if (thinking !== undefined) config.thinkingConfig = thinking
  const resolution = mediaResolution(chat)
  if (resolution !== undefined) config.mediaResolution = resolution
  return config
}

/**
 * The body of the call: what the request sets and nothing else. `extra` is laid over it, and within `generationConfig`
 * over its members: a parameter there does not take the others away.
 */
export const encode = (chat: Chat, model: string, dialect: Contents.Dialect): JsonObject => {
  const known = Models.of(model)
  const format = encodeFormat(chat, known)
  const { contents, systemInstruction } = Contents.encode(chat.messages, format.instruction, known, dialect)
  const body: Record<string, unknown> = { contents }
  if (systemInstruction !== undefined) body.systemInstruction = systemInstruction
  const config = generationConfig(chat, model, format)
  if (Object.keys(config).length > 0) body.generationConfig = config
  if (chat.tools !== undefined) body.tools = encodeTools(chat.tools)
  const choice = encodeChoice(chat.toolChoice, chat.tools ?? [])
  if (choice !== undefined) body.toolConfig = choice
  const tier = dialect.tier === "body" ? tierOf(chat) : undefined
  if (tier !== undefined) body.serviceTier = tier
  if (chat.labels !== undefined) body.labels = chat.labels
  if (chat.extra === undefined) return body
  const extra = { ...chat.extra }
  if (extra.generationConfig !== undefined) {
    extra.generationConfig = laidOver(body.generationConfig, extra.generationConfig)
  }
  return { ...body, ...extra }
}
