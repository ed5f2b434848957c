/** Several processes that share one cache: each question is asked once, and nobody stands still meanwhile. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { build } from "esbuild"
import { Cache, Chat, complete, LlmError, Mock } from "floodgate"
import { Redis } from "ioredis"

const folder = mkdtempSync(join(tmpdir(), "floodgate-processes-"))
const program = join(folder, "child.cjs")
const prefix = `floodgate-test-${process.pid}-${Date.now()}:`
const url = "redis://127.0.0.1:6379"

const redisIsThere = await new Promise<boolean>((resolve) => {
  const socket = connect(6379, "127.0.0.1")
  socket.once("connect", () => resolve(socket.destroy() !== undefined))
  socket.once("error", () => resolve(false))
})
if (!redisIsThere) console.warn("No Redis at 127.0.0.1:6379: the cache in Redis is NOT tested")

/** A process that asks its share of the questions, and says how it fared. */
const child = `
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { batch, Cache, Chat, Mock } from "./src/index.js"
const { count, latency, lease, store } = JSON.parse(process.argv[2])
let calls = 0
const warnings = []
const mock = Mock.layer(() => Effect.suspend(() => {
  if (calls++ === 0) process.stdout.write("calling\\n")
  return latency === null ? Effect.never : Effect.delay(Effect.succeed("paid"), latency)
}))
const cache = store.filename ? Cache.layerSqlite({ ...store, lease }) : Cache.layerRedis({ ...store, lease })
const delay = monitorEventLoopDelay({ resolution: 5 })
const prompts = Array.from({ length: count }, (_, i) => Chat.prompt("question " + i))
Effect.gen(function* () {
  const service = yield* Cache.Cache
  process.stdout.write("ready\\n")
  yield* Effect.promise(() => new Promise((resolve) => process.stdin.once("data", resolve)))
  delay.enable()
  const outcomes = yield* batch(prompts, { concurrency: 100 })
  const failures = outcomes.filter(Either.isLeft).length
  const { shared } = yield* service.stats
  process.stdout.write(JSON.stringify({ calls, failures, warnings, shared, stall: delay.max / 1e6 }) + "\\n")
}).pipe(
  Effect.provide(Layer.merge(mock, cache)),
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => warnings.push(String(message))))),
  Effect.runPromise
).then(() => process.exit(0))
`

interface Report {
  readonly calls: number
  readonly failures: number
  readonly warnings: ReadonlyArray<string>
  readonly shared: number
  readonly stall: number
}

beforeAll(() =>
  build({
    stdin: { contents: child, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    platform: "node",
    format: "cjs",
    external: ["better-sqlite3"],
    outfile: program,
    logLevel: "error"
  })
)

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if (!redisIsThere) return
  const redis = new Redis(url)
  const keys = await redis.keys(`${prefix}*`)
  if (keys.length > 0) await redis.del(keys)
  redis.disconnect()
})

interface Options {
  readonly count: number
  /** How long a call takes in milliseconds; `null`: for ever. */
  readonly latency: number | null
  readonly lease: string
  readonly store: object
}

/** A child, and how to wait for a line that it writes. */
const start = (options: Options) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [program, JSON.stringify(options)], {
          stdio: ["pipe", "pipe", "inherit"],
          env: { ...process.env, NODE_PATH: join(process.cwd(), "node_modules") }
        })
      ),
      (process) => Effect.sync(() => process.kill("SIGKILL"))
    ),
    (process) => {
      let text = ""
      process.stdout.on("data", (chunk) => {
        text += chunk
      })
      const line = (pattern: RegExp): Effect.Effect<string> =>
        Effect.suspend(() => {
          const found = pattern.exec(text)
          return found === null ? Effect.delay(line(pattern), "5 millis") : Effect.succeed(found[0])
        })
      return {
        process,
        ready: line(/^ready$/m),
        calling: line(/^calling$/m),
        go: go(process),
        report: Effect.map(line(/^\{.*\}$/m), (json): Report => JSON.parse(json))
      }
    }
  )

const go = (process: ChildProcess) => Effect.sync(() => process.stdin?.write("go\n"))

const stores: ReadonlyArray<readonly [string, (name: string) => object, (name: string) => CacheLayer]> = [
  [
    "SQLite",
    (name) => ({ filename: join(folder, `${name}.db`) }),
    (name) => Cache.layerSqlite({ filename: join(folder, `${name}.db`), lease: "60 seconds" })
  ],
  [
    "Redis",
    (name) => ({ url, prefix: `${prefix}${name}:` }),
    (name) => Cache.layerRedis({ url, prefix: `${prefix}${name}:`, lease: "60 seconds" })
  ]
]
type CacheLayer = ReturnType<typeof Cache.layerSqlite>

