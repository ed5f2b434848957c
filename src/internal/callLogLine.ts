/** A call as one line of a call log. */
import { stringify } from "csv-stringify/sync"
import * as Schema from "effect/Schema"
import type { Content } from "../Message.js"
import type { Request } from "../Request.js"
import { toDollars } from "./money.js"
import type { AttemptEvent, RequestEvent } from "./observe.js"

/** See `CallLog.Line`. The order of the fields is that of the columns. */
export const Line = Schema.Struct({
  /** When it ended, in UTC: `"2026-03-01T12:00:00.000Z"`. */
  time: Schema.String,
  /** The id that the request was given. */
  id: Schema.optional(Schema.String),
  /** The key of the request, as outputs have it. */
  key: Schema.optional(Schema.String),
  /** `"call"`: an attempt. Others are answers without one: from the cache, an equal request, an earlier run. */
  origin: Schema.Literal("call", "store", "flight", "checkpoint"),
  endpoint: Schema.optional(Schema.String),
  provider: Schema.optional(Schema.String),
  model: Schema.optional(Schema.String),
  task: Schema.optional(Schema.String),
  /** `"answered"`, `"interrupted"`, `"defect"`, `"wasted"`, or the class of the error. */
  outcome: Schema.String,
  /** HTTP status of an error. */
  status: Schema.optional(Schema.Number),
  /** Which of the request's attempts it was, from 1; 0 where there was none. */
  attempt: Schema.Number,
  /** Whether it was sent while another attempt of the request was under way. */
  hedge: Schema.Boolean,
  /** Whether its answer was paid for and is not the request's. */
  wasted: Schema.Boolean,
  /** Of an attempt from sending to its end; of an answer without one, the request's. */
  latencyMs: Schema.Number,
  inputTokens: Schema.optional(Schema.Number),
  outputTokens: Schema.optional(Schema.Number),
  /** Part of `inputTokens`. */
  cacheReadTokens: Schema.optional(Schema.Number),
  /** Part of `inputTokens`. */
  cacheWriteTokens: Schema.optional(Schema.Number),
  /** Part of `outputTokens`. */
  reasoningTokens: Schema.optional(Schema.Number),
  audioInputTokens: Schema.optional(Schema.Number),
  audioOutputTokens: Schema.optional(Schema.Number),
  searchUnits: Schema.optional(Schema.Number),
  /** In US dollars; absent where nothing is known to be owed, and where the model has no price. */
  cost: Schema.optional(Schema.Number),
  /** The model has no price. */
  unpriced: Schema.Boolean,
  /** It may have been billed, and nobody told us. */
  unsettled: Schema.Boolean,
  /** What an answer without an attempt would have cost, in US dollars. */
  saved: Schema.optional(Schema.Number),
  serviceTier: Schema.optional(Schema.String),
  /** The provider's own id of the call. */
  requestId: Schema.optional(Schema.String),
  /** The beginning of what was asked last, on one line. */
  prompt: Schema.optional(Schema.String),
  /** What the error says. */
  error: Schema.optional(Schema.String)
})
export type Line = typeof Line.Type

/** The names of the columns, in their order. */
export const columns = Object.keys(Line.fields) as ReadonlyArray<keyof Line>

/** What of a request's text is written. */
export interface Texts {
  /** Characters of the prompt; 0 for none. */
  readonly promptChars: number
  /** Takes out of a text what is not to be written. */
  readonly redact: (text: string) => string
}

/** How much further than is shown a prompt is redacted: what is to be taken out may end behind the cut. */
const redactedBeyond = 1_000

const textOf = (content: Content | null | undefined): string => {
  if (content == null) return ""
  if (typeof content === "string") return content
  let text = ""
  for (const part of content) if (part.type === "text") text += text === "" ? part.text : ` ${part.text}`
  return text
}

/** What a request asks in the end. */
const questionOf = (request: Request): string => {
  switch (request._tag) {
    case "Chat": {
      const last = request.messages.findLast(({ role }) => role === "user") ?? request.messages.at(-1)
      return textOf(last?.content)
    }
    case "Completion":
      return request.prompt
    case "Embedding":
      return request.input[0] ?? ""
    case "Rerank":
      return request.query
  }
}

