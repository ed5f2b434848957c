/**
 * The attributes of spans, by OpenTelemetry's conventions for generative AI, version 1.41.0; what they have no word for
 * is named `floodgate.*`.
 */
import * as Duration from "effect/Duration"
import type { Span } from "effect/Tracer"
import { toDollars } from "../Prices.js"
import type { Request } from "../Request.js"
import type { Response } from "../Response.js"
import type { AttemptEvent, RequestEvent } from "./observe.js"
import * as SpanMessages from "./spanMessages.js"
import { operationName, providerName } from "./telemetryNames.js"

/** Sets those attributes that have a value. */
const annotate = (span: Span, attributes: Readonly<Record<string, unknown>>): void => {
  for (const key in attributes) {
    const value = attributes[key]
    if (value !== undefined) span.attribute(key, value)
  }
}

const outputType = (request: Request): string | undefined => {
  const format = request._tag === "Chat" ? request.responseFormat?.type : undefined
  return format === "json" || format === "jsonSchema" ? "json" : format === "text" ? "text" : undefined
}

/** What was asked, but for the text of it. */
const asked = (request: Request): Readonly<Record<string, unknown>> => {
  switch (request._tag) {
    case "Chat":
      return {
        "gen_ai.output.type": outputType(request),
        "gen_ai.request.choice.count": request.n === 1 ? undefined : request.n,
        "gen_ai.request.frequency_penalty": request.frequencyPenalty,
        "gen_ai.request.max_tokens": request.maxTokens,
        "gen_ai.request.presence_penalty": request.presencePenalty,
        "gen_ai.request.seed": request.seed,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_k": request.topK,
        "gen_ai.request.top_p": request.topP
      }
    case "Completion":
      return {
        "gen_ai.request.max_tokens": request.maxTokens,
        "gen_ai.request.seed": request.seed,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.topP
      }
    case "Embedding":
      return { "gen_ai.embeddings.dimension.count": request.dimensions }
    case "Rerank":
      return {}
  }
}

const finishReasons = (response: Response): ReadonlyArray<string> | undefined =>
  response._tag === "ChatResponse"
    ? [response, ...(response.alternatives ?? [])].map(({ finishReason }) => finishReason)
    : undefined

const answered = (span: Span, response: Response): void =>
  annotate(span, {
    "gen_ai.response.finish_reasons": finishReasons(response),
    "gen_ai.response.id": response._tag === "ChatResponse" ? response.id : undefined,
    "gen_ai.response.model": response.model
  })

/** Of calls of its own only: a sum over all spans is what was used. */
const used = (span: Span, { usage }: Response): void =>
  annotate(span, {
    "gen_ai.usage.input_tokens": usage.inputTokens,
    "gen_ai.usage.output_tokens": usage.outputTokens,
    "gen_ai.usage.cache_read.input_tokens": usage.cacheReadTokens,
    "gen_ai.usage.cache_creation.input_tokens": usage.cacheWriteTokens,
    "gen_ai.usage.reasoning.output_tokens": usage.reasoningTokens
  })

/** Where an endpoint is. */
export interface Address {
  readonly "server.address": string
  readonly "server.port": number
}

/** What is known of a request from its beginning. */
export const ofRequest = (span: Span, request: Request, prompts: boolean): void => {
  annotate(span, {
    "gen_ai.operation.name": operationName(request._tag),
    "gen_ai.request.model": request.model
  })
  annotate(span, asked(request))
  if (prompts) {
    annotate(span, {
      "gen_ai.request.stop_sequences": stopsOf(request),
      "gen_ai.input.messages": SpanMessages.input(request),
      "gen_ai.tool.definitions": SpanMessages.tools(request)
    })
  }
}

/** Texts of the prompt's author, as the prompt is. */
const stopsOf = (request: Request): ReadonlyArray<string> | undefined => {
  if (!("stop" in request) || request.stop === undefined) return undefined
  return typeof request.stop === "string" ? [request.stop] : request.stop
}

/** What became of it. */
export const ofOutcome = (span: Span, event: RequestEvent, prompts: boolean): void => {
  const { attempts, error, key, origin, response, task } = event
  const provider = response?.provider ?? error?.provider
  annotate(span, {
    "gen_ai.provider.name": provider === undefined ? undefined : providerName(provider),
    "error.type": error?._tag,
    "http.response.status_code": error?.status,
    "floodgate.request.attempts": attempts,
    "floodgate.request.key": key,
    "floodgate.request.origin": origin,
    "floodgate.task": task
  })
  if (response === undefined) return
  answered(span, response)
  if (origin === "call") used(span, response)
  if (prompts) annotate(span, { "gen_ai.output.messages": SpanMessages.output(response) })
}

/** One HTTP call. The tokens of its request are told there, and not twice. */
export const ofAttempt = (span: Span, event: AttemptEvent, address: Address | undefined): void => {
  const { attempt, cost, domain, endpoint, error, hedge, model, outcome, provider, requestId } = event
  annotate(span, {
    ...address,
    "error.type": outcome === "answered" ? undefined : outcome,
    "gen_ai.provider.name": providerName(provider),
    "gen_ai.request.model": model === "" ? undefined : model,
    "http.response.status_code": error?.status,
    "floodgate.attempt": attempt,
    "floodgate.attempt.hedge": hedge,
    "floodgate.attempt.outcome": outcome,
    "floodgate.attempt.wait_hint":
      error?.retryAfter === undefined ? undefined : Duration.toSeconds(error.retryAfter),
    "floodgate.cost": typeof cost === "bigint" ? toDollars(cost) : undefined,
    "floodgate.domain": domain,
    "floodgate.endpoint": endpoint,
    "floodgate.provider.request_id": requestId
  })
}
