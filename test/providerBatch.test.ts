import { mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import {
  Anthropic,
  Azure,
  Budget,
  batch,
  Cache,
  Chat,
  Cohere,
  Embedding,
  Endpoint,
  Gemini,
  HttpClientPool,
  Message,
  Mistral,
  OpenAi,
  OpenAiResponses,
  type Outcome,
  ProviderBatch,
  Providers,
  RateLimiter,
  type Request,
  Retry,
  Router,
  StructuredOutput,
  Wire
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import * as GeminiBatch from "../src/internal/geminiBatchWire.js"
import * as Plan from "../src/internal/providerBatchPlan.js"

interface Subject {
  readonly layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient>
  readonly model: string
  /** The step that makes a job. */
  readonly create: string
}

const subjects: Readonly<Record<string, Subject>> = {
  openai: { layer: OpenAi.layer, model: "gpt-4o-mini", create: "POST /v1/batches" },
  "openai-responses": { layer: OpenAiResponses.layer, model: "gpt-4o-mini", create: "POST /v1/batches" },
  azure: { layer: Azure.layer(), model: "gpt-4o-mini", create: "POST /azure/openai/v1/batches" },
  anthropic: { layer: Anthropic.layer, model: "claude-haiku-4-5", create: "POST /v1/messages/batches" },
  gemini: { layer: Gemini.layer, model: "gemini-2.5-flash", create: ":batchGenerateContent" },
  mistral: { layer: Mistral.layer, model: "mistral-small-latest", create: "POST /mistral/v1/batch/jobs" }
}

const quick = {
  retry: Retry.make({ base: "2 millis", cap: "10 millis" }),
  pollInterval: "5 millis",
  longestInterval: "20 millis"
} as const

/** Gemini's wire, where little goes with the call itself. */
const smallGemini: Wire.Wire = { ...Gemini.wire, batch: GeminiBatch.make(300) }

/** The services of one provider against a simulator that is given too. */
const against = (
  name: string,
  options: Simulator.Options = {},
  cache: Layer.Layer<Cache.Cache> = Cache.layerMemory(),
  provider = subjects[name]?.layer ?? OpenAi.layer
) =>
  Layer.unwrapEffect(
    Effect.map(Simulator.Simulator, ({ urls }) =>
      Layer.mergeAll(
        Layer.provide(provider, HttpClientPool.layer()),
        Router.layer({
          endpoints: [
            {
              provider: name,
              baseUrl: urls[name] ?? "",
              apiKey: Redacted.make("key-0123456789abcdefghij"),
              model: subjects[name]?.model ?? ""
            }
          ]
        }),
        RateLimiter.layer(),
        cache
      )
    )
  ).pipe(
    Layer.provideMerge(Layer.orDie(Simulator.layer(options))),
    Layer.provideMerge(Logger.remove(Logger.defaultLogger))
  )

const prompts = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => Chat.prompt(`Question number ${from + n}`, { maxTokens: 200 }))

const told = (outcomes: ReadonlyArray<Outcome.Outcome>) =>
  outcomes.map(
    Either.match({
      onLeft: ({ _tag, code }) => code ?? _tag,
      onRight: ({ text }) => text.split(".")[0]?.split(": ")[1]
    })
  )

const asked = (requests: ReadonlyArray<Request.Chat>) =>
  requests.map(({ messages }) => String(messages[0]?.content))

/** The requests of batches that were run, and those that were sent one by one. */
const calls = Effect.map(
  Effect.flatMap(Simulator.Simulator, ({ log }) => log),
  (entries) => ({
    lines: entries.filter(({ method }) => method === "BATCH"),
    creates: entries.filter(
      ({ method, path }) => method === "POST" && /(\/batches|\/jobs|:batchGenerateContent)$/.test(path)
    ),
    plain: entries.filter(({ method, model }) => method === "POST" && model !== "")
  })
)

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "floodgate-batch-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Waits in real time. */
const until = <R>(condition: Effect.Effect<boolean, never, R>): Effect.Effect<void, never, R> =>
  Effect.flatMap(condition, (holds) =>
    holds
      ? Effect.void
      : Effect.zipRight(
          Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2))),
          until(condition)
        )
  )

