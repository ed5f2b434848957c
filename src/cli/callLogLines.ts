/** The lines of a call log, as JSON, whichever format it has. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import type { JsonObject } from "../internal/jsonObject.js"
import type { CliError } from "./CliError.js"
import * as CsvRows from "./csvRows.js"
import { formatOf } from "./fileFormat.js"
import * as InputFile from "./inputFile.js"

/** Columns whose values are texts, even where they look like numbers. */
const texts: ReadonlySet<string> = new Set([
  ...["time", "id", "key", "origin", "endpoint", "provider", "model", "task", "outcome"],
  ...["serviceTier", "requestId", "prompt", "error"]
])

const valueOf = (name: string, text: string): unknown =>
  // an apostrophe keeps a spreadsheet from running a formula
  texts.has(name) ? text.replace(/^'(?=[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20])/, "") : JSON.parse(text)

const isJson = /^(true|false|-?\d+(\.\d+)?(e[+-]?\d+)?)$/i

/** What is empty in a table is absent; what is no value of its column makes a line that no one can read. */
const lineOf = (record: JsonObject): string => {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(record)) {
    if (typeof value !== "string" || value === "") continue
    fields[name] = texts.has(name) || isJson.test(value) ? valueOf(name, value) : value
  }
  return JSON.stringify(fields)
}

export const callLogLines = (path: string): Stream.Stream<string, CliError, FileSystem.FileSystem> => {
  const format = formatOf(path)
  return format === "jsonl"
    ? Stream.map(InputFile.lines(path), ({ text }) => Either.getOrElse(text, (why) => why))
    : Stream.map(CsvRows.rows(path, format, path), ({ content }) =>
        Either.isRight(content) && typeof content.right !== "string" ? lineOf(content.right) : "unreadable"
      )
}
