import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import {
  Cache,
  Chat,
  Completion,
  collect,
  complete,
  Embedding,
  Endpoint,
  Gemini,
  HttpClientPool,
  LlmError,
  Message,
  object,
  RateLimiter,
  Rerank,
  Retry,
  Router,
  StructuredOutput,
  stream,
  Vertex
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { TokenCache } from "../../src/internal/accessToken.js"
import * as GeminiEvents from "../../src/internal/geminiEvents.js"
import * as GeminiResponse from "../../src/internal/geminiResponse.js"
import { adapt } from "../../src/internal/geminiSchema.js"
import type { ChatFields } from "../../src/Request.js"
import { type ChatResponse, toMessage } from "../../src/Response.js"
import { Collector } from "../../src/StreamPart.js"
import type { WireCall } from "../../src/Wire.js"

const apiKey = "AIzaSyTest0123456789abcdefghijklmnop"
const token = "ya29.test-0123456789"
const once = { retry: Retry.never }

const services = Layer.mergeAll(RateLimiter.layer(), Cache.layerNone)

/** All services against a simulator, whose own service is given too. */
const against = (options: Simulator.Options = {}, model = "gemini-2.5-flash") => {
  const simulator = Layer.orDie(Simulator.layer(options))
  const router = Layer.effect(
    Router.Router,
    Effect.map(Simulator.Simulator, ({ urls }) =>
      Router.make({
        endpoints: [
          { provider: "gemini", baseUrl: urls["gemini"] ?? "", apiKey: Redacted.make(apiKey), model }
        ]
      })
    )
  )
  return Layer.mergeAll(Layer.provide(Gemini.layer, HttpClientPool.layer()), router, services).pipe(
    Layer.provideMerge(simulator)
  )
}

const onVertex = (
  options: Simulator.Options = {},
  accessToken: Vertex.Options["accessToken"] = Effect.succeed(Redacted.make(token))
) => {
  const router = Layer.effect(
    Router.Router,
    Effect.map(Simulator.Simulator, ({ urls }) =>
      Router.make({
        endpoints: [{ provider: "vertex", baseUrl: urls["vertex"] ?? "", model: "gemini-3-flash-preview" }]
      })
    )
  )
  return Layer.mergeAll(
    Layer.provide(Vertex.layer({ accessToken }), HttpClientPool.layer()),
    router,
    services
  ).pipe(Layer.provideMerge(Layer.orDie(Simulator.layer(options))))
}

const weather = {
  type: "function",
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
} as const

const pixel =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

describe("Gemini over the wire", () => {
  it.scopedLive("asks, streams the same, and reads usage as the simulator bills it", () =>
    Effect.gen(function* () {
      const asked = Chat.prompt("Why is the sky blue? ☀️", {
        system: "Be terse.",
        maxTokens: 60,
        seed: 4,
        thinking: "low",
        logprobs: true,
        topLogprobs: 2
      })
      const response = yield* complete(asked, once)
      expect(response).toMatchObject({
        provider: "gemini",
        model: "gemini-2.5-flash",
        finishReason: "stop",
        rawFinishReason: "STOP",
        serviceTier: "standard"
      })
      expect(response.text).toContain("Why is the sky blue? ☀️")
      expect(response.reasoning).toBeTruthy()
      expect(response.reasoningParts).toEqual([{ text: response.reasoning, provider: "gemini" }])
      const simulator = yield* Simulator.Simulator
      const [entry] = yield* simulator.log
      expect(response.usage).toMatchObject({
        inputTokens: entry?.inputTokens,
        outputTokens: entry?.outputTokens,
        reasoningTokens: 10
      })
      const { id: _, meta: _meta, raw: _raw, provider: _provider, ...plain } = response
      const streamed = yield* collect(stream(asked, once))
      expect({ ...streamed }).toMatchObject(plain)
    }).pipe(Effect.provide(against({ outputTokens: 12, reasoningTokens: 10 })))
  )

  it.scopedLive("gives thoughts and calls back with their proofs, as the third generation wants", () =>
    Effect.gen(function* () {
      const first = { role: "user", content: "Weather in Rome?" } as const
      const called = yield* complete(
        { messages: [first], tools: [weather], toolChoice: "required", thinking: "high" },
        once
      )
      expect(called.finishReason).toBe("tool_calls")
      expect(called.rawFinishReason).toBe("STOP")
      const [call] = called.toolCalls
      expect(call?.signature).toBeTruthy()
      const follow = (turn: Message.AssistantMessage) =>
        complete(
          {
            messages: [first, turn, Message.tool(call?.id ?? "", "sunny, 21 °C")],
            tools: [weather]
          },
          once
        )
      const answer = yield* follow({
        role: "assistant",
        content: null,
        toolCalls: called.toolCalls,
        reasoning: called.reasoningParts ?? []
      })
      expect(answer.finishReason).toBe("stop")
      // proof of the thought behind a text
      expect(answer.reasoningParts?.at(-1)).toMatchObject({ text: "", provider: "gemini" })
      // a call that another model made
      const foreign = yield* follow(
        Message.assistant(null, {
          toolCalls: [{ id: call?.id ?? "", name: "weather", arguments: '{"city":"Rome"}' }],
          reasoning: [{ text: "hm", signature: "x", provider: "anthropic" }]
        })
      )
      expect(foreign.finishReason).toBe("stop")
      const streamed = yield* collect(
        stream({ messages: [first], tools: [weather], toolChoice: "required", thinking: "high" }, once)
      )
      expect(streamed.toolCalls).toEqual(
        called.toolCalls.map((made) => ({ ...made, id: expect.any(String) }))
      )
      expect(streamed.finishReason).toBe("tool_calls")
    }).pipe(Effect.provide(against({ reasoningTokens: 6 }, "gemini-3-flash-preview")))
  )

  it.scopedLive("sends images and files, fetches those by URL, and takes a megabyte of text", () =>
    Effect.gen(function* () {
      const image = yield* serve((_, reply) =>
        reply(200, Buffer.from(pixel.split(",")[1] ?? "", "base64"), "image/png")
      )
      const response = yield* complete(
        {
          messages: [
            Message.user([
              Message.text("Look"),
              Message.image(pixel, { detail: "low" }),
              Message.image(`${image.url}/a.png`, { detail: "low" }),
              { type: "file", data: "data:text/plain,a%20b" },
              { type: "audio", data: "UklG", format: "wav" }
            ])
          ]
        },
        once
      )
      expect(response.text).toContain("Look")
      expect(image.seen).toHaveLength(1)
      // the key is Google's to know
      expect(JSON.stringify(image.seen)).not.toContain(apiKey)
      const long = yield* complete(Chat.prompt("é".repeat(1_000_000)), once)
      expect(long.usage.inputTokens).toBeGreaterThan(200_000)
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("answers with values, held to a schema or told of it", () =>
    Effect.gen(function* () {
      class Place extends Schema.Class<Place>("Place")({
        name: Schema.NonEmptyString.annotations({ description: "of the city" }),
        size: Schema.Int.pipe(Schema.between(1, 9)),
        kind: Schema.Literal("town", "city"),
        near: Schema.optional(Schema.Array(Schema.String)),
        twin: Schema.NullOr(Schema.String),
        open: Schema.Boolean
      }) {}
      const { value } = yield* object(Chat.prompt("A city"), Place, once)
      expect(value).toMatchObject({ size: 1, kind: "town" })
      const json = yield* complete({ messages: [Message.user("x")], responseFormat: { type: "json" } }, once)
      expect(JSON.parse(json.text)).toBeTypeOf("object")
      const format = StructuredOutput.responseFormat(Place)
      // a model that cannot be held to it is told
      const told = yield* complete(
        {
          model: "gemma-3-27b-it",
          messages: [Message.system("Be brief."), Message.user("x")],
          responseFormat: format
        },
        once
      )
      expect(told.finishReason).toBe("stop")
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("tells blocked prompts, filtered and empty answers, cut ones and several choices apart", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const bent = (kind: "refusal" | "contentFilter" | "empty") =>
        Effect.zipRight(
          simulator.setScript([{ fault: { kind } }]),
          Effect.either(complete(Chat.prompt(kind), once))
        )
      const blocked = yield* bent("refusal")
      expect(Either.getOrThrow(Either.flip(blocked))).toMatchObject({
        _tag: "ContentFilterError",
        code: "PROHIBITED_CONTENT"
      })
      yield* simulator.setScript([{ fault: { kind: "refusal" } }])
      const streamed = yield* Effect.flip(collect(stream(Chat.prompt("refusal"), once)))
      expect(streamed._tag).toBe("ContentFilterError")
      const filtered = Either.getOrThrow(yield* bent("contentFilter"))
      expect(filtered).toMatchObject({ finishReason: "content_filter", rawFinishReason: "SAFETY", text: "" })
      expect(Either.getOrThrow(yield* bent("empty"))).toMatchObject({ finishReason: "stop", text: "" })
      yield* simulator.setScript([])
      const cut = yield* complete(Chat.prompt("Count", { maxTokens: 3 }), once)
      expect(cut).toMatchObject({ finishReason: "length", rawFinishReason: "MAX_TOKENS" })
      const several = yield* complete(Chat.prompt("Several", { n: 3 }), once)
      expect(several.alternatives).toHaveLength(2)
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("embeds one text and many, for a purpose and shortened", () =>
    Effect.gen(function* () {
      const many = yield* complete(
        new Embedding({
          input: ["a", "b", "c"],
          purpose: "query",
          dimensions: 8,
          model: "gemini-embedding-001"
        }),
        once
      )
      expect(many.embeddings.map((vector) => vector.length)).toEqual([8, 8, 8])
      expect(many.usage).toMatchObject({ inputTokens: 1, estimated: true })
      const one = yield* complete(
        new Embedding({ input: ["b"], dimensions: 8, model: "gemini-embedding-001" }),
        once
      )
      expect(one.embeddings[0]).toEqual(many.embeddings[1])
    }).pipe(Effect.provide(against()))
  )

  it.scopedLive("types every error, with the wait that the server asks for", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const failing = (status: number, code?: string) =>
        Effect.zipRight(
          simulator.setScript([{ fault: { kind: "status", status, ...(code && { code }) } }]),
          // each prompt in a domain of its own: none is given up for the others' errors
          Effect.flip(complete(Chat.prompt("x", { model: `m-${status}-${code ?? ""}` }), once))
        )
      const tags = {
        "400": "InvalidRequestError",
        "403": "PermissionError",
        "404": "NotFoundError",
        "413": "RequestTooLargeError",
        "499": "CancelledError",
        "500": "ServerError",
        "502": "ServerError",
        "503": "OverloadedError",
        "504": "TimeoutError",
        "429": "RateLimitError",
        "400 FAILED_PRECONDITION": "PermissionError",
        "400 context_length_exceeded": "ContextLengthError"
      }
      for (const [fault, tag] of Object.entries(tags)) {
        const [status, code] = fault.split(" ")
        expect([fault, (yield* failing(Number(status), code))._tag]).toEqual([fault, tag])
      }
      yield* simulator.setScript([{ fault: { kind: "errorBody" } }])
      expect((yield* Effect.flip(complete(Chat.prompt("y"), once)))._tag).toBe("ServerError")
      yield* simulator.setScript([{ fault: { kind: "errorBody" } }])
      expect((yield* Effect.flip(collect(stream(Chat.prompt("y"), once))))._tag).toBe("ServerError")
      yield* simulator.setScript([{ fault: { kind: "truncate" } }])
      expect((yield* Effect.flip(collect(stream(Chat.prompt("z"), once))))._tag).toBe("NetworkError")
      yield* simulator.setScript([])
      const long = yield* Effect.flip(complete(Chat.prompt("word ".repeat(2_000)), once))
      expect(long._tag).toBe("ContextLengthError")
    }).pipe(Effect.provide(against({ contextWindow: 2_000 })))
  )

  it.scopedLive(
    "a wrong key is 400, a limit per minute passes, one per day does not, and so with the account",
    () => {
      const failure = (options: Simulator.Options, calls = 1) =>
        Effect.forEach(
          Array.from({ length: calls }, (_, i) => i),
          (i) => Effect.either(complete(Chat.prompt(`q${i}`), once))
        ).pipe(
          Effect.map(
            (outcomes) => outcomes.flatMap((outcome) => (Either.isLeft(outcome) ? [outcome.left] : []))[0]
          ),
          Effect.provide(against(options))
        )
      return Effect.gen(function* () {
        expect(yield* failure({ apiKey: "another-key" })).toMatchObject({
          _tag: "AuthError",
          status: 400,
          code: "API_KEY_INVALID"
        })
        expect(yield* failure({ limits: { rpd: 1 } }, 2)).toMatchObject({ _tag: "QuotaExhaustedError" })
        expect(yield* failure({ quota: { requests: 0 } })).toMatchObject({
          _tag: "QuotaExhaustedError",
          status: 429
        })
      })
    }
  )

  it.scopedLive("reads the wait out of RetryInfo", () =>
    Effect.gen(function* () {
      const provider = yield* Effect.provide(Gemini.make, yield* Layer.build(HttpClientPool.layer()))
      const { urls } = yield* Simulator.Simulator
      const endpoint = Endpoint.make({
        provider: "gemini",
        baseUrl: urls["gemini"] ?? "",
        apiKey: Redacted.make(apiKey),
        model: "gemini-2.5-flash"
      })
      yield* provider.attempt(Chat.prompt("1"), endpoint, 0)
      const { outcome, throttle } = yield* provider.attempt(Chat.prompt("2"), endpoint, 0)
      const error = Either.getOrThrow(Either.flip(outcome))
      expect(error._tag).toBe("RateLimitError")
      expect(Duration.toSeconds(LlmError.waitHint(error))).toBeGreaterThan(20)
      expect(throttle.verdict).toMatchObject({ _tag: "Wait", source: "retry-info" })
      expect(throttle.requests).toMatchObject({ limit: 1, period: "minute" })
    }).pipe(Effect.provide(against({ limits: { rpm: 1 } })))
  )

  it.scopedLive("sends the key in its header alone, and the address of a stream with its query", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, reply) =>
        reply(
          200,
          'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}\n\n',
          "text/event-stream"
        )
      )
      const provider = yield* Effect.provide(Gemini.make, yield* Layer.build(HttpClientPool.layer()))
      const options = { provider: "gemini", apiKey: Redacted.make(apiKey), model: "gemini-2.5-flash" }
      const call = provider.stream?.(
        Chat.prompt("x"),
        Endpoint.make({ ...options, baseUrl: `${server.url}/v1beta?trace=1` }),
        0
      )
      yield* Effect.scoped(call ?? Effect.void)
      const [seen] = server.seen
      expect(seen?.path).toBe("/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&trace=1")
      expect(seen?.headers["x-goog-api-key"]).toBe(apiKey)
      expect(seen?.headers.authorization).toBeUndefined()
    })
  )
})

describe("Vertex over the wire", () => {
  it.scopedLive("asks with a token, without ids of calls, with labels, and embeds by predict", () =>
    Effect.gen(function* () {
      const messages = [Message.user("Weather in Rome?")]
      const called = yield* complete(
        { messages, tools: [weather], toolChoice: "required", labels: { team: "a" }, serviceTier: "flex" },
        once
      )
      expect(called).toMatchObject({
        provider: "vertex",
        finishReason: "tool_calls",
        serviceTier: "ON_DEMAND"
      })
      expect(called.toolCalls[0]?.id).toBe("call_0")
      const answer = yield* complete(
        {
          messages: [
            ...messages,
            Message.assistant(null, { toolCalls: called.toolCalls }),
            Message.tool("call_0", '{"sky":"clear"}')
          ],
          tools: [weather]
        },
        once
      )
      expect(answer.finishReason).toBe("stop")
      expect((yield* collect(stream(Chat.prompt("x"), once))).finishReason).toBe("stop")
      const embedded = yield* complete(
        new Embedding({
          input: ["a", "bcdefgh"],
          purpose: "document",
          dimensions: 4,
          model: "text-embedding-005"
        }),
        once
      )
      expect(embedded.embeddings.map((vector) => vector.length)).toEqual([4, 4])
      expect(embedded.usage).toEqual({ inputTokens: 3, outputTokens: 0 })
    }).pipe(Effect.provide(onVertex({ apiKey: token })))
  )

  it.scopedLive("a full pool is not a limit, a wrong token is not renewed for ever", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.setScript([{ fault: { kind: "status", status: 429 } }])
      expect((yield* Effect.flip(complete(Chat.prompt("x"), once)))._tag).toBe("OverloadedError")
    }).pipe(
      Effect.provide(onVertex()),
      Effect.zipRight(
        Effect.flip(complete(Chat.prompt("x"))).pipe(
          Effect.map((error) => expect(error).toMatchObject({ _tag: "AuthError", status: 401 })),
          Effect.provide(onVertex({ apiKey: "another-token" }))
        )
      )
    )
  )

  it.scopedLive("a token that was good is renewed when the server refuses it", () => {
    let given = 0
    const accessToken = Effect.sync(() => ({
      token: Redacted.make(`token-${++given}`),
      expiresAt: Date.now() + 3_600_000
    }))
    return Effect.gen(function* () {
      const server = yield* serve(({ authorization }, reply) =>
        authorization === `Bearer token-${server.seen.length > 2 ? 2 : 1}`
          ? reply(200, '{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}')
          : reply(401, '{"error":{"code":401,"status":"UNAUTHENTICATED","message":"expired"}}')
      )
      const ask = (prompt: string) => complete(Chat.prompt(prompt))
      const texts = yield* Effect.forEach(["a", "b", "c", "d"], ask).pipe(
        Effect.provide([
          Layer.provide(Vertex.layer({ accessToken }), HttpClientPool.layer()),
          Router.layer({
            endpoints: [{ provider: "vertex", baseUrl: server.url, model: "gemini-2.5-flash" }]
          }),
          services
        ])
      )
      expect(texts.map(({ text }) => text)).toEqual(["Hi", "Hi", "Hi", "Hi"])
      expect(given).toBe(2)
      expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
        "Bearer token-2"
      ])
    })
  })

  it.effect("keeps a token until a minute before its end, and asks for it once at a time", () =>
    Effect.gen(function* () {
      let given = 0
      const tokens = new TokenCache(
        Effect.clockWith((clock) =>
          Effect.delay(
            Effect.sync(() => ({
              token: Redacted.make(`token-${++given}`),
              expiresAt: clock.unsafeCurrentTimeMillis() + 600_000
            })),
            "1 second"
          )
        )
      )
      const all = yield* Effect.fork(Effect.all([tokens.get, tokens.get, tokens.get], { concurrency: 3 }))
      yield* TestClock.adjust("1 second")
      expect((yield* all).map(Redacted.value)).toEqual(["token-1", "token-1", "token-1"])
      yield* TestClock.adjust("8 minutes")
      expect(Redacted.value(yield* tokens.get)).toBe("token-1")
      yield* TestClock.adjust("2 minutes")
      const late = yield* Effect.fork(tokens.get)
      yield* TestClock.adjust("1 second")
      expect(Redacted.value(yield* late)).toBe("token-2")
    })
  )

  it.effect(
    "asks once for a token that does not say its end where many want it, and not for those who left",
    () =>
      Effect.gen(function* () {
        let asked = 0
        let ended = 0
        const tokens = new TokenCache(
          Effect.onExit(
            Effect.delay(
              Effect.sync(() => Redacted.make(`token-${++asked}`)),
              "1 second"
            ),
            () => Effect.sync(() => void ended++)
          )
        )
        const many = Effect.all(
          Array.from({ length: 50 }, () => tokens.get),
          { concurrency: "unbounded" }
        )
        const fiber = yield* Effect.fork(many)
        yield* TestClock.adjust("500 millis")
        const leaver = yield* Effect.fork(tokens.get)
        yield* TestClock.adjust("100 millis")
        yield* Fiber.interrupt(leaver)
        yield* TestClock.adjust("400 millis")
        expect(new Set((yield* fiber).map(Redacted.value))).toEqual(new Set(["token-1"]))
        const alone = yield* Effect.fork(tokens.get)
        yield* TestClock.adjust("100 millis")
        yield* Fiber.interrupt(alone)
        yield* TestClock.adjust("1 second")
        expect({ asked, ended }).toEqual({ asked: 1, ended: 2 })
      })
  )

  it("writes the address of a project", () => {
    const of = (location?: string) => Vertex.baseUrl({ project: "p", location })
    expect(of()).toBe("https://aiplatform.googleapis.com/v1/projects/p/locations/global")
    expect(of("europe-west4")).toBe(
      "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4"
    )
    expect(of("eu")).toBe("https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu")
    expect(Vertex.baseUrl({})).toBe("https://aiplatform.googleapis.com/v1")
    expect(callOf(Chat.prompt("x"), "endpoints/12", Vertex.name).path).toBe("/endpoints/12:generateContent")
    expect(callOf(Chat.prompt("x"), "projects/p/locations/l/endpoints/12", Vertex.name).path).toBe(
      "/endpoints/12:generateContent"
    )
    expect(callOf(Chat.prompt("x"), "gemini-2.5-pro", Vertex.name).path).toBe(
      "/publishers/google/models/gemini-2.5-pro:generateContent"
    )
  })
})

