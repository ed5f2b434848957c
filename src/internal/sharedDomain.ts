/**
 * Admission to a limit domain whose limits are counted in a store, for several processes. The queue, the pause, an
 * adaptive concurrency and the ramp after a pause are this process's own, as in {@link LimitDomain}; who may start,
 * the store says. Plain synchronous code; fibers meet it in RateLimiter.ts.
 */
import type { Exchange, Reply, ToldRate } from "../RateLimiterStore.js"
import { AdaptiveConcurrency } from "./adaptiveConcurrency.js"
import type { DomainSnapshot } from "./limitDomain.js"
import { type Cost, type Limits, type RateKind, type RateName, rateKinds } from "./limits.js"
import { PermitQueue } from "./permitQueue.js"
import { Ramp } from "./ramp.js"
import { SharedLimits } from "./sharedLimits.js"
import { SharedTicket } from "./sharedTicket.js"
import { SoloDomain } from "./soloDomain.js"
import { type Sharing, StoreConversation } from "./storeConversation.js"
import type { Refusal, Ticket, TooLarge } from "./ticket.js"
import { maxLateness, type Time } from "./time.js"

/** A pause is not told anew for less, in milliseconds: each round trip measures its end a little differently. */
const pauseSlack = 50
/** The fewest and the most requests to ask for in one exchange, if so many wait. */
const fewestCosts = 8
const mostCosts = 256
/** So many may be on their way or in the queue before others look for another domain first. */
const mostApproaching = 16

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

  readonly #conversation: StoreConversation
  /** Whether the store takes us for waiting. */
  #announced = false
  /** When to ask for the head of the queue again, and since when it could have gone, as the store told. */
  #askAgainAt = Number.NEGATIVE_INFINITY
  #due: number | undefined
  /** How many requests to ask for: twice what was admitted last. */
  #most = mostCosts
  /** Admits while the store is away. */
  #alone: SoloDomain | undefined

  constructor(limits: Limits, time: Time, sharing: Sharing) {
    this.#time = time
    this.#sharing = sharing
    this.#limits = new SharedLimits(limits)
    if (limits.concurrency === "adaptive") this.#adaptive = new AdaptiveConcurrency()
    this.#conversation = new StoreConversation(time, sharing, {
      admissibleAt: (now) => this.#admissibleAt(now),
      asking: (now) => this.#asking(now),
      words: () => ({ limits: this.#limits.configured, due: this.#due, held: this.#held }),
      answered: (asked, reply, askedAt) => this.#answered(asked, reply, askedAt),
      unanswered: () => this.#askAgain(),
      lost: (reason) => this.#lost(reason),
      ended: () => this.#changed()
    })
  }

  enter(cost: Cost): Ticket | TooLarge {
    const refused = this.#limits.tooLarge(cost)
    if (refused !== undefined) return refused
    const ticket = new SharedTicket(cost)
    this.#queue.push(ticket)
    if (this.#alone !== undefined) this.#enterAlone(ticket, this.#alone)
    this.#conversation.turn()
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
      this.#alone?.ended(ticket)
    }
    ticket.standIn?.domain.leave(ticket.standIn.ticket)
    this.#conversation.turn()
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
    this.#correct(ticket.bookedAt, (kind) => -kind.measure(ticket.cost), false)
    this.#correct(later, (kind) => kind.measure(ticket.cost), true)
    ticket.bookedAt = later
    this.#conversation.turn()
  }

  release(ticket: Ticket, succeeded: boolean): void {
    if (!(ticket instanceof SharedTicket) || ticket.status !== "admitted") return
    ticket.status = "left"
    if (succeeded) this.#adaptive?.succeeded(this.#inUse)
    this.#inUse--
    this.#alone?.ended(ticket)
    ticket.standIn?.domain.release(ticket.standIn.ticket, succeeded)
    if (this.#limits.slotsAreShared) {
      this.#report()
      if (this.#waitingFor === "concurrency") this.#askAgain()
    }
    this.#conversation.turn()
    this.#changed()
  }

  settle(ticket: Ticket, actual: Cost): void {
    if (!(ticket instanceof SharedTicket)) return
    if (ticket.standIn !== undefined) ticket.standIn.domain.settle(ticket.standIn.ticket, actual)
    else {
      const { cost } = ticket
      this.#correct(ticket.bookedAt, (kind) => kind.measure(actual) - kind.measure(cost), false)
    }
    ticket.cost = actual
    this.#conversation.turn()
    this.#changed()
  }

  congested(ticket: Ticket): void {
    this.#ramp.refused(ticket.admittedAt)
    if (ticket instanceof SharedTicket) ticket.standIn?.domain.congested(ticket.standIn.ticket)
    this.#adaptive?.congested(ticket.admittedAt, this.#time.now())
    this.#changed()
  }

  pause(millis: number, reason: string): void {
    const now = this.#time.now()
    const until = now + millis
    if (!(until > this.#pausedUntil)) return
    this.#conversation.report.pause(until, reason, now)
    this.#alone?.pause(millis, reason)
    this.#pauseHere(millis, reason)
    this.#conversation.turn()
    this.#changed()
  }

  setLimits(limits: Limits): void {
    this.#limits.configured = limits
    if (limits.concurrency !== "adaptive") this.#adaptive = undefined
    else this.#adaptive ??= new AdaptiveConcurrency()
    this.#limitsChanged()
    this.#report()
    this.#askAgain()
    this.#conversation.turn()
    this.#changed()
  }

  observe(name: RateName, told: ToldRate): void {
    const limit = told.limit !== undefined && told.limit > 0 ? told.limit : undefined
    this.#conversation.report.tell(name, { ...told, limit }, this.#time.now())
    if (limit !== undefined && this.#limits.stateOne(name, limit)) this.#limitsChanged()
    this.#conversation.turn()
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
      concurrency: this.#adaptive?.limit ?? this.#limits.slots,
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

  /** As of a domain of this process alone, as far as is known here: what the store thinks shows when it is asked. */
  delay(ahead: number): number {
    const now = this.#time.now()
    if (this.#pausedUntil > now) return this.#pausedUntil - now
    // some may wait: they are asked for together
    return this.#queue.size + ahead < mostApproaching ? 0 : Number.POSITIVE_INFINITY
  }

  get headroom(): number {
    const now = this.#time.now()
    const { concurrency, inUse, limits, used } = this.snapshot()
    if (this.#pausedUntil > now) return 0
    let least = concurrency === undefined ? Number.POSITIVE_INFINITY : 1 - inUse / concurrency
    for (const { name } of rateKinds) {
      const limit = limits[name]
      if (limit !== undefined) least = Math.min(least, 1 - (used[name] ?? 0) / limit)
    }
    return Math.max(least, 0)
  }

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange)
    return () => this.#watchers.delete(onChange)
  }

  close(): void {
    this.#conversation.close()
    this.#alone?.close()
  }

  /** What the store is to hear after the close: that we hold nothing and do not wait. */
  lastWord(): Exchange | undefined {
    this.#inUse = 0
    return this.#conversation.lastWord()
  }

  /** The store is away: admits within this process's part of the limits until {@link resume}. */
  goAlone(processes: number): void {
    const now = this.#time.now()
    const alone = new SoloDomain(
      {
        limits: this.#limits,
        processes,
        used: this.#used,
        inUse: this.#inUse,
        pause:
          this.#pausedUntil > now
            ? { millis: this.#pausedUntil - now, reason: this.#pauseReason ?? "" }
            : undefined
      },
      this.#time
    )
    this.#alone = alone
    this.#conversation.rest()
    for (const ticket of this.#queue) this.#enterAlone(ticket, alone)
  }

  /** The store is there again. */
  resume(): void {
    const alone = this.#alone
    if (alone === undefined) return
    this.#alone = undefined
    this.#conversation.resume()
    // What was admitted alone, the store does not know.
    this.#conversation.report.correct({ at: 0, amounts: alone.spent, always: true }, this.#time.now())
    for (const ticket of this.#queue) ticket.standIn = undefined
    alone.close()
    this.#askAgain()
    this.#conversation.turn()
    this.#changed()
  }

  // -- what is asked, and answered

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

  #asking(now: number): ReadonlyArray<SharedTicket> {
    const asking: Array<SharedTicket> = []
    if (this.#admissibleAt(now) > now && !this.#waitsForStore(now)) return asking
    const room = this.#adaptive === undefined ? mostCosts : this.#adaptive.limit - this.#inUse
    const most = this.#ramp.active ? 1 : Math.min(room, this.#most)
    for (const ticket of this.#queue) {
      if (asking.length >= most) break
      asking.push(ticket)
    }
    return asking
  }

  /** Whether only the store's word holds up the head, so that an exchange for another reason may ask again. */
  #waitsForStore(now: number): boolean {
    return (
      this.#admissibleAt(now) < Number.POSITIVE_INFINITY && this.#pausedUntil <= now && !this.#ramp.active
    )
  }

  #answered(asked: ReadonlyArray<SharedTicket>, reply: Reply, askedAt: number): void {
    const now = this.#time.now()
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

  #lost(reason: string): void {
    const { processes } = this.#sharing
    if (processes === undefined) this.#refuse(() => ({ away: reason }))
    else this.goAlone(processes)
  }

  // -- the queue

  #enterAlone(ticket: SharedTicket, alone: SoloDomain): void {
    alone.enter(ticket, (refused) => {
      if (refused === undefined) this.#admit(ticket, this.#time.now())
      else this.#turnAway(ticket, refused)
    })
  }

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
    for (const ticket of this.#queue) {
      const refusal = why(ticket)
      if (refusal !== undefined) this.#turnAway(ticket, refusal)
    }
  }

  #limitsChanged(): void {
    this.#alone?.limitsChanged(this.#limits)
    this.#refuse((ticket) => this.#limits.tooLarge(ticket.cost))
  }

  #pauseHere(millis: number, reason: string): void {
    const now = this.#time.now()
    this.#pausedUntil = now + millis
    this.#pauseReason = reason
    if (!this.#limits.isPaced) this.#ramp.pause(now, this.#pausedUntil)
  }

  // -- what is to be reported

  /** How many calls count against a shared concurrency. */
  get #held(): number {
    return this.#limits.slotsAreShared ? this.#inUse : 0
  }

  #report(): void {
    this.#conversation.report.mark(this.#time.now())
  }

  #giveBack(ticket: SharedTicket): void {
    this.#correct(ticket.bookedAt, (kind) => -kind.measure(ticket.cost), false)
    if (this.#limits.slotsAreShared) this.#report()
  }

  /** Adds to what the store booked at that time; `always` also where it booked nothing. */
  #correct(at: number, amountOf: (kind: RateKind) => number, always: boolean): void {
    const amounts = this.#limits.amounts(amountOf)
    if (amounts !== undefined) {
      this.#conversation.report.correct({ at, amounts, always }, this.#time.now())
    }
  }

  #changed(): void {
    if (this.#watchers.size > 0) for (const onChange of this.#watchers) onChange()
  }
}
