/**
 * The answers in a store, as the cache sees them: many look-ups in one, leases on what is not there, and a store that
 * fails is one that has nothing.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { CacheStoreError, type Entry, type Service as Store } from "../CacheStore.js"
import type { Response } from "../Response.js"
import * as CacheEntry from "./cacheEntry.js"
import * as CacheLease from "./cacheLease.js"
import { byNamespace } from "./cacheNamespace.js"
import { coalesce } from "./coalesce.js"

/** A question on its way through the cache. */
export interface Question {
  readonly namespace: string
  readonly key: string
  /** Whether this process is to get the answer for all, if nobody does so yet. */
  readonly leases: boolean
  /** The lease is ours. */
  leased: boolean
  /** Nobody asks any more: a lease would be of no use. */
  abandoned: boolean
}

export interface Found {
  readonly response: Response
  /** Whether another process was waited for. */
  readonly waited: boolean
}

export interface Answers {
  /** The stored answer. While another process has the lease on it, that one is waited for. */
  readonly find: (question: Question) => Effect.Effect<Found | undefined>
  /** The answers that are stored and can be given at once. Of what fails or is not there nothing is told. */
  readonly recall: (
    questions: ReadonlyArray<Pick<Question, "namespace" | "key">>
  ) => Effect.Effect<ReadonlyArray<Response | undefined>>
  /** Stores an answer, with which its lease ends, and says whether that went well. */
  readonly keep: (question: Question, value: string, timeToLive: number) => Effect.Effect<boolean>
  /** Ends the lease without an answer: others may ask. */
  readonly release: (question: Question) => Effect.Effect<void>
  /** Like `release`, without waiting for it. */
  readonly abandon: (question: Question) => Effect.Effect<void>
  /** Counts what failed, and warns of the first. */
  readonly failed: (cause: Cause.Cause<CacheStoreError>) => Effect.Effect<void>
}

export interface Options {
  /** Whether a stored answer may be given. */
  readonly accepts: (response: Response) => boolean
  /** How long leases last, in milliseconds; without it there are none. */
  readonly lease: number | undefined
  readonly onFailure: () => void
}

/** The first wait for another process and the longest one, in milliseconds. */
const firstWait = 20
const longestWait = 500

/** What one look at the store found: the answer, or that another process is getting it. */
type Glance = string | typeof elsewhere | undefined
const elsewhere = Symbol("elsewhere")

const storeError = (cause: Cause.Cause<CacheStoreError>): CacheStoreError => {
  const error = Cause.squash(cause)
  return error instanceof CacheStoreError
    ? error
    : new CacheStoreError({ message: `the store failed: ${String(error)}`, cause: error })
}

export const make = (store: Store, options: Options): Effect.Effect<Answers, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const lease =
      store.leases === undefined || options.lease === undefined
        ? undefined
        : yield* CacheLease.make(store.leases, options.lease)
    let warned = false

    const failed: Answers["failed"] = (cause) =>
      Effect.suspend(() => {
        // the scope of the cache closes
        if (Cause.isInterruptedOnly(cause)) return Effect.void
        options.onFailure()
        if (warned) return Effect.void
        warned = true
        return Effect.logWarning(`Cache: ${storeError(cause).message}. The run goes on without it`)
      })

    const release = (question: Question): Effect.Effect<void> =>
      lease === undefined || !question.leased
        ? Effect.void
        : Effect.catchAllCause(lease.release(question.namespace, question.key), failed)

    const abandon = (question: Question) =>
      Effect.suspend(() => {
        question.abandoned = true
        return question.leased ? Effect.asVoid(Effect.forkIn(release(question), scope)) : Effect.void
      })

    /** Asks for the leases of these questions, which have no answer. Without leases each makes its own call. */
    const leaseAll = (namespace: string, questions: ReadonlyArray<Question>): Effect.Effect<boolean> =>
      lease === undefined || questions.length === 0
        ? Effect.succeed(false)
        : lease
            .take(
              namespace,
              questions.map(({ key }) => key)
            )
            .pipe(
              Effect.flatMap((taken) =>
                Effect.as(
                  Effect.forEach(
                    questions,
                    (question) => {
                      question.leased = taken.has(question.key)
                      return question.abandoned ? abandon(question) : Effect.void
                    },
                    { discard: true }
                  ),
                  true
                )
              ),
              Effect.catchAllCause((cause) => Effect.as(failed(cause), false))
            )

    const glance = yield* coalesce(
      (questions: ReadonlyArray<Question>) =>
        byNamespace(questions, (namespace, group) =>
          Effect.matchCauseEffect(
            // a store may throw where it should fail
            Effect.suspend(() =>
              store.getMany(
                namespace,
                group.map(({ key }) => key)
              )
            ),
            {
              onFailure: (cause) => Effect.as(failed(cause), new Array<Glance>(group.length)),
              onSuccess: (values) => {
                const missing =
                  lease === undefined
                    ? []
                    : group.filter(({ abandoned, key, leases }) => leases && !abandoned && !values.has(key))
                return Effect.map(leaseAll(namespace, missing), (asked) =>
                  group.map(
                    (question): Glance =>
                      values.get(question.key) ??
                      (asked && question.leases && !question.leased ? elsewhere : undefined)
                  )
                )
              }
            }
          )
        ),
      { most: 100 }
    )

    const find = (question: Question, wait = 0): Effect.Effect<Found | undefined> =>
      Effect.flatMap(glance(question), (found) => {
        if (found === undefined) return Effect.succeed(undefined)
        if (found === elsewhere) {
          const next = Math.min(longestWait, wait === 0 ? firstWait : wait * 1.5)
          return Effect.zipRight(Effect.sleep(next), find(question, next))
        }
        const response = CacheEntry.decode(found)
        if (response instanceof CacheStoreError) {
          return Effect.as(failed(Cause.fail(response)), undefined)
        }
        return Effect.succeed(options.accepts(response) ? { response, waited: wait > 0 } : undefined)
      })

    const recall: Answers["recall"] = (questions) =>
      byNamespace(questions, (namespace, group) =>
        Effect.matchCause(
          Effect.suspend(() =>
            store.getMany(
              namespace,
              group.map(({ key }) => key)
            )
          ),
          {
            onFailure: () => new Array<Response | undefined>(group.length).fill(undefined),
            onSuccess: (values) =>
              group.map(({ key }) => {
                const value = values.get(key)
                const response = value === undefined ? undefined : CacheEntry.decode(value)
                return response === undefined ||
                  response instanceof CacheStoreError ||
                  !options.accepts(response)
                  ? undefined
                  : response
              })
          }
        )
      )

    const set = yield* coalesce(
      (entries: ReadonlyArray<Entry & { readonly namespace: string }>) =>
        byNamespace(entries, (namespace, group) =>
          Effect.matchCauseEffect(
            Effect.suspend(() => store.setMany(namespace, group)),
            {
              onFailure: (cause) => Effect.as(failed(cause), new Array<boolean>(group.length).fill(false)),
              onSuccess: () => Effect.succeed(new Array<boolean>(group.length).fill(true))
            }
          )
        ),
      { most: 200 }
    )

    return {
      find,
      recall,
      keep: ({ key, leased, namespace }, value, timeToLive) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.map(
            set({
              namespace,
              key,
              value,
              expiresAt: Number.isFinite(timeToLive) ? now + timeToLive : undefined
            }),
            (stored) => {
              if (stored && leased) lease?.settled(namespace, key)
              return stored
            }
          )
        ),
      release,
      abandon,
      failed
    }
  })
