import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import * as Otlp from "@effect/opentelemetry/Otlp"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import {
  batch,
  batchStream,
  Cache,
  Chat,
  complete,
  Embedding,
  HttpClientPool,
  LlmError,
  Message,
  Mock,
  OpenAi,
  Prices,
  RateLimiter,
  Response,
  Retry,
  Router,
  StructuredOutput,
  Telemetry
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import * as Example from "../examples/telemetry.js"
import type { AttemptEvent } from "../src/internal/observe.js"
import * as TelemetryMetrics from "../src/internal/telemetryMetrics.js"
import { project } from "./snippets.js"

// --- what a collector receives -----------------------------------------------------------------------------

const AnyValue = Schema.Struct({
  stringValue: Schema.optional(Schema.String),
  intValue: Schema.optional(Schema.Union(Schema.Number, Schema.String)),
  doubleValue: Schema.optional(Schema.Number),
  boolValue: Schema.optional(Schema.Boolean),
  arrayValue: Schema.optional(Schema.Struct({ values: Schema.Array(Schema.Unknown) }))
})
const Attributes = Schema.Array(Schema.Struct({ key: Schema.String, value: AnyValue }))
const Traces = Schema.Struct({
  resourceSpans: Schema.Array(
    Schema.Struct({
      scopeSpans: Schema.Array(
        Schema.Struct({
          spans: Schema.Array(
            Schema.Struct({
              traceId: Schema.String,
              spanId: Schema.String,
              parentSpanId: Schema.optional(Schema.String),
              name: Schema.String,
              kind: Schema.Number,
              startTimeUnixNano: Schema.NumberFromString,
              endTimeUnixNano: Schema.NumberFromString,
              attributes: Attributes,
              status: Schema.Struct({ code: Schema.Number })
            })
          )
        })
      )
    })
  )
})
const Points = Schema.Struct({
  dataPoints: Schema.Array(
    Schema.Struct({
      attributes: Attributes,
      asInt: Schema.optional(Schema.Number),
      asDouble: Schema.optional(Schema.Number),
      count: Schema.optional(Schema.Number),
      sum: Schema.optional(Schema.Number),
      explicitBounds: Schema.optional(Schema.Array(Schema.Number))
    })
  ),
  isMonotonic: Schema.optional(Schema.Boolean)
})
const Metrics = Schema.Struct({
  resourceMetrics: Schema.Array(
    Schema.Struct({
      scopeMetrics: Schema.Array(
        Schema.Struct({
          metrics: Schema.Array(
            Schema.Struct({
              name: Schema.String,
              unit: Schema.String,
              sum: Schema.optional(Points),
              gauge: Schema.optional(Points),
              histogram: Schema.optional(Points)
            })
          )
        })
      )
    })
  )
})

const valuesOf = (attributes: typeof Attributes.Type): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? value.intValue ?? value.doubleValue ?? value.boolValue ?? value.arrayValue?.values
    ])
  )

/** An OTLP receiver over HTTP: keeps what is sent to it. */
const receiver: Effect.Effect<
  { readonly url: string; readonly bodies: ReadonlyMap<string, ReadonlyArray<string>> },
  never,
  Scope.Scope
> = Effect.gen(function* () {
  const bodies = new Map<string, Array<string>>()
  const server = createServer((request, response) => {
    let body = ""
    request.setEncoding("utf8")
    request.on("data", (text: string) => {
      body += text
    })
    request.on("end", () => {
      bodies.set(request.url ?? "", [...(bodies.get(request.url ?? "") ?? []), body])
      response.setHeader("content-type", "application/json").end("{}")
    })
  })
  yield* Effect.acquireRelease(
    Effect.async<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, bodies }
})

