import { readdirSync, readFileSync } from "node:fs"
import * as AiChat from "@effect/ai/Chat"
import * as EmbeddingModel from "@effect/ai/EmbeddingModel"
import * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Prompt from "@effect/ai/Prompt"
import type * as AiResponse from "@effect/ai/Response"
import * as AiTool from "@effect/ai/Tool"
import * as AiToolkit from "@effect/ai/Toolkit"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import {
  Cache,
  type Chat,
  LlmError,
  type Message,
  Mock,
  Providers,
  RateLimiter,
  Response,
  Router,
  StreamPart,
  Throttle
} from "floodgate"
import * as EffectAi from "floodgate/EffectAi"

/** A model that answers with these, one after the other, and what it was asked. */
const answering = (...answers: ReadonlyArray<Mock.Answer>) => {
  const seen: Array<Chat> = []
  const services = Mock.layer((request) => {
    seen.push(request)
    return answers[Math.min(seen.length, answers.length) - 1] ?? ""
  })
  const layer = (options?: EffectAi.LanguageModelOptions) =>
    Layer.provide(EffectAi.layerLanguageModel(options), services)
  return { seen, services, layer }
}

const call = (id: string, name: string, args: string, signature?: string): Message.ToolCall => ({
  id,
  name,
  arguments: args,
  ...(signature === undefined ? undefined : { signature })
})

const calls = (...toolCalls: ReadonlyArray<Message.ToolCall>) =>
  Mock.response("", { toolCalls, finishReason: "tool_calls" })

const Add = AiTool.make("add", {
  description: "Adds two numbers.",
  parameters: { a: Schema.NumberFromString, b: Schema.Number },
  success: Schema.Struct({ sum: Schema.Number }),
  failure: Schema.Struct({ reason: Schema.String }),
  failureMode: "return"
})

const Tools = AiToolkit.make(Add)
const handlers = Tools.toLayer({
  add: ({ a, b }) => (a < 0 ? Effect.fail({ reason: "too small" }) : Effect.succeed({ sum: a + b }))
})

