/** Jobs out of lines: each written down before and after, and looked for before it is made once more. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import type { LlmError } from "../LlmError.js"
import type { CheckpointError } from "./checkpointError.js"
import type * as JobFile from "./providerBatchFile.js"
import type { Job } from "./providerBatchJob.js"
import * as Plan from "./providerBatchPlan.js"
import { type Options, policyOf } from "./providerBatchTarget.js"

const defaultWindow = Duration.hours(24)

/** After these the call may have been carried out. */
const isUncertain = ({ _tag }: LlmError): boolean =>
  _tag === "TimeoutError" || _tag === "NetworkError" || _tag === "ServerError"

/** A job of these lines. Written down before and after, and looked for before it is made once more. */
const submitChunk = (
  units: readonly [Plan.Unit, ...ReadonlyArray<Plan.Unit>],
  options: Options,
  file: JobFile.JobFile,
  known: Set<string>
): Effect.Effect<Job, LlmError | CheckpointError> =>
  Effect.gen(function* () {
    const [{ prepared, target }] = units
    const { batches, endpoint } = target
    const { model, path } = prepared
    const policy = yield* policyOf(options)
    const now = yield* Clock.currentTimeMillis
    const key = Plan.newKey(units, now, yield* Random.next)
    if (options.completionWindow !== undefined && !batches.hasWindow) {
      yield* Effect.logWarning(`${endpoint.provider} has one completion window for all batches`)
    }
    const draft = {
      key,
      model,
      path,
      entries: units.map(({ id, prepared }) => ({ id, body: prepared.body })),
      windowHours: Math.max(1, Math.round(Duration.toHours(options.completionWindow ?? defaultWindow)))
    }
    const handle = {
      provider: endpoint.provider,
      endpoint: endpoint.id,
      model,
      key,
      submittedAt: now,
      ids: units.map(({ id }) => id)
    }
    const uploaded = yield* Effect.retry(batches.upload(endpoint, draft), policy)
    yield* file.begin({ ...handle, path })
    let uncertain = false
    const seek = batches.find(endpoint, { key, path, size: units.length, since: now, known })
    const once = Effect.suspend(() =>
      uncertain
        ? Effect.flatMap(seek, (found) =>
            found === undefined ? batches.create(endpoint, draft, uploaded) : Effect.succeed(found)
          )
        : batches.create(endpoint, draft, uploaded)
    ).pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          uncertain ||= isUncertain(error)
        })
      ),
      // a job that was made and is not known would be paid for and never read
      Effect.uninterruptible
    )
    const create = Effect.catchAll(Effect.retry(once, policy), (error) =>
      uncertain
        ? Effect.flatMap(Effect.retry(seek, policy), (found) =>
            found === undefined ? Effect.fail(error) : Effect.succeed(found)
          )
        : // what was refused is not there; of all else the next run asks
          Effect.zipRight(file.dropped(key), Effect.fail(error))
    )
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const { id } = yield* restore(create)
        known.add(id)
        yield* file.submitted(key, id)
        const job: Job = { ...handle, id }
        yield* Effect.logInfo(`Batch ${id}: ${units.length} requests submitted to ${endpoint.id}`)
        return job
      })
    )
  })

export interface Submitted {
  readonly jobs: ReadonlyArray<Job>
  /** Lines whose job could not be made. */
  readonly failures: ReadonlyArray<readonly [unit: Plan.Unit, error: LlmError]>
}

/** Makes the jobs one after the other: one whose call was lost is told from the others by its time. */
export const submitUnits = (
  units: Iterable<Plan.Unit>,
  options: Options,
  file: JobFile.JobFile
): Effect.Effect<Submitted, CheckpointError> =>
  Effect.gen(function* () {
    const known = new Set(file.jobs.map(({ id }) => id))
    const jobs: Array<Job> = []
    const failures: Array<Submitted["failures"][number]> = []
    for (const chunk of Plan.chunks(units, options.maxRequestsPerJob)) {
      const made = yield* Effect.either(submitChunk(chunk, options, file, known))
      if (Either.isRight(made)) {
        jobs.push(made.right)
        continue
      }
      const error = made.left
      if (error._tag === "CheckpointError") return yield* error
      for (const unit of chunk) failures.push([unit, error])
    }
    return { jobs, failures }
  })
