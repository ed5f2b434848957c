/**
 * Whether the input can be asked and the output is its own, found out before anything is paid for; and which of its
 * requests an earlier run has answered.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Checkpoint } from "../Checkpoint.js"
import { cacheKey } from "../internal/cacheKey.js"
import type { CheckpointError } from "../internal/checkpointError.js"
import * as IndexSet from "../internal/indexSet.js"
import type { JsonObject } from "../internal/jsonObject.js"
import type { Settled } from "../Outcome.js"
import type { Request } from "../Request.js"
import type * as Router from "../Router.js"
import * as BadLines from "./badLines.js"
import { checkpointOf, type FormatFlags } from "./fileFormat.js"
import { wrong } from "./flags.js"
import * as InputRows from "./inputRows.js"
import type { Questions } from "./questions.js"
import * as Record from "./record.js"
import * as RowSelection from "./rowSelection.js"
import { requestsOf, samplesOf } from "./samples.js"
import * as StoredOutcome from "./storedOutcome.js"

/** More columns than this are no table: JSON lines whose fields have names of their own. */
const mostColumns = 1000

/** What reading the input through has found. */
export interface Checked {
  /** How many requests have an outcome when all is done: those that are asked, and those that have theirs already. */
  readonly total: number
  /** How many of them are to be asked. */
  readonly left: number
  /** How many indexes there are. Those of requests that are not chosen and have no outcome stay empty. */
  readonly span: number
  /** Whether the request of this index is to be asked. */
  readonly isAsked: (index: number) => boolean
  /** Whether the request of this index keeps the outcome of an earlier run. */
  readonly isKept: (index: number) => boolean
  /** The names of all fields, in order of appearance; only where `wantsColumns`. */
  readonly columns: ReadonlyArray<string>
  /** How many rows were chosen of how many; absent where all are asked. */
  readonly chosen: { readonly rows: number; readonly of: number } | undefined
}

/** How a run is checked. */
export interface Check {
  readonly input: InputRows.Input
  readonly flags: FormatFlags & RowSelection.SelectionFlags
  readonly questions: Questions
  readonly selection: RowSelection.Selection
  readonly checkpoint: Context.Tag.Service<Checkpoint>
  readonly router: Router.Service
  /** Whether the output is a table of the input's fields. */
  readonly wantsColumns: boolean
  /** Is given every outcome of an earlier run that is kept. */
  readonly onDone: (settled: Settled<Request>) => void
}

/**
 * Reads the whole input once before anything is sent: a bad line is found now and not after an hour, and an output
 * that holds answers to other questions is not written into.
 *
 * Answers of an earlier run are kept on the way, and given to `onDone`: the run reads the input once more for the
 * rest alone. Nothing of that is in the output before it is sealed. A run that does not ask all there is also keeps the
 * failures that it does not ask again.
 */
