import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { Cluster, Redis } from "ioredis"
import * as RedisStore from "../src/internal/redisLimiterStore.js"
import * as RateLimiter from "../src/RateLimiter.js"

const small: RateLimiter.Cost = { inputTokens: 10, outputTokens: 10 }

/** What Redis hashes of a key: what stands between the first `{` and the next `}`, if anything does. */
const tagOf = (key: string): string => /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key

const isInstalled = await new Promise<boolean>((resolve) => {
  const version = spawn("redis-server", ["--version"], { stdio: "ignore" })
  version.once("error", () => resolve(false))
  version.once("close", (code) => resolve(code === 0))
})
if (!isInstalled) console.warn("No redis-server: limits shared through a Redis cluster are NOT tested")

/** Cluster nodes talk at their port and 10,000: both have to be free. */
const freePort: Effect.Effect<number> = Effect.retry(
  Effect.async<number, Error>((resume) => {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const first = createServer()
    const second = createServer()
    const end = (effect: Effect.Effect<number, Error>) => {
      first.close()
      second.close()
      resume(effect)
    }
    for (const server of [first, second]) server.once("error", (error) => end(Effect.fail(error)))
    first.listen(port, "127.0.0.1", () => {
      second.listen(port + 10_000, "127.0.0.1", () => end(Effect.succeed(port)))
    })
  }),
  { times: 50 }
).pipe(Effect.orDie)

/** A cluster of one node, which holds all slots. It refuses scripts whose keys are in different ones. */
const makeCluster: Effect.Effect<Cluster, never, Scope.Scope> = Effect.gen(function* () {
  const port = yield* freePort
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "limiter-cluster-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const host = "127.0.0.1"
  const options = {
    port,
    bind: host,
    dir: folder,
    save: "",
    "cluster-enabled": "yes",
    "cluster-announce-ip": host
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
      return spawn("redis-server", args, { stdio: "ignore" })
    }),
    (server) =>
      Effect.async<void>((resume) => {
        server.once("close", () => resume(Effect.void))
        server.kill("SIGKILL")
      })
  )
  const node = yield* Effect.acquireRelease(
    Effect.sync(() => new Redis(port, "127.0.0.1").on("error", () => {})),
    (node) => Effect.sync(() => node.disconnect())
  )
  const isReady = Effect.map(
    Effect.promise(() => node.cluster("INFO")),
    (info) => String(info).includes("cluster_state:ok")
  )
  yield* Effect.promise(() => node.cluster("ADDSLOTS", ...Array.from({ length: 16_384 }, (_, slot) => slot)))
  yield* Effect.repeat(isReady, { until: (ready) => ready, schedule: Schedule.spaced("20 millis") })
  return yield* Effect.acquireRelease(
    Effect.sync(() => new Cluster([{ host: "127.0.0.1", port }]).on("error", () => {})),
    (cluster) => Effect.sync(() => cluster.disconnect())
  )
})

describe("RateLimiter.layerRedis in a cluster", () => {
  it.scoped("names all keys of a call so that they share a slot, whatever the domain and the prefix", () =>
    Effect.gen(function* () {
      const calls: Array<ReadonlyArray<string>> = []
      const evalsha = (_hash: string, count: number, ...args: Array<string>) => {
        calls.push(args.slice(0, count))
        return Promise.resolve("{}")
      }
      const client = { eval: () => Promise.resolve("{}"), evalsha }
      const store = yield* RedisStore.make({ client, prefix: "any:" })
      const exchange = {
        process: "one",
        limits: { requestsPerSecond: 1, tokensPerMinute: 1_000, concurrency: 3 },
        costs: [small],
        due: undefined,
        held: 0,
        lease: 1_000,
        corrections: [],
        told: {},
        pause: undefined,
        restart: "never"
      } as const
      const domains = ["openai/gpt-4o", "a}b{c", "{}", "ü ", ""]
      for (const domain of domains) yield* Effect.ignore(store.exchange(domain, exchange))
      assert.strictEqual(calls.length, domains.length)
      const tags = calls.map((keys) => Array.from(new Set(keys.map(tagOf))))
      for (const [index, of] of tags.entries()) assert.strictEqual(of.length, 1, domains[index])
      assert.strictEqual(new Set(tags.flat()).size, tags.flat().length)
    })
  )

  it.scopedLive.skipIf(!isInstalled)("holds limits for two limiters of one cluster", () =>
    Effect.gen(function* () {
      const client = yield* makeCluster
      const limits = {
        requestsPerMinute: 30,
        burst: 30,
        tokensPerMinute: 1e6,
        tokenBurst: 1e6,
        concurrency: 50
      }
      const make = Effect.map(
        Layer.build(RateLimiter.layerRedis({ client, prefix: "any:", domains: { "*": limits } })),
        (context) => Context.get(context, RateLimiter.RateLimiter)
      )
      const limiters = yield* Effect.all([make, make])
      for (const domain of ["openai/gpt-4o", "odd {}/ü"]) {
        let admitted = 0
        const ask = Effect.forEach(limiters, (limiter) =>
          Effect.forEach(Array.from({ length: 30 }), () =>
            Effect.fork(limiter.withPermit(domain, small, () => Effect.sync(() => admitted++)))
          )
        )
        const fibers = (yield* ask).flat()
        yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => admitted >= 30 })
        yield* Effect.sleep("200 millis")
        assert.strictEqual(admitted, 30)
        yield* Fiber.interruptAll(fibers)
      }
    }).pipe(Effect.timeout("60 seconds"))
  )
})
