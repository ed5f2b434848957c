/**
 * A provider's asynchronous batch API, described: how a job is made out of ordinary calls, how it is asked after, and
 * how its results are read. What the calls are and how their answers read is the protocol's own business.
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Endpoint } from "../Endpoint.js"
import type { LlmError } from "../LlmError.js"
import type { BatchHttp } from "./providerBatchHttp.js"

/** Where a job is, the same words for every provider. The last four are ends. */
export type State =
  | "queued"
  | "running"
  | "finalizing"
  | "cancelling"
  | "succeeded"
  | "failed"
  | "expired"
  | "cancelled"

/** What the provider says of a job. */
export interface Report {
  readonly id: string
  /** Absent where the provider's word is unknown. */
  readonly state: State | undefined
  /** The provider's own word. */
  readonly rawState: string
  /** Requests in the job, and how many of them have ended, as far as the provider says so before the end. */
  readonly total: number
  readonly succeeded: number
  readonly failed: number
  /** Why the job as a whole failed, with the status that a call would have had. */
  readonly problem: Refused | undefined
  /** Seconds to wait before asking again, where the provider says so. */
  readonly retryAfter: number | undefined
}

/** An error with the status and the body that an ordinary call would have had. */
export interface Refused {
  readonly _tag: "Refused"
  readonly status: number
  readonly body: unknown
  readonly requestId: string | undefined
}

/** What became of one request of a job. */
export type Result =
  | { readonly _tag: "Answered"; readonly body: unknown; readonly requestId: string | undefined }
  | Refused
  | { readonly _tag: "Expired" }
  | { readonly _tag: "Cancelled" }

/** One line of the results, which come in any order. */
export interface Line {
  readonly id: string
  readonly result: Result
}

/** A job to be made. */
export interface Draft {
  /** Under which it can be found again. */
  readonly key: string
  readonly model: string
  /** The path of the ordinary calls. */
  readonly path: string
  /** The bodies of the ordinary calls, as JSON. */
  readonly entries: ReadonlyArray<{ readonly id: string; readonly body: string }>
  readonly windowHours: number
}

/** What is known of a job that may have been made. */
export interface Sought {
  readonly key: string
  readonly path: string
  readonly size: number
  /** No earlier than this, epoch milliseconds. */
  readonly since: number
  /** Ids of jobs that are others. */
  readonly known: ReadonlySet<string>
}

/** One batch API. */
export interface BatchWire {
  /** Requests that a job may hold. */
  readonly maxRequests: number
  /** Bytes that a job may hold, all its lines together. */
  readonly maxBytes: number
  /** Whether a job waits as long as it is told; otherwise the provider's window is the only one. */
  readonly hasWindow: boolean
  /** Whether calls of this path can be in a job. */
  readonly accepts: (path: string, endpoint: Endpoint) => boolean
  /** The body of an ordinary call as it stands in a line. Default: as it is. */
  readonly body?: ((body: unknown) => unknown) | undefined
  /** Puts the lines where `create` finds them, where they do not travel with it. Costs nothing; may be done twice. */
  readonly upload?: (http: BatchHttp, draft: Draft) => Effect.Effect<string | undefined, LlmError>
  /** Makes the job. This is what is paid for. */
  readonly create: (
    http: BatchHttp,
    draft: Draft,
    uploaded: string | undefined
  ) => Effect.Effect<Report, LlmError>
  /** The job that was made under this key, if there is one. */
  readonly find: (http: BatchHttp, sought: Sought) => Effect.Effect<Report | undefined, LlmError>
  readonly report: (http: BatchHttp, id: string) => Effect.Effect<Report, LlmError>
  /** All lines that there are, of successes and failures. */
  readonly results: (http: BatchHttp, id: string) => Stream.Stream<Line, LlmError>
  readonly cancel: (http: BatchHttp, id: string) => Effect.Effect<void, LlmError>
}

const ends: ReadonlySet<State | undefined> = new Set(["succeeded", "failed", "expired", "cancelled"])

/** Whether a job has come to its end. One whose state is unknown has not. */
export const hasEnded = ({ state }: Pick<Report, "state">): boolean => ends.has(state)
