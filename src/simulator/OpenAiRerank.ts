/** `POST /rerank` of servers that speak OpenAI's wire and rank documents besides, as vLLM and Together do. */
import { list } from "./BodyChecks.js"
import { type Body, firstOf, missing, tooLong, wrongType } from "./OpenAiError.js"
import { tokensOf } from "./Text.js"
import * as Vectors from "./Vectors.js"
import type { Call, Reply, WireOptions } from "./Wire.js"

/** Reads a request, or refuses it. */
export const read = (body: Body, options: WireOptions): Call | Reply => {
  const { documents, query } = body
  const texts = list(documents).map(String)
  const inputTokens = texts.reduce(
    (sum, text) => sum + tokensOf(text.length) + tokensOf(String(query).length),
    0
  )
  const reply = firstOf(
    () => (body["model"] === undefined ? missing("model") : undefined),
    () => (typeof query === "string" ? undefined : missing("query")),
    () => (Array.isArray(documents) ? undefined : wrongType("documents", "an array", documents)),
    () => tooLong(options, inputTokens, undefined, "documents")
  )
  if (reply !== undefined) return reply
  const most = typeof body["top_n"] === "number" ? body["top_n"] : undefined
  return {
    _tag: "Call",
    model: String(body["model"]),
    prompt: [String(query), ...texts].join("\n"),
    inputTokens,
    maxOutputTokens: 0,
    answer: ({ hash }) => ({
      inputTokens,
      outputTokens: 0,
      body: JSON.stringify({
        id: `rerank-${hash.text}`,
        model: body["model"],
        usage: { prompt_tokens: inputTokens, total_tokens: inputTokens },
        results: Vectors.rank(String(query), texts, most)
      })
    })
  }
}
