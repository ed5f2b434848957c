/** The kinds of values that a config file has. Each says what was expected in one phrase, and is one to editors. */
import * as Duration from "effect/Duration"
import type * as JSONSchema from "effect/JSONSchema"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { duration } from "./durationText.js"
import { suggestion } from "./nearest.js"

/** Says of a value that did not decode what was expected: the phrase after "expected". */
type Expected = string | ((given: unknown) => string)

/** A value that is read as a whole. `undefined` says that it cannot be. */
const value = <A extends {}>(
  expected: Expected,
  jsonSchema: object,
  read: (given: unknown) => A | undefined
): Schema.Schema<A, unknown> =>
  Schema.declare<A, unknown, readonly []>(
    [],
    {
      decode: () => (given, _, ast) => {
        const found = read(given)
        return found === undefined
          ? ParseResult.fail(new ParseResult.Type(ast, given))
          : ParseResult.succeed(found)
      },
      // nothing encodes a configuration
      encode: () => (found, _, ast) => ParseResult.fail(new ParseResult.Forbidden(ast, found))
    },
    {
      message: ({ actual }) => (typeof expected === "string" ? expected : expected(actual)),
      jsonSchema
    }
  )

// a variable is a text until it is read
const variable = { type: "string", pattern: "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}" } as const

const numeral = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/** What a variable or a flag says is a text. */
const numberOf = (given: unknown): number | undefined => {
  const number =
    typeof given === "string" && numeral.test(given.trim()) ? Number(given) : (given as number | undefined)
  return typeof number === "number" && Number.isFinite(number) ? number : undefined
}

const number = (
  expected: string,
  jsonSchema: Partial<JSONSchema.JsonSchema7Number> | JSONSchema.JsonSchema7Integer,
  isAllowed: (number: number) => boolean
) =>
  value(expected, { anyOf: [{ type: "number", ...jsonSchema }, variable] }, (given) => {
    const number = numberOf(given)
    return number !== undefined && isAllowed(number) ? number : undefined
  })

export const positive = number("a number greater than 0", { exclusiveMinimum: 0 }, (n) => n > 0)
export const atLeastZero = number("a number of 0 or more", { minimum: 0 }, (n) => n >= 0)
export const share = number(
  "a number above 0 and below 1",
  { exclusiveMinimum: 0, exclusiveMaximum: 1 },
  (n) => n > 0 && n < 1
)
export const anyNumber = number("a number", {}, () => true)
export const count = number(
  "a whole number greater than 0",
  { type: "integer", minimum: 1 },
  (n) => Number.isInteger(n) && n > 0
)
export const integer = number("a whole number", { type: "integer" }, Number.isInteger)

export const flag = value("true or false", { anyOf: [{ type: "boolean" }, variable] }, (given) =>
  given === "true" ? true : given === "false" ? false : typeof given === "boolean" ? given : undefined
)

/** A text that is not empty. */
export const text = value("a text", { type: "string", minLength: 1 }, (given) =>
  typeof given === "string" && given.trim() !== "" ? given : undefined
)

export const time = value(
  "a time such as 90s, 10m or 7d",
  { anyOf: [{ type: "string" }, { type: "number", exclusiveMinimum: 0, description: "Seconds" }] },
  (given) =>
    typeof given === "string" || typeof given === "number"
      ? Option.getOrUndefined(Option.filter(duration(String(given)), Duration.greaterThan(Duration.zero)))
      : undefined
)

/** One of these words. */
export const word = <A extends {}>(words: Readonly<Record<string, A>>): Schema.Schema<A, unknown> => {
  const known = Object.keys(words)
  return value(
    (given) => `one of ${known.join(", ")}${typeof given === "string" ? suggestion(given, known) : ""}`,
    { anyOf: [{ type: "string", enum: known }, variable] },
    (given) => {
      if (typeof given !== "string") return undefined
      // flags are written with dashes
      const name = Object.hasOwn(words, given) ? given : given.replaceAll("-", "_")
      return Object.hasOwn(words, name) ? words[name] : undefined
    }
  )
}

/** A number that one of these words may stand for. */
export const countOr = <W extends string>(...words: ReadonlyArray<W>): Schema.Schema<number | W, unknown> =>
  value(
    `a whole number greater than 0, or ${words.join(", ")}`,
    { anyOf: [{ type: "integer", minimum: 1 }, { type: "string", enum: words }, variable] },
    (given) => {
      const word = words.find((word) => word === given)
      const number = numberOf(given)
      return word ?? (number !== undefined && Number.isInteger(number) && number > 0 ? number : undefined)
    }
  )

