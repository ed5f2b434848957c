/** What can be read once: the standard input, and pipes that have a name, as a stream. */
import { createReadStream } from "node:fs"
import { SystemError } from "@effect/platform/Error"
import * as NodeStream from "@effect/platform-node/NodeStream"

const readError = (method: string) => (cause: unknown) =>
  new SystemError({ reason: "Unknown", module: "Stream", method, cause })

export const stdin = NodeStream.fromReadable<SystemError, Uint8Array>(() => process.stdin, readError("stdin"))

/** A file read from its beginning to its end. That of the platform seeks, which a pipe does not let it. */
export const pipe = (path: string) =>
  NodeStream.fromReadable<SystemError, Uint8Array>(() => createReadStream(path), readError("pipe"))
