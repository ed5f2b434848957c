/**
 * What a provider may be able to do, each with a request that shows it. A feature is there if the answer is right, and
 * not there if the request ends in an `UnsupportedError` before anything is sent; there is no third.
 */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  Chat,
  type Chat as ChatRequest,
  Completion,
  collect,
  complete,
  Embedding,
  type LlmError,
  Message,
  object,
  Rerank,
  Response,
  Retry,
  stream
} from "floodgate"
import type { Services } from "../../src/Complete.js"
import type { Subject } from "./subjects.js"

/** Asked once, whatever comes back. */
export const once = { retry: Retry.never }

export interface Feature {
  readonly name: string
  /** Whether the subject has a model to show it with. */
  readonly applies: (subject: Subject) => boolean
  readonly show: (subject: Subject) => Effect.Effect<unknown, LlmError.LlmError, Services>
}

type Parameters = Omit<ConstructorParameters<typeof Chat>[0], "messages">

const ask = (content: Message.Content, parameters: Parameters = {}) =>
  complete(Chat.prompt(content, parameters), once)

const asking = (request: ChatRequest) => complete(request, once)

const isAnswered = (response: Response.ChatResponse): void => {
  expect(response.text).not.toBe("")
  expect(response.finishReason).toBe("stop")
}

/** A feature of chats, shown by an answer that passes. */
const chat = (
  name: string,
  show: (subject: Subject) => Effect.Effect<unknown, LlmError.LlmError, Services>
): Feature => ({ name, applies: (subject) => subject.chat !== undefined, show })

/** A parameter that an answer does not show: that the server takes it is all there is to see. */
const parameter = (name: string, parameters: Parameters): Feature =>
  chat(name, () => Effect.map(ask("Hi", parameters), (response) => expect(response.usage).toBeDefined()))

/** One black pixel. */
const pixel =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
const pdf = `data:application/pdf;base64,${Buffer.from("%PDF-1.7\n%%EOF").toString("base64")}`

export const weather = {
  type: "function",
  name: "weather",
  description: "The weather in a city",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false
  }
} as const

const City = Schema.Struct({ name: Schema.String, population: Schema.optional(Schema.Number) })

const notObjects: ReadonlyArray<Schema.Schema<unknown, unknown>> = [
  Schema.Array(Schema.Struct({ name: Schema.String })),
  Schema.Literal("hot", "cold"),
  Schema.Union(City, Schema.Struct({ river: Schema.String }))
] as ReadonlyArray<Schema.Schema.All> as ReadonlyArray<Schema.Schema<unknown, unknown>>

