import { readFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as EmbedRecord from "../src/cli/embedRecord.js"
import * as EmbeddingVectors from "../src/internal/embeddingVectors.js"
import * as Simulator from "../src/Simulator.js"
import { runHere } from "./here.js"
import { folder } from "./process.js"

const model = "text-embedding-3-small"

interface Row {
  readonly index: number
  readonly custom_id: string | null
  readonly response: { readonly embeddings: ReadonlyArray<ReadonlyArray<number> | string> }
  readonly metadata: object
}

const rowsOf = (path: string): ReadonlyArray<Row> =>
  readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))

describe("floodgate embed", () => {
  it.scopedLive("fills calls with many texts, keeps each text's own vector, and asks for nothing twice", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({})
      const titles = Array.from({ length: 1_000 }, (_, n) => `Title ${n % 900}`)
      const input = files.write(
        "in.csv",
        ["id,title", ...titles.map((title, n) => `${n},${title}`)].join("\n")
      )
      const command = [
        ...["embed", input, "-o", files.path("out.jsonl"), "--text", "{{title}}", "--dimensions", "4"],
        ...["--cache", files.path("cache.db"), "--receipt", files.path("receipt.json"), "--no-progress"]
      ]
      const first = yield* runHere(command, { url: simulator.url, model })
      expect(first).toMatchObject({ code: 0, stdout: "" })
      const rows = rowsOf(files.path("out.jsonl"))
      expect(rows.map(({ index }) => index)).toEqual(titles.map((_, n) => n))
      expect(rows[901]).toMatchObject({ response: rows[1]?.response, metadata: { id: "901" } })
      expect(new Set(rows.map(({ response }) => JSON.stringify(response.embeddings))).size).toBe(900)
      const { requests } = yield* simulator.stats
      expect(requests).toBeLessThan(10)
      expect(files.json("receipt.json")).toMatchObject({ requests: 1_000, succeeded: 1_000, cached: 100 })

      const before = files.bytes("out.jsonl")
      expect(yield* runHere(command, { url: simulator.url, model })).toMatchObject({ code: 0, stdout: "" })
      expect(files.bytes("out.jsonl")).toEqual(before)
      const other = command.map((arg) => (arg === files.path("out.jsonl") ? files.path("out.csv") : arg))
      expect(yield* runHere([...other, "--limit", "3"], { url: simulator.url, model })).toMatchObject({
        code: 0
      })
      const [header, row] = String(files.bytes("out.csv")).split("\n")
      expect(header).toMatch(/^id,title,embedding,status,/)
      expect(row).toContain(`0,Title 0,"${JSON.stringify(rows[0]?.response.embeddings[0])}",success`)
      expect((yield* simulator.stats).requests).toBe(requests)
    })
  )

  it.scopedLive("writes vectors as bytes where that is asked, and those of an earlier run anew", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({})
      const input = files.records("in.jsonl", [
        { custom_id: "a", text: "a cat", row: 1 },
        { input: ["a dog", "a bird"] },
        {
          custom_id: 7,
          method: "POST",
          url: "/v1/embeddings",
          body: { model, input: "a fish", dimensions: 3 }
        }
      ])
      const command = (...more: ReadonlyArray<string>) => [
        ...["embed", input, "-o", files.path("out.jsonl"), "--dimensions", "8", "--no-progress", ...more]
      ]
      const env = { url: simulator.url, model }
      expect(yield* runHere(command(), env)).toMatchObject({ code: 0 })
      const numbers = rowsOf(files.path("out.jsonl"))
      expect(
        numbers.map(({ custom_id, response }) => [custom_id, response.embeddings.map(({ length }) => length)])
      ).toEqual([
        ["a", [8]],
        [null, [8, 8]],
        ["7", [3]]
      ])
      expect(numbers[0]?.metadata).toEqual({ row: 1 })
      const { requests } = yield* simulator.stats
      expect(yield* runHere(command("--encoding", "base64"), env)).toMatchObject({ code: 0 })
      const bytes = rowsOf(files.path("out.jsonl"))
      for (const [n, { response }] of bytes.entries()) {
        for (const [at, vector] of response.embeddings.entries()) {
          const floats = Array.from(numbers[n]?.response.embeddings[at] ?? [], Number)
          expect(EmbeddingVectors.vectorOf(vector, "float")).toEqual(floats.map(Math.fround))
        }
      }
      expect(yield* runHere(command("--encoding", "base64"), env)).toMatchObject({ code: 0 })
      expect(rowsOf(files.path("out.jsonl"))).toEqual(bytes)
      expect((yield* simulator.stats).requests).toBe(requests)
    })
  )

  it.scopedLive("refuses what has no vector before anything is sent", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({})
      const input = files.records("in.jsonl", [{ text: "a" }, { text: " " }, { text: 5 }, { prompt: "b" }])
      const env = { url: simulator.url, model }
      const refused = yield* runHere(["embed", input, "-o", files.path("out")], env)
      expect(refused.code).toBe(2)
      expect(refused.stderr).toContain("3 bad lines. Nothing was sent")
      expect(refused.stderr).toContain("line 2: the text is empty")
      expect(refused.stderr).toContain('line 3: "text" must be a text')
      expect(refused.stderr).toContain("line 4: nothing to embed")
      const same = yield* runHere(["embed", input, "-o", files.path("out"), "--text", "x{text}"], env)
      expect(same.stderr).toContain("Write {{text}}, not {text}")
      expect((yield* simulator.stats).requests).toBe(0)
      expect(files.names()).toEqual(["in.jsonl"])
    })
  )

  it("reads parameters of a table as JSON has them, and a record's own before the command's", () => {
    const defaults = { text: undefined, dimensions: 8, purpose: "document" } as const
    const read = (fields: Record<string, unknown>, isTable = false) =>
      EmbedRecord.fromFields(fields, defaults, isTable)
    expect(Either.getOrThrow(read({ text: "a", dimensions: "3", model: "", note: "" }, true))).toMatchObject({
      input: ["a"],
      dimensions: 3,
      purpose: "document",
      metadata: { note: "" }
    })
    expect(Either.getOrThrow(read({ body: { input: "a", user: "u" } })).extra).toEqual({ user: "u" })
    expect(read({ text: "a", dimensions: "x" }, true)).toEqual(
      Either.left('"dimensions" must be a whole number greater than 0')
    )
    expect(Either.isLeft(read({ text: "a", purpose: "fun" }))).toBe(true)
    expect(Either.isLeft(read({ body: { input: "a" }, url: "/v1/chat/completions" }))).toBe(true)
  })

  it("bytes hold any vector to the precision of 32 bits", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.float({ noNaN: true }), { minLength: 1 }), (vector) => {
        expect(EmbeddingVectors.vectorOf(EmbeddingVectors.toBase64(vector), "float")).toEqual(vector)
      })
    )
  })
})
