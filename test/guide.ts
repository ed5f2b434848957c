/** The pages of the guide, and the code in them. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fenced, project, type Snippet } from "./snippets.js"

const folder = join("examples", "guide")

/** Their texts by file, below the project's folder. */
export const pages: ReadonlyMap<string, string> = new Map(
  readdirSync(join(project, folder))
    .filter((file) => file.endsWith(".md"))
    .sort()
    .map((file) => [join(folder, file), readFileSync(join(project, folder, file), "utf8")])
)

/** Their blocks in one language. */
export const blocksIn = (language: string): ReadonlyArray<Snippet> =>
  Array.from(pages, ([file, text]) => fenced(file, text))
    .flat()
    .filter((block) => block.language === language)
