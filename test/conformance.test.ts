/**
 * One suite for all providers, over the simulator: what each can do, what becomes of what goes wrong, and what it costs.
 * The table of features in the README is written by it: `FLOODGATE_WRITE_TABLE=1 npx vitest run test/conformance.test.ts`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Struct from "effect/Struct"
import { Chat, collect, complete, LlmError, type Response, stream } from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { apart, asBilled, tokenKinds, used } from "./conformance/bill.js"
import { features, once, weather } from "./conformance/features.js"
import { hintCases } from "./conformance/hints.js"
import {
  apiKey,
  type Subject,
  servers,
  services,
  subjects,
  usuallyTold,
  vendors
} from "./conformance/subjects.js"

const simulator = Simulator.layer({
  contextWindow: 400_000,
  cachedShare: 0.5,
  reasoningTokens: { kind: "uniform", min: 5, max: 20 },
  apiKey
})

/** What was seen, by provider and feature. */
const seen = new Map<string, Map<string, boolean>>()

const pixel = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64"
)
const media = createServer((_, response) => {
  response.writeHead(200, { "content-type": "image/png" })
  response.end(pixel)
})
beforeAll(
  () =>
    new Promise<void>((resolve) =>
      media.listen(0, "127.0.0.1", () => {
        process.env["FLOODGATE_TEST_MEDIA"] = `http://127.0.0.1:${(media.address() as AddressInfo).port}`
        resolve()
      })
    )
)
afterAll(() => media.close())

/** The faults of the wire, and the errors they are to become. */
const failures: ReadonlyArray<
  readonly [fault: Simulator.Fault, tags: ReadonlyArray<LlmError.LlmError["_tag"]>]
> = [
  [{ kind: "status", status: 400 }, ["InvalidRequestError"]],
  [{ kind: "status", status: 402 }, ["QuotaExhaustedError"]],
  [{ kind: "status", status: 429, code: "insufficient_quota" }, ["QuotaExhaustedError", "RateLimitError"]],
  [{ kind: "status", status: 403 }, ["PermissionError"]],
  [{ kind: "status", status: 404 }, ["NotFoundError"]],
  [{ kind: "status", status: 408 }, ["TimeoutError"]],
  [{ kind: "status", status: 409 }, ["ConflictError"]],
  [{ kind: "status", status: 413 }, ["RequestTooLargeError"]],
  [{ kind: "status", status: 429, retryAfter: "3 seconds" }, ["RateLimitError", "OverloadedError"]],
  [{ kind: "status", status: 500 }, ["ServerError"]],
  [{ kind: "status", status: 502 }, ["ServerError"]],
  [{ kind: "status", status: 503 }, ["OverloadedError"]],
  [{ kind: "status", status: 504 }, ["TimeoutError"]],
  [{ kind: "status", status: 529 }, ["OverloadedError"]],
  [{ kind: "reset" }, ["NetworkError"]],
  [{ kind: "truncate" }, ["NetworkError"]],
  [{ kind: "malformed" }, ["NetworkError"]],
  [{ kind: "errorBody" }, ["ServerError", "OverloadedError", "NetworkError"]]
]

const hi = Chat.prompt("Hi")

/** A test with a simulator of its own. */
const shows = <E>(name: string, effect: Effect.Effect<void, E, Simulator.Simulator>): void =>
  it.live(name, () => Effect.provide(effect, simulator))

