/**
 * What people do most with a million texts, as functions: extract, classify, score, translate. Each is a few lines
 * over `complete`, to be used as it is or copied and changed. The requests are there by themselves for `batch`.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { complete } from "./Complete.js"
import type * as Completer from "./internal/completer.js"
import { isJsonObject } from "./internal/jsonObject.js"
import * as SchemaCheck from "./internal/schemaCheck.js"
import type { InvalidOutputError, LlmError } from "./LlmError.js"
import { type Content, conversation } from "./Message.js"
import type { Chat, ChatFields, Typed } from "./Request.js"
import type { ChatResponse } from "./Response.js"
import { withSchema } from "./StructuredOutput.js"

/** Parameters of the request, such as `model` and `temperature`. */
export type Parameters = Omit<ChatFields, "messages" | "responseFormat">

/** Of any recipe: how it is asked. */
export interface Options extends Completer.Options {
  readonly parameters?: Parameters | undefined
  /** Said to the model beside what the recipe says. */
  readonly instructions?: string | undefined
}

const ask = (content: Content, system: string, { instructions, parameters }: Options): Chat =>
  SchemaCheck.chatOf({
    ...parameters,
    messages: conversation(content, {
      system: instructions === undefined ? system : `${system}\n${instructions}`
    })
  })

/** The request of {@link extract}. */
export const extraction = <A, I>(
  content: Content,
  schema: Schema.Schema<A, I>,
  options: Options = {}
): Chat & Typed<A> =>
  withSchema(
    ask(
      content,
      "Extract the data that is asked for from what follows, as JSON. Use only what it says, and invent nothing.",
      options
    ),
    schema
  )

/**
 * Takes data out of a text, of images or of documents.
 *
 * @example
 * import { Recipes } from "floodgate"
 * import * as Schema from "effect/Schema"
 *
 * const Invoice = Schema.Struct({ number: Schema.String, total: Schema.Number })
 * const invoice = Recipes.extract("Invoice 2024-7. Total: 1,250.00 EUR", Invoice)
 */
export const extract = <A, I>(
  content: Content,
  schema: Schema.Schema<A, I>,
  options: Options = {}
): Effect.Effect<A, LlmError, Completer.Services> =>
  Effect.map(complete(extraction(content, schema, options), options), ({ value }) => value)

/** The request of {@link classify}. */
export const classification = <const Label extends string>(
  content: Content,
  labels: readonly [Label, ...ReadonlyArray<Label>],
  options: Options = {}
): Chat & Typed<{ readonly label: Label }> =>
  withSchema(
    ask(
      content,
      `Say which of these labels fits what follows best: ${labels.map((label) => JSON.stringify(label)).join(", ")}. Answer as JSON: {"label": …}.`,
      options
    ),
    Schema.Struct({ label: Schema.Literal(...labels) })
  )

/**
 * The label that fits best.
 *
 * @example
 * import { Recipes } from "floodgate"
 *
 * const mood = Recipes.classify("I love it!", ["positive", "neutral", "negative"])
 */
export const classify = <const Label extends string>(
  content: Content,
  labels: readonly [Label, ...ReadonlyArray<Label>],
  options: Options = {}
): Effect.Effect<Label, LlmError, Completer.Services> =>
  Effect.map(complete(classification(content, labels, options), options), ({ value }) => value.label)

/** A yes or no, and how sure the model is of it. */
export interface Score {
  readonly yes: boolean
  /** Probability of yes, 0 to 1: by the log probabilities where the provider gives any, else 0 or 1. */
  readonly probability: number
  /** Whether the probability is by log probabilities. */
  readonly measured: boolean
}

interface Candidate {
  readonly token: string
  readonly logprob: number
}

const candidate = (value: unknown): ReadonlyArray<Candidate> => {
  if (!isJsonObject(value) || typeof value.token !== "string") return []
  // OpenAI's name, and Google's
  const logprob = value.logprob ?? value.logProbability
  return typeof logprob === "number" ? [{ token: value.token, logprob }] : []
}

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** The candidates of each token, as OpenAI (`content`, or the list itself) and Google (`topCandidates`) tell them. */
const candidates = (logprobs: unknown): ReadonlyArray<ReadonlyArray<Candidate>> => {
  const tokens = isJsonObject(logprobs)
    ? listOf(logprobs.content ?? logprobs.topCandidates)
    : listOf(logprobs)
  return tokens.map((token) =>
    isJsonObject(token) ? listOf(token.top_logprobs ?? token.candidates).flatMap(candidate) : []
  )
}

