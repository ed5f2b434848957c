/**
 * What would be published: built, packed, and installed as users do. It needs the registry of npm and takes about a minute,
 * so it is no part of `npm test`: `npm run test:release`.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { cp } from "node:fs/promises"
import { isBuiltin } from "node:module"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { build } from "esbuild"
import { execute, fenced, freshClone, project, temporaryFolder } from "./snippets.js"

const json = (file: string) => JSON.parse(readFileSync(file, "utf8"))

/** Runs a program to its end, which must be a good one. */
const succeed = (command: string, args: ReadonlyArray<string>, cwd: string) =>
  Effect.map(execute(command, args, { cwd }), (ended) => {
    expect(ended, [command, ...args].join(" ")).toMatchObject({ code: 0 })
    return ended.stdout
  })

/** The command of a package that has been installed. */
const installed = (folder: string) => join(folder, "node_modules", ".bin", "floodgate")

const tool = (name: string) => join(project, "node_modules", ".bin", name)

const consumer = `
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import { batch, Chat, OpenAILive, type LlmError, type Response } from "floodgate"
import * as Receipt from "floodgate/Receipt"
import * as Simulator from "floodgate/Simulator"

const requests = [Chat.prompt("1 + 1 = ?"), { messages: [{ role: "user" as const, content: "2 + 2 = ?" }] }]
export const outcomes: Promise<ReadonlyArray<Either.Either<Response.Response, LlmError.LlmError>>> =
  Effect.runPromise(batch(requests).pipe(Effect.provide(OpenAILive)))
export const receipt: Receipt.Receipt = Receipt.tally().receipt({ wallSeconds: 0, interrupted: false })
export const simulator = Simulator.layer({ seed: 2 })
// @ts-expect-error what is internal is not to be had
export type Internal = typeof import("floodgate/internal/cacheKey")
`

/** Checks the consumer and our declarations. Those of others are as they are, and three times as many. */
const checker = `
import { join } from "node:path"
import { pathToFileURL } from "node:url"
const modules = join(process.argv[2], "node_modules")
const { default: ts } = await import(pathToFileURL(join(modules, "typescript/lib/typescript.js")))
const program = ts.createProgram(["main.mts"], {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
  module: ts.ModuleKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  types: ["node"],
  typeRoots: [join(modules, "@types")]
})
const isOurs = ({ fileName }) => /node_modules.floodgate|main.mts$/.test(fileName)
const files = program.getSourceFiles().filter(isOurs)
if (files.length < 100) throw new Error("The package is not there")
const problems = [
  ...program.getOptionsDiagnostics(),
  ...files.flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
]
for (const { file, messageText } of problems) {
  console.error(file?.fileName + ": " + ts.flattenDiagnosticMessageText(messageText, "; "))
}
process.exitCode = problems.length > 0 ? 1 : 0
`

const program = `
import * as floodgate from "floodgate"
import * as Simulator from "floodgate/Simulator"
console.log(typeof floodgate.batch, typeof floodgate.OpenAILive, typeof Simulator.make)
for (const name of ["internal/cacheKey", "simulator/Engine", "cli/main"]) {
  await import("floodgate/" + name).then(() => console.log(name), ({ code }) => console.log(code))
}
`

