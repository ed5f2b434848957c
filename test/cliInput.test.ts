import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { runHere } from "./here.js"
import { type Body, folder, plainAnswer, run, serve } from "./process.js"

/** Runs one input and gives what the server received by its prompt, and what was written. */
const ask = (input: string | Uint8Array, args: ReadonlyArray<string> = [], how: "path" | "stdin" = "path") =>
  Effect.gen(function* () {
    const files = yield* folder
    const server = yield* serve()
    const command = [
      ...["batch", how === "path" ? files.write("in.jsonl", input) : "-"],
      ...["--output", files.path("out.jsonl"), "--no-progress", ...args]
    ]
    const { url } = server
    const { code, stderr, stdout } = yield* how === "path"
      ? runHere(command, { url, model: "sim-1" })
      : run(command, { url, stdin: input })
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(stdout).toBe("")
    const byPrompt = new Map(
      server.bodies.map((body): [unknown, Body] => [body.messages.at(-1)?.content, body])
    )
    return { bodies: server.bodies, byPrompt, lines: files.lines("out.jsonl"), files, stderr }
  })

const jsonl = (...records: ReadonlyArray<unknown>) =>
  records.map((record) => `${JSON.stringify(record)}\n`).join("")

const user = (content: string) => ({ role: "user", content })

describe.concurrent("shapes of a record", () => {
  it.scopedLive("a line of an OpenAI Batch file", () =>
    Effect.gen(function* () {
      const { bodies, lines } = yield* ask(
        jsonl(
          {
            custom_id: "task-1",
            method: "POST",
            url: "/v1/chat/completions",
            body: {
              model: "m-1",
              messages: [user("one")],
              temperature: 0.5,
              top_k: 4,
              metadata: { kept: "sent" }
            }
          },
          {
            custom_id: "task-2",
            url: "https://api.openai.com/v1/chat/completions",
            body: {
              messages: [{ role: "developer", content: "brief" }, user("two")],
              max_completion_tokens: 7
            },
            split: "dev"
          }
        ),
        ["--concurrency", "1"]
      )
      expect(bodies).toEqual([
        { model: "m-1", messages: [user("one")], temperature: 0.5, top_k: 4, metadata: { kept: "sent" } },
        { model: "sim-1", messages: [{ role: "system", content: "brief" }, user("two")], max_tokens: 7 }
      ])
      expect(lines.map(({ custom_id, metadata }) => ({ custom_id, metadata }))).toEqual([
        { custom_id: "task-1", metadata: {} },
        { custom_id: "task-2", metadata: { split: "dev" } }
      ])
    })
  )

  it.scopedLive("a chat body, every field of which is sent", () =>
    Effect.gen(function* () {
      const body = {
        messages: [
          { role: "system", content: "Be brief." },
          {
            role: "user",
            content: [
              { type: "text", text: "What is it?" },
              { type: "image_url", image_url: { url: "https://x.test/a.png", detail: "low" } }
            ]
          },
          {
            role: "assistant",
            content: null,
            tool_calls: [{ id: "c1", type: "function", function: { name: "f", arguments: "{}" } }]
          },
          { role: "tool", tool_call_id: "c1", content: "42" }
        ],
        model: "m-2",
        tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
        tool_choice: "auto",
        response_format: { type: "json_object" },
        stop: ["END"],
        seed: 7,
        logprobs: true,
        top_logprobs: 2,
        reasoning: { of: "the provider's own" }
      }
      const { bodies, lines } = yield* ask(
        jsonl({ custom_id: 17, ...body, metadata: { row: 3, deep: { a: [1] } } })
      )
      expect(bodies).toEqual([body])
      expect(lines[0]).toMatchObject({
        custom_id: "17",
        metadata: { metadata: { row: 3, deep: { a: [1] } } }
      })
    })
  )

  it.scopedLive("a prompt, with parameters and fields of the user's own beside it", () =>
    Effect.gen(function* () {
      const { bodies, lines } = yield* ask(
        jsonl({
          custom_id: "a",
          prompt: "one",
          system: "Be kind.",
          model: "m-3",
          temperature: 0,
          max_tokens: 5,
          answer: 4,
          tags: ["x"]
        })
      )
      expect(bodies).toEqual([
        {
          model: "m-3",
          messages: [{ role: "system", content: "Be kind." }, user("one")],
          temperature: 0,
          max_tokens: 5
        }
      ])
      expect(lines[0]).toMatchObject({ custom_id: "a", metadata: { answer: 4, tags: ["x"] } })
    })
  )

  it.scopedLive("any record, with templates of its fields", () =>
    Effect.gen(function* () {
      const records = [
        {
          question: "2+2?",
          answer: "4",
          item: { unit: "km", n: 1 },
          "a.b": "dotted",
          model: "mine",
          list: [1, 2]
        },
        {
          question: "$& $1 {{answer}}",
          answer: "5",
          item: { unit: "mi", n: 2 },
          "a.b": "x",
          model: "mine",
          list: []
        }
      ]
      const { bodies, lines } = yield* ask(jsonl(...records), [
        "--prompt",
        "Solve: {{question}} in {{ item.unit }}, {{a.b}}, {{list}}",
        "--system",
        "Task {{item.n}}",
        "--concurrency",
        "1"
      ])
      expect(bodies.map(({ messages }) => messages)).toEqual([
        [{ role: "system", content: "Task 1" }, user("Solve: 2+2? in km, dotted, [1,2]")],
        [{ role: "system", content: "Task 2" }, user("Solve: $& $1 {{answer}} in mi, x, []")]
      ])
      expect(bodies[0]?.model).toBe("sim-1")
      // what only lends a part to the prompt is kept whole
      expect(lines.map(({ metadata }) => metadata)).toEqual([
        { answer: "4", item: { unit: "km", n: 1 }, model: "mine" },
        { answer: "5", item: { unit: "mi", n: 2 }, model: "mine" }
      ])
    })
  )
})

