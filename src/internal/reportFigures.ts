/** The figures of a report: of the rows, of the call log and of the receipt, whichever knows them best. */

import type { Sums } from "../Ledger.js"
import type { Receipt } from "../Receipt.js"
import { count, counted } from "./countText.js"
import { amount, amountOf, moneyOf } from "./reportAmount.js"
import type { Calls } from "./reportCalls.js"
import type { ErrorClass, Limits, Part, Report, TokenCounts } from "./reportData.js"
import { listed, type Rows } from "./reportRows.js"

type Ledger = NonNullable<Receipt["ledger"]>

const partOf = (sums: Sums): Part => ({
  attempts: sums.attempts,
  answered: sums.answered,
  failed: sums.failed,
  inputTokens: sums.usage.inputTokens,
  outputTokens: sums.usage.outputTokens,
  cost: amount(sums.cost),
  unpriced: sums.unpriced,
  wasted: amount(sums.wasted.cost),
  p50: sums.latencyMs?.p50,
  p95: sums.latencyMs?.p95
})

/** The dearest first, then those with the most calls. */
const sorted = (parts: ReadonlyArray<Part>): ReadonlyArray<Part> =>
  [...parts].sort((a, b) => b.cost.dollars - a.cost.dollars || b.attempts - a.attempts)

/** The parts by model alone. */
const byModel = (parts: ReadonlyArray<Part>): ReadonlyArray<Part> => {
  const models = new Map<string, Part>()
  for (const part of parts) {
    if (part.model === undefined) continue
    const name = `${part.provider}\n${part.model}`
    const before = models.get(name)
    const { attempts, answered, cost, failed, inputTokens, model, outputTokens, provider, unpriced } = part
    models.set(name, {
      provider,
      model,
      attempts: attempts + (before?.attempts ?? 0),
      answered: answered + (before?.answered ?? 0),
      failed: failed + (before?.failed ?? 0),
      inputTokens: inputTokens + (before?.inputTokens ?? 0),
      outputTokens: outputTokens + (before?.outputTokens ?? 0),
      cost: before === undefined ? cost : amountOf(moneyOf(cost.dollars) + moneyOf(before.cost.dollars)),
      unpriced: unpriced + (before?.unpriced ?? 0),
      // quantiles of two models do not add up
      ...(before === undefined ? { p50: part.p50, p95: part.p95 } : undefined)
    })
  }
  return [...models.values()]
}

/**
 * Whether the ledger tells of all calls that the rows took. It ends with the run that seals the output: rows that a later
 * run left as they were are not in that one's.
 */
const covers = (ledger: Ledger, { resumed, attempts }: Receipt, rows: Rows): boolean =>
  (resumed === 0 || ledger.earlier.attempts > 0 || rows.attempts <= attempts) &&
  moneyOf(ledger.total.cost) >= rows.cost

const tokensOf = ({ usage }: Sums): TokenCounts => usage

const failedOutcomes = (ledger: Ledger): ReadonlyMap<string, number> =>
  new Map(
    ledger.outcomes
      .filter(({ outcome }) => outcome !== "answered" && outcome !== "interrupted")
      .map(({ attempts, outcome }) => [outcome, attempts])
  )

const errorsOf = (
  rows: Rows,
  calls: Calls | undefined,
  ledger: Ledger | undefined
): ReadonlyArray<ErrorClass> => {
  const attempts = ledger === undefined ? calls?.failures : failedOutcomes(ledger)
  const tags = new Set([
    ...rows.failures.keys(),
    ...(attempts?.keys() ?? []),
    ...(calls?.failures.keys() ?? [])
  ])
  return Array.from(tags, (tag): ErrorClass => {
    const examples = rows.examples.of(tag)
    return {
      tag,
      requests: rows.failures.get(tag) ?? 0,
      attempts: attempts === undefined ? undefined : (attempts.get(tag) ?? 0),
      examples: examples.length > 0 ? examples : (calls?.examples(tag) ?? [])
    }
  }).sort((a, b) => b.requests - a.requests || (b.attempts ?? 0) - (a.attempts ?? 0))
}

export interface Found {
  readonly rows: Rows
  readonly calls: Calls | undefined
  readonly receipt: Receipt | undefined
  readonly unreadable: number
  /** Older outcomes of rows that have a newer one. */
  readonly superseded: number
}

/** Doubts about prices that are told one by one. */
const mostDoubts = 5

