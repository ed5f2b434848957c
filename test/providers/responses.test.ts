import { assert, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import {
  Chat,
  collect,
  complete,
  Embedding,
  Endpoint,
  type LlmError,
  Message,
  OpenAiResponses,
  object,
  type Request,
  Response,
  StreamPart,
  stream,
  type Wire
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import * as ResponsesEvents from "../../src/internal/responsesEvents.js"
import { decode } from "../../src/internal/responsesResponse.js"
import { once, simulated } from "./simulated.js"

const plain = "gpt-4.1-mini"
const thinker = "gpt-5-mini"
const against = simulated("openai-responses", OpenAiResponses.layer, plain)

const endpoint = Endpoint.make({ provider: "openai-responses", baseUrl: OpenAiResponses.defaultBaseUrl })

const context = (model: string, streaming = false): Wire.Context => ({ model, endpoint, streaming })

/** The body that a chat is sent as. */
const bodyOf = (fields: Request.ChatFields, model = plain, streaming = false) => {
  const call = OpenAiResponses.wire.encode(new Chat(fields), context(model, streaming))
  return Either.getOrThrow(call).body as Readonly<Record<string, unknown>>
}

const lacking = (fields: Partial<Request.ChatFields>, model = plain) =>
  OpenAiResponses.wire.lacks?.(new Chat({ messages: [Message.user("x")], ...fields }), context(model))

const asked: Wire.Asked = {
  provider: "openai-responses",
  model: "m",
  request: Chat.prompt("x"),
  requestId: "req_1"
}

const collected = (events: ReadonlyArray<unknown>) => {
  const reader = ResponsesEvents.events(asked)
  const collector = new StreamPart.Collector()
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

const weather = {
  type: "function",
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
} as const

/** What does not differ between two answers to one question: ids have the number of the call in them. */
const told = ({ id: _, meta: _meta, raw: _raw, ...rest }: Response.ChatResponse) => ({
  ...rest,
  provider: "",
  toolCalls: rest.toolCalls.map(({ id: _id, ...call }) => call),
  reasoningParts: rest.reasoningParts?.map(({ text }) => text)
})

describe("OpenAI's Responses API", () => {
  it.scopedLive("streams the answers that it gives plainly, with the usage that is billed", () =>
    Effect.gen(function* () {
      const chats = [
        Chat.prompt("Why is the sky blue? 天空为什么是蓝色的", { system: "Be brief." }),
        Chat.prompt("Cut me", { maxTokens: 16 }),
        Chat.prompt("Likely?", { logprobs: true, topLogprobs: 2 }),
        Chat.prompt("Weather?", { tools: [weather], toolChoice: "required" }),
        Chat.prompt("Please refuse"),
        Chat.prompt("Please block"),
        Chat.prompt("Please say nothing"),
        Chat.prompt("Think", { model: thinker, thinking: "high" }),
        Chat.prompt("Think and call", {
          model: thinker,
          thinking: 5_000,
          tools: [weather],
          toolChoice: { type: "function", name: "weather" }
        })
      ]
      const { log } = yield* Simulator.Simulator
      const reasons: Array<string> = []
      for (const chat of chats) {
        const whole = yield* complete(chat, once)
        const streamed = yield* collect(stream(chat, once))
        expect(told(streamed)).toEqual(told(whole))
        const bill = (yield* log).at(-1)
        expect(streamed.usage).toMatchObject({
          inputTokens: bill?.inputTokens,
          outputTokens: bill?.outputTokens
        })
        reasons.push(whole.finishReason)
      }
      expect(reasons).toEqual([
        "stop",
        "length",
        "stop",
        "tool_calls",
        "content_filter",
        "content_filter",
        "stop",
        "stop",
        "tool_calls"
      ])
    }).pipe(
      Effect.provide(
        against({
          outputTokens: 40,
          reasoningTokens: 12,
          streamChunkTokens: 3,
          script: [
            { match: "refuse", times: 2, fault: { kind: "refusal" } },
            { match: "block", times: 2, fault: { kind: "contentFilter" } },
            { match: "nothing", times: 2, fault: { kind: "empty" } }
          ]
        })
      )
    )
  )

  it.scopedLive("takes images, documents, turns with calls and their results, and a megabyte", () =>
    Effect.gen(function* () {
      const toolCalls = [{ id: "toolu_1", name: "weather", arguments: `{"city":"Zürich"}` }]
      const turns = new Chat({
        messages: [
          Message.system("Be brief."),
          Message.user([
            Message.text("Wie ist das Wetter? 🌦️"),
            Message.image("https://x.test/a.png", { detail: "low" }),
            { type: "file", data: "data:application/pdf;base64,AA==", filename: "a.pdf" },
            { type: "file", data: "https://x.test/a.pdf" }
          ]),
          Message.assistant("", {
            toolCalls,
            reasoning: [{ text: "another's", provider: "anthropic", signature: "s" }]
          }),
          Message.tool("toolu_1", [Message.text("sunny")], { name: "weather" }),
          { role: "assistant", content: "Sunny.", refusal: "I say no more" },
          Message.system("From now on in Chinese."),
          Message.user("天气 \u0000 \ud83d\ude00?")
        ],
        tools: [weather, { type: "function", name: "none", strict: true }]
      })
      expect((yield* complete(turns, once)).text).toContain("天气")
      const long = yield* complete(Chat.prompt("long ".repeat(200_000)), once)
      expect(long.usage.inputTokens).toBeGreaterThan(250_000)
      expect(long.usage.cacheReadTokens).toBeGreaterThan(100_000)
      const City = Schema.Struct({ name: Schema.String, size: Schema.optional(Schema.Int) })
      expect((yield* object(Chat.prompt("A city"), City, once)).value.name).toMatch(/^Answer/)
    }).pipe(Effect.provide(against({ cachedShare: 0.5 })))
  )

  it.scopedLive("gives thoughts back, whether the server keeps them or not", () =>
    Effect.gen(function* () {
      // the simulator refuses ids of what is not kept, encrypted thoughts that are not its own, and calls left open
      for (const fields of [
        { thinking: "low", store: false },
        { thinking: "low" },
        { store: false },
        { tools: [weather], toolChoice: "required" },
        { tools: [weather], toolChoice: "required", store: false },
        {}
      ] as const) {
        const messages = [Message.user("Weather?")]
        const first = yield* complete({ messages, model: thinker, ...fields }, once)
        expect(first.reasoningParts).toHaveLength(1)
        const { toolChoice: _, ...next }: Partial<Request.ChatFields> = fields
        const second = yield* complete(
          {
            model: thinker,
            ...next,
            messages: [
              ...messages,
              Response.toMessage(first),
              ...first.toolCalls.map(({ id }) => Message.tool(id, "Rain")),
              Message.user("And now?")
            ]
          },
          once
        )
        expect(second.finishReason).toBe("stop")
      }
    }).pipe(Effect.provide(against({ reasoningTokens: 12 })))
  )

  it.live("ends in typed errors, streamed or not", () =>
    Effect.gen(function* () {
      const table: ReadonlyArray<readonly [Simulator.Fault, LlmError.LlmError["_tag"]]> = [
        [{ kind: "status", status: 401 }, "AuthError"],
        [{ kind: "status", status: 429, code: "insufficient_quota" }, "QuotaExhaustedError"],
        [{ kind: "status", status: 400, code: "invalid_prompt" }, "ContentFilterError"],
        [{ kind: "status", status: 503 }, "OverloadedError"],
        [{ kind: "truncate" }, "NetworkError"],
        [{ kind: "malformed" }, "NetworkError"],
        [{ kind: "errorBody" }, "ServerError"]
      ]
      for (const [fault, tag] of table) {
        const services = against({ script: [{ fault, times: "always" }] })
        const error = yield* Effect.flip(complete(Chat.prompt("x"), once)).pipe(Effect.provide(services))
        expect([fault, error._tag]).toEqual([fault, tag])
        if (fault.kind === "status") {
          expect(error.requestId).toMatch(/^req_/)
          continue
        }
        const streamed = yield* Effect.flip(collect(stream(Chat.prompt("x"), once))).pipe(
          Effect.provide(services)
        )
        expect([fault, streamed._tag]).toEqual([fault, tag])
      }
    })
  )

  it.scopedLive("says no before anything is sent to what this API has not", () =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(complete(Chat.prompt("x", { stop: "END" }), once))
      expect(refused).toMatchObject({ _tag: "UnsupportedError", feature: "stop" })
      const short = yield* Effect.flip(complete(Chat.prompt("x", { maxTokens: 15 }), once))
      expect(short._tag).toBe("InvalidRequestError")
      const vectors = yield* Effect.flip(complete(new Embedding({ input: ["x"] }), once))
      expect(vectors).toMatchObject({ _tag: "UnsupportedError", feature: "Embedding" })
      const { log } = yield* Simulator.Simulator
      expect(yield* log).toEqual([])
      const kept = yield* complete(
        Chat.prompt([Message.text("x"), { type: "audio", data: "AA==", format: "wav" }], {
          seed: 1,
          unsupported: "drop"
        }),
        once
      )
      expect(kept.warnings?.join()).toMatch(/seed.*audio/)
    }).pipe(Effect.provide(against()))
  )
})

describe("the body of a response's request", () => {
  const messages = [Message.user("Hi")]

  it("has this API's names for parameters, and none that were not set", () => {
    expect(bodyOf({ messages })).toEqual({ model: plain, input: [{ role: "user", content: "Hi" }] })
    const schema = { type: "object", properties: {}, required: [], additionalProperties: false }
    expect(
      bodyOf(
        {
          messages: [
            Message.system("Be terse."),
            Message.user([
              Message.text("Look"),
              Message.image("data:image/png;base64,AA==", { detail: "auto" }),
              { type: "file", filename: "a.pdf", data: "data:application/pdf;base64,AA==" }
            ]),
            Message.assistant(null, {
              reasoning: [
                {
                  text: "",
                  provider: "openai-responses",
                  item: { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "gAAA" }
                }
              ],
              toolCalls: [{ id: "call_1", name: "f", arguments: "{}" }]
            }),
            Message.tool("call_1", "42")
          ],
          maxTokens: 4_000,
          thinking: "low",
          verbosity: "low",
          responseFormat: { type: "jsonSchema", name: "out", strict: true, schema },
          tools: [{ type: "function", name: "f", description: "d", parameters: schema, strict: true }],
          toolChoice: { type: "function", name: "f" },
          parallelToolCalls: false,
          topLogprobs: 3,
          store: false,
          serviceTier: "flex",
          labels: { run: "7" },
          promptCacheKey: "job-7",
          safetyIdentifier: "h",
          extra: OpenAiResponses.parameters({ max_tool_calls: 3 })
        },
        "gpt-6.1-sol",
        true
      )
    ).toEqual({
      model: "gpt-6.1-sol",
      instructions: "Be terse.",
      input: [
        {
          role: "user",
          content: [
            { type: "input_text", text: "Look" },
            { type: "input_image", image_url: "data:image/png;base64,AA==", detail: "auto" },
            { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,AA==" }
          ]
        },
        // an id would have the server look for what it was told not to keep
        { type: "reasoning", summary: [], encrypted_content: "gAAA" },
        { type: "function_call", call_id: "call_1", name: "f", arguments: "{}" },
        { type: "function_call_output", call_id: "call_1", output: "42" }
      ],
      max_output_tokens: 4_000,
      reasoning: { effort: "low", summary: "auto" },
      text: { format: { type: "json_schema", name: "out", strict: true, schema }, verbosity: "low" },
      tools: [{ type: "function", name: "f", description: "d", parameters: schema, strict: true }],
      tool_choice: { type: "function", name: "f" },
      parallel_tool_calls: false,
      include: ["reasoning.encrypted_content", "message.output_text.logprobs"],
      top_logprobs: 3,
      store: false,
      service_tier: "flex",
      metadata: { run: "7" },
      prompt_cache_key: "job-7",
      safety_identifier: "h",
      stream: true,
      max_tool_calls: 3
    })
  })

  it("asks for encrypted thoughts where a model that thinks is to be gone on with, and not to think where told so", () => {
    const includes = (fields: Partial<Request.ChatFields>, model: string) =>
      bodyOf({ messages, ...fields }, model).include
    const encrypted = ["reasoning.encrypted_content"]
    expect(includes({ tools: [weather] }, "gpt-5.4")).toEqual(encrypted)
    expect(includes({ extra: { store: false } }, "gpt-5.4")).toEqual(encrypted)
    expect(includes({}, "gpt-5.4")).toBeUndefined()
    expect(includes({ tools: [weather], store: false }, "gpt-4.1")).toBeUndefined()
    const silent = bodyOf({ messages, thinking: "off" }, "gpt-5.4")
    expect(silent).toMatchObject({ reasoning: { effort: "none" } })
    expect(bodyOf({ messages, thinking: "off" }, "gpt-4.1")).not.toHaveProperty("reasoning")
    expect(silent).not.toHaveProperty("include")
    expect(silent).not.toHaveProperty("store")
    expect(bodyOf({ messages, thinking: 20_000 }, "gpt-5.4").reasoning).toMatchObject({ effort: "high" })
  })

  it("puts into words what strict mode cannot say, and says of each tool whether it is strict", () => {
    const list = { type: "array", items: { type: "string" } }
    const format = { type: "jsonSchema", name: "n", schema: list, adapt: true } as const
    const inWords = bodyOf({ messages: [Message.system("Be brief."), ...messages], responseFormat: format })
    expect(inWords).not.toHaveProperty("text")
    expect(inWords.instructions).toContain("Be brief.\n\nAnswer with JSON")
    // instructions in `extra` do not take the place of what has to be said
    const both = bodyOf({ messages, responseFormat: format, extra: { instructions: "Mine." } })
    expect(both.instructions).toBe("Mine.")
    expect(JSON.stringify(both.input)).toContain("Answer with JSON")
    const adapted = bodyOf({
      messages,
      responseFormat: { ...format, schema: { type: "object", properties: { a: { type: "string" } } } }
    })
    expect(adapted.text).toEqual({
      format: {
        type: "json_schema",
        name: "n",
        strict: true,
        schema: {
          type: "object",
          properties: { a: { type: ["string", "null"] } },
          required: ["a"],
          additionalProperties: false
        }
      }
    })
    expect(bodyOf({ messages, tools: [weather] }).tools).toEqual([{ ...weather, strict: false }])
  })

  it("names what this API or the model has not", () => {
    expect(
      lacking({
        topK: 1,
        stop: "x",
        seed: 1,
        n: 2,
        logitBias: {},
        frequencyPenalty: 0.5,
        presencePenalty: -1,
        messages: [{ role: "user", content: "x", name: "ann" }]
      })
    ).toEqual([
      "topK",
      "stop",
      "seed",
      "logitBias",
      "n",
      "frequencyPenalty",
      "presencePenalty",
      "messages.name"
    ])
    // what is asked for and would be so anyway
    expect(lacking({ n: 1, frequencyPenalty: 0, presencePenalty: 0 })).toEqual([])
    expect(lacking({ temperature: 0.5, stop: "x" }, "o3")).toEqual(["stop", "temperature"])
    expect(lacking({ temperature: 0.5, thinking: "off" }, "gpt-5.4")).toEqual([])
    const effort = OpenAiResponses.parameters({ reasoning: { effort: "none" } })
    expect(lacking({ temperature: 0.5, extra: effort }, "gpt-5.4")).toEqual([])
    expect(lacking({ thinking: "off" }, "gpt-6.2-sol")).toEqual(["thinking"])
    // the tools that chat completions refuses
    expect(lacking({ tools: [weather], thinking: "low" }, "gpt-5.4")).toEqual([])
  })

  it("has answers of many items back as they were, unless the turn was changed", () => {
    const output = [
      { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "g1" },
      { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "q" } },
      { type: "reasoning", id: "rs_2", summary: [], encrypted_content: "g2" },
      {
        type: "message",
        id: "msg_1",
        status: "completed",
        role: "assistant",
        phase: "commentary",
        content: [{ type: "output_text", text: "Let me see.", annotations: [] }]
      },
      {
        type: "function_call",
        id: "fc_1",
        call_id: "call_1",
        name: "f",
        arguments: "{}",
        status: "completed"
      }
    ]
    const answer = Either.getOrThrow(decode({ status: "completed", output }, asked))
    const turn = Response.toMessage(answer)
    const inputOf = (message: Message.Message) => bodyOf({ messages: [...messages, message] }).input
    const [thought, search, second, message, call] = output.map(({ id: _, status: _s, ...rest }) => rest)
    expect(inputOf(turn)).toEqual([
      { role: "user", content: "Hi" },
      thought,
      { ...search, id: "ws_1", status: "completed" },
      second,
      message,
      call
    ])
    expect(inputOf({ ...turn, content: "Changed." })).toEqual([
      { role: "user", content: "Hi" },
      thought,
      second,
      { role: "assistant", content: "Changed." },
      call
    ])
  })

  it("is configured as OpenAI is", () => {
    const options = Effect.runSync(
      Effect.withConfigProvider(
        OpenAiResponses.config,
        ConfigProvider.fromMap(
          new Map([
            ["OPENAI_API_KEY", "sk-1"],
            ["OPENAI_ORG_ID", "org"]
          ])
        )
      )
    )
    expect(options).toMatchObject({
      provider: "openai-responses",
      baseUrl: "https://api.openai.com/v1",
      headers: { "openai-organization": "org" }
    })
    expect(options.apiKey && Redacted.value(options.apiKey)).toBe("sk-1")
  })
})

const message = (...content: ReadonlyArray<object>) => ({ type: "message", role: "assistant", content })
const said = (text: string) => ({ type: "output_text", text, annotations: [], logprobs: [] })

describe("an answer of the Responses API", () => {
  it("is read as documented, with its parts of usage", () => {
    const reasoning = {
      type: "reasoning",
      id: "rs_1",
      summary: [
        { type: "summary_text", text: "One." },
        { type: "summary_text", text: "Two." }
      ],
      encrypted_content: "g"
    }
    const body = {
      id: "resp_1",
      object: "response",
      status: "completed",
      error: null,
      incomplete_details: null,
      model: "m1",
      output: [
        reasoning,
        message(said("Hi")),
        { type: "function_call", id: "fc_1", call_id: "call_1", name: "f", arguments: "" }
      ],
      usage: {
        input_tokens: 20,
        input_tokens_details: { cached_tokens: 8, cache_write_tokens: 4 },
        output_tokens: 9,
        output_tokens_details: { reasoning_tokens: 4 },
        total_tokens: 29
      },
      service_tier: "default"
    }
    expect(Either.getOrThrow(decode(body, asked))).toMatchObject({
      id: "resp_1",
      model: "m1",
      text: "Hi",
      reasoning: "One.\n\nTwo.",
      reasoningParts: [{ text: "One.\n\nTwo.", provider: "openai-responses", item: reasoning }],
      finishReason: "tool_calls",
      rawFinishReason: "completed",
      toolCalls: [{ id: "call_1", name: "f", arguments: "{}" }],
      // parts of the sums, and not beside them
      usage: {
        inputTokens: 20,
        outputTokens: 9,
        cacheReadTokens: 8,
        cacheWriteTokens: 4,
        reasoningTokens: 4
      },
      serviceTier: "default",
      meta: { requestId: "req_1" }
    })
  })

  it.each([
    [{ status: "completed" }, "stop", "completed"],
    [{}, "stop", undefined],
    [
      { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } },
      "length",
      "max_output_tokens"
    ],
    [
      { status: "incomplete", incomplete_details: { reason: "content_filter" } },
      "content_filter",
      "content_filter"
    ],
    [{ status: "incomplete" }, "other", "incomplete"],
    [{ status: "queued" }, "pause", "queued"],
    [{ status: "in_progress" }, "pause", "in_progress"]
  ] as const)("%j ended with %s", (ending, finishReason, raw) => {
    const response = Either.getOrThrow(decode({ ...ending, output: [] }, asked))
    expect([response.finishReason, response.rawFinishReason]).toEqual([finishReason, raw])
  })

  it("is an error where it failed, and none where a field that describes it is odd", () => {
    const failing = [
      { status: "failed", output: [] },
      { status: "cancelled", output: [] },
      { status: "completed" },
      []
    ]
    const tags = failing.map((body) => Either.flip(decode(body, asked)).pipe(Either.getOrThrow)._tag)
    expect(tags).toEqual(["ServerError", "ServerError", "NetworkError", "NetworkError"])
    const odd = decode(
      {
        id: 7,
        model: null,
        service_tier: {},
        usage: { input_tokens: "12", output_tokens: "3", input_tokens_details: { cached_tokens: -1 } },
        output: [
          null,
          message({ type: "refusal", refusal: "No." }),
          { type: "function_call", arguments: { a: 1 } }
        ]
      },
      asked
    )
    expect(Either.getOrThrow(odd)).toMatchObject({
      model: "m",
      text: "",
      refusal: "No.",
      finishReason: "content_filter",
      toolCalls: [{ id: "call_0", name: "", arguments: `{"a":1}` }],
      usage: { inputTokens: 12, outputTokens: 3 }
    })
  })

  it.prop("is read whatever it is, streamed or not", [FastCheck.jsonValue()], ([value]) => {
    decode(value, asked)
    decode({ status: "completed", output: [value, message(value as object)] }, asked)
    for (const type of ["response.output_item.done", "response.output_text.delta", "response.completed"]) {
      collected([{ type, item: value, delta: value, response: value, output_index: value }])
    }
  })
})