const spansIn = (bodies: ReadonlyArray<string> = []) =>
  bodies
    .flatMap((body) => Schema.decodeSync(Schema.parseJson(Traces))(body).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
    .map((span) => ({ ...span, attributes: valuesOf(span.attributes) }))

/** Metrics are cumulative: the last export has all. */
const metricsIn = (bodies: ReadonlyArray<string> = []) =>
  [bodies.at(-1)]
    .filter((body) => body !== undefined)
    .flatMap((body) => Schema.decodeSync(Schema.parseJson(Metrics))(body).resourceMetrics)
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))

describe("an OTLP collector", () => {
  const exampleIn = (simulator: Simulator.Service, url: string, model: string) =>
    Example.main.pipe(
      Effect.withConfigProvider(
        ConfigProvider.fromMap(
          new Map([
            ["OPENAI_BASE_URL", simulator.url],
            ["OPENAI_API_KEY", "sk-never-to-be-seen"],
            ["OPENAI_MODEL", model],
            ["OTEL_EXPORTER_OTLP_ENDPOINT", url]
          ])
        )
      )
    )

  it.scopedLive("is sent the spans and metrics of the example, without prompts, answers and keys", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        seed: 3,
        script: [{ at: 2, fault: { kind: "status", status: 500 } }]
      })
      const { bodies, url } = yield* receiver
      const said: Array<string> = []
      const console: Console.Console = yield* Console.consoleWith(Effect.succeed)
      yield* Effect.withConsole(exampleIn(simulator, url, "sim-otlp"), {
        ...console,
        log: (...args) => Effect.sync(() => said.push(args.join(" ")))
      })
      expect(said).toEqual(["6 of 6 answered"])
      const log = yield* simulator.log

      const spans = spansIn(bodies.get("/v1/traces"))
      const named = (name: string) => spans.filter((span) => span.name === name)
      const [cities] = named("cities")
      const [batchSpan] = named("floodgate.batch")
      const requests = named("chat sim-otlp")
      const attempts = named("floodgate.attempt")
      expect(spans.length).toBe(2 + requests.length + attempts.length)
      expect(batchSpan).toMatchObject({ parentSpanId: cities?.spanId, kind: 1, status: { code: 1 } })
      expect(batchSpan?.attributes).toMatchObject({ "floodgate.batch.concurrency": 4 })
      expect(requests).toHaveLength(6)
      expect(attempts).toHaveLength(log.length)
      for (const { attributes, kind, parentSpanId, spanId, status, ...span } of requests) {
        expect({ kind, parentSpanId, status }).toEqual({
          kind: 3,
          parentSpanId: batchSpan?.spanId,
          status: { code: 1 }
        })
        expect(span.traceId).toBe(cities?.traceId)
        expect(attributes).toMatchObject({
          "gen_ai.operation.name": "chat",
          "gen_ai.provider.name": "openai",
          "gen_ai.request.model": "sim-otlp",
          "gen_ai.request.max_tokens": 60,
          "gen_ai.response.model": "sim-otlp",
          "gen_ai.response.finish_reasons": [{ stringValue: "stop" }],
          "gen_ai.response.id": expect.any(String),
          "floodgate.request.origin": "call"
        })
        const own = attempts.filter((attempt) => attempt.parentSpanId === spanId)
        expect(own).toHaveLength(Number(attributes["floodgate.request.attempts"]))
        for (const attempt of own) {
          expect(attempt.startTimeUnixNano).toBeGreaterThanOrEqual(span.startTimeUnixNano)
          expect(attempt.endTimeUnixNano).toBeLessThanOrEqual(span.endTimeUnixNano)
          expect(attempt.attributes).toMatchObject({
            "server.address": "127.0.0.1",
            "server.port": Number(new URL(simulator.url).port),
            "floodgate.endpoint": "openai/local/sim-otlp"
          })
        }
      }
      const failed = attempts.filter(({ status }) => status.code === 2)
      expect(failed.map(({ attributes }) => attributes)).toEqual([
        expect.objectContaining({
          "error.type": "ServerError",
          "http.response.status_code": 500,
          "floodgate.attempt": 1,
          "floodgate.attempt.hedge": false
        })
      ])
      const told = (key: string) => requests.reduce((sum, { attributes }) => sum + Number(attributes[key]), 0)
      const billed = { input: 0, output: 0 }
      for (const { inputTokens, outputTokens } of log) {
        billed.input += inputTokens
        billed.output += outputTokens
      }
      expect(told("gen_ai.usage.input_tokens")).toBe(billed.input)
      expect(told("gen_ai.usage.output_tokens")).toBe(billed.output)

      const metrics = metricsIn(bodies.get("/v1/metrics"))
      const points = (name: string) => {
        const { gauge, histogram, sum, unit } = metrics.find((metric) => metric.name === name) ?? {}
        return ((gauge ?? histogram ?? sum)?.dataPoints ?? [])
          .map((point) => ({ ...point, attributes: valuesOf(point.attributes), unit }))
          .filter(({ attributes }) => JSON.stringify(attributes).includes("sim-otlp"))
      }
      for (const type of ["input", "output"] as const) {
        expect(
          points("gen_ai.client.token.usage").find(
            ({ attributes }) => attributes["gen_ai.token.type"] === type
          )
        ).toMatchObject({
          sum: billed[type],
          count: 6,
          unit: "{token}",
          explicitBounds: [
            1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
            67_108_864
          ],
          attributes: { "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai" }
        })
      }
      expect(points("gen_ai.client.operation.duration")).toMatchObject([
        { count: 6, unit: "s", attributes: { "gen_ai.response.model": "sim-otlp" } }
      ])
      expect(points("gen_ai.client.operation.duration")[0]?.explicitBounds).toEqual([
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92
      ])
      expect(points("floodgate.retries")).toMatchObject([{ asDouble: 1 }])
      expect(points("floodgate.limit.in_flight")).toMatchObject([{ asDouble: 0 }])

      const sent = [...bodies.values()].flat().join("\n")
      for (const text of ["known for", "Oslo", "Answer", "sk-never"]) expect(sent).not.toContain(text)
    })
  )
})

