/**
 * What a batch would cost and how long it would take, before anything is sent.
 *
 * - **Calls** are the requests that neither the cache nor an equal request before them will answer.
 * - **Low**: input as counted, answers of a typical length, list prices without the discount of the provider's own
 *   prompt cache. Typical is what you say, else the mean of the stored answers of the model once 16 were met, else 128
 *   tokens; never more than the request allows.
 * - **High**: a fifth more input where its count is an estimate, answers as long as the requests allow, or of 2,048
 *   tokens (or what you say) where they set no `maxTokens`, and each token at the dearest rate that it may have.
 * - **Unpriced** models are named, and are in neither.
 *
 * Retries, hedges and answers that do not fit their schema are calls more, and are not foreseen: a budget bounds those.
 *
 * @example
 * import { Chat, Estimate, OpenAILive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const requests = [Chat.prompt("1 + 1 = ?", { maxTokens: 16 })]
 * const program = Estimate.estimate(requests).pipe(Effect.map(Estimate.table), Effect.provide(OpenAILive))
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { Cache, type Mode } from "./Cache.js"
import type { Endpoint } from "./Endpoint.js"
import { cacheKey, sha256 } from "./internal/cacheKey.js"
import { modeOf } from "./internal/cacheMode.js"
import { tierOf } from "./internal/callAtMost.js"
import { areApart } from "./internal/completer.js"
import { Demand } from "./internal/estimateTime.js"
import { KeySet } from "./internal/keySet.js"
import { fill } from "./internal/requestDefaults.js"
import * as SchemaCheck from "./internal/schemaCheck.js"
import { type Source, workers } from "./internal/workers.js"
import * as Prices from "./Prices.js"
import { RateLimiter, type RateName } from "./RateLimiter.js"
import { fromInput, type Request, type RequestInput, withFields } from "./Request.js"
import { ChatResponse } from "./Response.js"
import { Router } from "./Router.js"
import * as Tokens from "./Tokens.js"
import * as Usage from "./Usage.js"

export { table } from "./internal/estimateText.js"

/** The services that an estimate looks at; nothing is sent. */
export type Services = Router | Cache | RateLimiter

/** How the batch will be run, and how long its answers are taken to be. */
export interface Options {
  /** How the batch will treat stored answers; see `Cache`. Default `readWrite`. */
  readonly cache?: Mode | undefined
  /** The task of the router. Its defaults are applied; its endpoints are not told apart from the router's. */
  readonly task?: string | undefined
  /** Tokens of a typical answer. Default: the mean of stored answers, else 128. */
  readonly typicalAnswer?: number | undefined
  /** Tokens of the longest answer to a request that sets no `maxTokens`. Default 2,048. */
  readonly longestAnswer?: number | undefined
  /** Whether the providers' batch APIs are used, at their price. Default `false`. */
  readonly batch?: boolean | undefined
}

/** The least and the most. */
export interface Range<A> {
  readonly low: A
  readonly high: A
}

/** What requests come to. */
export interface Totals {
  /** Requests of the input. */
  readonly requests: number
  /** Equal to an earlier one. Where the cache is on, its answer is theirs. */
  readonly duplicates: number
  /** Answered by the cache. */
  readonly cached: number
  /** Requests that will be sent. */
  readonly calls: number
  readonly inputTokens: number
  /** Whether all input was counted by the models' own tokenizers. */
  readonly isCounted: boolean
  readonly outputTokens: Range<number>
  readonly cost: Range<Prices.Money>
  /** Calls that set no `maxTokens`. */
  readonly unlimited: number
  /** Calls whose model has no price; they are not in the cost. */
  readonly unpriced: number
}

/** What one model would be asked, and what that would cost. */
export interface ModelEstimate extends Totals {
  /** The model; where several may answer all of them, joined by `+`. */
  readonly model: string
}

