import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Layer, Stream } from "effect"
import {
  batch,
  Cache,
  Chat,
  complete,
  Embedding,
  Estimate,
  Message,
  Mock,
  Prices,
  Providers,
  RateLimiter,
  type Request,
  Rerank,
  Router,
  Strategy,
  Tokens,
  Tool
} from "floodgate"
import { countTokens } from "gpt-tokenizer/encoding/o200k_base"
import { cacheKey, sha256 } from "../src/internal/cacheKey.js"
import { KeySet } from "../src/internal/keySet.js"

const image = (detail?: "low") =>
  Message.image("https://x.example/a.png", detail === undefined ? {} : { detail })

describe("countTokens", () => {
  it.effect("is exact for text and OpenAI's models, with the frame of a conversation", () =>
    Effect.gen(function* () {
      const text = "Warum ist der Himmel blau? 为什么天空是蓝色的？ <|endoftext|> 12345"
      const counted = yield* Tokens.countTokens(text, "gpt-4o-mini")
      assert.deepStrictEqual(counted, {
        tokens: countTokens(text, { disallowedSpecial: new Set() }),
        method: "tokenizer"
      })
      // OpenAI's own figure for one user message "hi": 8 tokens
      const hi = yield* Tokens.countTokens(Chat.prompt("hi"), "gpt-4o")
      assert.deepStrictEqual(hi, { tokens: 8, method: "tokenizer" })
    })
  )

  it.effect("says where it is an estimate, and is larger for tokenizers that make more of a text", () =>
    Effect.gen(function* () {
      const text = "The quick brown fox jumps over the lazy dog. ".repeat(20)
      const of = (model: string) => Tokens.countTokens(text, model)
      const [gpt, llama, sonnet45, opus5] = yield* Effect.all([
        of("gpt-4o"),
        of("llama-3.3-70b-versatile"),
        of("claude-sonnet-4-5"),
        of("claude-opus-5")
      ])
      assert.deepStrictEqual([gpt.method, llama.method], ["tokenizer", "estimate"])
      assert.isTrue(gpt.tokens < llama.tokens && llama.tokens < sonnet45.tokens)
      assert.isTrue(sonnet45.tokens < opus5.tokens)
      const seen = yield* Tokens.countTokens(Chat.prompt([Message.text("What is this?"), image()]), "gpt-4o")
      assert.strictEqual(seen.method, "estimate")
      assert.isAbove(seen.tokens, 500)
    })
  )
})

