import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  Budget,
  batch,
  Cache,
  Chat,
  Completion,
  complete,
  Embedding,
  type Endpoint,
  Mock,
  Providers,
  RateLimiter,
  type Request,
  Rerank,
  Router,
  Strategy,
  type Task
} from "floodgate"
import { cacheKey } from "../src/internal/cacheKey.js"
import { failures } from "./acts.js"

const at = (id: string, more: Partial<Endpoint.Options> = {}) => ({
  id,
  provider: "p",
  baseUrl: `p://${id}`,
  source: "p",
  ...more
})

/** Endpoints of which those in `ill` fail, and what each was asked. */
const services = (options: Router.Options, ill: ReadonlyArray<string> = []) => {
  const asked: Array<{ readonly id: string; readonly request: Request.Request }> = []
  const provider = Providers.fromFunction("p", (request, { id }) =>
    Effect.suspend(() => {
      asked.push({ id, request })
      return ill.includes(id)
        ? Effect.fail(failures.serverError)
        : Effect.succeed(Mock.response("yes", { model: "m", provider: "p" }))
    })
  )
  const layer = Layer.mergeAll(
    Layer.succeed(Providers.Providers, Providers.make([provider])),
    Router.layer(options),
    RateLimiter.layerUnlimited,
    Cache.layerNone
  )
  return { asked, layer }
}

const keyer = (endpoints: Router.Options["endpoints"], options: Omit<Router.Options, "endpoints"> = {}) => {
  const { resolve } = Router.make({ ...options, endpoints })
  return (request: Request.Request, task?: string) => cacheKey(Effect.runSync(resolve(request, task)))
}

const ask = (fields: object = {}) => Chat.prompt("q", fields)

describe("an endpoint's parameters", () => {
  const cold = at("a", { model: "m", parameters: { temperature: 0, maxTokens: 9 } })

  it.effect("come after the request's and the task's", () =>
    Effect.gen(function* () {
      const { asked, layer } = services({
        endpoints: [at("a", { model: "m", parameters: { temperature: 0, maxTokens: 9, seed: 1 } })],
        tasks: { t: { parameters: { maxTokens: 5, seed: 2 } } }
      })
      yield* Effect.provide(complete(ask({ seed: 3 }), { task: "t" }), layer)
      expect(asked[0]?.request).toMatchObject({ temperature: 0, maxTokens: 5, seed: 3 })
    })
  )

  it.effect("differ by endpoint: each request has those of the one that it comes to", () =>
    Effect.gen(function* () {
      const { asked, layer } = services(
        {
          endpoints: [
            at("a", { model: "m", parameters: { temperature: 0, topP: 0.5 } }),
            at("b", { model: "n", parameters: { maxTokens: 7, topP: 0.5 } })
          ],
          strategy: "fallback"
        },
        ["a"]
      )
      yield* Effect.provide(complete(ask()), layer)
      expect(asked.map(({ id }) => id)).toEqual(["a", "b"])
      expect(asked[0]?.request).toMatchObject({ temperature: 0, topP: 0.5 })
      expect(asked[0]?.request).not.toHaveProperty("maxTokens")
      expect(asked[1]?.request).toMatchObject({ maxTokens: 7, topP: 0.5 })
      expect(asked[1]?.request).not.toHaveProperty("temperature")
    })
  )

  it("that all agree on count as the request's own", () => {
    const asAsked = keyer([at("a", { model: "m" })])(ask({ temperature: 0, maxTokens: 9 }))
    expect(keyer([cold])(ask())).toBe(asAsked)
    expect(keyer([cold, at("b", { model: "m", parameters: { maxTokens: 9, temperature: 0 } })])(ask())).toBe(
      asAsked
    )
    expect(keyer([cold])(ask())).not.toBe(keyer([at("a", { model: "m" })])(ask()))
  })

  it("that differ are part of the key, whatever their order, unless the request says it itself", () => {
    const warm = at("b", { model: "m", parameters: { temperature: 1, maxTokens: 9 } })
    const key = keyer([cold, warm])(ask())
    expect(key).toBe(keyer([{ ...warm, source: "p" }, cold, { ...cold, id: "c" }])(ask()))
    expect(key).not.toBe(keyer([cold])(ask()))
    expect(key).not.toBe(keyer([warm])(ask()))
    expect(key).not.toBe(keyer([cold, at("b", { model: "m" })])(ask()))
    expect(keyer([cold, warm])(ask({ temperature: 0.5 }))).toBe(keyer([cold])(ask({ temperature: 0.5 })))
    // whoever names the model, or the task, is not asked of the others
    const other = at("b", { model: "n", parameters: { temperature: 1 } })
    expect(keyer([cold, other])(ask({ model: "m" }))).toBe(keyer([cold])(ask()))
    const tasks = { t: { endpoints: ["a"] } }
    expect(keyer([cold, other], { tasks })(ask(), "t")).toBe(keyer([cold])(ask()))
    // which model says what
    const swapped = [
      at("a", { model: "m", parameters: { temperature: 1 } }),
      at("b", { model: "n", parameters: { temperature: 0, maxTokens: 9 } })
    ] as const
    expect(keyer(swapped)(ask())).not.toBe(keyer([cold, other])(ask()))
  })

  it("of drawn models leave the answer of another draw to be found", () => {
    const endpoints = [cold, at("b", { model: "n", parameters: { temperature: 1 } })] as const
    const drawn = (weights: Readonly<Record<string, number>>) =>
      Effect.runSync(Router.make({ endpoints, strategy: Strategy.sample(weights) }).resolve(ask()))
    const one = drawn({ m: 1, n: 1e-9 })
    const other = drawn({ m: 1e-9, n: 1 })
    expect([one.request.model, other.request.model]).toEqual(["m", "n"])
    expect(other.others).toEqual(["m"])
    expect(
      cacheKey({
        request: Chat.prompt("q", { model: "m" }),
        source: other.source
      })
    ).toBe(cacheKey(one))
  })

  it.effect("bound what a request may cost", () =>
    Effect.gen(function* () {
      const price = { input: 1, output: 1 }
      const endpoints = [
        at("a", { model: "m", price, parameters: { maxTokens: 5 } }),
        at("b", { model: "m", price, parameters: { maxTokens: 6 } })
      ] as const
      const { asked, layer } = services({ endpoints })
      const budget = yield* Budget.make({ usd: 0.01 })
      yield* Effect.provide(complete(ask(), { budget }), layer)
      expect(asked[0]?.request).toMatchObject({ maxTokens: 5 })
    })
  )
})

