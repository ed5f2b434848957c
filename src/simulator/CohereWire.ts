/**
 * Cohere's wire, API v2: paths, key, errors and headers; embeddings and reranking.
 *
 * Sources: Cohere's API reference. Message texts are those the API sends, where known.
 */
import { type Body, list, number } from "./BodyChecks.js"
import * as CohereChat from "./CohereChat.js"
import { error } from "./CohereError.js"
import { firstOf } from "./OpenAiError.js"
import { tokensOf } from "./Text.js"
import * as Vectors from "./Vectors.js"
import { bearerKey, type Call, type Reply, type Route, type Wire, type WireOptions } from "./Wire.js"

const embedParameters = new Set([
  "embedding_types",
  "images",
  "input_type",
  "inputs",
  "max_tokens",
  "model",
  "output_dimension",
  "priority",
  "texts",
  "truncate"
])

const rerankParameters = new Set(["documents", "max_tokens_per_doc", "model", "priority", "query", "top_n"])

const inputTypes = ["search_document", "search_query", "classification", "clustering", "image"]
const kinds = ["float", "int8", "uint8", "binary", "ubinary", "base64"]

const maxTexts = 96

const readEmbed = (body: Body, options: WireOptions): Call | Reply => {
  const model = String(body["model"])
  const texts = list(body["texts"] ?? body["images"]).map(String)
  const types = body["embedding_types"] === undefined ? ["float"] : list(body["embedding_types"]).map(String)
  const inputTokens = texts.reduce((sum, text) => sum + tokensOf(text.length), 0)
  const reply = firstOf(
    () => CohereChat.badFields(body, embedParameters, options),
    () => CohereChat.badModel(body, options),
    () =>
      inputTypes.includes(String(body["input_type"]))
        ? undefined
        : error(400, "invalid request: valid input_type must be provided with the provided model"),
    () =>
      texts.length > 0 && texts.length <= maxTexts
        ? undefined
        : error(400, `invalid request: total number of texts must be at most ${maxTexts} and at least 1`),
    () =>
      types.every((type) => kinds.includes(type))
        ? undefined
        : error(400, `invalid request: embedding_types must be among ${kinds.join(", ")}`),
    () => CohereChat.tooLong(options, inputTokens)
  )
  if (reply !== undefined) return reply
  const dimensions = number(body["output_dimension"]) ?? 1536
  return {
    _tag: "Call",
    model,
    prompt: texts.join("\n"),
    inputTokens,
    maxOutputTokens: 0,
    answer: ({ hash, seed }) => {
      const vectors = texts.map((text) => Vectors.unit(text, model, seed, dimensions))
      const written = types.map((type) => [
        type,
        vectors.map((vector) =>
          // one of the types, or it would have been refused
          Vectors.write(vector, type === "base64" ? "float" : (type as Vectors.Kind), type === "base64")
        )
      ])
      return {
        inputTokens,
        outputTokens: 0,
        body: JSON.stringify({
          id: hash.text,
          embeddings: Object.fromEntries(written),
          texts,
          response_type: "embeddings_by_type",
          meta: { api_version: { version: "2" }, billed_units: { input_tokens: inputTokens } }
        })
      }
    }
  }
}

