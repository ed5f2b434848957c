import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import {
  batch,
  Cache,
  Chat,
  complete,
  Endpoint,
  HttpClientPool,
  LlmError,
  Message,
  OpenAILive,
  OpenAi,
  RateLimiter,
  Request,
  Retry,
  Router
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { decode, encode } from "../src/internal/openAiRequest.js"
import * as OpenAiResponse from "../src/internal/openAiResponse.js"

const apiKey = "sk-test-0123456789abcdefghij"

/** All services against a simulator, whose own service is given too. */
const against = (options: Simulator.Options) => {
  const simulator = Layer.orDie(Simulator.layer(options))
  const router = Layer.effect(
    Router.Router,
    Effect.map(Simulator.Simulator, ({ url }) =>
      Router.make({
        endpoints: [
          { provider: "openai", baseUrl: url, apiKey: Redacted.make(apiKey), model: "gpt-4.1-mini" }
        ]
      })
    )
  )
  return Layer.mergeAll(
    Layer.provide(OpenAi.layer, HttpClientPool.layer()),
    router,
    RateLimiter.layer(),
    Cache.layerNone
  ).pipe(Layer.provideMerge(simulator))
}

const once = { retry: Retry.never }

/** A server that answers with what `respond` writes; the paths it was asked for. */
const serve = (respond: (response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly paths: Array<string>; readonly close: () => void }>(
      (resume) => {
        const paths: Array<string> = []
        const server = createServer((request, response) => {
          paths.push(request.url ?? "")
          request.resume().on("end", () => respond(response))
        })
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          const close = () => {
            server.closeAllConnections()
            server.close()
          }
          resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, paths, close }))
        })
      }
    ),
    ({ close }) => Effect.sync(close)
  )

/** One question to the endpoint, asked once. */
const ask = (baseUrl: string, key: string) =>
  complete(Chat.prompt("x"), once).pipe(
    Effect.provide([
      Layer.provide(OpenAi.layer, HttpClientPool.layer()),
      Router.layer({
        endpoints: [{ provider: "openai", baseUrl, apiKey: Redacted.make(key), model: "m" }]
      }),
      RateLimiter.layer(),
      Cache.layerNone
    ])
  )

const answering =
  (status: number, body: unknown, requestId = "req_1") =>
  (response: ServerResponse): void => {
    response.writeHead(status, { "content-type": "application/json", "x-request-id": requestId })
    response.end(JSON.stringify(body))
  }

