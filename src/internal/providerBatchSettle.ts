/**
 * Requests of a batch with the outcomes of their lines; and the observers are told of each line that was run, once, and
 * of each request, with what it cost at the price of batches.
 */
import type * as Clock from "effect/Clock"
import * as Either from "effect/Either"
import type * as Cache from "../Cache.js"
import { CancelledError, type LlmError } from "../LlmError.js"
import type { Outcome, Settled } from "../Outcome.js"
import * as Prices from "../Prices.js"
import type { Request } from "../Request.js"
import { type Meta, type Response, withMeta } from "../Response.js"
import type { Usage } from "../Usage.js"
import { type Charge, chargeOf, priceOf } from "./billedPrice.js"
import * as EmbeddingAnswer from "./embeddingAnswer.js"
import type { AttemptEvent, Observer, RequestEvent } from "./observe.js"
import { type Answer, type Answers, tier } from "./providerBatchAnswers.js"
import type { Entry, Unit } from "./providerBatchPlan.js"
import { fill } from "./requestDefaults.js"
import * as SchemaCheck from "./schemaCheck.js"

/** What became of the request at this place of the input. To be asked once for each, for the sake of the observers. */
export type Settler = (index: number, entry: Entry) => Settled<Request>

const unasked = (model: string | undefined) =>
  new CancelledError({
    provider: "floodgate",
    message: `The request is in none of these jobs${model === undefined ? "" : ` (model ${model})`}`
  })

/** The lines of one request. */
interface Told {
  /** Those that were run, and that no request before it had. */
  readonly events: ReadonlyArray<AttemptEvent>
  /** Whether there are others, which another request of this batch had. */
  readonly isShared: boolean
}

