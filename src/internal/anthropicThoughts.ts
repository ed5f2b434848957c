/**
 * What a Claude model thought, kept so that it can be sent back unchanged: Anthropic refuses a turn with tool calls
 * whose thoughts were altered or put in another order.
 */
import type { AssistantMessage, ReasoningPart } from "../Message.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"

/** Name of the wire, and of whose thoughts these are. */
export const providerName = "anthropic"

const rank: Readonly<Record<string, number>> = { thinking: 0, redacted_thinking: 0, text: 1, tool_use: 2 }

/** Whether thoughts come first, then text, then calls, and there is nothing else: the order in which we write them. */
const isInOrder = (content: ReadonlyArray<JsonObject>): boolean => {
  let reached = 0
  for (const { citations, type } of content) {
    const at = rank[String(type)]
    if (at === undefined || at < reached || (Array.isArray(citations) && citations.length > 0)) return false
    reached = at
  }
  return true
}

const partOf = (block: JsonObject): ReasoningPart => {
  const { signature, thinking } = block
  const part = { text: typeof thinking === "string" ? thinking : "", provider: providerName }
  if (block.type !== "thinking") return { ...part, item: block }
  return typeof signature === "string" ? { ...part, signature } : part
}

const isThought = ({ type }: JsonObject): boolean => type === "thinking" || type === "redacted_thinking"

/** Stands between two thoughts. */
export const gap = "\n\n"

/** Text of the thoughts in an answer; the gap between two of them is one blank line. */
export const textOf = (content: ReadonlyArray<JsonObject>): string =>
  content
    .flatMap((block) => (typeof block.thinking === "string" && block.thinking !== "" ? [block.thinking] : []))
    .join(gap)

/** What was answered in text, in one piece. */
export const saidIn = (content: ReadonlyArray<JsonObject>): string =>
  content
    .map(({ text, type }) =>
      (type === "text" || type === undefined) && typeof text === "string" ? text : ""
    )
    .join("")

/**
 * The parts of an answer that a later turn has to give back. Where thoughts, text, calls and the provider's own tools
 * are mixed, the one part holds all of the answer, in its order.
 */
export const partsOf = (content: ReadonlyArray<JsonObject>): ReadonlyArray<ReasoningPart> => {
  const thoughts = content.filter(isThought)
  if (isInOrder(content)) return thoughts.map(partOf)
  return [{ text: textOf(content), provider: providerName, item: content }]
}

const wholeOf = ({ content, reasoning, toolCalls }: AssistantMessage): ReadonlyArray<unknown> | undefined => {
  const part = reasoning?.find(({ item, provider }) => provider === providerName && Array.isArray(item))
  if (part === undefined || !Array.isArray(part.item)) return undefined
  const blocks = part.item.filter(isJsonObject)
  const ids = blocks.filter(({ type }) => type === "tool_use").map(({ id }) => id)
  const calls = toolCalls ?? []
  // a message that was changed since is what it says now
  const isSame =
    (typeof content === "string" ? content : content == null ? "" : undefined) === saidIn(blocks) &&
    ids.length === calls.length &&
    calls.every(({ id }, index) => id === ids[index])
  // an empty text is answered at times, and never taken
  return isSame ? blocks.filter(({ text, type }) => type !== "text" || text !== "") : undefined
}

/** The blocks that an earlier turn begins with, or all of it. Thoughts of other providers are left out. */
export const blocksOf = (
  message: AssistantMessage
): { readonly isWhole: boolean; readonly blocks: ReadonlyArray<unknown> } => {
  const whole = wholeOf(message)
  if (whole !== undefined) return { isWhole: true, blocks: whole }
  return {
    isWhole: false,
    blocks: (message.reasoning ?? []).flatMap(({ item, provider, signature, text }) => {
      if (provider !== providerName) return []
      if (Array.isArray(item)) return item.filter((block) => isJsonObject(block) && isThought(block))
      return [item ?? { type: "thinking", thinking: text, signature: signature ?? "" }]
    })
  }
}
