/** Puts an output in input order: a new file beside it, then one atomic rename. */
import { closeSync, openSync } from "node:fs"
import * as fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { writeFully } from "./appendLog.js"
import { type CheckpointError, io } from "./checkpointError.js"
import * as OutcomeRow from "./outcomeRow.js"
import * as RowReader from "./rowReader.js"
import type { Range } from "./rowScan.js"
import type { RowSlots, Slot } from "./rowSlots.js"

/** Rows are gathered until they are this many or this large, read in file order and written in theirs. */
const batchRows = 8192
const batchBytes = 1 << 23
const newline = Buffer.from("\n")

/** Makes the names in a folder durable: new, renamed and removed files. */
export const syncFolder = (folder: string): Effect.Effect<void, CheckpointError> =>
  io("sync", folder, async () => {
    // A folder cannot be opened on Windows, where names need no sync.
    if (process.platform === "win32") return
    const handle = await fs.open(folder, "r")
    await handle.sync().finally(() => handle.close())
  })

const openReader = (path: string): Effect.Effect<RowReader.RowReader, CheckpointError, Scope.Scope> =>
  Effect.acquireRelease(
    io("open", path, async () => openSync(path, "r")),
    (fd) => Effect.sync(() => closeSync(fd))
  ).pipe(Effect.map(RowReader.make))

/** Whether the rows of all slots, with their newlines, are the file: nothing else in it, nothing moved. */
export const inOrder = (slots: RowSlots, total: number, size: number): boolean => {
  let position = 0
  for (let index = 0; index < total; index++) {
    const slot = slots.get(index)
    if (slot.moved || slot.offset !== position) return false
    position += slot.bytes + 1
  }
  return position === size
}

/** Appends these parts of a file to another one, a line each, durably. */
export const moveLines = (
  from: string,
  ranges: ReadonlyArray<Range>,
  to: string
): Effect.Effect<void, CheckpointError> =>
  Effect.gen(function* () {
    const read = yield* openReader(from)
    const handle = yield* Effect.acquireRelease(
      io("open", to, () => fs.open(to, "a+")),
      (handle) => Effect.promise(() => handle.close())
    )
    const { size } = yield* io("read", to, () => handle.stat())
    yield* io("write", to, async () => {
      if (size === 0) return
      const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
      // An earlier move was killed halfway.
      if (!buffer.equals(newline)) await handle.appendFile(newline)
    })
    for (let at = 0; at < ranges.length; at += batchRows) {
      const part = ranges.slice(at, at + batchRows)
      yield* Effect.onError(
        io("write", to, () =>
          handle.appendFile(
            Buffer.concat(part.flatMap(({ offset, bytes }) => [Buffer.from(read(offset, bytes)), newline]))
          )
        ),
        () => Effect.promise(() => handle.truncate(size).catch(() => {}))
      )
    }
    yield* io("write", to, () => handle.datasync())
  }).pipe(Effect.scoped)

/** Writes the rows of all indexes in order to `target`, durably. */
export const writeOrdered = (options: {
  readonly path: string
  /** Where slots marked `moved` stand, if there are any. */
  readonly movedPath: Option.Option<string>
  readonly slots: RowSlots
  readonly total: number
  readonly target: string
  readonly mode: number
}): Effect.Effect<void, CheckpointError> =>
  Effect.gen(function* () {
    const { path, slots, total, target } = options
    const read = yield* openReader(path)
    const readMoved = Option.isSome(options.movedPath) ? yield* openReader(options.movedPath.value) : read
    const handle = yield* Effect.acquireRelease(
      io("create", target, () => fs.open(target, "w", options.mode)),
      (handle) => Effect.promise(() => handle.close())
    )
    let position = 0
    for (let index = 0; index < total; ) {
      const first = index
      const batch: Array<Slot> = []
      for (let bytes = 0; index < total && batch.length < batchRows && bytes < batchBytes; index++) {
        const slot = slots.get(index)
        batch.push(slot)
        bytes += slot.bytes
      }
      const written = yield* io("write", target, async () => {
        const lines: Array<Buffer> = new Array(batch.length * 2).fill(newline)
        const byPlace = batch.map((slot, at) => ({ slot, at })).sort((a, b) => a.slot.offset - b.slot.offset)
        for (const { slot, at } of byPlace) {
          const bytes = Buffer.from((slot.moved ? readMoved : read)(slot.offset, slot.bytes))
          lines[at * 2] = OutcomeRow.withIndex(bytes, first + at)
        }
        const all = Buffer.concat(lines)
        await writeFully(handle, all, all.length, position)
        return all.length
      })
      position += written
    }
    yield* io("write", target, () => handle.sync())
  }).pipe(Effect.scoped)
