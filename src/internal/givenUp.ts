/** Endpoints that may be asked together, where none of them can answer and no wait mends that: said once, until one does. */
import type { Request } from "../Request.js"
import type { PoolMember } from "./poolMember.js"
import type { Domains } from "./turn.js"

export class GivenUp {
  readonly #told = new Set<ReadonlyArray<PoolMember>>()

  /** One of them answered. */
  clear(): void {
    this.#told.clear()
  }

  /** What is worth a warning after a failure. */
  news(
    members: ReadonlyArray<PoolMember>,
    request: Request,
    domains: Domains,
    now: number
  ): string | undefined {
    if (this.#told.has(members)) return undefined
    const reasons: Array<string> = []
    for (const member of members) {
      const { domain, id } = member.endpoint
      const error = member.hopeless(now, request) ?? domains.stop(domain, now)?.error
      if (error === undefined) return undefined
      reasons.push(`${id}: ${error.message}`)
    }
    this.#told.add(members)
    const all = reasons.slice(0, 5).join("; ")
    return `No endpoint can answer, and no wait mends that: requests fail at once, but for one now and then to see. ${all}`
  }
}
