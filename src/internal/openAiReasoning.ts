/** Thoughts that servers of OpenAI's wire want back in the turns that follow: DeepSeek's text, OpenRouter's details. */
import type { ReasoningPart } from "../Message.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import type { Dialect } from "./openAiDialect.js"

const textOf = (detail: JsonObject): string =>
  [detail.text, detail.summary].find((text) => typeof text === "string") ?? ""

const detailPart = (provider: string, detail: JsonObject): ReasoningPart => ({
  text: textOf(detail),
  provider,
  item: detail,
  ...(typeof detail.signature === "string" ? { signature: detail.signature } : undefined)
})

/** The thoughts of a message as they are to be sent back; none where the server wants none. */
export const partsOf = (
  { echo, name }: Dialect,
  text: string | undefined,
  details: unknown
): ReadonlyArray<ReasoningPart> => {
  if (echo === "reasoning_content") return text ? [{ text, provider: name }] : []
  if (echo === undefined || !Array.isArray(details)) return []
  return details.filter(isJsonObject).map((detail) => detailPart(name, detail))
}

/** The fields with which the thoughts of an earlier turn go back. */
export const fieldsOf = (
  { echo, name }: Dialect,
  parts: ReadonlyArray<ReasoningPart> | undefined,
  callsTools: boolean
): JsonObject | undefined => {
  if (echo === undefined) return undefined
  const own = parts?.filter(({ provider }) => provider === name) ?? []
  if (echo === "reasoning_details") {
    const details = own.flatMap(({ item }) => (item === undefined ? [] : [item]))
    return details.length === 0 ? undefined : { reasoning_details: details }
  }
  // beside tool calls the field is required, if there is nothing in it too
  return own.length > 0 || callsTools
    ? { reasoning_content: own.map(({ text }) => text).join("") }
    : undefined
}

const grows = ["text", "summary", "data"]

/** The details of a stream: pieces of one detail have its index and type in common. */
export class Details {
  readonly #whole: Array<JsonObject> = []

  add(pieces: unknown): void {
    if (!Array.isArray(pieces)) return
    for (const piece of pieces) {
      if (!isJsonObject(piece)) continue
      const at = this.#whole.findIndex(
        ({ index, type }) => piece.index !== undefined && index === piece.index && type === piece.type
      )
      const known = this.#whole[at]
      if (known === undefined) this.#whole.push(piece)
      else this.#whole[at] = joined(known, piece)
    }
  }

  get whole(): ReadonlyArray<JsonObject> {
    return this.#whole
  }
}

const joined = (known: JsonObject, piece: JsonObject): JsonObject => {
  const out: Record<string, unknown> = { ...known }
  for (const [field, value] of Object.entries(piece)) {
    const before = known[field]
    const isMore = grows.includes(field) && typeof before === "string" && typeof value === "string"
    if (value != null) out[field] = isMore ? before + value : value
  }
  return out
}
