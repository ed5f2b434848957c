/** Results of jobs as outcomes of requests, stored in the cache like any other answers. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Cache from "../Cache.js"
import { CancelledError, type LlmError, NetworkError, TimeoutError } from "../LlmError.js"
import { fromFields, type Response } from "../Response.js"
import { modeOf } from "./cacheMode.js"
import { errorOf } from "./providerBatches.js"
import type { Unit } from "./providerBatchPlan.js"
import { hasEnded, type Report, type Result } from "./providerBatchWire.js"
import * as SchemaCheck from "./schemaCheck.js"

/** What came of a line. */
export interface Answer {
  readonly outcome: Either.Either<Cache.Hit, LlmError>
  /** From its submission to its end, in milliseconds; absent where it was not run. */
  readonly tookMs?: number | undefined
}

/** What came of lines, by their ids. */
export type Answers = Map<string, Answer>

/** The tier at which batches are billed, whatever the answer says of itself. */
export const tier = "batch"

const billed = (response: Response): Response =>
  response._tag === "ChatResponse" ? fromFields({ ...response, serviceTier: tier }) : response

const expired = (provider: string) =>
  new TimeoutError({
    provider,
    code: "batch_expired",
    message: "The batch's time was over before this request was run; it was not billed"
  })

const cancelled = (provider: string) =>
  new CancelledError({
    provider,
    code: "batch_cancelled",
    message: "The batch was cancelled before this request was run; it was not billed"
  })

/** The answer in a result, or its typed error. */
export const read = (unit: Unit, result: Result, now: number): Either.Either<Response, LlmError> => {
  const { provider } = unit.target.endpoint
  switch (result._tag) {
    case "Answered":
      return Either.map(unit.prepared.read(result.body, result.requestId, now), billed)
    case "Refused":
      return Either.left(errorOf(provider, result, now))
    case "Expired":
      return Either.left(expired(provider))
    case "Cancelled":
      return Either.left(cancelled(provider))
  }
}

/** Why a request has no line in the results of a job that has ended. */
export const missing = ({ target }: Unit, { problem, rawState, state }: Report, now: number): LlmError => {
  const { provider } = target.endpoint
  if (!hasEnded({ state })) {
    return new NetworkError({
      provider,
      message: `The batch has not ended (${rawState}): there are no results yet`
    })
  }
  if (problem !== undefined) return errorOf(provider, problem, now)
  switch (state) {
    case "expired":
      return expired(provider)
    case "cancelled":
      return cancelled(provider)
    default:
      return new NetworkError({
        provider,
        message: `The batch ended (${rawState}) without a result for this request`
      })
  }
}

/** Whether an answer that is stored can be given to this question. */
const fits = ({ check }: Unit, response: Response): boolean =>
  check === undefined || SchemaCheck.fits(response, check)

/** The answer that is stored, if the request's mode allows one; under `replay` the miss is its outcome. */
export const lookUp = (
  cache: Cache.Service,
  unit: Unit,
  mode: Cache.Mode | undefined
): Effect.Effect<Either.Either<Cache.Hit, LlmError> | undefined> => {
  const own = modeOf(unit.request, mode)
  if (own === "bypass" || own === "refresh" || (!cache.enabled && own !== "replay")) {
    return Effect.succeed(undefined)
  }
  // nothing is called under `replay`
  const stored = cache.getOrCall(unit.key, Effect.never, { request: unit.request, mode: "replay" })
  return Effect.map(Effect.either(stored), (hit) => {
    if (own === "replay") return hit
    return Either.isRight(hit) && fits(unit, hit.right.response) ? hit : undefined
  })
}

/** Stores an answer as the request's mode says. One that does not fit its schema is none. */
export const keep = (
  cache: Cache.Service,
  unit: Unit,
  response: Response,
  mode: Cache.Mode | undefined
): Effect.Effect<Cache.Hit> => {
  const own: Cache.Hit = { response, origin: "call" }
  const asked = modeOf(unit.request, mode)
  if (!cache.enabled || asked === "replay" || !fits(unit, response)) return Effect.succeed(own)
  const stored = cache.getOrCall(unit.key, Effect.succeed(response), { request: unit.request, mode })
  // this answer was paid for: another that is stored by now does not take its place
  return Effect.as(Effect.ignore(stored), own)
}
