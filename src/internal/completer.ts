/**
 * The road of one request below the batch: cache, then retry around router, limiter and provider. Services are
 * looked up once, so that a request costs a few closures and no context.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import { Cache, type Mode } from "../Cache.js"
import type { Endpoint } from "../Endpoint.js"
import { CancelledError, InvalidRequestError, type LlmError, TimeoutError } from "../LlmError.js"
import type { Outcome } from "../Outcome.js"
import { type Attempt, type Provider, Providers } from "../Providers.js"
import { type Cost, type Permit, RateLimiter } from "../RateLimiter.js"
import { fromInput, type Request, type RequestInput } from "../Request.js"
import { type Meta, type Response, withMeta } from "../Response.js"
import { type Policy, RetryPolicy } from "../Retry.js"
import { type Resolved, Router } from "../Router.js"
import type { Usage } from "../Usage.js"
import { cacheKey } from "./cacheKey.js"
import { type DomainMemory, memoryOf } from "./domainMemory.js"
import type { Reservation } from "./tokenForecast.js"
import { tokenizerOf } from "./tokenizer.js"
import { told } from "./told.js"

/** The services below every request. */
export type Services = Providers | Cache | RateLimiter | Router

export interface Options {
  /**
   * How long one attempt may take, from sending to the last byte. Default 10 minutes, as the providers' own
   * clients have it: a long answer of a slow model is not a failure.
   */
  readonly timeout?: Duration.DurationInput | undefined
  /** How long a request may take in all, waits and retries included. Default: for as long as it takes. */
  readonly deadline?: Duration.DurationInput | undefined
  /** When a failed attempt is made again. Default: the `RetryPolicy` at hand. */
  readonly retry?: Policy | undefined
  /**
   * What is to be done with stored answers, where a request does not say itself. Default `readWrite`; see the modes
   * of `Cache`.
   */
  readonly cache?: Mode | undefined
}

/** What became of a request, with its meta in either case. */
export interface Completed {
  readonly outcome: Outcome
  readonly meta: Meta
}

export interface Completer {
  /** The request as it will be asked, or why it cannot be. */
  readonly resolve: (input: RequestInput) => Effect.Effect<Resolved, LlmError>
  /**
   * The outcome of a request. `beforeCall` runs once, before its first HTTP call, and not at all if none is
   * made; if it fails, there is no call.
   */
  readonly complete: <E>(
    resolved: Resolved,
    options: { readonly key?: string | undefined; readonly beforeCall?: Effect.Effect<void, E> | undefined }
  ) => Effect.Effect<Completed, E>
}

/** What is noted down while a request is on its way. */
interface Story {
  attempts: number
  endpoint: Endpoint | undefined
  /** Endpoints that failed this request. */
  failed: Set<string> | undefined
}

const noneFailed: ReadonlySet<string> = new Set()
const noCost: Cost = { inputTokens: 0, outputTokens: 0 }

/** What an answer took from the token limit. */
const spent = (provider: Provider, reserved: Reservation, usage: Usage): Cost => ({
  inputTokens: usage.inputTokens,
  outputTokens:
    provider.chargesMaxTokens === true
      ? Math.max(reserved.outputTokens, usage.outputTokens)
      : usage.outputTokens
})

/** A completer over the services at hand. Made once for a batch, and for each single `complete`. */
export const make = (options: Options): Effect.Effect<Completer, never, Services> =>
  Effect.contextWithEffect((services: Context.Context<Services>) =>
    Effect.clockWith((clock) => Effect.succeed(fromServices(options, services, clock)))
  )

const defaultTimeoutMs = Duration.toMillis("10 minutes")

