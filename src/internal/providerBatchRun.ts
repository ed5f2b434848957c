/** A batch from its requests to their outcomes, and from the jobs of an earlier run. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { Cache } from "../Cache.js"
import type { Outcome, Settled } from "../Outcome.js"
import { Prices } from "../Prices.js"
import type { Request, RequestInput } from "../Request.js"
import type { Response } from "../Response.js"
import type { Policy } from "../Retry.js"
import type { CheckpointError } from "./checkpointError.js"
import * as Observe from "./observe.js"
import * as Answers from "./providerBatchAnswers.js"
import * as JobFile from "./providerBatchFile.js"
import { follow, reportOf, unreachable, type WaitOptions } from "./providerBatchFollow.js"
import { type Job, ProviderBatchError } from "./providerBatchJob.js"
import type * as Plan from "./providerBatchPlan.js"
import * as Settle from "./providerBatchSettle.js"
import { submitUnits } from "./providerBatchSubmit.js"
import { type Options, plan, policyOf, refuseBudget, type Services, targetOf } from "./providerBatchTarget.js"
import { hasEnded, type Line, type Report } from "./providerBatchWire.js"

/** Answers stored at the same time. */
const stores = 64

/** The answers in the results of a job that has ended, or so far, for the requests of this plan. */
const collect = (
  job: Job,
  report: Report,
  { units }: Plan.Plan,
  answers: Answers.Answers,
  options: { readonly retry?: Policy | undefined; readonly mode: Plan.Options["mode"] }
): Effect.Effect<void, ProviderBatchError, Services | Cache> =>
  Effect.gen(function* () {
    const { batches, endpoint } = yield* targetOf(job)
    const cache = yield* Cache
    const policy = yield* policyOf(options)
    const now = yield* Clock.currentTimeMillis
    const own = new Set(job.ids)
    const open = new Set(job.ids.filter((id) => units.has(id)))
    let foreign = 0
    const settle = ({ id, result }: Line): Effect.Effect<void> => {
      const unit = units.get(id)
      if (unit === undefined || !open.has(id)) {
        if (!own.has(id)) foreign++
        return Effect.void
      }
      open.delete(id)
      const outcome = Answers.read(unit, result, now)
      const tookMs =
        result._tag === "Answered" || result._tag === "Refused"
          ? Math.max(0, now - job.submittedAt)
          : undefined
      if (Either.isLeft(outcome)) {
        answers.set(id, { outcome: Either.left(outcome.left), tookMs })
        return Effect.void
      }
      return Effect.map(Answers.keep(cache, unit, outcome.right, options.mode), (hit) => {
        answers.set(id, { outcome: Either.right(hit), tookMs })
      })
    }
    const lines = Stream.runForEachChunk(batches.results(endpoint, job.id), (chunk) =>
      Effect.forEach(chunk, settle, { concurrency: stores, discard: true })
    )
    if (hasEnded(report))
      yield* Effect.mapError(Effect.retry(lines, policy), (error) => unreachable(job, error))
    if (foreign > 0) {
      yield* Effect.logWarning(`Batch ${job.id} has results of ${foreign} requests that are not its own`)
    }
    for (const id of open) {
      const unit = units.get(id)
      if (unit !== undefined) answers.set(id, { outcome: Either.left(Answers.missing(unit, report, now)) })
    }
  })

/** What came of each request, told to the observers as it is asked for. */
const settler = (
  { units }: Plan.Plan,
  answers: Answers.Answers,
  begun: number,
  task: string | undefined
): Effect.Effect<Settle.Settler> =>
  Effect.gen(function* () {
    const latencyMs = (yield* Clock.currentTimeMillis) - begun
    const observer = yield* Observe.observer
    return Settle.make({
      units,
      answers,
      observer,
      prices: yield* Prices,
      clock: yield* Effect.clock,
      latencyMs,
      task
    })
  })

export const results = (
  jobs: ReadonlyArray<Job>,
  inputs: Iterable<RequestInput>,
  options: Options & { readonly cache?: Plan.Options["mode"] }
): Effect.Effect<Array<Outcome<Response>>, ProviderBatchError, Services | Cache> =>
  Effect.gen(function* () {
    const planned = yield* plan(inputs, options, options.cache)
    const policy = yield* policyOf(options)
    const begun = yield* Clock.currentTimeMillis
    const answers: Answers.Answers = new Map()
    for (const job of jobs) {
      const report = yield* Effect.mapError(reportOf(job, policy), (error) =>
        error._tag === "ProviderBatchError" ? error : unreachable(job, error)
      )
      yield* collect(job, report, planned, answers, { retry: policy, mode: options.cache })
    }
    const settle = yield* settler(planned, answers, begun, options.task)
    return planned.entries.map((entry, index) => settle(index, entry).outcome)
  })

