import { assert, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import {
  Cache,
  Chat,
  Completion,
  collect,
  complete,
  Embedding,
  Endpoint,
  HttpClientPool,
  Message,
  OpenAiCompatible,
  Providers,
  RateLimiter,
  type Request,
  Rerank,
  Response,
  Retry,
  Router,
  stream
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import * as Features from "../../src/internal/features.js"

const { deepSeek, fireworks, groq, llamaCpp, lmStudio, nvidia, ollama, openRouter, together, vllm, xai } =
  OpenAiCompatible

const once = { retry: Retry.never }

/** All servers on one simulator; a request's `model` is asked of the provider in front of its slash. */
const against = (options: Simulator.Options = {}) =>
  Layer.mergeAll(
    Layer.provide(
      Providers.layer([
        ...[deepSeek, groq, ollama, openRouter, together, vllm, xai].map(({ make }) => make),
        OpenAiCompatible.make()
      ]),
      HttpClientPool.layer()
    ),
    RateLimiter.layer(),
    Cache.layerNone
  ).pipe(Layer.provideMerge(Layer.orDie(Simulator.layer(options))))

const keyless = new Set(["vllm", "ollama", "openai-compatible"])

const routed = (provider: string) =>
  Layer.effect(
    Router.Router,
    Effect.map(Simulator.Simulator, ({ urls }) =>
      Router.make({
        endpoints: [
          {
            provider,
            baseUrl: urls[provider] ?? "",
            model: "m",
            ...(keyless.has(provider) ? undefined : { apiKey: Redacted.make("key-0123456789") })
          }
        ]
      })
    )
  )

const ask = (provider: string, chat: Chat) => complete(chat, once).pipe(Effect.provide(routed(provider)))
const askStream = (provider: string, chat: Chat) =>
  collect(stream(chat, once)).pipe(Effect.provide(routed(provider)))

const weather = {
  type: "function" as const,
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
}

const servers = ["deepseek", "groq", "ollama", "openrouter", "together", "vllm", "xai", "openai-compatible"]

describe("servers of OpenAI's wire", () => {
  it.scopedLive("are each read in their own way: text, thoughts, calls and usage, whole and streamed", () =>
    Effect.gen(function* () {
      const { log } = yield* Simulator.Simulator
      for (const provider of servers) {
        const plain = yield* ask(provider, Chat.prompt("Why is the sky blue?"))
        const bill = (yield* log).at(-1)
        const streamed = yield* askStream(provider, Chat.prompt("Why is the sky blue?"))
        for (const { reasoning, text } of [plain, streamed]) {
          expect([provider, text]).toEqual([provider, expect.stringMatching(/^Answer [^<]*Why is the sky/)])
          expect([provider, reasoning]).toEqual([provider, expect.stringMatching(/^Answer [^<]*think/)])
        }
        expect(plain).toMatchObject({ provider, finishReason: "stop" })
        expect(streamed).toMatchObject({ finishReason: "stop" })
        if (provider === "openai-compatible") {
          expect([plain.usage.estimated, streamed.usage.estimated]).toEqual([true, true])
        } else {
          expect(plain.usage).toMatchObject({
            inputTokens: bill?.inputTokens,
            outputTokens: bill?.outputTokens
          })
          expect(streamed.usage).toEqual(plain.usage)
        }
        const called = Chat.prompt("Weather?", { tools: [weather] })
        const forced =
          provider === "ollama"
            ? called
            : Chat.prompt("Weather?", { tools: [weather], toolChoice: "required" })
        const calls = [yield* ask(provider, forced), yield* askStream(provider, forced)]
        if (provider === "ollama") continue
        for (const { finishReason, toolCalls } of calls) {
          expect([provider, finishReason]).toEqual([provider, "tool_calls"])
          expect(toolCalls).toMatchObject([{ name: "weather" }])
          expect(toolCalls[0]?.id).toBeTruthy()
          expect(JSON.parse(toolCalls[0]?.arguments ?? "")).toHaveProperty("city")
          expect(toolCalls[0]).not.toHaveProperty("invalid")
        }
      }
    }).pipe(Effect.provide(against({ reasoningTokens: 20 })))
  )

  it.scopedLive("that want their thoughts back get them, and other servers' are left out", () =>
    Effect.gen(function* () {
      const question = Message.user("Weather?")
      for (const provider of ["deepseek", "openrouter"]) {
        const asked = Chat.prompt("Weather?", { tools: [weather], toolChoice: "required" })
        const plain = yield* ask(provider, asked)
        const streamed = yield* askStream(provider, asked)
        const parts = (response: Response.ChatResponse) =>
          response.reasoningParts?.map(({ provider, text }) => [provider, text.slice(0, 6)])
        expect(parts(plain)).toEqual([[provider, "Answer"]])
        expect(parts(streamed)).toEqual(parts(plain))
        const [call] = plain.toolCalls
        const next = (turn: Message.Message) =>
          new Chat({ messages: [question, turn, Message.tool(call?.id ?? "", "sunny")], tools: [weather] })
        yield* ask(provider, next(Response.toMessage(plain)))
      }
      const encoded = (dialect: OpenAiCompatible.Dialect, turn: Message.AssistantMessage) => {
        const endpoint = Endpoint.make({ provider: "x", baseUrl: "http://h" })
        const chat = new Chat({ messages: [question, turn] })
        const call = OpenAiCompatible.wire(dialect).encode(chat, { model: "m", endpoint, streaming: false })
        // a JSON object by its encoder
        const { messages } = Either.getOrThrow(call).body as { messages: ReadonlyArray<object> }
        return messages[1]
      }
      const toolCalls = [{ id: "a", name: "f", arguments: "{}" }]
      const own = { text: "hm", provider: "deepseek" }
      const other = { text: "ah", provider: "openrouter", item: { type: "reasoning.encrypted", data: "x" } }
      const turn = Message.assistant(null, { toolCalls, reasoning: [own, other] })
      expect(encoded(deepSeek.dialect, turn)).toMatchObject({ reasoning_content: "hm" })
      // the field is required beside calls, if there is nothing in it too
      expect(encoded(deepSeek.dialect, Message.assistant(null, { toolCalls }))).toMatchObject({
        reasoning_content: ""
      })
      expect(encoded(openRouter.dialect, turn)).toMatchObject({ reasoning_details: [other.item] })
      expect(JSON.stringify(encoded(vllm.dialect, turn))).not.toMatch(/reasoning|hm|ah/)
    }).pipe(Effect.provide(against({ reasoningTokens: 20 })))
  )

  it.scopedLive("fail in their own words, inside a 200 too", () =>
    Effect.gen(function* () {
      const tags = (provider: string, prompt: string) =>
        Effect.map(Effect.flip(ask(provider, Chat.prompt(prompt))), ({ _tag }) => _tag)
      const streamedTags = (provider: string, prompt: string) =>
        Effect.map(Effect.flip(askStream(provider, Chat.prompt(prompt))), ({ _tag }) => _tag)
      for (const provider of servers) {
        expect([provider, yield* tags(provider, "limited")]).toEqual([provider, "RateLimitError"])
        expect([provider, yield* tags(provider, "inside")]).toEqual([provider, "ServerError"])
        expect([provider, yield* streamedTags(provider, "inside")]).toEqual([provider, "ServerError"])
        expect([provider, yield* streamedTags(provider, "cut")]).toEqual([provider, "NetworkError"])
        expect([provider, yield* tags(provider, "x".repeat(8_000))]).toEqual([provider, "ContextLengthError"])
      }
      expect(yield* tags("groq", "no room")).toBe("OverloadedError")
      expect(yield* tags("deepseek", "no money")).toBe("QuotaExhaustedError")
      expect(yield* tags("openrouter", "no money")).toBe("QuotaExhaustedError")
    }).pipe(
      Effect.provide(
        against({
          contextWindow: 1_000,
          script: [
            {
              match: "limited",
              times: "always",
              fault: { kind: "status", status: 429, retryAfter: "1 millis" }
            },
            { match: "inside", times: "always", fault: { kind: "errorBody" } },
            { match: "cut", times: "always", fault: { kind: "truncate" } },
            { match: "no room", fault: { kind: "status", status: 498 } },
            { match: "no money", times: "always", fault: { kind: "status", status: 402 } }
          ]
        })
      )
    )
  )

  const endpoint = Endpoint.make({ provider: "x", baseUrl: "http://h/v1" })
  const context = { model: "m", endpoint, streaming: false }
  const body = ({ wire }: { readonly wire: (typeof vllm)["wire"] }, fields: object, streaming = false) =>
    // a JSON object by its encoder
    Either.getOrThrow(wire.encode(Chat.prompt("x", fields), { ...context, streaming })).body as Record<
      string,
      unknown
    >

  it("are told how much to think, each in its own fields", () => {
    const thinking = (preset: OpenAiCompatible.Preset, setting: string | number) => {
      const { messages: _, model: _model, ...rest } = body(preset, { thinking: setting })
      return rest
    }
    const on = { enable_thinking: true, thinking: true }
    const off = { enable_thinking: false, thinking: false }
    expect(thinking(deepSeek, "off")).toEqual({ thinking: { type: "disabled" } })
    expect(thinking(deepSeek, "max")).toEqual({ thinking: { type: "enabled" }, reasoning_effort: "max" })
    expect(thinking(openRouter, 2_000)).toEqual({ reasoning: { max_tokens: 2_000 } })
    expect(thinking(openRouter, "high")).toEqual({ reasoning: { effort: "high" } })
    expect(thinking(vllm, "off")).toEqual({ chat_template_kwargs: off })
    expect(thinking(vllm, "low")).toEqual({ chat_template_kwargs: on, reasoning_effort: "low" })
    expect(thinking(llamaCpp, 500)).toMatchObject({ chat_template_kwargs: on })
    expect(thinking(together, "off")).toEqual({ reasoning: { enabled: false } })
    expect(thinking(groq, 0)).toEqual({ reasoning_effort: "none" })
    expect(thinking(ollama, "low")).toEqual({ reasoning_effort: "low" })
    expect(thinking(nvidia, "off")).toEqual({ chat_template_kwargs: off })
    for (const preset of [fireworks, lmStudio, xai]) {
      expect(thinking(preset, "low")).toEqual({ reasoning_effort: "low" })
    }
  })

  it("get schemas as far as they take them, and nothing that was not asked for", () => {
    const schema = { type: "object", properties: { a: { type: "string" } } }
    const format = (adapt: boolean) => ({ responseFormat: { type: "jsonSchema", name: "n", schema, adapt } })
    expect(body(vllm, format(true)).response_format).toEqual({
      type: "json_schema",
      json_schema: { name: "n", schema }
    })
    expect(body(groq, format(true))).toMatchObject({
      response_format: { json_schema: { strict: true, schema: { required: ["a"] } } }
    })
    const inWords = body(deepSeek, format(true))
    expect(inWords.response_format).toEqual({ type: "json_object" })
    expect(JSON.stringify(inWords.messages)).toContain("JSON Schema")
    const lacking = (preset: OpenAiCompatible.Preset, fields: object) =>
      preset.wire.lacks?.(Chat.prompt("x", fields), context)
    expect(lacking(deepSeek, format(false))).toEqual(["responseFormat"])
    expect(lacking(ollama, { toolChoice: "auto", n: 2, topK: 3 })).toEqual(["toolChoice", "n", "topK"])
    expect(lacking(vllm, { topK: 3, n: 2, seed: 1 })).toEqual([])
    expect(body(vllm, { topK: 3, maxTokens: 5 })).toMatchObject({ top_k: 3, max_tokens: 5 })
    expect(body(groq, { maxTokens: 5 })).toMatchObject({ max_completion_tokens: 5 })
    expect(body(vllm, {}, true)).toMatchObject({ stream: true, stream_options: { include_usage: true } })
    expect(body(openRouter, {}, true)).not.toHaveProperty("stream_options")
    for (const preset of [
      deepSeek,
      fireworks,
      groq,
      llamaCpp,
      lmStudio,
      nvidia,
      ollama,
      together,
      vllm,
      xai
    ]) {
      expect(body(preset, {})).toEqual({ model: "m", messages: [{ role: "user", content: "x" }] })
    }
  })

  it("say what they would ignore or refuse before anything is sent", () => {
    const lacking = (preset: OpenAiCompatible.Preset, fields: object, model = "m") =>
      preset.wire.lacks?.(Chat.prompt("x", fields), { ...context, model })
    const sampling = { temperature: 0.5, topP: 0.9, frequencyPenalty: 1, presencePenalty: 1 }
    expect(lacking(deepSeek, sampling)).toEqual(Object.keys(sampling))
    expect(lacking(deepSeek, { ...sampling, thinking: "high" })).toEqual(Object.keys(sampling))
    expect(lacking(deepSeek, { ...sampling, thinking: "off" })).toEqual([])
    expect(lacking(deepSeek, { ...sampling, extra: { thinking: { type: "disabled" } } })).toEqual([])
    expect(lacking(groq, { n: 1, serviceTier: "flex" })).toEqual([])
    expect(lacking(groq, { n: 2, logprobs: true, logitBias: { "1": 1 } })).toEqual([
      "logprobs",
      "logitBias",
      "n"
    ])
    const named = new Chat({ messages: [{ role: "user", name: "ann", content: "x" }], unsupported: "drop" })
    expect(groq.wire.lacks?.(named, context)).toEqual(["messages.name"])
    const unnamed = Either.getOrThrow(Features.drop("groq", named, ["messages.name"]))
    expect(unnamed).toMatchObject({ messages: [{ role: "user", content: "x" }] })
    expect(JSON.stringify(unnamed)).not.toContain("ann")
    expect(vllm.wire.lacks?.(named, context)).toEqual([])
    expect(lacking(xai, { stop: ["x"], presencePenalty: 1 }, "grok-4")).toEqual(["presencePenalty", "stop"])
    expect(lacking(xai, { stop: ["x"] }, "grok-4.20-non-reasoning")).toEqual([])
    const platform = { labels: { run: "7" }, store: true, verbosity: "low" }
    const parts = (preset: OpenAiCompatible.Preset) => {
      const audio = { type: "audio", data: "UklGRg==", format: "wav" } as const
      const file = { type: "file", data: "data:application/pdf;base64,AA==" } as const
      return preset.wire.lacks?.(Chat.prompt([audio, file]), context)
    }
    const both = ["messages.audio", "messages.file"]
    for (const preset of [deepSeek, fireworks, groq, llamaCpp, lmStudio, nvidia, ollama, together, xai]) {
      expect([preset.name, lacking(preset, platform)]).toEqual([preset.name, Object.keys(platform)])
      expect([preset.name, parts(preset)]).toEqual([preset.name, both])
    }
    expect(parts(vllm)).toEqual(["messages.file"])
    expect(parts(openRouter)).toEqual([])
    for (const preset of [openRouter, vllm]) expect(lacking(preset, platform)).toEqual(Object.keys(platform))
  })

  it("are asked for no kind of answer that they do not have", () => {
    const path = ({ wire }: OpenAiCompatible.Preset, request: Request.Request) =>
      Either.match(wire.encode(request, context), {
        onLeft: ({ _tag }) => _tag,
        onRight: ({ path }) => path
      })
    const rerank = new Rerank({ query: "q", documents: ["a", "b"], topN: 1 })
    expect(path(together, rerank)).toBe("/rerank")
    expect(path(groq, rerank)).toBe("UnsupportedError")
    expect(path(vllm, new Embedding({ input: ["a"] }))).toBe("/embeddings")
    expect(path(ollama, new Completion({ prompt: "p" }))).toBe("/completions")
    expect(path(deepSeek, new Completion({ prompt: "p" }))).toBe("UnsupportedError")
    const call = Either.getOrThrow(vllm.wire.encode(rerank, context))
    expect(JSON.parse(JSON.stringify(call.body))).toEqual({
      model: "m",
      query: "q",
      documents: ["a", "b"],
      top_n: 1
    })
  })

  it("state their usage each in its own way, and it is summed up right", () => {
    const usage = (preset: OpenAiCompatible.Preset, given: object) => {
      const call = Either.getOrThrow(preset.wire.encode(Chat.prompt("x"), context))
      const decoded = call.decode(
        { choices: [{ message: { content: "x" }, finish_reason: "stop" }], ...given },
        { provider: preset.name, model: "m", request: Chat.prompt("x"), requestId: undefined }
      )
      return Either.getOrThrow(decoded).usage
    }
    const tokens = { prompt_tokens: 10, completion_tokens: 5 }
    expect(
      usage(deepSeek, { usage: { ...tokens, prompt_cache_hit_tokens: 8, prompt_cache_miss_tokens: 2 } })
    ).toEqual({ inputTokens: 10, outputTokens: 5, cacheReadTokens: 8 })
    expect(
      usage(xai, {
        usage: {
          ...tokens,
          prompt_tokens_details: { cached_tokens: 12 },
          completion_tokens_details: { reasoning_tokens: 7 }
        }
      })
    ).toEqual({ inputTokens: 22, outputTokens: 12, cacheReadTokens: 12, reasoningTokens: 7 })
    expect(usage(groq, { x_groq: { id: "r", usage: tokens } })).toEqual({ inputTokens: 10, outputTokens: 5 })
    expect(usage(vllm, { usage: null })).toMatchObject({ estimated: true })
  })

  it("are found by the environment, with a key where there has to be one", async () => {
    const configured = (preset: OpenAiCompatible.Preset, environment: Record<string, string>) =>
      Effect.runSync(
        Effect.either(
          Effect.withConfigProvider(
            preset.config,
            ConfigProvider.fromMap(new Map(Object.entries(environment)))
          )
        )
      )
    for (const preset of [vllm, ollama, lmStudio, llamaCpp]) {
      const endpoint = Either.getOrThrow(configured(preset, {}))
      expect(endpoint).toMatchObject({ provider: preset.name, baseUrl: preset.defaultBaseUrl })
      expect(endpoint.apiKey).toBeUndefined()
    }
    for (const [preset, prefix] of [
      [deepSeek, "DEEPSEEK"],
      [groq, "GROQ"],
      [together, "TOGETHER"],
      [openRouter, "OPENROUTER"],
      [xai, "XAI"],
      [fireworks, "FIREWORKS"],
      [nvidia, "NVIDIA"]
    ] as const) {
      const missing = configured(preset, {})
      assert(Either.isLeft(missing))
      expect(String(missing.left)).toContain(`${prefix}_API_KEY`)
      const endpoint = configured(preset, {
        [`${prefix}_API_KEY`]: "k".repeat(20),
        [`${prefix}_MODEL`]: "m",
        [`${prefix}_BASE_URL`]: "http://h/v1"
      })
      expect(Either.getOrThrow(endpoint)).toMatchObject({ model: "m", baseUrl: "http://h/v1" })
    }
  })
})