describe("bounds", () => {
  const anyChat = FastCheck.record({
    messages: FastCheck.array(
      FastCheck.record({
        role: FastCheck.constantFrom("user" as const, "system" as const),
        content: FastCheck.oneof(
          FastCheck.string({ maxLength: 200 }),
          FastCheck.string({ maxLength: 60, unit: "grapheme" })
        )
      }),
      { minLength: 1, maxLength: 5 }
    )
  }).map((fields) => new Chat(fields))

  it.effect("of input are never below the count, of any text", () =>
    Effect.gen(function* () {
      const counters = yield* Effect.forEach(["gpt-4o", "gpt-3.5-turbo"], Tokens.counter)
      FastCheck.assert(
        FastCheck.property(anyChat, (chat) => {
          for (const counter of counters) {
            assert.isTrue(counter.count(chat).tokens <= Tokens.atMost(chat))
          }
        }),
        { numRuns: 60 }
      )
    })
  )

  it("count tools, schemas, calls and what a provider alone knows", () => {
    const plain = Tokens.atMost(Chat.prompt("hi"))
    const tool = Tool.fromJsonSchema("f", { type: "object", properties: { a: { type: "string" } } })
    const json = JSON.stringify(tool.definition).length
    assert.isAtLeast(Tokens.atMost(Chat.prompt("hi", { tools: [tool.definition] })), plain + json)
    const schema = { type: "object", description: "x".repeat(1_000) }
    assert.isAtLeast(
      Tokens.atMost(Chat.prompt("hi", { responseFormat: { type: "jsonSchema", name: "s", schema } })),
      plain + 1_000
    )
    const called = new Chat({
      messages: [
        Message.user("hi"),
        Message.assistant(null, { toolCalls: [{ id: "1", name: "f", arguments: "y".repeat(500) }] })
      ]
    })
    assert.isAtLeast(Tokens.atMost(called), plain + 500)
    assert.isAtLeast(Tokens.atMost(Chat.prompt("hi", { extra: { note: "z".repeat(300) } })), plain + 300)
    // the query is read with each document
    const rerank = new Rerank({ query: "q".repeat(100), documents: ["a", "b", "c"] })
    assert.isAtLeast(Tokens.atMost(rerank), 303)
  })

  it("say where there is none, and take the whole window where a file may fill it", () => {
    const window = { contextWindow: 100_000 }
    const pdf = Chat.prompt([{ type: "file", data: "https://x.example/a.pdf" }])
    assert.strictEqual(Tokens.atMost(pdf), Number.POSITIVE_INFINITY)
    assert.strictEqual(Tokens.atMost(pdf, window), 100_000)
    const searching = Chat.prompt("hi", { tools: [{ type: "provider", value: { type: "web_search" } }] })
    assert.strictEqual(Tokens.atMost(searching, window), Number.POSITIVE_INFINITY)
    assert.strictEqual(
      Tokens.atMost(Chat.prompt("hi", { extra: { plugins: ["web"] } })),
      Number.POSITIVE_INFINITY
    )
    const seen = Tokens.atMost(Chat.prompt([image()]))
    assert.isTrue(seen > 48_169 && Number.isFinite(seen))
    const mp3 = { type: "audio" as const, data: "A".repeat(4_000), format: "mp3" }
    const heard = Tokens.atMost(Chat.prompt([mp3]))
    assert.isTrue(heard >= 96 && heard < 300)
    assert.strictEqual(Tokens.atMost(Chat.prompt([{ ...mp3, format: "ogg" }])), Number.POSITIVE_INFINITY)
  })

  it("of output are what the request allows, for each of its answers, or what the model can write", () => {
    const model = { maxOutputTokens: 4_096 }
    assert.strictEqual(Tokens.outputAtMost(Chat.prompt("hi", { maxTokens: 10, n: 3 }), model), 30)
    assert.strictEqual(Tokens.outputAtMost(Chat.prompt("hi"), model), 4_096)
    assert.strictEqual(Tokens.outputAtMost(Chat.prompt("hi")), Number.POSITIVE_INFINITY)
    assert.strictEqual(
      Tokens.outputAtMost(Chat.prompt("hi", { extra: { max_completion_tokens: 50 } }), model),
      50
    )
    const nested = { generationConfig: { maxOutputTokens: 60 } }
    assert.strictEqual(Tokens.outputAtMost(Chat.prompt("hi", { extra: nested }), model), 60)
    assert.strictEqual(Tokens.outputAtMost(new Embedding({ input: ["a"] }), model), 0)
  })

  it("of searches grow with the documents", () => {
    const units = (documents: ReadonlyArray<string>) =>
      Tokens.searchUnits(new Rerank({ query: "q", documents }))
    assert.deepStrictEqual(units(["a"]), { least: 1, most: 1 })
    assert.deepStrictEqual(units(Array.from({ length: 101 }, () => "a")), { least: 2, most: 2 })
    assert.deepStrictEqual(units(Array.from({ length: 50 }, () => "a".repeat(1_500))), { least: 1, most: 2 })
  })

  it("know whether a prompt may be written to the cache, which is dearer", () => {
    const at = Date.parse("2026-11-21T12:00:00Z")
    const claude = Prices.table.find({ provider: "anthropic", model: "claude-haiku-4-5", at }) as Prices.Price
    const sol = Prices.table.find({ provider: "openai", model: "gpt-6-sol", at }) as Prices.Price
    const marked = (promptCache: "5m" | "1h") => Chat.prompt([{ type: "text", text: "hi", promptCache }])
    assert.strictEqual(Tokens.boundsOf(Chat.prompt("hi"), claude).promptCache, "none")
    assert.strictEqual(Tokens.boundsOf(marked("5m"), claude).promptCache, "5m")
    assert.strictEqual(Tokens.boundsOf(marked("1h"), claude).promptCache, "1h")
    assert.strictEqual(Tokens.boundsOf(Chat.prompt("hi"), sol).promptCache, "5m")
  })
})

const endpoint = (model: string, provider = "openai") => ({
  provider,
  baseUrl: "http://localhost:1/v1",
  model
})

const services = (
  endpoints: Router.Options["endpoints"],
  options: { readonly limits?: RateLimiter.Limits; readonly cache?: Layer.Layer<Cache.Cache> } = {}
) =>
  Layer.mergeAll(
    Router.layer({ endpoints }),
    RateLimiter.layer({ domains: { "*": options.limits ?? {} } }),
    options.cache ?? Cache.layerMemory()
  )

const mini = services([endpoint("gpt-4o-mini")])

