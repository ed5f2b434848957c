/** Indexes from 0 that are told apart by one bit each. */

export interface IndexSet {
  readonly has: (index: number) => boolean
  readonly add: (index: number) => void
}

export const make = (): IndexSet => {
  let bits = new Uint8Array(1024)
  return {
    has: (index) => ((bits[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0,
    add: (index) => {
      const at = index >>> 3
      if (at >= bits.length) {
        const larger = new Uint8Array(Math.max(bits.length * 2, at + 1))
        larger.set(bits)
        bits = larger
      }
      bits[at] = (bits[at] ?? 0) | (1 << (index & 7))
    }
  }
}
