import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Checkpoint from "../src/Checkpoint.js"

interface RowOptions {
  readonly status?: "success" | "error"
  readonly text?: string
  readonly custom?: string
}

const line = (
  index: number,
  key: string,
  { status = "success", text = "ä answer", custom }: RowOptions = {}
) =>
  JSON.stringify({
    index,
    custom_id: custom ?? null,
    status,
    response: status === "success" ? { text } : null,
    error: status === "error" ? { _tag: "ServerError" } : null,
    meta: { key }
  })

/** A folder of its own for the test, and the output in it. */
const output = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "checkpoint-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
).pipe(Effect.map((folder) => ({ folder, out: join(folder, "out.jsonl") })))

const open = <A, E>(
  out: string,
  use: (checkpoint: Checkpoint.Checkpoint["Type"]) => Effect.Effect<A, E, Scope.Scope>
) => Effect.flatMap(Checkpoint.Checkpoint, use).pipe(Effect.scoped, Effect.provide(Checkpoint.layerFile(out)))

/** What a batch does for each of its lines; gives the indexes that had to be called. */
const run = (
  checkpoint: Checkpoint.Checkpoint["Type"],
  keys: ReadonlyArray<string>,
  fails?: ReadonlySet<number>
) =>
  Effect.gen(function* () {
    const called: Array<number> = []
    yield* Effect.forEach(
      keys,
      (key, index) =>
        Effect.gen(function* () {
          const stored = yield* checkpoint.restore(key)
          if (Option.isSome(stored)) return yield* checkpoint.keep(stored.value, index)
          called.push(index)
          yield* checkpoint.begin(key)
          yield* checkpoint.finish(
            key,
            index,
            line(index, key, { status: fails?.has(index) ? "error" : "success" })
          )
        }),
      { concurrency: "unbounded", discard: true }
    )
    return called
  })

const runAll = (out: string, keys: ReadonlyArray<string>, fails?: ReadonlySet<number>) =>
  open(out, (checkpoint) =>
    Effect.gen(function* () {
      const called = yield* run(checkpoint, keys, fails)
      return { called, sealed: yield* checkpoint.seal(keys.length), found: checkpoint.found }
    })
  )

interface Row {
  readonly index: number
  readonly status: string
  readonly meta: { readonly key: string }
}
const rowsOf = (path: string): ReadonlyArray<Row> =>
  existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .slice(0, -1)
        .map((text): Row => JSON.parse(text))
    : []

const shown = (path: string) =>
  rowsOf(path).map(({ index, meta, status }) => `${index} ${meta.key} ${status}`)

