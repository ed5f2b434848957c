/** Puts an output in input order: a new file beside it, then one atomic rename. */
import { createHash } from "node:crypto"
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
    if (!slots.has(index)) continue
    const slot = slots.get(index)
    if (slot.moved || slot.offset !== position) return false
    position += slot.bytes + 1
  }
  return position === size
}

const fingerprint = (line: Uint8Array): string => createHash("sha256").update(line).digest("base64")

/**
 * Those of the ranges whose lines the other file does not hold yet: a run that was killed after they were moved, and
 * before the output without them took its place, finds them there.
 */
const notYetIn = async (
  to: fs.FileHandle,
  ranges: ReadonlyArray<Range>,
  read: RowReader.RowReader
): Promise<ReadonlyArray<Range>> => {
  const missing = new Map<string, Array<Range>>()
  for (const range of ranges) {
    const print = fingerprint(read(range.offset, range.bytes))
    const equal = missing.get(print)
    if (equal === undefined) missing.set(print, [range])
    else equal.push(range)
  }
  let begun: Uint8Array = new Uint8Array()
  for await (const read of to.createReadStream({ start: 0, autoClose: false })) {
    const bytes = Buffer.concat([begun, read])
    let start = 0
    for (let stop = bytes.indexOf("\n"); stop !== -1; stop = bytes.indexOf("\n", start)) {
      missing.delete(fingerprint(bytes.subarray(start, stop)))
      start = stop + 1
    }
    begun = bytes.subarray(start)
  }
  return Array.from(missing.values()).flat()
}

/** Appends these parts of a file to another one, a line each, durably; not those that it holds already. */
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
    const missing = size === 0 ? ranges : yield* io("read", to, () => notYetIn(handle, ranges, read))
    for (let at = 0; at < missing.length; at += batchRows) {
      const part = missing.slice(at, at + batchRows)
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

/** Writes the rows in order of their indexes to `target`, durably; indexes without a row are passed over. */
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
      const batch: Array<{ readonly slot: Slot; readonly index: number; readonly at: number }> = []
      for (let bytes = 0; index < total && batch.length < batchRows && bytes < batchBytes; index++) {
        if (!slots.has(index)) continue
        const slot = slots.get(index)
        batch.push({ slot, index, at: batch.length })
        bytes += slot.bytes
      }
      const written = yield* io("write", target, async () => {
        const lines: Array<Buffer> = new Array(batch.length * 2).fill(newline)
        const byPlace = batch.toSorted((a, b) => a.slot.offset - b.slot.offset)
        for (const { slot, index, at } of byPlace) {
          const bytes = Buffer.from((slot.moved ? readMoved : read)(slot.offset, slot.bytes))
          lines[at * 2] = OutcomeRow.withIndex(bytes, index)
        }
        const all = Buffer.concat(lines)
        await writeFully(handle, all, all.length, position)
        return all.length
      })
      position += written
    }
    yield* io("write", target, () => handle.sync())
  }).pipe(Effect.scoped)