describe("generateText", () => {
  it.effect("asks with the parameters, and tells all of the answer", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering(
        Mock.response("Blue.", {
          id: "r1",
          finishReason: "length",
          rawFinishReason: "max_tokens",
          reasoning: "Hm.",
          usage: { inputTokens: 7, outputTokens: 5, reasoningTokens: 2, cacheReadTokens: 3 }
        })
      )
      const response = yield* LanguageModel.generateText({
        prompt: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Which colour has the sky?" }
        ]
      }).pipe(
        Effect.provideService(EffectAi.CurrentParameters, { temperature: 0 }),
        Effect.provide(layer({ model: "m-1", parameters: { maxTokens: 5, temperature: 1 } }))
      )
      expect(seen).toMatchObject([
        {
          model: "m-1",
          maxTokens: 5,
          temperature: 0,
          messages: [
            { role: "system", content: "Be brief." },
            { role: "user", content: "Which colour has the sky?" }
          ]
        }
      ])
      expect(Object.keys(seen[0] ?? {}).sort()).toEqual([
        "_tag",
        "maxTokens",
        "messages",
        "model",
        "temperature"
      ])
      expect(response).toMatchObject({ text: "Blue.", reasoningText: "Hm.", finishReason: "length" })
      expect({ ...response.usage }).toEqual({
        inputTokens: 7,
        outputTokens: 5,
        totalTokens: 12,
        reasoningTokens: 2,
        cachedInputTokens: 3
      })
      expect(response.content).toMatchObject([
        { type: "response-metadata", id: Option.some("r1"), modelId: Option.some("mock") },
        { type: "reasoning" },
        { type: "text" },
        {
          type: "finish",
          metadata: {
            floodgate: { provider: "mock", rawFinishReason: "max_tokens", attempts: 1, cached: false }
          }
        }
      ])
    })
  )

  it.effect("sends files, and what the conversation was", () =>
    Effect.gen(function* () {
      const png = Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "base64"
      )
      const { layer, seen } = answering("ok")
      yield* Effect.provide(
        LanguageModel.generateText({
          prompt: [
            { role: "system", content: "S", options: { floodgate: { promptCache: "1h" } } },
            {
              role: "user",
              content: [
                { type: "text", text: "Look:", options: { other: { any: "thing" } } },
                { type: "file", mediaType: "image/jpeg", data: new Uint8Array([1, 2, 3]) },
                {
                  type: "file",
                  mediaType: "image/png",
                  data: new URL("https://example.com/a.png"),
                  options: { floodgate: { detail: "low", promptCache: "5m" } }
                },
                { type: "file", mediaType: "image/*", data: new Uint8Array(png) },
                { type: "file", mediaType: "application/pdf", fileName: "a.pdf", data: "JVBERg==" },
                { type: "file", mediaType: "audio/mpeg", data: new Uint8Array([4]) }
              ]
            },
            {
              role: "assistant",
              content: [
                { type: "reasoning", text: "somebody else's" },
                { type: "text", text: "One " },
                { type: "text", text: "moment." },
                { type: "tool-call", id: "c1", name: "add", params: { a: "1", b: 2 } }
              ]
            },
            {
              role: "tool",
              content: [
                {
                  type: "tool-result",
                  id: "c1",
                  name: "add",
                  isFailure: true,
                  result: { reason: "no" },
                  providerExecuted: false
                }
              ]
            }
          ]
        }),
        layer()
      )
      expect(seen[0]?.messages).toEqual([
        { role: "system", content: [{ type: "text", text: "S", promptCache: "1h" }] },
        {
          role: "user",
          content: [
            { type: "text", text: "Look:" },
            { type: "image", url: "data:image/jpeg;base64,AQID" },
            { type: "image", url: "https://example.com/a.png", detail: "low", promptCache: "5m" },
            { type: "image", url: `data:image/png;base64,${png.toString("base64")}` },
            { type: "file", data: "data:application/pdf;base64,JVBERg==", filename: "a.pdf" },
            { type: "audio", data: "BA==", format: "mp3" }
          ]
        },
        {
          role: "assistant",
          content: "One moment.",
          toolCalls: [{ id: "c1", name: "add", arguments: `{"a":"1","b":2}` }]
        },
        { role: "tool", toolCallId: "c1", content: `{"reason":"no"}`, name: "add", isError: true }
      ])
    })
  )

  it.effect("has @effect/ai run the tools that the model calls", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering(
        calls(call("c1", "add", `{"a":"1","b":2}`), call("c2", "add", `{"a":"-1","b":2}`))
      )
      const response = yield* LanguageModel.generateText({ prompt: "1 + 2?", toolkit: Tools }).pipe(
        Effect.provide(layer()),
        Effect.provide(handlers)
      )
      expect(seen[0]?.tools).toMatchObject([
        {
          type: "function",
          name: "add",
          description: "Adds two numbers.",
          parameters: { type: "object", required: ["a", "b"] }
        }
      ])
      expect(seen[0]?.toolChoice).toBeUndefined()
      expect(response.finishReason).toBe("tool-calls")
      expect(response.toolCalls).toMatchObject([
        { id: "c1", params: { a: 1, b: 2 } },
        { id: "c2", params: { a: -1, b: 2 } }
      ])
      expect(response.toolResults).toMatchObject([
        { id: "c1", result: { sum: 3 }, isFailure: false },
        { id: "c2", result: { reason: "too small" }, isFailure: true }
      ])
    })
  )

  it.effect("chooses among tools as it is told", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering("")
      const choices = [
        "none",
        "required",
        { tool: "add" },
        { oneOf: ["add"] },
        { mode: "required", oneOf: [] }
      ] as const
      yield* Effect.forEach(choices, (toolChoice) =>
        LanguageModel.generateText({ prompt: "?", toolkit: Tools, toolChoice })
      ).pipe(Effect.provide(layer()), Effect.provide(handlers))
      expect(seen.map(({ toolChoice, tools }) => [toolChoice, tools?.length])).toEqual([
        ["none", 1],
        ["required", 1],
        [{ type: "function", name: "add" }, 1],
        [undefined, 1],
        [undefined, undefined]
      ])
    })
  )

  it.effect("gives providers their proofs back, through histories that lose them and such that do not", () =>
    Effect.gen(function* () {
      const thought = { text: "Let me add.", signature: "proof", provider: "p", item: { type: "x" } }
      const turn = Mock.response("Adding.", {
        id: "r1",
        reasoning: thought.text,
        reasoningParts: [thought],
        toolCalls: [call("call_0", "add", `{ "a": "1", "b": 2 }`, "sig")],
        finishReason: "tool_calls"
      })
      const { layer, seen } = answering(turn, "3", turn, "3")
      const proven = {
        reasoning: [thought],
        toolCalls: [{ id: expect.stringMatching(/^call_0_[\w-]{16}$/), signature: "sig" }]
      }
      yield* Effect.gen(function* () {
        const chat = yield* AiChat.empty
        yield* chat.generateText({ prompt: "1 + 2?", toolkit: Tools, disableToolCallResolution: true })
        const exported = yield* chat.exportJson
        yield* chat.generateText({ prompt: [] })
        expect(exported).not.toContain("proof")

        const { content } = yield* LanguageModel.generateText({ prompt: "1 + 2?", toolkit: Tools })
        const kept = content.flatMap((part): Array<Prompt.AssistantMessagePartEncoded> => {
          switch (part.type) {
            case "text":
              return [{ type: "text", text: part.text }]
            case "reasoning":
              return [{ type: "reasoning", text: part.text, options: part.metadata }]
            case "tool-call":
              return [{ ...part, params: { a: "1", b: 2 }, options: part.metadata }]
            default:
              return []
          }
        })
        yield* LanguageModel.generateText({ prompt: [{ role: "assistant", content: kept }] })
      }).pipe(Effect.provide(layer()), Effect.provide(handlers))
      expect(seen[1]?.messages.find(({ role }) => role === "assistant")).toMatchObject(proven)
      expect(seen[3]?.messages[0]).toMatchObject(proven)
    })
  )

  it.effect("is answered out of the cache the second time", () =>
    Effect.gen(function* () {
      const { seen, services } = answering("4")
      const layer = Layer.provide(EffectAi.layerLanguageModel(), Layer.merge(services, Cache.layerMemory()))
      const ask = LanguageModel.generateText({ prompt: "2 + 2?" })
      const [first, second] = yield* Effect.provide(Effect.all([ask, ask]), layer)
      expect([first.text, second.text, seen.length]).toEqual(["4", "4", 1])
      expect([first, second].map(({ content }) => content.at(-1)?.metadata.floodgate)).toMatchObject([
        { cached: false, attempts: 1 },
        { cached: true, attempts: 0 }
      ])
    })
  )
})

