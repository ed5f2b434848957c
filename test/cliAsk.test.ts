import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { StreamPart } from "floodgate"
import * as Simulator from "floodgate/Simulator"
import * as AnswerSchema from "../src/cli/answerSchema.js"
import { add, nothing, sumLine } from "../src/cli/oneRequestTold.js"
import * as TerminalAnswer from "../src/cli/terminalAnswer.js"
import { fromFields } from "../src/Response.js"
import * as JsonInstance from "../src/simulator/JsonInstance.js"
import { type Answer, apiKey, folder, run, serve, start } from "./process.js"

describe("an answer on a terminal", () => {
  const { Reasoning, Text } = StreamPart.StreamPart

  const shown = (parts: ReadonlyArray<StreamPart.StreamPart>, showThinking = false) => {
    const written: Array<readonly [where: string, text: string]> = []
    const output = (name: string, isTTY: boolean) => ({
      isTTY,
      write: (text: string) => written.push([name, text])
    })
    const answer = TerminalAnswer.make({
      stdout: output("out", true),
      stderr: output("err", false),
      showThinking
    })
    for (const part of parts) answer.onPart(part)
    answer.end()
    answer.end()
    return {
      of: (name: string) => written.flatMap(([at, text]) => (at === name ? text : [])).join(""),
      answer
    }
  }

  it("comes part by part, ends its line once, and cannot command the terminal", () => {
    const { answer, of } = shown([Text({ text: "Hi\u001b" }), Text({ text: "[2J\u0007 there\t\u009b!" })])
    expect(of("out")).toBe("Hi[2J there\t!\n")
    expect(answer.hasBegun()).toBe(true)
    expect(shown([Text({ text: "Hi\n" })]).of("out")).toBe("Hi\n")
    expect(shown([]).of("out")).toBe("")
  })

  it("has thoughts on stderr, where they are wanted", () => {
    const parts = [Reasoning({ text: "Hm. " }), Reasoning({ text: "Yes" }), Text({ text: "Yes." })]
    expect(shown(parts).of("err")).toBe("")
    const { of } = shown(parts, true)
    expect(of("err")).toBe("Hm. Yes\n\n")
    expect(of("out")).toBe("Yes.\n")
  })
})

describe("a JSON Schema that answers are held to", () => {
  const tree = {
    type: "object",
    properties: {
      name: { type: "string", minLength: 2, pattern: "^[a-z]" },
      kind: { enum: ["leaf", "branch", null] },
      size: { type: ["integer", "null"], minimum: 0, exclusiveMaximum: 10 },
      below: { type: "array", items: { $ref: "#" }, maxItems: 2 },
      at: { anyOf: [{ $ref: "#/$defs/point" }, { const: "root" }] }
    },
    required: ["name", "kind"],
    additionalProperties: false,
    $defs: {
      point: {
        type: "object",
        properties: { x: { type: "number", multipleOf: 0.1 } },
        required: ["x"],
        additionalProperties: { type: "boolean" }
      }
    }
  }
  const problems = (value: unknown) =>
    AnswerSchema.issues(tree, value).map(({ message, path }) => `${path.join(".")}: ${message}`)

  it("takes what fits and tells what does not, with its place", () => {
    expect(
      problems({
        name: "oak",
        kind: "branch",
        size: 9,
        below: [{ name: "ash", kind: null }],
        at: { x: 0.3, y: true }
      })
    ).toEqual([])
    expect(problems([])).toEqual([": expected object, not array"])
    expect(
      problems({
        name: "O",
        size: 10,
        below: [{ name: "ash", kind: "twig" }, {}, {}],
        at: { x: 0.35, y: 1 },
        hue: 1
      })
    ).toEqual([
      "kind: missing",
      "name: expected a text with a length of at least 2",
      "name: expected a text of the pattern ^[a-z]",
      "size: expected less than 10",
      "below: expected a list with a length of at most 2",
      'below.0.kind: expected one of "leaf", "branch", null',
      "below.1.name: missing",
      "below.1.kind: missing",
      "below.2.name: missing",
      "below.2.kind: missing",
      "at.x: expected a multiple of 0.1",
      "at.y: expected boolean, not number",
      "hue: there is no such property"
    ])
  })

  it("takes whatever is made after it, as it is", () => {
    const { pattern: _, ...name } = tree.properties.name
    const schema = { ...tree, properties: { ...tree.properties, name } }
    const value = JsonInstance.make(schema, "an answer")
    expect(Schema.decodeUnknownEither(AnswerSchema.make(schema))(value)).toEqual(Either.right(value))
  })
})

describe("what was used", () => {
  const answer = fromFields({
    text: "Hi",
    finishReason: "stop",
    toolCalls: [],
    usage: { inputTokens: 1_000, outputTokens: 20 },
    model: "m",
    provider: "openai",
    meta: { attempts: 1, cached: false, latencyMs: 1 }
  })
  const of = (meta: { readonly cached: boolean; readonly cost?: number }) => ({
    outcome: Either.right(answer),
    meta: { attempts: 1, latencyMs: 1, ...meta }
  })

  it("is a sum that says what has no price, and leaves out what was had for nothing", () => {
    const paid = add(nothing, of({ cached: false, cost: 0.25 }))
    expect(sumLine(paid)).toBe("1 answer, 1,000 tokens in, 20 out, $0.25")
    expect(sumLine(add(paid, of({ cached: true, cost: 0 })))).toBe(
      "2 answers, 1,000 tokens in, 20 out, $0.25"
    )
    expect(sumLine(add(paid, of({ cached: false })))).toContain("$0.25 and what has no price")
    expect(sumLine(add(nothing, of({ cached: false })))).toContain("no price known")
  })
})