/** A server that answers what it is told to, and what it was asked. */
const serve = (
  respond: (
    headers: IncomingHttpHeaders,
    reply: (status: number, body: string | Buffer, type?: string) => void
  ) => void
) =>
  Effect.acquireRelease(
    Effect.async<{
      readonly url: string
      readonly seen: Array<{ readonly path: string | undefined; readonly headers: IncomingHttpHeaders }>
      readonly close: () => void
    }>((resume) => {
      const seen: Array<{ readonly path: string | undefined; readonly headers: IncomingHttpHeaders }> = []
      const server = createServer((request, response) => {
        seen.push({ path: request.url, headers: request.headers })
        request.resume().on("end", () =>
          respond(request.headers, (status, body, type = "application/json") => {
            response.writeHead(status, { "content-type": type })
            response.end(body)
          })
        )
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const close = () => {
          server.closeAllConnections()
          server.close()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, seen, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const wireOf = (name: string) => (name === Vertex.name ? Vertex.wire() : Gemini.wire)

const contextOf = (name: string, model: string, streaming = false) => ({
  model,
  streaming,
  endpoint: Endpoint.make({ provider: name, baseUrl: "https://example.com" })
})

const callOf = (
  request: Chat | Embedding,
  model = "gemini-2.5-flash",
  name: string = Gemini.name
): WireCall => Either.getOrThrow(wireOf(name).encode(request, contextOf(name, model)))

const bodyOf = (fields: ChatFields, model?: string, name?: string) =>
  callOf(new Chat(fields), model, name).body

const lacking = (fields: ChatFields, model = "gemini-2.5-flash", name: string = Gemini.name) =>
  wireOf(name).lacks?.(new Chat(fields), contextOf(name, model))

const user = [Message.user("Hi")]
const contents = [{ role: "user", parts: [{ text: "Hi" }] }]

describe("Gemini encode", () => {
  it("sends nothing that was not set", () => {
    expect(bodyOf({ messages: user, promptCacheKey: "k", store: false, parallelToolCalls: true })).toEqual({
      contents
    })
  })

  it("the whole of a request, as documented", () => {
    const body = bodyOf(
      {
        messages: [
          Message.system("Be terse."),
          Message.user([
            Message.text("Look"),
            Message.image("data:image/png;base64,iVBOR"),
            { type: "file", data: "data:application/pdf;base64,JVBE", filename: "a.pdf" },
            { type: "audio", data: "UklG", format: "wav" },
            { type: "audio", data: "T2dn", format: "opus" },
            { type: "file", fileId: "files/abc", filename: "a.mp4" }
          ]),
          Message.assistant(null, {
            toolCalls: [
              { id: "c1", name: "f", arguments: '{"a":1}', signature: "Eq..." },
              { id: "c2", name: "g", arguments: "not json" }
            ]
          }),
          Message.tool("c1", '{"result":42}'),
          Message.tool("c2", "gone", { isError: true })
        ],
        tools: [
          { type: "function", name: "f", description: "d", parameters: { type: "object" }, strict: true },
          { type: "provider", value: { googleSearch: {} } }
        ],
        toolChoice: { type: "function", name: "f" },
        maxTokens: 4000,
        temperature: 0.2,
        topP: 0.9,
        topK: 40,
        stop: "END",
        seed: 7,
        n: 1,
        presencePenalty: 0,
        frequencyPenalty: 0,
        logprobs: true,
        topLogprobs: 5,
        thinking: 1024,
        responseFormat: { type: "jsonSchema", name: "x", schema: { type: "object" } },
        serviceTier: "flex",
        extra: {
          safetySettings: [{ category: "HARM_CATEGORY_HATE_SPEECH", threshold: "BLOCK_NONE" }],
          generationConfig: { temperature: 0.3, mediaResolution: "MEDIA_RESOLUTION_LOW" }
        }
      },
      "gemini-2.5-pro"
    )
    expect(body).toEqual({
      systemInstruction: { parts: [{ text: "Be terse." }] },
      contents: [
        {
          role: "user",
          parts: [
            { text: "Look" },
            { inlineData: { mimeType: "image/png", data: "iVBOR" } },
            { inlineData: { mimeType: "application/pdf", data: "JVBE" } },
            { inlineData: { mimeType: "audio/wav", data: "UklG" } },
            { inlineData: { mimeType: "audio/ogg", data: "T2dn" } },
            {
              fileData: {
                mimeType: "video/mp4",
                fileUri: "https://generativelanguage.googleapis.com/v1beta/files/abc"
              }
            }
          ]
        },
        {
          role: "model",
          parts: [
            { functionCall: { id: "c1", name: "f", args: { a: 1 } }, thoughtSignature: "Eq..." },
            { functionCall: { id: "c2", name: "g", args: {} } }
          ]
        },
        {
          role: "user",
          parts: [
            { functionResponse: { id: "c1", name: "f", response: { result: 42 } } },
            { functionResponse: { id: "c2", name: "g", response: { error: "gone" } } }
          ]
        }
      ],
      tools: [
        { functionDeclarations: [{ name: "f", description: "d", parametersJsonSchema: { type: "object" } }] },
        { googleSearch: {} }
      ],
      toolConfig: { functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["f"] } },
      generationConfig: {
        maxOutputTokens: 4000,
        temperature: 0.3,
        topP: 0.9,
        topK: 40,
        seed: 7,
        candidateCount: 1,
        presencePenalty: 0,
        frequencyPenalty: 0,
        responseLogprobs: true,
        logprobs: 5,
        stopSequences: ["END"],
        responseMimeType: "application/json",
        responseJsonSchema: { type: "object" },
        thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 },
        mediaResolution: "MEDIA_RESOLUTION_LOW"
      },
      serviceTier: "flex",
      safetySettings: [{ category: "HARM_CATEGORY_HATE_SPEECH", threshold: "BLOCK_NONE" }]
    })
  })

  it("thinking, in the words of each family", () => {
    const config = (thinking: string | number, model: string) => {
      const lacks = lacking({ messages: user, thinking }, model) ?? []
      return lacks.length > 0 ? "unsupported" : bodyOf({ messages: user, thinking }, model)
    }
    const sent = (thinkingConfig: unknown) => ({ contents, generationConfig: { thinkingConfig } })
    const budget = (thinkingBudget: number) => sent({ includeThoughts: true, thinkingBudget })
    const level = (thinkingLevel: string) => sent({ includeThoughts: true, thinkingLevel })
    expect(config("off", "gemini-2.5-flash")).toEqual(sent({ thinkingBudget: 0 }))
    expect(config("off", "gemini-2.5-pro")).toBe("unsupported")
    expect(config("low", "gemini-2.5-pro")).toEqual(budget(4096))
    expect(config("max", "gemini-2.5-flash")).toEqual(budget(24_576))
    expect(config("dynamic", "gemini-2.5-flash-lite")).toEqual(budget(-1))
    expect(config("odd", "gemini-2.5-flash")).toBe("unsupported")
    expect(config("off", "gemini-2.0-flash")).toEqual({ contents })
    expect(config("low", "gemini-2.0-flash")).toBe("unsupported")
    expect(config("minimal", "gemini-3-flash-preview")).toEqual(level("minimal"))
    expect(config("minimal", "gemini-3.8-flash")).toBe("unsupported")
    expect(config(1, "gemini-3.8-flash")).toEqual(level("low"))
    expect(config(20_000, "gemini-3-pro-preview")).toEqual(level("high"))
    expect(config("off", "gemini-3-flash-preview")).toBe("unsupported")
    expect(config("xhigh", "gemini-4-argon")).toBe("unsupported")
    expect(config(99_999, "gemini-4-argon")).toEqual(level("high"))
    expect(config(512, "tunedModels/mine")).toEqual(budget(512))
    expect(config("low", "gemini-flash-latest")).toEqual(level("low"))
  })

  it("names what there is no counterpart for, by server and model", () => {
    const fields = {
      messages: [{ role: "user", content: "x", name: "me" }],
      logitBias: { "1": 2 },
      verbosity: "low",
      safetyIdentifier: "u",
      store: true,
      parallelToolCalls: false,
      labels: { a: "b" }
    } as const
    const common = ["logitBias", "verbosity", "safetyIdentifier", "store", "parallelToolCalls"]
    expect(lacking(fields)).toEqual([...common, "labels", "messages.name"])
    expect(lacking(fields, undefined, Vertex.name)).toEqual([...common, "messages.name"])
    const json = { messages: user, responseFormat: { type: "json" }, tools: [weather] } as const
    expect(lacking(json, "gemini-2.0-flash")).toEqual(["responseFormat"])
    expect(lacking(json, "gemini-2.5-flash")).toEqual([])
    expect(lacking({ ...json, tools: [] }, "gemma-3-27b-it")).toEqual(["responseFormat"])
    const kinds = [new Completion({ prompt: "x" }), new Rerank({ query: "x", documents: [] })]
    for (const request of kinds) {
      const error = Either.getOrThrow(Either.flip(Gemini.wire.encode(request, contextOf("gemini", "m"))))
      expect(error).toMatchObject({ _tag: "UnsupportedError", feature: request._tag })
    }
  })

  it("Gemma reads its instructions in the user's turn", () => {
    expect(bodyOf({ messages: [Message.system("Be terse."), ...user] }, "gemma-3-27b-it")).toEqual({
      contents: [{ role: "user", parts: [{ text: "Be terse." }, { text: "Hi" }] }]
    })
  })

  it("Vertex: no ids, labels, and the tier in a header", () => {
    const call = callOf(
      new Chat({
        messages: [
          ...user,
          Message.assistant("so", { toolCalls: [{ id: "c", name: "f", arguments: "{}" }] }),
          Message.tool("c", [Message.text("1"), Message.image("gs://b/a.png")])
        ],
        labels: { a: "b" },
        serviceTier: "priority"
      }),
      "gemini-3-pro-preview",
      Vertex.name
    )
    expect(call.headers).toEqual({ "x-vertex-ai-llm-shared-request-type": "priority" })
    expect(call.body).toEqual({
      contents: [
        ...contents,
        {
          role: "model",
          parts: [
            { text: "so" },
            {
              functionCall: { name: "f", args: {} },
              thoughtSignature: "skip_thought_signature_validator"
            }
          ]
        },
        {
          role: "user",
          parts: [
            {
              functionResponse: {
                name: "f",
                response: { output: "1" },
                parts: [{ fileData: { mimeType: "image/png", fileUri: "gs://b/a.png" } }]
              }
            }
          ]
        }
      ],
      labels: { a: "b" }
    })
  })

  it("embeddings, one and several, and by predict", () => {
    const request = (input: ReadonlyArray<string>) =>
      new Embedding({ input, purpose: "document", dimensions: 768, extra: { title: "t" } })
    const one = {
      model: "models/gemini-embedding-001",
      content: { parts: [{ text: "a" }] },
      taskType: "RETRIEVAL_DOCUMENT",
      outputDimensionality: 768,
      title: "t"
    }
    expect(callOf(request(["a"]), "gemini-embedding-001")).toMatchObject({
      path: "/models/gemini-embedding-001:embedContent",
      body: one
    })
    expect(callOf(request(["a", "a"]), "gemini-embedding-001")).toMatchObject({
      path: "/models/gemini-embedding-001:batchEmbedContents",
      body: { requests: [one, one] }
    })
    expect(
      callOf(
        new Embedding({
          input: ["a"],
          purpose: "query",
          dimensions: 4,
          extra: { parameters: { autoTruncate: false } }
        }),
        "text-embedding-005",
        Vertex.name
      )
    ).toMatchObject({
      path: "/publishers/google/models/text-embedding-005:predict",
      body: {
        instances: [{ content: "a", task_type: "RETRIEVAL_QUERY" }],
        parameters: { outputDimensionality: 4, autoTruncate: false }
      }
    })
  })

  it("schemas in the words that the server knows", () => {
    expect(
      adapt({
        $ref: "#/definitions/Root",
        definitions: {
          Root: {
            type: "object",
            required: ["a", "c"],
            properties: {
              a: { type: "integer", exclusiveMinimum: 0, multipleOf: 2 },
              b: { allOf: [{ type: "string" }, { minLength: 1, description: "b" }], default: "x" },
              c: { oneOf: [{ const: "x" }, { enum: [1, null] }, { const: true }] },
              d: { $ref: "#/definitions/Root", description: "again" }
            },
            additionalProperties: false
          }
        }
      })
    ).toEqual({
      ...{
        type: "object",
        required: ["a", "c"],
        properties: {
          a: { type: "integer", minimum: 1, description: "{multipleOf: 2}" },
          b: { type: "string", description: "b\n\n{minLength: 1}" },
          c: { anyOf: [{ enum: ["x"] }, { anyOf: [{ enum: [1] }, { type: "null" }] }, { type: "boolean" }] },
          d: { anyOf: [{ $ref: "#/$defs/Root" }], description: "again" }
        },
        additionalProperties: false
      },
      $defs: { Root: expect.objectContaining({ type: "object" }) }
    })
  })
})

const asked = {
  provider: "gemini",
  model: "gemini-2.5-flash",
  request: Chat.prompt("Hi"),
  requestId: undefined
}

const decoded = (body: unknown) => GeminiResponse.decode(body, asked)

describe("Gemini decode", () => {
  it("the answer as documented: thoughts are no text, and are paid for", () => {
    const response = Either.getOrThrow(
      decoded({
        candidates: [
          {
            index: 0,
            finishReason: "STOP",
            avgLogprobs: -0.1,
            safetyRatings: [],
            content: {
              role: "model",
              parts: [
                { text: "plan…", thought: true },
                { text: "Hi" },
                { functionCall: { id: "c1", name: "f", args: { a: 1 } }, thoughtSignature: "Eq..." },
                { functionCall: { name: "g" } }
              ]
            }
          }
        ],
        promptFeedback: null,
        usageMetadata: {
          promptTokenCount: 20,
          cachedContentTokenCount: 8,
          candidatesTokenCount: 9,
          thoughtsTokenCount: 40,
          toolUsePromptTokenCount: 5,
          totalTokenCount: 74,
          promptTokensDetails: [
            { modality: "TEXT", tokenCount: 17 },
            { modality: "AUDIO", tokenCount: 3 }
          ],
          serviceTier: "standard"
        },
        modelVersion: "gemini-2.5-flash-001",
        responseId: "abc"
      })
    )
    expect(response).toMatchObject({
      id: "abc",
      model: "gemini-2.5-flash-001",
      text: "Hi",
      reasoning: "plan…",
      reasoningParts: [{ text: "plan…", provider: "gemini" }],
      finishReason: "tool_calls",
      toolCalls: [
        { id: "c1", name: "f", arguments: '{"a":1}', signature: "Eq..." },
        { id: "call_1", name: "g", arguments: "{}" }
      ],
      serviceTier: "standard"
    })
    expect(response.usage).toEqual({
      inputTokens: 25,
      outputTokens: 49,
      cacheReadTokens: 8,
      reasoningTokens: 40,
      audioInputTokens: 3
    })
  })

  it("every finish reason", () => {
    const finish = (finishReason: string) => {
      const outcome = decoded({ candidates: [{ finishReason, finishMessage: "why" }] })
      return Either.isRight(outcome) ? outcome.right.finishReason : outcome.left._tag
    }
    const reasons = {
      STOP: "stop",
      MAX_TOKENS: "length",
      SAFETY: "content_filter",
      RECITATION: "content_filter",
      LANGUAGE: "content_filter",
      BLOCKLIST: "content_filter",
      PROHIBITED_CONTENT: "content_filter",
      SPII: "content_filter",
      IMAGE_SAFETY: "content_filter",
      MALFORMED_FUNCTION_CALL: "ServerError",
      UNEXPECTED_TOOL_CALL: "ServerError",
      TOO_MANY_TOOL_CALLS: "ServerError",
      MISSING_THOUGHT_SIGNATURE: "InvalidRequestError",
      OTHER: "other",
      NO_IMAGE: "other",
      NEW_ONE: "other"
    }
    for (const [raw, expected] of Object.entries(reasons)) expect([raw, finish(raw)]).toEqual([raw, expected])
  })

  it("a success without an answer is an error, and one with odd descriptions is none", () => {
    const tag = (body: unknown) =>
      Either.match(decoded(body), { onLeft: ({ _tag }) => _tag, onRight: () => "ok" })
    expect(tag({ promptFeedback: { blockReason: "SAFETY" } })).toBe("ContentFilterError")
    expect(tag({ candidates: [], promptFeedback: { blockReason: "JAILBREAK" } })).toBe("ContentFilterError")
    expect(tag({ usageMetadata: {} })).toBe("NetworkError")
    expect(tag("text")).toBe("NetworkError")
    expect(tag(null)).toBe("NetworkError")
    const odd = {
      candidates: [
        { content: { parts: [{ text: "Hi", thoughtSignature: 3 }, 7, { inlineData: {} }] }, finishReason: 1 }
      ],
      usageMetadata: { promptTokenCount: "12", promptTokensDetails: 4 },
      modelVersion: 5
    }
    const response = Either.getOrThrow(decoded(odd))
    expect(response).toMatchObject({ text: "Hi", finishReason: "other", model: "gemini-2.5-flash" })
    expect(response.usage).toEqual({ inputTokens: 12, outputTokens: 0 })
  })

  it("what comes back is what goes back", () => {
    const parts = [
      { text: "a", thought: true, thoughtSignature: "s1" },
      { text: "b", thought: true },
      { text: "Hi", thoughtSignature: "s2" },
      { functionCall: { id: "c", name: "f", args: { a: [1, "ü"] } }, thoughtSignature: "s3" }
    ]
    const response = Either.getOrThrow(
      decoded({ candidates: [{ finishReason: "STOP", content: { parts } }] })
    )
    const turn = Message.assistant(response.text, {
      toolCalls: response.toolCalls,
      reasoning: response.reasoningParts ?? []
    })
    expect(bodyOf({ messages: [...user, turn] })).toEqual({
      contents: [...contents, { role: "model", parts }]
    })
  })

  it("a turn goes back as it came: parts in their order, each with its own proof", () => {
    const say = (parts: ReadonlyArray<object>, change?: string) => {
      const message = toMessage(
        Either.getOrThrow(decoded({ candidates: [{ finishReason: "STOP", content: { parts } }] }))
      )
      const said = change === undefined ? message : { ...message, content: change }
      // the turns, as Google has them
      const { contents } = bodyOf({ messages: [...user, said] }) as { contents: Array<{ parts: unknown }> }
      return contents[1]?.parts
    }
    const f = { functionCall: { id: "c1", name: "f", args: {} }, thoughtSignature: "S1" }
    const g = { functionCall: { id: "c2", name: "g", args: {} } }
    const mixed = [{ text: "before" }, f, { text: "after" }, g]
    expect(say(mixed)).toEqual(mixed)
    const signed = [{ text: "hm", thought: true }, { text: "a" }, { text: "b", thoughtSignature: "S2" }, f]
    expect(say(signed)).toEqual(signed)
    // what was changed since is what it says now
    expect(say(mixed, "other")).toEqual([{ text: "other" }, f, g])
  })

  it("a stream, cut anywhere, amounts to the plain answer", () => {
    const text = FastCheck.string({ minLength: 1, maxLength: 12 })
    const part = FastCheck.oneof(
      FastCheck.record({ text, thought: FastCheck.constant(true) }),
      FastCheck.record({ text }),
      FastCheck.record({ text, thoughtSignature: FastCheck.constant("s") }),
      FastCheck.record({
        functionCall: FastCheck.record({ name: text, args: FastCheck.dictionary(text, text) })
      })
    )
    const usageMetadata = { promptTokenCount: 3, candidatesTokenCount: 4, thoughtsTokenCount: 5 }
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(part, { maxLength: 8 }),
        FastCheck.integer({ min: 1, max: 5 }),
        (parts, size) => {
          const plain = Either.getOrThrow(
            decoded({
              candidates: [{ finishReason: "STOP", content: { parts } }],
              usageMetadata,
              responseId: "r"
            })
          )
          const reader = GeminiEvents.make(asked)
          const collector = new Collector()
          const take = (read: ReturnType<typeof reader.end>) => {
            for (const streamed of Either.getOrThrow(read)) collector.add(streamed)
          }
          const send = (piece: unknown) =>
            take(reader.read({ event: "message", data: JSON.stringify(piece) }))
          for (const whole of parts) {
            const pieces =
              "text" in whole
                ? Array.from({ length: Math.ceil(whole.text.length / size) }, (_, i) => ({
                    ...("thought" in whole ? { thought: true } : undefined),
                    text: whole.text.slice(i * size, (i + 1) * size)
                  }))
                : [whole]
            for (const piece of pieces) send({ candidates: [{ content: { parts: [piece] } }] })
            if ("thoughtSignature" in whole) {
              send({ candidates: [{ content: { parts: [{ text: "", thoughtSignature: "s" }] } }] })
            }
          }
          send({ candidates: [{ finishReason: "STOP" }], usageMetadata, responseId: "r" })
          take(reader.end())
          const amount = ({ raw: _, reasoningParts = [], ...rest }: ChatResponse) => ({
            ...rest,
            // the turn as it came, which may be cut
            thoughts: reasoningParts.filter(({ item }) => item === undefined),
            // the id is told with the first event
            id: "r"
          })
          expect(amount(Either.getOrThrow(collector.response(asked)))).toEqual(amount(plain))
        }
      ),
      { numRuns: 60 }
    )
  })

  it("a stream that ends early, fails in the middle, or is blocked is an error", () => {
    const read = (...events: ReadonlyArray<string>) => {
      const reader = GeminiEvents.make(asked)
      for (const data of events) {
        const parts = reader.read({ event: "message", data })
        if (Either.isLeft(parts)) return parts.left._tag
      }
      return Either.match(reader.end(), { onLeft: ({ _tag }) => _tag, onRight: () => "ok" })
    }
    const half = '{"candidates":[{"content":{"parts":[{"text":"H"}]}}]}'
    expect(read(half)).toBe("NetworkError")
    expect(read(half, "{")).toBe("NetworkError")
    expect(read(half, '{"candidates":[{"finishReason":"STOP"}]}')).toBe("ok")
    expect(read(half, '{"error":{"code":503,"status":"UNAVAILABLE","message":"overloaded"}}')).toBe(
      "OverloadedError"
    )
    expect(read('{"promptFeedback":{"blockReason":"SAFETY"}}')).toBe("ContentFilterError")
    expect(read('{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}')).toBe("ServerError")
  })
})

describe("Gemini and Vertex config", () => {
  const read = <A>(config: Effect.Effect<A, unknown>, env: Record<string, string>) =>
    Effect.either(Effect.withConfigProvider(config, ConfigProvider.fromMap(new Map(Object.entries(env)))))

  it.effect("Google's own variable wins, and none is an error that names it", () =>
    Effect.gen(function* () {
      const both = yield* read(Gemini.config, { GEMINI_API_KEY: "b-key", GOOGLE_API_KEY: "a-key" })
      const { apiKey: key, baseUrl } = Either.getOrThrow(both)
      expect(key && Redacted.value(key)).toBe("a-key")
      expect(baseUrl).toBe(Gemini.defaultBaseUrl)
      const other = Either.getOrThrow(
        yield* read(Gemini.config, {
          GEMINI_API_KEY: "b-key",
          GOOGLE_GEMINI_BASE_URL: "http://proxy/",
          GEMINI_MODEL: "gemini-2.5-pro"
        })
      )
      expect(other).toMatchObject({ baseUrl: "http://proxy/v1beta", model: "gemini-2.5-pro" })
      expect(String(yield* read(Gemini.config, {}))).toContain("GOOGLE_API_KEY")
    })
  )

  it.effect("a project and its location, or a key of the express mode", () =>
    Effect.gen(function* () {
      const project = yield* read(Vertex.config, { GOOGLE_CLOUD_PROJECT: "p", GOOGLE_CLOUD_LOCATION: "us" })
      expect(Either.getOrThrow(project)).toMatchObject({
        provider: "vertex",
        baseUrl: "https://aiplatform.us.rep.googleapis.com/v1/projects/p/locations/us"
      })
      const express = yield* read(Vertex.config, { GOOGLE_VERTEX_API_KEY: "k-key" })
      expect(Either.getOrThrow(express)).toMatchObject({ baseUrl: "https://aiplatform.googleapis.com/v1" })
      expect(String(yield* read(Vertex.config, {}))).toContain("GOOGLE_CLOUD_PROJECT")
    })
  )
})
