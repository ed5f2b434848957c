/**
 * Holds answers to the schema of their request: an answer that does not fit is asked for again, with what was wrong,
 * and never given out or stored as a success.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import { InvalidOutputError, type InvalidRequestError, type LlmError } from "../LlmError.js"
import * as Message from "../Message.js"
import { Chat, type ChatFields, chatFromFields, type Request, withFields } from "../Request.js"
import { type ChatResponse, type Response, toMessage, withUsage } from "../Response.js"
import * as Usage from "../Usage.js"
import type { JsonObject } from "./jsonObject.js"
import { safeText } from "./safeText.js"
import * as SchemaRoot from "./schemaRoot.js"
import { withoutStandIns } from "./strictNulls.js"

/** Where a request carries what its answer is checked with. Not a field: it is neither sent nor part of the key. */
export const TypeId: unique symbol = Symbol.for("floodgate/schemaCheck")

/** What an answer is checked with. */
export interface Check {
  readonly decode: (value: unknown) => Either.Either<unknown, ParseResult.ParseError>
  /** Of the value itself. */
  readonly jsonSchema: JsonObject
  /** Whether the value is asked for as the member of an object; see `schemaRoot`. Default `false`. */
  readonly isWrapped?: boolean | undefined
  /** How often an answer that does not fit is asked for again. */
  readonly corrections: number
  /** Whether an answer that calls tools and has no value is an error. Default `false`: it is a turn on the way. */
  readonly needsValue?: boolean | undefined
  /** What checks of one schema have in common. */
  readonly schema?: unknown
}

/** The check that a request carries. An answer that is shown as it comes cannot be asked for again. */
export const of = (request: Request, shown = false): Check | undefined => {
  // put there by `withSchema` alone
  const check = (request as Request & { readonly [TypeId]?: Check })[TypeId]
  return check === undefined || !shown ? check : { ...check, corrections: 0 }
}

/** The request with a check. */
export const attach = (chat: Chat, check: Check): Chat =>
  withFields(chat, { [TypeId]: check } as Partial<Chat>)

export const make = <A, I>(
  schema: Schema.Schema<A, I>,
  jsonSchema: JsonObject,
  corrections: number
): Check => ({
  decode: decoderOf(schema),
  jsonSchema,
  isWrapped: SchemaRoot.wrap(jsonSchema) !== undefined,
  corrections,
  needsValue: true,
  schema
})

/** The request, whose answer may call tools first: for those who run them and ask again. */
export const passingToolCalls = (chat: Chat): Chat => {
  const check = of(chat)
  return check === undefined ? chat : attach(chat, { ...check, needsValue: false })
}

/** Where a request that could not be made carries why: it is made without an effect, and refused when it is asked. */
const ProblemId: unique symbol = Symbol.for("floodgate/requestProblem")

/** A chat that stands for one that could not be made. */
export const unaskable = (error: InvalidRequestError): Chat =>
  Object.assign(new Chat({ messages: [] }), { [ProblemId]: error })

/** The chat of these fields, or one that is refused when it is asked. */
export const chatOf = (input: Chat | ChatFields): Chat =>
  input instanceof Chat ? input : Either.getOrElse(chatFromFields(input), unaskable)

/** The request, or why it could not be made. */
export const admit = <R extends Request>(request: R): Either.Either<R, InvalidRequestError> => {
  // put there by `unaskable` alone
  const problem = (request as R & { readonly [ProblemId]?: InvalidRequestError })[ProblemId]
  return problem === undefined ? Either.right(request) : Either.left(problem)
}

const decoderOf = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = ParseResult.decodeUnknownEither(schema, { errors: "all" })
  return (value: unknown): Either.Either<A, ParseResult.ParseError> =>
    Either.mapLeft(decode(value), (issue) => ParseResult.parseError(issue))
}

/**
 * The JSON in a text, as models write it: alone, in a fence, or with words around it. What has more in it comes
 * first, so that a list comes before its items. In a text that was cut only what is whole counts.
 */
