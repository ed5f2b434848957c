import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Checkpoint from "../src/Checkpoint.js"

const output = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "checkpoint-lock-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
).pipe(Effect.map((folder) => ({ folder, out: join(folder, "out.jsonl") })))

const open = (out: string) => Layer.build(Checkpoint.layerFile(out))

const deadPid = () => spawnSync(process.execPath, ["-e", ""]).pid

const owner = (fields: object) =>
  JSON.stringify({ nonce: "n1", host: hostname(), pid: deadPid(), started: "", since: "2020", ...fields })

it.scoped("the second of two runs on one output stops, and may run after the first", () =>
  Effect.gen(function* () {
    const { folder, out } = yield* output
    const link = join(folder, "link.jsonl")
    writeFileSync(out, "")
    symlinkSync(out, link)
    const first = yield* Scope.make()
    yield* Scope.extend(open(out), first)
    for (const name of [out, link]) {
      const error = yield* Effect.flip(Effect.scoped(open(name)))
      expect(error.reason).toBe("Locked")
      expect(error.message).toContain(`process ${process.pid}`)
    }
    yield* Scope.close(first, Exit.void)
    yield* Effect.scoped(open(out))
    expect(readdirSync(folder).sort()).toEqual(["link.jsonl", "out.jsonl"])
  })
)

it.scoped("the lock of a dead process is taken over, by one run only", () =>
  Effect.gen(function* () {
    const { folder, out } = yield* output
    for (let round = 0; round < 20; round++) {
      writeFileSync(`${out}.lock`, owner({ nonce: `n${round}` }))
      const all = yield* Scope.make()
      const results = yield* Effect.forEach(
        Array.from({ length: 8 }),
        () => Effect.either(Scope.extend(open(out), all)),
        {
          concurrency: "unbounded"
        }
      )
      expect(results.filter(Either.isRight).length).toBe(1)
      for (const result of results) if (Either.isLeft(result)) expect(result.left.reason).toBe("Locked")
      yield* Scope.close(all, Exit.void)
      expect(readdirSync(folder)).toEqual([])
    }
  })
)

it.scoped("a take-over that died halfway is taken over too", () =>
  Effect.gen(function* () {
    const { folder, out } = yield* output
    writeFileSync(`${out}.lock`, owner({ nonce: "n1" }))
    writeFileSync(`${out}.lock.n1`, owner({ nonce: "n2" }))
    yield* Effect.scoped(open(out))
    expect(readdirSync(folder)).toEqual([])
  })
)

it.scoped.skipIf(process.platform !== "linux")("a pid that was used again is not taken for the owner", () =>
  Effect.gen(function* () {
    const { out } = yield* output
    writeFileSync(`${out}.lock`, owner({ pid: process.pid, started: "another boot:1" }))
    yield* Effect.scoped(open(out))
  })
)

it.scoped("a lock of another host, or one that cannot be read, is respected and explained", () =>
  Effect.gen(function* () {
    const { out } = yield* output
    for (const text of [owner({ host: "elsewhere" }), "what is this"]) {
      writeFileSync(`${out}.lock`, text)
      const error = yield* Effect.flip(Effect.scoped(open(out)))
      expect(error.reason).toBe("Locked")
      expect(error.message).toContain("delete")
      expect(readFileSync(`${out}.lock`, "utf8")).toBe(text)
    }
  })
)
