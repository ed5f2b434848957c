/**
 * An outcome as one line of JSON, as output files and checkpoints have it, and back.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { isRetryable, type LlmError } from "../LlmError.js"
import type { Outcome, Settled } from "../Outcome.js"
import type { Request } from "../Request.js"
import { ChatResponse, fromFields, Meta, type Response } from "../Response.js"
import { canonicalJson } from "./cacheKey.js"

/** What a line says of an answer: all but the provider's own body, and the meta beside it. */
const responseFields = ({ raw: _raw, meta: _meta, _tag, ...response }: Response) => {
  const { text, finishReason, toolCalls, usage, model, provider, ...optional } = response
  return { text, finishReason, toolCalls, usage, model, provider, ...optional }
}

const errorFields = (error: LlmError) => ({
  _tag: error._tag,
  message: error.message,
  status: error.status ?? null,
  retryable: isRetryable(error),
  provider: error.provider,
  ...(error.code === undefined ? undefined : { code: error.code }),
  ...(error.requestId === undefined ? undefined : { requestId: error.requestId })
})

/** The line of an outcome, without its newline. Begins with the index, which the checkpoint may rewrite. */
export const encode = ({ index, meta, outcome, request }: Settled): string =>
  JSON.stringify({
    index,
    custom_id: request?.id ?? null,
    status: Either.isRight(outcome) ? "success" : "error",
    response: Either.isRight(outcome) ? responseFields(outcome.right) : null,
    error: Either.isRight(outcome) ? null : errorFields(outcome.left),
    meta,
    metadata: request?.metadata ?? {}
  })

const StoredLine = Schema.Struct({
  custom_id: Schema.NullOr(Schema.String),
  response: Schema.encodedSchema(ChatResponse.pipe(Schema.omit("_tag", "meta", "raw"))),
  meta: Meta,
  metadata: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})

const decodeStored = Schema.decodeUnknownEither(StoredLine)

/** An answer read back from its line. */
export interface Restored {
  readonly outcome: Outcome
  readonly meta: Meta
  /** Whether the line still says what belongs to this request besides the answer. */
  readonly isCurrent: boolean
}

/** The answer that a stored line holds for this request; none if the line cannot be read as one. */
export const decode = (value: unknown, request: Request): Restored | undefined => {
  const stored = decodeStored(value)
  if (Either.isLeft(stored)) return undefined
  const { custom_id: id, meta: written, metadata, response } = stored.right
  const meta: Meta = { ...written, resumed: true }
  return {
    outcome: Either.right(fromFields({ ...response, meta })),
    meta,
    isCurrent:
      id === (request.id ?? null) && canonicalJson(metadata) === canonicalJson(request.metadata ?? {})
  }
}
