import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Simulator from "floodgate/Simulator"
import { environmentOf, project, runTypeScript, userProject } from "./snippets.js"

const source = (name: string) => readFileSync(join(project, "examples", name), "utf8")

/** Runs an example as its head says, with a simulator at its other end. */
const run = (name: string, args: ReadonlyArray<string> = [], times = 1) =>
  Effect.gen(function* () {
    const folder = yield* userProject
    const simulator = yield* Simulator.make({ faults: [{ kind: "reset", rate: 0.1 }] })
    const said: Array<string> = []
    for (let time = 0; time < times; time++) {
      const { code, stderr, stdout } = yield* runTypeScript(folder, source(name), {
        args,
        env: environmentOf(simulator.url)
      })
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      said.push(stdout)
    }
    return { said, summary: yield* simulator.stats }
  })

describe.concurrent("examples", () => {
  it.scopedLive("batch.ts answers the prompts by topic", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* run("batch.ts")
      const topics = new Map<string, number>()
      for (const line of source("prompts.jsonl").trimEnd().split("\n")) {
        const { topic } = JSON.parse(line)
        topics.set(topic, (topics.get(topic) ?? 0) + 1)
      }
      expect(said).toEqual([Array.from(topics, ([topic, count]) => `${topic}: ${count}\n`).join("")])
      expect(summary).toMatchObject({ successes: 42, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("resume.ts asks nothing the second time", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* run("resume.ts", ["facts.jsonl"], 2)
      expect(said).toEqual(["0 restored, 20 asked\n", "20 restored, 0 asked\n"])
      expect(summary).toMatchObject({ successes: 20, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("stream.ts shows each outcome as it finishes", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* run("stream.ts")
      const lines = (said[0] ?? "").trimEnd().split("\n")
      const seen = lines.map((line) => /^(\d+)\/30 (\d+) Answer /.exec(line)?.slice(1).map(Number) ?? [])
      const upTo30 = Array.from({ length: 30 }, (_, n) => n)
      expect(seen.map(([done]) => done)).toEqual(upTo30.map((n) => n + 1))
      expect(seen.map(([, index]) => index).sort((a = 0, b = 0) => a - b)).toEqual(upTo30)
      expect(summary).toMatchObject({ successes: 30, answeredMoreThanOnce: 0 })
    })
  )

  it("are all run: these here, mock.test.ts by itself, demo.js by the tests of the README", () => {
    const files = readdirSync(join(project, "examples")).sort()
    expect(files).toEqual(["batch.ts", "demo.js", "mock.test.ts", "prompts.jsonl", "resume.ts", "stream.ts"])
  })
})
