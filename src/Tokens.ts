/**
 * Tokens before anything is sent: counts for estimates, and bounds for budgets.
 *
 * {@link countTokens} is the best figure there is, and says what it rests on; {@link atMost} is a figure that the
 * provider's own count will not pass.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as RequestTexts from "./internal/requestTexts.js"
import type { Tokenizer } from "./internal/tokenForecast.js"
import { tokenizerOf } from "./internal/tokenizer.js"
import type { Part } from "./Message.js"
import type { Bounds, Price } from "./Prices.js"
import type { Request } from "./Request.js"

/** How many tokens, and how that is known. */
export interface Count {
  readonly tokens: number
  /**
   * `tokenizer`: the text was counted by the model's own tokenizer, and the frame of a conversation by OpenAI's
   * published rule. `estimate`: the tokenizer is another one, or there is more than text: images, documents, audio,
   * tools, a schema.
   */
  readonly method: "tokenizer" | "estimate"
}

/** Counts for one model. Made once for many. */
export interface Counter {
  /** The tokens of a text or a request. */
  readonly count: (input: string | Request) => Count
}

/** Of a message: its frame of 3 tokens and its role; of the beginning of the answer 3. */
const perMessage = 4
const perAnswer = 3
/** Of an image in full detail; of one in low detail. Middling: it depends on the image and the model. */
const perImage = 765
const perLowImage = 85
/** Of a page of a PDF, and bytes of the file for each. */
const perPage = 1_500
const bytesPerPage = 40_000
/** Of a second of speech, and bytes of a middling recording for each. */
const perSecond = 25
const bytesPerSecond = 16_000
const functionFrame = 8

/**
 * How many tokens another tokenizer makes of a text for each one of OpenAI's (o200k). Anthropic's, and from Claude
 * Opus 4.7 on its newer one, which makes three tenths more; the others are close to each other. Rough: within a fifth
 * for prose and code.
 */
const ratioOf = (model: string): number => {
  if (/claude-(opus-4[-.][78]|(opus|sonnet|haiku|fable|mythos)-[5-9])/.test(model)) return 1.5
  return model.includes("claude") ? 1.15 : 1.05
}

/** Bytes of base64 or of a `data:` URL, about. */
const bytesIn = (base64: string): number => Math.ceil((base64.length * 3) / 4)

const partTokens = (part: Part): number => {
  switch (part.type) {
    case "image":
      return part.detail === "low" ? perLowImage : perImage
    case "audio":
      return Math.ceil(bytesIn(part.data) / bytesPerSecond) * perSecond
    case "file":
      return Math.max(1, Math.ceil(bytesIn(part.data ?? "") / bytesPerPage)) * perPage
    default:
      return perImage
  }
}

const counting = (tokenizer: Tokenizer | undefined, ratio: number, isOwn: boolean): Counter => {
  // four characters a token, where there is no tokenizer at all
  const tokensOf: Tokenizer = tokenizer ?? ((text) => Math.ceil(text.length / 4))
  return {
    count: (input) => {
      let text = 0
      let other = 0
      let isText = true
      const beside = (tokens: number) => {
        isText = false
        other += tokens
      }
      if (typeof input === "string") text = tokensOf(input)
      else {
        const isChat = input._tag === "Chat"
        if (isChat) other += perAnswer
        RequestTexts.read(input, {
          text: (part) => {
            text += tokensOf(part)
          },
          json: (json, of) => beside(of === "other" ? 0 : tokensOf(json) + functionFrame),
          part: (part) => beside(partTokens(part)),
          frame: () => {
            if (isChat) other += perMessage
          },
          open: () => beside(0)
        })
      }
      return {
        tokens: Math.ceil(text * ratio) + other,
        method: isOwn && isText ? "tokenizer" : "estimate"
      }
    }
  }
}

/** Some model of OpenAI's newest tokenizer, by which others are estimated. */
const yardstick = "gpt-4o"

/** Counts for a model, with its tokenizer loaded: some megabytes, once for all models that share it. */
export const counter = (model: string): Effect.Effect<Counter> =>
  Effect.flatMap(tokenizerOf(model), (own) =>
    own !== undefined
      ? Effect.succeed(counting(own, 1, true))
      : Effect.map(tokenizerOf(yardstick), (tokenizer) => counting(tokenizer, ratioOf(model), false))
  )

