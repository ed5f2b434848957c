/** Access tokens that run out: kept for as long as they are good, and got anew when a server no longer takes them. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { AuthError, type LlmError } from "../LlmError.js"
import type * as Providers from "../Providers.js"

/** A token and when it runs out, in epoch milliseconds. */
export interface AccessToken {
  readonly token: Redacted.Redacted
  readonly expiresAt: number
}

/** What gives a token. One that does not say when it runs out is asked for before each call, once for those made at the same time. */
export type Source = Effect.Effect<Redacted.Redacted | AccessToken, LlmError>

/** How long before its end a token is no longer used: calls take time to arrive. */
const margin = 60_000

/** The token of a source, kept. */
export class TokenCache {
  readonly #source: Source
  /** A token that is being asked for, and how many calls wait for it: the last to leave gives it up. */
  #asked: { readonly fiber: Fiber.RuntimeFiber<Redacted.Redacted, LlmError>; waiting: number } | undefined
  #kept: AccessToken | undefined
  /** How many tokens there have been, and the last of them that a server has taken. */
  #generation = 0
  #accepted = 0

  constructor(source: Source) {
    this.#source = source
  }

  /** The token, or a new one. Those who want one at the same time share the asking. */
  readonly get: Effect.Effect<Redacted.Redacted, LlmError> = Effect.clockWith((clock) =>
    Effect.suspend(() =>
      this.#kept !== undefined && this.#kept.expiresAt - margin > clock.unsafeCurrentTimeMillis()
        ? Effect.succeed(this.#kept.token)
        : this.#shared
    )
  )

  get #shared(): Effect.Effect<Redacted.Redacted, LlmError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() =>
        this.#asked === undefined
          ? Effect.map(Effect.forkDaemon(Effect.interruptible(this.#renewed)), (fiber) => {
              const asked = { fiber, waiting: 0 }
              this.#asked = asked
              fiber.addObserver(() => {
                if (this.#asked === asked) this.#asked = undefined
              })
              return asked
            })
          : Effect.succeed(this.#asked)
      ).pipe(
        Effect.flatMap((asked) => {
          asked.waiting++
          return Effect.onInterrupt(restore(Effect.flatten(Fiber.await(asked.fiber))), () =>
            Effect.suspend(() => {
              asked.waiting--
              if (asked.waiting > 0) return Effect.void
              if (this.#asked === asked) this.#asked = undefined
              return Fiber.interruptFork(asked.fiber)
            })
          )
        })
      )
    )
  }

  get #renewed(): Effect.Effect<Redacted.Redacted, LlmError> {
    return Effect.map(this.#source, (given) => {
      if (Redacted.isRedacted(given)) return given
      this.#kept = given
      this.#generation++
      return given.token
    })
  }

  /** The error of a call that began with this token: another try may do, if the token was good once. */
  #judged(error: LlmError, generation: number): LlmError {
    if (error._tag !== "AuthError" || generation === 0 || generation > this.#accepted) return error
    if (generation === this.#generation) this.#kept = undefined
    return new AuthError({ ...error, message: error.message, shouldRetry: true })
  }

  /** The provider whose calls carry these tokens, told what becomes of them. */
  provider(inner: Providers.Provider): Providers.Provider {
    const { stream } = inner
    const followed = <A, R, B>(
      call: Effect.Effect<A, never, R>,
      outcome: (a: A) => Either.Either<B, LlmError>,
      change: (a: A, error: LlmError) => A
    ) =>
      Effect.suspend(() => {
        const generation = this.#generation
        return Effect.map(call, (given) => {
          const result = outcome(given)
          if (Either.isLeft(result)) return change(given, this.#judged(result.left, generation))
          this.#accepted = Math.max(this.#accepted, generation)
          return given
        })
      })
    return {
      ...inner,
      attempt: (request, endpoint, timeoutMs) =>
        followed(
          inner.attempt(request, endpoint, timeoutMs),
          ({ outcome }) => outcome,
          (attempt, error) => ({ ...attempt, outcome: Either.left(error) })
        ),
      ...(stream === undefined
        ? undefined
        : {
            stream: (request, endpoint, timeoutMs) =>
              followed(
                stream(request, endpoint, timeoutMs),
                ({ parts }) => parts,
                (attempt, error) => ({ ...attempt, parts: Either.left(error) })
              )
          })
    }
  }
}
