/**
 * floodgate under an app of `@effect/ai`. The app knows `LanguageModel` and nothing else: objects, tools, a stream. The
 * last lines put floodgate behind it, and with it retries, limits, and a cache that pays for no answer twice.
 *
 * Prints each city with what is known of it, the weather that the model looked up, and how long a story is.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 npx tsx examples/effect-ai.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/effect-ai.ts`.
 */
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { OpenAILive } from "floodgate"
import * as EffectAi from "floodgate/EffectAi"

class City extends Schema.Class<City>("City")({
  country: Schema.String,
  population: Schema.Number
}) {}

const city = (name: string) =>
  LanguageModel.generateObject({ prompt: `Where is ${name}, and how many people live there?`, schema: City })

const Weather = Tool.make("weather", {
  description: "The weather in a city.",
  parameters: { city: Schema.String },
  success: Schema.Struct({ sky: Schema.String, degrees: Schema.Number })
})
const Tools = Toolkit.make(Weather)
const ToolsLive = Tools.toLayer({ weather: () => Effect.succeed({ sky: "clear", degrees: 21 }) })

const app = Effect.gen(function* () {
  // Lima is asked for twice, and paid for once
  const names = ["Oslo", "Lima", "Accra", "Lima"]
  const cities = yield* Effect.forEach(names, city, { concurrency: 4 })
  for (const [index, { value }] of cities.entries()) {
    yield* Console.log(`${names[index]}: ${value.country}, ${value.population} people`)
  }

  const { toolResults } = yield* LanguageModel.generateText({
    prompt: "Shall I take an umbrella in Oslo?",
    toolkit: Tools,
    toolChoice: { tool: "weather" }
  })
  for (const { name, result } of toolResults) yield* Console.log(`${name}:`, JSON.stringify(result))

  const length = yield* LanguageModel.streamText({ prompt: "Tell me a story of the sea." }).pipe(
    Stream.runFold(0, (sum, part) => (part.type === "text-delta" ? sum + part.delta.length : sum))
  )
  yield* Console.log(`A story of ${length} characters`)
})

/** What stands behind the app: here one provider with the defaults of `OpenAILive`. */
const model = EffectAi.layerLanguageModel({ parameters: { seed: 1 } }).pipe(Layer.provide(OpenAILive))

NodeRuntime.runMain(app.pipe(Effect.provide([model, ToolsLive])))
