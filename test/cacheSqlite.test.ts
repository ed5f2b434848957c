import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { batch, Cache, type CacheStore, Chat, complete, Mock } from "floodgate"
import { CacheStore as Store } from "../src/CacheStore.js"
import * as SqliteStore from "../src/internal/cacheStoreSqlite.js"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "floodgate-cache-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

const filenameIn = Effect.map(folder, (path) => join(path, "cache.db"))

const counting = () => {
  const counter = { calls: 0 }
  return { counter, layer: Mock.layer(() => Effect.sync(() => `answer ${++counter.calls}`)) }
}

const open = (options: SqliteStore.Options) =>
  Effect.map(Layer.build(SqliteStore.layer(options)), (context) => Context.get(context, Store))

const entry = (key: string, value = "v", expiresAt?: number): CacheStore.Entry => ({ key, value, expiresAt })

/**
 * A file of version 1, made by floodgate 0.1 with the answers to the prompts "a", "b" and "c" of a mock, compressed.
 */
const versionOne = `
  H4sIAAAAAAACA+3Zy27TQBQG4LHTcqkUDKsuokqjWVHJlIYEaL0iBBNS51bXbUgRiib2JDFxPIk9dpNUXbTvwAP0cWDH27BBQg6h
  rRBCisSii/NtbI+PR/PL8uKMD/YrrmC4y4MhFTiHHiJZRq8wRgjJCKEUuiYhhFb+uJbQv8lo6/PXtPIdycoGUjaULwgAAAAAAAAA
  ALhtzjelu+uZjHSxKWjHY9QPT1gQLg5y0dQLlo6twuuKjheD+PEavjJgU2zp7y3cMMvVgtnCht7CtbqFa4eVinqjMKZexH6V/u22
  HTAqmNOmApdrll7Szauyq6rNJ/Kd9UJGQq7vsEk49lzB2jQSfH7dXiyvnV2cJH39vSRiOmny0zmkPHpA0jl45QAAAAAAAABwsyv0
  Uqv2xXTVOHZok1U7B8GeW9utTg89x5nulMrVxt5RNDFeFvOevd+zt6ODk1MSsyB0uU+0rEoCFo64HzKinRLBJoJoZERdJ/kJq2Gb
  qKTr+m7YNxkNkydIKPiIqERw7hWp54VE+/BRJVFIe/MpXH8UCYsPmB/Op+eRuDlwppIhd5hHNDLk9oCoZBTw2HVYcD3SFrRHNFLs
  U2H+XtzZmXT5Y2u0cu7J87jv7OnMn+T7xtEbcTLg5RefSlGD7/B8q8+dpjk04jofvn1WEfX8EnE7ty+uNI/rtqKiXZwdDauzST9r
  s0mpGzfd2Ii727vZRnNm0GknV98e9563lohLb1vctaT/V8ZIuVTGyjf4uAEAAAAAAAAAgP/iacqWltg5SiX1S2y9yFsp+/4Sexc/
  AVZbXM4AMAAA
`

describe("a cache file of version 1", () => {
  it.scopedLive("is brought up to date in place, also when two open it at once", () =>
    Effect.gen(function* () {
      const filename = yield* filenameIn
      yield* Effect.promise(() => writeFile(filename, gunzipSync(Buffer.from(versionOne, "base64"))))
      const { counter, layer } = counting()
      const ask = (prompts: ReadonlyArray<string>) =>
        Effect.map(
          batch(prompts.map((prompt) => Chat.prompt(prompt))).pipe(
            Effect.provide(Layer.merge(layer, Cache.layerSqlite({ filename })))
          ),
          (outcomes) => Either.getOrThrow(Either.all(outcomes)).map(({ text }) => text)
        )
      const paid = ["a", "b", "c"]
      const both = yield* Effect.all([ask(paid), ask(paid)], { concurrency: 2 })
      assert.deepStrictEqual(
        both,
        [paid, paid].map((prompts) => prompts.map((p) => `paid for: ${p}`))
      )
      assert.deepStrictEqual(yield* ask([...paid, "d"]), [...both[0], "answer 1"])
      assert.deepStrictEqual(yield* ask(["d"]), ["answer 1"])
      assert.strictEqual(counter.calls, 1)

      const store = yield* open({ filename })
      assert.strictEqual((yield* store.totals("")).entries, 4)
      const database = new Database(filename, { readonly: true })
      assert.strictEqual(database.pragma("user_version", { simple: true }), 2)
      database.close()
    })
  )
})

