/**
 * Tools that a model may call: defined once, with an Effect Schema or a JSON Schema, for every provider.
 *
 * @module
 */
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { ToolCall } from "./Message.js"
import type { Tool as Definition } from "./Request.js"

/** The arguments of a tool call cannot be read: no JSON, or not what the tool takes. */
export class InvalidArguments extends Schema.TaggedError<InvalidArguments>()("InvalidArguments", {
  tool: Schema.String,
  /** What is wrong, in words that a model can act on. */
  message: Schema.String
}) {}

/** A tool whose arguments are of this type. */
export interface Tool<out Name extends string, out A> {
  readonly name: Name
  /** For the `tools` of a request. */
  readonly definition: Definition
  /** The arguments of a call, decoded; or what is wrong with them. */
  readonly decode: (call: ToolCall) => Either.Either<A, InvalidArguments>
}

/** What {@link make} and {@link fromJsonSchema} take. */
export interface Options {
  /** What the tool does, and when to call it: the model goes by this. */
  readonly description?: string | undefined
  /** Have the provider hold the arguments to the schema, which then is to be one that its strict mode takes. */
  readonly strict?: boolean | undefined
}

const json = ({ arguments: text }: ToolCall, tool: string): Either.Either<unknown, InvalidArguments> =>
  Either.try({
    try: (): unknown => JSON.parse(text.trim() === "" ? "{}" : text),
    catch: (cause) =>
      new InvalidArguments({
        tool,
        message: `The arguments are not JSON: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })

const definition = (
  name: string,
  parameters: Readonly<Record<string, unknown>>,
  { description, strict }: Options
): Definition => ({
  type: "function",
  name,
  parameters,
  ...(description === undefined ? undefined : { description }),
  ...(strict === undefined ? undefined : { strict })
})

/**
 * A tool with an Effect Schema for its arguments. Throws if the schema has no JSON Schema, as `JSONSchema.make` does: a
 * tool is defined where the program starts, before anything is asked.
 *
 * @example
 * import { Chat, Tool } from "floodgate"
 * import * as Schema from "effect/Schema"
 *
 * const weather = Tool.make("weather", Schema.Struct({ city: Schema.String }), {
 *   description: "The weather in a city."
 * })
 * const request = Chat.prompt("Shall I take an umbrella in Oslo?", { tools: [weather.definition] })
 */
export const make = <const Name extends string, A, I>(
  name: Name,
  parameters: Schema.Schema<A, I>,
  options: Options = {}
): Tool<Name, A> => {
  const { $schema: _, ...jsonSchema } = { ...JSONSchema.make(parameters) } as Record<string, unknown>
  const decode = ParseResult.decodeUnknownEither(parameters, { errors: "all" })
  return {
    name,
    definition: definition(name, jsonSchema, options),
    decode: (call) =>
      Either.flatMap(json(call, name), (value) =>
        Either.mapLeft(
          decode(value),
          (issue) =>
            new InvalidArguments({
              tool: name,
              message: `The arguments do not fit: ${ParseResult.ArrayFormatter.formatIssueSync(issue)
                .slice(0, 5)
                .map(({ message, path }) =>
                  path.length === 0 ? message : `at ${path.join(".")}: ${message}`
                )
                .join("; ")}`
            })
        )
      )
  }
}

/** A tool with a JSON Schema for its arguments, which come as any JSON. */
export const fromJsonSchema = <const Name extends string>(
  name: Name,
  parameters: Readonly<Record<string, unknown>>,
  options: Options = {}
): Tool<Name, unknown> => ({
  name,
  definition: definition(name, parameters, options),
  decode: (call) => json(call, name)
})
