/** How Google's models are told how much to think: a budget of tokens up to 2.5, a level from 3 on. */
import type { Thinking } from "../Request.js"
import * as Models from "./geminiModels.js"
import type { JsonObject } from "./jsonObject.js"
import { budgetOf, effortOf, off } from "./thinking.js"

/** As much as the model thinks fit: Google's own default, said aloud. */
const dynamic = "dynamic"

const isOff = (thinking: Thinking): boolean => thinking === off || thinking === 0

const clamp = (value: number, [least, most]: readonly [number, number]): number =>
  Math.min(most, Math.max(least, value))

/** Whether the model cannot do what is asked. */
export const lacks = (thinking: Thinking, model: string): boolean => {
  const mode = Models.of(model).thinking
  // what does not think is off
  if (mode === "none") return !isOff(thinking)
  if (mode === "any") return false
  if ("budget" in mode) {
    return isOff(thinking) ? !mode.canStop : thinking !== dynamic && budgetOf(thinking) === undefined
  }
  return isOff(thinking) || (typeof thinking === "string" && !mode.levels.includes(thinking))
}

/** `thinkingConfig`, or nothing where there is nothing to be said. Thoughts are shown where they are asked for. */
export const encode = (thinking: Thinking, model: string): JsonObject | undefined => {
  const mode = Models.of(model).thinking
  if (mode === "none") return undefined
  if (isOff(thinking)) return { thinkingBudget: 0 }
  if (mode === "any") {
    if (thinking === dynamic) return { includeThoughts: true, thinkingBudget: -1 }
    return typeof thinking === "number"
      ? { includeThoughts: true, thinkingBudget: thinking }
      : { includeThoughts: true, thinkingLevel: thinking }
  }
  if ("budget" in mode) {
    const budget = budgetOf(thinking)
    return {
      includeThoughts: true,
      // a number is the caller's own; what an effort stands for is ours, and has to fit
      thinkingBudget:
        budget === undefined ? -1 : typeof thinking === "number" ? budget : clamp(budget, mode.budget)
    }
  }
  return { includeThoughts: true, thinkingLevel: effortOf(thinking, mode.levels) }
}
