/** The documents of a reranking in the order of how well they fit. */
import * as Either from "effect/Either"
import type { LlmError } from "../LlmError.js"
import { fromEncoded, type Ranked, type RerankResponse } from "../Response.js"
import type { Usage } from "../Usage.js"
import { type Asked, answered } from "../Wire.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { noAnswer } from "./noAnswer.js"
import { estimatedUsage } from "./tokenEstimate.js"
import { countOf, numberOf, objectOf, textOf } from "./wireValues.js"

const ranked = (item: unknown): Ranked | undefined => {
  const { index, relevance_score: relevance, score } = objectOf(item)
  const place = countOf(index)
  const fit = numberOf(relevance) ?? numberOf(score)
  return place === undefined || fit === undefined ? undefined : { index: place, score: fit }
}

/**
 * Reads `[{ index, relevance_score }]` from the field `list` of an answer. `usageOf` reads what was used, and gives
 * nothing where the answer does not tell.
 */
export const decode =
  (list: "results" | "data", usageOf: (body: JsonObject, asked: Asked) => Usage | undefined) =>
  (body: unknown, asked: Asked): Either.Either<RerankResponse, LlmError> => {
    const items = isJsonObject(body) ? body[list] : undefined
    if (!isJsonObject(body) || !Array.isArray(items)) {
      return Either.left(noAnswer(asked, body, "a list of ranked documents"))
    }
    const results = items.map(ranked)
    const whole = results.filter((result) => result !== undefined)
    if (whole.length !== results.length) {
      return Either.left(noAnswer(asked, body, "a list of ranked documents with their scores"))
    }
    const response = fromEncoded({
      ...answered(asked, body),
      _tag: "RerankResponse",
      results: whole.sort((a, b) => b.score - a.score),
      usage: usageOf(body, asked) ?? estimatedUsage(asked.request),
      model: textOf(body.model) ?? asked.model
    })
    // the tag says so
    return Either.right(response as RerankResponse)
  }

/** Usage as Voyage and Jina state it: tokens in all. */
export const tokenUsage = ({ usage }: JsonObject): Usage | undefined => {
  const inputTokens = countOf(objectOf(usage).total_tokens)
  return inputTokens === undefined ? undefined : { inputTokens, outputTokens: 0 }
}