it("is an entry point of its own: nothing else needs @effect/ai", () => {
  const src = new URL("../src/", import.meta.url)
  const others = readdirSync(src, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !/effectAi|EffectAi/.test(file)
  )
  expect(others.length).toBeGreaterThan(50)
  const naming = others.filter((file) =>
    /from ".*(@effect\/ai|effectAi|EffectAi)/.test(readFileSync(new URL(file, src), "utf8"))
  )
  expect(naming).toEqual([])
})

describe("errors", () => {
  const failing = (error: LlmError.LlmError) =>
    Effect.flip(
      Effect.provide(LanguageModel.generateText({ prompt: "Hi" }), answering(Effect.fail(error)).layer())
    )

  it.effect("have their cause, with all it says", () =>
    Effect.gen(function* () {
      const told = { provider: "p", message: "bad", status: 400, requestId: "q1" }
      const expected = [
        [new LlmError.InvalidRequestError(told), "MalformedInput"],
        [new LlmError.ContextLengthError(told), "MalformedInput"],
        [new LlmError.InvalidOutputError({ ...told, text: "" }), "MalformedOutput"],
        [new LlmError.QuotaExhaustedError(told), "UnknownError"],
        [new LlmError.AuthError(told), "UnknownError"]
      ] as const
      for (const [cause, tag] of expected) {
        const error = yield* failing(cause)
        expect(error).toMatchObject({ _tag: tag, description: `${cause._tag}: bad` })
        expect(EffectAi.llmError(error)).toEqual(Option.some(cause))
      }
    })
  )

  it.effect("name what a chat has no counterpart for, before anything is sent", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering("ok")
      const search = AiTool.providerDefined({
        id: "p.search",
        toolkitName: "Search",
        providerName: "search",
        args: {}
      })({})
      const result = {
        type: "tool-result",
        id: "s1",
        name: "search",
        isFailure: false,
        result: {},
        providerExecuted: true
      } as const
      const searching = LanguageModel.generateText({ prompt: "?", toolkit: AiToolkit.make(search) })
      const searched = LanguageModel.generateText({ prompt: [{ role: "assistant", content: [result] }] })
      const refused = Effect.all([Effect.flip(searching), Effect.flip(searched)])
      for (const error of yield* Effect.provide(refused, layer())) {
        expect(error).toMatchObject({ _tag: "MalformedInput", description: expect.stringContaining("earch") })
      }
      const unknown = { type: "text", text: "Hi", options: { floodgate: { detial: "low" } } } as never
      const error = yield* Effect.flip(
        Effect.provide(
          LanguageModel.generateText({ prompt: [{ role: "user", content: [unknown] }] }),
          layer()
        )
      )
      expect(error).toMatchObject({ description: expect.stringContaining("detial") })
      expect(seen).toEqual([])
      yield* Effect.provide(Effect.all([searching, searched]), layer({ parameters: { unsupported: "drop" } }))
      expect(seen.map(({ tools }) => tools)).toEqual([undefined, undefined])
    })
  )

  it.effect("say what is wrong with our own options and parameters", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering("ok")
      const text = { type: "text", text: "Hi", options: { floodgate: { promptCache: "9m" } } } as never
      const failures = yield* Effect.all(
        [
          LanguageModel.generateText({ prompt: [{ role: "user", content: [text] }] }),
          Effect.provideService(LanguageModel.generateText({ prompt: "Hi" }), EffectAi.CurrentParameters, {
            temprature: 0
          } as EffectAi.Parameters)
        ].map(Effect.flip)
      ).pipe(Effect.provide(layer()))
      expect(failures.map(({ _tag }) => _tag)).toEqual(["MalformedInput", "MalformedInput"])
      expect(failures.map((error) => "description" in error && error.description)).toEqual([
        expect.stringContaining("promptCache"),
        expect.stringContaining("temprature")
      ])
      expect(seen).toEqual([])
    })
  )

  it.effect("say which tool was called with what cannot be read", () =>
    Effect.gen(function* () {
      const { layer } = answering(
        calls({ ...call("c1", "add", "{oops"), invalid: "the arguments are not JSON" })
      )
      const error = yield* LanguageModel.generateText({ prompt: "?", toolkit: Tools }).pipe(
        Effect.flip,
        Effect.provide(layer()),
        Effect.provide(handlers)
      )
      expect(error).toMatchObject({
        _tag: "MalformedOutput",
        description: expect.stringMatching(/"add".*not JSON/)
      })
    })
  )
})

