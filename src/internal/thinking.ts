/**
 * One setting for how much to think, in the words of each provider. A provider that only knows efforts gets the
 * effort that stands for a token budget, and the other way round.
 */
import type { Thinking } from "../Request.js"

export const off = "off"

/** Token budgets by effort, where a provider wants tokens: about what Google and Anthropic gave their own levels. */
const budgets: ReadonlyArray<readonly [effort: string, tokens: number]> = [
  ["minimal", 1_024],
  ["low", 4_096],
  ["medium", 12_288],
  ["high", 24_576],
  ["xhigh", 49_152],
  ["max", 98_304]
]

/** The tokens that an effort stands for; nothing for an effort that only the provider knows. */
export const budgetOf = (thinking: Thinking): number | undefined =>
  typeof thinking === "number" ? thinking : budgets.find(([effort]) => effort === thinking)?.[1]

/** The least effort whose budget covers these tokens, of those that the model has. */
export const effortOf = (
  thinking: Thinking,
  efforts: ReadonlyArray<string> = ["low", "medium", "high"]
): string => {
  if (typeof thinking !== "number") return thinking
  const known = budgets.filter(([effort]) => efforts.includes(effort))
  return (known.find(([, tokens]) => tokens >= thinking) ?? known.at(-1))?.[0] ?? "high"
}
