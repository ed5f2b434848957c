import { existsSync, readFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Simulator from "../src/Simulator.js"
import { runHere } from "./here.js"
import { folder, until } from "./process.js"

const questions = (count: number) => Array.from({ length: count }, (_, n) => ({ question: `What is ${n}?` }))

describe("floodgate estimate", () => {
  it.scopedLive("tells calls, cost, time and what a budget lacks, and sends and makes nothing", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({})
      const env = { url: simulator.url }
      const input = files.records("in.jsonl", [...questions(100), ...questions(20)])
      const command = (...more: ReadonlyArray<string>) => [
        ...["estimate", input, "--prompt", "{{question}}", "--max-tokens", "100", ...more]
      ]
      const told = yield* runHere(
        command("--rpm", "50", "--cache", files.path("none.db"), "--budget", "1"),
        env
      )
      expect(told).toMatchObject({ code: 0, stderr: "" })
      expect(told.stdout).toMatch(/^120 requests, 20 duplicates, 100 calls to make\n/)
      expect(told.stdout).toContain("Budget of $1.00: fits\n")
      expect(told.stdout).toContain("Time: 2 min at requestsPerMinute")
      expect(Math.max(...told.stdout.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(80)

      const json = (...more: ReadonlyArray<string>) =>
        Effect.map(runHere(command("--json", ...more), env), ({ stdout }) => JSON.parse(stdout))
      const whole = yield* json("--budget", "0.000001 USD", "--budget-tokens", "1000000000")
      // 100 answers of at most 100 tokens at 0.60 dollars a million, and what is asked
      expect(whole.outputTokens).toEqual({ low: 10_000, high: 10_000 })
      expect(whole.cost.high).toBeGreaterThan(0.006)
      expect(whole.cost.high).toBeLessThan(0.0062)
      expect(whole.budget).toMatchObject([
        { unit: "usd", verdict: "does not fit", ceiling: 0.000001 },
        { unit: "tokens", verdict: "fits", ceiling: 1_000_000_000, missing: { low: 0, high: 0 } }
      ])
      expect((yield* json("--provider-batch")).cost.high).toBeCloseTo(whole.cost.high / 2, 9)
      expect(yield* json("--limit", "30", "--filter", "question!=What is 1?")).toMatchObject({ calls: 30 })

      expect((yield* simulator.stats).requests).toBe(0)
      expect(files.names()).toEqual(["in.jsonl"])
    })
  )

  it.scopedLive("leaves out what an earlier run has answered", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({})
      const env = { url: simulator.url }
      const input = files.records("in.jsonl", questions(10))
      const [out, prompt] = [
        ["-o", files.path("out.csv")],
        ["--prompt", "{{question}}"]
      ]
      expect(
        yield* runHere(["batch", input, ...out, ...prompt, "--limit", "4", "--no-progress"], env)
      ).toMatchObject({ code: 0 })
      const before = files.names()
      const told = yield* runHere(["estimate", input, ...out, ...prompt], env)
      expect(told.stdout).toContain("4 answered by")
      expect(told.stdout).toContain("6 requests, 6 calls to make")
      expect(files.names()).toEqual(before)
      const lost = yield* runHere(["estimate", input, ...prompt, "--filter", "status=error"], env)
      expect(lost).toMatchObject({ code: 2, stderr: expect.stringContaining("--output") })
      const slip = yield* runHere(["estimate", input, "--embed", ...prompt], env)
      expect(slip).toMatchObject({
        code: 2,
        stderr: "floodgate: --prompt is about chats, not about --embed\n"
      })
      const vectors = ["estimate", input, "--embed", "--text", "{{question}}", "--json"]
      const { stdout } = yield* runHere(vectors, { ...env, model: "text-embedding-3-small" })
      expect(JSON.parse(stdout)).toMatchObject({ calls: 10, outputTokens: { high: 0 } })
    })
  )
})

describe("floodgate batch --provider-batch", () => {
  it.scopedLive("writes the output of any run, at half the price; stopped, it goes on with its job", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({ batches: { takes: "2 seconds" } })
      const env = { url: simulator.url }
      const input = files.records("in.jsonl", [...questions(4), ...questions(1), { question: "Who?" }])
      const jobs = files.path("out.jsonl.jobs.jsonl")
      const command = [
        ...["batch", input, "-o", files.path("out.jsonl"), "--prompt", "{{question}}", "--provider-batch"],
        ...["--receipt", files.path("receipt.json"), "--max-tokens", "50", "--limit", "5"]
      ]
      const submitted = () => existsSync(jobs) && readFileSync(jobs, "utf8").includes('"submitted"')
      const stopped = yield* Effect.fork(Effect.sandbox(runHere(command, env)))
      yield* until(submitted)
      yield* Fiber.interrupt(stopped)
      expect(files.json("receipt.json")).toMatchObject({ interrupted: true, requests: 0 })

      // until its end: the next look at it would be ten seconds later
      yield* Effect.sleep(2_200)
      const second = yield* runHere(command, env)
      expect(second).toMatchObject({ code: 0, stdout: "" })
      const lines = files.lines("out.jsonl")
      expect(lines.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4])
      for (const [n, { response }] of lines.entries()) expect(response?.text).toContain(`What is ${n % 4}?`)
      expect(lines[4]).toMatchObject({ response: lines[0]?.response, meta: { attempts: 0, cached: true } })
      const log = yield* simulator.log
      expect(log.filter(({ method }) => method === "BATCH")).toHaveLength(4)
      const { inputTokens, outputTokens } = yield* simulator.stats
      const receipt = files.json("receipt.json")
      expect(receipt).toMatchObject({ requests: 5, attempts: 4, cached: 1, inputTokens, outputTokens })
      expect(receipt.cost).toBeCloseTo((0.5 * (0.15 * inputTokens + 0.6 * outputTokens)) / 1_000_000, 10)
      expect(receipt.ledger).toMatchObject({ serviceTiers: [{ serviceTier: "batch", attempts: 4 }] })
      expect(files.names()).toEqual(["in.jsonl", "out.jsonl", "receipt.json"])
    })
  )

  it.scopedLive("refuses what jobs do not have", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const input = files.records("in.jsonl", questions(1))
      const refused = (...more: ReadonlyArray<string>) =>
        runHere(
          [
            ...["batch", input, "-o", files.path("out"), "--prompt", "{{question}}"],
            ...["--provider-batch", ...more]
          ],
          { url: "http://127.0.0.1:9/v1" }
        )
      expect(yield* refused("--rpm", "5")).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("--rpm is about single calls")
      })
      expect(yield* refused("--budget", "5")).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("A budget cannot hold")
      })
    })
  )
})
