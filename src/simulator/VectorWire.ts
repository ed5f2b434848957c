/**
 * Voyage's and Jina's wires, which are one but for names: embeddings and reranking below `/v1`, and errors that are
 * `{ "detail" }`.
 */
import { type Body, list, number, unknownFields } from "./BodyChecks.js"
import { firstOf } from "./OpenAiError.js"
import { tokensOf } from "./Text.js"
import * as Vectors from "./Vectors.js"
import {
  bearerKey,
  type Call,
  type Reply,
  type Route,
  retryAfterHeaders,
  type Wire,
  type WireOptions
} from "./Wire.js"

/** What one of them calls its things, and wants of them. */
export interface Dialect {
  readonly name: string
  readonly embeddingParameters: ReadonlySet<string>
  readonly rerankParameters: ReadonlySet<string>
  readonly dimensions: "output_dimension" | "dimensions"
  readonly most: "top_k" | "top_n"
  readonly results: "data" | "results"
  /** What a field may be, besides absent or `null`. */
  readonly values: Readonly<Record<string, ReadonlyArray<string>>>
  readonly kindOf: (body: Body) => Vectors.Kind
  readonly isBase64: (body: Body) => boolean
  readonly maxInputs: number
  /** Status of a body that is refused. */
  readonly invalid: 400 | 422
  readonly usage: (tokens: number) => unknown
}

const detail = (status: number, text: string): Reply => ({
  _tag: "Reply",
  status,
  body: JSON.stringify({ detail: text })
})

const messages: Readonly<Record<number, string>> = {
  401: "Provided API key is invalid.",
  402: "Account balance not enough to run this query, please recharge.",
  403: "You are not allowed to use this model.",
  404: "Not Found",
  429: "You have exceeded your rate limit. Please slow down.",
  500: "An unexpected error has occurred.",
  503: "The server is overloaded. Please try again later."
}

/** Makes the wire of one of them. */
export const make = (dialect: Dialect, options: WireOptions): Wire => {
  const { invalid } = dialect

  const bad = (body: Body, known: ReadonlySet<string>): Reply | undefined => {
    const { model } = body
    if (typeof model !== "string") return detail(invalid, "Field 'model' is required.")
    const [unknown] = unknownFields(body, known)
    if (options.strict && unknown !== undefined) {
      return detail(invalid, `Argument '${unknown}' is not supported by our API.`)
    }
    if (options.models !== undefined && !options.models.includes(model)) {
      return detail(invalid, `Model ${model} is not supported.`)
    }
    for (const [field, values] of Object.entries(dialect.values)) {
      const value = body[field]
      if (value !== undefined && value !== null && !values.includes(String(value))) {
        return detail(invalid, `Value '${value}' of '${field}' must be one of ${values.join(", ")}.`)
      }
    }
    return undefined
  }

  const tooLong = (tokens: number): Reply | undefined =>
    options.contextWindow === undefined || tokens <= options.contextWindow
      ? undefined
      : detail(
          invalid,
          `The request has ${tokens} tokens, and the maximum context length is ${options.contextWindow} tokens.`
        )

  const readEmbedding = (body: Body): Call | Reply => {
    const { input } = body
    const model = String(body["model"])
    const texts = typeof input === "string" ? [input] : list(input).map(String)
    const inputTokens = texts.reduce((sum, text) => sum + tokensOf(text.length), 0)
    const reply = firstOf(
      () => bad(body, dialect.embeddingParameters),
      () =>
        texts.length > 0 && texts.length <= dialect.maxInputs
          ? undefined
          : detail(invalid, `The number of inputs must be from 1 to ${dialect.maxInputs}.`),
      () => tooLong(inputTokens)
    )
    if (reply !== undefined) return reply
    const kind = dialect.kindOf(body)
    return {
      _tag: "Call",
      model,
      prompt: texts.join("\n"),
      inputTokens,
      maxOutputTokens: 0,
      answer: ({ seed }) => ({
        inputTokens,
        outputTokens: 0,
        body: JSON.stringify({
          object: "list",
          data: texts.map((text, index) => ({
            object: "embedding",
            index,
            embedding: Vectors.write(
              Vectors.unit(text, model, seed, number(body[dialect.dimensions]) ?? 1024),
              kind,
              dialect.isBase64(body)
            )
          })),
          model,
          usage: dialect.usage(inputTokens)
        })
      })
    }
  }

  const readRerank = (body: Body): Call | Reply => {
    const { query } = body
    const model = String(body["model"])
    const documents = list(body["documents"]).map(String)
    const inputTokens = documents.reduce(
      (sum, document) => sum + tokensOf(document.length) + tokensOf(String(query).length),
      0
    )
    const reply = firstOf(
      () => bad(body, dialect.rerankParameters),
      () =>
        typeof query === "string" && documents.length > 0
          ? undefined
          : detail(invalid, "Fields 'query' and 'documents' are required."),
      () => tooLong(inputTokens)
    )
    if (reply !== undefined) return reply
    const shown = (index: number) =>
      body["return_documents"] === true ? { document: documents[index] } : undefined
    return {
      _tag: "Call",
      model,
      prompt: [String(query), ...documents].join("\n"),
      inputTokens,
      maxOutputTokens: 0,
      answer: () => ({
        inputTokens,
        outputTokens: 0,
        body: JSON.stringify({
          object: "list",
          [dialect.results]: Vectors.rank(String(query), documents, number(body[dialect.most])).map(
            (result) => ({
              ...result,
              ...shown(result.index)
            })
          ),
          model,
          usage: dialect.usage(inputTokens)
        })
      })
    }
  }

  const endpoints: Readonly<Record<string, Extract<Route, { readonly _tag: "Endpoint" }>>> = {
    "/v1/embeddings": { _tag: "Endpoint", read: readEmbedding },
    "/v1/rerank": { _tag: "Endpoint", read: readRerank }
  }
  const failed = (status: number, message?: string): Reply =>
    detail(status, message ?? messages[status] ?? (status < 500 ? "Invalid request." : "Server error."))
  return {
    name: dialect.name,
    route: (method, path) => {
      const endpoint = endpoints[path]
      return endpoint === undefined || method === "POST" ? endpoint : detail(405, "Method Not Allowed")
    },
    unknownPath: () => failed(404),
    credential: bearerKey,
    unauthorized: () => failed(401),
    invalidJson: detail(invalid, "The request body is not valid JSON."),
    bodyTooLarge: detail(413, "Request body too large."),
    rateLimited: ({ waitMillis }) =>
      waitMillis === undefined || !Number.isFinite(waitMillis)
        ? failed(429)
        : { ...failed(429), headers: retryAfterHeaders(waitMillis) },
    quotaExhausted: failed(402),
    failure: ({ message, status }) => failed(status, message),
    headers: ({ hash, seq }) => ({
      "x-request-id": `${hash.text.padStart(16, "0")}${seq.toString(16).padStart(16, "0")}`
    })
  }
}
