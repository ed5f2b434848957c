/**
 * What became of one request: its answer or its typed error. A batch never fails because a request did.
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
