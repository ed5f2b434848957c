/**
 * Everything that can go wrong with one request, as a closed union of typed errors.
 *
 * The classes are those a caller acts on differently: wait, go elsewhere, mend the request, mend the
 * account. No HTTP object hangs on an error and no secret can: a provider's body is reduced to a safe
 * message and a code before the error is made.
 *
 * @example
 * import { Chat, complete, LlmError } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const answer = complete(Chat.prompt("Why is the sky blue?")).pipe(
 *   Effect.map((response) => response.text),
 *   Effect.catchTags({
 *     ContentFilterError: () => Effect.succeed("(blocked)"),
 *     // every class has these: what happened, who said so, and how it says to go on
 *     RateLimitError: ({ message, provider, retryAfter }) =>
 *       Effect.as(Effect.logWarning(provider, message, retryAfter), "(later)")
 *   }),
 *   Effect.tapError((error) => Effect.logError(error._tag, LlmError.isRetryable(error), error.message))
 * )
 *
 * @module
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { Usage } from "./Usage.js"

/** What became of one attempt at a request that several endpoints were asked. */
export const AttemptCause = Schema.Struct({
  /** Id of the endpoint. */
  endpoint: Schema.String,
  /** The class of its error, such as `"ServerError"`. */
  error: Schema.String,
  message: Schema.String,
  status: Schema.optional(Schema.Number)
})
export type AttemptCause = typeof AttemptCause.Type

const fields = {
  /** Name of the provider that answered, such as `"openai"`. */
  provider: Schema.String,
  /** What happened, in one line, safe to print and to store. */
  message: Schema.String,
  /** HTTP status of the answer; absent when there was none. */
  status: Schema.optional(Schema.Number),
  /** The provider's own code for the error, such as `"context_length_exceeded"`. */
  code: Schema.optional(Schema.String),
  /** The provider's id of the call, to quote in a support request. */
  requestId: Schema.optional(Schema.String),
  /** How long the server asked us to wait. A retry never starts before it has passed. */
  retryAfter: Schema.optional(Schema.DurationFromMillis),
  /** What the server said of a retry itself (`x-should-retry`), where that is not what the class says. */
  shouldRetry: Schema.optional(Schema.Boolean),
  /** What the call is billed for all the same, where the answer states it. */
  usage: Schema.optional(Usage),
  /**
   * Where several endpoints could be asked: every attempt with its own cause, of more than 20 the last. Of a request that
   * was not sent, since all of them rest for what no wait mends: the last failure of each.
   */
  attempts: Schema.optional(Schema.Array(AttemptCause))
}

/** The credential is missing, wrong or revoked (401). Never retried: no call with this key can succeed. */
export class AuthError extends Schema.TaggedError<AuthError>()("AuthError", fields) {}

/** The credential is good and not allowed to do this (403): region, model access, disabled API. */
export class PermissionError extends Schema.TaggedError<PermissionError>()("PermissionError", fields) {}

/** The model, deployment or path does not exist (404). */
export class NotFoundError extends Schema.TaggedError<NotFoundError>()("NotFoundError", fields) {}

/** The provider refuses the request as it stands (400, 422): sending it again cannot help. */
export class InvalidRequestError extends Schema.TaggedError<InvalidRequestError>()(
  "InvalidRequestError",
  fields
) {}

/** Prompt and answer do not fit the model's context window. */
export class ContextLengthError extends Schema.TaggedError<ContextLengthError>()(
  "ContextLengthError",
  fields
) {}

/** The body is too large (413), or this one request is larger than a whole rate limit. */
export class RequestTooLargeError extends Schema.TaggedError<RequestTooLargeError>()(
  "RequestTooLargeError",
  fields
) {}

/** The provider's moderation blocked the prompt or the answer. */
export class ContentFilterError extends Schema.TaggedError<ContentFilterError>()(
  "ContentFilterError",
  fields
) {}

/** Too many requests or tokens just now (429). Retried after the hint; pauses the whole limit domain. */
export class RateLimitError extends Schema.TaggedError<RateLimitError>()("RateLimitError", fields) {}

/** The account is out of money or past a spending cap (402, some 429). Never retried. */
export class QuotaExhaustedError extends Schema.TaggedError<QuotaExhaustedError>()(
  "QuotaExhaustedError",
  fields
) {}

/** The provider has no capacity right now (503, 529). Retried, with a longer backoff. */
export class OverloadedError extends Schema.TaggedError<OverloadedError>()("OverloadedError", fields) {}

/** The provider failed (500, 502, 52x). Retried a few times. */
export class ServerError extends Schema.TaggedError<ServerError>()("ServerError", fields) {}

