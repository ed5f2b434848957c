/**
 * floodgate within an HTTP app of `@effect/platform`. Its services are built once, with the server, and shared by all
 * requests: one set of limits, one cache, equal questions asked once.
 *
 * - `GET /ask?question=…` streams an answer as server-sent events: `data: {"text":"…"}`, and if it fails
 *   `data: {"error":"RateLimitError"}`. A client that goes away ends the call of the provider too.
 * - `POST /label` with `{ "text": "…" }` answers `{ "label": "question" }`, or a status that tells what went wrong.
 * - `GET /limits` answers how the limits stand.
 *
 * Prints `Listening on http://127.0.0.1:3000` (`PORT` says which port; 0 is any free one), and runs until it is stopped.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice, then
 * `curl -N 'http://127.0.0.1:3000/ask?question=Why'`:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 npx tsx examples/http-app.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/http-app.ts`.
 */
import { createServer } from "node:http"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Cache, Chat, HttpClientPool, OpenAi, RateLimiter, Recipes, stream } from "floodgate"
import type { Services } from "floodgate/Complete"

const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`

const ask = Effect.gen(function* () {
  const { question } = yield* HttpServerRequest.schemaSearchParams(Schema.Struct({ question: Schema.String }))
  const services = yield* Effect.context<Services>()
  const events = stream(Chat.prompt(question, { maxTokens: 500 })).pipe(
    Stream.filterMap((part) =>
      part._tag === "Text" ? Option.some(event({ text: part.text })) : Option.none()
    ),
    // the status is sent by now: a failure is the last event
    Stream.catchAll((error) => Stream.make(event({ error: error._tag }))),
    Stream.encodeText,
    Stream.provideContext(services)
  )
  return HttpServerResponse.stream(events, { contentType: "text/event-stream" })
})

const label = Effect.gen(function* () {
  const { text } = yield* HttpServerRequest.schemaBodyJson(Schema.Struct({ text: Schema.NonEmptyString }))
  const label = yield* Recipes.classify(text, ["question", "order", "complaint"], { deadline: "20 seconds" })
  return yield* HttpServerResponse.json({ label })
})

const limits = Effect.gen(function* () {
  const limiter = yield* RateLimiter.RateLimiter
  const states = yield* limiter.states
  return yield* HttpServerResponse.json(
    states.map(({ domain, inUse, used, waiting }) => ({ domain, inUse, waiting, used }))
  )
})

const app = HttpRouter.empty.pipe(
  HttpRouter.get("/ask", ask),
  HttpRouter.post("/label", label),
  HttpRouter.get("/limits", limits),
  // what is not named here is a 500, and in the log
  HttpRouter.catchTags({
    ParseError: ({ message }) => HttpServerResponse.text(message, { status: 400 }),
    RateLimitError: () => HttpServerResponse.empty({ status: 503 }),
    TimeoutError: () => HttpServerResponse.empty({ status: 504 })
  })
)

const ServerLive = NodeHttpServer.layerConfig(
  createServer,
  Config.all({ host: Config.succeed("127.0.0.1"), port: Config.withDefault(Config.integer("PORT"), 3000) })
)

/** Built once: what several layers of this were would be several limits. */
const ModelLive = Layer.mergeAll(
  Layer.provide(OpenAi.layerConfig(OpenAi.config), HttpClientPool.layer()),
  RateLimiter.layer({ domains: { "*": { requestsPerMinute: 500, concurrency: 32 } } }),
  Cache.layerMemory()
)

const AppLive = HttpServer.serve(app).pipe(
  Layer.merge(
    Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(`Listening on ${url}`)))
  ),
  Layer.provide([ServerLive, ModelLive])
)

NodeRuntime.runMain(Layer.launch(AppLive))
