/** What the answers to the parts of one request have in common. */
import type { Hit } from "../Cache.js"
import type { Embedding, Rerank } from "../Request.js"
import type { Response } from "../Response.js"
import * as Usage from "../Usage.js"

export interface Common {
  readonly origin: Hit["origin"]
  readonly fields: Pick<Response, "usage" | "model" | "provider" | "meta">
}

/**
 * The whole is a stored answer if all its parts are; its usage is that of the parts that were sent, or of all if none
 * was.
 */
export const common = (answers: ReadonlyArray<Hit>, request: Embedding | Rerank): Common => {
  const fresh = answers.filter(({ origin }) => origin === "call")
  const counted = fresh.length === 0 ? answers : fresh
  const [first] = counted
  return {
    origin: first?.origin ?? "store",
    fields: {
      usage: counted.reduce((sum, { response }) => Usage.add(sum, response.usage), Usage.zero),
      model: first?.response.model ?? request.model ?? "",
      provider: first?.response.provider ?? "floodgate",
      meta: first?.response.meta ?? { attempts: 0, cached: true, latencyMs: 0 }
    }
  }
}
