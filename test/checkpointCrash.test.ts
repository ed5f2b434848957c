import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { build } from "esbuild"
import * as Checkpoint from "../src/Checkpoint.js"

const folder = mkdtempSync(join(tmpdir(), "checkpoint-crash-"))
const program = join(folder, "child.mjs")

const line = (index: number) =>
  JSON.stringify({
    index,
    custom_id: null,
    status: "success",
    response: "x".repeat(index % 3000),
    meta: { key: `k${index}` }
  })

/** A run of `total` rows that says on stdout what it has begun and what was reported durable. */
const child = `
import { writeSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Checkpoint from "./src/Checkpoint.js"
const [, , out, total] = process.argv
const line = (index) =>
  JSON.stringify({ index, custom_id: null, status: "success", response: "x".repeat(index % 3000), meta: { key: "k" + index } })
// whoever reads it may stand still for longer than a pipe can take
const say = (text) => {
  let left = Buffer.from(text)
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(1, left))
    } catch (error) {
      if (error.code !== "EAGAIN") throw error
    }
  }
}
Effect.flatMap(Checkpoint.Checkpoint, ({ begin, finish, found, keep, restore, seal }) =>
  Effect.gen(function* () {
    say("unknown " + found.unknown.join(",") + "\\n")
    yield* Effect.forEach(Array.from({ length: Number(total) }, (_, index) => index), (index) =>
      Effect.gen(function* () {
        const stored = yield* restore("k" + index)
        if (Option.isSome(stored)) return yield* keep(stored.value, index)
        yield* begin("k" + index)
        say("begun " + index + "\\n")
        yield* Effect.sleep(index % 7)
        yield* finish("k" + index, index, line(index))
        say("durable " + index + "\\n")
      }), { concurrency: 64, discard: true })
    yield* seal(Number(total))
    say("sealed 0\\n")
  })
).pipe(
  Effect.provide(Checkpoint.layerFile(out)),
  Effect.catchTag("CheckpointError", (error) => Effect.sync(() => say("failed " + error.reason + " " + error.message + "\\n"))),
  Effect.runPromise
)
`

