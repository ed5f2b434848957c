/** What is said of a run when it ends. */

import { count, counted } from "../internal/countText.js"
import { safeText } from "../internal/safeText.js"
import * as Ledger from "../Ledger.js"
import type { Snapshot } from "../Progress.js"
import type { Receipt } from "../Receipt.js"
import { dollars } from "./progressFacts.js"
import { paintFor, width as widthOf } from "./progressStyle.js"
import { table } from "./progressTable.js"

/** Doubts about prices that are told one by one. */
const mostDoubts = 3

/** What was paid, where it is known what things cost. */
const paid = (receipt: Receipt): ReadonlyArray<string> => {
  const { cost = 0, doubts = [], earlierCost = 0, saved = 0, unpriced = [], wasted = 0 } = receipt
  const sums = [
    ...(cost > 0 ? [`${dollars(cost)} paid`] : []),
    ...(wasted > 0 ? [`${dollars(wasted)} of it in vain`] : []),
    ...(earlierCost > 0 ? [`${dollars(earlierCost)} paid in earlier runs`] : []),
    ...(saved > 0 ? [`${dollars(saved)} saved`] : []),
    ...(unpriced.length > 0
      ? [`without a price: ${unpriced.slice(0, 3).join(", ")}${unpriced.length > 3 ? ", …" : ""}`]
      : [])
  ]
  return [
    ...(sums.length === 0 ? [] : [sums.join(", ")]),
    ...doubts.slice(0, mostDoubts).map((doubt) => `  doubtful: ${safeText(doubt, 160)}`),
    ...(doubts.length > mostDoubts
      ? [`  and ${count(doubts.length - mostDoubts)} more doubts, in the receipt`]
      : [])
  ]
}

/** All that is known of the endpoints; on a terminal that is too narrow for it, what fits. */
export const finalTable = (paid: Ledger.Summary, end: Snapshot, stream: NodeJS.WriteStream): string => {
  // a run that found all of its rows answered
  if (paid.rows.length === 0 && paid.saved.models.length === 0) return ""
  const whole = Ledger.table(paid)
  const columns = stream.isTTY === true ? stream.columns || 80 : Number.POSITIVE_INFINITY
  if (whole.split("\n").every((line) => widthOf(line) <= columns)) return `${whole}\n`
  const shown = { width: columns, most: end.endpoints.length, paint: paintFor(stream, process.env) }
  return table(end, shown)
    .map((line) => `${line}\n`)
    .join("")
}

/** What the last failure of each kind said, by its `_tag`. */
export type Failures = ReadonlyMap<string, string>

const messageOf = (tag: string, n: number, failures: Failures): string => {
  const message = failures.get(tag)
  return message === undefined ? "" : `${n === 1 ? "" : ", the last"}: ${safeText(message, 160)}`
}

/** `total` is how many requests there were to settle. */
export const summary = (receipt: Receipt, total: number, output: string, failures: Failures): string => {
  const { attempts, cached, failed, inputTokens, outputTokens, requests, resumed, succeeded } = receipt
  // those of requests that are not settled are in the ledger alone
  const calls = receipt.ledger?.run.attempts ?? attempts
  const rate = requests / Math.max(receipt.wallSeconds, 0.001)
  const lines = [
    receipt.interrupted
      ? `Interrupted: ${count(requests)} of ${count(total)} done. The same command goes on from here`
      : `${counted(requests, "request")}: ${count(succeeded)} succeeded, ${count(failed)} failed`,
    `${count(cached)} from the cache, ${count(resumed)} from an earlier run, ${counted(calls, "call")} made`,
    `${count(inputTokens)} tokens in, ${count(outputTokens)} out, ${receipt.wallSeconds.toFixed(1)} s, ${count(rate)} a second`,
    ...paid(receipt)
  ]
  const kinds = Object.entries(receipt.errors).sort(([, a], [, b]) => b - a)
  for (const [tag, n] of kinds) lines.push(`  ${count(n)} × ${tag}${messageOf(tag, n, failures)}`)
  if (receipt.outcomeUnknown.length > 0) {
    const n = receipt.outcomeUnknown.length
    lines.push(
      `${count(n)} ${n === 1 ? "call" : "calls"} of a run that was stopped: outcome unknown, sent again`
    )
  }
  // a run that was stopped before its first answer has none to look for
  if (!receipt.interrupted || requests > 0) lines.push(`→ ${output}`)
  return lines.join("\n")
}
