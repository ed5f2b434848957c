/**
 * Whether a refusal speaks for its whole limit domain. It does, and pauses the domain, until the server itself has
 * shown otherwise: while it told one request to wait, it took nearly all that were sent after it. A domain that did
 * so several times in a row refuses by chance, as a gateway does that sheds a part of its load, and no pace helps
 * against that; from then on a refusal holds up its own request alone, for as long as the hint says. A refusal
 * that most of those sent after it met as well ends that, and so does a larger share of refusals than chance has: the
 * share of a rate limiter grows with the pace, that of chance does not.
 */

/** So many pauses in a row must have been contradicted. */
const enough = 2
/** By so many answers each, at the least, */
const fewest = 8
/** and by this share of what was sent after the refused attempt and within its hint. */
const share = 0.8
/** The share of refusals is told of this many attempts, the last, */
const memory = 100
/** and not of fewer than these. */
const leastMemory = 50
/** A larger share than this is never chance. */
const mostByChance = 0.2
/** Nor is one that is larger by this than it was when it was judged to be. */
const rise = 0.1

/** When an attempt started, among those of its domain. */
export interface Start {
  readonly order: number
  /** In milliseconds. */
  readonly at: number
}

/** A refusal, and what became of the attempts that started after it and within its hint. */
interface Hint {
  readonly start: Start
  readonly millis: number
  /** When the hint is over. */
  readonly until: number
  answered: number
  refused: number
}

export class StrayRefusals {
  #order = 0
  #contradicted = 0
  #hint: Hint | undefined
  /** The last outcomes, 1 where refused, and where the next goes. */
  readonly #outcomes = new Uint8Array(memory)
  #outcomeCount = 0
  #refusedCount = 0
  #shareWhenJudged = 0

  start(at: number): Start {
    return { order: this.#order++, at }
  }

  answered(start: Start): void {
    this.#note(0)
    if (this.#isWitness(start, this.#hint)) this.#hint.answered++
  }

  /** The server refused an attempt and told to wait for `millis`. Returns whether that holds for the domain. */
  refused(start: Start, millis: number, now: number): boolean {
    this.#note(1)
    if (this.#isWitness(start, this.#hint)) this.#hint.refused++
    // one at a time, and each for as long as it holds: until then most of what was sent after it has come back
    if (this.#hint === undefined || now > this.#hint.until) {
      const { answered, refused } = this.#judge()
      this.#hint = { start, millis, until: now + millis, answered, refused }
    }
    if (this.#outcomeCount >= leastMemory && this.#share > mostByChance) this.#contradicted = 0
    return this.#contradicted < enough || this.#share > this.#shareWhenJudged + rise
  }

  get #share(): number {
    return this.#refusedCount / Math.max(leastMemory, Math.min(this.#outcomeCount, memory))
  }

  #note(refused: 0 | 1): void {
    const place = this.#outcomeCount++ % memory
    this.#refusedCount += refused - (this.#outcomes[place] ?? 0)
    this.#outcomes[place] = refused
  }

  #isWitness(start: Start, hint: Hint | undefined): hint is Hint {
    return hint !== undefined && start.order > hint.start.order && start.at <= hint.start.at + hint.millis
  }

  /** Gives the witnesses that the next hint begins with: a short hint has few of its own, and fewer at a slow pace. */
  #judge(): Pick<Hint, "answered" | "refused"> {
    const { answered, refused } = this.#hint ?? { answered: 0, refused: 0 }
    if (refused > answered) this.#contradicted = 0
    else if (answered + refused < fewest) return { answered, refused }
    else if (answered >= share * (answered + refused)) {
      if (++this.#contradicted === enough) this.#shareWhenJudged = this.#share
    }
    return { answered: 0, refused: 0 }
  }
}
