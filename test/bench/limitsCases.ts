/** The cases of the bench over limits, each judged by the provider's own log. */
import { connect } from "node:net"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Simulator from "floodgate/Simulator"
import { type Claim, count } from "./claim.js"
import { type Attempt, idealMillis } from "./limitsIdeal.js"
import { startClient, startServer } from "./limitsProcess.js"

type Log = ReadonlyArray<Simulator.LogEntry>
export type Case = Effect.Effect<ReadonlyArray<Claim>, never, Scope.Scope>

const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`

const refused = (log: Log): Log => log.filter(({ status }) => status === 429)
const between = (log: Log, from: number, to: number): Log =>
  log.filter(({ time }) => time >= from && time < to)

const failuresText = (failures: Readonly<Record<string, number>>): string => {
  const parts = Object.entries(failures).map(([tag, times]) => `${times} ${tag}`)
  return parts.length === 0 ? "all succeed" : parts.join(", ")
}

/** The most requests in any window of one second. */
const busiestSecond = (log: Log): number => {
  let most = 0
  let from = 0
  log.forEach(({ time }, to) => {
    while (time - (log[from]?.time ?? time) >= 1_000) from++
    most = Math.max(most, to - from + 1)
  })
  return most
}

const rate = 50
const rateSeconds = 20

const rateClaim = (asked: string, log: Log): Claim => {
  const start = log[0]?.time ?? 0
  const first = between(log, start, start + 1_000).length
  const all = between(log, start, start + rateSeconds * 1_000)
  const busiest = busiestSecond(all)
  const share = all.length / (rate * rateSeconds)
  return {
    asked,
    seen: `busiest second ${busiest}, first second ${first}, used ${percent(share)}`,
    aim: "no second above 51, first included; >= 97 %",
    met: busiest <= rate + 1 && first >= 0.97 * rate - 0.5 && share >= 0.97
  }
}

/** {@link rate} requests a second, from one process. */
export const oneProcess: Case = Effect.gen(function* () {
  const server = yield* startServer({ latency: "50 millis" })
  const go = yield* startClient({
    url: server.url,
    requests: rate * (rateSeconds + 1),
    concurrency: 256,
    limits: { requestsPerSecond: rate },
    label: "one"
  })
  yield* go
  return [rateClaim(`${rate}/s for ${rateSeconds} s, 1 process`, yield* server.log)]
})

const redisPort = 6379

const isRedisThere: Effect.Effect<boolean> = Effect.async((resume) => {
  const socket = connect(redisPort, "127.0.0.1")
  socket.once("connect", () => {
    socket.destroy()
    resume(Effect.succeed(true))
  })
  socket.once("error", () => resume(Effect.succeed(false)))
})

/** {@link rate} requests a second, from four processes that share them. */
export const fourProcesses: Case = Effect.gen(function* () {
  if (!(yield* isRedisThere)) {
    yield* Effect.sync(() =>
      console.log(`No Redis at 127.0.0.1:${redisPort}: shared limits are not measured`)
    )
    return []
  }
  const server = yield* startServer({ latency: "50 millis" })
  const prefix = `floodgate-bench-${process.pid}:`
  const clients = yield* Effect.forEach(
    ["one", "two", "three", "four"],
    (label) =>
      startClient({
        url: server.url,
        // the shares of the processes need not be even: they are stopped when the time is over
        requests: rate * rateSeconds,
        concurrency: 64,
        limits: { requestsPerSecond: rate },
        redis: { url: `redis://127.0.0.1:${redisPort}`, prefix },
        label
      }),
    { concurrency: "unbounded" }
  )
  yield* Effect.forEach(clients, Effect.fork)
  yield* Effect.sleep(`${rateSeconds + 2} seconds`)
  return [rateClaim(`${rate}/s for ${rateSeconds} s, 4 processes, one Redis`, yield* server.log)]
})

const maxTokens = 4_096
// a mean of 150
const answerTokens = { kind: "lognormal", median: 140, p95: 260 } as const

/**
 * The share of the tokens per minute that brought answers, from the first request to the last. What the theoretical
 * limit counts is what the provider counts: the prompt and `max_tokens` where it charges these on entry, the prompt
 * and the answer where it charges what was used. The provider's bucket holds ten seconds of its limit; documented are
 * whole minutes.
 */
const goodput = (asked: string, charges: "allowed" | "used", tpm: number, requests: number): Case =>
  Effect.gen(function* () {
    const server = yield* startServer({
      latency: { kind: "lognormal", median: "1 second", p95: "3 seconds" },
      outputTokens: answerTokens,
      limits: { tpm, slice: "10 seconds", outputTokens: charges }
    })
    const go = yield* startClient({
      url: server.url,
      requests,
      concurrency: 512,
      limits: { tokensPerMinute: tpm },
      maxTokens,
      chargesMaxTokens: charges === "allowed",
      questions: process.env["FLOODGATE_GSM8K"],
      label: charges
    })
    const { failures } = yield* go
    const log = yield* server.log
    const answered = log.filter(({ status }) => status === 200)
    const tokens = answered.reduce(
      (sum, { inputTokens, outputTokens }) =>
        sum + inputTokens + (charges === "allowed" ? maxTokens : outputTokens),
      0
    )
    const minutes = ((log.at(-1)?.time ?? 0) - (log[0]?.time ?? 0)) / 60_000
    const share = tokens / (tpm * minutes)
    const wasted = refused(log).length / log.length
    return [
      {
        asked,
        seen:
          `${percent(share)} of the limit, ${count(answered.length / minutes)} answers a minute; ` +
          `${percent(wasted, 2)} 429; ${failuresText(failures)}`,
        aim: ">= 90 %, < 0.1 % answered 429",
        met: share >= 0.9 && wasted < 0.001 && answered.length === requests
      }
    ]
  })

