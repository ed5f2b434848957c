import { mkdtempSync, rmSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { batch, Chat, Checkpoint, Mock } from "floodgate"
import * as AppendLog from "../src/internal/appendLog.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "append-log-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const told = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.exit(effect), Exit.match({ onSuccess: () => "written", onFailure: String }))

it.scoped("a defect while lines are written is the error of all who append, at once and later", () =>
  Effect.gen(function* () {
    const path = join(yield* folder, "log")
    const open = Effect.promise(async () => ({ handle: await fs.open(path, "w"), size: 0 }))
    const log = yield* AppendLog.make({ path, size: 0, open })
    const bug = (): never => {
      throw new Error("a bug")
    }
    expect(yield* told(log.append("one", () => {}))).toBe("written")
    const both = yield* Effect.all([told(log.append("two", bug)), told(log.append("three", () => {}))], {
      concurrency: 2
    })
    for (const end of [...both, yield* told(log.append("four", () => {})), yield* told(log.close)]) {
      expect(end).toContain("CheckpointError")
      expect(end).toContain("a bug")
    }
  })
)

it.scoped("what a run spent, and could not be written down at its end, is told", () =>
  Effect.gen(function* () {
    const out = join(yield* folder, "out.jsonl")
    const warnings: Array<string> = []
    const logger = Logger.make(({ message }) => void warnings.push(String(message)))
    yield* Effect.flatMap(Checkpoint.Checkpoint, ({ account, begin }) =>
      Effect.gen(function* () {
        yield* begin("key")
        account(() => {
          throw new Error("no sums")
        })
      })
    ).pipe(
      Effect.provide(Checkpoint.layerFile(out)),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
    expect(warnings).toEqual([`${out}: what this run spent last was not written down`])
  })
)

it.scoped("what a batch with a budget spent, and could not be written down, is told", () =>
  Effect.gen(function* () {
    const out = join(yield* folder, "out.jsonl")
    const warnings: Array<string> = []
    const logger = Logger.make(({ message }) => void warnings.push(String(message)))
    let isOver = false
    const full = new Checkpoint.CheckpointError({ reason: "Io", path: out, message: "the disk is full" })
    const checkpoint = Layer.map(Checkpoint.layerFile(out), (services) => {
      const real = Context.get(services, Checkpoint.Checkpoint)
      const write: typeof real.spending.write = (given) =>
        Effect.suspend(() => (isOver ? Effect.fail(full) : real.spending.write(given)))
      return Context.make(Checkpoint.Checkpoint, {
        ...real,
        spending: { ...real.spending, write },
        seal: (total) => Effect.tap(real.seal(total), () => Effect.sync(() => (isOver = true)))
      })
    })
    const outcomes = yield* batch([Chat.prompt("q", { maxTokens: 10 })], {
      checkpoint,
      budget: { tokens: 10_000 }
    }).pipe(
      Effect.provide(Mock.layer(() => "yes")),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
    expect(outcomes.map(({ _tag }) => _tag)).toEqual(["Right"])
    expect(warnings).toEqual([
      "What the run spent in the end was not written down: the next counts some more"
    ])
  })
)

it.scoped("what a run fails with, as its files cannot be written, is not said twice", () =>
  Effect.gen(function* () {
    const root = yield* folder
    const warnings: Array<string> = []
    const logger = Logger.make(({ message }) => void warnings.push(String(message)))
    const failed = yield* Effect.flatMap(Checkpoint.Checkpoint, ({ begin, finish }) =>
      Effect.gen(function* () {
        yield* begin("key")
        rmSync(root, { recursive: true })
        const row = { index: 0, custom_id: null, status: "success", response: {}, meta: { key: "key" } }
        yield* finish("key", 0, JSON.stringify(row))
      })
    ).pipe(
      Effect.provide(Checkpoint.layerFile(join(root, "out.jsonl"))),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Effect.flip
    )
    expect(failed._tag).toBe("CheckpointError")
    expect(warnings).toEqual([])
  })
)
