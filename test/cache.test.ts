import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import { batch, Cache, CacheStore, Chat, complete, LlmError, Mock, type Response } from "floodgate"
import * as CacheLease from "../src/internal/cacheLease.js"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "floodgate-cache-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

const prompts = (n: number) => Array.from({ length: n }, (_, i) => Chat.prompt(`prompt ${i}`))

/** A mock that counts its calls. */
const counting = (answer: (call: number) => Mock.Answer) => {
  const counter = { calls: 0 }
  return { counter, layer: Mock.layer(() => Effect.suspend(() => toEffect(answer(++counter.calls)))) }
}
const toEffect = (answer: Mock.Answer) => (Effect.isEffect(answer) ? answer : Effect.succeed(answer))

describe.each([
  ["layerMemory", () => Effect.succeed(Cache.layerMemory())],
  [
    "layerSqlite",
    () => Effect.map(folder, (path) => Cache.layerSqlite({ filename: join(path, "deep", "cache.db") }))
  ]
] as const)("Cache.%s", (_, makeLayer) => {
  it.scopedLive("gives a stored answer again without a call, as it was", () =>
    Effect.gen(function* () {
      const cache = yield* makeLayer()
      const { counter, layer } = counting((call) =>
        Mock.response(`answer ${call}`, {
          usage: { inputTokens: 7, outputTokens: 9, cacheReadTokens: 3 },
          toolCalls: [{ id: "c", name: "f", arguments: "{}" }],
          finishReason: "tool_calls",
          raw: { the: ["body", null, 1.5] }
        })
      )
      yield* Effect.gen(function* () {
        const first = yield* complete(Chat.prompt("a"))
        const second = yield* complete(Chat.prompt("a"))
        expect(counter.calls).toBe(1)
        expect({ ...second, meta: undefined }).toEqual({ ...first, meta: undefined })
        expect(second.meta).toMatchObject({ attempts: 0, cached: true })
        expect(first.meta).toMatchObject({ attempts: 1, cached: false })
      }).pipe(Effect.provide(Layer.merge(layer, cache)))
    })
  )

  it.scopedLive("keeps neither errors nor answers that are cut short, refused or filtered", () =>
    Effect.gen(function* () {
      const cache = yield* makeLayer()
      const answers: ReadonlyArray<Mock.Answer> = [
        Effect.fail(new LlmError.InvalidRequestError({ provider: "mock", message: "no" })),
        Mock.response("half", { finishReason: "length" }),
        Mock.response("", { finishReason: "content_filter" }),
        Mock.response("", { refusal: "I'd rather not" }),
        Mock.response("?", { finishReason: "other" }),
        "whole"
      ]
      const { counter, layer } = counting((call) => answers[call - 1] ?? "too many calls")
      const seen = yield* Effect.forEach(Array.from({ length: answers.length + 2 }), () =>
        Effect.either(complete(Chat.prompt("a")))
      ).pipe(Effect.provide(Layer.merge(layer, cache)))
      expect(counter.calls).toBe(answers.length)
      expect(seen.slice(-3).map(Either.map(({ text }) => text))).toEqual(
        ["whole", "whole", "whole"].map((text) => Either.right(text))
      )
    })
  )

  it.scopedLive("makes one call for 50 who ask the same at once, also if the first of them leaves", () =>
    Effect.gen(function* () {
      const cache = yield* makeLayer()
      const { counter, layer } = counting((call) =>
        Effect.delay(Effect.succeed(`answer ${call}`), "50 millis")
      )
      yield* Effect.gen(function* () {
        const first = yield* Effect.fork(complete(Chat.prompt("a")))
        yield* Effect.sleep("20 millis")
        const others = yield* Effect.forkAll(Array.from({ length: 49 }, () => complete(Chat.prompt("a"))))
        yield* Effect.sleep("5 millis")
        yield* Fiber.interrupt(first)
        const answers = yield* Fiber.join(others)
        expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(["answer 1"]))
        expect(counter.calls).toBe(1)
      }).pipe(Effect.provide(Layer.merge(layer, cache)))
    })
  )

  it.scopedLive("stops the call when the last asker leaves", () =>
    Effect.gen(function* () {
      const cache = yield* makeLayer()
      let stopped = 0
      const layer = Mock.layer(() => Effect.onInterrupt(Effect.never, () => Effect.sync(() => stopped++)))
      yield* Effect.gen(function* () {
        const askers = yield* Effect.forkAll(Array.from({ length: 5 }, () => complete(Chat.prompt("a"))))
        yield* Effect.sleep("30 millis")
        expect(stopped).toBe(0)
        yield* Fiber.interrupt(askers)
        expect(stopped).toBe(1)
      }).pipe(Effect.provide(Layer.merge(layer, cache)))
    })
  )
})