const readRerank = (body: Body, options: WireOptions): Call | Reply => {
  const { query } = body
  const model = String(body["model"])
  const documents = list(body["documents"]).map(String)
  const topN = number(body["top_n"])
  const reply = firstOf(
    () => CohereChat.badFields(body, rerankParameters, options),
    () => CohereChat.badModel(body, options),
    () =>
      typeof query === "string" && query !== ""
        ? undefined
        : error(400, "invalid request: query must be set"),
    () =>
      documents.length > 0 ? undefined : error(400, "invalid request: list of documents must not be empty"),
    () =>
      topN === undefined || topN >= 1 ? undefined : error(400, "invalid request: top_n must be at least 1")
  )
  if (reply !== undefined) return reply
  const searches = Math.ceil(documents.length / 100)
  const inputTokens = [String(query), ...documents].reduce((sum, text) => sum + tokensOf(text.length), 0)
  return {
    _tag: "Call",
    model,
    prompt: [String(query), ...documents].join("\n"),
    inputTokens,
    maxOutputTokens: 0,
    answer: ({ hash }) => ({
      inputTokens,
      outputTokens: 0,
      // paid by the search, and not by the token
      billedInputTokens: 0,
      searchUnits: searches,
      body: JSON.stringify({
        id: hash.text,
        results: Vectors.rank(String(query), documents, topN),
        meta: {
          api_version: { version: "2" },
          billed_units: { search_units: searches }
        }
      })
    })
  }
}

const messages: Readonly<Record<number, string>> = {
  400: "invalid request: invalid value",
  401: "invalid api token",
  402: "Please add or update your payment method at https://dashboard.cohere.com/billing?tab=payment to continue.",
  403: "This API key is not allowed to call this endpoint.",
  404: "resource not found",
  429: "You are past the per minute request limit, please wait and try again later.",
  498: "invalid token: the request or the answer has blocked content",
  499: "request cancelled",
  500: "internal server error",
  501: "not implemented",
  503: "service unavailable",
  504: "gateway timeout"
}

const failed = (status: number, message?: string): Reply =>
  error(status, message ?? messages[status] ?? (status < 500 ? "invalid request" : "internal server error"))

const standardModels = ["command-a-03-2025", "embed-v4.0", "rerank-v3.5"]

const endpointOf = (model: string): string =>
  model.startsWith("embed") ? "embed" : model.startsWith("rerank") ? "rerank" : "chat"

/** The list is of the first version of the API. */
const modelList = (models: ReadonlyArray<string>): Reply => ({
  _tag: "Reply",
  status: 200,
  body: JSON.stringify({
    models: models.map((name) => ({
      name,
      endpoints: [endpointOf(name)],
      finetuned: false,
      context_length: endpointOf(name) === "rerank" ? 4_096 : 128_000,
      default_endpoints: []
    }))
  })
})

/** Makes Cohere's wire. */
export const make = (options: WireOptions): Wire => {
  const endpoints: Readonly<Record<string, Extract<Route, { readonly _tag: "Endpoint" }>>> = {
    "/v2/chat": { _tag: "Endpoint", read: (body) => CohereChat.read(body, options) },
    "/v2/embed": { _tag: "Endpoint", read: (body) => readEmbed(body, options) },
    "/v2/rerank": { _tag: "Endpoint", read: (body) => readRerank(body, options) }
  }
  return {
    name: "cohere",
    route: (method, path) => {
      if (path === "/v1/models" && method === "GET") return modelList(options.models ?? standardModels)
      const endpoint = endpoints[path]
      return endpoint === undefined || method === "POST" ? endpoint : failed(405, "method not allowed")
    },
    unknownPath: () => failed(404),
    credential: bearerKey,
    unauthorized: (key) => failed(401, key === undefined ? "no api key supplied" : "invalid api token"),
    invalidJson: error(400, "invalid request: invalid json syntax"),
    bodyTooLarge: error(413, "request body too large"),
    rateLimited: ({ waitMillis }) =>
      waitMillis === undefined || !Number.isFinite(waitMillis)
        ? failed(429)
        : { ...failed(429), headers: { "retry-after": String(Math.ceil(waitMillis / 1000)) } },
    quotaExhausted: failed(402),
    failure: ({ message, status }) => failed(status, message),
    resetHeaders: (waitMillis, now) => ({
      "x-ratelimit-reset": String(Math.ceil((now + waitMillis) / 1000))
    }),
    headers: ({ hash, seq }) => ({
      "x-debug-trace-id": `${hash.text.padStart(16, "0")}${seq.toString(16).padStart(16, "0")}`
    })
  }
}
