import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
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
  Completion,
  collect,
  complete,
  Embedding,
  Endpoint,
  HttpClientPool,
  LlmError,
  Message,
  object,
  RateLimiter,
  Request,
  Response,
  Router,
  StreamPart,
  stream
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import * as AnthropicEvents from "../../src/internal/anthropicEvents.js"
import { of as modelOf } from "../../src/internal/anthropicModels.js"
import { encode, lacks } from "../../src/internal/anthropicRequest.js"
import { decode } from "../../src/internal/anthropicResponse.js"
import { normalise } from "../../src/internal/anthropicSchema.js"
import * as AnthropicMessages from "../../src/simulator/AnthropicMessages.js"
import * as AnthropicStrictSchema from "../../src/simulator/AnthropicStrictSchema.js"
import { apiKey, once, simulated } from "./simulated.js"

const haiku = "claude-haiku-4-5"
const sonnet = "claude-sonnet-5"

const services = (endpoint: Omit<Endpoint.Options, "provider">) =>
  Layer.mergeAll(
    Layer.provide(Anthropic.layer, HttpClientPool.layer()),
    Router.layer({ endpoints: [{ provider: "anthropic", ...endpoint }] }),
    RateLimiter.layer(),
    Cache.layerNone
  )

/** All services against a simulator, whose own service is given too. */
const against = simulated("anthropic", Anthropic.layer, haiku)

interface Served {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

/** A server that answers with what `respond` writes, and keeps what it was asked. */
const serve = (respond: (response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly asked: Array<Served>; readonly close: () => void }>(
      (resume) => {
        const asked: Array<Served> = []
        const server = createServer((request, response) => {
          const chunks: Array<Buffer> = []
          request.on("data", (chunk: Buffer) => chunks.push(chunk))
          request.on("end", () => {
            const body: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"))
            asked.push({ path: request.url ?? "", headers: request.headers, body })
            respond(response)
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          const close = () => {
            server.closeAllConnections()
            server.close()
          }
          resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, asked, close }))
        })
      }
    ),
    ({ close }) => Effect.sync(close)
  )

const message = (fields: object) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: haiku,
  content: [{ type: "text", text: "Hi", citations: null }],
  stop_reason: "end_turn",
  stop_sequence: null,
  stop_details: null,
  usage: { input_tokens: 12, output_tokens: 30 },
  ...fields
})

const answering =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { "content-type": "application/json", "request-id": "req_1", ...headers })
    response.end(typeof body === "string" ? body : JSON.stringify(body))
  }

/** The body of a request, or the error of one that cannot be sent. */
const body = (fields: Request.ChatFields, model = haiku, streaming = false) =>
  encode(Either.getOrThrow(Request.chatFromFields(fields)), model, streaming)

const bodyOf = (fields: Request.ChatFields, model = haiku) => Either.getOrThrow(body(fields, model))

const asked = {
  provider: "anthropic",
  model: haiku,
  request: Chat.prompt("x"),
  requestId: "req_1"
}

const decoded = (fields: object) => Either.getOrThrow(decode(message(fields), asked))

const weather = {
  type: "function",
  name: "weather",
  description: "The weather in a city",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false
  }
} as const

const pixel = "data:image/png;base64,iVBORw0KGgo="

