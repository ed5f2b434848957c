/**
 * Answers that are values: a request with an Effect Schema, and an answer that has been decoded with it.
 *
 * The provider's own strict mode is used where it has one, its JSON mode or an instruction where not. These take
 * objects alone: a value of another kind (a list, a choice, a union) is asked for as `{"value": …}`. The `text` of an
 * answer, also as it is streamed and cached, is what the model wrote; `value` is taken out of the object and decoded.
 *
 * An answer that does not fit is asked for again, with what was wrong, a bounded number of times; it is never cached
 * as a success, and a request that never gets one that fits ends in an `InvalidOutputError`, with the usage of all its
 * answers. One that is streamed cannot be asked for again, since its parts have been shown.
 *
 * @module
 */
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import type * as Schema from "effect/Schema"
import { complete } from "./Complete.js"
import type * as Completer from "./internal/completer.js"
import type { JsonObject } from "./internal/jsonObject.js"
import { safeText } from "./internal/safeText.js"
import * as SchemaCheck from "./internal/schemaCheck.js"
import { wrap } from "./internal/schemaRoot.js"
import { InvalidRequestError, type LlmError } from "./LlmError.js"
import { type Chat, type ChatFields, type ResponseFormat, type Typed, withFields } from "./Request.js"
import type { ObjectResponse } from "./Response.js"

/** How a value is asked for. */
export interface Options {
  /** What the provider is told that the object is called: letters, digits, `_` and `-`. Default `"answer"`. */
  readonly name?: string | undefined
  /** What it is told that the object is. Default: the schema's own description. */
  readonly description?: string | undefined
  /** How often an answer that does not fit is asked for again. Default 2. */
  readonly corrections?: number | undefined
}

/**
 * The response format that asks for JSON of this schema, adapted to whatever the provider takes; of `{"value": …}`
 * where the schema is not one of objects. Throws if it has no JSON Schema, as `JSONSchema.make` does.
 */
export const responseFormat = <A, I>(schema: Schema.Schema<A, I>, options: Options = {}): ResponseFormat =>
  formatOf(jsonSchemaOf(schema), options)

/** The response format for values of a JSON Schema, which are asked for within an object where they are none. */
const formatOf = (whole: JsonObject, options: Options): ResponseFormat => {
  const { $schema: _, ...jsonSchema } = whole
  const description =
    options.description ?? (typeof jsonSchema.description === "string" ? jsonSchema.description : undefined)
  return {
    type: "jsonSchema",
    name: options.name ?? "answer",
    schema: wrap(jsonSchema) ?? jsonSchema,
    strict: true,
    adapt: true,
    ...(description === undefined ? undefined : { description })
  }
}

const jsonSchemaOf = <A, I>(schema: Schema.Schema<A, I>): JsonObject => ({ ...JSONSchema.make(schema) })

const jsonSchemaIfAny = <A, I>(schema: Schema.Schema<A, I>): Either.Either<JsonObject, InvalidRequestError> =>
  Either.try({
    try: () => jsonSchemaOf(schema),
    catch: (cause) =>
      new InvalidRequestError({
        provider: "floodgate",
        message: safeText(
          `The schema has no JSON Schema: ${cause instanceof Error ? cause.message : String(cause)}`
        )
      })
  })

/**
 * The request with a schema for its answer. In a batch each request may have its own; outcomes have the decoded
 * `value` beside the text. An answer that calls a tool instead is an error; `Toolkit.run` runs tools on the way to a
 * value.
 *
 * A request that cannot be made (an unknown field, a schema without a JSON Schema) fails with an
 * `InvalidRequestError` when it is asked.
 *
 * @example
 * import { batch, Chat, Mock, StructuredOutput } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 *
 * const City = Schema.Struct({ name: Schema.String, population: Schema.Number })
 * const requests = ["Paris", "Rome"].map((name) =>
 *   StructuredOutput.withSchema(Chat.prompt(`How many people live in ${name}?`), City)
 * )
 *
 * const program = batch(requests).pipe(
 *   Effect.provide(Mock.layer(() => `{"name":"Paris","population":2100000}`))
 * )
 */
export const withSchema = <A, I>(
  request: Chat | ChatFields,
  schema: Schema.Schema<A, I>,
  options: Options = {}
): Chat & Typed<A> => {
  const typed = Either.match(jsonSchemaIfAny(schema), {
    onLeft: SchemaCheck.unaskable,
    onRight: (jsonSchema) =>
      SchemaCheck.attach(
        withFields(SchemaCheck.chatOf(request), { responseFormat: formatOf(jsonSchema, options) }),
        SchemaCheck.make(schema, jsonSchema, options.corrections ?? 2)
      )
  })
  // the type says what the check will see to
  return typed as Chat & Typed<A>
}

/**
 * The value that answers one request, with the answer it was read from.
 *
 * @example
 * import { Chat, object } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 *
 * const capital = object(
 *   Chat.prompt("Name the capital of France."),
 *   Schema.Struct({ capital: Schema.String })
 * ).pipe(Effect.map((response) => response.value.capital))
 */
export const object = <A, I>(
  request: Chat | ChatFields,
  schema: Schema.Schema<A, I>,
  options: Options & Completer.Options = {}
): Effect.Effect<ObjectResponse<A>, LlmError, Completer.Services> =>
  complete(withSchema(request, schema, options), options)
