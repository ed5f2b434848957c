/** What `floodgate cache export` does. */
import { randomBytes } from "node:crypto"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CacheStoreError } from "../CacheStore.js"
import * as CacheTransfer from "../internal/cacheTransfer.js"
import { counted } from "../internal/countText.js"
import { writeReasonOf } from "../internal/fileReason.js"
import { CliError } from "./CliError.js"
import type { ExportFlags } from "./cacheCommand.js"
import { cacheFiles, failed, openStore } from "./cacheStore.js"
import { wrong } from "./flags.js"

/** Writes to the standard output, as fast as it is read. `false`: nobody reads it any more. */
const toStdout = (text: string): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    process.stdout.write(text, (error) => resume(Effect.succeed(error == null)))
  })

const fullPermissions = 0o7777
const everybody = 0o666

/**
 * Writes a file beside the one that is meant, and puts it in its place once all of it is written. Where the name is that
 * of a pipe, a device or a link to nothing, there is nothing to put in its place: it is written to.
 */
const toFile = (
  output: string,
  pages: Stream.Stream<string, CacheStoreError>
): Effect.Effect<void, CacheStoreError | CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const cannot = (error: PlatformError) =>
      new CliError({ message: `--output: cannot write ${output}: ${writeReasonOf(error)}`, cause: error })
    const writeTo = (path: string, flag: FileSystem.OpenFlag, mode: number) =>
      Effect.scoped(
        Effect.flatMap(Effect.mapError(fs.open(path, { flag, mode }), cannot), (file) =>
          Stream.runForEach(pages, (page) => Effect.mapError(file.writeAll(Buffer.from(page)), cannot))
        )
      )
    const there = Option.getOrUndefined(yield* Effect.option(fs.stat(output)))
    const isLinkToNothing = there === undefined && Option.isSome(yield* Effect.option(fs.readLink(output)))
    // what is open already, such as /dev/stdout, is written on, and not cut
    if (isDevice(output) || (there !== undefined && there.type !== "File" && there.type !== "Directory")) {
      return yield* writeTo(output, "a", everybody)
    }
    if (isLinkToNothing) return yield* writeTo(output, "w", everybody)
    const place = there === undefined ? output : yield* Effect.mapError(fs.realPath(output), cannot)
    const part = `${place}.${randomBytes(6).toString("hex")}.part`
    const mode = there === undefined ? undefined : Number(there.mode) & fullPermissions
    yield* writeTo(part, "wx", mode ?? everybody).pipe(
      Effect.zipRight(mode === undefined ? Effect.void : Effect.mapError(fs.chmod(part, mode), cannot)),
      Effect.zipRight(Effect.mapError(fs.rename(part, place), cannot)),
      Effect.onError(() => Effect.ignore(fs.remove(part)))
    )
  })

/** Names of the system for what a process has open. */
const isDevice = (path: string): boolean => /^\/(dev|proc)\//.test(path)

export interface Report {
  readonly cache: string
  readonly exported: number
  /** Answers that could not be read, and were left out. */
  readonly unread: number
}

/** Writes the answers of the cache to where they are wanted. */
export const write = (
  flags: ExportFlags
): Effect.Effect<Report, CliError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const { output } = flags
    const { contents, file, name } = yield* openStore(flags.cache, { create: false })
    const fs = yield* FileSystem.FileSystem
    const real = (path: string) => Effect.option(fs.realPath(path))
    if (file !== undefined && output !== "-") {
      const [cache, target] = yield* Effect.all([real(file), real(output)])
      const own = Option.isSome(cache) ? cacheFiles(cache.value) : []
      if (Option.isSome(target) && own.includes(target.value)) {
        return yield* wrong(`--cache and --output are the same file: ${output}`)
      }
    }
    let exported = 0
    let unread = 0
    const pages = Stream.mapChunks(contents.list(flags.namespace), (entries) => {
      let text = ""
      for (const entry of entries) {
        const line = CacheTransfer.encode(entry)
        if (Either.isRight(line)) {
          exported++
          text += `${line.right}\n`
        } else unread++
      }
      return text === "" ? Chunk.empty<string>() : Chunk.of(text)
    })
    const written =
      output === "-"
        ? Effect.asVoid(
            Stream.runDrain(Stream.takeWhile(Stream.mapEffect(pages, toStdout), (goesOn) => goesOn))
          )
        : toFile(output, pages)
    yield* Effect.mapError(written, (error) => (error._tag === "CliError" ? error : failed(name)(error)))
    return { cache: name, exported, unread }
  })

/** The exit code: 0 all exported, 1 if something in the cache could not be read. */
export const runExport = (
  flags: ExportFlags
): Effect.Effect<number, CliError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.map(write(flags), ({ cache, exported, unread }) => {
    const place = flags.output === "-" ? "" : ` to ${flags.output}`
    const left = unread === 0 ? "" : `; ${unread} could not be read and were left out`
    process.stderr.write(`${cache}: ${counted(exported, "answer")} exported${place}${left}\n`)
    return unread === 0 ? 0 : 1
  })
