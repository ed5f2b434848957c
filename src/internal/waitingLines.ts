/**
 * Those who wait at a pool, in lines: who could be given the same endpoints waits in one, the oldest first. So what is
 * true of the head of a line is true of all behind it, and there are few lines, however many wait.
 *
 * The oldest of all is served first, whatever its line; a request that has failed keeps the number that it came with.
 */
import { PermitQueue } from "./permitQueue.js"
import type { PoolMember } from "./poolMember.js"
import type { Past, Turn } from "./turn.js"

/** Which line: the endpoints that a request may be given, and what of its past leaves some of them out. */
export interface Place {
  readonly allowed: ReadonlyArray<PoolMember>
  readonly past: string
}

class Line extends PermitQueue<Turn> {
  readonly place: Place
  /** Nobody in it can be given an endpoint just now. */
  isHeld = false

  constructor(place: Place) {
    super()
    this.place = place
  }
}

/** What of a past makes a difference to who may be asked; `""` for a request that nothing has happened to. */
export const pastOf = ({ failed, window }: Past, now: number): string => {
  if (window === undefined && (failed === undefined || failed.size === 0)) return ""
  const seen = Array.from(failed ?? [], ([id, until]) => (until > now ? `${id}\t${until}` : id))
  return `${window ?? ""}\n${seen.sort().join("\n")}`
}

const arrivalOf = ({ past }: Turn): number => past.arrival ?? Number.POSITIVE_INFINITY

export class WaitingLines {
  readonly #lines: Array<Line> = []
  /** How many wait. */
  size = 0

  has(place: Place): boolean {
    return this.#find(place) !== undefined
  }

  add(turn: Turn, place: Place): void {
    let line = this.#find(place)
    if (line === undefined) {
      line = new Line(place)
      this.#lines.push(line)
    }
    const arrival = arrivalOf(turn)
    line.insert(turn, (other) => arrival < arrivalOf(other))
    turn.line = line
    this.size++
  }

  remove(turn: Turn): void {
    const { line } = turn
    if (line === undefined) return
    turn.line = undefined
    line.remove(turn)
    this.size--
    if (line.size > 0) return
    const all: ReadonlyArray<PermitQueue<Turn>> = this.#lines
    this.#lines.splice(all.indexOf(line), 1)
  }

  /** Those who wait, the oldest first, until `serve` has been asked about each line in vain: it says whether it could. */
  serve(serve: (turn: Turn) => boolean): void {
    for (const line of this.#lines) line.isHeld = false
    for (let line = this.#next(); line !== undefined; line = this.#next()) {
      if (line.head !== undefined && !serve(line.head)) line.isHeld = true
    }
  }

  #find({ allowed, past }: Place): Line | undefined {
    return this.#lines.find(({ place }) => place.allowed === allowed && place.past === past)
  }

  /** The line of the oldest that may be served. */
  #next(): Line | undefined {
    let next: Line | undefined
    let soonest = Number.POSITIVE_INFINITY
    for (const line of this.#lines) {
      if (line.isHeld || line.head === undefined) continue
      const arrival = arrivalOf(line.head)
      if (arrival >= soonest) continue
      next = line
      soonest = arrival
    }
    return next
  }
}
