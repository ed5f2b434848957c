/**
 * A thousand questions at half the price, within a day: through the provider's own batch API.
 *
 * Prints how far the job is each time that has changed, and at the end how many answers there are and their tokens:
 * `1000 of 1000 answered, 70012 tokens in, 39960 out`. Stop it at any time and start it again with the same
 * file: it goes on with the job that is under way, and pays for nothing twice.
 *
 * Against the simulator (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 \
 *       npx tsx examples/provider-batch.ts reviews.jobs.jsonl
 *
 * Node 22.18 and later needs no `tsx`: `node examples/provider-batch.ts`.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Chat, OpenAILive, ProviderBatch, Usage } from "floodgate"

const [, , jobFile = "reviews.jobs.jsonl"] = process.argv

const requests = Array.from({ length: 1000 }, (_, n) =>
  Chat.prompt(`Is this review kind or unkind? Review ${n}: It was all right.`, { id: `review-${n}` })
)

const program = Effect.gen(function* () {
  const outcomes = yield* ProviderBatch.run(requests, {
    jobFile,
    onStatus: ({ failed, job, state, succeeded }) =>
      Effect.sync(() =>
        console.log(`${job.ids.length} requests ${state}: ${succeeded} done, ${failed} failed`)
      )
  })
  const answers = outcomes.filter(Either.isRight).map(({ right }) => right)
  const { inputTokens, outputTokens } = answers.reduce((sum, { usage }) => Usage.add(sum, usage), Usage.zero)
  console.log(
    `${answers.length} of ${outcomes.length} answered, ${inputTokens} tokens in, ${outputTokens} out`
  )
}).pipe(
  // the jobs go on; the message says what to do
  Effect.catchTags({
    ProviderBatchError: ({ message }) => Effect.logError(message),
    CheckpointError: ({ message }) => Effect.logError(message)
  })
)

await Effect.runPromise(program.pipe(Effect.provide(OpenAILive)))
