// Makes src/internal/reportPage.ts of the script and the style of a report's page, with the charting library in it.
// `--check` only says whether it is up to date.
import { createHash } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const here = fileURLToPath(new URL(".", import.meta.url))
const target = join(here, "../internal/reportPage.ts")

const library = dirname(createRequire(import.meta.url).resolve("uplot/package.json"))
const { version } = JSON.parse(readFileSync(join(library, "package.json"), "utf8"))
const licence = `/*! uPlot ${version}\n${readFileSync(join(library, "LICENSE"), "utf8").trim()} */`

const bundle = async (entry, banner) => {
  const { outputFiles } = await build({
    entryPoints: [join(here, entry)],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: "es2022",
    charset: "ascii",
    legalComments: "none",
    banner: { js: banner, css: banner },
    logLevel: "warning"
  })
  const text = outputFiles[0].text.trim()
  if (/<\/(script|style)|<!--/i.test(text)) throw new Error(`${entry} would end its own element`)
  return text
}

const hash = (text) => `sha256-${createHash("sha256").update(text).digest("base64")}`

const script = await bundle("page.ts", licence)
const style = await bundle("page.css", licence)

const made = `/** Made by src/report/build.js of what stands beside it. */
// biome-ignore-all format: generated
// biome-ignore-all lint: generated

/** The script of the page, with uPlot in it. */
export const script: string = ${JSON.stringify(script)}
export const scriptHash: string = ${JSON.stringify(hash(script))}
/** The style of the page, with uPlot's. */
export const style: string = ${JSON.stringify(style)}
export const styleHash: string = ${JSON.stringify(hash(style))}
`

if (process.argv.includes("--check")) {
  let there = ""
  try {
    there = readFileSync(target, "utf8")
  } catch {
    // it was never made
  }
  if (there !== made) {
    console.error("src/internal/reportPage.ts is not what src/report makes: npm run build:report")
    process.exitCode = 1
  }
} else writeFileSync(target, made)
