/** Bad usage or bad input: said once, on stderr, and the command ends with exit code 2. */
import * as Data from "effect/Data"

/** `message` says what happened, where, and what to do. */
export class CliError extends Data.TaggedError("CliError")<{ readonly message: string }> {}
