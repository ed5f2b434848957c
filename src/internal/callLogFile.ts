/**
 * The file of a call log. Lines are kept for a moment and written together: an attempt's line can still say that its
 * answer was wasted, and a write costs the same for one line as for a hundred.
 *
 * Writes are synchronous. Those who tell of a call cannot wait for a disk, so that what it is late with would pile up;
 * and a write into the page cache takes some 50 µs for a hundred lines.
 */
import * as fs from "node:fs"
import type { Format, Line } from "./callLogLine.js"

/** With so many lines those before the last write are written, however long ago that was. */
const mostLines = 2_000

/** How much of a file is looked at for its first line. */
const headBytes = 4_096

const newline = 10

/** A line that may still change. */
interface Draft {
  line: Line
  isWritten: boolean
}

export class CallLogFile {
  readonly #path: string
  readonly #format: Format
  #descriptor: number | undefined
  /** Kept since before the last flush. */
  #ripe: Array<Draft> = []
  #fresh: Array<Draft> = []
  /** Why nothing is written any more. */
  #fault: string | undefined

  constructor(path: string, format: Format) {
    this.#path = path
    this.#format = format
    this.#try(() => this.#open())
  }

  get fault(): string | undefined {
    return this.#fault
  }

  add(line: Line): Draft {
    const draft = { line, isWritten: false }
    if (this.#fault !== undefined) return draft
    this.#fresh.push(draft)
    if (this.#fresh.length >= mostLines) this.flush()
    return draft
  }

  /** Writes what was there at the last flush. */
  flush(): void {
    this.#write(this.#ripe)
    this.#ripe = this.#fresh
    this.#fresh = []
  }

  close(): void {
    this.flush()
    this.flush()
    const descriptor = this.#descriptor
    this.#descriptor = undefined
    if (descriptor !== undefined) this.#try(() => fs.closeSync(descriptor))
  }

  #open(): void {
    const descriptor = fs.openSync(this.#path, "a+")
    this.#descriptor = descriptor
    const { size } = fs.fstatSync(descriptor)
    const { head } = this.#format
    if (size === 0) {
      if (head !== "") this.#append(head)
      return
    }
    const start = Buffer.alloc(Math.min(size, headBytes))
    fs.readSync(descriptor, start, 0, start.length, 0)
    if (!start.toString("utf8").startsWith(head === "" ? "{" : head)) {
      throw new Error("it is there, and is no call log of this format")
    }
    const last = Buffer.alloc(1)
    fs.readSync(descriptor, last, 0, 1, size - 1)
    // the last run was killed in mid-write
    if (last[0] !== newline) this.#append("\n")
  }

  #write(drafts: ReadonlyArray<Draft>): void {
    if (drafts.length === 0 || this.#descriptor === undefined) return
    this.#try(() => this.#append(this.#format.encode(drafts.map(({ line }) => line))))
    for (const draft of drafts) draft.isWritten = true
  }

  #append(text: string): void {
    if (this.#descriptor === undefined) return
    const bytes = Buffer.from(text)
    let done = 0
    while (done < bytes.length) done += fs.writeSync(this.#descriptor, bytes, done)
  }

  #try(f: () => void): void {
    if (this.#fault !== undefined) return
    try {
      f()
    } catch (cause) {
      this.#fault = cause instanceof Error ? cause.message : String(cause)
      this.#ripe = []
      this.#fresh = []
    }
  }
}
