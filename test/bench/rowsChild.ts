/** A child of the bench over many rows: fills a cache, answers from one, or shares one with another process. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import {
  batchStream,
  Cache,
  Chat,
  Checkpoint,
  LlmError,
  Mock,
  OpenAi,
  Providers,
  RateLimiter,
  type Request,
  Router
} from "floodgate"
import { prompt } from "./rowsFiles.js"

/** What the child does. */
export interface Plan {
  /** `fill` answers all itself, `replay` answers none itself, `share` answers after 30 ms once it is told to start. */
  readonly kind: "fill" | "replay" | "share"
  readonly rows: number
  readonly concurrency: number
  readonly cache: { readonly filename: string } | { readonly url: string; readonly prefix: string }
  /** Where the outcomes go. Default: nowhere. */
  readonly output?: string
}

export interface Report {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  /** Questions that the cache did not answer. */
  readonly calls: number
  /** Requests that failed, and answers that belong to another question. */
  readonly wrong: number
  readonly warnings: ReadonlyArray<string>
  /** The longest that the event loop stood still, in milliseconds. */
  readonly stall: number
}

const plan: Plan = JSON.parse(process.argv[2] ?? "{}")
let calls = 0

const promptOf = (request: Request.Request): string => {
  const content = "messages" in request ? request.messages[0]?.content : undefined
  return typeof content === "string" ? content : ""
}

const answer = (request: Request.Request) =>
  Effect.suspend(() => {
    calls++
    const response = Effect.succeed(Mock.response(promptOf(request)))
    switch (plan.kind) {
      case "fill":
        return response
      case "share":
        return Effect.delay(response, "30 millis")
      case "replay":
        return Effect.fail(new LlmError.InvalidRequestError({ provider: OpenAi.name, message: "not stored" }))
    }
  })

/** As the command line has it against a server on this machine, so that its questions are the same. */
const endpoint = {
  provider: OpenAi.name,
  baseUrl: "http://127.0.0.1/v1",
  apiKey: Redacted.make("sk-bench-key"),
  model: "sim-1"
}

const services = Layer.mergeAll(
  Layer.succeed(Providers.Providers, Providers.make([Providers.fromFunction(OpenAi.name, answer)])),
  Router.layer({ endpoints: [endpoint] }),
  RateLimiter.layer(),
  Layer.orDie("filename" in plan.cache ? Cache.layerSqlite(plan.cache) : Cache.layerRedis(plan.cache))
)

function* questions(): Generator<Chat> {
  for (let index = 0; index < plan.rows; index++) yield Chat.prompt(prompt(index))
}

const warnings: Array<string> = []
const started = new Promise<void>((resolve) => {
  if (plan.kind !== "share") return resolve()
  process.once("message", () => resolve())
})

const run = Effect.gen(function* () {
  yield* Cache.Cache
  process.send?.("ready")
  yield* Effect.promise(() => started)
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const before = process.cpuUsage()
  const start = performance.now()
  let wrong = 0
  const options = { concurrency: plan.concurrency }
  const settled =
    plan.output === undefined
      ? batchStream(questions(), options)
      : batchStream(questions(), { ...options, checkpoint: Checkpoint.layerFile(plan.output) })
  yield* Stream.runForEach(settled, ({ index, outcome }) =>
    Effect.sync(() => {
      if (Either.isLeft(outcome) || outcome.right.text !== prompt(index)) wrong++
    })
  )
  const { system, user } = process.cpuUsage(before)
  return {
    seconds: (performance.now() - start) / 1_000,
    cpuSeconds: (system + user) / 1e6,
    peakRssBytes: process.resourceUsage().maxRSS * 1_024,
    calls,
    wrong,
    warnings,
    stall: delay.max / 1e6
  } satisfies Report
}).pipe(
  Effect.provide(services),
  Effect.provide(
    Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => void warnings.push(String(message)))
    )
  )
)

Effect.runPromise(run).then((told) => process.send?.(told, () => process.exit()))
