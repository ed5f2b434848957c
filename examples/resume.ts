/**
 * A batch that can be stopped at any time: the answers are in a file, and what is there is not asked again.
 *
 * Prints how many of 20 answers were restored and how many calls were made: `0 restored, 20 asked`, and with the
 * same file a second time `20 restored, 0 asked`.
 *
 * Run it twice, against the simulator (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 \
 *       npx tsx examples/resume.ts facts.jsonl
 *
 * Node 22.18 and later needs no `tsx`: `node examples/resume.ts facts.jsonl`.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { batch, Chat, Checkpoint, OpenAILive } from "floodgate"

const [, , output = "facts.jsonl"] = process.argv

const requests = Array.from({ length: 20 }, (_, n) =>
  Chat.prompt(`Tell a fact about the number ${n}.`, { id: `number-${n}` })
)

const program = Effect.gen(function* () {
  const outcomes = yield* batch(requests, { checkpoint: Checkpoint.layerFile(output) })
  const answers = outcomes.filter(Either.isRight).map(({ right }) => right)
  const restored = answers.filter(({ meta }) => meta.resumed === true).length
  console.log(`${restored} restored, ${outcomes.length - restored} asked`)
}).pipe(
  // another run writes this file, or it is something else: the message says which, and what to do
  Effect.catchTag("CheckpointError", ({ message }) => Effect.logError(message))
)

await Effect.runPromise(program.pipe(Effect.provide(OpenAILive)))
