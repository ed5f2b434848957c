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
import { type Request, type RequestInput, withModel } from "../Request.js"
import type { Resolved } from "../Router.js"
import { cacheKey } from "./cacheKey.js"
import type { CheckpointError } from "./checkpointError.js"
import type { Completer, Keyed } from "./completer.js"
import * as OutcomeLine from "./outcomeLine.js"
import * as SchemaCheck from "./schemaCheck.js"

type CheckpointService = Context.Tag.Service<Checkpoint>

/** Settles the request at `index` of the input. */
export type Settle<E> = (index: number, input: RequestInput) => Effect.Effect<Settled<Request>, E>

/** An item of the input with its place there. */
export interface Item {
  readonly index: number
  readonly value: RequestInput
}

/** Settles at once what needs no call, by index. The others are for `Settle`. */
export type Recall<E> = (
  items: ReadonlyArray<Item>
) => Effect.Effect<ReadonlyMap<number, Settled<Request>>, E>

/** The outcome of what could not be asked: no request, or one of a task that there is not. */
const unasked = (index: number, error: LlmError, key?: string): Settled<Request> => ({
  index,
  request: undefined,
  outcome: Either.left(error),
  meta: { attempts: 0, cached: false, latencyMs: 0, ...(key === undefined ? undefined : { key }) }
})

/**
 * Without a checkpoint: nothing is restored and nothing written. `onRefused` is told the class of the error of what
 * cannot be asked.
 */
export const settle =
  (completer: Completer, onRefused: (tag: string) => void): Settle<never> =>
  (index, input) =>
    Effect.matchEffect(completer.resolve(input), {
      onFailure: (error) => {
        onRefused(error._tag)
        return Effect.succeed(unasked(index, error))
      },
      onSuccess: (resolved) =>
        Effect.map(completer.complete<never>(resolved, {}), ({ meta, outcome }) => ({
          index,
          request: resolved.request,
          outcome,
          meta
        }))
    })

interface Recalling extends Keyed {
  readonly index: number
}

/** Those of the items whose answers are in the cache; absent where there is none. */
export const recall = (
  completer: Completer,
  isForCheckpoint: (asked: Recalling) => Effect.Effect<boolean> = () => Effect.succeed(false)
): Recall<never> | undefined => {
  const { recall } = completer
  if (recall === undefined) return undefined
  const keyed = ({ index, value }: Item): Effect.Effect<Recalling | undefined> =>
    Effect.matchEffect(completer.resolve(value), {
      onFailure: () => Effect.succeed(undefined),
      onSuccess: (resolved) => {
        const asked = { ...resolved, key: cacheKey(resolved), index }
        return Effect.map(isForCheckpoint(asked), (isForCheckpoint) => (isForCheckpoint ? undefined : asked))
      }
    })
  return (items) =>
    Effect.flatMap(Effect.forEach(items, keyed), (all) => {
      const asked = all.filter((one) => one !== undefined)
      return Effect.map(recall(asked), (found) => {
        const settled = new Map<number, Settled<Request>>()
        for (const one of asked) {
          const completed = found.get(one)
          if (completed !== undefined)
            settled.set(one.index, { ...completed, index: one.index, request: one.request })
        }
        return settled
      })
    })
}

/** The same with a checkpoint: what it may know comes from there, and the others are durable before they are given. */
export const recallDurably = (
  completer: Completer,
  checkpoint: CheckpointService,
  encoding: OutcomeLine.Encoding | undefined
): Recall<CheckpointError> | undefined => {
  const recalled = recall(completer, ({ key, others = [] }) =>
    others.length > 0 ? Effect.succeed(true) : checkpoint.has(key)
  )
  if (recalled === undefined) return undefined
  return (items) =>
    Effect.uninterruptibleMask((interruptible) =>
      Effect.tap(interruptible(recalled(items)), (found) =>
        checkpoint.finishAll(
          Array.from(found.values(), (settled) => ({
            key: settled.meta.key ?? "",
            index: settled.index,
            line: OutcomeLine.encode(settled, encoding)
          }))
        )
      )
    )
}

/** The stored answer to a request. */
export interface Restored {
  readonly settled: Settled<Request>
  /** Makes it the row of its index in this run. */
  readonly keep: Effect.Effect<void, CheckpointError>
  /** Whether the stored line stays as it is: then keeping it takes no time. */
  readonly isCurrent: boolean
}

