/** The errors of successes whose bodies hold no answer. */
import { type LlmError, NetworkError } from "../LlmError.js"
import type { Asked } from "../Wire.js"
import { classifyEvent } from "./classifyError.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"

/** What an error of the call has besides its message. */
export const context = (
  asked: Asked
): { readonly provider: string; readonly requestId?: string | undefined } =>
  asked.requestId === undefined
    ? { provider: asked.provider }
    : { provider: asked.provider, requestId: asked.requestId }

/** Whether a body says what went wrong, as those of Mistral, Cohere, Voyage and Jina do at their top level. */
const isError = (body: unknown): body is JsonObject =>
  isJsonObject(body) &&
  (body.object === "error" ||
    typeof body.message === "string" ||
    body.detail !== undefined ||
    body.error != null)

/**
 * The error that a body tells of, as if it had come with its own status; else a `NetworkError`: the answer is not
 * `what` it should be.
 */
export const noAnswer = (asked: Asked, body: unknown, what: string): LlmError => {
  const told = isError(body)
    ? classifyEvent(
        asked.provider,
        {
          status: 200,
          headers: asked.requestId === undefined ? {} : { "x-request-id": asked.requestId },
          body: body.object === "error" ? body : { ...body, type: "error" }
        },
        // only Google tells of instants, and these are not Google's
        0
      )
    : undefined
  return told ?? new NetworkError({ ...context(asked), message: `the answer is not ${what}` })
}

/** The JSON of an event; nothing where it is none. */
export const eventJson = (data: string): unknown => {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}
