import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { build } from "esbuild"
import { Redis } from "ioredis"
import { rateKinds } from "../src/internal/limits.js"
import * as RedisStore from "../src/internal/redisLimiterStore.js"
import * as RateLimiter from "../src/RateLimiter.js"
import type { Exchange } from "../src/RateLimiterStore.js"
import * as Simulator from "../src/Simulator.js"

const port = 6379
const url = `redis://127.0.0.1:${port}`
/** All keys of this run, and of no other. */
const prefix = `floodgate-test-${process.pid}-${Date.now()}:`
const folder = mkdtempSync(join(tmpdir(), "limiter-redis-"))
const program = join(folder, "child.cjs")
/** Set for the long run over many processes. */
const long = process.env["FLOODGATE_TEST_LONG"] !== undefined

const isThere = await new Promise<boolean>((resolve) => {
  const socket = connect(port, "127.0.0.1")
  socket.once("connect", () => {
    socket.destroy()
    resolve(true)
  })
  socket.once("error", () => resolve(false))
})
if (!isThere)
  console.warn(`No Redis at 127.0.0.1:${port}: the limits shared between processes are NOT tested`)

const redis = new Redis(url, { lazyConnect: true })

/**
 * A process that shares the limits. It sends to the simulator from many fibers at once, or holds slots, from the
 * moment it is told to go.
 */
const child = `
import * as http from "node:http"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import * as RateLimiter from "./src/RateLimiter.js"
const { domains, hold, id, lease, millis, prefix, redis, fibers, url } = JSON.parse(process.argv[2])
const agent = new http.Agent({ keepAlive: true })
const send = (path, body) => new Promise((resolve) => {
  const request = http.request(url + path, { method: "POST", agent, headers: {
    authorization: "Bearer any", "content-type": "application/json", "content-length": Buffer.byteLength(body)
  } }, (response) => response.resume().on("end", resolve).on("error", resolve))
  request.on("error", resolve)
  request.end(body)
})
const starts = []
const stalls = monitorEventLoopDelay({ resolution: 2 })
const body = JSON.stringify({ model: "process-" + id, messages: [{ role: "user", content: "hello" }] })
Effect.gen(function* () {
  const limiter = yield* RateLimiter.RateLimiter
  const once = (use) => limiter.withPermit("shared", { inputTokens: 1, outputTokens: 1 }, use)
  if (!hold) yield* Effect.promise(() => send("/warm-up", "{}"))
  process.stdout.write("ready\\n")
  yield* Effect.promise(() => new Promise((resolve) => process.stdin.once("data", resolve)))
  stalls.enable()
  const until = Date.now() + millis
  const work = hold
    ? once(() => Effect.zipRight(Effect.sync(() => process.stdout.write("held\\n")), Effect.never))
    : Effect.whileLoop({
        while: () => Date.now() < until,
        body: () => once(() => Effect.promise(() => {
          starts.push(performance.timeOrigin + performance.now())
          return send("/chat/completions", body)
        })),
        step: () => {}
      })
  yield* Effect.forEach(Array.from({ length: fibers }), () => work, { concurrency: "unbounded", discard: true })
}).pipe(
  Effect.timeout(millis + 500),
  Effect.ignore,
  Effect.provide(RateLimiter.layerRedis({ url: redis, prefix, domains, lease, timeout: "20 seconds" })),
  Effect.runPromise
).then(() =>
  process.stdout.write(JSON.stringify({ starts, stall: stalls.max / 1e6 }) + "\\n", () => process.exit(0))
)
`

beforeAll(async () => {
  if (!isThere) return
  await redis.connect()
  await build({
    stdin: { contents: child, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    platform: "node",
    format: "cjs",
    outfile: program,
    logLevel: "error"
  })
})

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if (!isThere) return
  await forget("")
  redis.disconnect()
})

/** Deletes the keys of this run that begin so. */
const forget = async (beginning: string) => {
  let cursor = "0"
  do {
    const [next, keys] = await redis.scan(cursor, "MATCH", `${prefix}${beginning}*`, "COUNT", 1_000)
    if (keys.length > 0) await redis.del(...keys)
    cursor = next
  } while (cursor !== "0")
}

interface Child {
  readonly process: ChildProcess
  readonly said: () => string
  readonly ended: Promise<unknown>
}