describe("Anthropic over the wire", () => {
  it.scopedLive("asks, and reads answer, usage, model and request id; the bill says the same", () =>
    Effect.gen(function* () {
      const response = yield* complete(
        Chat.prompt("Why is the sky blue? 🌊 Ünïcode", { maxTokens: 300, system: "Be terse." })
      )
      expect(response.text).toContain("Why is the sky blue? 🌊 Ünïcode")
      expect(response).toMatchObject({
        provider: "anthropic",
        model: haiku,
        finishReason: "stop",
        rawFinishReason: "end_turn",
        serviceTier: "standard"
      })
      expect(response.id).toMatch(/^msg_/)
      expect(response.meta.requestId).toMatch(/^req_/)
      expect(response.raw).toMatchObject({ type: "message" })
      const stats = yield* (yield* Simulator.Simulator).log
      expect(stats).toHaveLength(1)
      expect(stats[0]).toMatchObject({
        inputTokens: response.usage.inputTokens,
        outputTokens: response.usage.outputTokens,
        path: "/v1/messages"
      })
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("takes a conversation of every kind of part, tools and results, and a megabyte", () =>
    Effect.gen(function* () {
      const called = yield* complete(
        Chat.prompt("Weather in Rome and Paris?", {
          tools: [weather, { ...weather, name: "tides", strict: true }],
          toolChoice: "required"
        })
      )
      expect(called.finishReason).toBe("tool_calls")
      expect(called.toolCalls.map(({ name }) => name)).toEqual(["weather", "tides"])
      expect(called.toolCalls[0]?.invalid).toBeUndefined()
      const [one, two] = called.toolCalls
      assert(one !== undefined && two !== undefined)

      const answered = yield* complete({
        tools: [weather],
        messages: [
          Message.system("Be terse."),
          Message.user("Weather?"),
          Response.toMessage(called),
          Message.tool(two.id, [Message.text("high"), Message.image(pixel)]),
          Message.tool(one.id, "no such city", { isError: true }),
          Message.user([
            Message.text("And now, in pictures?"),
            Message.image(pixel),
            Message.image("https://example.com/a.png"),
            { type: "file", data: "data:application/pdf;base64,JVBERg==", filename: "a.pdf" },
            { type: "file", data: "https://example.com/b.pdf" },
            { type: "file", data: "data:text/plain,plain%20text" },
            { type: "file", fileId: "file_1" }
          ])
        ]
      })
      expect(answered.text).toContain("And now, in pictures?")

      const single = yield* complete(
        Chat.prompt("Weather?", {
          tools: [weather, { ...weather, name: "tides" }],
          toolChoice: "required",
          parallelToolCalls: false
        })
      )
      expect(single.toolCalls).toHaveLength(1)

      const large = yield* complete(Chat.prompt("sea ".repeat(262_144)))
      expect(large.usage.inputTokens).toBeGreaterThan(200_000)
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("thinks, and gives the thoughts back unchanged in a tool loop", () =>
    Effect.gen(function* () {
      const tools = [weather]
      for (const [model, thinking] of [
        [haiku, 2_000],
        [haiku, "low"],
        ["claude-sonnet-4-6", 2_000],
        ["claude-sonnet-4-6", "medium"],
        [sonnet, "xhigh"],
        ["claude-opus-5-5", 3_000],
        ["claude-next-9", "minimal"]
      ] as const) {
        const thought = yield* complete(Chat.prompt("Think", { model, thinking, tools }))
        expect([model, thought.reasoning]).toEqual([model, expect.stringMatching(/^I think about/)])
        expect(thought.usage.reasoningTokens).toBe(40)
        expect(thought.usage.outputTokens).toBeGreaterThan(40)
        expect(thought.reasoningParts).toEqual([
          { text: thought.reasoning, signature: expect.stringMatching(/^Eq/), provider: "anthropic" }
        ])

        const again = (reasoning: ReadonlyArray<Message.ReasoningPart>) =>
          complete(
            {
              model,
              thinking,
              tools,
              messages: [
                Message.user("Weather?"),
                Message.assistant(null, {
                  reasoning,
                  toolCalls: [{ id: "toolu_1", name: "weather", arguments: `{"city":"Rome"}` }]
                }),
                Message.tool("toolu_1", "sunny")
              ]
            },
            once
          )
        const parts = thought.reasoningParts ?? []
        expect((yield* again([{ text: "other", provider: "gemini" }, ...parts])).finishReason).toBe("stop")
        const altered = yield* Effect.flip(again(parts.map((part) => ({ ...part, text: "altered" }))))
        expect(altered.message).toContain("signature")
      }
      const silent = yield* complete(Chat.prompt("Do not", { model: sonnet, thinking: "off" }))
      expect(silent.reasoning).toBeUndefined()
      expect(silent.usage.reasoningTokens).toBe(0)
    }).pipe(Effect.provide(against({ reasoningTokens: 40 })))
  )

  it.scopedLive("gives values of a schema, by the model's own mode or in words", () =>
    Effect.gen(function* () {
      const City = Schema.Struct({
        name: Schema.NonEmptyString.pipe(Schema.maxLength(40)),
        population: Schema.Int.pipe(Schema.positive()),
        twin: Schema.optional(Schema.NullOr(Schema.String))
      })
      const found = yield* object(Chat.prompt("Rome?"), City)
      expect(found.value.name).toMatch(/^Answer/)
      expect(found.value.population).toBe(1)

      // an older model is told in words, and this one does not listen
      const failed = yield* Effect.flip(
        object(Chat.prompt("Rome?", { model: "claude-sonnet-4-0" }), City, { ...once, corrections: 0 })
      )
      expect(failed._tag).toBe("InvalidOutputError")
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("streams the plain answer: text, thoughts, calls, refusals, usage", () =>
    Effect.gen(function* () {
      const requests: ReadonlyArray<Chat> = [
        Chat.prompt("Tell me about the sea", { system: "Be terse." }),
        Chat.prompt("Think about the sea", { thinking: 2_000 }),
        Chat.prompt("Weather?", { tools: [weather], toolChoice: { type: "function", name: "weather" } }),
        Chat.prompt("Cut", { maxTokens: 3 }),
        Chat.prompt("Please refuse"),
        Chat.prompt("Say nothing")
      ]
      for (const request of requests) {
        const plain = yield* complete(request)
        const streamed = yield* collect(stream(request))
        const {
          id: _,
          provider: ____,
          meta: __,
          raw: ___,
          ...same
        } = { ...plain, toolCalls: plain.toolCalls.map((call) => ({ ...call, id: expect.any(String) })) }
        expect({ ...streamed }).toMatchObject(same)
      }
    }).pipe(
      Effect.provide(
        against({
          reasoningTokens: 20,
          cachedShare: 0.5,
          script: [
            { match: "refuse", fault: { kind: "refusal" }, times: "always" },
            { match: "nothing", fault: { kind: "empty" }, times: "always" }
          ]
        })
      )
    )
  )

  it.scopedLive("goes on with an answer that paused, where an answer begun by the user is refused", () =>
    Effect.gen(function* () {
      const paused = decoded({
        content: [
          { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } },
          { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] }
        ],
        stop_reason: "pause_turn"
      })
      const ask = (last: Message.Message) =>
        complete({ model: "claude-opus-4-8", messages: [Message.user("x"), last] }, once)
      expect((yield* ask(Response.toMessage(paused))).finishReason).toBe("stop")
      expect((yield* Effect.flip(ask(Message.assistant("The answer is"))))._tag).toBe("UnsupportedError")
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("tells refusals, filtered and empty answers, cut ones and stop sequences apart", () =>
    Effect.gen(function* () {
      const refused = yield* complete(Chat.prompt("Please refuse"))
      expect(refused).toMatchObject({ finishReason: "content_filter", rawFinishReason: "refusal", text: "" })
      expect(refused.refusal).toContain("determined as harmful")
      const filtered = yield* complete(Chat.prompt("Please filter"))
      expect(filtered.finishReason).toBe("content_filter")
      expect(filtered.refusal).toBeUndefined()
      const empty = yield* complete(Chat.prompt("Say nothing"))
      expect(empty).toMatchObject({ finishReason: "stop", text: "" })
      const cut = yield* complete(Chat.prompt("Count to a million", { maxTokens: 3 }))
      expect(cut).toMatchObject({ finishReason: "length", rawFinishReason: "max_tokens" })
      const stopped = yield* complete(Chat.prompt("Stop at: HERE and not after", { stop: ["HERE"] }))
      expect(stopped).toMatchObject({ finishReason: "stop", rawFinishReason: "stop_sequence" })
      expect(stopped.text).toMatch(/Stop at: $/)
    }).pipe(
      Effect.provide(
        against({
          script: [
            { match: "refuse", fault: { kind: "refusal" } },
            { match: "filter", fault: { kind: "contentFilter" } },
            { match: "nothing", fault: { kind: "empty" } }
          ]
        })
      )
    )
  )

  it.scopedLive("counts tokens of the prompt cache as input, and asks for it where marked", () =>
    Effect.gen(function* () {
      const prefix = "rules ".repeat(1_500)
      const marked = (text: string) =>
        complete({
          messages: [
            Message.system([{ type: "text", text: prefix, promptCache: "1h" }]),
            Message.user([{ type: "text", text, promptCache: "5m" }])
          ]
        })
      const { usage } = yield* marked("one")
      expect(usage.cacheReadTokens).toBe(Math.floor(usage.inputTokens / 2))
      expect(usage.cacheWriteTokens).toBeGreaterThan(0)
      const [entry] = yield* (yield* Simulator.Simulator).log
      expect(entry?.inputTokens).toBe(usage.inputTokens)
      const unmarked = yield* complete(Chat.prompt(prefix))
      expect(unmarked.usage.cacheReadTokens).toBe(0)
    }).pipe(Effect.provide(against({ cachedShare: 0.5 })))
  )

  it.live("turns each failure into its typed error, with status, request id and hint", () =>
    Effect.gen(function* () {
      const failWith = (fault: Simulator.Fault, timeout: Duration.DurationInput = "10 seconds") =>
        complete(Chat.prompt("x"), { ...once, timeout }).pipe(
          Effect.provide(against({ script: [{ fault, times: "always" }] })),
          Effect.flip
        )
      const table = [
        [{ kind: "status", status: 400 }, "InvalidRequestError"],
        [{ kind: "status", status: 400, code: "context_length_exceeded" }, "ContextLengthError"],
        [
          {
            kind: "status",
            status: 400,
            message: "You have reached your specified API usage limits. You will regain access on 2026-12-01."
          },
          "QuotaExhaustedError"
        ],
        [{ kind: "status", status: 401 }, "AuthError"],
        [{ kind: "status", status: 402 }, "QuotaExhaustedError"],
        [{ kind: "status", status: 403 }, "PermissionError"],
        [{ kind: "status", status: 404 }, "NotFoundError"],
        [{ kind: "status", status: 409 }, "ConflictError"],
        [{ kind: "status", status: 413 }, "RequestTooLargeError"],
        [{ kind: "status", status: 429 }, "RateLimitError"],
        [{ kind: "status", status: 429, code: "enforced_spend_limit_reached" }, "QuotaExhaustedError"],
        [{ kind: "status", status: 429, code: "insufficient_quota" }, "QuotaExhaustedError"],
        [{ kind: "status", status: 500 }, "ServerError"],
        [{ kind: "status", status: 502 }, "ServerError"],
        [{ kind: "status", status: 503 }, "OverloadedError"],
        [{ kind: "status", status: 504 }, "TimeoutError"],
        [{ kind: "status", status: 529 }, "OverloadedError"],
        [{ kind: "reset" }, "NetworkError"],
        [{ kind: "truncate" }, "NetworkError"],
        [{ kind: "malformed" }, "NetworkError"],
        [{ kind: "errorBody" }, "ServerError"]
      ] as const satisfies ReadonlyArray<readonly [Simulator.Fault, LlmError.LlmError["_tag"]]>
      for (const [fault, tag] of table) {
        const error = yield* failWith(fault)
        expect([fault, error._tag]).toEqual([fault, tag])
        expect(error.provider).toBe("anthropic")
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

  it.live("fails a stream that breaks off, or brings an error, with the error's own type", () =>
    Effect.gen(function* () {
      const failWith = (fault: Simulator.Fault) =>
        collect(stream(Chat.prompt("x"), once)).pipe(
          Effect.provide(against({ outputTokens: 40, script: [{ fault, times: "always" }] })),
          Effect.flip
        )
      for (const [fault, tag] of [
        [{ kind: "status", status: 529 }, "OverloadedError"],
        [{ kind: "truncate" }, "NetworkError"],
        [{ kind: "malformed" }, "NetworkError"],
        [{ kind: "errorBody" }, "ServerError"]
      ] as const satisfies ReadonlyArray<readonly [Simulator.Fault, LlmError.LlmError["_tag"]]>) {
        const error = yield* failWith(fault)
        expect([fault, error._tag]).toEqual([fault, tag])
      }
    })
  )

  it.live("knows a prompt that is too long, a wrong key, an unknown model and an empty account", () =>
    Effect.gen(function* () {
      const fail = (options: Simulator.Options, request = Chat.prompt("sea ".repeat(2_000))) =>
        complete(request, once).pipe(Effect.provide(against(options)), Effect.flip)
      const long = yield* fail({ contextWindow: 1_000 })
      expect(long._tag).toBe("ContextLengthError")
      expect(long.message).toMatch(/^prompt is too long: \d+ tokens > 1000 maximum/)
      // older models refuse an answer that might not fit, newer ones end it there
      const old = Chat.prompt("Hi", { model: "claude-3-haiku-20240307" })
      expect((yield* fail({ contextWindow: 1_000 }, old))._tag).toBe("ContextLengthError")
      const cut = yield* complete(Chat.prompt("Hi")).pipe(
        Effect.provide(against({ contextWindow: 15, outputTokens: 40 }))
      )
      expect(cut).toMatchObject({
        finishReason: "length",
        rawFinishReason: "model_context_window_exceeded"
      })
      expect((yield* fail({ apiKey: "another" }))._tag).toBe("AuthError")
      expect((yield* fail({ models: [sonnet] }))._tag).toBe("NotFoundError")
      expect((yield* fail({ quota: { requests: 0 } }))._tag).toBe("QuotaExhaustedError")
    })
  )

  it.scopedLive("reads limits off the headers, and waits as long as it is told", () =>
    Effect.gen(function* () {
      const { setLimits, urls } = yield* Simulator.Simulator
      const ask = (prompt: string) =>
        complete(Chat.prompt(prompt), once).pipe(
          Effect.provide(
            services({ baseUrl: urls.anthropic ?? "", apiKey: Redacted.make(apiKey), model: haiku })
          )
        )
      yield* ask("one")
      yield* setLimits({ rpm: 1 })
      const limited = yield* Effect.flip(Effect.zipRight(ask("two"), ask("three")))
      expect(limited._tag).toBe("RateLimitError")
      const hint = Duration.toMillis(LlmError.waitHint(limited))
      expect(hint).toBeGreaterThan(50_000)
      expect(hint).toBeLessThanOrEqual(60_000)
    }).pipe(Effect.provide(Layer.orDie(Simulator.layer({ limits: { rpm: 1_000, tpm: 1_000_000 } }))))
  )

  it.scopedLive(
    "tells what is left of requests and tokens, input and output apart where the server does",
    () =>
      Effect.gen(function* () {
        const { urls } = yield* Simulator.Simulator
        const provider = yield* Anthropic.make
        const throttleAt = (baseUrl: string) =>
          Effect.map(
            provider.attempt(
              Chat.prompt("x"),
              Endpoint.make({ provider: "anthropic", baseUrl, apiKey: Redacted.make(apiKey), model: haiku }),
              0
            ),
            ({ throttle }) => throttle
          )
        const simulated = yield* throttleAt(urls.anthropic ?? "")
        expect(simulated.requests).toMatchObject({ limit: 1_000, remaining: 999, period: "minute" })
        expect(simulated.tokens).toMatchObject({ limit: 1_000_000, period: "minute" })
        const headers = Object.fromEntries(
          ["input", "output"].flatMap((kind, index) => [
            [`anthropic-ratelimit-${kind}-tokens-limit`, String(1_000 * (index + 1))],
            [`anthropic-ratelimit-${kind}-tokens-remaining`, String(100 * (index + 1))]
          ])
        )
        const server = yield* serve(answering(200, message({}), headers))
        const apart = yield* throttleAt(server.url)
        expect(apart.inputTokens).toMatchObject({ limit: 1_000, remaining: 100 })
        expect(apart.outputTokens).toMatchObject({ limit: 2_000, remaining: 200 })
      }).pipe(
        Effect.provide(HttpClientPool.layer()),
        Effect.provide(Layer.orDie(Simulator.layer({ limits: { rpm: 1_000, tpm: 1_000_000 } })))
      )
  )

  it.scopedLive("sends the key in its header or as bearer, and the version; paths fit the base URL", () =>
    Effect.gen(function* () {
      const server = yield* serve(answering(200, message({})))
      const ask = (endpoint: Partial<Endpoint.Options>) =>
        complete(Chat.prompt("x"), once).pipe(
          Effect.provide(
            services({ baseUrl: server.url, apiKey: Redacted.make(apiKey), model: haiku, ...endpoint })
          )
        )
      const first = yield* ask({})
      expect(first.meta.requestId).toBe("req_1")
      yield* ask({ keyHeader: "authorization", baseUrl: `${server.url}/v1` })
      yield* ask({ headers: { "anthropic-version": "2030-01-01", "anthropic-beta": "a,b" } })
      const [own, bearer, beta] = server.asked
      expect(own?.path).toBe("/v1/messages")
      expect(own?.headers).toMatchObject({ "x-api-key": apiKey, "anthropic-version": "2023-06-01" })
      expect(own?.headers.authorization).toBeUndefined()
      expect(bearer?.path).toBe("/v1/messages")
      expect(bearer?.headers.authorization).toBe(`Bearer ${apiKey}`)
      expect(bearer?.headers["x-api-key"]).toBeUndefined()
      expect(beta?.headers).toMatchObject({ "anthropic-version": "2030-01-01", "anthropic-beta": "a,b" })
      expect(own?.body).toEqual({
        model: haiku,
        max_tokens: 64_000,
        messages: [{ role: "user", content: "x" }]
      })
    })
  )

  it.effect("reads the endpoint from the environment", () =>
    Effect.gen(function* () {
      const read = (variables: Record<string, string>) =>
        Effect.withConfigProvider(
          Anthropic.config,
          ConfigProvider.fromMap(new Map(Object.entries(variables)))
        )
      const own = yield* read({ ANTHROPIC_API_KEY: "k", ANTHROPIC_MODEL: haiku, ANTHROPIC_AUTH_TOKEN: "t" })
      expect(own).toMatchObject({ baseUrl: "https://api.anthropic.com", model: haiku, keyHeader: undefined })
      expect(Redacted.value(own.apiKey ?? Redacted.make(""))).toBe("k")
      const token = yield* read({ ANTHROPIC_AUTH_TOKEN: "t", ANTHROPIC_BASE_URL: "http://gateway" })
      expect(token).toMatchObject({ baseUrl: "http://gateway", keyHeader: "authorization" })
      expect(String(yield* Effect.flip(read({})))).toContain("ANTHROPIC_API_KEY")
    })
  )

  it.scopedLive("has no completions and no embeddings, and says so before anything is sent", () =>
    Effect.gen(function* () {
      const errors = [
        yield* Effect.flip(complete(new Completion({ prompt: "x" }), once)),
        yield* Effect.flip(complete(new Embedding({ input: ["x"] }), once))
      ]
      for (const error of errors) expect(error._tag).toBe("UnsupportedError")
      const kept = yield* complete(
        Chat.prompt("x", { model: sonnet, temperature: 0, seed: 1, unsupported: "drop" })
      )
      expect(kept.warnings).toHaveLength(2)
      expect((yield* (yield* Simulator.Simulator).log).map(({ status }) => status)).toEqual([200])

      const { warnings } = yield* complete({
        unsupported: "drop",
        messages: [
          {
            role: "user",
            name: "Ann",
            content: [
              Message.text("a"),
              Message.image(pixel, { detail: "low" }),
              { type: "audio", data: "", format: "wav" }
            ]
          }
        ]
      })
      expect(warnings?.map((warning) => /for (\S+):/.exec(warning)?.[1])).toEqual([
        "messages.name",
        "messages.image.detail",
        "messages.audio"
      ])
    }).pipe(Effect.provide(against()))
  )
})

describe("encode", () => {
  it("writes the documented body", () => {
    const request: Request.ChatFields = {
      maxTokens: 8_000,
      messages: [
        Message.system([{ type: "text", text: "Be terse.", promptCache: "1h" }]),
        Message.user([
          Message.text("Look"),
          Message.image("data:image/png;base64,iVBOR"),
          Message.image("https://x.test/a.png"),
          { type: "file", data: "data:application/pdf;base64,JVBE", filename: "a" },
          { type: "file", data: "data:text/plain;base64,cGxhaW4=" },
          { type: "provider", value: { type: "search_result", title: "t" } }
        ]),
        Message.assistant(null, {
          reasoning: [
            { text: "…", signature: "Eq", provider: "anthropic" },
            { text: "", provider: "anthropic", item: { type: "redacted_thinking", data: "…" } },
            { text: "theirs", provider: "openai" }
          ],
          toolCalls: [{ id: "toolu_1", name: "f", arguments: `{"a":1}` }]
        }),
        Message.tool("toolu_1", "42", { isError: false })
      ],
      thinking: "medium",
      responseFormat: {
        type: "jsonSchema",
        name: "x",
        schema: { type: "object", additionalProperties: false }
      },
      tools: [
        { type: "function", name: "f", description: "d", strict: true, parameters: { type: "object" } },
        { type: "provider", value: { type: "web_search_20260318", name: "web_search" } }
      ],
      parallelToolCalls: false,
      stop: "END",
      safetyIdentifier: "opaque",
      serviceTier: "auto",
      promptCacheKey: "k",
      extra: { inference_geo: "us" }
    }
    expect(Either.getOrThrow(body(request, sonnet, true))).toEqual({
      model: sonnet,
      max_tokens: 8_000,
      system: [{ type: "text", text: "Be terse.", cache_control: { type: "ephemeral", ttl: "1h" } }],
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "Look" },
            { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBOR" } },
            { type: "image", source: { type: "url", url: "https://x.test/a.png" } },
            {
              type: "document",
              title: "a",
              source: { type: "base64", media_type: "application/pdf", data: "JVBE" }
            },
            { type: "document", source: { type: "text", media_type: "text/plain", data: "plain" } },
            { type: "search_result", title: "t" }
          ]
        },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "…", signature: "Eq" },
            { type: "redacted_thinking", data: "…" },
            { type: "tool_use", id: "toolu_1", name: "f", input: { a: 1 } }
          ]
        },
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "42", is_error: false }]
        }
      ],
      thinking: { type: "adaptive", display: "summarized" },
      output_config: {
        effort: "medium",
        format: { type: "json_schema", schema: { type: "object", additionalProperties: false } }
      },
      tools: [
        { name: "f", description: "d", strict: true, input_schema: { type: "object" } },
        { type: "web_search_20260318", name: "web_search" }
      ],
      tool_choice: { type: "auto", disable_parallel_tool_use: true },
      stop_sequences: ["END"],
      metadata: { user_id: "opaque" },
      service_tier: "auto",
      stream: true,
      inference_geo: "us"
    })
  })

  it("makes one turn of neighbours, results first, and puts instructions at the top", () => {
    const { messages, system } = bodyOf({
      messages: [
        Message.system("One."),
        Message.user("a"),
        Message.user([Message.text(""), Message.text("b")]),
        Message.assistant(""),
        { role: "assistant", content: null, refusal: "I will not." },
        Message.assistant("c", { toolCalls: [{ id: "functions.f:0", name: "f", arguments: "not JSON" }] }),
        Message.user("before its result"),
        Message.tool("functions.f:0", [{ type: "text", text: "r", promptCache: "5m" }]),
        Message.system("Two.")
      ]
    })
    expect(system).toEqual([
      { type: "text", text: "One." },
      { type: "text", text: "Two." }
    ])
    expect(messages).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "a" },
          { type: "text", text: "b" }
        ]
      },
      {
        role: "assistant",
        content: [
          { type: "text", text: "I will not." },
          { type: "text", text: "c" },
          { type: "tool_use", id: "functions_f_0", name: "f", input: {} }
        ]
      },
      {
        role: "user",
        content: [
          {
            type: "tool_result",
            tool_use_id: "functions_f_0",
            content: [{ type: "text", text: "r" }],
            cache_control: { type: "ephemeral", ttl: "5m" }
          },
          { type: "text", text: "before its result" }
        ]
      }
    ])
  })

  it("asks for as many tokens as the model has, unless told", () => {
    for (const [model, tokens] of [
      ["claude-opus-5-5", 128_000],
      ["claude-sonnet-4-6", 128_000],
      ["anthropic/claude-haiku-4.5", 64_000],
      ["claude-sonnet-4-5-20250929", 64_000],
      ["claude-sonnet-4-20250514", 64_000],
      ["claude-opus-4-1-20250805", 32_000],
      ["claude-opus-4-20250514", 32_000],
      ["claude-3-7-sonnet-20250219", 64_000],
      ["claude-3-5-haiku-20241022", 8_192],
      ["claude-3-haiku-20240307", 4_096],
      ["claude-next", 64_000],
      ["deepseek-chat", 8_192]
    ] as const) {
      expect([model, modelOf(model).maxOutput]).toEqual([model, tokens])
    }
    expect(bodyOf({ messages: [Message.user("x")], maxTokens: 7 }).max_tokens).toBe(7)
  })

  it("maps thinking to what each model takes", () => {
    const of = (model: string, thinking: Request.Thinking, maxTokens?: number) => {
      const { output_config, thinking: sent } = bodyOf(
        { messages: [Message.user("x")], thinking, ...(maxTokens === undefined ? {} : { maxTokens }) },
        model
      )
      return [sent, output_config]
    }
    const enabled = (budget_tokens: number) => [{ type: "enabled", budget_tokens }, undefined]
    const disabled = [{ type: "disabled" }, undefined]
    const shown = { type: "adaptive", display: "summarized" }
    expect(of(haiku, 5_000)).toEqual(enabled(5_000))
    expect(of(haiku, "medium")).toEqual(enabled(12_288))
    // room is left for the answer
    expect(of(haiku, 5_000, 4_000)).toEqual(enabled(3_999))
    expect(of(haiku, "max", 4_000)).toEqual(enabled(2_000))
    expect(of(haiku, "off")).toEqual(disabled)
    expect(of("claude-3-haiku-20240307", "off")).toEqual([undefined, undefined])
    expect(of("claude-opus-4-6", 5_000)).toEqual(enabled(5_000))
    expect(of("claude-opus-4-6", "high")).toEqual([{ type: "adaptive" }, { effort: "high" }])
    expect(of("claude-opus-4-8", 5_000)).toEqual([shown, { effort: "medium" }])
    expect(of(sonnet, "minimal")).toEqual([shown, { effort: "low" }])
    expect(of(sonnet, 0)).toEqual(disabled)
    for (const [model, thinking, maxTokens] of [
      [haiku, 500, 8_000],
      [haiku, "high", 1_500],
      [haiku, "unheard of", 8_000]
    ] as const) {
      const refused = body({ messages: [Message.user("x")], thinking, maxTokens }, model)
      expect(Either.isLeft(refused) && refused.left._tag).toBe("InvalidRequestError")
    }
  })

  it("names what the model cannot do", () => {
    const messages = [Message.user("x")]
    const of = (model: string, fields: Omit<Request.ChatFields, "messages">) =>
      lacks(new Chat({ messages, ...fields }), model)
    const forced = { tools: [weather], toolChoice: "required" } as const
    // parameters that newer models refuse, and older ones take
    expect(of(sonnet, { temperature: 0.2, topP: 0.9, topK: 4 })).toEqual(["temperature", "topP", "topK"])
    expect(of(sonnet, { temperature: 1, topP: 0.99 })).toEqual([])
    expect(of("claude-next", { temperature: 0.2 })).toEqual(["temperature"])
    expect(of(haiku, { temperature: 0.2, topK: 4 })).toEqual([])
    expect(of(haiku, { temperature: 0.2, thinking: 2_000 })).toEqual(["temperature"])
    expect(of("claude-opus-4-6", { temperature: 0.2 })).toEqual([])
    expect(of("claude-opus-4-6", { temperature: 0.2, thinking: "high" })).toEqual(["temperature"])
    expect(of("claude-3-haiku-20240307", { thinking: "low" })).toEqual(["thinking"])
    expect(of("claude-fable-5-1", { thinking: "off" })).toEqual(["thinking"])
    expect(of("claude-opus-5", { thinking: "off" })).toEqual([])
    expect(of("claude-opus-5-5", forced)).toEqual(["toolChoice"])
    expect(of("claude-sonnet-5-5", forced)).toEqual(["toolChoice"])
    expect(of("claude-sonnet-5-5", { ...forced, thinking: "off" })).toEqual([])
    expect(of(haiku, { ...forced, thinking: 2_000 })).toEqual(["toolChoice"])
    expect(of(haiku, forced)).toEqual([])
    expect(of(haiku, { responseFormat: { type: "json" } })).toEqual(["responseFormat"])
    const schema = { type: "jsonSchema", name: "x", schema: {} } as const
    expect(of("claude-sonnet-4-0", { responseFormat: schema })).toEqual(["responseFormat"])
    expect(of("claude-sonnet-4-0", { responseFormat: { ...schema, adapt: true } })).toEqual([])
    expect(
      of(haiku, {
        seed: 1,
        n: 2,
        logprobs: true,
        topLogprobs: 1,
        logitBias: {},
        frequencyPenalty: 1,
        presencePenalty: 1,
        verbosity: "low",
        store: true,
        labels: {},
        serviceTier: "flex"
      })
    ).toHaveLength(11)
    // what asks for nothing
    expect(
      of(haiku, { n: 1, logprobs: false, frequencyPenalty: 0, presencePenalty: 0, store: false })
    ).toEqual([])
    expect(
      lacks(
        new Chat({
          messages: [
            { role: "user", name: "Ann", content: [{ type: "audio", data: "", format: "wav" }] },
            Message.user([
              Message.image(pixel, { detail: "low" }),
              { type: "file", data: "data:application/msword;base64,AA" }
            ])
          ]
        }),
        haiku
      )
    ).toEqual(["messages.name", "messages.audio", "messages.image.detail", "messages.file"])
  })

  it("lets older models go on with an answer, and refuses it for newer ones", () => {
    const messages = [Message.user("x"), Message.assistant("The answer is (")]
    expect(bodyOf({ messages }).messages).toEqual([
      { role: "user", content: "x" },
      { role: "assistant", content: "The answer is (" }
    ])
    const refused = body({ messages }, "claude-opus-4-6")
    expect(Either.isLeft(refused) && refused.left).toMatchObject({
      _tag: "UnsupportedError",
      feature: "prefill"
    })
  })

  it("keeps the last four marks of a prompt cache", () => {
    const marked = (text: string) => ({ type: "text", text, promptCache: "5m" }) as const
    const sent = bodyOf({
      messages: [
        Message.system([marked("a"), marked("b")]),
        Message.user([marked("c"), marked("d")]),
        Message.assistant([marked("e")]),
        Message.user([marked("f"), Message.text("g")])
      ]
    })
    const marks = JSON.stringify(sent).match(/"text":"\w","cache_control"/g)
    expect(marks).toEqual(["c", "d", "e", "f"].map((text) => `"text":"${text}","cache_control"`))
  })

  it("maps choices and tiers", () => {
    const choice = (fields: Omit<Request.ChatFields, "messages">) =>
      bodyOf({ messages: [Message.user("x")], tools: [weather], ...fields }).tool_choice
    expect(choice({})).toBeUndefined()
    expect(choice({ toolChoice: "auto" })).toEqual({ type: "auto" })
    expect(choice({ toolChoice: "none", parallelToolCalls: false })).toEqual({ type: "none" })
    expect(choice({ toolChoice: "required", parallelToolCalls: true })).toEqual({ type: "any" })
    expect(choice({ toolChoice: { type: "function", name: "f" }, parallelToolCalls: false })).toEqual({
      type: "tool",
      name: "f",
      disable_parallel_tool_use: true
    })
    expect(choice({ tools: [], parallelToolCalls: false })).toBeUndefined()
    const tier = (serviceTier: string) => bodyOf({ messages: [Message.user("x")], serviceTier }).service_tier
    expect([tier("auto"), tier("default")]).toEqual(["auto", "standard_only"])
    const bare = bodyOf({ messages: [Message.user("x")], tools: [{ type: "function", name: "now" }] })
    expect(bare.tools).toEqual([{ name: "now", input_schema: { type: "object", properties: {} } }])
  })

  it("puts a schema into words where there is no other way", () => {
    const schema = { type: "object", properties: { a: { type: "integer" } } }
    const format = { type: "jsonSchema", name: "x", description: "A thing", schema, adapt: true } as const
    const { output_config, system } = bodyOf(
      { messages: [Message.system("Be terse."), Message.user("x")], responseFormat: format },
      "claude-sonnet-4-0"
    )
    expect(output_config).toBeUndefined()
    expect(system).toHaveLength(2)
    expect(JSON.stringify(system)).toContain("A thing")
    expect(JSON.stringify(system)).toContain(JSON.stringify(JSON.stringify(schema)).slice(1, -1))
    const record = { ...format, schema: { type: "object", additionalProperties: { type: "string" } } }
    const recordBody = bodyOf({ messages: [Message.user("x")], responseFormat: record })
    expect(recordBody.output_config).toBeUndefined()
    expect(JSON.stringify(recordBody.system)).toContain("additionalProperties")
  })
})

