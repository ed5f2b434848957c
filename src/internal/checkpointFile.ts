/** The checkpoint in a file: locks it, reads what is there, appends to it, and puts it in order. */
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Finished, Found, Sealed, StoredRow } from "../Checkpoint.js"
import * as AppendLog from "./appendLog.js"
import { type SpendingStore, spendingOf } from "./budgetRecord.js"
import { CheckpointError, io, ioError } from "./checkpointError.js"
import * as FileLock from "./fileLock.js"
import * as IntentJournal from "./intentJournal.js"
import { Books } from "./ledgerBooks.js"
import * as OutcomeRow from "./outcomeRow.js"
import * as RowIndex from "./rowIndex.js"
import * as RowReader from "./rowReader.js"
import * as RowScan from "./rowScan.js"
import * as RowSeal from "./rowSeal.js"
import * as RowSlots from "./rowSlots.js"
import * as RowsAside from "./rowsAside.js"

/** A journal grown beyond this is written anew, with the calls in flight only. */
const journalBytes = 4 << 20

const orIfAbsent =
  <B>(absent: B) =>
  (cause: unknown): B => {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return absent
    throw cause
  }

const endings = {
  lock: ".lock",
  journal: ".journal",
  journalDraft: ".journal.tmp",
  moved: ".moved.tmp",
  sealed: ".sealed.tmp",
  superseded: ".superseded.jsonl",
  supersededDraft: ".superseded.tmp",
  corrupt: ".corrupt"
} as const

/** All that a run may keep beside its output at this real path. */
export const filesBeside = (path: string): ReadonlyArray<string> =>
  Object.values(endings).map((ending) => `${path}${ending}`)

/** The real path of the output, so that a file has one lock however it is named. */
const realPath = (output: string): Effect.Effect<string, CheckpointError> =>
  Effect.gen(function* () {
    const asked = resolve(output)
    const folder = yield* io("use the folder of", output, () => fs.realpath(dirname(asked)))
    const path = yield* io("use", output, () =>
      fs.realpath(asked).catch(orIfAbsent(join(folder, basename(asked))))
    )
    const stat = yield* io("use", output, () => fs.stat(path).catch(orIfAbsent(undefined)))
    if (stat === undefined || stat.isFile()) return path
    return yield* new CheckpointError({
      reason: "NotACheckpoint",
      path: output,
      message: `${output} is ${stat.isDirectory() ? "a folder" : "no regular file"}: choose another output`
    })
  })

/** A file open until the scope closes; none if it does not exist. */
const openExisting = (
  path: string
): Effect.Effect<Option.Option<fs.FileHandle>, CheckpointError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      io("open", path, () => fs.open(path, "r+").catch(orIfAbsent(undefined))),
      (handle) => Effect.promise(async () => handle?.close())
    ),
    Option.fromNullable
  )

/** What an earlier run left: its rows by key, and its calls without an outcome. */
const load = (path: string, journal: string, handle: Option.Option<fs.FileHandle>) =>
  Effect.gen(function* () {
    const intents = yield* IntentJournal.read(journal)
    const rows = RowIndex.make()
    const unknown = IntentJournal.tally()
    const resent = new Set(intents?.resent)
    for (const [key, count] of intents === undefined ? [] : IntentJournal.open(intents))
      unknown.add(key, count)
    let success = 0
    let failed = 0
    let size = 0
    let scan: RowScan.Scan = { end: 0, tail: "", unterminated: false, corrupt: [] }
    if (Option.isSome(handle)) {
      size = (yield* io("read", path, () => handle.value.stat())).size
      scan = yield* RowScan.run({
        path,
        handle: handle.value,
        size,
        ours: intents !== undefined,
        onRow: (row, offset, bytes) => {
          if (row.success) success++
          else failed++
          rows.add(row.key, row.success, row.index, offset, bytes)
          if (intents !== undefined && offset >= intents.base) unknown.add(row.key, -1)
        }
      })
    }
    const found: Found = {
      success,
      failed,
      unknown: Array.from(unknown.counts).flatMap(([key, count]) => new Array<string>(count).fill(key)),
      resent: Array.from(resent),
      cut:
        scan.end < size
          ? Option.some({ offset: scan.end, bytes: size - scan.end, text: scan.tail })
          : Option.none(),
      corrupt: scan.corrupt.length
    }
    const { id = randomUUID(), books = new Books(), spending } = intents ?? {}
    return { rows, scan, unknown, resent, found, id, books, spending }
  })

