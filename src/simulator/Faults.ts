/**
 * What goes wrong on purpose: by rate, drawn anew at every attempt, or by script, for exact tests.
 */
import type * as Duration from "effect/Duration"
import { uniform } from "./Draw.js"
import type { Hint } from "./Hints.js"
import type { RequestHash } from "./RequestHash.js"

/**
 * One way to go wrong. Where a fault is answered with a paid-for answer, or what is left of it, the log
 * says `charged`; `charged` here overrides that.
 */
export type Fault = FaultKind & {
  /** Whether the provider bills the call all the same. The default stands with each kind. */
  readonly charged?: boolean
}

/** The kinds of {@link Fault}. */
export type FaultKind =
  /** An error status with the provider's true body, not charged. Gateway statuses (502, 504, 52x) answer in HTML. */
  | {
      readonly kind: "status"
      readonly status: number
      /** How long to wait, as the answer says. */
      readonly retryAfter?: Duration.DurationInput
      /** In which way it says so. Default `"headers"`: `retry-after` in whole seconds, and `retry-after-ms`. */
      readonly hint?: Hint
      /** The error's code, such as `"insufficient_quota"` or `"slow_down"`; default by status. */
      readonly code?: string
      readonly message?: string
    }
  /** The connection is reset before any byte of an answer, not charged. */
  | { readonly kind: "reset" }
  /** No answer, not charged, until the client gives up; with `midway`, half an answer first, charged. */
  | { readonly kind: "stall"; readonly midway?: boolean }
  /** Half of the body, then the connection is closed; charged. */
  | { readonly kind: "truncate" }
  /** Status 200 with a complete body that is not JSON (in a stream: one event that is not); charged. */
  | { readonly kind: "malformed" }
  /** Status 200 with an error for its body (in a stream: as the last event, after half the answer); not charged. */
  | { readonly kind: "errorBody"; readonly message?: string }
  /** The model declines; charged. */
  | { readonly kind: "refusal" }
  /** The provider's filter cuts the answer away; charged. */
  | { readonly kind: "contentFilter" }
  /** An answer without text; charged. */
  | { readonly kind: "empty" }
  /** The right answer, this much later; charged. */
  | { readonly kind: "delay"; readonly by: Duration.DurationInput }

/** A fault and its chance at each attempt, 0 to 1. */
export type RatedFault = Fault & { readonly rate: number }

/** A fault for chosen requests. The conditions given must all hold; none given means every request. */
export interface ScriptedFault {
  /** The n-th request the server receives, counted from 1 (the log's `seq`). */
  readonly at?: number
  /** The request with this hash. */
  readonly hash?: string
  /** Requests whose prompt contains this text. */
  readonly match?: string
  /** The n-th attempt of a request, counted from 1. */
  readonly attempt?: number
  /** How often the rule applies before it is used up. Default 1. */
  readonly times?: number | "always"
  readonly fault: Fault
}

/** What a fault is drawn for. */
export interface Occasion {
  readonly seq: number
  readonly hash: RequestHash
  readonly attempt: number
  readonly prompt: string
}

/** Says which fault, if any, the script has for an attempt. */
export type Script = (occasion: Occasion) => Fault | undefined

/** Starts a script. Its rules are tried in order; the first that applies is used, and counted. */
export const makeScript = (rules: ReadonlyArray<ScriptedFault>): Script => {
  const left = rules.map(({ times }) => (times === "always" ? Number.POSITIVE_INFINITY : (times ?? 1)))
  const applies = (rule: ScriptedFault, { attempt, hash, prompt, seq }: Occasion) =>
    (rule.at === undefined || rule.at === seq) &&
    (rule.hash === undefined || rule.hash === hash.text) &&
    (rule.attempt === undefined || rule.attempt === attempt) &&
    (rule.match === undefined || prompt.includes(rule.match))
  return (occasion) => {
    const i = rules.findIndex((rule, i) => (left[i] ?? 0) > 0 && applies(rule, occasion))
    if (i < 0) return undefined
    left[i] = (left[i] ?? 0) - 1
    return rules[i]?.fault
  }
}

/**
 * Draws once for an attempt among the rates laid end to end, so each fault has exactly its rate; what lies
 * past a sum of 1 is never drawn.
 */
export const drawFault = (
  seed: number,
  faults: ReadonlyArray<RatedFault>,
  { attempt, hash }: Occasion
): Fault | undefined => {
  if (faults.length === 0) return undefined
  let u = uniform(seed, hash, attempt, "fault")
  for (const fault of faults) {
    if (u < fault.rate) return fault
    u -= fault.rate
  }
  return undefined
}

/** Whether a call that meets this fault is billed. */
export const isCharged = (fault: Fault): boolean => {
  if (fault.charged !== undefined) return fault.charged
  switch (fault.kind) {
    case "status":
    case "reset":
    case "errorBody":
      return false
    case "stall":
      return fault.midway === true
    default:
      return true
  }
}
