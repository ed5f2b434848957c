/**
 * When a failed attempt is made again. This is the only place that retries.
 *
 * @example
 * import { batch, Chat, complete, LlmError, Retry } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Schedule from "effect/Schedule"
 *
 * // fewer attempts, and no hint of more than two minutes is waited for
 * const patient = Retry.make({ maxRetries: 5, base: "1 second", patience: "2 minutes" })
 *
 * // any schedule over errors is a policy. What a server asks for holds up the limit domain under this one too
 * const plain: Retry.Policy = Schedule.exponential("1 second").pipe(
 *   Schedule.intersect(Schedule.recurs(3)),
 *   Schedule.whileInput((error: LlmError.LlmError) => LlmError.isRetryable(error))
 * )
 *
 * // a policy that tells of what it retries
 * const telling = Retry.wrap(patient, (policy) =>
 *   Schedule.tapInput(policy, (error: LlmError.LlmError) => Effect.logDebug(`${error._tag}: ${error.message}`))
 * )
 *
 * const program = batch([Chat.prompt("1 + 1 = ?")], { retry: telling })
 * const once = complete(Chat.prompt("1 + 1 = ?"), { retry: Retry.never })
 *
 * // for all requests of an application
 * const services = Retry.layer({ maxRetries: 5 })
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { isRetryable, type LlmError, waitHint } from "./LlmError.js"

/** Reads the error of each failed attempt; ends when the request is to fail with it. */
export type Policy = Schedule.Schedule<unknown, LlmError>

/** What {@link make} takes. */
export interface Options {
  /**
   * Attempts after the first. Default 8, of which no more than 3 after a timeout: such an attempt may have been
   * billed. `"forever"` only ends with an error that no retry can mend, and waits for any hint.
   */
  readonly maxRetries?: number | "forever" | undefined
  /** The wait before the first retry; doubled for each further one. Default 500 milliseconds. */
  readonly base?: Duration.DurationInput | undefined
  /** The longest wait of our own making. Default 60 seconds. A server's hint may be longer. */
  readonly cap?: Duration.DurationInput | undefined
  /**
   * The longest hint that is waited for: a request told to come back later than this fails with what it was
   * told, and its limit domain is paused for no longer than this, so that the others are not held up for more than
   * they would wait themselves. Default 10 minutes; without end where `maxRetries` is `"forever"`.
   */
  readonly patience?: Duration.DurationInput | undefined
}

const defaultPatience: Duration.DurationInput = "10 minutes"
const patiences = new WeakMap<Policy, number>()

/** Attempts that timed out may have been billed: a request whose retries are numbered gets this many of them. */
const mostTimeouts = 3

/** How much longer than for others the backoff is: a provider without capacity needs time. */
const backoffFactor: Partial<Record<LlmError["_tag"], number>> = { OverloadedError: 4 }

/** How much of a wait is added to it at random, at most: those who failed together do not come back together. */
const jitter = 0.25
/** The most that is added to a server's hint. */
const mostHintJitter = 1_000

/**
 * Capped exponential backoff over typed errors. Where the server said how long to wait, that is the wait; where
 * it did not, it doubles with each failure that came without a hint. Jitter is added on top: never sooner than
 * the server asked.
 */
export const make = (options: Options = {}): Policy => {
  const base = Duration.toMillis(options.base ?? "500 millis")
  const cap = Duration.toMillis(options.cap ?? "60 seconds")
  const forever = options.maxRetries === "forever"
  const patience = forever ? Duration.infinity : Duration.decode(options.patience ?? defaultPatience)
  const most = options.maxRetries === "forever" ? Number.POSITIVE_INFINITY : (options.maxRetries ?? 8)
  const isAllowed = (error: LlmError, before: Failures) =>
    before.all < most && (forever || error._tag !== "TimeoutError" || before.timeouts < mostTimeouts)
  const policy = Schedule.identity<LlmError>().pipe(
    Schedule.intersect(failuresBefore),
    Schedule.whileOutput(
      ([error, before]) =>
        isAllowed(error, before) &&
        isRetryable(error) &&
        Duration.lessThanOrEqualTo(waitHint(error), patience)
    ),
    Schedule.addDelayEffect(([error, before]) =>
      Effect.map(Random.next, (random) => {
        const hint = Duration.toMillis(waitHint(error))
        if (hint > 0) return Duration.millis(hint + random * Math.min(hint * jitter, mostHintJitter))
        const factor = backoffFactor[error._tag] ?? 1
        // 2 ** 30 is past any cap; larger powers would overflow to Infinity
        const backoff = Math.min(cap, base * factor * 2 ** Math.min(before.unhinted, 30))
        return Duration.millis(backoff * (1 + random * jitter))
      })
    )
  )
  patiences.set(policy, Duration.toMillis(patience))
  return policy
}

/**
 * How long a server's hint may hold up a limit domain under this policy, in milliseconds. A schedule that was not made
 * here has the default patience.
 */
export const patienceOf = (policy: Policy): number =>
  patiences.get(policy) ?? Duration.toMillis(defaultPatience)

/**
 * A policy made of another one, such as to tell of its decisions, with the patience of that. Wrapped without this it
 * has the default one.
 */
export const wrap = (policy: Policy, f: (policy: Policy) => Policy): Policy => {
  const wrapped = f(policy)
  patiences.set(wrapped, patienceOf(policy))
  return wrapped
}

/** The failures of a request before the present one. */
interface Failures {
  readonly all: number
  readonly timeouts: number
  /** Those that came without a hint. */
  readonly unhinted: number
}

const failuresBefore: Schedule.Schedule<Failures, LlmError> = Schedule.identity<LlmError>().pipe(
  Schedule.reduce({ all: 0, timeouts: 0, unhinted: 0 }, (before: Failures, error) => ({
    all: before.all + 1,
    timeouts: before.timeouts + (error._tag === "TimeoutError" ? 1 : 0),
    unhinted: before.unhinted + (Duration.toMillis(waitHint(error)) > 0 ? 0 : 1)
  }))
)

/** The policy of all requests that state none of their own. */
export class RetryPolicy extends Context.Reference<RetryPolicy>()("floodgate/RetryPolicy", {
  defaultValue: () => make()
}) {}

/** Another policy for an application. */
export const layer = (options: Options): Layer.Layer<RetryPolicy> => Layer.succeed(RetryPolicy, make(options))

/** No retry at all. */
export const never: Policy = Schedule.stop
