/**
 * Admission to a limit domain whose limits are counted in a store, for several processes. The queue, the pause, an
 * adaptive concurrency and the ramp after a pause are this process's own, as in {@link LimitDomain}; who may start,
 * the store says. Plain synchronous code; fibers meet it in RateLimiter.ts.
 *
 * There is one exchange with the store at a time. What happens meanwhile is kept for the next one, so that a round
 * trip carries as much as there is: it limits neither throughput nor order.
 */
import type { Exchange, Reply, ToldRate } from "../RateLimiterStore.js"
import { AdaptiveConcurrency } from "./adaptiveConcurrency.js"
import {
  type DomainSnapshot,
  LimitDomain,
  maxLateness,
  maxSleep,
  type Refusal,
  Ticket,
  type Time,
  type Timer,
  type TooLarge
} from "./limitDomain.js"
import { type Cost, type Limits, type RateName, rateKinds } from "./limits.js"
import { PermitQueue } from "./permitQueue.js"
import { Ramp } from "./ramp.js"
import { SharedLimits } from "./sharedLimits.js"
import { StoreReport } from "./storeReport.js"

/** Between two exchanges, in milliseconds: those who come together go together. */
const spacing = 1
/** How long what is only to be reported may wait for company, in milliseconds. */
const reportDelay = 10
/** Between tries while the store does not answer, in milliseconds. */
const retryDelay = 50
/** A pause is not told anew for less, in milliseconds: each round trip measures its end a little differently. */
const pauseSlack = 50
/** The fewest and the most requests to ask for in one exchange, if so many wait. */
const fewestCosts = 8
const mostCosts = 256

/** How a domain deals with its store. In milliseconds. */
export interface Sharing {
  /** Speaks with the store and calls back, always later and once. */
  readonly exchange: (exchange: Exchange, done: (reply: Reply | string) => void) => void
  readonly process: string
  readonly lease: number
  /** How long the store may fail before it is away. */
  readonly timeout: number
  /** Where set, this process goes on alone within this part of the limits while the store is away. */
  readonly processes: number | undefined
  /** The store is away, or there again. */
  readonly onAway: (reason: string | undefined) => void
}

class SharedTicket extends Ticket {
  /** When the store booked it, by its clock. */
  bookedAt = 0
  /** When it was asked for, by ours. */
  askedAt = 0
  /** Its stand-in where this process went on alone. */
  standIn: { readonly domain: LimitDomain; readonly ticket: Ticket } | undefined
}

export class SharedDomain {
  readonly #time: Time
  readonly #sharing: Sharing
  readonly #queue = new PermitQueue<SharedTicket>()
  readonly #watchers = new Set<() => void>()
  readonly #limits: SharedLimits
  #used: Readonly<Partial<Record<RateName, number>>> = {}
  #usedAt = 0
  #adaptive: AdaptiveConcurrency | undefined
  #inUse = 0
  #pausedUntil = Number.NEGATIVE_INFINITY
  #pauseReason: string | undefined
  readonly #ramp = new Ramp()
  #waitingFor: RateName | "concurrency" | "pause" | undefined

  // For the next exchange.
  readonly #toTell = new StoreReport()
  /** Whether the store takes us for waiting. */
  #announced = false
  #restart: Exchange["restart"] = "never"
  #due: number | undefined

  #exchanging = false
  #lastExchange = Number.NEGATIVE_INFINITY
  #askAgainAt = Number.NEGATIVE_INFINITY
  /** How many requests to ask for: twice what was admitted last. */
  #most = mostCosts
  #failingSince: number | undefined
  /** Admits while the store is away, and what its windows began with. */
  #alone: LimitDomain | undefined
  #usedBefore: Readonly<Partial<Record<RateName, number>>> = {}
  #firesAt = Number.POSITIVE_INFINITY
  #closed = false
  readonly #timer: Timer