describe("estimate", () => {
  it.effect("counts requests, calls, tokens and dollars", () =>
    Effect.gen(function* () {
      const requests = [
        Chat.prompt("hi", { maxTokens: 100 }),
        Chat.prompt("hi", { maxTokens: 1_000 }),
        Chat.prompt("hi", { maxTokens: 100 })
      ]
      const found = yield* Estimate.estimate(requests).pipe(Effect.provide(mini))
      assert.deepInclude(found, {
        requests: 3,
        duplicates: 1,
        cached: 0,
        calls: 2,
        failing: 0,
        inputTokens: 16,
        isCounted: true,
        outputTokens: { low: 228, high: 1_100 },
        cost: {
          low: 16n * 150_000n + 228n * 600_000n,
          high: 16n * 150_000n + 1_100n * 600_000n
        },
        unlimited: 0,
        unpriced: 0,
        unpricedModels: [],
        seconds: undefined,
        priceVersion: Prices.table.version
      })
      assert.deepStrictEqual(
        found.models.map(({ calls, model }) => ({ calls, model })),
        [{ calls: 2, model: "gpt-4o-mini" }]
      )
    })
  )

  it.effect("equal requests are paid each where no cache answers them", () =>
    Effect.gen(function* () {
      const requests = Array.from({ length: 4 }, () => Chat.prompt("hi", { maxTokens: 8 }))
      const off = services([endpoint("gpt-4o-mini")], { cache: Cache.layerNone })
      const without = yield* Estimate.estimate(requests).pipe(Effect.provide(off))
      assert.deepInclude(without, { requests: 4, duplicates: 3, calls: 4 })
      const bypassed = yield* Estimate.estimate(requests, { cache: "bypass" }).pipe(Effect.provide(mini))
      assert.strictEqual(bypassed.calls, 4)
    })
  )

  it.effect(
    "leaves out what the cache has, sends nothing, and learns from the answers how long they are",
    () =>
      Effect.gen(function* () {
        let sent = 0
        const answer = Mock.response("x", { usage: { inputTokens: 5, outputTokens: 40 } })
        const layer = Layer.mergeAll(
          Layer.succeed(
            Providers.Providers,
            Providers.make([
              Providers.fromFunction("openai", () =>
                Effect.sync(() => {
                  sent++
                  return answer
                })
              )
            ])
          ),
          mini
        )
        const ask = (n: number) => Chat.prompt(`question ${n}`)
        yield* Effect.gen(function* () {
          yield* batch(Array.from({ length: 20 }, (_, n) => ask(n)))
          const all = Array.from({ length: 25 }, (_, n) => ask(n))
          const found = yield* Estimate.estimate(all)
          assert.deepInclude(found, { requests: 25, cached: 20, calls: 5, unlimited: 5 })
          assert.deepStrictEqual(found.outputTokens, { low: 5 * 40, high: 5 * 2_048 })
          const told = yield* Estimate.estimate(all, { typicalAnswer: 7, longestAnswer: 9 })
          assert.deepStrictEqual(told.outputTokens, { low: 35, high: 45 })
          const replayed = yield* Estimate.estimate(all, { cache: "replay" })
          assert.deepInclude(replayed, { requests: 25, cached: 20, calls: 0, failing: 5 })
          const refreshed = yield* Estimate.estimate(all, { cache: "refresh" })
          assert.strictEqual(refreshed.calls, 25)
        }).pipe(Effect.provide(layer))
        assert.strictEqual(sent, 20)
      })
  )

  it.effect("texts of one embedding are questions of their own", () =>
    Effect.gen(function* () {
      const found = yield* Estimate.estimate(
        Stream.make(new Embedding({ input: ["a", "b"] }), new Embedding({ input: ["b", "c"] }))
      ).pipe(Effect.provide(services([endpoint("text-embedding-3-small")])))
      assert.deepInclude(found, { requests: 2, duplicates: 0, calls: 2, inputTokens: 3 })
      assert.strictEqual(found.cost.low, 3n * 20_000n)
    })
  )

  it.effect("names models without a price, and what cannot be read; neither is guessed at", () =>
    Effect.gen(function* () {
      const requests = [
        Chat.prompt("hi", { model: "llama3", maxTokens: 5 }),
        Chat.prompt("hi", { model: "gpt-4o-mini", maxTokens: 5 }),
        // a user's mistake, as a file may hold it
        { messages: [], temprature: 1 } as Request.RequestInput
      ]
      const layer = services([endpoint("llama3", "ollama"), endpoint("gpt-4o-mini")])
      const found = yield* Estimate.estimate(requests).pipe(Effect.provide(layer))
      assert.deepInclude(found, { requests: 3, failing: 1, calls: 2, unpriced: 1, isCounted: false })
      assert.deepStrictEqual(found.unpricedModels, ["ollama/llama3"])
      assert.strictEqual(found.cost.high, 8n * 150_000n + 5n * 600_000n)
      const free = yield* Estimate.estimate(requests).pipe(
        Effect.provide(Layer.merge(layer, Prices.layer({ add: { "ollama/*": Prices.free } })))
      )
      assert.deepInclude(free, { unpriced: 0, unpricedModels: [] })
      assert.deepStrictEqual(free.cost, found.cost)
    })
  )

  it.effect("is from the cheapest to the dearest where several models may answer", () =>
    Effect.gen(function* () {
      const layer = services([endpoint("gpt-4o"), endpoint("gpt-4o-mini")])
      const found = yield* Estimate.estimate([Chat.prompt("hi", { maxTokens: 128 })]).pipe(
        Effect.provide(layer)
      )
      assert.deepStrictEqual(found.cost, {
        low: 8n * 150_000n + 128n * 600_000n,
        high: 8n * 2_500_000n + 128n * 10_000_000n
      })
      assert.strictEqual(found.models[0]?.model, "gpt-4o+gpt-4o-mini")
    })
  )

  it.effect("takes as long as the tightest limit of all domains together demands", () =>
    Effect.gen(function* () {
      const requests = Array.from({ length: 60 }, (_, n) => Chat.prompt(`q ${n}`, { maxTokens: 128 }))
      const of = (endpoints: Router.Options["endpoints"], limits: RateLimiter.Limits) =>
        Estimate.estimate(requests).pipe(Effect.provide(services(endpoints, { limits })))
      const one = yield* of([endpoint("gpt-4o-mini")], { requestsPerMinute: 6, tokensPerMinute: 1_000_000 })
      assert.deepStrictEqual(one.seconds, { low: 600, high: 600 })
      assert.strictEqual(one.limitedBy, "requestsPerMinute")
      const twice = [endpoint("gpt-4o-mini"), { ...endpoint("gpt-4o-mini"), domain: "other" }] as const
      assert.deepStrictEqual((yield* of(twice, { requestsPerMinute: 6 })).seconds, { low: 300, high: 300 })
      const tokens = yield* of([endpoint("gpt-4o-mini")], { outputTokensPerMinute: 1_280 })
      assert.deepStrictEqual(tokens.seconds, { low: 360, high: 360 })
      const day = yield* of([endpoint("gpt-4o-mini")], { requestsPerDay: 30 })
      assert.deepStrictEqual(day.seconds, { low: 86_400, high: 86_400 })
    })
  )

  it.effect("takes the tier and the longest answer of an endpoint's own parameters", () =>
    Effect.gen(function* () {
      const at = (
        id: string,
        parameters: NonNullable<Router.Options["endpoints"][number]["parameters"]>
      ) => ({
        ...{ id, parameters },
        ...endpoint("tiered")
      })
      const layer = Layer.merge(
        services([
          at("slow", { serviceTier: "flex", maxTokens: 100 }),
          at("fast", { serviceTier: "priority", maxTokens: 1_000 })
        ]),
        Prices.layer({
          add: { "openai/tiered": { input: 1, output: 1, tiers: { flex: [1, 2], priority: [2, 1] } } }
        })
      )
      const of = (request: Request.Request) => Effect.provide(Estimate.estimate([request]), layer)
      const found = yield* of(Chat.prompt("hi"))
      const input = BigInt(found.inputTokens)
      assert.deepStrictEqual(found.outputTokens, { low: 100, high: 1_000 })
      assert.strictEqual(found.unlimited, 0)
      assert.strictEqual(found.cost.low, ((input + 100n) * 1_000_000n) / 2n)
      // the count is an estimate
      const most = BigInt(Math.ceil(found.inputTokens * 1.2))
      assert.strictEqual(found.cost.high, (most + 1_000n) * 2_000_000n)
      assert.deepStrictEqual(found.doubts, [])
      // what the request says itself goes before it, and one that has no price is counted in full, and said so
      const own = yield* of(Chat.prompt("hi", { extra: { service_tier: "scale" }, maxTokens: 100 }))
      assert.strictEqual(own.cost.low, (input + 100n) * 1_000_000n)
      assert.deepStrictEqual(own.doubts, [
        'openai/tiered: no price for the service tier "scale": counted at the full price'
      ])
    })
  )

  it.effect("never has a low above its high, whatever is asked", () =>
    Effect.gen(function* () {
      const models = ["gpt-4o-mini", "gpt-5.4", "gpt-3.5-turbo"]
      const layer = services([endpoint("gpt-4o-mini"), endpoint("gpt-5.4"), endpoint("gpt-3.5-turbo")])
      for (const seed of [1, 2]) {
        const requests = FastCheck.sample(
          FastCheck.record({
            prompt: FastCheck.string({ maxLength: 80 }),
            model: FastCheck.constantFrom(...models),
            maxTokens: FastCheck.integer({ min: 1, max: 5_000 }),
            serviceTier: FastCheck.constantFrom("default", "flex", "priority")
          }).map(({ prompt, ...rest }) => Chat.prompt(prompt, rest)),
          { numRuns: 60, seed }
        )
        const { cost, outputTokens } = yield* Estimate.estimate(requests).pipe(Effect.provide(layer))
        assert.isTrue(cost.low <= cost.high)
        assert.isTrue(outputTokens.low <= outputTokens.high)
      }
    })
  )

  it.effect("is told in 80 columns", () =>
    Effect.gen(function* () {
      const layer = services(
        [
          endpoint("gpt-4o-mini"),
          endpoint("gpt-5.6-terra"),
          endpoint(
            "some-organisation/a-very-long-name-of-a-model-that-nobody-can-remember-70b-instruct",
            "vllm"
          )
        ],
        { limits: { requestsPerMinute: 500 } }
      )
      const requests = [
        "gpt-4o-mini",
        "gpt-5.6-terra",
        "some-organisation/a-very-long-name-of-a-model-that-nobody-can-remember-70b-instruct"
      ].flatMap((model) => Array.from({ length: 40 }, (_, n) => Chat.prompt(`question ${n}`, { model })))
      const text = Estimate.table(
        yield* Estimate.estimate([...requests, ...requests]).pipe(Effect.provide(layer))
      )
      for (const line of text.split("\n")) assert.isAtMost(line.length, 80, line)
      assert.match(text, /^240 requests, 120 duplicates, 120 calls to make$/m)
      assert.match(text, /^model +calls +input +output +cost$/m)
      assert.match(text, /^gpt-4o-mini +40 +4\d\d +5,120 – 81\.9k +\$0\.00\d+ – \$0\.04\d+$/m)
      assert.match(text, /no price$/m)
      assert.match(text, /^total +120/m)
      assert.match(text, /^Time: \d+ (s|min)/m)
      assert.match(text, /^Doubtful: openai\/gpt-5\.6-terra: second-hand price/m)
    })
  )
})

