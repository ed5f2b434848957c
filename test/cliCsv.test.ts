import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { parse } from "csv-parse/sync"
import { stringify } from "csv-stringify/sync"
import { FastCheck } from "effect"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import * as AnswerColumns from "../src/cli/answerColumns.js"
import * as CsvRows from "../src/cli/csvRows.js"
import type { TableFormat } from "../src/cli/fileFormat.js"
import { checkpointOf, formatsOf } from "../src/cli/fileFormat.js"
import { openAiOutputLine } from "../src/cli/openAiOutputLine.js"
import * as Record from "../src/cli/record.js"
import { apiKey, folder, run, serve, start, until } from "./process.js"

/** The rows of a file with this content: line and fields, or line and mistake. */
const rowsOf = (content: string | Uint8Array, format: TableFormat = "csv") =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "floodgate-csv-"))),
    (root) => {
      const path = join(root, "in.csv")
      writeFileSync(path, content)
      return Stream.runCollect(CsvRows.rows(path, format, "in.csv"))
    },
    (root) => Effect.sync(() => rmSync(root, { recursive: true }))
  ).pipe(
    Effect.map((rows) => Chunk.toReadonlyArray(rows).map((row) => [row.number, Either.merge(row.content)])),
    Effect.mapError(({ message }) => message),
    Effect.provide(NodeFileSystem.layer)
  )

describe("a table is read", () => {
  it.effect("as it stands: mark, line ends, quotes, breaks, blank lines, rows of nothing", () =>
    Effect.gen(function* () {
      const text = '\uFEFFq, topic\r\n"a ""b"", c",x\r\n\r\n"one\r\ntwo\nthree",é\n,\n=1+1,\n" s ",last'
      expect(yield* rowsOf(text)).toEqual([
        [2, { q: 'a "b", c', topic: "x" }],
        [4, { q: "one\r\ntwo\nthree", topic: "é" }],
        [8, { q: "=1+1", topic: "" }],
        [9, { q: " s ", topic: "last" }]
      ])
    })
  )

  it.effect("with quotes inside of fields, where tabs separate them", () =>
    Effect.gen(function* () {
      expect(yield* rowsOf('q\tn\n5" pipe\t1\n"a\tb"\t2\n', "tsv")).toEqual([
        [2, { q: '5" pipe', n: "1" }],
        [3, { q: "a\tb", n: "2" }]
      ])
    })
  )

  it.effect("and a ragged row is a mistake of its line", () =>
    Effect.gen(function* () {
      expect(yield* rowsOf('a,b\n1,"x\ny"\n2\n3,4,5\n6,7\n')).toEqual([
        [2, { a: "1", b: "x\ny" }],
        [4, "1 field, and the header has 2: a missing or unquoted separator?"],
        [5, "3 fields, and the header has 2: a missing or unquoted separator?"],
        [6, { a: "6", b: "7" }]
      ])
    })
  )

  it.effect("and what no row can be told from is refused, with the line", () =>
    Effect.gen(function* () {
      const refusals = [
        ["a,b,a\n", 'line 1: column 1 and column 3 are both named "a"'],
        [",a\n0,x\n", "line 1: column 1 has no name"],
        ['a,b\n1,2\n3,"x\n4,5\n', "line 3: a quoted field is never closed"],
        ['a,b\n"1\n2",2\n3,"x"y\n', "line 4: something follows the quote"],
        ['a,b\n1,2\n3,x"y\n', "line 3: a quote within a field"],
        [Buffer.concat([Buffer.from("a,b\n1,2\nx,"), Buffer.from([0xe9, 10])]), "line 3: not UTF-8"],
        [Buffer.from("\uFEFFa,b\n", "utf16le"), "is UTF-16"]
      ] as const
      for (const [content, message] of refusals) {
        expect(yield* Effect.flip(rowsOf(content))).toContain(message)
      }
    })
  )

  it.effect("in blocks, whatever their edges cut", () =>
    Effect.gen(function* () {
      const cell = FastCheck.string({ unit: "binary", maxLength: 40 })
      const [table] = FastCheck.sample(
        FastCheck.array(FastCheck.tuple(cell, cell), { minLength: 1500, maxLength: 1500, size: "max" }),
        { numRuns: 1, seed: 7 }
      )
      const rows = [
        ...(table ?? []).map(([a, b], at) => [String(at), a, b]),
        ["big", "é\n".repeat(200_000), ""]
      ]
      const text = stringify([["n", "a", "b"], ...rows], { quoted_match: /[\r\n\uFEFF]|^\s|\s$/ })
      const read = yield* rowsOf(text)
      expect(read.map(([, fields]) => Object.values(fields as object))).toEqual(rows)
      const lines = text.split("\n")
      const misplaced = read.filter(
        ([line, fields]) => !lines[Number(line) - 1]?.startsWith(String(Object.values(fields as object)[0]))
      )
      expect(misplaced).toEqual([])
    })
  )
})

