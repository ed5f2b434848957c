import { assert, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as JSONSchema from "effect/JSONSchema"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import {
  Anthropic,
  Cache,
  Chat,
  Cohere,
  Completion,
  collect,
  complete,
  Embedding,
  Endpoint,
  Gemini,
  HttpClientPool,
  Message,
  Mistral,
  OpenAi,
  OpenAiResponses,
  RateLimiter,
  type Response,
  Retry,
  Router,
  StructuredOutput,
  stream,
  type Wire
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { openAi } from "../../src/internal/openAiDialect.js"
import * as OpenAiEvents from "../../src/internal/openAiEvents.js"
import * as OpenAiModels from "../../src/internal/openAiModels.js"
import { encode } from "../../src/internal/openAiRequest.js"
import * as OpenAiSchema from "../../src/internal/openAiSchema.js"
import * as ResponsesRequest from "../../src/internal/responsesRequest.js"
import { Splitter, split } from "../../src/internal/thinkTags.js"
import { Collector } from "../../src/StreamPart.js"
import * as OpenAiStrictSchema from "../../src/simulator/OpenAiStrictSchema.js"

const against = (options: Simulator.Options = {}) =>
  Layer.mergeAll(
    Layer.provide(OpenAi.layer, HttpClientPool.layer()),
    Layer.effect(
      Router.Router,
      Effect.map(Simulator.Simulator, ({ url }) =>
        Router.make({
          endpoints: [
            {
              provider: "openai",
              baseUrl: url,
              apiKey: Redacted.make("sk-test-0123456789"),
              model: "gpt-4.1"
            }
          ]
        })
      )
    ),
    RateLimiter.layer(),
    Cache.layerNone
  ).pipe(Layer.provideMerge(Layer.orDie(Simulator.layer(options))))

const once = { retry: Retry.never }

/** What may differ between two answers to one request. */
const told = (response: Response.ChatResponse) => {
  const { id: _, meta: _meta, provider: _provider, raw: _raw, ...rest } = response
  // the simulator puts the hash of the body into texts, and the body of a stream is another
  const text = (given: string) => given.replace(/Answer [0-9a-f]{16}/g, "Answer")
  return {
    ...rest,
    text: text(rest.text).slice(0, 30),
    toolCalls: rest.toolCalls.map(({ id: _id, ...call }) => ({ ...call, arguments: text(call.arguments) }))
  }
}

const weather = {
  type: "function" as const,
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
}

describe("OpenAi streams", () => {
  it.scopedLive("answers that are the plain ones, part by part, with the usage that is billed", () =>
    Effect.gen(function* () {
      const chats = [
        Chat.prompt("Why is the sky blue? 天空为什么是蓝色的"),
        Chat.prompt("Cut me", { maxTokens: 3 }),
        Chat.prompt("Weather?", { tools: [weather], toolChoice: "required" }),
        Chat.prompt("Weather!", { tools: [weather], toolChoice: { type: "function", name: "weather" } }),
        Chat.prompt("Please refuse"),
        Chat.prompt("Please block"),
        Chat.prompt("Please say nothing"),
        Chat.prompt("Think", { model: "gpt-5-mini", thinking: "high" })
      ]
      for (const chat of chats) {
        const plain = yield* complete(chat, once)
        const streamed = yield* collect(stream(chat, once))
        expect(told(streamed)).toEqual(told(plain))
      }
      const { log } = yield* Simulator.Simulator
      const entries = yield* log
      expect(entries.length).toBe(chats.length * 2)
      const last = yield* collect(stream(chats[0] ?? Chat.prompt("x"), once))
      const bill = (yield* log).at(-1)
      expect(last.usage).toMatchObject({ inputTokens: bill?.inputTokens, outputTokens: bill?.outputTokens })
    }).pipe(
      Effect.provide(
        against({
          reasoningTokens: 12,
          script: [
            { match: "refuse", times: 2, fault: { kind: "refusal" } },
            { match: "block", times: 2, fault: { kind: "contentFilter" } },
            { match: "nothing", times: 2, fault: { kind: "empty" } }
          ]
        })
      )
    )
  )

  it.scopedLive("end in the error that their plain twin would be", () =>
    Effect.gen(function* () {
      const errors = yield* Effect.forEach(
        [
          ["cut", {}],
          ["broken", {}],
          ["inside", {}],
          ["limited", {}],
          ["n", { n: 2 }]
        ] as const,
        ([prompt, fields]) => Effect.flip(collect(stream(Chat.prompt(prompt, fields), once)))
      )
      expect(errors.map(({ _tag }) => _tag)).toEqual([
        "NetworkError",
        "NetworkError",
        "ServerError",
        "RateLimitError",
        "UnsupportedError"
      ])
    }).pipe(
      Effect.provide(
        against({
          script: [
            { match: "cut", fault: { kind: "truncate" } },
            { match: "broken", fault: { kind: "malformed" } },
            { match: "inside", fault: { kind: "errorBody" } },
            { match: "limited", fault: { kind: "status", status: 429, retryAfter: "1 millis" } }
          ]
        })
      )
    )
  )

  const asked: Wire.Asked = {
    provider: "openai",
    model: "m",
    request: Chat.prompt("x"),
    requestId: undefined
  }
  const collected = (events: ReadonlyArray<unknown>, dialect = openAi) => {
    const reader = OpenAiEvents.reader(dialect)(asked)
    const collector = new Collector()
    for (const event of events) {
      const data = typeof event === "string" ? event : JSON.stringify(event)
      const read = reader.read({ event: "message", data })
      if (Either.isLeft(read)) return Either.left(read.left)
      for (const part of read.right) collector.add(part)
    }
    return Either.flatMap(reader.end(), (rest) => {
      for (const part of rest) collector.add(part)
      return collector.response(asked)
    })
  }
  const chunk = (delta: object, rest: object = {}) => ({ choices: [{ index: 0, delta, ...rest }] })

  it("reads what OpenAI's servers and those like them send", () => {
    const calls = Either.getOrThrow(
      collected([
        { id: "", choices: [], prompt_filter_results: [{ prompt_index: 0 }] },
        { id: "c1", model: "m1", obfuscation: "x", ...chunk({ role: "", content: null }) },
        // without an index: more of the same call, then one with an id of its own
        chunk({ tool_calls: [{ id: "a", function: { name: "f", arguments: "" } }] }),
        chunk({ tool_calls: [{ function: { arguments: `{"x":` } }] }),
        chunk({ tool_calls: [{ function: { arguments: "1}" } }] }),
        chunk({ tool_calls: [{ id: "b", function: { name: "g", arguments: { y: 2 } } }] }),
        chunk({}, { finish_reason: "stop" }),
        { choices: [], usage: { prompt_tokens: 5, completion_tokens: 1 } },
        { choices: [], usage: { prompt_tokens: 5, completion_tokens: 3 } }
      ])
    )
    expect(calls).toMatchObject({
      id: "c1",
      model: "m1",
      finishReason: "tool_calls",
      rawFinishReason: "stop"
    })
    expect(calls.toolCalls).toEqual([
      { id: "a", name: "f", arguments: `{"x":1}` },
      { id: "b", name: "g", arguments: `{"y":2}` }
    ])
    // each of these counts is of all so far
    expect(calls.usage).toEqual({ inputTokens: 5, outputTokens: 3 })

    const early = collected([chunk({ content: "half" })])
    assert(Either.isLeft(early))
    expect(early.left._tag).toBe("NetworkError")
    const marked = Either.getOrThrow(collected([chunk({ content: "whole" }), "[DONE]"]))
    expect(marked).toMatchObject({ text: "whole", finishReason: "other", usage: { estimated: true } })
    const failed = collected([chunk({ content: "x" }), chunk({}, { finish_reason: "error" })])
    assert(Either.isLeft(failed))
    expect(failed.left._tag).toBe("ServerError")
    const spent = collected([
      { error: { type: "insufficient_quota", code: "insufficient_quota", message: "spent" } }
    ])
    assert(Either.isLeft(spent))
    expect(spent.left._tag).toBe("QuotaExhaustedError")
  })
})

describe("OpenAi tool calls without an index", () => {
  const asked: Wire.Asked = { provider: "o", model: "m", request: Chat.prompt("x"), requestId: undefined }
  /** The calls that come as these lists of pieces. */
  const calls = (...lists: ReadonlyArray<ReadonlyArray<object>>) => {
    const reader = OpenAiEvents.reader(openAi)(asked)
    const collector = new Collector()
    const deltas = lists.map((tool_calls) => ({ choices: [{ index: 0, delta: { tool_calls } }] }))
    for (const event of [...deltas, { choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] }]) {
      const parts = Either.getOrThrow(reader.read({ event: "message", data: JSON.stringify(event) }))
      for (const part of parts) collector.add(part)
    }
    return collector.collected.toolCalls.map(({ arguments: text, name }) => `${name}(${text})`)
  }
  const piece = (name: string | undefined, text: string) => ({ function: { name, arguments: text } })

  it("are kept apart by their places, their names and their ids", () => {
    const both = ["f({})", `g({"y":1})`]
    // all at once; one after the other; in pieces; in pieces side by side
    expect(calls([piece("f", "{}"), piece("g", `{"y":1}`)])).toEqual(both)
    expect(calls([piece("f", "{}")], [piece("g", `{"y":1}`)])).toEqual(both)
    expect(
      calls([piece("f", "{")], [piece(undefined, "}")], [piece("g", `{"y"`)], [piece("", ":1}")])
    ).toEqual(both)
    expect(
      calls([piece("f", "{"), piece("g", `{"y"`)], [piece(undefined, "}"), piece(undefined, ":1}")])
    ).toEqual(both)
    // ids, without indexes, that come back
    expect(
      calls(
        [
          { id: "a", ...piece("f", "{") },
          { id: "b", ...piece("g", `{"y"`) }
        ],
        [
          { id: "a", ...piece("f", "}") },
          { id: "b", ...piece("g", ":1}") }
        ]
      )
    ).toEqual(both)
    // the same function twice
    expect(calls([piece("f", "1"), piece("f", "2")])).toEqual(["f(1)", "f(2)"])
    // an index counts, wherever it begins, and whatever name it repeats
    expect(
      calls([{ index: 1, ...piece("f", "{") }], [{ index: 1, ...piece("f", "}") }], [piece("g", `{"y":1}`)])
    ).toEqual(both)
  })
})

describe("OpenAi chats", () => {
  it.scopedLive("take images, many turns with calls and their results, all letters and a megabyte", () =>
    Effect.gen(function* () {
      const toolCalls = [{ id: "call_1", name: "weather", arguments: `{"city":"Zürich"}` }]
      const turns = new Chat({
        messages: [
          Message.system("Be brief."),
          Message.user([
            Message.text("Wie ist das Wetter in Zürich? 🌦️"),
            Message.image("data:image/png;base64,AA==")
          ]),
          Message.assistant(null, {
            toolCalls,
            reasoning: [{ text: "another's", provider: "anthropic", signature: "s" }]
          }),
          Message.tool("call_1", "sunny", { name: "weather", isError: false }),
          Message.user("天气 \u0000 \ud83d\ude00?")
        ],
        tools: [weather]
      })
      expect(JSON.stringify(encode(turns, "gpt-4.1"))).not.toContain("another's")
      expect((yield* complete(turns, once)).text).toContain("天气")
      const long = yield* complete(Chat.prompt("long ".repeat(200_000)), once)
      expect(long.usage.inputTokens).toBeGreaterThan(250_000)
    }).pipe(Effect.provide(against()))
  )
})

describe("OpenAi's media", () => {
  it("have the wire's form, recordings and documents too", () => {
    const pdf = "data:application/pdf;base64,JVBE"
    const chat = Chat.prompt([
      { type: "audio", data: "UklG", format: "wav" },
      { type: "file", data: pdf, filename: "a.pdf" },
      { type: "file", fileId: "file-abc" }
    ])
    expect(JSON.parse(JSON.stringify(encode(chat, "gpt-4.1")))).toMatchObject({
      messages: [
        {
          content: [
            { type: "input_audio", input_audio: { data: "UklG", format: "wav" } },
            { type: "file", file: { filename: "a.pdf", file_data: pdf } },
            { type: "file", file: { file_id: "file-abc" } }
          ]
        }
      ]
    })
  })
})

describe("OpenAi models", () => {
  const lacking = (model: string, fields: object) =>
    OpenAiModels.lacks(new Chat({ messages: [Message.user("x")], ...fields }), model)

  it.each([
    ["gpt-4.1", { temperature: 0.2, logprobs: true, stop: "x" }, []],
    ["gpt-4.1", { thinking: "low" }, ["thinking"]],
    ["ft:gpt-4o-mini:house", { thinking: "off" }, []],
    ["o3", { thinking: "off" }, ["thinking"]],
    ["my-deployment", { temperature: 0.2, thinking: "off" }, []],
    ["gpt-4o-search-preview", { temperature: 0.2, topP: 0.5 }, ["temperature"]],
    ["o1", { temperature: 0.2, presencePenalty: 1, stop: "x" }, ["temperature", "presencePenalty"]],
    ["o3", { stop: "x" }, ["stop"]],
    ["o4-mini-2025-04-16", { logitBias: { a: 1 } }, ["logitBias"]],
    // what the model would do by itself may be said
    ["o3", { temperature: 1, frequencyPenalty: 0, logprobs: false }, []],
    ["gpt-5", { temperature: 0.2 }, ["temperature"]],
    ["gpt-5-mini", { thinking: "off" }, ["thinking"]],
    ["gpt-5-chat-latest", { temperature: 0.2 }, []],
    ["gpt-5.1", { temperature: 0.2, thinking: "low" }, ["temperature"]],
    ["gpt-5.1", { temperature: 0.2, thinking: "off" }, []],
    ["gpt-5.4", { temperature: 0.2 }, ["temperature"]],
    ["gpt-5.4", { temperature: 0.2, extra: { reasoning_effort: "none" } }, []],
    ["gpt-6.2-sol", { thinking: "off" }, ["thinking"]]
  ])("%s %j", (model, fields, expected) => {
    expect(lacking(model, fields)).toEqual(expected)
  })

  it("tells those that never think nothing of it", () => {
    const quiet = Chat.prompt("x", { thinking: "off" })
    expect(encode(quiet, "gpt-4.1-mini")).not.toHaveProperty("reasoning_effort")
    expect(encode(quiet, "gpt-5.4")).toMatchObject({ reasoning_effort: "none" })
  })

  it.scopedLive("says what to do where tools and thought do not go together, and sends nothing", () =>
    Effect.gen(function* () {
      const ask = (model: string, fields: object) =>
        complete(Chat.prompt("Weather?", { model, tools: [weather], ...fields }), once)
      const trapped = yield* Effect.flip(ask("gpt-5.4", { unsupported: "drop" }))
      expect(trapped).toMatchObject({ _tag: "UnsupportedError", feature: "tools" })
      expect(trapped.message).toContain(`thinking: "off"`)
      const stuck = yield* Effect.flip(ask("gpt-6.2-sol", { thinking: "low" }))
      expect(stuck.message).toContain("OpenAiResponses")
      const { log } = yield* Simulator.Simulator
      expect(yield* log).toEqual([])
      yield* ask("gpt-5.4", { thinking: "off" })
      yield* ask("gpt-5.2", { thinking: "low" })
      const topK = yield* Effect.flip(complete(Chat.prompt("x", { topK: 5 }), once))
      expect(topK).toMatchObject({ _tag: "UnsupportedError", feature: "topK" })
      const dropped = yield* complete(
        Chat.prompt("x", { topK: 5, temperature: 0, model: "o3", unsupported: "drop" }),
        once
      )
      expect(dropped.warnings?.join()).toMatch(/temperature.*topK/)
    }).pipe(Effect.provide(against()))
  )
})

describe("what is sent in another way", () => {
  const conversation = new Chat({
    messages: [
      Message.system("Be brief."),
      Message.user("Weather?"),
      Message.assistant(null, { toolCalls: [{ id: "c1", name: "weather", arguments: "{}" }] }),
      Message.tool("c1", "no such city", { isError: true }),
      Message.system("Be kind.")
    ]
  })

  it.scopedLive("comes with a warning in the answer, streamed or not", () =>
    Effect.gen(function* () {
      const said = "openai has no mark for a tool that failed: the content of its result has to say so"
      for (const ask of [complete(conversation, once), collect(stream(conversation, once))]) {
        expect((yield* ask).warnings).toEqual([said])
      }
      expect((yield* complete(Chat.prompt("Hi"), once)).warnings).toBeUndefined()
    }).pipe(Effect.provide(against()))
  )

  it("is what each protocol has no word for", () => {
    const warnings = (wire: Wire.Wire) => {
      const endpoint = Endpoint.make({ provider: wire.name, baseUrl: "https://example.com" })
      return wire.warns?.(conversation, { model: "m", endpoint, streaming: false })
    }
    for (const { wire } of [OpenAiResponses, Mistral, Cohere]) {
      expect(warnings(wire)).toEqual([expect.stringContaining("tool that failed")])
    }
    for (const wire of [Anthropic.wire, Gemini.wire]) {
      expect(warnings(wire)).toEqual([expect.stringContaining("system messages at the beginning alone")])
    }
  })
})

describe("OpenAi prompt cache", () => {
  it("marks the end of a prefix for models that take marks, on both of its APIs", () => {
    const chat = new Chat({
      messages: [Message.user([Message.text("long", { promptCache: "5m" }), Message.text("short")])]
    })
    const endpoint = Endpoint.make({ provider: "openai", baseUrl: "https://example.com/v1" })
    const marked = { text: "long", prompt_cache_breakpoint: { mode: "explicit" } }
    const ofResponses = (model: string) =>
      ResponsesRequest.encode(chat, { model, endpoint, streaming: false }).input
    expect(encode(chat, "gpt-5.6-sol").messages).toMatchObject([{ content: [marked, { text: "short" }] }])
    expect(ofResponses("gpt-6")).toMatchObject([{ content: [marked, { text: "short" }] }])
    expect(JSON.stringify([encode(chat, "gpt-5.4"), ofResponses("gpt-5.4")])).not.toContain("breakpoint")
  })
})

describe("OpenAi structured output", () => {
  const Tree: Schema.Schema<Tree> = Schema.Struct({
    name: Schema.String,
    children: Schema.Array(Schema.suspend(() => Tree)),
    note: Schema.optional(Schema.Literal("a", "b"))
  }).annotations({ identifier: "Tree" })
  interface Tree {
    readonly name: string
    readonly children: ReadonlyArray<Tree>
    readonly note?: "a" | "b" | undefined
  }
  const Person = Schema.Struct({
    name: Schema.String,
    age: Schema.optional(Schema.Int),
    home: Schema.optional(Schema.Struct({ city: Schema.String })),
    shape: Schema.Union(
      Schema.Struct({ r: Schema.Number }),
      Schema.Struct({ w: Schema.optional(Schema.Number) })
    )
  })

  it("adapts schemas to the rules of strict mode, or says that it cannot", () => {
    for (const schema of [Person, Tree]) {
      const adapted = OpenAiSchema.adapt({ ...JSONSchema.make(schema as Schema.Schema<unknown, unknown>) })
      expect(adapted.strict).toBe(true)
      expect(OpenAiStrictSchema.problem(adapted.schema)).toBeUndefined()
    }
    const { schema } = OpenAiSchema.adapt({
      type: "object",
      properties: {
        a: { type: "string", default: "x" },
        b: { enum: [1, 2] },
        c: { $ref: "#/definitions/C", description: "d" },
        e: { oneOf: [{ type: "string" }, { type: "null" }] },
        f: { allOf: [{ type: "object", properties: { x: { type: "number" } }, required: ["x"] }] }
      },
      required: ["a"],
      definitions: { C: { type: "array", items: { type: "integer", minimum: 1 } } }
    })
    expect(schema).toEqual({
      type: "object",
      properties: {
        a: { type: "string" },
        b: { anyOf: [{ enum: [1, 2] }, { type: "null" }] },
        c: { type: ["array", "null"], items: { type: "integer", minimum: 1 }, description: "d" },
        e: { anyOf: [{ type: "string" }, { type: "null" }] },
        f: {
          type: ["object", "null"],
          properties: { x: { type: "number" } },
          required: ["x"],
          additionalProperties: false
        }
      },
      required: ["a", "b", "c", "e", "f"],
      additionalProperties: false
    })
    const deep = (levels: number): object =>
      levels === 0 ? { type: "string" } : { type: "object", properties: { x: deep(levels - 1) } }
    for (const property of [
      {},
      { type: "object", additionalProperties: { type: "string" } },
      { type: "array" },
      { type: "array", items: { type: "string" }, prefixItems: [] },
      { type: "string", not: { const: "x" } },
      { enum: Array.from({ length: 1_001 }, (_, index) => index) },
      deep(12)
    ]) {
      const given = { type: "object", properties: { property }, additionalProperties: false }
      expect(OpenAiSchema.adapt(given)).toEqual({ schema: given, strict: false })
    }
  })

  it("leaves a schema as it is unless told to adapt it, and puts into words what has no object at its root", () => {
    const schema = { type: "array", items: { type: "string" } }
    const asItIs = encode(
      Chat.prompt("x", { responseFormat: { type: "jsonSchema", name: "n", schema, strict: true } }),
      "gpt-4.1"
    )
    expect(asItIs.response_format).toEqual({
      type: "json_schema",
      json_schema: { name: "n", schema, strict: true }
    })
    const inWords = encode(
      Chat.prompt("x", {
        system: "Be brief.",
        responseFormat: { type: "jsonSchema", name: "n", schema, adapt: true }
      }),
      "gpt-4.1"
    )
    expect(inWords).not.toHaveProperty("response_format")
    expect(JSON.stringify(inWords.messages)).toContain("Be brief.\\n\\nAnswer with JSON")
  })

  it.scopedLive("is taken by the strict server, and decodes with absent properties absent", () =>
    Effect.gen(function* () {
      for (const schema of [Person, Tree]) {
        const chat = StructuredOutput.withSchema(
          Chat.prompt("Fill this in"),
          // two schemas of different types in one loop
          schema as Schema.Schema<unknown, unknown>
        )
        const response = yield* complete(chat, once)
        expect(response.value).toHaveProperty("name")
      }
    }).pipe(Effect.provide(against()))
  )
})

describe("think tags", () => {
  it.each([
    ["<think>\nhm\n</think>\n\nYes", "answer", { reasoning: "hm", text: "Yes" }],
    ["  <think>hm</think>Yes", "answer", { reasoning: "hm", text: "Yes" }],
    ["<think>cut", "answer", { reasoning: "cut", text: "" }],
    ["hm\n</think>\n\nYes", "answer", { reasoning: "hm", text: "Yes" }],
    ["Write </think> to end it", "answer", { reasoning: "", text: "Write </think> to end it" }],
    ["So: <think>a\n</think>\nb", "answer", { reasoning: "", text: "So: <think>a\n</think>\nb" }],
    ["hm </think> Yes", "template", { reasoning: "hm", text: "Yes" }],
    ["No thought", "template", { reasoning: "", text: "No thought" }]
  ] as const)("%j, %s", (text, tags, expected) => {
    expect(split(text, tags, false)).toEqual(expected)
  })

  it("takes thoughts that were cut for thoughts", () => {
    expect(split("hm and", "template", true)).toEqual({ reasoning: "hm and", text: "" })
  })

  const piece = FastCheck.constantFrom("<think>", "</think>", "<", "think", ">", "\n", " ", "a", "b c", "</")
  it.prop(
    "are told the same however the answer is cut",
    [
      FastCheck.array(piece, { maxLength: 8 }),
      FastCheck.array(FastCheck.integer({ min: 1, max: 5 })),
      FastCheck.boolean(),
      FastCheck.constantFrom("answer" as const, "template" as const)
    ],
    ([pieces, sizes, cut, tags]) => {
      // thoughts that only a closing tag tells of come too late in a stream
      const text = tags === "answer" ? `<think>${pieces.join("")}` : pieces.join("")
      const splitter = new Splitter(tags)
      const all = { reasoning: "", text: "" }
      const add = (part: { readonly reasoning: string; readonly text: string }) => {
        all.reasoning += part.reasoning
        all.text += part.text
      }
      for (let at = 0, i = 0; at < text.length; i++) {
        const size = sizes[i % Math.max(1, sizes.length)] ?? 3
        add(splitter.push(text.slice(at, at + size)))
        at += size
      }
      add(splitter.end(cut))
      expect(all).toEqual(split(text, tags, cut))
    }
  )
})

describe("OpenAi's other calls", () => {
  it.scopedLive("give vectors in the order of their inputs, and completions of a text", () =>
    Effect.gen(function* () {
      const inputs = ["a cat", "a dog", "天"]
      const embedding = new Embedding({ input: inputs, model: "text-embedding-3-small", dimensions: 8 })
      const together = yield* complete(embedding, once)
      expect(together.embeddings.map((vector) => vector.length)).toEqual([8, 8, 8])
      expect(together.usage).toEqual({ inputTokens: 5, outputTokens: 0 })
      const packed = new Embedding({ ...embedding, extra: { encoding_format: "base64" } })
      expect((yield* complete(packed, once)).embeddings[1]?.[0]).toBeCloseTo(
        together.embeddings[1]?.[0] ?? 9,
        5
      )
      const purposeful = yield* Effect.flip(complete(new Embedding({ ...embedding, purpose: "query" }), once))
      expect(purposeful).toMatchObject({ _tag: "UnsupportedError", feature: "purpose" })

      const asked = new Completion({ prompt: "Once upon a time", model: "davinci-002", maxTokens: 100, n: 2 })
      const completed = yield* complete(asked, once)
      expect(completed).toMatchObject({ finishReason: "stop", raw: { object: "text_completion" } })
      expect(completed.text).toContain("Once upon a time")
      expect(completed.alternatives).toHaveLength(1)
    }).pipe(Effect.provide(against()))
  )
})
