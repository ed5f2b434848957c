/** Finds a config file, and reads it together with the environment and with flags. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as PlatformPath from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ConfigDecode from "./configDecode.js"
import { type Environment, environment } from "./configEnvironment.js"
import { ConfigFileError, type Origin, type Problem, pathText } from "./configProblem.js"
import type { File } from "./configSchema.js"
import {
  type Choice,
  choices,
  fileVariable,
  type Given,
  overlay,
  put,
  settings,
  variableOf,
  variablePrefix,
  variables
} from "./configSettings.js"
import * as ConfigYaml from "./configYaml.js"
import { reasonOf } from "./fileReason.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { nearest } from "./nearest.js"

type Path = ReadonlyArray<PropertyKey>

/** What comes before the file. */
export interface Options {
  /** The file. Default: `FLOODGATE_CONFIG`, then `floodgate.yaml` or `.yml` here, then `~/.floodgate/config.yaml`. */
  readonly path?: string | undefined
  /** What flags say, by their names. */
  readonly flags?: Readonly<Record<string, unknown>> | undefined
}

/** Settings as they are read, and where each is from. */
export interface Loaded {
  /** The file as messages name it; absent where there is none. */
  readonly file: string | undefined
  readonly settings: File
  /** What chooses among endpoints. */
  readonly chosen: Readonly<Partial<Record<Choice, { readonly value: string; readonly origin: Origin }>>>
  readonly environment: Environment
  /** Before it was decoded: file, variables and flags. */
  readonly raw: unknown
  readonly origin: (path: Path, what?: "key" | "value") => Origin
  readonly written: (path: Path) => unknown
  /** What is no error, and should be known. */
  readonly warnings: ReadonlyArray<Problem>
  /** A place in the file system: relative to the file that names it, or to the working folder. */
  readonly resolve: (path: Path, place: string) => string
}

/** Where a file is looked for when none is named. */
const looked = (home: string | undefined): ReadonlyArray<string> => [
  "floodgate.yaml",
  "floodgate.yml",
  ...(home === undefined ? [] : [`${home}/.floodgate/config.yaml`])
]

const fail = (origin: Origin, message: string) =>
  new ConfigFileError({ problems: [{ origin, path: "", message }] })

const startOf = (file: string): Origin => ({ kind: "file", file, line: 1, column: 1 })

/** The file to read, and who named it. */
const find = (options: Options, { get }: Environment) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const isThere = (path: string) => Effect.orElseSucceed(fs.exists(path), () => false)
    const variable = yield* get(fileVariable)
    const named = options.path ?? variable
    if (named !== undefined) {
      if (yield* isThere(named)) return named
      const origin: Origin =
        options.path === undefined ? { kind: "env", name: fileVariable } : { kind: "default" }
      return yield* fail(origin, `there is no file ${named}`)
    }
    const home = (yield* get("HOME")) ?? (yield* get("USERPROFILE"))
    for (const path of looked(home)) if (yield* isThere(path)) return path
    return undefined
  })

const read = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(fs.readFileString(file), (error) =>
      fail(startOf(file), `cannot be read: ${reasonOf(error)}`)
    )
    // what stands for bytes that are no UTF-8, and what no YAML holds
    if (/[\uFFFD\0]/.test(text)) {
      return yield* fail(startOf(file), "this is no text: a config file is YAML, in UTF-8")
    }
    return yield* Either.mapLeft(
      ConfigYaml.parse(text.replace(/^\uFEFF/, ""), file),
      (problems) => new ConfigFileError({ problems })
    )
  })

const filled = (parsed: ConfigYaml.Parsed, file: string, { get }: Environment) =>
  Effect.gen(function* () {
    const values = new Map<string, string | undefined>()
    for (const name of parsed.variables) values.set(name, yield* get(name))
    return yield* Effect.try({
      try: () => parsed.fill((name) => values.get(name)),
      // too many aliases of aliases, such as to use up the memory
      catch: () => fail(startOf(file), "its aliases cannot be followed")
    })
  })

type GivenBy = ReadonlyMap<string, Given>

/** Whether this is about an endpoint of the file that is not used: it is off, or others are chosen. */
const isIdle = (raw: unknown, given: GivenBy, { path }: ConfigYaml.Unset): boolean => {
  const [section, index, field] = path
  if (
    section !== "endpoints" ||
    field === "provider" ||
    !isJsonObject(raw) ||
    !Array.isArray(raw["endpoints"])
  )
    return false
  const chosenBy = (choice: Choice) => (endpoint: JsonObject) => {
    const value = given.get(choice)?.value
    return value === undefined || endpoint["id"] === value || endpoint[choice] === value
  }
  const left = raw["endpoints"].filter(
    (endpoint: unknown): endpoint is JsonObject =>
      isJsonObject(endpoint) &&
      endpoint["enabled"] !== false &&
      endpoint["enabled"] !== "false" &&
      chosenBy("provider")(endpoint)
  )
  // a model that none of them has is asked of them all
  const having = left.filter(chosenBy("model"))
  return !(having.length > 0 ? having : left).includes(raw["endpoints"][Number(index)])
}

