/**
 * One attempt at a request: an endpoint that is well, a permit of its limit domain, the call, and what the answer
 * teaches those who come after.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Runtime from "effect/Runtime"
import type { Endpoint } from "../Endpoint.js"
import {
  type AttemptCause,
  InvalidRequestError,
  isRetryable,
  type LlmError,
  withAttempts
} from "../LlmError.js"
import { type Attempt, type Provider, Providers } from "../Providers.js"
import { type Cost, type Permit, RateLimiter } from "../RateLimiter.js"
import type { Request } from "../Request.js"
import type { Response } from "../Response.js"
import { Router } from "../Router.js"
import type { Usage } from "../Usage.js"
import { causeOf } from "./attemptCause.js"
import type { AttemptEvents, Bill, Glimpse } from "./attemptEvents.js"
import { type Budgets, type Hold, isRefusal } from "./budgetHold.js"
import { type DomainMemory, memoryOf } from "./domainMemory.js"
import { hedged, type Leg, mayBeHedged } from "./hedge.js"
import type { Pool } from "./pool.js"
import { fill } from "./requestDefaults.js"
import type { Start } from "./strayRefusals.js"
import type { Reservation } from "./tokenForecast.js"
import { tokenizerOf } from "./tokenizer.js"
import { type Domains, Turn } from "./turn.js"

/** What is noted down while a request is on its way. */
export interface Story extends Bill {
  attempts: number
  endpoint: Endpoint | undefined
  /** Endpoints of a pool that failed this request, and when each may be asked again, in epoch milliseconds. */
  failed: Map<string, number> | undefined
  /** The request was too long for a window of this size. */
  window?: number | undefined
  /** See `Past`. */
  arrival?: number | undefined
  error?: LlmError | undefined
  tooLong?: LlmError | undefined
  /** The pool gave the last attempt no endpoint: those that are left cannot take it for long. */
  isTurnedAway?: boolean | undefined
  /** What became of the last attempts in a pool. */
  causes?: Array<AttemptCause> | undefined
  /** Whether a part of an answer has been given out: nothing may follow but the rest of it. */
  shown: boolean
  /** Whether its parts are given out as they come: then it is never asked twice at once. */
  readonly isShowing?: boolean | undefined
}

/** The most attempts that an error tells of; of more, the last. */
const mostCauses = 20
/** A wait for a limit of this many milliseconds is worth a word. */
const longWait = 1_000
const noCost: Cost = { inputTokens: 0, outputTokens: 0 }

/** What an answer took from the token limit. */
const spent = (provider: Provider, reserved: Reservation, usage: Usage): Cost => ({
  inputTokens: usage.inputTokens,
  outputTokens:
    provider.chargesMaxTokens === true
      ? Math.max(reserved.outputTokens, usage.outputTokens)
      : usage.outputTokens
})

/** How a provider is asked: for a whole answer, or for one bit by bit, of which the glimpse tells as it comes. */
export type Ask = (
  provider: Provider,
  request: Request,
  endpoint: Endpoint,
  glimpse: Glimpse
) => Effect.Effect<Attempt>

export interface Attempts {
  /** One attempt. `beforeCall` runs before the first HTTP call of a request. */
  readonly attempt: (
    request: Request,
    story: Story,
    ask: Ask,
    beforeCall: Effect.Effect<void, LlmError> | undefined
  ) => Effect.Effect<Response, LlmError>
  /** Waits until the domain that failed can afford a retry. */
  readonly afford: (story: Story) => Effect.Effect<void>
  /**
   * Whether the request goes to another endpoint after this error, without any wait. With `last` there is no retry
   * left: then one that is ill is waited for, if it was not asked yet.
   */
  readonly elsewhere: (request: Request, story: Story, error: LlmError, last: boolean) => boolean
  /**
   * Whether no endpoint could do better: an error that no wait mends, and that is no reason to ask another endpoint, or
   * one for which there is none. What others failed with before is of no interest then.
   */
  readonly isFinal: (request: Request, story: Story, error: LlmError) => boolean
  /** All endpoints have been tried, and the wait that follows is over: those that may be asked again are. */
  readonly again: (story: Story) => void
  /** Why no endpoint could be asked just now, or requests wait for the budget or a limit, where that is so. */
  readonly resting: () => string | undefined
  /** The error with all attempts, each with its own cause. */
  readonly told: (story: Story, error: LlmError) => LlmError
}

