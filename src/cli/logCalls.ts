/** `--calls`: a line for each call, in a file. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CallLog from "../CallLog.js"
import type { CliError } from "./CliError.js"
import { wrong } from "./flags.js"

const endings: Readonly<Record<string, "jsonl" | "csv">> = { jsonl: "jsonl", ndjson: "jsonl", csv: "csv" }

/** The call log that the flags ask for. What is wrong with its file is found out now. */
export const layerOf = (flags: {
  readonly calls: string | undefined
  readonly callsPrompt: number | undefined
}): Effect.Effect<Layer.Layer<never>, CliError> =>
  Effect.gen(function* () {
    const { calls: file, callsPrompt: prompt = 80 } = flags
    if (prompt < 0) yield* wrong(`--calls-prompt takes a number of characters, 0 for none, not ${prompt}`)
    if (file === undefined) {
      return flags.callsPrompt === undefined
        ? Layer.empty
        : yield* wrong("--calls-prompt is about the file of --calls, and there is none")
    }
    const format = endings[/\.(\w+)$/.exec(file)?.[1]?.toLowerCase() ?? ""]
    if (format === undefined) {
      return yield* wrong(
        `--calls: the name of ${file} must end with .jsonl or .csv, the formats that there are`
      )
    }
    const fault = yield* CallLog.fault(file, { format })
    if (fault !== undefined) yield* wrong(`--calls: cannot write ${file}: ${fault}`)
    return CallLog.layerFile(file, { format, prompt })
  })
