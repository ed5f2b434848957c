/**
 * A request from one record of an input file. A record is one of
 *
 * - a line of an OpenAI Batch file: `{"custom_id", "method", "url", "body"}`;
 * - a chat body: `{"messages": […], …}`, every field as the endpoint knows it;
 * - `{"prompt": "…"}`, with parameters beside it;
 * - any JSON object, when a template makes the prompt from its fields.
 */

import * as Either from "effect/Either"
import { isJsonObject, type JsonObject } from "../internal/jsonObject.js"
import { decode, parameterNames } from "../internal/openAiRequest.js"
import { conversation } from "../Message.js"
import type { Request } from "../Request.js"

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

/** The value under a name, or under a path of names with dots. */
const lookUp = (record: JsonObject, path: string): unknown => {
  if (Object.hasOwn(record, path)) return record[path]
  let value: unknown = record
  for (const name of path.split(".")) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

/** The template with its fields filled in: texts as they are, all else as JSON. */
const render = (template: string, record: JsonObject, used: Set<string>): Either.Either<string, string> => {
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
      (fields.length === 0 ? "" : ` (it has ${fields.slice(0, 8).join(", ")})`)
  )
}

const idOf = (value: unknown): string | null =>
  typeof value === "string" ? value : typeof value === "number" ? String(value) : null

const without = (record: JsonObject, names: ReadonlySet<string>): JsonObject =>
  Object.fromEntries(Object.entries(record).filter(([name]) => !names.has(name)))

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

const batchFields: ReadonlySet<string> = new Set(["custom_id", "method", "url", "body"])
const chatUrl = /^(https?:\/\/[^/]+)?(\/v1)?\/chat\/completions$/

const fromBatchLine = (record: JsonObject, body: JsonObject): Either.Either<Draft, string> => {
  const { method, url } = record
  if (method !== undefined && method !== "POST") return Either.left(`"method" must be "POST"`)
  if (url !== undefined && !(typeof url === "string" && chatUrl.test(url))) {
    return Either.left(`"url" must be "/v1/chat/completions", not ${JSON.stringify(url)}`)
  }
  return Either.right(keepMetadata(body, without(record, batchFields)))
}

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

const draft = (
  record: JsonObject,
  template: string | undefined,
  used: Set<string>
): Either.Either<Draft, string> => {
  if (template !== undefined) {
    return Either.map(render(template, record, used), (prompt) => ({
      body: { messages: conversation(prompt) },
      metadata: record
    }))
  }
  if (isJsonObject(record.body)) return fromBatchLine(record, record.body)
  if (record.messages !== undefined) {
    const { custom_id: _, ...body } = record
    return Either.right(keepMetadata(body, {}))
  }
  if (record.prompt !== undefined) return fromPrompt(record)
  return Either.left(
    `nothing to ask: it has no "messages", "prompt" or "body". To make a prompt of its fields, pass --prompt '… {{field}} …'`
  )
}

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

const parse = (text: string): Either.Either<JsonObject, string> =>
  Either.flatMap(
    Either.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) => `not JSON: ${cause instanceof Error ? cause.message : String(cause)}`
    }),
    (value) => (isJsonObject(value) ? Either.right(value) : Either.left("not a JSON object"))
  )

/** The request of a line, or what is wrong with the line. */
export const fromLine = (
  text: Either.Either<string, string>,
  defaults: Defaults
): Either.Either<Request, string> =>
  Either.gen(function* () {
    const record = yield* parse(yield* text)
    const used = new Set(["custom_id"])
    const { body, metadata } = yield* draft(record, defaults.prompt, used)
    const instructed = yield* instruct(body, defaults.system, record, used)
    return yield* Either.mapLeft(
      decode(
        { ...defaults.parameters, ...instructed },
        { id: idOf(record.custom_id), metadata: without(metadata, used) }
      ),
      (error) => error.message
    )
  })
