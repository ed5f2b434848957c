import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { batchStream, Cache, CacheStore, Chat, Checkpoint, complete, Mock } from "floodgate"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "recall-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A store whose values can be spoiled. */
const spoilable = () => {
  const values = new Map<string, string>()
  return {
    spoil: () => {
      const [key] = values.keys()
      if (key !== undefined) values.set(key, "{")
      return key
    },
    layer: Layer.succeed(CacheStore.CacheStore, {
      getMany: (_, keys) =>
        Effect.sync(
          () => new Map(keys.flatMap((key) => (values.has(key) ? [[key, values.get(key) ?? ""]] : [])))
        ),
      setMany: (_, entries) =>
        Effect.sync(() => {
          for (const { key, value } of entries) values.set(key, value)
        }),
      remove: () => Effect.void,
      totals: () => Effect.succeed({ entries: values.size, bytes: 0 })
    })
  }
}

const answerTo = (prompt: string) => `answer to ${prompt}`

describe("stored answers to many requests", () => {
  it.live.prop(
    "whatever of an input is stored: each row has its answer once, and only what is missing is asked, once",
    [
      FastCheck.array(FastCheck.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 120 }),
      FastCheck.uniqueArray(FastCheck.integer({ min: 0, max: 40 })),
      FastCheck.constantFrom(1, 7, 8, 20, 64),
      FastCheck.constantFrom(1, 5, 200),
      FastCheck.boolean()
    ],
    ([asked, stored, concurrency, chunk, isSpoiled]) =>
      Effect.gen(function* () {
        const output = join(yield* folder, "out.jsonl")
        const calls: Array<string> = []
        const store = spoilable()
        const context = yield* Layer.build(Layer.provide(Cache.layer(), store.layer))
        const cache = Context.get(context, Cache.Cache)
        const mock = Mock.layer((request) =>
          Effect.sync(() => {
            const prompt = String(request._tag === "Chat" ? request.messages[0]?.content : "")
            calls.push(prompt)
            return answerTo(prompt)
          })
        )
        const services = Layer.merge(mock, Layer.succeedContext(context))
        yield* Effect.forEach(stored, (n) => complete(Chat.prompt(`q${n}`))).pipe(Effect.provide(services))
        const spoiled = isSpoiled ? store.spoil() : undefined
        calls.length = 0
        const before = yield* cache.stats

        const run = Stream.fromIterable(asked).pipe(
          Stream.rechunk(chunk),
          Stream.map((n) => Chat.prompt(`q${n}`, { id: `row ${n}` })),
          (source) => batchStream(source, { concurrency, checkpoint: Checkpoint.layerFile(output) }),
          Stream.runCollect,
          Effect.map((settled) => Chunk.toReadonlyArray(settled).toSorted((a, b) => a.index - b.index)),
          Effect.provide(services)
        )
        const first = yield* run
        assert.deepStrictEqual(
          first.map(({ index, outcome, request }) => [index, Either.getOrThrow(outcome).text, request?.id]),
          asked.map((n, index) => [index, answerTo(`q${n}`), `row ${n}`])
        )
        const isAsked = (key: string | undefined, n: number) => !stored.includes(n) || key === spoiled
        const missing = asked.filter((n, index) => isAsked(first[index]?.meta.key, n))
        assert.deepStrictEqual(calls.toSorted(), Array.from(new Set(missing), (n) => `q${n}`).toSorted())
        const { hits, shared, stored: kept } = yield* cache.stats
        assert.strictEqual(hits + shared + kept - (before.hits + before.shared + before.stored), asked.length)
        const cached = first.filter(({ meta }) => meta.cached)
        assert.strictEqual(cached.length, asked.length - calls.length)
        assert.isTrue(cached.every(({ meta }) => meta.attempts === 0))

        const lines = readFileSync(output, "utf8")
        assert.deepStrictEqual(
          lines
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(line).index),
          asked.map((_, index) => index)
        )
        calls.length = 0
        const second = yield* run
        assert.isTrue(second.every(({ meta }) => meta.resumed === true))
        assert.deepStrictEqual([calls, readFileSync(output, "utf8")], [[], lines])
      }).pipe(Effect.scoped, Effect.provide(Logger.remove(Logger.defaultLogger))),
    { fastCheck: { numRuns: 15 } }
  )
})
