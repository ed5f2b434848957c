/**
 * Many requests through the provider's own batch API: at half the price, within a day instead of minutes.
 *
 * {@link run} submits, waits and gives the outcomes in input order, as `batch` does. {@link submit}, {@link status},
 * {@link wait}, {@link results} and {@link cancel} are its steps by themselves, with a {@link Job} that can be kept as
 * JSON and gone on with by another process.
 *
 * | | what goes | a job holds at most | ends after |
 * |---|---|---|---|
 * | OpenAI (chat, Responses, embeddings), Azure's `/openai/v1` | a file | 50,000 requests, 200 MB | 24 hours |
 * | Anthropic | one call | 100,000 requests, 256 MB | 24 hours |
 * | Gemini (chats) | one call below 20 MB, else a file | 50,000 requests, 200 MB (ours) | 48 hours |
 * | Mistral | a file | 1,000,000 requests, 200 MB (ours) | `completionWindow` |
 *
 * More requests than that become several jobs, and so do requests of different models. A request or answer is on the
 * wire what it is in an ordinary call, and is written, read and judged by the same code: what a provider cannot do is
 * the same `UnsupportedError`, a line that failed has the error that the call would have had.
 *
 * **Results** are joined by id, never by place. The id of a line is the cache key of its request, so equal requests
 * are sent once. Each request has an outcome: its answer, the error of its line, a `TimeoutError` (code
 * `batch_expired`) where the job's time was over first, a `CancelledError` (`batch_cancelled`) where it was cancelled.
 * Answers that are there when a job expires or is cancelled are given like any others, since they are paid for.
 * An answer's `serviceTier` is `"batch"`. Of equal requests the first has the answer of a call, and the others, with
 * `cached` in their `meta`, have it for nothing; a `Ledger` books each line once, at the price of batches.
 *
 * **The cache** is looked up before anything is submitted, and answers are stored under the keys that `batch` uses: a
 * later `batch` or `complete` has them for nothing. Values of a schema are read as ever; an answer that does not fit is
 * an `InvalidOutputError`, and is not asked for again.
 *
 * **Paid once.** With a `jobFile`, each job is written down before it is submitted and after. A run that was stopped,
 * however, is started again with the same file: jobs that go on are waited for, answers of jobs that have ended are
 * fetched (providers keep them for weeks, Gemini for two days), and only what failed is submitted anew. Where the
 * process died, or the connection broke, between the call that makes a job and its answer, the provider is asked for
 * the job before it is made again: OpenAI, Gemini and Mistral keep our name of it. Anthropic does not; there it is the
 * batch of the same size that was made at that time and is no other of ours, so do not run another program with
 * batches of just this size on the same account meanwhile. What is left is a job that the provider has accepted and
 * does not list yet. Without a `jobFile` nothing is known of the jobs after a crash.
 *
 * Requests and answers are all held in memory. Limits of the ordinary API, and `RateLimiter`, do not apply: batches have
 * their own queue, and a job that does not fit it fails with a `RateLimitError` for each request.
 *
 * @module
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Cache, Mode } from "./Cache.js"
import type { CheckpointError } from "./internal/checkpointError.js"
import { none } from "./internal/providerBatchFile.js"
import * as Follow from "./internal/providerBatchFollow.js"
import * as Jobs from "./internal/providerBatchJob.js"
import * as Run from "./internal/providerBatchRun.js"
import { submitUnits } from "./internal/providerBatchSubmit.js"
import { plan, refuseBudget } from "./internal/providerBatchTarget.js"
import type { LlmError } from "./LlmError.js"
import type { Outcome } from "./Outcome.js"
import type { Providers } from "./Providers.js"
import type { AnswerTo, RequestInput } from "./Request.js"
import type * as Retry from "./Retry.js"
import type { Router } from "./Router.js"

/**
 * A job at a provider, as plain data: `JSON.stringify` writes it, and this schema reads it back.
 */
