/** The answers to the texts of one embedding request, as one. */
import type { Hit } from "../Cache.js"
import type { Embedding } from "../Request.js"
import { fromEncoded, type Response } from "../Response.js"
import { common } from "./partAnswers.js"

const vectorOf = (response: Response): ReadonlyArray<number> =>
  response._tag === "EmbeddingResponse" ? (response.embeddings[0] ?? []) : []

/** One answer out of these, in the order of the texts. */
export const join = (answers: ReadonlyArray<Hit>, request: Embedding): Hit => {
  const { fields, origin } = common(answers, request)
  const embeddings = answers.map(({ response }) => vectorOf(response))
  return { response: fromEncoded({ _tag: "EmbeddingResponse", embeddings, ...fields }), origin }
}
