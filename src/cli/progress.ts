/**
 * Shows on stderr how a batch gets on: a bar that is redrawn on a terminal, a line every few seconds elsewhere.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createLogUpdate } from "log-update"
import type { DomainState, RateName } from "../RateLimiter.js"
import type { Receipt } from "../Receipt.js"

/** What is shown. */
export interface Snapshot {
  readonly total: number
  readonly receipt: Receipt
  readonly domains: ReadonlyArray<DomainState>
  /** The failed attempts so far, most of which are made again, and the last one's error. */
  readonly trouble: Trouble
}

export interface Trouble {
  readonly attempts: number
  readonly last: { readonly message: string; readonly at: number } | undefined
}

const redrawMs = 200
const lineMs = 5_000
/** The rate is taken over this much time: long enough to be steady, short enough to be true. */
const rateWindowMs = 15_000

const count = (n: number): string => n.toLocaleString("en-US")

const duration = (seconds: number): string => {
  const s = Math.ceil(seconds)
  if (s < 60) return `${s}s`
  if (s < 3600) return `${Math.floor(s / 60)}m${String(s % 60).padStart(2, "0")}s`
  return `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}m`
}

/** Outcomes a second that were not restored, over the last seconds. */
const makeRate = () => {
  const samples: Array<{ readonly at: number; readonly done: number }> = []
  return (at: number, done: number): number => {
    samples.push({ at, done })
    while (samples.length > 2 && at - (samples[1]?.at ?? at) >= rateWindowMs) samples.shift()
    const first = samples[0]
    return first === undefined || at === first.at ? 0 : ((done - first.done) * 1000) / (at - first.at)
  }
}

const bar = (share: number, width: number): string => {
  const full = Math.round(share * width)
  return "█".repeat(full) + "░".repeat(width - full)
}

const pauses = (domains: ReadonlyArray<DomainState>, now: number): string | undefined => {
  const paused = domains.find(({ pausedUntil }) => pausedUntil !== undefined && pausedUntil > now)
  if (paused?.pausedUntil === undefined) return undefined
  return `paused ${duration((paused.pausedUntil - now) / 1000)}: ${paused.pauseReason ?? "the server asked for it"}`
}

/** A failed attempt is news for as long as the longest backoff: while all wait for it, it is the reason. */
const newsMs = 75_000

const newsOf = ({ attempts, last }: Trouble, now: number): string | undefined =>
  last === undefined || now - last.at > newsMs
    ? undefined
    : `${count(attempts)} failed ${attempts === 1 ? "attempt" : "attempts"}, the last: ${last.message}`

/** Why it may not get on, if there is a reason. */
const reasonOf = ({ domains, trouble }: Snapshot, now: number): string | undefined =>
  pauses(domains, now) ?? newsOf(trouble, now)

const shortNames: Readonly<Record<RateName, string>> = {
  requestsPerSecond: "rps",
  requestsPerMinute: "rpm",
  requestsPerDay: "rpd",
  tokensPerMinute: "tpm",
  inputTokensPerMinute: "itpm",
  outputTokensPerMinute: "otpm"
}

/** How far the fullest limit is used, and how many calls an adaptive concurrency allows. */
const limitUse = (domains: ReadonlyArray<DomainState>): ReadonlyArray<string> => {
  const uses = domains.flatMap(({ limits, used }) =>
    Object.entries(used).map(([name, amount]) => {
      const rate = name as RateName
      const limit = limits[rate] ?? Number.POSITIVE_INFINITY
      return {
        share: amount / limit,
        text: `${shortNames[rate]} ${count(Math.round(amount))}/${count(limit)}`
      }
    })
  )
  const [fullest] = uses.sort((a, b) => b.share - a.share)
  const adaptive = domains.find(({ limits }) => limits.concurrency === "adaptive")?.concurrency
  return [
    ...(fullest === undefined ? [] : [fullest.text]),
    ...(adaptive === undefined ? [] : [`up to ${count(adaptive)} at once`])
  ]
}

