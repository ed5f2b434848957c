import { readdirSync, truncateSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Simulator from "../src/Simulator.js"
import { runHere } from "./here.js"
import { apiKey, type Folder, folder, plainAnswer, run, serve, start, until } from "./process.js"

const questions = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ question: `What is ${n} + ${n}?`, answer: String(n + n) }))

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

const faults: ReadonlyArray<Simulator.RatedFault> = [
  { kind: "status", status: 500, rate: 0.05 },
  { kind: "status", status: 429, retryAfter: "50 millis", rate: 0.05 },
  { kind: "reset", rate: 0.02 }
]

describe.concurrent("a run", () => {
  it.scopedLive("through faults answers everything once and in order; run again it asks for nothing", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({ faults, latency: "10 millis" })
      const input = files.records("in.jsonl", questions(80))
      const command = (out: string) => [
        ...["batch", input, "--output", files.path(out), "--prompt", "{{question}}"],
        ...[
          "--cache",
          files.path("cache/answers.db"),
          "--receipt",
          files.path(`${out}.json`),
          "--no-progress"
        ]
      ]
      const first = yield* run(command("out"), { url: simulator.url })
      expect(first).toMatchObject({ code: 0, stdout: "" })
      const lines = files.lines("out")
      expect(lines.map(({ index }) => index)).toEqual(numbers(80))
      for (const [n, line] of lines.entries()) {
        expect(line.status).toBe("success")
        // the simulator repeats the beginning of the prompt
        expect(line.response?.text).toContain(`What is ${n} + ${n}?`)
        expect(line.metadata).toEqual({ answer: String(n + n) })
      }
      const stats = yield* simulator.stats
      expect(stats).toMatchObject({ distinctHashes: 80, successes: 80, answeredMoreThanOnce: 0 })
      expect(stats.requests).toBeGreaterThan(80)
      const sum = (field: "inputTokens" | "outputTokens") =>
        lines.reduce((total, { response }) => total + (response?.usage[field] ?? 0), 0)
      expect(files.json("out.json")).toMatchObject({
        ...{
          requests: 80,
          succeeded: 80,
          failed: 0,
          cached: 0,
          resumed: 0,
          errors: {},
          interrupted: false
        },
        ...{ attempts: stats.requests, inputTokens: sum("inputTokens"), outputTokens: sum("outputTokens") }
      })
      expect(lines.reduce((total, { meta }) => total + meta.attempts, 0)).toBe(stats.requests)

      yield* simulator.reset
      const before = files.bytes("out")
      const ends = yield* Effect.forEach(
        ["out", "again"],
        (out) => run(command(out), { url: simulator.url }),
        { concurrency: 2 }
      )
      expect(ends).toMatchObject([{ code: 0 }, { code: 0 }])
      expect(files.bytes("out")).toEqual(before)
      expect(files.json("out.json")).toMatchObject({
        requests: 80,
        succeeded: 80,
        resumed: 80,
        cached: 0,
        attempts: 0,
        inputTokens: 0
      })

      expect(files.json("again.json")).toMatchObject({
        succeeded: 80,
        cached: 80,
        resumed: 0,
        attempts: 0,
        outputTokens: 0
      })
      expect(files.lines("again").map(({ response }) => response)).toEqual(
        lines.map(({ response }) => response)
      )
      expect((yield* simulator.stats).requests).toBe(0)
      expect(files.names().filter((name) => name.startsWith("out"))).toEqual(["out", "out.json"])
    })
  )

  it.scopedLive("writes each line in its one shape, failures too, and exits 1 if there are any", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve((body, response, request) => {
        if (body.messages[0]?.content !== "bad") return plainAnswer(body, response, request)
        response.writeHead(400, { "content-type": "application/json", "x-request-id": "req-7" })
        response.end(
          JSON.stringify({ error: { message: "no such thing", type: "invalid_request_error", code: "nope" } })
        )
      })
      const input = files.records("in.jsonl", [
        { prompt: "a", custom_id: "x", row: 1 },
        { prompt: "bad", why: "test" },
        { prompt: "a", row: 2 }
      ])
      const end = yield* run(["batch", input, "-o", files.path("out"), "--receipt", files.path("receipt")], {
        url: server.url
      })
      expect(end.code).toBe(1)
      const [first, bad, equal] = files.lines("out")
      expect(Object.keys(first ?? {})).toEqual([
        "index",
        "custom_id",
        "status",
        "response",
        "error",
        "meta",
        "metadata"
      ])
      expect(first).toEqual({
        index: 0,
        custom_id: "x",
        status: "success",
        response: {
          text: "A",
          finishReason: "stop",
          toolCalls: [],
          usage: { inputTokens: 3, outputTokens: 2 },
          model: "sim-1",
          provider: "openai",
          id: "chatcmpl-1",
          rawFinishReason: "stop"
        },
        error: null,
        meta: {
          attempts: 1,
          cached: false,
          latencyMs: expect.any(Number),
          endpoint: "openai/local/sim-1",
          key: expect.any(String)
        },
        metadata: { row: 1 }
      })
      expect(bad).toMatchObject({
        index: 1,
        custom_id: null,
        status: "error",
        response: null,
        error: { _tag: "InvalidRequestError", status: 400, retryable: false, requestId: "req-7" },
        meta: { attempts: 1, cached: false },
        metadata: { why: "test" }
      })
      expect(bad?.error?.message).toContain("no such thing")
      // an equal question is asked once
      expect(equal).toMatchObject({
        index: 2,
        response: { text: "A" },
        meta: { attempts: 0, cached: true, key: first?.meta.key },
        metadata: { row: 2 }
      })
      expect(server.requests()).toBe(2)
      expect(files.json("receipt")).toEqual({
        ...{ requests: 3, succeeded: 2, failed: 1, cached: 1, resumed: 0, attempts: 2 },
        ...{
          inputTokens: 3,
          outputTokens: 2,
          wallSeconds: expect.any(Number),
          errors: { InvalidRequestError: 1 }
        },
        ...{ interrupted: false, outcomeUnknown: [] },
        // the model of the tests has no price
        ...{ cost: 0, wasted: 0, saved: 0, unpriced: ["sim-1"] },
        ledger: expect.objectContaining({ total: expect.objectContaining({ attempts: 2, answered: 1 }) })
      })
      expect(end.stderr).toContain("3 requests: 2 succeeded, 1 failed")
      expect(end.stderr).toContain("1 × InvalidRequestError")
      // the next run asks for the failure alone
      expect(yield* run(["batch", input, "-o", files.path("out")], { url: server.url })).toMatchObject({
        code: 1
      })
      expect(server.bodies.slice(2).map(({ messages }) => messages[0]?.content)).toEqual(["bad"])
    })
  )

  it.scopedLive("--cache off asks for equal questions one by one", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve()
      const input = files.records("in.jsonl", [{ prompt: "a" }, { prompt: "a" }])
      expect(
        (yield* run(["batch", input, "-o", files.path("out"), "--cache", "off"], { url: server.url })).code
      ).toBe(0)
      expect(server.requests()).toBe(2)
    })
  )

  it.scopedLive("gives a typed error for whatever a server does, and all other answers", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const kinds = ["reset", "truncate", "malformed", "stall"] as const
      const simulator = yield* Simulator.make({
        script: [
          ...kinds.map((kind) => ({ match: kind, times: "always" as const, fault: { kind } })),
          { match: "teapot", times: "always", fault: { kind: "status", status: 418 } },
          { match: "busy", times: "always", fault: { kind: "status", status: 503 } }
        ]
      })
      const prompts = ["fine one", ...kinds, "teapot", "busy", "fine two"]
      const input = files.records(
        "in.jsonl",
        prompts.map((prompt) => ({ prompt }))
      )
      const end = yield* run(
        [
          "batch",
          input,
          "-o",
          files.path("out"),
          "--max-retries",
          "0",
          "--timeout",
          "5s",
          "--receipt",
          files.path("r")
        ],
        { url: simulator.url }
      )
      expect(end.code).toBe(1)
      const lines = files.lines("out")
      expect(lines.map(({ error, status }) => error?._tag ?? status)).toEqual([
        ...["success", "NetworkError", "NetworkError", "NetworkError", "TimeoutError"],
        ...["InvalidRequestError", "OverloadedError", "success"]
      ])
      expect(lines.map(({ error }) => error?.retryable ?? null)).toEqual([
        null,
        true,
        true,
        true,
        true,
        false,
        true,
        null
      ])
      expect(lines.map(({ error }) => error?.status ?? null)).toEqual([
        null,
        null,
        null,
        200,
        null,
        418,
        503,
        null
      ])
      expect(lines.every(({ meta }) => meta.attempts === 1)).toBe(true)
      expect(files.json("r")).toMatchObject({ failed: 6, errors: { NetworkError: 3, TimeoutError: 1 } })
      expect((yield* simulator.stats).requests).toBe(8)
    })
  )

  it.scopedLive("--max-retries is how often a failure is tried again", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({ faults: [{ kind: "status", status: 500, rate: 1 }] })
      const input = files.records("in.jsonl", [{ prompt: "x" }])
      const end = yield* run(["batch", input, "-o", files.path("out"), "--max-retries", "1"], {
        url: simulator.url
      })
      expect(end.code).toBe(1)
      expect(files.lines("out")[0]).toMatchObject({
        error: { _tag: "ServerError", status: 500, retryable: true },
        meta: { attempts: 2 }
      })
      expect((yield* simulator.stats).requests).toBe(2)
    })
  )

  it.scopedLive("with a very long --timeout does not time out at once", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({ latency: "100 millis" })
      const input = files.records("in.jsonl", [{ prompt: "x" }])
      const end = yield* run(
        ["batch", input, "-o", files.path("out"), "--timeout", "1000h", "--max-retries", "0"],
        { url: simulator.url }
      )
      expect(end.code).toBe(0)
    })
  )

  it.scopedLive("names calls of a run that was stopped, and sends them again", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const input = files.records("in.jsonl", [{ prompt: "x" }])
      const args = ["batch", input, "-o", files.path("out"), "--no-progress"]
      const silent = yield* serve(() => {})
      const stopped = yield* start(args, { url: silent.url })
      yield* until(() => silent.requests() === 1)
      expect(yield* stopped.end("SIGINT")).toMatchObject({ code: 130 })
      const server = yield* serve()
      const end = yield* run(args, { url: server.url })
      expect(end).toMatchObject({ code: 0 })
      expect(end.stderr).toContain("1 call of a run that was stopped: outcome unknown, sent again")
    })
  )

  it.scopedLive("goes on when nobody reads what it says", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({ latency: "50 millis" })
      const input = files.records("in.jsonl", questions(40))
      const shells = {
        closed: '"$@" 2>&- >&-',
        left: '{ "$@"; echo $? > "$OUT.code"; } 2>&1 | head -c 1 > /dev/null'
      }
      yield* Effect.forEach(
        Object.entries(shells),
        ([name, shell]) =>
          run(["batch", input, "-o", files.path(name), "--prompt", "{{question}}", "--concurrency", "4"], {
            url: simulator.url,
            shell,
            env: { OUT: files.path(name) }
          }),
        { concurrency: 2, discard: true }
      )
      for (const name of Object.keys(shells)) {
        expect(files.lines(name).map(({ status }) => status)).toEqual(numbers(40).map(() => "success"))
      }
      expect(files.bytes("left.code").toString()).toBe("0\n")
    })
  )

  it.scopedLive(
    "shows progress on stderr line by line, with what makes it wait, and none with --no-progress",
    () =>
      Effect.gen(function* () {
        const files = yield* folder
        const input = files.records("in.jsonl", questions(20))
        const [shown, silent] = yield* Effect.forEach(
          ["shown", "silent"],
          (out) =>
            Effect.gen(function* () {
              const simulator = yield* Simulator.make({
                script: [
                  { match: "0 + 0", attempt: 1, fault: { kind: "status", status: 500 } },
                  { match: "0 + 0", attempt: 2, fault: { kind: "status", status: 500 } },
                  { match: "0 + 0", attempt: 3, fault: { kind: "delay", by: "5 seconds" } }
                ]
              })
              const quiet = out === "silent" ? ["--no-progress"] : []
              return yield* run(
                ["batch", input, "-o", files.path(out), "--prompt", "{{question}}", ...quiet],
                {
                  url: simulator.url
                }
              )
            }),
          { concurrency: 2 }
        )
        expect(shown).toMatchObject({ code: 0, stdout: "" })
        const progress = shown?.stderr.split("\n").filter((line) => line.includes("in flight"))
        expect(progress?.length).toBeGreaterThan(0)
        expect(progress?.[0]).toMatch(
          /^19\/20 {2}0 failed {2}0 cached {2}[1-9]\S*\/s {2}\d in flight.*\(2 failed attempts, the last: .+\)$/
        )
        expect(shown?.stderr).not.toContain("\u001b")
        expect(silent).toMatchObject({ code: 0, stdout: "" })
        expect(silent?.stderr).not.toContain("in flight")
        expect(silent?.stderr).toContain("20 requests: 20 succeeded, 0 failed")
      })
  )

  it.scopedLive("never shows or writes the key", () =>
    Effect.gen(function* () {
      const files = yield* folder
      // a server that says the key back, as some do
      let asked = 0
      const server = yield* serve((body, response, request) => {
        asked++
        const prompt = String(body.messages[0]?.content)
        if (prompt === "reset") return void request.socket.resetAndDestroy()
        if (prompt === "fine") return plainAnswer(body, response, request)
        const refuse = () => {
          // after a 401 nothing more is asked: it waits until the three that may pass were tried again
          if (prompt === "401" && asked < 9) return void setTimeout(refuse, 5)
          response.writeHead(Number(prompt), { "content-type": "application/json" })
          response.end(JSON.stringify({ error: { message: `I know you: ${request.headers.authorization}` } }))
        }
        refuse()
      })
      const input = files.records(
        "in.jsonl",
        ["fine", "reset", "401", "400", "500", "429"].map((prompt) => ({ prompt }))
      )
      const end = yield* run(
        [
          "batch",
          input,
          "-o",
          files.path("out"),
          "--cache",
          files.path("cache.db"),
          "--receipt",
          files.path("receipt"),
          "--log-level",
          "all",
          "--max-retries",
          "1"
        ],
        { url: server.url }
      )
      expect(end.code).toBe(1)
      expect(server.requests()).toBe(9)
      // and one that is killed: what it leaves beside the output
      const stalled = yield* Simulator.make({ latency: "20 seconds" })
      const killed = yield* start(
        ["batch", input, "-o", files.path("killed"), "--cache", files.path("other.db"), "--log-level", "all"],
        { url: stalled.url }
      )
      while ((yield* stalled.stats).open < 6) yield* Effect.sleep(10)
      yield* killed.end("SIGKILL")
      const names = readdirSync(files.path("."))
      expect(names).toEqual(
        expect.arrayContaining([
          "cache.db",
          "killed.journal",
          "killed.lock",
          "other.db-wal",
          "out",
          "receipt"
        ])
      )
      const said = [end.stdout, end.stderr, killed.stdout(), killed.stderr()].map((text) => Buffer.from(text))
      for (const bytes of [...said, ...names.map(files.bytes)]) {
        expect(bytes.includes(apiKey)).toBe(false)
        expect(bytes.includes(apiKey.slice(0, 12))).toBe(false)
        expect(bytes.includes(Buffer.from(apiKey).toString("base64"))).toBe(false)
      }
    })
  )
})

