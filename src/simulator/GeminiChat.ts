/** `generateContent` and `streamGenerateContent`: what is asked. */
import { type Body, list, number, record, textOf } from "./BodyChecks.js"
import * as GeminiAnswer from "./GeminiAnswer.js"
import type { Server } from "./GeminiError.js"
import * as GeminiRules from "./GeminiRules.js"
import * as ServiceTier from "./ServiceTier.js"
import * as Utterance from "./Utterance.js"
import type { Call, Reply, WireOptions } from "./Wire.js"

const partsOf = (content: unknown): ReadonlyArray<Body> => list(record(content)["parts"]).map(record)

const contentText = (content: unknown): string => textOf(partsOf(content))

const inputTokens = (body: Body): number => {
  const contents = [...list(body["contents"]), body["systemInstruction"]].filter((it) => it !== undefined)
  let characters = 0
  let media = 0
  for (const content of contents) {
    for (const part of partsOf(content)) {
      characters += textOf([part]).length
      if (part["inlineData"] !== undefined || part["fileData"] !== undefined) media++
      const call = part["functionCall"] ?? part["functionResponse"]
      if (call !== undefined) characters += JSON.stringify(call).length
    }
  }
  const { responseJsonSchema, responseSchema } = record(body["generationConfig"])
  for (const value of [body["tools"], responseJsonSchema, responseSchema]) {
    if (value !== undefined) characters += JSON.stringify(value).length
  }
  return Utterance.promptTokens({ messages: contents.length, characters, media })
}

const audioTokens = (body: Body): number =>
  Utterance.mediaTokens *
  list(body["contents"])
    .flatMap(partsOf)
    .filter((part) => String(record(part["inlineData"])["mimeType"]).startsWith("audio/")).length

/** The function the request insists on, if it insists. */
const forcedTool = (body: Body): Utterance.ForcedTool | undefined => {
  const { allowedFunctionNames, mode } = record(record(body["toolConfig"])["functionCallingConfig"])
  if (mode !== "ANY") return undefined
  const declared = list(body["tools"]).flatMap((tool) =>
    list(record(tool)["functionDeclarations"]).map(record)
  )
  const [wanted] = list(allowedFunctionNames)
  const found = declared.find(({ name }) => wanted === undefined || name === wanted)
  return found === undefined
    ? undefined
    : { name: String(found["name"]), schema: found["parametersJsonSchema"] ?? found["parameters"] }
}

const jsonSchema = (config: Body): unknown =>
  config["responseMimeType"] === "application/json"
    ? (config["responseJsonSchema"] ??
      config["responseSchema"] ?? { type: "object", properties: { answer: { type: "string" } } })
    : undefined

/** Reads a request, or refuses it as Google does. */
export const read = (
  body: Body,
  where: { readonly model: string; readonly server: Server; readonly stream: boolean },
  options: WireOptions
): Call | Reply => {
  const { model, server, stream } = where
  const input = inputTokens(body)
  const refusal = GeminiRules.refused(body, model, server, options) ?? GeminiRules.tooLong(options, input)
  if (refusal !== undefined) return refusal
  const config = record(body["generationConfig"])
  const thinking = record(config["thinkingConfig"])
  const contents = list(body["contents"])
  const asked = contents.findLast(
    (content) => record(content)["role"] !== "model" && contentText(content) !== ""
  )
  const n = number(config["candidateCount"]) ?? 1
  const maxTokens = number(config["maxOutputTokens"])
  const question: GeminiAnswer.Question = {
    model,
    server,
    stream,
    n,
    serviceTier: ServiceTier.ofGemini(body["serviceTier"]),
    asked: contentText(asked ?? contents.at(-1)),
    inputTokens: input,
    audioTokens: audioTokens(body),
    maxTokens,
    stop: list(config["stopSequences"]).map(String),
    json: jsonSchema(config),
    tool: forcedTool(body),
    thinks: GeminiRules.generationOf(model) >= 2.5 && thinking["thinkingBudget"] !== 0,
    shown: thinking["includeThoughts"] === true,
    topLogprobs: config["responseLogprobs"] === true ? (number(config["logprobs"]) ?? 0) : undefined
  }
  return {
    _tag: "Call",
    model,
    prompt: [body["systemInstruction"], ...contents]
      .map(contentText)
      .filter((text) => text !== "")
      .join("\n"),
    inputTokens: input,
    // Google counts what goes in
    maxOutputTokens: maxTokens === undefined ? undefined : maxTokens * n,
    serviceTier: question.serviceTier,
    answer: (context) => GeminiAnswer.make(question, context)
  }
}
