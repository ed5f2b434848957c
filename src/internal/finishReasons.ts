/** Why answers end, by the words of a wire. */
import type { FinishReason } from "../Response.js"

/**
 * Reads the words that a wire has, of which `whole` says that the answer is. The calls tell, not the word, where a tool
 * was forced or a server has no other word for it.
 */
export const reader = (words: Readonly<Record<string, FinishReason>>, whole: string) => {
  const known = new Map(Object.entries(words))
  return (raw: string | undefined, calls: boolean): FinishReason =>
    calls && (raw === undefined || raw === whole)
      ? "tool_calls"
      : ((raw === undefined ? undefined : known.get(raw)) ?? "other")
}
