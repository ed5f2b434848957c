/**
 * The simulated provider without its sockets: each request goes through key, body, quota, limits and
 * faults, in the order a real one has them, and comes out as a plan of what to send and when.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type { RunLine } from "./BatchJobs.js"
import * as Bill from "./Bill.js"
import type { Arrival, BillingLog, Outcome, Ticket } from "./BillingLog.js"
import * as Draw from "./Draw.js"
import {
  drawFault,
  type Fault,
  isCharged,
  makeScript,
  type RatedFault,
  type ScriptedFault
} from "./Faults.js"
import * as FaultyAnswer from "./FaultyAnswer.js"
import * as Hints from "./Hints.js"
import { type Limiter, type Limits, makeLimiter } from "./Limits.js"
import * as RequestHash from "./RequestHash.js"
import type { Call, HeaderMap, Reply, Route, Wire } from "./Wire.js"

type RawRoute = Extract<Route, { readonly _tag: "Raw" }>

/** What the engine needs to know; the defaults are set by `Simulator.make`. */
export interface EngineOptions {
  readonly seed: number
  readonly apiKey: string | undefined
  readonly latency: Draw.Distribution<Duration.DurationInput>
  readonly outputTokens: Draw.Distribution<number>
  readonly reasoningTokens: Draw.Distribution<number>
  readonly tokensPerSecond: number | undefined
  readonly streamChunkTokens: number
  readonly cachedShare: number
  readonly prices: Readonly<Record<string, Bill.Price>>
  readonly quota: { readonly requests?: number; readonly dollars?: number } | undefined
  readonly chargeAbandoned: boolean
  readonly limits: Limits
  readonly faults: ReadonlyArray<RatedFault>
  readonly script: ReadonlyArray<ScriptedFault>
}

/** A request as it came in. */
export interface Incoming {
  readonly method: string
  readonly path: string
  readonly headers: HeaderMap
  /** The body; undefined if it was too large to read. */
  readonly text: string | undefined
}

/** What to send, and when. */
export interface Plan {
  readonly ticket: Ticket
  readonly delayMillis: number
  /** Milliseconds between the events of a stream; 0 sends them at once. */
  readonly paceMillis: number
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string | ReadonlyArray<string>
  readonly delivery: FaultyAnswer.Delivery
  readonly fault: Fault | undefined
  /** What the whole answer is billed. */
  readonly tokens: Bill.Tokens
  /** Output tokens the limiter was not charged on entry. */
  readonly unsettledTokens: number
  readonly charged: boolean
  readonly success: boolean
  readonly price: Bill.Price | undefined
  /** How much of the price is charged, by its tier or as a batch. Default: all of it. */
  readonly factor?: number
  readonly limiter: Limiter | undefined
}

/** How much of an answer went out before the client left: nothing, a part (0 to 1), all. */
export interface Sent {
  readonly begun: boolean
  readonly share: number
}

const all: Sent = { begun: true, share: 1 }

/** The simulated provider. */
export interface Engine {
  readonly receive: (incoming: Incoming) => Plan
  /** Ends an exchange, exactly once. */
  readonly finish: (plan: Plan, outcome: Outcome, sent?: Sent) => void
  readonly setLimits: (limits: Limits) => void
  readonly setFaults: (faults: ReadonlyArray<RatedFault>) => void
  readonly setScript: (script: ReadonlyArray<ScriptedFault>) => void
}

const parse = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    // A JSON object is a record of unknown values; the wires look at each.
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}

/** Where the limits stand that headers tell of. */
const standings = (limiter: Limiter | undefined, now: number) => ({
  requests: limiter?.requests(now),
  tokens: limiter?.tokens(now),
  inputTokens: limiter?.inputTokens(now),
  outputTokens: limiter?.outputTokens(now)
})

