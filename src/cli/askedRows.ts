/** The requests that are to be asked: the input is read once more for them. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import type { Request } from "../Request.js"
import { CliError } from "./CliError.js"
import type { Checked } from "./checkInput.js"
import * as InputRows from "./inputRows.js"
import type { Questions } from "./questions.js"
import * as Record from "./record.js"
import type { Selection } from "./rowSelection.js"
import { requestsOf } from "./samples.js"

export interface AskedRows {
  /** In order of their indexes; those that are left out are passed over. */
  readonly requests: Stream.Stream<Request, CliError, FileSystem.FileSystem>
  /** Whether the request of this index is not asked. */
  readonly isLeftOut: (index: number) => boolean
  /** How many indexes have been read. */
  readonly reached: () => number
}

export const make = (options: {
  readonly input: InputRows.Input
  readonly questions: Questions
  readonly selection: Selection
  readonly checked: Checked
}): AskedRows => {
  const { input, questions, selection } = options
  const { isAsked, isKept, span } = options.checked
  const isTable = input.format !== "jsonl"
  const changed = (how: string) =>
    new CliError({ message: `${input.name} changed while it was read: ${how}` })
  const isLeftOut = (index: number) => index < span && !isAsked(index)
  let index = 0
  // of a chosen part nothing that came to the file since is asked
  const isAtEnd = () => !selection.isAll && index >= span
  const requests = InputRows.rows(input).pipe(
    Stream.chunks,
    Stream.takeWhile(() => !isAtEnd()),
    Stream.mapEffect((chunk) => {
      const asked: Array<Request> = []
      for (const { content, number } of chunk) {
        if (isAtEnd()) break
        // how many samples a line asks for is only known when it is read
        if (questions.samples === undefined && isLeftOut(index)) {
          index++
          continue
        }
        const request = Either.flatMap(Record.fieldsOf(content), (fields) =>
          questions.fromFields(fields, isTable)
        )
        // what the filter left out need not be a request
        if (Either.isLeft(request) && !isLeftOut(index)) {
          return Effect.fail(changed(`line ${number}: ${request.left}`))
        }
        for (const sample of requestsOf(request, questions.samples)) {
          if (!isLeftOut(index++) && sample !== undefined) asked.push(sample)
        }
      }
      return Effect.succeed(Chunk.unsafeFromArray(asked))
    }),
    Stream.flattenChunks
  )
  // the answer to a line that is no longer there would be lost: it has been kept as this run's
  const stillThere = Stream.execute(
    Effect.suspend(() => {
      for (let gone = index; gone < span; gone++)
        if (isKept(gone)) return Effect.fail(changed("it has become shorter"))
      return Effect.void
    })
  )
  return { requests: Stream.concat(requests, stillThere), isLeftOut, reached: () => index }
}