export const make = (options: {
  readonly units: ReadonlyMap<string, Unit>
  readonly answers: Answers
  readonly observer: Observer | undefined
  readonly prices: Prices.Service
  readonly clock: Clock.Clock
  readonly latencyMs: number
  readonly task: string | undefined
}): Settler => {
  const { answers, clock, latencyMs, observer, prices, units } = options
  const seen = new Set<string>()

  /** What this usage costs at the price of batches. */
  const charge = ({ prepared, request, target }: Unit, usage: Usage, answeredBy: string): Charge => {
    const { endpoint } = target
    const { model } = prepared
    const at = clock.unsafeCurrentTimeMillis()
    const sent = fill(request, endpoint.parameters)
    return chargeOf(priceOf(prices, endpoint, sent, { model, answeredBy, at }), usage, { batch: true })
  }

  const eventOf = (unit: Unit, outcome: Answer["outcome"], tookMs: number): AttemptEvent => {
    const { key, prepared, request, target } = unit
    const { endpoint } = target
    const response = Either.isRight(outcome) ? outcome.right.response : undefined
    const error = Either.isLeft(outcome) ? outcome.left : undefined
    const usage = response?.usage ?? error?.usage
    const charged = usage === undefined ? undefined : charge(unit, usage, response?.model ?? prepared.model)
    return {
      at: clock.unsafeCurrentTimeMillis(),
      latencyMs: tookMs,
      endpoint: endpoint.id,
      provider: endpoint.provider,
      model: prepared.model,
      domain: endpoint.domain,
      task: request.task ?? options.task,
      request,
      key,
      attempt: 1,
      hedge: false,
      outcome: error === undefined ? "answered" : error._tag,
      response,
      error,
      usage,
      cost: charged?.cost,
      prices: prices.version,
      doubts: charged?.doubts,
      unsettled: undefined,
      serviceTier: tier,
      requestId: response?.meta.requestId ?? error?.requestId
    }
  }

  /** The lines that a request is the first to have are its own. */
  const tell = (ids: ReadonlyArray<string>): Told => {
    const events: Array<AttemptEvent> = []
    let isShared = false
    for (const id of ids) {
      const unit = units.get(id)
      const { outcome, tookMs } = answers.get(id) ?? {}
      if (unit === undefined || outcome === undefined || tookMs === undefined) continue
      if (seen.has(id)) {
        isShared = true
        continue
      }
      seen.add(id)
      const event = eventOf(unit, outcome, tookMs)
      events.push(event)
      observer?.attempt?.(event)
    }
    return { events, isShared }
  }

  /** What all of these cost together, in dollars, where all have a price. */
  const paid = (events: ReadonlyArray<AttemptEvent>): Pick<Meta, "cost"> | undefined => {
    let sum: Prices.Money = 0n
    for (const { cost } of events) {
      if (cost === "unpriced") return undefined
      sum += cost ?? 0n
    }
    return { cost: Prices.toDollars(sum) }
  }

  /** The answer out of those of the lines. */
  const join = (request: Request, ids: ReadonlyArray<string>): Either.Either<Response, LlmError> => {
    const hits: Array<Cache.Hit> = []
    for (const id of ids) {
      const outcome = answers.get(id)?.outcome ?? Either.left(unasked(request.model))
      if (Either.isLeft(outcome)) return Either.left(outcome.left)
      hits.push(outcome.right)
    }
    const [only] = hits
    const joined =
      request._tag === "Embedding" && hits.length !== 1 ? EmbeddingAnswer.join(hits, request) : only
    return joined === undefined ? Either.left(unasked(request.model)) : Either.right(joined.response)
  }

  const settled = (
    request: Request,
    key: string | undefined,
    outcome: Outcome<Response>,
    attempts: number,
    origin: RequestEvent["origin"],
    saved: RequestEvent["saved"]
  ): void =>
    observer?.request?.({
      at: clock.unsafeCurrentTimeMillis(),
      latencyMs,
      request,
      key,
      task: request.task ?? options.task,
      origin,
      outcome: Either.isRight(outcome) ? "answered" : outcome.left._tag,
      response: Either.getOrUndefined(outcome),
      error: Either.isLeft(outcome) ? outcome.left : undefined,
      attempts,
      saved
    })

  return (index, { check, ids, key, request }) => {
    const keyed = key === undefined ? undefined : { key }
    if (request === undefined || Either.isLeft(ids)) {
      const outcome = Either.isLeft(ids) ? Either.left(ids.left) : Either.left(unasked(undefined))
      if (request !== undefined) settled(request, key, outcome, 0, "call", undefined)
      return { index, request, outcome, meta: { attempts: 0, cached: false, latencyMs, ...keyed } }
    }
    const { events, isShared } = tell(ids.right)
    const attempts = events.length
    const joined = join(request, ids.right)
    const [first] = ids.right
    const unit = first === undefined ? undefined : units.get(first)
    if (Either.isLeft(joined)) {
      settled(request, key, joined, attempts, "call", undefined)
      const meta: Meta = { attempts, cached: false, latencyMs, ...keyed }
      return { index, request, outcome: joined, meta: attempts === 0 ? meta : { ...meta, ...paid(events) } }
    }
    const { meta: told, model, usage } = joined.right
    const cached = attempts === 0
    const saved = cached && unit !== undefined ? charge(unit, usage, model).cost : undefined
    const meta: Meta = {
      attempts,
      cached,
      latencyMs,
      ...(cached || unit === undefined ? undefined : { endpoint: unit.target.endpoint.id }),
      ...(cached || told.requestId === undefined ? undefined : { requestId: told.requestId }),
      ...keyed,
      ...(saved === "unpriced" ? undefined : paid(events))
    }
    const answer = withMeta(joined.right, meta)
    const outcome = check === undefined ? Either.right(answer) : SchemaCheck.read(answer, check)
    // it was paid for, and does not fit
    if (Either.isLeft(outcome)) for (const event of events) observer?.wasted?.(event)
    settled(request, key, outcome, attempts, cached ? (isShared ? "flight" : "store") : "call", saved)
    return { index, request, outcome, meta }
  }
}