const startChild = (options: Record<string, unknown>): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Child>((resume) => {
      const running = spawn(process.execPath, [
        program,
        JSON.stringify({ prefix, redis: url, fibers: 100, lease: "1 seconds", ...options })
      ])
      let said = ""
      running.stderr.pipe(process.stderr)
      const ended = new Promise((resolve) => running.once("close", resolve))
      const started = { process: running, said: () => said, ended }
      running.stdout.on("data", (text) => {
        said += text
        if (said === "ready\n") resume(Effect.succeed(started))
      })
      running.once("close", () => resume(Effect.die(new Error("The process ended before it was ready"))))
    }),
    ({ process }) => Effect.sync(() => process.kill("SIGKILL"))
  )

let domains = 0
/** A domain that no other test uses. */
const newDomain = () => `domain ${domains++} {}/ü`

/** A limiter of its own, as another process has it. Redis is away for it when it says so, not when a machine is busy. */
const makeLimiter = (limits: RateLimiter.Limits, options?: Partial<RateLimiter.RedisOptions>) =>
  Layer.build(
    RateLimiter.layerRedis({ url, prefix, domains: { "*": limits }, timeout: "20 seconds", ...options })
  ).pipe(Effect.map((context) => Context.get(context, RateLimiter.RateLimiter)))

const small: RateLimiter.Cost = { inputTokens: 10, outputTokens: 10 }

/** Sends requests from a fiber each, and notes when each starts. */
const send = Effect.fnUntraced(function* (
  limiter: RateLimiter.Service,
  domain: string,
  count: number,
  use: (permit: RateLimiter.Permit) => Effect.Effect<void> = () => Effect.void,
  cost = small
) {
  const admitted: Array<number> = []
  const fibers = yield* Effect.forEach(Array.from({ length: count }), () =>
    Effect.fork(
      limiter.withPermit(domain, cost, (permit) =>
        Effect.zipRight(
          Effect.sync(() => void admitted.push(performance.now())),
          use(permit)
        )
      )
    )
  )
  return { admitted, fibers }
})

/** Looks until the state is such. */
const stateThat = (
  limiter: RateLimiter.Service,
  domain: string,
  until: (state: RateLimiter.DomainState) => boolean
) =>
  Effect.repeat(limiter.state(domain), { until, schedule: Schedule.spaced("5 millis") }).pipe(
    Effect.zipRight(limiter.state(domain)),
    Effect.timeout("60 seconds")
  )

/** The longest that this process stood still, in milliseconds: what came meanwhile is noted down together. */
const longestStall: Effect.Effect<() => number, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const stalls = monitorEventLoopDelay({ resolution: 2 })
      stalls.enable()
      return stalls
    }),
    (stalls) => Effect.sync(() => stalls.disable())
  ),
  (stalls) => () => stalls.max / 1e6
)

const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.repeat(Effect.delay(Effect.sync(isSo), 5), { until: (so) => so }).pipe(
    Effect.timeout("60 seconds"),
    Effect.orDie
  )

