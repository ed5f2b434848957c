/**
 * OpenAI's chat completion, normalised. Lenient as OpenAI-compatible servers need it: usage missing, tool call
 * ids missing or empty, arguments as objects, reasoning under either of its two names. The answer is paid for: what
 * only describes it counts as absent where it is of the wrong type.
 */

import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { NetworkError, ServerError, withUsage } from "../LlmError.js"
import type { ToolCall } from "../Message.js"
import { type ChatResponse, type Choice, type FinishReason, fromFields, type Meta } from "../Response.js"
import { toolCall as toolCallOf } from "../StreamPart.js"
import type { Asked } from "../Wire.js"
import { isJsonObject } from "./jsonObject.js"
import { compatible, type Dialect } from "./openAiDialect.js"
import * as OpenAiReasoning from "./openAiReasoning.js"
import * as OpenAiUsage from "./openAiUsage.js"
import { lenient } from "./openAiUsage.js"
import { safeText } from "./safeText.js"
import * as ThinkTags from "./thinkTags.js"
import { estimatedUsage } from "./tokenEstimate.js"

const nullish = <A, I>(schema: Schema.Schema<A, I>) => Schema.optional(Schema.NullOr(schema))

const WireFunction = Schema.Struct({
  name: nullish(Schema.String),
  arguments: Schema.optional(Schema.Unknown)
}).annotations({ identifier: "a function" })

const WireMessage = Schema.Struct({
  content: nullish(Schema.Union(Schema.String, Schema.Array(Schema.Unknown))),
  refusal: nullish(Schema.String),
  reasoning_content: lenient(Schema.String),
  reasoning: lenient(Schema.String),
  reasoning_details: Schema.optional(Schema.Unknown),
  tool_calls: nullish(
    Schema.Array(Schema.Struct({ id: lenient(Schema.String), function: nullish(WireFunction) }))
  ),
  function_call: nullish(WireFunction)
}).annotations({ identifier: "a message" })

const WireChoice = Schema.Struct({
  finish_reason: lenient(Schema.String),
  message: WireMessage,
  logprobs: Schema.optional(Schema.Unknown)
}).annotations({ identifier: "a choice" })

const WireCompletion = Schema.Struct({
  id: lenient(Schema.String),
  model: lenient(Schema.String),
  choices: Schema.NonEmptyArray(WireChoice),
  usage: lenient(OpenAiUsage.WireUsage),
  /** Groq's own, where it states the usage too. */
  x_groq: lenient(Schema.Struct({ usage: lenient(OpenAiUsage.WireUsage) })),
  service_tier: lenient(Schema.String)
}).annotations({ identifier: "a completion" })

const decodeWire = Schema.decodeUnknownEither(WireCompletion)

type Wire = typeof WireCompletion.Type

const isText = (value: unknown) => value == null || typeof value === "string"

/** Whether the body is one plain text answer, as nearly all are. The schema reads the rest, at ten times the cost. */
const isPlain = (body: unknown): body is Wire => {
  if (!isJsonObject(body) || !isText(body.id) || !isText(body.model) || !isText(body.service_tier))
    return false
  if (!Array.isArray(body.choices) || body.choices.length !== 1) return false
  const first: unknown = body.choices[0]
  if (!isJsonObject(first) || !isText(first.finish_reason) || !isJsonObject(first.message)) return false
  const {
    content,
    function_call: call,
    reasoning,
    reasoning_content,
    refusal,
    tool_calls: calls
  } = first.message
  const isTextOnly = isText(content) && isText(refusal) && isText(reasoning) && isText(reasoning_content)
  return (
    isTextOnly &&
    calls == null &&
    call == null &&
    OpenAiUsage.isPlain(body.usage) &&
    (body.usage != null || body.x_groq == null)
  )
}

const finishReasons: ReadonlyMap<string, FinishReason> = new Map(
  Object.entries({
    stop: "stop",
    length: "length",
    tool_calls: "tool_calls",
    function_call: "tool_calls",
    content_filter: "content_filter",
    error: "error",
    abort: "error",
    insufficient_system_resource: "error"
  })
)

/** The reason in our words; where tools are called or the model refuses, that is the reason. */
export const finishReasonOf = (
  raw: string | null | undefined,
  dialect: Dialect,
  said: { readonly refuses: boolean; readonly calls: boolean }
): FinishReason => {
  if (said.refuses) return "content_filter"
  // a forced function ends with "stop": the calls tell, not the reason
  if (said.calls && (raw === "stop" || raw == null)) return "tool_calls"
  if (raw == null) return "other"
  const own = Object.hasOwn(dialect.finishReasons, raw) ? dialect.finishReasons[raw] : undefined
  return own ?? finishReasons.get(raw) ?? "other"
}

