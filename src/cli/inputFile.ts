/**
 * The lines of an input file, read in blocks: the file is never in memory as a whole.
 */
import { isUtf8 } from "node:buffer"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { reasonOf } from "../internal/fileReason.js"
import type { JsonObject } from "../internal/jsonObject.js"
import { CliError } from "./CliError.js"
import { standardInput } from "./commandLine.js"
import { pipe } from "./stdin.js"

/** A line that holds something, with its number in the file, from 1. */
export interface Line {
  readonly number: number
  /** Its text, or why it has none. */
  readonly text: Either.Either<string, string>
}

/** A record of a file of any format, with the line where it begins. */
export interface Row {
  readonly number: number
  /** The text of its line, or the fields of a row of a table; or why it has none. */
  readonly content: Either.Either<string | JsonObject, string>
}

export { standardInput } from "./commandLine.js"

/** The input as messages call it. */
export const nameOf = (input: string): string => (input === standardInput ? "the standard input" : input)

export const inputError = (name: string) => (error: PlatformError) =>
  new CliError({ message: `Cannot read ${name}: ${reasonOf(error)}`, cause: error })

/** Says at once what is wrong with a path, before anything else is done. */
export const check = (input: string): Effect.Effect<void, CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (input === standardInput) return
    const [, workbook] = /\.(xlsx?|xlsm|ods|numbers|parquet)$/i.exec(input) ?? []
    if (workbook !== undefined) {
      return yield* new CliError({
        message: `Cannot read ${input}: .${workbook} files are no text. Save it as CSV, and pass that`
      })
    }
    const fs = yield* FileSystem.FileSystem
    const { type } = yield* Effect.mapError(fs.stat(input), inputError(input))
    if (type === "Directory") return yield* new CliError({ message: `Cannot read ${input}: it is a folder` })
    yield* Effect.mapError(fs.access(input, { readable: true }), inputError(input))
  })

/**
 * A path from which the input can be read more than once: the file itself, or a copy of what comes through a pipe.
 * The copy goes with the scope.
 */
export const open = (
  input: string,
  stdin: Stream.Stream<Uint8Array, PlatformError>
): Effect.Effect<string, CliError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const isStandard = input === standardInput
    if (!isStandard) {
      const { type } = yield* Effect.mapError(fs.stat(input), inputError(input))
      if (type === "File") return input
    }
    const copy = yield* fs.makeTempFileScoped({ prefix: "floodgate-input-" }).pipe(Effect.orDie)
    yield* (isStandard ? stdin : pipe(input)).pipe(
      Stream.run(fs.sink(copy)),
      Effect.mapError(inputError(nameOf(input)))
    )
    return copy
  })

const blockSize = 256 * 1024
const newline = 10

/** Longest line that is read, in bytes: twice that would no longer fit into a string. No server takes as much. */
export const longestLine = 256 * 1024 * 1024

const decode = (bytes: Uint8Array): Either.Either<string, string> => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")
  // what cannot be decoded is replaced without a word; only a line that holds a replacement needs a second look
  return text.includes("\uFFFD") && !isUtf8(bytes) ? Either.left("not UTF-8") : Either.right(text)
}

/** The lines of a file that are not blank. A byte order mark and carriage returns are no part of them. */
export const lines = (path: string): Stream.Stream<Line, CliError, FileSystem.FileSystem> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* Effect.mapError(fs.open(path, { flag: "r" }), inputError(path))
      let number = 0
      // what has been read of a line whose end has not
      let parts: Array<Uint8Array> = []
      let held = 0
      let ended = false

      const hold = (part: Uint8Array): void => {
        held += part.length
        if (held <= longestLine) parts.push(part)
        else parts = []
      }
      const take = (last: Uint8Array, out: Array<Line>): void => {
        number++
        let bytes = last
        if (held > 0) {
          hold(last)
          const isTooLong = held > longestLine
          if (!isTooLong) bytes = Buffer.concat(parts, held)
          parts = []
          held = 0
          if (isTooLong) {
            out.push({ number, text: Either.left("longer than 256 MiB") })
            return
          }
        }
        const decoded = decode(bytes)
        const text = number === 1 ? Either.map(decoded, (first) => first.replace(/^\uFEFF/, "")) : decoded
        if (Either.isLeft(text) || text.right.trim() !== "") out.push({ number, text })
      }
      const split = (block: Uint8Array): Array<Line> => {
        const out: Array<Line> = []
        let start = 0
        for (let end = block.indexOf(newline); end !== -1; end = block.indexOf(newline, start)) {
          take(block.subarray(start, end), out)
          start = end + 1
        }
        if (start < block.length) hold(block.subarray(start))
        return out
      }
      const next: Effect.Effect<Chunk.Chunk<Line>, Option.Option<CliError>> = Effect.suspend(() => {
        if (ended) return Effect.fail(Option.none())
        return Effect.matchEffect(file.readAlloc(blockSize), {
          onFailure: (error) => Effect.fail(Option.some(inputError(path)(error))),
          onSuccess: (block) => {
            if (Option.isSome(block)) {
              const found = split(block.value)
              return found.length === 0 ? next : Effect.succeed(Chunk.unsafeFromArray(found))
            }
            ended = true
            const found: Array<Line> = []
            if (held > 0) take(new Uint8Array(0), found)
            return Effect.succeed(Chunk.unsafeFromArray(found))
          }
        })
      })
      return Stream.repeatEffectChunkOption(next)
    })
  )
