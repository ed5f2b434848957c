/** Bad usage or bad input: said once, on stderr, and the command ends with exit code 2. */
import * as Data from "effect/Data"

/** One of several things that are wrong, with its place. */
export interface Fault {
  /** `floodgate.yaml:7:12`, `FLOODGATE_RPM`, `--rpm`; empty where there is none. */
  readonly place: string
  /** Where in the settings; empty where it is in none. */
  readonly path: string
  readonly message: string
}

/** `message` says what happened, where, and what to do. */
export class CliError extends Data.TaggedError("CliError")<{
  readonly message: string
  /** What it comes from: shown with `--verbose`. Holds no secret. */
  readonly cause?: unknown
  /** What the message tells, one by one. */
  readonly faults?: ReadonlyArray<Fault>
}> {}

/** Another error, in its own words; one of these as it is. */
export const from = (error: { readonly message: string }): CliError =>
  error instanceof CliError ? error : new CliError({ message: error.message, cause: error })