/** What a batch would come to: in all, and by model. */
export interface Estimate extends Totals {
  /** Requests that will fail before they are sent, for they cannot be read or the cache is to answer and cannot. */
  readonly failing: number
  readonly models: ReadonlyArray<ModelEstimate>
  /** The models without a price, as `provider/model`. */
  readonly unpricedModels: ReadonlyArray<string>
  /** What is doubtful about the prices used, each with the name of the price; see `Prices.doubts`. */
  readonly doubts: ReadonlyArray<string>
  /** How long the calls take at the limits of their domains; `undefined` where there are none. */
  readonly seconds: Range<number> | undefined
  /** The limit that it hangs on. */
  readonly limitedBy: RateName | undefined
  /** See `Prices.Service.version`. */
  readonly priceVersion: string
}

const typicalAnswer = 128
const longestAnswer = 2_048
/** Stored answers that make a mean. */
const enough = 16
/** How far an estimated count may be too low. */
const margin = 1.2
/** Look-ups under way at once: the cache gathers them. */
const concurrency = 256

const nothing = () => ({
  requests: 0,
  duplicates: 0,
  cached: 0,
  calls: 0,
  inputTokens: 0,
  isCounted: true,
  outputTokens: { low: 0, high: 0 },
  cost: { low: 0n, high: 0n },
  unlimited: 0,
  unpriced: 0
})

interface Place {
  readonly endpoint: Endpoint
  readonly model: string
}

/** A request at a place that may answer it. */
interface Use extends Place {
  /** With the endpoint's parameters. */
  readonly sent: Request
  readonly isLimited: boolean
  /** Tokens of a typical answer, and of the longest. */
  readonly low: number
  readonly high: number
}

/** The requests of one model, or of several that may answer them. */
class Group {
  readonly model: string
  readonly places: ReadonlyArray<Place>
  readonly domains: ReadonlyArray<string>
  readonly counter: Tokens.Counter
  readonly totals = nothing()
  stored = 0
  storedTokens = 0

  constructor(model: string | undefined, endpoints: ReadonlyArray<Endpoint>, counter: Tokens.Counter) {
    const own = endpoints.filter((endpoint) => endpoint.model === model)
    this.places = (model === undefined || own.length === 0 ? endpoints : own).map((endpoint) => ({
      endpoint,
      model: model ?? endpoint.model ?? ""
    }))
    this.model = model ?? [...new Set(this.places.map((place) => place.model))].join("+")
    this.domains = [...new Set(this.places.map(({ endpoint }) => endpoint.domain))].sort()
    this.counter = counter
  }
}

const sum = (groups: Iterable<Group>): Totals => {
  const all = nothing()
  for (const { totals } of groups) {
    all.requests += totals.requests
    all.duplicates += totals.duplicates
    all.cached += totals.cached
    all.calls += totals.calls
    all.inputTokens += totals.inputTokens
    all.isCounted &&= totals.isCounted
    all.outputTokens.low += totals.outputTokens.low
    all.outputTokens.high += totals.outputTokens.high
    all.cost.low += totals.cost.low
    all.cost.high += totals.cost.high
    all.unlimited += totals.unlimited
    all.unpriced += totals.unpriced
  }
  return all
}

/** Adds up what is left to be sent. */
class Sums {
  readonly groups = new Map<string | undefined, Group>()
  readonly unpriced = new Set<string>()
  readonly doubts = new Set<string>()
  readonly demand = new Demand()
  readonly #prices: Prices.Service
  readonly #options: Options
  readonly #at: number

  constructor(prices: Prices.Service, options: Options, at: number) {
    this.#prices = prices
    this.#options = options
    this.#at = at
  }

