/**
 * An attempt that is given a second one beside it, at another endpoint, once it is late. The first answer wins; a
 * failure waits for the other. Each is an attempt like any other: it passes the limiter, and is booked by itself.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { LlmError } from "../LlmError.js"
import type { Request } from "../Request.js"
import type { Response } from "../Response.js"
import { Watched } from "./hedger.js"
import type { Pool } from "./pool.js"
import type { PoolMember } from "./poolMember.js"
import { Turn } from "./turn.js"

type Answer = Exit.Exit<Response, LlmError>

/** Makes the attempt of a turn, at the endpoint that it is given, and says when the turn ended. */
export type Leg = (
  turn: Turn,
  place: Effect.Effect<PoolMember, LlmError>
) => Effect.Effect<Response, LlmError>

/**
 * Whether asking twice leaves no more behind than a bill: an answer that the provider is to store would be there twice,
 * and tools that run at the provider would run twice.
 */
export const mayBeHedged = (request: Request): boolean =>
  request._tag !== "Chat" ||
  (request.store !== true && request.tools?.some(({ type }) => type === "provider") !== true)

/** A second attempt that its limit does not admit within this time is given up: it would hold up first attempts. */
const patience = 50

type Attempt = Fiber.RuntimeFiber<Response, LlmError>

/** The answer that comes first; if both fail, what the first attempt failed with. */
const firstAnswer = (one: Attempt, other: Attempt, won: (winner: Attempt) => void): Effect.Effect<Answer> =>
  Effect.async((resume) => {
    let isOver = false
    let failure: Answer | undefined
    const settle = (fiber: Attempt) => (exit: Answer) => {
      if (isOver) return
      if (Exit.isFailure(exit) && failure === undefined) {
        failure = exit
        return
      }
      isOver = true
      if (Exit.isSuccess(exit)) won(fiber)
      resume(Effect.succeed(Exit.isSuccess(exit) || fiber === one ? exit : (failure ?? exit)))
    }
    one.addObserver(settle(one))
    other.addObserver(settle(other))
  })

const giveUpUnlessAdmitted = (turn: Turn, attempt: Attempt): Effect.Effect<void> =>
  Effect.zipRight(
    turn.domains.clock.sleep(Duration.millis(patience)),
    Effect.suspend(() => (turn.isAdmitted ? Effect.void : Fiber.interruptFork(attempt)))
  )

/** Runs `leg` for this turn, and beside it for another when the pool finds it late. `won` is told who answered. */
export const hedged = (
  pool: Pool,
  first: Turn,
  leg: Leg,
  won: (member: PoolMember) => void
): Effect.Effect<Response, LlmError> =>
  Effect.uninterruptibleMask((restore) => {
    let second: Turn | undefined
    let isLate: ((found: Effect.Effect<undefined>) => void) | undefined
    first.watched = new Watched(() => {
      const turn = new Turn(first.request, first.past, first.domains, first.task, first.member)
      if (isLate === undefined || pool.spare(turn) === undefined) return false
      second = turn
      isLate(Effect.succeed(undefined))
      isLate = undefined
      return true
    })
    const begin = (turn: Turn, place: Effect.Effect<PoolMember, LlmError>): Effect.Effect<Attempt> =>
      Effect.forkDaemon(Effect.interruptible(leg(turn, place)))

    /** How the attempt ended; nothing when it is late, and an endpoint for a second one was found. */
    const endOrLate = (one: Attempt): Effect.Effect<Answer | undefined> =>
      Effect.async((resume) => {
        isLate = resume
        one.addObserver((exit) => {
          isLate = undefined
          resume(Effect.succeed(exit))
        })
        return Effect.sync(() => {
          isLate = undefined
        })
      })

    const race = (one: Attempt, turn: Turn, member: PoolMember): Effect.Effect<Response, LlmError> => {
      const before = first.member
      return Effect.flatMap(begin(turn, Effect.succeed(member)), (other) =>
        Effect.flatMap(
          Effect.forkDaemon(Effect.interruptible(giveUpUnlessAdmitted(turn, other))),
          (timer) => {
            const decided = firstAnswer(one, other, (winner) => {
              pool.overtaken(first)
              const by = winner === one ? before : member
              if (by !== undefined) won(by)
            })
            const losers = Effect.map(Fiber.interruptAll([timer, other, one]), () => {
              // interrupted before it had begun, it has not given its endpoint back
              pool.left(turn)
            })
            return Effect.flatten(Effect.ensuring(restore(decided), losers))
          }
        )
      )
    }

    return Effect.flatMap(begin(first, pool.turn(first)), (one) =>
      Effect.matchCauseEffect(restore(endOrLate(one)), {
        onFailure: (cause) => {
          // interrupted in the moment in which an endpoint was found
          if (second !== undefined) pool.left(second)
          return Effect.zipRight(Fiber.interrupt(one), Effect.failCause(cause))
        },
        onSuccess: (answer) => {
          const member = second?.member
          return answer !== undefined || second === undefined || member === undefined
            ? (answer ?? Fiber.join(one))
            : race(one, second, member)
        }
      })
    )
  })