describe("a stream of the Responses API", () => {
  const done = (response: object = {}) => ({
    type: "response.completed",
    response: { status: "completed", output: [], ...response }
  })
  const thinks = (text: string, output_index: number, summary_index: number) => ({
    type: "response.reasoning_summary_text.delta",
    output_index,
    summary_index,
    delta: text
  })

  it("sets a gap between thoughts, and has items in their places", () => {
    const thought = { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "g" }
    const response = collected([
      { type: "response.created", response: { id: "resp_1", model: "m1" } },
      thinks("On", 0, 0),
      thinks("e.", 0, 0),
      thinks("Two.", 0, 1),
      { type: "response.output_item.done", output_index: 0, item: thought },
      {
        type: "response.output_item.added",
        output_index: 1,
        item: { type: "function_call", call_id: "a", name: "f" }
      },
      {
        type: "response.output_item.added",
        output_index: 2,
        item: { type: "function_call", call_id: "b", name: "g" }
      },
      { type: "response.function_call_arguments.delta", output_index: 2, delta: `{"y"` },
      { type: "response.function_call_arguments.delta", output_index: 1, delta: `{"x":1}` },
      { type: "response.function_call_arguments.delta", output_index: 2, delta: ":2}" },
      { type: "response.unheard_of", output_index: 0 },
      done({ usage: { input_tokens: 3, output_tokens: 2 } })
    ])
    expect(Either.getOrThrow(response)).toMatchObject({
      id: "resp_1",
      model: "m1",
      reasoning: "One.\n\nTwo.",
      reasoningParts: [{ item: thought }],
      finishReason: "tool_calls",
      toolCalls: [
        { id: "a", name: "f", arguments: `{"x":1}` },
        { id: "b", name: "g", arguments: `{"y":2}` }
      ],
      usage: { inputTokens: 3, outputTokens: 2 }
    })
  })

  it("is read without deltas: by its items, or by its end alone", () => {
    const call = { type: "function_call", call_id: "c", name: "f", arguments: "{}" }
    const reasoning = { type: "reasoning", summary: [{ type: "summary_text", text: "Hm." }] }
    const output = [reasoning, message(said("Hi")), call]
    const items = output.map((item, output_index) => ({
      type: "response.output_item.done",
      output_index,
      item
    }))
    for (const events of [[...items, done()], [done({ output })], [...items, done({ output })]]) {
      expect(Either.getOrThrow(collected(events))).toMatchObject({
        text: "Hi",
        reasoning: "Hm.",
        toolCalls: [{ id: "c", name: "f", arguments: "{}" }],
        reasoningParts: [{ item: reasoning }]
      })
    }
  })

  it.each([
    // as documented, and as sent
    [{ type: "error", code: "insufficient_quota", message: "spent", param: null }, "QuotaExhaustedError"],
    [
      { type: "error", error: { type: "insufficient_quota", code: "insufficient_quota", message: "spent" } },
      "QuotaExhaustedError"
    ],
    [{ type: "error", code: "rate_limit_exceeded", message: "Try again in 2s" }, "RateLimitError"],
    [
      {
        type: "response.failed",
        response: { status: "failed", error: { code: "server_error", message: "x" } }
      },
      "ServerError"
    ],
    [
      { type: "response.failed", response: { error: { code: "invalid_prompt", message: "x" } } },
      "ContentFilterError"
    ],
    [{ type: "response.cancelled", response: { status: "cancelled" } }, "ServerError"],
    ["{half", "NetworkError"]
  ] as const)("%j fails with %s", (event, tag) => {
    const read = collected([{ type: "response.output_text.delta", delta: "x" }, event, done()])
    assert(Either.isLeft(read))
    expect(read.left._tag).toBe(tag)
  })

  it("is not whole without its end", () => {
    const read = collected([{ type: "response.output_text.delta", delta: "half" }, "[DONE]"])
    assert(Either.isLeft(read))
    expect(read.left).toMatchObject({ _tag: "NetworkError", requestId: "req_1" })
  })
})
