/**
 * What is sent, held against the descriptions that OpenAI and Anthropic publish of their APIs, in the form of the
 * schemas that `@effect/ai-openai` and `@effect/ai-anthropic` generate from them. A field they do not have is an error.
 */
import * as AnthropicApi from "@effect/ai-anthropic/Generated"
import * as OpenAiApi from "@effect/ai-openai/Generated"
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { Chat, Completion, complete, Embedding, HttpClientPool, Message } from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { features, once } from "./conformance/features.js"
import { apiKey, type Subject, services, subjects } from "./conformance/subjects.js"

type Body = Readonly<Record<string, unknown>>

interface Sent {
  readonly path: string
  readonly body: Body
}

/** The pool of connections, with a copy of each body that goes out. */
const recording = (sent: Array<Sent>): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      HttpClient.tapRequest(({ body, url }) =>
        Effect.sync(() => {
          if (body._tag !== "Uint8Array") return
          sent.push({ path: new URL(url).pathname, body: JSON.parse(new TextDecoder().decode(body.body)) })
        })
      )
    )
  ).pipe(Layer.provide(HttpClientPool.layer()))

/** All that a chat can be asked with, as far as it goes together; what the provider has not is left out. */
const everything = Chat.prompt([Message.text("Hi"), Message.image("https://example.com/a.png")], {
  system: "Be terse.",
  temperature: 0.5,
  topP: 0.9,
  topK: 40,
  maxTokens: 100,
  stop: ["END"],
  seed: 7,
  n: 2,
  logprobs: true,
  topLogprobs: 2,
  logitBias: { "50256": -100 },
  frequencyPenalty: 0.5,
  presencePenalty: 0.5,
  parallelToolCalls: false,
  tools: [{ type: "function", name: "f", parameters: { type: "object", properties: {} } }],
  toolChoice: "auto",
  thinking: "low",
  verbosity: "low",
  serviceTier: "auto",
  store: false,
  labels: { run: "7" },
  promptCacheKey: "job-7",
  safetyIdentifier: "h4sh",
  unsupported: "drop"
})

/** The bodies of all requests that the features of the suite come to, and of some more. */
const sentFor = (subject: Subject) =>
  Effect.gen(function* () {
    const sent: Array<Sent> = []
    const { chat, embedder, thinker } = subject
    const models = [chat, thinker].filter((model) => model !== undefined)
    const more = [
      ...models.map((model) => complete(new Chat({ ...everything, model }), once)),
      ...models.map((model) =>
        complete(Chat.prompt("Hi", { model, thinking: "off", unsupported: "drop" }), once)
      ),
      complete(new Completion({ prompt: "a", maxTokens: 5, stop: ["END"], seed: 7 }), once),
      ...(embedder === undefined
        ? []
        : [complete(new Embedding({ input: ["a"], model: embedder, dimensions: 64 }), once)])
    ]
    const shown = features
      // it is fetched from a server that only the suite has
      .filter(({ applies, name }) => applies(subject) && name !== "image URLs")
      .map(({ show }) => show(subject))
    for (const each of [...shown, ...more]) {
      // what is unsupported is not sent
      yield* Effect.ignore(Effect.provide(each, services(subject, apiKey, recording(sent))))
    }
    return sent
  }).pipe(Effect.provide(Simulator.layer({ apiKey, reasoningTokens: 12 })))

/** The schemas of a provider, by the ends of the paths they belong to. */
type Specification = Readonly<Record<string, Schema.Schema.AnyNoContext>>

const openAi: Specification = {
  "/chat/completions": OpenAiApi.CreateChatCompletionRequest,
  "/completions": OpenAiApi.CreateCompletionRequest,
  "/embeddings": OpenAiApi.CreateEmbeddingRequest,
  "/responses": OpenAiApi.CreateResponse
}

const specifications: Readonly<Record<string, Specification>> = {
  openai: openAi,
  "openai-responses": openAi,
  // its v1 surface is OpenAI's
  azure: openAi,
  anthropic: { "/messages": AnthropicApi.CreateMessageParams }
}

/** Where a specification is known to be behind the API, and what of a body is left out for that reason. */
const behind: Readonly<
  Record<string, ReadonlyArray<readonly [reason: string, without: (body: Body) => Body]>>
> = {
  anthropic: [
    [
      "structured output and effort came out of beta after the description was published",
      ({ output_config: _, ...rest }) => rest
    ],
    [
      "the schema of a tool's input is any JSON Schema of an object, and the description names three of its words",
      ({ tools, ...rest }) =>
        Array.isArray(tools)
          ? {
              ...rest,
              tools: tools.map(({ input_schema: schema, ...tool }) => ({
                ...tool,
                input_schema: Struct.pick(schema, "type", "properties", "required")
              }))
            }
          : rest
    ]
  ]
}

const problems = (provider: string, { body, path }: Sent): ReadonlyArray<string> => {
  const found = Object.entries(specifications[provider] ?? {}).find(([end]) => path.endsWith(end))
  if (found === undefined) return [`${path} is not in the specification`]
  const settled = (behind[provider] ?? []).reduce((body, [, without]) => without(body), body)
  const read = Schema.decodeUnknownEither(found[1], { onExcessProperty: "error", errors: "all" })(settled)
  return Either.isRight(read)
    ? []
    : ParseResult.ArrayFormatter.formatErrorSync(read.left).map(
        ({ message, path }) => `${path.map(String).join(".")}: ${message}`
      )
}

describe("requests are as the provider describes them", () => {
  for (const subject of subjects) {
    const { provider, title } = subject
    if (specifications[provider] === undefined) continue
    it.live(title, () =>
      Effect.gen(function* () {
        const sent = yield* sentFor(subject)
        for (const each of sent) expect(problems(provider, each), JSON.stringify(each)).toEqual([])

        // all of it came by
        const fields = new Set(sent.flatMap(({ body }) => Object.keys(body)))
        expect([...fields]).toEqual(expect.arrayContaining(["stream", "tools", "tool_choice"]))
        expect(sent.length).toBeGreaterThan(15)
        // and a field too many would not have
        for (const { body, path } of sent.slice(0, 1)) {
          expect(problems(provider, { path, body: { ...body, top_kk: 40 } })).not.toEqual([])
        }
      })
    )
  }
})