describe("encode against the simulator's own table of models", () => {
  const models = [
    "claude-3-haiku-20240307",
    "claude-3-7-sonnet-20250219",
    "claude-opus-4-1-20250805",
    haiku,
    "claude-opus-4-6",
    "claude-opus-4-8",
    sonnet,
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-fable-5-1",
    "claude-next"
  ]
  const options = { strict: true, models: undefined, contextWindow: undefined }
  const sometimes = <A>(...values: ReadonlyArray<A>) =>
    FastCheck.option(FastCheck.constantFrom(...values), { nil: undefined })

  it("sends nothing that the model refuses: it is named before", () => {
    const counts = { sent: 0, named: 0 }
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom(...models),
        FastCheck.record({
          thinking: sometimes<Request.Thinking>("off", "minimal", "high", "xhigh", 0, 500, 2_000, 50_000),
          maxTokens: sometimes(1, 1_025, 4_000),
          temperature: sometimes(0, 1),
          topK: sometimes(5),
          toolChoice: sometimes<Request.ToolChoice>("auto", "none", "required"),
          parallelToolCalls: sometimes(true, false)
        }),
        FastCheck.boolean(),
        (model, fields, isBegun) => {
          const messages = [Message.user("x"), ...(isBegun ? [Message.assistant("y")] : [])]
          const chat = new Chat({ messages, tools: [weather], ...fields })
          const sent = encode(chat, model, false)
          if (lacks(chat, model).length > 0 || Either.isLeft(sent)) {
            counts.named += 1
            return
          }
          counts.sent += 1
          const answer = AnthropicMessages.read(JSON.parse(JSON.stringify(sent.right)), options)
          expect(answer._tag === "Reply" ? answer.body : undefined).toBeUndefined()
        }
      ),
      { numRuns: 1_000 }
    )
    // both happen, or this says nothing
    expect(counts.sent).toBeGreaterThan(50)
    expect(counts.named).toBeGreaterThan(50)
  })
})

