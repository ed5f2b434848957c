/**
 * Answers that other programs have kept, as far as their files say what was asked. Their keys are hashes of their own
 * forms of a request, from which no request can be had back.
 *
 * - FluxLLM 0.2: lines of `{"id", "request", "response"}`. The id is an MD5 of the request, which is only there if it
 *   was saved (`save_request=True`); the response is a chat completion.
 * - flexllm: its cache is a LevelDB folder of MD5 hashes and answers, without requests, which is of no use here.
 *   Its output file is: lines of `{"index", "output", "status", "input", "params", "usage", "result"}`, where `input`
 *   are the messages.
 *
 * Parameters that were given to their run as a whole are in neither.
 */
import * as Either from "effect/Either"
import type { Chat } from "../Request.js"
import { type ChatResponse, fromFields } from "../Response.js"
import * as CacheEntry from "./cacheEntry.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import * as OpenAiRequest from "./openAiRequest.js"
import * as OpenAiResponse from "./openAiResponse.js"

export type Program = "fluxllm" | "flexllm"

/** What their files leave out. */
export interface Missing {
  readonly provider: string
  readonly model: string | undefined
  /** Parameters of the whole run, in OpenAI's names; what a line says itself comes first. */
  readonly parameters: JsonObject
  /** Take answers of which nobody says whether they are complete for complete. */
  readonly assumeComplete: boolean
}

export interface Answered {
  readonly request: Chat
  readonly response: ChatResponse
}

/** Whose line an object is. */
export const programOf = (line: JsonObject): Program | undefined => {
  if (typeof line.id === "string" && "response" in line) return "fluxllm"
  return typeof line.index === "number" && "output" in line ? "flexllm" : undefined
}

const answered = (
  asked: JsonObject,
  completion: JsonObject,
  missing: Missing
): Either.Either<Answered, string> =>
  Either.gen(function* () {
    const request = yield* Either.mapLeft(
      OpenAiRequest.decode({ model: missing.model, ...missing.parameters, ...asked }),
      ({ message }) => message
    )
    const said = saysItsEnd(completion)
    if (!said && !missing.assumeComplete) {
      return yield* Either.left(
        "the file does not say whether the answer is complete (no finish_reason). To take it for complete, pass --assume-complete"
      )
    }
    const response = yield* Either.mapLeft(
      OpenAiResponse.decode(said ? completion : withEnd(completion), {
        provider: missing.provider,
        model: request.model ?? "",
        request,
        requestId: undefined
      }),
      ({ message }) => message
    )
    if (!CacheEntry.isComplete(response)) {
      return yield* Either.left(
        `the answer is ${response.refusal === undefined ? `cut short or filtered (${response.rawFinishReason})` : "a refusal"}: such answers are not kept`
      )
    }
    return { request, response }
  })

const firstChoice = ({ choices }: JsonObject): JsonObject => {
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined
  return isJsonObject(first) ? first : {}
}

const saysItsEnd = (completion: JsonObject): boolean => firstChoice(completion).finish_reason != null

const withEnd = (completion: JsonObject): JsonObject => ({
  ...completion,
  choices: [{ ...firstChoice(completion), finish_reason: "stop" }]
})

const fromFluxLlm = (
  { request, response }: JsonObject,
  missing: Missing
): Either.Either<Answered, string> => {
  if (!isJsonObject(request)) {
    return Either.left(
      "FluxLLM kept a hash of the request and not the request itself, so nobody can tell what was asked: only entries that were made with save_request=True can be imported"
    )
  }
  if (request.messages === undefined && request.prompt !== undefined) {
    return Either.left("a text completion: only answers to chats can be imported")
  }
  return isJsonObject(response)
    ? answered(request, response, missing)
    : Either.left(`"response" is no chat completion`)
}

/** Parameters by which flexllm made the messages, and which it did not send. */
const madeMessages: ReadonlySet<string> = new Set(["system", "user_template"])

const fromFlexLlm = (line: JsonObject, missing: Missing): Either.Either<Answered, string> => {
  const { input, output, params, result, status, usage } = line
  if (status !== "success") {
    return Either.left(`no answer: flexllm says it is ${JSON.stringify(status)}`)
  }
  if (!Array.isArray(input)) {
    return Either.left(
      input === undefined
        ? 'flexllm did not save what was asked (save_input=False): only lines with the messages as "input" can be imported'
        : 'flexllm saved the last prompt only (save_input="last"), and not the messages before it'
    )
  }
  if (missing.model === undefined) {
    return Either.left("flexllm does not say which model answered: pass --model")
  }
  const own = isJsonObject(params) ? params : {}
  if ("reasoning" in own) {
    return Either.left(`"params.reasoning" is sent in other words by each provider, and cannot be had back`)
  }
  const told = isJsonObject(result) ? result : {}
  const asked = Object.fromEntries(Object.entries(own).filter(([name]) => !madeMessages.has(name)))
  const completion = {
    model: missing.model,
    choices: [
      {
        index: 0,
        finish_reason: told.finish_reason,
        message: {
          role: "assistant",
          content: output,
          reasoning_content: told.reasoning_content,
          tool_calls: told.tool_calls
        }
      }
    ],
    usage
  }
  return Either.map(
    answered({ ...asked, messages: input }, completion, missing),
    // put together from its parts, and not what a provider has sent
    ({ request, response }) => ({ request, response: fromFields({ ...response, raw: undefined }) })
  )
}

/** What a line says was asked and answered, or why that cannot be told. */
export const decode = (
  program: Program,
  line: JsonObject,
  missing: Missing
): Either.Either<Answered, string> =>
  program === "fluxllm" ? fromFluxLlm(line, missing) : fromFlexLlm(line, missing)
