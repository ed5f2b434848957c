import { assert, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import {
  Cache,
  Chat,
  Cohere,
  complete,
  Embedding,
  Endpoint,
  Jina,
  LlmError,
  Providers,
  RateLimiter,
  type Request,
  Rerank,
  Response,
  Router,
  Throttle,
  Voyage,
  type Wire
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { decode, tokenUsage } from "../../src/internal/rankedResults.js"
import { once, simulated } from "./simulated.js"

const providers = {
  cohere: simulated("cohere", Cohere.layer, "rerank-v3.5"),
  voyage: simulated("voyage", Voyage.layer, "rerank-2.5"),
  jina: simulated("jina", Jina.layer, "jina-reranker-v2-base-multilingual")
}

const documents = ["Grass is green.", "The sky is blue.", "Water is wet. The sky is blue, too, and what not"]

const bodyOf = (wire: Wire.Wire, request: Request.Request): unknown => {
  const endpoint = Endpoint.make({ provider: wire.name, baseUrl: "https://x.test" })
  const call = wire.encode(request, { model: "m", endpoint, streaming: false })
  assert(Either.isRight(call))
  return JSON.parse(JSON.stringify(call.right.body))
}

describe("Reranking", () => {
  it.live("puts documents in the order of their fit, as many as wanted, with every provider", () =>
    Effect.gen(function* () {
      for (const [name, against] of Object.entries(providers)) {
        const answers = yield* Effect.gen(function* () {
          const all = yield* complete(new Rerank({ query: "what is blue sky", documents }))
          const best = yield* complete(new Rerank({ query: "what is blue sky", documents, topN: 1 }))
          const [entry] = yield* (yield* Simulator.Simulator).log
          return { all, best, entry }
        }).pipe(Effect.provide(against()))
        const { all, best, entry } = answers
        expect([name, ...all.results.map(({ index }) => index)]).toEqual([name, 2, 1, 0])
        expect(best.results).toEqual(all.results.slice(0, 1))
        expect(all.provider).toBe(name)
        if (name === "cohere") expect(all.usage).toMatchObject({ searchUnits: 1, estimated: true })
        else expect(all.usage).toEqual({ inputTokens: entry?.inputTokens, outputTokens: 0 })
      }
    })
  )

  it.live("of more documents than a call takes is one ranking, in the order of one call", () =>
    Effect.gen(function* () {
      const words = ["sky", "blue", "what", "is", "grass", "wet", "green"]
      const many = Array.from({ length: 2_500 }, (_, i) =>
        words
          .filter((_, word) => ((i * 37) >> word) % 2 === 1)
          .join(" ")
          .concat(` ${i}`)
      )
      const request = (topN?: number) => new Rerank({ query: "what is blue sky", documents: many, topN })
      // Jina takes any number
      const whole = yield* Effect.provide(complete(request()), providers.jina())
      expect(whole.results).toHaveLength(2_500)
      for (const name of ["cohere", "voyage"] as const) {
        yield* Effect.gen(function* () {
          const all = yield* complete(request())
          expect(all.results).toEqual(whole.results)
          expect(all.meta.attempts).toBe(3)
          expect(all.raw).toHaveLength(3)
          const log = yield* (yield* Simulator.Simulator).log
          const billed = log.reduce((sum, { inputTokens }) => sum + inputTokens, 0)
          if (name === "cohere") expect(all.usage.searchUnits).toBe(25)
          else expect(all.usage).toEqual({ inputTokens: billed, outputTokens: 0 })
          const best = yield* complete(request(7))
          expect(best.results).toEqual(whole.results.slice(0, 7))
        }).pipe(Effect.provide(providers[name]()))
      }
    })
  )

  it.effect("in parts asks anew only for those that are not stored, and compares no two models' scores", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      let model = "m"
      const provider: Providers.Provider = {
        name: "p",
        rerankDocuments: 2,
        attempt: (request) =>
          Effect.sync(() => {
            const documents = request._tag === "Rerank" ? request.documents : []
            sizes.push(documents.length)
            if (documents.includes("bad")) {
              const error = new LlmError.InvalidRequestError({ provider: "p", message: "bad" })
              return Providers.notSent(error)
            }
            const response = Response.fromEncoded({
              _tag: "RerankResponse",
              results: documents.map((document, index) => ({ index, score: Number(document) })),
              usage: { inputTokens: 1, outputTokens: 0 },
              model,
              provider: "p",
              meta: { attempts: 1, cached: false, latencyMs: 0 }
            })
            return { outcome: Either.right(response), throttle: Throttle.none }
          })
      }
      const layer = Layer.mergeAll(
        Layer.succeed(Providers.Providers, Providers.make([provider])),
        Router.layer({ endpoints: [{ provider: "p", baseUrl: "p://", model: "m" }] }),
        RateLimiter.layerUnlimited,
        Cache.layerMemory()
      )
      yield* Effect.gen(function* () {
        const ask = (...documents: ReadonlyArray<string>) => complete(new Rerank({ query: "q", documents }))
        const refused = yield* Effect.flip(ask("1", "2", "bad", "4", "5"))
        expect(refused._tag).toBe("InvalidRequestError")
        expect(sizes).toEqual([2, 2, 1])
        const ranked = yield* ask("1", "2", "3", "4", "5")
        expect(sizes).toEqual([2, 2, 1, 2])
        expect(ranked.results.map(({ index }) => index)).toEqual([4, 3, 2, 1, 0])
        expect(ranked.usage).toEqual({ inputTokens: 1, outputTokens: 0 })
        expect((yield* ask("1", "2", "3", "4", "5")).meta).toMatchObject({ attempts: 0, cached: true })
        model = "other"
        expect((yield* Effect.flip(ask("1", "2", "6"))).message).toContain("several models (m, other)")
      }).pipe(Effect.provide(layer))
    })
  )

  it("has each provider's names", () => {
    const request = new Rerank({ query: "q", documents: ["d"], topN: 5, extra: { return_documents: false } })
    const common = { model: "m", query: "q", documents: ["d"], return_documents: false }
    expect(bodyOf(Cohere.wire, request)).toEqual({ ...common, top_n: 5 })
    expect(bodyOf(Jina.wire, request)).toEqual({ ...common, top_n: 5 })
    expect(bodyOf(Voyage.wire, request)).toEqual({ ...common, top_k: 5 })
    expect(bodyOf(Voyage.wire, new Rerank({ query: "q", documents: ["d"] }))).toEqual({
      model: "m",
      query: "q",
      documents: ["d"]
    })
  })

  it("sorts what comes unsorted, and takes nothing else for a ranking", () => {
    const request = new Rerank({ query: "q", documents: ["a", "b"] })
    const asked = { provider: "jina", model: "m", request, requestId: undefined }
    const read = (body: unknown) => decode("results", tokenUsage)(body, asked)
    const results = [
      { index: 0, relevance_score: 0.1, document: { text: "a" } },
      { index: 1, relevance_score: 0.9 }
    ]
    expect(Either.getOrThrow(read({ results, usage: { total_tokens: 7 } }))).toMatchObject({
      results: [
        { index: 1, score: 0.9 },
        { index: 0, score: 0.1 }
      ],
      usage: { inputTokens: 7, outputTokens: 0 }
    })
    const tag = (body: unknown) => Either.getOrThrow(Either.flip(read(body)))._tag
    expect(tag({ data: results })).toBe("NetworkError")
    expect(tag({ results: [{ index: 0 }] })).toBe("NetworkError")
    expect(tag({ detail: "boom" })).toBe("ServerError")
  })
})

