/**
 * A client of the bench over limits: asks a batch in a process of its own. It says when it is ready, starts when it is
 * told to, and tells how the batch ended.
 */
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { batch, Cache, Chat, HttpClientPool, OpenAi, Providers, RateLimiter, Router } from "floodgate"

/** What a client is to ask, and of whom. */
export interface Plan {
  /** Base URL of the API. */
  readonly url: string
  readonly requests: number
  readonly concurrency: number
  /** What the user says of the limits of the server. */
  readonly limits: RateLimiter.Limits
  /** Shares the limits with all clients of the same prefix. */
  readonly redis?: { readonly url: string; readonly prefix: string }
  /** JSON lines with a `question` each, asked in turn. Default: made-up ones of like length. */
  readonly questions?: string | undefined
  /** Makes the prompts of this client its own. */
  readonly label: string
  readonly maxTokens?: number
  /** Whether the client takes the provider for one that counts `maxTokens` on entry. Default `true`, as OpenAI. */
  readonly chargesMaxTokens?: boolean
}

/** How a batch ended. */
export interface Result {
  readonly answered: number
  readonly failures: Readonly<Record<string, number>>
  /** From the start to the last outcome. */
  readonly seconds: number
}

const plan: Plan = JSON.parse(process.argv[2] ?? "{}")
const model = "gpt-4o-mini"
const warmUpModel = "warm-up"

// as long as GSM8K's questions are in the mean
const story =
  "A baker makes 48 loaves each morning, sells half of them before noon for 3 dollars each, gives 5 to her " +
  "neighbours, and sells the others in the afternoon for 2 dollars each. How many dollars does she make in 7 days?"

const questions: ReadonlyArray<string> =
  plan.questions === undefined
    ? [story]
    : readFileSync(plan.questions, "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).question)

function* requests() {
  for (let index = 0; index < plan.requests; index++) {
    const prompt = `${questions[index % questions.length]}\n(${plan.label} ${index})`
    yield Chat.prompt(prompt, { model, ...(plan.maxTokens && { maxTokens: plan.maxTokens }) })
  }
}

const provider = Effect.map(OpenAi.make, (openAi) => ({
  ...openAi,
  chargesMaxTokens: plan.chargesMaxTokens ?? true
}))
const domains = { "*": plan.limits }

const services = Layer.mergeAll(
  Layer.provide(Providers.layer([provider]), HttpClientPool.layer()),
  Router.layer({
    endpoints: [{ provider: OpenAi.name, baseUrl: plan.url, apiKey: Redacted.make("sk-bench-key") }]
  }),
  plan.redis === undefined
    ? RateLimiter.layer({ domains })
    : RateLimiter.layerRedis({ ...plan.redis, domains }),
  Cache.layerNone
)

const told = Effect.async<void>((resume) => {
  process.once("message", () => resume(Effect.void))
})

/**
 * Asks a few outside all limits: a process's first calls open its connections and compile its code, which takes as
 * long as several requests of a limit may.
 */
const warmUp = Effect.provide(
  batch(Array.from({ length: 200 }, (_, index) => Chat.prompt(`warm-up ${index}`, { model: warmUpModel }))),
  RateLimiter.layerUnlimited
)

const run = Effect.gen(function* () {
  const context = yield* Layer.build(services)
  yield* Effect.provide(warmUp, context)
  process.send?.("ready")
  yield* told
  const start = performance.now()
  const outcomes = yield* Effect.provide(batch(requests(), { concurrency: plan.concurrency }), context)
  const seconds = (performance.now() - start) / 1_000
  const failures: Record<string, number> = {}
  let answered = 0
  for (const outcome of outcomes) {
    if (Either.isRight(outcome)) answered++
    else failures[outcome.left._tag] = (failures[outcome.left._tag] ?? 0) + 1
  }
  const result: Result = { answered, failures, seconds }
  yield* Effect.sync(() => process.send?.(result))
}).pipe(Effect.scoped)

process.on("disconnect", () => process.exit())
Effect.runPromise(run).then(() => process.disconnect())
