/**
 * A batch over a CSV file: a prompt made of each row's columns, and a copy of the file with the answers beside them.
 * The output names every row, those that failed with their error.
 *
 * Prints a line for each row without an answer, then `8 of 8 rows answered, see reviews.answers.csv`.
 *
 * Run it with the packages `csv-parse` and `csv-stringify`, against the simulator (`npx floodgate simulate`) or a
 * provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 npx tsx examples/csv.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/csv.ts`. The command line does the same: `npx floodgate batch
 * examples/reviews.csv --prompt '{{review}}' --output answers.csv`.
 */
import { fileURLToPath } from "node:url"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { parse } from "csv-parse/sync"
import { stringify } from "csv-stringify/sync"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { batch, Chat, OpenAILive } from "floodgate"

const [, , input = fileURLToPath(new URL("reviews.csv", import.meta.url)), output = "reviews.answers.csv"] =
  process.argv

const Row = Schema.Struct({ id: Schema.NonEmptyString, product: Schema.String, review: Schema.String })

/** The text is no CSV. */
class CsvError extends Data.TaggedError("CsvError")<{ readonly cause: unknown }> {}

const rowsOf = (text: string) =>
  Effect.try({
    try: (): unknown => parse(text, { bom: true, columns: true, skip_empty_lines: true }),
    catch: (cause) => new CsvError({ cause })
  }).pipe(Effect.flatMap(Schema.decodeUnknown(Schema.Array(Row))))

const program = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const rows = yield* Effect.flatMap(files.readFileString(input), rowsOf)

  const requests = rows.map(({ id, product, review }) =>
    Chat.prompt(`${product}: ${review}`, {
      id,
      system: "Reply to this review on behalf of the shop, in one friendly sentence.",
      maxTokens: 200
    })
  )
  const outcomes = yield* batch(requests, { concurrency: 16 })

  // outcomes are in the order of the rows
  const answered = outcomes.map((outcome, n) => ({
    ...rows[n],
    reply: Either.match(outcome, { onLeft: () => "", onRight: ({ text }) => text }),
    error: Either.match(outcome, { onLeft: ({ _tag }) => _tag, onRight: () => "" })
  }))
  yield* files.writeFileString(output, stringify(answered, { header: true }))

  for (const { error, id } of answered) if (error !== "") yield* Console.log(`${id}: ${error}`)
  const count = outcomes.filter(Either.isRight).length
  yield* Console.log(`${count} of ${rows.length} rows answered, see ${output}`)
})

NodeRuntime.runMain(program.pipe(Effect.provide([OpenAILive, NodeFileSystem.layer])))