// --- spans -------------------------------------------------------------------------------------------------

interface Seen {
  readonly name: string
  readonly parent: string | undefined
  readonly attributes: Readonly<Record<string, unknown>>
  readonly millis: number
  readonly failure: string | undefined
}

/** A tracer that keeps the spans that have ended. */
const collector = () => {
  const ended: Array<Tracer.Span> = []
  let ids = 0
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      let status: Tracer.SpanStatus = { _tag: "Started", startTime }
      const span: Tracer.Span = {
        _tag: "Span",
        name,
        spanId: `${++ids}`,
        traceId: Option.match(parent, { onNone: () => `t${ids}`, onSome: ({ traceId }) => traceId }),
        parent,
        context,
        get status() {
          return status
        },
        attributes,
        links,
        sampled: true,
        kind,
        end: (endTime, exit) => {
          status = { _tag: "Ended", startTime, endTime, exit }
          ended.push(span)
        },
        attribute: (key, value) => {
          attributes.set(key, value)
        },
        event: () => {},
        addLinks: () => {}
      }
      return span
    },
    context: (f) => f()
  })
  const spans = (): ReadonlyArray<Seen> =>
    ended.map(({ attributes, name, parent, status }) => {
      if (status._tag !== "Ended") throw new Error("not ended")
      const { endTime, exit, startTime } = status
      return {
        name,
        parent: Option.getOrUndefined(
          Option.map(parent, (span) => (span._tag === "Span" ? span.name : "external"))
        ),
        attributes: Object.fromEntries(attributes),
        millis: Number(endTime - startTime) / 1e6,
        failure: exit._tag === "Failure" ? String(exit.cause) : undefined
      }
    })
  return { spans, layer: Layer.setTracer(tracer) }
}

const failing = (times: number, error: LlmError.LlmError, then: Mock.Answer) => {
  let calls = 0
  return () => (calls++ < times ? Effect.fail(error) : then)
}

const overloaded = new LlmError.OverloadedError({
  provider: "mock",
  status: 529,
  message: "No capacity for: my secret prompt",
  retryAfter: Duration.seconds(2)
})

