/**
 * Tells the observers of each attempt and each request, once, with what it cost; and keeps for each request what its
 * attempts cost together.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Origin } from "../Cache.js"
import type { Endpoint } from "../Endpoint.js"
import type { LlmError } from "../LlmError.js"
import type { Outcome } from "../Outcome.js"
import * as Prices from "../Prices.js"
import type { Attempt } from "../Providers.js"
import type { Request } from "../Request.js"
import type { Response } from "../Response.js"
import type { Usage } from "../Usage.js"
import { type Charge, chargeOf, priceOf } from "./billedPrice.js"
import type { Hold } from "./budgetHold.js"
import { callAtMost, tierOf } from "./callAtMost.js"
import { leftOut } from "./features.js"
import type { AttemptEvent, Journey, Observer } from "./observe.js"

/** What is known of a call before it has ended, of a stream. */
export interface Glimpse {
  /** What it has said of its usage so far. */
  usage: Usage | undefined
  /** Whether the answer has begun: then it is billed for, however it ends. */
  hasBegun: boolean
}

/** What a request's attempts cost, noted down while it is on its way. */
export interface Bill {
  /** What its attempts cost so far; `"unpriced"` once one of them has no price. */
  cost?: Prices.Money | "unpriced" | undefined
  /** The attempt whose answer the request has, as the observers were told. */
  answer?: AttemptEvent | undefined
  /** The key of the request. */
  key?: string | undefined
  /** The request; absent where several share its attempts. */
  readonly journey?: Journey | undefined
}

/** An attempt that is about to be sent. */
export interface Sent {
  readonly request: Request
  readonly endpoint: Endpoint
  /** The model that is asked. */
  readonly model: string
  readonly bill: Bill & { readonly attempts: number }
  readonly hedge: boolean
  /** What is reserved for it of a budget, if there is one. It is settled as the attempt ends. */
  readonly hold?: Hold | undefined
}

/** A request that is settled. */
export interface Settling {
  readonly request: Request
  readonly bill: Bill & { readonly attempts: number }
  readonly origin: Origin | "checkpoint"
  readonly outcome: Outcome<Response>
  /** When it began. */
  readonly start: number
}

