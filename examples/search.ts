/**
 * A search by meaning: embeddings of some sentences, made once and kept in a cache file, against that of a query.
 *
 * Prints the query and the three sentences closest to it, each with its cosine similarity: `0.412 <sentence>`. A model
 * finds what means the same. The vectors of the simulator mean nothing, but equal texts have equal ones: a query that is
 * one of the sentences comes first, with 1.000.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=text-embedding-3-small \
 *       npx tsx examples/search.ts "Where can I see animals?"
 *
 * Node 22.18 and later needs no `tsx`: `node examples/search.ts "Where can I see animals?"`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Array from "effect/Array"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Order from "effect/Order"
import { Cache, complete, Embedding, HttpClientPool, OpenAi, RateLimiter } from "floodgate"

const [, , query = "Where can I see animals?"] = process.argv

const sentences = [
  "The zoo opens at nine and closes at dusk.",
  "Tickets for the ferry are sold on board.",
  "The museum of clocks is free on Sundays.",
  "Seals rest on the rocks below the lighthouse.",
  "The night train has six sleeping cars.",
  "A baker by the bridge sells rye bread.",
  "The castle burned down twice.",
  "Storks nest on the roof of the town hall.",
  "Rain falls on two days of three.",
  "The library lends umbrellas.",
  "Skating on the lake is allowed in January.",
  "The tower has 301 steps and no lift.",
  "A market is held around the well each Friday.",
  "The harbour freezes in hard winters.",
  "Deer come down to the orchards in autumn.",
  "The old cinema shows silent films.",
  "Buses run every ten minutes until midnight.",
  "The chemist speaks four languages.",
  "The swimming hall is warm all year.",
  "Two rivers meet behind the brewery."
]

/** What was embedded once is not paid for again, in whichever run. */
const services = Layer.mergeAll(
  Layer.provide(OpenAi.layerConfig(OpenAi.config), HttpClientPool.layer()),
  RateLimiter.layer(),
  Cache.layerSqlite({ filename: "embeddings.db" })
)

type Vector = ReadonlyArray<number>

const dot = (a: Vector, b: Vector): number => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
const similarity = (a: Vector, b: Vector): number => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))

const embed = (input: ReadonlyArray<string>) =>
  Effect.map(complete(new Embedding({ input, dimensions: 256 })), ({ embeddings }) => embeddings)

const program = Effect.gen(function* () {
  const [vectors, [wanted = []]] = yield* Effect.all([embed(sentences), embed([query])], { concurrency: 2 })
  const scored = Array.zipWith(sentences, vectors, (sentence, vector) => ({
    sentence,
    score: similarity(vector, wanted)
  }))
  yield* Console.log(query)
  const best = Array.sortWith(scored, ({ score }) => score, Order.reverse(Order.number)).slice(0, 3)
  for (const { score, sentence } of best) yield* Console.log(`${score.toFixed(3)} ${sentence}`)
})

NodeRuntime.runMain(program.pipe(Effect.provide(services)))
