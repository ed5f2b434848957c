/**
 * One request of a batch: restored from the checkpoint, or completed and written to it.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { Checkpoint } from "../Checkpoint.js"
import type { LlmError } from "../LlmError.js"
import type { Settled } from "../Outcome.js"
import type { Request, RequestInput } from "../Request.js"
import type { Resolved } from "../Router.js"
import { cacheKey } from "./cacheKey.js"
import type { CheckpointError } from "./checkpointError.js"
import type { Completer } from "./completer.js"
import * as OutcomeLine from "./outcomeLine.js"

type CheckpointService = Context.Tag.Service<Checkpoint>

/** Settles the request at `index` of the input. */
export type Settle<E> = (index: number, input: RequestInput) => Effect.Effect<Settled, E>

const unreadable = (index: number, error: LlmError, key?: string): Settled => ({
  index,
  request: undefined,
  outcome: Either.left(error),
  meta: { attempts: 0, cached: false, latencyMs: 0, ...(key === undefined ? undefined : { key }) }
})

/** Without a checkpoint: nothing is restored and nothing written. */
export const settle =
  (completer: Completer): Settle<never> =>
  (index, input) =>
    Effect.matchEffect(completer.resolve(input), {
      onFailure: (error) => Effect.succeed(unreadable(index, error)),
      onSuccess: (resolved) =>
        Effect.map(completer.complete<never>(resolved, {}), ({ meta, outcome }) => ({
          index,
          request: resolved.request,
          outcome,
          meta
        }))
    })

/** The stored answer to this request, kept as row `index` of this run. */
const restore = (
  checkpoint: CheckpointService,
  key: string,
  index: number,
  request: Request
): Effect.Effect<Settled | undefined, CheckpointError> =>
  Effect.flatMap(
    checkpoint.restore(key),
    Option.match({
      onNone: () => Effect.succeed(undefined),
      onSome: (row) => {
        const restored = OutcomeLine.decode(row.value, request)
        // a row that another program has edited out of shape: there may be a better one
        if (restored === undefined) return restore(checkpoint, key, index, request)
        const { isCurrent, meta, outcome } = restored
        const { resumed: _, ...written } = meta
        const line = isCurrent ? undefined : OutcomeLine.encode({ index, request, outcome, meta: written })
        return Effect.as(checkpoint.keep(row, index, line), { index, request, outcome, meta })
      }
    })
  )

/** With a checkpoint: an outcome is durable before it is given. */
export const settleDurably = (
  completer: Completer,
  checkpoint: CheckpointService
): Settle<CheckpointError> => {
  const finish = (key: string, settled: Settled) =>
    Effect.as(checkpoint.finish(key, settled.index, OutcomeLine.encode(settled)), settled)

  // an answer that has come is written down, whatever happens to the run meanwhile
  const ask = (index: number, key: string, resolved: Resolved) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        restore(completer.complete(resolved, { key, beforeCall: checkpoint.begin(key) })),
        ({ meta, outcome }) =>
          finish(key, { index, request: resolved.request, outcome, meta: { ...meta, key } })
      )
    )

  return (index, input) =>
    Effect.matchEffect(completer.resolve(input), {
      onFailure: (error) => {
        // what cannot be read as a request has no identity, and is tried again by the next run
        const key = `unreadable-${index}`
        return finish(key, unreadable(index, error, key))
      },
      onSuccess: (resolved) => {
        const key = cacheKey(resolved)
        return Effect.flatMap(restore(checkpoint, key, index, resolved.request), (settled) =>
          settled === undefined ? ask(index, key, resolved) : Effect.succeed(settled)
        )
      }
    })
}
