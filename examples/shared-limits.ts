/**
 * Limits that hold for several processes together: each counts in the same Redis, which decides on its own clock.
 *
 * This program starts itself a second time. Each asks 20 questions at once, under 20 requests a second: from the first
 * of the 40 to the last it takes about two seconds. Prints a line of each process, in whichever order, such as
 * `first: 20 answered in 1.6 s` and `second: 20 answered in 1.8 s`. Alone, each would be done after one.
 *
 * Run it with the package `ioredis` and a Redis (`REDIS_URL`, by default `redis://127.0.0.1:6379`), against the simulator
 * (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 \
 *       npx tsx examples/shared-limits.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/shared-limits.ts`.
 */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { batch, Cache, Chat, HttpClientPool, OpenAi, RateLimiter } from "floodgate"

const [, , name = "first"] = process.argv

/** What the processes agree on: the Redis, the prefix of its keys, the limits. Without the Redis nothing is asked. */
const LimitsLive = Layer.unwrapEffect(
  Effect.map(
    Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://127.0.0.1:6379")),
    (url) =>
      RateLimiter.layerRedis({ url, prefix: "shared-limits:", domains: { "*": { requestsPerSecond: 20 } } })
  )
)

const services = Layer.mergeAll(
  Layer.provide(OpenAi.layerConfig(OpenAi.config), HttpClientPool.layer()),
  LimitsLive,
  Cache.layerMemory()
)

const requests = Array.from({ length: 20 }, (_, n) => Chat.prompt(`What does the ${name} know of ${n}?`))

const work = Effect.gen(function* () {
  const [took, outcomes] = yield* Effect.timed(batch(requests))
  const seconds = Duration.toSeconds(took).toFixed(1)
  yield* Console.log(`${name}: ${outcomes.filter(Either.isRight).length} answered in ${seconds} s`)
}).pipe(Effect.provide(services))

class SecondFailed extends Data.TaggedError("SecondFailed")<{ readonly code: number | null }> {}

/** Runs this program once more, to its end. */
const second = Effect.async<void, SecondFailed>((resume) => {
  const child = fork(fileURLToPath(import.meta.url), ["second"])
  child.once("exit", (code) => resume(code === 0 ? Effect.void : new SecondFailed({ code })))
  return Effect.sync(() => child.kill())
})

NodeRuntime.runMain(name === "first" ? Effect.all([work, second], { concurrency: 2, discard: true }) : work)
