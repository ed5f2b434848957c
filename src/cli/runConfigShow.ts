/** What `floodgate config show` does. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { format, placeOf } from "../internal/configProblem.js"
import { type Configured, configure } from "../internal/configServices.js"
import type { CliError } from "./CliError.js"
import type { ShowFlags } from "./configCommand.js"
import { configError } from "./configError.js"
import { rows, sourceOf } from "./configRows.js"

/** As a table of setting, value and source. */
export const table = (configured: Configured): string => {
  const all = rows(configured).map(
    ({ origin, setting, value }) => [setting, String(value), sourceOf(origin)] as const
  )
  const width = (column: 0 | 1, most: number) =>
    Math.min(most, Math.max(...all.map((row) => row[column].length)))
  const [first, second] = [width(0, 40), width(1, 40)]
  const file = configured.loaded.file ?? "no config file"
  return `${file}\n\n${all.map(([setting, value, source]) => `${setting.padEnd(first)}  ${value.padEnd(second)}  ${source}\n`).join("")}`
}

/** As data. */
export const data = (configured: Configured): object => ({
  file: configured.loaded.file ?? null,
  settings: rows(configured).map(({ origin, setting, value }) => ({ setting, value, source: origin })),
  warnings: configured.warnings.map(({ message, origin, path }) => ({
    place: placeOf(origin),
    path,
    message
  }))
})

/** Reads the settings as a run would, and prints them. */
export const runConfigShow = (
  flags: ShowFlags
): Effect.Effect<void, CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const configured = yield* Effect.mapError(
      configure({ path: flags.config, flags: flags.overrides }),
      configError
    )
    yield* Effect.sync(() => {
      process.stdout.write(
        flags.json ? `${JSON.stringify(data(configured), undefined, 2)}\n` : table(configured)
      )
      for (const warning of configured.warnings) process.stderr.write(`${format(warning)}\n`)
    })
  })
