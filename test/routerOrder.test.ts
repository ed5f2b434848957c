import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import { batch, Chat, complete, Retry } from "floodgate"
import { type Act, failures, pool, requests } from "./acts.js"
import { timed } from "./virtualClock.js"

const limits = { a: { concurrency: 2 }, b: { concurrency: 2 } }
const well = () => ({ millis: 100 })
/** Fails its first call, after half of the time that others take. */
const failsOnce = (_: number, turn: number): Act =>
  turn === 0 ? { millis: 50, error: failures.serverError } : { millis: 100 }

describe("those who wait", () => {
  it.effect("a request that failed is asked elsewhere before those that came after it", () =>
    Effect.gen(function* () {
      const { calls, layer } = pool({ a: failsOnce, b: well }, { limits })
      const { value } = yield* timed(
        // ten seconds of work
        Effect.provide(batch(requests(400), { concurrency: 20, deadline: "1 second" }), layer)
      )
      expect(value.every(Either.isRight)).toBe(true)
      expect(calls.filter(({ text }) => text === "q0")).toEqual([
        { id: "a", at: 0, text: "q0" },
        { id: "b", at: 100, text: "q0" }
      ])
    })
  )

  it.effect("also where hundreds wait already", () =>
    Effect.gen(function* () {
      const { calls, layer } = pool({ a: failsOnce, b: well }, { limits })
      yield* timed(
        Effect.provide(
          Effect.forEach(requests(400), (request) => complete(request), { concurrency: "unbounded" }),
          layer
        )
      )
      expect(calls.filter(({ text }) => text === "q0").map(({ at }) => at)).toEqual([0, 100])
    })
  )

  it.effect("a task of few endpoints gets its turn while a batch uses them all", () =>
    Effect.gen(function* () {
      const { layer } = pool({ a: well, b: well }, { limits, tasks: { one: { endpoints: ["a"] } } })
      const { value } = yield* timed(
        Effect.gen(function* () {
          const main = yield* Effect.fork(batch(requests(400), { concurrency: 20 }))
          yield* Effect.sleep(50)
          yield* complete(Chat.prompt("urgent", { task: "one" }))
          const doneAt = yield* Clock.currentTimeMillis
          yield* Fiber.interrupt(main)
          return doneAt
        }).pipe(Effect.provide(layer))
      )
      // 16 wait before it, and four are asked at once
      expect(value).toBeLessThanOrEqual(600)
    })
  )

  const allowed = { one: ["a"], two: ["a", "b"], all: ["a", "b", "c"] } as const
  const kinds = ["one", "two", "all", "all"] as const

  it.effect.prop(
    "nobody is overtaken at an endpoint that could have answered it",
    [FastCheck.array(FastCheck.integer({ min: 0, max: 39 }), { minLength: 40, maxLength: 80 })],
    ([dice]) =>
      Effect.gen(function* () {
        const ends: Array<number> = []
        const act = (now: number): Act => {
          const die = dice[ends.length % dice.length] ?? 0
          const millis = 20 + die * 7
          ends.push(now + millis)
          return { millis, error: die % 5 === 0 ? failures.serverError : undefined }
        }
        const { calls, layer } = pool(
          { a: act, b: act, c: act },
          {
            limits: { "*": { concurrency: 2 } },
            health: { failures: 1_000, failureShare: 2 },
            tasks: { one: { endpoints: ["a"] }, two: { endpoints: ["a", "b"] }, all: {} }
          }
        )
        const kindOf = (index: number) => kinds[(dice[index % dice.length] ?? 0) % kinds.length] ?? "all"
        const came: Array<number> = []
        const ask = (_: unknown, index: number) =>
          Effect.zipRight(
            Effect.map(Clock.currentTimeMillis, (now) => {
              came[index] = now
            }),
            complete(Chat.prompt(`${index}`, { task: kindOf(index) }), {
              retry: Retry.make({ maxRetries: "forever" })
            })
          )
        yield* timed(Effect.provide(Effect.forEach(Array(100).fill(0), ask, { concurrency: 15 }), layer))
        const asked = calls.map(({ at, id, text }, i) => ({ at, id, index: Number(text), end: ends[i] ?? 0 }))
        for (const [index, from] of came.entries()) {
          const endpoints: ReadonlyArray<string> = allowed[kindOf(index)]
          const own = asked.filter((call) => call.index === index)
          // until all were asked it goes on at once
          for (const [turn, call] of own.slice(0, endpoints.length).entries()) {
            const since = own[turn - 1]?.end ?? from
            const open = endpoints.filter((id) => own.slice(0, turn).every((before) => before.id !== id))
            const overtook = asked.filter(
              ({ at, id, index: other }) =>
                at > since && at < call.at && open.includes(id) && (came[other] ?? 0) > from
            )
            expect(overtook).toEqual([])
          }
        }
      }),
    { fastCheck: { numRuns: 5 } }
  )
})
