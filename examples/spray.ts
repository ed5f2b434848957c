/**
 * A batch spread over several models by weight, to compare them or to stay within the limits of each. The model of a
 * request is drawn by what is asked and the seed: a second run asks each model the same questions.
 *
 * Prints a line for each model, its share of the 200 answers, their tokens and what they cost:
 * `gpt-4.1-nano: 138 answers, 8344 tokens, $0.00249`.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key npx tsx examples/spray.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/spray.ts`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Array from "effect/Array"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Number from "effect/Number"
import { batch, Cache, Chat, HttpClientPool, OpenAi, RateLimiter } from "floodgate"

/** Of ten requests the small model gets seven, the others two and one. */
const models = "gpt-4.1-nano:7+gpt-4.1-mini:2+gpt-4.1:1"

const endpoint = Config.map(OpenAi.config, (options) => ({ ...options, model: models }))

/** Each model is an endpoint, with limits of its own. */
const services = Layer.mergeAll(
  Layer.provide(OpenAi.layerConfig(endpoint), HttpClientPool.layer()),
  RateLimiter.layer({
    domains: { "*nano": { requestsPerMinute: 30_000 }, "*": { requestsPerMinute: 10_000, concurrency: 20 } }
  }),
  Cache.layerMemory()
)

const requests = Array.makeBy(200, (n) =>
  Chat.prompt(`Is ${n + 1} a lucky number?`, { system: "Answer in one sentence.", maxTokens: 60 })
)

const program = Effect.gen(function* () {
  const [failures, answers] = Array.separate(yield* batch(requests))
  for (const [model, own] of Object.entries(Array.groupBy(answers, ({ model }) => model))) {
    const tokens = Number.sumAll(own.map(({ usage }) => usage.inputTokens + usage.outputTokens))
    const dollars = Number.sumAll(own.map(({ meta }) => meta.cost ?? 0))
    yield* Console.log(`${model}: ${own.length} answers, ${tokens} tokens, $${dollars.toFixed(5)}`)
  }
  for (const { _tag, message } of failures) yield* Console.log(`${_tag}: ${message}`)
})

NodeRuntime.runMain(program.pipe(Effect.provide(services)))
