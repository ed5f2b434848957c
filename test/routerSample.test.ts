import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import {
  batch,
  Cache,
  Chat,
  Checkpoint,
  complete,
  Mock,
  Providers,
  RateLimiter,
  type Request,
  Router,
  Strategy
} from "floodgate"
import { requests } from "./acts.js"

const at = (id: string, more: object = {}) => ({ id, provider: "p", baseUrl: `p://${id}`, ...more })

const two = [at("a", { model: "mini" }), at("b", { model: "big" })] as const

/** Endpoints that answer with the model they were asked for. */
const services = (options: Router.Options) => {
  const asked: Array<string> = []
  const provider = Providers.fromFunction("p", ({ model = "" }, { id }) =>
    Effect.sync(() => {
      asked.push(`${id} ${model}`)
      return Mock.response(model, { model, provider: "p" })
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

const drawer = (options: Router.Options) => {
  const { resolve } = Router.make(options)
  return (request: Request.Request) => Effect.runSync(resolve(request)).request.model ?? ""
}

const drawn = (models: ReadonlyArray<string>, model: string) =>
  models.filter((one) => one === model).length / models.length

const ask = (text: string, more: object = {}) => Chat.prompt(text, more)

describe("Strategy.sample", () => {
  it("is within one percent of the weights over 10,000", () => {
    const draw = drawer({ endpoints: two, strategy: Strategy.sample({ mini: 1, big: 2 }) })
    expect(Math.abs(drawn(requests(10_000).map(draw), "mini") - 1 / 3)).toBeLessThan(0.01)
  })

  it("depends on the question alone, and on the seed", () => {
    const strategy = Strategy.sample({ mini: 1, big: 1 })
    const draw = drawer({ endpoints: two, strategy })
    const models = requests(200).map(draw)
    expect(requests(200).reverse().map(draw).reverse()).toEqual(models)
    const labelled = Array.from({ length: 200 }, (_, i) => ask(`q${i}`, { id: `${i}`, metadata: { i } }))
    expect(labelled.map(draw)).toEqual(models)
    const samples = Array.from({ length: 50 }, (_, sample) => draw(ask("q", { cache: { sample } })))
    expect(new Set(samples)).toEqual(new Set(["mini", "big"]))
    const other = drawer({ endpoints: two, strategy: Strategy.sample({ mini: 1, big: 1 }, { seed: 7 }) })
    expect(requests(200).map(other)).not.toEqual(models)
    const routers = drawer({ endpoints: two, strategy, seed: 7 })
    expect(requests(200).map(routers)).toEqual(requests(200).map(other))
  })

  it("moves no more requests than other weights demand", () => {
    const before = requests(2_000).map(
      drawer({ endpoints: two, strategy: Strategy.sample({ mini: 1, big: 1 }) })
    )
    const after = requests(2_000).map(
      drawer({ endpoints: two, strategy: Strategy.sample({ mini: 1, big: 2 }) })
    )
    const moved = after.filter((model, i) => model !== before[i])
    expect(new Set(moved)).toEqual(new Set(["big"]))
    expect(Math.abs(moved.length / 2_000 - 1 / 6)).toBeLessThan(0.03)
  })

  it.effect(
    "asks only endpoints of the drawn model, in turn; a model that a request names is left alone",
    () =>
      Effect.gen(function* () {
        const { asked, layer } = services({
          endpoints: [...two, at("c", { model: "big" })],
          strategy: Strategy.sample()
        })
        yield* Effect.provide(
          batch([...requests(60), ask("x", { model: "mini" })], { concurrency: 1 }),
          layer
        )
        expect(new Set(asked)).toEqual(new Set(["a mini", "b big", "c big"]))
        expect(asked.at(-1)).toBe("a mini")
        const big = asked.filter((one) => one.endsWith("big"))
        expect(Math.abs(drawn(big, "b big") - 0.5)).toBeLessThan(0.03)
      })
  )

  it.effect("the short form stands for it: of an endpoint, of a request, of a task", () =>
    Effect.gen(function* () {
      const spread = services({ endpoints: [at("x", { model: "mini:1+big:3" })] })
      yield* Effect.provide(batch(requests(100)), spread.layer)
      expect(new Set(spread.asked)).toEqual(new Set(["x/mini mini", "x/big big"]))
      expect(drawn(spread.asked, "x/big big")).toBeGreaterThan(0.6)

      const open = services({
        endpoints: [at("x")],
        tasks: { label: { parameters: { model: "mini:1+big:1" } } }
      })
      yield* Effect.provide(batch(requests(30).map((_, i) => ask(`${i}`, { model: "m:1+n:1" }))), open.layer)
      expect(new Set(open.asked)).toEqual(new Set(["x m", "x n"]))
      open.asked.length = 0
      yield* Effect.provide(batch(requests(30), { task: "label" }), open.layer)
      expect(new Set(open.asked)).toEqual(new Set(["x mini", "x big"]))
      // tags of Ollama are no weights
      open.asked.length = 0
      yield* Effect.provide(complete(ask("q", { model: "llama3:8b" })), open.layer)
      expect(open.asked).toEqual(["x llama3:8b"])
    })
  )

  it.effect("a weight of 0 is never drawn, and what is stored of its model is kept; all 0 is told", () =>
    Effect.gen(function* () {
      const open = services({ endpoints: [at("x")] })
      yield* Effect.provide(batch(requests(30).map((_, i) => ask(`${i}`, { model: "m:0+n:1" }))), open.layer)
      expect(new Set(open.asked)).toEqual(new Set(["x n"]))
      const { endpoints, resolve } = Router.make({ endpoints: [at("x", { model: "mini:0+big:3" })] })
      expect(endpoints.map(({ id }) => id)).toEqual(["x/big"])
      expect((yield* resolve(ask("q"))).request.model).toBe("big")
      const { others } = yield* Router.make({ endpoints: two }).resolve(ask("q", { model: "m:0+n:1+o:0" }))
      expect(new Set(others)).toEqual(new Set(["m", "o"]))

      const none = 'No model can be drawn from "m:0+n:0": its weights add up to 0'
      const ofRequest = Router.make({ endpoints: two }).resolve(ask("q", { model: "m:0+n:0" }))
      const ofEndpoint = Router.make({ endpoints: [at("x", { model: "m:0+n:0" })] }).resolve(ask("q"))
      for (const told of [ofRequest, ofEndpoint]) {
        expect(yield* Effect.flip(told)).toMatchObject({ _tag: "InvalidRequestError", message: none })
      }
    })
  )

  it.effect("tells of what cannot be drawn", () =>
    Effect.gen(function* () {
      const told = (strategy: Strategy.Strategy) =>
        Effect.map(Effect.flip(Router.make({ endpoints: two, strategy }).resolve(ask("q"))), (e) => e.message)
      expect(yield* told(Strategy.sample({ mini: 1, bgi: 2 }))).toContain(
        `"bgi", which is no model of: mini, big`
      )
      expect(yield* told(Strategy.sample({ mini: 0, big: 2 }))).toContain("must be a number greater than 0")
      expect(yield* told(Strategy.fallback([Strategy.sample(), "a"]))).toContain("cannot be within another")
    })
  )

  it.scoped("a resumed run keeps its assignments, also when the weights have changed", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "floodgate-sample-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const file = join(folder, "out.jsonl")
      const run = (count: number, weights: Readonly<Record<string, number>>) => {
        const { asked, layer } = services({ endpoints: two, strategy: Strategy.sample(weights) })
        return Effect.provide(batch(requests(count), { checkpoint: Checkpoint.layerFile(file) }), layer).pipe(
          Effect.map((outcomes) => ({
            asked: asked.length,
            models: outcomes.map((outcome) => Either.getOrThrow(outcome).model)
          }))
        )
      }
      const first = yield* run(60, { mini: 1, big: 1 })
      expect(first.asked).toBe(60)
      const again = yield* run(80, { mini: 1, big: 1 })
      expect(again.asked).toBe(20)
      expect(again.models.slice(0, 60)).toEqual(first.models)
      const changed = yield* run(100, { mini: 1, big: 99 })
      expect(changed.asked).toBe(20)
      expect(changed.models.slice(0, 80)).toEqual(again.models)
      expect(drawn(changed.models.slice(80), "big")).toBeGreaterThan(0.8)
      expect(readFileSync(file, "utf8").trimEnd().split("\n")).toHaveLength(100)
    })
  )
})