beforeAll(() =>
  build({
    stdin: { contents: child, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: program,
    logLevel: "error"
  })
)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Said {
  readonly what: string
  readonly about: string
}

/** Runs the child; kills it after `killAfter` durable rows. */
const runChild = (options: { out: string; total: number; killAfter?: number; limitBlocks?: number }) =>
  Effect.async<ReadonlyArray<Said>>((resume) => {
    const args = [program, options.out, String(options.total)]
    const running =
      options.limitBlocks === undefined
        ? spawn(process.execPath, args)
        : // Writes past the limit fail with EFBIG, in the middle of a line, as on a full disk with ENOSPC.
          spawn("sh", [
            "-c",
            `trap '' XFSZ; ulimit -f ${options.limitBlocks}; exec "$0" "$@"`,
            process.execPath,
            ...args
          ])
    let text = ""
    let durable = 0
    running.stderr.pipe(process.stderr)
    running.stdout.on("data", (data) => {
      text += data
      durable += String(data).split("durable").length - 1
      if (durable >= (options.killAfter ?? Number.POSITIVE_INFINITY)) running.kill("SIGKILL")
    })
    running.on("close", () => {
      const lines = text.split("\n").slice(0, -1)
      resume(
        Effect.succeed(
          lines.map((said) => ({
            what: said.split(" ", 1)[0] ?? "",
            about: said.slice(said.indexOf(" ") + 1)
          }))
        )
      )
    })
  })

const about = (said: ReadonlyArray<Said>, what: string) =>
  said.filter((one) => one.what === what).map((one) => one.about)

it.live(
  "whatever was reported finished is there after kill -9, and the calls in flight are known by name",
  () =>
    Effect.gen(function* () {
      const out = join(folder, "killed.jsonl")
      const total = 4000
      const durable = new Set<string>()
      let inFlight: ReadonlySet<string> = new Set()
      for (let kill = 0; kill < 10; kill++) {
        const said = yield* runChild({ out, total, killAfter: 40 + kill * 37 })
        expect(about(said, "failed")).toEqual([])
        const unknown = new Set(
          about(said, "unknown")[0]
            ?.split(",")
            .filter((key) => key !== "")
        )
        // A row may have become durable, or an intent, in the moment before it could be said.
        for (const key of unknown) expect(durable.has(key.slice(1))).toBe(false)
        const stored = new Set(
          readFileSync(out, "utf8")
            .split("\n")
            .slice(0, -1)
            .map((text) => String(JSON.parse(text).index))
        )
        for (const index of inFlight) expect(stored.has(index) || unknown.has(`k${index}`)).toBe(true)
        for (const index of about(said, "begun")) expect(durable.has(index)).toBe(false)
        for (const index of about(said, "durable")) durable.add(index)
        for (const index of durable) expect(stored.has(index)).toBe(true)
        inFlight = new Set(about(said, "begun").filter((index) => !durable.has(index)))
      }
      const last = yield* runChild({ out, total })
      expect(about(last, "failed")).toEqual([])
      expect(about(last, "sealed")).toEqual(["0"])
      for (const index of about(last, "begun")) expect(durable.has(index)).toBe(false)
      expect(readFileSync(out, "utf8")).toBe(
        Array.from({ length: total }, (_, index) => `${line(index)}\n`).join("")
      )
      expect(readdirSync(folder).filter((name) => name.startsWith("killed"))).toEqual(["killed.jsonl"])
    }),
  120_000
)

it.live.skipIf(process.platform === "win32")(
  "a disk that takes no more stops the run with a clear error, and a later run loses nothing",
  () =>
    Effect.gen(function* () {
      const out = join(folder, "full.jsonl")
      const said = yield* runChild({ out, total: 1000, limitBlocks: 512 })
      const [error = ""] = about(said, "failed")
      expect(error).toMatch(/^Io cannot write .*full\.jsonl: .*run again/)
      const durable = new Set(about(said, "durable"))
      expect(durable.size).toBeGreaterThan(50)
      const rest = yield* runChild({ out, total: 1000 })
      for (const index of about(rest, "begun")) expect(durable.has(index)).toBe(false)
      expect(readFileSync(out, "utf8")).toBe(
        Array.from({ length: 1000 }, (_, index) => `${line(index)}\n`).join("")
      )
    }),
  120_000
)

it.scoped.skipIf(process.platform === "win32")("a folder that is deleted during the run stops it", () =>
  Effect.gen(function* () {
    const place = mkdtempSync(join(folder, "vanishing-"))
    const out = join(place, "out.jsonl")
    yield* Effect.gen(function* () {
      const { begin, finish, seal } = yield* Checkpoint.Checkpoint
      yield* begin("k0")
      yield* finish("k0", 0, line(0))
      yield* begin("k1")
      rmSync(place, { recursive: true })
      const errors = yield* Effect.all([
        Effect.flip(finish("k1", 1, line(1))),
        Effect.flip(begin("k2")),
        Effect.flip(finish("k2", 2, line(2))),
        Effect.flip(seal(1))
      ])
      for (const error of errors) expect(error).toMatchObject({ _tag: "CheckpointError", reason: "Io" })
    }).pipe(Effect.provide(Checkpoint.layerFile(out)))
    expect(existsSync(place)).toBe(false)
  })
)

it.scoped.skipIf(process.platform === "win32")(
  "a folder that is moved away stops it, and its rows are whole",
  () =>
    Effect.gen(function* () {
      const place = mkdtempSync(join(folder, "moving-"))
      const out = join(place, "out.jsonl")
      yield* Effect.gen(function* () {
        const { finish } = yield* Checkpoint.Checkpoint
        yield* finish("k0", 0, line(0))
        renameSync(place, `${place}-2`)
        expect((yield* Effect.flip(finish("k1", 1, line(1)))).reason).toBe("Io")
      }).pipe(Effect.provide(Checkpoint.layerFile(out)))
      rmSync(join(`${place}-2`, "out.jsonl.lock"))
      const { restored } = yield* Effect.gen(function* () {
        const { restore } = yield* Checkpoint.Checkpoint
        return { restored: yield* restore("k0") }
      }).pipe(Effect.provide(Checkpoint.layerFile(join(`${place}-2`, "out.jsonl"))))
      expect(Option.map(restored, (row) => row.line)).toEqual(Option.some(line(0)))
    })
)

it.scoped("closing the scope writes what is pending", () =>
  Effect.gen(function* () {
    const out = join(folder, "closed.jsonl")
    yield* Effect.gen(function* () {
      const { finish } = yield* Checkpoint.Checkpoint
      const writing = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 500 }), (_, index) => finish(`k${index}`, index, line(index)), {
          concurrency: "unbounded"
        })
      )
      yield* Effect.yieldNow()
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(writing)
    }).pipe(Effect.provide(Checkpoint.layerFile(out)))
    expect(readFileSync(out, "utf8").split("\n").length).toBe(501)
    expect(existsSync(`${out}.lock`)).toBe(false)
  })
)
