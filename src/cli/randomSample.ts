/**
 * A random sample that can be drawn again: `--sample` and `--seed`.
 *
 * Each place gets a number of its own from the seed, and those with the smallest are the sample. So a larger sample of
 * the same rows with the same seed holds the smaller one: what has been paid for is paid once.
 */

/** Shuffles the bits of a 32-bit number; no two numbers become the same (the last steps of MurmurHash3). */
const scatter = (bits: number): number => {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

const numbers = (seed: number): ((place: number) => number) => {
  const low = scatter((seed >>> 0) ^ 0x9e3779b9)
  const high = scatter((Math.floor(seed / 2 ** 32) >>> 0) ^ 0x7f4a7c15 ^ low)
  return (place) => scatter((scatter(place ^ low) + high) | 0) >>> 0
}

/** Whether a place is in the sample of `size` out of `count`. */
export const make = (options: {
  readonly count: number
  readonly size: number
  readonly seed: number
}): ((place: number) => boolean) => {
  const { count, seed, size } = options
  if (size >= count) return (place) => place < count
  const numberOf = numbers(seed)
  const all = new Uint32Array(count)
  for (let place = 0; place < count; place++) all[place] = numberOf(place)
  all.sort()
  const last = all[size - 1] ?? -1
  return (place) => place < count && numberOf(place) <= last
}