/** The facts in words, the same on a terminal and in a log. */
const facts = ({ domains, receipt, total }: Snapshot, rate: number): string => {
  const inFlight = domains.reduce((sum, { inUse }) => sum + inUse, 0)
  const left = total - receipt.requests
  return [
    `${count(receipt.requests)}/${count(total)}`,
    `${count(receipt.failed)} failed`,
    `${count(receipt.cached)} cached`,
    ...(receipt.resumed === 0 ? [] : [`${count(receipt.resumed)} resumed`]),
    `${rate < 10 ? rate.toFixed(1) : count(Math.round(rate))}/s`,
    `${count(inFlight)} in flight`,
    ...limitUse(domains),
    ...(left > 0 && rate > 0 ? [`ETA ${duration(left / rate)}`] : [])
  ].join("  ")
}

/**
 * Shows snapshots until the scope closes. On a terminal the bar is taken away at the end: the summary follows.
 */
export const show = (
  snapshot: Effect.Effect<Snapshot>,
  stderr: NodeJS.WriteStream
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const rateOf = makeRate()
    rateOf(clock.unsafeCurrentTimeMillis(), 0)
    const text = Effect.map(snapshot, (shown) => {
      const now = clock.unsafeCurrentTimeMillis()
      const { receipt, total } = shown
      const line = facts(shown, rateOf(now, receipt.requests - receipt.resumed))
      return { line, share: total === 0 ? 1 : receipt.requests / total, reason: reasonOf(shown, now) }
    })
    if (stderr.isTTY) {
      const log = createLogUpdate(stderr)
      // a line that is wrapped cannot be redrawn in place
      const cut = (line: string) => {
        const columns = stderr.columns || 80
        return line.length <= columns ? line : `${line.slice(0, columns - 1)}…`
      }
      const draw = Effect.map(text, ({ line, reason, share }) => {
        const percent = `${String(Math.floor(share * 100)).padStart(3)}%`
        const room = (stderr.columns || 80) - line.length - percent.length - 4
        const head = room < 8 ? percent : `${bar(share, Math.min(30, room))} ${percent}`
        log([cut(`${head}  ${line}`), ...(reason === undefined ? [] : [cut(reason)])].join("\n"))
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => log.clear()))
      yield* Effect.forkScoped(Effect.forever(Effect.zipRight(draw, Effect.sleep(redrawMs))))
    } else {
      const print = Effect.map(text, ({ line, reason }) => {
        stderr.write(`${line}${reason === undefined ? "" : `  (${reason})`}\n`)
      })
      yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.sleep(lineMs), print)))
    }
  })

/** What is said at the end. */
export const summary = (receipt: Receipt, total: number, output: string): string => {
  const { attempts, cached, failed, inputTokens, outputTokens, requests, resumed, succeeded } = receipt
  const rate = requests / Math.max(receipt.wallSeconds, 0.001)
  const lines = [
    receipt.interrupted
      ? `Interrupted: ${count(requests)} of ${count(total)} done. The same command goes on from here`
      : `${count(requests)} requests: ${count(succeeded)} succeeded, ${count(failed)} failed`,
    `${count(cached)} from the cache, ${count(resumed)} from an earlier run, ${count(attempts)} calls made`,
    `${count(inputTokens)} tokens in, ${count(outputTokens)} out, ${receipt.wallSeconds.toFixed(1)} s, ${count(Math.round(rate))} a second`
  ]
  const kinds = Object.entries(receipt.errors).sort(([, a], [, b]) => b - a)
  for (const [tag, n] of kinds) lines.push(`  ${count(n)} × ${tag}`)
  if (receipt.outcomeUnknown.length > 0) {
    const n = receipt.outcomeUnknown.length
    lines.push(
      `${count(n)} ${n === 1 ? "call" : "calls"} of a run that was stopped: outcome unknown, sent again`
    )
  }
  lines.push(`→ ${output}`)
  return lines.join("\n")
}
