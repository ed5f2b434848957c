/**
 * A chat request in Anthropic's wire form.
 *
 * Source: Anthropic's description of `POST /v1/messages`, and the types of its SDK.
 */
import * as Either from "effect/Either"
import { InvalidRequestError, type LlmError } from "../LlmError.js"
import type { Message } from "../Message.js"
import type { Chat, Request, ResponseFormat, Thinking, Tool, ToolChoice } from "../Request.js"
import * as Messages from "./anthropicMessages.js"
import * as Models from "./anthropicModels.js"
import * as AnthropicSchema from "./anthropicSchema.js"
import { providerName } from "./anthropicThoughts.js"
import { setFields } from "./features.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { budgetOf, effortOf, off } from "./thinking.js"

// --- what there is none of ---------------------------------------------------------------------------------

/** Whether the model is to think more than it does by itself. */
const asksToThink = ({ thinking }: Chat): boolean =>
  thinking !== undefined && thinking !== off && thinking !== 0

const turnsThinkingOff = ({ thinking }: Chat): boolean => thinking === off || thinking === 0

const forcesTool = ({ toolChoice }: Chat): boolean =>
  toolChoice === "required" || (typeof toolChoice === "object" && toolChoice.type === "function")

const lackingSampling = (chat: Chat, model: Models.Model): ReadonlyArray<string> => {
  const { temperature, topP } = chat
  // while it thinks, a model does so at its own temperature; newer ones answer at it as well
  const isFixed = model.fixesSampling || asksToThink(chat)
  if (!isFixed) return []
  const least = model.fixesSampling ? 0.99 : 0.95
  return [
    ...(temperature !== undefined && temperature !== 1 ? ["temperature"] : []),
    ...(topP !== undefined && topP < least ? ["topP"] : []),
    ...setFields(chat, ["topK"])
  ]
}

const lackingTools = (chat: Chat, model: Models.Model): boolean =>
  forcesTool(chat) &&
  ((model.refusesForcedTools && !turnsThinkingOff(chat)) ||
    (asksToThink(chat) && (model.thinking === "budget" || model.thinking === "either")))

const lackingFormat = (format: ResponseFormat | undefined, model: Models.Model): boolean =>
  format?.type === "json" || (format?.type === "jsonSchema" && format.adapt !== true && !model.schemas)

/** Values that ask for what happens anyway are no reason to refuse. */
const lackingFields = (chat: Chat): ReadonlyArray<string> => {
  const { frequencyPenalty, logprobs, n, presencePenalty, serviceTier, store } = chat
  return [
    ...setFields(chat, ["seed", "topLogprobs", "logitBias", "verbosity", "labels"]),
    ...(n !== undefined && n !== 1 ? ["n"] : []),
    ...(logprobs === true ? ["logprobs"] : []),
    ...(frequencyPenalty ? ["frequencyPenalty"] : []),
    ...(presencePenalty ? ["presencePenalty"] : []),
    ...(store === true ? ["store"] : []),
    ...(serviceTier === "flex" || serviceTier === "priority" ? ["serviceTier"] : [])
  ]
}

/** What the request asks for and the model, or Anthropic at all, cannot do. */
export const lacks = (request: Request, name: string): ReadonlyArray<string> => {
  if (request._tag !== "Chat") return []
  const model = Models.of(name)
  const cannotThink = model.thinking === "none" && asksToThink(request)
  const cannotStop = model.thinking === "always" && turnsThinkingOff(request)
  return [
    ...lackingFields(request),
    ...lackingSampling(request, model),
    ...(cannotThink || cannotStop ? ["thinking"] : []),
    ...(lackingTools(request, model) ? ["toolChoice"] : []),
    ...(lackingFormat(request.responseFormat, model) ? ["responseFormat"] : []),
    ...Messages.lacking(request.messages)
  ]
}

// --- thinking ----------------------------------------------------------------------------------------------

/** The least tokens to think with that Anthropic takes. */
const minBudget = 1_024

/** The efforts that a model has, for those who ask for tokens. */
const efforts = ["low", "medium", "high", "xhigh", "max"]

interface Thoughts {
  readonly thinking?: JsonObject
  readonly effort?: string
}

const refuse = (message: string) => Either.left(new InvalidRequestError({ provider: providerName, message }))

/** A budget has to leave room for the answer: an effort takes at most half of the tokens. */
const withBudget = (thinking: Thinking, maxTokens: number): Either.Either<Thoughts, LlmError> => {
  const wanted = budgetOf(thinking)
  if (wanted === undefined) {
    return refuse(`The model thinks with a budget of tokens, which no effort "${thinking}" stands for`)
  }
  const room = typeof thinking === "number" ? maxTokens - 1 : Math.floor(maxTokens / 2)
  const budget = Math.min(wanted, room)
  return budget < minBudget
    ? refuse(
        `Thinking takes at least ${minBudget} tokens, and ${Math.min(wanted, room)} are left of ` +
          `thinking ${thinking} and maxTokens ${maxTokens}; nothing was sent`
      )
    : Either.right({ thinking: { type: "enabled", budget_tokens: budget } })
}