/** Makes a simulated provider. The first wire answers for paths that no wire knows. */
export const make = (
  options: EngineOptions,
  wires: readonly [Wire, ...ReadonlyArray<Wire>],
  log: BillingLog,
  clock: Clock.Clock
): Engine => {
  const { apiKey, quota, seed } = options
  const latency = Draw.millis(options.latency)
  const length = Draw.tokens(options.outputTokens)
  const reasoning = Draw.tokens(options.reasoningTokens)
  const paceMillis =
    options.tokensPerSecond === undefined ? 0 : (options.streamChunkTokens * 1000) / options.tokensPerSecond
  const keyHashes = new Map<string, string>()
  const spent = { requests: 0, dollars: 0 }
  let limits = options.limits
  const limiters = new Map<string, Limiter>()
  let faults = options.faults
  let script = makeScript(options.script)

  const keyHash = (key: string | undefined): string => {
    if (key === undefined) return ""
    const known = keyHashes.get(key) ?? RequestHash.ofText(key).text.slice(0, 8)
    if (keyHashes.size < 10_000) keyHashes.set(key, known)
    return known
  }

  const limiterOf = (key: string, model: string): Limiter => {
    const domain = limits.per === "server" ? "" : limits.per === "key" ? `${key} ${model}` : model
    let limiter = limiters.get(domain)
    if (limiter === undefined) {
      limiter = makeLimiter(limits)
      limiters.set(domain, limiter)
    }
    return limiter
  }

  /** Output tokens that the limiter is charged on entry, if any. */
  const chargedOnEntry = (call: Call): number | undefined =>
    limits.outputTokens === "used" ? undefined : call.maxOutputTokens

  const draw = (
    hash: RequestHash.RequestHash,
    attempt: number,
    purpose: Draw.Purpose,
    sample: Draw.Sampler
  ) => sample(Draw.uniform(seed, hash, attempt, purpose, 0), Draw.uniform(seed, hash, attempt, purpose, 1))

  const claimants = wires.filter(({ claims }) => claims !== undefined)

  const wireOf = (method: string, path: string, headers: HeaderMap) => {
    for (const wire of claimants) {
      const route = wire.claims?.(headers) === true ? wire.route(method, path) : undefined
      if (route !== undefined) return { wire, route, found: true }
    }
    for (const wire of wires) {
      const route = wire.route(method, path)
      if (route !== undefined) return { wire, route, found: true }
    }
    return { wire: wires[0], route: wires[0].unknownPath(method, path), found: false }
  }

  /** A reply that costs nothing: sent at once, or after the latency of a call that was begun. */
  const reply = (
    wire: Wire,
    arrival: Arrival,
    reply: Reply,
    more: {
      readonly limiter?: Limiter
      readonly fault?: Fault
      readonly delayMillis?: number
      readonly held?: boolean
    } = {}
  ): Plan => {
    const ticket = log.open(arrival)
    const delayMillis = more.delayMillis ?? 0
    return {
      ticket,
      delayMillis,
      paceMillis: 0,
      status: reply.status,
      headers: {
        "content-type": "application/json",
        ...wire.headers({
          seq: ticket.seq,
          now: arrival.time,
          hash: arrival.hash,
          processingMillis: delayMillis,
          ...standings(more.limiter, arrival.time)
        }),
        ...reply.headers
      },
      body: reply.body,
      delivery: "whole",
      fault: more.fault,
      tokens: Bill.none,
      unsettledTokens: 0,
      charged: more.fault !== undefined && isCharged(more.fault),
      success: false,
      price: undefined,
      limiter: more.held === true ? more.limiter : undefined
    }
  }

  const generate = (
    wire: Wire,
    arrival: Arrival,
    call: Call,
    limiter: Limiter,
    fault: Fault | undefined
  ): Plan => {
    const { attempt, hash, time } = arrival
    const answer = call.answer({
      hash,
      seq: log.nextSeq(),
      attempt,
      now: time,
      seed,
      // The length belongs to the answer, so it is the same at every attempt.
      outputTokens: draw(hash, 0, "length", length),
      reasoningTokens: draw(hash, 0, "reasoning", reasoning),
      cachedShare: options.cachedShare,
      chunkTokens: options.streamChunkTokens,
      bent: FaultyAnswer.bentBy(fault)
    })
    const tokens = Bill.of(answer)
    limiter.giveBack(time, tokens.cacheReadTokens)
    const streamed = typeof answer.body !== "string"
    const generation =
      options.tokensPerSecond === undefined || streamed
        ? 0
        : (answer.outputTokens * 1000) / options.tokensPerSecond
    const delayMillis =
      draw(hash, attempt, "latency", latency) +
      generation +
      (fault?.kind === "delay" ? Duration.toMillis(fault.by) : 0)
    const price = options.prices[call.model] ?? options.prices["*"]
    const ticket = log.open(arrival)
    return {
      ticket,
      delayMillis,
      paceMillis: streamed ? paceMillis : 0,
      status: 200,
      headers: {
        "content-type": streamed ? "text/event-stream; charset=utf-8" : "application/json",
        ...wire.headers({
          seq: ticket.seq,
          now: time,
          hash,
          processingMillis: delayMillis,
          serviceTier: call.serviceTier,
          ...standings(limiter, time)
        })
      },
      body: FaultyAnswer.bend(wire, answer.body, fault),
      delivery: FaultyAnswer.deliveryOf(fault),
      fault,
      tokens,
      unsettledTokens: chargedOnEntry(call) === undefined ? answer.outputTokens : 0,
      charged: fault === undefined || isCharged(fault),
      success: fault === undefined || fault.kind === "delay" || FaultyAnswer.bentBy(fault) !== undefined,
      price,
      factor: price?.tiers?.[call.serviceTier ?? ""] ?? 1,
      limiter
    }
  }

  const exhausted = () =>
    quota !== undefined &&
    (spent.requests >= (quota.requests ?? Number.POSITIVE_INFINITY) ||
      spent.dollars >= (quota.dollars ?? Number.POSITIVE_INFINITY))

  /** Runs the requests of batch jobs: outside the limits, at half the price. */
  const lineRunner =
    (wire: Wire, unread: Arrival): RunLine =>
    (endpoint, path, body) => {
      const hash = RequestHash.ofBody(body)
      const call = endpoint?.read(body) ?? wire.unknownPath("POST", path)
      const prompt = call._tag === "Call" ? call.prompt : ""
      const model = call._tag === "Call" ? call.model : ""
      const arrival = { ...unread, method: "BATCH", path, model, hash, attempt: log.attempt(hash), prompt }
      const occasion = { seq: log.nextSeq(), hash, attempt: arrival.attempt, prompt }
      const plan = ((): Plan => {
        if (call._tag === "Reply") return reply(wire, arrival, call)
        const drawn = script(occasion) ?? drawFault(seed, faults, occasion)
        // a line has no connection that could break
        const fault = FaultyAnswer.deliveryOf(drawn) === "whole" ? drawn : undefined
        return fault?.kind === "status"
          ? reply(wire, arrival, wire.failure(fault), { fault })
          : { ...generate(wire, arrival, call, makeLimiter({}), fault), limiter: undefined, factor: 0.5 }
      })()
      finish(plan, "answered")
      const text = typeof plan.body === "string" ? plan.body : plan.body.join("")
      return { status: plan.status, body: parse(text) ?? text, requestId: `req_batch_${plan.ticket.seq}` }
    }

  /** A step of a batch API. One that meets a status is not made; one whose connection breaks is. */
  const step = (wire: Wire, answer: RawRoute["answer"], unread: Arrival, incoming: Incoming): Plan => {
    const { headers, method, path, text } = incoming
    if (text === undefined) return reply(wire, unread, wire.bodyTooLarge)
    const seq = log.nextSeq()
    const occasion = { seq, hash: unread.hash, attempt: seq, prompt: `${method} ${path}` }
    const fault = script(occasion) ?? drawFault(seed, faults, occasion)
    if (fault?.kind !== "status") {
      const made = answer({ method, path, headers, text, now: unread.time, run: lineRunner(wire, unread) })
      return { ...reply(wire, unread, made), fault, delivery: FaultyAnswer.deliveryOf(fault) }
    }
    const waitMillis = fault.retryAfter === undefined ? undefined : Duration.toMillis(fault.retryAfter)
    const failure =
      waitMillis === undefined
        ? wire.failure(fault)
        : Hints.failure(wire, fault, { hint: fault.hint ?? "headers", now: unread.time, waitMillis })
    return reply(wire, unread, failure, { fault })
  }

  const receive = ({ headers, method, path, text }: Incoming): Plan => {
    const now = clock.unsafeCurrentTimeMillis()
    const { found, route, wire } = wireOf(method, path, headers)
    const key = wire.credential(headers)
    const unread: Arrival = {
      time: now,
      method,
      path,
      model: "",
      hash: RequestHash.none,
      attempt: 0,
      key: keyHash(key),
      prompt: ""
    }
    if (!found && route._tag === "Reply") return reply(wire, unread, route)
    if (key === undefined || (apiKey !== undefined && key !== apiKey)) {
      return reply(wire, unread, wire.unauthorized(key))
    }
    if (route._tag === "Reply") return reply(wire, unread, route)
    if (route._tag === "Raw") return step(wire, route.answer, unread, { headers, method, path, text })
    if (text === undefined) return reply(wire, unread, wire.bodyTooLarge)
    const body = parse(text)
    if (body === undefined) return reply(wire, unread, wire.invalidJson)

    const hash = RequestHash.ofBody(body)
    const call = route.read(body)
    const model = typeof body["model"] === "string" ? body["model"] : call._tag === "Call" ? call.model : ""
    const limiter = limiterOf(unread.key, model)
    const arrival: Arrival = {
      ...unread,
      model,
      hash,
      attempt: log.attempt(hash),
      prompt: call._tag === "Call" ? call.prompt : ""
    }
    if (call._tag === "Reply") {
      // A request that fails counts against the request limit like any other.
      limiter.charge(now, 1, 0)
      return reply(wire, arrival, call, { limiter })
    }
    if (exhausted()) return reply(wire, arrival, wire.quotaExhausted)
    const rejection = limiter.admit(now, call.inputTokens, chargedOnEntry(call))
    if (rejection !== undefined) return reply(wire, arrival, wire.rateLimited(rejection, model), { limiter })

    const occasion = { seq: log.nextSeq(), hash, attempt: arrival.attempt, prompt: call.prompt }
    const fault = script(occasion) ?? drawFault(seed, faults, occasion)
    if (fault?.kind !== "status") return generate(wire, arrival, call, limiter, fault)
    const { hint = "headers", retryAfter } = fault
    const failure =
      retryAfter === undefined
        ? wire.failure(fault)
        : Hints.failure(wire, fault, { hint, now, waitMillis: Duration.toMillis(retryAfter) })
    const delayMillis = draw(hash, arrival.attempt, "latency", latency)
    return reply(wire, arrival, failure, { limiter, held: true, fault, delayMillis })
  }

  const finish = (plan: Plan, outcome: Outcome, sent = all): void => {
    const time = clock.unsafeCurrentTimeMillis()
    const { limiter, price } = plan
    // A provider finishes a plain answer nobody waits for, and stops writing a stream nobody reads.
    const share = typeof plan.body === "string" ? 1 : sent.share
    const tokens = Bill.upTo(plan.tokens, share)
    const charged = plan.charged && (outcome !== "abandoned" || options.chargeAbandoned)
    const cost = charged && price !== undefined ? Bill.cost(tokens, price) * (plan.factor ?? 1) : 0
    if (limiter !== undefined) {
      limiter.release()
      if (plan.unsettledTokens > 0 && charged)
        limiter.charge(time, 0, 0, Math.round(plan.unsettledTokens * share))
    }
    if (charged) {
      spent.requests += 1
      spent.dollars += cost
    }
    log.finish(plan.ticket, {
      time,
      outcome,
      status: sent.begun ? plan.status : 0,
      fault: plan.fault?.kind ?? null,
      tokens: charged || sent.begun ? tokens : Bill.upTo(plan.tokens, 0),
      charged,
      delivered: plan.success && outcome === "answered",
      cost
    })
  }

  return {
    receive,
    finish,
    setLimits: (next) => {
      // who shares a quota is another question: there nothing can go on
      if ((next.per ?? "model") !== (limits.per ?? "model")) limiters.clear()
      limits = next
      const now = clock.unsafeCurrentTimeMillis()
      for (const limiter of limiters.values()) limiter.change(now, next)
    },
    setFaults: (next) => {
      faults = next
    },
    setScript: (rules) => {
      script = makeScript(rules)
    }
  }
}
