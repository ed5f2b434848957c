/**
 * A file that many fibers append lines to, each durable before its append returns, at the price of one
 * write and one sync for all that came in while the last sync ran (group commit).
 */
import * as fs from "node:fs/promises"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { type CheckpointError, io, ioError } from "./checkpointError.js"

/** A file open for appending, and how far it is filled. */
export interface OpenFile {
  readonly handle: fs.FileHandle
  readonly size: number
}

export interface AppendLog {
  /**
   * Appends a line and a newline; returns once they are durable. `committed` runs at that moment, in file
   * order, before any caller goes on. A caller that is interrupted does not take its line back.
   */
  readonly append: (
    line: string,
    committed: (offset: number, bytes: number) => void
  ) => Effect.Effect<void, CheckpointError>
  /** The same for several lines, in one group. */
  readonly appendAll: (lines: ReadonlyArray<Line>) => Effect.Effect<void, CheckpointError>
  /** Bytes known to be durable. */
  readonly size: () => number
  /** Writes what is pending, then closes the file; fails if any write of this log did. */
  readonly close: Effect.Effect<void, CheckpointError>
}

export interface Options {
  readonly path: string
  /** How far the file is filled before the first append. */
  readonly size: number
  /** Opens or creates the file; not called before the first append. */
  readonly open: Effect.Effect<OpenFile, CheckpointError>
  /** Opens the file anew, as `open` says, when it has grown by more than this many bytes since. Default never. */
  readonly reopenAbove?: number
  /** Runs before each group of lines is written: what has to be durable before they are. Default: nothing. */
  readonly before?: Effect.Effect<void, CheckpointError>
  /** Whether a line must survive loss of power. Default `true`. */
  readonly durable?: boolean
}

/** A line to be appended; see `append`. */
export interface Line {
  readonly line: string
  readonly committed: (offset: number, bytes: number) => void
}

interface Entry extends Line {
  readonly resume: (exit: Effect.Effect<void, CheckpointError>) => void
}

/** Writes all of it: a single `write` may stop short. */
export const writeFully = async (
  handle: fs.FileHandle,
  buffer: Uint8Array,
  length: number,
  position: number
): Promise<void> => {
  let done = 0
  while (done < length) {
    const { bytesWritten } = await handle.write(buffer, done, length - done, position + done)
    done += bytesWritten
  }
}

const noop = () => {}
const bufferBytes = 1 << 20
const newline = 10

export const make = (options: Options): Effect.Effect<AppendLog> =>
  Effect.gen(function* () {
    const { path, reopenAbove = Number.POSITIVE_INFINITY, durable = true } = options
    const buffer = Buffer.allocUnsafe(bufferBytes)
    let pending: Array<Entry> = []
    let file: OpenFile | undefined
    let size = options.size
    let failed: CheckpointError | undefined
    let closing = false
    let wake: (() => void) | undefined

    const park = Effect.async<void>((resume) => {
      wake = () => {
        wake = undefined
        resume(Effect.void)
      }
    })

    /** Writes the group at the end of the file; gives the length of each line in bytes. */
    const write = async (open: OpenFile, group: ReadonlyArray<Entry>): Promise<Array<number>> => {
      const lengths: Array<number> = []
      let position = size
      let filled = 0
      const flush = async (from: Uint8Array, length: number) => {
        await writeFully(open.handle, from, length, position)
        position += length
      }
      for (const { line } of group) {
        const most = line.length * 3 + 1
        if (filled + most > bufferBytes && filled > 0) {
          await flush(buffer, filled)
          filled = 0
        }
        if (most > bufferBytes) {
          const long = Buffer.from(`${line}\n`)
          lengths.push(long.length - 1)
          await flush(long, long.length)
        } else {
          const bytes = buffer.write(line, filled)
          lengths.push(bytes)
          filled += bytes
          buffer[filled++] = newline
        }
      }
      if (filled > 0) await flush(buffer, filled)
      return lengths
    }

    /**
     * Syncs, and sees that the file is still the one at our path and ours alone: on POSIX systems a write
     * to a file whose folder was deleted succeeds, into nothing.
     */
    const sync = async (open: OpenFile, end: number): Promise<void> => {
      const [ours, there] = await Promise.all([
        open.handle.stat(),
        fs.stat(path),
        durable ? open.handle.datasync() : undefined
      ])
      if (ours.ino !== there.ino || ours.dev !== there.dev || there.size !== end) {
        throw new Error("the file was replaced or changed by another program while the run was writing it")
      }
    }

    const commit = Effect.fnUntraced(function* (group: ReadonlyArray<Entry>) {
      if (options.before !== undefined) yield* options.before
      if (file === undefined || size - file.size > reopenAbove) {
        const old = file
        if (old !== undefined) yield* io("close", path, () => old.handle.close())
        file = undefined
        file = yield* options.open
        size = file.size
      }
      const open = file
      const lengths = yield* io("write", path, () => write(open, group))
      const end = lengths.reduce((sum, length) => sum + length + 1, size)
      yield* io("write", path, () => sync(open, end))
      group.forEach((entry, at) => {
        const bytes = lengths[at] ?? 0
        entry.committed(size, bytes)
        size += bytes + 1
      })
      for (const entry of group) entry.resume(Effect.void)
    })

    const writer = Effect.gen(function* () {
      while (true) {
        if (pending.length === 0) {
          if (closing) return
          yield* park
          continue
        }
        const group = pending
        pending = []
        // a defect too: whoever appends waits for this fiber
        yield* Effect.catchAllCause(commit(group), (cause) =>
          Effect.sync(() => {
            const error = Option.getOrElse(Cause.failureOption(cause), () =>
              ioError("write", path, Cause.squash(cause))
            )
            failed = error
            for (const entry of group.concat(pending)) entry.resume(Effect.fail(error))
            pending = []
          })
        )
      }
    })
    const running = yield* Effect.forkDaemon(Effect.uninterruptible(writer))

    const appendAll: AppendLog["appendAll"] = (lines) =>
      Effect.async((resume) => {
        if (failed !== undefined) return resume(Effect.fail(failed))
        if (closing) return resume(Effect.fail(ioError("write", path, "the run has ended")))
        const last = lines.length - 1
        if (last < 0) return resume(Effect.void)
        // a group is all that is pending: with the last line all are durable
        for (const [at, line] of lines.entries())
          pending.push({ ...line, resume: at === last ? resume : noop })
        wake?.()
      })

    return {
      append: (line, committed) => appendAll([{ line, committed }]),
      appendAll,
      size: () => size,
      close: Effect.suspend(() => {
        closing = true
        wake?.()
        return Fiber.join(running)
      }).pipe(
        Effect.zipRight(
          io("close", path, async () => {
            const open = file
            file = undefined
            await open?.handle.close()
          })
        ),
        Effect.zipRight(Effect.suspend(() => (failed === undefined ? Effect.void : Effect.fail(failed)))),
        Effect.uninterruptible
      )
    }
  })
