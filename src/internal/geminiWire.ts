/** The protocol that the Gemini API and Vertex AI have in common. */
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type { Embedding } from "../Request.js"
import * as Wire from "../Wire.js"
import { setFields } from "./features.js"
import type { Dialect } from "./geminiContents.js"
import * as Events from "./geminiEvents.js"
import * as GeminiRequest from "./geminiRequest.js"
import * as GeminiResponse from "./geminiResponse.js"
import * as WireWarnings from "./wireWarnings.js"

/** Where a server has its models, and how it embeds. */
export interface Options {
  readonly dialect: Dialect
  /** The path of a model, with its slash. */
  readonly path: (model: string) => string
  readonly embed: (request: Embedding, model: string) => Wire.WireCall
  readonly embeddingTokens?: number | undefined
  readonly accessToken?: Wire.Wire["accessToken"]
}

const credentials: Wire.Wire["headers"] = ({ apiKey, keyHeader }) => {
  if (apiKey === undefined) return {}
  const key = Redacted.value(apiKey)
  // in a header alone: addresses get into logs
  return keyHeader === "authorization" ? { authorization: `Bearer ${key}` } : { "x-goog-api-key": key }
}

/** Texts that one call may embed. */
const embeddingInputs = 100

/** The address of a server with the API's version, which it may have already. */
export const versioned = (origin: string, version: string): string => {
  const base = origin.replace(/\/+$/, "")
  return /\/v\d+(alpha|beta)?\d*$/.test(base) ? base : `${base}/${version}`
}

/** The path of a model by its name, which may be one with slashes, below its folder. */
export const modelPath = (model: string, folder: string): string => {
  const name = model.includes("/") ? model : `${folder}/${model}`
  return `/${encodeURI(name).replaceAll("?", "%3F").replaceAll("#", "%23")}`
}

/** The protocol as this server speaks it. */
export const make = ({ accessToken, dialect, embed, embeddingTokens, path }: Options): Wire.Wire => ({
  name: dialect.name,
  streams: true,
  fetchesMedia: false,
  embeddingInputs,
  embeddingTokens,
  headers: credentials,
  accessToken,
  lacks: (request, { endpoint, model, streaming }) => {
    if (request._tag === "Chat") {
      return GeminiRequest.lacks(request, endpoint.family ?? model, streaming, dialect)
    }
    return request._tag === "Embedding" ? setFields(request, ["safetyIdentifier"]) : []
  },
  warns: (request) => WireWarnings.ofLateInstructions(dialect.name, request),
  encode: (request, { endpoint, model, streaming }) => {
    switch (request._tag) {
      case "Chat":
        return Either.right({
          path: `${path(model)}:${streaming ? "streamGenerateContent?alt=sse" : "generateContent"}`,
          body: GeminiRequest.encode(request, endpoint.family ?? model, dialect),
          headers: GeminiRequest.headers(request, dialect),
          decode: GeminiResponse.decode,
          events: streaming ? Events.make : undefined
        })
      case "Embedding":
        return Either.right(embed(request, model))
      default:
        return Either.left(Wire.unsupported(dialect.name, request._tag))
    }
  }
})
