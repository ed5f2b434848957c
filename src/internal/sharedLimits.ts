/** The limits of a shared domain: those this process has configured, tightened by what servers stated to anyone. */
import { type Cost, type Limits, type RateKind, type RateName, rateKinds } from "./limits.js"
import { guardShare, maxGuard } from "./rate.js"
import type { TooLarge } from "./ticket.js"

type Stated = Readonly<Partial<Record<RateName, number>>>

export class SharedLimits {
  configured: Limits
  #stated: Stated = {}

  constructor(configured: Limits) {
    this.configured = configured
  }

  /** Takes over what was stated. Whether that changed anything. */
  state(stated: Stated): boolean {
    const before = this.#stated
    this.#stated = stated
    return rateKinds.some(({ name }) => before[name] !== stated[name])
  }

  stateOne(name: RateName, limit: number): boolean {
    return this.state({ ...this.#stated, [name]: limit })
  }

  isCounted(kind: RateKind): boolean {
    return this.#limitOf(kind) < Number.POSITIVE_INFINITY
  }

  get isPaced(): boolean {
    return rateKinds.some((kind) => kind.paced && this.isCounted(kind))
  }

  /** The shared concurrency; an adaptive one is no matter of the store. */
  get slots(): number | undefined {
    const { concurrency } = this.configured
    return typeof concurrency === "number" ? concurrency : undefined
  }

  get slotsAreShared(): boolean {
    return this.slots !== undefined
  }

  /** The amounts that are counted, if there are any. */
  amounts(amountOf: (kind: RateKind) => number): Partial<Record<RateName, number>> | undefined {
    const amounts: Partial<Record<RateName, number>> = {}
    let any = false
    for (const kind of rateKinds) {
      const amount = amountOf(kind)
      if (amount === 0 || !this.isCounted(kind)) continue
      amounts[kind.name] = amount
      any = true
    }
    return any ? amounts : undefined
  }

  /** How much longer than its period the shortest window is held; see {@link guardShare}. */
  get guard(): number | undefined {
    const shortest = rateKinds.find((kind) => this.isCounted(kind))?.period
    return shortest === undefined ? undefined : Math.min(shortest * guardShare, maxGuard)
  }

  get inForce(): Limits {
    const limits: { -readonly [K in keyof Limits]: Limits[K] } = { ...this.configured }
    for (const kind of rateKinds) if (this.isCounted(kind)) limits[kind.name] = this.#limitOf(kind)
    return limits
  }

  /** The part of one of so many processes, in whole numbers where there are enough. */
  partOf(processes: number): Limits {
    const limits = this.inForce
    const part = (limit: number) => (limit >= processes ? Math.floor(limit / processes) : limit / processes)
    const parts: { -readonly [K in keyof Limits]: Limits[K] } = { ...limits }
    for (const { name } of rateKinds) {
      const limit = limits[name]
      if (limit !== undefined) parts[name] = part(limit)
    }
    if (typeof limits.concurrency === "number") {
      parts.concurrency = Math.max(
        Math.floor(limits.concurrency / processes),
        Math.min(limits.concurrency, 1)
      )
    }
    if (limits.burst !== undefined) parts.burst = part(limits.burst)
    if (limits.tokenBurst !== undefined) parts.tokenBurst = part(limits.tokenBurst)
    return parts
  }

  tooLarge(cost: Cost): TooLarge | undefined {
    for (const kind of rateKinds) {
      const limit = this.#limitOf(kind)
      const amount = kind.measure(cost)
      if (amount > Math.ceil(limit)) return { name: kind.name, limit, amount }
    }
    const { concurrency } = this.configured
    if (typeof concurrency === "number" && !(concurrency >= 1)) {
      return { name: "concurrency", limit: concurrency, amount: 1 }
    }
    return undefined
  }

  #limitOf({ name }: RateKind): number {
    return Math.min(
      this.configured[name] ?? Number.POSITIVE_INFINITY,
      this.#stated[name] ?? Number.POSITIVE_INFINITY
    )
  }
}
