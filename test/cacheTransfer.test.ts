/** Stores looked through, and answers carried from one to another as lines. */
import { mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Chat, CacheStore as Store } from "floodgate"
import * as CacheEntry from "../src/internal/cacheEntry.js"
import * as CacheForeign from "../src/internal/cacheForeign.js"
import * as CacheStores from "../src/internal/cacheStores.js"
import * as CacheTransfer from "../src/internal/cacheTransfer.js"
import { isJsonObject, type JsonObject } from "../src/internal/jsonObject.js"
import { fromFields } from "../src/Response.js"

const redisUrl = "redis://127.0.0.1:6379"
const redisIsThere = await new Promise<boolean>((resolve) => {
  const socket = connect(6379, "127.0.0.1")
  socket.once("connect", () => resolve(socket.destroy() !== undefined))
  socket.once("error", () => resolve(false))
})
if (!redisIsThere) console.warn("No Redis at 127.0.0.1:6379: its listing is NOT tested")

const open = (layer: Layer.Layer<Store.CacheStore, Store.CacheStoreError>) =>
  Effect.map(Layer.build(layer), (context) => {
    const store = Context.get(context, Store.CacheStore)
    assert(store.contents !== undefined)
    return { store, contents: store.contents }
  })

const entries = (names: ReadonlyArray<string>, expiresAt?: number): ReadonlyArray<Store.Entry> =>
  names.map((key) => ({ key, value: `value of ${key}`, expiresAt }))

const collect = (contents: Store.Contents, namespace?: string) =>
  Effect.map(Stream.runCollect(contents.list(namespace)), Chunk.toReadonlyArray)

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "floodgate-transfer-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const stores = {
  memory: Effect.succeed(CacheStores.memory(10_000)),
  SQLite: Effect.map(folder, (path) => CacheStores.sqlite({ filename: join(path, "cache.db") }))
}

for (const [name, layer] of Object.entries(stores)) {
  describe(`a store in ${name}`, () => {
    it.scoped("lists what has not expired, oldest first, of one namespace or of all", () =>
      Effect.gen(function* () {
        const { contents, store } = yield* open(yield* layer)
        yield* TestClock.setTime(1_000)
        yield* store.setMany("", entries(["a", "b"]))
        yield* TestClock.setTime(2_000)
        yield* store.setMany("team/1", entries(["a", "short"], 3_000))
        yield* store.setMany("", entries(["a"]))
        yield* store.setMany("old", [{ key: "x", value: "v", expiresAt: undefined, storedAt: 5 }])

        const all = yield* collect(contents)
        assert.deepStrictEqual(all.map(({ key, namespace, storedAt }) => [namespace, key, storedAt]).sort(), [
          ["", "a", 2_000],
          ["", "b", 1_000],
          ["old", "x", 5],
          ["team/1", "a", 2_000],
          ["team/1", "short", 2_000]
        ])
        assert.deepStrictEqual(yield* collect(contents, ""), [
          { namespace: "", key: "b", value: "value of b", storedAt: 1_000, expiresAt: undefined },
          { namespace: "", key: "a", value: "value of a", storedAt: 2_000, expiresAt: undefined }
        ])
        assert.deepStrictEqual(yield* collect(contents, "none"), [])

        yield* TestClock.setTime(3_000)
        assert.deepStrictEqual(yield* collect(contents, "team/1"), [])
        assert.deepStrictEqual(yield* contents.summaries(), [
          { namespace: "", entries: 2, expired: 0, bytes: 20, oldest: 1_000, newest: 2_000 },
          { namespace: "old", entries: 1, expired: 0, bytes: 1, oldest: 5, newest: 5 },
          { namespace: "team/1", entries: 0, expired: 2, bytes: 24, oldest: 2_000, newest: 2_000 }
        ])
        yield* contents.removeExpired("")
        assert.strictEqual((yield* contents.summaries("team/1"))[0]?.expired, 2)
        yield* contents.removeExpired()
        assert.deepStrictEqual(
          (yield* contents.summaries()).map(({ namespace }) => namespace),
          ["", "old"]
        )
      })
    )

    it.scoped("lists more than a page, each once", () =>
      Effect.gen(function* () {
        const { contents, store } = yield* open(yield* layer)
        const names = Array.from({ length: 1_001 }, (_, n) => `k${n}`)
        yield* store.setMany("n", entries(names))
        yield* store.setMany("", entries(["other"]))
        const listed = yield* collect(contents, "n")
        assert.deepStrictEqual(
          listed.map(({ key }) => key),
          names
        )
        // a page is all that is read for the first of them
        const [first] = Chunk.toReadonlyArray(yield* Stream.runCollect(Stream.take(contents.list("n"), 1)))
        assert.strictEqual(first?.key, "k0")
      })
    )
  })
}

