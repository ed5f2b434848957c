import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import {
  batch,
  Cache,
  Chat,
  collect,
  LlmError,
  Mock,
  Providers,
  RateLimiter,
  Router,
  StreamPart,
  stream,
  Throttle
} from "floodgate"

const { Finish, Start, Text, ToolCall, Usage } = StreamPart.StreamPart

const whole: ReadonlyArray<StreamPart.StreamPart> = [
  Start({ id: "a1", model: "m-1", provider: "p" }),
  Text({ text: "Hel" }),
  Text({ text: "lo" }),
  Usage({ usage: { inputTokens: 3, outputTokens: 2 } }),
  Finish({ finishReason: "stop", rawFinishReason: "stop" })
]

const broken = new LlmError.NetworkError({ provider: "p", message: "reset" })

/** Providers by endpoint, each with the streams it gives one after the other. */
const streaming = (
  byEndpoint: Readonly<Record<string, ReadonlyArray<Stream.Stream<StreamPart.StreamPart, LlmError.LlmError>>>>
) => {
  const calls: Array<string> = []
  const provider: Providers.Provider = {
    name: "p",
    attempt: () => Effect.dieMessage("not streamed"),
    stream: (_request, endpoint) =>
      Effect.sync(() => {
        const given = byEndpoint[endpoint.id] ?? []
        const turn = calls.filter((id) => id === endpoint.id).length
        calls.push(endpoint.id)
        return {
          parts: Either.right(given[Math.min(turn, given.length - 1)] ?? Stream.empty),
          throttle: Throttle.none
        }
      })
  }
  const [first = "a", ...rest] = Object.keys(byEndpoint)
  const endpoint = (id: string) => ({ id, provider: "p", baseUrl: `p://${id}`, model: "m" })
  const layer = Layer.mergeAll(
    Layer.succeed(Providers.Providers, Providers.make([provider])),
    Router.layer({ endpoints: [endpoint(first), ...rest.map(endpoint)], strategy: "fallback" }),
    RateLimiter.layerUnlimited,
    Cache.layerMemory()
  )
  return { layer, calls }
}

const asked = Chat.prompt("Hi")

const partsOf = <E, R>(parts: Stream.Stream<StreamPart.StreamPart, E, R>) =>
  Effect.map(Stream.runCollect(parts), (chunk) => Chunk.toReadonlyArray(chunk))

const run = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    for (let i = 0; i < 20; i++) yield* TestClock.adjust("10 seconds")
    return yield* fiber
  })