describe.concurrent("options", () => {
  it.scopedLive("stand in for what a record does not say", () =>
    Effect.gen(function* () {
      const { byPrompt } = yield* ask(
        jsonl(
          { prompt: "bare" },
          { prompt: "own", model: "own", system: "Own.", temperature: 1.5, max_tokens: 3 },
          { prompt: "thinks", max_completion_tokens: 4 },
          { messages: [{ role: "developer", content: "Own." }, user("chat")], temperature: 0 },
          { body: { messages: [user("batch")], max_tokens: 9 } }
        ),
        ["--model", "flag", "--system", "Flag.", "--temperature", "0.25", "--max-tokens", "11"]
      )
      const flag = { role: "system", content: "Flag." }
      const own = { role: "system", content: "Own." }
      expect(byPrompt.get("bare")).toEqual({
        model: "flag",
        messages: [flag, user("bare")],
        temperature: 0.25,
        max_tokens: 11
      })
      expect(byPrompt.get("own")).toEqual({
        model: "own",
        messages: [own, user("own")],
        temperature: 1.5,
        max_tokens: 3
      })
      expect(byPrompt.get("thinks")).toMatchObject({ max_tokens: 4 })
      expect(byPrompt.get("chat")).toMatchObject({
        messages: [own, user("chat")],
        temperature: 0,
        max_tokens: 11
      })
      expect(byPrompt.get("batch")).toMatchObject({ messages: [flag, user("batch")], max_tokens: 9 })
    })
  )

  it.scopedLive("--base-url and --model come before the environment, and a base URL may end in a slash", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve()
      const { code } = yield* runHere(
        [
          "batch",
          files.records("in.jsonl", [{ prompt: "x" }]),
          "-o",
          files.path("out"),
          "--base-url",
          `${server.url}/`,
          "--model",
          "o3-mini",
          "--max-tokens=6",
          "--system=-S-"
        ],
        { url: "http://127.0.0.1:9/v1" }
      )
      expect(code).toBe(0)
      // a reasoning model takes its limit and its instructions under other names
      expect(server.bodies).toEqual([
        {
          model: "o3-mini",
          messages: [{ role: "developer", content: "-S-" }, user("x")],
          max_completion_tokens: 6
        }
      ])
    })
  )

  it.scopedLive("OPENAI_API_BASE is read too, and values that begin with a dash are values", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve()
      const { code, stderr } = yield* runHere(
        [
          "batch",
          "--prompt",
          "- {{q}}",
          "--system",
          "-x",
          "--temperature",
          "0",
          files.records("in.jsonl", [{ q: 1 }]),
          "-o",
          files.path("out")
        ],
        { url: server.url, model: "sim-1", env: { OPENAI_BASE_URL: undefined, OPENAI_API_BASE: server.url } }
      )
      expect({ code, stderr }).toMatchObject({ code: 0 })
      expect(server.bodies).toEqual([
        { model: "sim-1", messages: [{ role: "system", content: "-x" }, user("- 1")], temperature: 0 }
      ])
    })
  )

  it.scopedLive("a dash and -h are values where a value is due, and an input where none is", () =>
    Effect.gen(function* () {
      const { bodies } = yield* ask(jsonl({ q: 1 }), ["--prompt", "-", "--system", "-h"], "stdin")
      expect(bodies).toEqual([{ model: "sim-1", messages: [{ role: "system", content: "-h" }, user("-")] }])
    })
  )

  it.scopedLive("--system alone may hold the fields", () =>
    Effect.gen(function* () {
      const { bodies } = yield* ask(jsonl({ q: 1 }, { q: 2 }), ["--prompt", "Go", "--system", "Say {{q}}"])
      expect(bodies.length).toBe(2)
    })
  )

  it.scopedLive("--concurrency is the most requests under way at once", () =>
    Effect.gen(function* () {
      let inFlight = 0
      let most = 0
      const server = yield* serve((body, response, request) => {
        most = Math.max(most, ++inFlight)
        setTimeout(() => {
          inFlight--
          plainAnswer(body, response, request)
        }, 20)
      })
      const files = yield* folder
      const input = files.records(
        "in.jsonl",
        Array.from({ length: 30 }, (_, n) => ({ prompt: `p${n}` }))
      )
      const { code } = yield* runHere(["batch", input, "-o", files.path("out"), "--concurrency", "3"], {
        url: server.url
      })
      expect({ code, most, requests: server.requests() }).toEqual({ code: 0, most: 3, requests: 30 })
    })
  )

  it.scopedLive("--rps and --rpm bound what is sent", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const input = files.records(
        "in.jsonl",
        Array.from({ length: 14 }, (_, n) => ({ prompt: `p${n}` }))
      )
      const times: Array<number> = []
      const server = yield* serve((body, response, request) => {
        times.push(Date.now())
        plainAnswer(body, response, request)
      })
      const { code } = yield* runHere(
        ["batch", input, "-o", files.path("out"), "--rps", "10", "--rpm", "6000"],
        {
          url: server.url
        }
      )
      expect({ code, requests: times.length }).toEqual({ code: 0, requests: 14 })
      // the eleventh waits for the first one's second to pass; on a busy machine the first may arrive late
      expect((times[10] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(500)
    })
  )
})

