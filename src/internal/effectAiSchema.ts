/**
 * Objects that `@effect/ai` wants, held to their schema before it decodes them.
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import type { InvalidRequestError } from "../LlmError.js"
import { type Chat, withFields } from "../Request.js"
import * as StructuredOutput from "../StructuredOutput.js"
import { because, invalid } from "./effectAiPrompt.js"
import type { JsonObject } from "./jsonObject.js"
import * as SchemaCheck from "./schemaCheck.js"
import { wrap } from "./schemaRoot.js"
import { withoutStandIns } from "./strictNulls.js"

type Format = Extract<LanguageModel.ProviderOptions["responseFormat"], { readonly type: "json" }>

/** A name that providers take for a schema. */
const nameOf = (name: string): string => name.replace(/[^\w-]/g, "_").slice(0, 64) || "answer"

/** Whether a value could not be tried without services or time. */
const isForbidden = (issue: ParseResult.ParseIssue): boolean => {
  switch (issue._tag) {
    case "Forbidden":
      return true
    case "Composite":
      return [issue.issues].flat().some(isForbidden)
    case "Pointer":
    case "Refinement":
    case "Transformation":
      return isForbidden(issue.issue)
    default:
      return false
  }
}

/**
 * The chat with a schema for its answer, which is asked for again where it does not fit. The value of the answer is the
 * JSON that fits: decoding it is left to `@effect/ai`, which has the services that a schema may need.
 */
export const withSchema = (
  chat: Chat,
  { objectName, schema: given }: Format,
  corrections: number
): Effect.Effect<Chat, InvalidRequestError> =>
  Effect.try({
    try: () => {
      // a schema that needs services has a JSON Schema all the same, and what cannot be tried here is passed on
      const schema = given as Schema.Schema<unknown, unknown>
      const responseFormat = StructuredOutput.responseFormat(schema, { name: nameOf(objectName) })
      const jsonSchema: JsonObject = { ...JSONSchema.make(schema) }
      const decode = ParseResult.decodeUnknownEither(schema, { errors: "all" })
      return SchemaCheck.attach(withFields(chat, { responseFormat }), {
        jsonSchema,
        isWrapped: wrap(jsonSchema) !== undefined,
        corrections,
        decode: (json) =>
          Either.match(decode(json), {
            onLeft: (issue) =>
              isForbidden(issue)
                ? Either.right(withoutStandIns(json, jsonSchema))
                : Either.left(ParseResult.parseError(issue)),
            onRight: () => Either.right(json)
          })
      })
    },
    catch: (cause) => invalid(`The schema "${objectName}" has no JSON Schema: ${because(cause)}`)
  })
