import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** See `Checkpoint.CheckpointError`, which this is. It lives here so that the internals can raise it. */
export class CheckpointError extends Schema.TaggedError<CheckpointError>()("CheckpointError", {
  /** What kind of trouble, for code that acts on it. */
  reason: Schema.Literal("Locked", "NotACheckpoint", "Version", "Io", "Incomplete"),
  /** The file the message is about. */
  path: Schema.String,
  /** What happened and what to do, in one line. */
  message: Schema.String,
  /** The system's error, such as `ENOSPC`, where there was one. */
  cause: Schema.optional(Schema.Defect)
}) {}

const advice: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; free some space and run again",
  EDQUOT: "the disk quota is used up; free some space and run again",
  EFBIG: "the file has reached the size limit set for this process; raise it and run again",
  ENOENT: "the folder or file is not there; create the folder or choose another output",
  ENOTDIR: "a part of the path is a file and not a folder; choose another output",
  EACCES: "permission denied; choose a place you can write to",
  EPERM: "the system does not permit it; choose a place you can write to",
  EROFS: "the file system is read-only; choose a place you can write to",
  ENAMETOOLONG: "the name is too long; choose a shorter one",
  EMFILE: "too many open files; raise the limit and run again"
}

/** The error of a failed file operation: `doing` says which, as in "cannot <doing> <path>". */
export const ioError = (doing: string, path: string, cause: unknown): CheckpointError => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined
  const what =
    code !== undefined && code in advice
      ? `${advice[code]} (${code})`
      : cause instanceof Error
        ? cause.message
        : String(cause)
  return new CheckpointError({ reason: "Io", path, message: `cannot ${doing} ${path}: ${what}`, cause })
}

/** A step on the file system, its failure typed. `doing` and `path` name it in the message. */
export const io = <A>(
  doing: string,
  path: string,
  run: () => Promise<A>
): Effect.Effect<A, CheckpointError> =>
  Effect.tryPromise({ try: run, catch: (cause) => ioError(doing, path, cause) })
