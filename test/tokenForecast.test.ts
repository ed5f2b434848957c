import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { Chat, Message } from "floodgate"
import { TokenForecast } from "../src/internal/tokenForecast.js"
import { tokenizerOf } from "../src/internal/tokenizer.js"

const byCharacters = { chargesMaxTokens: false, tokenizer: undefined }
const upFront = { chargesMaxTokens: true, tokenizer: undefined }

describe("TokenForecast", () => {
  it("reserves what the provider charges: the most the answer may have, or what answers have", () => {
    const forecast = new TokenForecast()
    const request = Chat.prompt("x".repeat(400), { maxTokens: 4096, n: 2 })
    expect(forecast.reserve(request, "m", upFront).outputTokens).toBe(8192)
    expect(forecast.reserve(request, "m", byCharacters).outputTokens).toBeLessThan(8192)
    expect(forecast.reserve(request, "m", byCharacters).inputTokens).toBeGreaterThanOrEqual(100)
  })

  it.prop(
    "learns a high quantile of a model's answers and how far its counts are off",
    [FastCheck.array(FastCheck.integer({ min: 50, max: 250 }), { minLength: 300, maxLength: 400 })],
    ([outputs]) => {
      const forecast = new TokenForecast()
      const request = Chat.prompt("y".repeat(388), { maxTokens: 4096 })
      for (const outputTokens of outputs) {
        const reserved = forecast.reserve(request, "m", byCharacters)
        forecast.learn("m", reserved, { inputTokens: 150, outputTokens })
      }
      const { inputTokens, outputTokens } = forecast.reserve(request, "m", byCharacters)
      expect(Math.abs(inputTokens - 150)).toBeLessThanOrEqual(2)
      const latest = outputs.slice(-256)
      const covered = latest.filter((n) => n <= outputTokens).length / latest.length
      expect(covered).toBeGreaterThanOrEqual(0.85)
      expect(outputTokens).toBeLessThanOrEqual(250)
      // another model is another matter
      expect(forecast.reserve(request, "other", byCharacters).inputTokens).not.toBe(inputTokens)
    },
    { fastCheck: { numRuns: 20 } }
  )

  it("learns nothing from usage that is itself a guess", () => {
    const forecast = new TokenForecast()
    const request = Chat.prompt("z")
    const before = forecast.reserve(request, "m", byCharacters)
    forecast.learn("m", before, { inputTokens: 999, outputTokens: 9999, estimated: true })
    expect(forecast.reserve(request, "m", byCharacters)).toEqual(before)
  })

  it.effect(
    "counts with OpenAI's tokenizer for OpenAI's models, also texts that look like control tokens",
    () =>
      Effect.gen(function* () {
        // counts as OpenAI's own tokenizer gives them
        const newer = yield* tokenizerOf("gpt-4.1-mini")
        const older = yield* tokenizerOf("gpt-4-turbo")
        expect(newer?.("antidisestablishmentarianism")).toBe(6)
        expect(older?.("antidisestablishmentarianism")).toBe(6)
        expect(newer?.("Why is the sky blue?")).toBe(6)
        expect(newer?.("<|endoftext|>")).toBeGreaterThan(1)
        expect(yield* tokenizerOf("llama-3.1-8b")).toBeUndefined()
        const forecast = new TokenForecast()
        const request = new Chat({
          messages: [Message.system("Be brief."), Message.user("Why is the sky blue?")]
        })
        const reserved = forecast.reserve(request, "gpt-4.1", { chargesMaxTokens: true, tokenizer: newer })
        expect(reserved.inputTokens).toBe(3 * 3 + 3 + 6)
      })
  )
})
