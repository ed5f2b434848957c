/**
 * How to test a program that is spread over several endpoints, without a network: its own tasks over a router and a
 * provider that are swapped by Layers. What the program does when endpoints fail is a matter of milliseconds.
 *
 * Prints vitest's report of four tests that pass. Run it with `npx vitest run examples/router-app.test.ts`.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Cache, type Endpoint, LlmError, Mock, Providers, RateLimiter, type Request, Router } from "floodgate"
import { tasks, work } from "./router-app.js"

type Answer = (
  request: Request.Request,
  endpoint: Endpoint.Endpoint
) => Effect.Effect<string, LlmError.LlmError>

const at = (id: string, model: string) => ({ id, provider: "test", baseUrl: `test://${id}`, model })

/** The program's tasks over endpoints that answer by this function. */
const TestRouter = Router.layer({
  endpoints: [at("mini", "small"), at("nano", "smaller"), at("north", "large"), at("south", "large")],
  tasks
})

const TestApp = (answer: Answer, router = TestRouter) => {
  const asked: Array<string> = []
  const provider = Providers.fromFunction("test", (request, endpoint) =>
    Effect.suspend(() => {
      asked.push(endpoint.id)
      return Effect.map(answer(request, endpoint), (text) => Mock.response(text))
    })
  )
  const layer = Layer.mergeAll(
    Layer.succeed(Providers.Providers, Providers.make([provider])),
    router,
    RateLimiter.layerUnlimited,
    Cache.layerNone
  )
  return { asked, layer }
}

const tickets = Array.from({ length: 6 }, (_, i) => ({ id: `t${i}`, text: `Ticket ${i}` }))

/** What a healthy endpoint says. */
const healthy: Answer = (request, { id }) =>
  Effect.succeed(request._tag === "Chat" && request.maxTokens === 5 ? "bug" : `Dear customer, says ${id}.`)

describe("the app", () => {
  it.effect("sorts by the small models in turn, and answers by the first of the large", () =>
    Effect.gen(function* () {
      const { asked, layer } = TestApp(healthy)
      const drafts = yield* Effect.provide(work(tickets), layer)
      expect(drafts[0]).toEqual({ id: "t0", kind: "bug", answer: "Dear customer, says north." })
      const counts = (id: string) => asked.filter((one) => one === id).length
      expect(["mini", "nano", "north", "south"].map(counts)).toEqual([3, 3, 6, 0])
    })
  )

  it.effect("answers from the south while the north is down, and stops asking it", () =>
    Effect.gen(function* () {
      const { asked, layer } = TestApp((request, endpoint) =>
        endpoint.id === "north"
          ? Effect.fail(new LlmError.ServerError({ provider: "test", message: "maintenance" }))
          : healthy(request, endpoint)
      )
      const drafts = yield* Effect.provide(work(tickets), layer)
      expect(new Set(drafts.map(({ answer }) => answer))).toEqual(new Set(["Dear customer, says south."]))
      expect(asked.filter((id) => id === "north").length).toBeLessThanOrEqual(tickets.length)
    })
  )

  it.effect("goes on without an answer where nobody gives one", () =>
    Effect.gen(function* () {
      const blocked = new LlmError.ContentFilterError({ provider: "test", message: "blocked" })
      const { layer } = TestApp(() => Effect.fail(blocked))
      const drafts = yield* Effect.provide(work(tickets), layer)
      expect(drafts).toHaveLength(6)
      expect(drafts.every(({ answer, kind }) => answer === undefined && kind === undefined)).toBe(true)
    })
  )

  it.effect("runs over another router as it is", () =>
    Effect.gen(function* () {
      const one = Router.layer({
        endpoints: [at("only", "large")],
        tasks: { sort: { parameters: { maxTokens: 5 } }, answer: {} }
      })
      const { asked, layer } = TestApp(healthy, one)
      const drafts = yield* Effect.provide(work(tickets.slice(0, 1)), layer)
      expect(drafts).toEqual([{ id: "t0", kind: "bug", answer: "Dear customer, says only." }])
      expect(new Set(asked)).toEqual(new Set(["only"]))
    })
  )
})
