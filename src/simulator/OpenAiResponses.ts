/**
 * `POST /v1/responses`: what is asked. What is answered is in `OpenAiResponsesAnswer`, what is refused in
 * `OpenAiResponsesRules`.
 *
 * Source: OpenAI's API description and its guides; the texts of errors are those that its users report.
 */
import { type Body, list, number, record, textOf } from "./BodyChecks.js"
import { isReasoning } from "./OpenAiFlavour.js"
import * as OpenAiResponsesAnswer from "./OpenAiResponsesAnswer.js"
import * as OpenAiResponsesRules from "./OpenAiResponsesRules.js"
import * as OpenAiWire from "./OpenAiWire.js"
import * as ServiceTier from "./ServiceTier.js"
import * as Utterance from "./Utterance.js"
import type { Call, Reply, Route, Wire, WireOptions } from "./Wire.js"

/** The items of the input: a text is one of the user's. */
const itemsOf = (input: unknown): ReadonlyArray<Body> =>
  typeof input === "string" ? [{ role: "user", content: input }] : list(input).map(record)

/** What an item says, be it a message or the result of a call. */
const saidIn = ({ content, output }: Body): string => textOf(content ?? output)

const inputTokens = (body: Body): number => {
  let messages = 0
  let characters = String(body["instructions"] ?? "").length
  let media = 0
  for (const item of itemsOf(body["input"])) {
    if (item["type"] === "reasoning") continue
    messages += 1
    characters += saidIn(item).length
    if (item["type"] === "function_call") characters += JSON.stringify(item).length
    for (const part of list(item["content"])) {
      const { type } = record(part)
      if (type === "input_image" || type === "input_file") media += 1
    }
  }
  const { format } = record(body["text"])
  for (const value of [body["tools"], format]) {
    if (value !== undefined) characters += JSON.stringify(value).length
  }
  return Utterance.promptTokens({ messages, characters, media })
}

/** The tool that the request insists on, if it insists. */
const forcedTool = (body: Body): Utterance.ForcedTool | undefined => {
  const choice = body["tool_choice"]
  const tools = list(body["tools"])
    .map(record)
    .filter(({ type }) => type === "function")
  const tool =
    choice === "required"
      ? tools[0]
      : tools.find(({ name }) => record(choice)["type"] === "function" && name === record(choice)["name"])
  return tool && { name: String(tool["name"]), schema: tool["parameters"] ?? undefined }
}

const schemaOf = (body: Body): unknown => {
  const { format } = record(body["text"])
  const { schema, type } = record(format)
  if (type === "json_object") return { type: "object", properties: { answer: { type: "string" } } }
  return type === "json_schema" ? (schema ?? {}) : undefined
}

/** Reads a request, or refuses it as OpenAI does. */
export const read = (body: Body, options: WireOptions): Call | Reply => {
  const input = inputTokens(body)
  const items = itemsOf(body["input"])
  const reply = OpenAiResponsesRules.refused(body, items, input, options)
  if (reply !== undefined) return reply

  const model = String(body["model"])
  const { effort, summary } = record(body["reasoning"])
  const include = list(body["include"])
  const asked = items.findLast(({ role }) => role === "user") ?? items.at(-1) ?? {}
  const maxTokens = number(body["max_output_tokens"])
  const serviceTier = ServiceTier.ofOpenAi(body["service_tier"])
  const question: OpenAiResponsesAnswer.Question = {
    model,
    asked: saidIn(asked),
    inputTokens: input,
    maxTokens,
    stop: [],
    json: schemaOf(body),
    tool: forcedTool(body),
    thinks: isReasoning(model) && effort !== "none",
    stream: body["stream"] === true,
    showsThoughts: summary !== undefined && summary !== null,
    encrypts: include.includes("reasoning.encrypted_content"),
    stores: body["store"] !== false,
    topLogprobs: include.includes("message.output_text.logprobs")
      ? (number(body["top_logprobs"]) ?? 0)
      : undefined,
    echo: {
      instructions: body["instructions"] ?? null,
      max_output_tokens: maxTokens ?? null,
      metadata: body["metadata"] ?? {},
      parallel_tool_calls: body["parallel_tool_calls"] ?? true,
      previous_response_id: body["previous_response_id"] ?? null,
      reasoning: { effort: effort ?? null, summary: summary ?? null },
      service_tier: serviceTier,
      store: body["store"] ?? true,
      temperature: body["temperature"] ?? 1,
      text: body["text"] ?? { format: { type: "text" } },
      tool_choice: body["tool_choice"] ?? "auto",
      tools: body["tools"] ?? [],
      top_p: body["top_p"] ?? 1,
      truncation: "disabled"
    }
  }
  return {
    _tag: "Call",
    model,
    prompt: [String(body["instructions"] ?? ""), ...items.map(saidIn)].join("\n"),
    inputTokens: input,
    maxOutputTokens: maxTokens,
    serviceTier,
    answer: (context) => OpenAiResponsesAnswer.make(question, context)
  }
}

/** OpenAI's wire with this path alone: key, limits, errors and headers are the same. */
export const make = (options: WireOptions): Wire => {
  const wire = OpenAiWire.make(options)
  const endpoint: Route = { _tag: "Endpoint", read: (body) => read(body, options) }
  return {
    ...wire,
    name: "openai-responses",
    route: (method, path) =>
      method === "POST" && (path === "/v1/responses" || path === "/responses") ? endpoint : undefined
  }
}