/** The packages that the built code imports, those bundled into the command line aside. */
const importedBy = (dist: string) =>
  Effect.promise(async () => {
    const files = readdirSync(dist, { recursive: true, encoding: "utf8" })
    const { metafile } = await build({
      entryPoints: files
        .filter((file) => file.endsWith(".js") && (!file.startsWith("cli/") || file === "cli/main.js"))
        .map((file) => join(dist, file)),
      bundle: true,
      packages: "external",
      format: "esm",
      platform: "node",
      outdir: dist,
      write: false,
      metafile: true,
      logLevel: "error"
    })
    const paths = Object.values(metafile.outputs).flatMap(({ imports }) => imports)
    return new Set(
      paths
        .filter(({ external, path }) => external === true && /^(?!node:)@?[a-z][\w-]*(\/|$)/.test(path))
        .flatMap(({ path }) => /^(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [])
        .filter((name) => !isBuiltin(name))
    )
  })

/** `floodgate simulate` of an installed package; gives its address. */
const simulate = (folder: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const child = spawn(
          process.execPath,
          ["node_modules/floodgate/dist/cli/main.js", "simulate", "--port", "0"],
          { cwd: folder, stdio: ["ignore", "pipe", "inherit"] }
        )
        let said = ""
        for await (const text of child.stdout.setEncoding("utf8")) {
          said += text
          if (said.includes("Ctrl-C stops")) break
        }
        return { child, said }
      }),
      ({ child }) =>
        Effect.promise(async () => {
          const closed = once(child, "close")
          if (child.kill()) await closed
        })
    ),
    ({ said }) => /OPENAI_BASE_URL=(\S+)/.exec(said)?.[1] ?? ""
  )

/** What a newcomer does: the commands of the README, one block after the other. */
const newcomer = (folder: string) =>
  Effect.gen(function* () {
    const url = yield* simulate(folder)
    const blocks = fenced("README.md", readFileSync(join(project, "README.md"), "utf8"))
    const commands = (of: string) => {
      const block = blocks.find(({ code, language }) => language === "sh" && code.includes(of))
      expect(block, of).toBeDefined()
      return execute("bash", ["-ec", block?.code ?? ""], {
        cwd: folder,
        env: { OPENAI_BASE_URL: url, OPENAI_API_KEY: "any-key", HOME: folder }
      })
    }

    const first = yield* commands("npx floodgate init")
    expect(first).toMatchObject({ code: 0 })
    expect(first.stdout).toContain("floodgate.yaml is written")
    expect(first.stdout).toMatch(/^✓ main \(gpt-5-mini\): answers in /m)
    expect(first.stdout).toMatch(/^Answer \w+: Why is the sky blue\?/m)

    const second = yield* commands("npx floodgate batch mails.csv")
    expect(second).toMatchObject({ code: 0 })
    expect(second.stdout).toContain("3 requests")
    expect(second.stderr).toContain("3 requests: 3 succeeded, 0 failed")
    const rows = readFileSync(join(folder, "spam.csv"), "utf8").trimEnd().split("\n")
    expect(rows[0]).toMatch(/^id,mail,text,status,/)
    expect(rows.slice(1).map((row) => row.replace(/,"?Answer.*/, ""))).toEqual([
      "1,You have won a boat!",
      "2,Lunch at one?",
      "3,Your invoice"
    ])
    expect(readFileSync(join(folder, "report.html"), "utf8")).toContain("Lunch at one?")

    // what is optional is not here, and is asked for where it is needed
    expect(existsSync(join(folder, "node_modules/ioredis"))).toBe(false)
    const shared = yield* execute(
      installed(folder),
      [
        ...["batch", "mails.csv", "--prompt", "{{mail}}", "--output", "shared.csv"],
        ...["--redis", "redis://127.0.0.1:1"]
      ],
      { cwd: folder, env: { OPENAI_BASE_URL: url, OPENAI_API_KEY: "any-key", HOME: folder } }
    )
    expect(shared).toMatchObject({ code: 2, stdout: "" })
    expect(shared.stderr).toContain("npm install ioredis")
    expect(shared.stderr.trimEnd().split("\n")).toHaveLength(1)
  })

/** What is packed, and in which folder. */
const pack = (clone: string) =>
  Effect.gen(function* () {
    // builds it first, as publishing does
    const [packed] = JSON.parse((yield* succeed("npm", ["pack", "--json"], clone)).replace(/^[^[]*/, "")) as [
      { readonly filename: string; readonly files: ReadonlyArray<{ readonly path: string }> }
    ]
    return { tarball: join(clone, packed.filename), paths: packed.files.map(({ path }) => path) }
  })

/** What is packed is complete and small, and tools that know how packages go wrong find nothing. */
const inspect = (clone: string, tarball: string, paths: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const publint = yield* Effect.fork(succeed(tool("publint"), ["run", tarball, "--strict"], clone))
    const attw = yield* Effect.fork(
      succeed(tool("attw"), [tarball, "--profile", "esm-only", "--no-emoji"], clone)
    )
    expect(new Set(paths.map((path) => path.replace(/\/.*/, "")))).toEqual(
      new Set([
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "package.json",
        "dist",
        "examples",
        "floodgate.schema.json",
        "src"
      ])
    )
    expect(statSync(tarball).size).toBeLessThan(3 << 20)
    const manifest = json(join(clone, "package.json"))
    const imported = yield* importedBy(join(clone, "dist"))
    // of its types alone is use made, and by another dependency
    expect([...imported, "@effect/sql"].sort()).toEqual(
      Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).sort()
    )
    // of what is bundled the licences go with it
    const notices = readFileSync(join(clone, "dist/THIRD-PARTY-NOTICES.txt"), "utf8")
    for (const name of ["effect", "@effect/cli", "undici", "yaml", "csv-parse"]) {
      expect(notices).toMatch(new RegExp(`^${name} \\d.* \\((MIT|ISC)\\)$`, "m"))
    }
    expect(readFileSync(join(clone, "dist/internal/reportPage.js"), "utf8")).toContain("/*! uPlot ")
    // runs as it is, too
    expect(yield* succeed(join(clone, "dist/cli/main.js"), ["--version"], clone)).toMatch(/^\d+\.\d+\.\d+/)
    yield* Fiber.join(publint)
    yield* Fiber.join(attw)
  })