export const checkInput = (given: Check) =>
  Effect.gen(function* () {
    const { checkpoint, flags, input, onDone, questions, router, selection, wantsColumns } = given
    const { name } = input
    const isTable = input.format !== "jsonl"
    for (const [n, text] of (questions.templates?.texts ?? []).entries()) {
      const open = Record.unclosed(text)
      if (open !== undefined) {
        const flag = n === 0 ? questions.templates?.flag : "system"
        return yield* wrong(`--${flag}: ${open} is not closed: a field is written {{name}}`)
      }
    }
    const { filter, isAll } = selection
    const bad = BadLines.make()
    let rows = 0
    let span = 0
    let withoutModel = 0
    let kept = 0
    let firstFields: ReadonlyArray<string> = []
    const columns = new Set<string>()
    const isKept = IndexSet.make()
    const choice = RowSelection.make(selection)
    // failures that the sample, once it is drawn, may want asked again
    const undecided = new Map<number, StoredOutcome.Found>()
    const stored = checkpoint.found.success + checkpoint.found.failed
    const hasAnswers = checkpoint.found.success > 0
    const hasFailures = !isAll && checkpoint.found.failed > 0
    let isForeign = stored > 0
    const hasDefaultModel = router.endpoints.every(({ model }) => model !== undefined)

    /** The stored outcome of a request. A failure is only of interest to a run that does not ask all. */
    const find = Effect.fnUntraced(function* (request: Request, index: number) {
      const resolved = yield* Effect.option(router.resolve(request))
      if (Option.isNone(resolved)) return undefined
      const key = cacheKey(resolved.value)
      if (isForeign && (yield* checkpoint.has(key))) isForeign = false
      const answer = hasAnswers
        ? yield* StoredOutcome.answer(checkpoint, key, index, resolved.value, questions.encoding)
        : undefined
      if (answer !== undefined || !hasFailures) return answer
      return yield* StoredOutcome.failure(checkpoint, key, index, resolved.value)
    })

    const keep = ({ keep, settled }: StoredOutcome.Found) => {
      isKept.add(settled.index)
      kept++
      onDone(settled)
      return keep
    }

    /** The requests of one row. */
    const check = Effect.fnUntraced(function* (
      samples: ReadonlyArray<Request>,
      isWanted: boolean,
      rewritten: Array<Effect.Effect<void, CheckpointError>>
    ) {
      const first = span
      const open: Array<number> = []
      const failures: Array<StoredOutcome.Found> = []
      let isOffered = isWanted && filter.ofStored === undefined
      for (const sample of samples) {
        const index = span++
        const found = bad.count() === 0 ? yield* find(sample, index) : undefined
        const matches = isWanted && (filter.ofStored?.(found ?? { status: "none" }) ?? true)
        if (matches) isOffered = true
        if (found?.status === "error") failures.push(found)
        if (found?.status === "success") {
          const kept = keep(found)
          // lines that say something else now are written together
          if (found.isCurrent) yield* kept
          else rewritten.push(kept)
        } else if (matches) open.push(index)
      }
      if (isOffered) choice.offer(first, open)
      for (const failure of failures) {
        const { index } = failure.settled
        if (!choice.mayAsk(index)) rewritten.push(keep(failure))
        else if (selection.sample !== undefined) undecided.set(index, failure)
      }
    })

    /** The same where nothing is stored. */
    const offerNew = (requests: number, isWanted: boolean) => {
      if (isWanted) choice.offer(span, requests)
      span += requests
    }
    const isNewWanted = filter.ofStored?.({ status: "none" }) ?? true

    const see = (fields: JsonObject) => {
      if (firstFields.length === 0) firstFields = Object.keys(fields)
      if (wantsColumns && !isTable && columns.size <= mostColumns)
        for (const name of Object.keys(fields)) columns.add(name)
    }

    // nothing is stored that a later row could keep
    const isEnough = () => stored === 0 && selection.sample === undefined && choice.isFull()

    yield* InputRows.rows(input, (names) => {
      for (const name of names) columns.add(name)
    }).pipe(
      Stream.chunks,
      Stream.takeWhile(() => !isEnough()),
      Stream.runForEach((chunk) =>
        Effect.gen(function* () {
          const rewritten: Array<Effect.Effect<void, CheckpointError>> = []
          for (const { content, number } of chunk) {
            if (isEnough()) break
            const fields = Record.fieldsOf(content)
            const isWanted = Either.isLeft(fields) || filter.ofFields(fields.right)
            const request = Either.flatMap(fields, (fields) => {
              see(fields)
              return questions.fromFields(fields, isTable)
            })
            if (Either.isLeft(request)) {
              // what the filter leaves out need not be a request
              if (isWanted) {
                bad.add(number, request.left)
              }
              span += requestsOf(request, questions.samples).length
              continue
            }
            rows++
            const isUnnamed = isWanted && request.right.model === undefined && !hasDefaultModel
            if (isUnnamed) withoutModel++
            const samples = samplesOf(request.right, questions.samples)
            if (stored > 0) yield* check(samples, isWanted, rewritten)
            else offerNew(samples.length, isWanted && isNewWanted)
          }
          yield* Effect.all(rewritten, { concurrency: "unbounded", discard: true })
        })
      )
    )
    const badLines = bad.count()
    if (badLines > 0) {
      return yield* wrong(
        [
          `${name}: ${badLines} bad ${badLines === 1 ? "line" : "lines"}. Nothing was sent`,
          ...bad.told()
        ].join("\n  ")
      )
    }
    if (rows === 0) {
      const header = isTable && columns.size > 0 ? ", only the names of columns" : ""
      return yield* wrong(`${name}: no requests in it${header}`)
    }
    if (columns.size > mostColumns) {
      return yield* wrong(
        `${name} has more than ${mostColumns} different fields, too many for a table: pass --format jsonl`
      )
    }
    const { templates } = questions
    if (rows > 1 && templates !== undefined && !templates.texts.some(Record.hasFields)) {
      const [field] = templates.texts.flatMap((text) => Record.singleBraced(text) ?? [])
      const hint = field === undefined ? "" : `. Write {{${field}}}, not {${field}}`
      return yield* wrong(
        `--${templates.flag} has no {{field}}: all ${rows} requests would ask the same${hint}`
      )
    }
    if (withoutModel > 0) {
      return yield* wrong(
        `No model: pass --model, set OPENAI_MODEL, or name one in each request (${withoutModel} have none)`
      )
    }
    if (isForeign) {
      return yield* wrong(
        `${checkpointOf(flags)} holds ${stored} outcomes, and none is of these requests (another input, model or parameter). It was not touched: choose another --output, or move that file away`
      )
    }
    const chosen = choice.end(span)
    if (chosen.rows === 0 && (stored === 0 || filter.ofStored === undefined)) {
      const why =
        stored === 0 && filter.ofStored !== undefined
          ? `${flags.output} has no outcomes of an earlier run. Where ${name} has a field of that name, write record.status`
          : `the records have ${firstFields.slice(0, 8).join(", ")}`
      return yield* wrong(
        `--filter ${flags.filter.join(" --filter ")} chooses none of the ${rows} rows of ${name}: ${why}`
      )
    }
    for (const [index, failure] of undecided) if (!chosen.isAsked(index)) yield* keep(failure)
    return {
      total: kept + chosen.requests,
      left: chosen.requests,
      span,
      isAsked: chosen.isAsked,
      isKept: isKept.has,
      columns: Array.from(columns),
      chosen: isAll ? undefined : { rows: chosen.rows, of: rows }
    } satisfies Checked
  })