export const make = (
  runtime: Runtime.Runtime<Providers | RateLimiter | Router>,
  clock: Clock.Clock,
  events: AttemptEvents,
  patienceMs: number,
  budgets: Budgets | undefined,
  task?: string
): Attempts => {
  const services = runtime.context
  const providers = Context.get(services, Providers)
  const router = Context.get(services, Router)
  const limiter = Context.get(services, RateLimiter)
  const { pool } = router

  /** What an attempt was asked with. */
  interface Asked {
    readonly endpoint: Endpoint
    readonly provider: Provider
    readonly model: string
    readonly memory: DomainMemory
    readonly reserved: Reservation | undefined
  }

  /** Tells the limiter, and those who come after, what an attempt taught us. */
  const book = (
    asked: Asked,
    permit: Permit,
    start: Start,
    { outcome, throttle }: Attempt
  ): Effect.Effect<void> => {
    const { endpoint, memory, model, provider, reserved } = asked
    const rates = memory.told.read(throttle)
    const observed = rates === undefined ? Effect.void : limiter.observe(endpoint.domain, rates)
    if (Either.isRight(outcome)) {
      memory.answered()
      memory.refusals.answered(start)
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
        if (verdict._tag !== "Wait") return Effect.zipRight(given, permit.congested)
        const millis = Duration.toMillis(verdict.for)
        const congested = Effect.zipRight(given, permit.congested)
        if (!memory.refusals.refused(start, millis, clock.unsafeCurrentTimeMillis())) return congested
        // for longer, none would wait: each is to be told by the server, and to fail
        const paused = limiter.pause(endpoint.domain, Math.min(millis, patienceMs), error.message)
        return Effect.zipRight(congested, paused)
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
    given: Request,
    endpoint: Endpoint,
    story: Story,
    ask: Ask,
    beforeCall: Effect.Effect<void, LlmError> | undefined,
    turn?: Turn,
    hold?: Hold
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
    const request = fill(given, endpoint.parameters)
    const memory = memoryOf(limiter, endpoint.domain)
    const known = { endpoint, provider, model: request.model ?? endpoint.model ?? "", memory }
    const call = (asked: Asked) =>
      limiter.withPermit(endpoint.domain, asked.reserved ?? noCost, (permit) => {
        // what is found out while a request waits for its turn spares it the call
        const stopped = memory.stopped(clock.unsafeCurrentTimeMillis())
        if (stopped !== undefined) return Effect.fail(stopped)
        if (turn !== undefined) pool?.admitted(turn)
        const sent = Effect.suspend(() => {
          story.attempts++
          story.endpoint = endpoint
          const now = clock.unsafeCurrentTimeMillis()
          if (turn !== undefined) pool?.sent(turn, story.attempts === 1)
          const start = memory.refusals.start(now)
          const { model } = asked
          const hedge = turn?.beside !== undefined
          const answer = events.follow({ request, endpoint, model, bill: story, hedge, hold }, (glimpse) =>
            ask(provider, request, endpoint, glimpse)
          )
          return Effect.flatMap(answer, (attempt) => {
            if (attempt.isSent === false && turn !== undefined) pool?.notSent(turn)
            const booked = book(asked, permit, start, attempt)
            return booked === Effect.void ? attempt.outcome : Effect.zipRight(booked, attempt.outcome)
          })
        })
        return beforeCall === undefined || story.attempts > 0 ? sent : Effect.zipRight(beforeCall, sent)
      })
    return limiter.countsTokens(endpoint.domain)
      ? Effect.flatMap(reserve(known, request), (reserved) => call({ ...known, reserved }))
      : call({ ...known, reserved: undefined })
  }

  /** Makes an attempt at an endpoint, once there is room in the budget for it. See `Budgets.reserve`. */
  const paidFor = (
    request: Request,
    place: Effect.Effect<Endpoint, LlmError>,
    attempt: (endpoint: Endpoint, hold: Hold | undefined) => Effect.Effect<Response, LlmError>,
    leave: (() => void) | undefined
  ): Effect.Effect<Response, LlmError> =>
    budgets === undefined
      ? Effect.flatMap(place, (endpoint) => attempt(endpoint, undefined))
      : budgets.withHold((hold) =>
          Effect.flatMap(budgets.reserve(hold, request, place, leave), (endpoint) => attempt(endpoint, hold))
        )

  const domains: Domains = {
    clock,
    run: Runtime.runFork(runtime),
    delay: limiter.delay,
    headroom: limiter.headroom,
    stop: (domain, now) => memoryOf(limiter, domain).stop(now)
  }

  /** Makes the attempt at the endpoint of a turn, which gives it back with what became of it. */
  const legOf =
    (
      pool: Pool,
      request: Request,
      story: Story,
      ask: Ask,
      beforeCall: Effect.Effect<void, LlmError> | undefined
    ): Leg =>
    (turn, place) =>
      Effect.uninterruptibleMask((restore) => {
        const attempt = paidFor(
          request,
          Effect.map(place, ({ endpoint }) => endpoint),
          (endpoint, hold) => attemptAt(request, endpoint, story, ask, beforeCall, turn, hold),
          turn.beside === undefined ? () => pool.left(turn) : undefined
        )
        return Effect.matchCauseEffect(restore(attempt), {
          onFailure: (cause) => {
            const failed = Effect.failCause(cause)
            const endpoint = turn.member?.endpoint
            if (cause._tag !== "Fail" || endpoint === undefined) {
              pool.left(turn)
              story.isTurnedAway = true
              return failed
            }
            if (isRefusal(cause.error)) {
              pool.left(turn)
              // a second attempt may find no room just now; a first one was told that there never will be
              if (turn.beside !== undefined) return failed
              story.failed ??= new Map()
              story.failed.set(endpoint.id, Number.POSITIVE_INFINITY)
              story.error = cause.error
              note(story, endpoint, cause.error)
              return failed
            }
            note(story, endpoint, cause.error)
            const opened = pool.failed(turn, cause.error)
            return opened === undefined ? failed : Effect.zipRight(Effect.logWarning(opened), failed)
          },
          onSuccess: (response) => {
            pool.answered(turn, response.usage)
            return Effect.succeed(response)
          }
        })
      })

  /** Whichever endpoint it comes to. */
  const mayBeAskedTwice = (request: Request): boolean =>
    router.endpoints.every(
      ({ parameters }, index) =>
        (index > 0 && parameters === undefined) || mayBeHedged(fill(request, parameters))
    )

  /** One attempt in a pool, or two where the first is late. */
  const attemptIn = (
    pool: Pool,
    request: Request,
    story: Story,
    ask: Ask,
    beforeCall: Effect.Effect<void, LlmError> | undefined
  ): Effect.Effect<Response, LlmError> => {
    const leg = legOf(pool, request, story, ask, beforeCall)
    const isHedged = pool.hedges && story.isShowing !== true && mayBeAskedTwice(request)
    return Effect.suspend(() => {
      story.isTurnedAway = false
      const turn = new Turn(request, story, domains, request.task ?? task)
      if (!isHedged) return leg(turn, pool.turn(turn))
      return hedged(pool, turn, leg, ({ endpoint }) => {
        story.endpoint = endpoint
      })
    })
  }

  const note = (story: Story, endpoint: Endpoint, error: LlmError): void => {
    story.causes ??= []
    if (story.causes.length === mostCauses) story.causes.shift()
    story.causes.push(causeOf(endpoint, error))
  }

  const attempt: Attempts["attempt"] = (request, story, ask, beforeCall) => {
    if (pool !== undefined) return attemptIn(pool, request, story, ask, beforeCall)
    // made once and run again for each retry
    const [endpoint] = router.endpoints
    return Effect.suspend(() =>
      paidFor(
        request,
        Effect.succeed(endpoint),
        (endpoint, hold) => attemptAt(request, endpoint, story, ask, beforeCall, undefined, hold),
        () => {}
      )
    )
  }

  const elsewhere: Attempts["elsewhere"] = (request, story, error, last) => {
    if (pool === undefined || !pool.failover.has(error._tag)) return false
    if (story.isTurnedAway === true && !last) return false
    // what has failed is not asked once more without the wait that there will not be
    if (last && story.failed !== undefined) {
      for (const id of story.failed.keys()) story.failed.set(id, Number.POSITIVE_INFINITY)
    }
    return pool.hasOther({ past: story, request, domains, task: request.task ?? task }, last)
  }

  const isFinal: Attempts["isFinal"] = (request, story, error) => {
    if (isRetryable(error)) return false
    if (pool === undefined || !pool.failover.has(error._tag)) return true
    return (
      error._tag === "ContextLengthError" &&
      !pool.hasLarger({ past: story, request, domains, task: request.task ?? task })
    )
  }

  const again: Attempts["again"] = ({ failed }) => {
    if (failed === undefined) return
    const now = clock.unsafeCurrentTimeMillis()
    for (const [id, until] of failed) if (until <= now) failed.delete(id)
  }

  /** When the limits admit a request again, where all of them let it wait for long. */
  const heldBack = (): string | undefined => {
    const waits: Array<string> = []
    for (const { domain, id } of router.endpoints) {
      const millis = limiter.delay(domain, 0)
      if (millis < longWait || millis === Number.POSITIVE_INFINITY) return undefined
      waits.push(`${id} is paused or at its limit for ${Math.ceil(millis / 1_000)} s`)
    }
    return waits.slice(0, 5).join("; ")
  }

  const resting = () => pool?.resting(clock.unsafeCurrentTimeMillis()) ?? budgets?.waiting() ?? heldBack()

  const told: Attempts["told"] = ({ causes }, error) =>
    causes === undefined ? error : withAttempts(error, causes)

  const afford: Attempts["afford"] = ({ endpoint }) =>
    Effect.suspend(() =>
      endpoint === undefined ? Effect.void : memoryOf(limiter, endpoint.domain).retries.take
    )

  return { attempt, afford, elsewhere, isFinal, again, resting, told }
}