/**
 * A run on the test's clock, which stands until the run has looked at its job, and then goes on in strides until it has
 * ended: the calls go over real sockets and take none of that time.
 */
const waiting = <A, E, R>(run: (options: ProviderBatch.WaitOptions) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    let looks = 0
    const onStatus = () => Effect.sync(() => void looks++)
    const fiber = yield* Effect.fork(run({ onStatus }))
    yield* until(Effect.sync(() => looks > 0))
    return yield* Effect.raceFirst(Fiber.join(fiber), Effect.forever(TestClock.adjust("12 hours")))
  })

describe.each(Object.keys(subjects))("the batch API of %s", (name) => {
  it.scopedLive("answers in input order, at half the price, and the answers are hits later", () =>
    Effect.gen(function* () {
      const requests = prompts(7)
      const outcomes = yield* ProviderBatch.run([...requests, requests[2] as Chat], {
        ...quick,
        maxRequestsPerJob: 3
      })
      expect(told(outcomes)).toEqual([...asked(requests), "Question number 2"])
      const [first] = outcomes
      expect(first !== undefined && Either.isRight(first) && first.right).toMatchObject({
        serviceTier: "batch",
        meta: { attempts: 1, cached: false }
      })
      const { creates, lines, plain } = yield* calls
      expect({ jobs: creates.length, lines: lines.length, plain: plain.length }).toEqual({
        jobs: 3,
        lines: 7,
        plain: 0
      })
      const usage = outcomes
        .slice(0, 7)
        .reduce(
          (sum, outcome) =>
            sum + Either.match(outcome, { onLeft: () => 0, onRight: ({ usage }) => usage.inputTokens }),
          0
        )
      const { cost, inputTokens, outputTokens } = yield* (yield* Simulator.Simulator).stats
      expect(usage).toBe(inputTokens)
      expect(cost).toBeCloseTo((0.5 * (inputTokens + 2 * outputTokens)) / 1_000_000, 12)

      const again = yield* batch(requests)
      expect(told(again)).toEqual(asked(requests))
      expect((yield* calls).plain).toHaveLength(0)
      expect(told(yield* ProviderBatch.run(requests, quick))).toEqual(asked(requests))
      expect((yield* calls).creates).toHaveLength(3)
    }).pipe(
      Effect.provide(
        against(name, { batches: { takes: "30 millis" }, prices: { "*": { input: 1, output: 2 } } })
      )
    )
  )

  // the others share OpenAI's jobs
  if (name === "azure" || name === "openai-responses") return

  it.scopedLive("gives each failed line the error of the call, and the others their answers", () =>
    Effect.gen(function* () {
      const requests = prompts(6)
      const outcomes = yield* ProviderBatch.run(requests, quick)
      const tags = outcomes.map(Either.match({ onLeft: ({ _tag }) => _tag, onRight: ({ _tag }) => _tag }))
      expect(tags).toEqual([
        "ChatResponse",
        "ServerError",
        "ChatResponse",
        "InvalidRequestError",
        "ChatResponse",
        "ChatResponse"
      ])
    }).pipe(
      Effect.provide(
        against(name, {
          script: [
            { match: "number 1", times: "always", fault: { kind: "status", status: 500 } },
            { match: "number 3", times: "always", fault: { kind: "status", status: 400 } }
          ]
        })
      )
    )
  )

  it.scopedLive("keeps what was answered before a job expired", () =>
    Effect.gen(function* () {
      const requests = prompts(4)
      const outcomes = yield* ProviderBatch.run(requests, quick)
      expect(told(outcomes).slice(0, 2)).toEqual(asked(requests).slice(0, 2))
      for (const outcome of outcomes.slice(2)) {
        expect(Either.isLeft(outcome) && outcome.left._tag).toBe("TimeoutError")
      }
    }).pipe(Effect.provide(against(name, { batches: { takes: "200 millis", expiresAfter: "110 millis" } })))
  )

  it.scopedLive("survives polls that fail, and a job whose creation was not answered is made once", () =>
    Effect.gen(function* () {
      const requests = prompts(5)
      const outcomes = yield* ProviderBatch.run(requests, quick)
      expect(told(outcomes)).toEqual(asked(requests))
      const { creates, lines } = yield* calls
      expect(lines).toHaveLength(5)
      expect(creates).toHaveLength(1)
    }).pipe(
      Effect.provide(
        against(name, {
          batches: { takes: "20 millis" },
          script: [
            { match: subjects[name]?.create ?? "", fault: { kind: "reset" } },
            { match: "GET /", times: 3, fault: { kind: "status", status: 503 } },
            { match: "GET /", times: 2, fault: { kind: "reset" } },
            { match: "GET /", times: 1, fault: { kind: "truncate" } }
          ]
        })
      )
    )
  )
})