describe("rows", () => {
  it.scoped("a run, and the same run again, which calls nothing and writes nothing", () =>
    Effect.gen(function* () {
      const { folder, out } = yield* output
      const first = yield* runAll(out, ["a", "b", "c"])
      expect(first.called).toEqual([0, 1, 2])
      const text = readFileSync(out, "utf8")
      expect(text).toBe(["a", "b", "c"].map((key, index) => `${line(index, key)}\n`).join(""))
      const second = yield* runAll(out, ["a", "b", "c"])
      expect(second.called).toEqual([])
      expect(second.sealed).toEqual({ rewritten: false, superseded: 0 })
      expect(readFileSync(out, "utf8")).toBe(text)
      expect(readdirSync(folder)).toEqual(["out.jsonl"])
    })
  )

  it.scoped("failed rows are called again, and their later success takes their place", () =>
    Effect.gen(function* () {
      const { folder, out } = yield* output
      yield* runAll(out, ["a", "b", "a"], new Set([0, 1]))
      expect(shown(out)).toEqual(["0 a error", "1 b error", "2 a success"])
      const second = yield* runAll(out, ["a", "b", "a"])
      expect(second.found).toMatchObject({ success: 1, failed: 2 })
      expect(second.called).toEqual([1, 2])
      expect(shown(out)).toEqual(["0 a success", "1 b success", "2 a success"])
      expect(readdirSync(folder)).toEqual(["out.jsonl"])
    })
  )

  it.scoped("of two successes of one key and index the later one is restored", () =>
    Effect.gen(function* () {
      const { out } = yield* output
      const rows = [line(0, "a", { text: "old" }), line(1, "a"), line(0, "a", { text: "new" })]
      writeFileSync(out, `${rows.join("\n")}\n`)
      const restored = yield* open(out, ({ restore }) =>
        Effect.all([restore("a"), restore("a"), restore("a")])
      )
      expect(restored.map(Option.map((row) => row.line))).toEqual([
        Option.some(rows[1]),
        Option.some(rows[2]),
        Option.none()
      ])
    })
  )

  const keys = FastCheck.array(FastCheck.constantFrom("a", "b", "c", "d", "e"), { maxLength: 12 })

  it.scoped.prop(
    "after any edit of the input exactly the rows common to both are reused, and no answer is lost",
    [keys, keys, FastCheck.array(FastCheck.nat(11)), FastCheck.boolean()],
    ([before, after, failing, seal]) =>
      Effect.gen(function* () {
        const { out } = yield* output
        const fails = new Set(failing)
        yield* open(out, (checkpoint) =>
          Effect.zipRight(
            run(checkpoint, before, fails),
            seal ? Effect.asVoid(checkpoint.seal(before.length)) : Effect.void
          )
        )
        const answers = before.filter((_, index) => !fails.has(index))
        const { called, sealed } = yield* runAll(out, after)

        const count = (list: ReadonlyArray<string>, key: string) =>
          list.filter((other) => other === key).length
        const common = ["a", "b", "c", "d", "e"].reduce(
          (sum, key) => sum + Math.min(count(answers, key), count(after, key)),
          0
        )
        expect(called.length).toBe(after.length - common)
        expect(shown(out)).toEqual(after.map((key, index) => `${index} ${key} success`))
        expect(sealed.superseded).toBe(answers.length - common)
        expect(rowsOf(`${out}.superseded.jsonl`).length).toBe(answers.length - common)
      }),
    { fastCheck: { numRuns: 30 } }
  )

  it.scoped("superseded rows are moved once, also if the run is killed before the output is in order", () =>
    Effect.gen(function* () {
      const { out } = yield* output
      yield* runAll(out, ["a", "b", "c"])
      copyFileSync(out, `${out}.before`)
      const moved = () => rowsOf(`${out}.superseded.jsonl`).map(({ meta }) => meta.key)
      yield* runAll(out, ["a"])
      expect(moved()).toEqual(["b", "c"])
      // as if it had been killed between the two
      copyFileSync(`${out}.before`, out)
      expect((yield* runAll(out, ["a"])).sealed.superseded).toBe(2)
      expect(moved()).toEqual(["b", "c"])
      // or in the middle of the first
      copyFileSync(`${out}.before`, out)
      const [first = ""] = readFileSync(`${out}.superseded.jsonl`, "utf8").split("\n")
      writeFileSync(`${out}.superseded.jsonl`, `${first}\n{"index":2,"cus`)
      yield* runAll(out, ["a"])
      const lines = readFileSync(`${out}.superseded.jsonl`, "utf8").split("\n")
      expect(lines).toEqual([line(1, "b"), '{"index":2,"cus', line(2, "c"), ""])
    })
  )

  it.scoped("superseded rows that are asked for again are used again, and moved back", () =>
    Effect.gen(function* () {
      const { folder, out } = yield* output
      const all = ["a", "b", "c", "d"]
      yield* runAll(out, all)
      const text = readFileSync(out, "utf8")
      yield* runAll(out, ["c"])
      const aside = readFileSync(`${out}.superseded.jsonl`, "utf8")
      // a run that ends before its end leaves them where they are
      yield* open(out, (checkpoint) =>
        Effect.gen(function* () {
          expect(yield* checkpoint.has("a")).toBe(true)
          yield* checkpoint.keep(Option.getOrThrow(yield* checkpoint.restore("a")), 0)
          expect(Option.isNone(yield* checkpoint.restore("a"))).toBe(true)
        })
      )
      expect(readFileSync(`${out}.superseded.jsonl`, "utf8")).toBe(aside)
      const some = yield* runAll(out, ["d", "c", "a"])
      expect(some.called).toEqual([])
      expect(shown(out)).toEqual(["0 d success", "1 c success", "2 a success"])
      expect(rowsOf(`${out}.superseded.jsonl`).map(({ meta }) => meta.key)).toEqual(["b"])
      expect((yield* runAll(out, all)).called).toEqual([])
      expect(readFileSync(out, "utf8")).toBe(text)
      expect(readdirSync(folder)).toEqual(["out.jsonl"])
      // nothing is lost on the way through nothing
      yield* runAll(out, [])
      expect((yield* runAll(out, all)).called).toEqual([])
    })
  )

  it.scoped("a kept row keeps its bytes but for its index, or takes the line given for it", () =>
    Effect.gen(function* () {
      const { folder, out } = yield* output
      const spaced = line(1, "b").replace('{"index":1,', '{ "index": 1, ')
      writeFileSync(out, `${line(0, "a")}\n${spaced}\n${line(2, "c")}\n`)
      yield* open(out, (checkpoint) =>
        Effect.gen(function* () {
          for (const [index, key] of ["c", "b", "a"].entries()) {
            const row = Option.getOrThrow(yield* checkpoint.restore(key))
            yield* checkpoint.keep(row, index, key === "a" ? line(index, key, { custom: "new" }) : undefined)
          }
          expect(yield* checkpoint.seal(3)).toEqual({ rewritten: true, superseded: 0 })
        })
      )
      expect(readFileSync(out, "utf8")).toBe(
        `${line(0, "c")}\n${spaced}\n${line(2, "a", { custom: "new" })}\n`
      )
      expect(readdirSync(folder)).toEqual(["out.jsonl"])
    })
  )

  it.scoped.prop(
    "any order of completion ends in input order",
    [
      FastCheck.shuffledSubarray(
        Array.from({ length: 40 }, (_, index) => index),
        { minLength: 40 }
      )
    ],
    ([order]) =>
      Effect.gen(function* () {
        const { out } = yield* output
        yield* open(out, ({ begin, finish, seal }) =>
          Effect.gen(function* () {
            for (const index of order) yield* begin(`key ${index}`)
            yield* Effect.forEach(
              order,
              (index) => finish(`key ${index}`, index, line(index, `key ${index}`)),
              {
                concurrency: "unbounded"
              }
            )
            yield* seal(40)
          })
        )
        expect(rowsOf(out).map(({ index }) => index)).toEqual(order.map((_, index) => index))
      }),
    { fastCheck: { numRuns: 10 } }
  )

  it.scoped("an end with a row missing is refused, and the rows stay", () =>
    Effect.gen(function* () {
      const { out } = yield* output
      const error = yield* open(out, ({ finish, seal }) =>
        Effect.zipRight(finish("a", 1, line(1, "a")), Effect.flip(seal(2)))
      )
      expect(error.reason).toBe("Incomplete")
      expect(shown(out)).toEqual(["1 a success"])
    })
  )

  it.scoped("tells whether a key is in the file, whatever its status, and takes nothing", () =>
    Effect.gen(function* () {
      const { out } = yield* output
      writeFileSync(out, `${line(0, "good")}\n${line(1, "bad", { status: "error" })}\n`)
      yield* open(out, ({ has, restore }) =>
        Effect.gen(function* () {
          expect(yield* has("good")).toBe(true)
          expect(yield* has("bad")).toBe(true)
          expect(yield* has("other")).toBe(false)
          expect(Option.isSome(yield* restore("good"))).toBe(true)
          expect(Option.isSome(yield* restore("bad"))).toBe(false)
        })
      )
    })
  )

  it.scoped("without a file nothing is stored and nothing restored", () =>
    Effect.gen(function* () {
      const { begin, finish, restore, seal } = yield* Checkpoint.Checkpoint
      yield* begin("a")
      yield* finish("a", 0, line(0, "a"))
      expect(Option.isNone(yield* restore("a"))).toBe(true)
      expect(yield* seal(1)).toEqual({ rewritten: false, superseded: 0 })
    }).pipe(Effect.provide(Checkpoint.layerNone))
  )
})

