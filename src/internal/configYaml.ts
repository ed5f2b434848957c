/** A config file as text: YAML 1.2 with anchors and merge keys, where each of its parts stands, and its variables. */
import * as Either from "effect/Either"
import * as Yaml from "yaml"
import { type Origin, type Problem, pathText } from "./configProblem.js"
import { safeText } from "./safeText.js"

type Path = ReadonlyArray<PropertyKey>

/** A variable that a text of the file stands on, and is not set. */
export interface Unset {
  readonly name: string
  readonly path: Path
  readonly origin: Origin
}

/** The file with its variables filled in. */
export interface Filled {
  readonly raw: unknown
  readonly unset: ReadonlyArray<Unset>
}

export interface Parsed {
  /** Names of all variables it stands on. */
  readonly variables: ReadonlySet<string>
  /** Fills in the variables that are set. To be called once. */
  readonly fill: (valueOf: (name: string) => string | undefined) => Filled
  /** Where the value at this path stands, or its key; what is not there stands where the map does that lacks it. */
  readonly locate: (path: Path, what?: "key" | "value") => Origin
  /** A value as it is written, without its variables filled in. */
  readonly written: (path: Path) => unknown
}

const pattern = /\$\$\{|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g

/** The variables that a text stands on. */
export const variablesOf = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(pattern)].flatMap(([, name]) => (name === undefined ? [] : [name]))

const messages: Partial<Record<Yaml.ErrorCode, string>> = {
  ALIAS_PROPS: "an alias takes no anchor or tag",
  BAD_ALIAS: "an anchor or alias without a name",
  BAD_INDENT: "the indentation does not fit the lines before it",
  BLOCK_AS_IMPLICIT_KEY: "a map may not begin here; a text with a colon needs quotes",
  DUPLICATE_KEY: "this key is there twice",
  MISSING_CHAR:
    "a quote, bracket, comma, dash or colon is missing, or a line is not indented as those before it",
  MULTIPLE_DOCS: "there may be one document, and --- begins a second",
  MULTILINE_IMPLICIT_KEY: "a key must be on one line; a colon may be missing",
  TAB_AS_INDENT: "a tab; YAML is indented with spaces",
  UNEXPECTED_TOKEN: "this may not stand here",
  TAG_RESOLVE_FAILED: "an unknown tag; a text that begins with ! needs quotes"
}

/** The parser's own messages quote what they do not understand, which may be a secret. */
const syntaxMessage = ({ code, message }: Yaml.YAMLError): string =>
  `not YAML: ${messages[code] ?? safeText(message.replace(/"[^"]*"|: .*$/gs, "").trim())}`

const isMergeKey = (key: unknown): boolean =>
  Yaml.isScalar(key) &&
  (key.value === "<<" || (typeof key.value === "symbol" && key.value.description === "<<"))

const keyOf = (key: unknown): string => String(Yaml.isScalar(key) ? key.value : key)

