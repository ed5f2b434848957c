/**
 * Metrics and traces of a batch, sent to an OpenTelemetry collector.
 *
 * Prints how many prompts were answered. Where to look, with a collector, Prometheus, Tempo and Grafana in one:
 *
 *     docker run -p 3000:3000 -p 4318:4318 grafana/otel-lgtm
 *     npx floodgate simulate
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 npx tsx examples/telemetry.ts
 *
 * Then import `examples/grafana/floodgate.json` as a dashboard at http://localhost:3000. Another collector is named by
 * `OTEL_EXPORTER_OTLP_ENDPOINT`. Needs `npm install @effect/opentelemetry`.
 */
import { fileURLToPath } from "node:url"
import * as Otlp from "@effect/opentelemetry/Otlp"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { batch, Chat, HttpClientPool, OpenAILive, Telemetry } from "floodgate"

const cities = ["Oslo", "Lima", "Accra", "Hanoi", "Perth", "Quito"]

/** A program may have spans of its own: those of the batch are below them. */
const program = Effect.gen(function* () {
  const outcomes = yield* batch(
    cities.map((city) => Chat.prompt(`What is ${city} known for?`, { maxTokens: 60 })),
    { concurrency: 4 }
  )
  yield* Console.log(`${outcomes.filter(Either.isRight).length} of ${outcomes.length} answered`)
}).pipe(Effect.withSpan("cities"))

/** Sends what Effect has counted and traced, now and then and at the end. */
export const ExporterLive = Layer.unwrapEffect(
  Effect.map(
    Config.withDefault(Config.string("OTEL_EXPORTER_OTLP_ENDPOINT"), "http://localhost:4318"),
    (baseUrl) => Otlp.layerJson({ baseUrl, resource: { serviceName: "floodgate-example" } })
  )
).pipe(Layer.provide(HttpClientPool.layer()))

export const main = program.pipe(
  // `prompts: true` would have prompts and answers in the traces
  Effect.provide(Layer.merge(OpenAILive, Telemetry.layer({ spans: true }))),
  // the last to go, so that all is sent
  Effect.provide(ExporterLive)
)

// run as a program, not when it is tested
if (process.argv[1] === fileURLToPath(import.meta.url)) await Effect.runPromise(main)
