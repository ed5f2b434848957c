/**
 * The default `HttpClient`: a lean one over an undici connection pool.
 *
 * A batch spends most of its CPU on HTTP, and a general client spends most of that on things a batch does not
 * need: a Node stream for each body, an abort controller and a URL object for each call, spans. Here a call is
 * one `dispatch`, and the body is gathered as it arrives, so that an answer nobody reads never holds its
 * connection. Redirects are not followed: a credential must not travel to another origin.
 *
 * Any other `HttpClient` layer can stand in its place.
 *
 * @example
 * import { HttpClientPool, OpenAi } from "floodgate"
 * import * as HttpClient from "@effect/platform/HttpClient"
 * import * as Layer from "effect/Layer"
 * import { ProxyAgent } from "undici"
 *
 * // the endpoint of the environment, reached over at most 100 connections
 * const OverFew = OpenAi.layerConfig(OpenAi.config).pipe(
 *   Layer.provide(HttpClientPool.layer({ connections: 100 }))
 * )
 *
 * // or through a proxy
 * const OverProxy = OpenAi.layerConfig(OpenAi.config).pipe(
 *   Layer.provide(
 *     Layer.sync(HttpClient.HttpClient, () =>
 *       HttpClientPool.fromDispatcher(new ProxyAgent("http://proxy.example:3128"))
 *     )
 *   )
 * )
 *
 * @module
 */
import * as Cookies from "@effect/platform/Cookies"
import * as Headers from "@effect/platform/Headers"
import type * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as IncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { globalValue } from "effect/GlobalValue"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Agent, type Dispatcher } from "undici"

/** Settings of the pool. */
export interface Options {
  /** Most connections to one origin. Default: unbounded, since the batch bounds its own concurrency. */
  readonly connections?: number | undefined
  /** How long an idle connection is kept. Default 30 seconds: batches pause for longer than undici's 4. */
  readonly keepAlive?: Duration.DurationInput | undefined
  /** How long connecting may take. Default 10 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
}

/** Cause of a call that was given up because its time was over. */
export class CallTimeout extends Error {
  override readonly name = "CallTimeout"
  readonly code = "CALL_TIMEOUT"
}

/** A whole exchange with text both ways. */
export interface TextExchange {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly text: string
}

/**
 * Posts a text and reads the answer to its end, as one step; fails with the transport's own error, or with
 * {@link CallTimeout} after `timeoutMs` milliseconds (0: never).
 */
export type PostText = (
  url: string,
  headers: Headers.Headers,
  body: string,
  timeoutMs: number
) => Effect.Effect<TextExchange, Error>

const posts = globalValue(
  "floodgate/HttpClientPool/posts",
  () => new WeakMap<HttpClient.HttpClient.With<never, never> | object, PostText>()
)

/**
 * {@link PostText} over the pool of this client, at half the cost of `execute` and reading the body, timeout
 * included. None if the client is another one, or was changed with `HttpClient`'s combinators: their changes count.
 */
export const postText = (client: HttpClient.HttpClient): PostText | undefined => posts.get(client)

/** One call: undici's handler, gathering the body for whoever reads it, now or later. */
class Exchange implements Dispatcher.DispatchHandler {
  status = 0
  headers: Record<string, string | Array<string> | undefined> = {}
  chunks: Array<Buffer> = []
  ended = false
  error: Error | undefined
  private controller: Dispatcher.DispatchController | undefined
  private timer: NodeJS.Timeout | undefined
  private cancelled: Error | undefined
  private paused = false
  /** Called at the answer's head, at each chunk while it is read as a stream, and at its end. */
  notify: () => void = () => {}

  startTimer(ms: number) {
    // a longer time than a timer holds, 25 days, would end at once
    if (ms <= 0 || ms >= 2 ** 31) return
    this.timer = setTimeout(() => this.cancel(new CallTimeout(`no answer within ${ms} ms`)), ms)
  }

  cancel(reason: Error) {
    if (this.ended) return
    this.cancelled = reason
    if (this.controller === undefined) {
      // still waiting for a connection: undici aborts it in onRequestStart, the caller need not wait
      this.finish(reason)
    } else {
      this.controller.abort(reason)
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController) {
    this.controller = controller
    if (this.cancelled !== undefined) controller.abort(this.cancelled)
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | Array<string> | undefined>
  ) {
    if (status < 200) return
    this.status = status
    this.headers = headers
    this.notify()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer) {
    this.chunks.push(chunk)
    if (this.streaming) {
      if (this.chunks.length >= 64) {
        this.paused = true
        controller.pause()
      }
      this.notify()
    }
  }

  onResponseEnd() {
    this.finish(undefined)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error) {
    this.finish(error)
  }

  private finish(error: Error | undefined) {
    if (this.ended) return
    clearTimeout(this.timer)
    this.ended = true
    this.error = error
    this.notify()
  }

  streaming = false

  /** The chunks that have arrived since the last call; reading goes on if it was paused. */
  take(): Array<Buffer> {
    const taken = this.chunks
    this.chunks = []
    if (this.paused) {
      this.paused = false
      this.controller?.resume()
    }
    return taken
  }
}

class PoolResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [IncomingMessage.TypeId]: IncomingMessage.TypeId = IncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId

