/**
 * A request for vectors from one record of an input file. A record is one of
 *
 * - a line of an OpenAI Batch file of embeddings: `{"custom_id", "method", "url", "body": {"input", …}}`;
 * - `{"text": "…"}` or `{"input": "…"}`, with `model`, `dimensions` and `purpose` beside it; a list of texts has a
 *   vector for each;
 * - any JSON object, when a template makes the text from its fields.
 *
 * What else is in a record is the user's own. A row of a table is a record whose fields are its columns; `dimensions`
 * and `cache` hold JSON there, and an empty field is one that is not there.
 *
 * A record may say how the cache is to treat it, as those of chats may: see `Record`.
 */
import * as Either from "effect/Either"
import { isJsonObject, type JsonObject } from "../internal/jsonObject.js"
import { type CacheControl, Embedding } from "../Request.js"
import * as Record from "./record.js"

/** What vectors can be for. */
export const purposes = {
  query: "query",
  document: "document",
  classification: "classification",
  clustering: "clustering"
} as const
export type Purpose = keyof typeof purposes

/** What the command line says of all texts; what a record says itself comes first. */
export interface Defaults {
  /** Template of the text, such as `{{title}} {{body}}`. */
  readonly text: string | undefined
  readonly dimensions: number | undefined
  readonly purpose: Purpose | undefined
}

/** What a record asks, before the command line has had its say. */
interface Draft {
  readonly input: ReadonlyArray<string>
  readonly parameters: JsonObject
  /** What is sent as it is. */
  readonly extra: JsonObject
  /** What is not sent. */
  readonly metadata: JsonObject
}

const parameters: ReadonlySet<string> = new Set(["model", "dimensions", "purpose"])

const only = (record: JsonObject, names: ReadonlySet<string>): JsonObject =>
  Object.fromEntries(Object.entries(record).filter(([name]) => names.has(name)))

const isText = (value: unknown): value is string => typeof value === "string"

const textsOf = (name: string, value: unknown): Either.Either<ReadonlyArray<string>, string> => {
  const texts = Array.isArray(value) ? value : [value]
  return texts.length > 0 && texts.every(isText)
    ? Either.right(texts)
    : Either.left(`"${name}" must be a text, or a list of texts`)
}

const embeddingsUrl = /^(https?:\/\/[^/]+)?(\/v1)?\/embeddings$/

const fromBatchLine = (record: JsonObject, body: JsonObject): Either.Either<Draft, string> => {
  const { method, url } = record
  if (method !== undefined && method !== "POST") return Either.left(`"method" must be "POST"`)
  if (url !== undefined && !(typeof url === "string" && embeddingsUrl.test(url))) {
    return Either.left(`"url" must be "/v1/embeddings", not ${JSON.stringify(url)}`)
  }
  return Either.map(textsOf("input", body.input), (input) => ({
    input,
    parameters: only(body, parameters),
    extra: Record.without(body, new Set(["input", ...parameters])),
    metadata: Record.without(record, Record.batchFields)
  }))
}

const draft = (
  record: JsonObject,
  template: string | undefined,
  used: Set<string>
): Either.Either<Draft, string> => {
  if (template !== undefined) {
    return Either.map(Record.render(template, record, used), (text) => ({
      input: [text],
      parameters: {},
      extra: {},
      metadata: record
    }))
  }
  if (isJsonObject(record.body)) return fromBatchLine(record, record.body)
  const name = record.text === undefined ? "input" : "text"
  if (record[name] === undefined) {
    return Either.left(
      `nothing to embed: it has no "text" and no "input". To make a text of its fields, pass --text '{{field}} …'`
    )
  }
  used.add(name)
  return Either.map(textsOf(name, record[name]), (input) => ({
    input,
    parameters: only(record, parameters),
    extra: {},
    metadata: Record.without(record, parameters)
  }))
}

const request = (
  { extra, input, metadata, parameters }: Draft,
  { id, cache }: { readonly id: string | null; readonly cache: CacheControl | undefined },
  defaults: Defaults
): Either.Either<Embedding, string> => {
  const { dimensions = defaults.dimensions, model, purpose = defaults.purpose } = parameters
  if (input.some((text) => text.trim() === "")) {
    return Either.left(
      "the text is empty, and has no vector. Records without one are left out with --filter, such as 'text!='"
    )
  }
  if (model !== undefined && !isText(model)) return Either.left(`"model" must be a text`)
  if (
    dimensions !== undefined &&
    !(typeof dimensions === "number" && Number.isSafeInteger(dimensions) && dimensions > 0)
  ) {
    return Either.left(`"dimensions" must be a whole number greater than 0`)
  }
  if (purpose !== undefined && !(isText(purpose) && Object.hasOwn(purposes, purpose))) {
    return Either.left(`"purpose" must be one of ${Object.keys(purposes).join(", ")}`)
  }
  return Either.right(
    new Embedding({
      input,
      model,
      dimensions,
      // one of them, as was seen above
      purpose: purpose as Purpose | undefined,
      id: id ?? undefined,
      metadata,
      cache,
      extra: Object.keys(extra).length === 0 ? undefined : extra
    })
  )
}

/** Columns whose fields are JSON. */
const jsonColumns: ReadonlySet<string> = new Set(["dimensions", "cache", "body"])
/** Columns that mean nothing where they are empty. */
const knownColumns: ReadonlySet<string> = new Set(["custom_id", ...parameters, ...jsonColumns])

const cellOf = (name: string, value: unknown): unknown => {
  if (!isText(value) || !jsonColumns.has(name)) return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

/** A row of a table with its parameters as JSON has them. */
const typed = (fields: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(fields)
      .filter(([name, value]) => !(value === "" && knownColumns.has(name)))
      .map(([name, value]) => [name, cellOf(name, value)])
  )

/** The request that these fields make, or what is wrong with them. Those of a table are all texts. */
export const fromFields = (
  fields: JsonObject,
  defaults: Defaults,
  isTable: boolean
): Either.Either<Embedding, string> =>
  Either.flatMap(
    Record.control(isTable && defaults.text === undefined ? typed(fields) : fields, defaults.text),
    ([record, cache]) => {
      const used = new Set(["custom_id"])
      return Either.flatMap(draft(record, defaults.text, used), (draft) =>
        request(
          { ...draft, metadata: Record.without(draft.metadata, used) },
          { id: Record.idOf(record.custom_id), cache },
          defaults
        )
      )
    }
  )