describe("ProviderBatch", () => {
  it.scopedLive("mistakes seen in other clients: reads the error file as well as the output file", () =>
    Effect.gen(function* () {
      const { setScript } = yield* Simulator.Simulator
      const fails = (match: string) => ({
        match,
        times: "always" as const,
        fault: { kind: "status" as const, status: 400, code: "context_length_exceeded" }
      })
      yield* setScript([fails("number 1")])
      const mixed = yield* ProviderBatch.run(prompts(3), quick)
      expect(told(mixed)).toEqual(["Question number 0", "context_length_exceeded", "Question number 2"])
      // only an error file
      yield* setScript([fails("number")])
      const none = yield* ProviderBatch.run(prompts(3, 10), quick)
      expect(none.map((outcome) => Either.isLeft(outcome) && outcome.left._tag)).toEqual(
        Array(3).fill("ContextLengthError")
      )
    }).pipe(Effect.provide(against("openai")))
  )

  it.scoped("mistakes seen in other clients: Anthropic says canceling, and is still running then", () =>
    Effect.gen(function* () {
      const requests = prompts(4)
      const [job] = yield* ProviderBatch.submit(requests)
      if (job === undefined) return expect.fail("no job")
      yield* TestClock.adjust("2 hours")
      yield* ProviderBatch.cancel(job)
      expect(yield* ProviderBatch.status(job)).toMatchObject({
        state: "cancelling",
        rawState: "canceling",
        ended: false
      })
      const early = yield* ProviderBatch.results([job], requests)
      expect(told(early)).toEqual(Array(4).fill("NetworkError"))
      yield* TestClock.adjust("1 hour")
      const [ended] = yield* ProviderBatch.wait([job])
      expect(ended).toMatchObject({
        state: "succeeded",
        rawState: "ended",
        succeeded: 1,
        failed: 3,
        ended: true
      })
      expect(told(yield* ProviderBatch.results([job], requests))).toEqual([
        "Question number 0",
        ...Array(3).fill("batch_cancelled")
      ])
    }).pipe(Effect.provide(against("anthropic", { batches: { takes: "6 hours" } })))
  )

  it.scoped.each(["openai", "anthropic", "gemini", "mistral"])(
    "mistakes seen in other clients: an unknown state of %s is running, with a warning",
    (name) =>
      Effect.gen(function* () {
        const requests = prompts(2)
        const said: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => {
          if (logLevel.label === "WARN") said.push(String(message))
        })
        const jobs = yield* ProviderBatch.submit(requests)
        // a job that has just been made is not running yet
        yield* TestClock.adjust("1 second")
        const [ended] = yield* waiting((options) =>
          Effect.provide(ProviderBatch.wait(jobs, options), Logger.add(logger))
        )
        expect(ended?.state).toBe("succeeded")
        const outcomes = yield* ProviderBatch.results(jobs, requests)
        expect(told(outcomes)).toEqual(asked(requests))
        expect(said[0]).toMatch(/TRANSMOGRIFYING.*unknown/)
      }).pipe(
        Effect.provide(against(name, { batches: { takes: "1 hour", runningState: "TRANSMOGRIFYING" } }))
      )
  )

  it.scopedLive(
    "goes on with a job from its handle as JSON, in whatever order and as often as one likes",
    () =>
      Effect.gen(function* () {
        const requests = prompts(5)
        const stored = JSON.stringify(yield* ProviderBatch.submit(requests, { maxRequestsPerJob: 2 }))
        expect(stored).not.toContain("key-0123456789")
        const jobs = yield* Schema.decode(Schema.parseJson(Schema.Array(ProviderBatch.Job)))(stored)
        expect(jobs.map(({ ids }) => ids.length)).toEqual([2, 2, 1])
        const seen: Array<string> = []
        yield* ProviderBatch.wait(jobs, {
          ...quick,
          onStatus: ({ state }) => Effect.sync(() => void seen.push(state))
        })
        expect(seen.slice(-1)).toEqual(["succeeded"])
        const turned = [...requests].reverse()
        expect(told(yield* ProviderBatch.results(jobs, turned))).toEqual(asked(turned))
        const more = [...requests, Chat.prompt("in none of them")]
        expect(told(yield* ProviderBatch.results([...jobs].reverse(), more))).toEqual([
          ...asked(requests),
          "CancelledError"
        ])
        expect((yield* calls).lines).toHaveLength(5)
      }).pipe(Effect.provide(against("openai", { batches: { takes: "50 millis" } }, Cache.layerNone)))
  )

  it.scoped("a run that is stopped goes on with its jobs, and asks anew only for what failed", () =>
    Effect.gen(function* () {
      const jobFile = join(yield* folder, "answers.jobs.jsonl")
      const requests = prompts(4)
      const run = (options: ProviderBatch.WaitOptions = {}) =>
        ProviderBatch.run(requests, { ...options, jobFile })
      const first = yield* Effect.fork(run())
      yield* until(Effect.map(calls, ({ creates }) => creates.length === 1))
      yield* Fiber.interrupt(first)
      expect(readFileSync(jobFile, "utf8")).not.toContain("key-0123456789")

      const outcomes = yield* waiting(run)
      expect(told(outcomes)).toEqual([...asked(requests).slice(0, 2), "batch_expired", "batch_expired"])
      expect((yield* calls).creates).toHaveLength(1)

      const third = yield* waiting(run)
      expect(told(third)).toEqual([...asked(requests).slice(0, 3), "batch_expired"])
      const { creates, lines } = yield* calls
      expect({ jobs: creates.length, lines: lines.length }).toEqual({ jobs: 2, lines: 3 })
    }).pipe(
      Effect.provide(
        against("openai", { batches: { takes: "4 hours", expiresAfter: "130 minutes" } }, Cache.layerNone)
      )
    )
  )

  it.scoped("a job that does not end is given up in the end, with the jobs that go on", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(
        waiting((options) => ProviderBatch.run(prompts(2), { ...options, deadline: "5 hours" }))
      )
      expect(failed).toMatchObject({ reason: "Deadline", jobs: [{ provider: "openai" }] })
    }).pipe(Effect.provide(against("openai", { batches: { takes: "900 days", expiresAfter: "900 days" } })))
  )

  it.scopedLive.each(["openai", "anthropic", "gemini", "mistral"])(
    "%s: a run that died before the answer to its job's creation finds the job, and pays once",
    (name) =>
      Effect.gen(function* () {
        const jobFile = join(yield* folder, "answers.jobs.jsonl")
        const requests = prompts(3)
        yield* ProviderBatch.run(requests, { ...quick, jobFile })
        // all that a `kill -9` just then leaves: the intent, and a line that is torn
        const [head, begin] = readFileSync(jobFile, "utf8").split("\n")
        truncateSync(jobFile, Buffer.byteLength(`${head}\n${begin}\n{"subm`))
        expect(told(yield* ProviderBatch.run(requests, { ...quick, jobFile }))).toEqual(asked(requests))
        expect((yield* calls).creates).toHaveLength(1)

        // and before the creation: there is nothing to be found
        truncateSync(jobFile, Buffer.byteLength(`${head}\n`))
        const others = prompts(2, 50)
        yield* ProviderBatch.run(others, { ...quick, jobFile })
        expect((yield* calls).creates).toHaveLength(2)
        expect((yield* calls).lines).toHaveLength(5)
      }).pipe(Effect.provide(against(name, {}, Cache.layerNone)))
  )

  it.scopedLive("a job that fails as a whole is the error of each of its requests", () =>
    Effect.gen(function* () {
      const outcomes = yield* ProviderBatch.run(prompts(2), quick)
      expect(outcomes.map((outcome) => Either.isLeft(outcome) && outcome.left._tag)).toEqual([
        "RateLimitError",
        "RateLimitError"
      ])
    }).pipe(Effect.provide(against("openai", { batches: { failsWith: "token_limit_exceeded" } })))
  )

  it.scopedLive("a job that is refused is the error of each of its requests", () =>
    Effect.gen(function* () {
      const outcomes = yield* ProviderBatch.run(prompts(2), quick)
      expect(told(outcomes)).toEqual(["invalid_api_key", "invalid_api_key"])
      const failed = yield* Effect.flip(ProviderBatch.submit(prompts(2)))
      expect(failed).toMatchObject({ reason: "NotSubmitted", jobs: [], error: { _tag: "AuthError" } })
    }).pipe(Effect.provide(against("openai", { apiKey: "another" })))
  )

  it.scopedLive("embeddings: each text is a line and a cached answer of its own", () =>
    Effect.gen(function* () {
      const model = "text-embedding-3-small"
      const request = new Embedding({ input: ["a cat", "a dog", "a cat"], model, dimensions: 8 })
      const [outcome] = yield* ProviderBatch.run([request], quick)
      const [plain] = yield* batch([new Embedding({ input: ["a dog", "a bird"], model, dimensions: 8 })])
      expect((yield* calls).lines).toHaveLength(2)
      expect((yield* calls).plain).toHaveLength(1)
      if (outcome === undefined || plain === undefined) return expect.fail("no outcomes")
      const vectors = (yield* outcome).embeddings
      expect(vectors[0]).toEqual(vectors[2])
      expect((yield* plain).embeddings[0]).toEqual(vectors[1])
    }).pipe(Effect.provide(against("openai")))
  )

  it.scopedLive("Gemini: what is too large for one call goes as a file", () =>
    Effect.gen(function* () {
      const outcomes = yield* ProviderBatch.run(prompts(3), quick)
      expect(told(outcomes)).toEqual(asked(prompts(3)))
      const { log } = yield* Simulator.Simulator
      expect((yield* log).filter(({ path }) => /^\/(up|down)load\//.test(path))).toHaveLength(3)
    }).pipe(
      Effect.provide(against("gemini", {}, Cache.layerNone, Providers.layer([Wire.provider(smallGemini)])))
    )
  )

  it.scopedLive("values of a schema are read; what cannot be sent is told, and nothing is", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ name: Schema.String })
      const [typed] = yield* ProviderBatch.run(
        [StructuredOutput.withSchema(Chat.prompt("Who?"), schema)],
        quick
      )
      expect(typed !== undefined && Either.isRight(typed) && typed.right.value.name).toMatch(/^Answer/)
      const { creates } = yield* calls
      const refused = yield* ProviderBatch.run([{ messages: [Message.user("x")], topK: 3 }], quick)
      expect(told(refused)).toEqual(["UnsupportedError"])
      const missed = yield* ProviderBatch.run(prompts(1, 99), { ...quick, cache: "replay" })
      expect(told(missed)).toEqual(["CacheMissError"])
      expect((yield* calls).creates).toHaveLength(creates.length)
      const unknown = yield* Effect.flip(ProviderBatch.run(prompts(1), { endpoint: "elsewhere" }))
      expect(unknown).toMatchObject({ _tag: "ProviderBatchError", reason: "UnknownEndpoint" })
    }).pipe(Effect.provide(against("openai")))
  )

  it.scopedLive("nothing is submitted under a budget, which could not hold", () =>
    Effect.gen(function* () {
      const budgeted = <A, E, R>(ask: Effect.Effect<A, E, R>) =>
        Effect.flip(Effect.provide(ask, Budget.layer("1 USD")))
      const refusal = { _tag: "ProviderBatchError", reason: "Budgeted" }
      expect(yield* budgeted(ProviderBatch.run(prompts(1)))).toMatchObject(refusal)
      expect(yield* budgeted(ProviderBatch.submit(prompts(1)))).toMatchObject(refusal)
    }).pipe(Effect.provide(against("openai")))
  )

  it.scopedLive("a provider without a batch API is an error that says so", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(ProviderBatch.run(prompts(1)))
      expect(failed).toMatchObject({ _tag: "ProviderBatchError", reason: "NoBatchApi" })
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          Layer.provide(Cohere.layer, HttpClientPool.layer()),
          Router.layer({
            endpoints: [{ provider: "cohere", baseUrl: "http://127.0.0.1:9", model: "command" }]
          }),
          Cache.layerNone
        )
      )
    )
  )

  it.scopedLive("asks for equal requests once, and bills them once", () =>
    Effect.gen(function* () {
      const [question] = prompts(1)
      if (question === undefined) return expect.fail("no request")
      const outcomes = yield* ProviderBatch.run([question, question], quick)
      const [first, second] = outcomes.map((outcome) => Either.getOrThrow(outcome).meta)
      expect(first).toMatchObject({ attempts: 1, cached: false })
      expect(first?.cost).toBeGreaterThan(0)
      expect(second).toMatchObject({ attempts: 0, cached: true, cost: 0 })
      expect((yield* calls).lines).toHaveLength(1)
    }).pipe(Effect.provide(against("openai")))
  )

  it.scopedLive("sends the requests of a task to its endpoints alone", () =>
    Effect.gen(function* () {
      const outcomes = yield* ProviderBatch.run(
        [
          Chat.prompt("private", { task: "local" }),
          Chat.prompt("public"),
          Chat.prompt("rerank", { task: "other" })
        ],
        quick
      )
      expect(outcomes.map(Either.map(({ meta }) => meta.endpoint))).toMatchObject([
        Either.right("eu"),
        Either.right("us"),
        { left: { _tag: "UnsupportedError", feature: "batch", message: expect.stringContaining('"other"') } }
      ])
      const elsewhere = yield* ProviderBatch.run([Chat.prompt("private 2", { task: "local" })], {
        ...quick,
        endpoint: "us"
      })
      expect(told(elsewhere)).toEqual(["UnsupportedError"])
      expect((yield* calls).lines).toHaveLength(2)
    }).pipe(
      Effect.provide(
        Layer.unwrapEffect(
          Effect.map(Simulator.Simulator, ({ urls }) => {
            const endpoint = {
              provider: "openai",
              baseUrl: urls["openai"] ?? "",
              apiKey: Redacted.make("key-0123456789abcdefghij"),
              model: "gpt-4o-mini"
            }
            return Layer.mergeAll(
              Layer.provide(Providers.layer([OpenAi.make, Cohere.make]), HttpClientPool.layer()),
              Router.layer({
                endpoints: [
                  { ...endpoint, id: "us" },
                  { ...endpoint, id: "eu" },
                  { provider: "cohere", id: "co", baseUrl: "http://127.0.0.1:9", model: "command" }
                ],
                tasks: { local: { endpoints: ["eu"] }, other: { endpoints: ["co"] } }
              }),
              Cache.layerNone
            )
          })
        ).pipe(Layer.provideMerge(Layer.orDie(Simulator.layer())))
      )
    )
  )

  it("jobs hold no more than allowed, one model each, and every line once, in order", () => {
    const endpoint = Endpoint.make({ provider: "openai", baseUrl: "http://127.0.0.1:9" })
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(
          FastCheck.tuple(FastCheck.integer({ min: 1, max: 60 }), FastCheck.constantFrom("a", "b"))
        ),
        FastCheck.integer({ min: 1, max: 5 }),
        (lines, maxRequests) => {
          const target = { endpoint, batches: { maxRequests: 4, maxBytes: 100 } as never }
          const units = lines.map(([bytes, model], n) => {
            const prepared = { model, path: "/chat/completions", body: "", read: () => expect.fail() }
            return {
              id: String(n),
              key: "",
              request: prompts(1)[0] as Chat,
              check: undefined,
              target,
              prepared,
              bytes
            }
          })
          const chunks = Plan.chunks(units, maxRequests)
          for (const chunk of chunks) {
            expect(chunk.length).toBeLessThanOrEqual(Math.min(4, maxRequests))
            expect(chunk.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(100)
            expect(new Set(chunk.map(({ prepared }) => prepared.model)).size).toBe(1)
          }
          for (const model of ["a", "b"]) {
            const own = ({ prepared }: Plan.Unit) => prepared.model === model
            expect(chunks.flat().filter(own)).toEqual(units.filter(own))
          }
        }
      )
    )
  })
})
