/** What can be read once: the standard input, and pipes that have a name, as a stream. */
import { createReadStream, fstatSync, open } from "node:fs"
import { Socket } from "node:net"
import { SystemError } from "@effect/platform/Error"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

const readError = (method: string) => (cause: unknown) =>
  new SystemError({ reason: "Unknown", module: "Stream", method, cause })

export const stdin = NodeStream.fromReadable<SystemError, Uint8Array>(() => process.stdin, readError("stdin"))

const descriptorOf = (path: string) =>
  Effect.async<number, SystemError>((resume) =>
    open(path, "r", (error, descriptor) =>
      resume(error === null ? Effect.succeed(descriptor) : Effect.fail(readError("open")(error)))
    )
  )

/**
 * A file read from its beginning to its end. That of the platform seeks, which a pipe does not let it. A pipe is read
 * as a socket is: a thread that waits for its writer would keep the process from ending.
 */
export const pipe = (path: string): Stream.Stream<Uint8Array, SystemError> =>
  Stream.unwrap(
    Effect.map(descriptorOf(path), (fd) =>
      NodeStream.fromReadable<SystemError, Uint8Array>(
        () => (fstatSync(fd).isFIFO() ? new Socket({ fd, writable: false }) : createReadStream(path, { fd })),
        readError("pipe")
      )
    )
  )
