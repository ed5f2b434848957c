/** The bench's cases over floodgate. Raw undici, which they are compared with, is in rawPool.ts. */
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  batch,
  batchStream,
  Cache,
  Chat,
  Checkpoint,
  complete,
  HttpClientPool,
  OpenAi,
  type Outcome,
  RateLimiter,
  Router
} from "floodgate"
import { check, model, prompt } from "./prompts.js"

/** One run of one case. */
export interface Plan {
  readonly case: CaseName
  /** The server, without a path. */
  readonly origin: string
  readonly requests: number
  readonly concurrency: number
  /** Where the cache and the checkpoints are kept. */
  readonly folder: string
}

/** Asks this many questions, each once; the label tells the warm-up's from the others. Dies of a wrong answer. */
export type Ask = (label: string, requests: number) => Effect.Effect<void>

export type Case = (plan: Plan) => Effect.Effect<Ask, never, Scope.Scope>

const checkOutcome = (label: string, index: number, outcome: Outcome.Outcome): void =>
  check(label, index, Either.getOrThrowWith(outcome, (error) => error).text)

const question = (label: string, index: number): Chat => Chat.prompt(prompt(label, index), { model })

function* questions(label: string, requests: number): Generator<Chat> {
  for (let index = 0; index < requests; index++) yield question(label, index)
}

type Services = Layer.Layer.Success<ReturnType<typeof services>>

/** All that floodgate needs, as `OpenAILive` has it, but for the endpoint and the cache. */
const services = (plan: Plan, cache: Layer.Layer<Cache.Cache, unknown>) =>
  Layer.mergeAll(
    Layer.provide(OpenAi.layer, HttpClientPool.layer()),
    Router.layer({
      endpoints: [{ provider: OpenAi.name, baseUrl: `${plan.origin}/v1`, apiKey: Redacted.make("sk-bench") }]
    }),
    RateLimiter.layer(),
    Layer.orDie(cache)
  )

const overFloodgate = (
  plan: Plan,
  cache: Layer.Layer<Cache.Cache, unknown>,
  ask: (label: string, requests: number) => Effect.Effect<void, unknown, Services>
): Effect.Effect<Ask, never, Scope.Scope> =>
  Effect.map(
    Layer.build(services(plan, cache)),
    (context): Ask =>
      (label, requests) =>
        Effect.provide(Effect.orDie(ask(label, requests)), context)
  )

const withoutCache: Case = (plan) =>
  overFloodgate(plan, Cache.layerNone, (label, requests) =>
    Effect.forEach(
      Array.from({ length: requests }, (_, index) => index),
      (index) =>
        Effect.map(complete(question(label, index)), (response) => check(label, index, response.text)),
      { concurrency: plan.concurrency, discard: true }
    )
  )

const sqlite = ({ folder }: Plan) => Cache.layerSqlite({ filename: join(folder, "cache.sqlite") })

const checkpoint = (plan: Plan, label: string) =>
  Checkpoint.layerFile(join(plan.folder, `${plan.case}-${label}.jsonl`))

/** With the cache in the plan's folder: the second run there finds every answer, and its checkpoint is new. */
const batched: Case = (plan) =>
  overFloodgate(plan, sqlite(plan), (label, requests) =>
    Effect.map(
      batch(questions(label, requests), {
        concurrency: plan.concurrency,
        checkpoint: checkpoint(plan, label)
      }),
      (outcomes) => {
        for (const [index, outcome] of outcomes.entries()) checkOutcome(label, index, outcome)
      }
    )
  )

const streamed: Case = (plan) =>
  overFloodgate(plan, sqlite(plan), (label, requests) =>
    Stream.runForEach(
      batchStream(questions(label, requests), {
        concurrency: plan.concurrency,
        checkpoint: checkpoint(plan, label)
      }),
      ({ index, outcome }) => Effect.sync(() => checkOutcome(label, index, outcome))
    )
  )

export const cases = { withoutCache, batched, cached: batched, streamed } satisfies Record<string, Case>

export type CaseName = "raw" | keyof typeof cases
