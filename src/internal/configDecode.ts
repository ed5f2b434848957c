/** Reads settings by their schema, and tells all that is wrong with them at once. */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { type Origin, type Problem, pathText } from "./configProblem.js"
import { File } from "./configSchema.js"
import { suggestion } from "./nearest.js"
import { safeText } from "./safeText.js"

type Path = ReadonlyArray<PropertyKey>

/** Where a setting comes from, and what is written there. */
export interface Places {
  readonly origin: (path: Path, what: "key" | "value") => Origin
  /** A value as it is written, without its variables filled in. */
  readonly written: (path: Path) => unknown
}

interface Fault {
  readonly path: Path
  readonly what: "key" | "value"
  readonly message: string
}

/** Whether what stands at this path may be, or hold, a secret: a message must not repeat it. */
export const isSecret = (path: Path): boolean =>
  path.some((part) => part === "api_key" || part === "headers" || part === "base_url" || part === "store")

const shown = (written: unknown): string => {
  if (typeof written === "string") return JSON.stringify(safeText(written, 60))
  if (typeof written === "number" || typeof written === "boolean") return String(written)
  if (Array.isArray(written)) return written.length === 0 ? "an empty list" : "a list"
  if (typeof written === "object" && written !== null) return "a map"
  return "nothing"
}

const decode = Schema.decodeUnknownEither(File, { errors: "all", onExcessProperty: "error" })

const issuesOf = (issues: ParseResult.SingleOrNonEmpty<ParseResult.ParseIssue>) =>
  Array.isArray(issues)
    ? (issues as ReadonlyArray<ParseResult.ParseIssue>)
    : [issues as ParseResult.ParseIssue]

/** What was expected, where a schema says it in words of ours. */
const wordsOf = (ast: AST.AST, issue: ParseResult.ParseIssue): string | undefined => {
  const given = Option.map(AST.getMessageAnnotation(ast), (message) => message(issue))
  return Option.getOrUndefined(Option.filter(given, (text) => typeof text === "string"))
}

const kindOf = (ast: AST.AST): string => {
  switch (ast._tag) {
    case "TypeLiteral":
      return "a map"
    case "TupleType":
      return "a list"
    case "Suspend":
      return kindOf(ast.f())
    case "Transformation":
    case "Refinement":
      return kindOf(ast.from)
    case "Union":
      return [...new Set(ast.types.map(kindOf))].join(" or ")
    default:
      return "another value"
  }
}

const isDeep = (issue: ParseResult.ParseIssue): boolean =>
  issue._tag === "Composite" ||
  (issue._tag === "Refinement" && (issue.kind === "Predicate" || isDeep(issue.issue))) ||
  (issue._tag === "Transformation" && isDeep(issue.issue))

const isUndefined = (issue: ParseResult.ParseIssue): boolean =>
  issue._tag === "Type" && issue.ast._tag === "UndefinedKeyword"

/** Whether a map or a list was expected. */
const isTree = (issue: ParseResult.ParseIssue): boolean =>
  issue._tag === "Type" && /^a (map|list)/.test(kindOf(issue.ast))

const faultsOf = (issue: ParseResult.ParseIssue, path: Path): ReadonlyArray<Fault> => {
  switch (issue._tag) {
    case "Pointer":
      return faultsOf(issue.issue, [...path, ...(Array.isArray(issue.path) ? issue.path : [issue.path])])
    case "Composite": {
      const issues = issuesOf(issue.issues)
      if (issue.ast._tag !== "Union") {
        const known = AST.getPropertySignatures(issue.ast).map(({ name }) => String(name))
        return issues.flatMap((inner) =>
          inner._tag === "Pointer" && inner.issue._tag === "Unexpected"
            ? [unknownKey([...path, ...(Array.isArray(inner.path) ? inner.path : [inner.path])], known)]
            : faultsOf(inner, path)
        )
      }
      // what may be left out is one kind of value with nothing beside it
      const kinds = issues.filter((inner) => !isUndefined(inner))
      // of several it is the one whose inside could be looked at
      const deep = kinds.filter(isDeep)
      if (deep.length > 0) return deep.flatMap((inner) => faultsOf(inner, path))
      const isScalar = typeof issue.actual !== "object"
      const alike = kinds.filter((inner) => !isScalar || !isTree(inner))
      const words = (alike.length > 0 ? alike : kinds).map(expectedOf)
      const own = kinds.length > 1 ? wordsOf(issue.ast, issue) : undefined
      return [{ path, what: "value", message: own ?? words.join(", or ") }]
    }
    case "Refinement":
      return issue.kind === "From"
        ? faultsOf(issue.issue, path)
        : [
            {
              path,
              what: "value",
              message:
                wordsOf(issue.ast, issue) ??
                (issue.issue._tag === "Type" ? issue.issue.message : undefined) ??
                "another value"
            }
          ]
    case "Transformation":
      return faultsOf(issue.issue, path)
    case "Missing":
      return [{ path, what: "value", message: "missing" }]
    case "Unexpected":
      return [unknownKey(path, [])]
    case "Type":
    case "Forbidden":
      return [{ path, what: "value", message: expectedOf(issue) }]
  }
}

const expectedOf = (issue: ParseResult.ParseIssue): string =>
  issue._tag === "Pointer" || issue._tag === "Unexpected" || issue._tag === "Missing"
    ? "another value"
    : (wordsOf(issue.ast, issue) ?? kindOf(issue.ast))

const unknownKey = (path: Path, known: ReadonlyArray<string>): Fault => {
  const name = String(path.at(-1))
  const meant = suggestion(name, known)
  return {
    path,
    what: "key",
    message: `unknown key${meant === "" && known.length > 0 ? `; there are ${known.join(", ")}` : meant}`
  }
}

/** The settings, or all that is wrong with them, in the order in which they are written. */
export const settings = (raw: unknown, places: Places): Either.Either<File, ReadonlyArray<Problem>> =>
  Either.mapLeft(decode(raw ?? {}), ({ issue }) =>
    faultsOf(issue, []).map(({ message, path, what }): Problem => {
      const text = pathText(path)
      const origin = places.origin(path, what)
      if (what === "key" || message === "missing") return { origin, path: text, message }
      const written = at(raw, path)
      // of a scalar what is written, not what its variables hold
      const given = typeof written === "object" ? written : (places.written(path) ?? written)
      const but = isSecret(path) && typeof given === "string" ? "" : `, not ${shown(given)}`
      const [expected = "", ...hint] = message.split("; did you mean")
      return {
        origin,
        path: text,
        message: `expected ${expected}${but}${hint.map((rest) => `; did you mean${rest}`).join("")}`
      }
    })
  )

const at = (raw: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    // whatever has members can be asked for one
    (value, part) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[part] : undefined,
    raw
  )
