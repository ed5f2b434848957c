/**
 * The sums of a ledger: of attempts by endpoint, model, task, tier and ending, and of requests. They only ever grow,
 * and two books added up are the books of both, in any order: so a checkpoint writes down what was added since its last
 * write, and finds the whole again by adding that up. Memory is bounded by the number of those kinds, never by that of
 * the attempts.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Money } from "../Prices.js"
import type { Usage } from "../Usage.js"
import { LatencySketch } from "./ledgerLatency.js"
import type { AttemptEvent, Observer, RequestEvent } from "./observe.js"

/** Tokens, and what else is billed, by class: see `Usage`. */
export const classes = [
  "inputTokens",
  "outputTokens",
  "cacheReadTokens",
  "cacheWriteTokens",
  "cacheWrite1hTokens",
  "reasoningTokens",
  "audioInputTokens",
  "audioOutputTokens",
  "searchUnits"
] as const
export type Class = (typeof classes)[number]
export type Tokens = Record<Class, number>

export const noTokens = (): Tokens => ({
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
  searchUnits: 0
})

/** What tells attempts apart. */
export interface Kind {
  readonly endpoint: string
  readonly provider: string
  readonly model: string
  /** `""` without one. */
  readonly task: string
  /** The service tier that was billed; `""` where none was told. */
  readonly tier: string
  readonly outcome: AttemptEvent["outcome"] | (string & {})
}

/** The sums of the attempts of one kind. */
export interface Line extends Kind {
  attempts: number
  hedges: number
  readonly tokens: Tokens
  cost: Money
  /** Attempts whose usage is known, and has no price. */
  unpriced: number
  /** Of these sums, what is not the answer of a request. */
  wasted: number
  wastedInput: number
  wastedOutput: number
  wastedCost: Money
  /** Attempts that may have been billed without our being told, and the most that they may come to. */
  unsettled: number
  worst: Money
  /** Those of them of which that is unknown. */
  unbounded: number
  readonly latency: LatencySketch
}

/** Answers that were had for nothing, of one model. */
export interface Saving {
  readonly provider: string
  readonly model: string
  hits: number
  cost: Money
  unpriced: number
}

/** More kinds, and models, than this are booked together, under this name. */
const mostKinds = 2_000
export const others = "(others)"
/** Of more doubts than this the first are told. */
const mostDoubts = 100

const zero: Money = 0n

const emptyLine = (kind: Kind): Line => ({
  ...kind,
  attempts: 0,
  hedges: 0,
  tokens: noTokens(),
  cost: zero,
  unpriced: 0,
  wasted: 0,
  wastedInput: 0,
  wastedOutput: 0,
  wastedCost: zero,
  unsettled: 0,
  worst: zero,
  unbounded: 0,
  latency: new LatencySketch()
})

const addTokens = (tokens: Tokens, usage: { readonly [C in Class]?: number | undefined }): void => {
  for (const name of classes) {
    const count = usage[name]
    if (count !== undefined) tokens[name] += count
  }
}

const keyOf = ({ endpoint, model, outcome, task, tier }: Kind): string =>
  `${endpoint}\n${model}\n${outcome}\n${task}\n${tier}`

const noRequests = () => ({ answered: 0, failed: 0, stored: 0, shared: 0, restored: 0 })

export class Books {
  readonly lines = new Map<string, Line>()
  readonly savings = new Map<string, Saving>()
  /** Settled requests by what became of them. */
  readonly requests = noRequests()
  /** Failed requests by the error's tag. */
  readonly errors = new Map<string, number>()
  /** From a request's start to its outcome. */
  readonly latency = new LatencySketch()
  /** The prices that costs were reckoned with. */
  readonly prices = new Set<string>()
  /** What is doubtful about them; see `Prices.doubts`. */
  readonly doubts = new Set<string>()

  get isEmpty(): boolean {
    const { answered, failed, restored, shared, stored } = this.requests
    return this.lines.size === 0 && answered + failed + restored + shared + stored === 0
  }

  readonly attempt = (event: AttemptEvent): void => {
    const line = this.#line(event)
    line.attempts++
    if (event.hedge) line.hedges++
    line.latency.add(event.latencyMs)
    const { cost, unsettled, usage } = event
    if (unsettled !== undefined) {
      line.unsettled++
      if (unsettled.worst === undefined) line.unbounded++
      else line.worst += unsettled.worst
    }
    if (usage === undefined) {
      // what was given up is of no use, though what it cost is not known: that is unsettled
      if (event.outcome === "interrupted") line.wasted++
      return
    }
    addTokens(line.tokens, usage)
    if (cost === "unpriced") line.unpriced++
    else if (cost !== undefined) {
      line.cost += cost
      this.prices.add(event.prices)
    }
    if (event.doubts !== undefined) this.#doubt(event.doubts)
    if (event.outcome !== "answered") waste(line, usage, cost)
  }

