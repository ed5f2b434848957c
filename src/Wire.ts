/**
 * A wire protocol, described: how a request becomes a call, and an answer a response. All else that a provider
 * needs is the same for every protocol and comes with {@link provider}: sending, timeouts, typed errors, limits,
 * streams, features that are not there.
 *
 * To add a provider (`examples/own-provider.ts` is one in whole, with its server):
 *
 * 1. **Encode.** {@link Wire.encode} writes what the request sets and nothing else, and lays `extra` over it. For a kind
 *    of request that the server does not have it gives {@link unsupported}.
 * 2. **Decode.** {@link WireCall.decode} reads the body of a 2xx, best with a `Schema`. Usage counts every token once:
 *    `inputTokens` with those from a cache, `outputTokens` with those of thoughts. A 2xx without an answer is an error:
 *    `NetworkError` where the same request may well be answered next time, and it is tried again.
 * 3. **Name what is missing.** {@link Wire.lacks} lists fields and parts that a request has and the server does not: an
 *    `UnsupportedError` before anything is sent, or left out with a warning where the request says so.
 * 4. **Credential.** A bearer token unless {@link Wire.headers} or {@link Wire.accessToken} say otherwise.
 * 5. **Errors and limits** need nothing where the server keeps to HTTP: the status gives the typed error, with what the
 *    body says of quota, length and filters; waits are read from `retry-after` and the usual headers. Failures inside a
 *    2xx are `decode`'s to tell. What one call may hold is declared: {@link Wire.embeddingInputs},
 *    {@link Wire.embeddingTokens}, {@link Wire.rerankDocuments}; so is {@link Wire.chargesMaxTokens}.
 * 6. **Stream**, where there are server-sent events: `streams: true`, and {@link WireCall.events} gives a reader with a
 *    memory of its own for each answer. A `Finish` part makes an answer whole; `end` fails where none has come.
 * 7. **Endpoint.** Give it to `Providers.layer([make])`, and name it in a router's endpoints: the limiter, retries, the
 *    cache, the checkpoint and the ledger see a provider like any other.
 * 8. **Test** it against the server's own words, errors and torn streams among them: `decode` never throws, whatever
 *    comes. A provider of this package also gets a wire of the simulator and a row in the conformance suite, which asks
 *    every provider the same: turns, images, tools, schemas, thoughts, streams, bills, each error and each wait.
 *
 * @example
 * import { Response, Wire } from "floodgate"
 * import * as Either from "effect/Either"
 *
 * // a server that takes {"ask": …} and answers {"answer": …}
 * export const make = Wire.provider({
 *   name: "acme",
 *   encode: (request, { model }) =>
 *     request._tag !== "Chat"
 *       ? Either.left(Wire.unsupported("acme", request._tag))
 *       : Either.right({
 *           path: "/ask",
 *           body: { model, ask: request.messages.map((message) => message.content).join("\n") },
 *           decode: (body, asked) =>
 *             Either.right(
 *               Response.fromFields({
 *                 ...Wire.answered(asked, body),
 *                 text: (body as { answer: string }).answer,
 *                 finishReason: "stop",
 *                 toolCalls: [],
 *                 usage: { inputTokens: 0, outputTokens: 0, estimated: true }
 *               })
 *             )
 *         })
 * })
 *
 * @module
 */
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { constTrue } from "effect/Function"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Endpoint from "./Endpoint.js"
import { postText } from "./HttpClientPool.js"
import * as Features from "./internal/features.js"
import { FetchedMedia } from "./internal/fetchedMedia.js"
import * as ProviderBatches from "./internal/providerBatches.js"
import type { BatchWire } from "./internal/providerBatchWire.js"
import * as RemoteMedia from "./internal/remoteMedia.js"
import { type Call, get, send } from "./internal/send.js"
import { sendStream } from "./internal/sendStream.js"
import { InvalidRequestError, type LlmError, TimeoutError, UnsupportedError } from "./LlmError.js"
import * as Providers from "./Providers.js"
import type { Chat, Request } from "./Request.js"
import { type Meta, type Response, withWarnings } from "./Response.js"
import { StreamPart } from "./StreamPart.js"
import * as Throttle from "./Throttle.js"

/** What a call was asked with, for the fields that an answer may leave out. */
export interface Asked {
  readonly provider: string
  readonly model: string
  readonly request: Request
  /** The provider's id of the call, where its headers give one. */
  readonly requestId: string | undefined
}