describe("bad usage and bad input end with exit code 2, a message, and nothing written", () => {
  const good = [{ prompt: "one" }, { prompt: "two" }]

  interface Case {
    readonly args: (files: Folder) => ReadonlyArray<string>
    readonly says: RegExp
    readonly env?: Readonly<Record<string, string | undefined>>
    /** For a process of its own, which costs as much as all others together. Default: runs in this one. */
    readonly stdin?: string
  }
  const batch =
    (...args: ReadonlyArray<string>): Case["args"] =>
    (files) => ["batch", files.path("in.jsonl"), "-o", files.path("out"), ...args]
  const input =
    (name: string): Case["args"] =>
    (files) => ["batch", files.path(name), "-o", files.path("out")]
  const output =
    (name: string): Case["args"] =>
    (files) => ["batch", files.path("in.jsonl"), "-o", files.path(name)]

  const cases: Readonly<Record<string, Case>> = {
    "no such file": {
      args: input("nothing.jsonl"),
      says: /nothing\.jsonl: no such file/,
      env: { OPENAI_API_KEY: undefined },
      stdin: ""
    },
    "a folder": { args: input("."), says: /is a folder/ },
    "a line that is not JSON": { args: input("broken.jsonl"), says: /1 bad line\..*\n.*line 3: not JSON/ },
    "a line that is no object": { args: input("list.jsonl"), says: /line 1: not a JSON object/ },
    "nothing to ask": { args: input("other.jsonl"), says: /line 1: nothing to ask/ },
    "another endpoint": {
      args: input("embed.jsonl"),
      says: /line 1: "url" must be "\/v1\/chat\/completions"/
    },
    "an empty input": { args: input("empty.jsonl"), says: /no requests in it/ },
    "an empty standard input": {
      args: (files) => ["batch", "-", "-o", files.path("out")],
      says: /the standard input: no requests in it/,
      stdin: ""
    },
    "a bad line from the standard input": {
      args: (files) => ["batch", "-", "-o", files.path("out")],
      stdin: "{}\n\nno\n",
      says: /the standard input: 2 bad lines(.|\n)*line 3: not JSON/
    },
    "a field that is missing": {
      args: batch("--prompt", "{{nope.deep}}"),
      says: /lines 1, 2: the record has no field "nope\.deep".*it has prompt/
    },
    "a field that is misspelt": {
      args: batch("--prompt", "{{promt}}"),
      says: /\n {2}lines 1, 2: .* no field "promt".*; did you mean "prompt"\?\n$/
    },
    "a field that is not closed": {
      args: batch("--prompt", "{{prompt}} {{prompt"),
      says: /--prompt: \{\{prompt is not closed: a field is written \{\{name\}\}\n$/
    },
    "a field of --system that is missing": { args: batch("--system", "{{nope}}"), says: /no field "nope"/ },
    "a prompt without a field": {
      args: batch("--prompt", "Solve it"),
      says: /--prompt has no \{\{field\}\}: all 2 requests would ask the same\n/
    },
    "a prompt with single braces": {
      args: batch("--prompt", "Solve: {prompt}"),
      says: /no \{\{field\}\}.* Write \{\{prompt\}\}, not \{prompt\}/
    },
    "a prompt that is a dash": { args: batch("--prompt", "-"), says: /--prompt has no/ },
    "a prompt that looks like a call for help": { args: batch("--prompt", "-h"), says: /--prompt has no/ },
    "lines that are not UTF-8": {
      args: input("latin1.jsonl"),
      says: /latin1\.jsonl: 1 bad line\..*\n +line 3: not UTF-8\n/
    },
    "an output that is a dash": {
      args: (files) => ["batch", files.path("in.jsonl"), "-o", "-"],
      says: /--output must be a file, not -/
    },
    "an output that is a dash, of the standard input": {
      args: () => ["--log-level", "info", "batch", "--no-progress", "-", "--output=-"],
      says: /--output must be a file, not -/
    },
    "an output in no folder": { args: output("none/out"), says: /cannot use the folder of .*none\/out/ },
    "an output that is a folder": { args: output("."), says: /is a folder/ },
    "an output that is something else": {
      args: output("notes.txt"),
      says: /notes\.txt is not JSON; the file was left as it is/
    },
    "an output that is other JSON": {
      args: output("other.jsonl"),
      says: /other\.jsonl is not an outcome of a batch/
    },
    "an output of another input": {
      args: output("foreign"),
      says: /foreign holds 1 outcomes, and none is of these requests/
    },
    "an output that is the input": { args: output("in.jsonl"), says: /INPUT and --output are the same file/ },
    "a receipt that is the input": {
      args: (files) => batch("--receipt", files.path("in.jsonl"))(files),
      says: /INPUT and --receipt are the same file/
    },
    "a receipt in no folder": {
      args: (files) => batch("--receipt", files.path("none/receipt"))(files),
      says: /--receipt: cannot write/
    },
    "a receipt that is a folder": {
      args: (files) => batch("--receipt", files.path("."))(files),
      says: /--receipt: cannot write .*: it is a folder/
    },
    "a cache that is the output": {
      args: (files) => batch("--cache", files.path("out"))(files),
      says: /--output and --cache are the same file/
    },
    "a cache that is no database": {
      args: (files) => batch("--cache", files.path("notes.txt"))(files),
      says: /--cache: .*notes\.txt/
    },
    "a cache that is a folder": {
      args: (files) => batch("--cache", files.path("."))(files),
      says: /--cache: cannot open/
    },
    "no output": { args: (files) => ["batch", files.path("in.jsonl")], says: /--output/ },
    "no input": { args: (files) => ["batch", "-o", files.path("out")], says: /INPUT/ },
    "an unknown option": { args: batch("--bogus", "1"), says: /--bogus/ },
    "a misspelt option": {
      args: (files) => ["batch", files.path("in.jsonl"), "--outptu", files.path("out")],
      says: /--outptu/
    },
    "a misspelt command": { args: () => ["bacth"], says: /bacth/, stdin: "" },
    "no key": {
      args: batch(),
      says: /Set the environment variable OPENAI_API_KEY/,
      env: { OPENAI_API_KEY: undefined }
    },
    "an empty key": { args: batch(), says: /OPENAI_API_KEY/, env: { OPENAI_API_KEY: " " } },
    "a key with odd characters": {
      args: batch(),
      says: /OPENAI_API_KEY holds characters/,
      env: { OPENAI_API_KEY: `${apiKey} é` }
    },
    "no model": { args: batch(), says: /No model: pass --model/, env: { OPENAI_MODEL: undefined } },
    "a base URL that is none": {
      args: batch("--base-url", "localhost:1"),
      says: /base URL must start with http/
    },
    "--provider": { args: batch("--provider", "nobody"), says: /openai/ },
    "--timeout": { args: batch("--timeout", "soon"), says: /--timeout takes a time/ },
    "--timeout of nothing": { args: batch("--timeout", "0s"), says: /--timeout takes a time/ },
    "--max-retries": {
      args: batch("--max-retries", "-1"),
      says: /--max-retries takes a whole number or "forever"/
    },
    "--rps": { args: batch("--rps", "0"), says: /--rps must be greater than 0/ },
    "--rps that is no number": { args: batch("--rps", "many"), says: /--rps takes a number, not "many"/ },
    "--rpm": { args: batch("--rpm", "-3"), says: /--rpm must be greater than 0/ },
    "--concurrency": { args: batch("--concurrency", "1.5"), says: /--concurrency takes a whole number/ },
    "--concurrency of nothing": {
      args: batch("--concurrency", "0"),
      says: /--concurrency takes a whole number greater than 0/
    },
    "--max-tokens": { args: batch("--max-tokens", "0"), says: /--max-tokens must be greater than 0/ }
  }

  for (const [name, { args, env, says, stdin }] of Object.entries(cases)) {
    it.scopedLive(name, () =>
      Effect.gen(function* () {
        const files = yield* folder
        files.records("in.jsonl", good)
        files.write("broken.jsonl", '{"prompt":"a"}\n\n{"prompt":\n{"prompt":"b"}\n')
        files.write("list.jsonl", "[1]\n")
        files.write(
          "latin1.jsonl",
          Buffer.from('{"prompt":"a"}\n{"prompt":"b"}\n{"prompt":"caf\xe9"}\n', "latin1")
        )
        files.write("empty.jsonl", "\n \n")
        files.write("notes.txt", "remember the milk\n")
        files.records("other.jsonl", [{ id: 1, note: "mine" }])
        files.records("embed.jsonl", [
          { custom_id: "e", method: "POST", url: "/v1/embeddings", body: { input: "x" } }
        ])
        files.records("foreign", [{ index: 0, status: "success", response: {}, meta: { key: "other" } }])
        const state = () =>
          Object.fromEntries(files.names().map((file) => [file, files.bytes(file).toString("utf8")]))
        const before = state()
        const server = yield* serve()
        const end = yield* stdin === undefined
          ? runHere(args(files), {
              url: server.url,
              model: "sim-1",
              env: { OPENAI_API_KEY: apiKey, ...env }
            })
          : run(args(files), {
              url: server.url,
              cwd: files.path("."),
              stdin,
              ...(env === undefined ? undefined : { env })
            })
        expect(end).toMatchObject({ code: 2, stdout: "" })
        expect(end.stderr).toMatch(says)
        // one message: no stack, no second report
        expect(end.stderr).not.toMatch(/\n\s+at |Error:/)
        expect(end.stderr.trim().split("\n").length).toBeLessThanOrEqual(4)
        expect(end.stderr).not.toContain(apiKey)
        expect(state()).toEqual(before)
        expect(server.requests()).toBe(0)
      })
    )
  }

  it.scopedLive("a line that no string can hold", () =>
    Effect.gen(function* () {
      const files = yield* folder
      files.write("in.jsonl", '{"prompt":"a"}\n')
      // a hole: it takes no room on the disk
      truncateSync(files.path("in.jsonl"), 600 * 1024 * 1024)
      const end = yield* run(batch()(files), { url: "http://127.0.0.1:9/v1" })
      expect(end).toMatchObject({ code: 2, stdout: "" })
      expect(end.stderr).toMatch(/1 bad line\. Nothing was sent\n +line 2: longer than 256 MiB\n$/)
    })
  )

  it.scopedLive("a second run on the same output", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({ latency: "20 seconds" })
      const args = batch()({ ...files, path: files.path })
      files.records("in.jsonl", good)
      const first = yield* start(args, { url: simulator.url })
      yield* until(() => files.names().includes("out.journal"))
      const second = yield* run(args, { url: simulator.url })
      expect(second).toMatchObject({ code: 2, stdout: "" })
      expect(second.stderr).toContain(`another run is writing this output: process ${first.process.pid}`)
      expect((yield* simulator.stats).requests).toBeLessThanOrEqual(2)
    })
  )
})
