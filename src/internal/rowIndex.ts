/**
 * The stored rows of a file by key, in 32 bytes a row and at most 16 more for the table.
 *
 * Successes of one key form a ring in file order, and its failures another one: the table holds a ring's last row, whose
 * `next` is the first. So both appending and taking the first are one step, however many rows share a key.
 */

export interface RowIndex {
  readonly add: (key: string, success: boolean, index: number, offset: number, bytes: number) => void
  /** Whether any row has this key. Keys are told apart by 64 bits of hash. */
  readonly has: (key: string) => boolean
  /** The next success of this key in file order, each once; -1 if there is none left. */
  readonly take: (key: string) => number
  /** The next failure of this key, in the same way. */
  readonly takeFailure: (key: string) => number
  readonly offset: (row: number) => number
  readonly bytes: (row: number) => number
  readonly keep: (row: number) => void
  /** Successes that were not kept, in file order. */
  readonly superseded: () => Iterable<number>
}

// A row's record: where its fields stand.
const Offset = 0
const Bytes = 8
const Index = 12
const High = 16
const Low = 20
const Next = 24
const State = 28
const recordBytes = 32

// A row's state, as bits.
const Success = 1
const Given = 2
const Kept = 4
/** The ring that ends with this row has been looked through for rows written twice. */
const Combed = 8

const none = -1

/** 64 bits of a key, as two words (the rounds of cyrb53, all bits kept). */
const hash = (key: string, success: boolean): readonly [high: number, low: number] => {
  let high = success ? 0xdeadbeef : 0xbaadf00d
  let low = 0x41c6ce57
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at)
    high = Math.imul(high ^ unit, 2654435761)
    low = Math.imul(low ^ unit, 1597334677)
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
  return [high >>> 0, low >>> 0]
}

const emptyTable = (places: number): DataView => {
  const table = new Int32Array(places).fill(none)
  return new DataView(table.buffer)
}

export const make = (): RowIndex => {
  let rows = new DataView(new ArrayBuffer(1024 * recordBytes))
  let count = 0
  // Last row of each ring, or none; open addressing, at most half full.
  let table = emptyTable(2048)
  let places = 2048
  let rings = 0

  const u32 = (row: number, field: number) => rows.getUint32(row * recordBytes + field, true)
  const setU32 = (row: number, field: number, value: number) =>
    rows.setUint32(row * recordBytes + field, value, true)
  const is = (row: number, state: number) => (u32(row, State) & state) !== 0
  const mark = (row: number, state: number) => setU32(row, State, u32(row, State) | state)
  const tableAt = (place: number) => table.getInt32(place * 4, true)

  /** The place of the ring's last row in the table, or the free one for it. */
  const find = (high: number, low: number): number => {
    let place = low % places
    while (true) {
      const last = tableAt(place)
      if (last === none || (u32(last, Low) === low && u32(last, High) === high)) return place
      place = (place + 1) % places
    }
  }

  const lastOf = (key: string, success: boolean): number => tableAt(find(...hash(key, success)))

  const grow = () => {
    const larger = new Uint8Array(rows.byteLength * 2)
    larger.set(new Uint8Array(rows.buffer))
    rows = new DataView(larger.buffer)
  }

  const growTable = () => {
    const old = table
    const oldPlaces = places
    places *= 2
    table = emptyTable(places)
    for (let place = 0; place < oldPlaces; place++) {
      const last = old.getInt32(place * 4, true)
      if (last !== none) table.setInt32(find(u32(last, High), u32(last, Low)) * 4, last, true)
    }
  }

  /** Of several rows of a ring written for one index only the last is given. */
  const comb = (last: number) => {
    mark(last, Combed)
    const seen = new Map<number, number>()
    let row = last
    do {
      row = u32(row, Next)
      const earlier = seen.get(u32(row, Index))
      if (earlier !== undefined) mark(earlier, Given)
      seen.set(u32(row, Index), row)
    } while (row !== last)
  }

  const take = (key: string, success: boolean): number => {
    const last = lastOf(key, success)
    if (last === none) return none
    if (u32(last, Next) !== last && !is(last, Combed)) comb(last)
    while (true) {
      const first = u32(last, Next)
      if (first !== last) setU32(last, Next, u32(first, Next))
      if (!is(first, Given)) {
        mark(first, Given)
        return first
      }
      if (first === last) return none
    }
  }

  return {
    add: (key, success, index, offset, bytes) => {
      const row = count++
      if (count * recordBytes > rows.byteLength) grow()
      if (rings * 2 >= places) growTable()
      const [high, low] = hash(key, success)
      rows.setFloat64(row * recordBytes + Offset, offset, true)
      setU32(row, Bytes, bytes)
      setU32(row, Index, index)
      setU32(row, High, high)
      setU32(row, Low, low)
      setU32(row, State, success ? Success : 0)
      const place = find(high, low)
      const last = tableAt(place)
      if (last === none) {
        rings++
        setU32(row, Next, row)
      } else {
        setU32(row, Next, u32(last, Next))
        setU32(last, Next, row)
      }
      table.setInt32(place * 4, row, true)
    },
    has: (key) => lastOf(key, true) !== none || lastOf(key, false) !== none,
    take: (key) => take(key, true),
    takeFailure: (key) => take(key, false),
    offset: (row) => rows.getFloat64(row * recordBytes + Offset, true),
    bytes: (row) => u32(row, Bytes),
    keep: (row) => mark(row, Kept),
    *superseded() {
      for (let row = 0; row < count; row++) if (is(row, Success) && !is(row, Kept)) yield row
    }
  }
}
