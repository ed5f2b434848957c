import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { batch, Chat, Checkpoint, Ledger, LlmError, Mock, Prices, Retry, Router } from "floodgate"

let folder = ""
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "floodgate-ledger-"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const usage = { inputTokens: 10, outputTokens: 10 }
const each = 7_500_000n
const dollars = (attempts: number): number => Number(each * BigInt(attempts)) / 1e12

const services = (reply: (request: Chat) => Mock.Answer) =>
  Layer.mergeAll(
    Mock.layer(reply),
    Router.layer({ endpoints: [{ provider: Mock.name, baseUrl: "mock://", model: "priced" }] }),
    Prices.layer({ add: { "mock/priced": { input: 0.15, output: 0.6 } } }),
    Ledger.layer
  )

const answer = () => Mock.response("yes", { usage, model: "priced" })
const requests = Array.from({ length: 40 }, (_, i) => Chat.prompt(`question ${i}`))
const summary = Effect.flatMap(Ledger.Ledger, ({ summary }) => summary)
const retry = Retry.make({ maxRetries: 5, base: "1 millis", cap: "2 millis" })

const run = (path: string, reply: (request: Chat) => Mock.Answer = answer) =>
  Effect.gen(function* () {
    yield* batch(requests, { concurrency: 4, retry, checkpoint: Checkpoint.layerFile(path) })
    return yield* summary
  }).pipe(Effect.provide(services(reply)))

it.live("with a checkpoint it holds what every run paid that was killed, whenever that was", () =>
  Effect.gen(function* () {
    const path = join(folder, "killed.jsonl")
    let calls = 0
    const kills: Array<{ readonly at: string; readonly calls: number }> = []
    yield* run(path, () =>
      Effect.suspend(() => {
        calls++
        // what a kill would leave, at this moment
        if (calls % 13 === 0) {
          const at = join(folder, `left-${calls}.jsonl`)
          copyFileSync(path, at)
          copyFileSync(`${path}.journal`, `${at}.journal`)
          kills.push({ at, calls })
        }
        return calls % 5 === 0
          ? Effect.fail(new LlmError.ServerError({ provider: "mock", message: "broken", usage }))
          : Effect.succeed(answer())
      })
    )
    expect(kills.length).toBeGreaterThan(2)
    for (const { at, calls } of kills) {
      const durable = readFileSync(at, "utf8").split("\n").length - 1
      const made = { calls: 0 }
      const {
        earlier,
        outcomeUnknown,
        requests: settled,
        total
      } = yield* run(at, () => {
        made.calls++
        return answer()
      })
      expect(made.calls).toBe(40 - durable)
      // the calls of a row are written before it, and those of the moment may be missing
      expect(earlier.attempts).toBeGreaterThanOrEqual(durable)
      expect(earlier.attempts).toBeLessThan(calls)
      expect(earlier.attempts).toBeGreaterThanOrEqual(calls - 8)
      expect(outcomeUnknown).toBeGreaterThan(0)
      expect(total.attempts).toBe(earlier.attempts + made.calls)
      expect(total.cost).toBe(dollars(total.attempts))
      expect(settled.resumed).toBe(durable)
      // an answer whose row was lost was one all the same
      expect(settled.answered).toBeGreaterThanOrEqual(40)
      expect(settled.answered).toBeLessThanOrEqual(44)
      // after the end of the last run nothing is left but the rows
      expect(existsSync(`${at}.journal`)).toBe(false)
    }
  })
)

it.live(
  "a run that is stopped leaves what its unfinished calls cost, and restored rows are not booked again",
  () =>
    Effect.gen(function* () {
      const path = join(folder, "stopped.jsonl")
      let calls = 0
      const fiber = yield* Effect.fork(
        run(path, () => Effect.suspend(() => (++calls <= 10 ? Effect.succeed(answer()) : Effect.never)))
      )
      while (calls < 14) yield* Effect.sleep("5 millis")
      yield* Fiber.interrupt(fiber)
      for (const _ of [1, 2]) {
        const stopped = yield* Effect.fork(run(path, () => Effect.never))
        while (!readFileSync(`${path}.journal`, "utf8").includes("resent")) yield* Effect.sleep("5 millis")
        yield* Fiber.interrupt(stopped)
      }
      const { earlier, requests: settled, run: now, total } = yield* run(path)
      expect(now).toMatchObject({ attempts: 30, cost: dollars(30) })
      expect(earlier.cost).toBe(dollars(10))
      expect(total).toMatchObject({ answered: 40, cost: dollars(40) })
      expect(total.interrupted).toBeGreaterThanOrEqual(4)
      expect(total.unsettled.attempts).toBe(total.interrupted)
      expect(settled).toMatchObject({ answered: 40, resumed: 10 })
      const rows = readFileSync(path, "utf8").trimEnd().split("\n")
      expect(rows.map((row) => JSON.parse(row).meta.cost)).toEqual(rows.map(() => dollars(1)))
      expect(readdirSync(folder).filter((name) => name.startsWith("stopped"))).toEqual(["stopped.jsonl"])
    })
)

it.live("a ledger of a later format is refused, and left as it is; a journal without one is read", () =>
  Effect.gen(function* () {
    const path = join(folder, "later.jsonl")
    const head = `{"floodgate":"journal","version":1,"base":0}\n{"begin":"k"}\n`
    const later = `${head}{"ledger":{"version":2,"lines":[]}}\n`
    writeFileSync(`${path}.journal`, later)
    const refused = yield* Effect.either(run(path))
    expect(Either.isLeft(refused) && refused.left).toMatchObject({ reason: "Version" })
    expect(readFileSync(`${path}.journal`, "utf8")).toBe(later)
    writeFileSync(`${path}.journal`, head)
    const { earlier, outcomeUnknown } = yield* run(path)
    expect([earlier.attempts, outcomeUnknown]).toEqual([0, 1])
  })
)

it.live("one ledger books each call of an output once, however often that is opened", () =>
  Effect.gen(function* () {
    const checkpoint = Checkpoint.layerFile(join(folder, "again.jsonl"))
    const bounded = Array.from({ length: 40 }, (_, i) => Chat.prompt(`question ${i}`, { maxTokens: 10 }))
    let calls = 0
    const under = (tokens: number) =>
      Effect.zipRight(batch(bounded, { budget: { tokens }, concurrency: 1, retry, checkpoint }), summary)
    const reply = () => {
      calls++
      return answer()
    }
    // by another ledger
    yield* Effect.provide(under(300), services(reply))
    const before = calls
    const [first, second, last] = yield* Effect.all([under(500), under(500), under(1_000_000)]).pipe(
      Effect.provide(services(reply))
    )
    expect(before).toBeGreaterThan(3)
    expect(first.earlier).toMatchObject({ attempts: before, cost: dollars(before) })
    expect(first.total.attempts).toBeGreaterThan(before)
    expect(second.total).toEqual(first.total)
    expect(calls).toBe(40)
    expect(last.total).toMatchObject({ attempts: 40, answered: 40, cost: dollars(40) })
    expect(last.earlier).toEqual(first.earlier)
    expect(last.run.attempts).toBe(40 - before)
  })
)