  constructor(
    readonly request: HttpClientRequest.HttpClientRequest,
    private readonly exchange: Exchange
  ) {
    super()
  }

  get status() {
    return this.exchange.status
  }

  get headers(): Headers.Headers {
    return Headers.fromInput(this.exchange.headers)
  }

  get cookies(): Cookies.Cookies {
    return Cookies.fromSetCookie(this.exchange.headers["set-cookie"] ?? [])
  }

  get remoteAddress(): Option.Option<string> {
    return Option.none()
  }

  private fail(cause: unknown) {
    return new HttpClientError.ResponseError({
      request: this.request,
      response: this,
      reason: "Decode",
      cause
    })
  }

  private buffer: Effect.Effect<Buffer, HttpClientError.ResponseError> = Effect.async((resume) => {
    const exchange = this.exchange
    const done = () => {
      if (!exchange.ended) return
      if (exchange.error !== undefined) return resume(Effect.fail(this.fail(exchange.error)))
      const { chunks } = exchange
      const only = chunks.length === 1 ? chunks[0] : undefined
      const body = only ?? Buffer.concat(chunks)
      // kept, so that the body can be read twice
      if (only === undefined) exchange.chunks = [body]
      resume(Effect.succeed(body))
    }
    exchange.notify = done
    done()
    return Effect.sync(() => exchange.cancel(new Error("interrupted")))
  })

  get text(): Effect.Effect<string, HttpClientError.ResponseError> {
    return Effect.map(this.buffer, (body) => body.toString("utf8"))
  }