describe("normalise", () => {
  const Person = Schema.Struct({
    name: Schema.NonEmptyString.pipe(Schema.pattern(/^\w+$/)),
    age: Schema.Int.pipe(Schema.between(0, 150)),
    mail: Schema.optional(Schema.String),
    tags: Schema.Array(Schema.Literal("a", "b")).pipe(Schema.minItems(2)),
    parent: Schema.NullOr(Schema.Struct({ name: Schema.String }))
  }).annotations({ identifier: "Person" })

  it("writes schemas of Effect in the form that is taken, bounds in words", () => {
    const schemas: ReadonlyArray<Schema.Schema.All> = [
      Person,
      Schema.Struct({ people: Schema.Array(Person), first: Person }),
      Schema.Union(Schema.Struct({ kind: Schema.Literal("a"), at: Schema.Date }), Person),
      Schema.Struct({
        when: Schema.DateFromString,
        id: Schema.UUID,
        n: Schema.optional(Schema.NullOr(Schema.Number))
      })
    ]
    for (const schema of schemas) {
      // each is one of the above
      const given = { ...JSONSchema.make(schema as Schema.Schema<unknown>) }
      const found = normalise(given)
      assert(found !== undefined, JSON.stringify(given))
      expect(AnthropicStrictSchema.problem(found)).toBeUndefined()
    }
    expect(JSON.stringify(normalise({ ...JSONSchema.make(Person) }))).toContain("maximum: 150")
    expect(
      normalise({
        type: "object",
        properties: {
          n: { type: "number", minimum: 1, description: "How many" },
          o: { oneOf: [{ type: "null" }] }
        },
        required: ["n"]
      })
    ).toEqual({
      type: "object",
      properties: {
        n: { type: "number", description: "How many\n\n{minimum: 1}" },
        o: { anyOf: [{ type: "null" }] }
      },
      required: ["n"],
      additionalProperties: false
    })
  })

  it("has no form for recursion, records and values of any kind", () => {
    interface Tree {
      readonly children: ReadonlyArray<Tree>
    }
    const Tree: Schema.Schema<Tree> = Schema.Struct({
      children: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree))
    }).annotations({ identifier: "Tree" })
    for (const schema of [
      Tree,
      Schema.Record({ key: Schema.String, value: Schema.Number }),
      Schema.Struct({ any: Schema.Unknown })
    ]) {
      expect(normalise({ ...JSONSchema.make(schema as Schema.Schema<unknown>) })).toBeUndefined()
    }
    expect(normalise({ $ref: "#" })).toBeUndefined()
    expect(normalise({ $ref: "#/$defs/Gone" })).toBeUndefined()
  })

  it("gives what is taken, or nothing, for any JSON", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.dictionary(
          FastCheck.constantFrom(
            "type",
            "properties",
            "items",
            "anyOf",
            "$ref",
            "allOf",
            "enum",
            "format",
            "$defs",
            "x"
          ),
          FastCheck.jsonValue()
        ),
        (schema) => {
          normalise(JSON.parse(JSON.stringify(schema)))
        }
      ),
      { numRuns: 50 }
    )
  })
})

