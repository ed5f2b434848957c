import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { Chat, complete, Gemini, HttpClientPool, LlmError, Message, stream } from "floodgate"
import { FetchedMedia } from "../src/internal/fetchedMedia.js"
import * as RemoteMedia from "../src/internal/remoteMedia.js"
import { simulated } from "./providers/simulated.js"

const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64"
)
const pdf = Buffer.from("%PDF-1.7\n%âãÏÓ\n1 0 obj")
const megabyte = 1024 * 1024

/** A server of media, and how often it was asked. */
const serve = (respond: (response: ServerResponse, turn: number) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly seen: { calls: number }; readonly close: () => void }>(
      (resume) => {
        const seen = { calls: 0 }
        const server = createServer((_, response) => respond(response, ++seen.calls))
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          const close = () => {
            server.closeAllConnections()
            server.close()
          }
          resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, seen, close }))
        })
      }
    ),
    ({ close }) => Effect.sync(close)
  )

const answering =
  (status: number, type: string, body: Uint8Array | string) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { "content-type": type })
    response.end(body)
  }

/** The last parts of a chat with this one, with all that is remote in it. */
const inlined = (part: Message.Part, timeoutMs = 60_000) =>
  Effect.gen(function* () {
    const client = yield* HttpClientPool.make()
    const chat = Chat.prompt([Message.text("Look"), part])
    const whole = yield* RemoteMedia.inline(client, chat, {
      provider: "acme",
      fetches: false,
      timeoutMs,
      fetchedMedia: new FetchedMedia()
    })
    return whole.messages[0]?.content?.[1]
  }).pipe(Effect.scoped, Effect.timeoutFail({ duration: "30 seconds", onTimeout: () => "hangs" as const }))

const problem = (part: Message.Part, timeoutMs?: number) =>
  Effect.map(Effect.flip(inlined(part, timeoutMs)), (error) => {
    if (error === "hangs") return error
    expect(LlmError.isRetryable(error)).toBe(false)
    return `${error._tag}: ${error.message}`
  })

