/** Whoever is interrupted, at whichever step: what several share goes on for the others. */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import { defaultScheduler, type Scheduler } from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import { Cache, Chat, complete, Embedding, RateLimiter, Response, Router } from "floodgate"
import { coalesce } from "../src/internal/coalesce.js"
import * as Embedder from "../src/internal/embedder.js"
import { RetryBudget } from "../src/internal/retryBudget.js"
import { pool } from "./acts.js"
import { timed } from "./virtualClock.js"

/** Interrupts its fiber as it, or one that it has begun, comes to this step of all. */
class Cut implements Scheduler {
  readonly scheduleTask = defaultScheduler.scheduleTask.bind(defaultScheduler)
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  #left: number

  constructor(step: number) {
    this.#left = step
  }

  /** Whether it came to that. */
  get isMade(): boolean {
    return this.#left <= 0
  }

  shouldYield(): number | false {
    if (--this.#left !== 0) return false
    this.fiber?.unsafeInterruptAsFork(FiberId.none)
    return 0
  }
}

interface Shared {
  /** Asks for something; the number is another for each step. */
  readonly ask: (step: number) => Effect.Effect<unknown, unknown>
  /** What is left of all who have gone: nothing. */
  readonly left?: Effect.Effect<unknown>
}

/** A minute, second by second: the clock is virtual, and each of them lets the event loop turn. */
const minute = Effect.repeatN(Effect.sleep("1 second"), 60)

const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<boolean, never, R> =>
  Effect.raceFirst(Effect.as(Effect.exit(effect), true), Effect.as(minute, false))

/** Asks, interrupted at each of its steps in turn; beside it and after it others ask, and are answered in time. */
const whoeverIsInterrupted = (made: Effect.Effect<Shared, never, Scope.Scope>) =>
  Effect.gen(function* () {
    const hung: Array<string> = []
    const { ask, left = Effect.succeed([]) } = yield* made
    const answered = (name: string, step: number) =>
      Effect.map(inTime(ask(step)), (isInTime) => {
        if (!isInTime) hung.push(`${name} ${step}`)
      })
    let step = 0
    let isMade = true
    while (isMade && hung.length === 0) {
      const cut = new Cut(++step)
      cut.fiber = yield* Effect.fork(Effect.withScheduler(ask(step), cut))
      const beside = yield* Effect.fork(answered("beside", step))
      yield* inTime(Fiber.await(cut.fiber))
      yield* answered("after", step)
      yield* Fiber.join(beside)
      isMade = cut.isMade
    }
    return { hung, steps: step, left: yield* left }
  }).pipe(Effect.scoped, timed)

const answer = Response.fromFields({
  text: "yes",
  finishReason: "stop",
  toolCalls: [],
  usage: { inputTokens: 1, outputTokens: 1 },
  model: "m",
  provider: "p",
  meta: { attempts: 0, cached: false, latencyMs: 0 }
})

const cache = Effect.map(Layer.build(Cache.layerMemory()), (services): Shared => {
  const call = Effect.as(Effect.sleep(1), answer)
  return {
    ask: (step) =>
      Context.get(services, Cache.Cache).getOrCall(`${step}`, call, { request: Chat.prompt("q") })
  }
})

const embedder = Effect.sync((): Shared => {
  const vectors = (count: number) =>
    Response.fromEncoded({
      _tag: "EmbeddingResponse" as const,
      embeddings: Array.from({ length: count }, () => [1]),
      usage: { inputTokens: count, outputTokens: 0 },
      model: "m",
      provider: "p",
      meta: { attempts: 0, cached: false, latencyMs: 0 }
    })
  const embed = Embedder.make(
    (request) => Effect.as(Effect.sleep(1), vectors(request._tag === "Embedding" ? request.input.length : 0)),
    () => ({ inputs: 10, tokens: 1_000 })
  )
  return { ask: (step) => embed(Embedding.make({ input: ["a"] }), `${step}`, undefined) }
})

const retryBudget = Effect.gen(function* () {
  const budget = new RetryBudget()
  for (let i = 0; i < 100; i++) yield* budget.take
  return { ask: () => budget.take } satisfies Shared
})

const coalesced = Effect.map(
  coalesce((items: ReadonlyArray<number>) => Effect.as(Effect.sleep(1), items), { most: 10 }),
  (ask): Shared => ({ ask })
)

const limiter = Effect.map(
  Layer.build(RateLimiter.layer({ domains: { d: { concurrency: 1, requestsPerMinute: 60_000 } } })),
  (services): Shared => {
    const limiter = Context.get(services, RateLimiter.RateLimiter)
    return {
      ask: () => limiter.withPermit("d", { inputTokens: 1, outputTokens: 1 }, () => Effect.sleep(1)),
      left: Effect.map(limiter.state("d"), ({ inUse, waiting }) => [inUse, waiting].filter((n) => n !== 0))
    }
  }
)

const endpoints = (hedge: Router.HedgeOptions | undefined) => {
  const millis = (_: number, turn: number) => ({ millis: turn > 25 && turn % 2 === 0 ? 40 : 1 })
  const { layer } = pool({ a: millis, b: millis }, { hedge, limits: { "*": { concurrency: 1 } } })
  return Effect.map(Layer.build(layer), (services): Shared => {
    const router = Context.get(services, Router.Router)
    return {
      ask: () => Effect.provide(complete(Chat.prompt("q")), services),
      left: Effect.zipWith(router.states, router.waiting, (states, waiting) =>
        [waiting, ...states.map(({ inFlight }) => inFlight)].filter((n) => n !== 0)
      )
    }
  })
}

describe("whoever is interrupted, at any step, nobody else hangs", () => {
  const all: Readonly<Record<string, Effect.Effect<Shared, never, Scope.Scope>>> = {
    cache: cache,
    embedder: embedder,
    "retry budget": retryBudget,
    "calls for many": coalesced,
    limiter: limiter,
    pool: endpoints(undefined),
    "pool with hedging": endpoints({ budget: 0.9, quantile: 0.5 })
  }
  for (const [name, made] of Object.entries(all)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const { hung, left, steps } = (yield* whoeverIsInterrupted(made)).value
        expect({ hung, left }).toEqual({ hung: [], left: [] })
        expect(steps).toBeGreaterThan(5)
      })
    )
  }
})
