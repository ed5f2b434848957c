/**
 * The road of one request below the batch: cache, then retry around router, limiter and provider. Services are
 * looked up once, so that a request costs a few closures and no context.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { identity } from "effect/Function"
import type * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import type * as Budget from "../Budget.js"
import { Cache, type Hit, type Mode } from "../Cache.js"
import { CancelledError, isRetryable, type LlmError, TimeoutError, waitHint } from "../LlmError.js"
import type { Outcome } from "../Outcome.js"
import { Prices, toDollars } from "../Prices.js"
import { Providers } from "../Providers.js"
import type { RateLimiter } from "../RateLimiter.js"
import {
  type Embedding,
  fromInput,
  type Request,
  type RequestInput,
  type Rerank,
  withFields
} from "../Request.js"
import { type Meta, type Response, withMeta } from "../Response.js"
import { type Policy, patienceOf, RetryPolicy } from "../Retry.js"
import { type Resolved, Router } from "../Router.js"
import type { StreamPart } from "../StreamPart.js"
import * as AttemptEvents from "./attemptEvents.js"
import * as Attempts from "./attempts.js"
import type { BudgetAccount } from "./budgetAccount.js"
import * as BudgetHold from "./budgetHold.js"
import type { SpendingRecord } from "./budgetRecord.js"
import { accountsOf } from "./budgetsOf.js"
import { cacheKey } from "./cacheKey.js"
import { modeOf } from "./cacheMode.js"
import * as Embedder from "./embedder.js"
import * as EmbeddingAnswer from "./embeddingAnswer.js"
import * as Observe from "./observe.js"
import * as RankingParts from "./rankingParts.js"
import * as SchemaCheck from "./schemaCheck.js"
import * as StreamedAttempt from "./streamedAttempt.js"

/** The services below every request. */
export type Services = Providers | Cache | RateLimiter | Router

export interface Options {
  /**
   * How long one attempt may take, from sending to the last byte. Default 10 minutes, as the providers' own
   * clients have it: a long answer of a slow model is not a failure. Of a streamed answer it is how long the server may
   * be silent.
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
  /**
   * The most that may be spent: `"25 USD"`, `{ usd: 25, tokens: 1_000_000 }`, or a `Budget.make` that others may share
   * and whose state can be read. An amount that cannot be read is a defect. Default: only what the layer of a `Budget`
   * says, if there is one.
   */
  readonly budget?: Budget.Input | Budget.Service | undefined
  /**
   * Have chats answered bit by bit on the wire, where the provider can, and give the whole answer as ever: for long
   * answers behind proxies that close a connection which is silent for a minute. Default `false`.
   */
  readonly streaming?: boolean | undefined
  /** The task of the router under which requests are asked: its defaults and its endpoints. Default: none. */
  readonly task?: string | undefined
}

/** What became of a request, with its meta in either case. */
export interface Completed {
  readonly outcome: Outcome<Response>
  readonly meta: Meta
}

export interface CompleteOptions<E> {
  readonly key?: string | undefined
  readonly beforeCall?: Effect.Effect<void, E> | undefined
  /** Is given the parts of a streamed answer as they come. */
  readonly onPart?: ((part: StreamPart) => void) | undefined
}

export interface Completer {
  /** The request as it will be asked, or why it cannot be. */
  readonly resolve: (input: RequestInput) => Effect.Effect<Resolved, LlmError>
  /**
   * The outcome of a request. `beforeCall` runs once, before its first HTTP call, and not at all if none is
   * made; if it fails, there is no call.
   */
  readonly complete: <E>(resolved: Resolved, options: CompleteOptions<E>) => Effect.Effect<Completed, E>
  /**
   * The outcomes of those requests that a stored answer settles as it is, in one look at the cache; the others are for
   * `complete`. Absent where no answer is stored.
   */
  readonly recall: ((asked: ReadonlyArray<Keyed>) => Effect.Effect<ReadonlyMap<Keyed, Completed>>) | undefined
}

/** A request as it will be asked, with its key. */
export interface Keyed extends Resolved {
  readonly key: string
}

/** Whether the vectors of the texts do not depend on each other, as those of Jina's late chunking do. */
export const areApart = ({ extra, input }: Embedding): boolean =>
  // inputs of other kinds travel in `extra`; without any there is nothing to ask
  (input.length > 0 || extra === undefined) && extra?.late_chunking !== true

/** Of two errors the one that can be retried the sooner; if neither can, the later. */
const soonest = (before: LlmError | undefined, error: LlmError): LlmError => {
  if (before === undefined || !isRetryable(before)) return error
  if (!isRetryable(error)) return before
  return Duration.lessThan(waitHint(before), waitHint(error)) ? before : error
}

