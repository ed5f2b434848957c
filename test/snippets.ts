/** Code in texts: found, type-checked, and run as a reader of the text would run it. */
import { spawn } from "node:child_process"
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { transform } from "esbuild"
import ts from "typescript"

/** The project's folder. */
export const project = fileURLToPath(new URL("..", import.meta.url))

export interface Snippet {
  /** Where it stands: file and line. */
  readonly name: string
  readonly language: string
  readonly code: string
}

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split("\n").length

/** The fenced blocks of a text. */
export const fenced = (file: string, text: string): ReadonlyArray<Snippet> =>
  Array.from(text.matchAll(/^```(\w*)\n(.*?)^```$/gms), ({ 1: language = "", 2: code = "", index }) => ({
    name: `${file}:${lineAt(text, index)}`,
    language,
    code
  }))

/** The `@example`s and fenced blocks in the comments of a source file. */
const inComments = (file: string, text: string): ReadonlyArray<Snippet> =>
  Array.from(text.matchAll(/\/\*\*.*?\*\//gs), ({ 0: comment, index }) => {
    const name = `${file}:${lineAt(text, index)}`
    const plain = comment.replace(/^\/\*\*|\s*\*\/$/g, "").replace(/^ *\* ?/gm, "")
    const examples = Array.from(
      plain.matchAll(/^@example\n(.*?)(?=^@|$(?![\s\S]))/gms),
      ({ 1: code = "" }) => ({
        name,
        language: "ts",
        code: code.replace(/^```.*$/gm, "")
      })
    )
    return examples.length > 0 ? examples : fenced(name, plain).map((block) => ({ ...block, name }))
  }).flat()

/** The snippets in all docstrings of `src`. */
export const docstrings = (): ReadonlyArray<Snippet> =>
  readdirSync(join(project, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .sort()
    .flatMap((file) => inComments(`src/${file}`, readFileSync(join(project, "src", file), "utf8")))

const unusedLocal = 6133

/**
 * What the compiler says of snippets and JavaScript files, under the project's own settings. A snippet may name
 * what it does not go on to use.
 */
export const typeCheck = async (
  snippets: ReadonlyArray<Snippet>,
  files: ReadonlyArray<string> = []
): Promise<ReadonlyArray<string>> => {
  const config = ts.readConfigFile(join(project, "tsconfig.json"), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, project)
  const host = ts.createCompilerHost(options)
  const texts = new Map(
    snippets.map(({ code, name }) => [
      join(project, "test", `${name.replace(/\W/g, "_")}.ts`),
      { code, name }
    ])
  )
  const { fileExists, getSourceFile, readFile } = host
  host.fileExists = (path) => texts.has(path) || fileExists(path)
  host.readFile = (path) => texts.get(path)?.code ?? readFile(path)
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = texts.get(path)
    return text === undefined
      ? getSourceFile(path, languageVersion, ...rest)
      : ts.createSourceFile(path, text.code, languageVersion)
  }
  const roots = [...texts.keys(), ...files.map((file) => join(project, file))]
  const program = ts.createProgram(roots, { ...options, allowJs: true, checkJs: true }, host)
  const problems: Array<string> = []
  for (const root of roots) {
    // Vitest gives up a worker that does not answer for a minute, which a busy machine may take over all of them
    await new Promise((resolve) => setImmediate(resolve))
    const source = program.getSourceFile(root)
    for (const { code, messageText } of [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source)
    ]) {
      if (code === unusedLocal) continue
      const name = texts.get(root)?.name ?? relative(project, root)
      problems.push(`${name}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`)
    }
  }
  return problems
}

/** How a process ended, and all it said. */
export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end; interrupted, it is ended, and whatever it has started. */
export const execute = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> }
): Effect.Effect<Ended> =>
  Effect.async((resume) => {
    const { CI: _, ...environment } = process.env
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...environment, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      // a process group of its own, which can be ended as a whole
      detached: true
    })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    const closed = new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 1)))
    closed.then((code) => resume(Effect.succeed({ code, stdout, stderr })))
    return Effect.promise(() => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM")
      return closed
    })
  })

/** A folder that goes with the scope. */
export const temporaryFolder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "floodgate-user-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
)

/** A project of a user who has installed floodgate, as far as module resolution and `npx` can tell. */
export const userProject: Effect.Effect<string, never, Scope.Scope> = Effect.tap(temporaryFolder, (folder) =>
  Effect.sync(() => {
    const modules = join(folder, "node_modules")
    mkdirSync(join(modules, ".bin"), { recursive: true })
    for (const name of ["effect", "@effect"]) {
      symlinkSync(join(project, "node_modules", name), join(modules, name))
    }
    symlinkSync(project, join(modules, "floodgate"))
    const program = join(modules, ".bin", "floodgate")
    writeFileSync(program, `#!/bin/sh\nexec node ${join(project, "dist/cli/main.js")} "$@"\n`)
    chmodSync(program, 0o755)
    writeFileSync(join(folder, "package.json"), '{ "name": "user", "private": true, "type": "module" }\n')
    cpSync(join(project, "examples"), join(folder, "examples"), { recursive: true })
  })
)

/** A copy of the project as a fresh clone has it, with the dependencies installed. */
export const freshClone: Effect.Effect<string, never, Scope.Scope> = Effect.tap(temporaryFolder, (folder) =>
  Effect.sync(() => {
    const files = [
      "package.json",
      "tsconfig.json",
      "tsconfig.build.json",
      "README.md",
      "CHANGELOG.md",
      "LICENSE",
      "floodgate.schema.json"
    ]
    for (const name of [...files, "src", "examples"]) {
      cpSync(join(project, name), join(folder, name), { recursive: true })
    }
    symlinkSync(join(project, "node_modules"), join(folder, "node_modules"))
  })
)

/** Runs TypeScript in the folder of a user. */
export const runTypeScript = (
  folder: string,
  code: string,
  options: { readonly args?: ReadonlyArray<string>; readonly env: Readonly<Record<string, string>> }
): Effect.Effect<Ended> =>
  Effect.gen(function* () {
    const file = join(folder, "examples", "snippet.mjs")
    const compiled = yield* Effect.promise(() =>
      transform(code, { loader: "ts", format: "esm", target: "node20" })
    )
    writeFileSync(file, compiled.code)
    return yield* execute(process.execPath, [file, ...(options.args ?? [])], {
      cwd: folder,
      env: options.env
    })
  })

/** The environment in which a server of the OpenAI kind is found. */
export const environmentOf = (url: string) => ({
  OPENAI_BASE_URL: url,
  OPENAI_API_KEY: "any-key",
  OPENAI_MODEL: "sim-1"
})