  /** A request, or what is left of it, that will be sent. */
  call(group: Group, request: Request): void {
    const { totals } = group
    const { method, tokens } = group.counter.count(request)
    const mean = group.stored >= enough ? Math.ceil(group.storedTokens / group.stored) : typicalAnswer
    const { longestAnswer: stated = longestAnswer, typicalAnswer: typical = mean } = this.#options
    const uses = group.places.map((place): Use => {
      const sent = fill(request, place.endpoint.parameters)
      const answers = Tokens.answersOf(sent)
      const allowed = Tokens.maxTokensOf(sent)
      return {
        ...place,
        sent,
        isLimited: allowed !== undefined,
        low: answers * Math.min(typical, allowed ?? typical),
        high: answers * (allowed ?? Math.max(stated, typical))
      }
    })
    const low = Math.min(...uses.map((use) => use.low))
    const high = Math.max(...uses.map((use) => use.high))
    const most = method === "tokenizer" ? tokens : Math.ceil(tokens * margin)
    totals.calls++
    totals.inputTokens += tokens
    totals.isCounted &&= method === "tokenizer"
    totals.outputTokens.low += low
    totals.outputTokens.high += high
    if (uses.some(({ isLimited }) => !isLimited)) totals.unlimited++
    this.demand.add(
      group.domains,
      { inputTokens: tokens, outputTokens: low },
      { inputTokens: most, outputTokens: high }
    )
    const cost = this.#costOf(uses, { low: tokens, high: most })
    if (cost === undefined) totals.unpriced++
    else {
      totals.cost.low += cost.low
      totals.cost.high += cost.high
    }
  }

