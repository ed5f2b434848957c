import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { parse } from "csv-parse/sync"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import {
  batch,
  Cache,
  CallLog,
  Chat,
  Checkpoint,
  complete,
  Ledger,
  LlmError,
  Mock,
  Prices,
  Retry,
  StructuredOutput
} from "floodgate"
import type { AttemptEvent } from "../src/internal/observe.js"
import * as Observe from "../src/internal/observe.js"

const folder = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "floodgate-calls-"))),
    (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
  ),
  (root) => (name: string) => join(root, name)
)

const decode = Schema.decodeUnknownSync(CallLog.Line)

const linesOf = (path: string): ReadonlyArray<CallLog.Line> =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => decode(JSON.parse(line)))

const prices = Prices.layer({ add: { "mock/mock": { input: 1_000_000, output: 0 } } })

const prompt = ({ messages }: Chat): string => String(messages[0]?.content)

describe("an observer that throws", () => {
  it.effect("fails no request, and hides nothing from the others; its cause is logged once", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.make(
        ({ cause, message }) => void logged.push(`${message} ${Cause.pretty(cause)}`)
      )
      const told: Array<string> = []
      const bug = (): never => {
        throw new Error("a bug")
      }
      const broken = Layer.merge(
        Observe.add({ attempt: bug, wasted: bug, request: bug, abandoned: bug }),
        Observe.add({ within: Effect.dieMessage("no observer") })
      )
      const well = Observe.add({
        attempt: ({ outcome }) => void told.push(outcome),
        request: ({ outcome }) => void told.push(`request ${outcome}`)
      })
      const services = Mock.layer(() => "answer")
      const run = Effect.zip(complete(Chat.prompt("one")), batch([Chat.prompt("two")]))
      const [one, two] = yield* run.pipe(
        Effect.provide(Layer.mergeAll(broken, well, services)),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      expect(one.text).toBe("answer")
      expect(two.map(({ _tag }) => _tag)).toEqual(["Right"])
      expect(told).toEqual(["answered", "request answered", "answered", "request answered"])
      expect(logged.map((line) => line.split("\n")[0]).sort()).toEqual([
        "An observer failed: what it tells of requests may be incomplete Error: a bug",
        "An observer failed: what it tells of requests may be incomplete RuntimeException: no observer"
      ])
    })
  )
})