export const retries: Schema.Schema<number | "forever", unknown> = value(
  "a whole number, or forever",
  { anyOf: [{ type: "integer", minimum: 0 }, { type: "string", enum: ["forever"] }, variable] },
  (given) => {
    if (given === "forever") return "forever"
    const number = numberOf(given)
    return number !== undefined && Number.isInteger(number) && number >= 0 ? number : undefined
  }
)

export const address = value(
  "an address that starts with http:// or https://",
  { type: "string", minLength: 1 },
  (given) =>
    typeof given === "string" && URL.canParse(given) && /^https?:$/.test(new URL(given).protocol)
      ? given
      : undefined
)

/** Whether a place is a Redis server; its address may hold a password. */
export const isRedis = (where: string): boolean => /^(rediss?|unix):\/\//i.test(where)

/** A place where things are kept. Any other address than Redis's is a slip: as a file's name it would hold a password. */
const place = (expected: string, isAllowed: (where: string) => boolean) =>
  value(expected, { type: "string", minLength: 1 }, (given) => {
    if (typeof given !== "string" || given.trim() === "" || !isAllowed(given.trim())) return undefined
    // the scheme as clients know it
    return Redacted.make(given.trim().replace(/^[a-z]+(?=:\/\/)/i, (scheme) => scheme.toLowerCase()))
  })

export const cachePlace = place(
  "a file, redis://…, memory or off",
  (where) => isRedis(where) || !/^[a-z][a-z\d+.-]*:\/\//i.test(where)
)
export const limiterPlace = place("redis://… or memory", (where) => isRedis(where) || where === "memory")

/** An API key, as `${NAME}` or `{ env: NAME }`. */
export const key: Schema.Schema<Redacted.Redacted | { readonly env: string }, unknown> = value(
  `a key as \${NAME} or { env: NAME }`,
  {
    anyOf: [
      { type: "string", minLength: 1 },
      {
        type: "object",
        required: ["env"],
        properties: { env: { type: "string", minLength: 1, description: "Name of the variable" } },
        additionalProperties: false
      }
    ]
  },
  (given) => {
    // nothing else can be sent as a header
    if (typeof given === "string") return /^[\x21-\x7e]+$/.test(given) ? Redacted.make(given) : undefined
    if (typeof given !== "object" || given === null || Object.keys(given).join() !== "env") return undefined
    const name = "env" in given ? given.env : undefined
    return typeof name === "string" && /^[A-Za-z_]\w*$/.test(name) ? { env: name } : undefined
  }
)

/** A header's value, which may be a credential. */
export const secret = value("a text of one line", { type: "string" }, (given) =>
  typeof given === "string" && !/[\r\n\0]/.test(given) ? Redacted.make(given) : undefined
)

/** JSON that is handed on as it is. */
export const json: Schema.Schema<Readonly<Record<string, unknown>>, unknown> = value(
  "a map",
  { type: "object" },
  (given) =>
    // whatever is an object in JSON has texts for keys
    typeof given === "object" && given !== null && !Array.isArray(given)
      ? (given as Readonly<Record<string, unknown>>)
      : undefined
)

/** An amount of money. */
export const money = value(
  'an amount of money such as "25 USD"',
  {
    anyOf: [
      { type: "number", exclusiveMinimum: 0 },
      { type: "string", minLength: 1 }
    ]
  },
  (given) => {
    const text = typeof given === "number" ? String(given) : given
    return typeof text === "string" && /^\D{0,4}\d+(?:\.\d+)?\s*[A-Za-z$€£]{0,3}$/.test(text.trim())
      ? text.trim()
      : undefined
  }
)

/** A key that may be left out, with what it is for. */
export const field = <A, I>(schema: Schema.Schema<A, I>, description: string) =>
  Schema.optional(schema).annotations({ description })

/** A list, of one thing at the least. */
export const listOf = <A, I>(item: Schema.Schema<A, I>) =>
  Schema.Array(item).pipe(Schema.minItems(1, { message: () => "a list of one or more" }))

/** A map from names of the user's own. */
export const mapOf = <A, I>(item: Schema.Schema<A, I>) => Schema.Record({ key: Schema.String, value: item })