describe("OpenAi over the wire", () => {
  it.scopedLive("asks, and reads answer, usage, model and request id", () =>
    Effect.gen(function* () {
      const response = yield* complete(Chat.prompt("Why is the sky blue?", { maxTokens: 30, seed: 4 }))
      expect(response.text).toContain("Why is the sky blue?")
      expect(response).toMatchObject({ provider: "openai", model: "gpt-4.1-mini", finishReason: "stop" })
      expect(response.usage.inputTokens).toBeGreaterThan(5)
      expect(response.usage.outputTokens).toBeGreaterThan(0)
      expect(response.meta.requestId).toMatch(/^req_/)
      expect(response.raw).toMatchObject({ object: "chat.completion" })
    }).pipe(Effect.provide(against({ outputTokens: 10 })))
  )

  it.scopedLive("tells an answer cut at max tokens, tool calls, refusals and several choices apart", () =>
    Effect.gen(function* () {
      const cut = yield* complete(Chat.prompt("Count to a million", { maxTokens: 3 }))
      expect(cut.finishReason).toBe("length")

      const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
      const called = yield* complete(
        Chat.prompt("Weather?", {
          tools: [{ type: "function", name: "weather", parameters }],
          toolChoice: { type: "function", name: "weather" }
        })
      )
      expect(called.finishReason).toBe("tool_calls")
      expect(called.toolCalls).toHaveLength(1)
      expect(called.toolCalls[0]?.name).toBe("weather")
      expect(JSON.parse(called.toolCalls[0]?.arguments ?? "")).toHaveProperty("city")

      const several = yield* complete(Chat.prompt("Three, please", { n: 3 }))
      expect(several.alternatives).toHaveLength(2)

      const refused = yield* complete(Chat.prompt("Please refuse"))
      expect(refused.finishReason).toBe("content_filter")
      expect(refused.refusal).toBeTruthy()
    }).pipe(Effect.provide(against({ script: [{ match: "refuse", fault: { kind: "refusal" } }] })))
  )

  it.live("turns each failure into its typed error, with status, request id and hint", () =>
    Effect.gen(function* () {
      // each against services of its own: a bad key, once met, would spare the later ones their calls
      const failWith = (fault: Simulator.Fault, timeout: Duration.DurationInput = "10 seconds") =>
        complete(Chat.prompt("x"), { ...once, timeout }).pipe(
          Effect.provide(against({ script: [{ fault, times: "always" }] })),
          Effect.flip
        )
      const table = [
        [{ kind: "status", status: 401 }, "AuthError"],
        [{ kind: "status", status: 403 }, "PermissionError"],
        [{ kind: "status", status: 404 }, "NotFoundError"],
        [{ kind: "status", status: 400 }, "InvalidRequestError"],
        [{ kind: "status", status: 400, code: "context_length_exceeded" }, "ContextLengthError"],
        [{ kind: "status", status: 413 }, "RequestTooLargeError"],
        [{ kind: "status", status: 429 }, "RateLimitError"],
        [{ kind: "status", status: 429, code: "insufficient_quota" }, "QuotaExhaustedError"],
        [{ kind: "status", status: 409 }, "ConflictError"],
        [{ kind: "status", status: 500 }, "ServerError"],
        [{ kind: "status", status: 502 }, "ServerError"],
        [{ kind: "status", status: 503 }, "OverloadedError"],
        [{ kind: "status", status: 504 }, "TimeoutError"],
        [{ kind: "reset" }, "NetworkError"],
        [{ kind: "truncate" }, "NetworkError"],
        [{ kind: "malformed" }, "NetworkError"],
        [{ kind: "errorBody" }, "ServerError"]
      ] as const satisfies ReadonlyArray<readonly [Simulator.Fault, LlmError.LlmError["_tag"]]>
      for (const [fault, tag] of table) {
        const error = yield* failWith(fault)
        expect([fault, error._tag]).toEqual([fault, tag])
        expect(error.provider).toBe("openai")
        if (fault.kind === "status") {
          expect(error.status).toBe(fault.status)
          expect(error.requestId).toMatch(/^req_/)
        }
        expect(JSON.stringify(error)).not.toContain(apiKey)
      }
      expect((yield* failWith({ kind: "stall" }, "100 millis"))._tag).toBe("TimeoutError")
      const limited = yield* failWith({ kind: "status", status: 429, retryAfter: "3 seconds" })
      expect(Duration.toMillis(LlmError.waitHint(limited))).toBe(3000)
    })
  )

  it.scopedLive("keeps a key that the server echoes out of answers and errors, whatever it looks like", () =>
    Effect.gen(function* () {
      const key = "Plum.Tree-harbour"
      const message = { content: `you sent ${key}` }
      const good = yield* serve(
        answering(200, { id: `id-${key}`, model: key, choices: [{ message }] }, `req-${key}`)
      )
      const response = yield* ask(good.url, key)
      expect(JSON.stringify(response)).not.toContain(key)
      expect(response).toMatchObject({
        id: "id-[redacted]",
        model: "[redacted]",
        text: "you sent [redacted]"
      })
      expect(response.meta.requestId).toBe("req-[redacted]")

      const error = { message: `no such user: ${key}`, code: `unknown ${key}`, request_id: key }
      for (const status of [400, 500, 200]) {
        const bad = yield* serve(answering(status, { error }, `req-${key}`))
        const failed = yield* Effect.flip(ask(bad.url, key))
        expect(JSON.stringify(failed)).not.toContain(key)
        expect(failed.message).toBe("no such user: [redacted]")
        expect(failed.requestId).toBe("req-[redacted]")
      }
    })
  )

  it.scopedLive("leaves an answer alone that holds a dummy key", () =>
    Effect.gen(function* () {
      const body = { created: 1_700_000_000, choices: [{ message: { content: "EMPTY as 1700000000" } }] }
      const { url } = yield* serve(answering(200, body))
      for (const key of ["EMPTY", "k", "1700000000"]) {
        const response = yield* ask(url, key)
        expect(response.raw).toEqual(body)
      }
    })
  )

  it.scopedLive("asks below a base URL with a query, and keeps the query", () =>
    Effect.gen(function* () {
      const { paths, url } = yield* serve(answering(200, { choices: [{ message: { content: "y" } }] }))
      expect((yield* ask(`${url}/v1/?api-version=1`, apiKey)).text).toBe("y")
      expect(paths).toEqual(["/v1/chat/completions?api-version=1"])
    })
  )

  it.scopedLive("stops asking where the key is bad or the money is gone, and says so once", () =>
    Effect.gen(function* () {
      const warnings: Array<unknown> = []
      const requests = Array.from({ length: 500 }, (_, i) => Chat.prompt(`Question ${i}.`))
      const outcomes = yield* batch(requests, { concurrency: 10 }).pipe(
        Effect.provide(
          Logger.replace(
            Logger.defaultLogger,
            Logger.make(({ message }) => warnings.push(String(message)))
          )
        )
      )
      expect(new Set(outcomes.map((outcome) => Either.isLeft(outcome) && outcome.left._tag))).toEqual(
        new Set(["QuotaExhaustedError"])
      )
      const stats = yield* Effect.flatMap(Simulator.Simulator, ({ stats }) => stats)
      expect(stats.requests).toBeLessThanOrEqual(10)
      expect(warnings).toHaveLength(1)
    }).pipe(
      Effect.provide(
        against({
          script: [{ times: "always", fault: { kind: "status", status: 429, code: "insufficient_quota" } }]
        })
      )
    )
  )

  it.scopedLive("does not multiply its traffic in an outage", () =>
    Effect.gen(function* () {
      const requests = Array.from({ length: 400 }, (_, i) => Chat.prompt(`Question ${i}.`))
      const retry = Retry.make({ base: "1 millis", cap: "1 millis", maxRetries: "forever" })
      const simulator = yield* Simulator.Simulator
      const begin = Date.now()
      yield* Effect.fork(batch(requests, { concurrency: 100, retry }))
      // a hundred that were on their way, a hundred retries in hand, then one each second
      while ((yield* simulator.stats).requests < 200) yield* Effect.sleep("20 millis")
      yield* Effect.sleep("500 millis")
      const { requests: seen } = yield* simulator.stats
      expect(seen).toBeLessThanOrEqual(203 + (Date.now() - begin) / 1_000)
    }).pipe(
      Effect.provide(against({ script: [{ times: "always", fault: { kind: "status", status: 500 } }] }))
    )
  )

  it.scopedLive("gives up at the deadline, retries and waits included", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(complete(Chat.prompt("x"), { deadline: "150 millis" }))
      expect(error._tag).toBe("TimeoutError")
      expect(error.message).toContain("deadline")
    }).pipe(
      Effect.provide(against({ script: [{ times: "always", fault: { kind: "status", status: 500 } }] }))
    )
  )

  it.scopedLive("answers a batch through faults, in order, each request paid for once", () =>
    Effect.gen(function* () {
      const requests = Array.from({ length: 200 }, (_, i) => Chat.prompt(`Question ${i}.`))
      const retry = Retry.make({ base: "10 millis" })
      const outcomes = yield* batch(requests, { retry, concurrency: 50 })
      for (const [i, outcome] of outcomes.entries()) {
        assert(Either.isRight(outcome))
        expect(outcome.right.text).toContain(`Question ${i}.`)
      }
      const { answeredMoreThanOnce, successes } = yield* Effect.flatMap(
        Simulator.Simulator,
        ({ stats }) => stats
      )
      expect(successes).toBe(200)
      expect(answeredMoreThanOnce).toBe(0)
    }).pipe(
      Effect.provide(
        against({
          faults: [
            { kind: "status", status: 500, rate: 0.05 },
            { kind: "status", status: 429, rate: 0.03, retryAfter: "20 millis" },
            { kind: "reset", rate: 0.02 }
          ]
        })
      )
    )
  )

  it.scopedLive("sends every parameter as OpenAI spells it, and extra as it is", () =>
    Effect.gen(function* () {
      // the strict simulator refuses parameters that OpenAI does not have
      const chat = new Chat({
        model: "gpt-4.1",
        messages: [
          Message.system("Be brief. Answer in JSON."),
          Message.user([Message.text("What is this?"), Message.image("data:image/png;base64,AA==")])
        ],
        temperature: 0.5,
        topP: 0.9,
        maxTokens: 50,
        stop: ["END"],
        seed: 1,
        n: 1,
        logprobs: true,
        topLogprobs: 2,
        logitBias: { "50256": -100 },
        frequencyPenalty: 0.1,
        presencePenalty: 0.2,
        responseFormat: { type: "json" },
        parallelToolCalls: false,
        tools: [{ type: "function", name: "f", parameters: { type: "object", properties: {} } }],
        toolChoice: "auto",
        serviceTier: "default",
        store: false,
        labels: { run: "7" },
        promptCacheKey: "k",
        safetyIdentifier: "h",
        extra: { ...OpenAi.parameters({ user: "u", modalities: ["text"] }) }
      })
      const response = yield* complete(chat, once)
      expect(response.logprobs).toBeTruthy()
      const refused = yield* Effect.flip(complete(Chat.prompt("x", { extra: { top_k: 5 } }), once))
      expect(refused.message).toContain("top_k")
    }).pipe(Effect.provide(against({})))
  )
})

