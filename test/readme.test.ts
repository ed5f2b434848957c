import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Simulator from "floodgate/Simulator"
import { blocksIn } from "./guide.js"
import {
  docstrings,
  type Ended,
  environmentOf,
  execute,
  fenced,
  project,
  runTypeScript,
  type Snippet,
  typeCheck,
  userProject
} from "./snippets.js"

const readme = readFileSync(join(project, "README.md"), "utf8")
const blocks = fenced("README.md", readme)
const isIn = (language: string) => (block: Snippet) => block.language === language

const linesOf = (folder: string, file: string): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  readFileSync(join(folder, file), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))

/** The program of a block. Commands that install the project and run this suite are taken out. */
const script = (code: string, port = 0): string =>
  code
    .replace(/^npm ci && /m, "")
    .replace(/^npm test$/m, "true")
    .replaceAll("4010", String(port))

describe("README", () => {
  it("has the two commands, and both exist", () => {
    const { scripts } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"))
    const [first, second] = blocks.filter(isIn("sh")).map(({ code }) => code.trim())
    expect(first).toBe("npm ci && npm run demo")
    expect(second).toBe("npm test")
    expect(scripts).toMatchObject({ demo: expect.any(String), test: expect.any(String) })
  })

  it("has the line that says it all", () => {
    expect(readme).toContain("Effect.runPromise(batch(requests).pipe(Effect.provide(OpenAILive)))")
  })

  it("links to files that are there", () => {
    for (const [, target = ""] of readme.matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      expect(existsSync(join(project, target)), target).toBe(true)
    }
  })

  it("has no block that these tests do not know how to run", () => {
    expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(["sh", "ts"]))
  })

  it("has TypeScript, as the guide and docstrings have, that compiles", async () => {
    const examples = docstrings().filter(isIn("ts"))
    expect(examples.length).toBeGreaterThan(5)
    // one program for all: to make one takes longer than to check what is in it
    const snippets = [...blocks.filter(isIn("ts")), ...blocksIn("ts"), ...examples]
    expect(await typeCheck(snippets, ["examples/demo.js"])).toEqual([])
  })
})

describe.concurrent("README's TypeScript runs", () => {
  const says: ReadonlyArray<readonly [of: string, check: (ended: Ended, folder: string) => void]> = [
    [
      "OpenAILive)))\n\nfor",
      ({ stdout }) =>
        expect(stdout).toMatch(/^Answer \w+: Why is the sky blue\?.*\nAnswer \w+: Why is grass green\?.*\n$/)
    ]
  ]

  for (const { code, name } of blocks.filter(isIn("ts"))) {
    it.scopedLive(name, () =>
      Effect.gen(function* () {
        const folder = yield* userProject
        const { url } = yield* Simulator.make()
        const ended = yield* runTypeScript(folder, code, { env: environmentOf(url) })
        expect(ended).toMatchObject({ code: 0, stderr: "" })
        const checks = says.filter(([of]) => code.includes(of))
        expect(checks).toHaveLength(1)
        for (const [, check] of checks) check(ended, folder)
      })
    )
  }
})

describe.concurrent("README's commands run", () => {
  const shell = blocks.filter(isIn("sh"))
  const bash = (code: string, options: Parameters<typeof execute>[2]) =>
    execute("bash", ["-ec", code], options)

  it.scopedLive("the command line in five minutes, from an empty folder to a report", () =>
    Effect.gen(function* () {
      const [first, second] = shell.filter(({ code }) => /floodgate (test|report)/.test(code))
      const folder = yield* userProject
      const simulator = yield* Simulator.make()
      const run = (block: Snippet | undefined) =>
        bash(script(block?.code ?? ""), {
          cwd: folder,
          env: { OPENAI_API_KEY: "any-key", OPENAI_BASE_URL: simulator.url }
        })
      const begun = yield* run(first)
      expect(begun).toMatchObject({ code: 0 })
      expect(begun.stdout).toContain("main (gpt-5-mini): answers")
      expect(begun.stdout).toContain("Why is the sky blue?")
      const ended = yield* run(second)
      expect(ended).toMatchObject({ code: 0 })
      expect(ended.stdout).toContain("3 calls to make")
      const [header, ...rows] = readFileSync(join(folder, "spam.csv"), "utf8").trimEnd().split("\n")
      expect(header).toMatch(/^id,mail,text,status,error,/)
      expect(rows.map((row) => row.split(",")[0])).toEqual(["1", "2", "3"])
      expect(readFileSync(join(folder, "calls.jsonl"), "utf8").trimEnd().split("\n")).toHaveLength(3)
      const receipt = JSON.parse(readFileSync(join(folder, "receipt.json"), "utf8"))
      expect(receipt).toMatchObject({ requests: 3, succeeded: 3, failed: 0 })
      expect(readFileSync(join(folder, "report.html"), "utf8")).toMatch(/^<!doctype html>/i)
      // one by `test`, one by `ask`, three by `batch`
      expect(yield* simulator.stats).toMatchObject({ successes: 5, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("the simulator, in one terminal and another", () =>
    Effect.gen(function* () {
      const [one, another] = shell.filter(({ code }) => code.includes("4010"))
      const folder = yield* userProject
      // a port that was free a moment ago
      const { port } = yield* Effect.scoped(Simulator.make())
      yield* Effect.fork(bash(script(one?.code ?? "", port), { cwd: folder }))
      const ended = yield* bash(script(another?.code ?? "", port), { cwd: folder })
      expect(ended).toMatchObject({ code: 0 })
      const prompts = linesOf(folder, "examples/prompts.jsonl")
      const lines = linesOf(folder, "trial.jsonl")
      expect(lines.map(({ status }) => status)).toEqual(prompts.map(() => "success"))
      expect(JSON.parse(ended.stdout)).toMatchObject({ successes: prompts.length, answeredMoreThanOnce: 0 })
    })
  )

  it("and these are all", () => {
    expect(shell).toHaveLength(6)
  })
})