describe("the set of keys", () => {
  it("holds each key once, over all its growth", () => {
    const set = new KeySet()
    const keys = Array.from({ length: 4_000 }, (_, n) => sha256(`${n}`))
    for (const key of keys) assert.isTrue(set.add(key))
    for (const key of keys) assert.isFalse(set.add(key))
    assert.strictEqual(set.size, 4_000)
    assert.isFalse(set.add(keys[17] ?? ""))
    assert.isTrue(set.add(cacheKey({ request: Chat.prompt("hi", { model: "m" }), source: "local" })))
  })
})

describe("lowestCost", () => {
  it.effect("goes by the table where an endpoint states no price", () =>
    Effect.gen(function* () {
      const asked: Array<string | undefined> = []
      const layer = (dear: Router.Options["endpoints"][number]) =>
        Layer.mergeAll(
          Layer.succeed(
            Providers.Providers,
            Providers.make([
              Providers.fromFunction("openai", (_, { model }) =>
                Effect.sync(() => {
                  asked.push(model)
                  return Mock.response("x")
                })
              )
            ])
          ),
          Router.layer({ endpoints: [dear, endpoint("gpt-4o-mini")], strategy: Strategy.lowestCost() }),
          RateLimiter.layerUnlimited,
          Cache.layerNone
        )
      yield* complete(Chat.prompt("hi")).pipe(Effect.provide(layer(endpoint("gpt-4o"))))
      const stated = { ...endpoint("gpt-4o"), price: { input: 0.01, output: 0.01 } }
      yield* complete(Chat.prompt("hi")).pipe(Effect.provide(layer(stated)))
      const own = Prices.layer({ override: { "openai/gpt-4o": { input: 0.01, output: 0.01 } } })
      yield* complete(Chat.prompt("hi")).pipe(
        Effect.provide(Layer.provideMerge(layer(endpoint("gpt-4o")), own))
      )
      assert.deepStrictEqual(asked, ["gpt-4o-mini", "gpt-4o", "gpt-4o"])
    })
  )
})
