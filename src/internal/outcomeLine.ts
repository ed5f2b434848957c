/**
 * An outcome as one line of JSON, as output files and checkpoints have it, and back.
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { isRetryable, LlmError } from "../LlmError.js"
import type { Outcome, Settled } from "../Outcome.js"
import type { Request } from "../Request.js"
import {
  ChatResponse,
  EmbeddingResponse,
  fromEncoded,
  Meta,
  type ObjectResponse,
  RerankResponse,
  type Response
} from "../Response.js"
import { canonicalJson } from "./cacheKey.js"
import * as EmbeddingVectors from "./embeddingVectors.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import * as PlainAnswer from "./plainAnswer.js"

/** How the vectors of embeddings are written: as lists of numbers, or as the bytes of little-endian 32-bit floats. */
export type Encoding = "float" | "base64"

/** What a line says of an answer: all but the provider's own body, and the meta beside it. */
const responseFields = (response: Response, encoding: Encoding) => {
  if (!("text" in response)) {
    const { _tag, meta: _meta, raw: _raw, ...fields } = response
    return encoding === "base64" && "embeddings" in fields
      ? { ...fields, embeddings: fields.embeddings.map(EmbeddingVectors.toBase64) }
      : fields
  }
  // a value is read from the text again
  const {
    _tag,
    raw: _raw,
    meta: _meta,
    value: _value,
    text,
    finishReason,
    toolCalls,
    usage,
    model,
    provider,
    ...optional
  } = response as ObjectResponse<unknown>
  return { text, finishReason, toolCalls, usage, model, provider, ...optional }
}

const errorFields = (error: LlmError) => ({
  _tag: error._tag,
  message: error.message,
  status: error.status ?? null,
  retryable: isRetryable(error),
  provider: error.provider,
  ...(error.code === undefined ? undefined : { code: error.code }),
  ...(error.requestId === undefined ? undefined : { requestId: error.requestId }),
  ...(error.usage === undefined ? undefined : { usage: error.usage }),
  ...(error.attempts === undefined ? undefined : { attempts: error.attempts })
})

/** The line of an outcome, without its newline. Begins with the index, which the checkpoint may rewrite. */
export const encode = (
  { index, meta, outcome, request }: Settled<Request>,
  encoding: Encoding = "float"
): string =>
  JSON.stringify({
    index,
    custom_id: request?.id ?? null,
    // there where samples were asked for
    sample: request?.cache?.sample,
    status: Either.isRight(outcome) ? "success" : "error",
    response: Either.isRight(outcome) ? responseFields(outcome.right, encoding) : null,
    error: Either.isRight(outcome) ? null : errorFields(outcome.left),
    meta,
    metadata: request?.metadata ?? {}
  })

const lineOf = <A, I>(response: Schema.Schema<A, I>) =>
  Schema.decodeUnknownEither(
    Schema.Struct({
      custom_id: Schema.NullOr(Schema.String),
      sample: Schema.optional(Schema.Number),
      response: Schema.encodedSchema(response),
      meta: Meta,
      metadata: Schema.Record({ key: Schema.String, value: Schema.Unknown })
    })
  )

const decodeChat = lineOf(ChatResponse.pipe(Schema.omit("_tag", "meta", "raw")))
const decodeEmbedding = lineOf(EmbeddingResponse.pipe(Schema.omit("_tag", "meta", "raw")))
const decodeRerank = lineOf(RerankResponse.pipe(Schema.omit("_tag", "meta", "raw")))

/** The vectors of a line, however they are written. */
const vectorsOf = (value: unknown): ReadonlyArray<unknown> => {
  const response = isJsonObject(value) ? value.response : undefined
  const vectors = isJsonObject(response) ? response.embeddings : undefined
  return Array.isArray(vectors) ? vectors : []
}

const isBytes = (vector: unknown): vector is string => typeof vector === "string"

/** The line of an embedding, with its vectors as numbers. */
const withNumbers = (value: unknown): unknown => {
  const vectors = vectorsOf(value)
  if (!vectors.some(isBytes)) return value
  // it has vectors
  const { response, ...line } = value as { readonly response: JsonObject }
  const numbers = vectors.map((vector) =>
    isBytes(vector) ? EmbeddingVectors.vectorOf(vector, "float") : vector
  )
  return { ...line, response: { ...response, embeddings: numbers } }
}

