/** What the store of shared limits has yet to be told by a domain of this process. */
import type { Correction, Exchange, ToldRate } from "../RateLimiterStore.js"
import type { RateName } from "./limits.js"

/** What of an exchange is told. */
export type Told = Pick<Exchange, "corrections" | "told" | "pause">

export class StoreReport {
  /** Since when there is something to tell, if only that something changed. */
  since: number | undefined
  #corrections: Array<Correction> = []
  #told: Partial<Record<RateName, ToldRate>> = {}
  #pause: { readonly until: number; readonly reason: string } | undefined

  /** A pause is not kept waiting for company. */
  get isUrgent(): boolean {
    return this.#pause !== undefined
  }

  /** There is something to tell. */
  mark(now: number): void {
    this.since ??= now
  }

  correct(correction: Correction, now: number): void {
    this.#corrections.push(correction)
    this.mark(now)
  }

  /** The newest word on a limit holds; an older one on its height, if the newest has none. */
  tell(name: RateName, told: ToldRate, now: number): void {
    this.#told[name] = { ...told, limit: told.limit ?? this.#told[name]?.limit }
    this.mark(now)
  }

  pause(until: number, reason: string, now: number): void {
    this.#pause = { until, reason }
    this.mark(now)
  }

  /** Takes out all there is. */
  take(now: number): Told {
    const pause = this.#pause
    const told = {
      corrections: this.#corrections,
      told: this.#told,
      pause:
        pause === undefined ? undefined : { millis: Math.max(pause.until - now, 0), reason: pause.reason }
    }
    this.#corrections = []
    this.#told = {}
    this.#pause = undefined
    this.since = undefined
    return told
  }

  /**
   * Puts back what was told at `at` and not confirmed. It may have been booked nonetheless: what adds is told again,
   * what takes away is not.
   */
  putBack({ corrections, pause, told }: Told, at: number): void {
    const adding = corrections.map((correction) => ({
      ...correction,
      amounts: Object.fromEntries(Object.entries(correction.amounts).filter(([, amount]) => amount > 0))
    }))
    this.#corrections = [...adding, ...this.#corrections]
    this.#told = { ...told, ...this.#told }
    if (pause !== undefined) this.#pause ??= { until: at + pause.millis, reason: pause.reason }
    this.mark(at)
  }

  /** Lets go of all but the pause: while nobody listens, it is not to pile up. */
  drop(): void {
    this.#corrections = []
    this.#told = {}
    this.since = undefined
  }
}