describe("a row of a table is a request", () => {
  const request = (fields: { readonly [name: string]: string }, prompt?: string) =>
    Either.map(
      Record.fromRow(Either.right(fields), { prompt, parameters: {} }),
      ({ id, metadata, model, ...rest }) => ({ id, metadata, model, ...rest })
    )

  it("with parameters read as what they are, and columns of the user's own", () => {
    expect(
      request({
        custom_id: "7",
        prompt: "Why?",
        system: "",
        model: "4",
        temperature: "0.5",
        max_tokens: "",
        stop: "1",
        label: "3"
      })
    ).toMatchObject({
      right: {
        id: "7",
        model: "4",
        temperature: 0.5,
        stop: expect.anything(),
        metadata: { label: "3" },
        messages: [{ role: "user", content: "Why?" }]
      }
    })
  })

  it("from messages in JSON, of which the server gets no other column", () => {
    const messages = [{ role: "user", content: "Hi" }]
    expect(request({ messages: JSON.stringify(messages), label: "x", seed: "3" })).toMatchObject({
      right: { messages, seed: 3, metadata: { label: "x" } }
    })
    expect(request({ messages: "Hi" })).toMatchObject({ left: expect.stringContaining(`named "prompt"`) })
    expect(request({ prompt: "" })).toMatchObject({ left: expect.stringContaining("nothing to ask") })
  })

  it("from a template, whose fields stay texts", () => {
    expect(request({ n: "007", prompt: "own" }, "No. {{n}}")).toMatchObject({
      right: { messages: [{ content: "No. 007" }], metadata: { prompt: "own" } }
    })
  })
})

describe("an outcome is written", () => {
  const meta = { attempts: 1, cached: false, latencyMs: 5, key: "k", requestId: "req_1" }
  const response = {
    text: "",
    finishReason: "tool_calls",
    toolCalls: [{ id: "c", name: "f", arguments: '{"a":1}' }],
    usage: { inputTokens: 3, outputTokens: 2, reasoningTokens: 1 },
    model: "m",
    provider: "openai"
  }

  it("as columns whose names do not hide those of the input", () => {
    const table = AnswerColumns.make(["text", "answer_text", "status"], AnswerColumns.chat, true)
    expect(table.header.slice(0, 6)).toEqual([
      "text",
      "answer_text",
      "status",
      "sample",
      "answer_answer_text",
      "answer_status"
    ])
    expect(new Set(table.header).size).toBe(table.header.length)
    const row = table.row(
      { text: "t", status: { deep: 1 } },
      { index: 0, sample: 2, status: "success", response, meta }
    )
    const cells = Object.fromEntries(table.header.map((name, at) => [name, row[at]]))
    expect(cells).toMatchObject({
      text: "t",
      answer_text: "",
      status: '{"deep":1}',
      sample: 2,
      answer_status: "success",
      tool_calls: JSON.stringify(response.toolCalls),
      input_tokens: 3,
      cached: "false"
    })
  })

  it("in the shape of OpenAI's Batch API: answers, refusals by the server, and no answer at all", () => {
    const base = { index: 4, custom_id: "a", meta }
    expect(openAiOutputLine({ ...base, status: "success", response, error: null })).toMatchObject({
      id: expect.stringMatching(/^batch_req_\w{24}$/),
      custom_id: "a",
      response: {
        status_code: 200,
        request_id: "req_1",
        body: {
          object: "chat.completion",
          choices: [
            {
              index: 0,
              finish_reason: "tool_calls",
              message: {
                content: null,
                tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: '{"a":1}' } }]
              }
            }
          ],
          usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
        }
      },
      error: null
    })
    const failed = (error: object) => openAiOutputLine({ ...base, status: "error", response: null, error })
    expect(failed({ _tag: "RateLimitError", message: "slow", status: 429, requestId: "r" })).toMatchObject({
      response: {
        status_code: 429,
        request_id: "r",
        body: { error: { message: "slow", type: "rate_limit_error" } }
      },
      error: null
    })
    expect(failed({ _tag: "NetworkError", message: "gone", status: null })).toMatchObject({
      response: null,
      error: { code: "network_error", message: "gone" }
    })
  })

  it("in the format that the file's ending says, unless the command line does", () => {
    const flags = { input: "a.TSV", output: "b.csv", inputFormat: undefined, format: undefined }
    expect(formatsOf(flags)).toEqual({ input: "tsv", output: "csv" })
    expect(checkpointOf(flags)).toBe("b.csv.floodgate.jsonl")
    expect(formatsOf({ ...flags, inputFormat: "jsonl", format: "openai" })).toEqual({
      input: "jsonl",
      output: "openai"
    })
    expect(checkpointOf({ ...flags, format: "jsonl" })).toBe("b.csv")
  })
})