export const Job = Jobs.Job
export type Job = Jobs.Job

/** How a job stands. A state that is unknown here counts as running, with a warning. */
export type Status = Jobs.Status

/**
 * Why a batch cannot be gone on with. Requests that fail are no such error: they are outcomes.
 *
 * - `NoBatchApi`: no endpoint of the router has a batch API.
 * - `Budgeted`: a `Budget.layer` is at hand, which cannot hold for jobs: they are submitted whole.
 * - `UnknownEndpoint`: the router has no endpoint of this id.
 * - `NotSubmitted`: a job could not be made; `jobs` are those that were.
 * - `Unreachable`: a job cannot be asked after, for an error that does not pass.
 * - `Deadline`: a job has not ended in time.
 */
export const ProviderBatchError = Jobs.ProviderBatchError
export type ProviderBatchError = Jobs.ProviderBatchError

/** The services below a batch. */
export type Services = Providers | Router

/** How requests become jobs. */
export interface SubmitOptions {
  /**
   * Id of the endpoint that the jobs go to. Default: for each request the first endpoint of the router that has a batch
   * API and the request's model, or the first that has one. Of a request with a task only the task's endpoints count;
   * where none of them will do, its outcome is an `UnsupportedError`.
   */
  readonly endpoint?: string | undefined
  /** The task of the router under which requests are asked. Default: none. */
  readonly task?: string | undefined
  /**
   * How long the provider may take, in whole hours, where it lets one choose: OpenAI has but 24 hours, Mistral any.
   * Default 24 hours.
   */
  readonly completionWindow?: Duration.DurationInput | undefined
  /** Requests in one job, at most. Default: what the provider allows. */
  readonly maxRequestsPerJob?: number | undefined
  /** When a call of the batch API that failed is made again. Default: the `RetryPolicy` at hand. */
  readonly retry?: Retry.Policy | undefined
}

/** How jobs are waited for. */
export interface WaitOptions {
  /** The first pause between two looks at a job; each is half as long again as the one before. Default 10 seconds. */
  readonly pollInterval?: Duration.DurationInput | undefined
  /** The longest pause of our own making; a server's `retry-after` may be longer. Default 5 minutes. */
  readonly longestInterval?: Duration.DurationInput | undefined
  /** How long a job is waited for in all. Default 3 days. */
  readonly deadline?: Duration.DurationInput | undefined
  /** When a look that failed is made again. Default: the `RetryPolicy` at hand; after that, with the next pause. */
  readonly retry?: Retry.Policy | undefined
  /** Is told how a job stands, each time that has changed. */
  readonly onStatus?: ((status: Status) => Effect.Effect<void>) | undefined
}

/** How answers are stored. */
export interface ResultOptions extends Pick<SubmitOptions, "endpoint" | "task" | "retry"> {
  /** What is to be done with stored answers, where a request does not say itself. Default `readWrite`. */
  readonly cache?: Mode | undefined
}

/** What {@link run} takes. */
export interface Options extends SubmitOptions, WaitOptions, ResultOptions {}

/** The same, with a file that a later run goes on from. */
export interface DurableOptions extends Options {
  /** File in which the jobs are written down, such as `"answers.jobs.jsonl"`. Delete it when its answers are done with. */
  readonly jobFile: string
}

/**
 * The outcome of each request, in input order. It takes hours: give it a `jobFile`, and run it again if it was stopped.
 * An interruption does not cancel the jobs.
 *
 * @example
 * import { Chat, OpenAILive, ProviderBatch } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Either from "effect/Either"
 *
 * const requests = ["Why is the sky blue?", "Why is grass green?"].map((prompt) =>
 *   Chat.prompt(prompt, { model: "gpt-4o-mini" })
 * )
 *
 * const program = Effect.gen(function* () {
 *   const outcomes = yield* ProviderBatch.run(requests, { jobFile: "answers.jobs.jsonl" })
 *   return outcomes.map(Either.match({
 *     onLeft: (error) => `${error._tag}: ${error.message}`,
 *     onRight: (response) => response.text
 *   }))
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(OpenAILive)))
 */
