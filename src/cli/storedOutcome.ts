/** What an earlier run has left of a request. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Checkpoint, StoredRow } from "../Checkpoint.js"
import * as BatchItem from "../internal/batchItem.js"
import { cacheKey } from "../internal/cacheKey.js"
import type { CheckpointError } from "../internal/checkpointError.js"
import * as OutcomeLine from "../internal/outcomeLine.js"
import type { Settled } from "../Outcome.js"
import { type Request, withModel } from "../Request.js"
import type { Resolved } from "../Router.js"
import type { Stored } from "./rowFilter.js"

/** An outcome that is there already. */
export interface Found extends Stored {
  readonly settled: Settled<Request>
  /** Makes it the row of its index in this run. */
  readonly keep: Effect.Effect<void, CheckpointError>
  /** Whether keeping it takes no time. */
  readonly isCurrent: boolean
}

type CheckpointService = Context.Tag.Service<Checkpoint>

/** A failure as it is stored; `undefined` if it cannot be read as one. */
const failureOf = (
  checkpoint: CheckpointService,
  row: StoredRow,
  index: number,
  request: Request
): Found | undefined => {
  const failure = OutcomeLine.decodeFailure(row.value, index, request)
  if (failure === undefined) return undefined
  const { isCurrent, line, settled } = failure
  // what is not needed to keep it is let go: there may be many
  const slim: StoredRow = { ...row, line: "", value: undefined }
  return {
    status: "error",
    error: failure.tag,
    settled,
    keep: checkpoint.keep(slim, index, isCurrent ? undefined : line),
    isCurrent
  }
}

/** The failure of this key, for a run that may leave it as it is. */
const failureBy = (
  checkpoint: CheckpointService,
  key: string,
  index: number,
  request: Request
): Effect.Effect<Found | undefined, CheckpointError> =>
  Effect.flatMap(checkpoint.restoreFailure(key), (found) => {
    if (Option.isNone(found)) return Effect.succeed(undefined)
    const stored = failureOf(checkpoint, found.value, index, request)
    // another program has edited it out of shape: there may be a better one
    return stored === undefined ? failureBy(checkpoint, key, index, request) : Effect.succeed(stored)
  })

/** The failure of a request, whichever model it was drawn. */
export const failure = (
  checkpoint: CheckpointService,
  key: string,
  index: number,
  { others = [], request, source }: Resolved
): Effect.Effect<Found | undefined, CheckpointError> =>
  Effect.flatMap(failureBy(checkpoint, key, index, request), (found) => {
    const [model, ...rest] = others
    if (found !== undefined || model === undefined) return Effect.succeed(found)
    const other = { request: withModel(request, model), source, others: rest }
    return failure(checkpoint, cacheKey(other), index, other)
  })

/** The answer to a request. */
export const answer = (
  checkpoint: CheckpointService,
  key: string,
  index: number,
  resolved: Resolved,
  encoding: OutcomeLine.Encoding
): Effect.Effect<Found | undefined, CheckpointError> =>
  Effect.map(BatchItem.restoreDrawn(checkpoint, key, index, resolved, encoding), (restored) =>
    restored === undefined ? undefined : { status: "success" as const, ...restored }
  )
