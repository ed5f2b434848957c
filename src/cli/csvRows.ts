/**
 * The rows of a CSV or TSV file, read in blocks: the file is never in memory as a whole.
 *
 * RFC 4180, with what programs write beside it: a byte order mark, line feeds alone, blank lines and rows of nothing but
 * empty fields (both are passed over). The first row names the columns. In a TSV file a quote inside of a field is a
 * quote; in a CSV file it is a mistake, and said to be one.
 */
import { isUtf8 } from "node:buffer"
import * as FileSystem from "@effect/platform/FileSystem"
import { CsvError, Parser } from "csv-parse"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { JsonObject } from "../internal/jsonObject.js"
import { CliError } from "./CliError.js"
import { delimiters, type TableFormat } from "./fileFormat.js"
import * as InputFile from "./inputFile.js"
import * as LineCounter from "./lineCounter.js"

const blockSize = 64 * 1024
const newline = 10

/** How many bytes at the end of a block begin a character that the next one ends. */
const begun = (block: Uint8Array): number => {
  for (let back = 1; back <= Math.min(3, block.length); back++) {
    const byte = block[block.length - back] ?? 0
    if (byte >> 6 === 0b10) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? back : 0
  }
  return 0
}

const isUtf16 = (block: Uint8Array): boolean =>
  (block[0] === 0xff && block[1] === 0xfe) || (block[0] === 0xfe && block[1] === 0xff)

/** The file in blocks of whole characters. */
const blocks = (path: string, name: string): Stream.Stream<Uint8Array, CliError, FileSystem.FileSystem> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const failed = InputFile.inputError(name)
      const file = yield* Effect.mapError(fs.open(path, { flag: "r" }), failed)
      let isFirst = true
      let rest: Uint8Array = new Uint8Array()
      // which line it is has not been counted: that is only done where it is asked for
      const notUtf8 = InputFile.lines(path).pipe(
        Stream.filter(({ text }) => Either.isLeft(text)),
        Stream.runHead,
        Effect.flatMap((line) => {
          const place = Option.match(line, { onNone: () => "", onSome: ({ number }) => `line ${number}: ` })
          return Effect.fail(
            new CliError({ message: `${name}: ${place}not UTF-8. Save it as UTF-8 and run again` })
          )
        })
      )
      const read: Effect.Effect<Uint8Array, Option.Option<CliError>, FileSystem.FileSystem> = Effect.gen(
        function* () {
          const found = yield* Effect.mapError(file.readAlloc(blockSize), failed)
          if (Option.isNone(found)) return rest.length === 0 ? undefined : yield* notUtf8
          const block = rest.length === 0 ? found.value : Buffer.concat([rest, found.value])
          if (isFirst && isUtf16(block)) {
            return yield* new CliError({
              message: `${name} is UTF-16, as Excel's "Unicode Text". Save it as "CSV UTF-8" and run again`
            })
          }
          isFirst = false
          const end = block.length - begun(block)
          rest = block.subarray(end)
          const whole = block.subarray(0, end)
          return isUtf8(whole) ? whole : yield* notUtf8
        }
      ).pipe(
        Effect.mapError(Option.some),
        Effect.flatMap((block) => (block === undefined ? Effect.fail(Option.none()) : Effect.succeed(block)))
      )
      return Stream.repeatEffectChunkOption(Effect.map(read, Chunk.of))
    })
  )

/** A row as the file has it. */
interface Fields {
  /** Line of the file where the row begins, from 1. */
  readonly number: number
  readonly fields: ReadonlyArray<string>
}

/** In words of ours, for the mistakes that people make. */
const reasons: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: "a quoted field is never closed: the file ends within it",
  CSV_INVALID_CLOSING_QUOTE: `something follows the quote that closes a field. A quote within a quoted field is written twice: ""`,
  INVALID_OPENING_QUOTE: `a quote within a field that does not begin with one. Quote the whole field, and write the quote twice: ""`,
  CSV_MAX_RECORD_SIZE: "a row longer than 256 MiB"
}