describe("OpenAi.encode", () => {
  it("names the token limit and the system role as the model's family wants them", () => {
    const chat = Chat.prompt("x", { system: "s", maxTokens: 5 })
    for (const model of ["gpt-4.1-mini", "gpt-4o", "gpt-3.5-turbo", "gpt-5-chat-latest", "llama-3.1-8b"]) {
      expect(encode(chat, model)).toMatchObject({ max_tokens: 5, messages: [{ role: "system" }, {}] })
      expect(encode(chat, model)).not.toHaveProperty("max_completion_tokens")
    }
    for (const model of [
      "o1",
      "o3-mini",
      "o4-mini",
      "gpt-5",
      "gpt-5-mini",
      "gpt-5.4",
      "gpt-6.2-sol",
      "ft:gpt-5:x"
    ]) {
      expect(encode(chat, model)).toMatchObject({
        max_completion_tokens: 5,
        messages: [{ role: "developer" }, {}]
      })
      expect(encode(chat, model)).not.toHaveProperty("max_tokens")
    }
  })

  it("sends nothing that was not set", () => {
    expect(encode(Chat.prompt("x", { id: "1", metadata: { a: 1 } }), "m")).toEqual({
      model: "m",
      messages: [{ role: "user", content: "x" }]
    })
  })

  // a Schema record drops "__proto__", which no provider has a meaning for
  const name = FastCheck.string({ minLength: 1 }).filter((text) => text !== "__proto__")
  const json = FastCheck.jsonValue().filter((value) => value !== null)
  const body = FastCheck.record(
    {
      model: FastCheck.constantFrom("gpt-4.1", "llama"),
      messages: FastCheck.array(
        FastCheck.oneof(
          FastCheck.record(
            {
              role: FastCheck.constantFrom("system", "user"),
              content: FastCheck.string(),
              name: FastCheck.string(),
              vendor_field: json
            },
            { requiredKeys: ["role", "content"] }
          ),
          FastCheck.record({
            role: FastCheck.constant("user"),
            content: FastCheck.array(
              FastCheck.oneof(
                FastCheck.record({ type: FastCheck.constant("text"), text: FastCheck.string() }),
                FastCheck.record({
                  type: FastCheck.constant("image_url"),
                  image_url: FastCheck.record(
                    { url: FastCheck.webUrl(), detail: FastCheck.constantFrom("low", "high"), odd: json },
                    { requiredKeys: ["url"] }
                  )
                }),
                FastCheck.record({ type: FastCheck.constant("video"), video: json })
              )
            )
          }),
          FastCheck.record({
            role: FastCheck.constant("assistant"),
            content: FastCheck.constant(null),
            tool_calls: FastCheck.array(
              FastCheck.record({
                id: FastCheck.string(),
                type: FastCheck.constant("function"),
                function: FastCheck.record({ name: FastCheck.string(), arguments: FastCheck.string() })
              })
            )
          }),
          FastCheck.record({
            role: FastCheck.constant("tool"),
            tool_call_id: FastCheck.string(),
            content: FastCheck.string()
          })
        )
      ),
      temperature: FastCheck.double({ noNaN: true, noDefaultInfinity: true }).filter(
        (n) => !Object.is(n, -0)
      ),
      max_tokens: FastCheck.nat(),
      stop: FastCheck.array(FastCheck.string()),
      seed: FastCheck.integer(),
      logit_bias: FastCheck.dictionary(name, FastCheck.integer()),
      metadata: FastCheck.dictionary(name, FastCheck.string()),
      response_format: FastCheck.oneof(
        FastCheck.constant({ type: "json_object" }),
        FastCheck.record({
          type: FastCheck.constant("json_schema"),
          json_schema: FastCheck.record({
            name: FastCheck.string(),
            schema: FastCheck.constant({ type: "object" })
          })
        }),
        FastCheck.record({ type: FastCheck.constant("grammar"), grammar: FastCheck.string() })
      ),
      tools: FastCheck.array(
        FastCheck.oneof(
          FastCheck.record({
            type: FastCheck.constant("function"),
            function: FastCheck.record({
              name: FastCheck.string(),
              parameters: FastCheck.constant({ type: "object" })
            })
          }),
          FastCheck.record({ type: FastCheck.constant("custom"), custom: json })
        )
      ),
      tool_choice: FastCheck.oneof(
        FastCheck.constantFrom("auto", "none", "required"),
        FastCheck.record({
          type: FastCheck.constant("function"),
          function: FastCheck.record({ name: FastCheck.string() })
        }),
        FastCheck.record({ type: FastCheck.constant("allowed_tools"), allowed_tools: json })
      ),
      vendor_parameter: json
    },
    { requiredKeys: ["model", "messages"] }
  )

  it.prop("gives back every body it read: nothing is dropped and nothing added", [body], ([given]) => {
    const wire: unknown = JSON.parse(JSON.stringify(given))
    const chat = Either.getOrThrow(decode(wire as Record<string, unknown>))
    const sent: unknown = JSON.parse(JSON.stringify(encode(chat, chat.model ?? "")))
    expect(sent).toEqual(wire)
  })
})