const suite = (subject: Subject) =>
  describe(subject.title, () => {
    for (const feature of features) {
      if (!feature.applies(subject)) continue
      shows(
        feature.name,
        Effect.gen(function* () {
          const shown = yield* Effect.either(Effect.provide(feature.show(subject), services(subject)))
          const here = seen.get(subject.title) ?? new Map<string, boolean>()
          seen.set(subject.title, here)
          if (Either.isRight(shown)) {
            here.set(feature.name, true)
            return
          }
          expect(shown.left).toMatchObject({ _tag: "UnsupportedError" })
          here.set(feature.name, false)
        })
      )
    }

    if (subject.chat === undefined) return

    shows(
      "turns each failure into its error, with the server's hint",
      Effect.gen(function* () {
        const { setFaults } = yield* Simulator.Simulator
        for (const [fault, tags] of failures) {
          yield* setFaults([{ ...fault, rate: 1 }])
          const error = yield* Effect.flip(Effect.provide(complete(hi, once), services(subject)))
          expect(tags, JSON.stringify(fault)).toContain(error._tag)
          expect(error.provider).toBe(subject.provider)
          if (fault.kind === "status" && fault.retryAfter !== undefined) {
            expect(Duration.toMillis(LlmError.waitHint(error))).toBeGreaterThanOrEqual(3_000)
          }
        }
        yield* setFaults([{ kind: "stall", rate: 1 }])
        const late = yield* Effect.flip(
          Effect.provide(complete(hi, { ...once, timeout: "100 millis" }), services(subject))
        )
        expect(late._tag).toBe("TimeoutError")
        yield* setFaults([])
      })
    )

    shows(
      "knows a bad key, a prompt that is too long, a filter, a refusal, and an answer that is none",
      Effect.gen(function* () {
        const { setFaults } = yield* Simulator.Simulator
        if (subject.provider !== "vertex") {
          const denied = yield* Effect.flip(
            Effect.provide(complete(hi, once), services(subject, "key-that-is-wrong-0123"))
          )
          expect(denied._tag).toBe("AuthError")
          expect(JSON.stringify(denied)).not.toContain("key-that-is-wrong")
        }
        const tooLong = Chat.prompt("word ".repeat(400_000))
        // Ollama cuts such prompts without a word
        if (subject.provider !== "ollama") {
          const long = yield* Effect.flip(Effect.provide(complete(tooLong, once), services(subject)))
          expect(long._tag).toBe("ContextLengthError")
        }
        for (const kind of ["contentFilter", "refusal"] as const) {
          yield* setFaults([{ kind, rate: 1 }])
          const given = yield* Effect.provide(
            Effect.all([complete(hi, once), collect(stream(hi, once))], { mode: "either" }),
            services(subject)
          )
          for (const answer of given) {
            if (Either.isLeft(answer)) expect(answer.left._tag).toBe("ContentFilterError")
            // their wires have no word for it: a model that will not answer says so, as any answer is said
            else if (subject.provider === "mistral" || subject.provider === "cohere") {
              expect(answer.right).toMatchObject({
                finishReason: "stop",
                text: expect.stringMatching(/sorry/)
              })
            } else expect(answer.right.finishReason).toBe("content_filter")
          }
        }
        yield* setFaults([{ kind: "empty", rate: 1 }])
        const empty = yield* Effect.either(Effect.provide(complete(hi, once), services(subject)))
        expect(Either.getOrThrow(empty).text).toBe("")
        yield* setFaults([])
      })
    )

    shows(
      "streams calls and thoughts as it answers them, and knows a stream that fails midway",
      Effect.gen(function* () {
        const { setFaults } = yield* Simulator.Simulator
        yield* Effect.provide(
          Effect.gen(function* () {
            const insists = subject.choosesTools !== false
            const tools = { tools: [weather], ...(insists ? { toolChoice: "required" as const } : undefined) }
            const called = yield* collect(stream(Chat.prompt("Oslo?", tools), once))
            if (insists) {
              expect(called).toMatchObject({ finishReason: "tool_calls", toolCalls: [{ name: "weather" }] })
              expect(called.toolCalls[0]).not.toHaveProperty("invalid")
            }
            const model = subject.thinker ?? subject.chat
            const question = Chat.prompt("Why?", { model, thinking: "high", unsupported: "drop" })
            const plain = yield* complete(question, once)
            const streamed = yield* collect(stream(question, once))
            const thoughts = ({ reasoning = "", text, usage }: Response.ChatResponse) => ({
              thinks: reasoning !== "",
              counts: (usage.reasoningTokens ?? 0) > 0,
              says: text !== ""
            })
            expect(thoughts(streamed)).toEqual(thoughts(plain))
            yield* setFaults([{ kind: "truncate", rate: 1 }])
            const cut = yield* Effect.flip(collect(stream(hi, once)))
            expect(cut._tag).toBe("NetworkError")
            yield* setFaults([{ kind: "errorBody", rate: 1 }])
            const failed = yield* Effect.flip(collect(stream(hi, once)))
            expect(["ServerError", "OverloadedError"]).toContain(failed._tag)
          }),
          services(subject)
        )
      })
    )

    shows(
      "takes any text, and a prompt of a megabyte",
      Effect.gen(function* () {
        const odd = 'naïve café 東京 🏳️‍🌈 \u0000 \\ " </script> \ud7ff'
        const [first, second] = yield* Effect.provide(
          Effect.all([complete(Chat.prompt(odd), once), complete(Chat.prompt("x".repeat(1_000_000)), once)]),
          services(subject)
        )
        expect(first.text).not.toBe("")
        expect(second.usage.inputTokens).toBeGreaterThan(200_000)
      })
    )

    shows(
      "waits as it is told, in whichever way",
      Effect.gen(function* () {
        const { setFaults } = yield* Simulator.Simulator
        for (const { applies, hint, least, meant, most } of hintCases) {
          if (!applies(subject)) continue
          yield* setFaults([{ kind: "status", status: 429, hint, retryAfter: meant, rate: 1 }])
          const error = yield* Effect.flip(Effect.provide(complete(hi, once), services(subject)))
          expect(["RateLimitError", "OverloadedError"]).toContain(error._tag)
          const wait = Duration.toMillis(LlmError.waitHint(error))
          expect(wait, hint).toBeGreaterThanOrEqual(least(subject))
          expect(wait, hint).toBeLessThanOrEqual(most(subject))
        }
        yield* setFaults([])
      })
    )

    shows(
      "counts usage as the bill does",
      Effect.gen(function* () {
        const { reset, stats } = yield* Simulator.Simulator
        yield* reset
        const usage = yield* Effect.provide(used(subject), services(subject))
        const bill = yield* stats
        expect(asBilled(usage)).toEqual(Struct.pick(bill, ...tokenKinds))
        expect(usage.estimated).toBeUndefined()
        // nor is it all zeros: what the provider tells apart was there to be told
        const told = tokenKinds.filter((kind) => apart.has(kind) && bill[kind] > 0)
        expect(told).toEqual(subject.tells ?? usuallyTold)
      })
    )
  })