/** A way to Redis that can be cut. */
const makeWay = Effect.gen(function* () {
  const sockets = new Set<Socket>()
  const server = createServer((from) => {
    const to = connect(port, "127.0.0.1")
    for (const socket of [from, to]) {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => {
        from.destroy()
        to.destroy()
        sockets.delete(socket)
      })
    }
    from.pipe(to)
    to.pipe(from)
  })
  const open = (at: number) =>
    Effect.async<number>((resume) => {
      server.listen(at, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    })
  const cut = Effect.sync(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const at = yield* Effect.acquireRelease(open(0), () => cut)
  return { url: `redis://127.0.0.1:${at}`, cut, mend: Effect.asVoid(open(at)) }
})

/** Collects the warnings. */
const withWarnings = <A, E, R>(effect: (warnings: ReadonlyArray<string>) => Effect.Effect<A, E, R>) => {
  const warnings: Array<string> = []
  const logger = Logger.make(({ message }) => void warnings.push(String(message)))
  return Effect.provide(effect(warnings), Logger.replace(Logger.defaultLogger, logger))
}

/** The most that any window of `period` holds. */
const busiest = (times: ReadonlyArray<number>, period = 1_000): number => {
  const sorted = times.toSorted((a, b) => a - b)
  let most = 0
  let from = 0
  sorted.forEach((time, to) => {
    while (time - (sorted[from] ?? 0) >= period) from++
    most = Math.max(most, to - from + 1)
  })
  return most
}

describe.skipIf(!isThere)("RateLimiter.layerRedis over processes", () => {
  const seconds = long ? 20 : 5
  it.scopedLive(
    `holds 50 requests a second over 4 processes for ${seconds} seconds, from the first one on`,
    () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.make()
        const limits = { shared: { requestsPerSecond: 50 } }
        const children = yield* Effect.forEach(
          [1, 2, 3, 4],
          (id) => startChild({ id, domains: limits, url: simulator.url, millis: seconds * 1_000 + 500 }),
          { concurrency: "unbounded" }
        )
        const stallHere = yield* longestStall
        for (const { process } of children) process.stdin?.write("go\n")
        yield* Effect.promise(() => Promise.all(children.map(({ ended }) => ended)))
        const log = (yield* simulator.log).filter(({ path }) => path.endsWith("/chat/completions"))
        const times = log.map(({ elapsed }) => elapsed)
        const start = times[0] ?? 0
        const within = (millis: number) => times.filter((time) => time < start + millis).length
        const by = (model: string) => log.filter((entry) => entry.model === model).length
        const told = children.map(
          ({ said }): { readonly starts: ReadonlyArray<number>; readonly stall: number } =>
            JSON.parse(said().split("\n")[1] ?? "")
        )
        const starts = told.flatMap(({ starts }) => starts)
        const stall = Math.max(stallHere(), ...told.map(({ stall }) => stall))
        const used = within(seconds * 1_000) / (50 * seconds)
        if (long) console.log({ starts: busiest(starts), arrivals: busiest(times), used, stall })
        // What came while a process stood still, on a machine that others use, was noted down together.
        assert.isAtMost(busiest(starts), 51 + (stall < 20 ? 0 : Math.ceil(stall / 20)))
        assert.isAtMost(busiest(times), 51 + Math.ceil(stall / 20))
        // 97 % on a quiet machine; a busy one must not fail the suite
        const least = stall < 20 ? 0.95 : stall < 100 ? 0.8 : stall < 500 ? 0.25 : 0.02
        assert.isAtLeast(used, least)
        assert.isAtLeast(within(1_000), least * 50)
        // none starves
        const fair = log.length / 4 / (stall < 100 ? 2 : 10)
        for (const id of [1, 2, 3, 4]) assert.isAtLeast(by(`process-${id}`), fair, `${id}`)
      })
  )

  it.scopedLive("gives the slots of a killed process back once its lease has run out", () =>
    Effect.gen(function* () {
      const limits = { shared: { concurrency: 3 } }
      const holder = yield* startChild({
        ...{ domains: limits, hold: true, fibers: 2 },
        ...{ lease: "2 seconds", millis: 120_000 }
      })
      holder.process.stdin?.write("go\n")
      yield* until(() => holder.said() === "ready\nheld\nheld\n")
      const limiter = yield* makeLimiter(limits.shared)
      const { admitted } = yield* send(limiter, "shared", 3, () => Effect.never)
      // longer than the lease: it is renewed for as long as the process lives
      yield* Effect.sleep("2500 millis")
      assert.strictEqual(admitted.length, 1)
      assert.strictEqual((yield* limiter.state("shared")).waitingFor, "concurrency")
      holder.process.kill("SIGKILL")
      yield* until(() => admitted.length === 3).pipe(Effect.timeout("60 seconds"))
    })
  )
})