  readonly wasted = (event: AttemptEvent): void => {
    if (event.usage !== undefined) waste(this.#line(event), event.usage, event.cost)
  }

  readonly request = (event: RequestEvent): void => {
    const { origin, outcome, response, saved } = event
    if (origin === "checkpoint") {
      this.requests.restored++
      return
    }
    this.latency.add(event.latencyMs)
    if (outcome !== "answered") {
      this.requests.failed++
      this.errors.set(outcome, (this.errors.get(outcome) ?? 0) + 1)
      return
    }
    if (origin === "call") this.requests.answered++
    else {
      if (origin === "store") this.requests.stored++
      else this.requests.shared++
      const saving = this.#saving(response?.provider ?? "", response?.model ?? "")
      saving.hits++
      if (saved === "unpriced") saving.unpriced++
      else if (saved !== undefined) saving.cost += saved
    }
  }

  /** Books what happens. */
  get observer(): Observer {
    return { attempt: this.attempt, wasted: this.wasted, request: this.request }
  }

  merge(books: Books): void {
    for (const from of books.lines.values()) {
      const line = this.#lineOf(from)
      line.attempts += from.attempts
      line.hedges += from.hedges
      addTokens(line.tokens, from.tokens)
      line.cost += from.cost
      line.unpriced += from.unpriced
      line.wasted += from.wasted
      line.wastedInput += from.wastedInput
      line.wastedOutput += from.wastedOutput
      line.wastedCost += from.wastedCost
      line.unsettled += from.unsettled
      line.worst += from.worst
      line.unbounded += from.unbounded
      line.latency.merge(from.latency)
    }
    for (const from of books.savings.values()) {
      const saving = this.#saving(from.provider, from.model)
      saving.hits += from.hits
      saving.cost += from.cost
      saving.unpriced += from.unpriced
    }
    this.requests.answered += books.requests.answered
    this.requests.failed += books.requests.failed
    this.requests.stored += books.requests.stored
    this.requests.shared += books.requests.shared
    this.requests.restored += books.requests.restored
    for (const [tag, count] of books.errors) this.errors.set(tag, (this.errors.get(tag) ?? 0) + count)
    this.latency.merge(books.latency)
    for (const version of books.prices) this.prices.add(version)
    this.#doubt(books.doubts)
  }

  /** What these hold beyond those, which were a part of them. */
  beyond(books: Books): Books {
    const more = new Books()
    for (const [key, from] of this.lines) {
      const past = books.lines.get(key)
      const line: Line = { ...from, tokens: noTokens(), latency: rest(from.latency, past?.latency) }
      for (const name of classes) line.tokens[name] = less(from.tokens[name], past?.tokens[name])
      for (const name of counts) line[name] = less(from[name], past?.[name])
      for (const name of sums) line[name] = lessMoney(from[name], past?.[name])
      if (line.attempts + line.wasted > 0) more.lines.set(key, line)
    }
    for (const [key, from] of this.savings) {
      const past = books.savings.get(key)
      const hits = less(from.hits, past?.hits)
      if (hits === 0) continue
      const unpriced = less(from.unpriced, past?.unpriced)
      more.savings.set(key, { ...from, hits, cost: lessMoney(from.cost, past?.cost), unpriced })
    }
    for (const name of ends) more.requests[name] = less(this.requests[name], books.requests[name])
    for (const [tag, count] of this.errors) {
      const left = less(count, books.errors.get(tag))
      if (left > 0) more.errors.set(tag, left)
    }
    more.latency.merge(rest(this.latency, books.latency))
    for (const version of this.prices) more.prices.add(version)
    more.#doubt(this.doubts)
    return more
  }

  #line({ endpoint, model, outcome, provider, serviceTier = "", task = "" }: AttemptEvent): Line {
    return this.#lineOf({ endpoint, provider, model, task, tier: serviceTier, outcome })
  }

  #lineOf(kind: Kind): Line {
    const key = keyOf(kind)
    const known = this.lines.get(key)
    if (known !== undefined) return known
    // a model for every request would be a line for every request
    if (this.lines.size >= mostKinds && kind.model !== others) {
      return this.#lineOf({ ...kind, model: others, task: "", tier: "" })
    }
    const { endpoint, model, outcome, provider, task, tier } = kind
    const line = emptyLine({ endpoint, provider, model, task, tier, outcome })
    this.lines.set(key, line)
    return line
  }

  #doubt(doubts: Iterable<string>): void {
    for (const doubt of doubts) if (this.doubts.size < mostDoubts) this.doubts.add(doubt)
  }

  #saving(provider: string, model: string): Saving {
    const key = `${provider}\n${model}`
    const known = this.savings.get(key)
    if (known !== undefined) return known
    if (this.savings.size >= mostKinds && model !== others) return this.#saving(provider, others)
    const saving: Saving = { provider, model, hits: 0, cost: zero, unpriced: 0 }
    this.savings.set(key, saving)
    return saving
  }
}