describe("decode", () => {
  it("sums usage: the cache is apart on the wire, and thinking is within", () => {
    const { usage } = decoded({
      usage: {
        input_tokens: 12,
        cache_creation_input_tokens: 100,
        cache_read_input_tokens: 2048,
        output_tokens: 30,
        output_tokens_details: { thinking_tokens: 8 },
        service_tier: "priority"
      }
    })
    expect(usage).toEqual({
      inputTokens: 2160,
      outputTokens: 30,
      cacheReadTokens: 2048,
      cacheWriteTokens: 100,
      reasoningTokens: 8
    })
    expect(decoded({ usage: null }).usage.estimated).toBe(true)
  })

  it("finds blocks by their type, and reads every reason to stop", () => {
    const response = decoded({
      content: [
        { type: "thinking", thinking: "", signature: "Eq" },
        { type: "redacted_thinking", data: "xyz" },
        { type: "text", text: "Hi", citations: null },
        { type: "tool_use", id: "toolu_1", name: "f", input: { a: 1 } },
        { type: "tool_use", id: "toolu_2", name: "g", input: {} }
      ],
      stop_reason: "tool_use"
    })
    expect(response).toMatchObject({
      text: "Hi",
      finishReason: "tool_calls",
      toolCalls: [
        { id: "toolu_1", name: "f", arguments: `{"a":1}` },
        { id: "toolu_2", name: "g", arguments: "{}" }
      ],
      reasoningParts: [
        { text: "", signature: "Eq", provider: "anthropic" },
        { text: "", provider: "anthropic", item: { type: "redacted_thinking", data: "xyz" } }
      ]
    })
    expect(response.reasoning).toBeUndefined()
    for (const [raw, reason] of [
      ["end_turn", "stop"],
      ["stop_sequence", "stop"],
      ["max_tokens", "length"],
      ["model_context_window_exceeded", "length"],
      ["refusal", "content_filter"],
      ["pause_turn", "pause"],
      ["compaction", "pause"],
      ["something_new", "other"]
    ]) {
      expect(decoded({ stop_reason: raw })).toMatchObject({ finishReason: reason, rawFinishReason: raw })
    }
    expect(
      decoded({ stop_reason: "refusal", content: [], stop_details: { category: "cyber" } }).refusal
    ).toBe("cyber")
  })

  it("keeps an answer whose descriptions are of the wrong type, and refuses what is none", () => {
    const odd = decoded({
      id: 4,
      model: null,
      stop_reason: 7,
      stop_details: "x",
      usage: { input_tokens: "9", output_tokens: "0" }
    })
    expect(odd).toMatchObject({ text: "Hi", model: haiku, finishReason: "other" })
    expect(odd.usage).toEqual({ inputTokens: 9, outputTokens: 0 })
    for (const none of [null, "text", {}, { content: "text" }, { type: "message" }]) {
      const failed = decode(none, asked)
      expect(Either.isLeft(failed) && failed.left._tag).toBe("NetworkError")
    }
  })

  it("sends an answer of mixed blocks back in its own order, unless it was changed", () => {
    const content = [
      { type: "thinking", thinking: "one", signature: "1" },
      { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } },
      { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
      { type: "thinking", thinking: "two", signature: "2" },
      { type: "text", text: "Hi" }
    ]
    const response = decoded({ content, stop_reason: "pause_turn" })
    expect(response).toMatchObject({ text: "Hi", reasoning: "one\n\ntwo", finishReason: "pause" })
    const turn = (message: Message.Message) => bodyOf({ messages: [Message.user("x"), message] }).messages
    const sent = Response.toMessage(response)
    expect(turn(sent)).toMatchObject([{}, { role: "assistant", content }])
    // what paused goes on with newer models too, which take no answer that was begun for them
    expect(Either.isRight(body({ messages: [Message.user("x"), sent] }, "claude-opus-4-8"))).toBe(true)
    expect(turn({ ...sent, content: "Changed" })).toMatchObject([
      {},
      { role: "assistant", content: [content[0], content[3], { type: "text", text: "Changed" }] }
    ])
  })
})