export const run: {
  <I extends RequestInput>(
    requests: Iterable<I>,
    options?: Options
  ): Effect.Effect<Array<Outcome<AnswerTo<I>>>, ProviderBatchError, Services | Cache>
  <I extends RequestInput>(
    requests: Iterable<I>,
    options: DurableOptions
  ): Effect.Effect<Array<Outcome<AnswerTo<I>>>, ProviderBatchError | CheckpointError, Services | Cache>
} = <I extends RequestInput>(requests: Iterable<I>, options: Options & Partial<DurableOptions> = {}) =>
  // without a file none fails, and the kind of a request decides the kind of its answer
  Run.run(requests, options) as Effect.Effect<
    Array<Outcome<AnswerTo<I>>>,
    ProviderBatchError,
    Services | Cache
  >

/**
 * Submits the requests, and gives the jobs: keep them. Requests that cannot be sent at all are in none of them;
 * {@link results} says why. The cache is not looked up. Fails with `NotSubmitted` if a job cannot be made, with those
 * that were.
 *
 * @example
 * import { Chat, OpenAILive, ProviderBatch } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const requests = [Chat.prompt("Why is the sky blue?", { model: "gpt-4o-mini" })]
 *
 * const program = Effect.gen(function* () {
 *   const jobs = yield* ProviderBatch.submit(requests)
 *   yield* ProviderBatch.wait(jobs, { pollInterval: "1 minute" })
 *   return yield* ProviderBatch.results(jobs, requests)
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(OpenAILive)))
 */
export const submit = (
  requests: Iterable<RequestInput>,
  options: SubmitOptions = {}
): Effect.Effect<ReadonlyArray<Job>, ProviderBatchError, Services> =>
  Effect.gen(function* () {
    yield* refuseBudget
    const { units } = yield* plan(requests, options, undefined)
    // there is no file that could fail
    const { failures, jobs } = yield* Effect.orDie(submitUnits(units.values(), options, none))
    const [first] = failures
    if (first === undefined) return jobs
    const [, error] = first
    return yield* new ProviderBatchError({
      reason: "NotSubmitted",
      message: `${failures.length} requests could not be submitted: ${error._tag}: ${error.message}`,
      jobs,
      error
    })
  })

/** How a job stands, asked now. */
export const status: (job: Job) => Effect.Effect<Status, LlmError | ProviderBatchError, Services> =
  Follow.status

/**
 * Asks after the jobs until all have ended, whatever their end, and gives it. Looks that fail for a while do no harm.
 */
export const wait = (
  jobs: ReadonlyArray<Job>,
  options: WaitOptions = {}
): Effect.Effect<Array<Status>, ProviderBatchError, Services> => Follow.wait(jobs, options)

/**
 * The outcomes of the requests out of the results of these jobs, in input order; the answers are stored in the cache.
 * A request that is in none of the jobs is a `CancelledError`. May be called by another process, and again.
 */
export const results = <I extends RequestInput>(
  jobs: ReadonlyArray<Job>,
  requests: Iterable<I>,
  options: ResultOptions = {}
): Effect.Effect<Array<Outcome<AnswerTo<I>>>, ProviderBatchError, Services | Cache> =>
  // the kind of a request decides the kind of its answer
  Run.results(jobs, requests, options) as Effect.Effect<
    Array<Outcome<AnswerTo<I>>>,
    ProviderBatchError,
    Services | Cache
  >

/**
 * Asks the provider to stop the job. It ends a while later, as `cancelled` (at Anthropic as ended), with the answers
 * that it has until then.
 */
export const cancel: (job: Job) => Effect.Effect<void, LlmError | ProviderBatchError, Services> =
  Follow.cancel