describe("damage", () => {
  it.scoped(
    "a write torn at any byte costs that row and nothing else",
    () =>
      Effect.gen(function* () {
        const { out } = yield* output
        const keys = ["a", "b", "c"]
        const whole = Buffer.from(keys.map((key, index) => `${line(index, key)}\n`).join(""))
        const last = whole.lastIndexOf("\n", -2) + 1
        for (let size = 0; size <= whole.length; size++) {
          if (size > 20 && size < last) continue
          writeFileSync(out, whole.subarray(0, size))
          const { called, found } = yield* runAll(out, keys)
          const good = size < last ? 0 : size >= whole.length - 1 ? 3 : 2
          expect(called.length, `cut at ${size}`).toBe(3 - good)
          const torn = size < last ? size : size >= whole.length - 1 ? 0 : size - last
          expect(Option.match(found.cut, { onNone: () => 0, onSome: ({ bytes }) => bytes })).toBe(torn)
          expect(readFileSync(out)).toEqual(whole)
        }
      }),
    120_000
  )

  it.scoped("blocks never filled at the end are cut; damage inside is passed over and kept aside", () =>
    Effect.gen(function* () {
      const { out } = yield* output
      const broken = line(1, "b").slice(0, 40)
      writeFileSync(out, `${line(0, "a")}\n${broken}\n${line(2, "c")}\n${"\0".repeat(3000)}`)
      const { called, found } = yield* runAll(out, ["a", "b", "c"])
      expect(called).toEqual([1])
      expect(found.corrupt).toBe(1)
      expect(Option.map(found.cut, ({ bytes }) => bytes)).toEqual(Option.some(3000))
      expect(shown(out)).toEqual(["0 a success", "1 b success", "2 c success"])
      expect(readFileSync(`${out}.corrupt`, "utf8")).toBe(`${broken}\n`)
    })
  )

  it.scoped("a file of something else is refused and not touched", () =>
    Effect.gen(function* () {
      const { folder, out } = yield* output
      const foreign: ReadonlyArray<readonly [string | Buffer, Checkpoint.CheckpointError["reason"]]> = [
        ['{"prompt":"hello"}\n', "NotACheckpoint"],
        [`${line(0, "a")}\n{"prompt":"hello"}`, "NotACheckpoint"],
        [`${line(0, "a")}\nsome notes\n${line(1, "b")}\n`, "NotACheckpoint"],
        ["just a text", "NotACheckpoint"],
        ["[]", "NotACheckpoint"],
        ['{\n  "index": 0\n}\n', "NotACheckpoint"],
        [Buffer.from([0, 1, 2, 3, 255, 10, 0, 0, 10]), "NotACheckpoint"],
        [Buffer.alloc(5000), "NotACheckpoint"],
        ['{"index":0,"status":"success","response":"x","meta":{}}\n', "Version"],
        ['{"index":0,"status":"success","response":"x"}\n', "Version"],
        [line(0, "a").replace('"meta":{', '"meta":{"format":2,'), "Version"]
      ]
      for (const [content, reason] of foreign) {
        writeFileSync(out, content)
        const error = yield* Effect.flip(open(out, () => Effect.void))
        expect([content, error.reason]).toEqual([content, reason])
        expect(error.message).toContain(out)
        expect(readFileSync(out)).toEqual(Buffer.from(content))
      }
      rmSync(out)
      mkdirSync(out)
      expect((yield* Effect.flip(open(out, () => Effect.void))).reason).toBe("NotACheckpoint")
      expect(readdirSync(folder)).toEqual(["out.jsonl"])
    })
  )

  it.scoped("a journal of something else, or of a later version, is refused and not touched", () =>
    Effect.gen(function* () {
      const { out } = yield* output
      for (const [text, reason] of [
        ["dear diary\n", "NotACheckpoint"],
        ['{"floodgate":"journal","version":2,"base":0}\n', "Version"]
      ] as const) {
        writeFileSync(`${out}.journal`, text)
        expect((yield* Effect.flip(open(out, () => Effect.void))).reason).toBe(reason)
        expect(readFileSync(`${out}.journal`, "utf8")).toBe(text)
      }
    })
  )

  it.scoped("opening alone leaves nothing behind, and a place that cannot be used is found", () =>
    Effect.gen(function* () {
      const { folder, out } = yield* output
      yield* open(out, () => Effect.void)
      expect(readdirSync(folder)).toEqual([])
      const error = yield* Effect.flip(open(join(folder, "missing", "out.jsonl"), () => Effect.void))
      expect(error).toMatchObject({ _tag: "CheckpointError", reason: "Io" })
      expect(error.message).toContain("create the folder")
      expect(readdirSync(folder)).toEqual([])
    })
  )

  it.scoped("an output named by a link is written where it points", () =>
    Effect.gen(function* () {
      const { folder, out } = yield* output
      writeFileSync(out, `${line(1, "b")}\n${line(0, "a")}\n`)
      const name = join(folder, "link.jsonl")
      symlinkSync(out, name)
      yield* runAll(name, ["a", "b"])
      expect(shown(out)).toEqual(["0 a success", "1 b success"])
      expect(readdirSync(folder).sort()).toEqual(["link.jsonl", "out.jsonl"])
    })
  )
})