const thoughts = (chat: Chat, model: Models.Model, maxTokens: number): Either.Either<Thoughts, LlmError> => {
  const { thinking } = chat
  if (thinking === undefined) return Either.right({})
  if (turnsThinkingOff(chat)) {
    return Either.right(model.thinking === "none" ? {} : { thinking: { type: "disabled" } })
  }
  const isExact = typeof thinking === "number" && model.thinking === "either"
  if (model.thinking === "budget" || isExact) return withBudget(thinking, maxTokens)
  const effort = effortOf(thinking, efforts)
  return Either.right({
    // who asks for thoughts wants to read them: it costs the same
    thinking: { type: "adaptive", ...(model.hidesThoughts ? { display: "summarized" } : undefined) },
    effort: effort === "minimal" ? "low" : effort
  })
}

// --- tools -------------------------------------------------------------------------------------------------

const encodeTool = (tool: Tool): unknown => {
  if (tool.type === "provider") return tool.value
  const { description, name, parameters, strict } = tool
  return {
    name,
    ...(description === undefined ? undefined : { description }),
    input_schema: parameters ?? { type: "object", properties: {} },
    ...(strict == null ? undefined : { strict })
  }
}

const choiceOf = (choice: ToolChoice | undefined): unknown => {
  if (choice === undefined || choice === "auto") return { type: "auto" }
  if (choice === "required") return { type: "any" }
  if (choice === "none") return { type: "none" }
  return choice.type === "provider" ? choice.value : { type: "tool", name: choice.name }
}

/** Several calls at once are the default; one at a time is part of the choice. */
const encodeToolChoice = ({ parallelToolCalls, toolChoice, tools }: Chat): unknown => {
  const isSerial = parallelToolCalls === false && tools !== undefined && tools.length > 0
  const choice = choiceOf(toolChoice)
  if (!isSerial || !isJsonObject(choice) || choice.type === "none") {
    return toolChoice === undefined ? undefined : choice
  }
  return { ...choice, disable_parallel_tool_use: true }
}

// --- format ------------------------------------------------------------------------------------------------

interface Format {
  readonly format?: unknown
  /** For models, and schemas, that have no such mode. */
  readonly instruction?: string
}

const inWords = (schema: JsonObject, description: string | undefined): string =>
  `Answer with one JSON value and nothing else: no explanation before or after it, no code fence.` +
  (description === undefined ? "" : ` It is: ${description}`) +
  `\nIt must fit this JSON Schema:\n${JSON.stringify(schema)}`

const encodeFormat = (format: ResponseFormat | undefined, model: Models.Model): Format => {
  if (format === undefined || format.type === "text" || format.type === "json") return {}
  if (format.type === "provider") return { format: format.value }
  if (format.adapt !== true) return { format: { type: "json_schema", schema: format.schema } }
  const schema = model.schemas ? AnthropicSchema.normalise(format.schema) : undefined
  return schema === undefined
    ? { instruction: inWords(format.schema, format.description) }
    : { format: { type: "json_schema", schema } }
}

// --- the body ----------------------------------------------------------------------------------------------

/** OpenAI's name of the tier without priority is `default`. */
const tierOf = (tier: string): string => (tier === "default" || tier === "standard" ? "standard_only" : tier)

const hasMarks = (messages: ReadonlyArray<Message>): boolean =>
  messages.some(
    ({ content }) =>
      Array.isArray(content) &&
      content.some((part) => "promptCache" in part && part.promptCache !== undefined)
  )

/**
 * The body of the call: what the request sets, and `max_tokens`, which Anthropic wants: without one of the request's,
 * the most that the model can write. `extra` is laid over it as it is.
 */
export const encode = (
  chat: Chat,
  name: string,
  streaming: boolean,
  family: string = name
): Either.Either<JsonObject, LlmError> => {
  const model = Models.of(family)
  const last = chat.messages.at(-1)
  if (last?.role === "assistant" && !model.prefill && !Messages.isPaused(last))
    return Either.left(Messages.prefillUnsupported(name))
  const maxTokens = chat.maxTokens ?? model.maxOutput
  return Either.map(thoughts(chat, model, maxTokens), ({ effort, thinking }) => {
    const { format, instruction } = encodeFormat(chat.responseFormat, model)
    const instructions = Messages.system(chat.messages, instruction)
    const turns = Messages.turns(chat.messages)
    const [system, messages] = hasMarks(chat.messages)
      ? Messages.withinMarks([instructions, turns] as const)
      : [instructions, turns]
    const body: Record<string, unknown> = { model: name, max_tokens: maxTokens }
    if (system !== undefined) body.system = system
    body.messages = messages
    if (chat.temperature !== undefined) body.temperature = chat.temperature
    if (chat.topP !== undefined) body.top_p = chat.topP
    if (chat.topK !== undefined) body.top_k = chat.topK
    if (chat.stop !== undefined) body.stop_sequences = typeof chat.stop === "string" ? [chat.stop] : chat.stop
    if (thinking !== undefined) body.thinking = thinking
    if (effort !== undefined || format !== undefined) {
      body.output_config = {
        ...(effort === undefined ? undefined : { effort }),
        ...(format === undefined ? undefined : { format })
      }
    }
    if (chat.tools !== undefined) body.tools = chat.tools.map(encodeTool)
    const choice = encodeToolChoice(chat)
    if (choice !== undefined) body.tool_choice = choice
    if (chat.safetyIdentifier !== undefined) body.metadata = { user_id: chat.safetyIdentifier }
    if (chat.serviceTier !== undefined) body.service_tier = tierOf(chat.serviceTier)
    if (streaming) body.stream = true
    return chat.extra === undefined ? body : { ...body, ...chat.extra }
  })
}
