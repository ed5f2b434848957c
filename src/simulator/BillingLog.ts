/**
 * The billing log: each request received, what it was answered, and whether it was charged.
 *
 * Entries live in columns of typed arrays, about 90 bytes each, in blocks; the oldest block goes when the
 * log is full. The summary counts everything since the start or the last reset, dropped entries included.
 */
import * as Bill from "./Bill.js"
import type { RequestHash } from "./RequestHash.js"
import * as Tally from "./Tally.js"

/**
 * How a request ended:
 * - `"open"`: not yet (or the server closed first)
 * - `"answered"`: a complete HTTP answer was sent, whatever its status
 * - `"reset"`, `"truncated"`: the server broke the connection before, or within, the answer
 * - `"abandoned"`: the client went away first
 */
export type Outcome = "open" | "answered" | "reset" | "truncated" | "abandoned"

const outcomes: ReadonlyArray<Outcome> = ["open", "answered", "reset", "truncated", "abandoned"]

/**
 * One request received, and what it is billed. Its tokens are those of the answer as it was made, as far as it was
 * written; those of a call that is not `charged` cost nothing.
 */
export interface LogEntry extends Bill.Tokens {
  /** Order of arrival, counted from 1. */
  readonly seq: number
  /** Arrival, milliseconds since the epoch. */
  readonly time: number
  /** Arrival, milliseconds since the simulator started. */
  readonly elapsed: number
  readonly method: string
  readonly path: string
  /** The model asked for; empty if the request was refused before it was read. */
  readonly model: string
  /** Hash of the canonical body; empty if it could not be read. */
  readonly hash: string
  /** How often this hash had been received, this time included; 0 without a hash. */
  readonly attempt: number
  /** Short hash of the API key, empty without one. Never the key. */
  readonly key: string
  readonly outcome: Outcome
  /** Status sent; 0 if none was. */
  readonly status: number
  /** Kind of the injected fault. */
  readonly fault: string | null
  /** Whether the provider bills for it. */
  readonly charged: boolean
  /**
   * Whether a whole, well-formed answer was sent. Of a call that was charged and not delivered, `outcome` tells whose
   * doing it was: `"abandoned"` the client's, anything else the provider's.
   */
  readonly delivered: boolean
  /** Dollars, by the `prices` option. */
  readonly cost: number
  /** Milliseconds from arrival to the end of the exchange. */
  readonly latencyMs: number
  /** Beginning of the prompt, with the `logPrompts` option. */
  readonly prompt?: string
}

/** Counts over all requests since the start or the last reset; the tokens are those of the charged requests. */
export interface Summary extends Bill.Tokens {
  readonly requests: number
  /** Requests whose answer is not finished. */
  readonly open: number
  /** Requests whose answer was delivered: complete, well-formed, with a 2xx status, and of a model. */
  readonly successes: number
  readonly charged: number
  /** What was charged for requests whose answer was not delivered: part of the sums here. */
  readonly undelivered: Undelivered
  readonly byStatus: Readonly<Record<string, number>>
  readonly byOutcome: Readonly<Record<string, number>>
  readonly byFault: Readonly<Record<string, number>>
  /** Dollars charged. */
  readonly cost: number
  readonly distinctHashes: number
  /** Hashes that were answered with success more than once. */
  readonly answeredMoreThanOnce: number
  /** Hashes that were charged more than once. */
  readonly chargedMoreThanOnce: number
  readonly maxInFlight: number
  /** The most requests received within any one second, and any one minute, of the entries kept. */
  readonly busiestSecond: number
  readonly busiestMinute: number
}

/** Requests that were charged and whose answer was not delivered. */
export interface Undelivered extends Bill.Tokens {
  readonly requests: number
  /** Dollars. */
  readonly cost: number
}

/** What is known of a request when it arrives. */
export interface Arrival {
  readonly time: number
  readonly method: string
  readonly path: string
  readonly model: string
  readonly hash: RequestHash
  readonly attempt: number
  readonly key: string
  readonly prompt: string
}

/** What is known of it when it has ended. */
export interface Ending {
  readonly time: number
  readonly outcome: Outcome
  readonly status: number
  readonly fault: string | null
  readonly tokens: Bill.Tokens
  readonly charged: boolean
  readonly delivered: boolean
  readonly cost: number
}

/** A request received and not yet ended. */
export interface Ticket {
  readonly seq: number
  readonly generation: number
  readonly arrival: Arrival
}