describe("a task's parameters for other kinds", () => {
  const asking = (task: Task.Task, request: Request.Request) => {
    const { asked, layer } = services({
      endpoints: [at("a", { model: "m", parameters: { temperature: 0, seed: 1 } })],
      tasks: { t: task }
    })
    return Effect.map(Effect.either(Effect.provide(batch([request], { task: "t" }), layer)), (outcomes) => ({
      asked: asked.map(({ request }) => request),
      outcome: outcomes
    }))
  }

  it.effect("fill what the kind has", () =>
    Effect.gen(function* () {
      const completion = yield* asking(
        { parameters: { temperature: 0.5, maxTokens: 5, model: "m" } },
        new Completion({ prompt: "q" })
      )
      // an endpoint's are for the kinds that have them
      expect(completion.asked).toMatchObject([{ temperature: 0.5, maxTokens: 5, seed: 1 }])
      const embedding = yield* asking({ parameters: { dimensions: 8 } }, new Embedding({ input: ["q"] }))
      expect(embedding.asked).toMatchObject([{ dimensions: 8 }])
      expect(embedding.asked[0]).not.toHaveProperty("temperature")
      const rerank = yield* asking(
        { parameters: { topN: 1 } },
        new Rerank({ query: "q", documents: ["a", "b"] })
      )
      expect(rerank.asked).toMatchObject([{ topN: 1 }])
    })
  )

  it.effect("are told of where it has no such field", () =>
    Effect.gen(function* () {
      const task = { system: "Be brief.", parameters: { temperature: 0 } }
      const request = new Embedding({ input: ["q"] })
      const { asked, outcome } = yield* asking(task, request)
      expect(asked).toEqual([])
      expect(outcome).toMatchObject({
        right: [
          {
            left: {
              _tag: "UnsupportedError",
              feature: "temperature",
              message: expect.stringContaining(`The task "t" gives temperature, system, which`)
            }
          }
        ]
      })
      const dropped = yield* asking(task, new Embedding({ input: ["q"], unsupported: "drop" }))
      expect(dropped.asked).toHaveLength(1)
    })
  )
})
