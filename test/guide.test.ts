import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { batch, Chat, Checkpoint, Mock } from "floodgate"
import { read } from "../src/cli/commandLine.js"
import { commands } from "../src/cli/commands.js"
import { configure } from "../src/internal/configServices.js"
import { blocksIn, pages } from "./guide.js"
import { fenced, project, type Snippet, temporaryFolder } from "./snippets.js"

// its TypeScript is checked in readme.test.ts, in one program with all other

const readme = readFileSync(join(project, "README.md"), "utf8")

/** What a heading is called in links to it. */
const anchors = (text: string) =>
  new Set(
    Array.from(text.matchAll(/^#+ (.*)$/gm), ([, title = ""]) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N} -]/gu, "")
        .replaceAll(" ", "-")
    )
  )

/** The words of a line of shell, without what a shell takes out. */
const words = (line: string): ReadonlyArray<string> =>
  Array.from(line.matchAll(/'[^']*'|"[^"]*"|\S+/g), ([word]) => word.replace(/^(['"])(.*)\1$/, "$2"))

/** The calls of our program in a block, with their continuation lines. */
const callsIn = ({ code, name }: Snippet) =>
  code
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .flatMap((line) => {
      const [, call] = /\bfloodgate (.*)$/.exec(line.replace(/\s#.*$/, "")) ?? []
      return call === undefined || line.startsWith("npm ") ? [] : [{ name, args: words(call) }]
    })

const calls = [
  ...blocksIn("sh"),
  ...fenced("README.md", readme).filter(({ language }) => language === "sh")
].flatMap(callsIn)

/** The same calls where they stand in a sentence. */
const told = Array.from(pages, ([name, text]) =>
  Array.from(text.replaceAll("\n", " ").matchAll(/`floodgate ([^`]*)`/g), ([, call = ""]) => ({
    name,
    args: words(call.replaceAll("…", ""))
  }))
).flat()

const flat = (value: unknown, path = ""): ReadonlyArray<string> =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, member]) => flat(member, `${path}/${name}`))
    : [`${path}: ${value === null ? "null" : typeof value}`]

describe("the guide", () => {
  it("links to pages, places and files that are there", () => {
    const all = [["README.md", readme] as const, ...pages]
    for (const [file, text] of all) {
      for (const [, target = "", anchor] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
        const path = target === "" ? file : join(dirname(file), target)
        expect(existsSync(join(project, path)), `${file}: ${target}`).toBe(true)
        if (anchor !== undefined) {
          expect(anchors(readFileSync(join(project, path), "utf8")), `${file}: ${target}`).toContain(anchor)
        }
      }
    }
  })

  it("is linked to as a whole from the README", () => {
    expect(pages.size).toBeGreaterThan(5)
    for (const file of pages.keys()) expect(readme).toContain(`](${file})`)
  })

  it("has no block in a language that nobody checks", () => {
    for (const [file, text] of pages) {
      for (const { language, name } of fenced(file, text)) {
        // code of the tools that people come from is shown, and not run
        const known = ["sh", "ts", "yaml", "json", ...(file.endsWith("moving.md") ? ["python", "rust"] : [])]
        expect(known, name).toContain(language)
      }
    }
  })

  it.effect("calls commands that there are, with options that they have", () =>
    Effect.gen(function* () {
      expect(calls.length).toBeGreaterThan(30)
      expect(told.length).toBeGreaterThan(3)
      for (const { args, name } of [...calls, ...told]) {
        const said = `${name}: floodgate ${args.join(" ")}`
        if (args[0]?.startsWith("--") === true) continue
        const command = commands.find(({ words }) => words.every((word, at) => args[at] === word))
        expect(command, said).toBeDefined()
        if (command === undefined) continue
        const { entries } = yield* command.load
        expect(read(entries, args.slice(command.words.length)).fault, said).toBeUndefined()
      }
    })
  )

  it.effect("has config files that are good, and that nobody is warned of", () =>
    Effect.gen(function* () {
      const blocks = blocksIn("yaml")
      expect(blocks.length).toBeGreaterThan(5)
      for (const { code, name } of blocks) {
        const variables = Array.from(code.matchAll(/\$\{(\w+)\}/g), ([, variable = ""]) => variable)
        const keys = [...variables, "OPENAI_API_KEY", "ANTHROPIC_API_KEY"]
        const machine = Layer.mergeAll(
          FileSystem.layerNoop({
            exists: (path) => Effect.succeed(path === "floodgate.yaml"),
            readFileString: () => Effect.succeed(code)
          }),
          Path.layer,
          Layer.setConfigProvider(ConfigProvider.fromMap(new Map(keys.map((key) => [key, "a-key"]))))
        )
        const { warnings } = yield* configure({}).pipe(
          Effect.provide(machine),
          Effect.catchAll(({ message }) => Effect.dieMessage(`${name}: ${message}`))
        )
        expect(warnings, name).toEqual([])
      }
    })
  )

  it.scopedLive("shows a line of the output as it is", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = join(folder, "answers.jsonl")
      const request = Chat.prompt("Why?", { metadata: { topic: "science" } })
      yield* batch([request], { checkpoint: Checkpoint.layerFile(file) }).pipe(
        Effect.provide(Mock.layer(() => "Because."))
      )
      const shown = blocksIn("json").map(({ code }) => JSON.parse(code))
      expect(shown).toHaveLength(1)
      expect(flat(JSON.parse(readFileSync(file, "utf8")))).toEqual(
        expect.arrayContaining([...flat(shown[0])])
      )
    })
  )
})
