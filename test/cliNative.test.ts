import { execFile } from "node:child_process"
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, program } from "./process.js"

const root = fileURLToPath(new URL("..", import.meta.url))

describe("the native part of better-sqlite3", () => {
  it.scopedLive("that is not there, or is another machine's, is named with its cure", () =>
    Effect.gen(function* () {
      const files = yield* folder
      // all packages but this one, of which the install script has not run
      const modules = files.path("node_modules")
      mkdirSync(modules)
      for (const name of readdirSync(join(root, "node_modules"))) {
        if (name.startsWith(".") || name === "better-sqlite3") continue
        symlinkSync(join(root, "node_modules", name), join(modules, name))
      }
      const native = join(modules, "better-sqlite3")
      for (const part of ["package.json", "lib"]) {
        cpSync(join(root, "node_modules/better-sqlite3", part), join(native, part), { recursive: true })
      }
      symlinkSync(join(root, "package.json"), files.path("package.json"))
      symlinkSync(dirname(dirname(program)), files.path("dist"))
      writeFileSync(files.path("cache.db"), "")
      const said = Effect.async<string>((resume) => {
        const flags = ["--preserve-symlinks", "--preserve-symlinks-main"]
        const command = [files.path("dist/cli/main.js"), "cache", "stats", "--cache", files.path("cache.db")]
        execFile(process.execPath, [...flags, ...command], (_, stdout, stderr) =>
          resume(Effect.succeed(`${stdout}${stderr}`))
        )
      })
      expect(yield* said).toMatch(
        /^floodgate: --cache: cannot open .*cache\.db: the native part of better-sqlite3 is not there.* npm rebuild better-sqlite3; or keep the cache in memory\n$/
      )
      mkdirSync(join(native, "build/Release"), { recursive: true })
      writeFileSync(join(native, "build/Release/better_sqlite3.node"), "of another machine")
      expect(yield* said).toMatch(
        /: the native part of better-sqlite3 was built for another version of Node, or another machine\. Run npm rebuild better-sqlite3; or/
      )
    })
  )
})
