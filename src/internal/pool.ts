/**
 * The endpoints of a router at work. Each attempt is given an endpoint that is well, and whose limits admit it now; where
 * there is none it waits here, first come, first served, and is given the first that has room: so none idles while
 * requests wait, and a request that has failed elsewhere is asked before those that came after it. While all are ill,
 * requests wait for the earliest recovery.
 *
 * Plain synchronous code; fibers meet it in {@link Pool.turn}.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Endpoint } from "../Endpoint.js"
import { type AttemptCause, InvalidRequestError, type LlmError, waitHint, withAttempts } from "../LlmError.js"
import type { Request } from "../Request.js"
import type { Strategy } from "../Strategy.js"
import type { Usage } from "../Usage.js"
import { Alarm } from "./alarm.js"
import { causeOf } from "./attemptCause.js"
import type { CircuitOptions } from "./circuit.js"
import { GivenUp } from "./givenUp.js"
import { type HedgeOptions, Hedger } from "./hedger.js"
import { type Lane, lanesOf, type TaskRoute } from "./lane.js"
import { type Approach, type EndpointState, isOfOtherModel, PoolMember } from "./poolMember.js"
import type { Moment, Random } from "./strategyNode.js"
import { failedAt, type Past, type Question, type Turn } from "./turn.js"
import { type Place, pastOf, WaitingLines } from "./waitingLines.js"

/** What became of the endpoint's attempt. */
type End = { readonly usage: Usage } | { readonly error: LlmError } | undefined

/** A wait that something else may end is looked at again after this time: others may use the same limits. */
const longestWait = 1_000
/** How long a request waits for others when an endpoint that failed it could be asked again: then it is retried. */
const patience = 5_000
const forever = Number.POSITIVE_INFINITY

export interface PoolOptions {
  readonly strategy: Strategy
  readonly circuit: CircuitOptions
  readonly random: Random
  /** Errors after which another endpoint is asked. */
  readonly failover: ReadonlySet<LlmError["_tag"]>
  /** What tasks say of endpoints. */
  readonly tasks: Readonly<Record<string, TaskRoute>>
  readonly hedge: HedgeOptions | undefined
  readonly listPrice?: Moment["listPrice"]
}

/** A place, a time to look again (epoch milliseconds), or why there is none. */
type Decision = PoolMember | number | { readonly failure: Effect.Effect<never, LlmError> }

export class Pool {
  /** What is wrong with its strategy. */
  readonly fault: string | undefined
  readonly failover: ReadonlySet<LlmError["_tag"]>
  readonly #members: ReadonlyArray<PoolMember>
  readonly #lanes: ReadonlyMap<string | undefined, Lane>
  readonly #moment: Moment
  readonly #lines = new WaitingLines()
  #arrivals = 0
  readonly #givenUp = new GivenUp()
  readonly #watchers = new Set<() => void>()
  #dispatched = 0
  #isDraining = false
  #drainAgain = false
  readonly #alarm = new Alarm(() => this.#drain())
  readonly #hedger: Hedger | undefined

