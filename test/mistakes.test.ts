/**
 * What other clients get wrong on the wires of the providers, each with its test. The two that concern batch APIs, a
 * file of errors that nobody reads and states that nobody knows, are with the tests of those.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import {
  batch,
  Chat,
  collect,
  complete,
  HttpClientPool,
  type LlmError,
  type Message,
  stream,
  Throttle
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { once } from "./conformance/features.js"
import { apiKey, type Subject, services, subjects } from "./conformance/subjects.js"

const named = (title: string): Subject => {
  const subject = subjects.find((subject) => subject.title === title)
  if (subject === undefined) throw new Error(`There is no ${title} in the suite`)
  return subject
}

const openAi = named("OpenAI")
const responses = named("OpenAI Responses")
const anthropic = named("Anthropic")
const gemini = named("Gemini")
const mistral = named("Mistral")
const openRouter = named("OpenRouter")

/** Runs with the services of one provider, against a simulator of its own. */
const on = <A, E>(
  subject: Subject,
  effect: Effect.Effect<A, E, Effect.Effect.Context<ReturnType<typeof complete>> | Simulator.Simulator>,
  options: Simulator.Options = {}
) => effect.pipe(Effect.provide(services(subject)), Effect.provide(Simulator.layer({ apiKey, ...options })))

const ask = (content: Message.Content, parameters: Parameters<typeof Chat.prompt>[1] = {}) =>
  complete(Chat.prompt(content, parameters), once)

/** Whole and streamed. */
const bothWays = (chat: Chat) => Effect.all([complete(chat, once), collect(stream(chat, once))])

const failed = <A, R>(effect: Effect.Effect<A, LlmError.LlmError, R>) => Effect.flip(effect)

const long = "word ".repeat(2_000)

/** The fields of each wire that count tokens. */
const counts = new Set(
  [
    ["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"],
    ["promptTokenCount", "candidatesTokenCount", "totalTokenCount"]
  ].flat()
)

/** Without the counts of tokens: `usage: {}`. */
const withoutCounts = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutCounts)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !counts.has(name))
      .map(([name, inner]) => [name, withoutCounts(inner)])
  )
}

/** What a server sent, JSON or events, without the counts in it. */
const uncounted = (text: string): string =>
  text.startsWith("{")
    ? JSON.stringify(withoutCounts(JSON.parse(text)))
    : text.replace(
        /^data: (\{.*\})$/gm,
        (_, json) => `data: ${JSON.stringify(withoutCounts(JSON.parse(json)))}`
      )

/** Connections to servers that do not count. */
const uncounting = Layer.map(HttpClientPool.layer(), (context) => {
  const client = Context.get(context, HttpClient.HttpClient)
  return Context.make(
    HttpClient.HttpClient,
    HttpClient.transformResponse(
      client,
      Effect.flatMap((response) =>
        Effect.map(response.text, (text) =>
          HttpClientResponse.fromWeb(
            response.request,
            new Response(uncounted(text), { status: response.status, headers: response.headers })
          )
        )
      )
    )
  )
})

