/** The requests of OpenAI's wire that are no chats: completions, embeddings, and the reranking that others added. */
import * as Either from "effect/Either"
import type { LlmError } from "../LlmError.js"
import type { Completion, Embedding, Request, Rerank } from "../Request.js"
import { type ChatResponse, fromFields } from "../Response.js"
import type { Asked, WireCall } from "../Wire.js"
import * as EmbeddingVectors from "./embeddingVectors.js"
import { setFields } from "./features.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import type { Dialect } from "./openAiDialect.js"
import * as OpenAiResponse from "./openAiResponse.js"
import * as RankedResults from "./rankedResults.js"

/** A request that is no chat. */
export type Plain = Exclude<Request, { readonly _tag: "Chat" }>

/** What is asked for and has no field, by the names of the request's fields. */
export const lacks = (request: Plain): ReadonlyArray<string> =>
  request._tag === "Embedding" ? setFields(request, ["purpose"]) : []

const encodeCompletion = (request: Completion, model: string): JsonObject => ({
  model,
  prompt: request.prompt,
  suffix: request.suffix,
  temperature: request.temperature,
  top_p: request.topP,
  max_tokens: request.maxTokens,
  stop: request.stop,
  seed: request.seed,
  n: request.n,
  logprobs: request.logprobs,
  logit_bias: request.logitBias,
  frequency_penalty: request.frequencyPenalty,
  presence_penalty: request.presencePenalty,
  user: request.safetyIdentifier,
  ...request.extra
})

const encodeEmbedding = (request: Embedding, model: string): JsonObject => ({
  model,
  input: request.input,
  dimensions: request.dimensions,
  user: request.safetyIdentifier,
  ...request.extra
})

const encodeRerank = ({ documents, extra, query, topN }: Rerank, model: string): JsonObject => ({
  model,
  query,
  documents,
  top_n: topN,
  ...extra
})

/** A choice as a chat has it: its text is the message. */
const asMessage = (choice: unknown): unknown =>
  isJsonObject(choice) && typeof choice.text === "string"
    ? { ...choice, message: { content: choice.text } }
    : choice

const decodeCompletion =
  (dialect: Dialect) =>
  (body: unknown, asked: Asked): Either.Either<ChatResponse, LlmError> => {
    const choices = isJsonObject(body) && Array.isArray(body.choices) ? body.choices.map(asMessage) : []
    const chat = isJsonObject(body) ? { ...body, choices } : body
    return Either.map(OpenAiResponse.decode(chat, asked, dialect), (response) =>
      fromFields({ ...response, raw: body })
    )
  }

const decodeVectors = EmbeddingVectors.decodeListed(() => "float")

const decodeRanking = RankedResults.decode("results", RankedResults.tokenUsage)

/** How a server is asked, below its path of calls. */
export const calls = (dialect: Dialect): ((request: Plain, model: string) => WireCall) => {
  // what is thought belongs to the text that a completion goes on with
  const completion = decodeCompletion({ ...dialect, thinkTags: false })
  return (request, model) => {
    switch (request._tag) {
      case "Completion":
        return { path: "/completions", body: encodeCompletion(request, model), decode: completion }
      case "Embedding":
        return { path: "/embeddings", body: encodeEmbedding(request, model), decode: decodeVectors }
      case "Rerank":
        return { path: "/rerank", body: encodeRerank(request, model), decode: decodeRanking }
    }
  }
}
