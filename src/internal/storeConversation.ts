/**
 * The exchanges of one shared domain with its store: when there is one, and what becomes of it if it fails.
 *
 * There is one at a time. What happens meanwhile is kept for the next one, so that a round trip carries as much as
 * there is: it limits neither throughput nor order.
 */
import type { Exchange, Reply } from "../RateLimiterStore.js"
import type { SharedTicket } from "./sharedTicket.js"
import { StoreReport } from "./storeReport.js"
import { maxSleep, type Time, type Timer } from "./time.js"

/** Between two exchanges, in milliseconds: those who come together go together. */
const spacing = 1
/** How long what is only to be reported may wait for company, in milliseconds. */
const reportDelay = 10
/** Between tries while the store does not answer, in milliseconds. */
const retryDelay = 50

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

/** The domain that speaks. */
export interface Speaker {
  /** When one more of those who wait could start here; `Infinity` until something happens. */
  readonly admissibleAt: (now: number) => number
  /** The requests to ask for now. */
  readonly asking: (now: number) => ReadonlyArray<SharedTicket>
  /** What the exchange says of the domain at the moment. */
  readonly words: () => Pick<Exchange, "limits" | "due" | "held">
  readonly answered: (asked: ReadonlyArray<SharedTicket>, reply: Reply, askedAt: number) => void
  /** An exchange failed. */
  readonly unanswered: () => void
  /** The store did not answer for too long. */
  readonly lost: (reason: string) => void
  /** The exchange has ended, well or not. */
  readonly ended: () => void
}

export class StoreConversation {
  /** For the next exchange. */
  readonly report = new StoreReport()
  readonly #time: Time
  readonly #sharing: Sharing
  readonly #speaker: Speaker
  #restart: Exchange["restart"] = "never"
  #exchanging = false
  #lastAt = Number.NEGATIVE_INFINITY
  #failingSince: number | undefined
  #firesAt = Number.POSITIVE_INFINITY
  #resting = false
  #closed = false
  readonly #timer: Timer

  constructor(time: Time, sharing: Sharing, speaker: Speaker) {
    this.#time = time
    this.#sharing = sharing
    this.#speaker = speaker
    this.#timer = time.makeTimer(() => {
      this.#firesAt = Number.POSITIVE_INFINITY
      this.turn()
    })
  }

  /** Whatever may have changed something calls this: it speaks with the store if it is time, or sets the timer. */
  turn(): void {
    if (this.#exchanging || this.#closed || this.#resting) return
    const now = this.#time.now()
    const at = Math.max(this.#nextAt(now), this.#lastAt + spacing)
    if (at <= now) this.#exchange(now)
    else if (at < this.#firesAt) {
      const millis = Math.min(Math.ceil(at - now), maxSleep)
      this.#firesAt = now + millis
      this.#timer.start(millis)
    }
  }

  /** Is silent until {@link resume}. */
  rest(): void {
    this.#resting = true
  }

  /** Speaks again, to a store that does not know what happened meanwhile: the pace is to begin anew. */
  resume(): void {
    this.#resting = false
    this.#failingSince = undefined
    this.#restart = "always"
  }

  close(): void {
    this.#closed = true
    this.#timer.stop()
  }

  /** What the store is to hear at the very end, if it knows of us. */
  lastWord(): Exchange | undefined {
    if (this.#lastAt === Number.NEGATIVE_INFINITY || this.#failingSince !== undefined) return undefined
    return this.#makeExchange([])
  }

  #nextAt(now: number): number {
    let at = this.#speaker.admissibleAt(now)
    const { isUrgent, since } = this.report
    if (since !== undefined) at = Math.min(at, isUrgent ? now : since + reportDelay)
    if (this.#speaker.words().held > 0) at = Math.min(at, this.#lastAt + this.#sharing.lease / 3)
    return this.#failingSince === undefined ? at : Math.max(at, this.#lastAt + retryDelay)
  }

  #exchange(now: number): void {
    const asking = this.#speaker.asking(now)
    const exchange = this.#makeExchange(asking)
    this.#exchanging = true
    this.#lastAt = now
    this.#sharing.exchange(exchange, (reply) => {
      this.#exchanging = false
      if (this.#closed) return
      if (typeof reply === "string") this.#failed(exchange, reply, now)
      else {
        if (this.#failingSince !== undefined) this.#sharing.onAway(undefined)
        this.#failingSince = undefined
        this.#restart = "if-lost"
        this.#speaker.answered(asking, reply, now)
      }
      this.turn()
      this.#speaker.ended()
    })
  }

  #makeExchange(asking: ReadonlyArray<SharedTicket>): Exchange {
    return {
      ...this.#speaker.words(),
      ...this.report.take(this.#time.now()),
      process: this.#sharing.process,
      lease: this.#sharing.lease,
      costs: asking.map(({ cost }) => cost),
      restart: this.#restart
    }
  }

  #failed(exchange: Exchange, reason: string, askedAt: number): void {
    this.#failingSince ??= askedAt
    this.#speaker.unanswered()
    this.report.putBack(exchange, askedAt)
    if (this.#time.now() - this.#failingSince < this.#sharing.timeout) return
    // Nobody waits for what may never come.
    this.report.drop()
    this.#sharing.onAway(reason)
    this.#speaker.lost(reason)
  }
}