/** The log of one simulator. */
export interface BillingLog {
  /** Counts one more arrival of a hash, and gives the count. */
  readonly attempt: (hash: RequestHash) => number
  /** The number the next arrival will have. */
  readonly nextSeq: () => number
  readonly open: (arrival: Arrival) => Ticket
  readonly finish: (ticket: Ticket, ending: Ending) => void
  /** Entries kept with a number above `since`, oldest first. */
  readonly entries: (since?: number) => Generator<LogEntry>
  /** Entries kept that have not ended. */
  readonly unfinished: () => Generator<LogEntry>
  readonly summary: () => Summary
  /** Forgets everything; what is in flight ends unrecorded. Numbers go on. */
  readonly reset: () => void
}

const blockRows = 1 << 14

/** A column for each kind of token. */
const tokenColumns = () => {
  const column = () => new Uint32Array(blockRows)
  return Object.fromEntries(Bill.kinds.map((kind) => [kind, column()]))
}

const makeBlock = (withPrompts: boolean) => ({
  time: new Float64Array(blockRows),
  end: new Float64Array(blockRows),
  cost: new Float64Array(blockRows),
  high: new Uint32Array(blockRows),
  low: new Uint32Array(blockRows),
  attempt: new Uint32Array(blockRows),
  tokens: tokenColumns(),
  name: new Uint32Array(blockRows),
  fault: new Uint32Array(blockRows),
  status: new Uint16Array(blockRows),
  outcome: new Uint8Array(blockRows),
  charged: new Uint8Array(blockRows),
  delivered: new Uint8Array(blockRows),
  prompt: withPrompts ? new Array<string>(blockRows).fill("") : undefined
})

type Block = ReturnType<typeof makeBlock>

// Requests share few combinations of method, path, model and key: each is stored once.
type Name = Pick<Arrival, "method" | "path" | "model" | "key">

const makeNames = () => {
  const names: Array<Name> = []
  const index = new Map<string, number>()
  return {
    add: ({ key, method, model, path }: Name): number => {
      const id = `${method} ${path} ${key} ${model}`
      const known = index.get(id)
      if (known !== undefined) return known
      index.set(id, names.length)
      return names.push({ method, path, model, key }) - 1
    },
    get: (i: number): Name => names[i] ?? { method: "", path: "", model: "", key: "" }
  }
}

const tokensAt = (block: Block, row: number): Bill.Tokens => {
  const tokens = { ...Bill.none }
  for (const kind of Bill.kinds) tokens[kind] = block.tokens[kind]?.[row] ?? 0
  return tokens
}

const addTo = (sums: { -readonly [K in keyof Bill.Tokens]: number }, tokens: Bill.Tokens): void => {
  for (const kind of Bill.kinds) sums[kind] += tokens[kind]
}

const hex = (word: number): string => word.toString(16).padStart(8, "0")

const bump = (counts: Record<string, number>, key: string): void => {
  counts[key] = (counts[key] ?? 0) + 1
}