describe("stream", () => {
  it.effect("gives the parts as they come, and their sum is the answer", () =>
    Effect.gen(function* () {
      const { layer } = streaming({ a: [Stream.fromIterable(whole)] })
      expect(yield* Effect.provide(partsOf(stream(asked)), layer)).toEqual(whole)
      const response = yield* collect(Stream.fromIterable(whole))
      expect(response).toMatchObject({ id: "a1", model: "m-1", text: "Hello", finishReason: "stop" })
      expect(response.usage).toEqual({ inputTokens: 3, outputTokens: 2 })
    })
  )

  it.effect("puts tool calls together, and says which arguments cannot be read", () =>
    Effect.gen(function* () {
      const response = yield* collect(
        Stream.make(
          ToolCall({ index: 1, id: "c2", name: "g", arguments: "{oops" }),
          ToolCall({ index: 0, id: "c1", name: "f", arguments: `{"a"` }),
          ToolCall({ index: 0, arguments: ":1}" }),
          Finish({ finishReason: "tool_calls" })
        )
      )
      expect(response.toolCalls).toMatchObject([
        { id: "c1", name: "f", arguments: `{"a":1}` },
        { id: "c2", name: "g", arguments: "{oops", invalid: expect.stringContaining("JSON") }
      ])
      expect(response.toolCalls[0]?.invalid).toBeUndefined()
    })
  )

  it.effect("is asked again elsewhere before its first part, and never after it", () =>
    Effect.gen(function* () {
      const early = streaming({ a: [Stream.fail(broken)], b: [Stream.fromIterable(whole)] })
      expect(yield* run(Effect.provide(partsOf(stream(asked)), early.layer))).toEqual(whole)
      expect(early.calls).toEqual(["a", "b"])

      const late = streaming({
        a: [Stream.concat(Stream.fromIterable(whole.slice(0, 2)), Stream.fail(broken))],
        b: [Stream.fromIterable(whole)]
      })
      const seen: Array<string> = []
      const error = yield* run(
        Effect.flip(
          Effect.provide(
            Stream.runForEach(stream(asked), (part) => Effect.sync(() => seen.push(part._tag))),
            late.layer
          )
        )
      )
      expect(error._tag).toBe("NetworkError")
      expect(seen).toEqual(["Start", "Text"])
      expect(late.calls).toEqual(["a"])
    })
  )

  it.effect("gives out nothing of an attempt that did not answer", () =>
    Effect.gen(function* () {
      const { Warning } = StreamPart.StreamPart
      const dead = Stream.fromIterable([
        Warning({ message: "dead" }),
        Start({ id: "dead", model: "m-dead" }),
        Usage({ usage: { inputTokens: 99, outputTokens: 0 } })
      ]).pipe(Stream.concat(Stream.fail(broken)))
      const alive = [
        Warning({ message: "alive" }),
        Start({ id: "alive" }),
        Usage({ usage: { inputTokens: 3, outputTokens: 0 } }),
        ...whole.slice(1)
      ]
      const given = () => streaming({ a: [dead], b: [Stream.fromIterable(alive)] }).layer
      const parts = yield* run(Effect.provide(partsOf(stream(asked)), given()))
      expect(parts).toEqual(alive.map((part) => (part._tag === "Start" ? { ...part, provider: "p" } : part)))
      const response = yield* run(Effect.provide(collect(stream(asked)), given()))
      expect(response).toMatchObject({ id: "alive", provider: "p", warnings: ["alive"], text: "Hello" })
    })
  )

  it.effect("holds back what says nothing only until the first part of the answer", () =>
    Effect.gen(function* () {
      const { layer } = streaming({
        a: [Stream.concat(Stream.fromIterable(whole.slice(0, 2)), Stream.never)]
      })
      const first = yield* Effect.provide(partsOf(Stream.take(stream(asked), 2)), layer)
      expect(first).toEqual(whole.slice(0, 2))
    })
  )

  it.effect("whose parts are of two attempts is told by the last start", () =>
    Effect.gen(function* () {
      const twice = [
        Start({ id: "dead", model: "m-dead", provider: "q" }),
        Start({ id: "a2", provider: "p" })
      ]
      const response = yield* collect(Stream.fromIterable([...twice, ...whole.slice(1)]))
      expect(response).toMatchObject({ id: "a2", model: "", provider: "p" })
    })
  )

  it.effect("has an estimated usage where the server states none, with the arguments of tool calls", () =>
    Effect.gen(function* () {
      const call = ToolCall({ index: 0, id: "c", name: "save", arguments: `{"text":"${"x".repeat(400)}"}` })
      const { layer } = streaming({
        a: [Stream.make(Start({ id: "a1" }), call, Finish({ finishReason: "tool_calls" }))]
      })
      const parts = yield* Effect.provide(partsOf(stream(Chat.prompt("four letters a token"))), layer)
      expect(parts.map(({ _tag }) => _tag)).toEqual(["Start", "ToolCall", "Usage", "Finish"])
      expect(parts[2]).toMatchObject({ usage: { inputTokens: 5, outputTokens: 104, estimated: true } })
      const response = yield* Effect.provide(collect(stream(Chat.prompt("four letters a token"))), layer)
      expect(response.usage).toMatchObject({ inputTokens: 5, outputTokens: 104, estimated: true })
    })
  )

  it.effect("fails where it ends without a finish", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(collect(Stream.fromIterable(whole.slice(0, 3))))
      expect(error._tag).toBe("NetworkError")
    })
  )

  it.effect("is cached as any answer, and given at once from the cache", () =>
    Effect.gen(function* () {
      const { calls, layer } = streaming({ a: [Stream.fromIterable(whole)] })
      const twice = Effect.zip(partsOf(stream(asked)), collect(stream(asked)))
      const [parts, again] = yield* Effect.provide(twice, layer)
      expect(parts).toEqual(whole)
      expect(again.text).toBe("Hello")
      expect(calls).toEqual(["a"])
    })
  )

  it.effect("gives up the call when nobody reads any more", () =>
    Effect.gen(function* () {
      let closed = false
      const endless = Stream.concat(Stream.fromIterable(whole.slice(0, 2)), Stream.never).pipe(
        Stream.ensuring(Effect.sync(() => (closed = true)))
      )
      const { layer } = streaming({ a: [endless] })
      const first = yield* Effect.provide(partsOf(Stream.take(stream(asked), 2)), layer)
      expect(first).toHaveLength(2)
      yield* Effect.yieldNow()
      expect(closed).toBe(true)
    })
  )

  it.effect("works with a mock", () =>
    Effect.gen(function* () {
      const response = yield* Effect.provide(
        collect(stream(asked)),
        Mock.layer(() => "4")
      )
      expect(response.text).toBe("4")
    })
  )
})

describe("batch", () => {
  it.effect("may have its answers streamed inside, and retries a stream that breaks off", () =>
    Effect.gen(function* () {
      const torn = Stream.concat(Stream.fromIterable(whole.slice(0, 2)), Stream.fail(broken))
      const { calls, layer } = streaming({ a: [torn, Stream.fromIterable(whole)] })
      const [outcome] = yield* run(Effect.provide(batch([asked], { streaming: true }), layer))
      expect(outcome && Either.getOrThrow(outcome).text).toBe("Hello")
      expect(calls).toEqual(["a", "a"])
    })
  )
})
