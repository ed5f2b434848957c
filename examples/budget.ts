/**
 * A run that never costs more than it may. What does not fit is not asked; the checkpoint waits for it, and with a higher
 * ceiling the same command goes on where the money ended.
 *
 * Prints `<n> answered, <m> left for a higher budget, $<spent> of $<ceiling> spent`; with `0.01` dollars against the
 * simulator some of 200 are left, with `1` dollar after that none.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice, twice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=gpt-4.1 \
 *       npx tsx examples/budget.ts 0.01 rivers.jsonl
 *
 * Node 22.18 and later needs no `tsx`: `node examples/budget.ts 0.01 rivers.jsonl`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Budget, batch, Chat, Checkpoint, OpenAILive } from "floodgate"

const [, , dollars = "0.01", output = "rivers.jsonl"] = process.argv

// the most that an answer may cost is reserved before it is asked for: `maxTokens` is what bounds it
const requests = Array.from({ length: 200 }, (_, n) =>
  Chat.prompt(`Which river is the ${n + 1}. longest of the world?`, { id: `river-${n + 1}`, maxTokens: 80 })
)

const program = Effect.gen(function* () {
  const budget = yield* Budget.make({ usd: dollars })
  const outcomes = yield* batch(requests, { budget, checkpoint: Checkpoint.layerFile(output) })

  let answered = 0
  let left = 0
  for (const outcome of outcomes) {
    if (outcome._tag === "Right") answered++
    else if (outcome.left._tag === "BudgetExceededError") left++
    else yield* Console.error(`${outcome.left._tag}: ${outcome.left.message}`)
  }
  // calls whose connection was lost may have been billed: they count in full
  const { earlier, spent, unsettled } = yield* budget.state
  const paid = (earlier.usd + spent.usd + unsettled.usd).toFixed(4)
  yield* Console.log(`${answered} answered, ${left} left for a higher budget, $${paid} of $${dollars} spent`)
})

// an amount that cannot be read or a file that cannot be written ends the program: the message says what to do
NodeRuntime.runMain(program.pipe(Effect.provide(OpenAILive)))