/**
 * The tokens of a text or a request as the model reads it. Exact for text and OpenAI's models; else an estimate from
 * OpenAI's tokenizer and what is known of the model's. Never fails.
 *
 * @example
 * import { Tokens } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * // { tokens: 6, method: "tokenizer" }
 * const count = Effect.runPromise(Tokens.countTokens("Why is the sky blue?", "gpt-4o-mini"))
 */
export const countTokens = (input: string | Request, model: string): Effect.Effect<Count> =>
  Effect.map(counter(model), (counter) => counter.count(input))

/** What is known of the model; see {@link Price}. */
type Limits = Pick<Price, "contextWindow" | "maxOutputTokens">

// Bounds of what surrounds the text. Providers' chat templates take 3 to 8 tokens a message; tools make Anthropic add
// instructions of 300 to 800 tokens; a schema that is put into words, or made a tool, gets a few hundred.
const mostPerRequest = 64
const mostPerFrame = 16
const mostPerTool = 32
const mostForTools = 1_024
const mostForSchema = 512

/**
 * The most tokens of an image. OpenAI: 48,169 of GPT-4o mini in full detail (eight tiles), and no more than 25,000 of
 * 10,000 patches; Anthropic 4,784; Gemini 26 tiles of 258; Mistral 4,200; Qwen's 16,384.
 */
const mostPerImage = 49_152
/** A recording has at least 1,000 bytes a second in these formats, and 32 tokens a second (Gemini) at most. */
const mostPerAudioByte = 32 / 1_000
const boundedAudio = /^(wav|mp3|mpeg|flac|pcm16)$/

/**
 * A bound of the input tokens of a request, whatever the provider's tokenizer: no token is less than a byte of UTF-8,
 * and what surrounds the text is bounded as well. Three to five times the real number for English; nothing else is
 * sure.
 *
 * What cannot be bounded by itself (a document, a URL, an uploaded file, a recording in a format that may be silent for
 * free) is taken for all of the context window. `Infinity` where that is not known, and where the provider adds input
 * of its own, such as the results of a search that it makes: then nothing bounds the cost.
 */
export const atMost = (
  request: Request,
  { contextWindow = Number.POSITIVE_INFINITY }: Partial<Limits> = {}
) => {
  let tokens = mostPerRequest
  let isOpen = false
  let hasTools = false
  RequestTexts.read(request, {
    text: (text) => {
      tokens += Buffer.byteLength(text)
    },
    json: (json, of) => {
      tokens += Buffer.byteLength(json)
      if (of === "tool") {
        tokens += mostPerTool
        hasTools = true
      } else if (of === "schema") tokens += mostForSchema
    },
    part: (part) => {
      if (part.type === "image") tokens += mostPerImage
      else if (part.type === "audio" && boundedAudio.test(part.format)) {
        tokens += Math.ceil(bytesIn(part.data) * mostPerAudioByte)
      } else tokens = Number.POSITIVE_INFINITY
    },
    frame: () => {
      tokens += mostPerFrame
    },
    open: () => {
      isOpen = true
    }
  })
  if (isOpen) return Number.POSITIVE_INFINITY
  const bound = hasTools ? tokens + mostForTools : tokens
  // several texts are several prompts, each with the whole window for itself
  const prompts =
    request._tag === "Embedding"
      ? request.input.length
      : request._tag === "Rerank"
        ? request.documents.length
        : 1
  return Math.min(bound, contextWindow * Math.max(1, prompts))
}

/** Names of the longest answer in the providers' own fields. */
const outputFields = [
  "max_tokens",
  "max_completion_tokens",
  "max_output_tokens",
  "maxOutputTokens",
  "num_predict"
] as const

const numberIn = (
  fields: Readonly<Record<string, unknown>> | undefined,
  name: string
): number | undefined => {
  const value = fields?.[name]
  return typeof value === "number" ? value : undefined
}

/** The fields that Gemini has a part of their own for. */
const nestedIn = ({ extra }: Request): Readonly<Record<string, unknown>> => {
  const nested = extra?.generationConfig
  return typeof nested === "object" && nested !== null ? { ...nested } : {}
}

/**
 * The most tokens that the request itself lets an answer have; `undefined` where it does not say, and where the
 * provider's own field is `null`: that takes the place of ours, and lifts it.
 */
