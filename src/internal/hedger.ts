/**
 * Which of the attempts under way are late enough for a second one beside them, and whether that can be afforded. An
 * attempt that is not late costs two steps in a list: there is one timer for all.
 *
 * The latency past which an attempt is late is learned for each endpoint and model. A second attempt costs one from the
 * budget; each request earns the share that the budget is. The less is saved up, the later an attempt has to be: with
 * half of what can be saved, twice the quantile. So the few that are very late are not without because the many that
 * are a little late had it all. Those that have waited longest come first.
 *
 * Dean and Barroso, "The Tail at Scale" (2013), call it hedged requests.
 */
import { Alarm, type Timing } from "./alarm.js"
import { LatencyQuantile } from "./latencyQuantile.js"
import { PermitQueue, QueueNode } from "./permitQueue.js"

export interface HedgeOptions {
  readonly quantile: number
  /** Second attempts for each request. */
  readonly budget: number
  /** No second attempt before this time, in milliseconds. */
  readonly after: number
}

/** When all are late, the server is: more than so many second attempts at once would not help it. */
const mostSaved = 10
/** What cannot be given a second attempt just now is looked at again after this time. */
const again = 100

/** What sums of shares are off by. */
const tiny = 1e-9

/** A first attempt under way. */
export class Watched extends QueueNode {
  sentAt = 0
  place: Place | undefined
  /** Begins a second attempt. Returns whether it could. */
  readonly begin: () => boolean

  constructor(begin: () => boolean) {
    super()
    this.begin = begin
  }
}

/** The attempts at one model of one endpoint. */
interface Place {
  readonly latency: LatencyQuantile
  /** In the order in which they were sent. */
  readonly watched: PermitQueue<Watched>
}

export class Hedger {
  readonly #options: HedgeOptions
  readonly #places = new Map<string, Place>()
  readonly #alarm: Alarm
  #timing: Timing | undefined
  #watched = 0
  #saved = 0
  #isLooking = false

  constructor(options: HedgeOptions) {
    this.#options = options
    this.#alarm = new Alarm(() => this.look())
  }

  /** A request was sent for the first time. */
  earn(): void {
    this.#saved = Math.min(mostSaved, this.#saved + this.#options.budget)
  }

  /** A second attempt was not sent after all. */
  refund(): void {
    this.#saved = Math.min(mostSaved, this.#saved + 1)
  }

  sent(watched: Watched, place: string, now: number, timing: Timing): void {
    this.#timing = timing
    watched.sentAt = now
    watched.place = this.#placeOf(place)
    watched.place.watched.push(watched)
    this.#watched++
    const { value } = watched.place.latency
    // that of an earlier one is set already
    if (value !== undefined && watched.place.watched.head === watched) {
      this.#alarm.set(now + this.#delay(value), timing)
    }
  }

  /** An attempt ended, or has its second. */
  left(watched: Watched): void {
    const { place } = watched
    if (place === undefined) return
    watched.place = undefined
    place.watched.remove(watched)
    if (--this.#watched === 0) this.#alarm.stop()
  }

  /** An attempt took this long, or was overtaken after this time. */
  learn(place: string, millis: number): void {
    this.#placeOf(place).latency.learn(millis)
  }

  /** Gives second attempts to those who are late, as far as there are any to give. */
  look(): void {
    const timing = this.#timing
    if (this.#watched === 0 || this.#isLooking || timing === undefined) return
    this.#isLooking = true
    const now = timing.clock.unsafeCurrentTimeMillis()
    let soonest = Number.POSITIVE_INFINITY
    for (const { latency, watched } of this.#places.values()) {
      const { value } = latency
      if (value === undefined) continue
      const delay = this.#delay(value)
      for (let head = watched.head; head !== undefined; head = watched.head) {
        const dueAt = head.sentAt + delay
        if (dueAt > now) {
          soonest = Math.min(soonest, dueAt)
          break
        }
        // the next request earns, and looks
        if (this.#saved < 1 - tiny) break
        if (!head.begin()) {
          soonest = Math.min(soonest, now + again)
          break
        }
        this.#saved--
        this.left(head)
      }
    }
    this.#isLooking = false
    if (soonest < Number.POSITIVE_INFINITY) this.#alarm.set(soonest, timing)
  }

  /** How long after it was sent an attempt is late, as things are. */
  #delay(quantile: number): number {
    return Math.max((quantile * mostSaved) / Math.max(this.#saved, 1), this.#options.after)
  }

  #placeOf(name: string): Place {
    let place = this.#places.get(name)
    if (place === undefined) {
      place = { latency: new LatencyQuantile(this.#options.quantile), watched: new PermitQueue() }
      this.#places.set(name, place)
    }
    return place
  }
}