/** What the attempts of a request cost, in dollars, where all have a price. */
const costOf = ({ cost }: Attempts.Story): Pick<Meta, "cost"> | undefined =>
  typeof cost === "bigint" ? { cost: toDollars(cost) } : undefined

/** A completer over the services at hand. Made once for a batch, and for each single `complete`. */
export const make = (options: Options, spending?: Spending): Effect.Effect<Completer, never, Services> =>
  Effect.flatMap(Effect.runtime<Services>(), (runtime) =>
    Effect.clockWith((clock) =>
      Effect.zipWith(
        Observe.observer,
        spending === undefined
          ? Effect.map(accountsOf(options.budget), (accounts): Spending => ({ accounts, record: undefined }))
          : Effect.succeed(spending),
        (observer, spending) => fromServices(options, runtime, clock, observer, spending)
      )
    )
  )

/** What attempts are booked in, where a batch has opened it. */
export interface Spending {
  readonly accounts: ReadonlyArray<BudgetAccount>
  readonly record: SpendingRecord | undefined
}

/** The story of a request that begins now. */
type Begun = Attempts.Story & { readonly journey: Observe.Journey }

const storyOf = (start: number, isShowing: boolean): Begun => ({
  attempts: 0,
  endpoint: undefined,
  failed: undefined,
  shown: false,
  isShowing,
  journey: { start }
})

const defaultTimeoutMs = Duration.toMillis("10 minutes")

