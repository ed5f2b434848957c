// Makes one program of the compiled command line, in dist/cli, and dist/THIRD-PARTY-NOTICES.txt of what is in it.
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const project = fileURLToPath(new URL("../..", import.meta.url))
const main = join(project, "dist/cli/main.js")

const { metafile } = await build({
  absWorkingDir: project,
  entryPoints: [main],
  outdir: join(project, "dist/cli"),
  allowOverwrite: true,
  bundle: true,
  // what a command does not need is not loaded
  splitting: true,
  chunkNames: "chunks/[name]-[hash]",
  // names stay as they are: kept beside shorter ones, each function that is made at run time costs a call more
  minifySyntax: true,
  minifyWhitespace: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external: ["better-sqlite3", "ioredis", "gpt-tokenizer", "sharp", "file-type"],
  // for CommonJS within
  banner: {
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);"
  },
  legalComments: "eof",
  logLevel: "warning",
  metafile: true
})
chmodSync(main, 0o755)

// minified code keeps only those notices that its authors have marked, and most licences ask for theirs
const folders = new Set(
  Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.keys(inputs).flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input) ?? [])
  )
)
const notices = Array.from(folders, (folder) => {
  const path = join(project, folder)
  const { license, name, version } = JSON.parse(readFileSync(join(path, "package.json"), "utf8"))
  const file = readdirSync(path).find((file) => /^licen[cs]e(\.\w+)?$/i.test(file))
  if (file === undefined) throw new Error(`${name} is in the bundle, and has no licence to go with it`)
  return `${name} ${version} (${license})\n\n${readFileSync(join(path, file), "utf8").trim()}\n`
}).sort()
const rule = `\n${"-".repeat(80)}\n\n`
writeFileSync(
  join(project, "dist/THIRD-PARTY-NOTICES.txt"),
  ["The command line, dist/cli, has these packages in it.\n", ...notices].join(rule)
)
