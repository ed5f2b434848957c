/**
 * A program over several endpoints: tickets are sorted by the cheap models in turn, answered by the good one, and by its
 * twin in another region while it is ill. Where requests go is a Layer: the program does not know, and its tests swap
 * it (`router-app.test.ts`).
 *
 * Prints a line for each ticket, `t1 <kind>: <answer>`, then a table of what each endpoint has done. `OPENAI_BASE_URL` and
 * `OPENAI_BASE_URL_2` say where the two regions are, by default both at OpenAI's one address.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key npx tsx examples/router-app.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/router-app.ts`.
 */
import { fileURLToPath } from "node:url"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  batch,
  Cache,
  Chat,
  HttpClientPool,
  OpenAi,
  RateLimiter,
  Router,
  Strategy,
  type Task
} from "floodgate"

export interface Ticket {
  readonly id: string
  readonly text: string
}

/** What the program asks, by name; a router says which endpoints are for it. */
export const tasks = {
  sort: {
    system: "Is this support ticket about billing, a bug or something else? Answer with one word.",
    parameters: { temperature: 0, maxTokens: 5 },
    endpoints: ["mini", "nano"]
  },
  answer: {
    system: "You answer support tickets, in two sentences.",
    parameters: { maxTokens: 200 },
    strategy: Strategy.fallback(["north", "south"])
  }
} satisfies Readonly<Record<string, Task.Task>>

/** The kind and a draft answer of each ticket; `undefined` where there is none. */
export const work = (tickets: ReadonlyArray<Ticket>) =>
  Effect.gen(function* () {
    const ask = (task: keyof typeof tasks) =>
      Effect.map(
        batch(
          tickets.map(({ id, text }) => Chat.prompt(text, { id, task })),
          { concurrency: 100 }
        ),
        (outcomes) => outcomes.map((outcome) => (outcome._tag === "Right" ? outcome.right.text : undefined))
      )
    const kinds = yield* ask("sort")
    const answers = yield* ask("answer")
    return tickets.map(({ id }, i) => ({ id, kind: kinds[i], answer: answers[i] }))
  })

/** The real endpoints. */
export const RouterLive = Layer.effect(
  Router.Router,
  Effect.gen(function* () {
    const apiKey = yield* Config.redacted("OPENAI_API_KEY")
    const north = yield* Config.withDefault(Config.string("OPENAI_BASE_URL"), "https://api.openai.com/v1")
    const south = yield* Config.withDefault(Config.string("OPENAI_BASE_URL_2"), north)
    const at = (id: string, baseUrl: string, model: string) => ({
      id,
      provider: "openai",
      baseUrl,
      apiKey,
      model
    })
    return Router.make({
      endpoints: [
        at("mini", north, "gpt-4o-mini"),
        at("nano", north, "gpt-4.1-nano"),
        at("north", north, "gpt-4.1"),
        at("south", south, "gpt-4.1")
      ],
      tasks,
      hedge: { budget: 0.02 }
    })
  })
)

export const AppLive = Layer.mergeAll(
  RouterLive,
  Layer.provide(OpenAi.layer, HttpClientPool.layer()),
  RateLimiter.layer({ domains: { "*": { concurrency: 50 } } }),
  Cache.layerMemory()
)

export const main = Effect.gen(function* () {
  const tickets = [
    { id: "t1", text: "I was charged twice in May." },
    { id: "t2", text: "The export button does nothing." },
    { id: "t3", text: "Do you have an office in Lima?" }
  ]
  for (const { answer, id, kind } of yield* work(tickets)) {
    yield* Console.log(`${id} ${kind ?? "unsorted"}: ${answer ?? "no answer"}`)
  }
  yield* Console.log(Router.table(yield* Router.states))
}).pipe(Effect.provide(AppLive))

// run as a program, not when its tests import it
if (process.argv[1] === fileURLToPath(import.meta.url)) await Effect.runPromise(main)
