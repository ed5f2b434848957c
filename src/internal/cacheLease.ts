/**
 * The leases of one process: which answers it is getting for all who share the store. Others wait for them, until
 * the answer is stored or the lease has gone.
 */
import { randomUUID } from "node:crypto"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { CacheStoreError, Leases } from "../CacheStore.js"
import { byNamespace } from "./cacheNamespace.js"
import { coalesce } from "./coalesce.js"

export interface CacheLease {
  /** Takes what is free among these keys, and keeps it until it is settled or released. */
  readonly take: (
    namespace: string,
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlySet<string>, CacheStoreError>
  /** The answer is stored, which has ended the lease. */
  readonly settled: (namespace: string, key: string) => void
  /** There will be no answer: others may ask. */
  readonly release: (namespace: string, key: string) => Effect.Effect<void, CacheStoreError>
}

/** A store that fails is asked again, or the lease ends by itself. One that throws where it should fail is to be mended. */
const attempt = (use: () => Effect.Effect<unknown, CacheStoreError>): Effect.Effect<unknown> =>
  Effect.catchAllCause(Effect.suspend(use), (cause) =>
    Cause.isDie(cause) ? Effect.logWarning("Cache: the store's leases have a defect", cause) : Effect.void
  )

/** Leases that one renewal takes at most. */
const renewedAtOnce = 500

/** Leases last so many milliseconds, and are renewed for as long as they are held. */
export const make = (leases: Leases, millis: number): Effect.Effect<CacheLease, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const owner = randomUUID()
    const held = new Map<string, Set<string>>()
    let renewing = false

    const drop = (namespace: string, key: string): void => {
      const keys = held.get(namespace)
      keys?.delete(key)
      if (keys?.size === 0) held.delete(namespace)
    }

    const groups = () =>
      [...held].flatMap(([namespace, keys]) => {
        const all = [...keys]
        return Array.from({ length: Math.ceil(all.length / renewedAtOnce) }, (_, i) => ({
          namespace,
          keys: all.slice(i * renewedAtOnce, (i + 1) * renewedAtOnce)
        }))
      })

    // a renewal that fails is made up for by the next: the lease lasts for three
    const renew: Effect.Effect<void> = Effect.flatMap(Effect.sleep(millis / 3), () => {
      if (held.size === 0) {
        renewing = false
        return Effect.void
      }
      return Effect.forEach(groups(), ({ keys, namespace }) =>
        attempt(() => leases.take(namespace, keys, owner, millis))
      ).pipe(Effect.zipRight(renew))
    })

    // from the flag to the fork: whoever is interrupted in between would leave the flag up and nobody renewing
    const startRenewing = Effect.uninterruptible(
      Effect.suspend(() => {
        if (renewing) return Effect.void
        renewing = true
        return Effect.forkIn(Effect.interruptible(renew), scope)
      })
    )

    // those whose release was cut short included: nobody is to wait for a process that is gone
    yield* Scope.addFinalizer(
      scope,
      Effect.suspend(() =>
        Effect.forEach(groups(), ({ keys, namespace }) =>
          attempt(() => leases.release(namespace, keys, owner))
        )
      )
    )

    const release = yield* coalesce(
      (items: ReadonlyArray<{ readonly namespace: string; readonly key: string }>) =>
        byNamespace(items, (namespace, group) =>
          Effect.map(
            leases.release(
              namespace,
              group.map(({ key }) => key),
              owner
            ),
            () => {
              for (const { key } of group) drop(namespace, key)
              return new Array<void>(group.length)
            }
          )
        ),
      { most: 100 }
    )

    return {
      take: (namespace, keys) =>
        Effect.tap(
          Effect.suspend(() => leases.take(namespace, keys, owner, millis)),
          (taken) => {
            if (taken.size === 0) return Effect.void
            const all = held.get(namespace) ?? new Set()
            held.set(namespace, all)
            for (const key of taken) all.add(key)
            return renewing ? Effect.void : startRenewing
          }
        ),
      settled: drop,
      release: (namespace, key) => release({ namespace, key })
    }
  })
