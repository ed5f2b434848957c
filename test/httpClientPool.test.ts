import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { HttpClientPool } from "floodgate"

/** A server with this handler, its address, and how many connections were made. */
const serve = (handler: (request: IncomingMessage, response: ServerResponse, body: string) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly connections: () => number; readonly close: () => void }>(
      (resume) => {
        let connections = 0
        const server = createServer((request, response) => {
          const chunks: Array<Buffer> = []
          request.on("data", (chunk: Buffer) => chunks.push(chunk))
          request.on("end", () => handler(request, response, Buffer.concat(chunks).toString()))
        })
        server.on("connection", () => connections++)
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          resume(
            Effect.succeed({
              url: `http://127.0.0.1:${port}`,
              connections: () => connections,
              close: () => {
                server.closeAllConnections()
                server.close()
              }
            })
          )
        })
      }
    ),
    ({ close }) => Effect.sync(close)
  )

const get = (url: string) => Effect.flatMap(HttpClient.HttpClient, (client) => client.get(url))

/** The one-step exchange of the pool's client. */
const post = (url: string, timeoutMs: number) =>
  Effect.map(HttpClient.HttpClient, (client) => {
    const postText = HttpClientPool.postText(client)
    assert(postText !== undefined)
    return postText(url, Headers.fromInput({ "x-key": "k" }), "häßlich", timeoutMs)
  })

const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (isSo() ? Effect.void : Effect.zipRight(Effect.sleep("5 millis"), until(isSo))))

