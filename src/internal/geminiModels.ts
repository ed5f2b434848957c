/**
 * What each of Google's models takes, told from its name. A model that is not known by its name (a tuned one, a
 * `latest`) refuses nothing: the server tells.
 *
 * Source: Google's model pages and its guides to thinking, function calling and structured output.
 */

/** How a model is told to think. */
export type ThinkingMode =
  /** It does not. */
  | "none"
  /** With a budget of tokens, within these bounds; `canStop` if it can be told not to. */
  | { readonly budget: readonly [least: number, most: number]; readonly canStop: boolean }
  /** At one of these levels; it cannot be turned off. */
  | { readonly levels: ReadonlyArray<string> }
  /** Not known: each setting goes in its own words. */
  | "any"

export interface Model {
  readonly thinking: ThinkingMode
  /** Whether it reads standing instructions from a field of their own. */
  readonly systemInstruction: boolean
  /** Whether an answer can be held to JSON, and to a schema. */
  readonly json: boolean
  /** The same where it is given functions, too. */
  readonly jsonWithTools: boolean
  /** Whether it wants proof that the function calls of the conversation are its own. */
  readonly wantsSignatures: boolean
  /** Whether a function's result may hold images and documents. */
  readonly mediaInResults: boolean
}

const unknown: Model = {
  thinking: "any",
  systemInstruction: true,
  json: true,
  jsonWithTools: true,
  wantsSignatures: false,
  mediaInResults: false
}

const gemma: Model = { ...unknown, systemInstruction: false, json: false }

const budgetOf = (name: string): ThinkingMode =>
  name.includes("flash-lite")
    ? { budget: [512, 24_576], canStop: true }
    : name.includes("pro")
      ? { budget: [128, 32_768], canStop: false }
      : { budget: [1, 24_576], canStop: true }

const levels = ["minimal", "low", "medium", "high"]

/** Models from the third generation on, without `minimal` where they are known to refuse it. */
const levelsOf = (name: string, generation: number): ReadonlyArray<string> =>
  generation >= 4 || name.includes("pro") || (generation === 3.8 && name.includes("flash"))
    ? levels.slice(1)
    : levels

const find = (model: string): Model => {
  const name = model.slice(model.lastIndexOf("/") + 1)
  if (name.startsWith("gemma")) return gemma
  const generation = Number(/^gemini-(\d+(?:\.\d+)?)-/.exec(name)?.[1] ?? Number.NaN)
  if (Number.isNaN(generation)) return unknown
  if (generation < 2.5) return { ...unknown, thinking: "none", jsonWithTools: false }
  if (generation < 3) return { ...unknown, thinking: budgetOf(name) }
  return {
    ...unknown,
    thinking: { levels: levelsOf(name, generation) },
    wantsSignatures: true,
    mediaInResults: true
  }
}

// a run asks few models, many times
const known = new Map<string, Model>()

/** What is known of the model of this name. */
export const of = (model: string): Model => {
  let found = known.get(model)
  if (found === undefined) {
    found = find(model)
    if (known.size < 1_000) known.set(model, found)
  }
  return found
}