export const features: ReadonlyArray<Feature> = [
  chat("chat", () => Effect.map(ask("Why is the sky blue?"), isAnswered)),
  chat("system", () => Effect.map(asking(Chat.prompt("Hi", { system: "Be terse." })), isAnswered)),
  chat("turns", () =>
    Effect.map(
      asking(
        new Chat({
          messages: [
            Message.user("My name is Ann."),
            Message.assistant("Hello, Ann."),
            Message.user("Who am I?")
          ]
        })
      ),
      isAnswered
    )
  ),
  chat("streaming", () =>
    Effect.gen(function* () {
      const streamed = yield* collect(stream(Chat.prompt("Tell me a story."), once))
      const whole = yield* ask("Tell me a story.")
      expect(streamed.finishReason).toBe(whole.finishReason)
      expect(streamed.usage.outputTokens).toBeGreaterThan(0)
      expect(streamed.text.length).toBeGreaterThan(10)
    })
  ),
  chat("images", () => Effect.map(ask([Message.text("What is this?"), Message.image(pixel)]), isAnswered)),
  chat("image URLs", () =>
    Effect.map(
      ask([Message.text("What is this?"), Message.image(`${process.env["FLOODGATE_TEST_MEDIA"]}/pixel.png`)]),
      isAnswered
    )
  ),
  chat("PDFs", () =>
    Effect.map(ask([Message.text("Sum up."), { type: "file", data: pdf, filename: "a.pdf" }]), isAnswered)
  ),
  chat("audio", () =>
    Effect.map(
      ask([Message.text("Write it down."), { type: "audio", data: "UklGRg==", format: "wav" }]),
      isAnswered
    )
  ),
  chat("tools", ({ choosesTools = true }) =>
    Effect.gen(function* () {
      const request = Chat.prompt("What is the weather in Oslo? Call weather.", {
        tools: [weather],
        ...(choosesTools ? { toolChoice: "required" } : undefined)
      })
      const called = yield* asking(request)
      expect(called.finishReason).toBe("tool_calls")
      const [call] = called.toolCalls
      expect(call?.name).toBe("weather")
      expect(call?.invalid).toBeUndefined()
      expect(typeof JSON.parse(call?.arguments ?? "").city).toBe("string")
      const told = yield* asking(
        new Chat({
          tools: [weather],
          messages: [
            ...request.messages,
            Response.toMessage(called),
            ...called.toolCalls.map(({ id }) => Message.tool(id, "Rain", { name: "weather" }))
          ]
        })
      )
      expect(told.usage.inputTokens).toBeGreaterThan(called.usage.inputTokens)
    })
  ),
  chat("forced tool", () =>
    Effect.map(
      ask("What is the weather in Oslo?", {
        tools: [weather, { ...weather, name: "tides" }],
        toolChoice: { type: "function", name: "tides" }
      }),
      ({ toolCalls }) => expect(toolCalls.map(({ name }) => name)).toEqual(["tides"])
    )
  ),
  chat("one call at a time", () =>
    Effect.map(
      ask("What is the weather in Oslo?", {
        tools: [weather],
        toolChoice: "required",
        parallelToolCalls: false
      }),
      ({ toolCalls }) => expect(toolCalls).toHaveLength(1)
    )
  ),
  chat("objects", () =>
    Effect.gen(function* () {
      const { value } = yield* object(Chat.prompt("Tell me of Rome."), City, { corrections: 0, ...once })
      expect(typeof value.name).toBe("string")
      // what is no object is had within one
      for (const schema of notObjects) {
        const { text, value } = yield* object(Chat.prompt("Tell me more."), schema, {
          corrections: 0,
          ...once
        })
        expect(Schema.is(schema)(value)).toBe(true)
        expect(JSON.parse(text)).toEqual({ value })
      }
    })
  ),
  chat("JSON mode", () =>
    Effect.map(ask("Tell me of Rome, as JSON.", { responseFormat: { type: "json" } }), ({ text }) =>
      expect(typeof JSON.parse(text)).toBe("object")
    )
  ),
  chat("thinking", ({ chat, thinker }) =>
    Effect.gen(function* () {
      const model = thinker ?? chat ?? ""
      const request = Chat.prompt("Think hard.", { model, thinking: "high" })
      const response = yield* asking(request)
      isAnswered(response)
      expect(response.text).not.toContain("<think>")
      // what it thought goes back with the next turn, whatever the provider wants of it
      const next = yield* asking(
        new Chat({
          model,
          thinking: "high",
          messages: [...request.messages, Response.toMessage(response), Message.user("And now?")]
        })
      )
      isAnswered(next)
    })
  ),
  parameter("temperature", { temperature: 0.5 }),
  parameter("topP", { topP: 0.9 }),
  parameter("topK", { topK: 40 }),
  parameter("maxTokens", { maxTokens: 100 }),
  parameter("stop", { stop: ["END"] }),
  parameter("seed", { seed: 7 }),
  parameter("penalties", { frequencyPenalty: 0.5, presencePenalty: 0.5 }),
  parameter("logitBias", { logitBias: { "50256": -100 } }),
  chat("n", () =>
    Effect.map(ask("Hi", { n: 2 }), ({ alternatives }) => expect(alternatives).toHaveLength(1))
  ),
  chat("logprobs", () =>
    Effect.map(ask("Hi", { logprobs: true, topLogprobs: 2 }), ({ logprobs }) =>
      expect(logprobs).toBeDefined()
    )
  ),
  chat("completions", () =>
    Effect.map(complete(new Completion({ prompt: "Once upon a time" }), once), ({ text }) =>
      expect(text).not.toBe("")
    )
  ),
  {
    name: "embeddings",
    applies: () => true,
    show: ({ embedder }) =>
      Effect.map(
        complete(new Embedding({ input: ["a cat", "a dog"], model: embedder ?? "none" }), once),
        ({ embeddings }) => {
          expect(embeddings).toHaveLength(2)
          expect(embeddings[0]).not.toEqual(embeddings[1])
        }
      )
  },
  {
    name: "rerank",
    applies: () => true,
    show: ({ reranker }) =>
      Effect.map(
        complete(
          new Rerank({
            query: "cats",
            documents: ["on dogs", "all of cats"],
            model: reranker ?? "none",
            topN: 2
          }),
          once
        ),
        ({ results }) => {
          expect(results.map(({ index }) => index).sort()).toEqual([0, 1])
          expect(results[0]?.score).toBeGreaterThanOrEqual(results[1]?.score ?? 1)
        }
      )
  }
]
