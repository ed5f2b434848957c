/** What is wrong with a configuration, told so that it can be mended. */
import * as Data from "effect/Data"

/** Where a setting was written. */
export type Origin =
  | { readonly kind: "flag"; readonly name: string }
  | { readonly kind: "env"; readonly name: string }
  | { readonly kind: "file"; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: "default" }

/** One thing that is wrong. */
export interface Problem {
  readonly origin: Origin
  /** Where in the settings, such as `endpoints[0].limits.rpm`; empty for the whole. */
  readonly path: string
  /** What was expected, and what there is. Never a secret. */
  readonly message: string
}

/** `floodgate.yaml:7:12`, `FLOODGATE_RPM`, `--rpm`. */
export const placeOf = (origin: Origin): string => {
  switch (origin.kind) {
    case "file":
      return `${origin.file}:${origin.line}:${origin.column}`
    case "env":
      return origin.name
    case "flag":
      return `--${origin.name}`
    case "default":
      return ""
  }
}

export const format = ({ message, origin, path }: Problem): string =>
  [placeOf(origin), origin.kind === "file" || origin.kind === "default" ? path : "", message]
    .filter(Boolean)
    .join(": ")

/** See `ConfigFile.ConfigFileError`, which this is. It lives here so that the internals can raise it. */
export class ConfigFileError extends Data.TaggedError("ConfigFileError")<{
  /** All that is wrong, in the order of the file. */
  readonly problems: ReadonlyArray<Problem>
}> {
  /** One line for each problem: its place, its path, and what was expected. */
  override get message(): string {
    return this.problems.map(format).join("\n")
  }
}

/** `endpoints[0].limits.rpm`; keys that are no names are quoted. */
export const pathText = (path: ReadonlyArray<PropertyKey>): string =>
  path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`
    const name = String(part)
    if (!/^[\w-]+$/.test(name)) return `${text}[${JSON.stringify(name)}]`
    return text === "" ? name : `${text}.${name}`
  }, "")