describe.concurrent("text of an input", () => {
  it.scopedLive("may come through a pipe that has a name, as of <(…) in a shell", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve()
      const output = files.path("out.jsonl")
      const { code, stderr } = yield* run([files.path("pipe"), "--output", output], {
        url: server.url,
        stdin: jsonl({ prompt: "one" }, { prompt: "two" }),
        // its reader opens it once only
        shell: `mkfifo "$3"; exec 3<&0; cat <&3 > "$3" & "$1" "$2" batch "$3" "$4" "$5"`
      })
      expect({ code, stderr }).toMatchObject({ code: 0 })
      expect(files.lines("out.jsonl")).toHaveLength(2)
    })
  )

  const long = "é😀".repeat(400_000)
  const prompts = ["plain", "ünï→😀\uFFFD", long, "last"]
  const text = `\uFEFF${JSON.stringify({ prompt: prompts[0] })}\r\n\r\n   \n${jsonl({ prompt: prompts[1] })}\n${jsonl({ prompt: prompts[2] }).trimEnd()}\r\n${JSON.stringify({ prompt: prompts[3] })}`

  for (const how of ["path", "stdin"] as const) {
    it.scopedLive(`a byte order mark, carriage returns, blank and very long lines, by ${how}`, () =>
      Effect.gen(function* () {
        const { bodies, lines } = yield* ask(text, ["--concurrency", "1"], how)
        expect(
          bodies.map(({ messages }) => (messages[0]?.content === undefined ? "" : messages[0].content))
        ).toEqual(prompts)
        expect(lines.map(({ index, response }) => [index, response?.text])).toEqual(
          prompts.map((prompt, index) => [index, prompt.toUpperCase()])
        )
      })
    )
  }

  it.scopedLive("characters that the blocks of the file cut in two", () =>
    Effect.gen(function* () {
      // every length of line, so that some character falls on each side of every block's border
      const records = Array.from({ length: 700 }, (_, n) => ({
        prompt: `${n} ${"é😀→".repeat(100)}${"x".repeat(n % 13)}`
      }))
      const { lines } = yield* ask(jsonl(...records))
      expect(lines.map(({ response }) => response?.text)).toEqual(
        records.map(({ prompt }) => prompt.toUpperCase())
      )
    })
  )
})