  /** Over all endpoints that may be asked; none where one of them is unpriced. */
  #costOf(uses: ReadonlyArray<Use>, inputTokens: Range<number>): Range<Prices.Money> | undefined {
    let range: Range<Prices.Money> | undefined
    for (const { endpoint, model, sent, ...use } of uses) {
      const billing = { batch: this.#options.batch, serviceTier: tierOf(sent) }
      const price = Prices.ofEndpoint(this.#prices, endpoint, model, this.#at)
      if (price === undefined) {
        this.unpriced.add(`${endpoint.provider}/${model}`)
        return undefined
      }
      const bounds = Tokens.boundsOf(sent, price)
      const usage = {
        inputTokens: inputTokens.low,
        outputTokens: use.low,
        searchUnits: Tokens.searchUnits(sent).least
      }
      for (const doubt of Prices.doubts(price, usage, billing)) this.doubts.add(`${price.id}: ${doubt}`)
      const low = Prices.cost(price, usage, billing)
      const high =
        Prices.worstCase(
          price,
          { ...bounds, inputTokens: inputTokens.high, outputTokens: use.high },
          billing
        ) ?? low
      range = {
        low: range === undefined || low < range.low ? low : range.low,
        high: range === undefined || high > range.high ? high : range.high
      }
    }
    return range
  }
}

/** In place of a call: an answer that nobody reads. A miss is no error here, and errors are dear. */
const noCall = Effect.succeed(
  new ChatResponse({
    text: "",
    finishReason: "other",
    toolCalls: [],
    usage: Usage.zero,
    model: "",
    provider: "floodgate",
    meta: { attempts: 0, cached: false, latencyMs: 0 }
  })
)

/** The questions of a request that the cache answers one by one. */
const questionsOf = (request: Request): ReadonlyArray<Request> =>
  request._tag === "Embedding" && areApart(request)
    ? request.input.map((text) => withFields(request, { input: [text] }))
    : [request]

/** The request with the questions that are still to be asked. */
const remaining = (request: Request, questions: ReadonlyArray<Request>): Request =>
  request._tag === "Embedding" && areApart(request)
    ? withFields(request, {
        input: questions.flatMap((question) => (question._tag === "Embedding" ? question.input : []))
      })
    : request

/**
 * What these requests will come to. They are read one by one, in memory that grows by 16 to 48 bytes for each, for its
 * key. The prices are those of `Prices`, at the time of asking; the cache is read, and its statistics count that.
 */
export const estimate = <E = never, R = never>(
  requests: Source<RequestInput, E, R>,
  options: Options = {}
): Effect.Effect<Estimate, E, R | Services> =>
  Effect.gen(function* () {
    const router = yield* Router
    const cache = yield* Cache
    const limiter = yield* RateLimiter
    const prices = yield* Prices.Prices
    const clock = yield* Effect.clock
    const sums = new Sums(prices, options, clock.unsafeCurrentTimeMillis())
    const seen = new KeySet()
    let unreadable = 0
    let missing = 0

    const groupOf = (model: string | undefined): Effect.Effect<Group> => {
      const known = sums.groups.get(model)
      if (known !== undefined) return Effect.succeed(known)
      const [first] = router.endpoints
      const name =
        router.endpoints.find((endpoint) => endpoint.model === model)?.family ??
        model ??
        first.family ??
        first.model
      return Effect.map(Tokens.counter(name ?? ""), (counter) => {
        const made = sums.groups.get(model) ?? new Group(model, router.endpoints, counter)
        sums.groups.set(model, made)
        return made
      })
    }

    /** Whether the cache has the answer. In this mode it stores nothing, and the call that it would make is none. */
    const isStored = (key: string, asked: Request, group: Group): Effect.Effect<boolean> => {
      const request = withFields(asked, { cache: { ...asked.cache, mode: "readOnly" } })
      return Effect.match(cache.getOrCall(key, noCall, { request }), {
        onFailure: () => false,
        onSuccess: ({ origin, response }) => {
          if (origin === "call") return false
          const check = SchemaCheck.of(request)
          if (check !== undefined && !SchemaCheck.fits(response, check)) return false
          group.stored++
          group.storedTokens += response.usage.outputTokens
          return true
        }
      })
    }

    const one = Effect.fnUntraced(function* (input: RequestInput) {
      const { request, source } = yield* Effect.flatMap(
        Either.flatMap(fromInput(input), SchemaCheck.admit),
        (request) => router.resolve(request, options.task)
      )
      const group = yield* groupOf(request.model)
      const mode = modeOf(request, options.cache)
      const asks: Array<Request> = []
      let duplicates = 0
      const questions = questionsOf(request)
      for (const question of questions) {
        const key = cacheKey({ request: question, source })
        const namespace = request.cache?.namespace
        const isNew = seen.add(namespace === undefined ? key : sha256(`${namespace}\n${key}`))
        if (!isNew) duplicates++
        // only in this mode is an answer stored for those who ask later
        if (!isNew && cache.enabled && mode === "readWrite") continue
        const reads = cache.enabled && (mode === "readWrite" || mode === "readOnly" || mode === "replay")
        if (!(reads && (yield* isStored(key, question, group)))) asks.push(question)
      }
      group.totals.requests++
      if (duplicates === questions.length && duplicates > 0) group.totals.duplicates++
      else if (asks.length === 0) group.totals.cached++
      if (asks.length === 0 && questions.length > 0) return
      if (mode === "replay") missing++
      else sums.call(group, remaining(request, asks))
    })

    const unread = Effect.sync(() => {
      unreadable++
    })
    yield* Stream.runDrain(
      workers(requests, (_, input) => Effect.catchAll(one(input), () => unread), {
        concurrency,
        atEnd: () => Effect.void
      })
    )
    const { limitedBy, seconds } = yield* sums.demand.time(limiter)
    const models = [...sums.groups.values()]
      .map(({ model, totals }): ModelEstimate => ({ model, ...totals }))
      .sort((a, b) => b.requests - a.requests)
    const totals = sum(sums.groups.values())
    return {
      ...totals,
      // what cannot be read has no model
      requests: totals.requests + unreadable,
      failing: unreadable + missing,
      models,
      unpricedModels: [...sums.unpriced].sort(),
      doubts: [...sums.doubts].sort(),
      seconds,
      limitedBy,
      priceVersion: prices.version
    }
  })
