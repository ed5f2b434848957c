/** Some of many things that come one by one, in memory for so many and no more. */

/** Those with the highest weights. */
export class Highest<A> {
  readonly #size: number
  readonly #weight: (item: A) => number
  #items: Array<A> = []
  /** Below this an item is not among them. */
  #least = Number.NEGATIVE_INFINITY

  constructor(size: number, weight: (item: A) => number) {
    this.#size = size
    this.#weight = weight
  }

  /** Whether an item of this weight would be kept for now. */
  wants(weight: number): boolean {
    return this.#size > 0 && weight > this.#least
  }

  add(item: A): void {
    if (!this.wants(this.#weight(item))) return
    this.#items.push(item)
    if (this.#items.length >= this.#size * 2) this.#trim()
  }

  /** From the highest down; of equal ones the first comes first. */
  items(): ReadonlyArray<A> {
    this.#trim()
    return this.#items
  }

  #trim(): void {
    this.#items.sort((a, b) => this.#weight(b) - this.#weight(a))
    if (this.#items.length < this.#size) return
    this.#items.length = this.#size
    const last = this.#items.at(-1)
    if (last !== undefined) this.#least = this.#weight(last)
  }
}

/** Every nth, with n as small as the room allows. All of them, while they fit. */
export class Even<A> {
  readonly #room: number
  #items: Array<A> = []
  #every = 1
  #met = 0

  constructor(room: number) {
    this.#room = room
  }

  /** Whether the next one is to be kept; each is asked about once. */
  next(): boolean {
    const isWanted = this.#room > 0 && this.#met++ % this.#every === 0
    if (isWanted && this.#items.length >= this.#room) {
      this.#items = this.#items.filter((_, at) => at % 2 === 0)
      this.#every *= 2
      return (this.#met - 1) % this.#every === 0
    }
    return isWanted
  }

  keep(item: A): void {
    this.#items.push(item)
  }

  items(): ReadonlyArray<A> {
    return this.#items
  }
}

/** So many of the items, spread evenly over them. */
export const spread = <A>(items: ReadonlyArray<A>, count: number): ReadonlyArray<A> =>
  count >= items.length
    ? items
    : Array.from({ length: count }, (_, n) => items[Math.floor((n * items.length) / count)] as A)
