/**
 * The billing log as a file of JSON lines, one per finished request, appended in batches.
 */

import { createWriteStream, type WriteStream } from "node:fs"
import { ServeError } from "@effect/platform/HttpServerError"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { LogEntry } from "./BillingLog.js"

/** An open log file. */
export interface LogFile {
  readonly append: (entry: LogEntry) => void
}

const open = (path: string) =>
  Effect.async<WriteStream, ServeError>((resume) => {
    const stream = createWriteStream(path, { flags: "a" })
    const fail = (cause: Error) => resume(Effect.fail(new ServeError({ cause })))
    stream.once("error", fail)
    stream.once("open", () => {
      stream.off("error", fail)
      resume(Effect.succeed(stream))
    })
  })

/**
 * Opens the file for appending and keeps it until the scope closes; `pending` gives the entries to add then:
 * the requests that never ended. A disk that fails later costs the file its entries, not the server its life.
 */
export const make = (
  path: string,
  pending: () => Iterable<LogEntry>
): Effect.Effect<LogFile, ServeError, Scope.Scope> =>
  Effect.gen(function* () {
    let buffer = ""
    let closed = false
    let broken = false
    const runtime = yield* Effect.runtime()
    const stream = yield* Effect.acquireRelease(open(path), (stream) =>
      Effect.async<void>((resume) => {
        closed = true
        for (const entry of pending()) buffer += `${JSON.stringify(entry)}\n`
        if (broken) return resume(Effect.void)
        stream.once("error", () => resume(Effect.void))
        stream.end(buffer, () => resume(Effect.void))
      })
    )
    stream.on("error", (cause) => {
      broken = true
      Runtime.runFork(runtime)(Effect.logWarning(`The simulator's log file ${path} is incomplete`, cause))
    })
    const flush = () => {
      if (closed || broken) return
      stream.write(buffer)
      buffer = ""
    }
    return {
      append: (entry) => {
        if (closed || broken) return
        if (buffer === "") setImmediate(flush)
        buffer += `${JSON.stringify(entry)}\n`
      }
    }
  })
