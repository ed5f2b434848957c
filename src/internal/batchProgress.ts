/** Who is told how a batch gets on: the `Progress` at hand, and the function that the batch was given. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Progress from "../Progress.js"
import { RateLimiter } from "../RateLimiter.js"
import { Router } from "../Router.js"
import type { Observer } from "./observe.js"

/** What a batch may be asked to tell. */
export interface Options {
  /**
   * Is given the progress of this batch every `progressInterval`, and once more at its end. It may return an effect,
   * which is waited for: who is slow is called less often, and holds up nobody. A defect in it is a warning.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a function that returns nothing is what most will write
  readonly onProgress?: ((snapshot: Progress.Snapshot) => Effect.Effect<unknown> | void) | undefined
  /** Default 1 second. */
  readonly progressInterval?: Duration.DurationInput | undefined
}

/** Those who want to be told of one batch. */
export interface Told {
  /** The observers that only this batch has. */
  readonly observers: ReadonlyArray<Observer>
  /** A request could not be asked. */
  readonly failed: (tag: string) => void
}

const nobody: Told = { observers: [], failed: () => {} }

/** How many requests a source has, where it is a collection that says so. */
export const sizeOf = (source: object): number | undefined => {
  if (!(Symbol.iterator in source)) return undefined
  const { length, size } = source as { readonly length?: unknown; readonly size?: unknown }
  const known = typeof length === "number" ? length : size
  return typeof known === "number" && Number.isSafeInteger(known) && known >= 0 ? known : undefined
}

/** Begins to tell them; until the scope closes. */
export const open = (
  { onProgress, progressInterval = "1 second" }: Options,
  total: number | undefined
): Effect.Effect<Told, never, RateLimiter | Router | Scope.Scope> =>
  Effect.gen(function* () {
    const shared = yield* Effect.serviceOption(Progress.Progress)
    if (Option.isNone(shared) && onProgress === undefined) return nobody
    const own = onProgress === undefined ? undefined : yield* Progress.make()
    const followed = { limiter: yield* RateLimiter, router: yield* Router, total }
    const all = [...Option.toArray(shared), ...(own === undefined ? [] : [own])]
    for (const progress of all) yield* progress.follow(followed)
    if (own !== undefined && onProgress !== undefined) {
      const tell = Effect.flatMap(own.snapshot, (snapshot) => {
        const told = onProgress(snapshot)
        return Effect.isEffect(told) ? told : Effect.void
      }).pipe(Effect.catchAllCause((cause) => Effect.logWarning("onProgress failed", cause)))
      yield* Effect.addFinalizer(() => tell)
      const pause = Effect.sleep(Duration.decode(progressInterval))
      yield* Effect.forkScoped(Effect.forever(Effect.zipRight(pause, tell)))
    }
    return {
      observers: own === undefined ? [] : [own.observer],
      failed: (tag) => {
        for (const progress of all) progress.failed(tag)
      }
    }
  })
