import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import {
  batch,
  Cache,
  Chat,
  complete,
  Embedding,
  LlmError,
  Mock,
  type Request,
  type Response
} from "floodgate"

/** Answers "answer 1", "answer 2", …, each after a second if `slow`. */
const numbered = (slow = false) => {
  const counter = { calls: 0 }
  const answer = Effect.suspend(() => {
    const text = `answer ${++counter.calls}`
    return slow ? Effect.delay(Effect.succeed(text), "1 second") : Effect.succeed(text)
  })
  return { counter, layer: Mock.layer(() => answer) }
}

type Control = Request.CacheControl

const ask = (cache?: Control, prompt = "a") =>
  Effect.map(complete(Chat.prompt(prompt, { cache })), ({ text }) => text)

/** Runs the test with one cache, and hands it over. */
const withCache = <A, E>(
  options: Cache.MemoryOptions,
  mock: ReturnType<typeof numbered>,
  test: (cache: Cache.Service) => Effect.Effect<A, E, Layer.Layer.Success<typeof mock.layer>>
) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(Cache.layerMemory(options)), (context) =>
      Effect.provide(
        test(Context.get(context, Cache.Cache)),
        Layer.merge(mock.layer, Layer.succeedContext(context))
      )
    )
  )

describe("cache modes", () => {
  it.effect("read and write, bypass, refresh, read only: of a request and of a run", () =>
    Effect.gen(function* () {
      const mock = numbered()
      yield* withCache({}, mock, (cache) =>
        Effect.gen(function* () {
          const of = (mode: Cache.Mode) => ask({ mode })
          const run = (mode: Cache.Mode) =>
            Effect.map(complete(Chat.prompt("a"), { cache: mode }), ({ text }) => text)
          assert.strictEqual(yield* of("readOnly"), "answer 1")
          assert.strictEqual(yield* of("readWrite"), "answer 2")
          assert.strictEqual(yield* of("readOnly"), "answer 2")
          assert.strictEqual(yield* of("bypass"), "answer 3")
          assert.strictEqual(yield* of("replay"), "answer 2")
          assert.strictEqual(yield* of("refresh"), "answer 4")
          assert.strictEqual(yield* ask(), "answer 4")
          assert.strictEqual(yield* run("refresh"), "answer 5")
          assert.strictEqual(yield* run("bypass"), "answer 6")
          assert.strictEqual(yield* run("replay"), "answer 5")
          // what a request says comes first
          const said = complete(Chat.prompt("a", { cache: { mode: "readWrite" } }), { cache: "bypass" })
          assert.strictEqual((yield* said).text, "answer 5")
          assert.deepStrictEqual(yield* cache.stats, {
            hits: 5,
            misses: 2,
            shared: 0,
            stored: 3,
            refused: 0,
            failures: 0
          })
        })
      )
    })
  )

  it.effect("replay sends nothing: what is not stored is a typed error, with a cache or without", () =>
    Effect.gen(function* () {
      const mock = numbered()
      yield* withCache({}, mock, () =>
        Effect.gen(function* () {
          yield* ask(undefined, "known")
          const outcomes = yield* batch([Chat.prompt("known"), Chat.prompt("unknown")], { cache: "replay" })
          const [known, unknown] = outcomes
          assert(known !== undefined && Either.isRight(known))
          assert.strictEqual(known.right.text, "answer 1")
          assert(unknown !== undefined && Either.isLeft(unknown))
          assert.strictEqual(unknown.left._tag, "CacheMissError")
          assert.isFalse(LlmError.isRetryable(unknown.left))
        })
      )
      const missing = yield* Effect.flip(
        complete(Chat.prompt("known"), { cache: "replay" }).pipe(Effect.provide(mock.layer))
      )
      assert.strictEqual(missing._tag, "CacheMissError")
      assert.strictEqual(mock.counter.calls, 1)
    })
  )

  it.effect("a run's replay sends nothing, whatever its requests say, with a cache or without", () =>
    Effect.gen(function* () {
      const mock = numbered()
      const modes = ["readWrite", "bypass", "refresh", "readOnly"] as const
      const requests = [
        ...modes.map((mode) => Chat.prompt(`unknown to ${mode}`, { cache: { mode } })),
        new Embedding({ input: ["a", "b"], cache: { mode: "bypass" } })
      ]
      const layers = [Cache.layerMemory(), Cache.layerNone]
      for (const cache of layers) {
        const outcomes = yield* Effect.provide(
          batch(requests, { cache: "replay" }),
          Layer.merge(mock.layer, cache)
        )
        const tags = outcomes.map((outcome) => (Either.isLeft(outcome) ? outcome.left._tag : "answered"))
        assert.deepStrictEqual(tags, new Array(requests.length).fill("CacheMissError"))
      }
      assert.strictEqual(mock.counter.calls, 0)
    })
  )

  it.effect("bypass makes as many calls as there are requests; the others share one", () =>
    Effect.gen(function* () {
      for (const [mode, calls] of [
        ["bypass", 5],
        ["refresh", 1],
        ["readOnly", 1],
        ["readWrite", 1]
      ] as const) {
        const mock = numbered(true)
        yield* withCache({}, mock, () =>
          Effect.gen(function* () {
            const fiber = yield* Effect.fork(
              batch(
                Array.from({ length: 5 }, () => Chat.prompt("a")),
                { cache: mode }
              )
            )
            yield* TestClock.adjust("2 seconds")
            assert(Either.isRight(Either.all(yield* Fiber.join(fiber))))
          })
        )
        assert.strictEqual(mock.counter.calls, calls, mode)
      }
    })
  )

  it.effect("samples of one question stay apart, and the first is the question itself", () =>
    Effect.gen(function* () {
      const mock = numbered()
      yield* withCache({}, mock, () =>
        Effect.gen(function* () {
          const samples = Effect.forEach([0, 1, 2], (sample) => ask({ sample }))
          assert.deepStrictEqual(yield* samples, ["answer 1", "answer 2", "answer 3"])
          assert.deepStrictEqual(yield* samples, ["answer 1", "answer 2", "answer 3"])
          assert.strictEqual(yield* ask(), "answer 1")
        })
      )
    })
  )

  it.effect("namespaces stay apart, and are cleared apart", () =>
    Effect.gen(function* () {
      const mock = numbered()
      yield* withCache({ namespace: "mine" }, mock, (cache) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* ask(), "answer 1")
          assert.strictEqual(yield* ask({ namespace: "other" }), "answer 2")
          assert.strictEqual(yield* ask({ namespace: "mine" }), "answer 1")
          assert.strictEqual((yield* cache.totals()).entries, 1)
          yield* cache.clear()
          assert.strictEqual((yield* cache.totals()).entries, 0)
          assert.strictEqual(yield* ask({ namespace: "other" }), "answer 2")
          assert.strictEqual(yield* ask(), "answer 3")
        })
      )
    })
  )

  it.effect("forgets what it is told to, by request and by key", () =>
    Effect.gen(function* () {
      const mock = numbered()
      yield* withCache({}, mock, (cache) =>
        Effect.gen(function* () {
          const { meta } = yield* complete(Chat.prompt("a"))
          yield* ask(undefined, "b")
          yield* Cache.invalidate(Chat.prompt("a", { cache: { sample: 1 } }))
          assert.strictEqual(yield* ask(), "answer 1")
          yield* Cache.invalidate(Chat.prompt("a"))
          assert.strictEqual(yield* ask(), "answer 3")
          yield* cache.invalidate([meta.key ?? "?"])
          assert.strictEqual(yield* ask(), "answer 4")
          assert.strictEqual(yield* ask(undefined, "b"), "answer 2")
        })
      )
    })
  )

  it.effect("answers expire after the cache's time to live, or the request's own", () =>
    Effect.gen(function* () {
      const mock = numbered()
      yield* withCache({ timeToLive: "1 hour" }, mock, () =>
        Effect.gen(function* () {
          yield* ask()
          yield* ask({ timeToLive: "1 minute" }, "short")
          yield* ask({ timeToLive: 86_400_000 }, "long")
          yield* TestClock.adjust("59 seconds")
          yield* ask(undefined, "short")
          assert.strictEqual(mock.counter.calls, 3)
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* ask(undefined, "short"), "answer 4")
          yield* TestClock.adjust("59 minutes")
          assert.strictEqual(yield* ask(), "answer 5")
          assert.strictEqual(yield* ask(undefined, "long"), "answer 3")
        })
      )
    })
  )

  it.effect("stores incomplete answers where it is told to, and gives them only there", () =>
    Effect.gen(function* () {
      const answers: ReadonlyArray<Response.Response> = [
        Mock.response("half", { finishReason: "length" }),
        Mock.response("", { refusal: "no" }),
        Mock.response("", { finishReason: "error" })
      ]
      for (const [i, calls] of [
        [0, 1],
        [1, 1],
        [2, 2]
      ] as const) {
        const counter = { calls: 0 }
        const layer = Mock.layer(() =>
          Effect.sync(() => {
            counter.calls++
            return answers[i] ?? ""
          })
        )
        yield* withCache({ storeIncomplete: true }, { counter, layer }, () =>
          Effect.zipRight(complete(Chat.prompt("a")), complete(Chat.prompt("a")))
        )
        assert.strictEqual(counter.calls, calls)
      }
    })
  )

  it("a control that cannot be is an error of the request", () => {
    for (const cache of [
      { mode: "sometimes" },
      { timeToLive: "soon" },
      { timeToLive: -1 },
      { timeToLive: "-5 seconds" },
      // half of a surrogate pair comes back from no store
      { namespace: "n\ud800" },
      { sample: 0.5 }
    ]) {
      // what a line of JSON may hold
      assert.throws(() => Chat.prompt("a", { cache: cache as Control }), /cache/)
    }
  })
})