class City extends Schema.Class<City>("app/City")({
  name: Schema.String,
  founded: Schema.optional(Schema.NumberFromString)
}) {}

describe("generateObject", () => {
  it.effect("decodes the answer, without the nulls of strict modes", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering(`Here: {"name":"Rome","founded":null}`)
      const { value } = yield* Effect.provide(
        LanguageModel.generateObject({ prompt: "Rome?", schema: City }),
        layer()
      )
      expect(value).toEqual(new City({ name: "Rome" }))
      expect(seen[0]?.responseFormat).toMatchObject({ type: "jsonSchema", name: "app_City", adapt: true })
    })
  )

  it.effect("gives one of several objects", () =>
    Effect.gen(function* () {
      const { layer, seen } = answering(`{"value":{"river":"Tiber"}}`)
      const schema = Schema.Union(Schema.Struct({ river: Schema.String }), City)
      const ask = LanguageModel.generateObject({ prompt: "Rome?", schema })
      expect((yield* Effect.provide(ask, layer())).value).toEqual({ river: "Tiber" })
      expect(seen[0]?.responseFormat).toMatchObject({ schema: { type: "object", required: ["value"] } })
    })
  )

  it.effect("is asked for again where it does not fit, so often and no more", () =>
    Effect.gen(function* () {
      const good = answering(`{"name":1}`, `{"name":"Rome","founded":"753"}`)
      const ask = LanguageModel.generateObject({ prompt: "Rome?", schema: City })
      const { usage, value } = yield* Effect.provide(ask, good.layer())
      expect(value).toEqual(new City({ name: "Rome", founded: 753 }))
      expect([good.seen.length, usage.outputTokens]).toEqual([2, 2])

      const bad = answering(`{"name":1}`)
      const error = yield* Effect.flip(Effect.provide(ask, bad.layer({ corrections: 0 })))
      expect(error).toMatchObject({
        _tag: "MalformedOutput",
        description: expect.stringContaining("at name")
      })
      expect(bad.seen).toHaveLength(1)
    })
  )

  it.effect("leaves a schema that needs services to @effect/ai", () =>
    Effect.gen(function* () {
      class Factor extends Context.Tag("Factor")<Factor, number>() {}
      const Scaled = Schema.transformOrFail(Schema.Number, Schema.Number, {
        decode: (n) => Effect.map(Factor, (factor) => n * factor),
        encode: (n) => Effect.succeed(n)
      })
      const { layer, seen } = answering(`{"n":2,"note":null}`)
      const { value } = yield* LanguageModel.generateObject({
        prompt: "?",
        schema: Schema.Struct({ n: Scaled, note: Schema.optional(Schema.String) })
      }).pipe(Effect.provideService(Factor, 21), Effect.provide(layer()))
      expect(value).toEqual({ n: 42 })
      expect(seen).toHaveLength(1)
    })
  )
})

