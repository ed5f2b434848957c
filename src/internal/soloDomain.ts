/**
 * What a shared domain goes by while its store is away: this process's part of the limits, counted in memory from
 * what was known when the store was lost.
 */
import { type DomainSnapshot, LimitDomain } from "./limitDomain.js"
import { type RateName, rateKinds } from "./limits.js"
import type { SharedLimits } from "./sharedLimits.js"
import type { SharedTicket } from "./sharedTicket.js"
import { type Refusal, Ticket } from "./ticket.js"
import type { Time } from "./time.js"

/** What a process knows when it loses the store. */
export interface Known {
  readonly limits: SharedLimits
  /** How many processes share them. */
  readonly processes: number
  readonly used: Readonly<Partial<Record<RateName, number>>>
  readonly inUse: number
  /** The pause that is under way, in milliseconds from now. */
  readonly pause: { readonly millis: number; readonly reason: string } | undefined
}

export class SoloDomain {
  readonly #domain: LimitDomain
  readonly #processes: number
  /** What its windows began with. */
  readonly #usedBefore: Readonly<Partial<Record<RateName, number>>>

  constructor({ inUse, limits, pause, processes, used }: Known, time: Time) {
    this.#processes = processes
    this.#domain = new LimitDomain(limits.partOf(processes), time)
    this.#domain.occupy(inUse)
    if (pause !== undefined) this.#domain.pause(pause.millis, pause.reason)
    for (const { name, paced } of rateKinds) {
      // The pace alone keeps the windows to within a burst; of a day's quota only what is left is shared out.
      const limit = limits.inForce[name]
      if (paced || limit === undefined) continue
      const remaining = Math.floor(Math.max(0, limit - (used[name] ?? 0)) / processes)
      this.#domain.observe(name, { limit: undefined, remaining, resetAfter: undefined })
    }
    this.#usedBefore = this.#domain.snapshot().used
  }

  /** Lets the ticket wait here too. `decided` is called when it is admitted or turned away, perhaps at once. */
  enter(ticket: SharedTicket, decided: (refused: Refusal | undefined) => void): void {
    const standIn = this.#domain.enter(ticket.cost)
    if (!(standIn instanceof Ticket)) {
      // Within the whole limit it may be admitted yet, within our part of it never.
      decided({ away: "the request is larger than this process's part of the limits" })
      return
    }
    ticket.standIn = { domain: this.#domain, ticket: standIn }
    standIn.onDecided((refused) => {
      if (ticket.standIn?.ticket === standIn && ticket.status === "waiting") decided(refused)
    })
  }

  /** An attempt ended. Those that were not admitted here hold a slot here all the same. */
  ended(ticket: SharedTicket): void {
    if (ticket.standIn?.domain !== this.#domain) this.#domain.occupy(-1)
  }

  pause(millis: number, reason: string): void {
    this.#domain.pause(millis, reason)
  }

  limitsChanged(limits: SharedLimits): void {
    this.#domain.setLimits(limits.partOf(this.#processes))
  }

  /** What it admitted of the quotas that outlast the store's absence. */
  get spent(): Readonly<Partial<Record<RateName, number>>> {
    const { used } = this.#domain.snapshot()
    const spent: Partial<Record<RateName, number>> = {}
    for (const { name, paced } of rateKinds) {
      const amount = used[name]
      if (!paced && amount !== undefined) spent[name] = Math.max(0, amount - (this.#usedBefore[name] ?? 0))
    }
    return spent
  }

  snapshot(): DomainSnapshot {
    return this.#domain.snapshot()
  }

  close(): void {
    this.#domain.close()
  }
}
