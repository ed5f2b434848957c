/**
 * Rows by their place in a file. Rows near the last one read come out of one window of it; a row far away
 * is read alone.
 *
 * Reads are synchronous: the file was scanned moments ago and is in the page cache, where a row costs a
 * few microseconds and a trip through the thread pool thirty.
 */
import { readSync } from "node:fs"

/** Gives a view that is good until the next call. */
export type RowReader = (offset: number, bytes: number) => Buffer

const windowBytes = 1 << 20

export const make = (fd: number): RowReader => {
  let buffer = Buffer.allocUnsafe(windowBytes)
  let start = 0
  let filled = 0
  return (offset, bytes) => {
    if (offset < start || offset + bytes > start + filled) {
      const near =
        bytes < windowBytes / 2 &&
        offset > start - windowBytes / 4 &&
        offset < start + filled + windowBytes / 16
      // A file in order of completion is out of order by some rows only, to both sides.
      start = near ? Math.max(0, offset - windowBytes / 4) : offset
      const wanted = near ? windowBytes : bytes
      if (wanted > buffer.length) buffer = Buffer.allocUnsafe(wanted)
      filled = 0
      while (filled < wanted) {
        const read = readSync(fd, buffer, filled, wanted - filled, start + filled)
        if (read === 0) break
        filled += read
      }
      if (offset + bytes > start + filled) throw new Error("the file has become shorter during the run")
    }
    return buffer.subarray(offset - start, offset - start + bytes)
  }
}
