/** Whether the files of a run can be used as they are meant, found out before anything is paid for. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Checkpoint from "../internal/checkpointFile.js"
import { writeReasonOf } from "../internal/fileReason.js"
import type { RunFlags } from "./batchCommand.js"
import { CliError } from "./CliError.js"
import { cacheFiles } from "./cacheStore.js"
import { checkpointOf, jobFileOf } from "./fileFormat.js"
import { wrong } from "./flags.js"
import * as OutputFile from "./outputFile.js"

/** The file of this flag can be made, or written to. */
export const checkWritable = (flag: string, file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const there = yield* Effect.option(fs.stat(file))
    if (Option.isSome(there) && there.value.type === "Directory") {
      yield* wrong(`--${flag}: cannot write ${file}: it is a folder`)
    }
    yield* Effect.mapError(
      fs.access(Option.isSome(there) ? file : path.dirname(path.resolve(file)), { writable: true }),
      (error) =>
        new CliError({ message: `--${flag}: cannot write ${file}: ${writeReasonOf(error)}`, cause: error })
    )
  })

/** What a run keeps beside its output: the checkpoint, if that is not the output itself, and what this one needs. */
const besideOutput = (output: string, flags: RunFlags): ReadonlyArray<string> => {
  const checkpoint = checkpointOf(flags, output)
  const own = [...Checkpoint.filesBeside(checkpoint), ...(flags.providerBatch ? [jobFileOf(checkpoint)] : [])]
  return checkpoint === output
    ? own
    : [checkpoint, OutputFile.draftOf(output), OutputFile.snapshotOf(checkpoint), ...own]
}

/** All are files, and none is to be written over by another one of the same run. */
export const checkDistinct = (flags: RunFlags, cacheFile: string | undefined) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const real = (file: string) =>
      fs.realPath(file).pipe(
        Effect.orElse(() =>
          Effect.map(fs.realPath(path.dirname(path.resolve(file))), (folder) =>
            path.join(folder, path.basename(file))
          )
        ),
        Effect.orElseSucceed(() => path.resolve(file))
      )
    const files: ReadonlyArray<readonly [name: string, file: string | undefined]> = [
      ["INPUT", flags.input],
      ["--output", flags.output],
      ["--receipt", flags.receipt],
      ["--calls", flags.calls],
      ["--log-file", flags.logFile],
      ["--cache", cacheFile]
    ]
    const places = new Map<string, string>()
    for (const [name, file] of files) {
      if (file === undefined) continue
      if (file === "-") yield* wrong(`${name} must be a file, not -`)
      const place = yield* real(file)
      const other = places.get(place)
      if (other !== undefined) yield* wrong(`${other} and ${name} are the same file: ${file}`)
      places.set(place, name)
    }
    // what a run keeps beside its files it also writes over and deletes
    for (const [place, name] of Array.from(places)) {
      const beside =
        name === "--output"
          ? besideOutput(place, flags)
          : name === "--cache"
            ? cacheFiles(place).slice(1)
            : []
      for (const own of beside) {
        const other = places.get(own)
        if (other !== undefined) {
          yield* wrong(
            `${other} is ${own}, which ${name} needs for itself: choose another name for one of them`
          )
        }
        places.set(own, `what ${name} keeps`)
      }
    }
  })
