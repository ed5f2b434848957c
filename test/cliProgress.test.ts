import { describe, expect, it } from "@effect/vitest"
import { parse } from "csv-parse/sync"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type { Progress } from "floodgate"
import * as Simulator from "floodgate/Simulator"
import * as LogCalls from "../src/cli/logCalls.js"
import * as Display from "../src/cli/progress.js"
import * as Lines from "../src/cli/progressLines.js"
import type { Mode } from "../src/cli/progressModes.js"
import { paintFor, width } from "../src/cli/progressStyle.js"
import { apiKey, folder, run } from "./process.js"

const endpoint = (name: string, fields: Partial<Progress.Snapshot["endpoints"][number]> = {}) => ({
  ...{
    endpoint: name,
    circuit: "closed" as const,
    inFlight: 3,
    attempts: 12_000,
    answered: 11_900,
    failed: 90
  },
  ...{ interrupted: 10, inputTokens: 1_234_567, outputTokens: 234_567, cost: 1.25, latencyMs: 840, ...fields }
})

const at = 1_800_000_000_000

const snapshot: Progress.Snapshot = {
  at,
  elapsedSeconds: 754,
  total: 100_000,
  done: 31_234,
  succeeded: 31_200,
  failed: 34,
  cached: 1_200,
  resumed: 10_000,
  errors: { ContentFilterError: 34 },
  attempts: 21_000,
  failedAttempts: {
    count: 120,
    errors: { ServerError: 120 },
    last: {
      at: at - 1_000,
      endpoint: "east",
      error: "ServerError",
      message: "the server\n\u001b[31mfell over"
    }
  },
  rate: { now: 42.4, average: 38.2 },
  tokens: { input: 1_234_567, output: 234_567, perMinute: 182_345 },
  cost: { soFar: 2.5, projected: 10.125, budget: 10, unpriced: ["our-own-model"] },
  inFlight: 64,
  waiting: { limiter: 12, router: 0 },
  domains: [
    {
      ...{ domain: "openai/gpt-4o-mini", inFlight: 64, waiting: 12, waitingFor: "tokensPerMinute" },
      ...{ concurrency: 120, isAdaptive: true },
      limits: [
        { name: "requestsPerMinute", used: 2_500, limit: 5_000 },
        { name: "tokensPerMinute", used: 198_000, limit: 200_000 }
      ]
    }
  ],
  pauses: [
    { of: "domain", name: "openai/gpt-4o", until: at + 12_000, reason: "Rate limit reached for requests" },
    { of: "endpoint", name: "日本".repeat(60), reason: "it rests" }
  ],
  etaSeconds: 1_623,
  endpoints: [
    endpoint("east"),
    endpoint("an endpoint whose name is longer than there is room for in most tables", { circuit: "open" })
  ]
}

const plain = paintFor({}, {})
const coloured = paintFor({}, { FORCE_COLOR: "1" })

// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape is what is looked for
const escapes = /\u001b\[[\d;]*m/g

describe("what is drawn", () => {
  it.each([24, 50, 80, 120, 200])("fits into %i columns, with and without colours", (columns) => {
    const frame = { width: columns, height: 40, stats: true }
    const lines = Lines.lines(snapshot, { ...frame, paint: plain })
    for (const line of lines) expect(width(line)).toBeLessThanOrEqual(columns)
    expect(lines.join("")).not.toContain("\u001b")
    const inColour = Lines.lines(snapshot, { ...frame, paint: coloured })
    expect(inColour.join("\n")).not.toBe(lines.join("\n"))
    expect(inColour.map((line) => line.replace(escapes, ""))).toEqual(lines)
  })

  it("tells everything at 80 columns", () => {
    const lines = Lines.lines(snapshot, { width: 80, height: 24, paint: plain, stats: true })
    expect(lines[0]).toMatch(/^█+░+ {2}31 % {2}31,234\/100,000 {2}12m34s {2}ETA 27m03s$/)
    expect(width(lines[0] ?? "")).toBe(80)
    const text = lines.join("\n")
    for (const fact of [
      ...["31,200 ok", "34 failed", "1,200 cached", "10,000 resumed"],
      ...["64 in flight", "up to 120 at once", "12 waiting for tpm"],
      ...["42/s", "38/s on average", "182,345 tokens/min"],
      ...["rpm 2,500/5,000 (50 %)", "tpm 198,000/200,000 (99 %)"],
      ...["$2.50 → $10.13", "of $10.00 (25 %)", "and unpriced: our-own-model"],
      ...["paused 12s: openai/gpt-4o: Rate limit reached for requests", "out: 日本"],
      "120 failed attempts, the last: the server [31mfell over"
    ]) {
      expect(text).toContain(fact)
    }
    expect(lines.slice(-3)).toEqual([
      expect.stringMatching(/^endpoint .*circuit {2}in flight {2}latency {2}answered {2}failed/),
      expect.stringMatching(/^east .*closed .* 840 ms {4}11,900 {6}90/),
      expect.stringMatching(/^an endpoint whose n.*… .*open /)
    ])
  })

  it("tells what is held of a budget, and who waits for it, on one line of 80 columns", () => {
    const held: Progress.Snapshot = {
      ...snapshot,
      cost: { ...snapshot.cost, reserved: 0.125, unsettled: 0.0375, unpriced: [] },
      waiting: { limiter: 0, router: 0, budget: 7 }
    }
    const lines = Lines.lines(held, { width: 80, height: 24, paint: plain, stats: false })
    const text = lines.join("\n")
    expect(text).toContain("7 waiting for room in the budget")
    expect(lines).toContain("$2.50 → $10.13  of $10.00 (25 %)  $0.125 reserved  $0.0375 unsettled")
    const tokens = { ...snapshot.tokens, budget: 2_000_000 }
    expect(Lines.line({ ...held, tokens })).toContain("1,469,134 of 2,000,000 tokens (73 %)")
  })

  it("takes fewer lines where there is room, and shows more columns of endpoints", () => {
    const narrow = Lines.lines(snapshot, { width: 80, height: 40, paint: plain, stats: true })
    const wide = Lines.lines(snapshot, { width: 200, height: 40, paint: plain, stats: true })
    expect(wide.length).toBeLessThan(narrow.length)
    expect(wide.at(-2)).toContain("1,234,567 / 234,567")
  })

  it("is never higher than the terminal", () => {
    const many = { ...snapshot, endpoints: Array.from({ length: 50 }, (_, n) => endpoint(`e${n}`)) }
    const lines = Lines.lines(many, { width: 80, height: 20, paint: plain, stats: true })
    expect(lines.length).toBeLessThanOrEqual(20)
    expect(lines.at(-1)).toMatch(/^and \d+ more endpoints$/)
  })
})

/** A terminal, or a pipe, that keeps what is written. */
const streamOf = (isTTY: boolean) => {
  let text = ""
  const stream = {
    ...{ isTTY, columns: 80, rows: 24 },
    write: (chunk: string) => {
      text += chunk
      return true
    },
    on: () => stream,
    off: () => stream
  }
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text }
}

const progress = { snapshot: Effect.succeed(snapshot) } as unknown as Progress.Service

/** Lets all of its time pass. */
const settled = <A>(effect: Effect.Effect<A>) =>
  Effect.flatMap(Effect.fork(effect), (fiber) =>
    Effect.zipRight(TestClock.adjust("10 seconds"), Fiber.join(fiber))
  )

const shown = (mode: Mode, isTTY: boolean, env: NodeJS.ProcessEnv) =>
  Effect.gen(function* () {
    const { stream, text } = streamOf(isTTY)
    const display = Display.make({ mode, stats: false }, stream, env)
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* display.show(progress)
        yield* Effect.sleep("5500 millis")
        display.print("a line of the log\n")
        yield* Effect.sleep("400 millis")
      })
    )
    return text()
  })

