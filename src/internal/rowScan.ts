/**
 * One pass over an output file as an earlier run left it: each row is given to `onRow`, damage is told
 * apart from a file that is not ours.
 */
import type * as fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import { CheckpointError, io } from "./checkpointError.js"
import * as OutcomeRow from "./outcomeRow.js"

export interface Range {
  readonly offset: number
  readonly bytes: number
}

export interface Scan {
  /** End of the last good row; beyond it is the torn tail. */
  readonly end: number
  /** The first of it, to be shown. */
  readonly tail: string
  /** Whether the last good row lacks its newline. */
  readonly unterminated: boolean
  /** Damaged lines before `end`. */
  readonly corrupt: ReadonlyArray<Range>
}

const chunkBytes = 1 << 20
/** No outcome is larger; a file without newlines is not read to its end to find that out. */
const longestLine = 1 << 28
const newline = 10
const tailShown = 200

export const run = (options: {
  readonly path: string
  readonly handle: fs.FileHandle
  readonly size: number
  /** Whether something beside the file shows that it is ours, even if no row does. */
  readonly ours: boolean
  readonly onRow: (row: OutcomeRow.OutcomeRow, offset: number, bytes: number) => void
}): Effect.Effect<Scan, CheckpointError> =>
  Effect.gen(function* () {
    const { path, handle, size, onRow } = options
    let buffer = Buffer.allocUnsafe(chunkBytes)
    let filled = 0
    let position = 0
    let line = 0
    let rows = 0
    let end = 0
    let tail = ""
    let unterminated = false
    let corrupt: Array<Range> = []
    let refused: CheckpointError | undefined

    const refuse = (reason: "NotACheckpoint" | "Version", what: string) => {
      refused = new CheckpointError({
        reason,
        path,
        message: `line ${line} of ${path} ${what}; the file was left as it is: choose another output`
      })
    }

    const onLine = (bytes: Buffer, offset: number, terminated: boolean) => {
      line++
      const text = bytes.toString()
      const row = OutcomeRow.parse(text)
      if (typeof row !== "string") {
        rows++
        onRow(row, offset, bytes.length)
        end = offset + bytes.length + (terminated ? 1 : 0)
        unterminated = !terminated
        tail = ""
      } else if (row === "foreign") {
        refuse("NotACheckpoint", "is not an outcome of a batch")
      } else if (row === "version") {
        refuse("Version", "is an outcome in another format (no meta.key, or a later meta.format)")
      } else if (terminated && text.trim() === "") {
        end = offset + bytes.length + 1
      } else if (
        rows > 0 || options.ours
          ? OutcomeRow.isDamaged(bytes) || offset + bytes.length + 1 >= size
          : OutcomeRow.isBeginning(bytes) && !terminated && line === 1
      ) {
        corrupt.push({ offset, bytes: bytes.length })
        if (tail === "") tail = text.slice(0, tailShown)
      } else {
        refuse("NotACheckpoint", "is not JSON")
      }
    }

    while (position + filled < size && refused === undefined) {
      if (filled === buffer.length) {
        if (filled >= longestLine) {
          line++
          refuse("NotACheckpoint", "is too long for an outcome")
          break
        }
        const larger = Buffer.allocUnsafe(buffer.length * 2)
        buffer.copy(larger, 0, 0, filled)
        buffer = larger
      }
      const from = filled
      const { bytesRead } = yield* io("read", path, () =>
        handle.read(buffer, from, Math.min(buffer.length - from, size - position - from), position + from)
      )
      if (bytesRead === 0) break
      filled += bytesRead
      let start = 0
      let stop = buffer.indexOf(newline, from)
      while (stop !== -1 && stop < filled && refused === undefined) {
        onLine(buffer.subarray(start, stop), position + start, true)
        start = stop + 1
        stop = buffer.indexOf(newline, start)
      }
      buffer.copy(buffer, 0, start, filled)
      filled -= start
      position += start
    }
    if (refused === undefined && filled > 0) onLine(buffer.subarray(0, filled), position, false)
    if (refused !== undefined) return yield* refused
    // Only damage that good rows follow is inside the file; the rest is the tail.
    corrupt = corrupt.filter(({ offset }) => offset < end)
    return { end, tail, unterminated, corrupt }
  })