/** No answer in time: ours (the attempt's timeout) or the provider's (408, 504). May have been billed. */
export class TimeoutError extends Schema.TaggedError<TimeoutError>()("TimeoutError", fields) {}

/** The provider reports a conflict (409). Retried. */
export class ConflictError extends Schema.TaggedError<ConflictError>()("ConflictError", fields) {}

/** No usable answer arrived: connection refused or reset, an answer cut short, a 2xx that is not JSON. */
export class NetworkError extends Schema.TaggedError<NetworkError>()("NetworkError", fields) {}

/** The call was given up by us or by the server on our behalf (499). */
export class CancelledError extends Schema.TaggedError<CancelledError>()("CancelledError", fields) {}

/** The chosen provider has no such feature; found before anything was sent. */
export class UnsupportedError extends Schema.TaggedError<UnsupportedError>()("UnsupportedError", {
  ...fields,
  /** The feature, by the name of the request's field: `"seed"`, `"logprobs"`. */
  feature: Schema.String
}) {}

/**
 * The answer is not what was asked for: it does not fit the schema after as many corrections as were allowed, or is
 * cut, refused or a tool call where a value is wanted. Where a correction could not be had, `message`, `status` and
 * `code` say why.
 */
export class InvalidOutputError extends Schema.TaggedError<InvalidOutputError>()("InvalidOutputError", {
  ...fields,
  /** The last answer, or its beginning. */
  text: Schema.String,
  /** What all the answers used that came before this: they were paid for. */
  usage: Schema.optional(Usage)
}) {}

/** Only stored answers were to be used (the cache mode `replay`), and there is none. Nothing was sent. */
export class CacheMissError extends Schema.TaggedError<CacheMissError>()("CacheMissError", fields) {}

/**
 * A budget has no room for what the request may cost at most, and nothing under way could make room. Nothing was sent.
 * Never retried; an endpoint that is cheap enough is asked instead. With a higher ceiling it can be asked again.
 */
export class BudgetExceededError extends Schema.TaggedError<BudgetExceededError>()(
  "BudgetExceededError",
  fields
) {}

/**
 * There is a budget, and nothing bounds what the request may cost: its model has no price (the code `"unpriced"`), or
 * its length has no end (`"unbounded"`). Nothing was sent. Never retried; another endpoint is asked if there is one.
 */
export class UnboundedCostError extends Schema.TaggedError<UnboundedCostError>()(
  "UnboundedCostError",
  fields
) {}

/** Schema of {@link LlmError}: errors travel in checkpoints and output files. */
export const LlmError = Schema.Union(
  AuthError,
  PermissionError,
  NotFoundError,
  InvalidRequestError,
  ContextLengthError,
  RequestTooLargeError,
  ContentFilterError,
  RateLimitError,
  QuotaExhaustedError,
  OverloadedError,
  ServerError,
  TimeoutError,
  ConflictError,
  NetworkError,
  CancelledError,
  UnsupportedError,
  InvalidOutputError,
  CacheMissError,
  BudgetExceededError,
  UnboundedCostError
)

/** One request's failure. Match on `_tag`. */
export type LlmError = typeof LlmError.Type

/** The classes that a later attempt at the same endpoint may not meet again. */
const retryableTags: ReadonlySet<LlmError["_tag"]> = new Set<LlmError["_tag"]>([
  "RateLimitError",
  "OverloadedError",
  "ServerError",
  "TimeoutError",
  "ConflictError",
  "NetworkError"
])

/** Whether sending the same request again can succeed: by its class, unless the server said otherwise. */
export const isRetryable = (error: LlmError): boolean => error.shouldRetry ?? retryableTags.has(error._tag)

/** The wait the server asked for, zero if it asked for none. */
export const waitHint = (error: LlmError): Duration.Duration => error.retryAfter ?? Duration.zero

const withFields = <E extends LlmError>(error: E, fields: Partial<Pick<LlmError, "attempts" | "usage">>): E =>
  // the message and the stack of an error are own properties that no copy by assignment sees
  Object.assign(Object.create(Object.getPrototypeOf(error), Object.getOwnPropertyDescriptors(error)), fields)

/** The same error, told with the attempts that led to it. */
export const withAttempts = <E extends LlmError>(error: E, attempts: ReadonlyArray<AttemptCause>): E =>
  withFields(error, { attempts: [...attempts] })

/** The same error, with what the call is billed for; as it is where it says so itself, or nothing is known. */
export const withUsage = <E extends LlmError>(error: E, usage: Usage | undefined): E =>
  usage === undefined || error.usage !== undefined ? error : withFields(error, { usage })
