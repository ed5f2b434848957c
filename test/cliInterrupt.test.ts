import { execFileSync } from "node:child_process"
import { open } from "node:fs/promises"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Simulator from "../src/Simulator.js"
import { runHere } from "./here.js"
import { type Folder, folder, type Line, run, start, until } from "./process.js"

const total = 300
const concurrency = 16

const prepare = Effect.gen(function* () {
  const files = yield* folder
  const simulator = yield* Simulator.make({
    latency: { kind: "uniform", min: "20 millis", max: "80 millis" }
  })
  const input = files.records(
    "in.jsonl",
    Array.from({ length: total }, (_, n) => ({ prompt: `Question ${n}.` }))
  )
  const args = [
    ...["batch", input, "-o", files.path("out"), "--concurrency", String(concurrency)],
    ...["--receipt", files.path("receipt"), "--no-progress"]
  ]
  return { args, files, simulator, options: { url: simulator.url } }
})

/** The hash by which the simulator names the request of a line. */
const hashOf = (line: Line): string | undefined => /^Answer ([0-9a-f]+):/.exec(line.response?.text ?? "")?.[1]

const expectComplete = (files: Folder) => {
  const lines = files.lines("out")
  expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: total }, (_, index) => index))
  for (const [n, line] of lines.entries()) expect(line.response?.text).toContain(`Question ${n}.`)
  // nothing is left beside the output of a finished run
  expect(files.names()).toEqual(["in.jsonl", "out", "receipt"])
  return lines
}

