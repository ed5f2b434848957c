/** The sums of a ledger in the form that people and programs read. */
import * as Schema from "effect/Schema"
import { type Books, type Class, classes, type Line, noTokens } from "./ledgerBooks.js"
import { LatencySketch } from "./ledgerLatency.js"
import { toDollars as dollars, type Money } from "./money.js"

const Tokens = Schema.Struct({
  /** All input, cached or not. */
  inputTokens: Schema.Number,
  /** All output, reasoning included. */
  outputTokens: Schema.Number,
  cacheReadTokens: Schema.Number,
  cacheWriteTokens: Schema.Number,
  /** The part of `cacheWriteTokens` that is kept for an hour. */
  cacheWrite1hTokens: Schema.Number,
  reasoningTokens: Schema.Number,
  audioInputTokens: Schema.Number,
  audioOutputTokens: Schema.Number,
  searchUnits: Schema.Number
})

const Quantiles = Schema.Struct({ p50: Schema.Number, p95: Schema.Number, p99: Schema.Number })

/** Sums over attempts. Money is in US dollars: the nearest number to a sum that is exact. */
export const Sums = Schema.Struct({
  /** HTTP calls. */
  attempts: Schema.Number,
  answered: Schema.Number,
  failed: Schema.Number,
  /** Given up: by a stop, a deadline, or because another answer came first. */
  interrupted: Schema.Number,
  /** Those that were sent while another of the same request was under way. */
  hedges: Schema.Number,
  usage: Tokens,
  /** All that was paid and has a price, waste included. */
  cost: Schema.Number,
  /** Attempts that used tokens at a model without a price: they are not in `cost`. */
  unpriced: Schema.Number,
  /** What was paid for and is not a request's answer. */
  wasted: Schema.Struct({
    attempts: Schema.Number,
    inputTokens: Schema.Number,
    outputTokens: Schema.Number,
    cost: Schema.Number
  }),
  /** Attempts that may have been billed, and nobody told us: they are not in `cost`. */
  unsettled: Schema.Struct({
    attempts: Schema.Number,
    /** The most that they may come to, but for those of which that is unknown. */
    worst: Schema.Number,
    unbounded: Schema.Number
  }),
  /** Milliseconds from sending to the answer, to within 2 %; absent without one. */
  latencyMs: Schema.optional(Quantiles)
})
export type Sums = typeof Sums.Type

const grouped = <F extends Schema.Struct.Fields>(fields: F) =>
  Schema.Array(Schema.Struct({ ...fields, ...Sums.fields }))

const Part = Schema.Struct({
  attempts: Schema.Number,
  cost: Schema.Number,
  wasted: Schema.Number,
  saved: Schema.Number
})

/** Everything that a ledger knows. */
export const Summary = Schema.Struct({
  total: Sums,
  /** The same by the model that each endpoint was asked for. */
  rows: grouped({ endpoint: Schema.String, provider: Schema.String, model: Schema.String }),
  endpoints: grouped({ endpoint: Schema.String, provider: Schema.String }),
  models: grouped({ provider: Schema.String, model: Schema.String }),
  /** The task `""` is none. */
  tasks: grouped({ task: Schema.String }),
  /** The service tier `""` is that of answers that name none. */
  serviceTiers: grouped({ serviceTier: Schema.String }),
  /** By how the attempts ended: `"answered"`, `"interrupted"`, or the class of the error. */
  outcomes: grouped({ outcome: Schema.String }),
  /** Settled requests. One whose answer was lost with a run that was killed, and that was asked again, counts twice. */
  requests: Schema.Struct({
    answered: Schema.Number,
    failed: Schema.Number,
    /** Answers out of the cache. */
    cached: Schema.Number,
    /** Answers of equal requests that were under way. */
    shared: Schema.Number,
    /** Answers that an earlier run had left in the checkpoint. */
    resumed: Schema.Number,
    /** Failures by the error's class. */
    errors: Schema.Record({ key: Schema.String, value: Schema.Number }),
    /** From the start to the outcome, waits included. */
    latencyMs: Schema.optional(Quantiles)
  }),
  /** What cached and shared answers would have cost. */
  saved: Schema.Struct({
    cost: Schema.Number,
    /** Such answers of models without a price. */
    unpriced: Schema.Number,
    models: Schema.Array(
      Schema.Struct({
        provider: Schema.String,
        model: Schema.String,
        hits: Schema.Number,
        cost: Schema.Number,
        unpriced: Schema.Number
      })
    )
  }),
  /** Models that were used and have no price. */
  unpriced: Schema.Array(Schema.String),
  /** The prices that costs were reckoned with. */
  prices: Schema.Array(Schema.String),
  /** What of the costs rests on less than a stated price, each with the name of that price. */
  doubts: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  /** Of the totals, what runs of the checkpoint did before this one. */
  earlier: Part,
  /** The totals without those. */
  run: Part,
  /**
   * Requests of runs that died before they could write down what became of them: each may have been billed once more
   * than the totals say, or what it was billed is in them and its answer was lost.
   */
  outcomeUnknown: Schema.Number
})
export type Summary = typeof Summary.Type

const sum = <A>(items: Iterable<A>, of: (item: A) => number): number => {
  let total = 0
  for (const item of items) total += of(item)
  return total
}