const word = (token: string): string => token.toLowerCase().replace(/[^a-z]/g, "")

const massOf = (found: ReadonlyArray<Candidate>, wanted: string): number =>
  found.reduce((sum, { logprob, token }) => (word(token) === wanted ? sum + Math.exp(logprob) : sum), 0)

/** Why an answer was not given, or not to its end. */
const unfinished = ({ finishReason, refusal }: ChatResponse): string | undefined =>
  refusal !== undefined
    ? `The model refused: ${refusal}`
    : finishReason === "stop"
      ? undefined
      : `The answer did not come to its end: ${finishReason}`

/**
 * The score that an answer to {@link scoring} holds; an error if it was refused, did not come to its end, or says
 * neither yes nor no. Where probabilities were measured, an answer cut at its token limit counts: one token is enough.
 *
 * @example
 * import { batch, Recipes } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Either from "effect/Either"
 *
 * const texts = ["My tabby sleeps all day.", "It rains."]
 * const scores = batch(texts.map((text) => Recipes.scoring(`Is this about cats? ${text}`))).pipe(
 *   Effect.map((outcomes) => outcomes.map((outcome) => Either.flatMap(outcome, Recipes.scoreOf)))
 * )
 */
export const scoreOf = (response: ChatResponse): Either.Either<Score, InvalidOutputError> => {
  const problem = unfinished(response)
  if (problem === undefined || (response.refusal === undefined && response.finishReason === "length")) {
    const score = measuredScore(response)
    if (score !== undefined) return Either.right(score)
  }
  if (problem !== undefined) return Either.left(SchemaCheck.invalidOutput(response, problem))
  const said = word(response.text.trim().split(/\s+/)[0] ?? "")
  return said === "yes" || said === "no"
    ? Either.right({ yes: said === "yes", probability: said === "yes" ? 1 : 0, measured: false })
    : Either.left(SchemaCheck.invalidOutput(response, "The answer is neither yes nor no"))
}

const measuredScore = (response: ChatResponse): Score | undefined => {
  for (const found of candidates(response.logprobs)) {
    const yes = massOf(found, "yes")
    const no = massOf(found, "no")
    if (yes + no > 0.5) {
      const probability = yes / (yes + no)
      return { yes: probability >= 0.5, probability, measured: true }
    }
  }
  return undefined
}

/** The request of {@link score}; its answer is read with {@link scoreOf}. */
export const scoring = (question: Content, options: Options = {}): Chat =>
  ask(question, `Answer with one word, "yes" or "no".`, {
    ...options,
    // a provider without them answers all the same
    parameters: { logprobs: true, topLogprobs: 5, unsupported: "drop", ...options.parameters }
  })

/**
 * Yes or no, with the probability of yes.
 *
 * @example
 * import { Recipes } from "floodgate"
 *
 * const relevant = Recipes.score("Is this about cats? Text: My tabby sleeps all day.")
 */
export const score = (
  question: Content,
  options: Options = {}
): Effect.Effect<Score, LlmError, Completer.Services> =>
  Effect.flatMap(complete(scoring(question, options), options), scoreOf)

/** The request of {@link translate}; its answer is read with {@link translationOf}. */
export const translation = (
  text: string,
  languages: { readonly to: string; readonly from?: string | undefined },
  options: Options = {}
): Chat =>
  ask(
    text,
    `Translate what follows${languages.from === undefined ? "" : ` from ${languages.from}`} to ${languages.to}. ` +
      "Answer with the translation and nothing else; keep its formatting.",
    options
  )

/** The text that an answer to {@link translation} holds; an error if it was refused or did not come to its end. */
export const translationOf = (response: ChatResponse): Either.Either<string, InvalidOutputError> => {
  const problem = unfinished(response)
  return problem === undefined
    ? Either.right(response.text.trim())
    : Either.left(SchemaCheck.invalidOutput(response, problem))
}

/**
 * A text in another language.
 *
 * @example
 * import { Recipes } from "floodgate"
 *
 * const german = Recipes.translate("Good morning", { to: "German" })
 */
export const translate = (
  text: string,
  languages: { readonly to: string; readonly from?: string | undefined },
  options: Options = {}
): Effect.Effect<string, LlmError, Completer.Services> =>
  Effect.flatMap(complete(translation(text, languages, options), options), translationOf)
