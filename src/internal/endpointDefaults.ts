/**
 * The parameters of endpoints in the identity of a request, whose endpoint is not known yet. What all that may be asked
 * agree on is filled in, as if the request had said so itself; where they differ, the key tells the set of what they
 * say, and each request is given its endpoint's own as it is sent.
 */
import type { Endpoint } from "../Endpoint.js"
import type { Request } from "../Request.js"
import { canonicalJson } from "./cacheKey.js"
import { fill, missing } from "./requestDefaults.js"

export interface Filled {
  readonly request: Request
  /** What goes behind the source of the answers. */
  readonly suffix: string
}

/** What they all say, in the same words. */
const sharedOf = ([first, ...rest]: ReadonlyArray<Endpoint>): object =>
  Object.fromEntries(
    Object.entries(first?.parameters ?? {}).filter(([field, value]) => {
      const text = canonicalJson(value)
      return rest.every(
        ({ parameters = {} }) => canonicalJson(parameters[field as keyof typeof parameters]) === text
      )
    })
  )

/**
 * Fills the gaps of a request that one of these endpoints will be asked. With `isDrawn` any of them may have been drawn
 * for it in an earlier run: then its key is that of all of them.
 */
export const apply = (request: Request, candidates: ReadonlyArray<Endpoint>, isDrawn: boolean): Filled => {
  const filled = fill(request, sharedOf(candidates))
  const own = candidates.map(({ model, parameters = {} }) => {
    const fields = missing(filled, parameters) ?? {}
    return canonicalJson(filled.model === undefined || isDrawn ? { model, fields } : { fields })
  })
  const told = [...new Set(own)]
  const isPlain = candidates.every(({ parameters = {} }) => missing(filled, parameters) === undefined)
  return { request: filled, suffix: isPlain ? "" : `/${told.sort().join("+")}` }
}
