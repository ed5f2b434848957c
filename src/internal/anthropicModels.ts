/**
 * What each Claude model takes, told from its name. Other names, of servers that speak the same wire, get what the
 * oldest form of the wire has.
 *
 * Source: Anthropic's model overview, its guides to thinking, effort and structured outputs, and its SDK's types.
 */

/** How a model is told to think. */
export type ThinkingMode =
  /** It does not. */
  | "none"
  /** With a budget of tokens. */
  | "budget"
  /** With a budget, or as much as it takes (`adaptive`) at an effort. */
  | "either"
  /** As much as it takes, at an effort. */
  | "adaptive"
  /** The same, and it cannot be turned off. */
  | "always"

export interface Model {
  readonly thinking: ThinkingMode
  /** Whether the thoughts stay hidden unless they are asked for. */
  readonly hidesThoughts: boolean
  /** Whether temperature, top-p and top-k have to stay at their defaults. */
  readonly fixesSampling: boolean
  /** Whether the last message may be the beginning of the answer. */
  readonly prefill: boolean
  /** Whether an answer can be held to a JSON Schema. */
  readonly schemas: boolean
  /** Whether a tool cannot be forced while the model thinks, as it does by default. */
  readonly refusesForcedTools: boolean
  /** The most tokens of an answer: what is asked for where the request sets nothing. */
  readonly maxOutput: number
}

// claude-sonnet-4-5-20250929, claude-opus-5, claude-fable-5-1: a date is no minor version
const named = /claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/
// claude-3-7-sonnet-20250219
const old = /claude-(\d)(?:[-.](\d))?-(opus|sonnet|haiku)/

interface Name {
  readonly family: string
  readonly version: number
}

const nameOf = (model: string): Name | undefined => {
  const now = named.exec(model)
  if (now !== null) return { family: now[1] ?? "", version: Number(`${now[2]}.${now[3] ?? 0}`) }
  const then = old.exec(model)
  return then === null ? undefined : { family: then[3] ?? "", version: Number(`${then[1]}.${then[2] ?? 0}`) }
}

const maxOutputOf = ({ family, version }: Name): number => {
  if (version >= 4.6) return 128_000
  if (version >= 4) return family === "opus" && version < 4.5 ? 32_000 : 64_000
  if (version >= 3.7) return 64_000
  return version >= 3.5 ? 8_192 : 4_096
}

const thinkingOf = ({ family, version }: Name): ThinkingMode => {
  if (version < 3.7) return "none"
  if (version < 4.6) return "budget"
  if (version < 4.7) return "either"
  const isAlways = family === "fable" || family === "mythos" || (family === "opus" && version >= 5.5)
  return isAlways ? "always" : "adaptive"
}

/** A model of Anthropic's that is newer than this table: the rules of the newest, and what all of them can write. */
const unknown: Model = {
  thinking: "adaptive",
  hidesThoughts: true,
  fixesSampling: true,
  prefill: false,
  schemas: true,
  refusesForcedTools: false,
  maxOutput: 64_000
}

/** A model of somebody else's. */
const foreign: Model = {
  thinking: "budget",
  hidesThoughts: false,
  fixesSampling: false,
  prefill: true,
  schemas: false,
  refusesForcedTools: false,
  maxOutput: 8_192
}

const read = (model: string): Model => {
  const name = nameOf(model)
  if (name === undefined) return model.includes("claude") ? unknown : foreign
  const { family, version } = name
  const thinking = thinkingOf(name)
  return {
    thinking,
    hidesThoughts: version > 4.6,
    fixesSampling: version > 4.6,
    prefill: version < 4.6,
    schemas: version >= 4.5 || (family === "opus" && version >= 4.1),
    refusesForcedTools: thinking === "always" || (family === "sonnet" && version >= 5.5),
    maxOutput: maxOutputOf(name)
  }
}

const known = new Map<string, Model>()

/** The rules of a model. */
export const of = (model: string): Model => {
  let found = known.get(model)
  if (found === undefined) {
    found = read(model)
    // a run asks for a handful; names out of a file may be many
    if (known.size < 1_000) known.set(model, found)
  }
  return found
}