describe("a store in memory", () => {
  it.scoped("takes no listing for use: what was asked for the longest ago still makes room", () =>
    Effect.gen(function* () {
      const { contents, store } = yield* open(CacheStores.memory(2))
      yield* store.setMany("", entries(["a", "b"]))
      yield* store.getMany("", ["a"])
      yield* collect(contents)
      yield* contents.summaries()
      yield* store.setMany("", entries(["c"]))
      assert.deepStrictEqual((yield* collect(contents)).map(({ key }) => key).sort(), ["a", "c"])
    })
  )
})

describe.runIf(redisIsThere)("a store in Redis", () => {
  it.scopedLive("lists one namespace or all, with what is left of a life time", () =>
    Effect.gen(function* () {
      // a prefix with the signs of a pattern
      const prefix = `floodgate-test-[${process.pid}]*-${Date.now()}:`
      const { contents, store } = yield* open(CacheStores.redis({ url: redisUrl, prefix }))
      const names = Array.from({ length: 250 }, (_, n) => `k${n}`)
      const soon = Date.now() + 60_000
      yield* store.setMany("a b/*", entries(names))
      yield* store.setMany("", entries(["x"], soon))
      yield* Effect.gen(function* () {
        const all = yield* collect(contents)
        assert.strictEqual(new Set(all.map(({ key, namespace }) => `${namespace} ${key}`)).size, 251)
        const [x] = yield* collect(contents, "")
        assert.strictEqual(x?.value, "value of x")
        assert.isTrue(Math.abs((x?.expiresAt ?? 0) - soon) < 10_000)
        assert.deepStrictEqual(
          new Set((yield* collect(contents, "a b/*")).map(({ key }) => key)),
          new Set(names)
        )
        const summaries = yield* contents.summaries()
        assert.deepStrictEqual(
          summaries.map(({ entries, namespace, oldest }) => [namespace, entries, oldest]),
          [
            ["", 1, undefined],
            ["a b/*", 250, undefined]
          ]
        )
      }).pipe(
        Effect.ensuring(Effect.ignore(Effect.forEach(["", "a b/*"], (name) => store.remove(name, "all"))))
      )
    })
  )
})

const parse = (line: string): JsonObject => {
  const value: unknown = JSON.parse(line)
  assert(isJsonObject(value))
  return value
}

const key = "A".repeat(43)
const response = fromFields({
  text: "42",
  finishReason: "stop",
  toolCalls: [],
  usage: { inputTokens: 1, outputTokens: 1 },
  model: "m",
  provider: "openai",
  raw: { choices: [1] },
  meta: { attempts: 1, cached: false, latencyMs: 5 }
})

describe("a line of an export", () => {
  it("is the entry again, whatever is in it", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.string(),
        FastCheck.fullUnicodeString(),
        FastCheck.option(FastCheck.integer({ min: 0, max: 8.64e15 }), { nil: undefined }),
        FastCheck.boolean(),
        (namespace, text, time, withRequest) => {
          const request = withRequest ? Chat.prompt(text) : undefined
          const entry: Store.Listed = {
            namespace,
            key,
            value: CacheEntry.encode(fromFields({ ...response, text }), request),
            storedAt: time,
            expiresAt: time
          }
          const line = Either.getOrThrow(CacheTransfer.encode(entry))
          assert.isFalse(line.includes("\n"))
          const back = Either.getOrThrow(CacheTransfer.decode(parse(line)))
          assert.deepStrictEqual(
            { ...back, value: parse(back.value) },
            { ...entry, value: parse(entry.value) }
          )
          assert.strictEqual(Either.getOrThrow(CacheTransfer.encode(back)), line)
        }
      )
    )
  })

  it("is refused where it is not what it says", () => {
    const line = parse(
      Either.getOrThrow(
        CacheTransfer.encode({
          namespace: "",
          key,
          value: CacheEntry.encode(response, undefined),
          storedAt: 0,
          expiresAt: undefined
        })
      )
    )
    const refusal = (changes: JsonObject) =>
      Either.match(CacheTransfer.decode({ ...line, ...changes }), { onLeft: String, onRight: () => "" })
    assert.strictEqual(refusal({}), "")
    assert.match(refusal({ keyVersion: 2 }), /version 2.*version 1/)
    assert.match(refusal({ keyVersion: undefined }), /version undefined/)
    assert.match(refusal({ key: "abc" }), /"key"/)
    assert.match(refusal({ expiresAt: "soon" }), /"expiresAt"/)
    assert.match(refusal({ namespace: 5 }), /"namespace"/)
    assert.match(refusal({ response: { text: 5 } }), /"response"/)
  })
})