describe("Cache.layerSqlite", () => {
  it.scopedLive("keeps answers for the next process, and several may use one file", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "cache.db")
      const { counter, layer } = counting(() => "paid")
      const run = batch(prompts(300)).pipe(
        Effect.provide(Layer.merge(layer, Cache.layerSqlite({ filename })))
      )
      yield* run
      expect(counter.calls).toBe(300)
      const [one, two] = yield* Effect.all([run, run], { concurrency: 2 })
      expect(counter.calls).toBe(300)
      expect([...one, ...two].every(Either.isRight)).toBe(true)
    })
  )

  it.scopedLive("refuses a file that is not its own, or of another version, and leaves it as it is", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const open = (filename: string) =>
        Effect.flip(Layer.launch(Cache.layerSqlite({ filename }))).pipe(Effect.scoped)

      const foreign = join(path, "foreign.db")
      const database = new Database(foreign)
      database.exec("CREATE TABLE accounts (id)")
      database.close()
      expect((yield* open(foreign)).message).toContain("not a cache of floodgate")

      const newer = join(path, "newer.db")
      const other = new Database(newer)
      other.pragma("user_version = 99")
      other.close()
      expect((yield* open(newer)).message).toContain("format 99")

      const text = join(path, "notes.txt")
      yield* Effect.promise(() =>
        import("node:fs/promises").then((fs) => fs.writeFile(text, "my notes ".repeat(100)))
      )
      expect((yield* open(text)).message).toContain(text)
      expect(yield* Effect.promise(() => readFile(text, "utf8"))).toBe("my notes ".repeat(100))
      expect((yield* open(join(text, "cache.db")))._tag).toBe("CacheStoreError")
    })
  )
})

