/**
 * What became of one request: its answer or its typed error. A batch never fails because a request did.
 *
 * @example
 * import { batch, Chat } from "floodgate"
 * import * as Array from "effect/Array"
 * import * as Effect from "effect/Effect"
 * import * as Either from "effect/Either"
 *
 * const program = Effect.gen(function* () {
 *   const outcomes = yield* batch([Chat.prompt("1 + 1 = ?"), Chat.prompt("2 + 2 = ?")])
 *   const texts = outcomes.map(
 *     Either.match({ onLeft: ({ _tag }) => `(${_tag})`, onRight: ({ text }) => text })
 *   )
 *   const [failures, answers] = Array.separate(outcomes)
 *   return { texts, failed: failures.length, tokens: answers.map(({ usage }) => usage.outputTokens) }
 * })
 *
 * @module
 */
import type * as Either from "effect/Either"
import type { LlmError } from "./LlmError.js"
import type { AnswerTo, Chat, Request } from "./Request.js"
import type { ChatResponse, Meta, Response } from "./Response.js"

/** The answer, or why there is none. */
export type Outcome<A extends Response = ChatResponse> = Either.Either<A, LlmError>

/** An outcome with the request it belongs to and the story of how it came about. */
export interface Settled<R extends Request = Chat> {
  /** Place of the request in the input, from 0. */
  readonly index: number
  /** Absent if the input could not be read as a request. */
  readonly request: R | undefined
  readonly outcome: Outcome<AnswerTo<R>>
  /** The same as the answer's `meta` where there is an answer; failures have one too. */
  readonly meta: Meta
}