const { Finish, Reasoning, ReasoningEnd, Start, Text, ToolCall, Usage } = StreamPart.StreamPart

/** A model that streams these parts, time after time. */
const streaming = (parts: Stream.Stream<StreamPart.StreamPart, LlmError.LlmError>) => {
  const seen: Array<Chat> = []
  const provider: Providers.Provider = {
    name: "p",
    attempt: () => Effect.dieMessage("not streamed"),
    stream: (request) =>
      Effect.sync(() => {
        seen.push(request as Chat)
        return { parts: Either.right(parts), throttle: Throttle.none }
      })
  }
  const services = Layer.mergeAll(
    Layer.succeed(Providers.Providers, Providers.make([provider])),
    Router.layer({ endpoints: [{ provider: "p", baseUrl: "p://", model: "m" }] }),
    RateLimiter.layerUnlimited,
    Cache.layerMemory()
  )
  return { seen, layer: Layer.provide(EffectAi.layerLanguageModel(), services) }
}

describe("streamText", () => {
  const thought = { text: "Hmm.", signature: "proof", provider: "p" }
  const whole = Stream.make(
    Start({ id: "a1", model: "m-1" }),
    Reasoning({ text: "Hm" }),
    Reasoning({ text: "m." }),
    ReasoningEnd({ part: thought }),
    Text({ text: "Add" }),
    Text({ text: "ing." }),
    ToolCall({ index: 0, id: "c1", name: "add", arguments: "" }),
    ToolCall({ index: 0, arguments: `{"a":"1",` }),
    ToolCall({ index: 0, arguments: `"b":2}` }),
    Usage({ usage: { inputTokens: 3, outputTokens: 2 } }),
    Finish({ finishReason: "tool_calls", rawFinishReason: "tool_use" })
  )
  const typesOf = (parts: Chunk.Chunk<{ readonly type: string }>) =>
    Chunk.toReadonlyArray(parts).map(({ type }) => type)

  it.effect("gives the parts as they come, runs tools, and remembers the proofs of the turn", () =>
    Effect.gen(function* () {
      const { layer, seen } = streaming(whole)
      yield* Effect.gen(function* () {
        const chat = yield* AiChat.empty
        const parts = yield* Stream.runCollect(chat.streamText({ prompt: "1 + 2?", toolkit: Tools }))
        expect(typesOf(parts)).toEqual([
          "response-metadata",
          "reasoning-start",
          "reasoning-delta",
          "reasoning-delta",
          "reasoning-end",
          "text-start",
          "text-delta",
          "text-delta",
          "text-end",
          "tool-params-start",
          "tool-params-delta",
          "tool-params-delta",
          "tool-params-end",
          "tool-call",
          "finish",
          "tool-result"
        ])
        const all: ReadonlyArray<AiResponse.StreamPart<AiToolkit.Tools<typeof Tools>>> =
          Chunk.toReadonlyArray(parts)
        expect(all.find((part) => part.type === "reasoning-end")?.metadata.floodgate).toEqual(thought)
        expect(all.find((part) => part.type === "tool-result")?.result).toEqual({ sum: 3 })
        expect(all.find((part) => part.type === "finish")).toMatchObject({
          reason: "tool-calls",
          usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
          metadata: { floodgate: { rawFinishReason: "tool_use" } }
        })
        yield* Stream.runDrain(chat.streamText({ prompt: [], toolkit: Tools }))
      }).pipe(Effect.provide(layer), Effect.provide(handlers))
      expect(seen[1]?.messages.slice(1)).toEqual([
        {
          role: "assistant",
          content: "Adding.",
          reasoning: [thought],
          toolCalls: [{ id: "c1", name: "add", arguments: `{"a":"1","b":2}` }]
        },
        { role: "tool", toolCallId: "c1", content: `{"sum":3}`, name: "add" }
      ])
    })
  )

  it.effect("is given at once out of the cache, with the same text", () =>
    Effect.gen(function* () {
      const { layer, seen } = streaming(Stream.filter(whole, ({ _tag }) => _tag !== "ToolCall"))
      const text = LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.runFold("", (sum, part) => (part.type === "text-delta" ? sum + part.delta : sum))
      )
      expect(yield* Effect.provide(Effect.all([text, text]), layer)).toEqual(["Adding.", "Adding."])
      expect(seen).toHaveLength(1)
    })
  )

  it.effect("fails as it broke", () =>
    Effect.gen(function* () {
      const broken = new LlmError.NetworkError({ provider: "p", message: "reset" })
      const { layer } = streaming(Stream.concat(Stream.make(Text({ text: "Hel" })), Stream.fail(broken)))
      const error = yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.runDrain,
        Effect.flip,
        Effect.provide(layer)
      )
      expect(EffectAi.llmError(error)).toEqual(Option.some(broken))
    })
  )
})

