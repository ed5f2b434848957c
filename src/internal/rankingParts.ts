/** A ranking of more documents than a provider takes in one call, in parts. */
import * as Either from "effect/Either"
import type { Hit } from "../Cache.js"
import { InvalidRequestError } from "../LlmError.js"
import { type Rerank, withFields } from "../Request.js"
import { fromEncoded, type Ranked } from "../Response.js"
import { common } from "./partAnswers.js"

/** A ranking of many documents as several of `most` each. The best of all are among the best of each. */
export const split = (request: Rerank, most: number): ReadonlyArray<Rerank> =>
  Array.from({ length: Math.ceil(request.documents.length / most) }, (_, part) =>
    withFields(request, { documents: request.documents.slice(part * most, (part + 1) * most) })
  )

/**
 * One ranking out of those of `most` documents each; their bodies are listed in `raw`. The scores of one model hold
 * from call to call, those of two cannot be compared.
 */
export const join = (
  answers: ReadonlyArray<Hit>,
  request: Rerank,
  most: number
): Either.Either<Hit, InvalidRequestError> => {
  const models = new Set(answers.map(({ response }) => response.model))
  if (models.size > 1) {
    return Either.left(
      new InvalidRequestError({
        provider: "floodgate",
        message: `The documents went to several models (${[...models].join(", ")}), whose scores cannot be compared: name one in the request`
      })
    )
  }
  const { fields, origin } = common(answers, request)
  const results = answers.flatMap(
    ({ response }, part): ReadonlyArray<Ranked> =>
      response._tag === "RerankResponse"
        ? response.results.map(({ index, score }) => ({ index: part * most + index, score }))
        : []
  )
  const response = fromEncoded({
    _tag: "RerankResponse",
    results: results.sort((a, b) => b.score - a.score).slice(0, request.topN),
    raw: answers.map(({ response }) => response.raw),
    ...fields
  })
  return Either.right({ response, origin })
}