/** Opens the output at `output` for one run. The file is made at the first write, not before. */
export const make = Effect.fnUntraced(function* (output: string) {
  const path = yield* realPath(output)
  const journalPath = `${path}${endings.journal}`
  const journalDraft = `${path}${endings.journalDraft}`
  const scratchPath = `${path}${endings.moved}`
  const orderedPath = `${path}${endings.sealed}`
  const supersededPath = `${path}${endings.superseded}`
  const supersededDraft = `${path}${endings.supersededDraft}`

  // The lock is the first thing written: it also shows whether this place can be written to.
  yield* FileLock.acquire(`${path}${endings.lock}`)
  const existing = yield* openExisting(path)
  const loaded = yield* load(path, journalPath, existing)
  const { books, found, id, resent, rows, scan, unknown } = loaded
  yield* io("clear", path, async () => {
    for (const left of [scratchPath, orderedPath, journalDraft, supersededDraft])
      await fs.rm(left, { force: true })
  })
  // Not before this run has something to write: until then the file may turn out to be another input's.
  const repair = Effect.suspend(() =>
    Option.isSome(existing) && Option.isSome(found.cut)
      ? io("repair", path, async () => {
          await existing.value.truncate(scan.end)
          await existing.value.datasync()
        })
      : Effect.void
  )

  const slots = RowSlots.make()
  const begun = IntentJournal.tally()
  let moved = 0
  let scratched = 0

  let spent = loaded.spending
  const earlier = spendingOf(spent, books)

  /** The run is over: who could be told by an error is gone. What it has failed with is told already. */
  const closing = (
    what: string,
    close: Effect.Effect<void, CheckpointError>,
    end: Exit.Exit<unknown, unknown>
  ): Effect.Effect<void> =>
    Effect.catchAllCause(close, (cause) => {
      const told = Exit.isFailure(end) ? Array.from(Cause.failures(end.cause)) : []
      return Option.exists(Cause.failureOption(cause), (error) => told.includes(error))
        ? Effect.void
        : Effect.logWarning(`${output}: ${what}`, cause)
    })

  /** The journal is removed: all rows are there, and nobody will want to know what they took. */
  let isSealed = false
  let takeBooks: (() => Books | undefined) | undefined
  const account = (take: () => Books | undefined): Books | undefined => {
    if (takeBooks !== undefined) {
      const before = takeBooks
      takeBooks = () => {
        const one = before()
        const other = take()
        if (one !== undefined && other !== undefined) one.merge(other)
        return one ?? other
      }
      return undefined
    }
    takeBooks = take
    const left = new Books()
    left.merge(books)
    return left
  }
  const writeBooks: Effect.Effect<void, CheckpointError> = Effect.suspend(() => {
    const more = isSealed ? undefined : takeBooks?.()
    return more === undefined
      ? Effect.void
      : journal.append(IntentJournal.ledgerLine(more), () => books.merge(more))
  })

  // before the outcomes, whose last group has sums to write: it is closed after them
  const journal = yield* Effect.acquireRelease(
    AppendLog.make({
      path: journalPath,
      size: 0,
      reopenAbove: journalBytes,
      open: Effect.suspend(() => {
        // Sizes and tallies change together, when a group is durable, so they agree here.
        const text = IntentJournal.content({
          id,
          base: outcomes.size(),
          unknown,
          begun,
          resent,
          books,
          spending: spent
        })
        return io("write", journalPath, async () => {
          const handle = await fs.open(journalDraft, "w")
          await handle.write(text)
          await handle.datasync()
          await fs.rename(journalDraft, journalPath)
          return { handle, size: Buffer.byteLength(text) }
        }).pipe(Effect.zipLeft(RowSeal.syncFolder(dirname(path))))
      })
    }),
    // what was paid since the last row, such as for calls that were given up
    (log, end) =>
      closing(
        "what this run spent last was not written down",
        Effect.flatMap(Effect.exit(writeBooks), (written) => Effect.zipRight(log.close, written)),
        end
      )
  )
  const outcomes = yield* Effect.acquireRelease(
    AppendLog.make({
      path,
      size: scan.end,
      before: writeBooks,
      open: Effect.gen(function* () {
        yield* repair
        const handle = yield* io("open", path, () => fs.open(path, Option.isSome(existing) ? "r+" : "wx"))
        if (Option.isNone(existing)) yield* RowSeal.syncFolder(dirname(path))
        if (!scan.unterminated) return { handle, size: scan.end }
        yield* io("write", path, () => handle.write("\n", scan.end))
        return { handle, size: scan.end + 1 }
      })
    }),
    (log, end) => closing("the last rows may be missing; the next run asks for them again", log.close, end)
  )
  const scratch = yield* Effect.acquireRelease(
    AppendLog.make({
      path: scratchPath,
      size: 0,
      durable: false,
      open: io("create", scratchPath, async () => ({ handle: await fs.open(scratchPath, "w"), size: 0 }))
    }),
    (log) =>
      Effect.zipRight(
        // what it holds is in other files as well
        Effect.ignore(log.close),
        Effect.promise(() => fs.rm(scratchPath, { force: true }).catch(() => {}))
      )
  )

  // An output that was deleted is to be begun anew, and not from what lies beside it.
  const aside = Option.isSome(existing)
    ? Option.some(yield* RowsAside.open(supersededPath, supersededDraft))
    : Option.none()

  const restoreAside = (key: string): Effect.Effect<Option.Option<StoredRow>, CheckpointError> =>
    Option.isSome(aside) ? aside.value.restore(key) : Effect.succeedNone

  const readStored = Option.map(existing, (handle) => RowReader.make(handle.fd))

  const read = (
    key: string,
    take: (key: string) => number,
    orElse: Effect.Effect<Option.Option<StoredRow>, CheckpointError>
  ): Effect.Effect<Option.Option<StoredRow>, CheckpointError> =>
    Effect.suspend(() => {
      if (Option.isNone(readStored)) return Effect.succeedNone
      while (true) {
        const row = take(key)
        if (row === -1) return orElse
        let line: string
        try {
          line = readStored.value(rows.offset(row), rows.bytes(row)).toString()
        } catch (cause) {
          return Effect.fail(ioError("read", path, cause))
        }
        const stored = OutcomeRow.parse(line)
        if (typeof stored === "string") {
          return Effect.fail(
            ioError("read", path, new Error("it was changed by another program during the run"))
          )
        }
        // Another key of the same hash: its own line asks for it in vain, and is sent again.
        if (stored.key !== key) continue
        return Effect.succeedSome({ key, index: stored.index, line, value: stored.value, row })
      }
    })

  const restore = (key: string): Effect.Effect<Option.Option<StoredRow>, CheckpointError> =>
    read(
      key,
      rows.take,
      Effect.suspend(() => restoreAside(key))
    )

  const restoreFailure = (key: string): Effect.Effect<Option.Option<StoredRow>, CheckpointError> =>
    read(key, rows.takeFailure, Effect.succeedNone)

  const intoScratch = (index: number, line: string): Effect.Effect<void, CheckpointError> =>
    scratch.append(line, (offset, bytes) => {
      scratched++
      slots.set(index, { moved: true, offset, bytes })
    })

  const keep = (row: StoredRow, index: number, line?: string): Effect.Effect<void, CheckpointError> =>
    Effect.suspend(() => {
      if (slots.has(index)) return Effect.dieMessage(`row ${index} of ${path} was given twice`)
      if (Option.isSome(aside) && RowsAside.isAside(row.row)) {
        // it stays where it is, durably, until the output that has it is sealed
        aside.value.keep(row.row)
        return intoScratch(index, line ?? row.line)
      }
      rows.keep(row.row)
      if (line === undefined || line === row.line) {
        if (row.index !== index) moved++
        slots.set(index, { moved: false, offset: rows.offset(row.row), bytes: rows.bytes(row.row) })
        return Effect.void
      }
      return intoScratch(index, line)
    })

  const begin = (key: string): Effect.Effect<void, CheckpointError> =>
    Effect.suspend(() => {
      const line = IntentJournal.beginLine(key)
      if (!unknown.counts.has(key)) return journal.append(line, () => begun.add(key, 1))
      return journal.append(`${line}\n${IntentJournal.resentLine(key)}`, () => {
        begun.add(key, 1)
        resent.add(key)
      })
    })

  /** Why this line cannot be written as a row, if it cannot. */
  const faultOf = ({ index, key, line }: Finished): string | undefined =>
    slots.has(index)
      ? `row ${index} of ${path} was given twice`
      : !line.startsWith(OutcomeRow.prefix(index)) ||
          !line.includes(JSON.stringify(key)) ||
          line.includes("\n")
        ? `not a line of row ${index} with key ${key}: ${line.slice(0, 100)}`
        : undefined

  const finishAll = (rows: ReadonlyArray<Finished>): Effect.Effect<void, CheckpointError> =>
    Effect.suspend(() => {
      for (const row of rows) {
        const fault = faultOf(row)
        if (fault !== undefined) return Effect.dieMessage(fault)
      }
      return outcomes.appendAll(
        rows.map(({ index, key, line }) => ({
          line,
          committed: (offset, bytes) => {
            slots.set(index, { moved: false, offset, bytes })
            begun.add(key, -1)
            unknown.add(key, -1)
          }
        }))
      )
    })

  const spending: SpendingStore = {
    id,
    earlier,
    write: (given) =>
      Effect.suspend(() =>
        isSealed
          ? Effect.void
          : journal.append(IntentJournal.spendingLine(given), () => {
              spent = given
            })
      )
  }

  const missing = (total: number, isLeftOut: (index: number) => boolean): number => {
    for (let index = 0; index < total; index++) if (!slots.has(index) && !isLeftOut(index)) return index
    return -1
  }

  const writeTo = (target: string, total: number) =>
    Effect.flatMap(
      io("read", path, () => fs.stat(path)),
      ({ mode }) =>
        RowSeal.writeOrdered({
          path,
          movedPath: Option.liftPredicate(scratchPath, () => scratched > 0),
          slots,
          total,
          target,
          mode
        })
    )

  const rewrite = (total: number): Effect.Effect<Sealed, CheckpointError> =>
    Effect.gen(function* () {
      const places = (from: Iterable<number>) =>
        Array.from(from, (row) => ({ offset: rows.offset(row), bytes: rows.bytes(row) }))
      const superseded = places(rows.superseded())
      yield* writeTo(orderedPath, total)
      if (superseded.length > 0) yield* RowSeal.moveLines(path, superseded, supersededPath)
      if (scan.corrupt.length > 0) yield* RowSeal.moveLines(path, scan.corrupt, `${path}${endings.corrupt}`)
      // The journal speaks of places in the old file, so it goes first.
      yield* Effect.uninterruptible(
        Effect.zipRight(
          removeJournal,
          Effect.zipRight(
            io("put in order", path, () => fs.rename(orderedPath, path)),
            RowSeal.syncFolder(dirname(path))
          )
        )
      )
      if (Option.isSome(aside)) yield* aside.value.removeKept
      return { rewritten: true, superseded: superseded.length }
    }).pipe(Effect.onError(() => Effect.promise(() => fs.rm(orderedPath, { force: true }).catch(() => {}))))

  const removeJournal = io("remove", journalPath, async () => {
    await fs.rm(journalPath, { force: true })
    isSealed = true
  }).pipe(Effect.zipRight(RowSeal.syncFolder(dirname(path))))

  const seal = (
    total: number,
    isLeftOut: (index: number) => boolean = () => false
  ): Effect.Effect<Sealed, CheckpointError> =>
    Effect.gen(function* () {
      const index = missing(total, isLeftOut)
      if (index !== -1) {
        return yield* new CheckpointError({
          reason: "Incomplete",
          path,
          message: `${path} has no row ${index} of ${total} yet; run again to complete it`
        })
      }
      for (const log of [outcomes, journal, scratch]) yield* log.close
      if (outcomes.size() === scan.end) yield* repair
      if (Option.isNone(existing) && outcomes.size() === 0) {
        yield* io("create", path, () => fs.writeFile(path, "", { flag: "wx", flush: true }))
        yield* removeJournal
        return { rewritten: false, superseded: 0 }
      }
      if (moved > 0 || !RowSeal.inOrder(slots, total, outcomes.size())) return yield* rewrite(total)
      yield* removeJournal
      return { rewritten: false, superseded: 0 }
    })

  const has = (key: string): Effect.Effect<boolean> =>
    Effect.sync(() => rows.has(key) || (Option.isSome(aside) && aside.value.has(key)))

  return {
    found,
    has,
    restore,
    restoreFailure,
    keep,
    account,
    spending,
    begin,
    finish: (key: string, index: number, line: string) => finishAll([{ key, index, line }]),
    finishAll,
    snapshot: writeTo,
    seal
  }
})
