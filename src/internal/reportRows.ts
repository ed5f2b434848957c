/** What the rows of an output tell, read one by one. */
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import type { Money } from "./money.js"
import type { OutcomeRow } from "./outcomeRow.js"
import { amountOf, moneyOf } from "./reportAmount.js"
import type { Part, Row, TokenCounts } from "./reportData.js"
import { ErrorExamples, shorten } from "./reportErrors.js"
import { LatencySpread } from "./reportLatency.js"
import { Even, Highest, spread } from "./reportSample.js"

/** Characters of a text that are shown. */
const longestText = 280
const longestMetadata = 200
/** More endpoints and models than these are told of together. */
const mostParts = 200
const others = "(others)"
/** How many of the slowest and the dearest are listed. */
export const listed = 20

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)
const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) ? value : undefined
const objectOf = (value: unknown): JsonObject => (isJsonObject(value) ? value : {})

/** A row that may be shown, with what it takes to find its call. */
export interface Candidate {
  readonly row: Row
  readonly key: string
}

const tokenClasses = [
  "inputTokens",
  "outputTokens",
  "cacheReadTokens",
  "cacheWriteTokens",
  "reasoningTokens",
  "audioInputTokens",
  "audioOutputTokens"
] as const satisfies ReadonlyArray<keyof TokenCounts>

/** The sums of an endpoint and a model. */
interface Sums {
  readonly endpoint: string | undefined
  readonly provider: string | undefined
  readonly model: string | undefined
  attempts: number
  answered: number
  failed: number
  inputTokens: number
  outputTokens: number
  cost: Money
  unpriced: number
  readonly latency: LatencySpread
}

const answerOf = (response: JsonObject): string => {
  const text = textOf(response.text)
  if (text !== undefined && text !== "") return text
  if (textOf(response.refusal) !== undefined) return `(refused) ${textOf(response.refusal)}`
  if (Array.isArray(response.toolCalls) && response.toolCalls.length > 0) {
    return `(tool calls) ${JSON.stringify(response.toolCalls.slice(0, 4))}`
  }
  if (Array.isArray(response.embeddings)) return `(${response.embeddings.length} embeddings)`
  if (Array.isArray(response.results)) return `(ranking) ${JSON.stringify(response.results.slice(0, 8))}`
  return ""
}

export class Rows {
  readonly #most: number
  readonly #failures: Even<Candidate>
  readonly #slowest: Highest<Candidate>
  readonly #dearest: Highest<Candidate>
  readonly #sample: Even<Candidate>
  readonly #parts = new Map<string, Sums>()
  readonly latency = new LatencySpread()
  readonly examples = new ErrorExamples()
  /** Failed requests by class. */
  readonly failures = new Map<string, number>()
  readonly tokens: Record<keyof TokenCounts, number> = {
    inputTokens: 0,
    outputTokens: 0,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    audioInputTokens: 0,
    audioOutputTokens: 0
  }
  readonly unpriced = new Set<string>()
  total = 0
  succeeded = 0
  cached = 0
  attempts = 0
  cost: Money = 0n

