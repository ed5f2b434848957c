import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import {
  batch,
  Cache,
  complete,
  Embedding,
  LlmError,
  Providers,
  RateLimiter,
  Response,
  Router,
  Throttle
} from "floodgate"

/** A vector that tells which text it is of. */
const vectorOf = (text: string): ReadonlyArray<number> => [text.length, text.codePointAt(0) ?? 0]

/** A server of embeddings, and the calls it got. `refuses` answers some texts with an error. */
const server = (
  options: {
    readonly inputs?: number
    readonly refuses?: (text: string) => boolean
    readonly sent?: (endpoint: string, input: ReadonlyArray<string>) => void
  } = {}
) => {
  const calls: Array<ReadonlyArray<string>> = []
  let billed = 0
  const provider: Providers.Provider = {
    name: "p",
    embeddingInputs: options.inputs,
    attempt: (request, { id }) =>
      Effect.sync(() => {
        if (request._tag !== "Embedding") throw new Error("no embedding")
        calls.push(request.input)
        options.sent?.(id, request.input)
        if (request.input.some((text) => options.refuses?.(text) === true)) {
          const error = new LlmError.ContextLengthError({ provider: "p", message: "too long" })
          return Providers.notSent(error)
        }
        const inputTokens = request.input.reduce((sum, text) => sum + text.length, 0)
        billed += inputTokens
        return {
          outcome: Either.right(
            Response.fromEncoded({
              _tag: "EmbeddingResponse",
              embeddings: request.input.map(vectorOf),
              usage: { inputTokens, outputTokens: 0 },
              model: "m",
              provider: "p",
              meta: { attempts: 1, cached: false, latencyMs: 0 }
            })
          ),
          throttle: Throttle.none
        }
      })
  }
  const layer = Layer.mergeAll(
    Layer.succeed(Providers.Providers, Providers.make([provider])),
    options.sent === undefined
      ? Router.layer({ endpoints: [{ provider: "p", baseUrl: "p://", model: "m" }] })
      : Router.layer({
          endpoints: [
            { id: "eu", provider: "p", baseUrl: "p://eu", model: "m" },
            { id: "us", provider: "p", baseUrl: "p://us", model: "m" }
          ],
          tasks: { local: { endpoints: ["eu"] }, any: { endpoints: ["us"] } }
        }),
    RateLimiter.layerUnlimited,
    Cache.layerMemory()
  )
  return { layer, calls, billed: () => billed }
}

