/**
 * The parts of an answer of a Gemini model as they came, kept where they cannot be told from text, thoughts and calls
 * alone, so that the turn can be given back: a proof belongs to its part, and signed parts are not to be put together
 * with others.
 */
import type { AssistantMessage } from "../Message.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"

/** Whose thoughts can be given back: those of this protocol, wherever it is spoken. */
export const protocol = "gemini"

const isSigned = ({ thoughtSignature: signature }: JsonObject): boolean =>
  typeof signature === "string" && signature !== ""

const isCall = ({ functionCall }: JsonObject): boolean => isJsonObject(functionCall)

/** The place in the order in which we write a turn: thoughts, one text, calls. Nothing for parts of other kinds. */
const rankOf = (part: JsonObject): number | undefined => {
  if (isCall(part)) return 2
  if (part.thought === true) return 0
  return typeof part.text === "string" ? 1 : undefined
}

/** The id that a call goes by, where the server gave it none. */
const idOf = ({ functionCall }: JsonObject, index: number): string => {
  const id = isJsonObject(functionCall) ? functionCall.id : undefined
  return typeof id === "string" && id !== "" ? id : `call_${index}`
}

/** The parts of one answer, added as they come. What a stream has cut is put together. */
export class Turn {
  readonly #parts: Array<JsonObject> = []
  #reached = 0
  #isMixed = false

  add(part: JsonObject): void {
    const rank = rankOf(part)
    if (rank === 1 && part.text === "" && !isSigned(part)) return
    const last = this.#parts.at(-1)
    const follows = last !== undefined && rank !== undefined && rankOf(last) === rank
    // a text whose proof is its own, and another beside it
    const isApart = rank === 1 && follows && (isSigned(last) || isSigned(part))
    if (rank === undefined || rank < this.#reached || isApart) this.#isMixed = true
    this.#reached = Math.max(this.#reached, rank ?? 0)
    if (follows && rank !== 2 && !isSigned(last) && !isSigned(part)) {
      this.#parts[this.#parts.length - 1] = { ...last, text: `${last.text}${part.text}` }
    } else {
      this.#parts.push(part)
    }
  }

  /** All parts, where they have to be kept. */
  get mixed(): ReadonlyArray<JsonObject> | undefined {
    return this.#isMixed ? this.#parts : undefined
  }
}

/** The parts that an earlier turn was made of, where they were kept and the message still says the same. */
export const wholeOf = (
  { content, reasoning, toolCalls = [] }: AssistantMessage,
  callIds: boolean
): ReadonlyArray<JsonObject> | undefined => {
  const kept = reasoning?.find(({ item, provider }) => provider === protocol && Array.isArray(item))?.item
  if (!Array.isArray(kept)) return undefined
  const parts = kept.filter(isJsonObject)
  const said = parts.map((part) => (rankOf(part) === 1 ? part.text : "")).join("")
  const ids = parts.filter(isCall).map(idOf)
  const isSame =
    said === (content ?? "") &&
    ids.length === toolCalls.length &&
    toolCalls.every(({ id }, index) => id === ids[index])
  if (!isSame) return undefined
  let calls = 0
  return parts.map((part) => {
    if (!isJsonObject(part.functionCall)) return part
    const { id: _, ...call } = part.functionCall
    const id = ids[calls++]
    return { ...part, functionCall: callIds ? { id, ...call } : call }
  })
}
