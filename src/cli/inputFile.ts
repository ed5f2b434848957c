/**
 * The lines of an input file, read in blocks: the file is never in memory as a whole.
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CliError } from "./CliError.js"

/** A line that holds something, with its number in the file, from 1. */
export interface Line {
  readonly number: number
  readonly text: string
}

/** Path that stands for the standard input; on the command line people write `-`. */
export const standardInput = "/dev/stdin"

/** The input as messages call it. */
export const nameOf = (input: string): string => (input === standardInput ? "the standard input" : input)

const reason = (error: PlatformError): string =>
  error._tag === "SystemError" && error.reason === "NotFound"
    ? "no such file"
    : error._tag === "SystemError" && error.reason === "PermissionDenied"
      ? "permission denied"
      : error.message

const inputError = (name: string) => (error: PlatformError) =>
  new CliError({ message: `Cannot read ${name}: ${reason(error)}` })

/** Says at once what is wrong with a path, before anything else is done. */
export const check = (input: string): Effect.Effect<void, CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (input === standardInput) return
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
    yield* (isStandard ? stdin : fs.stream(input)).pipe(
      Stream.run(fs.sink(copy)),
      Effect.mapError(inputError(nameOf(input)))
    )
    return copy
  })

const blockSize = 256 * 1024
const newline = 10

/** The lines of a file that are not blank. A byte order mark and carriage returns are no part of them. */
export const lines = (path: string): Stream.Stream<Line, CliError, FileSystem.FileSystem> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* Effect.mapError(fs.open(path, { flag: "r" }), inputError(path))
      let number = 0
      let rest: Uint8Array = new Uint8Array(0)
      let ended = false

      const take = (bytes: Uint8Array, out: Array<Line>): void => {
        number++
        const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")
        const clean = number === 1 ? text.replace(/^\uFEFF/, "") : text
        if (clean.trim() !== "") out.push({ number, text: clean })
      }
      const split = (block: Uint8Array): Array<Line> => {
        const bytes = rest.length === 0 ? block : Buffer.concat([rest, block])
        const out: Array<Line> = []
        let start = 0
        for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
          take(bytes.subarray(start, end), out)
          start = end + 1
        }
        rest = bytes.subarray(start)
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
            if (rest.length > 0) take(rest, found)
            return Effect.succeed(Chunk.unsafeFromArray(found))
          }
        })
      })
      return Stream.repeatEffectChunkOption(next)
    })
  )