export const parse = (text: string, file: string): Either.Either<Parsed, ReadonlyArray<Problem>> => {
  const counter = new Yaml.LineCounter()
  const document = Yaml.parseDocument(text, {
    version: "1.2",
    merge: true,
    lineCounter: counter,
    prettyErrors: false,
    logLevel: "error"
  })
  const originAt = (offset: number): Origin => {
    const { col, line } = counter.linePos(offset)
    return { kind: "file", file, line: Math.max(1, line), column: Math.max(1, col) }
  }
  const lineAt = (fault: Yaml.YAMLError) => counter.linePos(fault.pos[0]).line
  const all = [...document.errors, ...document.warnings]
  // what follows in the line follows from it
  const faults = all.filter((fault, n) => all.findIndex((other) => lineAt(other) === lineAt(fault)) === n)
  if (faults.length > 0) {
    return Either.left(
      faults.map((fault) => {
        const origin = originAt(fault.pos[0])
        const line = text.split("\n")[lineAt(fault) - 1] ?? ""
        const hint = /\{[^}]*\$\{/.test(line) ? `; between braces \${NAME} needs quotes` : ""
        return { origin, path: "", message: syntaxMessage(fault) + hint }
      })
    )
  }

  const lost: Array<Problem> = []
  Yaml.visit(document, {
    Alias: (_, node) => {
      if (node.resolve(document) !== undefined) return
      const message = `no anchor &${node.source} before it`
      lost.push({ origin: originAt(node.range?.[0] ?? 0), path: "", message })
    }
  })
  if (lost.length > 0) return Either.left(lost)

  const resolved = (node: unknown): unknown => (Yaml.isAlias(node) ? node.resolve(document) : node)

  const pairAt = (map: Yaml.YAMLMap, name: string): Yaml.Pair | undefined => {
    const own = map.items.find(({ key }) => !isMergeKey(key) && keyOf(key) === name)
    if (own !== undefined) return own
    for (const { key, value } of map.items) {
      if (!isMergeKey(key)) continue
      const merged = resolved(value)
      for (const source of Yaml.isSeq(merged) ? merged.items.map(resolved) : [merged]) {
        const found = Yaml.isMap(source) ? pairAt(source, name) : undefined
        if (found !== undefined) return found
      }
    }
    return undefined
  }

  /** The key and the value at a path, or `undefined`, and the last node on the way. */
  const walk = (path: Path) => {
    let key: unknown
    let value: unknown = resolved(document.contents)
    let last = value
    for (const part of path) {
      const pair = Yaml.isMap(value) ? pairAt(value, String(part)) : undefined
      const item = Yaml.isSeq(value) && typeof part === "number" ? value.items[part] : undefined
      if (pair === undefined && item === undefined)
        return { found: false, key: undefined, value: undefined, last }
      key = pair?.key
      // an alias is shown where it points to: there the value stands
      value = resolved(pair === undefined ? item : pair.value)
      last = Yaml.isNode(value) ? value : pair?.key
    }
    return { found: true, key, value, last }
  }

  const locate: Parsed["locate"] = (path, what = "value") => {
    const { key, last } = walk(path)
    const node = what === "key" && Yaml.isNode(key) ? key : last
    return originAt(Yaml.isNode(node) ? (node.range?.[0] ?? 0) : 0)
  }

  // as they are written: filling in changes the nodes
  const texts = new Map<Yaml.Scalar, string>()
  const paths = new Map<Yaml.Scalar, Path>()
  const variables = new Set<string>()
  Yaml.visit(document, {
    Scalar: (at, node, ancestors) => {
      if (at === "key" || typeof node.value !== "string" || !node.value.includes("${")) return
      texts.set(node, node.value)
      paths.set(node, pathOf(ancestors, node))
      for (const name of variablesOf(node.value)) variables.add(name)
    }
  })

  return Either.right({
    variables,
    locate,
    written: (path) => {
      const { value } = walk(path)
      return Yaml.isScalar(value) ? (texts.get(value) ?? value.value) : undefined
    },
    fill: (valueOf) => {
      const unset: Array<Unset> = []
      for (const [node, text] of texts) {
        node.value = text.replace(
          pattern,
          (whole, name: string | undefined, otherwise: string | undefined) => {
            if (name === undefined) return "${"
            const found = valueOf(name) ?? otherwise
            if (found !== undefined) return found
            unset.push({ name, path: paths.get(node) ?? [], origin: originAt(node.range?.[0] ?? 0) })
            return whole
          }
        )
      }
      return { raw: document.toJS({ maxAliasCount: 100 }), unset }
    }
  })
}

/** The path of a node below these. */
const pathOf = (ancestors: ReadonlyArray<unknown>, node: unknown): Path => {
  const chain = [...ancestors, node]
  return chain.flatMap((ancestor, index): ReadonlyArray<PropertyKey> => {
    if (Yaml.isPair(ancestor)) return [keyOf(ancestor.key)]
    return Yaml.isSeq(ancestor) ? [ancestor.items.indexOf(chain[index + 1])] : []
  })
}

/** That a variable is not set. */
export const unsetProblem = ({ name, origin, path }: Unset): Problem => ({
  origin,
  path: pathText(path),
  message: `the variable ${name} is not set: set it, write it into .env, or give a default with \${${name}:-…}`
})
