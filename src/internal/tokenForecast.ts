/**
 * What requests will cost in tokens, told from what requests did cost.
 *
 * Input: counted with OpenAI's own tokenizer for OpenAI's models, by characters for others, and corrected by how far
 * such counts were off so far. Output: what the provider charges up front where it does so, else a high quantile of
 * the model's answers so far.
 */
import type { Content } from "../Message.js"
import type { Cost } from "../RateLimiter.js"
import type { Request } from "../Request.js"
import type { Usage } from "../Usage.js"
import { plainTexts, promptCharacters, tokensOf } from "./tokenEstimate.js"

/** Counts the tokens of a text. */
export type Tokenizer = (text: string) => number

/** Of a message's frame, and of the answer's beginning; OpenAI's chat format. */
const perMessage = 3
/** Of an image in full detail, and of other parts that are not text: a middling guess until the correction knows. */
const perPart = 765

/** Most answers are shorter than this quantile; those that are not are settled afterwards. */
const quantile = 0.95
/** How many of the latest answers are looked at. */
const window = 256
/** Output of a model that has not answered yet. */
const unknownOutput = 512
/** Weight of the newest count in the correction. */
const weight = 0.05

const contentTokens = (content: Content | null | undefined, count: Tokenizer): number => {
  if (content == null) return 0
  if (typeof content === "string") return count(content)
  let tokens = 0
  for (const part of content) tokens += part.type === "text" ? count(part.text) : perPart
  return tokens
}

const countInput = (request: Request, tokenizer: Tokenizer | undefined): number => {
  if (request._tag !== "Chat") {
    return tokenizer === undefined
      ? tokensOf(promptCharacters(request))
      : plainTexts(request).reduce((tokens, text) => tokens + tokenizer(text), 0)
  }
  let tokens = perMessage * (request.messages.length + 1)
  if (tokenizer === undefined) return tokens + tokensOf(promptCharacters(request))
  for (const message of request.messages) tokens += contentTokens(message.content, tokenizer)
  return tokens
}

/** What one model's answers were like. */
class ModelForecast {
  /** Actual input over counted input. */
  correction = 1
  #outputs: Array<number> = []
  #next = 0
  #quantile = unknownOutput

  get output(): number {
    return this.#quantile
  }

  learn(counted: number, usage: Usage): void {
    if (counted > 0 && usage.inputTokens > 0) {
      const ratio = Math.min(10, Math.max(0.1, usage.inputTokens / counted))
      this.correction += weight * (ratio - this.correction)
    }
    this.#outputs[this.#next] = usage.outputTokens
    this.#next = (this.#next + 1) % window
    // sorting is cheap, and cheaper now and then
    if (this.#outputs.length < 32 || this.#next % 16 === 0) {
      const sorted = this.#outputs.slice().sort((a, b) => a - b)
      this.#quantile = sorted[Math.floor(quantile * (sorted.length - 1))] ?? unknownOutput
    }
  }
}

/** A request's reservation, and what it was made of. */
export interface Reservation extends Cost {
  /** Input as counted, before the correction. */
  readonly counted: number
}

export class TokenForecast {
  readonly #models = new Map<string, ModelForecast>()

  #modelOf(model: string): ModelForecast {
    let forecast = this.#models.get(model)
    if (forecast === undefined) {
      forecast = new ModelForecast()
      this.#models.set(model, forecast)
    }
    return forecast
  }

  /** What to reserve for a request. */
  reserve(
    request: Request,
    model: string,
    options: { readonly chargesMaxTokens: boolean; readonly tokenizer: Tokenizer | undefined }
  ): Reservation {
    const forecast = this.#modelOf(model)
    const counted = countInput(request, options.tokenizer)
    const inputTokens = Math.ceil(counted * forecast.correction)
    // vectors and scores are no tokens
    if (request._tag === "Embedding" || request._tag === "Rerank")
      return { counted, inputTokens, outputTokens: 0 }
    const answers = request.n ?? 1
    const allowed = request.maxTokens === undefined ? undefined : request.maxTokens * answers
    const outputTokens =
      options.chargesMaxTokens && allowed !== undefined
        ? allowed
        : Math.min(forecast.output * answers, allowed ?? Number.POSITIVE_INFINITY)
    return { counted, inputTokens, outputTokens }
  }

  /** What it came to. */
  learn(model: string, { counted }: Reservation, usage: Usage): void {
    if (usage.estimated !== true) this.#modelOf(model).learn(counted, usage)
  }
}