describe("an embedding request", () => {
  it.effect("is sent in calls that the provider takes, and put together in order", () =>
    Effect.gen(function* () {
      const { billed, calls, layer } = server({ inputs: 4 })
      const input = Array.from({ length: 10 }, (_, index) => `${index}${"x".repeat(index)}`)
      const response = yield* Effect.provide(complete(new Embedding({ input })), layer)
      expect(response.embeddings).toEqual(input.map(vectorOf))
      expect(calls.map((texts) => texts.length)).toEqual([4, 4, 2])
      expect(response.usage.inputTokens).toBe(billed())
      expect(response.meta).toMatchObject({ attempts: 3, cached: false })
    })
  )

  it.effect("asks only for the texts that are not in the cache, each once", () =>
    Effect.gen(function* () {
      const { calls, layer } = server()
      const program = Effect.gen(function* () {
        yield* complete(new Embedding({ input: ["a", "bb"] }))
        const second = yield* complete(new Embedding({ input: ["bb", "ccc", "a", "ccc"] }))
        const third = yield* complete(new Embedding({ input: ["ccc"] }))
        return [second, third] as const
      })
      const [second, third] = yield* Effect.provide(program, layer)
      expect(calls).toEqual([["a", "bb"], ["ccc"]])
      expect(second.embeddings).toEqual(["bb", "ccc", "a", "ccc"].map(vectorOf))
      expect(second.usage.inputTokens).toBe(3)
      expect(third.meta).toMatchObject({ attempts: 0, cached: true })
    })
  )

  it.effect("shares calls with the other requests of a batch, but not across parameters", () =>
    Effect.gen(function* () {
      const { calls, layer } = server()
      const requests = Array.from(
        { length: 20 },
        (_, index) => new Embedding({ input: [`text ${index}`], dimensions: index % 2 === 0 ? 8 : 16 })
      )
      const outcomes = yield* Effect.provide(batch(requests), layer)
      expect(outcomes.map((outcome) => Either.getOrThrow(outcome).embeddings[0])).toEqual(
        requests.map(({ input }) => vectorOf(input[0] ?? ""))
      )
      expect(calls.map((texts) => texts.length)).toEqual([10, 10])
    })
  )

  it.effect("goes where its task allows, and in no call with those of another task", () =>
    Effect.gen(function* () {
      const sent: Array<readonly [endpoint: string, input: ReadonlyArray<string>]> = []
      const { layer } = server({ sent: (endpoint, input) => sent.push([endpoint, input]) })
      const requests = [
        new Embedding({ input: ["public"], task: "any" }),
        new Embedding({ input: ["private"], task: "local" }),
        new Embedding({ input: ["private too"], task: "local" })
      ]
      const outcomes = yield* Effect.provide(batch(requests), layer)
      expect(outcomes.map((outcome) => Either.getOrThrow(outcome).meta.endpoint)).toEqual(["us", "eu", "eu"])
      expect(sent).toEqual([
        ["us", ["public"]],
        ["eu", ["private", "private too"]]
      ])
    })
  )

  it.effect("that the provider refuses does not take down those it shares a call with", () =>
    Effect.gen(function* () {
      const { layer } = server({ refuses: (text) => text === "bad" })
      const texts = ["a", "b", "bad", "c", "d"]
      const outcomes = yield* Effect.provide(
        batch(texts.map((text) => new Embedding({ input: [text] }))),
        layer
      )
      expect(outcomes.map(Either.isRight)).toEqual([true, true, false, true, true])
      const failed = outcomes[2]
      expect(failed && Either.isLeft(failed) && failed.left._tag).toBe("ContextLengthError")
    })
  )

  it.effect("of nothing is answered without a call", () =>
    Effect.gen(function* () {
      const { calls, layer } = server()
      const response = yield* Effect.provide(complete(new Embedding({ input: [] })), layer)
      expect(response.embeddings).toEqual([])
      expect(calls).toEqual([])
    })
  )

  it.effect("keeps what was paid for of a request of which one text is refused", () =>
    Effect.gen(function* () {
      const { calls, layer } = server({ refuses: (text) => text === "bad" })
      const texts = ["a", "b", "c", "d", "e", "f"]
      const program = Effect.gen(function* () {
        const refused = yield* Effect.flip(complete(new Embedding({ input: [...texts, "bad", "g"] })))
        expect(refused._tag).toBe("ContextLengthError")
        const before = calls.length
        yield* complete(new Embedding({ input: texts }))
        return calls.length - before
      })
      expect(yield* Effect.provide(program, layer)).toBe(0)
    })
  )

  it.effect("that no text is to blame for is asked a few times, and not once for each text", () =>
    Effect.gen(function* () {
      const { calls, layer } = server({ inputs: 256, refuses: () => true })
      const requests = Array.from({ length: 256 }, (_, index) => new Embedding({ input: [`text ${index}`] }))
      const outcomes = yield* Effect.provide(batch(requests, { concurrency: 256 }), layer)
      expect(outcomes.every(Either.isLeft)).toBe(true)
      expect(calls.length).toBeLessThanOrEqual(3)
    })
  )

  it.effect.prop(
    "gives every text its vector and its share of the bill, whatever the texts and the limit",
    [
      FastCheck.array(FastCheck.string({ minLength: 1 }), { maxLength: 40 }),
      FastCheck.integer({ min: 1, max: 9 })
    ],
    ([input, inputs]) =>
      Effect.gen(function* () {
        const { billed, layer } = server({ inputs })
        const response = yield* Effect.provide(complete(new Embedding({ input })), layer)
        expect(response.embeddings).toEqual(input.map(vectorOf))
        expect(response.usage.inputTokens).toBe(billed())
      })
  )
})