describe("embeddings", () => {
  const embedding = (cache: Layer.Layer<Cache.Cache>) => {
    const seen: Array<ReadonlyArray<string>> = []
    const services = Mock.layer(() => "", {
      embedding: ({ input, model }) => {
        seen.push(input)
        return new Response.EmbeddingResponse({
          embeddings: input.map((text) => [text.length, 1]),
          usage: { inputTokens: input.length, outputTokens: 0 },
          model: model ?? "",
          provider: "mock",
          meta: { attempts: 1, cached: false, latencyMs: 0 }
        })
      }
    })
    const layer = EffectAi.layerEmbeddingModel({ model: "e-1" }).pipe(
      Layer.provide(Layer.merge(services, cache))
    )
    return { seen, layer }
  }

  it.live("are shared by those who ask together, and kept text by text", () =>
    Effect.gen(function* () {
      const { layer, seen } = embedding(Cache.layerMemory())
      yield* Effect.gen(function* () {
        const model = yield* EmbeddingModel.EmbeddingModel
        const texts = ["a", "bb", "ccc"]
        const apart = yield* Effect.forEach(texts, (text) => model.embed(text), { concurrency: "unbounded" })
        expect(apart).toEqual([
          [1, 1],
          [2, 1],
          [3, 1]
        ])
        expect(yield* model.embedMany(["bb", "dddd"])).toEqual([
          [2, 1],
          [4, 1]
        ])
        expect(yield* model.embedMany([])).toEqual([])
      }).pipe(Effect.provide(layer))
      expect(seen).toEqual([["a", "bb", "ccc"], ["dddd"]])
    })
  )

  it.live("fail with their cause", () =>
    Effect.gen(function* () {
      const layer = Layer.provide(
        EffectAi.layerEmbeddingModel(),
        Mock.layer(() => "")
      )
      const error = yield* EmbeddingModel.EmbeddingModel.pipe(
        Effect.flatMap((model) => model.embed("a")),
        Effect.flip,
        Effect.provide(layer)
      )
      expect(error._tag).toBe("MalformedInput")
      expect(Option.map(EffectAi.llmError(error), ({ _tag }) => _tag)).toEqual(
        Option.some("UnsupportedError")
      )
    })
  )
})