describe("the display", () => {
  it.effect("is drawn in place on a terminal, with the log above it, and taken away at the end", () =>
    Effect.gen(function* () {
      const text = yield* settled(shown("auto", true, { TERM: "xterm-256color" }))
      expect(text.startsWith("\u001b[?25l")).toBe(true)
      expect(text.endsWith("\u001b[?25h")).toBe(true)
      const [before = "", after = ""] = text.split("a line of the log\n")
      // the lines of the display are erased before the line is written, and drawn again after it
      expect(before.endsWith("\u001b[2K\u001b[G\u001b[?2026l")).toBe(true)
      expect(after).toContain("31,234/100,000")
    })
  )

  it.effect("is a line now and then where nothing can be drawn", () =>
    Effect.gen(function* () {
      const texts = yield* Effect.all(
        [
          shown("auto", false, { TERM: "xterm" }),
          shown("auto", true, { TERM: "dumb" }),
          shown("plain", true, { TERM: "xterm" })
        ].map(settled)
      )
      for (const text of texts) {
        expect(text).toMatch(
          /^31,234\/100,000 {2}34 failed {2}1,200 cached {2}10,000 resumed {2}42\/s .*\na line of the log\n$/
        )
        expect(text).not.toContain("\u001b")
      }
    })
  )

  it.effect("is JSON, one object a line, or nothing, where that is asked for", () =>
    Effect.gen(function* () {
      const json = yield* settled(shown("json", true, {}))
      const lines = json.split("\n").filter((line) => line.startsWith("{"))
      expect(lines).toHaveLength(6)
      expect(JSON.parse(lines[0] ?? "")).toEqual({ type: "progress", ...snapshot })
      expect(yield* settled(shown("none", true, {}))).toBe("a line of the log\n")
    })
  )
})

describe("floodgate batch", () => {
  it.scopedLive("tells a program how it gets on, and writes its log and its calls down", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({
        script: [
          { match: "word 0", attempt: 1, fault: { kind: "status", status: 500 } },
          { match: "word 1", fault: { kind: "status", status: 400 } }
        ]
      })
      const input = files.records("in.jsonl", [{ w: "word 0" }, { w: "word 1" }, { w: "word 2" }])
      const args = ["batch", input, "-o", files.path("out.jsonl"), "--prompt", "Say {{w}}"]
      const end = yield* run(
        [
          ...[...args, "--progress", "json", "--verbose", "--stats"],
          ...["--calls", files.path("calls.csv"), "--calls-prompt", "8", "--log-file", files.path("run.log")]
        ],
        { url: simulator.url }
      )
      expect(end).toMatchObject({ code: 1, stdout: "" })
      const told = end.stderr
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line))
      expect(told.filter(({ type }) => type === "progress").at(-1)).toMatchObject({
        total: 3,
        done: 3,
        succeeded: 2,
        failed: 1,
        errors: { InvalidRequestError: 1 },
        failedAttempts: { count: 2, errors: { ServerError: 1, InvalidRequestError: 1 } }
      })
      expect(told.find(({ type }) => type === "log")).toMatchObject({
        logLevel: "DEBUG",
        annotations: { attempt: 1 }
      })
      expect(told.at(-1)).toMatchObject({
        type: "message",
        message: expect.stringContaining("3 requests: 2 succeeded, 1 failed")
      })
      const calls: ReadonlyArray<Record<string, string>> = parse(files.bytes("calls.csv"), { columns: true })
      expect(calls.map(({ outcome, prompt }) => `${prompt} ${outcome}`).sort()).toEqual([
        "Say wor… InvalidRequestError",
        "Say wor… ServerError",
        "Say wor… answered",
        "Say wor… answered"
      ])
      const log = files.bytes("run.log").toString()
      expect(log).toContain("level=DEBUG")
      expect(log).toContain("3 requests: 2 succeeded, 1 failed")
      for (const text of [end.stderr, log, files.bytes("calls.csv").toString()]) {
        expect(text).not.toContain(apiKey)
      }
    })
  )

  it.scoped("refuses a file for its calls that could not be one, before anything is asked", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const refusal = (calls: string, callsPrompt?: number) =>
        Effect.map(Effect.flip(LogCalls.layerOf({ calls, callsPrompt })), ({ message }) => message)
      expect(yield* refusal("calls.xlsx")).toContain("must end with .jsonl or .csv")
      expect(yield* refusal(files.write("notes.csv", "a,b\n"))).toContain("no call log of this format")
      expect(yield* refusal(files.path("none/calls.csv"))).toContain("ENOENT")
      expect(yield* refusal(files.path("calls.csv"), -1)).toContain("--calls-prompt")
    })
  )
})
