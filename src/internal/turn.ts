/** One attempt on its way through a pool, and what it brings along. */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Endpoint } from "../Endpoint.js"
import { isRetryable, type LlmError, waitHint } from "../LlmError.js"
import type { Request } from "../Request.js"
import type { Timing } from "./alarm.js"
import type { Watched } from "./hedger.js"
import { type PermitQueue, QueueNode } from "./permitQueue.js"
import type { PoolMember } from "./poolMember.js"

/** What a pool wants to know of limit domains: a cheap look. */
export interface Domains extends Timing {
  /** See `RateLimiter`. */
  readonly delay: (domain: string, ahead: number) => number
  readonly headroom: (domain: string) => number
  /** The error of its account that keeps the domain from being asked, and until when. */
  readonly stop: (
    domain: string,
    now: number
  ) => { readonly error: LlmError; readonly until: number } | undefined
}

/** What a request has been through: endpoints that failed it, and when each may be asked again. */
export interface Past {
  failed: Map<string, number> | undefined
  /** It was too long for a window of this size; 0 where the size is not known. */
  window?: number | undefined
  /** Its place among all requests of the pool, by when it first asked for an endpoint. */
  arrival?: number | undefined
  /** What it failed with last, and for a window that is too small. */
  error?: LlmError | undefined
  tooLong?: LlmError | undefined
}

/** Hints end on multiples of this time: those who were told to wait together do so in one line. */
const hintStep = 100

/** An endpoint failed the request: it is left out until all others were asked; for good if it would fail again. */
export const failedAt = (past: Past, { contextWindow, id }: Endpoint, error: LlmError, now: number): void => {
  past.error = error
  if (error._tag === "ContextLengthError") {
    // a window that nobody states is taken for smaller than one that is stated
    past.window = Math.max(past.window ?? 0, contextWindow ?? 0)
    past.tooLong = error
  }
  const hint = Duration.toMillis(waitHint(error))
  const until = hint === 0 ? now : Math.ceil((now + hint) / hintStep) * hintStep
  past.failed ??= new Map()
  past.failed.set(id, isRetryable(error) ? until : Number.POSITIVE_INFINITY)
}

/** One attempt on its way through the pool. */
export class Turn extends QueueNode {
  readonly request: Request
  readonly past: Past
  readonly domains: Domains
  readonly task: string | undefined
  /** Of a second attempt: where the first one is, which is late. */
  readonly beside: PoolMember | undefined
  member: PoolMember | undefined
  isProbe = false
  /** Whether its limit domain has admitted it. */
  isAdmitted = false
  /** When it was sent. */
  startedAt: number | undefined
  resume: ((effect: Effect.Effect<PoolMember, LlmError>) => void) | undefined
  /** Where it waits. */
  line: PermitQueue<Turn> | undefined
  /** Of a first attempt that may be given a second one. */
  watched: Watched | undefined

  constructor(request: Request, past: Past, domains: Domains, task?: string, beside?: PoolMember) {
    super()
    this.task = task
    this.beside = beside
    this.request = request
    this.past = past
    this.domains = domains
  }
}

/** What a request asks of the pool. */
export type Question = Pick<Turn, "request" | "past" | "domains" | "task">
