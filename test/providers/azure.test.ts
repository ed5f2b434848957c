import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import {
  Azure,
  Cache,
  Chat,
  collect,
  complete,
  Embedding,
  Endpoint,
  HttpClientPool,
  LlmError,
  RateLimiter,
  type Request,
  Retry,
  Router,
  stream
} from "floodgate"
import * as Simulator from "floodgate/Simulator"

const once = { retry: Retry.never }
const key = "az-key-0123456789"

/** Azure's simulator, by its key or by a token, on one of the surfaces. */
const against = (
  simulator: Simulator.Options,
  {
    apiKey = key,
    apiVersion,
    ...options
  }: Azure.Options & { readonly apiKey?: string | null; readonly apiVersion?: string } = {},
  family?: string
) =>
  Layer.mergeAll(
    Layer.provide(Azure.layer(options), HttpClientPool.layer()),
    Layer.effect(
      Router.Router,
      Effect.map(Simulator.Simulator, ({ url }) =>
        Router.make({
          endpoints: [
            {
              provider: "azure",
              baseUrl: Azure.baseUrl(url.replace(/\/v1$/, "/azure"), apiVersion),
              apiKey: apiKey === null ? undefined : Redacted.make(apiKey),
              model: "gpt-5-mini",
              family
            }
          ]
        })
      )
    ),
    RateLimiter.layer(),
    Cache.layerNone
  ).pipe(Layer.provideMerge(Layer.orDie(Simulator.layer(simulator))))