const promptOf = (request: Request, { promptChars, redact }: Texts): string | undefined => {
  if (promptChars === 0) return undefined
  const text = redact(questionOf(request).slice(0, promptChars + redactedBeyond))
    .slice(0, promptChars * 2)
    .replace(/\s+/g, " ")
    .trim()
  if (text.length <= promptChars) return text
  const isTorn = /[\uD800-\uDBFF]/.test(text.charAt(promptChars - 2))
  return `${text.slice(0, promptChars - (isTorn ? 2 : 1))}…`
}

/** The line of an attempt, as it is known when it ends. */
export const ofAttempt = (event: AttemptEvent, texts: Texts): Line => {
  const { cost, error, request, usage } = event
  return {
    time: new Date(event.at).toISOString(),
    id: request.id ?? undefined,
    key: event.key,
    origin: "call",
    endpoint: event.endpoint,
    provider: event.provider,
    model: event.model,
    task: event.task,
    outcome: event.outcome,
    status: error?.status,
    attempt: event.attempt,
    hedge: event.hedge,
    wasted: false,
    latencyMs: event.latencyMs,
    inputTokens: usage?.inputTokens,
    outputTokens: usage?.outputTokens,
    cacheReadTokens: usage?.cacheReadTokens,
    cacheWriteTokens: usage?.cacheWriteTokens,
    reasoningTokens: usage?.reasoningTokens,
    audioInputTokens: usage?.audioInputTokens,
    audioOutputTokens: usage?.audioOutputTokens,
    searchUnits: usage?.searchUnits,
    cost: typeof cost === "bigint" ? toDollars(cost) : undefined,
    unpriced: cost === "unpriced",
    unsettled: event.unsettled !== undefined,
    serviceTier: event.serviceTier,
    requestId: event.requestId,
    prompt: promptOf(request, texts),
    error: error === undefined ? undefined : texts.redact(error.message)
  }
}

/** The line of an attempt whose own line is written, and that was found to be wasted since. */
export const ofLateWaste = (event: AttemptEvent, texts: Texts): Line => {
  const { attempt, endpoint, hedge, id, key, latencyMs, model, origin, provider, requestId, task, time } =
    ofAttempt(event, { ...texts, promptChars: 0 })
  return {
    ...{ time, id, key, origin, endpoint, provider, model, task, outcome: "wasted", attempt, hedge },
    ...{ wasted: true, latencyMs, unpriced: false, unsettled: false, requestId }
  }
}

/** The line of a request for which no attempt was made. */
export const ofRequest = (event: RequestEvent, texts: Texts): Line => {
  const { error, request, response, saved } = event
  return {
    time: new Date(event.at).toISOString(),
    id: request.id ?? undefined,
    key: event.key,
    origin: event.origin,
    provider: response?.provider ?? error?.provider,
    model: request.model ?? response?.model,
    task: event.task,
    outcome: event.outcome,
    status: error?.status,
    attempt: 0,
    hedge: false,
    wasted: false,
    latencyMs: event.latencyMs,
    unpriced: saved === "unpriced",
    unsettled: false,
    saved: typeof saved === "bigint" ? toDollars(saved) : undefined,
    prompt: promptOf(request, texts),
    error: error === undefined ? undefined : texts.redact(error.message)
  }
}

/** A way to write lines. */
export interface Format {
  /** What a file begins with. */
  readonly head: string
  readonly encode: (lines: ReadonlyArray<Line>) => string
}

const csv = (rows: ReadonlyArray<Line | Record<string, string>>): string =>
  stringify([...rows], {
    columns: [...columns],
    cast: { boolean: String },
    // a spreadsheet would run what begins like a formula
    escape_formulas: true
  })

export const formats: Readonly<Record<"jsonl" | "csv", Format>> = {
  jsonl: { head: "", encode: (lines) => lines.map((line) => `${JSON.stringify(line)}\n`).join("") },
  csv: { head: `${columns.join(",")}\n`, encode: csv }
}
