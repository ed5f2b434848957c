/**
 * A batch within a program: every question of a file, and how many were answered by topic.
 *
 * Prints a line for each failure, then the number of answers for each topic.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 npx tsx examples/batch.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/batch.ts`.
 */
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { batch, Chat, OpenAILive } from "floodgate"

interface Prompt {
  readonly question: string
  readonly topic: string
}

const prompts: ReadonlyArray<Prompt> = readFileSync(new URL("prompts.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line))

const requests = prompts.map(({ question }) => Chat.prompt(question, { maxTokens: 200 }))

const outcomes = await Effect.runPromise(
  batch(requests, { concurrency: 16 }).pipe(Effect.provide(OpenAILive))
)

const answered = new Map<string, number>()
for (const [index, { question, topic }] of prompts.entries()) {
  const outcome = outcomes[index]
  if (outcome === undefined) continue
  if (Either.isRight(outcome)) answered.set(topic, (answered.get(topic) ?? 0) + 1)
  else console.log(`${question}: ${outcome.left._tag}, ${outcome.left.message}`)
}
for (const [topic, count] of answered) console.log(`${topic}: ${count}`)
