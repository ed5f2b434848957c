/** How a request waits for its admission to a limit domain, makes its attempt, and leaves. */
import * as Effect from "effect/Effect"
import { NetworkError, RequestTooLargeError } from "../LlmError.js"
import type { Permit } from "../RateLimiter.js"
import type { LimitDomain } from "./limitDomain.js"
import type { SharedDomain } from "./sharedDomain.js"
import type { Refusal, Ticket } from "./ticket.js"

export const refusalError = (domain: string, refusal: Refusal): RequestTooLargeError | NetworkError =>
  "away" in refusal
    ? new NetworkError({
        provider: domain,
        code: "rate_limiter_unavailable",
        message: `The shared limits of ${domain} cannot be known: ${refusal.away}`
      })
    : new RequestTooLargeError({
        provider: domain,
        code: "request_exceeds_rate_limit",
        message: `The request needs ${refusal.amount} of ${refusal.name}, and the limit of ${domain} is ${refusal.limit}`
      })

type Domain = LimitDomain | SharedDomain

/**
 * One attempt, from its admission or the wait for it to its end. What a waiting request keeps alive is most of what
 * waiting costs, for it outlives the young generation of the heap: so there is one frame for the wait and the attempt
 * together, and the parts of the permit are made when they are asked for.
 */
export class Admission implements Permit {
  readonly #domain: Domain
  readonly #ticket: Ticket
  /** From here on it counts, however it ends. */
  #hasStarted: boolean

  constructor(domain: Domain, ticket: Ticket) {
    this.#domain = domain
    this.#ticket = ticket
    this.#hasStarted = ticket.status === "admitted"
  }

  get settle(): Permit["settle"] {
    return (actual) => Effect.sync(() => this.#domain.settle(this.#ticket, actual))
  }

  get congested(): Permit["congested"] {
    return Effect.sync(() => this.#domain.congested(this.#ticket))
  }

  /** Makes the attempt, if need be once the request is admitted; fails if it is turned away. */
  run<A, E, R>(
    name: string,
    use: (permit: Permit) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | RequestTooLargeError | NetworkError, R> {
    if (this.#hasStarted) return Effect.suspend(() => use(this))
    return Effect.async((resume) =>
      this.#ticket.onDecided((refused) =>
        resume(
          refused === undefined
            ? Effect.suspend(() => this.#start(use))
            : Effect.fail(refusalError(name, refused))
        )
      )
    )
  }

  end(succeeded: boolean): void {
    if (this.#hasStarted) this.#domain.release(this.#ticket, succeeded)
    else this.#domain.leave(this.#ticket)
  }

  #start<A, E, R>(use: (permit: Permit) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    this.#domain.start(this.#ticket)
    this.#hasStarted = true
    return use(this)
  }
}
