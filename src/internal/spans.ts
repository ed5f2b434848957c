/**
 * Requests and their attempts as spans. They are made after the fact, with the times at which things happened: nothing
 * runs inside of a span, so that a request that is interrupted leaves none open.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Endpoint } from "../Endpoint.js"
import type { LlmError } from "../LlmError.js"
import type { Request } from "../Request.js"
import { Router } from "../Router.js"
import type { Journey, Observer } from "./observe.js"
import * as SpanAttributes from "./spanAttributes.js"
import { operationName } from "./telemetryNames.js"

export interface Options {
  /** Whether each attempt is a span of its own, below that of its request. */
  readonly attempts: boolean
  /** Whether prompts and answers are told. */
  readonly prompts: boolean
}

const nanos = (millis: number): bigint => BigInt(Math.round(millis)) * 1_000_000n

/**
 * An error as a span tells it: by its class, status and code. What a provider says about it in words may repeat the
 * prompt, and what we say of an answer may repeat that.
 */
class SpanError extends Error {
  constructor(error: LlmError, prompts: boolean) {
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    const { _tag, code, message, status } = error
    super(prompts ? message : [_tag, status, code].filter((part) => part !== undefined).join(" "))
    Error.stackTraceLimit = stackTraceLimit
    this.name = _tag
  }
}

const interrupted = Exit.interrupt(FiberId.none)
const defect = Exit.die("defect")

const addressOf = ({ baseUrl }: Endpoint): SpanAttributes.Address | undefined => {
  if (!URL.canParse(baseUrl)) return undefined
  const { hostname, port, protocol } = new URL(baseUrl)
  if (hostname === "") return undefined
  return {
    "server.address": hostname,
    "server.port": port === "" ? (protocol === "http:" ? 80 : 443) : Number(port)
  }
}

const make = (
  tracer: Tracer.Tracer,
  parent: Option.Option<Tracer.AnySpan>,
  endpoints: ReadonlyArray<Endpoint>,
  { attempts, prompts }: Options
): Observer => {
  const addresses = new Map(endpoints.map((endpoint) => [endpoint.id, addressOf(endpoint)]))
  const open = new WeakMap<Journey, Tracer.Span>()
  const context = Context.empty()
  const exitOf = (error: LlmError | undefined) =>
    error === undefined ? Exit.void : Exit.fail(new SpanError(error, prompts))

  /** The span of a request, which begins where the request did. */
  const spanOf = (journey: Journey, request: Request): Tracer.Span => {
    const known = open.get(journey)
    if (known !== undefined) return known
    const operation = operationName(request._tag)
    const name = request.model === undefined ? operation : `${operation} ${request.model}`
    const span = tracer.span(name, parent, context, [], nanos(journey.start), "client")
    if (span.sampled) SpanAttributes.ofRequest(span, request, prompts)
    open.set(journey, span)
    return span
  }

  return {
    attempt: attempts
      ? (event) => {
          const { at, endpoint, error, journey, latencyMs, outcome, request } = event
          const above = journey === undefined ? parent : Option.some(spanOf(journey, request))
          const start = nanos(at - latencyMs)
          const span = tracer.span("floodgate.attempt", above, context, [], start, "client")
          if (span.sampled) SpanAttributes.ofAttempt(span, event, addresses.get(endpoint))
          const exit = outcome === "interrupted" ? interrupted : outcome === "defect" ? defect : exitOf(error)
          span.end(nanos(at), exit)
        }
      : undefined,
    request: (event) => {
      const { at, error, journey, request } = event
      if (journey === undefined) return
      const span = spanOf(journey, request)
      if (span.sampled) SpanAttributes.ofOutcome(span, event, prompts)
      span.end(nanos(at), exitOf(error))
    },
    abandoned: ({ at, journey, request }) => {
      const span = spanOf(journey, request)
      // its outcome may be known, and not given any more
      if (span.status._tag === "Ended") return
      span.attribute("error.type", "interrupted")
      span.end(nanos(at), interrupted)
    }
  }
}

const none: Observer = {}

/** Tells of the requests of a fiber to its tracer, below its span. */
export const observer = (options: Options): Effect.Effect<Observer> =>
  Effect.flatMap(FiberRef.get(FiberRef.currentTracerEnabled), (enabled) =>
    enabled
      ? Effect.zipWith(Effect.tracer, Effect.context<never>(), (tracer, services) => {
          const endpoints = Option.match(Context.getOption(services, Router), {
            onNone: () => [],
            onSome: (router) => router.endpoints
          })
          return make(tracer, Context.getOption(services, Tracer.ParentSpan), endpoints, options)
        })
      : Effect.succeed(none)
  )
