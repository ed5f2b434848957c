/**
 * Everything that can go wrong with one request, as a closed union of typed errors.
 *
 * The classes are those a caller acts on differently: wait, go elsewhere, mend the request, mend the
 * account. No HTTP object hangs on an error and no secret can: a provider's body is reduced to a safe
 * message and a code before the error is made.
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

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
  shouldRetry: Schema.optional(Schema.Boolean)
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

/** Only stored answers were to be used (the cache mode `replay`), and there is none. Nothing was sent. */
export class CacheMissError extends Schema.TaggedError<CacheMissError>()("CacheMissError", fields) {}

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
  CacheMissError
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