describe("lines of other programs", () => {
  const messages = [{ role: "user", content: "1 + 1?" }]
  const completion = (finishReason: string | null, message: JsonObject = { content: "2" }) => ({
    id: "c",
    model: "gpt",
    choices: [
      { index: 0, finish_reason: finishReason, logprobs: null, message: { role: "assistant", ...message } }
    ],
    usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4, prompt_tokens_details: null }
  })
  const missing: CacheForeign.Missing = {
    provider: "openai",
    model: undefined,
    parameters: { temperature: 0, max_tokens: 9 },
    assumeComplete: false
  }
  const read = (line: JsonObject, changes: Partial<CacheForeign.Missing> = {}) => {
    const program = CacheForeign.programOf(line)
    assert(program !== undefined)
    return CacheForeign.decode(program, line, { ...missing, ...changes })
  }
  const refusal = (line: JsonObject, changes?: Partial<CacheForeign.Missing>) =>
    Either.match(read(line, changes), { onLeft: String, onRight: () => "none" })

  const flux = { id: "d41d8cd98f00b204e9800998ecf8427e", response: completion("stop") }
  const flex = { index: 0, output: "2", status: "success", input: messages }

  it("FluxLLM: the request that was saved, with the parameters of the run below its own", () => {
    const request = { model: "gpt", messages, temperature: 0.5 }
    const answered = Either.getOrThrow(read({ ...flux, request }))
    assert.deepStrictEqual(
      { ...answered.request },
      { ...Chat.prompt("1 + 1?", { model: "gpt", temperature: 0.5, maxTokens: 9 }) }
    )
    assert.strictEqual(answered.response.text, "2")
    assert.deepStrictEqual(answered.response.usage, { inputTokens: 3, outputTokens: 1 })
  })

  it("FluxLLM: what cannot be told or is no whole answer is refused", () => {
    const request = { model: "gpt", messages }
    assert.match(refusal(flux), /hash of the request.*save_request=True/)
    assert.match(refusal({ ...flux, request: { model: "gpt", prompt: "a" } }), /text completion/)
    assert.match(refusal({ ...flux, request, response: null }), /"response"/)
    assert.match(
      refusal({ ...flux, request, response: completion("length") }),
      /cut short or filtered \(length\)/
    )
    assert.match(
      refusal({ ...flux, request, response: completion("stop", { content: null, refusal: "no" }) }),
      /a refusal/
    )
    assert.match(refusal({ ...flux, request, response: completion(null) }), /--assume-complete/)
    assert.strictEqual(
      refusal({ ...flux, request, response: completion(null) }, { assumeComplete: true }),
      "none"
    )
  })

  it("flexllm: the messages of its output, with the model that is given", () => {
    const line = {
      ...flex,
      params: { temperature: 1, system: "in the messages" },
      usage: { prompt_tokens: 3, completion_tokens: 1 },
      result: { finish_reason: "stop", reasoning_content: "hm" }
    }
    const { request, response } = Either.getOrThrow(read(line, { model: "m" }))
    assert.deepStrictEqual(
      { ...request },
      { ...Chat.prompt("1 + 1?", { model: "m", temperature: 1, maxTokens: 9 }) }
    )
    assert.strictEqual(response.reasoning, "hm")
    assert.strictEqual(response.raw, undefined)
    assert.match(refusal(line), /--model/)
  })

  it("flexllm: failures, unsaved prompts and answers of unknown end are refused", () => {
    assert.match(refusal({ ...flex, status: "error", output: null }), /no answer/)
    assert.match(refusal({ ...flex, input: undefined }), /save_input=False/)
    assert.match(refusal({ ...flex, input: "1 + 1?" }), /last prompt only/)
    assert.match(refusal({ ...flex, params: { reasoning: "high" } }, { model: "m" }), /reasoning/)
    assert.match(refusal(flex, { model: "m" }), /--assume-complete/)
    assert.strictEqual(refusal(flex, { model: "m", assumeComplete: true }), "none")
  })
})