const toolCall = (
  id: string | null | undefined,
  call: typeof WireFunction.Type | null | undefined,
  index: number
): ToolCall => {
  const given = call?.arguments
  return toolCallOf({
    id: id || `call_${index}`,
    name: call?.name ?? "",
    // a model that calls without arguments may send "" for {}
    arguments: typeof given === "string" ? given || "{}" : JSON.stringify(given ?? {})
  })
}

const toolCallsOf = (message: typeof WireMessage.Type): ReadonlyArray<ToolCall> => {
  if (message.tool_calls) return message.tool_calls.map((call, i) => toolCall(call.id, call.function, i))
  return message.function_call ? [toolCall(undefined, message.function_call, 0)] : []
}

/** The text of a content, be it a text or a list of parts. */
export const textOf = (content: unknown): string => {
  if (typeof content === "string") return content
  if (!Array.isArray(content)) return ""
  return content
    .map((part) =>
      typeof part === "object" && part !== null && "text" in part && typeof part.text === "string"
        ? part.text
        : ""
    )
    .join("")
}

const choice = (wire: typeof WireChoice.Type, dialect: Dialect): Choice & { readonly reasoning?: string } => {
  const { message } = wire
  const toolCalls = toolCallsOf(message)
  const raw = wire.finish_reason
  const finishReason = finishReasonOf(raw, dialect, {
    refuses: Boolean(message.refusal),
    calls: toolCalls.length > 0
  })
  const content = textOf(message.content)
  const told = message.reasoning_content || message.reasoning
  const { reasoning, text } =
    told || dialect.thinkTags === false
      ? { reasoning: told, text: content }
      : ThinkTags.split(content, dialect.thinkTags, raw === "length")
  const answer: Writable<Choice> & { reasoning?: string } = { text, finishReason, toolCalls }
  if (reasoning) answer.reasoning = reasoning
  if (message.refusal) answer.refusal = message.refusal
  if (wire.logprobs != null) answer.logprobs = wire.logprobs
  return answer
}

const alternative = (wire: typeof WireChoice.Type, dialect: Dialect): Choice => {
  const { reasoning: _, ...answer } = choice(wire, dialect)
  return answer
}

type Writable<A> = { -readonly [K in keyof A]: A[K] }

/** A server that is not named: nothing of its answer is moved. */
const unknownServer: Dialect = { ...compatible, thinkTags: false }

const blankMeta: Meta = { attempts: 1, cached: false, latencyMs: 0 }

/** The answer, or the typed error for a 2xx that holds none. */
export const decode = (
  body: unknown,
  asked: Asked,
  dialect: Dialect = unknownServer
): Either.Either<ChatResponse, NetworkError | ServerError> => {
  const parsed = isPlain(body) ? Either.right(body) : decodeWire(body)
  const context = {
    provider: asked.provider,
    ...(asked.requestId === undefined ? undefined : { requestId: asked.requestId })
  }
  if (Either.isLeft(parsed)) {
    return Either.left(new NetworkError({ ...context, message: issue(parsed.left) }))
  }
  const wire = parsed.right
  const first = wire.choices[0]
  const answer = choice(first, dialect)
  const stated = wire.usage ?? wire.x_groq?.usage
  const usage = stated == null ? undefined : OpenAiUsage.usageOf(stated, dialect.reasoningTokens)
  if (answer.finishReason === "error") {
    const error = new ServerError({ ...context, message: `the model stopped with "${first.finish_reason}"` })
    return Either.left(withUsage(error, usage))
  }
  const response: Writable<ChatResponse> = fromFields({
    text: answer.text,
    finishReason: answer.finishReason,
    toolCalls: answer.toolCalls,
    usage: usage ?? estimatedUsage(asked.request, answer),
    model: wire.model || asked.model,
    provider: asked.provider,
    raw: body,
    meta: asked.requestId === undefined ? blankMeta : { ...blankMeta, requestId: asked.requestId }
  })
  const { reasoning } = answer
  const reasoningParts = OpenAiReasoning.partsOf(dialect, reasoning, first.message.reasoning_details)
  if (answer.refusal !== undefined) response.refusal = answer.refusal
  if (answer.logprobs !== undefined) response.logprobs = answer.logprobs
  if (wire.id) response.id = wire.id
  if (first.finish_reason != null) response.rawFinishReason = first.finish_reason
  if (reasoning) response.reasoning = reasoning
  if (reasoningParts.length > 0) response.reasoningParts = reasoningParts
  if (wire.choices.length > 1)
    response.alternatives = wire.choices.slice(1).map((other) => alternative(other, dialect))
  if (wire.service_tier) response.serviceTier = wire.service_tier
  return Either.right(response)
}

/** Where the body stops being an answer, and why, in one line. */
const issue = (error: ParseResult.ParseError): string => {
  const [first] = ParseResult.ArrayFormatter.formatErrorSync(error)
  const path = first?.path.length ? `${first.path.map(String).join(".")}: ` : ""
  return safeText(`the answer is not a chat completion: ${path}${first?.message ?? ""}`, 200)
}