describe.each(stores)("processes that share a cache in %s", (kind, storeOf, layerOf) => {
  const test: typeof it.scopedLive.skip =
    kind === "Redis" && !redisIsThere ? it.scopedLive.skip : it.scopedLive

  test("ask each of 1,000 questions once, without errors and without standing still", () =>
    Effect.gen(function* () {
      const options = { count: 1_000, latency: 30, lease: "30 seconds", store: storeOf("thousand") }
      const children = yield* Effect.all([start(options), start(options)])
      yield* Effect.forEach(children, ({ ready }) => ready)
      yield* Effect.forEach(children, ({ go }) => go)
      const reports = yield* Effect.forEach(children, ({ report }) => report, { concurrency: 2 })
      const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0)
      assert.deepStrictEqual(
        reports.flatMap(({ warnings }) => warnings),
        []
      )
      assert.strictEqual(
        sum(({ failures }) => failures),
        0
      )
      assert.strictEqual(
        sum(({ calls }) => calls),
        1_000
      )
      // milliseconds on an idle machine; one that others use adds its own, and waiting for a lease would take 30 seconds
      for (const { stall } of reports) assert.isBelow(stall, 10_000)
    }))

  test("take over from one that was killed, once its lease has ended", () =>
    Effect.gen(function* () {
      const store = storeOf("killed")
      const first = yield* start({ count: 1, latency: null, lease: "500 millis", store })
      const second = yield* start({ count: 1, latency: 1, lease: "500 millis", store })
      yield* Effect.all([first.ready, second.ready])
      yield* first.go
      yield* first.calling
      yield* second.go
      // longer than the lease: it is renewed while its holder lives
      yield* Effect.sleep("800 millis")
      first.process.kill("SIGKILL")
      const { calls, failures } = yield* second.report
      assert.deepStrictEqual({ calls, failures }, { calls: 1, failures: 0 })
    }))

  const ask = Effect.map(complete(Chat.prompt("a")), ({ text }) => text)

  /** Two caches over one store, as of two processes. */
  const two = (name: string) =>
    Effect.all([Layer.build(layerOf(name)), Layer.build(layerOf(name))]).pipe(
      Effect.map(([one, other]) => ({
        one: Layer.succeedContext(one),
        other: Layer.succeedContext(other),
        service: Context.get(other, Cache.Cache)
      }))
    )

  test("wait for the other's answer, and go on at once when its call fails or is given up", () =>
    Effect.gen(function* () {
      const { one, other, service } = yield* two("waits")
      const begun = yield* Deferred.make<void>()
      const end = yield* Deferred.make<string, LlmError.LlmError>()
      const slow = Mock.layer(() => Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(end)))
      let calls = 0
      const quick = Mock.layer(() => Effect.sync(() => `own ${++calls}`))
      const both = (prompt: string) => {
        const of = Effect.map(complete(Chat.prompt(prompt)), ({ text }) => text)
        return {
          first: of.pipe(Effect.provide(Layer.merge(slow, one))),
          second: of.pipe(Effect.provide(Layer.merge(quick, other)))
        }
      }

      const asked = both("a")
      const first = yield* Effect.fork(asked.first)
      yield* Deferred.await(begun)
      const second = yield* Effect.fork(asked.second)
      yield* Effect.sleep("500 millis")
      yield* Deferred.succeed(end, "theirs")
      assert.strictEqual(yield* Fiber.join(first), "theirs")
      assert.strictEqual(yield* Fiber.join(second), "theirs")
      assert.strictEqual(calls, 0)
      assert.strictEqual((yield* service.stats).shared, 1)

      const error = new LlmError.InvalidRequestError({ provider: "mock", message: "no" })
      const failing = Mock.layer(() => Effect.delay(Effect.fail(error), "100 millis"))
      const never = Mock.layer(() => Effect.never)
      for (const [prompt, mock] of [
        ["b", failing],
        ["c", never]
      ] as const) {
        const of = Effect.map(complete(Chat.prompt(prompt)), ({ text }) => text)
        const leaving = yield* Effect.fork(Effect.either(of.pipe(Effect.provide(Layer.merge(mock, one)))))
        yield* Effect.sleep("50 millis")
        const waiting = yield* Effect.fork(of.pipe(Effect.provide(Layer.merge(quick, other))))
        yield* Effect.sleep("20 millis")
        const start = Date.now()
        if (prompt === "c") yield* Fiber.interrupt(leaving)
        assert.match(yield* Fiber.join(waiting), /^own/)
        // well before the lease of a minute would end
        assert.isBelow(Date.now() - start, 40_000)
      }
      assert.strictEqual(calls, 2)
    }))

  test("release their leases when they end in an orderly way", () =>
    Effect.gen(function* () {
      const never = Mock.layer(() => Effect.never)
      const asking = yield* Effect.fork(ask.pipe(Effect.provide(Layer.merge(never, layerOf("orderly")))))
      yield* Effect.sleep("300 millis")
      yield* Fiber.interrupt(asking)
      const start = Date.now()
      const text = yield* ask.pipe(
        Effect.provide(
          Layer.merge(
            Mock.layer(() => "mine"),
            layerOf("orderly")
          )
        )
      )
      assert.strictEqual(text, "mine")
      assert.isBelow(Date.now() - start, 40_000)
    }))

  test("keep answers apart by namespace, expire and forget them", () =>
    Effect.gen(function* () {
      let calls = 0
      const mock = Mock.layer(() => Effect.sync(() => `answer ${++calls}`))
      const of = (prompt: string, cache?: Chat["cache"]) =>
        Effect.map(complete(Chat.prompt(prompt, { cache })), ({ text }) => text)
      yield* Effect.gen(function* () {
        const cache = yield* Cache.Cache
        assert.strictEqual(yield* of("a"), "answer 1")
        assert.strictEqual(yield* of("a", { namespace: "x*/{}" }), "answer 2")
        assert.strictEqual(yield* of("a", { namespace: "x*/{}" }), "answer 2")
        assert.strictEqual(yield* of("a"), "answer 1")
        yield* of("b", { timeToLive: 1_000 })
        assert.strictEqual(yield* of("b"), "answer 3")
        yield* Effect.sleep("1100 millis")
        assert.strictEqual(yield* of("b"), "answer 4")
        const { entries, bytes } = yield* cache.totals()
        assert.strictEqual(entries, 2)
        assert.isAbove(bytes, 200)
        yield* Cache.invalidate(Chat.prompt("b"))
        assert.strictEqual((yield* cache.totals()).entries, 1)
        yield* cache.clear("x*/{}")
        assert.strictEqual(yield* of("a"), "answer 1")
        assert.strictEqual(yield* of("a", { namespace: "x*/{}" }), "answer 5")
        yield* cache.clear()
        assert.strictEqual(yield* of("a"), "answer 6")
      }).pipe(Effect.provide(Layer.merge(mock, layerOf("namespaces"))))
    }))
})

