/**
 * A provider for a server that floodgate does not know: what a request looks like on its wire, and how its answers are
 * read. Limits, retries, the cache, the checkpoint and errors by status come with it.
 *
 * Prints three answers of such a server, which is started here. Run it with `npx tsx examples/own-provider.ts`.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import {
  batch,
  Cache,
  Chat,
  HttpClientPool,
  LlmError,
  Providers,
  RateLimiter,
  Response,
  Router,
  Wire
} from "floodgate"

/** What the server answers: `{"answer": "…", "tokens": {"in": 3, "out": 5}, "done": true}`. */
const Answer = Schema.Struct({
  answer: Schema.String,
  tokens: Schema.Struct({ in: Schema.Number, out: Schema.Number }),
  done: Schema.Boolean
})
const decode = Schema.decodeUnknownEither(Answer)

const make = Wire.provider({
  name: "oracle",
  // what its requests have no word for, of what people ask for: an error before anything is sent
  lacks: (request) => (request._tag === "Chat" && request.seed !== undefined ? ["seed"] : []),
  encode: (request, { model }) =>
    request._tag !== "Chat"
      ? Either.left(Wire.unsupported("oracle", request._tag))
      : Either.right({
          path: "/ask",
          body: { oracle: model, ask: request.messages.map(({ content }) => content), ...request.extra },
          decode: (body, asked) =>
            Either.mapBoth(decode(body), {
              onLeft: () => new LlmError.NetworkError({ provider: "oracle", message: "no answer in it" }),
              onRight: ({ answer, done, tokens }) =>
                Response.fromFields({
                  ...Wire.answered(asked, body),
                  text: answer,
                  toolCalls: [],
                  finishReason: done ? "stop" : "length",
                  usage: { inputTokens: tokens.in, outputTokens: tokens.out }
                })
            })
        })
})

const server = createServer((request, response) => {
  request.resume().on("end", () => {
    response.setHeader("content-type", "application/json")
    response.end(JSON.stringify({ answer: "Perhaps.", tokens: { in: 3, out: 2 }, done: true }))
  })
})
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const services = Layer.mergeAll(
  Layer.provide(Providers.layer([make]), HttpClientPool.layer()),
  Router.layer({ endpoints: [{ provider: "oracle", baseUrl, model: "delphi" }] }),
  RateLimiter.layer({ domains: { "*": { requestsPerSecond: 10 } } }),
  Cache.layerNone
)
const requests = ["Rain?", "Wind?", "Sun?"].map((prompt) => Chat.prompt(prompt))
const outcomes = await Effect.runPromise(batch(requests).pipe(Effect.provide(services)))
for (const outcome of outcomes)
  console.log(Either.isRight(outcome) ? outcome.right.text : outcome.left.message)
server.close()
