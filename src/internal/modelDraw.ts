/**
 * Draws the model of a request among several with weights: by what it asks and a seed alone, so that a run that is
 * resumed, or reads its input in another order, draws the same.
 *
 * Weighted rendezvous hashing: the model with the lowest -ln(u) / weight is drawn, where u is a number from 0 to 1 made
 * from the question and the model. Each has a chance in proportion to its weight, and other weights, or one model
 * more, move no more requests than the shares demand. See Schindelhauer and Schomaker, "Weighted Distributed Hash
 * Tables" (2005).
 */
import { type Request, withModel } from "../Request.js"
import { weightsOf } from "../Strategy.js"
import { canonicalJson, identityOf, sha256 } from "./cacheKey.js"

export interface Weight {
  readonly model: string
  readonly weight: number
}

/** The models that a short form such as `"mini:1+big:2"` stands for, without those of weight 0; none for another name. */
export const drawable = (model: string | undefined): ReadonlyArray<Weight> =>
  weightsOf(model ?? "")?.filter(({ weight }) => weight > 0) ?? []

/** What is wrong with a short form. */
export const faultOf = (model: string | undefined): string | undefined =>
  drawable(model).length > 0 || weightsOf(model ?? "") === undefined
    ? undefined
    : `No model can be drawn from "${model}": its weights add up to 0`

/** A number above 0 and below 1, from the first 48 bits of a hash. */
const unit = (digest: string): number =>
  (Buffer.from(digest.slice(0, 8), "base64url").readUIntBE(0, 6) + 0.5) / 2 ** 48

/** The request with the model that is drawn for it, and the others that could have been. */
export const drawModel = (
  request: Request,
  weights: ReadonlyArray<Weight>,
  seed: number
): { readonly request: Request; readonly others: ReadonlyArray<string> } => {
  const sample = request.cache?.sample ?? 0
  const asked = canonicalJson({ ...identityOf(request), model: undefined })
  const question = sha256(`${seed}\n${request._tag}\n${sample}\n${asked}`)
  const ranked = weights
    .map(({ model, weight }) => ({ model, score: -Math.log(unit(sha256(`${question}\n${model}`))) / weight }))
    // those of weight 0 come last, at an infinite score
    .sort((a, b) => (a.score === b.score ? 0 : a.score - b.score))
  const [drawn, ...others] = ranked.map(({ model }) => model)
  return { request: drawn === undefined ? request : withModel(request, drawn), others }
}
