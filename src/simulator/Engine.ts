/**
 * The simulated provider without its sockets: each request goes through key, body, quota, limits and
 * faults, in the order a real one has them, and comes out as a plan of what to send and when.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
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
import { type Limiter, type Limits, makeLimiter } from "./Limits.js"
import * as RequestHash from "./RequestHash.js"
import {
  type Answer,
  type Bent,
  type Call,
  type HeaderMap,
  type Reply,
  retryAfterHeaders,
  type Wire
} from "./Wire.js"

/** Dollars for a million tokens. */
export interface Price {
  readonly input: number
  readonly output: number
}

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
  readonly prices: Readonly<Record<string, Price>>
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

/** How an answer is sent: whole, half and then cut, half and then nothing, or not at all. */
export type Delivery = "whole" | "truncate" | "stallMidway" | "stall" | "reset"

/** What to send, and when. */
export interface Plan {
  readonly ticket: Ticket
  readonly delayMillis: number
  /** Milliseconds between the events of a stream; 0 sends them at once. */
  readonly paceMillis: number
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string | ReadonlyArray<string>
  readonly delivery: Delivery
  readonly fault: Fault | undefined
  readonly inputTokens: number
  readonly outputTokens: number
  /** Output tokens the limiter was not charged on entry. */
  readonly unsettledTokens: number
  readonly charged: boolean
  readonly success: boolean
  readonly price: Price | undefined
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

const half = (text: string): string => text.slice(0, Math.ceil(text.length / 2))

const bentBy = (fault: Fault | undefined): Bent => {
  switch (fault?.kind) {
    case "refusal":
    case "contentFilter":
    case "empty":
      return fault.kind
    default:
      return undefined
  }
}

const deliveryOf = (fault: Fault | undefined): Delivery => {
  switch (fault?.kind) {
    case "reset":
    case "truncate":
      return fault.kind
    case "stall":
      return fault.midway === true ? "stallMidway" : "stall"
    default:
      return "whole"
  }
}

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
  let limiters = new Map<string, Limiter>()
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

  const draw = (
    hash: RequestHash.RequestHash,
    attempt: number,
    purpose: Draw.Purpose,
    sample: Draw.Sampler
  ) => sample(Draw.uniform(seed, hash, attempt, purpose, 0), Draw.uniform(seed, hash, attempt, purpose, 1))

  const wireOf = (method: string, path: string) => {
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
          hash: arrival.hash,
          processingMillis: delayMillis,
          requests: more.limiter?.requests(arrival.time),
          tokens: more.limiter?.tokens(arrival.time)
        }),
        ...reply.headers
      },
      body: reply.body,
      delivery: "whole",
      fault: more.fault,
      inputTokens: 0,
      outputTokens: 0,
      unsettledTokens: 0,
      charged: more.fault !== undefined && isCharged(more.fault),
      success: false,
      price: undefined,
      limiter: more.held === true ? more.limiter : undefined
    }
  }

  /** Bends the bytes of an answer where a fault says so. */
  const bend = (wire: Wire, body: Answer["body"], fault: Fault | undefined): Answer["body"] => {
    if (fault?.kind === "malformed") {
      if (typeof body === "string") return half(body)
      const middle = Math.floor(body.length / 2)
      return body.map((event, i) => (i === middle ? `${half(event.trimEnd())}\n\n` : event))
    }
    if (fault?.kind === "errorBody") {
      const error = wire.failure({ status: 500, message: fault.message }).body
      return typeof body === "string"
        ? error
        : [...body.slice(0, Math.floor(body.length / 2)), `data: ${error.replaceAll("\n", "")}\n\n`]
    }
    return body
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
      bent: bentBy(fault)
    })
    const streamed = typeof answer.body !== "string"
    const generation =
      options.tokensPerSecond === undefined || streamed
        ? 0
        : (answer.outputTokens * 1000) / options.tokensPerSecond
    const delayMillis =
      draw(hash, attempt, "latency", latency) +
      generation +
      (fault?.kind === "delay" ? Duration.toMillis(fault.by) : 0)
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
          hash,
          processingMillis: delayMillis,
          requests: limiter.requests(time),
          tokens: limiter.tokens(time)
        })
      },
      body: bend(wire, answer.body, fault),
      delivery: deliveryOf(fault),
      fault,
      inputTokens: answer.inputTokens,
      outputTokens: answer.outputTokens,
      unsettledTokens: call.maxOutputTokens === undefined ? answer.outputTokens : 0,
      charged: fault === undefined || isCharged(fault),
      success: fault === undefined || fault.kind === "delay" || bentBy(fault) !== undefined,
      price: options.prices[call.model] ?? options.prices["*"],
      limiter
    }
  }

  const exhausted = () =>
    quota !== undefined &&
    (spent.requests >= (quota.requests ?? Number.POSITIVE_INFINITY) ||
      spent.dollars >= (quota.dollars ?? Number.POSITIVE_INFINITY))

  const receive = ({ headers, method, path, text }: Incoming): Plan => {
    const now = clock.unsafeCurrentTimeMillis()
    const { found, route, wire } = wireOf(method, path)
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
    const rejection = limiter.admit(now, call.inputTokens + (call.maxOutputTokens ?? 0))
    if (rejection !== undefined) return reply(wire, arrival, wire.rateLimited(rejection, model), { limiter })

    const occasion = { seq: log.nextSeq(), hash, attempt: arrival.attempt, prompt: call.prompt }
    const fault = script(occasion) ?? drawFault(seed, faults, occasion)
    if (fault?.kind !== "status") return generate(wire, arrival, call, limiter, fault)
    const failure = wire.failure(fault)
    return reply(
      wire,
      arrival,
      fault.retryAfter === undefined
        ? failure
        : {
            ...failure,
            headers: { ...failure.headers, ...retryAfterHeaders(Duration.toMillis(fault.retryAfter)) }
          },
      { limiter, held: true, fault, delayMillis: draw(hash, arrival.attempt, "latency", latency) }
    )
  }

  const finish = (plan: Plan, outcome: Outcome, sent = all): void => {
    const time = clock.unsafeCurrentTimeMillis()
    const { limiter, price } = plan
    // A provider finishes a plain answer nobody waits for, and stops writing a stream nobody reads.
    const share = typeof plan.body === "string" ? 1 : sent.share
    const outputTokens = Math.round(plan.outputTokens * share)
    const charged = plan.charged && (outcome !== "abandoned" || options.chargeAbandoned)
    const cost =
      charged && price !== undefined
        ? (plan.inputTokens * price.input + outputTokens * price.output) / 1_000_000
        : 0
    if (limiter !== undefined) {
      limiter.release()
      if (plan.unsettledTokens > 0 && charged)
        limiter.charge(time, 0, Math.round(plan.unsettledTokens * share))
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
      inputTokens: plan.inputTokens,
      outputTokens: charged || sent.begun ? outputTokens : 0,
      charged,
      success: plan.success && outcome === "answered",
      cost
    })
  }

  return {
    receive,
    finish,
    setLimits: (next) => {
      limits = next
      limiters = new Map()
    },
    setFaults: (next) => {
      faults = next
    },
    setScript: (rules) => {
      script = makeScript(rules)
    }
  }
}