/** What flags and variables say, flags first. */
const givenBy = (options: Options, { get }: Environment) =>
  Effect.gen(function* () {
    const given = new Map<string, Given>()
    for (const flag of [...settings.map((setting) => setting.flag), ...choices]) {
      const said = options.flags?.[flag]
      if (said !== undefined) {
        given.set(flag, { value: said, origin: { kind: "flag", name: flag } })
        continue
      }
      const name = variableOf(flag)
      const value = yield* get(name)
      if (value !== undefined) given.set(flag, { value: value.trim(), origin: { kind: "env", name } })
    }
    return given
  })

/** Variables that look like settings and are none. What they hold is not repeated. */
const unknownVariables = ({ beginning, get }: Environment): Effect.Effect<ReadonlyArray<Problem>> =>
  Effect.gen(function* () {
    const problems: Array<Problem> = []
    const known = variables.map((name) => name.slice(variablePrefix.length))
    for (const name of yield* beginning(variablePrefix)) {
      if (variables.includes(name) || (yield* get(name)) === undefined) continue
      // what all names begin with makes none of them alike
      const meant = nearest(name.slice(variablePrefix.length), known)
      problems.push({
        origin: { kind: "env", name },
        path: "",
        message: `there is no such setting${meant === undefined ? "" : `; did you mean "${variablePrefix}${meant}"?`}`
      })
    }
    return problems
  })

const order = ({ origin }: Problem): number =>
  origin.kind === "file" ? origin.line * 10_000 + Math.min(origin.column, 9_999) : 0

const samePlace = (a: Origin, b: Origin): boolean =>
  a.kind === "file" && b.kind === "file" && a.line === b.line && a.column === b.column

/** All problems at once, in the order of the file. */
export const problemsOf = (problems: ReadonlyArray<Problem>): ConfigFileError =>
  new ConfigFileError({ problems: [...problems].sort((a, b) => order(a) - order(b)) })

/** The settings of the file that is named or found, of the environment and of flags. */
export const load = (
  options: Options = {}
): Effect.Effect<Loaded, ConfigFileError, FileSystem.FileSystem | PlatformPath.Path> =>
  Effect.gen(function* () {
    const paths = yield* PlatformPath.Path
    const env = yield* environment
    const file = yield* find(options, env)
    const parsed = file === undefined ? undefined : yield* read(file)
    const { raw: inFile, unset } =
      parsed === undefined || file === undefined ? { raw: {}, unset: [] } : yield* filled(parsed, file, env)
    const given = yield* givenBy(options, env)
    const missing = unset.filter((one) => !isIdle(inFile, given, one))
    // what is left out need not be there
    const present = unset.reduce(
      (raw, one) => (isIdle(inFile, given, one) ? put(raw, one.path, undefined) : raw),
      inFile
    )
    const { origins, raw } = overlay(present, given)

    const origin: Loaded["origin"] = (path, what) => {
      for (let length = path.length; length > 0; length--) {
        const found = origins.get(pathText(path.slice(0, length)))
        if (found !== undefined) return found
      }
      return parsed?.locate(path, what) ?? { kind: "default" }
    }
    const written: Loaded["written"] = (path) =>
      origins.has(pathText(path)) ? undefined : parsed?.written(path)
    const folder = file === undefined ? "." : paths.dirname(file)
    const decoded = ConfigDecode.settings(raw, { origin, written })
    const wrong = (Either.isLeft(decoded) ? decoded.left : []).filter(
      ({ origin }) => !unset.some((one) => samePlace(one.origin, origin))
    )
    if (missing.length > 0 || Either.isLeft(decoded)) {
      return yield* problemsOf([...missing.map(ConfigYaml.unsetProblem), ...wrong])
    }

    const chosen: Partial<Record<Choice, { value: string; origin: Origin }>> = {}
    for (const choice of choices) {
      const found = given.get(choice)
      if (found !== undefined) chosen[choice] = { value: String(found.value), origin: found.origin }
    }
    return {
      file,
      warnings: yield* unknownVariables(env),
      settings: decoded.right,
      chosen,
      environment: env,
      raw,
      origin,
      written,
      resolve: (path, place) => (origin(path).kind === "file" ? paths.resolve(folder, place) : place)
    }
  })
