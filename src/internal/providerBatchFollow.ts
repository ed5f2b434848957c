/** Asking after jobs until they have ended. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import { isRetryable, type LlmError } from "../LlmError.js"
import { type Policy, RetryPolicy } from "../Retry.js"
import { type Job, ProviderBatchError, type Status } from "./providerBatchJob.js"
import { policyOf, type Services, targetOf } from "./providerBatchTarget.js"
import { hasEnded, type Report } from "./providerBatchWire.js"

export interface WaitOptions {
  readonly pollInterval?: Duration.DurationInput | undefined
  readonly longestInterval?: Duration.DurationInput | undefined
  readonly deadline?: Duration.DurationInput | undefined
  readonly retry?: Policy | undefined
  readonly onStatus?: ((status: Status) => Effect.Effect<void>) | undefined
}

const statusOf = (job: Job, report: Report): Status => ({
  job,
  state: report.state ?? "running",
  rawState: report.rawState,
  ended: hasEnded(report),
  succeeded: report.succeeded,
  failed: report.failed
})

const unknownState = (job: Job, { rawState }: Report) =>
  Effect.logWarning(
    `Batch ${job.id} is in the state "${rawState}", which is unknown: taken for running. A newer version may know it`
  )

/** What the provider says of a job, asked with retries. */
export const reportOf = (
  job: Job,
  policy: Policy
): Effect.Effect<Report, LlmError | ProviderBatchError, Services> =>
  Effect.flatMap(targetOf(job), ({ batches, endpoint }) =>
    Effect.retry(batches.report(endpoint, job.id), policy)
  )

export const status = (job: Job): Effect.Effect<Status, LlmError | ProviderBatchError, Services> =>
  Effect.gen(function* () {
    const report = yield* reportOf(job, yield* RetryPolicy)
    if (report.state === undefined) yield* unknownState(job, report)
    return statusOf(job, report)
  })

export const cancel = (job: Job): Effect.Effect<void, LlmError | ProviderBatchError, Services> =>
  Effect.flatMap(targetOf(job), ({ batches, endpoint }) =>
    Effect.flatMap(RetryPolicy, (policy) => Effect.retry(batches.cancel(endpoint, job.id), policy))
  )

/** Polls in a row that may fail, each after its own retries. */
const mostFailedPolls = 12

/** How much longer each pause is than the one before. */
const growth = 1.5
/** How much of a pause is added to it at random, at most: many jobs are not asked after in one moment. */
const jitter = 0.25

/** Asks after the job until it has ended. */
export const follow = (job: Job, options: WaitOptions): Effect.Effect<Report, ProviderBatchError, Services> =>
  Effect.gen(function* () {
    const policy = yield* policyOf(options)
    const longest = Duration.toMillis(options.longestInterval ?? "5 minutes")
    const deadline = Duration.toMillis(options.deadline ?? "3 days")
    const begun = yield* Clock.currentTimeMillis
    let pause = Math.min(longest, Duration.toMillis(options.pollInterval ?? "10 seconds"))
    let failures = 0
    let seen: string | undefined
    while (true) {
      const polled = yield* Effect.either(reportOf(job, policy))
      let wait = pause
      if (Either.isRight(polled)) {
        const report = polled.right
        failures = 0
        const said = `${report.rawState} ${report.succeeded} ${report.failed}`
        if (said !== seen) {
          seen = said
          if (report.state === undefined) yield* unknownState(job, report)
          yield* Effect.logDebug(`Batch ${job.id}: ${said}`)
          yield* options.onStatus?.(statusOf(job, report)) ?? Effect.void
        }
        if (hasEnded(report)) return report
        wait = Math.max(wait, (report.retryAfter ?? 0) * 1000)
      } else {
        const error = polled.left
        if (error._tag === "ProviderBatchError") return yield* error
        failures++
        if (!isRetryable(error) || failures >= mostFailedPolls) return yield* unreachable(job, error)
        yield* Effect.logWarning(`Batch ${job.id} could not be asked after: ${error._tag}: ${error.message}`)
      }
      if ((yield* Clock.currentTimeMillis) - begun >= deadline) return yield* tooLate(job, deadline)
      yield* Effect.sleep(wait * (1 + jitter * (yield* Random.next)))
      pause = Math.min(longest, pause * growth)
    }
  })

export const unreachable = (job: Job, error: LlmError) =>
  new ProviderBatchError({
    reason: "Unreachable",
    message: `The job ${job.id} at ${job.provider} cannot be asked after: ${error._tag}: ${error.message}. It goes on there; run again to go on with it`,
    jobs: [job],
    error
  })

const tooLate = (job: Job, deadline: number) =>
  new ProviderBatchError({
    reason: "Deadline",
    message: `The job ${job.id} at ${job.provider} has not ended within ${Duration.format(deadline)}. It goes on there; run again to go on with it`,
    jobs: [job]
  })

export const wait = (
  jobs: ReadonlyArray<Job>,
  options: WaitOptions
): Effect.Effect<Array<Status>, ProviderBatchError, Services> =>
  Effect.forEach(jobs, (job) => Effect.map(follow(job, options), (report) => statusOf(job, report)), {
    concurrency: "unbounded"
  })