describe("remote media", () => {
  it.scopedLive("have the type that their bytes are of, whatever the header says", () =>
    Effect.gen(function* () {
      const image = yield* serve(answering(200, "text/html", png))
      expect(yield* inlined(Message.image(`${image.url}/a`))).toEqual({
        type: "image",
        url: `data:image/png;base64,${png.toString("base64")}`
      })
      const document = yield* serve(answering(200, "image/png", pdf))
      expect(yield* inlined({ type: "file", data: `${document.url}/a`, filename: "a.pdf" })).toEqual({
        type: "file",
        data: `data:application/pdf;base64,${pdf.toString("base64")}`,
        filename: "a.pdf"
      })
    })
  )

  it.scopedLive("of another type are the request's fault, and asked for once", () =>
    Effect.gen(function* () {
      const page = yield* serve(answering(200, "image/png", "<!doctype html><p>Log in</p>"))
      const html = yield* problem(Message.image(`${page.url}/a.png`))
      expect(html).toMatch(/^InvalidRequestError: The 127\.0\.0\.1:\d+ URL .*no known type/)
      expect(page.seen.calls).toBe(1)
      const document = yield* serve(answering(200, "image/png", pdf))
      expect(yield* problem(Message.image(document.url))).toContain("application/pdf")
      const image = yield* serve(answering(200, "application/pdf", png))
      expect(yield* problem({ type: "file", data: image.url })).toContain("image/png")
    })
  )

  it.scopedLive("are read no further than they may be long", () =>
    Effect.gen(function* () {
      let written = 0
      let closed = false
      const endless = yield* serve((response) => {
        response.writeHead(200, { "content-type": "image/png" })
        response.write(png)
        response.on("close", () => (closed = true))
        const more = () => {
          while (!closed && written < 200 * megabyte) {
            written += megabyte
            if (!response.write(Buffer.alloc(megabyte))) return response.once("drain", more)
          }
          return response
        }
        more()
      })
      expect(yield* problem(Message.image(endless.url))).toMatch(/^InvalidRequestError: .*the most is/)
      expect(written).toBeLessThan(100 * megabyte)
      expect(endless.seen.calls).toBe(1)

      // what is told beforehand is not read at all
      const large = yield* serve((response) => {
        response.writeHead(200, { "content-length": String(21 * megabyte) })
        response.write(png)
      })
      expect(yield* problem(Message.image(large.url))).toContain(`${21 * megabyte} bytes`)
    })
  )

  it.scopedLive("are asked for twice more where the host is ill, and then refused", () =>
    Effect.gen(function* () {
      const ill = yield* serve(answering(503, "text/plain", "later"))
      expect(yield* problem(Message.image(ill.url))).toMatch(/^InvalidRequestError: .*503/)
      expect(ill.seen.calls).toBe(3)
      const gone = yield* serve(answering(404, "text/plain", "no"))
      expect(yield* problem(Message.image(gone.url))).toMatch(/^InvalidRequestError: .*404/)
      expect(gone.seen.calls).toBe(1)
      const torn = yield* serve((response, turn) =>
        turn < 3 ? response.destroy() : answering(200, "image/png", png)(response)
      )
      expect(yield* inlined(Message.image(torn.url))).toMatchObject({ type: "image" })
      expect(torn.seen.calls).toBe(3)
      // nobody listens there
      const dead = yield* Effect.scoped(serve(answering(200, "image/png", png)))
      expect(yield* problem(Message.image(dead.url))).toMatch(/^InvalidRequestError: .*refused/)
    })
  )

  it.scopedLive("that hang are given up in the time of the call", () =>
    Effect.gen(function* () {
      const silent = yield* serve(() => {})
      expect(yield* problem(Message.image(silent.url), 50)).toMatch(/^InvalidRequestError: The 127/)
      const half = yield* serve((response) => {
        response.writeHead(200, { "content-type": "image/png" })
        response.write(png)
      })
      expect(yield* problem(Message.image(half.url), 50)).toMatch(/^InvalidRequestError: The 127/)
    })
  )

  it.live("by a URL that is none are the request's fault", () =>
    Effect.gen(function* () {
      const said = yield* problem(Message.image("https://me:secret@[bad/path?token=1"))
      expect(said).toBe("InvalidRequestError: The [bad URL in a message is not a valid URL; nothing was sent")
    })
  )

  it.scopedLive("are fetched once for a request, however often it is tried", () =>
    Effect.gen(function* () {
      const image = yield* serve(answering(200, "image/png", png))
      const against = simulated("gemini", Gemini.layer, "gemini-2.5-flash")
      const chat = (prompt: string) => Chat.prompt([Message.text(prompt), Message.image(image.url)])
      const request = chat("Look")
      yield* Effect.gen(function* () {
        const options = { retry: Schedule.recurs(5) }
        expect((yield* complete(request, options)).meta.attempts).toBe(3)
        expect(image.seen.calls).toBe(1)
        // it has its answer: what is asked later is asked of what is there later
        yield* complete(request, options)
        expect(image.seen.calls).toBe(2)
        yield* Stream.runDrain(stream(chat("Again"), options))
        expect(image.seen.calls).toBe(3)
      }).pipe(Effect.provide(against({ script: [{ fault: { kind: "status", status: 503 }, times: 2 }] })))
    })
  )
})

describe("fetched media", () => {
  const chat = (...names: ReadonlyArray<string>) => Chat.prompt(names.map((name) => Message.image(name)))
  const partsOf = ({ messages }: Chat) => (messages[0]?.content ?? []) as ReadonlyArray<Message.Part>

  it("are kept until the answer, for ten minutes, and while there is room", () => {
    const media = new FetchedMedia()
    const [a, b] = partsOf(chat("a", "b")) as [Message.Part, Message.Part]
    media.set(a, "A", 0)
    media.set(b, "B", 5 * 60_000)
    expect([media.get(a, 10 * 60_000), media.get(b, 10 * 60_000)]).toEqual(["A", "B"])
    expect([media.get(a, 10 * 60_000 + 1), media.get(b, 10 * 60_000 + 1)]).toEqual([undefined, "B"])

    const large = "x".repeat(24 * megabyte)
    const request = chat("1", "2", "3")
    for (const part of partsOf(request)) media.set(part, large, 6 * 60_000)
    const held = () => [a, b, ...partsOf(request)].map((part) => media.get(part, 6 * 60_000) !== undefined)
    expect(held()).toEqual([false, false, false, true, true])
    media.forget(request)
    expect(held()).toEqual([false, false, false, false, false])
    for (const part of partsOf(request)) media.set(part, "x", 6 * 60_000)
    expect(held()).toEqual([false, false, true, true, true])
  })
})
