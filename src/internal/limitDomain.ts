/**
 * Admission to one limit domain: a queue in order of arrival, and at its head the one request that all
 * limits must allow at once. Plain synchronous code on a clock that is handed in; fibers meet it in
 * RateLimiter.ts.
 *
 * Whoever may have changed something (a timer, an attempt that ended, a new limit) calls `#drain`, which
 * admits from the head for as long as it can, then sets the one timer for the time the next is due.
 */
import { AdaptiveConcurrency } from "./adaptiveConcurrency.js"
import { type Cost, type Limits, type RateName, rateKinds } from "./limits.js"
import { PermitQueue } from "./permitQueue.js"
import { Ramp } from "./ramp.js"
import { Rate } from "./rate.js"
import type { Slot } from "./slidingWindow.js"
import { Ticket, type TooLarge } from "./ticket.js"
import { maxLateness, maxSleep, minSleep, type Time, type Timer } from "./time.js"

const smallCost: Cost = { inputTokens: 1, outputTokens: 0 }

export interface DomainSnapshot {
  readonly limits: Limits
  readonly concurrency: number | undefined
  readonly inUse: number
  readonly waiting: number
  readonly waitingFor: RateName | "concurrency" | "pause" | undefined
  readonly used: Partial<Record<RateName, number>>
  /** Milliseconds until the pause ends, 0 if there is none. */
  readonly pauseLeft: number
  readonly pauseReason: string | undefined
}

export class LimitDomain {
  readonly #time: Time
  readonly #queue = new PermitQueue<Ticket>()
  readonly #watchers = new Set<() => void>()
  #limits: Limits = {}
  #rates: ReadonlyArray<Rate> = []
  #concurrency: number | AdaptiveConcurrency | undefined
  #inUse = 0
  #pausedUntil = Number.NEGATIVE_INFINITY
  #pauseReason: string | undefined
  readonly #ramp = new Ramp()
  #waitingFor: RateName | "concurrency" | "pause" | undefined
  /** When the head of the queue is due, and when the timer fires. */
  #dueAt = Number.POSITIVE_INFINITY
  #firesAt = Number.POSITIVE_INFINITY
  readonly #timer: Timer