describe("events", () => {
  const read = (events: ReadonlyArray<object>) => {
    const reader = AnthropicEvents.make(asked)
    const collector = new StreamPart.Collector()
    for (const event of events) {
      const parts = reader.read({ event: "message", data: JSON.stringify(event) })
      if (Either.isLeft(parts)) return Either.left(parts.left)
      for (const part of parts.right) collector.add(part)
    }
    const last = reader.end()
    return Either.isLeft(last) ? Either.left(last.left) : collector.response(asked)
  }

  const start = {
    type: "message_start",
    message: message({
      content: [],
      stop_reason: null,
      usage: { input_tokens: 5, cache_read_input_tokens: 100, output_tokens: 1 }
    })
  }
  const stop = (reason: string, usage: object = { output_tokens: 9 }) => [
    { type: "message_delta", delta: { stop_reason: reason, stop_sequence: null }, usage },
    { type: "message_stop" }
  ]

  it("after the end are none: the answer is whole", () => {
    const reader = AnthropicEvents.make(asked)
    for (const event of [start, ...stop("end_turn")]) {
      Either.getOrThrow(reader.read({ event: "message", data: JSON.stringify(event) }))
    }
    for (const data of ["[DONE]", "", `{"type":"error","error":{"type":"api_error","message":"late"}}`]) {
      expect(reader.read({ event: "message", data })).toEqual(Either.right([]))
    }
    expect(reader.end()).toEqual(Either.right([]))
    // before it they are a fault
    expect(Either.isLeft(AnthropicEvents.make(asked).read({ event: "message", data: "[DONE]" }))).toBe(true)
  })
  const block = (index: number, content_block: object, ...deltas: ReadonlyArray<object>) => [
    { type: "content_block_start", index, content_block },
    ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
    { type: "content_block_stop", index }
  ]

  it("adds up blocks, and usage that is restated in part", () => {
    const response = Either.getOrThrow(
      read([
        start,
        { type: "ping" },
        ...block(
          0,
          { type: "thinking", thinking: "", signature: "" },
          { type: "thinking_delta", thinking: "Hm" },
          { type: "thinking_delta", thinking: "m" },
          { type: "signature_delta", signature: "Eq" }
        ),
        { type: "something_new", index: 3 },
        ...block(1, { type: "text", text: "" }, { type: "text_delta", text: "Hi" }),
        ...block(2, { type: "tool_use", id: "toolu_1", name: "now", input: {} }),
        ...block(
          3,
          { type: "tool_use", id: "toolu_2", name: "f", input: {} },
          { type: "input_json_delta", partial_json: "" },
          { type: "input_json_delta", partial_json: `{"a":` },
          { type: "input_json_delta", partial_json: "1}" }
        ),
        ...stop("tool_use", { input_tokens: null, output_tokens: 9 })
      ])
    )
    expect(response).toMatchObject({
      id: "msg_1",
      text: "Hi",
      reasoning: "Hmm",
      reasoningParts: [{ text: "Hmm", signature: "Eq", provider: "anthropic" }],
      finishReason: "tool_calls",
      toolCalls: [
        { id: "toolu_1", name: "now", arguments: "{}" },
        { id: "toolu_2", name: "f", arguments: `{"a":1}` }
      ],
      usage: { inputTokens: 105, outputTokens: 9, cacheReadTokens: 100 }
    })
  })

  it("keeps the order of mixed blocks, and says what refused", () => {
    const mixed = Either.getOrThrow(
      read([
        start,
        ...block(0, { type: "thinking", thinking: "" }, { type: "thinking_delta", thinking: "one" }),
        ...block(
          1,
          { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} },
          { type: "input_json_delta", partial_json: `{"query":"q"}` }
        ),
        ...block(2, { type: "thinking", thinking: "" }, { type: "thinking_delta", thinking: "two" }),
        ...block(3, { type: "text", text: "" }, { type: "text_delta", text: "Hi" }),
        ...stop("pause_turn")
      ])
    )
    expect(mixed.reasoning).toBe("one\n\ntwo")
    expect(mixed.toolCalls).toEqual([])
    expect(mixed.reasoningParts).toHaveLength(1)
    expect(mixed.reasoningParts?.[0]?.item).toMatchObject([
      { type: "thinking", thinking: "one" },
      { type: "server_tool_use", input: { query: "q" } },
      { type: "thinking", thinking: "two" },
      { type: "text", text: "Hi" }
    ])
    const refused = Either.getOrThrow(
      read([
        start,
        {
          type: "message_delta",
          delta: { stop_reason: "refusal", stop_details: { type: "refusal", explanation: "No." } },
          usage: { output_tokens: 1 }
        },
        { type: "message_stop" }
      ])
    )
    expect(refused).toMatchObject({ refusal: "No.", finishReason: "content_filter" })
  })

  it("fails with the error of the event, and when there is no end", () => {
    for (const [type, tag] of [
      ["overloaded_error", "OverloadedError"],
      ["rate_limit_error", "RateLimitError"],
      ["api_error", "ServerError"]
    ]) {
      const failed = read([start, { type: "error", error: { type, message: "x" } }])
      expect(Either.isLeft(failed) && failed.left).toMatchObject({ _tag: tag, requestId: "req_1" })
    }
    const early = read([start, ...block(0, { type: "text", text: "" }, { type: "text_delta", text: "Hi" })])
    expect(Either.isLeft(early) && early.left.message).toContain("ended early")
  })
})
