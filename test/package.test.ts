import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execute, freshClone, project, temporaryFolder } from "./snippets.js"

const json = (file: string) => JSON.parse(readFileSync(file, "utf8"))

/** Runs a program to its end, which must be a good one. */
const succeed = (command: string, args: ReadonlyArray<string>, cwd: string) =>
  Effect.map(execute(command, args, { cwd }), (ended) => {
    expect(ended, [command, ...args].join(" ")).toMatchObject({ code: 0 })
    return ended.stdout
  })

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

const program = `
import * as floodgate from "floodgate"
import * as Simulator from "floodgate/Simulator"
console.log(typeof floodgate.batch, typeof floodgate.OpenAILive, typeof Simulator.make)
for (const name of ["internal/cacheKey", "simulator/Engine", "cli/main"]) {
  await import("floodgate/" + name).then(() => console.log(name), ({ code }) => console.log(code))
}
`

describe("the package", () => {
  it.scopedLive(
    "is built, packed, installed into a blank project, and works there",
    () =>
      Effect.gen(function* () {
        const clone = yield* freshClone
        const [packed] = JSON.parse(
          (yield* succeed("npm", ["pack", "--json"], clone)).replace(/^[^[]*/, "")
        ) as [{ readonly filename: string; readonly files: ReadonlyArray<{ readonly path: string }> }]
        const tarball = join(clone, packed.filename)
        const folders = new Set(packed.files.map(({ path }) => path.replace(/\/.*/, "")))
        expect(folders).toEqual(
          new Set(["CHANGELOG.md", "LICENSE", "README.md", "package.json", "dist", "examples", "src"])
        )
        expect(statSync(tarball).size).toBeLessThan(1 << 20)
        // runs as it is, too
        expect(yield* succeed(join(clone, "dist/cli/main.js"), ["--version"], clone)).toMatch(
          /^\d+\.\d+\.\d+/
        )

        yield* succeed(tool("publint"), ["run", tarball, "--strict"], clone)
        yield* succeed(tool("attw"), [tarball, "--profile", "esm-only", "--no-emoji"], clone)

        const user = yield* temporaryFolder
        writeFileSync(join(user, "package.json"), '{ "name": "user", "private": true, "type": "module" }\n')
        // the native module of the SQLite cache takes a minute to compile: it is not loaded here
        yield* succeed("npm", ["install", "--prefer-offline", "--ignore-scripts", tarball], user)
        const { version } = json(join(project, "package.json"))
        expect((yield* succeed("npx", ["floodgate", "--version"], user)).trim()).toBe(version)

        writeFileSync(join(user, "main.js"), program)
        expect((yield* succeed(process.execPath, ["main.js"], user)).split("\n")).toEqual([
          "function object function",
          ...Array.from({ length: 3 }, () => "ERR_PACKAGE_PATH_NOT_EXPORTED"),
          ""
        ])

        writeFileSync(join(user, "main.ts"), consumer)
        const types = ["--types", "node", "--typeRoots", join(project, "node_modules", "@types")]
        const strict = ["--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false"]
        const target = ["--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022"]
        yield* succeed(tool("tsc"), ["--noEmit", ...strict, ...target, ...types, "main.ts"], user)
      }),
    150_000
  )

  it("maps its code to sources that are in it", () => {
    const dist = join(project, "dist")
    const maps = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((file) =>
      /\.js\.map$/.test(file)
    )
    expect(maps.length).toBeGreaterThan(50)
    expect(json(join(dist, "index.js.map"))).toMatchObject({ sources: ["../src/index.ts"] })
  })

  it("has a lock file with which `npm ci` works on every platform", () => {
    // npm leaves out what its registry did not have when the lock was written, and then refuses the lock
    const { packages } = json(join(project, "package-lock.json")) as {
      readonly packages: Readonly<Record<string, { readonly optionalDependencies?: object }>>
    }
    const missing = Object.values(packages)
      .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
      .filter((name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`)))
    expect(missing).toEqual([])
  })

  it("says of every dependency with an install script whether it may run", () => {
    const { allowScripts } = json(join(project, "package.json"))
    const { packages } = json(join(project, "package-lock.json")) as {
      readonly packages: Readonly<
        Record<string, { readonly hasInstallScript?: boolean; readonly os?: unknown }>
      >
    }
    const withScript = Object.entries(packages)
      .filter(([, { hasInstallScript, os }]) => hasInstallScript === true && os === undefined)
      .map(([path]) => path.replace(/^.*node_modules\//, ""))
    expect(Object.keys(allowScripts).sort()).toEqual(withScript.sort())
  })
})