/** The stored answer to this request as row `index` of this run, to be kept. */
export const restore = (
  checkpoint: CheckpointService,
  key: string,
  index: number,
  request: Request,
  encoding?: OutcomeLine.Encoding
): Effect.Effect<Restored | undefined, CheckpointError> =>
  Effect.flatMap(checkpoint.restore(key), (found) => {
    if (Option.isNone(found)) return Effect.succeed(undefined)
    const row = found.value
    const restored = OutcomeLine.decode(row.value, request, encoding)
    // a row that another program has edited out of shape: there may be a better one
    if (restored === undefined) return restore(checkpoint, key, index, request, encoding)
    const { isCurrent, meta } = restored
    const check = SchemaCheck.of(request)
    const outcome =
      check === undefined
        ? restored.outcome
        : Either.flatMap(restored.outcome, (response) => SchemaCheck.read(response, check))
    // an answer that fitted another schema than this one is asked for anew
    if (Either.isLeft(outcome)) return restore(checkpoint, key, index, request, encoding)
    const settled = { index, request, outcome, meta }
    if (isCurrent) return Effect.succeed({ settled, keep: checkpoint.keep(row, index), isCurrent })
    const { resumed: _, ...written } = meta
    const line = OutcomeLine.encode({ index, request, outcome, meta: written }, encoding)
    return Effect.succeed({ settled, keep: checkpoint.keep(row, index, line), isCurrent })
  })

/**
 * The same for a request whose model was drawn: it keeps the one that it was drawn in an earlier run, also when the
 * weights have changed since.
 */
export const restoreDrawn = (
  checkpoint: CheckpointService,
  key: string,
  index: number,
  { others = [], request, source }: Resolved,
  encoding?: OutcomeLine.Encoding
): Effect.Effect<Restored | undefined, CheckpointError> =>
  Effect.flatMap(restore(checkpoint, key, index, request, encoding), (restored) => {
    const [model, ...rest] = others
    if (restored !== undefined || model === undefined) return Effect.succeed(restored)
    const other = { request: withModel(request, model), source, others: rest }
    return restoreDrawn(checkpoint, cacheKey(other), index, other, encoding)
  })

export interface Durably {
  /** Is told of the outcomes of earlier runs. */
  readonly onRestored: (settled: Settled<Request>) => void
  /** As without a checkpoint. */
  readonly onRefused: (tag: string) => void
  /** Is told of each request that was not asked to its end, for there was no room in the budget. */
  readonly onUnasked: () => void
  /** How vectors are written. */
  readonly encoding: OutcomeLine.Encoding | undefined
}

/** With a checkpoint: an outcome is durable before it is given. */
export const settleDurably = (
  completer: Completer,
  checkpoint: CheckpointService,
  { encoding, onRefused, onRestored, onUnasked }: Durably
): Settle<CheckpointError> => {
  const finish = (key: string, settled: Settled<Request>) =>
    Effect.as(checkpoint.finish(key, settled.index, OutcomeLine.encode(settled, encoding)), settled)

  // an answer that has come is written down, whatever happens to the run meanwhile
  const ask = (index: number, key: string, resolved: Resolved) =>
    Effect.uninterruptibleMask((interruptible) => {
      let isBegun = false
      const beforeCall = Effect.suspend(() => {
        isBegun = true
        return checkpoint.begin(key)
      })
      return Effect.flatMap(
        interruptible(completer.complete(resolved, { key, beforeCall })),
        ({ meta, outcome }) => {
          const settled = { index, request: resolved.request, outcome, meta: { ...meta, key } }
          if (Either.isLeft(outcome) && outcome.left._tag === "BudgetExceededError") {
            onUnasked()
            // a row that is not there is asked by the next run
            if (!isBegun) return Effect.succeed(settled)
          }
          return finish(key, settled)
        }
      )
    })

  return (index, input) =>
    Effect.matchEffect(completer.resolve(input), {
      onFailure: (error) => {
        // what cannot be asked has no identity, and is tried again by the next run
        const key = `unreadable-${index}`
        onRefused(error._tag)
        return finish(key, unasked(index, error, key))
      },
      onSuccess: (resolved) => {
        const key = cacheKey(resolved)
        return Effect.flatMap(restoreDrawn(checkpoint, key, index, resolved, encoding), (restored) =>
          restored === undefined
            ? ask(index, key, resolved)
            : Effect.map(restored.keep, () => {
                onRestored(restored.settled)
                return restored.settled
              })
        )
      }
    })
}
