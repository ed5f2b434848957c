/**
 * What providers want back with a turn of the model, and `@effect/ai` does not keep.
 *
 * Its `Prompt.fromResponseParts`, and with it its `Chat`, drops the metadata of parts: the proofs of thoughts and tool
 * calls, without which some providers refuse the next turn. They are remembered here, by what is kept of the turn.
 */
import { createHash } from "node:crypto"
import type { ReasoningPart, ToolCall } from "../Message.js"
import { canonicalJson } from "./cacheKey.js"

/** A part of a turn, in a prompt or in a response. */
interface TurnPart {
  readonly type: string
  readonly text?: string | undefined
  readonly id?: string | undefined
  readonly name?: string | undefined
  readonly params?: unknown
}

/** The parts of a turn as the provider gave them. */
export interface Kept {
  readonly reasoning: ReadonlyArray<ReasoningPart>
  readonly toolCalls: ReadonlyArray<ToolCall>
}

export interface Turns {
  /** Remembers a turn of these parts, if there is something about it that they do not say. */
  readonly keep: (parts: ReadonlyArray<TurnPart>, kept: Kept) => void
  /** What is known about a turn of these parts. */
  readonly recall: (parts: ReadonlyArray<TurnPart>) => Kept | undefined
}

/** Ids that are ours, where the wire has none: the next turn has the same. */
const isCounted = (id: string | undefined): boolean => id === undefined || /^call_\d{1,4}$/.test(id)

const digest = (text: string): string => createHash("sha256").update(text).digest("base64url")

/** The id of a tool call for a history of many turns; the same each time the answer is given. */
export const callId = (id: string, answerId: string | undefined): string =>
  isCounted(id) && answerId !== undefined ? `${id}_${digest(answerId).slice(0, 16)}` : id

/**
 * What tells one turn from another. Parameters are left out where the id is enough: in a history they are decoded ones,
 * and need not be what the model wrote.
 */
const keyOf = (parts: ReadonlyArray<TurnPart>): string => {
  const texts = (type: string) =>
    parts.flatMap((part) => (part.type === type ? [part.text ?? ""] : [])).join("")
  const calls = parts
    .filter(({ type }) => type === "tool-call")
    .map(({ id, name, params }) => (isCounted(id) ? [id, name, params] : [id]))
  return digest(canonicalJson([texts("text"), texts("reasoning"), calls]))
}

/** A memory of the last turns, so many of them. */
export const make = (most: number): Turns => {
  const known = new Map<string, Kept>()
  return {
    keep: (parts, kept) => {
      if (kept.reasoning.length === 0 && kept.toolCalls.every(({ signature }) => signature === undefined))
        return
      const key = keyOf(parts)
      known.delete(key)
      known.set(key, kept)
      const [oldest] = known.keys()
      if (known.size > most && oldest !== undefined) known.delete(oldest)
    },
    recall: (parts) => {
      if (known.size === 0) return undefined
      const key = keyOf(parts)
      const kept = known.get(key)
      if (kept !== undefined) {
        known.delete(key)
        known.set(key, kept)
      }
      return kept
    }
  }
}