const candidates = (text: string, cut: boolean): Either.Either<ReadonlyArray<unknown>, string> => {
  const fence = /```(?:json)?\s*\n([\s\S]*?)\n\s*```/.exec(text)?.[1] ?? ""
  const between = cut
    ? []
    : [
        text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1),
        text.slice(text.indexOf("["), text.lastIndexOf("]") + 1)
      ].sort((a, b) => b.length - a.length)
  const found: Array<unknown> = []
  let problem = ""
  for (const candidate of new Set([text, fence, ...between])) {
    if (candidate.trim() === "") continue
    try {
      found.push(JSON.parse(candidate))
    } catch (cause) {
      problem ||= cause instanceof Error ? cause.message : String(cause)
    }
  }
  return found.length > 0 ? Either.right(found) : Either.left(`it is not JSON: ${problem || "it is empty"}`)
}

/** Where a value does not fit, in a few lines that a model can act on. */
const issues = (error: ParseResult.ParseError, within: ReadonlyArray<string>): string =>
  ParseResult.ArrayFormatter.formatErrorSync(error)
    .slice(0, 5)
    .map((issue) => {
      const path = [...within, ...issue.path]
      return path.length === 0 ? issue.message : `at ${path.map(String).join(".")}: ${issue.message}`
    })
    .join("; ")

const decodeBare = (
  json: unknown,
  check: Check,
  within: ReadonlyArray<string>
): Either.Either<unknown, string> => {
  const decoded = check.decode(json)
  if (Either.isRight(decoded)) return Either.right(decoded.right)
  // strict modes make the model write null for what is not there
  const pruned = check.decode(withoutStandIns(json, check.jsonSchema))
  return Either.mapLeft(Either.isRight(pruned) ? pruned : decoded, (error) => issues(error, within))
}

/** The value in the JSON. A model that is not held to the object around it may leave that out. */
const decodeWith = (json: unknown, check: Check): Either.Either<unknown, string> => {
  if (check.isWrapped !== true) return decodeBare(json, check, [])
  const bare = () => decodeBare(json, check, [SchemaRoot.member])
  if (!SchemaRoot.isWrapped(json)) return bare()
  const value = decodeBare(json[SchemaRoot.member], check, [SchemaRoot.member])
  return Either.isRight(value) ? value : Either.orElse(bare(), () => value)
}

/** An answer that the model did not want to give, or could not end, is not made better by asking again. */
const whyFinal = ({ finishReason, refusal, toolCalls }: ChatResponse): string | undefined =>
  refusal !== undefined
    ? `the model refused: ${refusal}`
    : finishReason === "length"
      ? "it was cut at the token limit"
      : finishReason === "content_filter"
        ? "it was blocked by a content filter"
        : toolCalls.length > 0
          ? `the model called a tool (${toolCalls.map(({ name }) => name).join(", ")})`
          : undefined

interface Problem {
  readonly message: string
  /** Whether asking again cannot help. */
  readonly final: boolean
}

/** The value in an answer, or what is wrong with it. A whole value counts, however the answer ended. */
const valueOf = (response: ChatResponse, check: Check): Either.Either<unknown, Problem> => {
  const final = whyFinal(response)
  const found = candidates(response.text, final !== undefined)
  let problem = Either.isLeft(found) ? found.left : undefined
  for (const json of Either.isRight(found) ? found.right : []) {
    const value = decodeWith(json, check)
    if (Either.isRight(value)) return Either.right(value.right)
    problem ??= value.left
  }
  return Either.left({ message: final ?? problem ?? "it is empty", final: final !== undefined })
}

/** A tool call where the tools are run by whoever asks: no answer yet, and no failure. */
const isTurn = ({ toolCalls }: ChatResponse, check: Check): boolean =>
  toolCalls.length > 0 && check.needsValue !== true

/** An answer that is not what was asked for. */
export const invalidOutput = (
  response: ChatResponse,
  message: string,
  fields?: Pick<LlmError, "requestId" | "status" | "code" | "retryAfter">
): InvalidOutputError =>
  new InvalidOutputError({
    provider: response.provider,
    message: safeText(message, 500),
    text: response.text.slice(0, 2_000),
    usage: response.usage,
    ...(response.meta.requestId === undefined ? undefined : { requestId: response.meta.requestId }),
    ...fields
  })

const misfit = ({ message }: Problem): string => `The answer does not fit the schema: ${message}`

