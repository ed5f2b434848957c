/** A job at a provider: its handle, what is said of it, and why it cannot be gone on with. */
import * as Schema from "effect/Schema"
import { LlmError } from "../LlmError.js"

/** See `ProviderBatch.Job`, which this is. It lives here so that the internals can read and write it. */
export const Job = Schema.Struct({
  /** The provider's id of the job. */
  id: Schema.String,
  /** Name of the provider. */
  provider: Schema.String,
  /** Id of the endpoint, by which a later run finds address and credential. */
  endpoint: Schema.String,
  model: Schema.String,
  /** Our own name of the job, which the provider has too where it keeps names. */
  key: Schema.String,
  /** When it was submitted, epoch milliseconds. */
  submittedAt: Schema.Number,
  /** Its requests, by the ids of their lines: the cache keys, so that results find their requests in any order. */
  ids: Schema.Array(Schema.String)
})
export type Job = typeof Job.Type

/** See `ProviderBatch.Status`. */
export interface Status {
  readonly job: Job
  readonly state:
    | "queued"
    | "running"
    | "finalizing"
    | "cancelling"
    | "succeeded"
    | "failed"
    | "expired"
    | "cancelled"
  /** The provider's own word for it. */
  readonly rawState: string
  /** Whether there is nothing more to wait for. */
  readonly ended: boolean
  /** Requests that have their answer, and those that failed, as far as the provider says so before the end. */
  readonly succeeded: number
  readonly failed: number
}

/** See `ProviderBatch.ProviderBatchError`. */
export class ProviderBatchError extends Schema.TaggedError<ProviderBatchError>()("ProviderBatchError", {
  /** What kind of trouble, for code that acts on it. */
  reason: Schema.Literal(
    "NoBatchApi",
    "UnknownEndpoint",
    "Budgeted",
    "NotSubmitted",
    "Unreachable",
    "Deadline"
  ),
  /** What happened and what to do, in one line. */
  message: Schema.String,
  /** The jobs that were submitted: they go on at the provider, and `results` finds their answers. */
  jobs: Schema.Array(Job),
  /** What the provider said, where it did. */
  error: Schema.optional(LlmError)
}) {}