describe("Cache", () => {
  it.effect("takes a broken store for a miss, and warns once", () =>
    Effect.gen(function* () {
      const warnings: Array<unknown> = []
      const broken = Layer.succeed(CacheStore.CacheStore, {
        getMany: () => Effect.fail(new CacheStore.CacheStoreError({ message: "disk on fire" })),
        // a store of a user may throw where it should fail
        setMany: () => {
          throw new Error("really on fire")
        },
        remove: () => Effect.void,
        totals: () => Effect.never
      })
      const outcomes = yield* batch(prompts(20)).pipe(
        Effect.provide(Mock.layer(() => "ok").pipe(Layer.merge(Layer.provide(Cache.layer(), broken)))),
        Effect.provide(
          Logger.replace(
            Logger.defaultLogger,
            Logger.make(({ message }) => warnings.push(message))
          )
        )
      )
      expect(outcomes.every(Either.isRight)).toBe(true)
      expect(warnings).toHaveLength(1)
      expect(String(warnings[0])).toContain("disk on fire")
    })
  )

  it.scoped("a store that throws as leases are renewed is told of, and they are renewed again", () =>
    Effect.gen(function* () {
      let renewals = 0
      const leases: CacheStore.Leases = {
        take: (_, keys) =>
          Effect.suspend(() => {
            if (++renewals === 2) throw new Error("a bug")
            return Effect.succeed(new Set(keys))
          }),
        release: () => Effect.void
      }
      const warnings: Array<unknown> = []
      const logger = Logger.make(({ message }) => void warnings.push(message))
      yield* Effect.gen(function* () {
        const { take } = yield* CacheLease.make(leases, 3_000)
        yield* take("", ["key"])
        yield* TestClock.adjust("4 seconds")
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      expect(renewals).toBe(5)
      expect(warnings).toEqual([["Cache: the store's leases have a defect"]])
    })
  )

  it.effect("goes on without leases where they cannot be had", () =>
    Effect.gen(function* () {
      const gone = Effect.fail(new CacheStore.CacheStoreError({ message: "no leases" }))
      const stored = new Map<string, string>()
      const store: CacheStore.Service = {
        getMany: (_, keys) =>
          Effect.sync(
            () =>
              new Map(
                keys
                  .flatMap((key) => [[key, stored.get(key) ?? ""]] as const)
                  .filter(([, value]) => value !== "")
              )
          ),
        setMany: (_, entries) =>
          Effect.sync(() => {
            for (const { key, value } of entries) stored.set(key, value)
          }),
        remove: () => Effect.void,
        totals: () => Effect.never,
        leases: {
          take: () => gone,
          release: () => {
            throw new Error("really none")
          }
        }
      }
      const { counter, layer } = counting(() => "ok")
      const run = batch(prompts(20)).pipe(
        Effect.provide(
          Layer.merge(layer, Layer.provide(Cache.layer(), Layer.succeed(CacheStore.CacheStore, store)))
        ),
        Effect.provide(Logger.remove(Logger.defaultLogger))
      )
      yield* run
      expect((yield* run).every(Either.isRight)).toBe(true)
      expect(counter.calls).toBe(20)
    })
  )

  it.effect("takes what it cannot read for a miss", () =>
    Effect.gen(function* () {
      const values = ["{", "null", `{"version":2,"response":{}}`, `{"version":1,"response":{"text":5}}`]
      for (const value of values) {
        const store = Layer.succeed(CacheStore.CacheStore, {
          getMany: (_, keys) => Effect.succeed(new Map(keys.map((key) => [key, value]))),
          setMany: () => Effect.void,
          remove: () => Effect.void,
          totals: () => Effect.never
        })
        const response: Response.Response = yield* complete(Chat.prompt("a")).pipe(
          Effect.provide(
            Layer.merge(
              Mock.layer(() => "fresh"),
              Layer.provide(Cache.layer(), store)
            )
          ),
          Effect.provide(Logger.remove(Logger.defaultLogger))
        )
        expect(response.text).toBe("fresh")
      }
    })
  )

  it.effect("in memory drops what was not asked for the longest", () =>
    Effect.gen(function* () {
      const { counter, layer } = counting((call) => `answer ${call}`)
      const ask = (prompt: string) => complete(Chat.prompt(prompt))
      yield* Effect.gen(function* () {
        yield* Effect.forEach(["a", "b", "c"], ask)
        yield* ask("a")
        yield* ask("d")
        expect(counter.calls).toBe(4)
        yield* Effect.forEach(["a", "c", "d"], ask)
        expect(counter.calls).toBe(4)
        yield* ask("b")
        expect(counter.calls).toBe(5)
      }).pipe(Effect.provide(Layer.merge(layer, Cache.layerMemory({ capacity: 3 }))))
    })
  )

  it.effect("layerNone makes every request a call of its own", () =>
    Effect.gen(function* () {
      const { counter, layer } = counting(() => Effect.delay(Effect.succeed("x"), "1 second"))
      const fiber = yield* Effect.fork(
        batch([Chat.prompt("a"), Chat.prompt("a")]).pipe(Effect.provide(layer))
      )
      yield* TestClock.adjust("2 seconds")
      const outcomes = yield* Fiber.join(fiber)
      assert(outcomes.every(Either.isRight))
      expect(counter.calls).toBe(2)
    })
  )
})