const fromServices = (
  options: Options,
  runtime: Runtime.Runtime<Services>,
  clock: Clock.Clock,
  observer: Observe.Observer | undefined,
  { accounts, record }: Spending
): Completer => {
  const services = runtime.context
  const providers = Context.get(services, Providers)
  const router = Context.get(services, Router)
  const cache = Context.get(services, Cache)
  const policy = options.retry ?? Context.get(services, RetryPolicy)
  const timeoutMs = options.timeout === undefined ? defaultTimeoutMs : Duration.toMillis(options.timeout)
  const budgets =
    accounts.length === 0
      ? undefined
      : BudgetHold.make(accounts, Context.get(services, Prices), clock, record)
  const events = AttemptEvents.make({
    observer,
    prices: Context.get(services, Prices),
    endpoints: router.endpoints,
    clock,
    task: options.task
  })
  const {
    afford,
    again: anew,
    attempt,
    elsewhere,
    isFinal,
    resting,
    told
  } = Attempts.make(runtime, clock, events, patienceOf(policy), budgets, options.task)

  const askWhole: Attempts.Ask = (provider, request, endpoint) =>
    provider.attempt(request, endpoint, timeoutMs)

  /** How a request is asked: as one answer, or part by part. */
  const askOf = (request: Request, story: Attempts.Story, onPart: CompleteOptions<never>["onPart"]) =>
    request._tag === "Chat" && (onPart !== undefined || options.streaming === true)
      ? StreamedAttempt.ask({ timeoutMs, story, onPart, required: onPart !== undefined })
      : askWhole

  /**
   * The schedule is only built once an attempt has failed: most never do. It says when an endpoint that failed is asked
   * again; one that has not failed this request is asked at once.
   */
  const retried = (
    request: Request,
    once: Effect.Effect<Response, LlmError>,
    story: Attempts.Story
  ): Effect.Effect<Response, LlmError> =>
    Effect.catchAll(once, (error) =>
      Effect.flatMap(Schedule.driver(policy), (driver) => {
        let hopeful: LlmError | undefined
        const again = (error: LlmError): Effect.Effect<Response, LlmError> => {
          // what has been shown cannot be taken back
          if (story.shown) return Effect.fail(told(story, error))
          if (elsewhere(request, story, error, false)) {
            hopeful = soonest(hopeful, error)
            return Effect.catchAll(once, again)
          }
          const best = isFinal(request, story, error) ? error : soonest(hopeful, error)
          hopeful = undefined
          return Effect.matchEffect(driver.next(best), {
            onFailure: () =>
              elsewhere(request, story, error, true)
                ? Effect.catchAll(once, again)
                : Effect.fail(told(story, best)),
            onSuccess: () => {
              anew(story)
              return Effect.zipRight(afford(story), Effect.catchAll(once, again))
            }
          })
        }
        return again(error)
      })
    )

  const deadline = options.deadline === undefined ? undefined : Duration.decode(options.deadline)
  /** Lies around the cache: who waits for the call of another waits as long as it has said itself, and no less. */
  const inTime = (
    answered: Effect.Effect<Hit, LlmError>,
    story: Attempts.Story,
    late: (error: LlmError) => LlmError
  ): Effect.Effect<Hit, LlmError> =>
    deadline === undefined
      ? answered
      : Effect.timeoutFail(answered, {
          duration: deadline,
          onTimeout: () => {
            const why = resting()
            const within = `No answer within the deadline of ${Duration.format(deadline)}`
            const error = new TimeoutError({
              provider: "floodgate",
              message: why === undefined ? within : `${within}: ${why}`
            })
            return late(told(story, error))
          }
        })

  const embed = Embedder.make(
    (request, story, begin) =>
      events.watched(story, retried(request, attempt(request, story, askWhole, begin), story)),
    () => Embedder.limitsOf(providers, router.endpoints)
  )

  /** A request in parts: each is looked up, and asked for, by itself. */
  const inParts = <R extends Request>(
    parts: ReadonlyArray<R>,
    { request, source }: Resolved,
    story: Attempts.Story,
    before: Effect.Effect<void, LlmError> | undefined,
    ask: (part: R, index: number, begin: Embedder.Begin) => Effect.Effect<Embedder.PartAnswer, LlmError>
  ): Effect.Effect<ReadonlyArray<Hit>, LlmError> => {
    const calls = new Set<Attempts.Story>()
    // once for the whole request, before its first call: parts for which there is no room begin nothing
    const begin =
      before === undefined ? undefined : Effect.runSync(Effect.cached(Effect.uninterruptible(before)))
    const one = (part: R, index: number): Effect.Effect<Hit, LlmError> => {
      const call = Effect.map(ask(part, index, begin), ({ call, response }): Response => {
        calls.add(call.story)
        events.share(story, part, response, call.story.endpoint)
        return response
      })
      return cache.enabled || modeOf(request, options.cache) === "replay"
        ? cache.getOrCall(cacheKey({ request: part, source }), call, { request: part, mode: options.cache })
        : Effect.map(call, (response) => ({ response, origin: "call" as const }))
    }
    // each to its end: what is paid for is stored, whatever becomes of the others
    const each = Effect.forEach(parts, (part, index) => Effect.either(one(part, index)), {
      concurrency: "unbounded"
    })
    return Effect.flatMap(each, (outcomes) => {
      for (const { attempts, endpoint } of calls) {
        story.attempts += attempts
        story.endpoint ??= endpoint
      }
      return Either.all(outcomes)
    })
  }

  /** A request for vectors, text by text. */
  const embedAll = (
    resolved: Resolved & { readonly request: Embedding },
    story: Attempts.Story,
    before: Effect.Effect<void, LlmError> | undefined
  ): Effect.Effect<Hit, LlmError> => {
    const { request } = resolved
    const texts = request.input.map((text) => withFields(request, { input: [text] }))
    const answers = inParts(texts, resolved, story, before, (_, index, begin) =>
      embed(request, request.input[index] ?? "", begin)
    )
    return Effect.map(answers, (answers) => EmbeddingAnswer.join(answers, request))
  }

  /** The least that the providers at hand take in one call. */
  const rerankDocuments = (): number =>
    router.endpoints.reduce(
      (least, { provider }) =>
        Math.min(least, providers.get(provider)?.rerankDocuments ?? Number.POSITIVE_INFINITY),
      Number.POSITIVE_INFINITY
    )

  const isTooMany = ({ documents }: Rerank): boolean => documents.length > rerankDocuments()

  /** A ranking of more documents than one call takes. */
  const rankAll = (
    resolved: Resolved & { readonly request: Rerank },
    most: number,
    story: Attempts.Story,
    before: Effect.Effect<void, LlmError> | undefined
  ): Effect.Effect<Hit, LlmError> => {
    const { request } = resolved
    const parts = RankingParts.split(request, most)
    const answers = inParts(parts, resolved, story, before, (part, _, begin) =>
      Effect.suspend(() => {
        const own = { ...Embedder.newStory(), journey: story.journey }
        const call = retried(part, attempt(part, own, askWhole, begin), own)
        return Effect.map(events.watched(own, call), (response) => ({ response, call: { story: own } }))
      })
    )
    return Effect.flatMap(answers, (answers) => RankingParts.join(answers, request, most))
  }

  /**
   * The answer that is stored or under way, if it fits: it may have been judged by another schema, or by none. If not,
   * a new one takes its place.
   */
  const fitting = (
    key: string,
    call: Effect.Effect<Response, LlmError>,
    request: Request,
    check: SchemaCheck.Check
  ): Effect.Effect<Hit, LlmError> =>
    Effect.matchEffect(cache.getOrCall(key, call, { request, mode: options.cache }), {
      onSuccess: (hit) => {
        if (hit.origin === "call" || SchemaCheck.fits(hit.response, check)) return Effect.succeed(hit)
        const mode = (request.cache?.mode ?? options.cache) === "readOnly" ? "bypass" : "refresh"
        const anew = withFields<Request>(request, { cache: { ...request.cache, mode } })
        return fitting(key, call, anew, check)
      },
      onFailure: (error) =>
        SchemaCheck.agrees(error, check) ? Effect.fail(error) : fitting(key, call, request, check)
    })

  const resolve: Completer["resolve"] = (input) =>
    Effect.flatMap(Either.flatMap(fromInput(input), SchemaCheck.admit), (request) =>
      router.resolve(request, request.task ?? options.task)
    )

  const metaOf = (story: Begun, cached: boolean, requestId: string | undefined): Meta => ({
    attempts: story.attempts,
    cached,
    latencyMs: clock.unsafeCurrentTimeMillis() - story.journey.start,
    ...(story.endpoint === undefined ? undefined : { endpoint: story.endpoint.id }),
    ...(requestId === undefined ? undefined : { requestId }),
    ...(story.key === undefined ? undefined : { key: story.key }),
    ...costOf(story)
  })

  /** What became of a request that has an answer, which observers are told. */
  const answeredBy = (
    { origin, response }: Hit,
    request: Request,
    story: Begun,
    check: SchemaCheck.Check | undefined
  ): Completed => {
    if (origin !== "call") events.free(story, request, response)
    const meta = metaOf(story, origin !== "call", origin === "store" ? undefined : response.meta.requestId)
    const told = withMeta(response, meta)
    const outcome = check === undefined ? Either.right(told) : SchemaCheck.read(told, check)
    events.settled({ request, bill: story, origin, outcome, start: story.journey.start })
    return { outcome, meta }
  }

  /** Whether one stored answer is the whole answer, and nothing more than an answer is asked for. */
  const isOneAnswer = (request: Request): boolean =>
    SchemaCheck.of(request) === undefined &&
    !(request._tag === "Embedding" && areApart(request)) &&
    !(request._tag === "Rerank" && isTooMany(request))

  const recall: Completer["recall"] = cache.enabled
    ? (asked) =>
        Effect.suspend(() => {
          const start = clock.unsafeCurrentTimeMillis()
          const simple = asked.filter(({ request }) => isOneAnswer(request))
          const mode = options.cache
          return Effect.map(
            cache.recall(simple.map(({ key, request }) => ({ key, request, mode }))),
            (responses) => {
              const found = new Map<Keyed, Completed>()
              for (const [i, one] of simple.entries()) {
                const response = responses[i]
                if (response === undefined) continue
                const story = storyOf(start, false)
                story.key = one.key
                found.set(one, answeredBy({ response, origin: "store" }, one.request, story, undefined))
              }
              return found
            }
          )
        })
    : undefined

  const complete: Completer["complete"] = <E>(
    resolved: Resolved,
    { beforeCall, key, onPart }: CompleteOptions<E>
  ) =>
    Effect.suspend((): Effect.Effect<Completed, E> => {
      const start = clock.unsafeCurrentTimeMillis()
      const story = storyOf(start, onPart !== undefined)
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
      const ask = askOf(resolved.request, story, onPart)
      const check = SchemaCheck.of(resolved.request, onPart !== undefined)
      const asked = (request: Request) => retried(request, attempt(request, story, ask, before), story)
      const { calls, late } =
        check === undefined
          ? { calls: asked(resolved.request), late: identity<LlmError> }
          : SchemaCheck.insist(resolved.request, check, (request) => {
              // the answer before this one did not fit
              events.discard(story)
              return asked(request)
            })
      const call = events.watched(story, calls)
      const replays = modeOf(resolved.request, options.cache) === "replay"
      const keyed = cache.enabled || replays ? (key ?? cacheKey(resolved)) : undefined
      story.key = keyed ?? key
      const answered: Effect.Effect<Hit, LlmError> =
        resolved.request._tag === "Embedding" && areApart(resolved.request)
          ? embedAll({ ...resolved, request: resolved.request }, story, before)
          : resolved.request._tag === "Rerank" && isTooMany(resolved.request)
            ? rankAll({ ...resolved, request: resolved.request }, rerankDocuments(), story, before)
            : keyed === undefined
              ? Effect.map(call, (response) => ({ response, origin: "call" as const }))
              : check === undefined || replays
                ? cache.getOrCall(keyed, call, { request: resolved.request, mode: options.cache })
                : fitting(keyed, call, resolved.request, check)
      const outcome = Effect.matchEffect(inTime(answered, story, late), {
        onSuccess: (hit) => Effect.succeed(answeredBy(hit, resolved.request, story, check)),
        onFailure: (error) => {
          if (stopped !== undefined) return Effect.fail(stopped.error)
          const outcome = Either.left(error)
          events.settled({ request: resolved.request, bill: story, origin: "call", outcome, start })
          return Effect.succeed({ outcome, meta: metaOf(story, false, error.requestId) })
        }
      })
      return events.whole(resolved.request, story, outcome)
    })

  return { resolve, complete, recall }
}