describe("Cache.layerSqlite", () => {
  it.scoped("expires answers on the clock, and sweeps them away", () =>
    Effect.gen(function* () {
      const filename = yield* filenameIn
      const { counter, layer } = counting()
      const ask = (prompt: string) => complete(Chat.prompt(prompt))
      yield* Effect.gen(function* () {
        const cache = yield* Cache.Cache
        yield* ask("a")
        yield* TestClock.adjust("59 seconds")
        yield* ask("a")
        assert.strictEqual(counter.calls, 1)
        yield* TestClock.adjust("2 seconds")
        yield* ask("b")
        assert.strictEqual((yield* cache.totals()).entries, 1)
        yield* ask("a")
        assert.strictEqual(counter.calls, 3)
      }).pipe(
        Effect.provide(
          Layer.merge(layer, Cache.layerSqlite({ filename, timeToLive: "1 minute", lease: false }))
        )
      )
    })
  )

  it.scopedLive("takes leases under any namespace, also half of a surrogate pair and one with slashes", () =>
    Effect.gen(function* () {
      const filename = yield* filenameIn
      for (const namespace of ["n\ud800", "a/b/"]) {
        const { counter, layer } = counting()
        const ask = Effect.provide(
          Effect.zipRight(complete(Chat.prompt("a")), complete(Chat.prompt("a"))),
          Layer.merge(layer, Cache.layerSqlite({ filename, namespace }))
        )
        assert.strictEqual((yield* Effect.timeout(ask, "20 seconds")).text, "answer 1")
        assert.strictEqual(counter.calls, 1)
      }
    })
  )

  it.scopedLive("keeps within its bound, dropping what was stored first", () =>
    Effect.gen(function* () {
      const filename = yield* filenameIn
      const few = yield* open({ filename, maxEntries: 3 })
      yield* few.setMany(
        "",
        ["a", "b", "c"].map((key) => entry(key))
      )
      // stored anew: it is the youngest now
      yield* few.setMany("", [entry("a", "w")])
      yield* few.setMany("other", [entry("d")])
      assert.deepStrictEqual(
        [...(yield* few.getMany("", ["a", "b", "c", "d"]))],
        [
          ["a", "w"],
          ["c", "v"]
        ]
      )
      assert.deepStrictEqual([...(yield* few.getMany("other", ["a", "d"]))], [["d", "v"]])

      // what has expired goes before what was stored first
      yield* few.setMany("", [entry("e", "v", Date.now() - 1)])
      yield* few.setMany("", [entry("f")])
      assert.strictEqual((yield* few.getMany("", ["c", "f"])).size, 1)

      const short = yield* open({ filename, maxBytes: 1_000 })
      yield* short.setMany(
        "",
        Array.from({ length: 50 }, (_, i) => entry(`k${i}`, "x".repeat(100)))
      )
      assert.deepStrictEqual(yield* short.totals(""), { entries: 10, bytes: 1_000 })
      assert.strictEqual((yield* short.getMany("", ["k39", "k40", "k49"])).size, 2)
      assert.strictEqual((yield* short.totals("other")).entries, 0)
    })
  )

  it.scopedLive("evicts many more than one statement deletes", () =>
    Effect.gen(function* () {
      const filename = yield* filenameIn
      const all = yield* open({ filename })
      for (let i = 0; i < 10; i++) {
        yield* all.setMany(
          "",
          Array.from({ length: 200 }, (_, j) => entry(`k${i * 200 + j}`))
        )
      }
      const few = yield* open({ filename, maxEntries: 100 })
      yield* few.setMany("", [entry("last")])
      assert.deepStrictEqual(yield* few.totals(""), { entries: 100, bytes: 100 })
      assert.strictEqual((yield* few.getMany("", ["last", "k1999", "k1900"])).size, 2)
    })
  )

  it.scopedLive("keeps the request beside the answer where it is told to", () =>
    Effect.gen(function* () {
      const filename = yield* filenameIn
      const request = Chat.prompt("a", { temperature: 0, metadata: { mine: 1 }, id: "row" })
      yield* complete(request).pipe(
        Effect.provide(Layer.merge(counting().layer, Cache.layerSqlite({ filename, storeRequest: true })))
      )
      const database = new Database(filename, { readonly: true })
      const row = database
        .prepare("SELECT json_extract(value, '$.request') AS request FROM answers")
        .get() as { readonly request: string }
      database.close()
      assert.deepStrictEqual(JSON.parse(row.request), {
        _tag: "Chat",
        messages: [{ role: "user", content: "a" }],
        temperature: 0,
        model: "mock"
      })
      const again = yield* complete(request).pipe(
        Effect.provide(Layer.merge(counting().layer, Cache.layerSqlite({ filename })))
      )
      assert.isTrue(again.meta.cached)
    })
  )

  const Step = FastCheck.oneof(
    FastCheck.record({
      do: FastCheck.constant("set" as const),
      namespace: FastCheck.constantFrom("", "n", "n/m"),
      keys: FastCheck.uniqueArray(FastCheck.constantFrom("a", "b", "c", "d"))
    }),
    FastCheck.record({
      do: FastCheck.constant("remove" as const),
      namespace: FastCheck.constantFrom("", "n", "n/m"),
      keys: FastCheck.uniqueArray(FastCheck.constantFrom("a", "b", "c", "d"))
    }),
    FastCheck.record({ do: FastCheck.constant("clear" as const), namespace: FastCheck.constantFrom("", "n") })
  )

  it.live("holds what a map of maps holds, and counts it", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(FastCheck.array(Step, { maxLength: 20 }), (steps) =>
          Effect.gen(function* () {
            const store = yield* open({ filename: ":memory:" })
            const model = new Map<string, Map<string, string>>()
            for (const [i, step] of steps.entries()) {
              const held = model.get(step.namespace) ?? new Map<string, string>()
              model.set(step.namespace, held)
              if (step.do === "clear") {
                yield* store.remove(step.namespace, "all")
                held.clear()
              } else if (step.do === "remove") {
                yield* store.remove(step.namespace, step.keys)
                for (const key of step.keys) held.delete(key)
              } else if (step.keys.length > 0) {
                const value = "é".repeat(i)
                yield* store.setMany(
                  step.namespace,
                  step.keys.map((key) => entry(key, value))
                )
                for (const key of step.keys) held.set(key, value)
              }
            }
            for (const namespace of ["", "n", "n/m"]) {
              const held = model.get(namespace) ?? new Map<string, string>()
              assert.deepStrictEqual(yield* store.getMany(namespace, ["a", "b", "c", "d"]), held)
              assert.deepStrictEqual(yield* store.totals(namespace), {
                entries: held.size,
                bytes: [...held.values()].reduce((sum, value) => sum + 2 * value.length, 0)
              })
            }
          }).pipe(Effect.scoped, Effect.runPromise)
        ),
        { numRuns: 40 }
      )
    )
  )
})