  constructor(limits: Limits, time: Time) {
    this.#time = time
    this.#timer = time.makeTimer(() => {
      this.#firesAt = Number.POSITIVE_INFINITY
      this.#drain()
      this.#changed()
    })
    this.#apply(limits, time.now())
  }

  /** Admits the request at once if it can, else puts it in the queue. Too large a request is turned away. */
  enter(cost: Cost): Ticket | TooLarge {
    const refused = this.#tooLarge(cost)
    if (refused !== undefined) return refused
    const ticket = new Ticket(cost)
    const now = this.#time.now()
    if (this.#isOpen(now)) {
      ticket.status = "admitted"
      ticket.admittedAt = now
      this.#ramp.started(now, maxLateness)
      this.#inUse++
    } else if (this.#queue.size > 0) {
      this.#queue.push(ticket)
    } else {
      const at = this.#admit(ticket, now, now)
      if (at > now) {
        this.#queue.push(ticket)
        this.#setTimer(at, now)
      }
    }
    this.#changed()
    return ticket
  }

  /** A request that waited, or was admitted without knowing it yet, goes away and leaves no trace. */
  leave(ticket: Ticket): void {
    if (ticket.status === "left") return
    if (ticket.status === "waiting") {
      const wasHead = this.#queue.head === ticket
      this.#queue.remove(ticket)
      ticket.status = "left"
      if (wasHead) this.#drain()
    } else {
      for (let i = 0; i < ticket.rates.length; i++) {
        const rate = ticket.rates[i] as Rate
        rate.adjust(ticket.slots[i] as Slot, -rate.kind.measure(ticket.cost))
      }
      ticket.status = "left"
      this.#inUse--
      this.#drain()
    }
    this.#changed()
  }

  /** The attempt starts: for one that waited, a busy event loop may bring this well after its admission. */
  start(ticket: Ticket): void {
    if (ticket.rates.length === 0) return
    const now = this.#time.now()
    if (now === ticket.admittedAt) return
    for (let i = 0; i < ticket.rates.length; i++)
      (ticket.rates[i] as Rate).delay(ticket.slots[i] as Slot, now)
  }

  /** The attempt ended. */
  release(ticket: Ticket, succeeded: boolean): void {
    if (ticket.status !== "admitted") return
    ticket.status = "left"
    if (succeeded && this.#concurrency instanceof AdaptiveConcurrency)
      this.#concurrency.succeeded(this.#inUse)
    this.#inUse--
    if (this.#concurrency !== undefined) this.#drain()
    this.#changed()
  }

  /** Counts calls in flight that were not admitted here, or with a negative number that they ended. */
  occupy(calls: number): void {
    this.#inUse += calls
    if (calls < 0) this.#drain()
    this.#changed()
  }

  /** Books `actual` in place of what was booked for the ticket. */
  settle(ticket: Ticket, actual: Cost): void {
    if (ticket.rates.length === 0) return
    const { rates, slots, cost } = ticket
    for (let i = 0; i < rates.length; i++) {
      const rate = rates[i] as Rate
      rate.adjust(slots[i] as Slot, rate.kind.measure(actual) - rate.kind.measure(cost))
    }
    ticket.cost = actual
    this.#drain()
    this.#changed()
  }

  congested(ticket: Ticket): void {
    this.#ramp.refused(ticket.admittedAt)
    if (!(this.#concurrency instanceof AdaptiveConcurrency)) return
    this.#concurrency.congested(ticket.admittedAt, this.#time.now())
    this.#changed()
  }

  /** Admits nothing for this long, then starts with no burst. */
  pause(millis: number, reason: string): void {
    const now = this.#time.now()
    const until = now + millis
    if (!(until > this.#pausedUntil)) return
    this.#pausedUntil = until
    this.#pauseReason = reason
    if (!this.#rates.some((rate) => rate.kind.paced && rate.stated !== undefined))
      this.#ramp.pause(now, until)
    for (const rate of this.#rates) rate.restart(until)
    this.#drain()
    this.#changed()
  }

  setLimits(limits: Limits): void {
    const now = this.#time.now()
    this.#apply(limits, now)
    this.#refuseTooLarge()
    this.#drain()
    this.#changed()
  }

  /** Takes over what the server stated about one limit. */
  observe(name: RateName, told: ObservedRate): void {
    const now = this.#time.now()
    const stated = told.limit !== undefined && told.limit > 0 ? told.limit : undefined
    let rate = this.#rates.find((rate) => rate.kind.name === name)
    if (stated !== undefined && stated !== rate?.stated) {
      this.#apply(this.#limits, now, { name, stated })
      this.#refuseTooLarge()
      rate = this.#rates.find((rate) => rate.kind.name === name)
    }
    if (rate !== undefined && told.remaining !== undefined && told.remaining >= 0) {
      rate.resynchronise(told.remaining, told.resetAfter, now)
    }
    this.#drain()
    this.#changed()
  }

  snapshot(): DomainSnapshot {
    const now = this.#time.now()
    const paused = this.#pausedUntil > now
    const limits: { -readonly [K in keyof Limits]: Limits[K] } = { ...this.#limits }
    const used: Partial<Record<RateName, number>> = {}
    for (const rate of this.#rates) {
      limits[rate.kind.name] = rate.limit
      used[rate.kind.name] = rate.used(now)
    }
    return {
      limits,
      concurrency: this.#slots,
      inUse: this.#inUse,
      waiting: this.#queue.size,
      waitingFor: this.#queue.size > 0 ? this.#waitingFor : undefined,
      used,
      pauseLeft: paused ? this.#pausedUntil - now : 0,
      pauseReason: paused ? this.#pauseReason : undefined
    }
  }

  get countsTokens(): boolean {
    return this.#rates.some((rate) => rate.kind.unit === "tokens")
  }

  /**
   * Milliseconds until a small request could be admitted after `ahead` others that are on their way here: 0 is now,
   * `Infinity` when something else has to end first.
   */
  delay(ahead: number): number {
    const now = this.#time.now()
    if (this.#isOpen(now)) return 0
    if (this.#pausedUntil > now) return this.#pausedUntil - now
    // those who wait, and those on their way, go first
    if (this.#queue.size > 0) return Math.max(this.#dueAt - now, minSleep)
    const slots = this.#slots
    if (slots !== undefined && this.#inUse + ahead >= slots) return Number.POSITIVE_INFINITY
    if (ahead > 0 && (this.#rates.length > 0 || this.#ramp.active)) return Number.POSITIVE_INFINITY
    let at = this.#ramp.active ? this.#ramp.dueAt : now
    for (const rate of this.#rates) at = Math.max(at, rate.availableAt(smallCost, now))
    return Math.max(at - now, 0)
  }

  /** What is left of the tightest limit: 0 to 1, `Infinity` where there is none. */
  get headroom(): number {
    const now = this.#time.now()
    if (this.#pausedUntil > now) return 0
    let least = Number.POSITIVE_INFINITY
    for (const rate of this.#rates) least = Math.min(least, 1 - rate.used(now) / rate.limit)
    const slots = this.#slots
    if (slots !== undefined) least = Math.min(least, 1 - this.#inUse / slots)
    return Math.max(least, 0)
  }

  /** Calls back after each change, until the returned function is called. */
  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange)
    return () => this.#watchers.delete(onChange)
  }

  close(): void {
    this.#timer.stop()
  }

  /** Whether there is nothing to check, not even the time. */
  #isOpen(now: number): boolean {
    return (
      this.#rates.length === 0 &&
      this.#concurrency === undefined &&
      !this.#ramp.active &&
      this.#queue.size === 0 &&
      this.#pausedUntil <= now
    )
  }

  get #slots(): number | undefined {
    return this.#concurrency instanceof AdaptiveConcurrency ? this.#concurrency.limit : this.#concurrency
  }

  /**
   * Admits the ticket if everything allows it at `now`, and returns when it does or will: `Infinity` is "as
   * soon as an attempt ends". `due` is the time its turn came, which is before `now` if the timer was late.
   */
  #admit(ticket: Ticket, now: number, due: number): number {
    if (this.#pausedUntil > now) {
      this.#waitingFor = "pause"
      return this.#pausedUntil
    }
    const slots = this.#slots
    if (slots !== undefined && this.#inUse >= slots) {
      this.#waitingFor = "concurrency"
      return Number.POSITIVE_INFINITY
    }
    let at = now
    if (this.#ramp.active && this.#ramp.dueAt > at) {
      at = this.#ramp.dueAt
      this.#waitingFor = "pause"
    }
    const rates = this.#rates
    for (let i = 0; i < rates.length; i++) {
      const rate = rates[i] as Rate
      const available = rate.availableAt(ticket.cost, now)
      if (available > at) {
        at = available
        this.#waitingFor = rate.kind.name
      }
    }
    if (at > now) return at
    ticket.rates = rates
    ticket.slots = rates.map((rate) => rate.take(ticket.cost, now, due))
    this.#ramp.started(now, maxLateness)
    ticket.status = "admitted"
    ticket.admittedAt = now
    this.#inUse++
    return now
  }

  #drain(): void {
    let head = this.#queue.head
    if (head === undefined) return
    const now = this.#time.now()
    // Late by less than a hiccup: the pace runs on from when the head was due, so that no capacity is lost.
    let due = this.#dueAt <= now ? Math.max(this.#dueAt, now - maxLateness) : now
    this.#dueAt = Number.POSITIVE_INFINITY
    while (head !== undefined) {
      for (const rate of this.#rates) due = Math.max(due, Math.min(rate.dueAt, now))
      const at = this.#admit(head, now, due)
      if (at > now) {
        this.#setTimer(at, now)
        return
      }
      this.#queue.remove(head)
      head.decided()
      head = this.#queue.head
    }
  }

  #setTimer(at: number, now: number): void {
    this.#dueAt = at
    if (at === Number.POSITIVE_INFINITY) return
    // Timers count whole milliseconds and cut off the rest: rounded up they are late, never early.
    const millis = Math.min(Math.max(Math.ceil(at - now), minSleep), maxSleep)
    if (this.#firesAt <= now + millis) return
    this.#firesAt = now + millis
    this.#timer.start(millis)
  }

  #tooLarge(cost: Cost): TooLarge | undefined {
    for (let i = 0; i < this.#rates.length; i++) {
      const rate = this.#rates[i] as Rate
      if (!rate.fits(cost)) {
        return { name: rate.kind.name, limit: rate.limit, amount: rate.kind.measure(cost) }
      }
    }
    if (typeof this.#concurrency === "number" && !(this.#concurrency >= 1)) {
      return { name: "concurrency", limit: this.#concurrency, amount: 1 }
    }
    return undefined
  }

  #refuseTooLarge(): void {
    for (const ticket of this.#queue) {
      const refused = this.#tooLarge(ticket.cost)
      if (refused === undefined) continue
      this.#queue.remove(ticket)
      ticket.status = "left"
      ticket.decided(refused)
    }
  }

  #apply(limits: Limits, now: number, told?: { readonly name: RateName; readonly stated: number }): void {
    const rates: Array<Rate> = []
    for (const kind of rateKinds) {
      const known = this.#rates.find((rate) => rate.kind === kind)
      const stated = told?.name === kind.name ? told.stated : known?.stated
      if (limits[kind.name] === undefined && stated === undefined) continue
      const rate = known ?? new Rate(kind)
      rate.configured = limits[kind.name]
      rate.stated = stated
      rate.apply(kind.unit === "requests" ? limits.burst : limits.tokenBurst, now)
      rates.push(rate)
    }
    const { concurrency } = limits
    if (concurrency !== "adaptive") this.#concurrency = concurrency
    else if (!(this.#concurrency instanceof AdaptiveConcurrency))
      this.#concurrency = new AdaptiveConcurrency()
    this.#limits = limits
    this.#rates = rates
  }

  #changed(): void {
    if (this.#watchers.size > 0) for (const onChange of this.#watchers) onChange()
  }
}

/** What a server said about one limit; the reset in milliseconds. */
export interface ObservedRate {
  readonly limit: number | undefined
  readonly remaining: number | undefined
  readonly resetAfter: number | undefined
}
