import { assert, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import {
  batch,
  batchStream,
  Cache,
  Chat,
  complete,
  LlmError,
  Message,
  Mock,
  type Outcome,
  type Request,
  Retry
} from "floodgate"

const promptOf = (request: Request.Chat): string => {
  const content = request.messages.at(-1)?.content
  return typeof content === "string" ? content : ""
}

const texts = (outcomes: ReadonlyArray<Outcome.Outcome>) =>
  outcomes.map(Either.match({ onLeft: (error) => error._tag, onRight: (response) => response.text }))

const echo = Mock.layer((request) => promptOf(request))

/** Runs the effect while the test clock goes on by itself. */
const run = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    while (fiber.unsafePoll() === null) {
      yield* TestClock.adjust("1 second")
      yield* Effect.yieldNow()
    }
    return yield* Fiber.join(fiber)
  })

describe("batch", () => {
  it.effect("takes requests and plain objects of the same shape", () =>
    Effect.gen(function* () {
      const plain: Request.ChatFields = { messages: [{ role: "user", content: "b" }] }
      const outcomes = yield* batch([Chat.prompt("a"), plain, new Chat({ messages: [Message.user("c")] })])
      expect(texts(outcomes)).toEqual(["a", "b", "c"])
    }).pipe(Effect.provide(echo))
  )

  it.effect("never fails because a request did, and says what is wrong with it", () =>
    Effect.gen(function* () {
      const misspelt = { messages: [], temprature: 1 } as unknown as Request.ChatFields
      const wrong = { messages: [{ role: "robot", content: "x" }] } as unknown as Request.ChatFields
      const outcomes = yield* batch([
        Chat.prompt("a"),
        misspelt,
        wrong,
        null as unknown as Request.ChatFields
      ])
      expect(texts(outcomes)).toEqual([
        "a",
        "InvalidRequestError",
        "InvalidRequestError",
        "InvalidRequestError"
      ])
      const [, second, third] = outcomes
      assert(second !== undefined && Either.isLeft(second) && third !== undefined && Either.isLeft(third))
      expect(second.left.message).toContain("temprature")
      expect(third.left.message).toContain("messages.0")
    }).pipe(Effect.provide(echo))
  )

  it.effect("takes what cannot be written as JSON for that request's failure, and nobody else's", () =>
    Effect.gen(function* () {
      const cyclic: Record<string, unknown> = {}
      cyclic["self"] = cyclic
      const outcomes = yield* batch([
        Chat.prompt("a"),
        Chat.prompt("b", { metadata: { n: 1n } }),
        Chat.prompt("c", { extra: cyclic }),
        { messages: [{ role: "user", content: [{ type: "provider", value: 2n }] }] },
        5 as unknown as Request.ChatFields,
        Chat.prompt("d")
      ])
      const invalid = "InvalidRequestError"
      expect(texts(outcomes)).toEqual(["a", invalid, invalid, invalid, invalid, "d"])
    }).pipe(Effect.provide(echo))
  )

  it.effect("refuses to run without workers, before anything is opened", () =>
    Effect.gen(function* () {
      for (const concurrency of [0, -1, Number.NaN, 1.5, Number.POSITIVE_INFINITY]) {
        const inList = yield* Effect.exit(batch([Chat.prompt("a")], { concurrency }))
        const inStream = yield* Effect.exit(Stream.runDrain(batchStream([Chat.prompt("a")], { concurrency })))
        expect([inList._tag, inStream._tag]).toEqual(["Failure", "Failure"])
      }
    }).pipe(Effect.provide(echo))
  )

  it.effect.prop(
    "gives the outcomes in input order, whatever the latencies and failures",
    [
      FastCheck.array(
        FastCheck.record({ latency: FastCheck.integer({ min: 1, max: 5000 }), fails: FastCheck.boolean() }),
        {
          maxLength: 60
        }
      ),
      FastCheck.integer({ min: 1, max: 70 })
    ],
    ([plans, concurrency]) =>
      Effect.gen(function* () {
        let inFlight = 0
        let most = 0
        const layer = Mock.layer((request) => {
          const text = promptOf(request)
          const plan = plans[Number(text)]
          most = Math.max(most, ++inFlight)
          return Effect.delay(
            plan?.fails === true
              ? Effect.fail(new LlmError.InvalidRequestError({ provider: "mock", message: text }))
              : Effect.succeed(text),
            plan?.latency ?? 0
          ).pipe(Effect.ensuring(Effect.sync(() => inFlight--)))
        })
        const requests = plans.map((_, i) => Chat.prompt(String(i)))
        const outcomes = yield* run(batch(requests, { concurrency }).pipe(Effect.provide(layer)))
        const said = outcomes.map(
          Either.match({
            onLeft: (e) => ({ fails: true, i: e.message }),
            onRight: (r) => ({ fails: false, i: r.text })
          })
        )
        expect(said).toEqual(plans.map(({ fails }, i) => ({ fails, i: String(i) })))
        expect(most).toBeLessThanOrEqual(concurrency)
        expect(most).toBe(Math.min(concurrency, plans.length))
      }),
    { fastCheck: { numRuns: 20 } }
  )

  it.effect("makes one call for equal requests of one batch, and gives every one of them the answer", () =>
    Effect.gen(function* () {
      let calls = 0
      const layer = Layer.merge(
        Mock.layer((request) =>
          Effect.delay(
            Effect.sync(() => `${promptOf(request)} ${++calls}`),
            "1 second"
          )
        ),
        Cache.layerMemory()
      )
      const requests = Array.from({ length: 100 }, () => Chat.prompt("same"))
      const outcomes = yield* run(batch(requests, { concurrency: 30 }).pipe(Effect.provide(layer)))
      expect(new Set(texts(outcomes))).toEqual(new Set(["same 1"]))
      expect(calls).toBe(1)
      const metas = outcomes.map(Either.map(({ meta }) => meta)).map(Either.getOrThrow)
      expect(metas.filter(({ cached }) => !cached)).toHaveLength(1)
    })
  )

  it.effect("gives id and metadata back, and never sends them", () =>
    Effect.gen(function* () {
      const request = new Chat({ messages: [Message.user("a")], id: "row-7", metadata: { gold: 4 } })
      const [settled] = yield* Stream.runCollect(batchStream([request])).pipe(
        Effect.map((chunk) => [...chunk])
      )
      expect(settled?.request?.id).toBe("row-7")
      expect(settled?.request?.metadata).toEqual({ gold: 4 })
    }).pipe(Effect.provide(echo))
  )

  it.effect("interrupts its calls when it is interrupted", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const layer = Mock.layer(() => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)))
      const requests = Array.from({ length: 10 }, (_, i) => Chat.prompt(String(i)))
      const fiber = yield* Effect.fork(batch(requests, { concurrency: 4 }).pipe(Effect.provide(layer)))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(fiber)
      expect(interrupted).toBe(4)
    })
  )
})