const invalid = (response: ChatResponse, problem: Problem): InvalidOutputError =>
  invalidOutput(response, misfit(problem))

/** The failure of a correction: what was paid for until then goes with it. */
const uncorrected = ({ problem, response }: Misfit, error: LlmError): InvalidOutputError =>
  invalidOutput(response, `${misfit(problem)}; and asking again failed: ${error._tag}: ${error.message}`, {
    ...(error.status === undefined ? undefined : { status: error.status }),
    ...(error.code === undefined ? undefined : { code: error.code }),
    ...(error.requestId === undefined ? undefined : { requestId: error.requestId }),
    ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter })
  })

const corrected = (chat: Chat, response: ChatResponse, problem: string): Chat =>
  withFields(chat, {
    messages: [
      ...chat.messages,
      toMessage(response),
      Message.user(
        `This answer does not fit the required JSON schema: ${problem}\nAnswer again, with the corrected JSON and nothing else.`
      )
    ]
  })

/** An answer that did not fit, with the usage of all until then. */
interface Misfit {
  readonly response: ChatResponse
  readonly problem: Problem
}

/** Calls until an answer fits. */
export interface Insistence<R> {
  readonly calls: Effect.Effect<Response, LlmError, R>
  /** The error of a request whose calls were given up with this one: it tells what was paid for until then. */
  readonly late: (error: LlmError) => LlmError
}

/**
 * Asks until an answer fits, as often as the check allows. The usage of the answer is that of all of them, and so is
 * that of the error where none fits. A correction that fails, or is not had in time, is an `InvalidOutputError` too,
 * which says so.
 */
export const insist = <R>(
  request: Request,
  check: Check,
  ask: (request: Request) => Effect.Effect<Response, LlmError, R>
): Insistence<R> => {
  let last: Misfit | undefined
  const late = (error: LlmError): LlmError =>
    last === undefined || error._tag === "InvalidOutputError" ? error : uncorrected(last, error)
  if (request._tag !== "Chat") return { calls: ask(request), late }
  const calls = Effect.suspend(() => {
    last = undefined
    const go = (chat: Chat, left: number): Effect.Effect<Response, LlmError, R> =>
      Effect.flatMap(ask(chat), (response) => {
        if (response._tag !== "ChatResponse") return Effect.succeed(response)
        const whole =
          last === undefined ? response : withUsage(response, Usage.add(last.response.usage, response.usage))
        if (isTurn(response, check)) return Effect.succeed(whole)
        const value = valueOf(response, check)
        if (Either.isRight(value)) return Effect.succeed(whole)
        const problem = value.left
        if (left === 0 || problem.final) return Effect.fail(invalid(whole, problem))
        last = { response: whole, problem }
        return go(corrected(chat, response, problem.message), left - 1)
      })
    return Effect.catchAll(go(request, check.corrections), (error) => {
      const told = late(error)
      if (told._tag === "InvalidOutputError") verdicts.set(told, check)
      return Effect.fail(told)
    })
  })
  return { calls, late }
}

/** By which check the answers were judged that ended in an error. */
const verdicts = new WeakMap<InvalidOutputError, Check>()

/** Whether an error that another may have got for an equal request is this check's as well. */
export const agrees = (error: LlmError, check: Check): boolean => {
  const by = error._tag === "InvalidOutputError" ? verdicts.get(error) : undefined
  if (by === undefined || by === check) return true
  return (
    by.schema !== undefined &&
    by.schema === check.schema &&
    by.needsValue === check.needsValue &&
    by.corrections >= check.corrections
  )
}

/** Whether an answer that was asked for by another, now or earlier, is one to this request too. */
export const fits = (response: Response, check: Check): boolean =>
  response._tag !== "ChatResponse" || isTurn(response, check) || Either.isRight(valueOf(response, check))

/** The answer with its value, whether it comes from a provider, a cache or a checkpoint. */
export const read = (response: Response, check: Check): Either.Either<Response, LlmError> => {
  if (response._tag !== "ChatResponse") return Either.right(response)
  const value = valueOf(response, check)
  if (Either.isRight(value)) return Either.right(Object.assign(response, { value: value.right }))
  return isTurn(response, check) ? Either.right(response) : Either.left(invalid(response, value.left))
}