export interface AttemptEvents {
  /** Makes the call, and tells how it ended. */
  readonly follow: (sent: Sent, ask: (glimpse: Glimpse) => Effect.Effect<Attempt>) => Effect.Effect<Attempt>
  /** What the request has of an answer is not the one that it will get. */
  readonly discard: (bill: Bill) => void
  /** The calls of a request: without an answer in the end, what they brought is of no use. */
  readonly watched: <A, E, R>(bill: Bill, calls: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Adds the request's part of a call that it shared with others. */
  readonly share: (bill: Bill, request: Request, response: Response, endpoint: Endpoint | undefined) => void
  /** The request was given an answer that cost nothing. */
  readonly free: (bill: Bill, request: Request, response: Response) => void
  readonly settled: (settling: Settling) => void
  /** The whole way of a request, of whose end without an outcome is told. */
  readonly whole: <A, E, R>(
    request: Request,
    bill: Bill,
    way: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
}

/** Failures of the connection after which the server may have had the request. Without a code none is known. */
const lostOnTheWay: ReadonlySet<string | undefined> = new Set([
  undefined,
  "ECONNRESET",
  "EPIPE",
  "ECONNABORTED",
  "ETIMEDOUT",
  "ERR_STREAM_PREMATURE_CLOSE",
  "UND_ERR_SOCKET",
  "UND_ERR_ABORTED",
  "UND_ERR_DESTROYED",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_RES_EXCEEDED_MAX_SIZE"
])

/** Statuses of a gateway that lost the server behind it, which may have answered, or answer still. */
const lostBehind: ReadonlySet<number | undefined> = new Set([502, 504, 520, 524])

/** Whether the provider may bill for an answer that did not reach us. Errors that the server itself states are free. */
const mayBeBilled = ({ _tag, code, status }: LlmError): boolean =>
  lostBehind.has(status) ||
  _tag === "TimeoutError" ||
  _tag === "CancelledError" ||
  (_tag === "NetworkError" && (status === undefined ? lostOnTheWay.has(code) : status < 300))

const notCharged = { cost: undefined, doubts: undefined }

/** The tier of the answer; where it names none, that of the request, if it was sent. */
const billedTier = (request: Request, response: Response | undefined): string | undefined => {
  if (response?._tag !== "ChatResponse") return tierOf(request)
  const wasDropped = response.warnings?.includes(leftOut(response.provider, "serviceTier")) === true
  return response.serviceTier ?? (wasDropped ? undefined : tierOf(request))
}

export const make = (options: {
  readonly observer: Observer | undefined
  readonly prices: Prices.Service
  readonly endpoints: ReadonlyArray<Endpoint>
  readonly clock: Clock.Clock
  readonly task: string | undefined
}): AttemptEvents => {
  const { clock, endpoints, observer, prices, task } = options

  const add = (bill: Bill, cost: Prices.Money | "unpriced"): void => {
    if (cost === "unpriced") bill.cost = cost
    else if (bill.cost !== "unpriced") bill.cost = (bill.cost ?? 0n) + cost
  }

  /** What an attempt cost; adds it to the request's bill. */
  const charge = (
    { bill, endpoint, model, request }: Sent,
    usage: Usage,
    response: Response | undefined
  ): Charge => {
    const at = clock.unsafeCurrentTimeMillis()
    const price = priceOf(prices, endpoint, request, { model, answeredBy: response?.model ?? model, at })
    const charge = chargeOf(price, usage, { serviceTier: billedTier(request, response) })
    add(bill, charge.cost)
    return charge
  }

  /** What the answer costs at this endpoint, or at one that would be asked for it. */
  const worth = (request: Request, response: Response, given?: Endpoint): Prices.Money | "unpriced" => {
    const at = clock.unsafeCurrentTimeMillis()
    const { provider } = response
    const model = request.model ?? given?.model ?? response.model
    const endpoint =
      given ??
      endpoints.find((one) => one.provider === provider && (one.model ?? model) === model) ??
      endpoints.find((one) => one.provider === provider)
    const price =
      endpoint === undefined
        ? prices.find({ provider, model, at })
        : priceOf(prices, endpoint, request, { model, answeredBy: response.model, at })
    return price === undefined
      ? "unpriced"
      : Prices.cost(price, response.usage, { serviceTier: billedTier(request, response) })
  }

  const usageOf = ({ outcome }: Attempt): Usage | undefined =>
    Either.isRight(outcome) ? outcome.right.usage : outcome.left.usage

  const worstOf = ({ endpoint, model, request }: Sent, paid: Prices.Money): Prices.Money | undefined => {
    const worst = callAtMost(prices, endpoint, request, model, clock.unsafeCurrentTimeMillis()).money
    return worst === undefined ? undefined : worst > paid ? worst - paid : 0n
  }

  /** Tells how an attempt ended. `end` is missing where it has brought nothing. */
  const tell = (
    sent: Sent,
    attempt: number,
    start: number,
    outcome: AttemptEvent["outcome"],
    end: {
      readonly usage: Usage | undefined
      readonly response?: Response | undefined
      readonly error?: LlmError | undefined
      readonly hasBegun: boolean
    }
  ): AttemptEvent => {
    const { bill, endpoint, hedge, model, request } = sent
    const { error, hasBegun, response, usage } = end
    const { cost, doubts } = usage === undefined ? notCharged : charge(sent, usage, response)
    const isUnsettled = response === undefined && (hasBegun || error === undefined || mayBeBilled(error))
    // of an estimate nobody knows what it was billed
    sent.hold?.settle({ usage, cost, isFinal: !isUnsettled && usage?.estimated !== true })
    const at = clock.unsafeCurrentTimeMillis()
    const event: AttemptEvent = {
      at,
      latencyMs: at - start,
      endpoint: endpoint.id,
      provider: endpoint.provider,
      model,
      domain: endpoint.domain,
      task: request.task ?? task,
      request,
      key: bill.key,
      attempt,
      hedge,
      outcome,
      response,
      error,
      usage,
      cost,
      prices: prices.version,
      doubts,
      unsettled: isUnsettled ? { worst: worstOf(sent, typeof cost === "bigint" ? cost : 0n) } : undefined,
      serviceTier: billedTier(request, response),
      requestId: response?.meta.requestId ?? error?.requestId,
      journey: bill.journey
    }
    observer?.attempt?.(event)
    return event
  }

  const discard = (bill: Bill): void => {
    if (bill.answer === undefined) return
    observer?.wasted?.(bill.answer)
    bill.answer = undefined
  }

  const follow: AttemptEvents["follow"] = (sent, ask) => {
    const glimpse: Glimpse = { usage: undefined, hasBegun: false }
    if (observer === undefined && sent.hold === undefined) {
      return Effect.map(ask(glimpse), (attempt) => {
        const usage = usageOf(attempt)
        if (usage !== undefined) {
          charge(sent, usage, Either.isRight(attempt.outcome) ? attempt.outcome.right : undefined)
        }
        return attempt
      })
    }
    const start = clock.unsafeCurrentTimeMillis()
    // others may be sent before it ends
    const number = sent.bill.attempts
    return Effect.uninterruptibleMask((restore) =>
      Effect.matchCauseEffect(restore(ask(glimpse)), {
        onFailure: (cause) => {
          const { hasBegun, usage } = glimpse
          const outcome = Cause.isInterrupted(cause) ? "interrupted" : "defect"
          tell(sent, number, start, outcome, { usage, hasBegun })
          return Effect.failCause(cause)
        },
        onSuccess: (attempt) => {
          const { outcome } = attempt
          // what was refused before it went out is no call; what is held for it is given back with the hold
          if (attempt.isSent === false) return Effect.succeed(attempt)
          const { hasBegun } = glimpse
          const usage = usageOf(attempt)
          if (Either.isLeft(outcome)) {
            tell(sent, number, start, outcome.left._tag, { usage, error: outcome.left, hasBegun })
            return Effect.succeed(attempt)
          }
          const event = tell(sent, number, start, "answered", { usage, response: outcome.right, hasBegun })
          // of two that answered, the first was taken
          if (sent.bill.answer === undefined) sent.bill.answer = event
          else observer?.wasted?.(event)
          return Effect.succeed(attempt)
        }
      })
    )
  }

  return {
    follow,
    discard,
    watched: (bill, calls) =>
      observer === undefined ? calls : Effect.onError(calls, () => Effect.sync(() => discard(bill))),
    share: (bill, request, response, endpoint) => add(bill, worth(request, response, endpoint)),
    free: (bill, request, response) => {
      if (bill.cost === undefined && worth(request, response) !== "unpriced") bill.cost = 0n
    },
    settled: ({ bill, origin, outcome, request, start }) => {
      if (observer?.request === undefined) return
      const at = clock.unsafeCurrentTimeMillis()
      const response = Either.isRight(outcome) ? outcome.right : undefined
      const error = Either.isLeft(outcome) ? outcome.left : undefined
      observer.request({
        at,
        latencyMs: at - start,
        request,
        key: bill.key,
        task: request.task ?? task,
        origin,
        outcome: error === undefined ? "answered" : error._tag,
        response,
        error,
        attempts: bill.attempts,
        saved: origin === "call" || response === undefined ? undefined : worth(request, response),
        journey: bill.journey
      })
    },
    whole: (request, { journey }, way) => {
      const abandoned = observer?.abandoned
      if (abandoned === undefined || journey === undefined) return way
      return Effect.onError(way, () =>
        Effect.sync(() => abandoned({ at: clock.unsafeCurrentTimeMillis(), request, journey }))
      )
    }
  }
}
