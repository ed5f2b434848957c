/** How fast counters grow, from looks at them now and then. */

/** The counters at one moment. */
export interface Look {
  readonly at: number
  readonly done: number
  readonly tokens: number
}

/** What was added over a time. */
export interface Growth {
  readonly seconds: number
  readonly done: number
  readonly tokens: number
}

/** How far back an estimate of what is still to come looks: long enough not to jump. */
const longWindowMs = 60_000
/** As many looks as this are kept for the long window, however often there is one. */
const mostLooks = 60

export class Pace {
  readonly #windowMs: number
  readonly #spacingMs: number
  /** The oldest first; the first is the newest that is older than all windows. */
  readonly #looks: Array<Look>
  readonly #start: Look

  constructor(start: Look, windowMs: number) {
    this.#windowMs = windowMs
    this.#spacingMs = Math.max(longWindowMs, windowMs) / mostLooks
    this.#start = start
    this.#looks = [start]
  }

  /** What was added in the last seconds, and since the start. Who looks seldom sees the time since the last look. */
  look(now: Look): { readonly recent: Growth; readonly steady: Growth; readonly all: Growth } {
    const looks = this.#looks
    const recent = this.#since(now, this.#windowMs)
    const steady = this.#since(now, longWindowMs)
    if (now.at - (looks.at(-1) ?? now).at >= this.#spacingMs) looks.push(now)
    const longest = Math.max(longWindowMs, this.#windowMs)
    while (looks.length > 2 && now.at - (looks[1] ?? now).at >= longest) looks.shift()
    return { recent, steady, all: growth(this.#start, now) }
  }

  #since(now: Look, windowMs: number): Growth {
    const at = this.#looks.findLastIndex((look) => now.at - look.at >= windowMs)
    return growth(this.#looks[Math.max(at, 0)] ?? now, now)
  }
}

const growth = (from: Look, to: Look): Growth => ({
  seconds: (to.at - from.at) / 1_000,
  done: to.done - from.done,
  tokens: to.tokens - from.tokens
})
