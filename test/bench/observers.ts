/**
 * What watching adds to a request: ledger, progress, metrics, all three, and spans, over a mock that answers at once.
 * The cases take turns, so that what the machine does besides falls on all of them.
 *
 *     npm run -s bench:build && node .floodgate/bench/observers.js
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { batchStream, Chat, Ledger, Mock, Prices, Progress, Telemetry } from "floodgate"

const requests = 10_000
const rounds = 5

const services = Layer.merge(
  Mock.layer(() =>
    Mock.response("yes", { usage: { inputTokens: 1_000, outputTokens: 100, cacheReadTokens: 500 } })
  ),
  Prices.layer({ add: { "mock/*": { input: 0.15, output: 0.6, cacheRead: 0.075 } } })
)

/** A tracer whose spans keep what they are told, and go nowhere. */
const tracer = Tracer.make({
  span: (name, parent, context, links, startTime, kind) => {
    const attributes = new Map<string, unknown>()
    return {
      _tag: "Span",
      name,
      spanId: "1",
      traceId: "1",
      parent,
      context,
      status: { _tag: "Started", startTime },
      attributes,
      links,
      sampled: true,
      kind,
      end: () => {},
      attribute: (key, value) => {
        attributes.set(key, value)
      },
      event: () => {},
      addLinks: () => {}
    }
  },
  context: (f) => f()
})

const ledger = Layer.merge(services, Ledger.layer)
const cases = {
  none: services,
  "telemetry that is off": Layer.merge(services, Telemetry.layer({ metrics: false })),
  ledger,
  progress: Layer.merge(services, Progress.layer()),
  metrics: Layer.merge(services, Telemetry.layer()),
  "all three": Layer.mergeAll(ledger, Progress.layer(), Telemetry.layer()),
  "spans of requests": Layer.mergeAll(
    services,
    Layer.setTracer(tracer),
    Telemetry.layer({ metrics: false, spans: true, attempts: false })
  ),
  "spans of requests and attempts": Layer.mergeAll(
    services,
    Layer.setTracer(tracer),
    Telemetry.layer({ metrics: false, spans: true })
  )
}

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
  const taken = new Map(Object.keys(cases).map((name): [string, Array<number>] => [name, []]))
  for (let round = 0; round < rounds + 2; round++) {
    for (const [name, layer] of Object.entries(cases)) {
      const micros = yield* Effect.provide(measure, layer)
      // the first two warm up
      if (round >= 2) taken.get(name)?.push(micros)
    }
  }
  const without = taken.get("none") ?? []
  console.log(`CPU a request, median of ${rounds} rounds of ${requests}:`)
  for (const [name, values] of taken) {
    const added = values.map((value, round) => value - (without[round] ?? 0))
    console.log(
      `${name.padEnd(32)}${median(values).toFixed(1).padStart(6)} µs${
        name === "none" ? "" : `, added ${median(added).toFixed(1)} µs`
      }`
    )
  }
})

Effect.runPromise(program).catch((cause) => {
  console.error(cause)
  process.exitCode = 1
})
