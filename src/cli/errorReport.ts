/** How an error of the command line is told: once, on stderr, for people or as data. */
import { inspect } from "node:util"
import { isJsonObject } from "../internal/jsonObject.js"
import type { CliError } from "./CliError.js"

/** How the user wants it. */
export interface Manner {
  /** One JSON object. */
  readonly json: boolean
  /** With what it comes from. */
  readonly verbose: boolean
}

/** A chain of causes is short; one that is not runs in a circle. */
const mostCauses = 10

const textOf = (cause: unknown): string => {
  if (cause instanceof Error) {
    const { code } = cause as NodeJS.ErrnoException
    const kind = isTagged(cause) ? cause._tag : cause.name
    return `${kind}: ${cause.message}${typeof code === "string" && !cause.message.includes(code) ? ` (${code})` : ""}`
  }
  return typeof cause === "string"
    ? cause
    : inspect(cause, { depth: 2, breakLength: Number.POSITIVE_INFINITY })
}

const isTagged = (error: unknown): error is { readonly _tag: string } =>
  isJsonObject(error) && typeof error._tag === "string"

/** What an error comes from, each with what that comes from. */
export const causesOf = (error: CliError): ReadonlyArray<string> => {
  const causes: Array<string> = []
  let cause: unknown = error.cause
  while (cause !== undefined && cause !== null && causes.length < mostCauses) {
    causes.push(textOf(cause))
    cause = typeof cause === "object" && "cause" in cause ? cause.cause : undefined
  }
  return causes
}

/** The line, or lines, on stderr. `command` is the words that name it; empty where there is no such command. */
export const report = (
  error: CliError,
  { json, verbose }: Manner,
  command: string,
  exitCode: number
): string => {
  const causes = verbose ? causesOf(error) : []
  const { faults = [] } = error
  if (json) {
    const data = {
      error: {
        message: error.message,
        ...(command === "" ? undefined : { command }),
        exitCode,
        ...(faults.length === 0 ? undefined : { problems: faults }),
        ...(verbose ? { causes } : undefined)
      }
    }
    return `${JSON.stringify(data)}\n`
  }
  return [`floodgate: ${error.message}`, ...causes.map((cause) => `  from ${cause}`)]
    .map((line) => `${line}\n`)
    .join("")
}