for (const subject of subjects) suite(subject)

const start = "<!-- providers -->\n"
const end = "<!-- /providers -->"

const tableOf = (group: ReadonlyArray<Subject>): string => {
  const titles = group.map(({ title }) => title)
  const mark = (title: string, feature: string): string => {
    const shown = seen.get(title)?.get(feature)
    return shown === undefined ? "" : shown ? "✓" : "–"
  }
  const rows = features.map(
    ({ name }) => `| ${name} | ${titles.map((title) => mark(title, name)).join(" | ")} |`
  )
  return [`| | ${titles.join(" | ")} |`, `| --- |${" --- |".repeat(titles.length)}`, ...rows, ""].join("\n")
}

const table = (): string =>
  `${tableOf(vendors)}\nThe same of servers that speak OpenAI's wire:\n\n${tableOf(servers)}`

const compact = (text: string): string => text.replace(/[ -]+/g, " ").trim()

it("has its table of features in the README", () => {
  // only where all of the suite was run
  if (seen.size < subjects.length) return
  const file = new URL("../README.md", import.meta.url)
  const readme = readFileSync(file, "utf8")
  const from = readme.indexOf(start)
  const to = readme.indexOf(end)
  expect(from).toBeGreaterThan(0)
  if (process.env["FLOODGATE_WRITE_TABLE"] === "1") {
    writeFileSync(file, `${readme.slice(0, from + start.length)}\n${table()}\n${readme.slice(to)}`)
    return
  }
  expect(compact(readme.slice(from + start.length, to))).toBe(compact(table()))
})