const counts = [
  "attempts",
  "hedges",
  "unpriced",
  "wasted",
  "wastedInput",
  "wastedOutput",
  "unsettled",
  "unbounded"
] as const
const sums = ["cost", "wastedCost", "worst"] as const
const ends = ["answered", "failed", "stored", "shared", "restored"] as const

// what was booked, and never written, is in neither: it is not owed
const less = (whole: number, part = 0): number => Math.max(0, whole - part)
const lessMoney = (whole: Money, part = zero): Money => (whole > part ? whole - part : zero)

const rest = (whole: LatencySketch, part: LatencySketch | undefined): LatencySketch => {
  const past = new Map(part?.encode())
  const left = new LatencySketch()
  left.restore(whole.encode().map(([bucket, count]) => [bucket, less(count, past.get(bucket))]))
  return left
}

const waste = (line: Line, usage: Usage, cost: AttemptEvent["cost"]): void => {
  line.wasted++
  line.wastedInput += usage.inputTokens
  line.wastedOutput += usage.outputTokens
  if (typeof cost === "bigint") line.wastedCost += cost
}

// --- as JSON -----------------------------------------------------------------------------------------------

/** The format that is written. Others are not read. */
export const version = 1

const Count = Schema.optionalWith(Schema.Number, { default: () => 0 })
const Text = Schema.optionalWith(Schema.String, { default: () => "" })
const Sum = Schema.optionalWith(Schema.BigInt, { default: () => 0n })
const Latency = Schema.optionalWith(Schema.Array(Schema.Tuple(Schema.Number, Schema.Number)), {
  default: () => []
})

/** Zeros and empty texts are left out; money is in picodollars, as text. */
const Stored = Schema.Struct({
  version: Schema.Literal(version),
  lines: Schema.Array(
    Schema.Struct({
      endpoint: Schema.String,
      provider: Text,
      model: Text,
      task: Text,
      tier: Text,
      outcome: Schema.String,
      attempts: Count,
      hedges: Count,
      tokens: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.Number }), {
        default: () => ({})
      }),
      cost: Sum,
      unpriced: Count,
      wasted: Count,
      wastedInput: Count,
      wastedOutput: Count,
      wastedCost: Sum,
      unsettled: Count,
      worst: Sum,
      unbounded: Count,
      latency: Latency
    })
  ),
  savings: Schema.Array(
    Schema.Struct({ provider: Text, model: Text, hits: Count, cost: Sum, unpriced: Count })
  ),
  requests: Schema.Struct({
    answered: Count,
    failed: Count,
    stored: Count,
    shared: Count,
    restored: Count
  }),
  errors: Schema.Record({ key: Schema.String, value: Schema.Number }),
  latency: Latency,
  prices: Schema.Array(Schema.String),
  doubts: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
})

/** Without what says nothing. */
const lean = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> => {
  const kept: Record<string, unknown> = {}
  for (const name in fields) {
    const value = fields[name]
    if (value === 0 || value === 0n || value === "" || (Array.isArray(value) && value.length === 0)) continue
    kept[name] = typeof value === "bigint" ? String(value) : value
  }
  return kept
}

/** The books as one JSON text without a line break. */
export const encode = (books: Books): string =>
  JSON.stringify({
    version,
    lines: Array.from(books.lines.values(), (line) =>
      lean({ ...line, tokens: lean(line.tokens), latency: line.latency.encode() })
    ),
    savings: Array.from(books.savings.values(), (saving) => lean({ ...saving })),
    requests: lean(books.requests),
    errors: Object.fromEntries(books.errors),
    latency: books.latency.encode(),
    prices: [...books.prices],
    ...(books.doubts.size === 0 ? undefined : { doubts: [...books.doubts] })
  })

const decodeStored = Schema.decodeUnknownEither(Stored)

/** The books that {@link encode} gave, parsed; none if they are of another format. */
export const decode = (json: unknown): Books | undefined => {
  const decoded = decodeStored(json)
  if (Either.isLeft(decoded)) return undefined
  const stored = decoded.right
  const books = new Books()
  for (const { latency, tokens, ...fields } of stored.lines) {
    const line: Line = { ...emptyLine(fields), ...fields, tokens: noTokens(), latency: new LatencySketch() }
    addTokens(line.tokens, tokens)
    line.latency.restore(latency)
    books.lines.set(keyOf(line), line)
  }
  for (const saving of stored.savings) books.savings.set(`${saving.provider}\n${saving.model}`, { ...saving })
  Object.assign(books.requests, stored.requests)
  for (const [tag, count] of Object.entries(stored.errors)) books.errors.set(tag, count)
  books.latency.restore(stored.latency)
  for (const version of stored.prices) books.prices.add(version)
  for (const doubt of stored.doubts) books.doubts.add(doubt)
  return books
}