  /** `most` rows are kept to be shown. */
  constructor(most: number) {
    this.#most = most
    this.#failures = new Even(Math.ceil(most * 0.4))
    this.#slowest = new Highest(
      Math.min(most, Math.max(listed, Math.ceil(most / 10))),
      ({ row }) => row.latencyMs
    )
    this.#dearest = new Highest(
      Math.min(most, Math.max(listed, Math.ceil(most / 10))),
      ({ row }) => row.cost?.dollars ?? 0
    )
    // half of them may go at any time
    this.#sample = new Even(most * 2)
  }

  add({ index, key, success, value }: OutcomeRow): void {
    const line = objectOf(value)
    const meta = objectOf(line.meta)
    const response = objectOf(line.response)
    const error = objectOf(line.error)
    const usage = objectOf(success ? response.usage : error.usage)
    const attempts = numberOf(meta.attempts) ?? 0
    const cached = meta.cached === true
    const latencyMs = numberOf(meta.latencyMs) ?? 0
    const dollars = numberOf(meta.cost)
    const cost = dollars === undefined ? undefined : moneyOf(dollars)
    const model = textOf(response.model)
    const tag = success ? undefined : (textOf(error._tag) ?? "unknown")

    this.total++
    this.attempts += attempts
    if (success) this.succeeded++
    if (cached) this.cached++
    if (cost !== undefined) this.cost += cost
    const unpriced = success && attempts > 0 && cost === undefined
    if (unpriced && model !== undefined && this.unpriced.size < mostParts) this.unpriced.add(model)
    if (!cached) for (const name of tokenClasses) this.tokens[name] += numberOf(usage[name]) ?? 0
    if (attempts > 0) this.latency.add(latencyMs)
    if (tag !== undefined) {
      this.failures.set(tag, (this.failures.get(tag) ?? 0) + 1)
      this.examples.add(tag, { index, status: numberOf(error.status), message: textOf(error.message) ?? "" })
    }
    const part = this.#part(textOf(meta.endpoint), textOf(response.provider) ?? textOf(error.provider), model)
    part.attempts += attempts
    if (!success) part.failed++
    else if (!cached) part.answered++
    if (!cached) part.inputTokens += numberOf(usage.inputTokens) ?? 0
    if (!cached) part.outputTokens += numberOf(usage.outputTokens) ?? 0
    part.cost += cost ?? 0n
    if (unpriced) part.unpriced++
    if (attempts > 0 && success) part.latency.add(latencyMs)

    const isFailure = tag !== undefined && this.#failures.next()
    const isSlow = attempts > 0 && this.#slowest.wants(latencyMs)
    const isDear = (dollars ?? 0) > 0 && this.#dearest.wants(dollars ?? 0)
    const isSample = this.#sample.next()
    if (!(isFailure || isSlow || isDear || isSample)) return
    const metadata = objectOf(line.metadata)
    const row: Row = {
      index,
      id: textOf(line.custom_id),
      text: shorten(success ? answerOf(response) : (textOf(error.message) ?? ""), longestText),
      error: tag,
      status: numberOf(error.status),
      model,
      endpoint: textOf(meta.endpoint),
      finish: textOf(response.finishReason),
      cached,
      attempts,
      latencyMs,
      inputTokens: numberOf(usage.inputTokens),
      outputTokens: numberOf(usage.outputTokens),
      cost: cost === undefined ? undefined : amountOf(cost),
      metadata:
        Object.keys(metadata).length === 0 ? undefined : shorten(JSON.stringify(metadata), longestMetadata)
    }
    const candidate = { row, key }
    if (isFailure) this.#failures.keep(candidate)
    if (isSlow) this.#slowest.add(candidate)
    if (isDear) this.#dearest.add(candidate)
    if (isSample) this.#sample.keep(candidate)
  }

  /** The rows to be shown, in order of the input; failures, the slowest and the dearest go before others. */
  chosen(): ReadonlyArray<Candidate> {
    const chosen = new Map<number, Candidate>()
    const take = (candidates: ReadonlyArray<Candidate>) => {
      for (const candidate of candidates) {
        if (chosen.size < this.#most) chosen.set(candidate.row.index, candidate)
      }
    }
    // those that are listed are always there
    take(this.slowest(listed))
    take(this.dearest(listed))
    take(this.#failures.items())
    take(this.#slowest.items())
    take(this.#dearest.items())
    const others = this.#sample.items().filter(({ row }) => !chosen.has(row.index))
    take(spread(others, this.#most - chosen.size))
    return [...chosen.values()].sort((a, b) => a.row.index - b.row.index)
  }

  slowest(count: number): ReadonlyArray<Candidate> {
    return this.#slowest.items().slice(0, count)
  }

  dearest(count: number): ReadonlyArray<Candidate> {
    return this.#dearest.items().slice(0, count)
  }

  parts(): ReadonlyArray<Part> {
    return Array.from(this.#parts.values(), ({ cost, latency, ...sums }) => {
      const { p50, p95 } = latency.latencies() ?? {}
      return { ...sums, cost: amountOf(cost), p50, p95 }
    })
  }

  #part(endpoint: string | undefined, provider: string | undefined, model: string | undefined): Sums {
    const own = `${endpoint}\n${provider}\n${model}`
    const isOther = !this.#parts.has(own) && this.#parts.size >= mostParts
    const name = isOther ? others : own
    const found = this.#parts.get(name)
    if (found !== undefined) return found
    const part: Sums = {
      endpoint: isOther ? others : endpoint,
      provider: isOther ? undefined : provider,
      model: isOther ? others : model,
      ...{ attempts: 0, answered: 0, failed: 0, inputTokens: 0, outputTokens: 0, cost: 0n, unpriced: 0 },
      latency: new LatencySpread()
    }
    this.#parts.set(name, part)
    return part
  }
}