/** The line, whose answer is of the kind that the request asks for: the line itself does not say. */
const decodeStored = (value: unknown, { _tag }: Request) => {
  switch (_tag) {
    case "Embedding":
      return Either.getOrUndefined(decodeEmbedding(withNumbers(value)))
    case "Rerank":
      return Either.getOrUndefined(decodeRerank(value))
    default:
      return Either.getOrUndefined(decodeChat(value))
  }
}

const nothing: ReadonlySet<string> = new Set()

type StoredChat = Either.Either.Right<ReturnType<typeof decodeChat>>

/** Whether the line holds one plain answer to a chat, so that it can be taken as it is. */
const isPlain = (value: unknown, { _tag }: Request): value is StoredChat =>
  (_tag === "Chat" || _tag === "Completion") &&
  isJsonObject(value) &&
  (value.custom_id === null || typeof value.custom_id === "string") &&
  (value.sample === undefined || typeof value.sample === "number") &&
  isJsonObject(value.metadata) &&
  PlainAnswer.isMeta(value.meta) &&
  PlainAnswer.isAnswer(value.response, nothing)

/** Mostly their members come in one order. */
const isSame = (one: unknown, other: unknown): boolean =>
  JSON.stringify(one) === JSON.stringify(other) || canonicalJson(one) === canonicalJson(other)

const tagOf = ({ _tag }: Request): Response["_tag"] =>
  _tag === "Embedding" ? "EmbeddingResponse" : _tag === "Rerank" ? "RerankResponse" : "ChatResponse"

/** An answer read back from its line. */
export interface Restored {
  readonly outcome: Outcome<Response>
  readonly meta: Meta
  /** Whether the line still says what belongs to this request besides the answer. */
  readonly isCurrent: boolean
}

/**
 * The answer that a stored line holds for this request; none if the line cannot be read as one. Vectors that are
 * written in another way than this are to be written anew.
 */
export const decode = (
  value: unknown,
  request: Request,
  encoding: Encoding = "float"
): Restored | undefined => {
  const stored = isPlain(value, request) ? value : decodeStored(value, request)
  if (stored === undefined) return undefined
  const { custom_id: id, meta: written, metadata, response, sample } = stored
  const meta: Meta = { ...written, resumed: true }
  return {
    // the tag goes with the fields of its kind
    outcome: Either.right(
      fromEncoded({ ...response, _tag: tagOf(request), meta } as typeof Response.Encoded)
    ),
    meta,
    isCurrent:
      id === (request.id ?? null) &&
      sample === request.cache?.sample &&
      isSame(metadata, request.metadata ?? {}) &&
      (request._tag !== "Embedding" ||
        vectorsOf(value).every((vector) => isBytes(vector) === (encoding === "base64")))
  }
}

/** A failure read back from its line. */
export interface RestoredFailure {
  readonly settled: Settled<Request>
  /** The class of the error. */
  readonly tag: LlmError["_tag"]
  /** The line as it is to be for this request; the same if it `isCurrent`. */
  readonly line: string
  readonly isCurrent: boolean
}

const decodeError = Schema.decodeUnknownOption(LlmError)
const decodeMeta = Schema.decodeUnknownOption(Meta)

/** The error of a line: what an error of its class has beside is not written down. */
const storedError = (value: unknown): LlmError | undefined =>
  isJsonObject(value)
    ? Option.getOrUndefined(
        decodeError({ feature: "", text: "", ...value, status: value.status ?? undefined })
      )
    : undefined

/** The failure that a stored line holds for this request; none if the line cannot be read as one. */
export const decodeFailure = (
  value: unknown,
  index: number,
  request: Request
): RestoredFailure | undefined => {
  if (!isJsonObject(value)) return undefined
  const error = storedError(value.error)
  const meta = PlainAnswer.isMeta(value.meta) ? value.meta : Option.getOrUndefined(decodeMeta(value.meta))
  if (error === undefined || meta === undefined) return undefined
  const current = { custom_id: request.id ?? null, metadata: request.metadata ?? {} }
  return {
    settled: { index, request, outcome: Either.left(error), meta: { ...meta, resumed: true } },
    tag: error._tag,
    line: JSON.stringify({ ...value, index, ...current }),
    isCurrent: value.custom_id === current.custom_id && isSame(value.metadata, current.metadata)
  }
}
