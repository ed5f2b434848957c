/**
 * The durable record of a batch: one JSON line per outcome in a file that people read while the run goes
 * on, and from which an interrupted run goes on without paying for an answer twice.
 *
 * A run asks for each input line, in any order and from any number of fibers:
 *
 * 1. `restore(key)`: is there an answer of an earlier run? Then `keep` it as this line's row.
 * 2. Otherwise `begin(key)`, then the call, then `finish(key, index, line)`.
 * 3. When every index has its row: `seal(total)` puts the file in input order.
 *
 * Rows are matched by key (a hash of all that can change the answer) and occurrence, never by position:
 * lines may be edited, inserted, removed or moved between runs.
 *
 * **Durable** means: `begin` and `finish` return after their line was written and `fdatasync` returned.
 * Lines that arrive while a sync runs share the next one (group commit), so a line waits for two syncs at
 * most, and what was reported survives `kill -9` and loss of power.
 *
 * Beside the output `OUT` a run keeps `OUT.lock` (who runs) and `OUT.journal` (calls begun, and what was paid so far,
 * where there is a `Ledger`); both are gone after `seal`. Answers that no input line asks for any more are not thrown
 * away: `seal` moves them to `OUT.superseded.jsonl`. A later run that asks for them again gets them from there, and its
 * `seal` moves them back.
 *
 * @example
 * import { batch, Chat, Checkpoint, OpenAILive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const requests = [Chat.prompt("1 + 1 = ?"), Chat.prompt("2 + 2 = ?")]
 *
 * // run again, it asks nothing that it has an answer of
 * const program = batch(requests, { checkpoint: Checkpoint.layerFile("answers.jsonl") }).pipe(
 *   // another run has the file, the disk is full, …: the message says what to do
 *   Effect.tapErrorTag("CheckpointError", ({ message, reason }) => Effect.logError(`${reason}: ${message}`))
 * )
 *
 * Effect.runPromise(program.pipe(Effect.provide(OpenAILive)))
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { SpendingStore } from "./internal/budgetRecord.js"
import { CheckpointError } from "./internal/checkpointError.js"
import * as CheckpointFile from "./internal/checkpointFile.js"
import type { Books } from "./internal/ledgerBooks.js"

/**
 * Why a checkpoint cannot be used. `message` says what happened and what to do.
 *
 * - `Locked`: another run is writing this output.
 * - `NotACheckpoint`: the file there is something else; it was not touched.
 * - `Version`: the file was written in a format this version does not read; it was not touched.
 * - `Io`: the file system failed. The run cannot go on; what was reported finished is safe.
 * - `Incomplete`: `seal` was called while a row is missing.
 */
export { CheckpointError }

/** A success of an earlier run, handed out by `restore`. Each stored row is handed out once. */
export interface StoredRow {
  readonly key: string
  /** The index the row has in the file: that of the run which wrote it. */
  readonly index: number
  /** The row as it is stored, without newline. */
  readonly line: string
  /** The line, parsed. */
  readonly value: unknown
  /** Which of the rows found it is; for `keep`. */
  readonly row: number
}

/** An outcome to be written as a row; see `finish`. */
export interface Finished {
  readonly key: string
  readonly index: number
  readonly line: string
}

/** What opening an output found. */
export interface Found {
  /** Stored rows by status. */
  readonly success: number
  readonly failed: number
  /** Keys of calls begun by an earlier run that have no outcome: they may have been billed. */
  readonly unknown: ReadonlyArray<string>
  /** Keys of calls that earlier runs, now dead, made again because their outcome was unknown. */
  readonly resent: ReadonlyArray<string>
  /** The torn tail, the broken end of a last write; the first write of this run cuts it off. */
  readonly cut: Option.Option<{ readonly offset: number; readonly bytes: number; readonly text: string }>
  /** Unreadable lines before the tail. They are passed over, and moved to `OUT.corrupt` by `seal`. */
  readonly corrupt: number
}

/** What `seal` did. */
export interface Sealed {
  /** Whether the file had to be put in order; `false` if it already was. */
  readonly rewritten: boolean
  /** Answers that belong to no line of this run, moved to `OUT.superseded.jsonl`. */
  readonly superseded: number
}