/** The package in a blank project: what it exports, its types, and what a newcomer does with it. */
const install = (tarball: string) =>
  Effect.gen(function* () {
    const user = yield* temporaryFolder
    const quietly = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
    yield* succeed("npm", ["install", ...quietly, tarball], user)
    // the native module of the SQLite cache takes a minute to compile: it is there already
    const native = "node_modules/better-sqlite3/build/Release"
    yield* Effect.promise(() => cp(join(project, native), join(user, native), { recursive: true }))

    writeFileSync(join(user, "main.mts"), consumer)
    writeFileSync(join(user, "check.mjs"), checker)
    const checked = yield* Effect.fork(succeed(process.execPath, ["check.mjs", project], user))

    writeFileSync(join(user, "main.mjs"), program)
    expect((yield* succeed(process.execPath, ["main.mjs"], user)).split("\n")).toEqual([
      "function object function",
      ...Array.from({ length: 3 }, () => "ERR_PACKAGE_PATH_NOT_EXPORTED"),
      ""
    ])
    const { version } = json(join(project, "package.json"))
    expect((yield* succeed(installed(user), ["--version"], user)).trim()).toBe(version)
    yield* newcomer(user)
    yield* Fiber.join(checked)
  })

// compilers and npm on a machine that others use: these end what hangs
describe("what is published", { timeout: 600_000 }, () => {
  it.scopedLive("is built, packed, installed into a blank project, and works there", () =>
    Effect.gen(function* () {
      const clone = yield* freshClone
      const { paths, tarball } = yield* pack(clone)
      yield* Effect.all([inspect(clone, tarball, paths), install(tarball)], {
        concurrency: "unbounded",
        discard: true
      })
    })
  )

  it.scopedLive("is shown by the first command of the README: one bill for three runs", () =>
    Effect.gen(function* () {
      const clone = yield* freshClone
      const [first] = fenced("README.md", readFileSync(join(project, "README.md"), "utf8"))
      expect(first?.code.trim()).toBe("npm ci && npm run demo")
      // what is installed is there already
      const { code, stderr, stdout } = yield* execute("npm", ["run", "demo"], { cwd: clone })
      expect({ code, stderr, stdout }).toMatchObject({ code: 0 })
      const books = Array.from(stdout.matchAll(/books: (.*)/g), ([, books]) => books)
      expect(books).toHaveLength(3)
      expect(new Set(books).size).toBe(1)
      expect(books[0]).toMatch(/ 42 charged, 0 answered twice$/)
      expect(stderr).toContain("42 from an earlier run")
      expect(stderr).toContain("42 from the cache")
    })
  )
})