describe("batch", () => {
  const table = (text: string): ReadonlyArray<{ readonly [name: string]: string }> =>
    parse(text, { columns: true })

  it.scopedLive("from CSV to CSV, resumed from what is kept beside it, and over nobody's file", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve()
      const input = files.write("in.csv", 'id,q,text\r\n1,"a, b",x\r\n2,"c\r\nd",y\r\n')
      const output = files.path("out.csv")
      const args = ["batch", input, "--output", output, "--prompt", "{{q}}", "--no-progress"]
      files.write("out.csv", "mine\n")
      const refused = yield* run(args, { url: server.url })
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("It was not touched") })
      expect(files.bytes("out.csv").toString()).toBe("mine\n")

      files.write("out.csv", "")
      const first = yield* run(args, { url: server.url })
      expect(first).toMatchObject({ code: 0 })
      const rows = table(files.bytes("out.csv").toString())
      expect(rows).toMatchObject([
        { id: "1", q: "a, b", text: "x", answer_text: "A, B", status: "success", input_tokens: "3" },
        { id: "2", q: "c\r\nd", text: "y", answer_text: "C\r\nD", status: "success" }
      ])

      files.write("in.csv", 'q,id,text\n"c\r\nd",2,y\ne,3,z\n')
      expect(yield* run(args, { url: server.url })).toMatchObject({ code: 0 })
      expect(server.requests()).toBe(3)
      expect(
        table(files.bytes("out.csv").toString()).map(({ answer_text, id }) => [id, answer_text])
      ).toEqual([
        ["2", "C\r\nD"],
        ["3", "E"]
      ])
      expect(files.names()).toEqual([
        "in.csv",
        "out.csv",
        "out.csv.floodgate.jsonl",
        "out.csv.floodgate.jsonl.superseded.jsonl"
      ])
    })
  )

  it.scopedLive("leaves a table of what is done when it is stopped", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve(({ messages }, response) => {
        const prompt = String(messages.at(-1)?.content)
        // the second row never ends, so that the third is done before it
        if (prompt !== "b") {
          response.writeHead(200, { "content-type": "application/json" })
          response.end(
            JSON.stringify({
              id: "c",
              object: "chat.completion",
              model: "m",
              choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: prompt } }],
              usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
            })
          )
        }
      })
      const input = files.write("in.tsv", "prompt\nc\nb\na\n")
      const output = files.path("out.tsv")
      const running = yield* start(
        ["batch", input, "-o", output, "--no-progress", "--timeout", "1s", "--max-retries", "forever"],
        { url: server.url, env: { OPENAI_API_KEY: apiKey } }
      )
      yield* until(() => files.count("out.tsv.floodgate.jsonl") >= 2)
      expect(yield* running.end("SIGINT")).toMatchObject({ code: 130 })
      const lines = files.bytes("out.tsv").toString().split("\n")
      expect(lines[0]).toMatch(/^prompt\ttext\tstatus/)
      expect(lines.slice(1, 3).map((line) => line.split("\t").slice(0, 3))).toEqual([
        ["c", "c", "success"],
        ["a", "a", "success"]
      ])
      expect(files.names()).not.toContain("out.tsv.floodgate.jsonl.snapshot.tmp")
    })
  )
})