export const maxTokensOf = (request: Request): number | undefined => {
  if (request._tag === "Embedding" || request._tag === "Rerank") return 0
  const { extra } = request
  const nested = nestedIn(request)
  if (nested.maxOutputTokens === null || outputFields.some((name) => extra?.[name] === null)) return undefined
  const stated = [
    request.maxTokens,
    ...outputFields.map((name) => numberIn(extra, name)),
    // objects are looked into; a provider's own field goes before ours, and of several the greatest is safe
    numberIn(nested, "maxOutputTokens")
  ].filter((value) => value !== undefined)
  return stated.length === 0 ? undefined : Math.max(...stated)
}

/** How many answers are written, those included that only the best of is given. */
export const answersOf = (request: Request): number =>
  request._tag === "Embedding" || request._tag === "Rerank"
    ? 0
    : Math.max(
        1,
        request.n ?? 1,
        ...["n", "best_of", "candidateCount"].map((name) => numberIn(request.extra, name) ?? 1),
        numberIn(nestedIn(request), "candidateCount") ?? 1
      )

/**
 * A bound of the output tokens of a request, reasoning included: what it allows for each answer, or what the model can
 * write at most. `Infinity` where neither is known.
 */
export const outputAtMost = (request: Request, limits: Partial<Limits> = {}): number => {
  const answers = answersOf(request)
  if (answers === 0) return 0
  const model = limits.maxOutputTokens ?? limits.contextWindow ?? Number.POSITIVE_INFINITY
  return answers * (maxTokensOf(request) ?? model)
}

/** Documents of a search unit, and tokens of a chunk that counts as one document, as Cohere bills rerankings. */
const documentsPerUnit = 100
const tokensPerChunk = 500

/**
 * Search units of a reranking: a query with up to a hundred documents is one, and a document that makes more than 500
 * tokens with the query counts as several. `least` is the number for short documents, `most` a bound. Zero for others.
 */
export const searchUnits = (request: Request): { readonly least: number; readonly most: number } => {
  if (request._tag !== "Rerank") return { least: 0, most: 0 }
  const query = Buffer.byteLength(request.query)
  const room = Math.max(1, tokensPerChunk - query - mostPerFrame)
  const chunks = request.documents.reduce(
    (sum, document) => sum + Math.max(1, Math.ceil(Buffer.byteLength(document) / room)),
    0
  )
  return {
    least: Math.max(1, Math.ceil(request.documents.length / documentsPerUnit)),
    most: Math.max(1, Math.ceil(chunks / documentsPerUnit))
  }
}

/** The longest that a request asks the provider to keep its prompt. What cannot be told is taken for the longest. */
const promptCacheOf = (request: Request): "none" | "5m" | "1h" => {
  if (Object.keys(request.extra ?? {}).some((name) => name.includes("cache"))) return "1h"
  if (request._tag !== "Chat") return "none"
  let longest: "none" | "5m" = "none"
  for (const { content, extra } of request.messages) {
    if (extra !== undefined) return "1h"
    if (typeof content !== "object" || content === null) continue
    for (const part of content) {
      if (part.type === "provider") return "1h"
      if (!("promptCache" in part) || part.promptCache === undefined) continue
      if (part.promptCache === "1h") return "1h"
      longest = "5m"
    }
  }
  return longest
}

/** Whether there is audio in the request, or may be in the answer. */
const mayHaveAudio = (request: Request): boolean =>
  request.extra !== undefined ||
  (request._tag === "Chat" &&
    request.messages.some(
      ({ content }) =>
        typeof content === "object" &&
        content !== null &&
        content.some(({ type }) => type !== "text" && type !== "image")
    ))

/**
 * The most that a request can use at a price, for `Prices.worstCase`.
 *
 * @example
 * import { Prices, type Request, Tokens } from "floodgate"
 *
 * const most = (price: Prices.Price, request: Request.Request) =>
 *   Prices.worstCase(price, Tokens.boundsOf(request, price))
 */
export const boundsOf = (request: Request, price: Price): Bounds => {
  const asked = promptCacheOf(request)
  return {
    inputTokens: atMost(request, price),
    outputTokens: outputAtMost(request, price),
    searchUnits: searchUnits(request).most,
    promptCache: asked === "none" && price.cachesUnasked ? "5m" : asked,
    audio: mayHaveAudio(request)
  }
}