describe("Voyage and Jina", () => {
  it.live("embed texts in any type of numbers", () =>
    Effect.gen(function* () {
      const input = ["one", "two", "three"]
      const ask = (dimensions: number, extra: Readonly<Record<string, unknown>> = {}) =>
        complete(new Embedding({ input, model: "e", purpose: "document", dimensions, extra }))
      yield* Effect.gen(function* () {
        const plain = yield* ask(256)
        expect(plain.embeddings.map((vector) => vector.length)).toEqual([256, 256, 256])
        expect(plain.usage).toEqual({ inputTokens: 4, outputTokens: 0 })
        const bytes = yield* ask(256, { encoding_format: "base64" })
        expect(bytes.embeddings).toEqual(plain.embeddings.map((vector) => vector.map(Math.fround)))
        for (const output_dtype of ["int8", "ubinary"]) {
          const listed = yield* ask(256, { output_dtype })
          const inBytes = yield* ask(256, { output_dtype, encoding_format: "base64" })
          expect(inBytes.embeddings).toEqual(listed.embeddings)
        }
      }).pipe(Effect.provide(providers.voyage()))
      yield* Effect.gen(function* () {
        const plain = yield* ask(64)
        const bytes = yield* ask(64, { embedding_type: "base64" })
        expect(bytes.embeddings).toEqual(plain.embeddings.map((vector) => vector.map(Math.fround)))
        expect((yield* ask(64, { embedding_type: "ubinary" })).embeddings[0]).toHaveLength(8)
      }).pipe(Effect.provide(providers.jina()))
    })
  )

  it("say what vectors are for in their own words", () => {
    const request = (purpose: Embedding["purpose"]) => new Embedding({ input: ["a"], purpose, dimensions: 8 })
    const table = [
      ["query", "query", "retrieval.query"],
      ["document", "document", "retrieval.passage"],
      ["classification", undefined, "classification"],
      ["clustering", undefined, "separation"],
      [undefined, undefined, undefined]
    ] as const
    for (const [purpose, voyage, jina] of table) {
      const common = { model: "m", input: ["a"] }
      expect(bodyOf(Voyage.wire, request(purpose))).toEqual({
        ...common,
        output_dimension: 8,
        ...(voyage && { input_type: voyage })
      })
      expect(bodyOf(Jina.wire, request(purpose))).toEqual({
        ...common,
        dimensions: 8,
        ...(jina && { task: jina })
      })
    }
  })

  it.live("have typed errors, and no chats", () =>
    Effect.gen(function* () {
      const table: ReadonlyArray<readonly [Simulator.Fault, LlmError.LlmError["_tag"]]> = [
        [{ kind: "status", status: 400 }, "InvalidRequestError"],
        [{ kind: "status", status: 401 }, "AuthError"],
        [{ kind: "status", status: 402 }, "QuotaExhaustedError"],
        [{ kind: "status", status: 403 }, "PermissionError"],
        [{ kind: "status", status: 422 }, "InvalidRequestError"],
        [{ kind: "status", status: 429 }, "RateLimitError"],
        [{ kind: "status", status: 503 }, "OverloadedError"],
        [{ kind: "errorBody" }, "ServerError"],
        [{ kind: "malformed" }, "NetworkError"]
      ]
      const request = new Rerank({ query: "q", documents })
      for (const against of [providers.voyage, providers.jina]) {
        for (const [fault, tag] of table) {
          const error = yield* Effect.flip(complete(request, once)).pipe(
            Effect.provide(against({ script: [{ fault, times: "always" }] }))
          )
          expect([fault, error._tag]).toEqual([fault, tag])
        }
        const chat = yield* Effect.flip(complete(Chat.prompt("x"), once)).pipe(Effect.provide(against()))
        expect(chat).toMatchObject({ _tag: "UnsupportedError", feature: "Chat" })
      }
    })
  )
})