  get json(): Effect.Effect<unknown, HttpClientError.ResponseError> {
    return Effect.tryMap(this.text, {
      try: (text): unknown => (text === "" ? null : JSON.parse(text)),
      catch: (cause) => this.fail(cause)
    })
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, HttpClientError.ResponseError> {
    return Effect.map(this.text, (text) => UrlParams.fromInput(new URLSearchParams(text)))
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, HttpClientError.ResponseError> {
    return Effect.map(this.buffer, (body) => new Uint8Array(body).buffer)
  }

  get formData(): Effect.Effect<FormData, HttpClientError.ResponseError> {
    return Effect.flatMap(this.buffer, (body) =>
      Effect.tryPromise({
        try: () =>
          new Response(new Uint8Array(body), {
            headers: { "content-type": this.headers["content-type"] ?? "" }
          }).formData(),
        catch: (cause) => this.fail(cause)
      })
    )
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError.ResponseError> {
    const exchange = this.exchange
    const pull = Effect.async<Chunk.Chunk<Uint8Array>, Option.Option<HttpClientError.ResponseError>>(
      (resume) => {
        const next = () => {
          if (exchange.chunks.length === 0 && !exchange.ended) return
          // taking lets undici go on, at once: what it brings now is for the next pull
          exchange.notify = () => {}
          const chunks = exchange.take()
          if (chunks.length > 0) return resume(Effect.succeed(Chunk.unsafeFromArray(chunks)))
          resume(
            Effect.fail(exchange.error === undefined ? Option.none() : Option.some(this.fail(exchange.error)))
          )
        }
        exchange.streaming = true
        exchange.notify = next
        next()
      }
    )
    return Stream.ensuring(
      Stream.repeatEffectChunkOption(pull),
      Effect.sync(() => exchange.cancel(new Error("interrupted")))
    )
  }

  toJSON(): unknown {
    return IncomingMessage.inspect(this, { _id: "@effect/platform/HttpClientResponse", status: this.status })
  }
}

const dispatchBody = (
  body: HttpBody.HttpBody
): Effect.Effect<Exclude<Dispatcher.DispatchOptions["body"], undefined>, unknown> => {
  switch (body._tag) {
    case "Empty":
      return Effect.succeed(null)
    case "Raw":
      // undici checks what it is given; a raw body is by contract one that the client understands
      return Effect.succeed(body.body as string | Buffer)
    case "Uint8Array":
      return Effect.succeed(body.body)
    case "FormData":
      // undici takes any spec-compliant FormData in `request`, and not in `dispatch`: encode it by Fetch's rules
      return Effect.tryPromise(async () => new Uint8Array(await new Response(body.formData).arrayBuffer()))
    case "Stream":
      return Effect.map(Stream.runCollect(body.stream), (chunks) =>
        Buffer.concat(Chunk.toReadonlyArray(chunks))
      )
  }
}

/** A client over one pool per origin; closing the scope closes the connections. */
export const make = (options: Options = {}): Effect.Effect<HttpClient.HttpClient, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(
        () =>
          new Agent({
            connections: options.connections ?? null,
            pipelining: 1,
            keepAliveTimeout: Duration.toMillis(options.keepAlive ?? "30 seconds"),
            connect: { timeout: Duration.toMillis(options.connectTimeout ?? "10 seconds") },
            // calls are bounded as a whole, by callTimeout or by the caller
            headersTimeout: 0,
            bodyTimeout: 0
          })
      ),
      (agent) => Effect.promise(() => agent.destroy())
    ),
    fromDispatcher
  )

interface Target {
  readonly origin: string
  readonly path: string
}

const parseTarget = (url: Either.Either<URL, Error>): Target | Error =>
  Either.isLeft(url) ? url.left : { origin: url.right.origin, path: url.right.pathname + url.right.search }

/** Headers as texts; of one that came more than once, the values in a list. */
const single = (
  headers: Record<string, string | Array<string> | undefined>
): Record<string, string | undefined> => {
  const out: Record<string, string | undefined> = {}
  for (const name in headers) {
    const value = headers[name]
    out[name] = Array.isArray(value) ? value.join(", ") : value
  }
  return out
}

/** A client over your own undici dispatcher: a proxy agent, a mock agent. */
export const fromDispatcher = (dispatcher: Dispatcher): HttpClient.HttpClient => {
  const targets = new Map<string, Target>()
  const targetOf = (url: string): Target | Error => {
    const known = targets.get(url)
    if (known !== undefined) return known
    const found = parseTarget(UrlParams.makeUrl(url, UrlParams.empty, Option.none()))
    // a batch calls a few URLs; one that makes its URLs up must not fill the memory
    if (!(found instanceof Error) && targets.size < 1000) targets.set(url, found)
    return found
  }
  const target = ({ hash, url, urlParams }: HttpClientRequest.HttpClientRequest) =>
    urlParams.length === 0 && Option.isNone(hash)
      ? targetOf(url)
      : parseTarget(UrlParams.makeUrl(url, urlParams, hash))
  const execute = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.suspend(
      (): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> => {
        const at = target(request)
        if (at instanceof Error) {
          return Effect.fail(new HttpClientError.RequestError({ request, reason: "InvalidUrl", cause: at }))
        }
        const encoded = Effect.mapError(
          dispatchBody(request.body),
          (cause) => new HttpClientError.RequestError({ request, reason: "Encode", cause })
        )
        return Effect.flatMap(encoded, (body) =>
          Effect.async<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>((resume) => {
            const exchange = new Exchange()
            exchange.notify = () => {
              exchange.notify = () => {}
              resume(
                exchange.status !== 0
                  ? Effect.succeed(new PoolResponse(request, exchange))
                  : Effect.fail(
                      new HttpClientError.RequestError({
                        request,
                        reason: "Transport",
                        cause: exchange.error
                      })
                    )
              )
            }
            try {
              dispatcher.dispatch(
                { origin: at.origin, path: at.path, method: request.method, headers: request.headers, body },
                exchange
              )
            } catch (cause) {
              exchange.cancel(cause instanceof Error ? cause : new Error(String(cause)))
            }
            return Effect.sync(() => exchange.cancel(new Error("interrupted")))
          })
        )
      }
    )
  const postText: PostText = (url, headers, body, timeoutMs) =>
    Effect.async((resume) => {
      const at = targetOf(url)
      if (at instanceof Error) return resume(Effect.fail(at))
      const exchange = new Exchange()
      exchange.notify = () => {
        if (!exchange.ended) return
        if (exchange.error !== undefined) return resume(Effect.fail(exchange.error))
        const { chunks, headers, status } = exchange
        const bytes = chunks.length === 1 ? chunks[0] : undefined
        const text = (bytes ?? Buffer.concat(chunks)).toString("utf8")
        resume(Effect.succeed({ status, headers: single(headers), text }))
      }
      exchange.startTimer(timeoutMs)
      try {
        dispatcher.dispatch({ origin: at.origin, path: at.path, method: "POST", headers, body }, exchange)
      } catch (cause) {
        exchange.cancel(cause instanceof Error ? cause : new Error(String(cause)))
      }
      return Effect.sync(() => exchange.cancel(new Error("interrupted")))
    })
  const client = HttpClient.makeWith<never, never, HttpClientError.HttpClientError, never>(
    (request) => Effect.flatMap(request, execute),
    Effect.succeed
  )
  posts.set(client, postText)
  return client
}

/** The pool's client as the `HttpClient` of an application. */
export const layer = (options?: Options): Layer.Layer<HttpClient.HttpClient> =>
  Layer.scoped(HttpClient.HttpClient, make(options))