const steady = Retry.make({ maxRetries: 3, base: "1 second", cap: "1 second" })

describe("spans", () => {
  it.effect("tell of waits and retries, and of no word of the prompt", () =>
    Effect.gen(function* () {
      const { layer, spans } = collector()
      const asked = complete(Chat.prompt("my secret prompt", { stop: "my secret end" }), { retry: steady })
      const fiber = yield* asked.pipe(
        Effect.withSpan("mine"),
        Effect.provide(Mock.layer(failing(1, overloaded, "my secret answer"))),
        Effect.provide(Layer.merge(Telemetry.layer({ spans: true }), layer)),
        Effect.fork
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      const [first, second, request, mine] = spans()
      expect(spans()).toHaveLength(4)
      expect(first).toMatchObject({
        name: "floodgate.attempt",
        parent: "chat mock",
        attributes: {
          "error.type": "OverloadedError",
          "http.response.status_code": 529,
          "floodgate.attempt": 1,
          "floodgate.attempt.wait_hint": 2
        },
        failure: expect.stringContaining("OverloadedError 529")
      })
      expect(second).toMatchObject({
        parent: "chat mock",
        attributes: { "floodgate.attempt": 2, "floodgate.attempt.outcome": "answered" },
        failure: undefined
      })
      expect(request).toMatchObject({ parent: "mine", attributes: { "floodgate.request.attempts": 2 } })
      expect(request?.millis).toBeGreaterThanOrEqual(2_000)
      expect(mine?.name).toBe("mine")
      expect(JSON.stringify(spans())).not.toContain("secret")
    })
  )

  it.effect("have the prompts and answers that are asked for", () =>
    Effect.gen(function* () {
      const { layer, spans } = collector()
      const request = new Chat({
        messages: [
          Message.system("Be brief."),
          Message.user([Message.text("Look:"), Message.image(`data:image/png;base64,${"A".repeat(5_000)}`)]),
          Message.assistant(null, { toolCalls: [{ id: "c1", name: "f", arguments: '{"x":1}' }] }),
          Message.tool("c1", "42")
        ]
      })
      yield* complete(request).pipe(
        Effect.provide(
          Mock.layer(() =>
            Mock.response("", {
              finishReason: "tool_calls",
              toolCalls: [{ id: "c2", name: "g", arguments: "{" }]
            })
          )
        ),
        Effect.provide(Layer.merge(Telemetry.layer({ spans: true, attempts: false, prompts: true }), layer))
      )
      const [span] = spans()
      expect(spans()).toHaveLength(1)
      const read = (key: string) => JSON.parse(String(span?.attributes[key]))
      expect(read("gen_ai.input.messages")).toEqual([
        { role: "system", parts: [{ type: "text", content: "Be brief." }] },
        {
          role: "user",
          parts: [
            { type: "text", content: "Look:" },
            { type: "image", characters: 5_022 }
          ]
        },
        { role: "assistant", parts: [{ type: "tool_call", id: "c1", name: "f", arguments: { x: 1 } }] },
        { role: "tool", parts: [{ type: "tool_call_response", id: "c1", response: "42" }] }
      ])
      expect(read("gen_ai.output.messages")).toEqual([
        {
          role: "assistant",
          parts: [{ type: "tool_call", id: "c2", name: "g", arguments: "{" }],
          finish_reason: "tool_call"
        }
      ])
    })
  )

  it.effect("of an interrupted batch are all ended", () =>
    Effect.gen(function* () {
      const { layer, spans } = collector()
      const fiber = yield* batch([Chat.prompt("a"), Chat.prompt("b")]).pipe(
        Effect.provide(Mock.layer(({ messages }) => (messages[0]?.content === "a" ? "yes" : Effect.never))),
        Effect.provide(Layer.merge(Telemetry.layer({ spans: true }), layer)),
        Effect.fork
      )
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.interrupt(fiber)
      const given = spans().filter(({ failure }) => failure !== undefined)
      expect(given.map(({ name, parent }) => [name, parent])).toEqual([
        ["floodgate.attempt", "chat mock"],
        ["chat mock", "floodgate.batch"],
        ["floodgate.batch", undefined]
      ])
      expect(given[1]).toMatchObject({ millis: 3_000, attributes: { "error.type": "interrupted" } })
      expect(spans()).toHaveLength(5)
    })
  )

  it.effect("of stored answers have no tokens, and shared attempts are those of the batch", () =>
    Effect.gen(function* () {
      const { layer, spans } = collector()
      const vectors = Mock.layer(() => "yes", {
        embedding: ({ input }) =>
          new Response.EmbeddingResponse({
            embeddings: input.map(() => [1]),
            usage: { inputTokens: 1, outputTokens: 0 },
            model: "mock",
            provider: "mock",
            meta: { attempts: 1, cached: false, latencyMs: 0 }
          })
      })
      const asked: ReadonlyArray<Chat | Embedding> = [
        Chat.prompt("a"),
        Chat.prompt("a"),
        new Embedding({ input: ["x"] }),
        new Embedding({ input: ["y"] })
      ]
      const fiber = yield* Stream.runDrain(batchStream(asked)).pipe(
        Effect.provide(Layer.merge(vectors, Cache.layerMemory())),
        Effect.provide(Layer.merge(Telemetry.layer({ spans: true }), layer)),
        Effect.fork
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      const chats = spans().filter(({ name }) => name === "chat mock")
      expect(
        chats.map(({ attributes }) => [
          attributes["floodgate.request.origin"],
          attributes["gen_ai.usage.input_tokens"]
        ])
      ).toEqual([
        ["flight", undefined],
        ["call", 1]
      ])
      expect(spans().filter(({ name }) => name === "embeddings mock")).toHaveLength(2)
      const attempts = spans().filter(({ name }) => name === "floodgate.attempt")
      expect(attempts.map(({ parent }) => parent).sort()).toEqual(["chat mock", "floodgate.batch"])
    })
  )

  it.scopedLive("do not travel to providers, nor does a client of the user's tell of the key", () =>
    Effect.gen(function* () {
      const headers: Array<string> = []
      const server = createServer((request, response) => {
        headers.push(...Object.keys(request.headers))
        response.setHeader("content-type", "application/json").end("{}")
      })
      yield* Effect.acquireRelease(
        Effect.async<void>((resume) => {
          server.listen(0, "127.0.0.1", () => resume(Effect.void))
        }),
        () => Effect.sync(() => server.close())
      )
      const { layer, spans } = collector()
      const services = (client: typeof FetchHttpClient.layer) =>
        Layer.mergeAll(
          Layer.provide(OpenAi.layer, client),
          Router.layer({
            endpoints: [
              {
                provider: "openai",
                baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
                apiKey: Redacted.make("sk-never-to-be-seen"),
                headers: { "x-goog-api-key": "sk-never-to-be-seen" },
                model: "m"
              }
            ]
          }),
          RateLimiter.layerUnlimited,
          Cache.layerNone
        )
      for (const client of [FetchHttpClient.layer, HttpClientPool.layer()]) {
        yield* batch([Chat.prompt("a")], { retry: Retry.make({ maxRetries: 0 }) }).pipe(
          Effect.withSpan("mine"),
          Effect.provide(services(client)),
          Effect.provide(Layer.merge(Telemetry.layer({ spans: true }), layer))
        )
      }
      expect(headers).toContain("authorization")
      expect(headers.filter((name) => /^(traceparent|tracestate|b3|x-b3.*|baggage)$/.test(name))).toEqual([])
      expect(spans()).toHaveLength(8)
      expect(JSON.stringify(spans())).not.toContain("sk-never")
    })
  )
})

// --- metrics -----------------------------------------------------------------------------------------------

/** The metrics under a label that no other test has: `name label=value …` and the state. */
const metricsOf = (test: string): ReadonlyMap<string, MetricState.MetricState.Untyped> =>
  new Map(
    Metric.unsafeSnapshot()
      .filter(({ metricKey }) => metricKey.tags.some(({ key, value }) => key === "test" && value === test))
      .map(({ metricKey: { name, tags }, metricState }) => {
        const labels = tags.filter(({ key }) => key !== "test" && key !== "unit")
        return [
          [name, ...labels.map(({ key, value }) => `${key.split(".").at(-1)}=${value}`)].join(" "),
          metricState
        ]
      })
  )

const priced = Prices.layer({ add: { "mock/mock": { input: 1, output: 2 } } })

describe("metrics", () => {
  it.effect("count requests, attempts, tokens and money by what became of them", () =>
    Effect.gen(function* () {
      const Even = Schema.Struct({ n: Schema.Int.pipe(Schema.filter((n) => n % 2 === 0)) })
      const usage = { inputTokens: 1_000, outputTokens: 100 }
      let calls = 0
      const answer = () => {
        calls++
        if (calls === 1) return Effect.fail(overloaded)
        // does not fit, and is paid for
        return Mock.response(calls === 2 ? '{"n":1}' : '{"n":2}', { usage })
      }
      const request = StructuredOutput.withSchema(Chat.prompt("a"), Even, { corrections: 1 })
      const refused = new LlmError.AuthError({ provider: "mock", message: "no" })
      const program = Effect.gen(function* () {
        yield* batch([request, request], { retry: steady, concurrency: 1 })
        yield* Effect.provide(
          batch([Chat.prompt("b")]),
          Mock.layer(() => Effect.fail(refused))
        )
      })
      const fiber = yield* program.pipe(
        Effect.provide(Layer.mergeAll(Mock.layer(answer), Cache.layerMemory(), priced)),
        Effect.provide(Telemetry.layer()),
        Effect.tagMetrics("test", "counts"),
        Effect.fork
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      const metrics = metricsOf("counts")
      const count = (name: string) => metrics.get(name)
      const mock = "name=chat name=mock model=mock"
      expect(count("floodgate.requests name=chat origin=call outcome=answered")).toMatchObject({ count: 1 })
      expect(count("floodgate.requests name=chat origin=store outcome=answered")).toMatchObject({ count: 1 })
      expect(count("floodgate.requests name=chat origin=call outcome=AuthError")).toMatchObject({ count: 1 })
      expect(count(`floodgate.attempts ${mock} endpoint=mock/mock outcome=answered`)).toMatchObject({
        count: 2
      })
      expect(count(`floodgate.attempts ${mock} endpoint=mock/mock outcome=OverloadedError`)).toMatchObject({
        count: 1
      })
      expect(count(`floodgate.retries ${mock} endpoint=mock/mock`)).toMatchObject({ count: 2 })
      expect(count(`gen_ai.client.token.usage ${mock} model=mock type=input`)).toMatchObject({
        count: 2,
        sum: 2_000
      })
      expect(count(`gen_ai.client.token.usage ${mock} model=mock type=output`)).toMatchObject({
        count: 2,
        sum: 200
      })
      expect(count(`gen_ai.client.operation.duration ${mock} model=mock`)).toMatchObject({ count: 1 })
      expect(count(`gen_ai.client.operation.duration ${mock} type=AuthError`)).toMatchObject({ count: 1 })
      const cost = 0.0012
      expect(count(`floodgate.cost ${mock}`)).toMatchObject({ count: 2 * cost })
      expect(count(`floodgate.cost.wasted ${mock}`)).toMatchObject({ count: cost })
      // to have it anew would take both calls
      expect(count(`floodgate.cost.saved ${mock}`)).toMatchObject({ count: 2 * cost })
    })
  )

  it.effect("are few, however many models there are", () =>
    Effect.gen(function* () {
      const observer = yield* Effect.tagMetrics(TelemetryMetrics.observer, "test", "few")
      for (let i = 0; i < 700; i++) observer.attempt?.(attempt({ model: `model-${i}` }))
      const counts = [...metricsOf("few")].filter(([name]) => name.startsWith("floodgate.attempts"))
      expect(counts.length).toBe(501)
      expect(new Map(counts).get(`floodgate.attempts ${others}`)).toMatchObject({ count: 200 })
    })
  )

  it.effect("tell how limits are used, and who waits", () =>
    Effect.gen(function* () {
      const limits = { requestsPerMinute: 4, concurrency: 2 }
      const endpoints = [{ id: "gauged", provider: Mock.name, baseUrl: "mock://", model: "mock" }] as const
      const services = Layer.mergeAll(
        Mock.layer(() => Effect.never),
        Router.layer({ endpoints, health: {} }),
        RateLimiter.layer({ domains: { "*": { ...limits, burst: 4 } } })
      )
      const fiber = yield* batch(Array.from({ length: 5 }, (_, i) => Chat.prompt(`${i}`))).pipe(
        Effect.provide(services),
        Effect.provide(Telemetry.layer()),
        Effect.fork
      )
      yield* TestClock.adjust("2 seconds")
      const gauges = () =>
        new Map(
          Metric.unsafeSnapshot()
            .filter(({ metricKey: { tags } }) => tags.some(({ value }) => value === "gauged"))
            .map(({ metricKey: { name, tags }, metricState }) => [
              [name, ...tags.filter(({ key }) => key !== "unit").map(({ value }) => value)].join(" "),
              metricState
            ])
        )
      expect(gauges().get("floodgate.limit.in_flight gauged")).toMatchObject({ value: 2 })
      expect(gauges().get("floodgate.limit.waiting gauged")).toMatchObject({ value: 0 })
      expect(gauges().get("floodgate.limit.use gauged concurrency")).toMatchObject({ value: 1 })
      expect(gauges().get("floodgate.limit.use gauged requestsPerMinute")).toMatchObject({ value: 0.5 })
      expect(gauges().get("floodgate.limit.pause gauged")).toMatchObject({ value: 0 })
      expect(gauges().get("floodgate.circuit.state gauged closed")).toMatchObject({ value: 1 })
      expect(gauges().get("floodgate.circuit.state gauged open")).toMatchObject({ value: 0 })
      expect(gauges().get("floodgate.endpoint.in_flight gauged")).toMatchObject({ value: 2 })
      yield* Fiber.interrupt(fiber)
      expect(gauges().get("floodgate.limit.in_flight gauged")).toMatchObject({ value: 0 })
    })
  )

  it.effect("count once, however often their layer was provided before", () =>
    Effect.gen(function* () {
      for (let run = 0; run < 3; run++) {
        yield* batch([Chat.prompt("a")]).pipe(
          Effect.provide(
            Layer.merge(
              Mock.layer(() => "yes"),
              Telemetry.layer()
            )
          ),
          Effect.tagMetrics("test", "again")
        )
      }
      expect(
        metricsOf("again").get("floodgate.requests name=chat origin=call outcome=answered")
      ).toMatchObject({ count: 3 })
    })
  )

  it.effect("are none that nobody asked for", () =>
    Effect.gen(function* () {
      const { layer, spans } = collector()
      yield* batch([Chat.prompt("a")]).pipe(
        Effect.provide(Mock.layer(() => "yes")),
        Effect.provide(Layer.merge(Telemetry.layer({ metrics: false }), layer)),
        Effect.tagMetrics("test", "none")
      )
      expect(spans().map(({ name }) => name)).toEqual(["floodgate.batch"])
      expect([...metricsOf("none").keys()].filter((name) => /^(floodgate|gen_ai)\./.test(name))).toEqual([])
    })
  )
})

const others = "name=chat name=mock model=(others) endpoint=one outcome=answered"

const attempt = (fields: Partial<AttemptEvent>): AttemptEvent => ({
  at: 1_000,
  latencyMs: 100,
  endpoint: "one",
  provider: "mock",
  model: "mock",
  domain: "one",
  task: undefined,
  request: Chat.prompt("a"),
  key: undefined,
  attempt: 1,
  hedge: false,
  outcome: "answered",
  response: undefined,
  error: undefined,
  usage: { inputTokens: 10, outputTokens: 1 },
  cost: 1n,
  prices: "test",
  unsettled: undefined,
  serviceTier: undefined,
  requestId: undefined,
  journey: { start: 0 },
  ...fields
})

// --- the dashboard -----------------------------------------------------------------------------------------

/** How a Prometheus names what comes by OTLP: units and kinds are in the name, what is in braces is not. */
const prometheusNames = ({ gauge, histogram, name, sum, unit }: ReturnType<typeof metricsIn>[number]) => {
  const units: Readonly<Record<string, string>> = { s: "_seconds", "1": gauge === undefined ? "" : "_ratio" }
  const suffix = unit.startsWith("{") ? "" : (units[unit] ?? `_${unit}`)
  const base = name.replace(/[^a-zA-Z0-9:]/g, "_") + suffix
  if (histogram !== undefined) return [`${base}_bucket`, `${base}_count`, `${base}_sum`]
  return [sum?.isMonotonic === true ? `${base}_total` : base]
}

const Dashboard = Schema.parseJson(
  Schema.Struct({
    panels: Schema.Array(
      Schema.Struct({ targets: Schema.optional(Schema.Array(Schema.Struct({ expr: Schema.String }))) })
    )
  })
)

describe("the dashboard", () => {
  it.scopedLive(
    "asks for metrics and labels that there are, under the names that Prometheus gives them",
    () =>
      Effect.gen(function* () {
        const { bodies, url } = yield* receiver
        yield* Effect.gen(function* () {
          const endpoints = [{ provider: Mock.name, baseUrl: "mock://", model: "mock" }] as const
          yield* batch([Chat.prompt("a"), Chat.prompt("a")]).pipe(
            Effect.provide(
              Layer.mergeAll(
                Mock.layer(() => "yes"),
                Router.layer({ endpoints, health: {} }),
                RateLimiter.layer({ domains: { "*": { concurrency: 2 } } }),
                Cache.layerMemory(),
                priced
              )
            ),
            Effect.provide(Telemetry.layer())
          )
          const observer = yield* TelemetryMetrics.observer
          observer.attempt?.(attempt({ attempt: 2 }))
          observer.attempt?.(attempt({ attempt: 2, hedge: true }))
          observer.attempt?.(attempt({ cost: "unpriced" }))
          observer.wasted?.(attempt({}))
        }).pipe(
          Effect.provide(
            Layer.provide(
              Otlp.layerJson({ baseUrl: url, resource: { serviceName: "test" } }),
              HttpClientPool.layer()
            )
          )
        )
        const metrics = metricsIn(bodies.get("/v1/metrics")).filter(({ name }) =>
          /^(floodgate|gen_ai)\./.test(name)
        )
        const names = new Set(metrics.flatMap(prometheusNames))
        const labels = new Set(
          metrics
            .flatMap(({ gauge, histogram, sum }) => (gauge ?? histogram ?? sum)?.dataPoints ?? [])
            .flatMap(({ attributes }) => attributes.map(({ key }) => key.replaceAll(".", "_")))
        )
        const { panels } = Schema.decodeSync(Dashboard)(
          readFileSync(join(project, "examples/grafana/floodgate.json"), "utf8")
        )
        const asked = new Set(
          panels.flatMap(({ targets = [] }) =>
            targets.flatMap(({ expr }) => expr.match(/\b(floodgate|gen_ai)_\w+/g) ?? [])
          )
        )
        expect([...asked].filter((name) => !names.has(name) && !labels.has(name))).toEqual([])
        // and whatever there is can be seen
        const shown = [...names].filter((name) => !/_(bucket|count|sum)$/.test(name))
        expect(shown.filter((name) => !asked.has(name))).toEqual([])
        expect(asked.has("gen_ai_client_token_usage_bucket")).toBe(true)
      })
  )
})
