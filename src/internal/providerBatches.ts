/** A provider's batch API over HTTP: what `ProviderBatch` needs of a provider, made of its protocol's description. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Stream from "effect/Stream"
import type { Endpoint } from "../Endpoint.js"
import { type LlmError, UnsupportedError } from "../LlmError.js"
import type { Request } from "../Request.js"
import { type Response, withWarnings } from "../Response.js"
import type { Asked, WireCall } from "../Wire.js"
import { classify, classifyBody } from "./classifyError.js"
import * as BatchHttp from "./providerBatchHttp.js"
import type { BatchWire, Draft, Line, Refused, Report, Sought } from "./providerBatchWire.js"
import type { Call } from "./send.js"

/** A request as a line of a job, and how the answer to it is read. */
export interface Prepared {
  readonly model: string
  readonly path: string
  /** The body of the ordinary call, as JSON. */
  readonly body: string
  /** The answer, or the typed error of one that is none. */
  readonly read: (
    body: unknown,
    requestId: string | undefined,
    now: number
  ) => Either.Either<Response, LlmError>
}

/** The batch API of a provider. Each effect is one step, without retry. */
export interface Batches {
  readonly maxRequests: number
  readonly maxBytes: number
  readonly hasWindow: boolean
  readonly prepare: (request: Request, endpoint: Endpoint) => Effect.Effect<Prepared, LlmError>
  readonly upload: (endpoint: Endpoint, draft: Draft) => Effect.Effect<string | undefined, LlmError>
  readonly create: (
    endpoint: Endpoint,
    draft: Draft,
    uploaded: string | undefined
  ) => Effect.Effect<Report, LlmError>
  readonly find: (endpoint: Endpoint, sought: Sought) => Effect.Effect<Report | undefined, LlmError>
  readonly report: (endpoint: Endpoint, id: string) => Effect.Effect<Report, LlmError>
  readonly results: (endpoint: Endpoint, id: string) => Stream.Stream<Line, LlmError>
  readonly cancel: (endpoint: Endpoint, id: string) => Effect.Effect<void, LlmError>
}

/** What a protocol's ordinary calls give. */
export interface Calls {
  /** The request as it would be sent, with what is fetched for it first. */
  readonly ready: (
    request: Request,
    endpoint: Endpoint
  ) => Effect.Effect<
    {
      readonly asked: Omit<Asked, "requestId">
      readonly wireCall: WireCall
      readonly warnings: ReadonlyArray<string>
    },
    LlmError
  >
  /** The endpoint's headers, its token included. */
  readonly credentials: (endpoint: Endpoint) => Effect.Effect<Call, LlmError>
}

export const make = (client: HttpClient.HttpClient, name: string, wire: BatchWire, calls: Calls): Batches => {
  const http = (endpoint: Endpoint) => BatchHttp.make(client, endpoint, calls.credentials(endpoint))

  const prepare: Batches["prepare"] = (request, endpoint) =>
    Effect.flatMap(calls.ready(request, endpoint), ({ asked, warnings, wireCall }) => {
      const { body, decode, headers, path } = wireCall
      if (!wire.accepts(path, endpoint) || headers !== undefined) {
        return Effect.fail(
          new UnsupportedError({
            provider: name,
            feature: "batch",
            message:
              headers === undefined
                ? `${name} does not take calls of ${path} in its batch API; nothing was sent`
                : `${name}'s batch API has no headers of single requests, which this one needs; nothing was sent`
          })
        )
      }
      return Effect.succeed<Prepared>({
        model: asked.model,
        path,
        body: JSON.stringify(wire.body === undefined ? body : wire.body(body)),
        read: (answer, requestId, now) => {
          const error = classifyBody(asked.provider, { status: 200, headers: {}, body: answer }, now)
          if (error !== undefined) return Either.left(error)
          const outcome = decode(answer, { ...asked, requestId })
          return warnings.length === 0
            ? outcome
            : Either.map(outcome, (response) => withWarnings(response, warnings))
        }
      })
    })

  return {
    maxRequests: wire.maxRequests,
    maxBytes: wire.maxBytes,
    hasWindow: wire.hasWindow,
    prepare,
    upload: (endpoint, draft) => wire.upload?.(http(endpoint), draft) ?? Effect.succeed(undefined),
    create: (endpoint, draft, uploaded) => wire.create(http(endpoint), draft, uploaded),
    find: (endpoint, sought) => wire.find(http(endpoint), sought),
    report: (endpoint, id) => wire.report(http(endpoint), id),
    results: (endpoint, id) => wire.results(http(endpoint), id),
    cancel: (endpoint, id) => wire.cancel(http(endpoint), id)
  }
}

/** The typed error of a line, or of a whole job, by the rules of ordinary calls. */
export const errorOf = (provider: string, { body, requestId, status }: Refused, now: number): LlmError =>
  classify(
    provider,
    { status, headers: requestId === undefined ? {} : { "x-request-id": requestId }, body },
    now
  )
