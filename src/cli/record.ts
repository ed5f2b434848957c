/**
 * A request from one record of an input file. A record is one of
 *
 * - a line of an OpenAI Batch file: `{"custom_id", "method", "url", "body"}`;
 * - a chat body: `{"messages": […], …}`, every field as the endpoint knows it;
 * - `{"prompt": "…"}`, with parameters beside it;
 * - any JSON object, when a template makes the prompt from its fields.
 *
 * A row of a table is a record whose fields are its columns. Without a template, columns that are named as parameters
 * hold numbers, lists and objects as JSON (`temperature`, `stop`, `messages`, `body`), and other columns are the user's
 * own; an empty field is one that is not there.
 *
 * A record of the first three kinds may say how the cache is to treat it: `"cache": {"mode", "timeToLive",
 * "namespace", "sample"}`, which is not sent.
 */

import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { isJsonObject, type JsonObject } from "../internal/jsonObject.js"
import { suggestion } from "../internal/nearest.js"
import { decode, parameterNames } from "../internal/openAiRequest.js"
import { conversation } from "../Message.js"
import { CacheControl, type Request, withFields } from "../Request.js"
import type * as InputFile from "./inputFile.js"

/** What the command line says of all requests; what a record says itself comes first. */
export interface Defaults {
  /** Template of the prompt, such as `Solve: {{question}}`. */
  readonly prompt?: string | undefined
  /** Standing instructions, or their template. */
  readonly system?: string | undefined
  /** Parameters in OpenAI's names. */
  readonly parameters: JsonObject
}

const placeholder = /\{\{\s*([^{}]+?)\s*\}\}/g

/** Whether a template takes anything from the record. */
export const hasFields = (template: string): boolean => template.search(placeholder) !== -1

/** A field as people write it who know other templates: `{question}`. */
export const singleBraced = (template: string): string | undefined =>
  /\{\s*([\p{L}_][\p{L}\p{N}_.-]*)\s*\}/u.exec(template)?.[1]