describe("Request", () => {
  it.effect("is serialisable: a chat survives JSON", () =>
    Effect.gen(function* () {
      const chat = Chat.prompt([Message.text("x"), Message.image("https://x.test/a.png")], {
        system: "s",
        tools: [{ type: "function", name: "f" }],
        extra: { a: [1, null] }
      })
      const json: unknown = JSON.parse(JSON.stringify(yield* Schema.encode(Request.Request)(chat)))
      expect(yield* Schema.decodeUnknown(Request.Request)(json)).toEqual(chat)
    })
  )
})

describe("OpenAiResponse.decode", () => {
  const asked = {
    provider: "openai",
    model: "asked",
    request: Chat.prompt("x".repeat(40)),
    requestId: undefined
  }
  const read = (choice: unknown, rest: object = {}) =>
    Either.getOrThrow(OpenAiResponse.decode({ choices: [choice], ...rest }, asked))

  it("bears what compatible servers leave out or spell otherwise", () => {
    const bare = read({ message: { content: "12345678" } })
    expect(bare).toMatchObject({ text: "12345678", finishReason: "other", model: "asked" })
    expect(bare.usage).toEqual({ inputTokens: 10, outputTokens: 2, estimated: true })
    const calls = read({
      finish_reason: "stop",
      message: {
        content: null,
        tool_calls: [
          { id: null, function: { name: "f", arguments: "" } },
          { id: "", function: { name: "g", arguments: { a: 1 } } }
        ]
      }
    })
    expect(calls.finishReason).toBe("tool_calls")
    expect(calls.toolCalls).toEqual([
      { id: "call_0", name: "f", arguments: "{}" },
      { id: "call_1", name: "g", arguments: `{"a":1}` }
    ])
    expect(read({ finish_reason: "stop", message: { content: "", reasoning: "hm" } }).reasoning).toBe("hm")
    expect(
      read({ finish_reason: "stop", message: { content: "", reasoning: "", reasoning_content: "hm" } })
        .reasoning
    ).toBe("hm")
  })

  it("counts cached and reasoning tokens as parts, not on top", () => {
    const { usage } = read(
      { finish_reason: "stop", message: { content: "x" } },
      {
        usage: {
          prompt_tokens: 100,
          completion_tokens: 50,
          prompt_tokens_details: { cached_tokens: 80, cache_write_tokens: 5 },
          completion_tokens_details: { reasoning_tokens: 30 }
        }
      }
    )
    expect(usage).toEqual({
      inputTokens: 100,
      outputTokens: 50,
      cacheReadTokens: 80,
      cacheWriteTokens: 5,
      reasoningTokens: 30
    })
  })

  it("keeps the text of an answer whose description is of the wrong type", () => {
    const told = read(
      { finish_reason: 5, message: { content: "kept", reasoning: ["hm"], reasoning_content: 1 } },
      {
        id: 7,
        model: { name: "m" },
        service_tier: [],
        usage: {
          prompt_tokens: "5",
          completion_tokens: " 3 ",
          prompt_tokens_details: { cached_tokens: "many", audio_tokens: "NaN" },
          completion_tokens_details: "none"
        }
      }
    )
    expect(told).toMatchObject({ text: "kept", finishReason: "other", model: "asked" })
    expect(told.usage).toEqual({ inputTokens: 5, outputTokens: 3 })
    for (const field of ["id", "rawFinishReason", "serviceTier", "reasoning"]) {
      expect(told).not.toHaveProperty(field)
    }
    for (const usage of ["5 tokens", 5, [], true]) {
      const { text, usage: counted } = read(
        { finish_reason: "stop", message: { content: "12345678" } },
        { usage }
      )
      expect([text, counted]).toEqual(["12345678", { inputTokens: 10, outputTokens: 2, estimated: true }])
    }
    const called = read({ message: { tool_calls: [{ id: 5, function: { name: "f" } }] } })
    expect(called.toolCalls).toEqual([{ id: "call_0", name: "f", arguments: "{}" }])
  })

  it("says in one line where an answer is none, and why", () => {
    const said = (body: unknown) => {
      const outcome = OpenAiResponse.decode(body, asked)
      assert(Either.isLeft(outcome))
      return outcome.left.message.replace("the answer is not a chat completion: ", "")
    }
    expect(said({})).toBe("choices: is missing")
    expect(said({ choices: [] })).toBe("choices.0: is missing")
    expect(said({ choices: [{}] })).toBe("choices.0.message: is missing")
    expect(said([])).toBe("Expected a completion, actual []")
    expect(said({ choices: [{ message: "hello" }] })).toBe(
      `choices.0.message: Expected a message, actual "hello"`
    )
    const long = OpenAiResponse.decode({ choices: [{ message: "line\n".repeat(500) }] }, asked)
    assert(Either.isLeft(long))
    expect(long.left.message.length).toBeLessThanOrEqual(200)
    expect(long.left.message).not.toContain("\n")
  })

  it("takes no answer for an answer", () => {
    for (const body of [null, [], {}, { choices: [] }, { choices: [{}] }, "text", 5]) {
      const outcome = OpenAiResponse.decode(body, asked)
      assert(Either.isLeft(outcome))
      expect(outcome.left._tag).toBe("NetworkError")
    }
    const failed = OpenAiResponse.decode(
      { choices: [{ finish_reason: "error", message: { content: "" } }] },
      asked
    )
    assert(Either.isLeft(failed))
    expect(failed.left._tag).toBe("ServerError")
  })
})

