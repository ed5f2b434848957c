/** An outcome as columns of a table: beside those of the input, for people and spreadsheets. */
import { isJsonObject, type JsonObject } from "../internal/jsonObject.js"

type Cell = string | number | boolean | null | undefined

/** A column, and what of an output line stands in it. */
export interface Column {
  readonly name: string
  readonly cell: (outcome: JsonObject) => Cell
}

const plain = (value: unknown): Cell =>
  value === null || value === undefined
    ? ""
    : typeof value === "string" || typeof value === "number"
      ? value
      : JSON.stringify(value)

const part = (outcome: JsonObject, name: string): JsonObject => {
  const value = outcome[name]
  return isJsonObject(value) ? value : {}
}

const usage = (outcome: JsonObject): JsonObject => part(part(outcome, "response"), "usage")

const ofResponse =
  (field: string) =>
  (outcome: JsonObject): Cell =>
    plain(part(outcome, "response")[field])

const toolCalls = (outcome: JsonObject): Cell => {
  const { toolCalls } = part(outcome, "response")
  return Array.isArray(toolCalls) && toolCalls.length > 0 ? JSON.stringify(toolCalls) : ""
}

const result: ReadonlyArray<Column> = [
  { name: "status", cell: ({ status }) => plain(status) },
  { name: "error", cell: (outcome) => plain(part(outcome, "error")._tag) },
  { name: "error_message", cell: (outcome) => plain(part(outcome, "error").message) }
]

const origin: ReadonlyArray<Column> = [
  { name: "model", cell: ofResponse("model") },
  { name: "provider", cell: ofResponse("provider") },
  { name: "input_tokens", cell: (outcome) => plain(usage(outcome).inputTokens) }
]

const history: ReadonlyArray<Column> = [
  { name: "attempts", cell: (outcome) => plain(part(outcome, "meta").attempts) },
  { name: "cached", cell: (outcome) => plain(part(outcome, "meta").cached) },
  { name: "latency_ms", cell: (outcome) => plain(part(outcome, "meta").latencyMs) }
]

/** An answer to a chat. */
export const chat: ReadonlyArray<Column> = [
  { name: "text", cell: ofResponse("text") },
  ...result,
  { name: "finish_reason", cell: ofResponse("finishReason") },
  { name: "refusal", cell: ofResponse("refusal") },
  { name: "tool_calls", cell: toolCalls },
  ...origin,
  { name: "output_tokens", cell: (outcome) => plain(usage(outcome).outputTokens) },
  ...history
]

/** The vector of a text; of several texts all of theirs. */
const vector = (outcome: JsonObject): Cell => {
  const { embeddings } = part(outcome, "response")
  if (!Array.isArray(embeddings)) return ""
  return plain(embeddings.length === 1 ? embeddings[0] : embeddings)
}

export const embedding: ReadonlyArray<Column> = [
  { name: "embedding", cell: vector },
  ...result,
  ...origin,
  ...history
]

const sample: Column = { name: "sample", cell: ({ sample }) => plain(sample) }

/** A table of the input's fields, and of what became of them. */
export interface AnswerTable {
  readonly header: ReadonlyArray<string>
  readonly row: (fields: JsonObject, outcome: JsonObject) => ReadonlyArray<Cell>
}

/**
 * The input's columns keep their names. A column of the answer that one of them has the name of is called
 * `answer_…`.
 */
export const make = (
  input: ReadonlyArray<string>,
  answer: ReadonlyArray<Column>,
  hasSamples: boolean
): AnswerTable => {
  const columns = hasSamples ? [sample, ...answer] : answer
  const taken = new Set(input)
  const names = columns.map(({ name }) => {
    let free = name
    while (taken.has(free)) free = `answer_${free}`
    taken.add(free)
    return free
  })
  return {
    header: [...input, ...names],
    row: (fields, outcome) => [
      ...input.map((name) => (Object.hasOwn(fields, name) ? plain(fields[name]) : "")),
      ...columns.map(({ cell }) => cell(outcome))
    ]
  }
}
