/**
 * What the ledger and the events that feed it add to a request: batches over a mock that answers at once, with and
 * without a ledger in turns, so that what the machine does besides falls on both.
 *
 *     npm run -s bench:build && node .floodgate/bench/ledger.js
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { batchStream, Chat, Ledger, Mock, Prices } from "floodgate"

const requests = 20_000
const rounds = 9

const services = Layer.merge(
  Mock.layer(() =>
    Mock.response("yes", { usage: { inputTokens: 1_000, outputTokens: 100, cacheReadTokens: 500 } })
  ),
  Prices.layer({ add: { "mock/*": { input: 0.15, output: 0.6, cacheRead: 0.075 } } })
)

/** Microseconds of CPU a request. */
const measure = Effect.gen(function* () {
  const asked = Array.from({ length: requests }, (_, i) => Chat.prompt(`question ${i}`))
  const before = process.cpuUsage()
  yield* Stream.runDrain(batchStream(asked, { concurrency: 64 }))
  const { system, user } = process.cpuUsage(before)
  return (system + user) / requests
})

const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN

const program = Effect.gen(function* () {
  const without: Array<number> = []
  const withLedger: Array<number> = []
  for (let round = 0; round < rounds + 2; round++) {
    const plain = yield* Effect.provide(measure, services)
    const booked = yield* Effect.provide(measure, Layer.merge(services, Ledger.layer))
    // the first two warm up
    if (round < 2) continue
    without.push(plain)
    withLedger.push(booked)
  }
  const added = withLedger.map((booked, i) => booked - (without[i] ?? 0))
  console.log(
    `CPU a request: ${median(without).toFixed(1)} µs without a ledger, ${median(withLedger).toFixed(1)} µs with one; added ${median(added).toFixed(1)} µs (median of ${rounds} rounds of ${requests})`
  )
})

Effect.runPromise(program).catch((cause) => {
  console.error(cause)
  process.exitCode = 1
})
