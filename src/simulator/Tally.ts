/**
 * Counts per request hash, in 20 bytes each: a run of ten million requests must not need a map of ten
 * million strings.
 */
import type { RequestHash } from "./RequestHash.js"

/** The counts kept of each hash. */
export type Count = "attempts" | "answered" | "charged"

// An open-addressing table of rows: high word, low word, then the counts. A row without attempts is free.
const width = 5
const columns: Record<Count, number> = { attempts: 2, answered: 3, charged: 4 }

/** A table of counts by request hash. */
export interface Tally {
  /** Adds one, and gives the new count. Attempts are counted first: they enter the hash. */
  readonly increment: (hash: RequestHash, count: Count) => number
  /** How many different hashes there are. */
  readonly size: () => number
}

/** Makes an empty table. */
export const make = (): Tally => {
  let capacity = 1024
  let table = new Uint32Array(capacity * width)
  let size = 0

  const locate = (high: number, low: number): number => {
    let slot = (low ^ high) & (capacity - 1)
    for (;;) {
      const at = slot * width
      if (table[at + columns.attempts] === 0 || (table[at] === high && table[at + 1] === low)) return at
      slot = (slot + 1) & (capacity - 1)
    }
  }

  const grow = () => {
    const old = table
    capacity *= 2
    table = new Uint32Array(capacity * width)
    for (let at = 0; at < old.length; at += width) {
      if (old[at + columns.attempts] !== 0) {
        table.set(old.subarray(at, at + width), locate(old[at] ?? 0, old[at + 1] ?? 0))
      }
    }
  }

  return {
    increment: (hash, count) => {
      if (size * 2 >= capacity) grow()
      const at = locate(hash.high, hash.low)
      if (table[at + columns.attempts] === 0) {
        if (count !== "attempts") return 0
        table[at] = hash.high
        table[at + 1] = hash.low
        size += 1
      }
      const next = (table[at + columns[count]] ?? 0) + 1
      table[at + columns[count]] = next
      return next
    },
    size: () => size
  }
}
