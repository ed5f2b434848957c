/** The models that an endpoint offers, by the list of its API. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Endpoint from "../Endpoint.js"
import { type LlmError, UnsupportedError } from "../LlmError.js"
import type { Document, Provider } from "../Providers.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"

/** A model as the server lists it. */
export interface Listed {
  readonly id: string
  /** Tokens that prompt and answer may have together, where the server says. */
  readonly contextWindow: number | undefined
}

/** How a list is asked for. */
interface Listing {
  readonly path: (endpoint: Endpoint.Endpoint) => string
  /** The query of the first page, and of the one after this. */
  readonly first: string
  readonly next: (page: JsonObject) => string | undefined
  /** The endpoint with the base that the path is below. */
  readonly at?: (endpoint: Endpoint.Endpoint) => Endpoint.Endpoint
}

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

// `GET {base}/models`, in one page: OpenAI and all that speak its wire, and Mistral
const plain: Listing = { path: () => "/models", first: "", next: () => undefined }

/** Where the API differs from that. `undefined`: it has no such list. */
const listings: Readonly<Record<string, Listing | undefined>> = {
  anthropic: {
    path: ({ baseUrl }) => (/\/v1(?:$|\?)/.test(baseUrl) ? "/models" : "/v1/models"),
    first: "?limit=1000",
    next: ({ has_more, last_id }) =>
      has_more === true && typeof last_id === "string"
        ? `?limit=1000&after_id=${encodeURIComponent(last_id)}`
        : undefined
  },
  gemini: {
    path: () => "/models",
    first: "?pageSize=1000",
    next: ({ nextPageToken }) => {
      const token = text(nextPageToken)
      return token === undefined ? undefined : `?pageSize=1000&pageToken=${encodeURIComponent(token)}`
    }
  },
  // the list is of the API before
  cohere: {
    path: () => "/v1/models",
    first: "?page_size=1000",
    next: ({ next_page_token }) => {
      const token = text(next_page_token)
      return token === undefined ? undefined : `?page_size=1000&page_token=${encodeURIComponent(token)}`
    },
    at: (endpoint) => ({ ...endpoint, baseUrl: endpoint.baseUrl.replace(/\/v2(?=$|\?)/, "") })
  },
  vertex: undefined,
  voyage: undefined,
  jina: undefined
}

const listingOf = (name: string): Listing | undefined =>
  Object.hasOwn(listings, name) ? listings[name] : plain

/** Under which names servers tell how long a context may be. */
const contextFields = [
  "context_window",
  "context_length",
  "max_context_length",
  "max_model_len",
  "max_input_tokens",
  "inputTokenLimit"
]

const contextOf = (model: JsonObject): number | undefined => {
  const meta = isJsonObject(model.meta) ? [model.meta.n_ctx_train] : []
  return [...contextFields.map((field) => model[field]), ...meta].find(
    (value): value is number => typeof value === "number" && value > 0
  )
}

const listedOf = (page: unknown): ReadonlyArray<Listed> => {
  const list = isJsonObject(page) ? (page.data ?? page.models) : page
  return (Array.isArray(list) ? list : []).filter(isJsonObject).flatMap((model) => {
    const id = text(model.id) ?? text(model.name)
    return id === undefined ? [] : [{ id: id.replace(/^models\//, ""), contextWindow: contextOf(model) }]
  })
}

/** A list that goes on for longer than this does not end. */
const mostPages = 50

const unsupported = (endpoint: Endpoint.Endpoint) =>
  new UnsupportedError({
    provider: endpoint.provider,
    feature: "models",
    message: `The API of ${endpoint.provider} has no list of its models`
  })

/** The list, in the order of the server. `timeoutMs` is for each page. */
export const list = (
  provider: Provider,
  endpoint: Endpoint.Endpoint,
  timeoutMs: number
): Effect.Effect<ReadonlyArray<Listed>, LlmError> =>
  Effect.gen(function* () {
    const listing = listingOf(provider.name)
    if (listing === undefined || provider.get === undefined) return yield* unsupported(endpoint)
    const at = listing.at?.(endpoint) ?? endpoint
    const found: Array<Listed> = []
    let query: string | undefined = listing.first
    for (let page = 0; query !== undefined && page < mostPages; page++) {
      const { body }: Document = yield* provider.get(`${listing.path(at)}${query}`, at, timeoutMs)
      if (Either.isLeft(body)) return yield* body.left
      found.push(...listedOf(body.right))
      query = isJsonObject(body.right) ? listing.next(body.right) : undefined
    }
    return found
  })