describe("mistakes seen in other clients", () => {
  it.live("1. cache reads added to a prompt that has them in it, or not added where it has not", () =>
    Effect.gen(function* () {
      for (const subject of [openAi, responses, gemini, anthropic]) {
        const [usage, bill] = yield* on(
          subject,
          Effect.gen(function* () {
            const { usage } = yield* ask([{ type: "text", text: long, promptCache: "5m" }])
            return [usage, yield* (yield* Simulator.Simulator).stats] as const
          }),
          { cachedShare: 0.5 }
        )
        expect(bill.cacheReadTokens).toBeGreaterThan(1_000)
        expect(usage).toMatchObject({ inputTokens: bill.inputTokens, cacheReadTokens: bill.cacheReadTokens })
      }
    })
  )

  it.live("2. Gemini: thoughts left out of the output, and their flag read as text", () =>
    Effect.gen(function* () {
      const answers = yield* on(gemini, bothWays(Chat.prompt("Why?", { thinking: "high" })), {
        reasoningTokens: 40,
        outputTokens: 30
      })
      for (const { reasoning, text, usage } of answers) {
        expect(usage).toMatchObject({ outputTokens: 70, reasoningTokens: 40 })
        expect(text).toMatch(/^Answer/)
        expect(text).not.toContain("true")
        expect(reasoning).toMatch(/^Thought/)
      }
    })
  )

  it.live("3. Anthropic: a prompt that is too long, known by the words of another provider", () =>
    Effect.gen(function* () {
      const error = yield* on(anthropic, failed(ask(long)), { contextWindow: 1_000 })
      expect(error).toMatchObject({ _tag: "ContextLengthError", status: 400 })
      expect(error.message).toContain("prompt is too long")
    })
  )

  it.live("5. Anthropic: the limits of input and output taken for each other", () =>
    Effect.gen(function* () {
      const { urls } = yield* Simulator.Simulator
      const answer = yield* Effect.promise(() =>
        fetch(`${urls["anthropic"]}/v1/messages`, {
          method: "POST",
          headers: { "x-api-key": apiKey },
          body: JSON.stringify({
            model: "claude-haiku-4-5",
            max_tokens: 100,
            messages: [{ role: "user", content: "Hi" }]
          })
        })
      )
      const headers = Object.fromEntries(answer.headers)
      expect(
        Throttle.decode("anthropic", { status: 200, headers, body: undefined }, Date.now())
      ).toMatchObject({
        inputTokens: { limit: 40_000, period: "minute" },
        outputTokens: { limit: 8_000, remaining: 8_000, period: "minute" }
      })
    }).pipe(Effect.provide(Simulator.layer({ limits: { itpm: 40_000, otpm: 8_000 } })))
  )

  it.live("6. a quota that is used up, asked again because its status is that of a limit", () =>
    Effect.gen(function* () {
      for (const subject of [openAi, responses, anthropic, gemini]) {
        const [outcomes, { requests }] = yield* on(
          subject,
          Effect.all([batch([Chat.prompt("Hi")]), Effect.flatMap(Simulator.Simulator, ({ stats }) => stats)]),
          { faults: [{ kind: "status", status: 429, code: "insufficient_quota", rate: 1 }] }
        )
        expect(outcomes.map(Either.flip).map(Either.getOrThrow)).toMatchObject([
          { _tag: "QuotaExhaustedError" }
        ])
        expect([subject.title, requests]).toEqual([subject.title, 1])
      }
    })
  )

  it("7. a reset of 6m0s read as 6 seconds, as nothing, or as the time to wait", () => {
    const headers = {
      "x-ratelimit-limit-tokens": "150000",
      "x-ratelimit-remaining-tokens": "149000",
      "x-ratelimit-reset-tokens": "6m0s"
    }
    const { tokens, verdict } = Throttle.decode("openai", { status: 429, headers, body: undefined }, 0)
    expect(Duration.toMillis(tokens?.resetAfter ?? 0)).toBe(360_000)
    expect(verdict._tag).toBe("None")
  })

  it.live("8. the first block, or the first choice, taken for the answer", () =>
    Effect.gen(function* () {
      // a thought comes first on Anthropic; Azure's first chunk and the last with the usage have no choices
      const chats = [
        [anthropic, Chat.prompt("Why?", { thinking: "high", maxTokens: 8_000 })],
        [named("Azure"), Chat.prompt("Why?")]
      ] as const
      for (const [subject, chat] of chats) {
        const answers = yield* on(subject, bothWays(chat), { reasoningTokens: 30 })
        for (const { finishReason, text, usage } of answers) {
          expect(text).toMatch(/^Answer .*Why\?/)
          expect(finishReason).toBe("stop")
          expect(usage.outputTokens).toBeGreaterThan(0)
        }
      }
    })
  )

  it.live("9. an error inside a success, taken for an answer without text", () =>
    Effect.gen(function* () {
      const chat = Chat.prompt("Hi")
      for (const subject of [openRouter, openAi, responses, anthropic, gemini]) {
        const failures = yield* on(
          subject,
          Effect.all([failed(complete(chat, once)), failed(collect(stream(chat, once)))]),
          { faults: [{ kind: "errorBody", rate: 1 }] }
        )
        // and the error is read: it is not just an answer that holds none
        for (const { _tag } of failures) expect(["ServerError", "OverloadedError"]).toContain(_tag)
      }
      // a prompt that is blocked has no candidates
      const blocked = yield* on(
        gemini,
        Effect.all([failed(complete(chat, once)), failed(collect(stream(chat, once)))]),
        { faults: [{ kind: "refusal", rate: 1 }] }
      )
      expect(blocked.map(({ _tag }) => _tag)).toEqual(["ContentFilterError", "ContentFilterError"])
    })
  )

  it.live("10. parameters sent to models that refuse them", () =>
    Effect.gen(function* () {
      // taken under the name that the model knows them by, and what it has not is not sent
      const limited = yield* on(openAi, ask("Hi", { model: "gpt-5-mini", maxTokens: 100 }))
      expect(limited.finishReason).toBe("stop")
      const seeded = yield* on(mistral, bothWays(Chat.prompt("Hi", { seed: 7 })))
      expect(seeded.map(({ usage }) => usage.outputTokens > 0)).toEqual([true, true])
      const refused = [
        [anthropic, { model: "claude-sonnet-5", temperature: 0.5 }, "temperature"],
        [responses, { stop: ["END"] }, "stop"],
        [mistral, { logprobs: true }, "logprobs"]
      ] as const
      for (const [subject, parameters, feature] of refused) {
        const error = yield* on(subject, failed(ask("Hi", parameters)))
        expect(error).toMatchObject({ _tag: "UnsupportedError", feature })
      }
    })
  )

  it.live("11. tokens that a server does not state, taken for free", () =>
    Effect.gen(function* () {
      for (const subject of [openAi, responses, anthropic, gemini, mistral, named("Cohere"), openRouter]) {
        const answers = yield* bothWays(Chat.prompt("Why is the sky blue?")).pipe(
          Effect.provide(services(subject, apiKey, uncounting)),
          Effect.provide(Simulator.layer({ apiKey }))
        )
        for (const { usage } of answers) {
          expect({ provider: subject.provider, ...usage }).toMatchObject({
            provider: subject.provider,
            inputTokens: 5,
            estimated: true
          })
          expect(usage.outputTokens).toBeGreaterThan(0)
        }
      }
    })
  )
})