const notesOf = (found: Found, ledger: Ledger | undefined, shown: number): ReadonlyArray<string> => {
  const { calls, receipt, rows, superseded, unreadable } = found
  const notes: Array<string> = []
  if (calls === undefined) {
    notes.push(
      "There is no call log, so that nothing is known of when calls were made, of those that were retried, or of prompts. To have it, run floodgate batch with --calls FILE and floodgate report with the same."
    )
  }
  if (receipt === undefined) {
    notes.push(
      "There is no receipt, so that nothing is known of the time the run took, of what was saved, or of what was paid in vain; sums of money are those of the rows. To have it, run floodgate batch with --receipt FILE and floodgate report with the same."
    )
  } else if (ledger === undefined) {
    notes.push(
      receipt.ledger === undefined
        ? "The receipt has no ledger: sums of calls, tokens and money are those of the rows."
        : `The receipt tells of its own run alone, ${counted(receipt.ledger.total.attempts, "call")} for ${amount(receipt.ledger.total.cost).text}, and the output has rows of others: sums of calls, tokens and money are those of the rows, without what was paid in vain.`
    )
  } else if (ledger.outcomeUnknown > 0) {
    notes.push(
      `Runs that were killed left ${counted(ledger.outcomeUnknown, "request")} of which nobody knows whether they were answered: they may have been paid for twice.`
    )
  }
  const doubts = receipt?.ledger?.doubts ?? []
  if (doubts.length > 0) {
    const more = doubts.length > mostDoubts ? `; and ${doubts.length - mostDoubts} more` : ""
    notes.push(`Some prices are doubtful. ${doubts.slice(0, mostDoubts).join("; ")}${more}.`)
  }
  if (shown < rows.total) {
    notes.push(
      `${count(shown)} of ${counted(rows.total, "row")} are on this page: the slowest, the dearest, failures, and an even sample of the others. All figures are of all rows.`
    )
  }
  if (superseded > 0) {
    notes.push(
      `${counted(superseded, "outcome")} that a later one of the same row replaces ${superseded === 1 ? "was" : "were"} left out.`
    )
  }
  if (unreadable > 0)
    notes.push(
      `${counted(unreadable, "line")} of the output could not be read and ${unreadable === 1 ? "is" : "are"} in no figure.`
    )
  if (calls !== undefined && calls.unreadable > 0) {
    notes.push(`${counted(calls.unreadable, "line")} of the call log could not be read.`)
  }
  return notes
}

export const make = (
  found: Found,
  options: { readonly title: string; readonly madeAt: number; readonly limits: Limits }
): Report => {
  const { calls, receipt, rows } = found
  const ledger =
    receipt?.ledger !== undefined && covers(receipt.ledger, receipt, rows) ? receipt.ledger : undefined
  const parts =
    ledger === undefined
      ? rows.parts()
      : ledger.rows.map((sums) => ({
          endpoint: sums.endpoint,
          provider: sums.provider,
          model: sums.model,
          ...partOf(sums)
        }))
  const chosen = rows.chosen()
  const indexes = (candidates: ReturnType<Rows["slowest"]>) => candidates.map(({ row }) => row.index)
  return {
    ...options,
    requests: {
      total: rows.total,
      succeeded: rows.succeeded,
      failed: rows.total - rows.succeeded,
      cached: rows.cached,
      attempts: ledger?.total.attempts ?? rows.attempts
    },
    wallSeconds: receipt?.wallSeconds,
    interrupted: receipt?.interrupted,
    money: {
      source: ledger === undefined ? "rows" : "ledger",
      cost: ledger === undefined ? amountOf(rows.cost) : amount(ledger.total.cost),
      wasted: ledger === undefined ? undefined : amount(ledger.total.wasted.cost),
      saved: ledger === undefined ? undefined : amount(ledger.saved.cost),
      unsettled:
        ledger === undefined || ledger.total.unsettled.attempts === 0
          ? undefined
          : {
              attempts: ledger.total.unsettled.attempts,
              worst: amount(ledger.total.unsettled.worst),
              unbounded: ledger.total.unsettled.unbounded
            },
      unpriced: ledger?.unpriced ?? [...rows.unpriced]
    },
    tokens: ledger === undefined ? rows.tokens : tokensOf(ledger.total),
    requestLatency: rows.latency.latencies(),
    callLatency: calls?.latency.latencies(),
    timeline: calls?.timeline.timeline(),
    parts: sorted(parts),
    models: sorted(byModel(parts)),
    tasks: sorted(
      (ledger?.tasks ?? []).length > 1 || ledger?.tasks.some(({ task }) => task !== "")
        ? (ledger?.tasks ?? []).map((sums) => ({ task: sums.task, ...partOf(sums) }))
        : []
    ),
    errors: errorsOf(rows, calls, ledger),
    rows: chosen.map(({ key, row }) => {
      const prompt = calls?.prompt(key)
      return prompt === undefined ? row : { ...row, prompt }
    }),
    slowest: indexes(rows.slowest(listed)),
    dearest: indexes(rows.dearest(listed)),
    notes: notesOf(found, ledger, chosen.length)
  }
}
