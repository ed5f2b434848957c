import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import {
  Chat,
  Endpoint,
  HttpClientPool,
  LlmError,
  Message,
  type Providers,
  Response,
  StreamPart,
  Wire
} from "floodgate"

const key = "quite+odd-Key.77"

/** A server that answers so. */
const serve = (respond: (response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer((request, response) => {
        request.resume().on("end", () => respond(response))
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const close = () => {
          server.closeAllConnections()
          server.close()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** A protocol whose events are texts, and an error where they say so. */
const wire: Wire.Wire = {
  name: "acme",
  encode: () =>
    Either.right({
      path: "/",
      body: {},
      decode: (body, asked) =>
        Either.right(
          Response.fromFields({
            ...Wire.answered(asked, body),
            text: "whole",
            finishReason: "stop",
            toolCalls: [],
            usage: { inputTokens: 0, outputTokens: 0 }
          })
        ),
      events: (asked) => ({
        read: ({ data }) =>
          data.startsWith("error")
            ? Either.left(
                new LlmError.ServerError({
                  provider: "acme",
                  message: data,
                  ...(asked.requestId === undefined ? undefined : { requestId: asked.requestId })
                })
              )
            : Either.right([StreamPart.StreamPart.Text({ text: data })]),
        end: () => Either.right([StreamPart.StreamPart.Finish({ finishReason: "stop" })])
      })
    })
}

/** The protocol over a pool that is closed with the test. */
const pooled = (fields: Partial<Wire.Wire> = {}) =>
  Effect.flatMap(HttpClientPool.make(), (client) =>
    Effect.provideService(Wire.provider({ ...wire, streams: true, ...fields }), HttpClient.HttpClient, client)
  )

const endpointAt = (baseUrl: string) =>
  Endpoint.make({ provider: "acme", baseUrl, model: "m", apiKey: Redacted.make(key) })

/** The parts of a streamed call, or its error, early or late. */
const streamed = (provider: Providers.Provider, url: string, timeoutMs: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { stream } = provider
      assert(stream !== undefined)
      const { parts } = yield* stream(Chat.prompt("Hi"), endpointAt(url), timeoutMs)
      return yield* Effect.flatMap(parts, Stream.runCollect)
    })
  ).pipe(
    Effect.map((parts) => [...parts]),
    Effect.either
  )

/** Long enough for a busy machine, and the end of a test that hangs. */
const bounded = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.timeout(effect, "30 seconds")

const leftOf = <A>(result: Either.Either<A, LlmError.LlmError>): LlmError.LlmError => {
  assert(Either.isLeft(result))
  return result.left
}

describe("a streamed call", () => {
  it.scopedLive("is timed out where the server hangs after the head of what is no stream", () =>
    Effect.gen(function* () {
      const heads: ReadonlyArray<readonly [number, string]> = [
        [500, "application/json"],
        [429, "text/event-stream"],
        [200, "text/html"],
        [200, "text/event-stream"]
      ]
      for (const [status, type] of heads) {
        const server = yield* serve((response) => {
          response.writeHead(status, { "content-type": type })
          response.write(" ")
        })
        const error = leftOf(yield* bounded(streamed(yield* pooled(), server.url, 100)))
        expect([status, type, error._tag]).toEqual([status, type, "TimeoutError"])
      }
    })
  )

  it.scopedLive("never shows the key, in events, ids or the bodies of errors", () =>
    Effect.gen(function* () {
      const answers: ReadonlyArray<(response: ServerResponse) => void> = [
        (response) => {
          response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": `id-${key}` })
          // in two pieces
          response.write(`data: error ${key.slice(0, 5)}`)
          setTimeout(() => response.end(`${key.slice(5)}\n\n`), 20)
        },
        (response) => {
          response.writeHead(401, { "content-type": "application/json", "x-request-id": `id-${key}` })
          response.end(JSON.stringify({ error: { message: `no such key ${key}` } }))
        },
        (response) => {
          response.writeHead(200, { "content-type": `text/${key}` })
          response.end("{}")
        }
      ]
      for (const answer of answers) {
        const server = yield* serve(answer)
        const error = leftOf(yield* bounded(streamed(yield* pooled(), server.url, 4_000)))
        expect(`${error.message} ${error.requestId}`).not.toContain(key)
        expect(error.message).toContain("[redacted]")
      }
    })
  )
})

describe("an access token", () => {
  it.scopedLive("that does not come is a timeout, streamed or not", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => response.end("{}"))
      const provider = yield* pooled({ accessToken: () => Effect.never })
      const attempt = yield* bounded(provider.attempt(Chat.prompt("Hi"), endpointAt(server.url), 50))
      expect(leftOf(attempt.outcome)).toMatchObject({ _tag: "TimeoutError" })
      const late = leftOf(yield* bounded(streamed(provider, server.url, 50)))
      expect(late).toMatchObject({ _tag: "TimeoutError", message: expect.stringContaining("access token") })
    })
  )
})

describe("an image that the provider does not fetch", () => {
  it.scopedLive("is timed with the call, and is not the provider's failure", () =>
    Effect.gen(function* () {
      const provider = yield* pooled({ fetchesMedia: false })
      const asked = (url: string) => Chat.prompt([Message.text("Look"), Message.image(url)])
      const outcome = (url: string) =>
        Effect.map(bounded(provider.attempt(asked(url), endpointAt("http://127.0.0.1:9"), 50)), (attempt) =>
          leftOf(attempt.outcome)
        )
      const silent = yield* serve(() => {})
      const late = yield* outcome(silent.url)
      expect([late._tag, LlmError.isRetryable(late)]).toEqual(["InvalidRequestError", false])
      const wrong = yield* outcome("https://[bad")
      expect([wrong._tag, LlmError.isRetryable(wrong)]).toEqual(["InvalidRequestError", false])
    })
  )
})
