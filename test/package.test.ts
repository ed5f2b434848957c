/** What the project says of itself as a package. That it works when it is installed: release.test.ts. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { project } from "./snippets.js"

const json = (file: string) => JSON.parse(readFileSync(file, "utf8"))

describe("the package", () => {
  it("has nothing in it that the compiler has not checked", () => {
    const { scripts } = json(join(project, "package.json"))
    expect(scripts.prepack).toBe("npm run -s build")
    expect(scripts.build).toMatch(/ && npm run -s compile$/)
    expect(scripts.compile).toMatch(/^tsc -p tsconfig\.build\.json && /)
  })

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

  it("depends on nothing that is deprecated", () => {
    const { packages } = json(join(project, "package-lock.json")) as {
      readonly packages: Readonly<Record<string, { readonly deprecated?: string }>>
    }
    expect(Object.entries(packages).filter(([, { deprecated }]) => deprecated !== undefined)).toEqual([])
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
