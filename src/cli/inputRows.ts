/** The records of an input file, whatever its format. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Stream from "effect/Stream"
import type { CliError } from "./CliError.js"
import * as CsvRows from "./csvRows.js"
import type { InputFormat } from "./fileFormat.js"
import * as InputFile from "./inputFile.js"

/** What is read. */
export interface Input {
  /** Where it can be read more than once. */
  readonly path: string
  /** What messages call it. */
  readonly name: string
  readonly format: InputFormat
}

/** The records in order. The columns of a table are given to `onHeader` before. */
export const rows = (
  { format, name, path }: Input,
  onHeader?: (names: ReadonlyArray<string>) => void
): Stream.Stream<InputFile.Row, CliError, FileSystem.FileSystem> =>
  format === "jsonl"
    ? Stream.map(InputFile.lines(path), ({ number, text }) => ({ number, content: text }))
    : CsvRows.rows(path, format, name, onHeader)