// They mostly wait.
describe.skipIf(!isThere)("RateLimiter.layerRedis", { concurrent: true }, () => {
  it.scopedLive("shares slots, and lets no process starve the other", () =>
    Effect.gen(function* () {
      const domain = newDomain()
      let running = 0
      const use = Effect.acquireUseRelease(
        Effect.sync(() => assert.isAtMost(++running, 2)),
        () => Effect.sleep("5 millis"),
        () => Effect.sync(() => running--)
      )
      const limiters = yield* Effect.forEach([1, 2, 3], () => makeLimiter({ concurrency: 2 }))
      const sent = yield* Effect.forEach(limiters, (limiter) => send(limiter, domain, 300, () => use))
      const count = () => sent.reduce((sum, { admitted }) => sum + admitted.length, 0)
      yield* until(() => count() >= 120).pipe(Effect.timeout("60 seconds"))
      const counts = sent.map(({ admitted }) => admitted.length)
      yield* Effect.forEach(sent, ({ fibers }) => Fiber.interruptAll(fibers))
      for (const count of counts) assert.isAtLeast(count, 3, String(counts))
      assert.strictEqual(running, 0)
      const { admitted } = yield* send(limiters[0] ?? assert.fail(), domain, 2, () => Effect.never)
      yield* until(() => admitted.length === 2).pipe(Effect.timeout("60 seconds"))
    })
  )

  it.scopedLive("takes all limits together or none, and gives back what an interrupted waiter held", () =>
    Effect.gen(function* () {
      const domain = newDomain()
      const limits = { requestsPerMinute: 100, tokensPerMinute: 1_000, burst: 100, tokenBurst: 1_000 }
      const [one, two] = yield* Effect.all([makeLimiter(limits), makeLimiter(limits)])
      const large = { inputTokens: 600, outputTokens: 0 }
      yield* one.withPermit(domain, large, () => Effect.void)
      const waiting = yield* send(two, domain, 3, () => Effect.void, large)
      const { used } = yield* stateThat(two, domain, ({ waitingFor }) => waitingFor === "tokensPerMinute")
      assert.deepStrictEqual(used, { requestsPerMinute: 1, tokensPerMinute: 600 })
      yield* Fiber.interruptAll(waiting.fibers)
      // none of it is kept for those who left
      yield* two.withPermit(domain, { inputTokens: 400, outputTokens: 0 }, () => Effect.void)
      assert.deepStrictEqual((yield* two.state(domain)).used, {
        requestsPerMinute: 2,
        tokensPerMinute: 1_000
      })
      assert.strictEqual(waiting.admitted.length, 0)
    })
  )

  it.scopedLive("gives back what was admitted for one that was interrupted meanwhile", () =>
    Effect.gen(function* () {
      const domain = newDomain()
      const limits = { requestsPerMinute: 10_000, burst: 10_000, concurrency: 5 }
      const [one, two] = yield* Effect.all([makeLimiter(limits), makeLimiter(limits)])
      let started = 0
      const use = () =>
        Effect.zipRight(
          Effect.sync(() => void started++),
          Effect.sleep("1 millis")
        )
      for (let round = 0; round < 30; round++) {
        const { fibers } = yield* send(round % 2 === 0 ? one : two, domain, 8, use)
        yield* Effect.sleep(round % 4)
        yield* Fiber.interruptAll(fibers)
      }
      yield* Effect.sleep("50 millis")
      const { fibers } = yield* send(one, domain, 1, use)
      yield* Effect.forEach(fibers, Fiber.join)
      yield* stateThat(one, domain, ({ used }) => used.requestsPerMinute === started)
      const held = yield* send(two, domain, 5, () => Effect.never)
      yield* until(() => held.admitted.length === 5).pipe(Effect.timeout("60 seconds"))
    })
  )

  it.scopedLive("books the actual tokens for all processes", () =>
    Effect.gen(function* () {
      const domain = newDomain()
      const limits = { tokensPerMinute: 1_000, tokenBurst: 1_000 }
      const [one, two] = yield* Effect.all([makeLimiter(limits), makeLimiter(limits)])
      const settle = yield* Deferred.make<RateLimiter.Cost>()
      const cost = { inputTokens: 100, outputTokens: 900 }
      const use = (permit: RateLimiter.Permit) => Effect.flatMap(Deferred.await(settle), permit.settle)
      const first = yield* send(one, domain, 1, use, cost)
      yield* until(() => first.admitted.length === 1)
      const { admitted } = yield* send(two, domain, 2, () => Effect.void, {
        inputTokens: 400,
        outputTokens: 0
      })
      yield* Effect.sleep("50 millis")
      assert.strictEqual(admitted.length, 0)
      yield* Deferred.succeed(settle, { inputTokens: 100, outputTokens: 150 })
      yield* until(() => admitted.length === 1).pipe(Effect.timeout("60 seconds"))
      yield* Effect.sleep("300 millis")
      assert.strictEqual(admitted.length, 1)
      assert.strictEqual((yield* two.state(domain)).used.tokensPerMinute, 650)
    })
  )

  it.scopedLive("pauses all processes, those without a limit too", () =>
    Effect.forEach(
      [{}, { requestsPerSecond: 1_000 }, { concurrency: 50 }],
      Effect.fnUntraced(function* (limits: RateLimiter.Limits) {
        const domain = newDomain()
        const [one, two] = yield* Effect.all([makeLimiter(limits), makeLimiter(limits)])
        yield* one.withPermit(domain, small, () => Effect.void)
        const pausedAt = performance.now()
        yield* one.pause(domain, "3 seconds", "429 from openai")
        yield* Effect.sleep("50 millis")
        const { admitted } = yield* send(two, domain, 5)
        const state = yield* stateThat(two, domain, ({ waitingFor }) => waitingFor === "pause")
        assert.strictEqual(state.pauseReason, "429 from openai")
        assert.strictEqual(state.waitingFor, "pause")
        assert.strictEqual(admitted.length, 0)
        yield* until(() => admitted.length === 5).pipe(Effect.timeout("60 seconds"))
        assert.isAtLeast((admitted[0] ?? 0) - pausedAt, 2_999)
      }),
      { concurrency: "unbounded", discard: true }
    )
  )

  it.scopedLive("shares the limits that a server states, and counts what others used", () =>
    Effect.gen(function* () {
      const domain = newDomain()
      const limits = { requestsPerMinute: 1_000, burst: 1_000, tokenBurst: 1_000 }
      const [one, two] = yield* Effect.all([makeLimiter(limits), makeLimiter(limits)])
      yield* one.withPermit(domain, small, () => Effect.void)
      yield* one.observe(domain, {
        requestsPerMinute: { limit: 10, remaining: 5, resetAfter: "30 seconds" },
        tokensPerMinute: { limit: 500 }
      })
      yield* stateThat(one, domain, ({ used }) => used.requestsPerMinute === 5)
      const { admitted } = yield* send(two, domain, 10)
      yield* until(() => admitted.length === 5).pipe(Effect.timeout("60 seconds"))
      yield* Effect.sleep("100 millis")
      const state = yield* two.state(domain)
      assert.strictEqual(admitted.length, 5)
      assert.deepInclude(state.limits, { requestsPerMinute: 10, tokensPerMinute: 500 })
      assert.strictEqual(state.used.requestsPerMinute, 10)
      const refused = yield* Effect.flip(
        two.withPermit(domain, { inputTokens: 501, outputTokens: 0 }, () => Effect.void)
      )
      assert.strictEqual(refused._tag, "RequestTooLargeError")
    })
  )

  it.scopedLive("goes by new limits and keeps what was counted", () =>
    Effect.gen(function* () {
      const domain = newDomain()
      const [one, two] = yield* Effect.all([
        makeLimiter({ requestsPerMinute: 5, burst: 5 }),
        makeLimiter({ requestsPerMinute: 5, burst: 5 })
      ])
      const { admitted, fibers } = yield* send(one, domain, 20)
      yield* until(() => admitted.length === 5)
      yield* Effect.forEach([one, two], (limiter) =>
        limiter.setLimits(domain, { requestsPerMinute: 12, burst: 12 })
      )
      yield* until(() => admitted.length === 12).pipe(Effect.timeout("60 seconds"))
      const other = yield* send(two, domain, 1)
      yield* Effect.sleep("50 millis")
      assert.strictEqual(admitted.length + other.admitted.length, 12)
      yield* one.setLimits(domain, { tokensPerMinute: 1 })
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.strictEqual(exits.filter(Exit.isFailure).length, 8)
    })
  )

  it.scopedLive("keeps its pace when Redis forgets all, the script too", () =>
    Effect.gen(function* () {
      const domain = newDomain()
      const limits = { requestsPerSecond: 50, burst: 25 }
      const stall = yield* longestStall
      const limiters = yield* Effect.all([makeLimiter(limits), makeLimiter(limits)])
      const sent = yield* Effect.forEach(limiters, (limiter) => send(limiter, domain, 1_000))
      for (let i = 0; i < 3; i++) {
        yield* Effect.sleep("500 millis")
        yield* Effect.promise(async () => {
          await redis.script("FLUSH")
          await forget(`{${encodeURIComponent(domain)}}`)
        })
      }
      yield* Effect.sleep("500 millis")
      const admitted = () => sent.flatMap(({ admitted }) => admitted)
      yield* until(() => admitted().length >= 30).pipe(Effect.timeout("60 seconds"))
      const times = admitted()
      yield* Effect.forEach(sent, ({ fibers }) => Fiber.interruptAll(fibers))
      // A window across the loss may hold what the burst had put into it, and what a delay makes good.
      const late = Math.max(6, Math.ceil(stall() / 20))
      assert.isAtMost(busiest(times), 50 + 25 + late)
      assert.isAtMost(busiest(times.filter((time) => time > Math.min(...times) + 600)), 50 + late)
    })
  )

  it.scopedLive("fails with a typed error where Redis is away, or not Redis, or not named", () =>
    Effect.gen(function* () {
      const fails = (options: RateLimiter.RedisOptions) =>
        Effect.flip(
          Effect.scoped(Layer.build(RateLimiter.layerRedis({ prefix, timeout: "200 millis", ...options })))
        )
      const away = yield* fails({ url: "redis://user:hidden-password@127.0.0.1:1" })
      assert.strictEqual(away._tag, "RateLimiterStoreError")
      assert.notInclude(JSON.stringify(away), "hidden-password")
      const wrong = yield* fails({ url: Redacted.make("redis://user:hidden-password@127.0.0.1:6379") })
      assert.match(wrong.message, /^Redis at 127\.0\.0\.1:6379: it refuses the user or the password/)
      assert.notInclude(JSON.stringify(wrong), "hidden-password")
      assert.match((yield* fails({ url: "http://127.0.0.1:6379" })).message, /redis:\/\//)
      assert.match((yield* fails({})).message, /url or a client/)
    })
  )

  it.scopedLive("fails the requests that wait while Redis is away, and goes on when it is back", () =>
    withWarnings((warnings) =>
      Effect.gen(function* () {
        const domain = newDomain()
        const way = yield* makeWay
        const limiter = yield* makeLimiter({ requestsPerSecond: 20 }, { url: way.url, timeout: "2 seconds" })
        const { admitted, fibers } = yield* send(limiter, domain, 100)
        yield* until(() => admitted.length >= 5)
        yield* way.cut
        const exits = yield* Effect.forEach(fibers, Fiber.await)
        assert.strictEqual(exits.filter(Exit.isSuccess).length, admitted.length)
        const again = yield* Effect.flip(limiter.withPermit(domain, small, () => Effect.void))
        assert.strictEqual(again._tag, "NetworkError")
        assert.strictEqual(again.code, "rate_limiter_unavailable")
        assert.strictEqual(warnings.length, 1)
        // the server is gone, and so is the way: whichever came last
        assert.match(warnings[0] ?? "", new RegExp(`Requests fail .* Redis at ${way.url.slice(8)}: .+\\?`))
        assert.match(again.message, new RegExp(`cannot be known: Redis at ${way.url.slice(8)}: .+\\?`))
        yield* way.mend
        const back = Effect.retry(
          limiter.withPermit(domain, small, () => Effect.void),
          { times: 200 }
        )
        yield* Effect.timeout(back, "30 seconds")
        assert.strictEqual(warnings.length, 2)
        assert.strictEqual((yield* limiter.state(domain)).waiting, 0)
      })
    )
  )

  it.scopedLive("survives a short break without anyone noticing", () =>
    withWarnings((warnings) =>
      Effect.gen(function* () {
        const domain = newDomain()
        const way = yield* makeWay
        const limiter = yield* makeLimiter({ requestsPerSecond: 50 }, { url: way.url })
        const { admitted, fibers } = yield* send(limiter, domain, 40)
        yield* Effect.sleep("200 millis")
        yield* way.cut
        yield* Effect.sleep("300 millis")
        yield* way.mend
        yield* Effect.forEach(fibers, Fiber.join)
        assert.strictEqual(admitted.length, 40)
        assert.deepStrictEqual(warnings, [])
      })
    )
  )

  // what is sent while a machine stands still is not in Redis' books: then once more
  it.scopedLive(
    "goes on within its own part of the limits while Redis is away, if told to",
    () =>
      withWarnings((warnings) =>
        Effect.gen(function* () {
          const domain = newDomain()
          const way = yield* makeWay
          const limits = { requestsPerSecond: 100, requestsPerDay: 1_000, concurrency: 4 }
          const options = { url: way.url, timeout: "500 millis", whenAway: { processes: 2 } } as const
          const limiters = yield* Effect.all([makeLimiter(limits, options), makeLimiter(limits, options)])
          let running = 0
          let most = 0
          const use = () =>
            Effect.acquireUseRelease(
              Effect.sync(() => {
                running++
                most = Math.max(most, running)
              }),
              () => Effect.sleep("10 millis"),
              () => Effect.sync(() => running--)
            )
          const sent = yield* Effect.forEach(limiters, (limiter) => send(limiter, domain, 300, use))
          const times = () => sent.flatMap(({ admitted }) => admitted)
          const stall = yield* longestStall
          yield* Effect.sleep("500 millis")
          yield* way.cut
          yield* Effect.sleep("600 millis")
          const before = times().length
          yield* Effect.sleep("1 seconds")
          yield* until(() => times().length >= before + 10)
          // one for each of the two; a machine that stands still lets Redis seem away once more
          assert.isAtLeast(warnings.length, 2)
          assert.match(warnings[0] ?? "", /goes on alone within 1\/2/)
          yield* way.mend
          const alerted = warnings.length
          yield* until(() => warnings.length >= alerted + 2).pipe(Effect.timeout("60 seconds"))
          yield* Effect.sleep("500 millis")
          yield* stateThat(
            limiters[0] ?? assert.fail(),
            domain,
            ({ used }) => Math.abs((used.requestsPerDay ?? 0) - times().length) <= 2
          )
          assert.isAtMost(busiest(times()), 103 + (stall() < 20 ? 0 : Math.ceil(stall() / 10)))
          assert.isAtMost(most, 4)
          yield* Effect.forEach(sent, ({ fibers }) => Fiber.interruptAll(fibers))
        })
      ),
    { retry: 2 }
  )

  it.scopedLive("starts alone where Redis is away from the start, if told to", () =>
    withWarnings((warnings) =>
      Effect.gen(function* () {
        const limiter = yield* makeLimiter(
          { requestsPerMinute: 10, burst: 10, tokensPerMinute: 1_000, tokenBurst: 1_000 },
          { url: "redis://127.0.0.1:1", timeout: "100 millis", whenAway: { processes: 2 } }
        )
        const { admitted } = yield* send(limiter, "any", 10)
        yield* until(() => admitted.length === 5).pipe(Effect.timeout("60 seconds"))
        // larger than our part, smaller than the limit: it may yet go
        const refused = yield* Effect.either(
          limiter.withPermit("any", { inputTokens: 600, outputTokens: 0 }, () => Effect.void)
        )
        assert.isTrue(Either.isLeft(refused) && refused.left._tag === "NetworkError")
        assert.strictEqual(admitted.length, 5)
        assert.strictEqual(warnings.length, 1)
      })
    )
  )

  it.scopedLive("leaves keys that expire and share a hash slot, and few of them", () =>
    Effect.gen(function* () {
      const domain = newDomain()
      const limiter = yield* makeLimiter({ requestsPerSecond: 5_000, tokensPerMinute: 10_000_000 })
      const { fibers } = yield* send(limiter, domain, 3_000)
      yield* Effect.forEach(fibers, Fiber.join)
      const tag = `${prefix}{${encodeURIComponent(domain)}}:`
      const keys = yield* Effect.promise(() => redis.keys(`${prefix}*`))
      const ours = keys.filter((key) => key.startsWith(tag))
      assert.isAtLeast(ours.length, 2)
      for (const key of ours) {
        const life = yield* Effect.promise(() => redis.pttl(key))
        // it was empty by now, and went
        if (life === -2) continue
        assert.isAbove(life, 60_000)
        const size = yield* Effect.promise(() => redis.memory("USAGE", key))
        assert.isBelow(Number(size), 100_000)
      }
    })
  )

  it.scopedLive(
    "never admits more than a limit in any window of the server's clock, whoever asks for what",
    () => {
      const arbitraryCase = FastCheck.record({
        limits: FastCheck.record(
          {
            requestsPerSecond: FastCheck.oneof(
              FastCheck.integer({ min: 5, max: 400 }),
              FastCheck.constantFrom(1.5, 7.3)
            ),
            requestsPerMinute: FastCheck.integer({ min: 5, max: 600 }),
            tokensPerMinute: FastCheck.integer({ min: 1_000, max: 30_000 }),
            burst: FastCheck.integer({ min: 1, max: 400 }),
            tokenBurst: FastCheck.integer({ min: 1, max: 30_000 })
          },
          { requiredKeys: ["requestsPerSecond"] }
        ),
        asks: FastCheck.array(
          FastCheck.record({
            process: FastCheck.constantFrom("a", "b", "c"),
            gap: FastCheck.oneof(FastCheck.constant(0), FastCheck.nat(20)),
            costs: FastCheck.array(
              FastCheck.record({ inputTokens: FastCheck.nat(500), outputTokens: FastCheck.nat(500) }),
              { maxLength: 40 }
            ),
            refund: FastCheck.boolean()
          }),
          { minLength: 100, maxLength: 150 }
        )
      })
      return Effect.gen(function* () {
        const store = yield* RedisStore.make({ url, prefix, timeout: "20 seconds" })
        yield* store.check
        const runCase = Effect.fnUntraced(function* ({
          asks,
          limits
        }: (typeof arbitraryCase)["generate"] extends (...args: never) => { readonly value: infer A }
          ? A
          : never) {
          const domain = newDomain()
          const log: Array<{ at: number; cost: RateLimiter.Cost; gone: boolean }> = []
          const due: Record<string, number | undefined> = {}
          const toRefund: Record<string, Array<Exchange["corrections"][number]>> = {}
          for (const ask of asks) {
            yield* Effect.sleep(ask.gap)
            const reply = yield* store.exchange(domain, {
              process: ask.process,
              limits,
              costs: ask.costs,
              due: due[ask.process],
              held: 0,
              lease: 1_000,
              corrections: toRefund[ask.process] ?? [],
              told: {},
              pause: undefined,
              restart: "if-lost"
            })
            toRefund[ask.process] = []
            due[ask.process] = reply.due
            const admitted = ask.costs
              .slice(0, reply.admitted)
              .map((cost) => ({ at: reply.now, cost, gone: false }))
            log.push(...admitted)
            for (const kind of rateKinds) {
              const limit = limits[kind.name as keyof typeof limits]
              if (limit === undefined) continue
              const from = reply.now - (kind.period * Math.ceil(limit)) / limit
              let sum = 0
              for (const { at, cost, gone } of log) if (at > from && !gone) sum += kind.measure(cost)
              assert.isAtMost(sum, Math.ceil(limit), `${kind.name} of ${JSON.stringify(limits)}`)
            }
            const last = admitted.at(-1)
            if (ask.refund && last !== undefined) {
              const amounts = Object.fromEntries(
                rateKinds.map((kind) => [kind.name, -kind.measure(last.cost)] as const)
              )
              toRefund[ask.process]?.push({ at: last.at, amounts, always: false })
              last.gone = true
            }
          }
          return log.length
        })
        const cases = FastCheck.sample(arbitraryCase, 24)
        const counts = yield* Effect.forEach(cases, runCase, { concurrency: "unbounded" })
        assert.isAbove(Math.min(...counts), 0)
      })
    }
  )

  it.scopedLive("loses no request and no slot, whatever happens to limiters that share a domain", () => {
    const step = FastCheck.record({
      limiter: FastCheck.nat(2),
      gap: FastCheck.oneof(FastCheck.constant(0), FastCheck.nat(30)),
      cost: FastCheck.record({ inputTokens: FastCheck.nat(50), outputTokens: FastCheck.nat(50) }),
      hold: FastCheck.nat(30),
      patience: FastCheck.option(FastCheck.nat(100), { nil: undefined, freq: 3 }),
      share: FastCheck.double({ min: 0, max: 1, noNaN: true })
    })
    const limits = { requestsPerSecond: 60, tokensPerMinute: 100_000, concurrency: 6, burst: 5 }
    return Effect.gen(function* () {
      const stall = yield* longestStall
      const limiters = yield* Effect.forEach([0, 1, 2], () => makeLimiter(limits))
      const runScript = Effect.fnUntraced(function* (
        script: ReadonlyArray<typeof step extends FastCheck.Arbitrary<infer A> ? A : never>
      ) {
        const domain = newDomain()
        const times: Array<number> = []
        let running = 0
        let tokens = 0
        const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
        for (const { cost, gap, hold, limiter, patience, share } of script) {
          yield* Effect.sleep(gap)
          const actual = {
            inputTokens: cost.inputTokens,
            outputTokens: Math.floor(cost.outputTokens * share)
          }
          const attempt = (permit: RateLimiter.Permit) =>
            Effect.acquireUseRelease(
              Effect.sync(() => {
                times.push(performance.now())
                tokens += actual.inputTokens + actual.outputTokens
                assert.isAtMost(++running, 6)
              }),
              () => Effect.zipRight(Effect.sleep(hold), permit.settle(actual)),
              () => Effect.sync(() => running--)
            ).pipe(Effect.uninterruptible)
          const asked = (limiters[limiter] ?? assert.fail()).withPermit(domain, cost, attempt)
          fibers.push(
            yield* Effect.fork(patience === undefined ? asked : Effect.timeoutOption(asked, patience))
          )
        }
        const exits = yield* Effect.forEach(fibers, Fiber.await)
        assert.isTrue(exits.every(Exit.isSuccess))
        assert.isAtMost(busiest(times, 990), 60 + (stall() < 20 ? 0 : Math.ceil((stall() * 60) / 1_000)))
        yield* Effect.sleep("50 millis")
        const last = yield* send(limiters[0] ?? assert.fail(), domain, 6, () => Effect.never, {
          inputTokens: 0,
          outputTokens: 0
        })
        yield* until(() => last.admitted.length === 6).pipe(Effect.timeout("60 seconds"))
        yield* stateThat(limiters[0] ?? assert.fail(), domain, ({ used }) => used.tokensPerMinute === tokens)
      })
      const scripts = FastCheck.sample(FastCheck.array(step, { minLength: 60, maxLength: 90 }), 6)
      yield* Effect.forEach(scripts, runScript, { concurrency: "unbounded", discard: true })
    })
  })
})
