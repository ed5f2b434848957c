/**
 * Which rows a run asks: `--filter` first, of those the first `--limit`, of those a random `--sample`. Rows that are not
 * chosen keep the outcomes they have.
 */
import * as Effect from "effect/Effect"
import * as IndexSet from "../internal/indexSet.js"
import type { CliError } from "./CliError.js"
import { checkPositive, wrong } from "./flags.js"
import * as RandomSample from "./randomSample.js"
import * as RowFilter from "./rowFilter.js"

export interface SelectionFlags {
  readonly filter: ReadonlyArray<string>
  readonly limit: number | undefined
  readonly sample: number | undefined
  readonly seed: number | undefined
}

/** What is to be chosen. */
export interface Selection {
  readonly filter: RowFilter.RowFilter
  readonly limit: number
  readonly sample: number | undefined
  readonly seed: number
  /** Whether all rows are asked: then nothing needs to be known of them. */
  readonly isAll: boolean
}

export const parse = (flags: SelectionFlags): Effect.Effect<Selection, CliError> =>
  Effect.gen(function* () {
    yield* checkPositive("limit", flags.limit)
    yield* checkPositive("sample", flags.sample)
    if (flags.seed !== undefined && !(Number.isSafeInteger(flags.seed) && flags.seed >= 0)) {
      return yield* wrong(`--seed takes a whole number from 0, not ${flags.seed}`)
    }
    if (flags.seed !== undefined && flags.sample === undefined) {
      return yield* wrong("--seed is that of a --sample: pass both")
    }
    return {
      filter: yield* RowFilter.parse(flags.filter),
      limit: flags.limit ?? Number.POSITIVE_INFINITY,
      sample: flags.sample,
      seed: flags.seed ?? 0,
      isAll: flags.filter.length === 0 && flags.limit === undefined && flags.sample === undefined
    }
  })

/** The choice, made while the rows pass. */
export interface Choice {
  /** A row that the filter lets through, by its first request, and which of its requests may be asked, or how many. */
  readonly offer: (first: number, open: ReadonlyArray<number> | number) => void
  /** Whether no further row can be chosen. */
  readonly isFull: () => boolean
  /** Whether a request is, or may yet be, among the chosen. */
  readonly mayAsk: (index: number) => boolean
  /** Ends the choice among the requests up to `span`. */
  readonly end: (span: number) => Chosen
}

export interface Chosen {
  readonly rows: number
  readonly requests: number
  readonly isAsked: (index: number) => boolean
}

export const make = ({ limit, sample, seed }: Selection): Choice => {
  const firsts = IndexSet.make()
  const open = IndexSet.make()
  let rows = 0
  let requests = 0
  return {
    offer: (first, indexes) => {
      if (rows >= limit) return
      rows++
      if (sample !== undefined) firsts.add(first)
      const count = typeof indexes === "number" ? indexes : indexes.length
      requests += count
      for (let at = 0; at < count; at++)
        open.add(typeof indexes === "number" ? first + at : (indexes[at] ?? first))
    },
    isFull: () => rows >= limit,
    mayAsk: open.has,
    end: (span) => {
      if (sample === undefined || sample >= rows) return { rows, requests, isAsked: open.has }
      const isDrawn = RandomSample.make({ count: rows, size: sample, seed })
      const asked = IndexSet.make()
      let chosen = 0
      let row = -1
      for (let index = 0; index < span; index++) {
        if (firsts.has(index)) row++
        // requests of rows that were not offered are not open
        if (!open.has(index) || !isDrawn(row)) continue
        asked.add(index)
        chosen++
      }
      return { rows: sample, requests: chosen, isAsked: asked.has }
    }
  }
}