/** What begins as a field and does not end as one: `{{question`. */
export const unclosed = (template: string): string | undefined =>
  /\{\{[^{}\s]{0,40}/.exec(template.replace(placeholder, " "))?.[0]

/** The value under a name, or under a path of names with dots. */
export const lookUp = (record: JsonObject, path: string): unknown => {
  if (Object.hasOwn(record, path)) return record[path]
  let value: unknown = record
  for (const name of path.split(".")) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

/** The template with its fields filled in: texts as they are, all else as JSON. */
export const render = (
  template: string,
  record: JsonObject,
  used: Set<string>
): Either.Either<string, string> => {
  let missing: string | undefined
  const text = template.replace(placeholder, (_, path: string) => {
    const value = lookUp(record, path)
    if (value === undefined) missing ??= path
    // a field that only lends a part of itself is the user's own still
    if (Object.hasOwn(record, path)) used.add(path)
    return typeof value === "string" ? value : (JSON.stringify(value) ?? "")
  })
  if (missing === undefined) return Either.right(text)
  const fields = Object.keys(record)
  return Either.left(
    `the record has no field "${missing}", which the template wants` +
      (fields.length === 0 ? "" : ` (it has ${fields.slice(0, 8).join(", ")})${suggestion(missing, fields)}`)
  )
}

/** `custom_id`, which some write as a number. */
export const idOf = (value: unknown): string | null =>
  typeof value === "string" ? value : typeof value === "number" ? String(value) : null

export const without = (record: JsonObject, names: ReadonlySet<string>): JsonObject => {
  if (!Object.keys(record).some((name) => names.has(name))) return record
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.has(name)))
}

/** What a record asks, before the command line has had its say. */
interface Draft {
  /** A chat body in OpenAI's names. */
  readonly body: JsonObject
  /** Fields of the record that are not the request. */
  readonly metadata: JsonObject
}

/** OpenAI takes texts as `metadata`; anything else under that name is the user's own and stays here. */
const keepMetadata = (body: JsonObject, kept: JsonObject): Draft => {
  const { metadata, ...rest } = body
  const isSent =
    metadata == null ||
    (isJsonObject(metadata) && Object.values(metadata).every((text) => typeof text === "string"))
  return isSent ? { body, metadata: kept } : { body: rest, metadata: { ...kept, metadata } }
}

/** What a line of a Batch file has around its request. */
export const batchFields: ReadonlySet<string> = new Set(["custom_id", "method", "url", "body"])
const chatUrl = /^(https?:\/\/[^/]+)?(\/v1)?\/chat\/completions$/

const fromBatchLine = (record: JsonObject, body: JsonObject): Either.Either<Draft, string> => {
  const { method, url } = record
  if (method !== undefined && method !== "POST") return Either.left(`"method" must be "POST"`)
  if (url !== undefined && !(typeof url === "string" && chatUrl.test(url))) {
    return Either.left(`"url" must be "/v1/chat/completions", not ${JSON.stringify(url)}`)
  }
  return Either.right(keepMetadata(body, without(record, batchFields)))
}

/** Parameters that are texts, whatever they look like. */
const textParameters: ReadonlySet<string> = new Set([
  "model",
  "reasoning_effort",
  "verbosity",
  "service_tier",
  "prompt_cache_key",
  "safety_identifier"
])

/** Parameters that may stand beside a prompt; other fields of such a record are the user's own. */
const promptParameters: ReadonlySet<string> = new Set([
  "model",
  "max_tokens",
  "max_completion_tokens",
  "response_format",
  "tools",
  "tool_choice",
  ...parameterNames
])

const fromPrompt = (record: JsonObject): Either.Either<Draft, string> => {
  const { custom_id: _, prompt, system, ...rest } = record
  if (typeof prompt !== "string") return Either.left(`"prompt" must be a text`)
  if (system !== undefined && typeof system !== "string") return Either.left(`"system" must be a text`)
  const parameters = Object.entries(rest).filter(([name]) => promptParameters.has(name))
  return Either.right({
    body: { ...Object.fromEntries(parameters), messages: conversation(prompt, { system }) },
    metadata: without(rest, promptParameters)
  })
}

/** Columns whose fields are JSON. A text that is none stays a text: `auto`, `high`. */
const jsonColumns: ReadonlySet<string> = new Set([
  ...Array.from(promptParameters).filter((name) => !textParameters.has(name)),
  "cache"
])

/** Columns whose fields can only be JSON. */
const strictColumns: ReadonlySet<string> = new Set(["messages", "body"])

/** Columns that mean nothing where they are empty. */
const knownColumns: ReadonlySet<string> = new Set([
  ...promptParameters,
  ...jsonColumns,
  ...strictColumns,
  "custom_id",
  "prompt",
  "system"
])

const cellOf = (name: string, text: unknown): unknown => {
  if (typeof text !== "string" || !(jsonColumns.has(name) || strictColumns.has(name))) return text
  try {
    const value: unknown = JSON.parse(text)
    // a number can be where to stop
    return name === "stop" && !Array.isArray(value) ? text : value
  } catch {
    return text
  }
}

/** A row of a table with its parameters as JSON has them. */
const typed = (fields: JsonObject): Either.Either<JsonObject, string> => {
  const cells: Array<readonly [name: string, value: unknown]> = []
  for (const [name, text] of Object.entries(fields)) {
    if (text === "" && knownColumns.has(name)) continue
    const value = cellOf(name, text)
    if (strictColumns.has(name) && typeof value !== "object") {
      const hint = name === "messages" ? `. A plain text belongs into a column named "prompt"` : ""
      return Either.left(`"${name}" is not JSON${hint}`)
    }
    cells.push([name, value])
  }
  return Either.right(Object.fromEntries(cells))
}

/** A row of a table with a conversation: not all of its columns are for the server. */
const fromMessages = (record: JsonObject): Draft => {
  const { custom_id: _, ...rest } = record
  return {
    body: Object.fromEntries(
      Object.entries(rest).filter(([name]) => name === "messages" || promptParameters.has(name))
    ),
    metadata: without(rest, new Set(["messages", ...promptParameters]))
  }
}

const draft = (
  record: JsonObject,
  template: string | undefined,
  used: Set<string>,
  isTable: boolean
): Either.Either<Draft, string> => {
  if (template !== undefined) {
    return Either.map(render(template, record, used), (prompt) => ({
      body: { messages: conversation(prompt) },
      metadata: record
    }))
  }
  if (isJsonObject(record.body)) return fromBatchLine(record, record.body)
  if (record.messages !== undefined) {
    if (isTable) return Either.right(fromMessages(record))
    const { custom_id: _, ...body } = record
    return Either.right(keepMetadata(body, {}))
  }
  if (record.prompt !== undefined) return fromPrompt(record)
  if (isOutcome(record)) {
    return Either.left(
      "it is an outcome of a batch, which does not hold the question. To ask again what failed, pass the input of that batch as INPUT, this file as --output, and --filter status=error"
    )
  }
  return Either.left(
    `nothing to ask: it has no "messages", "prompt" or "body". To make a prompt of its fields, pass --prompt '… {{field}} …'`
  )
}

const isOutcome = ({ index, meta, status }: JsonObject): boolean =>
  typeof index === "number" && typeof status === "string" && isJsonObject(meta)

const hasInstructions = (messages: unknown): boolean =>
  Array.isArray(messages) &&
  messages.some(
    (message) => isJsonObject(message) && (message.role === "system" || message.role === "developer")
  )

/** The body with standing instructions, if it has none of its own. */
const instruct = (
  body: JsonObject,
  template: string | undefined,
  record: JsonObject,
  used: Set<string>
): Either.Either<JsonObject, string> => {
  const { messages } = body
  if (template === undefined || !Array.isArray(messages) || hasInstructions(messages)) {
    return Either.right(body)
  }
  return Either.map(render(template, record, used), (content) => ({
    ...body,
    messages: [{ role: "system", content }, ...messages]
  }))
}

const decodeControl = Schema.decodeUnknownEither(CacheControl, { onExcessProperty: "error" })

/** What a record says of the cache, apart from the rest of it. A `cache` that is no object is something else. */
export const control = (
  record: JsonObject,
  template: string | undefined
): Either.Either<readonly [rest: JsonObject, cache: CacheControl | undefined], string> => {
  if (template !== undefined || !isJsonObject(record.cache)) return Either.right([record, undefined])
  const { cache, ...rest } = record
  return Either.mapBoth(decodeControl(cache), {
    onLeft: (error) => {
      const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
      return `"${["cache", ...(issue?.path ?? [])].join(".")}" is not as it should be: ${issue?.message}`
    },
    onRight: (cache) => [rest, cache] as const
  })
}

const parse = (text: string): Either.Either<JsonObject, string> => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    return Either.left(`not JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  return isJsonObject(value) ? Either.right(value) : Either.left("not a JSON object")
}

/** The fields of a row, or what is wrong with it: JSON is read only here. */
export const fieldsOf = (content: InputFile.Row["content"]): Either.Either<JsonObject, string> =>
  Either.flatMap(content, (content) => (typeof content === "string" ? parse(content) : Either.right(content)))

/** The request that these fields make. Those of a table are all texts. */
export const fromFields = (
  fields: JsonObject,
  defaults: Defaults,
  isTable: boolean
): Either.Either<Request, string> =>
  // twice for every line of a run: half as costly as with a generator
  Either.flatMap(isTable && defaults.prompt === undefined ? typed(fields) : Either.right(fields), (typed) =>
    Either.flatMap(control(typed, defaults.prompt), ([record, cache]) => {
      const used = new Set(["custom_id"])
      return Either.flatMap(draft(record, defaults.prompt, used, isTable), ({ body, metadata }) =>
        Either.flatMap(instruct(body, defaults.system, record, used), (instructed) =>
          Either.mapBoth(
            decode(
              { ...defaults.parameters, ...instructed },
              { id: idOf(record.custom_id), metadata: without(metadata, used) }
            ),
            {
              onLeft: (error) => error.message,
              onRight: (request) => (cache === undefined ? request : withFields<Request>(request, { cache }))
            }
          )
        )
      )
    })
  )

/** The request of a row, or what is wrong with the row. */
export const fromRow = (
  content: InputFile.Row["content"],
  defaults: Defaults
): Either.Either<Request, string> =>
  Either.flatMap(fieldsOf(content), (fields) =>
    fromFields(fields, defaults, Either.isRight(content) && typeof content.right !== "string")
  )
