/**
 * floodgate as a part of an Effect program: requests made one by one, limits and a cache of your own, outcomes
 * handled as they finish. Nothing is ever in memory as a whole, so the stream may be of any length.
 *
 * Prints `n/30 <index> <first words of the answer>` for each outcome, in the order in which they finish.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 npx tsx examples/stream.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/stream.ts`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { batchStream, Cache, Chat, HttpClientPool, OpenAi, RateLimiter, Retry } from "floodgate"

const cities = ["Oslo", "Lima", "Accra", "Hanoi", "Perth", "Quito"]
const topics = ["its weather", "its rivers", "its food", "its oldest street", "its trains"]

const requests = Stream.fromIterable(cities).pipe(
  Stream.cross(Stream.fromIterable(topics)),
  Stream.map(([city, topic]) =>
    Chat.prompt(`Tell me about ${city} and ${topic}.`, { system: "Answer in one sentence.", temperature: 0 })
  )
)

/** What stands behind every request. `OpenAILive` is the same with defaults. */
const services = Layer.mergeAll(
  Layer.provide(OpenAi.layerConfig(OpenAi.config), HttpClientPool.layer()),
  RateLimiter.layer({ domains: { "*": { requestsPerSecond: 50, requestsPerMinute: 500 } } }),
  Cache.layerMemory()
)

const program = batchStream(requests, { concurrency: 8, retry: Retry.make({ maxRetries: 5 }) }).pipe(
  Stream.zipWithIndex,
  Stream.runForEach(([{ index, outcome }, done]) =>
    Console.log(
      `${done + 1}/30`,
      index,
      Either.match(outcome, {
        onLeft: (error) => `${error._tag}: ${error.message}`,
        onRight: (response) => response.text.slice(0, 60)
      })
    )
  )
)

NodeRuntime.runMain(program.pipe(Effect.provide(services)))
