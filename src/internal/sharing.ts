/** Where the shared domains of a process meet their store: exchanges run as fibers, and one watch over its absence. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { RateLimiterStore, type RateLimiterStoreError } from "../RateLimiterStore.js"
import type { Limits } from "./limits.js"
import { SharedDomain } from "./sharedDomain.js"
import type { Time } from "./time.js"

export interface Options {
  readonly lease?: Duration.DurationInput | undefined
  readonly timeout?: Duration.DurationInput | undefined
  readonly whenAway?: "fail" | { readonly processes: number } | undefined
}

/** How the domains of this process are made. Their last words are said when the scope closes. */
export const makeSharing = (
  options: Options
): Effect.Effect<
  (name: string, limits: Limits, time: Time) => SharedDomain,
  RateLimiterStoreError,
  RateLimiterStore | Scope.Scope
> =>
  Effect.gen(function* () {
    const store = yield* RateLimiterStore
    const process = crypto.randomUUID()
    const domains = new Map<string, SharedDomain>()
    const lease = Duration.toMillis(options.lease ?? "10 seconds")
    const timeout = Duration.toMillis(options.timeout ?? "2 seconds")
    const whenAway = options.whenAway ?? "fail"
    const processes = whenAway === "fail" ? undefined : Math.max(1, whenAway.processes)

    yield* Effect.addFinalizer(() =>
      Effect.forEach(
        domains,
        ([name, domain]) => {
          const word = domain.lastWord()
          return word === undefined ? Effect.void : Effect.ignore(store.exchange(name, word))
        },
        { concurrency: "unbounded", discard: true }
      ).pipe(Effect.timeout(timeout), Effect.ignore)
    )
    const run = yield* FiberSet.makeRuntime<never>()

    let away = false
    const watch = Effect.gen(function* () {
      yield* Effect.retry(store.check, Schedule.spaced("1 seconds"))
      away = false
      yield* Effect.logInfo("RateLimiter: the shared limits are back")
      for (const domain of domains.values()) domain.resume()
    })
    const onAway = (reason: string | undefined): void => {
      if (reason === undefined && away) {
        away = false
        run(Effect.logInfo("RateLimiter: the shared limits are back"))
      }
      if (reason === undefined || away) return
      away = true
      const what =
        processes === undefined
          ? "Requests fail until they are back"
          : `This process goes on alone within 1/${processes} of them until they are back`
      const warning = Effect.logWarning(
        `RateLimiter: the shared limits cannot be reached. ${what}. ${reason}`
      )
      run(processes === undefined ? warning : Effect.zipRight(warning, watch))
    }

    yield* Effect.catchAll(store.check, (error) =>
      processes === undefined ? Effect.fail(error) : Effect.sync(() => onAway(error.message))
    )

    return (name, limits, time) => {
      const domain = new SharedDomain(limits, time, {
        process,
        lease,
        timeout,
        processes,
        onAway,
        exchange: (exchange, done) => {
          run(
            Effect.yieldNow().pipe(
              Effect.zipRight(store.exchange(name, exchange)),
              Effect.matchCause({
                onSuccess: done,
                onFailure: (cause) => {
                  const error = Cause.squash(cause)
                  if (!Cause.isInterruptedOnly(cause))
                    done(error instanceof Error ? error.message : String(error))
                }
              })
            )
          )
        }
      })
      if (away && processes !== undefined) domain.goAlone(processes)
      domains.set(name, domain)
      return domain
    }
  })