describe("a call log", () => {
  it.scoped("has a line for each attempt, and for each answer that took none", () =>
    Effect.gen(function* () {
      const path = yield* folder
      let failures = 0
      const run = batch(
        [
          Chat.prompt("plain", { id: "a" }),
          Chat.prompt("plain"),
          Chat.prompt("flaky"),
          Chat.prompt("refused")
        ],
        {
          concurrency: 1,
          retry: Retry.make({ maxRetries: 2, base: "1 millis" }),
          checkpoint: Checkpoint.layerFile(path("out.jsonl"))
        }
      )
      const services = Layer.mergeAll(
        Mock.layer((chat) => {
          if (prompt(chat) === "flaky" && failures++ === 0) {
            return Effect.fail(
              new LlmError.OverloadedError({ provider: "mock", message: "busy", status: 503 })
            )
          }
          return prompt(chat) === "refused"
            ? Effect.fail(
                new LlmError.ContentFilterError({ provider: "mock", message: "no", requestId: "r" })
              )
            : "yes"
        }),
        Cache.layerMemory(),
        prices,
        Ledger.layer
      )
      const costOf = Effect.gen(function* () {
        yield* run
        return Prices.toDollars(yield* (yield* Ledger.Ledger).cost)
      })
      const cost = yield* costOf.pipe(
        Effect.provide(Layer.merge(services, CallLog.layerFile(path("calls.jsonl")))),
        Effect.fork,
        Effect.tap(TestClock.adjust("1 minute")),
        Effect.flatMap(Fiber.join)
      )
      const lines = linesOf(path("calls.jsonl"))
      const { key } = lines[0] ?? {}
      expect(lines).toMatchObject([
        {
          id: "a",
          origin: "call",
          endpoint: "mock/mock",
          provider: "mock",
          model: "mock",
          outcome: "answered",
          attempt: 1,
          hedge: false,
          wasted: false,
          inputTokens: 1,
          outputTokens: 1,
          cost: 1,
          unpriced: false,
          prompt: "plain"
        },
        { key, origin: "store", outcome: "answered", attempt: 0, saved: 1, prompt: "plain" },
        { outcome: "OverloadedError", status: 503, attempt: 1, error: "busy", prompt: "flaky" },
        { outcome: "answered", attempt: 2, prompt: "flaky" },
        { outcome: "ContentFilterError", attempt: 1, requestId: "r", error: "no" }
      ])
      expect(key).toMatch(/^[\w-]{43}$/)
      expect(lines.reduce((sum, line) => sum + (line.cost ?? 0), 0)).toBe(cost)

      // the file goes on, and what an earlier run answered is told as that
      yield* run.pipe(Effect.provide(Layer.merge(services, CallLog.layerFile(path("calls.jsonl")))))
      expect(linesOf(path("calls.jsonl")).slice(5)).toMatchObject([
        { key, origin: "checkpoint", outcome: "answered", attempt: 0 },
        { origin: "checkpoint" },
        { origin: "checkpoint" },
        { origin: "call", outcome: "ContentFilterError" }
      ])
    })
  )

  it.scoped("says of an answer that it was wasted", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const Even = Schema.Struct({ n: Schema.Int.pipe(Schema.filter((n) => n % 2 === 0)) })
      let calls = 0
      yield* complete(StructuredOutput.withSchema(Chat.prompt("?"), Even, { corrections: 1 })).pipe(
        Effect.provide(
          Layer.merge(
            Mock.layer(() => (calls++ === 0 ? `{"n":1}` : `{"n":2}`)),
            CallLog.layerFile(path("calls.jsonl"))
          )
        )
      )
      expect(linesOf(path("calls.jsonl"))).toMatchObject([
        { attempt: 1, wasted: true, outcome: "answered" },
        { attempt: 2, wasted: false, outcome: "answered" }
      ])
    })
  )

  it.scoped("says so in a line without cost where that of the answer is written already", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const event = {
        ...{ at: 0, latencyMs: 5, endpoint: "e", provider: "mock", model: "mock", outcome: "answered" },
        ...{ request: Chat.prompt("?"), attempt: 1, hedge: true, requestId: "r" },
        ...{ usage: { inputTokens: 1, outputTokens: 1 }, cost: 1_000_000_000_000n }
      } as AttemptEvent
      yield* Effect.gen(function* () {
        const observer = yield* Observe.observer
        observer?.attempt?.(event)
        yield* TestClock.adjust("5 seconds")
        expect(linesOf(path("calls.jsonl"))).toMatchObject([{ wasted: false, cost: 1 }])
        observer?.wasted?.(event)
      }).pipe(Effect.provide(CallLog.layerFile(path("calls.jsonl"))))
      const [, late] = linesOf(path("calls.jsonl"))
      expect(late).toMatchObject({ attempt: 1, wasted: true, outcome: "wasted", requestId: "r" })
      expect(late?.cost ?? late?.inputTokens).toBeUndefined()
    })
  )

  it.scoped("writes CSV that spreadsheets read, below one line of names", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const ask = (text: string) =>
        complete(Chat.prompt(text)).pipe(
          Effect.provide(
            Layer.mergeAll(
              Mock.layer(() => "yes"),
              prices,
              CallLog.layerFile(path("calls.csv"))
            )
          )
        )
      yield* ask('=1+1, "quoted"\nover  lines')
      yield* ask("second")
      // a run that was killed in mid-write
      writeFileSync(path("calls.csv"), `${readFileSync(path("calls.csv"), "utf8")}2026-01-01T`)
      yield* ask("third")
      const rows: ReadonlyArray<Record<string, string>> = parse(readFileSync(path("calls.csv")), {
        columns: true,
        relax_column_count: true
      })
      expect(rows.map(({ prompt }) => prompt)).toEqual([
        `'=1+1, "quoted" over lines`,
        "second",
        undefined,
        "third"
      ])
      expect(rows[0]).toMatchObject({
        outcome: "answered",
        attempt: "1",
        wasted: "false",
        cost: "1",
        inputTokens: "1"
      })
    })
  )

  it.scoped("shows as much of a prompt as is asked for, redacted before it is cut", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const ask = (name: string, options: CallLog.Options) =>
        complete(Chat.prompt(`${"word ".repeat(6)}me@example.com and more`)).pipe(
          Effect.provide(
            Layer.merge(
              Mock.layer(() => "yes"),
              CallLog.layerFile(path(name), options)
            )
          ),
          Effect.map(() => linesOf(path(name))[0]?.prompt)
        )
      expect(yield* ask("1", {})).toBe("word word word word word word me@example.com and more")
      expect(yield* ask("2", { prompt: 10 })).toBe("word word…")
      expect(yield* ask("3", { prompt: false })).toBeUndefined()
      // cut in the middle of the address, it would no longer be one
      expect(yield* ask("4", { prompt: 34, redact: (text) => text.replace(/\S+@\S+\.com/g, "X") })).toBe(
        "word word word word word word X a…"
      )
      const broken = () => {
        throw new Error("no")
      }
      expect(yield* ask("5", { redact: broken })).toBe("(left out: it could not be redacted)")
    })
  )

  it.scoped("is one warning and no more where its file cannot be written, or is something else", () =>
    Effect.gen(function* () {
      const path = yield* folder
      mkdirSync(path("folder"))
      writeFileSync(path("notes.txt"), "my notes\n")
      const warnings: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void warnings.push(String(message)))
      )
      for (const name of ["folder", "notes.txt"]) {
        const outcomes = yield* batch([Chat.prompt("1"), Chat.prompt("2")]).pipe(
          Effect.provide(
            Layer.merge(
              Mock.layer(() => "yes"),
              CallLog.layerFile(path(name))
            )
          ),
          Effect.provide(logger)
        )
        expect(outcomes).toHaveLength(2)
      }
      expect(warnings).toEqual([
        expect.stringMatching(/^Calls are not written down in .*folder: EISDIR/),
        expect.stringMatching(/notes\.txt: it is there, and is no call log of this format$/)
      ])
      expect(readFileSync(path("notes.txt"), "utf8")).toBe("my notes\n")
      expect(yield* CallLog.fault(path("notes.txt"))).toBe("it is there, and is no call log of this format")
      expect(yield* CallLog.fault(path("new.csv"))).toBeUndefined()
    })
  )
})
