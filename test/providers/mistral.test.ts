import { assert, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import {
  Chat,
  Completion,
  collect,
  complete,
  Embedding,
  Endpoint,
  HttpClientPool,
  type LlmError,
  Message,
  Mistral,
  object,
  type Request,
  Rerank,
  Response,
  StreamPart,
  stream
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { decodeListed } from "../../src/internal/embeddingVectors.js"
import * as MistralEvents from "../../src/internal/mistralEvents.js"
import { toolCallId } from "../../src/internal/mistralRequest.js"
import { decode } from "../../src/internal/mistralResponse.js"
import { apiKey, once, simulated } from "./simulated.js"

const small = "mistral-small-latest"
const magistral = "magistral-medium-latest"
const against = simulated("mistral", Mistral.layer, small)

const endpoint = Endpoint.make({ provider: "mistral", baseUrl: Mistral.defaultBaseUrl })

/** The body that a chat is sent as. */
const bodyOf = (fields: Request.ChatFields, model = small, streaming = false): unknown => {
  const call = Mistral.wire.encode(new Chat(fields), { model, endpoint, streaming })
  assert(Either.isRight(call))
  return JSON.parse(JSON.stringify(call.right.body))
}

const lacking = (fields: Partial<Request.ChatFields>, model = small, streaming = false) =>
  Mistral.wire.lacks?.(new Chat({ messages: [Message.user("x")], ...fields }), { model, endpoint, streaming })

const asked = {
  provider: "mistral",
  model: small,
  request: Chat.prompt("four characters each"),
  requestId: "c1"
}

const weather = {
  type: "function",
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
} as const

describe("Mistral over the wire", () => {
  it.scopedLive("answers chats: system, turns, images, and the usage that is billed", () =>
    Effect.gen(function* () {
      const response = yield* complete({
        messages: [
          Message.system("Be brief."),
          Message.user("Hello"),
          Message.assistant("Hi"),
          Message.user([
            Message.text("Grüße 🌍 — what is this?"),
            Message.image("data:image/png;base64,AAAA")
          ])
        ],
        seed: 7,
        temperature: 0.2,
        maxTokens: 200
      })
      expect(response.text).toContain("Grüße 🌍")
      expect(response).toMatchObject({ provider: "mistral", model: small, finishReason: "stop" })
      expect(response.meta.requestId).toMatch(/^[0-9a-f]{16}-/)
      const [entry] = yield* (yield* Simulator.Simulator).log
      expect(response.usage).toMatchObject({
        inputTokens: entry?.inputTokens,
        outputTokens: entry?.outputTokens
      })

      const cut = yield* complete(Chat.prompt("Count to a million", { maxTokens: 3 }))
      expect(cut.finishReason).toBe("length")
      const several = yield* complete(Chat.prompt("Three, please", { n: 3 }))
      expect(several.alternatives).toHaveLength(2)
      const filled = yield* complete(new Completion({ prompt: "def f(", suffix: "return 1", maxTokens: 50 }))
      expect(filled.text).toContain("def f(")
      const large = yield* complete(Chat.prompt("x".repeat(1_000_000)))
      expect(large.usage.cacheReadTokens).toBeGreaterThan(100_000)
    }).pipe(Effect.provide(against({ outputTokens: 40, cachedShare: 0.5 })))
  )

  it.scopedLive("calls tools, and takes their results under the ids of any provider", () =>
    Effect.gen(function* () {
      const question = { messages: [Message.user("Weather in Paris?")], tools: [weather] }
      const called = yield* complete({ ...question, toolChoice: "required" })
      expect(called.finishReason).toBe("tool_calls")
      const [call] = called.toolCalls
      expect(call?.id).toMatch(/^[A-Za-z0-9]{9}$/)
      expect(JSON.parse(call?.arguments ?? "")).toHaveProperty("city")
      for (const id of [call?.id ?? "", "call_0123456789abcdef", "toolu_1"]) {
        const answer = yield* complete({
          ...question,
          messages: [
            ...question.messages,
            Message.assistant(null, { toolCalls: [{ id, name: "weather", arguments: `{"city":"Paris"}` }] }),
            Message.tool(id, "sunny")
          ]
        })
        expect(answer.finishReason).toBe("stop")
      }
      const forced = yield* complete({ ...question, toolChoice: { type: "function", name: "weather" } })
      expect(forced.toolCalls[0]?.name).toBe("weather")
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("thinks, tells what, and takes it back; streams amount to the plain answers", () =>
    Effect.gen(function* () {
      const thinking: Request.ChatFields = {
        messages: [Message.user("Think hard")],
        thinking: "high",
        model: magistral
      }
      const first = yield* complete(thinking)
      expect(first.reasoning).toBeTruthy()
      expect(first.text).not.toContain(first.reasoning)
      expect(first.reasoningParts).toEqual([{ text: first.reasoning, provider: "mistral" }])
      yield* complete({
        ...thinking,
        messages: [...thinking.messages, Response.toMessage(first), Message.user("On")]
      })

      const chats: ReadonlyArray<Request.ChatFields> = [
        { messages: [Message.user("Grüße 🌍")] },
        thinking,
        { ...thinking, model: small },
        { messages: [Message.user("Weather?")], tools: [weather], toolChoice: "required" },
        { messages: [Message.user("Say nothing: empty")] }
      ]
      for (const chat of chats) {
        const { meta: _meta, raw: _raw, ...plain } = yield* complete(chat)
        const { meta: _m, raw: _r, ...streamed } = yield* collect(stream(chat))
        const ids = (calls: typeof plain.toolCalls) => calls.map((call) => ({ ...call, id: "" }))
        expect({ ...streamed, id: "", provider: "", toolCalls: ids(streamed.toolCalls) }).toEqual({
          ...plain,
          id: "",
          provider: "",
          toolCalls: ids(plain.toolCalls)
        })
      }
    }).pipe(
      Effect.provide(
        against({
          reasoningTokens: 20,
          streamChunkTokens: 3,
          script: [{ match: "empty", fault: { kind: "empty" }, times: "always" }]
        })
      )
    )
  )

  it.scopedLive("answers with values, and with vectors of any type", () =>
    Effect.gen(function* () {
      const City = Schema.Struct({ name: Schema.String, size: Schema.optional(Schema.Int) })
      const { value } = yield* object({ messages: [Message.user("A city")] }, City)
      expect(value.name).toMatch(/^Answer/)
      const input = ["one", "two", "three"]
      const ask = (extra: Mistral.Parameters) =>
        complete(
          new Embedding({ input, model: "mistral-embed", dimensions: 16, extra: Mistral.parameters(extra) })
        )
      const plain = yield* ask({})
      expect(plain.embeddings.map((vector) => vector.length)).toEqual([16, 16, 16])
      expect(plain.usage).toEqual({ inputTokens: 4, outputTokens: 0 })
      expect((yield* ask({ encoding_format: "base64" })).embeddings).toEqual(
        plain.embeddings.map((vector) => vector.map(Math.fround))
      )
      for (const output_dtype of ["int8", "uint8", "binary", "ubinary"] as const) {
        const listed = yield* ask({ output_dtype })
        expect((yield* ask({ output_dtype, encoding_format: "base64" })).embeddings).toEqual(
          listed.embeddings
        )
      }
    }).pipe(Effect.provide(against()))
  )

  it.live("turns each failure into its typed error", () =>
    Effect.gen(function* () {
      const table: ReadonlyArray<readonly [Simulator.Fault, LlmError.LlmError["_tag"]]> = [
        [{ kind: "status", status: 401 }, "AuthError"],
        [{ kind: "status", status: 402 }, "QuotaExhaustedError"],
        [{ kind: "status", status: 403 }, "PermissionError"],
        [{ kind: "status", status: 404 }, "NotFoundError"],
        [{ kind: "status", status: 400 }, "InvalidRequestError"],
        [{ kind: "status", status: 422 }, "InvalidRequestError"],
        [{ kind: "status", status: 429 }, "RateLimitError"],
        [
          { kind: "status", status: 429, message: "Service tier capacity exceeded for this model." },
          "OverloadedError"
        ],
        [{ kind: "status", status: 500 }, "ServerError"],
        [{ kind: "status", status: 503 }, "OverloadedError"],
        [{ kind: "status", status: 504 }, "TimeoutError"],
        [{ kind: "reset" }, "NetworkError"],
        [{ kind: "truncate" }, "NetworkError"],
        [{ kind: "malformed" }, "NetworkError"],
        [{ kind: "errorBody" }, "ServerError"]
      ]
      for (const [fault, tag] of table) {
        const services = against({ script: [{ fault, times: "always" }] })
        const error = yield* Effect.flip(complete(Chat.prompt("x"), once)).pipe(Effect.provide(services))
        expect([fault, error._tag]).toEqual([fault, tag])
        if (fault.kind === "status") expect(error.requestId).toMatch(/^[0-9a-f]{16}-/)
        expect(JSON.stringify(error)).not.toContain(apiKey)
        if (fault.kind === "status" || fault.kind === "reset") continue
        const streamed = yield* Effect.flip(collect(stream(Chat.prompt("x"), once))).pipe(
          Effect.provide(services)
        )
        expect([fault, streamed._tag]).toEqual([fault, tag])
      }
      const long = yield* Effect.flip(complete(Chat.prompt("x".repeat(9000)), once)).pipe(
        Effect.provide(against({ contextWindow: 1000 }))
      )
      expect(long._tag).toBe("ContextLengthError")
      const nowhere = yield* Effect.flip(complete(Chat.prompt("x"), once)).pipe(
        Effect.provide(against({ models: ["other"] }))
      )
      expect(nowhere._tag).toBe("NotFoundError")
    })
  )

  it.scopedLive("reads the limits that answers tell of", () =>
    Effect.gen(function* () {
      const { urls } = yield* Simulator.Simulator
      const provider = yield* Mistral.make
      const at = Endpoint.make({
        provider: "mistral",
        baseUrl: urls.mistral ?? "",
        apiKey: Redacted.make(apiKey)
      })
      const { throttle } = yield* provider.attempt(
        Chat.prompt("x", { model: small, maxTokens: 5 }),
        at,
        10_000
      )
      expect(throttle.requests).toMatchObject({ limit: 3000, remaining: 2999, period: "minute" })
      expect(throttle.tokens).toMatchObject({ limit: 10_000, period: "minute" })
    }).pipe(
      Effect.provide([
        Layer.orDie(Simulator.layer({ limits: { rps: 50, tpm: 10_000 } })),
        HttpClientPool.layer()
      ])
    )
  )

  it.scopedLive("names what there is no counterpart for, and leaves it out where that is allowed", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(complete(Chat.prompt("x", { logprobs: true, topK: 3 }), once))
      expect(error).toMatchObject({ _tag: "UnsupportedError", feature: "topK" })
      const kept = yield* complete(Chat.prompt("x", { logprobs: true, unsupported: "drop" }))
      expect(kept.warnings?.[0]).toContain("logprobs")
      const ranking = yield* Effect.flip(complete(new Rerank({ query: "q", documents: ["d"] }), once))
      expect(ranking).toMatchObject({ _tag: "UnsupportedError", feature: "Rerank" })
      // what is not known there is refused there
      const refused = yield* Effect.flip(complete(Chat.prompt("x", { extra: { seed: 1 } }), once))
      expect(refused).toMatchObject({ _tag: "InvalidRequestError", status: 422 })
      expect(refused.message).toContain("seed")
    }).pipe(Effect.provide(against()))
  )
})

describe("Mistral's bodies", () => {
  it("has Mistral's names for parameters, and none that were not set", () => {
    const messages = [Message.user("Hi")]
    expect(bodyOf({ messages })).toEqual({ model: small, messages: [{ role: "user", content: "Hi" }] })
    expect(
      bodyOf(
        {
          messages,
          maxTokens: 500,
          temperature: 0.2,
          topP: 0.9,
          seed: 7,
          stop: ["END"],
          n: 1,
          presencePenalty: 0,
          frequencyPenalty: 0,
          toolChoice: "required",
          tools: [{ type: "function", name: "f", strict: true }],
          parallelToolCalls: false,
          thinking: "medium",
          promptCacheKey: "k",
          labels: { a: "b" },
          responseFormat: { type: "jsonSchema", name: "out", strict: true, schema: {} },
          extra: Mistral.parameters({ safe_prompt: false })
        },
        small,
        true
      )
    ).toEqual({
      model: small,
      messages: [{ role: "user", content: "Hi" }],
      max_tokens: 500,
      temperature: 0.2,
      top_p: 0.9,
      random_seed: 7,
      stop: ["END"],
      n: 1,
      presence_penalty: 0,
      frequency_penalty: 0,
      tool_choice: "any",
      tools: [
        {
          type: "function",
          function: { name: "f", parameters: { type: "object", properties: {} }, strict: true }
        }
      ],
      parallel_tool_calls: false,
      reasoning_effort: "high",
      prompt_cache_key: "k",
      metadata: { a: "b" },
      response_format: { type: "json_schema", json_schema: { name: "out", strict: true, schema: {} } },
      safe_prompt: false,
      stream: true
    })
  })

  it("writes parts, calls, results and thoughts as Mistral wants them", () => {
    const id = toolCallId("call_1")
    expect(id).toMatch(/^[A-Za-z0-9]{9}$/)
    expect(toolCallId("a1B2c3D4e")).toBe("a1B2c3D4e")
    const item = { type: "thinking", thinking: [{ type: "reference", reference_ids: [1] }] }
    const body = bodyOf({
      messages: [
        Message.user([
          Message.text("t"),
          Message.image("https://x.test/a.png", { detail: "low" }),
          { type: "file", data: "https://x.test/a.pdf", filename: "a.pdf" },
          { type: "file", fileId: "f1" },
          { type: "audio", data: "AAAA", format: "mp3" }
        ]),
        Message.assistant("so", {
          toolCalls: [{ id: "call_1", name: "f", arguments: "{}" }],
          reasoning: [
            { text: "hm", provider: "mistral" },
            { text: "", provider: "mistral", item },
            { text: "other", provider: "anthropic", signature: "s" }
          ]
        }),
        Message.tool("call_1", "42"),
        Message.assistant("Go")
      ]
    })
    expect(body).toMatchObject({
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "t" },
            { type: "image_url", image_url: { url: "https://x.test/a.png", detail: "low" } },
            { type: "document_url", document_url: "https://x.test/a.pdf", document_name: "a.pdf" },
            { type: "file", file_id: "f1" },
            { type: "input_audio", input_audio: "AAAA" }
          ]
        },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: [{ type: "text", text: "hm" }] },
            item,
            { type: "text", text: "so" }
          ],
          tool_calls: [{ id, type: "function", function: { name: "f", arguments: "{}" } }]
        },
        { role: "tool", tool_call_id: id, name: "f", content: "42" },
        { role: "assistant", content: "Go", prefix: true }
      ]
    })
    expect(JSON.stringify(body)).not.toContain("other")
  })

  it("tells each model how much to think in its own way, and names those that cannot", () => {
    const thinking = (value: Request.ChatFields["thinking"], model: string) => {
      const {
        messages: _m,
        model: _,
        ...rest
      } = bodyOf({ messages: [], thinking: value }, model) as Record<string, unknown>
      return rest
    }
    expect(thinking("low", magistral)).toEqual({ prompt_mode: "reasoning" })
    expect(thinking("off", magistral)).toEqual({ prompt_mode: null })
    expect(thinking(2000, "mistral-medium-2604")).toEqual({ reasoning_effort: "high" })
    expect(thinking("off", small)).toEqual({ reasoning_effort: "none" })
    expect(thinking("off", "mistral-small-2506")).toEqual({})
    expect(lacking({ thinking: "high" }, "mistral-small-2506")).toEqual(["thinking"])
    expect(lacking({ thinking: "off" }, "mistral-small-2506")).toEqual([])
    expect(lacking({ n: 2 }, small, true)).toEqual(["n"])
    expect(lacking({ messages: [{ role: "user", content: "x", name: "Ann" }] })).toEqual(["messages.name"])
  })

  it("closes the objects of a schema that it may adapt, and leaves others as they are", () => {
    const schema = {
      type: "object",
      properties: {
        properties: {
          type: "array",
          items: { type: "object", properties: { a: { enum: [{ properties: {} }] } } }
        },
        map: { type: "object", additionalProperties: { type: "string" } }
      }
    }
    const sent = (adapt: boolean) =>
      bodyOf({ messages: [], responseFormat: { type: "jsonSchema", name: "n", schema, adapt } })
    expect(sent(false)).toMatchObject({ response_format: { json_schema: { schema } } })
    expect(sent(true)).toMatchObject({
      response_format: {
        json_schema: {
          schema: {
            type: "object",
            additionalProperties: false,
            properties: {
              properties: {
                type: "array",
                items: {
                  type: "object",
                  additionalProperties: false,
                  properties: { a: { enum: [{ properties: {} }] } }
                }
              },
              map: { type: "object", additionalProperties: { type: "string" } }
            }
          }
        }
      }
    })
  })
})

