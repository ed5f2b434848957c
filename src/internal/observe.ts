/**
 * What happens on the way of requests, told as it happens. Ledger, call log, metrics and progress are observers.
 *
 * Each HTTP attempt ends in one {@link AttemptEvent}, whatever ended it, and each request in one {@link RequestEvent};
 * one that is interrupted before it is settled has none. Observers are plain functions: they are called in the middle
 * of a request, and do not wait. What one throws is logged, once, and is no business of the request.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type { LlmError } from "../LlmError.js"
import type { Money } from "../Prices.js"
import type { Request } from "../Request.js"
import type { Response } from "../Response.js"
import type { Usage } from "../Usage.js"

/** A request on its way: one object in all that is told of it. */
export interface Journey {
  /** When it began, in epoch milliseconds. */
  readonly start: number
}

/** The end of one HTTP attempt. */
export interface AttemptEvent {
  /** When it ended, in epoch milliseconds. */
  readonly at: number
  /** From sending to the end, in milliseconds. */
  readonly latencyMs: number
  /** Id of the endpoint. */
  readonly endpoint: string
  readonly provider: string
  /** The model that was asked. */
  readonly model: string
  /** The limit domain. */
  readonly domain: string
  readonly task: string | undefined
  readonly request: Request
  /** The key of the request, where it has one. */
  readonly key: string | undefined
  /** Which of the request's attempts it was, from 1. */
  readonly attempt: number
  /** Whether it was sent while another attempt of the same request was under way. */
  readonly hedge: boolean
  /** How it ended. A `defect` is an error of a program, ours or a provider's. */
  readonly outcome: "answered" | "interrupted" | "defect" | LlmError["_tag"]
  readonly response: Response | undefined
  readonly error: LlmError | undefined
  /** What the provider bills for; absent where it said nothing of it, as of most failures. */
  readonly usage: Usage | undefined
  /** What that costs; absent without usage. */
  readonly cost: Money | "unpriced" | undefined
  /** Which prices the cost was reckoned with. */
  readonly prices: string
  /** What of the cost rests on less than a stated price, each with the name of that price. */
  readonly doubts?: ReadonlyArray<string> | undefined
  /** Where it may have been billed, and nobody told us: the most that it may come to, if that is known. */
  readonly unsettled: { readonly worst: Money | undefined } | undefined
  readonly serviceTier: string | undefined
  readonly requestId: string | undefined
  /** That of its request; absent for a call that several requests share. */
  readonly journey?: Journey | undefined
}

/** A request that is settled. */
export interface RequestEvent {
  /** When it was settled, in epoch milliseconds. */
  readonly at: number
  /** From its start, waits included, in milliseconds. */
  readonly latencyMs: number
  readonly request: Request
  readonly key: string | undefined
  readonly task: string | undefined
  /** Where its outcome is from: calls of its own, the cache, an equal request under way, or an earlier run. */
  readonly origin: "call" | "store" | "flight" | "checkpoint"
  readonly outcome: "answered" | LlmError["_tag"]
  readonly response: Response | undefined
  readonly error: LlmError | undefined
  /** Attempts made for it. */
  readonly attempts: number
  /** What an answer that was not asked for would have cost; absent for one that was. */
  readonly saved: Money | "unpriced" | undefined
  /** Absent for a request that was settled by an earlier run. */
  readonly journey?: Journey | undefined
}

/** A request that ends unsettled: interrupted, or its run was stopped. */
export interface AbandonedEvent {
  /** When it was given up, in epoch milliseconds. */
  readonly at: number
  readonly request: Request
  readonly journey: Journey
}

export interface Observer {
  readonly attempt?: ((event: AttemptEvent) => void) | undefined
  /**
   * What an attempt brought, of which `attempt` was told before, is not its request's answer: it does not fit the
   * schema, another came first, or nobody waits any more.
   */
  readonly wasted?: ((event: AttemptEvent) => void) | undefined
  readonly request?: ((event: RequestEvent) => void) | undefined
  readonly abandoned?: ((event: AbandonedEvent) => void) | undefined
  /**
   * Asked for once where requests are about to be made, such as for a batch, in the fiber that makes them: who observes
   * those requests in its place.
   */
  readonly within?: Effect.Effect<Observer> | undefined
}

