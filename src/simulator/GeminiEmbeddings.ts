/** `embedContent`, `batchEmbedContents` and, on Vertex, `predict`: a vector for each text. */
import { type Body, list, number, record, textOf, unknownFields } from "./BodyChecks.js"
import { invalid, unknownField } from "./GeminiError.js"
import { tokensOf } from "./Text.js"
import * as Vectors from "./Vectors.js"
import type { Call, Reply, WireOptions } from "./Wire.js"

const fields = new Set(["model", "content", "taskType", "title", "outputDimensionality"])
const instanceFields = new Set(["content", "task_type", "title"])
const taskTypes = new Set([
  "TASK_TYPE_UNSPECIFIED",
  "RETRIEVAL_QUERY",
  "RETRIEVAL_DOCUMENT",
  "SEMANTIC_SIMILARITY",
  "CLASSIFICATION",
  "CLUSTERING",
  "QUESTION_ANSWERING",
  "FACT_VERIFICATION",
  "CODE_RETRIEVAL_QUERY"
])

const most = 100
const standard = 3072

interface Item {
  readonly text: string
  readonly taskType: unknown
  readonly dimensions: number | undefined
}

const itemOf = (request: Body): Item => ({
  text: textOf(record(request["content"])["parts"]),
  taskType: request["taskType"],
  dimensions: number(request["outputDimensionality"])
})

const badItem = ({ dimensions, taskType, text }: Item, options: WireOptions): Reply | undefined => {
  if (text === "") return invalid("* EmbedContentRequest.content: contents is not specified\n")
  if (taskType !== undefined && !taskTypes.has(String(taskType))) {
    return invalid(`Invalid value at 'task_type', "${taskType}"`)
  }
  if (dimensions !== undefined && (dimensions < 1 || dimensions > standard)) {
    return invalid(`outputDimensionality must be between 1 and ${standard}.`)
  }
  const tokens = tokensOf(text.length)
  return options.contextWindow !== undefined && tokens > options.contextWindow
    ? invalid(
        `The input token count (${tokens}) exceeds the maximum number of tokens allowed (${options.contextWindow}).`
      )
    : undefined
}

const call = (
  items: ReadonlyArray<Item>,
  model: string,
  options: WireOptions,
  bodyOf: (vectors: ReadonlyArray<ReadonlyArray<number>>, tokens: ReadonlyArray<number>) => unknown
): Call | Reply => {
  if (items.length === 0) return invalid("* BatchEmbedContentsRequest.requests: requests is not specified\n")
  if (items.length > most) {
    return invalid(`* BatchEmbedContentsRequest.requests: at most ${most} requests can be in one batch\n`)
  }
  for (const item of items) {
    const reply = badItem(item, options)
    if (reply !== undefined) return reply
  }
  const tokens = items.map(({ text }) => tokensOf(text.length))
  const inputTokens = tokens.reduce((sum, count) => sum + count, 0)
  return {
    _tag: "Call",
    model,
    prompt: items.map(({ text }) => text).join("\n"),
    inputTokens,
    maxOutputTokens: 0,
    answer: ({ seed }) => {
      const vectors = items.map(({ dimensions, text }) =>
        Array.from(Vectors.unit(text, model, seed, dimensions ?? standard))
      )
      return { inputTokens, outputTokens: 0, body: JSON.stringify(bodyOf(vectors, tokens)) }
    }
  }
}

/** Reads `embedContent`, or refuses it as Google does. */
export const readOne = (body: Body, model: string, options: WireOptions): Call | Reply => {
  const [unknown] = options.strict ? unknownFields(body, fields) : []
  if (unknown !== undefined) return unknownField(unknown, "")
  return call([itemOf(body)], model, options, ([values]) => ({ embedding: { values } }))
}

/** Reads `batchEmbedContents`, or refuses it as Google does. */
export const readBatch = (body: Body, model: string, options: WireOptions): Call | Reply => {
  const requests = list(body["requests"]).map(record)
  for (const [i, request] of requests.entries()) {
    const [unknown] = options.strict ? unknownFields(request, fields) : []
    if (unknown !== undefined) return unknownField(unknown, `requests[${i}]`)
    if (request["model"] !== `models/${model}`) {
      return invalid(`* BatchEmbedContentsRequest.requests[${i}].model: unexpected model name format\n`)
    }
  }
  return call(requests.map(itemOf), model, options, (vectors) => ({
    embeddings: vectors.map((values) => ({ values }))
  }))
}

/** Reads Vertex's `predict`, or refuses it. */
export const readPredict = (body: Body, model: string, options: WireOptions): Call | Reply => {
  const { outputDimensionality } = record(body["parameters"])
  const instances = list(body["instances"]).map(record)
  for (const [i, instance] of instances.entries()) {
    const [unknown] = options.strict ? unknownFields(instance, instanceFields) : []
    if (unknown !== undefined) return unknownField(unknown, `instances[${i}]`)
  }
  const items = instances.map((instance) => ({
    text: textOf(instance["content"]),
    taskType: instance["task_type"],
    dimensions: number(outputDimensionality)
  }))
  return call(items, model, options, (vectors, tokens) => ({
    predictions: vectors.map((values, i) => ({
      embeddings: { values, statistics: { token_count: tokens[i], truncated: false } }
    })),
    metadata: { billableCharacterCount: items.reduce((sum, { text }) => sum + text.length, 0) }
  }))
}