/** One server-sent event. */
export interface ServerSentEvent {
  /** `"message"` where the server names none. */
  readonly event: string
  readonly data: string
}

/** Reads the events of one streamed answer, in order. Has a memory; made anew for each call. */
export interface EventReader {
  /** The parts that an event brings; a failure ends the stream. */
  readonly read: (event: ServerSentEvent) => Either.Either<ReadonlyArray<StreamPart>, LlmError>
  /** What is left when the server has closed the stream, or why the answer is not whole. */
  readonly end: () => Either.Either<ReadonlyArray<StreamPart>, LlmError>
}

/** A request in the form of the wire, and how what comes back is read. */
export interface WireCall {
  /** Below the endpoint's base URL, with its slash. */
  readonly path: string
  readonly body: unknown
  /** Of this call alone. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The answer, or the typed error for a 2xx that holds none. */
  readonly decode: (body: unknown, asked: Asked) => Either.Either<Response, LlmError>
  /** Where the call was encoded for streaming. */
  readonly events?: ((asked: Asked) => EventReader) | undefined
}

/** What a request is encoded for. */
export interface Context {
  /** The request's, or the endpoint's. */
  readonly model: string
  readonly endpoint: Endpoint.Endpoint
  /** Whether the answer is to come bit by bit. */
  readonly streaming: boolean
}

/** One wire protocol. */
export interface Wire {
  readonly name: string
  /** See {@link Providers.Provider.chargesMaxTokens}. */
  readonly chargesMaxTokens?: boolean | undefined
  /** See {@link Providers.Provider.embeddingInputs}. */
  readonly embeddingInputs?: number | undefined
  /** See {@link Providers.Provider.embeddingTokens}. */
  readonly embeddingTokens?: number | undefined
  /** See {@link Providers.Provider.rerankDocuments}. */
  readonly rerankDocuments?: number | undefined
  /** Whether chats can be streamed. Default `false`. */
  readonly streams?: boolean | undefined
  /**
   * Whether the provider fetches by URL itself: images and documents (`true`, the default), images alone, or nothing.
   * What it does not fetch we do, and put into the request.
   */
  readonly fetchesMedia?: boolean | "images" | undefined
  /**
   * What the request asks for and the provider cannot do, by the names of the request's fields (`"seed"`), or
   * `"messages.audio"` for a kind of part. Default: nothing.
   */
  readonly lacks?: ((request: Request, context: Context) => ReadonlyArray<string>) | undefined
  /**
   * What is sent, but in another way than the request has it, each as a sentence: warnings of the answer. Default:
   * nothing.
   */
  readonly warns?: ((request: Request, context: Context) => ReadonlyArray<string>) | undefined
  /** Headers that carry the credential. Default: the endpoint's key as a bearer token. */
  readonly headers?: ((endpoint: Endpoint.Endpoint) => Readonly<Record<string, string>>) | undefined
  /** A token that has to be got, and got again when it has run out; sent as bearer. */
  readonly accessToken?:
    | ((endpoint: Endpoint.Endpoint) => Effect.Effect<Redacted.Redacted | undefined, LlmError>)
    | undefined
  /** Name of the header with the provider's id of a call. Default `x-request-id`. */
  readonly requestIdHeader?: string | undefined
  /** The request in the form of the wire, or why it cannot be put into it. */
  readonly encode: (request: Request, context: Context) => Either.Either<WireCall, LlmError>
  /** How calls of this protocol are run as a job of the provider, for `ProviderBatch`. Default: not at all. */
  readonly batch?: BatchWire | undefined
}

/** The error for a kind of request, or a feature, that a protocol does not have. */
export const unsupported = (provider: string, feature: string, message?: string): UnsupportedError =>
  new UnsupportedError({
    provider,
    feature,
    message: message ?? `${provider} has no counterpart for ${feature}; nothing was sent`
  })

const blankMeta: Meta = { attempts: 1, cached: false, latencyMs: 0 }

/** The fields of an answer that say where it is from. */
export const answered = (
  asked: Asked,
  raw: unknown
): Pick<Response, "model" | "provider" | "raw" | "meta"> => ({
  model: asked.model,
  provider: asked.provider,
  raw,
  meta: asked.requestId === undefined ? blankMeta : { ...blankMeta, requestId: asked.requestId }
})

const bearer = ({ apiKey }: Endpoint.Endpoint): Readonly<Record<string, string>> =>
  apiKey === undefined ? {} : { authorization: `Bearer ${Redacted.value(apiKey)}` }