/** The durable record of a batch. See the module's introduction for the order of calls. */
export class Checkpoint extends Context.Tag("floodgate/Checkpoint")<
  Checkpoint,
  {
    readonly found: Found

    /** Whether a stored row of any status, or one that was set aside, has this key. Takes nothing. */
    readonly has: (key: string) => Effect.Effect<boolean>

    /**
     * The stored success of this key's next occurrence, in file order, and then of those that were set aside in
     * `OUT.superseded.jsonl`; none when all were given. If the
     * row cannot be used, ask again: another one may follow. A row that is given and not kept counts as
     * superseded.
     */
    readonly restore: (key: string) => Effect.Effect<Option.Option<StoredRow>, CheckpointError>

    /**
     * The stored failure of this key's next occurrence: for a run that does not ask all of its requests again, and
     * keeps what became of the others.
     */
    readonly restoreFailure: (key: string) => Effect.Effect<Option.Option<StoredRow>, CheckpointError>

    /**
     * Keep a restored row as row `index` of this run; its `index` is put right by `seal`. Give `line` if
     * more than the index differs now, such as `custom_id` or `metadata`.
     */
    readonly keep: (row: StoredRow, index: number, line?: string) => Effect.Effect<void, CheckpointError>

    /** Write down that the call for this key is about to be made. Returns once durable. */
    readonly begin: (key: string) => Effect.Effect<void, CheckpointError>

    /**
     * Append the outcome of this key as row `index`. Returns once durable; if the caller is interrupted the
     * line is written all the same. `line` is the row's JSON without newline and starts with
     * `{"index":<index>,`; it has `status` and `meta.key`.
     */
    readonly finish: (key: string, index: number, line: string) => Effect.Effect<void, CheckpointError>

    /** The same for many outcomes, in one write. Returns once all are durable. */
    readonly finishAll: (rows: ReadonlyArray<Finished>) => Effect.Effect<void, CheckpointError>

    /**
     * Has sums of the run written beside its rows: `take` gives what was added since it last gave some, and is asked
     * before each group of rows is written, so that what a row's attempts cost is durable before the row is. Returns
     * what earlier runs of this output had written, unless it was returned before. All of it is gone after `seal`.
     */
    readonly account: (take: () => Books | undefined) => Books | undefined

    /** What earlier runs of this output spent, and where a budget writes down what this one does. Gone after `seal`. */
    readonly spending: SpendingStore

    /** Writes the rows so far to another file, in input order. Before `seal`, and not where there are none yet. */
    readonly snapshot: (target: string, total: number) => Effect.Effect<void, CheckpointError>

    /**
     * End of a run over `total` rows: puts the file in input order, in one atomic step, and removes the
     * journal. Fails with `Incomplete` if an index below `total` has no row, unless it `isLeftOut`: a run need not
     * ask all there is to ask. Nothing can be written after.
     */
    readonly seal: (
      total: number,
      isLeftOut?: ((index: number) => boolean) | undefined
    ) => Effect.Effect<Sealed, CheckpointError>
  }
>() {}

/**
 * The checkpoint in the file at `path`. Opening it locks it and reads it through once; nothing
 * is changed by that. The first write cuts a torn tail, and makes a file that is not there. Closing the scope
 * writes what is pending and unlocks; the journal stays unless the run was sealed.
 */
export const layerFile = (path: string): Layer.Layer<Checkpoint, CheckpointError> =>
  Layer.scoped(Checkpoint, CheckpointFile.make(path))

/** A batch without a file: nothing is stored and nothing restored. */
export const layerNone: Layer.Layer<Checkpoint> = Layer.succeed(Checkpoint, {
  found: { success: 0, failed: 0, unknown: [], resent: [], cut: Option.none(), corrupt: 0 },
  has: () => Effect.succeed(false),
  restore: () => Effect.succeedNone,
  restoreFailure: () => Effect.succeedNone,
  keep: () => Effect.void,
  account: () => undefined,
  spending: { id: "", earlier: { money: 0n, tokens: 0 }, write: () => Effect.void },
  begin: () => Effect.void,
  finish: () => Effect.void,
  finishAll: () => Effect.void,
  snapshot: () => Effect.void,
  seal: () => Effect.succeed({ rewritten: false, superseded: 0 })
})