describe("batchStream", () => {
  const slow = Mock.layer((request) => Effect.delay(Effect.succeed(promptOf(request)), "1 second"))
  const prompts = function* (pulled: { count: number; closed: boolean }, length: number) {
    try {
      for (let i = 0; i < length; i++) {
        pulled.count++
        yield Chat.prompt(String(i))
      }
    } finally {
      pulled.closed = true
    }
  }

  it.effect("pulls its source no further than the concurrency, and closes it when it is given up", () =>
    Effect.gen(function* () {
      const pulled = { count: 0, closed: false }
      const fiber = yield* Effect.fork(
        batchStream(prompts(pulled, 1_000_000), { concurrency: 7 }).pipe(Stream.take(14), Stream.runDrain)
      )
      yield* TestClock.adjust("500 millis")
      expect(pulled.count).toBe(7)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      expect(pulled.count).toBeLessThanOrEqual(14 + 2 * 7)
      expect(pulled.closed).toBe(true)
    }).pipe(Effect.provide(slow))
  )

  it.effect("gives outcomes as they finish, each with its index", () =>
    Effect.gen(function* () {
      const settled = yield* run(
        batchStream(
          [3, 1, 2].map((seconds) => Chat.prompt(String(seconds))),
          { concurrency: 3 }
        ).pipe(Stream.runCollect)
      )
      expect([...settled].map(({ index }) => index)).toEqual([1, 2, 0])
    }).pipe(
      Effect.provide(
        Mock.layer((request) => Effect.delay(Effect.succeed("done"), Number(promptOf(request)) * 1000))
      )
    )
  )

  it.effect("takes async iterables and streams, and fails when the stream does", () =>
    Effect.gen(function* () {
      const iterable = (async function* () {
        yield Chat.prompt("x")
        yield Chat.prompt("y")
      })()
      const fromIterable = yield* run(Stream.runCollect(batchStream(iterable)))
      expect([...fromIterable].map(({ index }) => index).sort()).toEqual([0, 1])

      const failing = Stream.concat(Stream.make(Chat.prompt("x")), Stream.fail("lost the file" as const))
      const failed = yield* run(Effect.either(Stream.runDrain(batchStream(failing, { concurrency: 1 }))))
      expect(failed).toEqual(Either.left("lost the file"))
    }).pipe(Effect.provide(slow))
  )
})

