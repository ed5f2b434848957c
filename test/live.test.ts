/** The presets that need nothing but an environment: the same batch, with no change but the layer. */
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import {
  AnthropicLive,
  batch,
  Chat,
  CohereLive,
  DeepSeekLive,
  GeminiLive,
  GroqLive,
  MistralLive,
  OpenAILive,
  OpenRouterLive,
  VllmLive
} from "floodgate"
import * as Simulator from "floodgate/Simulator"

const requests = Array.from({ length: 60 }, (_, index) =>
  Chat.prompt(`What is ${index} + ${index}?`, { system: "Answer with a number.", maxTokens: 100 })
)

/** Each preset with the beginning of its variables, its model, and its name among the simulator's URLs. */
const presets = {
  openai: { live: OpenAILive, prefix: "OPENAI", model: "gpt-4.1-mini" },
  anthropic: { live: AnthropicLive, prefix: "ANTHROPIC", model: "claude-haiku-4-5" },
  gemini: { live: GeminiLive, prefix: "GEMINI", model: "gemini-2.5-flash", url: "GOOGLE_GEMINI_BASE_URL" },
  mistral: { live: MistralLive, prefix: "MISTRAL", model: "mistral-large-latest" },
  cohere: { live: CohereLive, prefix: "COHERE", model: "command-a-03-2025" },
  deepseek: { live: DeepSeekLive, prefix: "DEEPSEEK", model: "deepseek-flash" },
  groq: { live: GroqLive, prefix: "GROQ", model: "openai/gpt-oss-20b" },
  openrouter: { live: OpenRouterLive, prefix: "OPENROUTER", model: "some/model" },
  vllm: { live: VllmLive, prefix: "VLLM", model: "qwen3" }
} as const

describe("one batch", () => {
  for (const [name, preset] of Object.entries(presets)) {
    it.scopedLive(`is answered through ${name}`, () =>
      Effect.gen(function* () {
        const { stats, urls } = yield* Simulator.make({
          faults: [{ kind: "status", status: 500, rate: 0.1 }]
        })
        const urlVariable = "url" in preset ? preset.url : `${preset.prefix}_BASE_URL`
        const environment = new Map([
          [`${preset.prefix}_API_KEY`, "key-0123456789"],
          [`${preset.prefix}_MODEL`, preset.model],
          [urlVariable, urls[name] ?? ""]
        ])
        const live = Layer.provide(preset.live, Layer.setConfigProvider(ConfigProvider.fromMap(environment)))
        const outcomes = yield* batch(requests).pipe(Effect.provide(live))
        const answers = outcomes.map((outcome) => Either.getOrThrow(outcome))
        expect(answers).toHaveLength(60)
        expect(new Set(answers.map(({ text }) => text)).size).toBe(60)
        expect(answers[7]?.text).toContain("What is 7 + 7?")
        expect(yield* stats).toMatchObject({ successes: 60, answeredMoreThanOnce: 0 })
      })
    )
  }
})