describe("Endpoint.url", () => {
  it.each([
    ["http://h/v1", "http://h/v1/p"],
    ["http://h/v1//", "http://h/v1/p"],
    ["http://h/v1?api-version=1", "http://h/v1/p?api-version=1"],
    ["http://h/v1/?a=/b/&c=?", "http://h/v1/p?a=/b/&c=?"],
    ["http://h?a=1#part", "http://h/p?a=1"]
  ])("puts the path of %s before its query", (baseUrl, expected) => {
    expect(Endpoint.url(Endpoint.make({ provider: "openai", baseUrl }), "/p")).toBe(expected)
  })
})

describe("OpenAILive", () => {
  const build = (variables: Record<string, string>) =>
    Effect.scoped(Layer.build(OpenAILive)).pipe(
      Effect.map(() => "built"),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))),
      Effect.either
    )

  it.effect("says which variable to set when there is no key, and never shows a bad one", () =>
    Effect.gen(function* () {
      for (const variables of [{}, { OPENAI_API_KEY: "" }, { OPENAI_API_KEY: "  " }]) {
        const failed = yield* build(variables)
        assert(Either.isLeft(failed))
        expect(String(failed.left)).toContain("OPENAI_API_KEY")
      }
      const odd = yield* build({ OPENAI_API_KEY: "sk-gehéim\nnis" })
      assert(Either.isLeft(odd))
      expect(String(odd.left)).toContain("OPENAI_API_KEY")
      expect(String(odd.left)).not.toContain("geh")
      expect(yield* build({ OPENAI_API_KEY: " sk-good\n" })).toEqual(Either.right("built"))
    })
  )

  it.effect("reads address and model from the environment", () =>
    Effect.gen(function* () {
      const endpoint = (variables: Record<string, string>) =>
        Effect.withConfigProvider(
          OpenAi.config,
          ConfigProvider.fromMap(new Map(Object.entries({ OPENAI_API_KEY: "k", ...variables })))
        )
      expect(yield* endpoint({})).toMatchObject({ baseUrl: "https://api.openai.com/v1", model: undefined })
      expect(yield* endpoint({ OPENAI_API_BASE: "http://a/v1", OPENAI_MODEL: "m" })).toMatchObject({
        baseUrl: "http://a/v1",
        model: "m"
      })
      expect(
        (yield* endpoint({ OPENAI_API_BASE: "http://a/v1", OPENAI_BASE_URL: "http://b/v1" })).baseUrl
      ).toBe("http://b/v1")
    })
  )

  it.scopedLive("runs the line of the README", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({})
      const provider = ConfigProvider.fromMap(
        new Map([
          ["OPENAI_API_KEY", apiKey],
          ["OPENAI_BASE_URL", simulator.url],
          ["OPENAI_MODEL", "gpt-4.1-mini"]
        ])
      )
      const requests = [Chat.prompt("one"), Chat.prompt("two")]
      const outcomes = yield* Effect.promise(() =>
        Effect.runPromise(
          batch(requests).pipe(Effect.provide(OpenAILive), Effect.withConfigProvider(provider))
        )
      )
      expect(outcomes.map(Either.map(({ text }) => text.includes("one") || text.includes("two")))).toEqual([
        Either.right(true),
        Either.right(true)
      ])
    })
  )
})
