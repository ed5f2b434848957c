import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { runHere } from "./here.js"
import { folder, run, start, until } from "./process.js"

/** What is looked at of an answer, good or bad. */
interface Answered {
  readonly choices?: ReadonlyArray<{ readonly message: { readonly content: string } }>
  readonly usage?: { readonly completion_tokens: number }
  readonly error?: { readonly code: string }
}

/** Starts `floodgate simulate` on a free port and gives the URL that it prints. */
const simulate = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const running = yield* start(["simulate", "--port", "0", ...args])
    yield* until(() => running.stdout().includes("Ctrl-C stops"))
    const url = /http:\/\/[\d.]+:\d+\/v1/.exec(running.stdout())?.[0] ?? ""
    const ask = (content: string, more: object = {}) =>
      Effect.promise(async () => {
        const begun = performance.now()
        const response = await fetch(`${url}/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: "Bearer any" },
          body: JSON.stringify({ model: "m-1", messages: [{ role: "user", content }], ...more })
        })
        const body = (await response.json()) as Answered
        return { status: response.status, headers: response.headers, body, took: performance.now() - begun }
      })
    const log = Effect.promise(async () => {
      const text = await (await fetch(new URL("/__log", url))).text()
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line): Readonly<Record<string, unknown>> => JSON.parse(line))
    })
    return { ...running, url, ask, log }
  })

describe.concurrent("floodgate simulate", () => {
  it.scopedLive("prints where it serves and how to use it, keeps a log, and ends at Ctrl-C", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* simulate("--log", files.path("log.jsonl"), "--output-tokens", "30")
      expect(simulator.stdout()).toContain(`export OPENAI_BASE_URL=${simulator.url}`)
      const { body, status } = yield* simulator.ask("Hello there")
      expect(status).toBe(200)
      expect(body.choices?.[0]?.message.content).toContain("Hello there")
      expect(body.usage?.completion_tokens).toBe(30)
      expect(yield* simulator.log).toMatchObject([
        { seq: 1, status: 200, outcome: "answered", charged: true }
      ])
      const end = yield* simulator.end("SIGINT")
      expect(end).toMatchObject({ code: 130, stderr: "" })
      expect(end.took).toBeLessThan(30_000)
      expect(files.lines("log.jsonl")).toMatchObject([{ seq: 1, status: 200 }])
    })
  )

  it.scopedLive("--latency, --tokens-per-second, --models, --context-window, --max-concurrency", () =>
    Effect.gen(function* () {
      const simulator = yield* simulate(
        ...["--latency", "150ms..160ms", "--tokens-per-second", "100", "--output-tokens", "10..10"],
        ...["--models", "m-1, m-2", "--context-window", "50", "--max-concurrency", "1"]
      )
      const [one, other] = yield* Effect.all([simulator.ask("a"), simulator.ask("b")], { concurrency: 2 })
      expect([one.status, other.status].sort()).toEqual([200, 429])
      expect(Math.max(one.took, other.took)).toBeGreaterThanOrEqual(245)
      expect((yield* simulator.ask("x", { model: "m-9" })).status).toBe(404)
      const long = yield* simulator.ask("x".repeat(400))
      expect({ status: long.status, code: long.body.error?.code }).toEqual({
        status: 400,
        code: "context_length_exceeded"
      })
    })
  )

  it.scopedLive("--rps, --rpm and --tpm refuse with a hint", () =>
    Effect.gen(function* () {
      const limits = [
        ["--rps", "1"],
        ["--rpm", "1"],
        ["--tpm", "30"]
      ] as const
      yield* Effect.forEach(
        limits,
        (limit) =>
          Effect.gen(function* () {
            const simulator = yield* simulate(...limit)
            // at once: a limit by the second would let more pass later
            const answers = yield* Effect.forEach(
              ["one", "two", "three", "four"],
              (prompt) => simulator.ask(prompt, { max_tokens: 16 }),
              { concurrency: "unbounded" }
            )
            expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]))
            const refused = answers.find(({ status }) => status === 429)
            expect(Number(refused?.headers.get("retry-after-ms"))).toBeGreaterThan(0)
          }),
        { concurrency: 3 }
      )
    })
  )

  it.scopedLive("--key, --itpm, --otpm, --reasoning-tokens and --batch-takes", () =>
    Effect.gen(function* () {
      const simulator = yield* simulate(
        ...["--key", "any", "--itpm", "1000", "--otpm", "100", "--batch-takes", "1h"],
        ...["--reasoning-tokens", "7", "--output-tokens", "20"]
      )
      expect(simulator.stdout()).toContain("The key is the one of --key")
      const { body, status } = yield* simulator.ask("one", { model: "o4-mini", max_completion_tokens: 50 })
      expect(status).toBe(200)
      expect(body.usage).toMatchObject({
        completion_tokens: 27,
        completion_tokens_details: { reasoning_tokens: 7 }
      })
      // more than a minute ever has, however slowly this goes
      expect((yield* simulator.ask("two", { max_completion_tokens: 150 })).status).toBe(429)
      expect((yield* simulator.ask("x".repeat(8_000), { max_completion_tokens: 5 })).status).toBe(429)
      const wrongKey = yield* Effect.promise(() =>
        fetch(`${simulator.url}/models`, { headers: { authorization: "Bearer other" } })
      )
      expect(wrongKey.status).toBe(401)
    })
  )

  it.scopedLive("--fault, --script, --seed, --lenient", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const script = files.write(
        "script.json",
        JSON.stringify([{ match: "scripted", fault: { kind: "status", status: 429, retryAfter: "2s" } }])
      )
      const statuses = (simulator: Effect.Effect.Success<ReturnType<typeof simulate>>) =>
        Effect.forEach(Array.from({ length: 40 }), (_, n) =>
          Effect.map(simulator.ask(`q${n}`), ({ status }) => status)
        )
      const [faulty, same, other] = yield* Effect.all(
        [
          simulate("--fault", "500=30%", "--fault", "429=0.2:3s", "--seed", "5", "--script", script),
          simulate("--fault", "500=30%", "--fault", "429=0.2:3s", "--seed", "5", "--lenient"),
          simulate("--fault", "500=30%", "--fault", "429=0.2:3s", "--seed", "6")
        ],
        { concurrency: 3 }
      )
      const drawn = yield* statuses(faulty)
      expect(new Set(drawn)).toEqual(new Set([200, 429, 500]))
      expect(yield* statuses(same)).toEqual(drawn)
      expect(yield* statuses(other)).not.toEqual(drawn)
      const scripted = yield* faulty.ask("scripted")
      expect({ status: scripted.status, wait: scripted.headers.get("retry-after") }).toEqual({
        status: 429,
        wait: "2"
      })
      expect((yield* other.ask("x", { top_k: 1 })).status).toBe(400)
      expect((yield* same.ask("x", { top_k: 1 })).status).not.toBe(400)
    })
  )

  it.scopedLive("says that a port is taken", () =>
    Effect.gen(function* () {
      const simulator = yield* simulate()
      const port = new URL(simulator.url).port
      const end = yield* run(["simulate", "--port", port])
      expect(end).toMatchObject({ code: 2, stdout: "" })
      expect(end.stderr).toMatch(
        new RegExp(`^floodgate: Cannot serve on 127.0.0.1:${port}: .*(in use|EADDRINUSE).*\\n$`)
      )
    })
  )

  const wrong: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
    [["--latency", "soon"], /--latency takes a time/],
    [["--latency", "2s..1s"], /--latency/],
    [["--output-tokens", "many"], /--output-tokens/],
    [["--fault", "500"], /--fault takes KIND=SHARE/],
    [["--fault", "500=150%"], /--fault takes KIND=SHARE/],
    [["--fault", "delay=5%"], /--fault takes KIND=SHARE/],
    [["--rps", "0"], /--rps must be greater than 0/],
    [["--port", "70000"], /70000/],
    [["--port", "http"], /--port takes a whole number/],
    [["--script", "/nowhere.json"], /--script \/nowhere\.json/],
    [["--log", "/nowhere/log"], /\/nowhere\/log/],
    [["--bogus"], /--bogus/]
  ]
  for (const [args, says] of wrong) {
    it.scopedLive(`refuses ${args.join(" ")}`, () =>
      Effect.gen(function* () {
        const port = args[0] === "--port" ? [] : ["--port", "0"]
        const end = yield* runHere(["simulate", ...port, ...args], { url: "http://127.0.0.1:9" })
        expect(end).toMatchObject({ code: 2, stdout: "" })
        expect(end.stderr).toMatch(says)
        expect(end.stderr.trim().split("\n").length).toBeLessThanOrEqual(3)
      })
    )
  }
})