/** Makes an empty log. `onFinish` hears of each entry as it ends. */
export const make = (options: {
  readonly startedAt: number
  readonly limit: number
  readonly promptChars: number
  readonly onFinish?: ((entry: LogEntry) => void) | undefined
}): BillingLog => {
  const { limit, onFinish, promptChars, startedAt } = options
  const names = makeNames()
  const faults: Array<string | null> = [null]
  let blocks = new Map<number, Block>()
  let generation = 0
  let last = 0
  let first = 1
  let tally = Tally.make()
  const counters = (): Record<string, number> => ({})
  const zero = () => ({
    requests: 0,
    open: 0,
    successes: 0,
    charged: 0,
    byStatus: counters(),
    byOutcome: counters(),
    byFault: counters(),
    ...Bill.none,
    cost: 0,
    undelivered: { requests: 0, ...Bill.none, cost: 0 },
    answeredMoreThanOnce: 0,
    chargedMoreThanOnce: 0,
    maxInFlight: 0
  })
  let counts = zero()

  const blockOf = (seq: number) => Math.floor((seq - 1) / blockRows)
  const rowOf = (seq: number) => (seq - 1) % blockRows

  const entry = (seq: number): LogEntry | undefined => {
    const block = blocks.get(blockOf(seq))
    if (block === undefined) return undefined
    const row = rowOf(seq)
    const time = block.time[row] ?? 0
    const attempt = block.attempt[row] ?? 0
    const end = block.end[row] ?? 0
    const base = {
      seq,
      time,
      elapsed: time - startedAt,
      ...names.get(block.name[row] ?? 0),
      hash: attempt === 0 ? "" : hex(block.high[row] ?? 0) + hex(block.low[row] ?? 0),
      attempt,
      outcome: outcomes[block.outcome[row] ?? 0] ?? "open",
      status: block.status[row] ?? 0,
      fault: faults[block.fault[row] ?? 0] ?? null,
      ...tokensAt(block, row),
      charged: block.charged[row] === 1,
      delivered: block.delivered[row] === 1,
      cost: block.cost[row] ?? 0,
      latencyMs: end === 0 ? 0 : end - time
    }
    return block.prompt === undefined ? base : { ...base, prompt: block.prompt[row] ?? "" }
  }

  const entries = function* (since = 0): Generator<LogEntry> {
    const to = last
    for (let seq = Math.max(since + 1, first); seq <= to; seq++) {
      const found = entry(seq)
      if (found !== undefined) yield found
    }
  }

  const unfinished = function* (): Generator<LogEntry> {
    for (let seq = first; seq <= last; seq++) {
      if (blocks.get(blockOf(seq))?.outcome[rowOf(seq)] !== 0) continue
      const found = entry(seq)
      if (found !== undefined) yield found
    }
  }

  const busiest = (windowMillis: number): number => {
    let most = 0
    let from = first
    const timeOf = (seq: number) => blocks.get(blockOf(seq))?.time[rowOf(seq)] ?? 0
    for (let seq = first; seq <= last; seq++) {
      const now = timeOf(seq)
      while (timeOf(from) <= now - windowMillis) from += 1
      most = Math.max(most, seq - from + 1)
    }
    return most
  }

  return {
    attempt: (hash) => tally.increment(hash, "attempts"),
    nextSeq: () => last + 1,
    open: (arrival) => {
      last += 1
      const at = blockOf(last)
      let block = blocks.get(at)
      if (block === undefined) {
        block = makeBlock(promptChars > 0)
        blocks.set(at, block)
      }
      const oldest = blockOf(first)
      if (oldest < at && last - first >= limit) {
        blocks.delete(oldest)
        first = (oldest + 1) * blockRows + 1
      }
      const row = rowOf(last)
      block.time[row] = arrival.time
      block.high[row] = arrival.hash.high
      block.low[row] = arrival.hash.low
      block.attempt[row] = arrival.attempt
      block.name[row] = names.add(arrival)
      if (block.prompt !== undefined) block.prompt[row] = arrival.prompt.slice(0, promptChars)
      counts.requests += 1
      counts.open += 1
      counts.maxInFlight = Math.max(counts.maxInFlight, counts.open)
      return { seq: last, generation, arrival }
    },
    finish: (ticket, ending) => {
      if (ticket.generation !== generation) return
      counts.open -= 1
      bump(counts.byOutcome, ending.outcome)
      if (ending.status !== 0) bump(counts.byStatus, String(ending.status))
      if (ending.fault !== null) bump(counts.byFault, ending.fault)
      if (ending.delivered) {
        counts.successes += 1
        if (tally.increment(ticket.arrival.hash, "answered") === 2) counts.answeredMoreThanOnce += 1
      }
      if (ending.charged) {
        counts.charged += 1
        addTo(counts, ending.tokens)
        counts.cost += ending.cost
        if (!ending.delivered) {
          counts.undelivered.requests += 1
          addTo(counts.undelivered, ending.tokens)
          counts.undelivered.cost += ending.cost
        }
        if (tally.increment(ticket.arrival.hash, "charged") === 2) counts.chargedMoreThanOnce += 1
      }
      const block = blocks.get(blockOf(ticket.seq))
      if (block === undefined) return
      const row = rowOf(ticket.seq)
      block.end[row] = ending.time
      block.outcome[row] = outcomes.indexOf(ending.outcome)
      block.status[row] = ending.status
      for (const kind of Bill.kinds) {
        const column = block.tokens[kind]
        if (column !== undefined) column[row] = ending.tokens[kind]
      }
      block.charged[row] = ending.charged ? 1 : 0
      block.delivered[row] = ending.delivered ? 1 : 0
      block.cost[row] = ending.cost
      if (ending.fault !== null) {
        const known = faults.indexOf(ending.fault)
        block.fault[row] = known >= 0 ? known : faults.push(ending.fault) - 1
      }
      if (onFinish !== undefined) {
        const finished = entry(ticket.seq)
        if (finished !== undefined) onFinish(finished)
      }
    },
    entries,
    unfinished,
    summary: () => ({
      ...counts,
      byStatus: { ...counts.byStatus },
      byOutcome: { ...counts.byOutcome },
      byFault: { ...counts.byFault },
      undelivered: { ...counts.undelivered },
      distinctHashes: tally.size(),
      busiestSecond: busiest(1_000),
      busiestMinute: busiest(60_000)
    }),
    reset: () => {
      generation += 1
      blocks = new Map()
      tally = Tally.make()
      counts = zero()
      first = last + 1
    }
  }
}
