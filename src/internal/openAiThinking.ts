/** How servers of OpenAI's wire are told how much to think. */
import type { Thinking } from "../Request.js"
import type { JsonObject } from "./jsonObject.js"
import { budgetOf, effortOf, off } from "./thinking.js"

/** The fields of the body that stand for the setting; `family` is the model by its own name, where it is known. */
export type ThinkingFields = (thinking: Thinking, family: string) => JsonObject

/** No thought at all: by its word, or by a budget of nothing. */
export const isOff = (thinking: Thinking | undefined): boolean => thinking === off || thinking === 0

/** OpenAI's `reasoning_effort`, and that of most others. */
export const effort: ThinkingFields = (thinking) => ({
  reasoning_effort: isOff(thinking) ? "none" : effortOf(thinking)
})

/** DeepSeek: a switch, and an effort beside it. */
export const deepSeek: ThinkingFields = (thinking) =>
  isOff(thinking)
    ? { thinking: { type: "disabled" } }
    : { thinking: { type: "enabled" }, reasoning_effort: effortOf(thinking, ["low", "high", "max"]) }

/** OpenRouter: an effort or a budget, which it translates for the model. */
export const openRouter: ThinkingFields = (thinking) => ({
  reasoning: isOff(thinking)
    ? { effort: "none" }
    : typeof thinking === "number"
      ? { max_tokens: thinking }
      : { effort: thinking }
})

/** Together: models that can be switched off have a switch, the others an effort. */
export const together: ThinkingFields = (thinking) =>
  isOff(thinking)
    ? { reasoning: { enabled: false } }
    : { reasoning: { enabled: true }, reasoning_effort: effortOf(thinking) }

/**
 * Servers of open models: the switch is the chat template's, under the name that the model's maker gave it. A
 * template knows one of the two names, and leaves the other alone.
 */
const template = (on: boolean): JsonObject => ({
  chat_template_kwargs: { enable_thinking: on, thinking: on }
})

/** The template's switch, and the effort for models that have one (gpt-oss). */
export const templateAndEffort: ThinkingFields = (thinking) =>
  isOff(thinking) ? template(false) : { ...template(true), reasoning_effort: effortOf(thinking) }

/** llama.cpp: the template's switch, and a budget. */
export const templateAndBudget: ThinkingFields = (thinking) =>
  isOff(thinking)
    ? template(false)
    : typeof thinking === "number"
      ? { ...template(true), thinking_budget_tokens: budgetOf(thinking) }
      : { chat_template_kwargs: { enable_thinking: true, thinking: true, reasoning_effort: thinking } }