describe("calls with unknown outcome", () => {
  it.scoped("are named by the next run, also after several interruptions, until they have an outcome", () =>
    Effect.gen(function* () {
      const { folder, out } = yield* output
      const unknown: Array<ReadonlyArray<string>> = []
      const part = (begun: ReadonlyArray<string>, finished: ReadonlyArray<readonly [string, number]>) =>
        open(out, ({ begin, finish, found }) =>
          Effect.gen(function* () {
            unknown.push(found.unknown)
            for (const key of begun) yield* begin(key)
            for (const [key, index] of finished) yield* finish(key, index, line(index, key))
          })
        )
      yield* part(
        ["a", "b", "c", "c"],
        [
          ["a", 0],
          ["c", 2]
        ]
      )
      expect(readdirSync(folder).sort()).toEqual(["out.jsonl", "out.jsonl.journal"])
      // Nothing is begun: the names stay.
      yield* part([], [])
      // One is sent again and finished, another sent again and interrupted.
      yield* part(["b", "c", "d"], [["b", 1]])
      // Failed counts as an outcome.
      yield* part(["c"], [["c", 3]])
      yield* open(out, ({ found, restore, keep, finish, seal }) =>
        Effect.gen(function* () {
          unknown.push(found.unknown)
          for (const [index, key] of ["a", "b", "c", "c"].entries()) {
            yield* keep(Option.getOrThrow(yield* restore(key)), index)
          }
          yield* finish("d", 4, line(4, "d", { status: "error" }))
          yield* seal(5)
        })
      )
      expect(unknown).toEqual([[], ["b", "c"], ["b", "c"], ["c", "d"], ["d"]])
      expect(readdirSync(folder)).toEqual(["out.jsonl"])
      expect((yield* runAll(out, ["a", "b", "c", "c", "d"])).found.unknown).toEqual([])
    })
  )

  it.scoped("are known although the journal forgets the finished ones as it grows", () =>
    Effect.gen(function* () {
      const { out } = yield* output
      const key = (index: number) => `${index} ${"k".repeat(1000)}`
      const indexes = Array.from({ length: 12_000 }, (_, index) => index)
      yield* open(out, ({ begin, finish }) =>
        Effect.forEach(
          indexes,
          (index) =>
            Effect.zipRight(
              begin(key(index)),
              index % 3000 === 7 ? Effect.void : finish(key(index), index, line(index, key(index)))
            ),
          { concurrency: 500, discard: true }
        )
      )
      expect(readFileSync(`${out}.journal`).length).toBeLessThan(6_000_000)
      const { unknown } = yield* open(out, ({ found }) => Effect.succeed(found))
      expect([...unknown].sort()).toEqual([7, 3007, 6007, 9007].map(key).sort())
    })
  )
})
