/** The keys that were seen, in 16 bytes a key and a table at most twice as large. */

/** Words of a key that are kept: 128 bits of its hash, so that no two of any real number are ever taken for one. */
const words = 4

const empty = (places: number): Uint32Array => new Uint32Array(places * words)

/** A set of keys of `cacheKey`: SHA-256 in base64url. */
export class KeySet {
  #table = empty(1_024)
  #places = 1_024
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Whether the key is new. It is in the set from then on. */
  add(key: string): boolean {
    const bytes = Buffer.from(key.slice(0, 22), "base64url")
    // a place whose first word is zero is free
    const first = bytes.readUInt32LE(0) || 1
    const found = this.#find(first, bytes.readUInt32LE(4), bytes.readUInt32LE(8), bytes.readUInt32LE(12))
    if (found < 0) return false
    this.#table.set([first, bytes.readUInt32LE(4), bytes.readUInt32LE(8), bytes.readUInt32LE(12)], found)
    this.#size++
    if (this.#size * 4 > this.#places * 3) this.#grow()
    return true
  }

  /** Where in the table the key is to stand; -1 where it is there already. */
  #find(a: number, b: number, c: number, d: number): number {
    const table = this.#table
    let at = (b % this.#places) * words
    while (table[at] !== 0) {
      if (table[at] === a && table[at + 1] === b && table[at + 2] === c && table[at + 3] === d) return -1
      at = at + words === table.length ? 0 : at + words
    }
    return at
  }

  #grow(): void {
    const old = this.#table
    this.#places *= 2
    this.#table = empty(this.#places)
    for (let at = 0; at < old.length; at += words) {
      const [a = 0, b = 0, c = 0, d = 0] = old.subarray(at, at + words)
      if (a !== 0) this.#table.set([a, b, c, d], this.#find(a, b, c, d))
    }
  }
}
