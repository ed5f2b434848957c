import { assert, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import {
  Chat,
  Cohere,
  Completion,
  collect,
  complete,
  Embedding,
  Endpoint,
  LlmError,
  Message,
  object,
  type Request,
  Response,
  StreamPart,
  stream
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { cacheKey } from "../../src/internal/cacheKey.js"
import * as CohereEvents from "../../src/internal/cohereEvents.js"
import { decode, decodeEmbedding, decodeRerank } from "../../src/internal/cohereResponse.js"
import { apiKey, once, simulated } from "./simulated.js"

const command = "command-a-03-2025"
const reasoning = "command-a-reasoning-08-2025"
const against = simulated("cohere", Cohere.layer, command)

const endpoint = Endpoint.make({ provider: "cohere", baseUrl: Cohere.defaultBaseUrl })

/** The body that a request is sent as. */
const bodyOfRequest = (request: Request.Request, model: string, streaming = false): unknown => {
  const call = Cohere.wire.encode(request, { model, endpoint, streaming })
  assert(Either.isRight(call))
  return JSON.parse(JSON.stringify(call.right.body))
}

const bodyOf = (fields: Request.ChatFields, model = command, streaming = false): unknown =>
  bodyOfRequest(new Chat(fields), model, streaming)

const lacking = (fields: Partial<Request.ChatFields>, model = command) =>
  Cohere.wire.lacks?.(new Chat({ messages: [Message.user("x")], ...fields }), {
    model,
    endpoint,
    streaming: false
  })

const asked = {
  provider: "cohere",
  model: command,
  request: Chat.prompt("four characters each"),
  requestId: "c1"
}

const weather = {
  type: "function",
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
} as const

describe("Cohere over the wire", () => {
  it.scopedLive("answers chats, and tells what was used and what of it is billed", () =>
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
        topP: 0.9,
        topK: 10,
        stop: "END",
        maxTokens: 200
      })
      expect(response.text).toContain("Grüße 🌍")
      expect(response).toMatchObject({ provider: "cohere", model: command, finishReason: "stop" })
      expect(response.meta.requestId).toMatch(/^[0-9a-f]{32}$/)
      const [entry] = yield* (yield* Simulator.Simulator).log
      const { usage } = response
      expect(usage).toMatchObject({ inputTokens: entry?.inputTokens, outputTokens: entry?.outputTokens })
      expect(usage.billedInputTokens).toBeLessThan(usage.inputTokens)
      expect(usage.billedOutputTokens).toBe(usage.outputTokens)

      const cut = yield* complete(Chat.prompt("Count to a million", { maxTokens: 3 }))
      expect(cut.finishReason).toBe("length")
      const stopped = yield* complete(Chat.prompt("Why is the sky blue?", { stop: ["sky"] }))
      expect(stopped).toMatchObject({ finishReason: "stop", rawFinishReason: "STOP_SEQUENCE" })
      const large = yield* complete(Chat.prompt("x".repeat(1_000_000)))
      expect(large.usage.cacheReadTokens).toBeGreaterThan(100_000)
    }).pipe(Effect.provide(against({ outputTokens: 40, cachedShare: 0.5 })))
  )

  it.scopedLive("calls tools with a plan, which goes back with their results", () =>
    Effect.gen(function* () {
      const question = { messages: [Message.user("Weather in Paris?")], tools: [weather] }
      const called = yield* complete({ ...question, toolChoice: { type: "function", name: "weather" } })
      expect(called.finishReason).toBe("tool_calls")
      expect(called.reasoning).toBe("I will use the weather tool.")
      const [call] = called.toolCalls
      expect(JSON.parse(call?.arguments ?? "")).toHaveProperty("city")
      const messages = [
        ...question.messages,
        Response.toMessage(called),
        Message.tool(call?.id ?? "", [Message.text("sunny")])
      ]
      expect(bodyOf({ messages })).toMatchObject({
        messages: [{}, { role: "assistant", tool_plan: called.reasoning, tool_calls: [{ id: call?.id }] }, {}]
      })
      expect((yield* complete({ ...question, messages })).finishReason).toBe("stop")
      const strict = yield* complete({
        ...question,
        tools: [{ ...weather, strict: true }],
        toolChoice: "required"
      })
      expect(strict.toolCalls).toHaveLength(1)
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("thinks, tells what, and takes it back; streams amount to the plain answers", () =>
    Effect.gen(function* () {
      const thinking: Request.ChatFields = {
        messages: [Message.user("Think hard")],
        thinking: 1000,
        model: reasoning
      }
      const first = yield* complete(thinking)
      expect(first.reasoning).toMatch(/^Thought/)
      expect(first.reasoningParts).toEqual([{ text: first.reasoning, provider: "cohere" }])
      yield* complete({
        ...thinking,
        messages: [...thinking.messages, Response.toMessage(first), Message.user("On")]
      })
      expect((yield* complete({ ...thinking, thinking: "off" })).reasoning).toBeUndefined()

      const chats: ReadonlyArray<Request.ChatFields> = [
        { messages: [Message.user("Grüße 🌍")], logprobs: true },
        thinking,
        { ...thinking, tools: [weather], toolChoice: "required" },
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

  it.scopedLive("answers with values: by schema, or by words where there is none for it", () =>
    Effect.gen(function* () {
      const City = Schema.Struct({
        name: Schema.NonEmptyString,
        tags: Schema.Array(Schema.String).pipe(Schema.minItems(1))
      })
      const { value } = yield* object({ messages: [Message.user("A city")] }, City)
      expect(value.name).toMatch(/^Answer/)
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("embeds texts, of one type or several", () =>
    Effect.gen(function* () {
      const input = ["one", "two", "three"]
      const ask = (extra: Cohere.Parameters = {}, purpose?: Embedding["purpose"]) =>
        complete(
          new Embedding({
            input,
            model: "embed-v4.0",
            dimensions: 256,
            purpose,
            extra: Cohere.parameters(extra)
          })
        )
      const plain = yield* ask({}, "query")
      expect(plain.embeddings.map((vector) => vector.length)).toEqual([256, 256, 256])
      expect(plain.usage).toEqual({ inputTokens: 4, outputTokens: 0 })
      const several = yield* ask({ embedding_types: ["int8", "float"] })
      expect(several.embeddings[0]?.every(Number.isInteger)).toBe(true)
      const bytes = yield* ask({ embedding_types: ["base64"] })
      expect(bytes.embeddings).toEqual(plain.embeddings.map((vector) => vector.map(Math.fround)))
      const many = yield* complete(
        new Embedding({ input: Array.from({ length: 200 }, (_, i) => `t${i}`), model: "e" })
      )
      expect(many.embeddings).toHaveLength(200)
    }).pipe(Effect.provide(against()))
  )

  it.live("turns each failure into its typed error, and reads how long to wait", () =>
    Effect.gen(function* () {
      const trial = "You are using a Trial key, which is limited to 1000 API calls / month."
      const table: ReadonlyArray<readonly [Simulator.Fault, LlmError.LlmError["_tag"]]> = [
        [{ kind: "status", status: 401 }, "AuthError"],
        [{ kind: "status", status: 402 }, "QuotaExhaustedError"],
        [{ kind: "status", status: 403 }, "PermissionError"],
        [{ kind: "status", status: 404 }, "NotFoundError"],
        [{ kind: "status", status: 400 }, "InvalidRequestError"],
        [{ kind: "status", status: 422 }, "InvalidRequestError"],
        [{ kind: "status", status: 429 }, "RateLimitError"],
        [{ kind: "status", status: 429, message: trial }, "QuotaExhaustedError"],
        [{ kind: "status", status: 498 }, "ContentFilterError"],
        [{ kind: "status", status: 499 }, "CancelledError"],
        [{ kind: "status", status: 500 }, "ServerError"],
        [{ kind: "status", status: 501 }, "InvalidRequestError"],
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
        if (fault.kind === "status") expect(error.requestId).toMatch(/^[0-9a-f]{32}$/)
        expect(JSON.stringify(error)).not.toContain(apiKey)
        if (fault.kind === "status" || fault.kind === "reset") continue
        const streamed = yield* Effect.flip(collect(stream(Chat.prompt("x"), once))).pipe(
          Effect.provide(services)
        )
        expect([fault, streamed._tag]).toEqual([fault, tag])
      }
      const limited = yield* Effect.flip(complete(Chat.prompt("x"), once)).pipe(
        Effect.provide(
          against({
            script: [{ fault: { kind: "status", status: 429, retryAfter: "3 seconds" }, times: "always" }]
          })
        )
      )
      expect(Duration.toMillis(LlmError.waitHint(limited))).toBe(3000)
      const long = yield* Effect.flip(complete(Chat.prompt("x".repeat(9000)), once)).pipe(
        Effect.provide(against({ contextWindow: 1000 }))
      )
      expect(long._tag).toBe("ContextLengthError")
    })
  )

  it.scopedLive("names what there is no counterpart for", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(complete(Chat.prompt("x", { n: 2 }), once))
      expect(error).toMatchObject({ _tag: "UnsupportedError", feature: "n" })
      const completion = yield* Effect.flip(complete(new Completion({ prompt: "x" }), once))
      expect(completion).toMatchObject({ _tag: "UnsupportedError", feature: "Completion" })
      const kept = yield* complete({
        messages: [
          Message.user([Message.text("x"), { type: "file", data: "data:application/pdf;base64,AAAA" }])
        ],
        unsupported: "drop"
      })
      expect(kept.warnings?.[0]).toContain("messages.file")
      const refused = yield* Effect.flip(complete(Chat.prompt("x", { extra: { top_p: 1 } }), once))
      expect(refused).toMatchObject({ _tag: "InvalidRequestError", status: 422 })
    }).pipe(Effect.provide(against()))
  )
})

describe("Cohere's bodies", () => {
  it("has Cohere's names for parameters, and none that were not set", () => {
    const messages = [Message.user("Hi")]
    expect(bodyOf({ messages })).toEqual({ model: command, messages: [{ role: "user", content: "Hi" }] })
    const schema = { type: "object", properties: {}, required: [] }
    expect(
      bodyOf(
        {
          messages,
          maxTokens: 500,
          temperature: 0.3,
          topP: 0.9,
          topK: 0,
          seed: 7,
          stop: "END",
          frequencyPenalty: 0,
          presencePenalty: 0,
          logprobs: true,
          responseFormat: { type: "jsonSchema", name: "out", schema },
          thinking: 1000,
          promptCacheKey: "k",
          extra: Cohere.parameters({
            safety_mode: "CONTEXTUAL",
            documents: [],
            citation_options: { mode: "OFF" }
          })
        },
        reasoning,
        true
      )
    ).toEqual({
      model: reasoning,
      messages: [{ role: "user", content: "Hi" }],
      max_tokens: 500,
      temperature: 0.3,
      p: 0.9,
      k: 0,
      seed: 7,
      stop_sequences: ["END"],
      frequency_penalty: 0,
      presence_penalty: 0,
      logprobs: true,
      response_format: { type: "json_object", json_schema: schema },
      thinking: { type: "enabled", token_budget: 1000 },
      safety_mode: "CONTEXTUAL",
      documents: [],
      citation_options: { mode: "OFF" },
      stream: true
    })
    const embedding = new Embedding({ input: ["a"] })
    expect(bodyOfRequest(embedding, "embed-v4.0")).toEqual({
      model: "embed-v4.0",
      texts: ["a"],
      input_type: "search_document"
    })
    const image = new Embedding({ input: [], extra: { images: ["data:"] } })
    expect(bodyOfRequest(image, "e")).toEqual({ model: "e", images: ["data:"], input_type: "image" })
  })

  it.live("embeds images, which travel in extra, each to its vector", () =>
    Effect.gen(function* () {
      const images = ["data:image/png;base64,iVBORw0=", "data:image/png;base64,iVBORw1="]
      const request = (some: ReadonlyArray<string>) =>
        new Embedding({
          input: [],
          model: "embed-v4.0",
          dimensions: 256,
          extra: Cohere.parameters({ images: some, embedding_types: ["float"] })
        })
      const both = yield* complete(request(images))
      expect(both.embeddings.map((vector) => vector.length)).toEqual([256, 256])
      expect(both.meta.attempts).toBe(1)
      const [first, second] = images.map((image) => request([image]))
      assert(first !== undefined && second !== undefined)
      expect((yield* complete(second)).embeddings).toEqual([both.embeddings[1]])
      // what is in extra is part of the question
      const [one, other] = [first, second].map((request) => cacheKey({ request, source: "cohere" }))
      expect(one).not.toBe(other)
      const log = yield* (yield* Simulator.Simulator).log
      expect(log).toHaveLength(2)
    }).pipe(Effect.provide(against()))
  )

  it("leaves the choice of a tool to the model, wants one, rules all out, or offers only the one", () => {
    const other = { type: "function", name: "other" } as const
    const sent = (toolChoice: Request.ChatFields["toolChoice"]) => {
      const { tools, tool_choice: choice } = bodyOf({
        messages: [],
        tools: [other, weather],
        toolChoice
      }) as {
        readonly tools: ReadonlyArray<{ readonly function: { readonly name: string } }>
        readonly tool_choice: unknown
      }
      return [tools.map((tool) => tool.function.name), choice]
    }
    expect(sent("auto")).toEqual([["other", "weather"], undefined])
    expect(sent("none")).toEqual([["other", "weather"], "NONE"])
    expect(sent("required")).toEqual([["other", "weather"], "REQUIRED"])
    expect(sent({ type: "function", name: "weather" })).toEqual([["weather"], "REQUIRED"])
  })

  it("adapts schemas to what Cohere takes, and says in words what it does not", () => {
    const sent = (schema: Readonly<Record<string, unknown>>, tools?: Request.ChatFields["tools"]) => {
      const format = { type: "jsonSchema", name: "n", schema, adapt: true } as const
      return bodyOf({ messages: [], responseFormat: format, ...(tools && { tools }) })
    }
    const bounded = {
      $schema: "x",
      type: "object",
      required: ["minimum"],
      additionalProperties: false,
      properties: { minimum: { type: "integer", minimum: 1 }, at: { type: "string", format: "email" } }
    }
    expect(sent(bounded)).toEqual({
      model: command,
      messages: [],
      response_format: {
        type: "json_object",
        json_schema: {
          type: "object",
          required: ["minimum"],
          properties: {
            minimum: { type: "integer", description: "{minimum: 1}" },
            at: { type: "string", description: '{format: "email"}' }
          }
        }
      }
    })
    const named = {
      type: "object",
      required: ["a"],
      properties: {
        a: { allOf: [{ $ref: "#/definitions/A" }], description: "the first" },
        b: { $ref: "#/definitions/A" },
        c: { type: "integer", allOf: [{ minimum: 1, description: "how many" }] }
      },
      definitions: { A: { type: "string", maxLength: 9 } }
    }
    expect(sent(named)).toMatchObject({
      messages: [],
      response_format: {
        json_schema: {
          properties: {
            a: { type: "string", description: "the first\n\n{maxLength: 9}" },
            b: { $ref: "#/$defs/A" },
            c: { type: "integer", description: "how many\n\n{minimum: 1}" }
          },
          $defs: { A: { type: "string", description: "{maxLength: 9}" } }
        }
      }
    })
    const map = {
      type: "object",
      required: ["m"],
      properties: { m: { additionalProperties: { type: "string" } } }
    }
    expect(sent(map)).toMatchObject({
      messages: [{ role: "system" }],
      response_format: { type: "json_object" }
    })
    expect(sent(map)).not.toHaveProperty("response_format.json_schema")
    // JSON mode and tools rule each other out
    expect(sent(bounded, [weather])).not.toHaveProperty("response_format")
    expect(sent(bounded, [weather])).toMatchObject({ messages: [{ role: "system" }] })
  })

  it("names what a model cannot do", () => {
    expect(lacking({ thinking: "high" })).toEqual(["thinking"])
    expect(lacking({ thinking: "off" })).toEqual([])
    expect(lacking({ thinking: "high" }, reasoning)).toEqual([])
    expect(lacking({ thinking: "of their own" }, reasoning)).toEqual(["thinking"])
    expect(lacking({ messages: [Message.user([{ type: "audio", data: "", format: "wav" }])] })).toEqual([
      "messages.audio"
    ])
    expect(lacking({ topLogprobs: 1, store: false, serviceTier: "flex", promptCacheKey: "k" })).toEqual([
      "topLogprobs",
      "serviceTier",
      "store"
    ])
    expect(bodyOf({ messages: [], thinking: "off" }, reasoning)).toMatchObject({
      thinking: { type: "disabled" }
    })
    expect(bodyOf({ messages: [], thinking: "off" })).not.toHaveProperty("thinking")
  })
})

describe("Cohere's answers", () => {
  const answer = (message: unknown, more: object = {}) =>
    decode({ id: "i", message, finish_reason: "COMPLETE", ...more }, asked)

  it("reads text, thoughts, calls, reasons and usage, and loses none of it to a wrong field", () => {
    const content = [
      { type: "thinking", thinking: "hm" },
      { type: "text", text: "a" },
      { type: "text", text: "b" }
    ]
    const usage = {
      billed_units: { input_tokens: 5, output_tokens: 2 },
      tokens: { input_tokens: 70, output_tokens: 2 },
      cached_tokens: 0
    }
    expect(Either.getOrThrow(answer({ content }, { usage }))).toMatchObject({
      id: "i",
      text: "ab",
      reasoning: "hm",
      usage: {
        inputTokens: 70,
        outputTokens: 2,
        cacheReadTokens: 0,
        billedInputTokens: 5,
        billedOutputTokens: 2
      }
    })
    const table = [
      ["COMPLETE", "stop"],
      ["STOP_SEQUENCE", "stop"],
      ["MAX_TOKENS", "length"],
      ["TOOL_CALL", "tool_calls"],
      ["ERROR_TOXIC", "content_filter"],
      ["NEW", "other"],
      [null, "other"]
    ]
    for (const [raw, reason] of table) {
      expect(Either.getOrThrow(answer({ content: [] }, { finish_reason: raw })).finishReason).toBe(reason)
    }
    expect(Either.getOrThrow(answer({ content: "plain" }, { id: {}, usage: 3 }))).toMatchObject({
      text: "plain",
      usage: { inputTokens: 5, outputTokens: 2, estimated: true }
    })
  })

  it("is an error where there is none", () => {
    const tag = (body: unknown) => Either.getOrThrow(Either.flip(decode(body, asked)))._tag
    expect(tag({})).toBe("NetworkError")
    expect(tag({ message: "too many tokens" })).toBe("ContextLengthError")
    expect(tag({ message: "boom" })).toBe("ServerError")
    expect(tag({ message: {}, finish_reason: "ERROR" })).toBe("ServerError")
    expect(tag({ message: {}, finish_reason: "TIMEOUT" })).toBe("TimeoutError")
    const embedding = { ...asked, request: new Embedding({ input: ["a", "b"] }) }
    const short = decodeEmbedding({ embeddings: { float: [[1, 2]] } }, embedding)
    expect(Either.getOrThrow(Either.flip(short))._tag).toBe("NetworkError")
    const listed = decodeEmbedding({ embeddings: [[1], [2]] }, embedding)
    expect(Either.getOrThrow(listed).embeddings).toEqual([[1], [2]])
  })

  it("never throws, whatever comes", () => {
    const json = FastCheck.jsonValue()
    const message = FastCheck.record({ content: json, tool_calls: json, tool_plan: json })
    const type = FastCheck.constantFrom("content-delta", "tool-call-start", "tool-call-delta", "message-end")
    const delta = FastCheck.record({ message, finish_reason: json, usage: json })
    const fields = {
      type,
      delta,
      message,
      index: json,
      usage: json,
      embeddings: json,
      results: json,
      meta: json
    }
    const anything = FastCheck.oneof(json, FastCheck.record(fields))
    const embedding = { ...asked, request: new Embedding({ input: ["a"] }) }
    FastCheck.assert(
      FastCheck.property(anything, (body) => {
        const reader = CohereEvents.events(asked)
        const results = [
          decode(body, asked),
          reader.read({ event: "message", data: JSON.stringify(body) ?? "" }),
          reader.end(),
          decodeEmbedding(body, embedding),
          decodeRerank(body, embedding)
        ]
        expect(results.every(Either.isEither)).toBe(true)
      }),
      { numRuns: 200 }
    )
  })

  it("reads events, and no stream that ends before its end", () => {
    const event = (type: string, fields: object = {}) => ({
      event: type,
      data: JSON.stringify({ type, ...fields })
    })
    const message = (fields: object) => ({ delta: { message: fields } })
    const reader = CohereEvents.events(asked)
    const parts = [
      event("message-start", { id: "i" }),
      event("tool-plan-delta", message({ tool_plan: "I will" })),
      event("tool-call-start", {
        index: 0,
        ...message({ tool_calls: { id: "f_1", type: "function", function: { name: "f", arguments: "" } } })
      }),
      event("tool-call-delta", {
        index: 0,
        ...message({ tool_calls: { function: { arguments: `{"a":1}` } } })
      }),
      event("tool-call-end", { index: 0 }),
      event("citation-start", { index: 0 }),
      event("message-end", {
        delta: { finish_reason: "TOOL_CALL", usage: { tokens: { input_tokens: 3, output_tokens: 0 } } }
      }),
      { event: "message", data: "[DONE]" }
    ].flatMap((given) => Either.getOrThrow(reader.read(given)))
    const collector = new StreamPart.Collector()
    for (const part of [...parts, ...Either.getOrThrow(reader.end())]) collector.add(part)
    expect(Either.getOrThrow(collector.response(asked))).toMatchObject({
      id: "i",
      reasoning: "I will",
      reasoningParts: [{ text: "I will", provider: "cohere", item: { tool_plan: "I will" } }],
      finishReason: "tool_calls",
      toolCalls: [{ id: "f_1", name: "f", arguments: `{"a":1}` }],
      usage: { inputTokens: 3, outputTokens: 0 }
    })
    const early = CohereEvents.events(asked)
    early.read(event("message-start", { id: "i" }))
    expect(Either.getOrThrow(Either.flip(early.end()))._tag).toBe("NetworkError")
    const failing = (delta: object) =>
      Either.getOrThrow(Either.flip(CohereEvents.events(asked).read(event("message-end", { delta }))))._tag
    expect(failing({ finish_reason: "TIMEOUT" })).toBe("TimeoutError")
    expect(failing({ error: "the model broke" })).toBe("ServerError")
  })
})

describe("Cohere.config", () => {
  it.effect("is read from the environment, under either name of the key", () =>
    Effect.gen(function* () {
      const read = (variables: ReadonlyArray<[string, string]>) =>
        Cohere.config.pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map(variables))))
      for (const variable of ["CO_API_KEY", "COHERE_API_KEY"]) {
        const options = yield* read([[variable, "k1"]])
        expect(options).toMatchObject({ provider: "cohere", baseUrl: "https://api.cohere.com/v2" })
        assert(options.apiKey !== undefined)
        expect(Redacted.value(options.apiKey)).toBe("k1")
      }
      expect(String(yield* Effect.flip(read([])))).toContain("CO_API_KEY")
    })
  )
})