describe("complete", () => {
  it.effect("gives the response, or fails with the typed error", () =>
    Effect.gen(function* () {
      const response = yield* complete(Chat.prompt("hi"))
      expect(response.text).toBe("hi")
      expect(response.meta).toMatchObject({ attempts: 1, cached: false, endpoint: "mock/mock" })
    }).pipe(Effect.provide(echo))
  )

  it.effect("retries what may pass, with the attempts counted, and not what cannot", () =>
    Effect.gen(function* () {
      let calls = 0
      const failing = (error: LlmError.LlmError) =>
        Mock.layer(() => Effect.suspend(() => (++calls < 3 ? Effect.fail(error) : Effect.succeed("ok"))))
      const attempt = (error: LlmError.LlmError) => {
        calls = 0
        return run(Effect.either(complete(Chat.prompt("x")).pipe(Effect.provide(failing(error)))))
      }
      const fields = { provider: "mock", message: "no" }
      for (const Retryable of [
        LlmError.RateLimitError,
        LlmError.OverloadedError,
        LlmError.ServerError,
        LlmError.TimeoutError,
        LlmError.NetworkError,
        LlmError.ConflictError
      ]) {
        const outcome = yield* attempt(new Retryable(fields))
        assert(Either.isRight(outcome))
        expect(outcome.right.meta.attempts).toBe(3)
      }
      for (const Fatal of [
        LlmError.AuthError,
        LlmError.PermissionError,
        LlmError.NotFoundError,
        LlmError.InvalidRequestError,
        LlmError.ContextLengthError,
        LlmError.RequestTooLargeError,
        LlmError.ContentFilterError,
        LlmError.QuotaExhaustedError
      ]) {
        const outcome = yield* attempt(new Fatal(fields))
        assert(Either.isLeft(outcome))
        expect(calls).toBe(1)
      }
    })
  )

  it.effect("gives up on an attempt after the timeout", () =>
    Effect.gen(function* () {
      const outcome = yield* run(
        Effect.either(
          complete(Chat.prompt("x"), { timeout: "2 seconds", retry: Retry.make({ maxRetries: 0 }) }).pipe(
            Effect.provide(Mock.layer(() => Effect.never))
          )
        )
      )
      assert(Either.isLeft(outcome))
      expect(outcome.left._tag).toBe("TimeoutError")
    })
  )
})
