/**
 * Seeded chance. A draw is a pure function of the seed, the request, its attempt and what is drawn for,
 * so a run gives the same draws in whatever order its requests arrive.
 */
import * as Duration from "effect/Duration"
import type { RequestHash } from "./RequestHash.js"

/** A number, or how numbers of its kind are spread. `A` is the unit: tokens, or a duration. */
export type Distribution<A> =
  | A
  | { readonly kind: "uniform"; readonly min: A; readonly max: A }
  | { readonly kind: "lognormal"; readonly median: A; readonly p95: A }

/** What a draw is for: two draws of one attempt differ by it. */
export type Purpose = "fault" | "latency" | "length" | "reasoning"

const salts: Record<Purpose, number> = {
  fault: 0x2545f491,
  latency: 0x6c078965,
  length: 0x5851f42d,
  reasoning: 0x14057b7e
}

// The finaliser of MurmurHash3 (32 bits): every input bit moves every output bit.
const mix = (word: number): number => {
  let h = word
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** A number in [0, 1). */
export const uniform = (
  seed: number,
  hash: RequestHash,
  attempt: number,
  purpose: Purpose,
  index = 0
): number => {
  let h = mix(seed ^ salts[purpose])
  h = mix(h ^ hash.high)
  h = mix((h + hash.low) | 0)
  h = mix((h + Math.imul(attempt, 0x9e3779b1) + Math.imul(index, 0x85ebca77)) | 0)
  return (h >>> 0) / 0x100000000
}

/** Turns two draws in [0, 1) into a value. */
export type Sampler = (u: number, v: number) => number

const z95 = 1.6448536269514722

const isPlain = <A>(distribution: Distribution<A>): distribution is A =>
  typeof distribution !== "object" || distribution === null || !("kind" in distribution)

/**
 * Compiles a distribution. A lognormal is fixed by its median and its 95th percentile:
 * sigma = ln(p95 / median) / 1.645; the normal deviate is Box and Muller's.
 */
export const sampler = <A>(distribution: Distribution<A>, toNumber: (value: A) => number): Sampler => {
  if (isPlain(distribution)) {
    const value = toNumber(distribution)
    return () => value
  }
  if (distribution.kind === "uniform") {
    const min = toNumber(distribution.min)
    const width = toNumber(distribution.max) - min
    return (u) => min + u * width
  }
  const median = toNumber(distribution.median)
  const sigma = median > 0 ? Math.log(Math.max(1, toNumber(distribution.p95) / median)) / z95 : 0
  return (u, v) => median * Math.exp(sigma * Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * v))
}

/** Compiles a distribution of durations into milliseconds. */
export const millis = (distribution: Distribution<Duration.DurationInput>): Sampler =>
  sampler(distribution, Duration.toMillis)

/** Compiles a distribution of token counts, whole and never negative. */
export const tokens = (distribution: Distribution<number>): Sampler => {
  const sample = sampler(distribution, (value) => value)
  return (u, v) => Math.max(0, Math.round(sample(u, v)))
}
