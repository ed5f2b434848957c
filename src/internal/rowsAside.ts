/**
 * Answers that an earlier `seal` set aside because nobody asked for them, in a file of rows beside the output. Who asks
 * for them again gets them; a later `seal` takes those out that are in the output once more.
 */
import * as fs from "node:fs/promises"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { StoredRow } from "../Checkpoint.js"
import { writeFully } from "./appendLog.js"
import { type CheckpointError, io, ioError } from "./checkpointError.js"
import * as OutcomeRow from "./outcomeRow.js"
import * as RowIndex from "./rowIndex.js"
import * as RowReader from "./rowReader.js"
import * as RowScan from "./rowScan.js"
import { syncFolder } from "./rowSeal.js"

export interface RowsAside {
  readonly has: (key: string) => boolean
  /** The next success of this key. Its `row` is good for {@link isAside} and `keep`. */
  readonly restore: (key: string) => Effect.Effect<Option.Option<StoredRow>, CheckpointError>
  readonly keep: (row: number) => void
  /** Takes out what was kept, in one step. Not before that is durable elsewhere. */
  readonly removeKept: Effect.Effect<void, CheckpointError>
}

const none: RowsAside = {
  has: () => false,
  restore: () => Effect.succeedNone,
  keep: () => {},
  removeKept: Effect.void
}

/** Rows set aside have numbers below 0, so that they are told from those of the output. */
export const isAside = (row: number): boolean => row < 0
const numberOf = (row: number): number => -1 - row

const copiedAtOnce = 1 << 20

/** Copies all but these parts, which are in order. Gives how much that is. */
const copyWithout = async (
  from: fs.FileHandle,
  to: fs.FileHandle,
  left: ReadonlyArray<RowScan.Range>
): Promise<number> => {
  const { size } = await from.stat()
  const buffer = Buffer.allocUnsafe(copiedAtOnce)
  let written = 0
  let position = 0
  for (const { bytes, offset } of [...left, { offset: size, bytes: 0 }]) {
    while (position < offset) {
      const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, offset - position), position)
      if (bytesRead === 0) throw new Error("the file has become shorter during the run")
      await writeFully(to, buffer, bytesRead, written)
      written += bytesRead
      position += bytesRead
    }
    // with the newline
    position = offset + bytes + 1
  }
  return written
}

/** What is in the file at `path`; nothing if there is none, or if it is a file of something else. */
export const open = (path: string, draft: string): Effect.Effect<RowsAside, CheckpointError, Scope.Scope> =>
  Effect.gen(function* () {
    const handle = yield* Effect.acquireRelease(
      Effect.promise(() => fs.open(path, "r").catch(() => undefined)),
      (handle) => Effect.promise(async () => handle?.close())
    )
    if (handle === undefined) return none
    const rows = RowIndex.make()
    const { size } = yield* io("read", path, () => handle.stat())
    const scanned = yield* Effect.option(
      RowScan.run({
        path,
        handle,
        size,
        ours: true,
        onRow: (row, offset, bytes) => rows.add(row.key, row.success, row.index, offset, bytes)
      })
    )
    if (Option.isNone(scanned)) return none
    const read = RowReader.make(handle.fd)
    const kept: Array<RowScan.Range> = []

    const restore: RowsAside["restore"] = (key) =>
      Effect.suspend(() => {
        while (true) {
          const row = rows.take(key)
          if (row === -1) return Effect.succeedNone
          let line: string
          try {
            line = read(rows.offset(row), rows.bytes(row)).toString()
          } catch (cause) {
            return Effect.fail(ioError("read", path, cause))
          }
          const stored = OutcomeRow.parse(line)
          // changed during the run, or another key of the same hash
          if (typeof stored === "string" || stored.key !== key) continue
          return Effect.succeedSome({
            key,
            index: stored.index,
            line,
            value: stored.value,
            row: numberOf(row)
          })
        }
      })

    const removeKept = Effect.suspend(() => {
      if (kept.length === 0) return Effect.void
      kept.sort((a, b) => a.offset - b.offset)
      return io("write", draft, async () => {
        const { mode } = await handle.stat()
        const to = await fs.open(draft, "w", mode)
        let written: number
        try {
          written = await copyWithout(handle, to, kept)
          await to.sync()
        } finally {
          await to.close()
        }
        if (written > 0) return fs.rename(draft, path)
        await fs.rm(draft)
        await fs.rm(path)
      }).pipe(Effect.zipRight(syncFolder(dirname(path))))
    })

    return {
      has: rows.has,
      restore,
      keep: (row) => {
        kept.push({ offset: rows.offset(numberOf(row)), bytes: rows.bytes(numberOf(row)) })
      },
      removeKept
    }
  })