describe("Azure", () => {
  it("has an address for either surface, of a resource's name or address", () => {
    const v1 = "https://house.openai.azure.com/openai/v1"
    for (const resource of ["house", "https://house.openai.azure.com/", v1]) {
      expect(Azure.baseUrl(resource)).toBe(v1)
      expect(Azure.baseUrl(resource, "2024-10-21")).toBe(
        "https://house.openai.azure.com/openai?api-version=2024-10-21"
      )
    }
    const url = (baseUrl: string, model: string) => {
      const endpoint = Endpoint.make({ provider: "azure", baseUrl })
      const call = Azure.wire.encode(Chat.prompt("x"), { model, endpoint, streaming: false })
      return Endpoint.url(endpoint, Either.getOrThrow(call).path)
    }
    expect(url(Azure.baseUrl("house"), "d")).toBe(`${v1}/chat/completions`)
    expect(url(Azure.baseUrl("house", "2024-10-21"), "my d")).toBe(
      "https://house.openai.azure.com/openai/deployments/my%20d/chat/completions?api-version=2024-10-21"
    )
    expect(url("https://h/openai/deployments/d?api-version=1", "d")).toBe(
      "https://h/openai/deployments/d/chat/completions?api-version=1"
    )
  })

  it.scopedLive.each([undefined, "2024-10-21"])(
    "answers on the surface of %s, whole and streamed",
    (apiVersion) =>
      Effect.gen(function* () {
        const chat = Chat.prompt("Why is the sky blue?", { system: "Be brief.", maxTokens: 30 })
        const response = yield* complete(chat, once)
        expect(response).toMatchObject({ provider: "azure", model: "gpt-5-mini" })
        expect(response.text).toContain("Why is the sky blue?")
        expect(response.meta.requestId).toMatch(/^[0-9a-f]+$/)
        expect(response.raw).toHaveProperty("choices.0.content_filter_results.hate.filtered", false)
        // the first chunk has no choices and no id
        const streamed = yield* collect(stream(chat, once))
        expect(streamed.text).toContain("Why is the sky blue?")
        expect(streamed.id).toMatch(/^chatcmpl-/)
        expect(streamed.usage).toEqual(response.usage)
      }).pipe(Effect.provide(against({ apiKey: key }, apiVersion === undefined ? {} : { apiVersion })))
  )

  it.scopedLive("sends a token of Entra ID as bearer, got for each call, and no key", () =>
    Effect.gen(function* () {
      yield* complete(Chat.prompt("x"), once)
    }).pipe(
      Effect.provide(
        against(
          { apiKey: "token-0123456789" },
          { apiKey: null, accessToken: Effect.succeed(Redacted.make("token-0123456789")) }
        )
      )
    )
  )

  it.scopedLive("tells its errors apart", () =>
    Effect.gen(function* () {
      const fail = (prompt: string, fields: Partial<Chat> = {}) =>
        Effect.flip(complete(Chat.prompt(prompt, fields), once))
      expect(yield* fail("blocked")).toMatchObject({
        _tag: "ContentFilterError",
        code: "ResponsibleAIPolicyViolation"
      })
      expect((yield* complete(Chat.prompt("cut off"), once)).finishReason).toBe("content_filter")
      expect(yield* fail("x", { model: "nowhere" })).toMatchObject({
        _tag: "NotFoundError",
        code: "DeploymentNotFound"
      })
      expect((yield* fail("x".repeat(4_000)))._tag).toBe("ContextLengthError")
      const limited = yield* fail("limited")
      expect(limited._tag).toBe("RateLimitError")
      expect(LlmError.waitHint(limited)).toEqual(Duration.seconds(1))
    }).pipe(
      Effect.provide(
        against({
          models: ["gpt-5-mini"],
          contextWindow: 500,
          script: [
            { match: "blocked", fault: { kind: "status", status: 400, code: "content_filter" } },
            { match: "cut off", fault: { kind: "contentFilter" } },
            { match: "limited", fault: { kind: "status", status: 429, retryAfter: "1 second" } }
          ]
        })
      )
    )
  )

  it.scopedLive("says that a key is wrong", () =>
    Effect.gen(function* () {
      const denied = yield* Effect.flip(complete(Chat.prompt("x"), once))
      expect(denied._tag).toBe("AuthError")
    }).pipe(Effect.provide(against({ apiKey: "another-0123456789" })))
  )

  it("sends chats to the Responses API where it is told to, and other requests where they go", () => {
    const call = (baseUrl: string, request: Request.Request, family?: string) => {
      const endpoint = Endpoint.make({ provider: "azure", baseUrl, family })
      const context = { model: "my d", endpoint, streaming: true }
      const { body, events, path } = Either.getOrThrow(Azure.responsesWire.encode(request, context))
      const lacking = Azure.responsesWire.lacks?.(request, context)
      return { body, lacking, streams: events !== undefined, url: Endpoint.url(endpoint, path) }
    }
    const chat = Chat.prompt("x", { system: "s", thinking: "low", temperature: 0.5 })
    const old = Azure.baseUrl("house", "2025-04-01-preview")
    expect(call(old, chat)).toMatchObject({
      url: "https://house.openai.azure.com/openai/responses?api-version=2025-04-01-preview",
      body: { model: "my d", instructions: "s", input: [{ role: "user", content: "x" }], stream: true },
      lacking: [],
      streams: true
    })
    expect(call(Azure.baseUrl("house"), chat, "gpt-5").url).toBe(
      "https://house.openai.azure.com/openai/v1/responses"
    )
    expect(call(old, chat, "gpt-5").lacking).toEqual(["temperature"])
    expect(call(old, new Embedding({ input: ["x"] })).url).toContain("/openai/deployments/my%20d/embeddings?")
    expect(Azure.responsesWire.headers?.(Endpoint.make({ provider: "azure", baseUrl: old }))).toEqual({})
  })

  for (const surface of [{}, { apiVersion: "2025-04-01-preview" }]) {
    it.scopedLive(`answers chats on the Responses API, ${JSON.stringify(surface)}`, () =>
      Effect.gen(function* () {
        const tools = [{ type: "function", name: "weather" }] as const
        const chat = Chat.prompt("Oslo?", { thinking: "low", store: false })
        const answers = [yield* complete(chat, once), yield* collect(stream(chat, once))]
        for (const { finishReason, reasoning, text, usage } of answers) {
          expect(text).toMatch(/^Answer .*Oslo/)
          expect([finishReason, reasoning?.startsWith("Thought")]).toEqual(["stop", true])
          expect(usage.estimated).toBeUndefined()
        }
        const called = yield* complete(Chat.prompt("Oslo?", { tools, toolChoice: "required" }), once)
        expect(called).toMatchObject({ finishReason: "tool_calls", toolCalls: [{ name: "weather" }] })
        const { embeddings } = yield* complete(new Embedding({ input: ["x"], model: "embeddings" }), once)
        expect(embeddings).toHaveLength(1)
      }).pipe(
        Effect.provide(
          against({ apiKey: key, reasoningTokens: 20 }, { api: "responses", ...surface }, "gpt-5.4")
        )
      )
    )
  }

  it("knows a deployment's model by the endpoint's family alone", () => {
    const body = (family: string | undefined, fields: object = {}) => {
      const endpoint = Endpoint.make({ provider: "azure", baseUrl: Azure.baseUrl("house"), family })
      const context = { model: "gpt-5-mini", endpoint, streaming: false }
      const chat = Chat.prompt("x", { system: "s", maxTokens: 5, temperature: 0.2, ...fields })
      const lacking = Azure.wire.lacks?.(chat, context) ?? []
      return Either.match(Azure.wire.encode(chat, context), {
        onLeft: (error) => ({ error, lacking }),
        // a JSON object by its encoder
        onRight: (call) => ({ ...(call.body as Record<string, unknown>), lacking })
      })
    }
    expect(body(undefined)).toMatchObject({
      max_completion_tokens: 5,
      messages: [{ role: "system" }, {}],
      lacking: []
    })
    expect(body("gpt-4.1")).toMatchObject({ max_tokens: 5, lacking: [] })
    expect(body("gpt-5-mini")).toMatchObject({
      max_completion_tokens: 5,
      messages: [{ role: "developer" }, {}],
      lacking: ["temperature"]
    })
    const tools = [{ type: "function", name: "f" }]
    expect(body(undefined, { tools })).not.toHaveProperty("error")
    expect(body("gpt-5.4", { tools })).toMatchObject({
      error: { provider: "azure", feature: "tools", message: expect.stringContaining('api: "responses"') }
    })
  })

  const configured = (environment: Record<string, string>) =>
    Azure.config.pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment)))))

  it.effect("reads its endpoint from the environment", () =>
    Effect.gen(function* () {
      const endpoint = yield* configured({
        AZURE_OPENAI_ENDPOINT: "https://house.openai.azure.com/",
        AZURE_OPENAI_API_KEY: "k".repeat(20),
        OPENAI_API_VERSION: "2024-10-21",
        AZURE_OPENAI_DEPLOYMENT: "d",
        AZURE_OPENAI_MODEL: "gpt-4.1"
      })
      expect(endpoint).toMatchObject({
        baseUrl: "https://house.openai.azure.com/openai?api-version=2024-10-21",
        model: "d",
        family: "gpt-4.1"
      })
      const other = yield* configured({ AZURE_RESOURCE_NAME: "house", AZURE_API_KEY: "k".repeat(20) })
      expect(other.baseUrl).toBe("https://house.openai.azure.com/openai/v1")
      const missing = yield* Effect.flip(configured({}))
      expect(String(missing)).toContain("AZURE_OPENAI_ENDPOINT")
    })
  )
})
