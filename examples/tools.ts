/**
 * Tools: functions of yours that the model calls on the way to its answer. Arguments are decoded by a Schema; what a
 * tool needs comes as a Layer; what goes wrong in it is told to the model, which can try something else.
 *
 * Prints each call as it is made, `forecast(<city>)`, then `answered after <n> turns: <first words of the answer>`.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 npx tsx examples/tools.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/tools.ts`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Chat, OpenAILive, Tool, Toolkit } from "floodgate"

class UnknownCity extends Data.TaggedError("UnknownCity")<{ readonly message: string }> {}

interface Forecast {
  readonly sky: string
  readonly degrees: number
}

/** What the tool is made of: a service like any other. */
class Weather extends Context.Tag("Weather")<
  Weather,
  { readonly forecast: (city: string) => Effect.Effect<Forecast, UnknownCity> }
>() {
  static readonly Live = Layer.succeed(this, {
    forecast: (city) =>
      city === "Oslo"
        ? Effect.succeed({ sky: "rain", degrees: 7 })
        : Effect.fail(new UnknownCity({ message: `There is no station in ${city}` }))
  })
}

/** What the model is told of it. */
const forecast = Tool.make(
  "forecast",
  Schema.Struct({
    city: Schema.Literal("Oslo", "Lima", "Accra"),
    days: Schema.Int.pipe(Schema.between(1, 7))
  }),
  { description: "The weather of a city in so many days." }
)

const tools = [
  Toolkit.handle(forecast, ({ city }) =>
    Effect.gen(function* () {
      yield* Console.log(`forecast(${city})`)
      const weather = yield* Weather
      return yield* weather.forecast(city)
    })
  )
]

const program = Effect.gen(function* () {
  const question = Chat.prompt("Shall I take an umbrella in Oslo tomorrow?", { toolChoice: "required" })
  const { finished, response, turns } = yield* Toolkit.run(question, tools, { maxTurns: 4 })
  yield* finished
    ? Console.log(`answered after ${turns} turns: ${response.text.slice(0, 60)}`)
    : Console.log(`no answer within ${turns} turns`)
})

NodeRuntime.runMain(program.pipe(Effect.provide([OpenAILive, Weather.Live])))