/** Answers `1` at first, then what fits. */
const stubborn = (): Answer => {
  let calls = 0
  return ({ model }, response) => {
    const content = calls++ === 0 ? '{"name":1}' : '{"name":"Oak"}'
    response.writeHead(200, { "content-type": "application/json" }).end(
      JSON.stringify({
        id: "c",
        object: "chat.completion",
        model,
        choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content } }],
        usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
      })
    )
  }
}

describe.concurrent("floodgate ask", () => {
  it.scopedLive("asks what is written and what is piped in, and prints the whole answer", () =>
    Effect.gen(function* () {
      const { bodies, url } = yield* serve()
      const flags = ["--system", "Be brief", "--temperature", "0", "--max-tokens", "9", "--verbose"]
      const end = yield* run(["ask", "What", "went wrong?", ...flags], {
        url,
        stdin: "\uFEFFline 1\nline 2\n"
      })
      expect(end).toMatchObject({ code: 0, stdout: "WHAT WENT WRONG?\n\nLINE 1\nLINE 2\n" })
      expect(end.stderr).toMatch(/^sim-1, 3 tokens in, 2 out, no price known, \d+\.\d s\n$/)
      expect(bodies).toMatchObject([
        {
          messages: [
            { role: "system", content: "Be brief" },
            { role: "user", content: "What went wrong?\n\nline 1\nline 2" }
          ],
          temperature: 0
        }
      ])
    })
  )

  it.scopedLive("sends images and files with the prompt", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const { bodies, url } = yield* serve()
      const pixel = Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "base64"
      )
      const text = files.write("notes.txt", "Some notes.")
      const media = ["--image", files.write("pixel.bin", pixel), "--file", text]
      expect(yield* run(["ask", "Well?", ...media], { url })).toMatchObject({ code: 0 })
      expect(bodies[0]?.messages[0]?.content).toEqual([
        { type: "text", text: "Well?" },
        { type: "image_url", image_url: { url: `data:image/png;base64,${pixel.toString("base64")}` } },
        { type: "text", text: `${text}:\nSome notes.` }
      ])
    })
  )

  it.scopedLive("prints a value that fits the schema, after another try, and all of it as JSON", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const { requests, url } = yield* serve(stubborn())
      const schema = files.write(
        "tree.json",
        JSON.stringify({ type: "object", properties: { name: { type: "string" } }, required: ["name"] })
      )
      const end = yield* run(["ask", "Which tree?", "--schema", schema, "--json"], { url })
      expect(end).toMatchObject({ code: 0, stderr: "" })
      expect(JSON.parse(end.stdout)).toMatchObject({
        text: '{"name":"Oak"}',
        value: { name: "Oak" },
        finishReason: "stop",
        model: "sim-1",
        usage: { inputTokens: 6, outputTokens: 4 },
        meta: { attempts: 2, cached: false }
      })
      expect(requests()).toBe(2)
    })
  )

  it.scopedLive("says what is wrong, by its exit code too, and never the key", () =>
    Effect.gen(function* () {
      const { url } = yield* Simulator.make({ apiKey: "another" })
      const [nothing, provider, key, data] = yield* Effect.all(
        [
          run(["ask"], { url }),
          run(["ask", "x", "--provider", "opnai"], { url }),
          run(["ask", "x"], { url }),
          run(["ask", "x", "--json"], { url })
        ],
        { concurrency: 2 }
      )
      expect(nothing).toMatchObject({ code: 2, stdout: "" })
      expect(nothing.stderr).toContain("Nothing to ask")
      expect(provider).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean "openai"?') })
      expect(key).toMatchObject({ code: 1, stdout: "" })
      expect(key.stderr.trim().split("\n")).toEqual([expect.stringMatching(/^floodgate: .*config show/)])
      expect(data).toMatchObject({ code: 1, stdout: "" })
      expect(JSON.parse(data.stderr)).toMatchObject({
        error: { _tag: "AuthError", status: 401, exitCode: 1 }
      })
      expect(key.stderr + data.stderr).not.toContain(apiKey)
    })
  )

  it.scopedLive("stops at Ctrl-C, and bears a reader that leaves", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        script: [{ match: "never", times: "always", fault: { kind: "stall" } }]
      })
      const { url } = simulator
      const running = yield* start(["ask", "never"], { url })
      while ((yield* simulator.stats).requests === 0) yield* Effect.sleep(10)
      const end = yield* running.end("SIGINT")
      expect(end).toMatchObject({ code: 130, stdout: "", stderr: "" })
      expect(end.took).toBeLessThan(30_000)
      const left = yield* run(["ask", "hello"], { url, shell: '"$@" | true' })
      expect(left).toMatchObject({ code: 0, stderr: "" })
    })
  )
})
