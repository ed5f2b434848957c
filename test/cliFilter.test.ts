import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Effect from "effect/Effect"
import * as RandomSample from "../src/cli/randomSample.js"
import * as RowFilter from "../src/cli/rowFilter.js"
import * as RowSelection from "../src/cli/rowSelection.js"
import { folder, plainAnswer, run, serve } from "./process.js"

const drawn = (count: number, size: number, seed: number) => {
  const isDrawn = RandomSample.make({ count, size, seed })
  return Array.from({ length: count }, (_, place) => place).filter(isDrawn)
}

describe("a sample", () => {
  it("has its size, is drawn again by its seed, and grows by what it lacks", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 400 }),
        FastCheck.integer({ min: 1, max: 500 }),
        FastCheck.maxSafeNat(),
        (count, size, seed) => {
          const sample = drawn(count, size, seed)
          expect(sample).toHaveLength(Math.min(size, count))
          expect(drawn(count, size, seed)).toEqual(sample)
          expect(drawn(count, size + 7, seed)).toEqual(expect.arrayContaining(sample))
        }
      ),
      { numRuns: 50 }
    )
  })

  it("is drawn evenly, and otherwise by another seed", () => {
    const hits = new Array<number>(100).fill(0)
    for (let seed = 0; seed < 2000; seed++)
      for (const place of drawn(100, 10, seed)) hits[place] = (hits[place] ?? 0) + 1
    // 200 each, with a standard deviation of 13.4
    expect(Math.min(...hits)).toBeGreaterThan(130)
    expect(Math.max(...hits)).toBeLessThan(270)
    expect(new Set(Array.from({ length: 20 }, (_, seed) => drawn(100, 10, seed).join())).size).toBe(20)
  })
})

describe("a filter", () => {
  it.effect("looks at fields, and at what an earlier run has left", () =>
    Effect.gen(function* () {
      const fields = yield* RowFilter.parse([
        "topic=science",
        "meta.level!=3",
        "record.status=open",
        "formula=a=b"
      ])
      const record = { topic: "science", meta: { level: 2 }, status: "open", formula: "a=b" }
      expect(fields.ofFields(record)).toBe(true)
      expect(fields.ofFields({ ...record, meta: { level: 3 } })).toBe(false)
      expect(fields.ofFields({ ...record, status: "shut" })).toBe(false)
      expect(fields.ofFields({})).toBe(false)
      expect(fields.ofStored).toBeUndefined()

      const stored = yield* RowFilter.parse(["error!=RateLimitError"])
      expect(stored.ofStored?.({ status: "error", error: "ServerError" })).toBe(true)
      expect(stored.ofStored?.({ status: "error", error: "RateLimitError" })).toBe(false)
      expect(stored.ofStored?.({ status: "none" })).toBe(false)
      const left = yield* RowFilter.parse(["status!=success"])
      expect(left.ofStored?.({ status: "none" })).toBe(true)
      expect(left.ofStored?.({ status: "success" })).toBe(false)
    })
  )

  it.effect("is refused with what was meant", () =>
    Effect.gen(function* () {
      const refusal = (text: string) =>
        Effect.map(Effect.flip(RowFilter.parse([text])), ({ message }) => message)
      expect(yield* refusal("topic")).toContain("FIELD=VALUE")
      expect(yield* refusal("status=open")).toContain("record.status=open")
      expect(yield* refusal("error=RateLimitEror")).toContain("RateLimitError")
    })
  )
})

it.effect("a choice takes the filtered, of these the first, of these a sample", () =>
  Effect.gen(function* () {
    const selection = yield* RowSelection.parse({ filter: [], limit: 50, sample: 5, seed: 1 })
    const choice = RowSelection.make(selection)
    // rows of two requests, every other of which the filter lets through
    for (let row = 0; row < 200; row++) if (row % 2 === 0) choice.offer(row * 2, 2)
    expect(choice.isFull()).toBe(true)
    const chosen = choice.end(400)
    expect(chosen).toMatchObject({ rows: 5, requests: 10 })
    const asked = Array.from({ length: 400 }, (_, index) => index).filter(chosen.isAsked)
    expect(asked).toHaveLength(10)
    for (const index of asked) {
      expect(index).toBeLessThan(200)
      expect(Math.floor(index / 2) % 2).toBe(0)
      expect(chosen.isAsked(index ^ 1)).toBe(true)
    }
  })
)

it.scopedLive("a run asks the chosen rows, and leaves the others what they have", () =>
  Effect.gen(function* () {
    const files = yield* folder
    let isMended = false
    const server = yield* serve((body, response, request) => {
      const prompt = String(body.messages.at(-1)?.content)
      if (isMended || !/bad|busy/.test(prompt)) return plainAnswer(body, response, request)
      response.writeHead(prompt.startsWith("bad") ? 400 : 500, { "content-type": "application/json" })
      response.end(JSON.stringify({ error: { message: "no", type: "t", code: null } }))
    })
    const prompts = ["one", "bad 1", "two", "busy 1", "bad 2", "three"]
    const input = files.records(
      "in.jsonl",
      prompts.map((prompt, at) => ({ custom_id: `r${at}`, prompt, half: at < 3 ? "first" : "second" }))
    )
    const ask = (...args: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        const before = server.requests()
        const { code, stderr } = yield* run(
          ["batch", input, "-o", files.path("out.jsonl"), "--no-progress", "--max-retries", "0", ...args],
          { url: server.url }
        )
        expect(stderr).not.toContain("This should not happen")
        return {
          code,
          stderr,
          asked: server.bodies.slice(before).map(({ messages }) => messages.at(-1)?.content),
          lines: files
            .lines("out.jsonl")
            .map(({ custom_id, error, index, status }) => [index, custom_id, error?._tag ?? status])
        }
      })

    // the place in the input stays, though there is nothing between
    const second = yield* ask("--filter", "half=second")
    expect(second.asked.toSorted()).toEqual(["bad 2", "busy 1", "three"])
    expect(second.lines).toEqual([
      [3, "r3", "ServerError"],
      [4, "r4", "InvalidRequestError"],
      [5, "r5", "success"]
    ])

    // an answer in the output is not lost because it is not asked for now
    const first = yield* ask("--limit", "2")
    expect(first.asked.toSorted()).toEqual(["bad 1", "one"])
    expect(first.lines).toEqual([
      [0, "r0", "success"],
      [1, "r1", "InvalidRequestError"],
      [3, "r3", "ServerError"],
      [4, "r4", "InvalidRequestError"],
      [5, "r5", "success"]
    ])

    isMended = true
    const mended = yield* ask("--filter", "error=InvalidRequestError", "--limit", "1")
    expect(mended).toMatchObject({ code: 1, asked: ["bad 1"] })
    const redone = yield* ask("--filter", "status=error")
    expect(redone.asked.toSorted()).toEqual(["bad 2", "busy 1"])
    expect(redone).toMatchObject({ code: 0 })
    expect(redone.lines.map(([index]) => index)).toEqual([0, 1, 3, 4, 5])

    const all = yield* ask()
    expect(all).toMatchObject({ code: 0, asked: ["two"] })
    expect(all.lines).toEqual(prompts.map((_, at) => [at, `r${at}`, "success"]))
    expect(files.names()).toEqual(["in.jsonl", "out.jsonl"])
  })
)