describe("HttpClientPool", () => {
  it.scopedLive("posts a text and reads the answer in one step, unless the client was changed", () =>
    Effect.gen(function* () {
      const { connections, url } = yield* serve((request, response, body) => {
        if (request.url === "/cut") return void request.socket.destroy()
        response.writeHead(429, { "retry-after": "1", "x-many": ["a", "b"] })
        response.end(`${request.method} ${request.headers["x-key"]} ${body}`)
      })
      const answer = yield* yield* post(`${url}/x`, 0)
      expect(answer).toMatchObject({ status: 429, text: "POST k häßlich" })
      expect(answer.headers["x-many"]).toBe("a, b")
      yield* yield* post(`${url}/x`, 0)
      expect(connections()).toBeLessThanOrEqual(2)
      for (const address of [`${url}/cut`, "http://127.0.0.1:1/", "not a url"]) {
        expect(yield* Effect.flip(yield* post(address, 0))).toBeInstanceOf(Error)
      }
      const changed = HttpClient.mapRequest(yield* HttpClient.HttpClient, (request) => request)
      expect(HttpClientPool.postText(changed)).toBeUndefined()
    }).pipe(Effect.provide(HttpClientPool.layer()))
  )

  it.scopedLive("sends method, path, headers and body, and reads status, headers and body", () =>
    Effect.gen(function* () {
      const { url } = yield* serve((request, response, body) => {
        response.writeHead(201, {
          "content-type": "application/json",
          "X-Odd": "é",
          "set-cookie": ["a=1", "b=2"]
        })
        response.end(
          JSON.stringify({ method: request.method, path: request.url, key: request.headers["x-key"], body })
        )
      })
      const client = yield* HttpClient.HttpClient
      const response = yield* client.execute(
        HttpClientRequest.post(`${url}/a/b`, { urlParams: { q: "ö 1" }, headers: { "x-key": "k" } }).pipe(
          HttpClientRequest.bodyText("häßlich")
        )
      )
      expect(response.status).toBe(201)
      expect(response.headers["x-odd"]).toBeDefined()
      expect(yield* response.json).toEqual({
        method: "POST",
        path: "/a/b?q=%C3%B6+1",
        key: "k",
        body: "häßlich"
      })
      // a body can be read again
      expect(yield* response.text).toContain("häßlich")
    }).pipe(Effect.provide(HttpClientPool.layer()))
  )

  it.scopedLive("keeps its connections, also after answers that nobody reads", () =>
    Effect.gen(function* () {
      const { connections, url } = yield* serve((_, response) => response.end("x".repeat(100_000)))
      yield* Effect.forEach(Array.from({ length: 50 }), () =>
        Effect.zipRight(get(url), Effect.sleep("2 millis"))
      )
      expect(connections()).toBeLessThanOrEqual(3)
    }).pipe(Effect.provide(HttpClientPool.layer()))
  )

  it.scopedLive("opens no more connections than allowed", () =>
    Effect.gen(function* () {
      const { connections, url } = yield* serve((_, response) => setTimeout(() => response.end("ok"), 10))
      const all = Effect.forEach(Array.from({ length: 40 }), () => Effect.flatMap(get(url), (r) => r.text), {
        concurrency: "unbounded"
      })
      expect(new Set(yield* all)).toEqual(new Set(["ok"]))
      expect(connections()).toBe(4)
    }).pipe(Effect.provide(HttpClientPool.layer({ connections: 4 })))
  )

  it.scopedLive("streams a body as it comes, with what came first not waiting for the rest", () =>
    Effect.gen(function* () {
      let goOn = () => {}
      const { url } = yield* serve((_, response) => {
        response.write("one ")
        const rest = ["two ", "three"]
        goOn = () => {
          const next = rest.shift()
          if (next === undefined) response.end()
          else response.write(next)
        }
      })
      const text = yield* Effect.flatMap(get(url), (response) =>
        Stream.runFold(
          // each piece is sent when the one before has been read
          Stream.tap(response.stream, () => Effect.sync(() => goOn())),
          "",
          (all, chunk) => all + Buffer.from(chunk).toString()
        )
      )
      expect(text).toBe("one two three")
    }).pipe(Effect.provide(HttpClientPool.layer()))
  )

  it.scopedLive("streams a body larger than memory would like, at the reader's pace", () =>
    Effect.gen(function* () {
      const total = 64 * 1024 * 1024
      let written = 0
      const { url } = yield* serve((_, response) => {
        const chunk = Buffer.alloc(256 * 1024)
        const write = () => {
          while (written < total) {
            written += chunk.length
            if (!response.write(chunk)) return void response.once("drain", write)
          }
          response.end()
        }
        write()
      })
      const read = yield* Effect.flatMap(get(url), (response) =>
        Stream.runFoldEffect(response.stream, 0, (sum, chunk) =>
          // the server must not be far ahead of a slow reader
          Effect.as(sum === 0 ? Effect.sleep("100 millis") : Effect.void, sum + chunk.length)
        )
      )
      expect(read).toBe(total)
    }).pipe(Effect.provide(HttpClientPool.layer()))
  )

  it.scopedLive("closes the connection when the reader is interrupted, and serves on", () =>
    Effect.gen(function* () {
      let opened = 0
      let closed = 0
      const { url } = yield* serve((request, response) => {
        if (request.url === "/fast") return void response.end("ok")
        opened++
        response.on("close", () => closed++)
        response.write("first bytes")
      })
      const fiber = yield* Effect.fork(Effect.flatMap(get(`${url}/slow`), (response) => response.text))
      yield* until(() => opened === 1)
      yield* Fiber.interrupt(fiber)
      yield* until(() => closed === 1)
      expect(yield* Effect.flatMap(get(`${url}/fast`), (response) => response.text)).toBe("ok")
    }).pipe(Effect.provide(HttpClientPool.layer()))
  )

  it.scopedLive("fails on a refused connection, a reset, an answer cut short and a bad address", () =>
    Effect.gen(function* () {
      const { url } = yield* serve((request, response) => {
        if (request.url === "/reset") return void request.socket.destroy()
        response.writeHead(200, { "content-length": "100" })
        response.write("half")
        setTimeout(() => request.socket.destroy(), 10)
      })
      const text = (address: string) => Effect.exit(Effect.flatMap(get(address), (response) => response.text))
      for (const address of [`${url}/reset`, `${url}/cut`, "http://127.0.0.1:1/", "not a url"]) {
        const exit = yield* text(address)
        assert(Exit.isFailure(exit))
        expect(exit.cause._tag).toBe("Fail")
      }
    }).pipe(Effect.provide(HttpClientPool.layer()))
  )

  it.scopedLive("gives up after the call's timeout, whether the answer never starts or never ends", () =>
    Effect.gen(function* () {
      const { url } = yield* serve((request, response) => {
        if (request.url === "/never-ends") response.write("first bytes")
      })
      for (const path of ["/never-starts", "/never-ends"]) {
        const error = yield* Effect.flip(yield* post(`${url}${path}`, 50))
        expect(error).toBeInstanceOf(HttpClientPool.CallTimeout)
      }
    }).pipe(Effect.provide(HttpClientPool.layer()))
  )

  it.scopedLive("does not follow redirects: a key must not travel to another origin", () =>
    Effect.gen(function* () {
      const { url } = yield* serve((_, response) => {
        response.writeHead(302, { location: "http://127.0.0.1:1/" })
        response.end()
      })
      expect((yield* get(url)).status).toBe(302)
    }).pipe(Effect.provide(HttpClientPool.layer()))
  )
})