  constructor(limits: Limits, time: Time, sharing: Sharing) {
    this.#time = time
    this.#sharing = sharing
    this.#limits = new SharedLimits(limits)
    if (limits.concurrency === "adaptive") this.#adaptive = new AdaptiveConcurrency()
    this.#timer = time.makeTimer(() => {
      this.#firesAt = Number.POSITIVE_INFINITY
      this.#turn()
    })
  }

  enter(cost: Cost): Ticket | TooLarge {
    const refused = this.#limits.tooLarge(cost)
    if (refused !== undefined) return refused
    const ticket = new SharedTicket(cost)
    this.#queue.push(ticket)
    if (this.#alone !== undefined) this.#enterAlone(ticket, this.#alone)
    this.#turn()
    this.#changed()
    return ticket
  }

  leave(ticket: Ticket): void {
    if (!(ticket instanceof SharedTicket) || ticket.status === "left") return
    if (ticket.status === "waiting") {
      this.#dequeue(ticket)
      ticket.status = "left"
    } else {
      ticket.status = "left"
      this.#inUse--
      if (ticket.standIn === undefined) this.#giveBack(ticket)
      if (ticket.standIn?.domain !== this.#alone) this.#alone?.occupy(-1)
    }
    ticket.standIn?.domain.leave(ticket.standIn.ticket)
    this.#turn()
    this.#changed()
  }

  start(ticket: Ticket): void {
    if (!(ticket instanceof SharedTicket)) return
    if (ticket.standIn !== undefined) {
      ticket.standIn.domain.start(ticket.standIn.ticket)
      return
    }
    // Between the booking and now lies no more than the time since it was asked for. Half the guard that windows are
    // held longer by makes up for as much of it; the other half is left to the way to the server.
    const { guard } = this.#limits
    if (guard === undefined) return
    const late = this.#time.now() - ticket.askedAt - guard / 2
    if (late <= 0) return
    const later = ticket.bookedAt + late
    this.#correct(ticket.bookedAt, ticket.cost, -1, false)
    this.#correct(later, ticket.cost, 1, true)
    ticket.bookedAt = later
    this.#turn()
  }

  release(ticket: Ticket, succeeded: boolean): void {
    if (!(ticket instanceof SharedTicket) || ticket.status !== "admitted") return
    ticket.status = "left"
    if (succeeded) {
      this.#ramp.answered()
      this.#adaptive?.succeeded(this.#inUse)
    }
    this.#inUse--
    if (ticket.standIn?.domain !== this.#alone) this.#alone?.occupy(-1)
    ticket.standIn?.domain.release(ticket.standIn.ticket, succeeded)
    if (this.#limits.slotsAreShared) {
      this.#report()
      if (this.#waitingFor === "concurrency") this.#askAgain()
    }
    this.#turn()
    this.#changed()
  }

  settle(ticket: Ticket, actual: Cost): void {
    if (!(ticket instanceof SharedTicket)) return
    if (ticket.standIn !== undefined) ticket.standIn.domain.settle(ticket.standIn.ticket, actual)
    else {
      const amounts: Partial<Record<RateName, number>> = {}
      let any = false
      for (const kind of rateKinds) {
        const delta = kind.measure(actual) - kind.measure(ticket.cost)
        if (delta === 0 || !this.#limits.isCounted(kind)) continue
        amounts[kind.name] = delta
        any = true
      }
      if (any) {
        this.#toTell.correct({ at: ticket.bookedAt, amounts, always: false }, this.#time.now())
      }
    }
    ticket.cost = actual
    this.#turn()
    this.#changed()
  }

  congested(ticket: Ticket): void {
    this.#ramp.refused()
    if (ticket instanceof SharedTicket) ticket.standIn?.domain.congested(ticket.standIn.ticket)
    this.#adaptive?.congested(ticket.admittedAt, this.#time.now())
    this.#changed()
  }

  pause(millis: number, reason: string): void {
    const now = this.#time.now()
    const until = now + millis
    if (!(until > this.#pausedUntil)) return
    this.#toTell.pause(until, reason, now)
    this.#alone?.pause(millis, reason)
    this.#pauseHere(millis, reason)
    this.#turn()
    this.#changed()
  }

  setLimits(limits: Limits): void {
    this.#limits.configured = limits
    if (limits.concurrency !== "adaptive") this.#adaptive = undefined
    else this.#adaptive ??= new AdaptiveConcurrency()
    this.#limitsChanged()
    this.#report()
    this.#askAgain()
    this.#turn()
    this.#changed()
  }

  observe(name: RateName, told: ToldRate): void {
    const limit = told.limit !== undefined && told.limit > 0 ? told.limit : undefined
    this.#toTell.tell(name, { ...told, limit }, this.#time.now())
    if (limit !== undefined && this.#limits.stateOne(name, limit)) this.#limitsChanged()
    this.#turn()
    this.#changed()
  }

  snapshot(): DomainSnapshot {
    const now = this.#time.now()
    const paused = this.#pausedUntil > now
    const waiting = this.#queue.size
    if (this.#alone !== undefined) {
      return { ...this.#alone.snapshot(), limits: this.#limits.inForce, inUse: this.#inUse, waiting }
    }
    const used: Partial<Record<RateName, number>> = {}
    for (const { name, period } of rateKinds) {
      const amount = this.#used[name]
      // what the store said last; past its period it says nothing of the present
      if (amount !== undefined) used[name] = now - this.#usedAt < period ? amount : 0
    }
    return {
      limits: this.#limits.inForce,
      concurrency:
        this.#adaptive?.limit ??
        (typeof this.#limits.configured.concurrency === "number"
          ? this.#limits.configured.concurrency
          : undefined),
      inUse: this.#inUse,
      waiting,
      waitingFor: waiting === 0 ? undefined : paused ? "pause" : this.#waitingFor,
      used,
      pauseLeft: paused ? this.#pausedUntil - now : 0,
      pauseReason: paused ? this.#pauseReason : undefined
    }
  }

  get countsTokens(): boolean {
    return rateKinds.some((kind) => kind.unit === "tokens" && this.#limits.isCounted(kind))
  }

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange)
    return () => this.#watchers.delete(onChange)
  }

  close(): void {
    this.#closed = true
    this.#timer.stop()
    this.#alone?.close()
  }

  /** What the store is to hear after the close: that we hold nothing and do not wait. */
  lastWord(): Exchange | undefined {
    if (this.#lastExchange === Number.NEGATIVE_INFINITY || this.#failingSince !== undefined) return undefined
    this.#inUse = 0
    return this.#makeExchange([])
  }

  /** The store is there again. */
  resume(): void {
    const alone = this.#alone
    if (alone === undefined) return
    this.#alone = undefined
    this.#failingSince = undefined
    // What was admitted alone, the store does not know. The pace begins anew, and a day's use is told.
    this.#restart = "always"
    const { used } = alone.snapshot()
    const amounts: Partial<Record<RateName, number>> = {}
    for (const { name, paced } of rateKinds) {
      if (!paced && used[name] !== undefined)
        amounts[name] = Math.max(0, used[name] - (this.#usedBefore[name] ?? 0))
    }
    this.#toTell.correct({ at: 0, amounts, always: true }, this.#time.now())
    for (let ticket = this.#queue.head; ticket !== undefined; ticket = ticket.next) ticket.standIn = undefined
    alone.close()
    this.#askAgain()
    this.#turn()
    this.#changed()
  }

  // -- what is next

  /** Whatever may have changed something calls this: it speaks with the store if it is time, or sets the timer. */
  #turn(): void {
    if (this.#exchanging || this.#closed || this.#alone !== undefined) return
    const now = this.#time.now()
    const at = Math.max(this.#nextAt(now), this.#lastExchange + spacing)
    if (at <= now) this.#exchange(now)
    else if (at < this.#firesAt) {
      const millis = Math.min(Math.ceil(at - now), maxSleep)
      this.#firesAt = now + millis
      this.#timer.start(millis)
    }
  }

  #nextAt(now: number): number {
    let at = this.#admissibleAt(now)
    const { isUrgent, since } = this.#toTell
    if (since !== undefined) at = Math.min(at, isUrgent ? now : since + reportDelay)
    if (this.#inUse > 0 && this.#limits.slotsAreShared) {
      at = Math.min(at, this.#lastExchange + this.#sharing.lease / 3)
    }
    return this.#failingSince === undefined ? at : Math.max(at, this.#lastExchange + retryDelay)
  }

  /** When this process could start one more of those who wait, as far as it knows. */
  #admissibleAt(now: number): number {
    if (this.#queue.size === 0) return Number.POSITIVE_INFINITY
    if (this.#adaptive !== undefined && this.#inUse >= this.#adaptive.limit) {
      this.#waitingFor = "concurrency"
      return Number.POSITIVE_INFINITY
    }
    if (this.#pausedUntil > now) return this.#pausedUntil
    if (this.#ramp.active && this.#ramp.dueAt > now) {
      this.#waitingFor = "pause"
      return Math.max(this.#askAgainAt, this.#ramp.dueAt)
    }
    return this.#askAgainAt
  }

  #exchange(now: number): void {
    const asking: Array<SharedTicket> = []
    let ticket = this.#queue.head
    if (this.#admissibleAt(now) <= now || this.#waitsForStore(now)) {
      const room = this.#adaptive === undefined ? mostCosts : this.#adaptive.limit - this.#inUse
      const most = this.#ramp.active ? 1 : Math.min(room, this.#most)
      while (ticket !== undefined && asking.length < most) {
        asking.push(ticket)
        ticket = ticket.next
      }
    }
    const exchange = this.#makeExchange(asking)
    this.#exchanging = true
    this.#lastExchange = now
    this.#sharing.exchange(exchange, (reply) => {
      this.#exchanging = false
      if (this.#closed) return
      if (typeof reply === "string") this.#failed(exchange, reply, now)
      else this.#answered(asking, reply, now)
      this.#turn()
      this.#changed()
    })
  }

  /** Whether only the store's word holds up the head, so that an exchange for another reason may ask again. */
  #waitsForStore(now: number): boolean {
    return (
      this.#admissibleAt(now) < Number.POSITIVE_INFINITY && this.#pausedUntil <= now && !this.#ramp.active
    )
  }

  #makeExchange(asking: ReadonlyArray<SharedTicket>): Exchange {
    return {
      process: this.#sharing.process,
      limits: this.#limits.configured,
      costs: asking.map(({ cost }) => cost),
      due: this.#due,
      held: this.#limits.slotsAreShared ? this.#inUse : 0,
      lease: this.#sharing.lease,
      ...this.#toTell.take(this.#time.now()),
      restart: this.#restart
    }
  }

  #answered(asked: ReadonlyArray<SharedTicket>, reply: Reply, askedAt: number): void {
    const now = this.#time.now()
    if (this.#failingSince !== undefined) this.#sharing.onAway(undefined)
    this.#failingSince = undefined
    this.#restart = "if-lost"
    this.#used = reply.used
    this.#usedAt = now
    if (this.#limits.state(reply.stated)) this.#limitsChanged()
    if (reply.pause !== undefined && now + reply.pause.millis > this.#pausedUntil + pauseSlack) {
      this.#pauseHere(reply.pause.millis, reply.pause.reason)
    }
    // A pause that came while the store was asked.
    const paused = this.#pausedUntil > now
    for (let i = 0; i < reply.admitted; i++) {
      const ticket = asked[i]
      if (ticket === undefined) break
      ticket.bookedAt = reply.now
      ticket.askedAt = askedAt
      if (paused || ticket.status !== "waiting") {
        this.#giveBack(ticket)
        continue
      }
      this.#admit(ticket, now)
    }
    if (asked.length > 0) this.#most = Math.min(Math.max(2 * reply.admitted, fewestCosts), mostCosts)
    this.#announced = reply.admitted < asked.length
    if (this.#announced && !paused) {
      this.#askAgainAt = now + reply.wait
      this.#due = this.#queue.size > 0 ? reply.due : undefined
      this.#waitingFor = reply.waitingFor ?? this.#waitingFor
      // The one that is to wait has left: who is next may not have to.
      if (asked[reply.admitted]?.status !== "waiting") this.#headLeft()
    } else if (asked.length > 0) {
      this.#askAgain()
    }
  }

  #failed(exchange: Exchange, reason: string, askedAt: number): void {
    this.#failingSince ??= askedAt
    this.#askAgain()
    this.#toTell.putBack(exchange, askedAt)
    if (this.#time.now() - this.#failingSince < this.#sharing.timeout) return
    // Nobody waits for what may never come.
    this.#toTell.drop()
    this.#sharing.onAway(reason)
    const { processes } = this.#sharing
    if (processes === undefined) this.#refuse(() => ({ away: reason }))
    else this.goAlone(processes)
  }

  // -- alone

  /** Admits within this process's part of the limits until {@link resume}. */
  goAlone(processes: number): void {
    const alone = new LimitDomain(this.#limits.partOf(processes), this.#time)
    this.#alone = alone
    alone.occupy(this.#inUse)
    const now = this.#time.now()
    if (this.#pausedUntil > now) alone.pause(this.#pausedUntil - now, this.#pauseReason ?? "")
    for (const { name, paced } of rateKinds) {
      // The pace alone keeps the windows to within a burst; of a day's quota only what is left is shared out.
      const limit = this.#limits.inForce[name]
      if (paced || limit === undefined) continue
      const remaining = Math.max(0, limit - (this.#used[name] ?? 0)) / processes
      alone.observe(name, { limit: undefined, remaining: Math.floor(remaining), resetAfter: undefined })
    }
    this.#usedBefore = alone.snapshot().used
    let ticket = this.#queue.head
    while (ticket !== undefined) {
      const next: SharedTicket | undefined = ticket.next
      this.#enterAlone(ticket, alone)
      ticket = next
    }
  }

  #enterAlone(ticket: SharedTicket, alone: LimitDomain): void {
    const standIn = alone.enter(ticket.cost)
    if (!(standIn instanceof Ticket)) {
      // Within the whole limit it may be admitted yet, within our part of it never.
      this.#turnAway(ticket, { away: "the request is larger than this process's part of the limits" })
      return
    }
    ticket.standIn = { domain: alone, ticket: standIn }
    standIn.onDecided((refused) => {
      if (ticket.standIn?.ticket !== standIn || ticket.status !== "waiting") return
      if (refused === undefined) this.#admit(ticket, this.#time.now())
      else this.#turnAway(ticket, refused)
    })
  }

  // -- the queue

  #admit(ticket: SharedTicket, now: number): void {
    this.#queue.remove(ticket)
    this.#ramp.started(now, maxLateness)
    ticket.status = "admitted"
    ticket.admittedAt = now
    this.#inUse++
    ticket.decided()
  }

  #dequeue(ticket: SharedTicket): void {
    const wasHead = this.#queue.head === ticket
    this.#queue.remove(ticket)
    if (wasHead) this.#headLeft()
  }

  #headLeft(): void {
    this.#askAgain()
    // Others keep room for us for as long as they take us for waiting.
    if (this.#queue.size === 0 && this.#announced) this.#report()
  }

  #askAgain(): void {
    this.#askAgainAt = Number.NEGATIVE_INFINITY
    this.#due = undefined
  }

  #turnAway(ticket: SharedTicket, refusal: Refusal): void {
    this.#dequeue(ticket)
    ticket.status = "left"
    ticket.decided(refusal)
  }

  #refuse(why: (ticket: SharedTicket) => Refusal | undefined): void {
    let ticket = this.#queue.head
    while (ticket !== undefined) {
      const next: SharedTicket | undefined = ticket.next
      const refusal = why(ticket)
      if (refusal !== undefined) this.#turnAway(ticket, refusal)
      ticket = next
    }
  }

  #limitsChanged(): void {
    const { processes } = this.#sharing
    if (processes !== undefined) this.#alone?.setLimits(this.#limits.partOf(processes))
    this.#refuse((ticket) => this.#limits.tooLarge(ticket.cost))
  }

  #pauseHere(millis: number, reason: string): void {
    const now = this.#time.now()
    this.#pausedUntil = now + millis
    this.#pauseReason = reason
    if (!this.#limits.isPaced) this.#ramp.pause(now, this.#pausedUntil)
  }

  // -- what is to be reported

  #report(): void {
    this.#toTell.mark(this.#time.now())
  }

  #giveBack(ticket: SharedTicket): void {
    this.#correct(ticket.bookedAt, ticket.cost, -1, false)
    if (this.#limits.slotsAreShared) this.#report()
  }

  #correct(at: number, cost: Cost, sign: 1 | -1, always: boolean): void {
    const amounts: Partial<Record<RateName, number>> = {}
    for (const kind of rateKinds)
      if (this.#limits.isCounted(kind)) amounts[kind.name] = sign * kind.measure(cost)
    if (Object.keys(amounts).length === 0) return
    this.#toTell.correct({ at, amounts, always }, this.#time.now())
  }

  #changed(): void {
    if (this.#watchers.size > 0) for (const onChange of this.#watchers) onChange()
  }
}
