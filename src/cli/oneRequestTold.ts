/** What is said beside an answer: what it used, why it ended, what went wrong. */
import * as Either from "effect/Either"
import { count, counted } from "../internal/countText.js"
import { format } from "../internal/money.js"
import type { LlmError } from "../LlmError.js"
import type { ChatResponse, Meta } from "../Response.js"
import type { Answer } from "./oneRequest.js"

/** Dollars, to the cent or as small as they are. */
export const dollars = (amount: number): string => format(BigInt(Math.round(amount * 1e12)))

/** What several answers used together. Costs are only known where each has a price. */
export interface Used {
  readonly answers: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cost: number
  /** Answers that were asked for and have no price. */
  readonly unpriced: number
  /** Answers that were stopped: what they cost, nobody said. */
  readonly stopped: number
}

export const nothing: Used = { answers: 0, inputTokens: 0, outputTokens: 0, cost: 0, unpriced: 0, stopped: 0 }

/** The sum with one more answer, or failure, in it. What came from the cache used nothing. */
export const add = (used: Used, { meta, outcome }: Answer): Used => {
  const usage = Either.match(outcome, { onLeft: (error) => error.usage, onRight: ({ usage }) => usage })
  const isPaid = !meta.cached && usage !== undefined
  return {
    ...used,
    answers: used.answers + (Either.isRight(outcome) ? 1 : 0),
    inputTokens: used.inputTokens + (isPaid ? usage.inputTokens : 0),
    outputTokens: used.outputTokens + (isPaid ? usage.outputTokens : 0),
    cost: used.cost + (meta.cost ?? 0),
    unpriced: used.unpriced + (isPaid && meta.cost === undefined ? 1 : 0)
  }
}

/** `2 answers, 130 tokens in, 71 out, $0.0002` */
export const sumLine = ({ answers, cost, inputTokens, outputTokens, stopped, unpriced }: Used): string =>
  [
    counted(answers, "answer"),
    `${count(inputTokens)} tokens in`,
    `${count(outputTokens)} out`,
    unpriced === 0 ? dollars(cost) : cost === 0 ? "no price known" : `${dollars(cost)} and what has no price`,
    ...(stopped === 0
      ? []
      : [`and what ${count(stopped)} stopped ${stopped === 1 ? "answer" : "answers"} took`])
  ].join(", ")

/** `gpt-5-mini, 30 tokens in, 21 out, $0.0001, 1.2 s` */
export const usageLine = ({ model, usage }: ChatResponse, meta: Meta): string =>
  [
    model,
    `${count(usage.inputTokens)} tokens in`,
    `${count(usage.outputTokens)} out${usage.reasoningTokens ? ` (${count(usage.reasoningTokens)} of them thoughts)` : ""}${usage.estimated === true ? ", estimated" : ""}`,
    ...(meta.cached
      ? ["from the cache"]
      : [
          meta.cost === undefined ? "no price known" : dollars(meta.cost),
          ...(meta.attempts > 1 ? [`${meta.attempts} attempts`] : [])
        ]),
    `${(meta.latencyMs / 1_000).toFixed(1)} s`
  ].join(", ")

/** What of an answer is not as one would wish. */
export const remarks = ({ finishReason, rawFinishReason, refusal, warnings }: ChatResponse) => [
  ...(warnings ?? []),
  ...(refusal === undefined ? [] : [`the model refused: ${refusal}`]),
  ...(finishReason === "length" ? ["the answer was cut at its token limit; --max-tokens sets another"] : []),
  ...(finishReason === "content_filter" && refusal === undefined
    ? ["the provider's content filter stopped the answer"]
    : []),
  ...(finishReason === "other" || finishReason === "pause"
    ? [`the answer ended with "${rawFinishReason ?? finishReason}"`]
    : [])
]

/** Whether the model gave what it was asked for, be it cut. */
export const isGiven = ({ finishReason, refusal }: ChatResponse): boolean =>
  refusal === undefined && finishReason !== "content_filter"

const hints: Partial<Record<LlmError["_tag"], string>> = {
  AuthError: "floodgate config show tells which key is used, and where it is from",
  PermissionError: "floodgate config show tells which key is used, and where it is from",
  NotFoundError: "see the model's name, and --base-url",
  TimeoutError: "--timeout and --deadline allow more time",
  QuotaExhaustedError: "see the account's credit and spending cap",
  ContextLengthError: "shorten the prompt, or choose a model with a larger context",
  CacheMissError: "--cache-mode read-write asks for what is not stored"
}

/** Whether it was nowhere said which model is asked. */
export const lacksModel = ({ message }: LlmError): boolean => message.startsWith("No model:")

/** A failure in one line: what happened, and what to do. */
export const failureLine = (error: LlmError): string => {
  if (lacksModel(error)) {
    return "No model: pass --model, set the provider's variable, such as OPENAI_MODEL, or name one in the config file"
  }
  const hint = hints[error._tag]
  return hint === undefined ? error.message : `${error.message.replace(/[.;]$/, "")}; ${hint}`
}
