/**
 * Tasks: what requests of one kind have in common, under a name. Sorting is a matter of one word and goes to the small
 * model, summaries go to the large one; the program says what it wants, and the router knows how it is asked.
 *
 * Prints a line for each mail, with the models that sorted and summed it up:
 * `m1 [sim-small] <kind> | [sim-large] <first words of the summary>`.
 *
 * Run it against the simulator (`npx floodgate simulate`), or with models of your provider in place of the two:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key npx tsx examples/tasks.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/tasks.ts`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { batch, Cache, Chat, HttpClientPool, OpenAi, RateLimiter, Router, type Task } from "floodgate"

const tasks = {
  kind: {
    system: "Is this mail an order, a question or a complaint? Answer with one word.",
    parameters: { temperature: 0, maxTokens: 5 },
    endpoints: ["small"]
  },
  summary: {
    system: "Sum up this mail in one sentence.",
    parameters: { maxTokens: 200 },
    endpoints: ["large"]
  }
} satisfies Readonly<Record<string, Task.Task>>

/** One account, two models, and the tasks over them. */
const RouterLive = Layer.effect(
  Router.Router,
  Effect.map(OpenAi.config, (account) =>
    Router.make({
      endpoints: [
        { ...account, id: "small", model: "sim-small" },
        { ...account, id: "large", model: "sim-large" }
      ],
      tasks
    })
  )
)

const services = Layer.mergeAll(
  RouterLive,
  Layer.provide(OpenAi.layer, HttpClientPool.layer()),
  RateLimiter.layer(),
  Cache.layerMemory()
)

const mails = [
  "Please send me two of the blue lamps, to the same address as last time.",
  "Does the kettle switch itself off?",
  "The backpack came without its straps. This is the second time!"
]

const ask = (task: keyof typeof tasks) =>
  Effect.map(
    batch(
      mails.map((mail) => Chat.prompt(mail)),
      { task }
    ),
    (outcomes) =>
      outcomes.map(
        Either.match({
          onLeft: ({ _tag, message }) => `${_tag}: ${message}`,
          onRight: ({ model, text }) => `[${model}] ${text.slice(0, 60)}`
        })
      )
  )

const program = Effect.gen(function* () {
  const [kinds, summaries] = yield* Effect.all([ask("kind"), ask("summary")], { concurrency: 2 })
  for (const [n, kind] of kinds.entries()) yield* Console.log(`m${n + 1} ${kind} | ${summaries[n]}`)
})

NodeRuntime.runMain(program.pipe(Effect.provide(services)))
