import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Simulator from "floodgate/Simulator"
import {
  docstrings,
  type Ended,
  environmentOf,
  execute,
  fenced,
  freshClone,
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

/** Where every value of a JSON document is, and of which type. */
const shape = (value: unknown, path = ""): ReadonlyArray<string> =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, member]) => shape(member, `${path}/${name}`))
    : [`${path}: ${value === null ? "null" : typeof value}`]

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
    expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(["sh", "ts", "json"]))
  })

  it("has TypeScript, as docstrings have, that compiles", { timeout: 60_000 }, () => {
    const examples = docstrings().filter(isIn("ts"))
    expect(examples.length).toBeGreaterThan(5)
    expect(typeCheck([...blocks.filter(isIn("ts")), ...examples], ["examples/demo.js"])).toEqual([])
  })
})

describe.concurrent("README's TypeScript runs", () => {
  const says: ReadonlyArray<readonly [of: string, check: (ended: Ended, folder: string) => void]> = [
    [
      "OpenAILive)))\n\nfor",
      ({ stdout }) =>
        expect(stdout).toMatch(/^Answer \w+: Why is the sky blue\?.*\nAnswer \w+: Why is grass green\?.*\n$/)
    ],
    [
      "Checkpoint.layerFile",
      (_, folder) => {
        const lines = linesOf(folder, "numbers.jsonl")
        expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: 100 }, (_, n) => n))
        expect(lines.every(({ status }) => status === "success")).toBe(true)
      }
    ],
    ["Mock.layer", ({ stdout }) => expect(stdout).toBe("true\n")]
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

  it.scopedLive(
    "the demo: one bill for three runs",
    () =>
      Effect.gen(function* () {
        const [demo] = shell
        const folder = yield* freshClone
        const { code, stderr, stdout } = yield* bash(script(demo?.code ?? ""), {
          cwd: folder
        })
        expect({ code, stderr, stdout }).toMatchObject({ code: 0 })
        const books = Array.from(stdout.matchAll(/books: (.*)/g), ([, books]) => books)
        expect(books).toHaveLength(3)
        expect(new Set(books).size).toBe(1)
        expect(books[0]).toMatch(/ 42 charged, 0 answered twice$/)
        expect(stderr).toContain("42 from an earlier run")
        expect(stderr).toContain("42 from the cache")
      }),
    120_000
  )

  it.scopedLive("the command line, and its output is as shown", () =>
    Effect.gen(function* () {
      const block = shell.find(({ code }) => code.includes("--receipt"))
      const folder = yield* userProject
      const simulator = yield* Simulator.make()
      const ended = yield* bash(script(block?.code ?? ""), {
        cwd: folder,
        env: { OPENAI_BASE_URL: simulator.url }
      })
      expect(ended).toMatchObject({ code: 0 })
      const prompts = linesOf(folder, "examples/prompts.jsonl")
      const lines = linesOf(folder, "answers.jsonl")
      expect(lines.map(({ index, metadata, status }) => ({ index, metadata, status }))).toEqual(
        prompts.map(({ topic }, index) => ({ index, metadata: { topic }, status: "success" }))
      )
      const shown = blocks.filter(isIn("json")).map(({ code }) => JSON.parse(code))
      expect(shown).toHaveLength(1)
      expect(shape(lines[0])).toEqual(expect.arrayContaining([...shape(shown[0])]))
      const receipt = JSON.parse(readFileSync(join(folder, "receipt.json"), "utf8"))
      expect(receipt).toMatchObject({ requests: prompts.length, succeeded: prompts.length, failed: 0 })
      expect(existsSync(join(folder, "cache.db"))).toBe(true)
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
    expect(shell).toHaveLength(5)
  })
})