describe("Mistral's answers", () => {
  const answer = (message: unknown, finish: unknown = "stop", more: object = {}) =>
    decode({ id: "i", model: "m", choices: [{ message, finish_reason: finish }], ...more }, asked)

  it("reads text, thoughts, calls, reasons and usage, and loses none of it to a wrong field", () => {
    const content = [
      {
        type: "thinking",
        thinking: [
          { type: "text", text: "a" },
          { type: "text", text: "b" }
        ]
      },
      { type: "text", text: "c" }
    ]
    expect(Either.getOrThrow(answer({ content }))).toMatchObject({
      text: "c",
      reasoning: "ab",
      finishReason: "stop"
    })
    const table = [
      ["stop", "stop"],
      ["length", "length"],
      ["model_length", "length"],
      ["tool_calls", "tool_calls"],
      ["new", "other"],
      [null, "other"]
    ]
    for (const [raw, reason] of table) {
      expect(Either.getOrThrow(answer({ content: "x" }, raw)).finishReason).toBe(reason)
    }
    const calls = [{ id: "null", function: { name: "f", arguments: { a: 1 } } }]
    expect(Either.getOrThrow(answer({ content: null, tool_calls: calls }))).toMatchObject({
      finishReason: "tool_calls",
      toolCalls: [{ id: "call_0", name: "f", arguments: `{"a":1}` }]
    })
    for (const cached of [
      { num_cached_tokens: 2 },
      { prompt_tokens_details: { cached_tokens: 2 } },
      { prompt_token_details: { cached_tokens: 2 } }
    ]) {
      const usage = { prompt_tokens: 10, completion_tokens: "3", ...cached }
      // cached tokens are part of the prompt's, and not added to them
      expect(Either.getOrThrow(answer({ content: "x" }, "stop", { usage })).usage).toEqual({
        inputTokens: 10,
        outputTokens: 3,
        cacheReadTokens: 2
      })
    }
    expect(
      Either.getOrThrow(answer({ content: "x" }, "stop", { id: 3, usage: "none", model: {} }))
    ).toMatchObject({
      text: "x",
      model: small,
      usage: { inputTokens: 5, outputTokens: 1, estimated: true }
    })
  })

  it("is an error where there is none", () => {
    const tag = (body: unknown) => Either.getOrThrow(Either.flip(decode(body, asked)))._tag
    expect(tag({})).toBe("NetworkError")
    expect(tag(undefined)).toBe("NetworkError")
    expect(tag({ choices: [] })).toBe("NetworkError")
    expect(tag({ choices: [{ message: { content: "x" }, finish_reason: "error" }] })).toBe("ServerError")
    expect(tag({ object: "error", message: "boom", type: "x", code: "1000" })).toBe("ServerError")
    expect(tag({ object: "error", message: "maximum context length", code: 400 })).toBe("ContextLengthError")
  })

  it("never throws, whatever comes", () => {
    const json = FastCheck.jsonValue()
    const part = FastCheck.record({ content: json, tool_calls: json, thinking: json })
    const choices = FastCheck.array(FastCheck.record({ message: part, delta: part, finish_reason: json }))
    const anything = FastCheck.oneof(json, FastCheck.record({ choices, usage: json, id: json, data: json }))
    const embedding = { ...asked, request: new Embedding({ input: ["a"] }) }
    FastCheck.assert(
      FastCheck.property(anything, (body) => {
        const reader = MistralEvents.events(asked)
        const results = [
          decode(body, asked),
          reader.read({ event: "message", data: JSON.stringify(body) ?? "" }),
          reader.end(),
          decodeListed(() => "float")(body, embedding)
        ]
        expect(results.every(Either.isEither)).toBe(true)
      }),
      { numRuns: 200 }
    )
  })

  it("reads streams whose calls have no numbers, and none that end too early", () => {
    const chunk = (delta: unknown, finish: string | null = null, more = {}) => ({
      event: "message",
      data: JSON.stringify({ id: "i", choices: [{ index: 0, delta, finish_reason: finish }], ...more })
    })
    const call = (id: string, name: string) => ({ id, function: { name, arguments: "{}" } })
    const reader = MistralEvents.events(asked)
    const parts = [
      chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "a" }] }] }),
      chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "b" }] }] }),
      chunk({ content: "c" }),
      chunk({ tool_calls: [call("a1B2c3D4e", "f"), { ...call("a1B2c3D4f", "g"), index: 0 }] }, "tool_calls", {
        usage: { prompt_tokens: 1, completion_tokens: 2 }
      }),
      { event: "message", data: "[DONE]" }
    ].flatMap((event) => Either.getOrThrow(reader.read(event)))
    const collector = new StreamPart.Collector()
    for (const part of [...parts, ...Either.getOrThrow(reader.end())]) collector.add(part)
    expect(Either.getOrThrow(collector.response(asked))).toMatchObject({
      id: "i",
      text: "c",
      reasoning: "ab",
      reasoningParts: [{ text: "ab", provider: "mistral" }],
      finishReason: "tool_calls",
      toolCalls: [
        { id: "a1B2c3D4e", name: "f" },
        { id: "a1B2c3D4f", name: "g" }
      ],
      usage: { inputTokens: 1, outputTokens: 2 }
    })
    const early = MistralEvents.events(asked)
    early.read(chunk({ content: "half" }))
    expect(Either.getOrThrow(Either.flip(early.end()))).toMatchObject({
      _tag: "NetworkError",
      requestId: "c1"
    })
    const failing = MistralEvents.events(asked).read(chunk({ content: "" }, "error"))
    expect(Either.getOrThrow(Either.flip(failing))._tag).toBe("ServerError")
  })
})

describe("Mistral.config", () => {
  it.effect("is read from the environment", () =>
    Effect.gen(function* () {
      const read = (variables: ReadonlyArray<[string, string]>) =>
        Mistral.config.pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map(variables))))
      const options = yield* read([["MISTRAL_API_KEY", "k1"]])
      expect(options).toMatchObject({ provider: "mistral", baseUrl: "https://api.mistral.ai/v1" })
      assert(options.apiKey !== undefined)
      expect(Redacted.value(options.apiKey)).toBe("k1")
      expect(String(yield* Effect.flip(read([])))).toContain("MISTRAL_API_KEY")
    })
  )
})