/** As OpenAI charges: {@link maxTokens} on entry, nothing given back. */
export const goodputUpFront = goodput(
  `TPM 5,000,000 charging max_tokens ${count(maxTokens)}`,
  "allowed",
  5_000_000,
  1_500
)

/** As others charge: what an answer has. */
export const goodputUsed = goodput("TPM 500,000 charging what was used", "used", 500_000, 3_000)

const stormRate = 100
const halvedAt = 10
const restoredAt = 40
const firstSeconds = 3

/** The first time from `from` on, in seconds from there, from which 2 seconds see at least 95 % of the full rate. */
const secondsToFullRate = (log: Log, from: number): number => {
  const answered = log.filter(({ status, time }) => status === 200 && time >= from)
  const enough = 0.95 * stormRate * 2
  const at = answered.findIndex(({ time }, index) => {
    const end = answered[index + enough - 1]
    return end !== undefined && end.time - time <= 2_000
  })
  return at < 0 ? Number.POSITIVE_INFINITY : ((answered[at]?.time ?? 0) - from) / 1_000
}

const storm = (
  asked: string,
  options: { readonly told: boolean; readonly configured: boolean; readonly concurrency: number }
): Case =>
  Effect.gen(function* () {
    const limits = { rpm: stormRate * 60, slice: "1 second", told: options.told } as const
    const halved = { ...limits, rpm: limits.rpm / 2 }
    const server = yield* startServer({
      latency: { kind: "uniform", min: "100 millis", max: "300 millis" },
      limits
    })
    const full = 30
    const go = yield* startClient({
      url: server.url,
      requests: stormRate * (halvedAt + (restoredAt - halvedAt) / 2 + full),
      concurrency: options.concurrency,
      limits: options.configured ? { requestsPerMinute: limits.rpm } : {},
      label: asked
    })
    const running = yield* Effect.fork(go)
    yield* Effect.sleep(`${halvedAt} seconds`)
    yield* server.setLimits(halved)
    const halvedTime = Date.now()
    yield* Effect.sleep(`${restoredAt - halvedAt} seconds`)
    yield* server.setLimits(limits)
    const restoredTime = Date.now()
    const { failures } = yield* Fiber.join(running)
    const log = yield* server.log
    const later = between(log, halvedTime + firstSeconds * 1_000, Number.POSITIVE_INFINITY)
    const first = refused(between(log, halvedTime, halvedTime + firstSeconds * 1_000)).length
    const wasted = refused(later).length / later.length
    const recovered = secondsToFullRate(log, restoredTime)
    const during = between(log, halvedTime + firstSeconds * 1_000, restoredTime)
    const used =
      (during.length - refused(during).length) / ((stormRate / 2) * (restoredAt - halvedAt - firstSeconds))
    return [
      {
        asked,
        seen:
          `${failuresText(failures)}; ${first} 429 in the first ${firstSeconds} s, then ${percent(wasted, 2)} wasted; ` +
          `${percent(used, 0)} of half used; full rate after ${recovered.toFixed(1)} s`,
        aim: "all succeed; < 1 % wasted; full rate within 30 s",
        met: Object.keys(failures).length === 0 && wasted < 0.01 && recovered <= 30
      }
    ]
  })

export const stormTold = storm("storm, limits told in headers", {
  told: true,
  configured: true,
  concurrency: 256
})
export const stormUntold = storm("storm, limits configured, not told", {
  told: false,
  configured: true,
  concurrency: 256
})
export const stormUnknown = storm("storm, limits neither configured nor told", {
  told: false,
  configured: false,
  concurrency: 64
})

const faultRequests = 2_000
const hintMillis = 1_000

/** One request in ten refused for a second, one in twenty failed: against {@link idealMillis} over the same draws. */
export const faults = (concurrency: number): Case =>
  Effect.gen(function* () {
    const server = yield* startServer({
      latency: { kind: "lognormal", median: "1 second", p95: "3 seconds" },
      faults: [
        { kind: "status", status: 429, retryAfter: hintMillis, rate: 0.1 },
        { kind: "status", status: 500, rate: 0.05 }
      ]
    })
    const go = yield* startClient({
      url: server.url,
      requests: faultRequests,
      concurrency,
      limits: {},
      label: "faults"
    })
    const { failures, seconds } = yield* go
    const requests = new Map<string, Array<Attempt>>()
    for (const { hash, latencyMs, status } of yield* server.log) {
      const attempts = requests.get(hash) ?? []
      attempts.push({ took: latencyMs, hint: status === 429 ? hintMillis : 0 })
      requests.set(hash, attempts)
    }
    const all = Array.from(requests.values())
    const ideal = idealMillis(all, { concurrency, holdsPlace: true }) / 1_000
    const makingRoom = idealMillis(all, { concurrency, holdsPlace: false }) / 1_000
    const ratio = seconds / ideal
    return [
      {
        asked: `${count(faultRequests)} requests, 10 % 429 (1 s), 5 % 500, ${concurrency} at once`,
        seen:
          `${failuresText(failures)}; ${seconds.toFixed(1)} s, ideal ${ideal.toFixed(1)} s: ${ratio.toFixed(2)}x ` +
          `(${(seconds / makingRoom).toFixed(2)}x of one where who waits makes room)`,
        aim: "all succeed; <= 1.3x ideal",
        met: Object.keys(failures).length === 0 && ratio <= 1.3
      }
    ]
  })