const sumMoney = <A>(items: Iterable<A>, of: (item: A) => Money): Money => {
  let total: Money = 0n
  for (const item of items) total += of(item)
  return total
}

const attemptsOf = (lines: ReadonlyArray<Line>): number => sum(lines, (line) => line.attempts)

const sumsOf = (lines: ReadonlyArray<Line>): Sums => {
  const answered = lines.filter(({ outcome }) => outcome === "answered")
  const interrupted = lines.filter(({ outcome }) => outcome === "interrupted")
  const usage: Record<Class, number> = noTokens()
  for (const { tokens } of lines) for (const name of classes) usage[name] += tokens[name]
  const latency = new LatencySketch()
  for (const line of answered) latency.merge(line.latency)
  const latencyMs = latency.quantiles()
  return {
    attempts: attemptsOf(lines),
    answered: attemptsOf(answered),
    failed: attemptsOf(lines) - attemptsOf(answered) - attemptsOf(interrupted),
    interrupted: attemptsOf(interrupted),
    hedges: sum(lines, (line) => line.hedges),
    usage,
    cost: dollars(sumMoney(lines, (line) => line.cost)),
    unpriced: sum(lines, (line) => line.unpriced),
    wasted: {
      attempts: sum(lines, (line) => line.wasted),
      inputTokens: sum(lines, (line) => line.wastedInput),
      outputTokens: sum(lines, (line) => line.wastedOutput),
      cost: dollars(sumMoney(lines, (line) => line.wastedCost))
    },
    unsettled: {
      attempts: sum(lines, (line) => line.unsettled),
      worst: dollars(sumMoney(lines, (line) => line.worst)),
      unbounded: sum(lines, (line) => line.unbounded)
    },
    ...(latencyMs === undefined ? undefined : { latencyMs })
  }
}

/** The lines by what `of` says of them, in the order of its texts. */
const groups = <K extends Readonly<Record<string, string>>>(
  lines: ReadonlyArray<Line>,
  of: (line: Line) => K
): ReadonlyArray<K & Sums> => {
  const found = new Map<string, { readonly kind: K; readonly lines: Array<Line> }>()
  for (const line of lines) {
    const kind = of(line)
    const key = Object.values(kind).join("\n")
    const group = found.get(key)
    if (group === undefined) found.set(key, { kind, lines: [line] })
    else group.lines.push(line)
  }
  return Array.from(found)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { kind, lines }]) => ({ ...kind, ...sumsOf(lines) }))
}

/** The sums that tell runs apart, exactly. */
const figuresOf = ({ lines, savings }: Books) => ({
  attempts: sum(lines.values(), (line) => line.attempts),
  cost: sumMoney(lines.values(), ({ cost }) => cost),
  wasted: sumMoney(lines.values(), ({ wastedCost }) => wastedCost),
  saved: sumMoney(savings.values(), ({ cost }) => cost)
})

const partOf = ({ attempts, cost, saved, wasted }: ReturnType<typeof figuresOf>) => ({
  attempts,
  cost: dollars(cost),
  wasted: dollars(wasted),
  saved: dollars(saved)
})

/** What the books say. `earlier` are those of earlier runs, which are in `books` too. */
export const summary = (books: Books, earlier: Books, outcomeUnknown: number): Summary => {
  const lines = [...books.lines.values()]
  const savings = [...books.savings.values()]
  const all = figuresOf(books)
  const before = figuresOf(earlier)
  const { answered, failed, restored, shared, stored } = books.requests
  const latencyMs = books.latency.quantiles()
  const unpriced = new Set(
    lines
      .filter((line) => line.unpriced > 0)
      .map(({ model }) => model)
      .concat(savings.filter((saving) => saving.unpriced > 0).map(({ model }) => model))
  )
  return {
    total: sumsOf(lines),
    rows: groups(lines, ({ endpoint, model, provider }) => ({ endpoint, provider, model })),
    endpoints: groups(lines, ({ endpoint, provider }) => ({ endpoint, provider })),
    models: groups(lines, ({ model, provider }) => ({ provider, model })),
    tasks: groups(lines, ({ task }) => ({ task })),
    serviceTiers: groups(lines, ({ tier }) => ({ serviceTier: tier })),
    outcomes: groups(lines, ({ outcome }) => ({ outcome })),
    requests: {
      answered: answered + stored + shared,
      failed,
      cached: stored,
      shared,
      resumed: restored,
      errors: Object.fromEntries(books.errors),
      ...(latencyMs === undefined ? undefined : { latencyMs })
    },
    saved: {
      cost: dollars(sumMoney(savings, ({ cost }) => cost)),
      unpriced: sum(savings, (saving) => saving.unpriced),
      models: savings.map((saving) => ({ ...saving, cost: dollars(saving.cost) }))
    },
    unpriced: [...unpriced].sort(),
    prices: [...books.prices].sort(),
    doubts: [...books.doubts].sort(),
    earlier: partOf(before),
    run: partOf({
      attempts: all.attempts - before.attempts,
      cost: all.cost - before.cost,
      wasted: all.wasted - before.wasted,
      saved: all.saved - before.saved
    }),
    outcomeUnknown
  }
}
