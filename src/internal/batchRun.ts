/**
 * A run over many requests: how each is settled, and what is to be done when all are.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Checkpoint } from "../Checkpoint.js"
import { Ledger } from "../Ledger.js"
import type { Settled } from "../Outcome.js"
import type { Request, RequestInput } from "../Request.js"
import * as BatchItem from "./batchItem.js"
import * as BatchProgress from "./batchProgress.js"
import { SpendingRecord } from "./budgetRecord.js"
import { accountsOf } from "./budgetsOf.js"
import type { CheckpointError } from "./checkpointError.js"
import * as Completer from "./completer.js"
import * as Observe from "./observe.js"
import type * as OutcomeLine from "./outcomeLine.js"
import { type Source, workers } from "./workers.js"

export interface Options extends Completer.Options, BatchProgress.Options {
  /** Requests under way at once. Default 64. */
  readonly concurrency?: number | undefined
  /** Where outcomes are written down. Default: nowhere. */
  readonly checkpoint?: Layer.Layer<Checkpoint, CheckpointError> | undefined
  /** How vectors are written there. Default: as numbers. */
  readonly encoding?: OutcomeLine.Encoding | undefined
}

/** Checked before anything is opened: a batch without workers would end at once, and seal its checkpoint empty. */
const concurrencyOf = ({ concurrency = 64 }: Options): Effect.Effect<number> =>
  Number.isSafeInteger(concurrency) && concurrency >= 1
    ? Effect.succeed(concurrency)
    : Effect.dieMessage(`The concurrency of a batch is a whole number of at least 1, not ${concurrency}`)

/** What observers are told of an answer of an earlier run; nothing of a failure. */
export const restoredEvent = (
  { meta, outcome, request }: Settled<Request>,
  at: number,
  task: string | undefined
): Observe.RequestEvent | undefined =>
  request === undefined || Either.isLeft(outcome)
    ? undefined
    : {
        at,
        latencyMs: 0,
        request,
        key: meta.key,
        task: request.task ?? task,
        origin: "checkpoint",
        outcome: "answered",
        response: outcome.right,
        error: undefined,
        attempts: 0,
        saved: undefined
      }

/** What earlier runs of the output spent counts in every budget, and what this one spends is written down beside it. */
const spendingOf = (
  { budget }: Options,
  { spending }: Context.Tag.Service<Checkpoint>
): Effect.Effect<Completer.Spending, never, Scope.Scope> =>
  Effect.flatMap(accountsOf(budget), (accounts): Effect.Effect<Completer.Spending, never, Scope.Scope> => {
    if (accounts.length === 0) return Effect.succeed({ accounts, record: undefined })
    const record = new SpendingRecord(spending, accounts)
    return Effect.as(
      Effect.addFinalizer(() =>
        Effect.catchAllCause(record.close, (cause) =>
          // an amount that was written ahead stands, so nothing is spent twice
          Effect.logWarning(
            "What the run spent in the end was not written down: the next counts some more",
            cause
          )
        )
      ),
      // the last: who waits for room in another has written nothing down yet
      { accounts: [...accounts, record.account], record }
    )
  })

export interface Run<E> {
  readonly concurrency: number
  readonly settle: BatchItem.Settle<E>
  readonly recall: BatchItem.Recall<E> | undefined
  readonly seal: (total: number) => Effect.Effect<void, E>
}

/** `total` is how many requests there are, where that is known. */
export const open = (
  options: Options,
  total: number | undefined
): Effect.Effect<Run<CheckpointError>, CheckpointError, Completer.Services | Scope.Scope> =>
  Effect.gen(function* () {
    const concurrency = yield* concurrencyOf(options)
    const told = yield* BatchProgress.open(options, total)
    // it ends with the batch, and is the parent of the spans of its requests
    const span = yield* Effect.makeSpanScoped("floodgate.batch", {
      captureStackTrace: false,
      attributes: {
        "floodgate.batch.concurrency": concurrency,
        ...(total === undefined ? undefined : { "floodgate.batch.requests": total }),
        ...(options.task === undefined ? undefined : { "floodgate.task": options.task })
      }
    })
    if (options.checkpoint === undefined) {
      const completer = yield* Effect.locallyWith(
        Effect.withParentSpan(Completer.make(options), span),
        Observe.observers,
        HashSet.union(told.observers)
      )
      return {
        concurrency,
        settle: BatchItem.settle(completer, told.failed),
        recall: BatchItem.recall(completer),
        seal: () => Effect.void
      }
    }
    const checkpoint = Context.get(yield* Layer.build(options.checkpoint), Checkpoint)
    const ledger = yield* Effect.serviceOption(Ledger)
    const account = Option.isNone(ledger) ? [] : [yield* ledger.value.follow(checkpoint)]
    const spending = yield* spendingOf(options, checkpoint)
    const observed = Effect.withParentSpan(
      Effect.zip(Completer.make(options, spending), Observe.observer),
      span
    )
    const [completer, observer] = yield* Effect.locallyWith(
      observed,
      Observe.observers,
      HashSet.union([...account, ...told.observers])
    )
    const clock = yield* Effect.clock
    let unasked = 0
    const restored = (settled: Settled<Request>): void => {
      if (observer?.request === undefined) return
      const event = restoredEvent(settled, clock.unsafeCurrentTimeMillis(), options.task)
      if (event !== undefined) observer.request(event)
    }
    return {
      concurrency,
      settle: BatchItem.settleDurably(completer, checkpoint, {
        onRestored: restored,
        onRefused: told.failed,
        onUnasked: () => {
          unasked++
        },
        encoding: options.encoding
      }),
      recall: BatchItem.recallDurably(completer, checkpoint, options.encoding),
      // the rows that are missing are those of the next run, which is to find what this one spent
      seal: (total: number) => (unasked > 0 ? Effect.void : Effect.asVoid(checkpoint.seal(total)))
    }
  })

/**
 * The outcomes of the source's requests as they finish. `leftOut` tells the indexes that the source leaves out,
 * because they have their rows already.
 */
export const stream = <I extends RequestInput, E, R>(
  source: Source<I, E, R>,
  options: Options & { readonly leftOut?: ((index: number) => boolean) | undefined }
): Stream.Stream<Settled<Request>, E | CheckpointError, R | Completer.Services> =>
  Stream.unwrapScoped(
    Effect.map(open(options, BatchProgress.sizeOf(source)), ({ concurrency, recall, seal, settle }) =>
      workers(source, settle, { concurrency, atEnd: seal, leftOut: options.leftOut, ahead: recall })
    )
  )
