/**
 * The simulated provider on a socket: reads a request, waits as the plan says, sends what the plan says.
 */

import * as Http from "node:http"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import type { ServeError } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Control from "./Control.js"
import type { Engine, Plan } from "./Engine.js"

// OpenAI refuses bodies above some megabytes; a simulator must not be made to hold more.
const maxBodyBytes = 64 * 1024 * 1024

/** Reads a body: undefined if it is too large. Interrupted if the client leaves. */
const readBody = (message: Http.IncomingMessage): Effect.Effect<string | undefined> =>
  Effect.async((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    message.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxBodyBytes) chunks.push(chunk)
    })
    message.once("end", () => {
      const [first] = chunks
      const whole = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
      resume(Effect.succeed(size > maxBodyBytes ? undefined : whole.toString("utf8")))
    })
  })

const bodyText = (plan: Plan): string => (typeof plan.body === "string" ? plan.body : plan.body.join(""))

/** A complete answer. As a string it leaves with its headers in one write; as bytes it would need two. */
const whole = (plan: Plan): HttpServerResponse.HttpServerResponse => {
  const text = bodyText(plan)
  return HttpServerResponse.raw(text, {
    status: plan.status,
    headers: { ...plan.headers, "content-length": String(Buffer.byteLength(text)) }
  })
}

// What the platform gets where the answer was written, or withheld, behind its back. It sends nothing more on
// a response that has ended, so each of those cases ends it, if need be after its socket is gone.
const handled = HttpServerResponse.empty()

/** The half of an answer, under headers that promise the whole. */
const writeHalf = (plan: Plan, response: Http.ServerResponse) =>
  Effect.async<void>((resume) => {
    const { body, headers, status } = plan
    const complete = Buffer.from(bodyText(plan))
    const half =
      typeof body === "string"
        ? complete.subarray(0, Math.ceil(complete.length / 2))
        : Buffer.from(body.slice(0, Math.ceil(body.length / 2)).join(""))
    // A stream has no length to promise: it is chunked, and the last chunk is missing.
    response.writeHead(
      status,
      typeof body === "string" ? { ...headers, "content-length": complete.length } : headers
    )
    response.write(half, () => resume(Effect.void))
  })

const writeEvents = (plan: Plan, response: Http.ServerResponse, onSent: (count: number) => void) => {
  const { body, headers, paceMillis, status } = plan
  const events = typeof body === "string" ? [body] : body
  response.writeHead(status, headers)
  response.flushHeaders()
  return Effect.forEach(
    events,
    (event, i) =>
      Effect.map(Effect.sleep(paceMillis), () => {
        response.write(event)
        onSent(i + 1)
      }),
    { discard: true }
  ).pipe(Effect.zipRight(Effect.sync(() => response.end())))
}

/** Everything but the plain case: waits, streams at a pace, faults of the connection. */
const deliver = (
  engine: Engine,
  plan: Plan,
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.suspend(() => {
    const message = NodeHttpServerRequest.toIncomingMessage(request)
    const response = NodeHttpServerRequest.toServerResponse(request)
    let sent = { begun: false, share: 0 }
    const end = Effect.suspend((): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
      switch (plan.delivery) {
        case "whole": {
          if (plan.paceMillis === 0) {
            engine.finish(plan, "answered")
            return Effect.succeed(whole(plan))
          }
          const total = plan.body.length
          sent = { begun: true, share: 0 }
          const pouring = writeEvents(plan, response, (count) => {
            sent = { begun: true, share: count / total }
          })
          return Effect.map(pouring, () => {
            engine.finish(plan, "answered")
            return handled
          })
        }
        case "reset":
          return Effect.sync(() => {
            engine.finish(plan, "reset", sent)
            message.socket.resetAndDestroy()
            response.end()
            return handled
          })
        case "truncate":
          return Effect.map(writeHalf(plan, response), () => {
            engine.finish(plan, "truncated")
            message.socket.destroy()
            response.end()
            return handled
          })
        case "stallMidway":
          sent = { begun: true, share: 0.5 }
          return Effect.zipRight(writeHalf(plan, response), Effect.never)
        case "stall":
          return Effect.never
      }
    })
    return (plan.delayMillis > 0 ? Effect.zipRight(Effect.sleep(plan.delayMillis), end) : end).pipe(
      Effect.interruptible,
      Effect.onInterrupt(() =>
        Effect.sync(() => {
          engine.finish(plan, "abandoned", sent)
          response.end()
        })
      )
    )
  })

/**
 * Serves an engine on a port until the scope closes; then connections are cut, answered or not. Gives the
 * port. Per-request spans are off: the load under test is to find no bottleneck here.
 */
export const serve = (
  engine: Engine,
  control: Control.Control,
  options: { readonly host: string; readonly port: number }
): Effect.Effect<number, ServeError, Scope.Scope> =>
  Effect.gen(function* () {
    // Clients keep connections longer than Node's 5 s default, and would meet a reset just as they send.
    const node = Http.createServer({ keepAliveTimeout: 120_000, requestTimeout: 0 })
    const server = yield* NodeHttpServer.make(() => node, { ...options, backlog: 4096 })
    const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const { method, url } = request
      const query = url.indexOf("?")
      const path = query < 0 ? url : url.slice(0, query)
      return Effect.flatMap(
        Effect.interruptible(readBody(NodeHttpServerRequest.toIncomingMessage(request))),
        (text) => {
          if (path.startsWith("/__")) return control(method, path, url.slice(path.length), text)
          const plan = engine.receive({ method, path, headers: request.headers, text })
          if (plan.delayMillis > 0 || plan.paceMillis > 0 || plan.delivery !== "whole") {
            return deliver(engine, plan, request)
          }
          engine.finish(plan, "answered")
          return Effect.succeed(whole(plan))
        }
      )
    })
    yield* Effect.locally(server.serve(app), HttpMiddleware.currentTracerDisabledWhen, () => true)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        node.close()
        node.closeAllConnections()
      })
    )
    return server.address._tag === "TcpAddress" ? server.address.port : options.port
  })
