/**
 * The router over real HTTP: how near the makespan of a batch comes to what its servers could do at best, with servers
 * of unequal speed, and with one whose answers have a heavy tail, with and without hedging.
 *
 * `npm run bench:router` · `npm run bench:router -- tail` (the cases whose name begins so)
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { batchStream, Cache, Chat, HttpClientPool, OpenAi, RateLimiter, Router } from "floodgate"
import { type Claim, count, report } from "./claim.js"
import { type Server, startServer } from "./limitsProcess.js"
import { model, prompt } from "./prompts.js"

interface Run {
  readonly label: string
  readonly servers: ReadonlyArray<Server>
  readonly rows: number
  /** Calls in flight at each server at most. */
  readonly concurrency: number
  readonly workers: number
  readonly hedge?: Router.HedgeOptions
}

/** Asks all rows and gives the seconds they took, and what the router knows then. */
const run = ({ concurrency, hedge, label, rows, servers, workers }: Run) =>
  Effect.gen(function* () {
    const [first, ...rest] = servers.map(({ url }, i) => ({
      id: `server ${i + 1}`,
      provider: "openai",
      baseUrl: url,
      apiKey: Redacted.make("sk-bench"),
      model
    }))
    if (first === undefined) return yield* Effect.dieMessage("no server")
    const services = yield* Layer.build(
      Layer.mergeAll(
        Layer.provide(OpenAi.layer, HttpClientPool.layer()),
        Router.layer({ endpoints: [first, ...rest], health: {}, hedge }),
        RateLimiter.layer({ domains: { "*": { concurrency } } }),
        Cache.layerNone
      )
    )
    const ask = (label: string, count: number) =>
      Stream.runForEach(
        batchStream(
          Array.from({ length: count }, (_, i) => Chat.prompt(prompt(label, i))),
          { concurrency: workers }
        ),
        ({ outcome }) => (Either.isLeft(outcome) ? Effect.die(outcome.left) : Effect.void)
      )
    const start = performance.now()
    yield* Effect.provide(ask(label, rows), services)
    const seconds = (performance.now() - start) / 1_000
    return { seconds, states: yield* Effect.provide(Router.states, services) }
  }).pipe(Effect.scoped)

/** A makespan, and how many times the least that it could be it is. */
const times = (seconds: number, least: number): string =>
  `${(seconds / least).toFixed(3)} times (${seconds.toFixed(2)} of ${least.toFixed(2)} s)`

type Case = Effect.Effect<ReadonlyArray<Claim>, never, Scope.Scope>

/** Two servers as fast as each other and one with a third of their speed. */
const split: Case = Effect.gen(function* () {
  const latencies = [100, 100, 300]
  const rows = 6_000
  const concurrency = 16
  const servers = yield* Effect.forEach(latencies, (latency) => startServer({ latency }))
  yield* run({ label: "warm-up", servers, rows: 500, concurrency, workers: 64 })
  const { seconds, states } = yield* run({ label: "split", servers, rows, concurrency, workers: 64 })
  const best = rows / latencies.reduce((sum, latency) => sum + (concurrency * 1_000) / latency, 0)
  return [
    {
      asked: `${count(rows)} rows, 3 servers, one a third as fast`,
      seen: `${times(seconds, best)}; ${states.map(({ answered }) => count(answered)).join(", ")} rows`,
      aim: "1.05 times the ideal split",
      met: seconds <= 1.05 * best,
      isSpeed: true
    }
  ]
})

/** A server of which one answer in a hundred takes 50 times as long. */
const tail: Case = Effect.gen(function* () {
  const rows = 2_000
  const workers = 50
  const latency = 100
  const best = (rows * latency) / workers / 1_000
  const claims: Array<Claim> = []
  for (const hedge of [undefined, {}]) {
    const server = yield* startServer({
      latency,
      faults: [{ kind: "delay", by: 49 * latency, rate: 0.01 }]
    })
    const plan = { servers: [server], concurrency: 4 * workers, workers }
    const { seconds, states } = yield* run({
      ...plan,
      label: "tail",
      rows,
      ...(hedge === undefined ? undefined : { hedge })
    })
    const hedges = states.reduce((sum, state) => sum + state.hedges, 0)
    const calls = (yield* server.log).length
    claims.push({
      asked: `${count(rows)} rows, 1 % of answers 50 times as slow${hedge === undefined ? "" : ", hedged"}`,
      seen: times(seconds, best),
      aim: hedge === undefined ? "none" : "below 1.2 times the least",
      met: hedge === undefined || seconds < 1.2 * best,
      isSpeed: true
    })
    if (hedge === undefined) continue
    claims.push({
      asked: "second attempts",
      seen: `${hedges}, ${((100 * hedges) / rows).toFixed(2)} % of the rows; ${count(calls)} calls`,
      aim: "no more than 5 %",
      met: hedges <= 0.05 * rows
    })
  }
  return claims
})

const cases: Readonly<Record<string, Case>> = { split, tail }

const [beginning = ""] = process.argv.slice(2)
const { end, tell } = report()

await Effect.runPromise(
  Effect.forEach(
    Object.entries(cases).filter(([name]) => name.startsWith(beginning)),
    ([, measure]) => Effect.map(Effect.scoped(measure), (claims) => claims.forEach(tell)),
    { discard: true }
  )
)
end()