describe("Cache.layerRedis", () => {
  it.live("fails at the start without a server, or a way to one, and tells no password", () =>
    Effect.gen(function* () {
      const fails = (options: Partial<Cache.RedisOptions>) =>
        Effect.flip(Effect.scoped(Layer.build(Cache.layerRedis({ timeout: "200 millis", ...options }))))
      const away = yield* fails({ url: "redis://user:hidden-password@127.0.0.1:1" })
      assert.strictEqual(away._tag, "CacheStoreError")
      assert.notInclude(JSON.stringify(away), "hidden-password")
      assert.match((yield* fails({ url: "http://127.0.0.1" })).message, /redis:\/\//)
      assert.match((yield* fails({})).message, /url or a client/)
    })
  )

  it.scopedLive("a server that goes away is a miss and one warning", () =>
    Effect.gen(function* () {
      const warnings: Array<string> = []
      let broken = false
      const answer = (reply: () => unknown) =>
        broken ? Promise.reject(new Error("gone")) : Promise.resolve(reply())
      const client: Cache.RedisClient = {
        evalsha: (_, keys) => answer(() => new Array(keys).fill(null)),
        eval: () => answer(() => [])
      }
      const context = yield* Layer.build(Cache.layerRedis({ client }))
      broken = true
      yield* complete(Chat.prompt("a")).pipe(
        Effect.zipRight(complete(Chat.prompt("b"))),
        Effect.provide(
          Layer.merge(
            Mock.layer(() => "ok"),
            Layer.succeedContext(context)
          )
        ),
        Effect.provide(
          Logger.replace(
            Logger.defaultLogger,
            Logger.make(({ message }) => warnings.push(String(message)))
          )
        )
      )
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0], "gone")
    })
  )
})