/** The observers of the requests that are made in a fiber. */
export const observers: FiberRef.FiberRef<HashSet.HashSet<Observer>> = globalValue(
  "floodgate/observers",
  () => FiberRef.unsafeMakeHashSet(HashSet.empty<Observer>())
)

/** One more observer, beside those that there are, as `Logger.add` adds a logger. */
export const add = (observer: Observer): Layer.Layer<never> =>
  Layer.scopedDiscard(
    Effect.suspend(() => {
      const own = { ...observer }
      return Effect.zipRight(
        Effect.addFinalizer(() => Effect.sync(() => ended.add(own))),
        Effect.locallyScopedWith(observers, HashSet.add(own))
      )
    })
  )

/**
 * Observers whose layers have ended. Merged layers end in fibers of their own, and what those do to fiber refs never
 * reaches the fiber that had the layers: without this it would go on to tell observers that are gone.
 */
const ended = new WeakSet<Observer>()

const hasEnded = (observer: Observer): boolean => ended.has(observer)

/** The observers of this fiber, those that have ended taken out for good. */
const present = Effect.flatMap(FiberRef.get(observers), (all) => {
  if (!HashSet.some(all, hasEnded)) return Effect.succeed(all)
  const set = HashSet.filter(all, (observer) => !hasEnded(observer))
  return Effect.as(FiberRef.set(observers, set), set)
})

/** Observers that have thrown. Each is told of once. */
const broken = new WeakSet<Observer>()

const warnOf = (observer: Observer, cause: Cause.Cause<never>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (broken.has(observer)) return Effect.void
    broken.add(observer)
    return Effect.logWarning("An observer failed: what it tells of requests may be incomplete", cause)
  })

type Warn = (warning: Effect.Effect<void>) => void

/** One call of theirs as one call of all, which does not throw. */
const callAll = <E>(
  all: ReadonlyArray<Observer>,
  of: (observer: Observer) => ((event: E) => void) | undefined,
  warn: Warn
): ((event: E) => void) | undefined => {
  const calls = all.flatMap((observer) => {
    const call = of(observer)
    return call === undefined ? [] : [{ observer, call }]
  })
  if (calls.length === 0) return undefined
  return (event) => {
    for (const { call, observer } of calls) {
      try {
        call(event)
      } catch (defect) {
        warn(warnOf(observer, Cause.die(defect)))
      }
    }
  }
}

const together = (all: ReadonlyArray<Observer>, warn: Warn): Observer => ({
  attempt: callAll(all, ({ attempt }) => attempt, warn),
  wasted: callAll(all, ({ wasted }) => wasted, warn),
  request: callAll(all, ({ request }) => request, warn),
  abandoned: callAll(all, ({ abandoned }) => abandoned, warn)
})

/** Who observes in its place, if anybody does: to find that out is no reason to fail either. */
const inPlaceOf = (one: Observer): Effect.Effect<ReadonlyArray<Observer>> =>
  one.within === undefined
    ? Effect.succeed([one])
    : Effect.matchCauseEffect(one.within, {
        onFailure: (cause) =>
          Cause.isInterrupted(cause) ? Effect.failCause(cause) : Effect.as(warnOf(one, cause), []),
        onSuccess: (other) => Effect.succeed([other])
      })

const nobody = Effect.succeed(undefined)

/** All observers as one; none where nobody observes. Looked up once for many requests. */
export const observer: Effect.Effect<Observer | undefined> = Effect.flatMap(present, (set) =>
  HashSet.size(set) === 0
    ? nobody
    : Effect.flatMap(Effect.runtime<never>(), (runtime) =>
        Effect.map(Effect.forEach(set, inPlaceOf), (all) => together(all.flat(), Runtime.runFork(runtime)))
      )
)
