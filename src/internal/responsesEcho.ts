/**
 * What a model of OpenAI's Responses API put out besides its answer, kept so that it can be given back: thoughts, the
 * calls of OpenAI's own tools, the phase of a message.
 */
import type { AssistantMessage, ReasoningPart } from "../Message.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { listOf, objectOf, textOf } from "./wireValues.js"

/** Name of the protocol, and of whose thoughts these are. */
export const protocol = "openai-responses"

/** Stands between two pieces of thought. */
export const gap = "\n\n"

/** The texts of one thought: its summary, and what models with open weights show of the thought itself. */
const thoughtsIn = (item: JsonObject): ReadonlyArray<string> =>
  [...listOf(item.summary), ...listOf(item.content)].flatMap((piece) => textOf(objectOf(piece).text) ?? [])

const isThought = ({ type }: JsonObject): boolean => type === "reasoning"

/** Text of the thoughts in an answer. */
export const reasoningIn = (output: ReadonlyArray<JsonObject>): string =>
  output
    .filter(isThought)
    .flatMap((item) => thoughtsIn(item))
    .join(gap)

/** The parts of the messages in an answer. */
export const contentIn = (output: ReadonlyArray<JsonObject>): ReadonlyArray<JsonObject> =>
  output.filter(({ type }) => type === "message").flatMap(({ content }) => listOf(content).map(objectOf))

/** What was answered in text, in one piece. */
export const saidIn = (output: ReadonlyArray<JsonObject>): string =>
  contentIn(output)
    .map(({ text, type }) => (type === "output_text" ? (textOf(text) ?? "") : ""))
    .join("")

const rank: Readonly<Record<string, number>> = { reasoning: 0, message: 1, function_call: 2 }

const isPlainMessage = ({ content, phase }: JsonObject): boolean =>
  phase == null &&
  listOf(content).every((part) => {
    const { annotations, type } = objectOf(part)
    return (type === "output_text" || type === "refusal") && listOf(annotations).length === 0
  })

/** Whether thoughts come first, then one message, then calls, and there is nothing else: the order in which we write. */
const isInOrder = (output: ReadonlyArray<JsonObject>): boolean => {
  let reached = 0
  let messages = 0
  for (const item of output) {
    const at = rank[String(item.type)]
    if (at === undefined || at < reached) return false
    reached = at
    if (item.type === "message" && (++messages > 1 || !isPlainMessage(item))) return false
  }
  return true
}

/**
 * The parts of an answer that a later turn has to give back. Where its items are mixed, or there are others than
 * thoughts, one message and calls, the one part holds all of the answer, in its order.
 */
export const partsOf = (output: ReadonlyArray<JsonObject>): ReadonlyArray<ReasoningPart> =>
  isInOrder(output)
    ? output.filter(isThought).map((item) => ({ text: thoughtsIn(item).join(gap), provider: protocol, item }))
    : [{ text: reasoningIn(output), provider: protocol, item: output }]

/**
 * An item as it goes back. An id makes the server look for what it has stored, and fail where that is nothing: it
 * goes back only where there is nothing else to go by, and not at all where nothing is known to be stored.
 */
const echoed = (item: JsonObject, isStored: boolean): ReadonlyArray<JsonObject> => {
  const { id: _, status: _status, ...rest } = item
  switch (item.type) {
    case "reasoning":
      return textOf(item.encrypted_content) !== undefined ? [rest] : isStored ? [item] : []
    case "message":
    case "function_call":
      return [rest]
    default:
      return [item]
  }
}

const wholeOf = ({
  content,
  reasoning,
  toolCalls
}: AssistantMessage): ReadonlyArray<JsonObject> | undefined => {
  const part = reasoning?.find(({ item, provider }) => provider === protocol && Array.isArray(item))
  if (part === undefined) return undefined
  const output = listOf(part.item).filter(isJsonObject)
  const ids = output.filter(({ type }) => type === "function_call").map(({ call_id: id }) => id)
  const calls = toolCalls ?? []
  // a message that was changed since is what it says now
  const isSame =
    (typeof content === "string" ? content : content == null ? "" : undefined) === saidIn(output) &&
    ids.length === calls.length &&
    calls.every(({ id }, index) => id === ids[index])
  return isSame ? output : undefined
}

/**
 * The items that an earlier turn begins with, or all of it. Thoughts of other providers are left out. `isStored`:
 * whether the server may have kept what it answered.
 */
export const itemsOf = (
  message: AssistantMessage,
  isStored: boolean
): { readonly isWhole: boolean; readonly items: ReadonlyArray<JsonObject> } => {
  const whole = wholeOf(message)
  if (whole !== undefined) return { isWhole: true, items: whole.flatMap((item) => echoed(item, isStored)) }
  const own = (message.reasoning ?? []).filter(({ provider }) => provider === protocol)
  return {
    isWhole: false,
    items: own
      .flatMap(({ item }) => (Array.isArray(item) ? item.filter(isJsonObject).filter(isThought) : [item]))
      .filter(isJsonObject)
      .flatMap((item) => echoed(item, isStored))
  }
}