/** The jobs of earlier runs: those that go on, and the answers of those that have ended. */
const resume = (
  file: JobFile.JobFile,
  planned: Plan.Plan,
  answers: Answers.Answers,
  options: RunOptions
): Effect.Effect<ReadonlyArray<Job>, ProviderBatchError | CheckpointError, Services | Cache> =>
  Effect.gen(function* () {
    const policy = yield* policyOf(options)
    const jobs = [...file.jobs]
    const known = new Set(jobs.map(({ id }) => id))
    for (const begun of file.begun) {
      const { path, ...handle } = begun
      const job: Job = { ...handle, id: begun.key }
      const { batches, endpoint } = yield* targetOf(job)
      const sought = { key: begun.key, path, size: begun.ids.length, since: begun.submittedAt, known }
      const found = yield* Effect.mapError(Effect.retry(batches.find(endpoint, sought), policy), (error) =>
        unreachable(job, error)
      )
      if (found === undefined) yield* file.dropped(begun.key)
      else {
        known.add(found.id)
        yield* file.submitted(begun.key, found.id)
        jobs.push({ ...handle, id: found.id })
      }
    }
    const running: Array<Job> = []
    for (const job of jobs) {
      if (!job.ids.some((id) => planned.units.has(id) && !answers.has(id))) continue
      const report = yield* Effect.either(reportOf(job, policy))
      if (Either.isLeft(report)) {
        const error = report.left
        if (error._tag === "ProviderBatchError") return yield* error
        if (error._tag !== "NotFoundError") return yield* unreachable(job, error)
        // results are kept for some weeks
        yield* Effect.logWarning(`Batch ${job.id} is no longer known to ${job.provider}: asked anew`)
        yield* file.dropped(job.key)
      } else if (hasEnded(report.right)) {
        const found: Answers.Answers = new Map()
        yield* collect(job, report.right, planned, found, { retry: policy, mode: options.cache })
        // what failed is asked again
        for (const [id, answer] of found) if (Either.isRight(answer.outcome)) answers.set(id, answer)
      } else running.push(job)
    }
    return running
  })

export interface RunOptions extends Options, WaitOptions {
  readonly cache?: Plan.Options["mode"]
  readonly jobFile?: string | undefined
}

/**
 * Hands what became of each request to `take`, once all is known, several at a time. The observers are told of a request
 * just before: what `take` has not made durable then is told anew by the run that goes on with the jobs.
 */
export const each = <E>(
  inputs: Iterable<RequestInput>,
  options: RunOptions,
  take: (settled: Settled<Request>) => Effect.Effect<void, E>
): Effect.Effect<void, ProviderBatchError | CheckpointError | E, Services | Cache> =>
  Effect.scoped(
    Effect.gen(function* () {
      const begun = yield* Clock.currentTimeMillis
      const cache = yield* Cache
      const planned = yield* plan(inputs, options, options.cache)
      const file = options.jobFile === undefined ? JobFile.none : yield* JobFile.open(options.jobFile)
      const answers: Answers.Answers = new Map()
      yield* Effect.forEach(
        planned.units.values(),
        (unit) =>
          Effect.map(Answers.lookUp(cache, unit, options.cache), (found) => {
            if (found !== undefined) answers.set(unit.id, { outcome: found })
          }),
        { concurrency: stores, discard: true }
      )
      const running = yield* resume(file, planned, answers, options)
      const taken = new Set(running.flatMap(({ ids }) => ids))
      const open = [...planned.units.values()].filter(({ id }) => !answers.has(id) && !taken.has(id))
      if (open.length > 0) yield* refuseBudget
      const { failures, jobs } = yield* submitUnits(open, options, file)
      for (const [unit, error] of failures) answers.set(unit.id, { outcome: Either.left(error) })
      const all = [...running, ...jobs]
      yield* Effect.forEach(
        all,
        (job) =>
          Effect.flatMap(follow(job, options), (report) =>
            collect(job, report, planned, answers, { retry: options.retry, mode: options.cache })
          ),
        { concurrency: "unbounded", discard: true }
      ).pipe(
        Effect.mapError(
          ({ error, message, reason }) =>
            new ProviderBatchError({ reason, message, jobs: all, ...(error === undefined ? {} : { error }) })
        )
      )
      const settle = yield* settler(planned, answers, begun, options.task)
      yield* Effect.forEach(
        planned.entries,
        (entry, index) => Effect.suspend(() => take(settle(index, entry))),
        { concurrency: stores, discard: true }
      )
    })
  )

export const run = (
  inputs: Iterable<RequestInput>,
  options: RunOptions
): Effect.Effect<Array<Outcome<Response>>, ProviderBatchError | CheckpointError, Services | Cache> =>
  Effect.suspend(() => {
    const outcomes: Array<Outcome<Response>> = []
    return Effect.as(
      each(inputs, options, ({ index, outcome }) =>
        Effect.sync(() => {
          outcomes[index] = outcome
        })
      ),
      outcomes
    )
  })