const fromServices = (
  options: Options,
  services: Context.Context<Services>,
  clock: Clock.Clock
): Completer => {
  const providers = Context.get(services, Providers)
  const router = Context.get(services, Router)
  const limiter = Context.get(services, RateLimiter)
  const cache = Context.get(services, Cache)
  const policy = options.retry ?? Context.get(services, RetryPolicy)
  const timeoutMs = options.timeout === undefined ? defaultTimeoutMs : Duration.toMillis(options.timeout)

  /** What an attempt was asked with. */
  interface Asked {
    readonly endpoint: Endpoint
    readonly provider: Provider
    readonly model: string
    readonly memory: DomainMemory
    readonly reserved: Reservation | undefined
  }

  /** Tells the limiter, and those who come after, what an attempt taught us. */
  const book = (asked: Asked, permit: Permit, { outcome, throttle }: Attempt): Effect.Effect<void> => {
    const { endpoint, memory, model, provider, reserved } = asked
    const rates = told(throttle)
    const observed = rates === undefined ? Effect.void : limiter.observe(endpoint.domain, rates)
    if (Either.isRight(outcome)) {
      memory.answered()
      if (reserved === undefined) return observed
      const { usage } = outcome.right
      memory.forecast.learn(model, reserved, usage)
      return Effect.zipRight(permit.settle(spent(provider, reserved, usage)), observed)
    }
    const error = outcome.left
    const given = memory.failed(error, clock.unsafeCurrentTimeMillis())
      ? Effect.zipRight(
          observed,
          Effect.logWarning(`${endpoint.domain} is not asked any more: ${error.message}`)
        )
      : observed
    switch (error._tag) {
      case "RateLimitError":
      case "OverloadedError": {
        const { verdict } = throttle
        const paused =
          verdict._tag === "Wait" ? limiter.pause(endpoint.domain, verdict.for, error.message) : Effect.void
        return given.pipe(Effect.zipRight(permit.congested), Effect.zipRight(paused))
      }
      case "TimeoutError":
        return Effect.zipRight(given, permit.congested)
      default:
        return given
    }
  }

  const reserve = ({ memory, model, provider }: Omit<Asked, "reserved">, request: Request) =>
    Effect.map(tokenizerOf(model), (tokenizer) =>
      memory.forecast.reserve(request, model, {
        chargesMaxTokens: provider.chargesMaxTokens === true,
        tokenizer
      })
    )

  const attemptAt = (
    request: Request,
    endpoint: Endpoint,
    story: Story,
    beforeCall: Effect.Effect<void, LlmError> | undefined
  ): Effect.Effect<Response, LlmError> => {
    const provider = providers.get(endpoint.provider)
    if (provider === undefined) {
      return Effect.fail(
        new InvalidRequestError({
          provider: endpoint.provider,
          message: `Endpoint ${endpoint.id} names the provider "${endpoint.provider}", which is not at hand`
        })
      )
    }
    const memory = memoryOf(limiter, endpoint.domain)
    const known = { endpoint, provider, model: request.model ?? endpoint.model ?? "", memory }
    const call = (asked: Asked) =>
      limiter.withPermit(endpoint.domain, asked.reserved ?? noCost, (permit) => {
        // what is found out while a request waits for its turn spares it the call
        const stopped = memory.stopped(clock.unsafeCurrentTimeMillis())
        if (stopped !== undefined) return Effect.fail(stopped)
        const sent = Effect.suspend(() => {
          story.attempts++
          story.endpoint = endpoint
          return Effect.flatMap(provider.attempt(request, endpoint, timeoutMs), (attempt) => {
            if (Either.isLeft(attempt.outcome)) {
              story.failed ??= new Set()
              story.failed.add(endpoint.id)
            }
            const booked = book(asked, permit, attempt)
            return booked === Effect.void ? attempt.outcome : Effect.zipRight(booked, attempt.outcome)
          })
        })
        return beforeCall === undefined || story.attempts > 0 ? sent : Effect.zipRight(beforeCall, sent)
      })
    return limiter.countsTokens(endpoint.domain)
      ? Effect.flatMap(reserve(known, request), (reserved) => call({ ...known, reserved }))
      : call({ ...known, reserved: undefined })
  }

  const attempt = (
    request: Request,
    story: Story,
    beforeCall: Effect.Effect<void, LlmError> | undefined
  ): Effect.Effect<Response, LlmError> =>
    Effect.flatMap(router.select(request, story.failed ?? noneFailed), (endpoint) =>
      attemptAt(request, endpoint, story, beforeCall)
    )

  /** The schedule is only built once an attempt has failed: most never do. */
  const retried = (
    once: Effect.Effect<Response, LlmError>,
    story: Story
  ): Effect.Effect<Response, LlmError> =>
    Effect.catchAll(once, (error) =>
      Effect.flatMap(Schedule.driver(policy), (driver) => {
        const again = (error: LlmError): Effect.Effect<Response, LlmError> =>
          Effect.matchEffect(driver.next(error), {
            onFailure: () => Effect.fail(error),
            onSuccess: () => Effect.zipRight(afford(story), Effect.catchAll(once, again))
          })
        return again(error)
      })
    )

  /** Waits until the domain that failed can afford a retry. */
  const afford = ({ endpoint }: Story): Effect.Effect<void> =>
    Effect.suspend(() =>
      endpoint === undefined ? Effect.void : memoryOf(limiter, endpoint.domain).retries.take
    )

  const deadline = options.deadline === undefined ? undefined : Duration.decode(options.deadline)
  const inTime = (call: Effect.Effect<Response, LlmError>): Effect.Effect<Response, LlmError> =>
    deadline === undefined
      ? call
      : Effect.timeoutFail(call, {
          duration: deadline,
          onTimeout: () =>
            new TimeoutError({
              provider: "floodgate",
              message: `No answer within the deadline of ${Duration.format(deadline)}`
            })
        })

  const resolve: Completer["resolve"] = (input) => Effect.flatMap(fromInput(input), router.resolve)

  const complete: Completer["complete"] = <E>(
    resolved: Resolved,
    { beforeCall, key }: { key?: string | undefined; beforeCall?: Effect.Effect<void, E> | undefined }
  ) =>
    Effect.suspend((): Effect.Effect<Completed, E> => {
      const start = clock.unsafeCurrentTimeMillis()
      const story: Story = { attempts: 0, endpoint: undefined, failed: undefined }
      // an equal request of another run may be waiting for this call: it must not get this run's failure
      let stopped: { readonly error: E } | undefined
      const before =
        beforeCall === undefined
          ? undefined
          : Effect.catchAll(beforeCall, (error) => {
              stopped = { error }
              return Effect.fail(
                new CancelledError({ provider: "floodgate", message: "The run that asked was stopped" })
              )
            })
      const call = inTime(retried(attempt(resolved.request, story, before), story))
      const replays = (resolved.request.cache?.mode ?? options.cache) === "replay"
      const keyed = cache.enabled || replays ? (key ?? cacheKey(resolved)) : undefined
      const answered =
        keyed === undefined
          ? Effect.map(call, (response) => ({ response, origin: "call" as const }))
          : cache.getOrCall(keyed, call, { request: resolved.request, mode: options.cache })
      const metaOf = (cached: boolean, requestId: string | undefined): Meta => ({
        attempts: story.attempts,
        cached,
        latencyMs: clock.unsafeCurrentTimeMillis() - start,
        ...(story.endpoint === undefined ? undefined : { endpoint: story.endpoint.id }),
        ...(requestId === undefined ? undefined : { requestId }),
        ...(keyed === undefined && key === undefined ? undefined : { key: keyed ?? key })
      })
      return Effect.matchEffect(answered, {
        onSuccess: ({ origin, response }) => {
          const meta = metaOf(origin !== "call", origin === "store" ? undefined : response.meta.requestId)
          return Effect.succeed({ outcome: Either.right(withMeta(response, meta)), meta })
        },
        onFailure: (error) =>
          stopped === undefined
            ? Effect.succeed({ outcome: Either.left(error), meta: metaOf(false, error.requestId) })
            : Effect.fail(stopped.error)
      })
    })

  return { resolve, complete }
}