/** The parser, fed block by block. */
const makeParser = (format: TableFormat, name: string) => {
  const lines = LineCounter.make()
  let found: Array<Fields> = []
  let parsedTo = 0
  let last = newline
  const parser = new Parser({
    bom: true,
    delimiter: delimiters[format],
    max_record_size: InputFile.longestLine,
    record_delimiter: ["\r\n", "\n"],
    relax_column_count: true,
    relax_quotes: format === "tsv",
    skip_empty_lines: true,
    skip_records_with_empty_values: true,
    // nothing is given on to the stream that the parser is: it would be read one by one
    on_record: (fields: ReadonlyArray<string>, { bytes }) => {
      parsedTo = bytes
      let within = 0
      for (const field of fields) {
        for (let at = field.indexOf("\n"); at !== -1; at = field.indexOf("\n", at + 1)) within++
      }
      // the last row of a file may do without the end of its line
      const end = lines.endedBefore(bytes) + (bytes === read && last !== newline ? 1 : 0)
      found.push({ number: end - within, fields })
      return null
    }
  })
  let read = 0
  const failed = (error: unknown) => {
    const code = error instanceof CsvError ? error.code : ""
    return new CliError({
      message: `${name}: line ${lines.endedBefore(parsedTo) + 1}: ${reasons[code] ?? String(error)}`
    })
  }
  const run = (step: (done: () => void) => void): Effect.Effect<ReadonlyArray<Fields>, CliError> =>
    Effect.async((resume) => {
      const onError = (error: unknown) => resume(Effect.fail(failed(error)))
      parser.once("error", onError)
      step(() => {
        parser.off("error", onError)
        const rows = found
        found = []
        resume(Effect.succeed(rows))
      })
    })
  return {
    feed: (block: Uint8Array) =>
      run((done) => {
        lines.add(block)
        read += block.length
        last = block[block.length - 1] ?? last
        parser.write(block, (error) => (error == null ? done() : undefined))
      }),
    end: run((done) => {
      parser.once("end", done)
      parser.resume()
      parser.end()
    })
  }
}

const ordinal = (at: number): string => `column ${at + 1}`

/** The names of the columns, or what is wrong with them. */
const headerOf = (fields: ReadonlyArray<string>): Either.Either<ReadonlyArray<string>, string> => {
  const names = fields.map((field) => field.trim())
  const places = new Map<string, number>()
  for (const [at, name] of names.entries()) {
    const other = places.get(name)
    if (name === "") {
      const hint = at === 0 ? " (of pandas it is the index: to_csv(index=False) leaves it out)" : ""
      return Either.left(`${ordinal(at)} has no name${hint}`)
    }
    if (other !== undefined)
      return Either.left(`${ordinal(other)} and ${ordinal(at)} are both named "${name}"`)
    places.set(name, at)
  }
  return Either.right(names)
}

const counted = (n: number): string => `${n} ${n === 1 ? "field" : "fields"}`

/** A record of a table: all its values are texts. */
const recordOf = (
  header: ReadonlyArray<string>,
  fields: ReadonlyArray<string>
): Either.Either<JsonObject, string> =>
  fields.length === header.length
    ? Either.right(Object.fromEntries(header.map((name, at) => [name, fields[at]])))
    : Either.left(
        `${counted(fields.length)}, and the header has ${header.length}: a missing or unquoted separator?`
      )

/** The rows below the header. The names of the columns are given to `onHeader` before. */
export const rows = (
  path: string,
  format: TableFormat,
  name: string,
  onHeader: (names: ReadonlyArray<string>) => void = () => {}
): Stream.Stream<InputFile.Row, CliError, FileSystem.FileSystem> =>
  Stream.suspend(() => {
    const parser = makeParser(format, name)
    let header: ReadonlyArray<string> | undefined
    const below = (found: ReadonlyArray<Fields>): Effect.Effect<Chunk.Chunk<InputFile.Row>, CliError> => {
      let records = found
      if (header === undefined) {
        const [first, ...others] = found
        if (first === undefined) return Effect.succeed(Chunk.empty())
        const names = headerOf(first.fields)
        if (Either.isLeft(names)) {
          return Effect.fail(new CliError({ message: `${name}: line ${first.number}: ${names.left}` }))
        }
        header = names.right
        onHeader(header)
        records = others
      }
      const columns = header
      return Effect.succeed(
        Chunk.unsafeFromArray(
          records.map(({ fields, number }) => ({ number, content: recordOf(columns, fields) }))
        )
      )
    }
    return Stream.concat(
      Stream.mapEffect(blocks(path, name), (block) => Effect.flatMap(parser.feed(block), below)),
      Stream.fromEffect(Effect.flatMap(parser.end, below))
    ).pipe(Stream.flattenChunks)
  })
