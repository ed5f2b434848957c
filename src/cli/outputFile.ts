/**
 * The output of a run that is no JSON lines: a table, or OpenAI's shape. It is made of the outcomes in the checkpoint
 * beside it, as a whole and in one atomic step, at the end of a run and when one is stopped. Texts are written as they
 * are.
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import { stringify } from "csv-stringify/sync"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { writeReasonOf } from "../internal/fileReason.js"
import type { JsonObject } from "../internal/jsonObject.js"
import * as AnswerColumns from "./answerColumns.js"
import { CliError } from "./CliError.js"
import { delimiters, type OutputFormat, type TableFormat } from "./fileFormat.js"
import { wrong } from "./flags.js"
import * as InputFile from "./inputFile.js"
import * as InputRows from "./inputRows.js"
import { openAiOutputLine } from "./openAiOutputLine.js"
import type { Questions } from "./questions.js"
import * as Record from "./record.js"
import { requestsOf } from "./samples.js"

/** Where the output is written until it is whole, at the real place of the output. */
export const draftOf = (output: string): string => `${output}.floodgate.tmp`

/** Outcomes of a stopped run in input order, while the output is made of them. */
export const snapshotOf = (checkpoint: string): string => `${checkpoint}.snapshot.tmp`

/** Refuses to write over a file that no run has made. */
export const check = (
  output: string,
  checkpoint: string
): Effect.Effect<void, CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const there = yield* Effect.option(fs.stat(output))
    if (Option.isNone(there)) return
    if (there.value.type !== "File") {
      return yield* wrong(
        `${output} is ${there.value.type === "Directory" ? "a folder" : "no regular file"}: choose another --output`
      )
    }
    const isOurs = yield* Effect.orElseSucceed(fs.exists(checkpoint), () => false)
    if (!isOurs && there.value.size > 0n) {
      return yield* wrong(
        `${output} exists, and not from a run of this command (there is no ${checkpoint}). It was not touched: choose another --output, or move that file away`
      )
    }
  })

/** What the output is made of. */
export interface Source {
  /** The outcomes, as JSON lines in the order of their indexes. */
  readonly outcomes: string
  readonly input: InputRows.Input
  /** The columns of the input. */
  readonly columns: ReadonlyArray<string>
  readonly questions: Questions
}

/** The outcomes of a file of ours. */
const outcomesIn = (path: string): Stream.Stream<JsonObject, CliError, FileSystem.FileSystem> =>
  Stream.mapChunksEffect(InputFile.lines(path), (lines) =>
    Effect.forEach(lines, ({ number, text }) => {
      const outcome = Either.flatMap(text, (text) => Record.fieldsOf(Either.right(text)))
      return Either.isRight(outcome)
        ? Effect.succeed(outcome.right)
        : Effect.fail(new CliError({ message: `line ${number} of ${path}: ${outcome.left}` }))
    }).pipe(Effect.map(Chunk.unsafeFromArray))
  )

/** How many rows of a table are made at once. */
const tableRows = 512

/** The rows of the input that have outcomes, with these: one row for each outcome. */
const tablePages = (source: Source, format: TableFormat) =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const { columns, fromFields, samples } = source.questions
      const table = AnswerColumns.make(source.columns, columns, samples !== undefined)
      const write = (rows: ReadonlyArray<ReadonlyArray<unknown>>): string =>
        stringify([...rows], {
          delimiter: delimiters[format],
          cast: { boolean: String },
          // a carriage return alone ends a line for many readers
          quoted_match: /\r/
        })
      const pull = yield* Stream.toPull(outcomesIn(source.outcomes))
      const next = Effect.catchAll(
        Effect.map(pull, Option.some),
        Option.match({ onNone: () => Effect.succeedNone, onSome: Effect.fail })
      )
      let waiting: Chunk.Chunk<JsonObject> = Chunk.empty()
      let isEnd = false
      /** The outcomes of all indexes below this one that have not been taken. */
      const take = (
        below: number
      ): Effect.Effect<ReadonlyArray<JsonObject>, CliError, FileSystem.FileSystem> =>
        Effect.gen(function* () {
          const isBelow = ({ index }: JsonObject) => Number(index) < below
          let taken = Chunk.takeWhile(waiting, isBelow)
          waiting = Chunk.drop(waiting, taken.length)
          while (!isEnd && Chunk.isEmpty(waiting)) {
            const more = yield* next
            if (Option.isNone(more)) isEnd = true
            else {
              const also = Chunk.takeWhile(more.value, isBelow)
              taken = Chunk.appendAll(taken, also)
              waiting = Chunk.drop(more.value, also.length)
            }
          }
          return Chunk.toReadonlyArray(taken)
        })
      const isTable = source.input.format !== "jsonl"
      let span = 0
      const pages = InputRows.rows(source.input).pipe(
        Stream.rechunk(tableRows),
        Stream.chunks,
        // of a few rows of a large file the rest need not be read
        Stream.takeWhile(() => !(isEnd && Chunk.isEmpty(waiting))),
        Stream.mapEffect((chunk) =>
          Effect.gen(function* () {
            const owners: Array<JsonObject> = []
            const first = span
            for (const { content } of chunk) {
              const fields = Record.fieldsOf(content)
              // only a row that asks for its sample itself counts otherwise
              const requests =
                samples === undefined
                  ? 1
                  : requestsOf(
                      Either.flatMap(fields, (fields) => fromFields(fields, isTable)),
                      samples
                    ).length
              const owner = Either.isRight(fields) ? fields.right : {}
              for (let request = 0; request < requests; request++) owners.push(owner)
              span += requests
            }
            const outcomes = yield* take(span)
            return write(
              outcomes.map((outcome) => table.row(owners[Number(outcome.index) - first] ?? {}, outcome))
            )
          })
        )
      )
      return Stream.concat(Stream.succeed(write([table.header])), pages)
    })
  )

const openAiPages = (source: Source) =>
  Stream.mapChunks(outcomesIn(source.outcomes), (outcomes) =>
    Chunk.of(
      Chunk.reduce(outcomes, "", (text, outcome) => `${text}${JSON.stringify(openAiOutputLine(outcome))}\n`)
    )
  )

/** Makes the output anew. */
export const write = (
  output: string,
  format: Exclude<OutputFormat, "jsonl">,
  source: Source
): Effect.Effect<void, CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const cannot = (error: PlatformError) =>
      new CliError({
        message: `Cannot write ${output}: ${writeReasonOf(error)}. Nothing is lost: run again, and it is made of ${source.outcomes}`
      })
    const place = yield* Effect.orElseSucceed(fs.realPath(output), () => output)
    const mode = yield* Effect.option(fs.stat(place))
    const draft = draftOf(place)
    const pages = format === "openai" ? openAiPages(source) : tablePages(source, format)
    const written = Effect.scoped(
      Effect.gen(function* () {
        const file = yield* Effect.mapError(fs.open(draft, { flag: "w" }), cannot)
        yield* Stream.runForEach(pages, (page) =>
          page === "" ? Effect.void : Effect.mapError(file.writeAll(Buffer.from(page)), cannot)
        )
        if (Option.isSome(mode))
          yield* Effect.mapError(fs.chmod(draft, Number(mode.value.mode) & 0o7777), cannot)
        yield* Effect.mapError(file.sync, cannot)
      })
    )
    yield* Effect.zipRight(written, Effect.mapError(fs.rename(draft, place), cannot)).pipe(
      Effect.onError(() => Effect.ignore(fs.remove(draft)))
    )
  })