describe.concurrent("a run that is stopped", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it.scopedLive(`by ${signal} keeps what is finished, and the next one sends only the rest`, () =>
      Effect.gen(function* () {
        const { args, files, options, simulator } = yield* prepare
        const first = yield* start(args, options)
        yield* until(() => files.count("out") >= total * 0.4)
        const end = yield* first.end(signal)
        expect(end).toMatchObject({ code: 130, signal: null, stdout: "" })
        expect(end.took).toBeLessThan(30_000)
        expect(end.stderr).toMatch(/Interrupted: \d+ of 300 done/)
        const kept = files.lines("out")
        expect(kept.length).toBeGreaterThanOrEqual(total * 0.4)
        expect(kept.length).toBeLessThan(total)
        expect(kept.every(({ status }) => status === "success")).toBe(true)
        expect(files.json("receipt")).toMatchObject({ interrupted: true, failed: 0 })
        expect(files.names()).not.toContain("out.lock")
        const earlier = (yield* simulator.log).map(({ hash }) => hash)

        yield* simulator.reset
        expect(yield* run(args, options)).toMatchObject({ code: 0 })
        expectComplete(files)
        const asked = (yield* simulator.log).map(({ hash }) => hash)
        // only the rest, each once
        expect(asked.length).toBe(total - kept.length)
        expect(new Set(asked).size).toBe(asked.length)
        const finished = new Set(kept.map(hashOf))
        expect(asked.filter((hash) => finished.has(hash))).toEqual([])
        // what was in flight was let end: nothing is paid for twice
        expect(asked.filter((hash) => earlier.includes(hash))).toEqual([])
        const receipt = files.json("receipt")
        expect(receipt).toMatchObject({
          requests: total,
          succeeded: total,
          resumed: kept.length,
          attempts: asked.length,
          interrupted: false
        })
        expect(receipt.outcomeUnknown).toEqual([])
      })
    )
  }

  it.scopedLive(
    "by SIGKILL, three times at random, loses nothing and asks again only what was in flight",
    () =>
      Effect.gen(function* () {
        const { args, files, options, simulator } = yield* prepare
        let finished = 0
        for (let kill = 0; kill < 3; kill++) {
          const running = yield* start(args, options)
          const enough = finished + 20 + Math.floor(Math.random() * 50)
          yield* until(() => files.count("out") >= enough)
          yield* Effect.sleep(Math.random() * 20)
          expect(yield* running.end("SIGKILL")).toMatchObject({ signal: "SIGKILL" })
          finished = files.count("out")
        }
        const kept = files
          .bytes("out")
          .toString("utf8")
          .split("\n")
          .slice(0, -1)
          .map((line): Line => JSON.parse(line))
        const seen = new Map<string, number>()
        for (const { hash } of yield* simulator.log) seen.set(hash, (seen.get(hash) ?? 0) + 1)

        yield* simulator.reset
        expect(yield* run(args, options)).toMatchObject({ code: 0 })
        const lines = expectComplete(files)
        const asked = (yield* simulator.log).map(({ hash }) => hash)
        expect(asked.length).toBe(total - kept.length)
        const done = new Set(kept.map(hashOf))
        expect(asked.filter((hash) => done.has(hash))).toEqual([])
        const named = files.json("receipt").outcomeUnknown as ReadonlyArray<string>
        for (const hash of asked) seen.set(hash, (seen.get(hash) ?? 0) + 1)
        // over all four runs: whatever was asked more than once is named, whichever kill it was
        for (const line of lines) {
          if ((seen.get(hashOf(line) ?? "") ?? 0) > 1) expect(named).toContain(line.meta.key)
        }
        expect(named.length).toBeLessThanOrEqual(3 * concurrency)
        // and that is no more than what the three kills caught in flight
        const calls = Array.from(seen.values()).reduce((sum, n) => sum + n, 0)
        expect(calls - total).toBeLessThanOrEqual(3 * concurrency)
      })
  )

  it.scopedLive("in a wait or a stalled call stops at once too", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({
        script: [
          { match: "wait", times: "always", fault: { kind: "status", status: 429, retryAfter: "5 minutes" } },
          { match: "stall", times: "always", fault: { kind: "stall" } }
        ]
      })
      const input = files.records("in.jsonl", [
        { prompt: "stall" },
        { prompt: "wait" },
        { prompt: "never sent" }
      ])
      const running = yield* start(["batch", input, "-o", files.path("out"), "--concurrency", "2"], {
        url: simulator.url
      })
      while ((yield* simulator.stats).requests < 2) yield* Effect.sleep(10)
      yield* Effect.sleep(100)
      const end = yield* running.end("SIGINT")
      expect(end.code).toBe(130)
      // both would wait for minutes
      expect(end.took).toBeLessThan(60_000)
      expect(end.stderr).toContain("Interrupted: 0 of 3 done")
      // there is nothing to be found in it
      expect(end.stderr).not.toContain("→")
    })
  )

  it.scopedLive("of embed keeps what is finished; of estimate ends while it reads", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const stalling = yield* Simulator.make({
        script: [{ match: "late", times: "always", fault: { kind: "stall" } }]
      })
      const texts = Array.from({ length: 50 }, (_, n) => ({ text: n < 3 ? `Text ${n}` : `A late text ${n}` }))
      const input = files.records("in.jsonl", texts)
      const command = ["embed", input, "-o", files.path("out"), "--dimensions", "4", "--no-progress"]
      expect(yield* runHere([...command, "--limit", "3"], { url: stalling.url })).toMatchObject({ code: 0 })
      const { requests: before } = yield* stalling.stats
      const embedding = yield* start(command, { url: stalling.url, env: { OPENAI_MODEL: "gpt-4o-mini" } })

      // whoever writes into it does not end, and what was written is read
      const pipe = files.path("pipe")
      execFileSync("mkfifo", [pipe])
      const writer = yield* Effect.acquireRelease(
        Effect.promise(() => open(pipe, "r+")),
        (file) => Effect.promise(() => file.close())
      )
      const estimating = yield* start(["estimate", pipe, "--prompt", "{{text}}"])
      yield* Effect.promise(() => writer.writeFile(`${JSON.stringify(texts[0])}\n`.repeat(10_000)))
      expect(yield* estimating.end("SIGINT")).toMatchObject({ code: 130, stdout: "", stderr: "" })

      while ((yield* stalling.stats).requests === before) yield* Effect.sleep(10)
      const end = yield* embedding.end("SIGINT")
      expect(end).toMatchObject({ code: 130, stdout: "" })
      expect(end.stderr).toContain("Interrupted: 3 of 50 done")

      const rested = yield* Simulator.make({})
      expect(yield* runHere(command, { url: rested.url })).toMatchObject({ code: 0 })
      expect(files.lines("out").map(({ index }) => index)).toEqual(texts.map((_, n) => n))
      // the others were embedded before
      const { inputTokens } = yield* rested.stats
      expect(inputTokens).toBeLessThanOrEqual(47 * 5)
    })
  )
})
