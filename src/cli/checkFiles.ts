/** Whether the files of a run can be used as they are meant, found out before anything is paid for. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Flags } from "./batchCommand.js"
import { isCacheFile } from "./batchLayers.js"
import { CliError } from "./CliError.js"
import { wrong } from "./flags.js"

/** The receipt can be made or replaced. */
export const checkReceipt = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const there = yield* Effect.option(fs.stat(file))
    if (Option.isSome(there) && there.value.type === "Directory") {
      yield* wrong(`--receipt: cannot write ${file}: it is a folder`)
    }
    yield* Effect.mapError(
      fs.access(Option.isSome(there) ? file : path.dirname(path.resolve(file)), { writable: true }),
      () => new CliError({ message: `--receipt: cannot write ${file}: no such folder, or no permission` })
    )
  })

/** All are files, and none is to be written over by another one of the same run. */
export const checkDistinct = (flags: Flags) =>
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
      ["--cache", isCacheFile(flags.cache) ? flags.cache : undefined]
    ]
    const names = new Map<string, string>()
    for (const [name, file] of files) {
      if (file === undefined) continue
      if (file === "-") yield* wrong(`${name} must be a file, not -`)
      const place = yield* real(file)
      const other = names.get(place)
      if (other !== undefined) yield* wrong(`${other} and ${name} are the same file: ${file}`)
      names.set(place, name)
    }
  })
