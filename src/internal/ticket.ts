/** One request's way through a limit domain, and the reasons for which it may be turned away. */
import type { Cost, RateName } from "./limits.js"
import { QueueNode } from "./permitQueue.js"
import type { Rate } from "./rate.js"
import type { Slot } from "./slidingWindow.js"

/** Why a request can never be admitted: it costs more than a whole limit. */
export interface TooLarge {
  readonly name: RateName | "concurrency"
  readonly limit: number
  readonly amount: number
}

/** Why a request that could be admitted was not: the store of the limits cannot be reached. */
export interface StoreAway {
  readonly away: string
}

/** Why a request was turned away. */
export type Refusal = TooLarge | StoreAway

const none: ReadonlyArray<never> = []

/** One request's way through the domain. */
export class Ticket extends QueueNode {
  status: "waiting" | "admitted" | "left" = "waiting"
  admittedAt = 0
  cost: Cost
  /** The limits the admission was booked to, and its place in the window of each. */
  rates: ReadonlyArray<Rate> = none
  slots: ReadonlyArray<Slot> = none
  #refused: Refusal | undefined
  #onDecided: ((refused: Refusal | undefined) => void) | undefined

  constructor(cost: Cost) {
    super()
    this.cost = cost
  }

  /** Calls back when the wait is over, with the reason if the request was turned away. */
  onDecided(callback: (refused: Refusal | undefined) => void): void {
    if (this.status === "waiting") this.#onDecided = callback
    else callback(this.#refused)
  }

  /** @internal */
  decided(refused?: Refusal): void {
    this.#refused = refused
    this.#onDecided?.(refused)
  }
}