  constructor(endpoints: ReadonlyArray<Endpoint>, options: PoolOptions) {
    this.failover = options.failover
    this.#moment = { now: 0, headroom: () => forever, listPrice: options.listPrice }
    const approaches = new Map<string, Approach>()
    const members = endpoints.map((endpoint) => {
      const approach = approaches.get(endpoint.domain) ?? { domain: endpoint.domain, ahead: 0 }
      approaches.set(endpoint.domain, approach)
      return new PoolMember(endpoint, approach, options.circuit)
    })
    const { byTask, fault } = lanesOf(members, { ...options, moment: this.#moment })
    this.#lanes = byTask
    this.fault = fault
    this.#hedger = options.hedge === undefined ? undefined : new Hedger(options.hedge)
    const used = new Set([...this.#lanes.values()].flatMap((lane) => lane.members))
    this.#members = members.filter((member) => used.has(member))
  }

  /** The endpoint for an attempt, as soon as there is one. Whoever is given one must say that it {@link ended}. */
  turn(turn: Turn): Effect.Effect<PoolMember, LlmError> {
    return Effect.suspend(() => {
      turn.past.arrival ??= ++this.#arrivals
      const place = this.#placeOf(turn)
      if (!this.#lines.has(place)) {
        // those who wait go first
        this.#drain()
        const decision = this.#decide(turn)
        if (decision instanceof PoolMember) return Effect.succeed(decision)
        if (typeof decision !== "number") return decision.failure
        this.#alarm.set(decision, turn.domains)
      }
      return Effect.async<PoolMember, LlmError>((resume) => {
        turn.resume = resume
        this.#lines.add(turn, place)
        this.#changed()
      })
    })
  }

  /** The endpoints that may be asked, whatever their health. */
  allowed(request: Request, task: string | undefined): ReadonlyArray<Endpoint> {
    return (this.#laneOf(task)?.allowed(request) ?? []).map(({ endpoint }) => endpoint)
  }

  /** Whether late attempts are given second ones. */
  get hedges(): boolean {
    return this.#hedger !== undefined
  }

  /** An endpoint for a second attempt, if there is one that nobody waits for. Then it must be said that it ended. */
  spare(turn: Turn): PoolMember | undefined {
    if (this.#lines.size > 0) return undefined
    const decision = this.#decide(turn)
    if (!(decision instanceof PoolMember)) return undefined
    decision.hedges++
    return decision
  }

  /** The limiter admitted the attempt: others may come near. */
  admitted(turn: Turn): void {
    turn.isAdmitted = true
    if (turn.member !== undefined) turn.member.approach.ahead--
    this.#drain()
  }

  /** The attempt is sent. */
  sent(turn: Turn, isFirst: boolean): void {
    const { domains, member, request, watched } = turn
    const now = domains.clock.unsafeCurrentTimeMillis()
    turn.startedAt = now
    if (this.#hedger === undefined || member === undefined) return
    if (watched !== undefined) this.#hedger.sent(watched, placeOf(member, request), now, domains)
    if (!isFirst) return
    this.#hedger.earn()
    this.#hedger.look()
  }

  /** Nothing was sent after all: how the attempt ends says nothing of the endpoint. */
  notSent(turn: Turn): void {
    turn.startedAt = undefined
  }

  answered(turn: Turn, usage: Usage): void {
    this.#ended(turn, { usage })
  }

  /** Returns what is worth a warning. */
  failed(turn: Turn, error: LlmError): string | undefined {
    return this.#ended(turn, { error })
  }

  /** The attempt was given up, or never sent. */
  left(turn: Turn): void {
    this.#ended(turn, undefined)
  }

  #ended(turn: Turn, end: End): string | undefined {
    const { domains, member, startedAt, watched } = turn
    this.#dequeue(turn)
    turn.resume = undefined
    if (watched !== undefined) this.#hedger?.left(watched)
    if (member === undefined) return undefined
    turn.member = undefined
    member.inFlight--
    if (!turn.isAdmitted) member.approach.ahead--
    const now = domains.clock.unsafeCurrentTimeMillis()
    let opened: string | undefined
    if (end === undefined || startedAt === undefined || isUnsent(end)) {
      if (turn.isProbe) member.circuit.leave()
      if (startedAt === undefined && turn.beside !== undefined) this.#hedger?.refund()
    } else if ("usage" in end) {
      this.#givenUp.clear()
      this.#hedger?.learn(placeOf(member, turn.request), now - startedAt)
      member.succeeded(now, now - startedAt, turn.isProbe, end.usage)
    } else if (isOfOtherModel(end.error, member.endpoint, turn.request.model)) {
      member.refused(end.error, now, turn.isProbe)
    } else {
      const { error } = end
      const stop = domains.stop(member.endpoint.domain, now)
      const hint = Duration.toMillis(waitHint(error))
      const isNews = member.failed(error, now, turn.isProbe, hint, stop?.until ?? now) && !turn.isProbe
      // of a domain that is not asked any more it has been told
      if (isNews && stop === undefined) {
        opened = `${member.endpoint.id} rests for ${Math.ceil(((member.circuit.until ?? now) - now) / 1000)} s: ${error.message}`
      }
      const allowed = this.#laneOf(turn.task)?.allowed(turn.request) ?? []
      opened = this.#givenUp.news(allowed, turn.request, domains, now) ?? opened
    }
    if (end !== undefined && "error" in end) failedAt(turn.past, member.endpoint, end.error, now)
    this.#drain()
    this.#hedger?.look()
    this.#changed()
    return opened
  }

  /** An attempt was given up for the answer of another, which began later. */
  overtaken(turn: Turn): void {
    const { domains, member, request, startedAt } = turn
    if (member === undefined || startedAt === undefined) return
    const now = domains.clock.unsafeCurrentTimeMillis()
    this.#hedger?.learn(placeOf(member, request), now - startedAt)
    member.overtaken(now, now - startedAt)
  }

  /** Whether another endpoint can be asked at once, or with `ill`, once it has recovered. */
  hasOther({ domains, past, request, task }: Question, ill: boolean): boolean {
    const now = domains.clock.unsafeCurrentTimeMillis()
    return (this.#laneOf(task)?.allowed(request) ?? []).some(
      (member) =>
        past.failed?.has(member.endpoint.id) !== true &&
        fits(member, past) &&
        domains.stop(member.endpoint.domain, now) === undefined &&
        (ill ? member.hopeless(now, request) === undefined : member.circuit.wait(now) === 0)
    )
  }

  /** Whether an endpoint may yet answer a request that was too long for others. */
  hasLarger({ past, request, task }: Question): boolean {
    return (this.#laneOf(task)?.allowed(request) ?? []).some(
      (member) => past.failed?.get(member.endpoint.id) !== forever && fits(member, past)
    )
  }

  /** Why nobody could be asked, in one line; `undefined` where somebody could. */
  resting(now: number): string | undefined {
    const reasons: Array<string> = []
    for (const { circuit, endpoint, lastError } of this.#members) {
      if (circuit.state(now) === "closed") return undefined
      reasons.push(`${endpoint.id} rests after ${lastError?._tag}: ${lastError?.message}`)
    }
    return reasons.slice(0, 5).join("; ")
  }

  states(now: number): ReadonlyArray<EndpointState> {
    return this.#members.map((member) => member.state(now))
  }

  /** Requests that wait here, since no endpoint could take them. */
  get waiting(): number {
    return this.#lines.size
  }

  /** Calls back after each change, until the returned function is called. */
  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange)
    return () => this.#watchers.delete(onChange)
  }

  // -- who may be asked

  #laneOf(task: string | undefined): Lane | undefined {
    return this.#lanes.get(task) ?? this.#lanes.get(undefined)
  }

  #placeOf({ domains, past, request, task }: Turn): Place {
    return {
      allowed: this.#laneOf(task)?.allowed(request) ?? this.#members,
      past: pastOf(past, domains.clock.unsafeCurrentTimeMillis())
    }
  }

  #decide(turn: Turn): Decision {
    try {
      return this.#considered(turn)
    } catch (defect) {
      // a strategy of the user's own: it is the request at hand that dies of it, and not those who wait
      return { failure: Effect.die(defect) }
    }
  }

  #considered(turn: Turn): Decision {
    const lane = this.#laneOf(turn.task)
    if (lane === undefined) return { failure: noEndpoint(this.fault ?? "The router has no endpoint") }
    const { root } = lane
    const { clock, delay, headroom, stop } = turn.domains
    const { past, request } = turn
    const now = clock.unsafeCurrentTimeMillis()
    this.#moment.now = now
    this.#moment.headroom = headroom
    for (const member of this.#members) member.wait = -1
    let soonest = forever
    let isComing = false
    let tried: Array<PoolMember> | undefined
    let triedSince = forever
    let stopped: LlmError | undefined
    let hopeless: LlmError | undefined
    const causes: Array<AttemptCause> = []
    const allowed = lane.allowed(request)
    for (const member of allowed) {
      if (!fits(member, past)) continue
      const { approach, circuit, endpoint } = member
      // a second attempt goes to another one, if there is any, and probes none
      if (turn.beside !== undefined) {
        if ((member === turn.beside && allowed.length > 1) || circuit.state(now) !== "closed") continue
      }
      const stopping = stop(endpoint.domain, now)
      if (stopping !== undefined) {
        stopped ??= stopping.error
        causes.push(causeOf(endpoint, stopping.error))
        continue
      }
      const triedUntil = past.failed?.get(endpoint.id)
      if (triedUntil === forever) continue
      const rest = Math.max(circuit.wait(now), triedUntil === undefined ? 0 : triedUntil - now)
      if (rest > 0) {
        soonest = Math.min(soonest, now + rest)
        const error = member.hopeless(now, request)
        if (error === undefined) {
          isComing = true
        } else {
          hopeless = error
          causes.push(causeOf(endpoint, error))
        }
      } else if (triedUntil !== undefined) {
        tried ??= []
        tried.push(member)
        triedSince = Math.min(triedSince, triedUntil)
      } else {
        member.wait = delay(endpoint.domain, approach.ahead)
      }
    }
    let wait = root.wait()
    const isLong = now - triedSince >= patience || (wait > patience && wait < forever)
    if (wait > 0 && tried !== undefined && past.error !== undefined && isLong) {
      return { failure: Effect.fail(past.error) }
    }
    if (wait < 0 && tried !== undefined) {
      for (const member of tried) {
        member.wait = delay(member.endpoint.domain, member.approach.ahead)
      }
      wait = root.wait()
    }
    if (wait === 0) return this.#dispatch(turn, root.take(request))
    if (wait > 0) return Math.min(soonest, now + Math.min(wait, longestWait))
    // the end of a probe comes before the next, as a rule
    if (isComing) return Math.min(soonest, now + 60 * longestWait)
    const own = stopped === undefined ? (past.tooLong ?? past.error) : undefined
    if (own !== undefined) return { failure: Effect.fail(own) }
    // of a request that is not sent at all it is told why none is asked
    const resting = stopped ?? hopeless
    return {
      failure:
        resting === undefined
          ? noEndpoint("No endpoint is left that could answer this request")
          : Effect.fail(withAttempts(resting, causes))
    }
  }

  #dispatch(turn: Turn, member: PoolMember): PoolMember {
    turn.member = member
    turn.isProbe = member.circuit.enter(this.#moment.now)
    member.inFlight++
    member.approach.ahead++
    member.lastUsed = ++this.#dispatched
    this.#changed()
    return member
  }

  // -- those who wait

  #dequeue(turn: Turn): void {
    if (turn.line === undefined) return
    this.#lines.remove(turn)
    if (this.#lines.size === 0) this.#alarm.stop()
  }

  /** Gives endpoints to those who wait, for as long as there are any. */
  #drain(): void {
    if (this.#lines.size === 0) return
    if (this.#isDraining) {
      this.#drainAgain = true
      return
    }
    this.#isDraining = true
    do {
      this.#drainAgain = false
      this.#lines.serve(this.#serve)
    } while (this.#drainAgain)
    this.#isDraining = false
  }

  /** Returns whether whoever waits was given an endpoint, or an error. */
  readonly #serve = (turn: Turn): boolean => {
    const decision = this.#decide(turn)
    if (typeof decision === "number") {
      this.#alarm.set(decision, turn.domains)
      return false
    }
    const { resume } = turn
    this.#dequeue(turn)
    resume?.(decision instanceof PoolMember ? Effect.succeed(decision) : decision.failure)
    return true
  }

  #changed(): void {
    if (this.#watchers.size > 0) for (const onChange of this.#watchers) onChange()
  }
}

/** Whether this is an error that is found before anything is sent. */
const isUnsent = (end: NonNullable<End>): boolean => "error" in end && end.error._tag === "UnsupportedError"

const fits = ({ endpoint }: PoolMember, { window }: Past): boolean =>
  window === undefined || (endpoint.contextWindow !== undefined && endpoint.contextWindow > window)

const placeOf = ({ endpoint }: PoolMember, { model = endpoint.model }: Request): string =>
  `${endpoint.id}\n${model}`

const noEndpoint = (message: string): Effect.Effect<never, LlmError> =>
  Effect.fail(new InvalidRequestError({ provider: "floodgate", message }))
