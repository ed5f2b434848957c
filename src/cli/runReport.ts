/** What `floodgate report` does. */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { counted } from "../internal/countText.js"
import { writeReasonOf } from "../internal/fileReason.js"
import { Receipt } from "../Receipt.js"
import * as Report from "../Report.js"
import { CliError } from "./CliError.js"
import { callLogLines } from "./callLogLines.js"
import { checkPositive, wrong } from "./flags.js"
import * as InputFile from "./inputFile.js"
import type { Flags } from "./reportCommand.js"

/** What tells the page of a report from files that are not to be written over. */
const mark = '<meta name="generator" content="floodgate">'

/** Bytes within which a page has its mark. */
const markWithin = 2_000

/** Refuses to write over a file that is no report. */
const checkOutput = (output: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const there = yield* Effect.option(fs.stat(output))
    if (Option.isNone(there)) {
      const folder = path.dirname(path.resolve(output))
      return yield* Effect.mapError(
        fs.access(folder, { writable: true }),
        (error) =>
          new CliError({ message: `--output: cannot write ${output}: ${writeReasonOf(error)}`, cause: error })
      )
    }
    if (there.value.type !== "File") return yield* wrong(`--output: ${output} is no regular file`)
    const start = yield* fs
      .stream(output, { bytesToRead: FileSystem.Size(markWithin) })
      .pipe(Stream.decodeText(), Stream.mkString, Effect.mapError(InputFile.inputError(output)))
    if (start !== "" && !start.includes(mark)) {
      yield* wrong(`${output} is there and is no report: it was left as it is. Choose another --output`)
    }
  })

const readReceipt = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    yield* InputFile.check(file)
    const text = yield* Effect.mapError(fs.readFileString(file), InputFile.inputError(file))
    return yield* Effect.mapError(
      Schema.decodeUnknown(Schema.parseJson(Receipt))(text),
      () => new CliError({ message: `--receipt: ${file} is no receipt of a run` })
    )
  })

/** Where the outcomes are: beside an output that is a table, or in OpenAI's shape. */
const outcomesOf = (run: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const beside = `${run}.floodgate.jsonl`
    if (yield* Effect.orElseSucceed(fs.exists(beside), () => false)) return beside
    yield* InputFile.check(run)
    return run
  })

const say = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`))

export const runReport = (flags: Flags): Effect.Effect<void, CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    for (const name of ["rps", "rpm", "tpm", "itpm", "otpm"] as const) yield* checkPositive(name, flags[name])
    if (flags.rows < 0) yield* wrong(`--rows must not be less than 0, not ${flags.rows}`)
    const outcomes = yield* outcomesOf(flags.run)
    const output = flags.output ?? `${flags.run}.html`
    const receipt = flags.receipt === undefined ? undefined : yield* readReceipt(flags.receipt)
    if (flags.calls !== undefined) yield* InputFile.check(flags.calls)
    yield* checkOutput(output)

    const report = yield* Report.build(
      {
        outcomes: Stream.map(InputFile.lines(outcomes), ({ text }) => Either.getOrElse(text, (why) => why)),
        calls: flags.calls === undefined ? undefined : callLogLines(flags.calls),
        receipt
      },
      {
        title: flags.title ?? path.basename(flags.run),
        rows: flags.rows,
        limits: {
          requestsPerSecond: flags.rps,
          requestsPerMinute: flags.rpm,
          tokensPerMinute: flags.tpm,
          inputTokensPerMinute: flags.itpm,
          outputTokensPerMinute: flags.otpm
        }
      }
    )
    if (report.requests.total === 0) {
      yield* wrong(
        `${outcomes} has no outcome of a run in it: RUN is the file that floodgate batch --output wrote`
      )
    }
    const cannot = (error: PlatformError) =>
      new CliError({ message: `Cannot write ${output}: ${writeReasonOf(error)}`, cause: error })
    const draft = `${output}.floodgate.tmp`
    yield* Effect.zipRight(fs.writeFileString(draft, Report.html(report)), fs.rename(draft, output)).pipe(
      Effect.mapError(cannot),
      Effect.onError(() => Effect.ignore(fs.remove(draft)))
    )
    yield* say(`${output}: a report on ${counted(report.requests.total, "row")}`)
  })
