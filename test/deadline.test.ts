import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import {
  Cache,
  CacheStore,
  Chat,
  complete,
  Embedding,
  Mock,
  Providers,
  RateLimiter,
  Response,
  Router,
  Throttle
} from "floodgate"

const counting = (answer: Effect.Effect<string>) => {
  const seen = { calls: 0, stopped: 0 }
  const call = Effect.onInterrupt(
    Effect.suspend(() => {
      seen.calls++
      return answer
    }),
    () => Effect.sync(() => seen.stopped++)
  )
  return {
    seen,
    call,
    layer: Layer.merge(
      Mock.layer(() => call),
      Cache.layerMemory()
    )
  }
}

/** Vectors after a while. */
const vectors = (after: Effect.Effect<unknown>) => {
  const { call, seen } = counting(Effect.as(after, ""))
  const provider: Providers.Provider = {
    name: "p",
    attempt: (request) =>
      Effect.as(call, {
        outcome: Either.right(
          Response.fromEncoded({
            _tag: "EmbeddingResponse",
            embeddings: request._tag === "Embedding" ? request.input.map((text) => [text.length]) : [],
            usage: { inputTokens: 1, outputTokens: 0 },
            model: "m",
            provider: "p",
            meta: { attempts: 1, cached: false, latencyMs: 0 }
          })
        ),
        throttle: Throttle.none
      })
  }
  const layer = Layer.mergeAll(
    Layer.succeed(Providers.Providers, Providers.make([provider])),
    Router.layer({ endpoints: [{ provider: "p", baseUrl: "p://", model: "m" }] }),
    RateLimiter.layerUnlimited,
    Cache.layerMemory()
  )
  return { seen, layer }
}

/** Calls for vectors begin at the end of an event loop's turn, which the test's clock knows nothing of. */
const called = (seen: { readonly calls: number }) =>
  Effect.repeat(
    Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1))),
    { until: () => seen.calls > 0, times: 10_000 }
  )

const chat = Chat.prompt("a")
const embedding = new Embedding({ input: ["a", "bb"] })

describe("a deadline", () => {
  it.effect("is that of each who asks, though they share a call", () =>
    Effect.gen(function* () {
      const { layer, seen } = counting(Effect.delay(Effect.succeed("late"), "90 seconds"))
      yield* Effect.gen(function* () {
        const first = yield* Effect.fork(Effect.flip(complete(chat, { deadline: "1 minute" })))
        yield* TestClock.adjust("30 seconds")
        const second = yield* Effect.fork(complete(chat, { deadline: "2 minutes" }))
        const third = yield* Effect.fork(Effect.flip(complete(chat, { deadline: "10 seconds" })))
        yield* TestClock.adjust("10 seconds")
        expect(yield* third).toMatchObject({ _tag: "TimeoutError" })
        yield* TestClock.adjust("20 seconds")
        expect((yield* first).message).toContain("deadline of 1m")
        yield* TestClock.adjust("30 seconds")
        expect((yield* second).text).toBe("late")
        expect(seen).toEqual({ calls: 1, stopped: 0 })
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("stops the call with the last who waits for it", () =>
    Effect.gen(function* () {
      const { layer, seen } = counting(Effect.never)
      yield* Effect.gen(function* () {
        const askers = yield* Effect.forkAll(
          ["1 minute", "2 minutes"].map((deadline) =>
            Effect.flip(complete(chat, { deadline: deadline as "1 minute" }))
          )
        )
        yield* TestClock.adjust("90 seconds")
        expect(seen).toEqual({ calls: 1, stopped: 0 })
        yield* TestClock.adjust("90 seconds")
        expect(seen).toEqual({ calls: 1, stopped: 1 })
        expect((yield* askers).map(({ _tag }) => _tag)).toEqual(["TimeoutError", "TimeoutError"])
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("loses no answer that is being stored", () =>
    Effect.gen(function* () {
      const stored: Array<string> = []
      const slow = Layer.succeed(CacheStore.CacheStore, {
        getMany: () => Effect.succeed(new Map()),
        setMany: (_, entries) =>
          Effect.delay(
            Effect.sync(() => {
              for (const { value } of entries) stored.push(value)
            }),
            "5 seconds"
          ),
        remove: () => Effect.void,
        totals: () => Effect.succeed({ entries: 0, bytes: 0 })
      })
      const { call } = counting(Effect.delay(Effect.succeed("paid"), "59 seconds"))
      const asked = Effect.either(complete(chat, { deadline: "1 minute" })).pipe(
        Effect.provide(
          Layer.merge(
            Mock.layer(() => call),
            Layer.provide(Cache.layer(), slow)
          )
        )
      )
      const fiber = yield* Effect.fork(asked)
      yield* TestClock.adjust("59 seconds")
      yield* Effect.yieldNow()
      yield* TestClock.adjust("2 minutes")
      yield* fiber
      expect(stored).toHaveLength(1)
    })
  )

  it.effect("of a request for vectors is its own too", () =>
    Effect.gen(function* () {
      const { layer, seen } = vectors(Effect.sleep("90 seconds"))
      yield* Effect.gen(function* () {
        const first = yield* Effect.fork(Effect.flip(complete(embedding, { deadline: "1 minute" })))
        yield* called(seen)
        yield* TestClock.adjust("30 seconds")
        const second = yield* Effect.fork(complete(embedding, { deadline: "2 minutes" }))
        yield* TestClock.adjust("30 seconds")
        expect(yield* first).toMatchObject({ _tag: "TimeoutError" })
        yield* TestClock.adjust("1 minute")
        expect((yield* second).embeddings).toEqual([[1], [2]])
        expect(seen.calls).toBe(1)
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("a request for vectors", () => {
  it.effect("ends its call when the last leaves who waits for it", () =>
    Effect.gen(function* () {
      const { layer, seen } = vectors(Effect.never)
      yield* Effect.gen(function* () {
        const asked = yield* Effect.fork(Effect.flip(complete(embedding, { deadline: "1 minute" })))
        yield* called(seen)
        expect(seen).toEqual({ calls: 1, stopped: 0 })
        yield* TestClock.adjust("1 minute")
        expect(yield* asked).toMatchObject({ _tag: "TimeoutError" })
        expect(seen).toEqual({ calls: 1, stopped: 1 })
      }).pipe(Effect.provide(layer))
    })
  )
})