/** How long a call of a batch API may take: a file of 200 MB goes up in it. */
const batchTimeoutMs = 600_000

/** A call that can be sent. */
interface Ready {
  readonly call: Call
  readonly asked: Omit<Asked, "requestId">
  readonly wireCall: WireCall
  readonly warnings: ReadonlyArray<string>
}

/**
 * The client without spans of its own. They would tell of headers, in which it does not know every key, and have trace
 * ids sent to the provider.
 */
const untraced = (client: HttpClient.HttpClient): HttpClient.HttpClient =>
  // that of the pool makes none
  postText(client) === undefined ? HttpClient.withTracerDisabledWhen(client, constTrue) : client

/** A provider that speaks this protocol, over the `HttpClient` at hand. */
export const provider = (wire: Wire): Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (given) => {
    const client = untraced(given)
    const requestIdHeader = wire.requestIdHeader ?? "x-request-id"
    const credentials = wire.headers ?? bearer
    const { fetchesMedia = true } = wire
    // the same for all calls of an endpoint
    const headersOf = new WeakMap<Endpoint.Endpoint, Headers.Headers>()

    const headers = (endpoint: Endpoint.Endpoint): Headers.Headers => {
      let found = headersOf.get(endpoint)
      if (found === undefined) {
        found = Headers.fromInput({ ...endpoint.headers, ...credentials(endpoint) })
        headersOf.set(endpoint, found)
      }
      return found
    }

    const ready = (
      given: Request,
      endpoint: Endpoint.Endpoint,
      timeoutMs: number,
      streaming: boolean
    ): Either.Either<Ready, LlmError> => {
      const model = given.model ?? endpoint.model
      if (model === undefined) {
        return Either.left(
          new InvalidRequestError({
            provider: wire.name,
            message: "No model in the request or the endpoint"
          })
        )
      }
      const context = { model, endpoint, streaming }
      const lacking = wire.lacks?.(given, context) ?? []
      const kept = lacking.length === 0 ? Either.right(given) : Features.drop(wire.name, given, lacking)
      return Either.flatMap(kept, (request) =>
        Either.map(wire.encode(request, context), (wireCall) => ({
          wireCall,
          asked: { provider: endpoint.provider, model, request },
          warnings: [
            ...lacking.map((feature) => Features.leftOut(wire.name, feature)),
            ...(wire.warns?.(request, context) ?? [])
          ],
          call: {
            provider: endpoint.provider,
            url: Endpoint.url(endpoint, wireCall.path),
            headers:
              wireCall.headers === undefined
                ? headers(endpoint)
                : Headers.setAll(headers(endpoint), wireCall.headers),
            body: wireCall.body,
            timeoutMs,
            secret: endpoint.apiKey
          }
        }))
      )
    }

    const token = (call: Call, got: Effect.Effect<Redacted.Redacted | undefined, LlmError>) =>
      call.timeoutMs === 0
        ? got
        : Effect.timeoutFail(got, {
            duration: call.timeoutMs,
            onTimeout: () =>
              new TimeoutError({
                provider: call.provider,
                message: `No access token within ${call.timeoutMs} ms; nothing was sent`
              })
          })

    const authorized = (call: Call, endpoint: Endpoint.Endpoint): Effect.Effect<Call, LlmError> =>
      wire.accessToken === undefined
        ? Effect.succeed(call)
        : Effect.map(token(call, wire.accessToken(endpoint)), (token) =>
            token === undefined
              ? call
              : {
                  ...call,
                  headers: Headers.set(call.headers, "authorization", `Bearer ${Redacted.value(token)}`),
                  secret: token
                }
          )

    const fetchedMedia = new FetchedMedia()
    const isRemote = (request: Request): request is Chat =>
      request._tag === "Chat" && RemoteMedia.has(request, fetchesMedia)

    const media = (
      request: Request,
      provider: string,
      timeoutMs: number
    ): Effect.Effect<Request, LlmError> =>
      isRemote(request)
        ? RemoteMedia.inline(client, request, { provider, fetches: fetchesMedia, timeoutMs, fetchedMedia })
        : Effect.succeed(request)

    const isSimple = (request: Request): boolean => wire.accessToken === undefined && !isRemote(request)

    /** What can be sent, at once where nothing has to be fetched first. The time of the call holds for each step. */
    const prepared = (
      request: Request,
      endpoint: Endpoint.Endpoint,
      timeoutMs: number,
      streaming: boolean
    ): Effect.Effect<Ready, LlmError> =>
      isSimple(request)
        ? ready(request, endpoint, timeoutMs, streaming)
        : Effect.flatMap(media(request, endpoint.provider, timeoutMs), (inlined) =>
            Effect.flatMap(ready(inlined, endpoint, timeoutMs, streaming), (sendable) =>
              Effect.map(authorized(sendable.call, endpoint), (call) => ({ ...sendable, call }))
            )
          )

    const sent = ({ asked, call, warnings, wireCall }: Ready): Effect.Effect<Providers.Attempt> =>
      Effect.map(send(client, call), ({ body, headers, throttle }) => {
        const outcome = Either.flatMap(body, (answer) =>
          wireCall.decode(answer, { ...asked, requestId: headers[requestIdHeader] })
        )
        return {
          outcome:
            warnings.length === 0
              ? outcome
              : Either.map(outcome, (response) => withWarnings(response, warnings)),
          throttle
        }
      })

    /** Without an answer there may be another attempt. */
    const forgetMedia = (request: Request): void => {
      if (isRemote(request)) fetchedMedia.forget(request)
    }

    const attempt: Providers.Provider["attempt"] = (request, endpoint, timeoutMs) =>
      Effect.matchEffect(prepared(request, endpoint, timeoutMs, false), {
        onFailure: (error) => Effect.succeed(Providers.notSent(error)),
        onSuccess: (ready) =>
          Effect.map(sent(ready), (made) => {
            if (Either.isRight(made.outcome)) forgetMedia(request)
            return made
          })
      })

    const stream = (
      request: Request,
      endpoint: Endpoint.Endpoint,
      timeoutMs: number
    ): Effect.Effect<Providers.StreamAttempt, never, Scope.Scope> =>
      Effect.matchEffect(prepared(request, endpoint, timeoutMs, true), {
        onFailure: (error) => Effect.succeed(Providers.noStream(error)),
        onSuccess: ({ asked, call, warnings, wireCall }) => {
          const { events } = wireCall
          if (events === undefined) {
            return Effect.succeed(Providers.noStream(unsupported(wire.name, "stream")))
          }
          return Effect.map(sendStream(client, call), ({ body, headers, throttle }) => ({
            parts: Either.map(body, (arriving) =>
              Stream.suspend(() => {
                const reader = events({ ...asked, requestId: headers[requestIdHeader] })
                const told = Stream.fromIterable(warnings.map((message) => StreamPart.Warning({ message })))
                const parts = arriving.pipe(
                  Stream.mapEffect((event) => reader.read(event)),
                  Stream.concat(
                    Stream.fromEffect(
                      Effect.suspend(() => {
                        const rest = reader.end()
                        if (Either.isRight(rest)) forgetMedia(request)
                        return rest
                      })
                    )
                  ),
                  Stream.mapConcat((parts) => parts)
                )
                return warnings.length === 0 ? parts : Stream.concat(told, parts)
              })
            ),
            throttle
          }))
        }
      })

    const document: Providers.Provider["get"] = (path, endpoint, timeoutMs) => {
      const call: Call = {
        provider: endpoint.provider,
        url: Endpoint.url(endpoint, path),
        headers: headers(endpoint),
        body: undefined,
        timeoutMs,
        secret: endpoint.apiKey
      }
      return Effect.matchEffect(authorized(call, endpoint), {
        onFailure: (error) => Effect.succeed({ body: Either.left(error), throttle: Throttle.none }),
        onSuccess: (ready) => get(client, ready)
      })
    }

    const batch =
      wire.batch === undefined
        ? undefined
        : ProviderBatches.make(client, wire.name, wire.batch, {
            ready: (request, endpoint) =>
              Effect.flatMap(media(request, endpoint.provider, batchTimeoutMs), (inlined) =>
                ready(inlined, endpoint, batchTimeoutMs, false)
              ),
            credentials: (endpoint) =>
              authorized(
                {
                  provider: endpoint.provider,
                  url: endpoint.baseUrl,
                  headers: headers(endpoint),
                  body: undefined,
                  timeoutMs: batchTimeoutMs,
                  secret: endpoint.apiKey
                },
                endpoint
              )
          })

    return {
      name: wire.name,
      attempt,
      get: document,
      batch,
      chargesMaxTokens: wire.chargesMaxTokens,
      embeddingInputs: wire.embeddingInputs,
      embeddingTokens: wire.embeddingTokens,
      rerankDocuments: wire.rerankDocuments,
      ...(wire.streams === true ? { stream } : undefined)
    }
  })
