/** The settings that a flag or a variable can change, and how they change what a file says. */
import type { Origin } from "./configProblem.js"
import { pathText } from "./configProblem.js"

type Path = ReadonlyArray<PropertyKey>

/** A setting of a run by the name of its flag; its variable is `FLOODGATE_` and that name. */
export interface Setting {
  readonly flag: string
  /** Where it stands in a file. `limits` are set in every group of limits. */
  readonly path: Path
  /** What it is where nobody says, for people. */
  readonly otherwise?: string
}

export const settings: ReadonlyArray<Setting> = [
  { flag: "concurrency", path: ["batch", "concurrency"], otherwise: "64" },
  { flag: "task", path: ["batch", "task"] },
  ...["rps", "rpm", "rpd", "tpm", "itpm", "otpm", "burst"].map((flag) => ({
    flag,
    path: ["limits", "*", flag]
  })),
  { flag: "redis", path: ["limiter", "store"], otherwise: "memory" },
  { flag: "cache", path: ["cache", "store"], otherwise: "memory" },
  { flag: "cache-ttl", path: ["cache", "ttl"], otherwise: "for ever" },
  { flag: "namespace", path: ["cache", "namespace"] },
  { flag: "cache-mode", path: ["cache", "mode"], otherwise: "read_write" },
  { flag: "max-retries", path: ["retry", "max_retries"], otherwise: "8" },
  { flag: "timeout", path: ["retry", "timeout"], otherwise: "10m" },
  { flag: "deadline", path: ["retry", "deadline"], otherwise: "none" },
  { flag: "budget", path: ["budget"], otherwise: "none" },
  { flag: "log-level", path: ["log", "level"], otherwise: "info" }
]

/** Settings that choose among endpoints, or make the one that the environment describes. */
export const choices = ["provider", "model", "base-url"] as const
export type Choice = (typeof choices)[number]

/** What the names of all variables of ours begin with. */
export const variablePrefix = "FLOODGATE_"

export const variableOf = (flag: string): string =>
  `${variablePrefix}${flag.toUpperCase().replaceAll("-", "_")}`

/** The variable that names the config file. */
export const fileVariable = "FLOODGATE_CONFIG"

/** The variables that say something. */
export const variables: ReadonlyArray<string> = [
  fileVariable,
  ...choices.map(variableOf),
  ...settings.map(({ flag }) => variableOf(flag))
]

/** A value that was given by a flag or a variable. */
export interface Given {
  readonly value: unknown
  readonly origin: Origin
}

type Tree = Readonly<Record<string, unknown>>

const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The tree with this value in it. */
export const put = (tree: unknown, path: Path, value: unknown): unknown => {
  const [first, ...rest] = path
  if (first === undefined) return value
  if (Array.isArray(tree)) return tree.map((item, index) => (index === first ? put(item, rest, value) : item))
  // what is no map is left for its error to be told
  if (tree !== undefined && tree !== null && !isTree(tree)) return tree
  return { ...tree, [first]: put(isTree(tree) ? tree[String(first)] : undefined, rest, value) }
}

/** Every group of limits has a limit that is given for all. */
const spread = (tree: Tree, { path }: Setting): ReadonlyArray<Path> => {
  const name = path.at(-1)
  if (path[0] !== "limits" || name === undefined) return [path]
  const { endpoints, limits } = tree
  return [
    path,
    ...(isTree(limits) ? Object.keys(limits) : []).map((pattern) => ["limits", pattern, name]),
    ...(Array.isArray(endpoints) ? endpoints : []).flatMap((endpoint: unknown, index) =>
      isTree(endpoint) && isTree(endpoint.limits) ? [["endpoints", index, "limits", name]] : []
    )
  ]
}

/** What a file says with what is given put over it, and where each given value stands. */
export const overlay = (
  raw: unknown,
  given: ReadonlyMap<string, Given>
): { readonly raw: unknown; readonly origins: ReadonlyMap<string, Origin> } => {
  const origins = new Map<string, Origin>()
  if (raw !== undefined && raw !== null && !isTree(raw)) return { raw, origins }
  let tree: Tree = raw ?? {}
  for (const setting of settings) {
    const found = given.get(setting.flag)
    if (found === undefined) continue
    for (const path of spread(tree, setting)) {
      // a map stays one
      tree = put(tree, path, found.value) as Tree
      origins.set(pathText(path), found.origin)
    }
  }
  return { raw: tree, origins }
}
