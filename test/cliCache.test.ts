import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, lstatSync, statSync, symlinkSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { connect } from "node:net"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Cache from "../src/CacheStore.js"
import { checkCache } from "../src/cli/batchLayers.js"
import type { ImportFlags } from "../src/cli/cacheCommand.js"
import * as ExportCache from "../src/cli/exportCache.js"
import * as ImportCache from "../src/cli/importCache.js"
import * as CacheEntry from "../src/internal/cacheEntry.js"
import * as CacheStores from "../src/internal/cacheStores.js"
import { fromFields } from "../src/Response.js"
import * as Simulator from "../src/Simulator.js"
import { runHere } from "./here.js"
import { type Answer, type Folder, folder, type Line, plainAnswer, run, serve } from "./process.js"

/** A run in this process against a server. */
const here = ({ url }: { readonly url: string }) => ({ url, model: "sim-1" })

/** Answers each call with a number of its own. */
const numbered = (): Answer => {
  let calls = 0
  return (body, response, request) =>
    plainAnswer({ ...body, messages: [{ role: "user", content: `answer ${++calls}` }] }, response, request)
}

const textsOf = (lines: ReadonlyArray<Line>) => lines.map(({ response }) => response?.text)

const batch = (input: string, output: string, ...more: ReadonlyArray<string>) => [
  ...["batch", input, "--output", output, "--no-progress"],
  ...more
]

const json = (text: string): Readonly<Record<string, unknown>> => JSON.parse(text)

const jsonl = (files: Folder, name: string): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  files
    .bytes(name)
    .toString()
    .split("\n")
    .filter((line) => line !== "")
    .map(json)

const prompts = (count: number) => Array.from({ length: count }, (_, n) => ({ prompt: `What is ${n}?` }))

const keyOf = (n: number) => String(n).padStart(43, "k")

/** The store of a cache file, for as long as the effect runs. */
const withStore = <A, E>(filename: string, use: (store: Cache.Service) => Effect.Effect<A, E>) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(CacheStores.sqlite({ filename })), (context) =>
      use(Context.get(context, Cache.CacheStore))
    )
  )

const fill = (filename: string, namespace: string, count: number) =>
  withStore(filename, (store) =>
    store.setMany(
      namespace,
      Array.from({ length: count }, (_, n) => ({
        key: keyOf(n),
        value: CacheEntry.encode(
          fromFields({
            text: `answer ${n}`,
            finishReason: "stop",
            toolCalls: [],
            usage: { inputTokens: 1, outputTokens: 1 },
            model: "m",
            provider: "openai",
            meta: { attempts: 1, cached: false, latencyMs: 0 }
          }),
          undefined
        ),
        expiresAt: undefined
      }))
    )
  )

const summaries = (filename: string) =>
  withStore(filename, (store) => store.contents?.summaries() ?? Effect.succeed([]))

/** What the command does, without a process for it. */
const load = (flags: Partial<ImportFlags> & Pick<ImportFlags, "input" | "cache">) =>
  ImportCache.load({
    ...{ from: undefined, namespace: undefined, cacheTtl: undefined, baseUrl: undefined, model: undefined },
    ...{ temperature: undefined, maxTokens: undefined, assumeComplete: false, json: false },
    ...flags
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const refusal = (flags: Parameters<typeof load>[0]) =>
  Effect.map(Effect.flip(load(flags)), ({ message }) => message)

const exported = (cache: string, output: string) =>
  ExportCache.write({ cache, output, namespace: undefined }).pipe(
    Effect.scoped,
    Effect.provide(NodeContext.layer)
  )

describe.concurrent("floodgate cache", () => {
  it.scopedLive("tells, exports and imports: a copy of a cache answers all without a call", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({})
      const options = { url: simulator.url }
      const [db, copy] = [files.path("cache.db"), files.path("copy.db")]
      const input = files.records("in.jsonl", [
        ...prompts(20),
        { prompt: "Elsewhere?", cache: { namespace: "other", timeToLive: "1 hour" } }
      ])
      const filled = batch(input, files.path("out"), "--cache", db, "--cache-ttl", "7 days")
      expect(yield* run(filled, options)).toMatchObject({ code: 0 })

      const told = yield* run(["cache", "stats", "--cache", db])
      expect(told).toMatchObject({ code: 0, stderr: "" })
      expect(told.stdout).toMatch(
        /21 answers, .*KB on disk\n {2}no namespace: 20 answers, .* stored from \d{4}-.* UTC\n {2}namespace other: 1 answer,/
      )

      const end = yield* run(["cache", "export", "--cache", db, "--output", files.path("all.jsonl")])
      expect(end).toMatchObject({ code: 0, stdout: "" })
      expect(end.stderr).toContain("21 answers exported")
      const lines = jsonl(files, "all.jsonl")
      expect(new Set(lines.map(({ key }) => key)).size).toBe(21)
      for (const line of lines) {
        const life = Date.parse(String(line.expiresAt)) - Date.parse(String(line.storedAt))
        expect(Math.abs(life - (line.namespace === "other" ? 3_600_000 : 7 * 86_400_000))).toBeLessThan(
          60_000
        )
        expect(line).toMatchObject({ keyVersion: 1, response: { finishReason: "stop" } })
      }
      const stdin = files.bytes("all.jsonl")
      expect(yield* run(["cache", "import", "-", "--cache", copy], { stdin })).toMatchObject({
        code: 0,
        stdout: `${copy}: 21 added, 0 already there, 0 refused\n`
      })
      expect(yield* load({ input: files.path("all.jsonl"), cache: copy })).toMatchObject({
        ...{ added: 0, present: 21, refused: 0, source: null }
      })
      expect(yield* exported(copy, files.path("copy.jsonl"))).toMatchObject({ exported: 21, unread: 0 })
      expect(files.bytes("copy.jsonl")).toEqual(stdin)

      yield* simulator.reset
      const replay = batch(input, files.path("replayed"), "--cache", copy, "--cache-mode", "replay")
      expect(yield* run(replay, options)).toMatchObject({ code: 0 })
      expect(textsOf(files.lines("replayed"))).toEqual(textsOf(files.lines("out")))
      expect((yield* simulator.stats).requests).toBe(0)
    })
  )

  it.scopedLive("imports what is good, and names what is not", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const [db, copy] = [files.path("cache.db"), files.path("copy.db")]
      yield* fill(db, "", 3)
      yield* exported(db, files.path("all.jsonl"))
      const [first, second, third] = jsonl(files, "all.jsonl")
      const mixed = files.write(
        "mixed.jsonl",
        [
          first,
          { ...second, keyVersion: 9 },
          { ...third, expiresAt: "2020-01-01T00:00:00.000Z" },
          { ...second, response: {} },
          { anything: 1 },
          second
        ]
          .map((line) => `${JSON.stringify(line)}\n`)
          .join("\n")
          .concat("{not json\n")
      )
      const end = yield* run(["cache", "import", mixed, "--cache", copy])
      expect(end).toMatchObject({
        code: 1,
        stdout: `${copy}: 2 added, 0 already there, 1 expired, 4 refused\n`
      })
      // blank lines count as lines
      expect(end.stderr).toMatch(/line 3: its key is of version 9, .*version 1/)
      expect(end.stderr).toMatch(/line 7: "response" is no answer/)
      expect(end.stderr).toMatch(/line 9: neither a line of/)
      expect(end.stderr).toMatch(/line 12: not JSON/)
      const into = (input: string) => ({ input, cache: copy })
      expect(yield* load(into(mixed))).toMatchObject({
        ...{ added: 0, present: 2, expired: 1, refused: 4 },
        refusals: [{ line: 3 }, { line: 7 }, { line: 9 }, { line: 12 }]
      })
      const all = { ...into(files.path("all.jsonl")), namespace: "mine", cacheTtl: "1d" }
      expect(yield* load(all)).toMatchObject({ added: 3 })
      expect(yield* summaries(copy)).toMatchObject([{ entries: 2 }, { namespace: "mine", entries: 3 }])

      const bad = files.write("bad.jsonl", "[]\n{}\n")
      expect(yield* run(["cache", "import", bad, "--cache", copy, "--json"])).toMatchObject({
        code: 2,
        stdout: expect.stringContaining('"refused": 2')
      })
      expect(yield* load(into(files.write("empty.jsonl", "")))).toMatchObject({ added: 0, refused: 0 })
      expect(yield* refusal(into(db))).toMatch(/a database and not JSON lines.*--cache/)
      expect(yield* refusal(into(files.path(".")))).toMatch(/is a folder.*flexllm.*hashes of requests/)
      expect(yield* refusal(into(files.path("gone")))).toMatch(/gone: no such file/)
      expect(yield* refusal({ ...into(bad), cacheTtl: "never" })).toMatch(/--cache-ttl takes a time/)
      expect(yield* refusal({ ...into(bad), baseUrl: "api.host" })).toMatch(/must start with http/)
      expect(yield* refusal({ input: bad, cache: undefined })).toMatch(/Which cache\?.*--cache PATH/)
      expect(yield* refusal({ input: bad, cache: "memory" })).toMatch(/nothing to look into/)
      expect(yield* refusal({ input: bad, cache: "redis://:secret@127.0.0.1:1" })).toMatch(
        /^--cache: Redis at 127\.0\.0\.1:1: /
      )
      expect(yield* Effect.flip(exported(files.path("none.db"), "-"))).toMatchObject({
        message: expect.stringMatching(/no cache at .*none\.db/)
      })
      expect(files.names()).not.toContain("none.db")
      expect(yield* Effect.flip(exported(db, db))).toMatchObject({
        message: expect.stringMatching(/the same file/)
      })
    })
  )

  it.scopedLive("imports FluxLLM's cache and flexllm's output under the keys that a run asks for", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve()
      const cache = files.path("cache.db")
      const asked = (n: number) => [{ role: "user", content: `What is ${n}?` }]
      const response = (content: string) => ({
        id: "c",
        object: "chat.completion",
        model: "sim-1",
        choices: [
          { index: 0, finish_reason: "stop", message: { role: "assistant", content, tool_calls: null } }
        ],
        usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 }
      })
      const flux = files.records("flux.jsonl", [
        { id: "0".repeat(32), request: { model: "sim-1", messages: asked(0) }, response: response("flux") },
        { id: "1".repeat(32), response: response("unknown") }
      ])
      const flex = files.records("flex.jsonl", [
        { index: 0, output: "flex", status: "success", input: asked(1), result: { finish_reason: "stop" } }
      ])
      const more = { cache, baseUrl: server.url, temperature: 0 }
      expect(yield* load({ input: flux, ...more })).toMatchObject({
        ...{ added: 1, refused: 1, source: "local" },
        refusals: [{ line: 2, reason: expect.stringContaining("FluxLLM kept a hash of the request") }]
      })
      const second = yield* load({ input: flex, from: "flexllm", model: "sim-1", ...more })
      expect(second).toMatchObject({ added: 1, refused: 0 })

      const input = files.records("in.jsonl", prompts(2))
      const ask = batch(input, files.path("out"), "--cache", cache, "--temperature", "0")
      expect(yield* run(ask, { url: server.url })).toMatchObject({ code: 0 })
      expect(textsOf(files.lines("out"))).toEqual(["flux", "flex"])
      expect(server.requests()).toBe(0)
    })
  )

  it.scopedLive("clears one namespace, what has expired, or all; a terminal is asked first", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const db = files.path("cache.db")
      yield* fill(db, "", 3)
      yield* fill(db, "n", 2)
      yield* Effect.sync(() => {
        const file = new Database(db)
        file.prepare("UPDATE answers SET expires_at = 1 WHERE key = ?").run(`n/${keyOf(0)}`)
        file.close()
      })
      const clear = (...more: ReadonlyArray<string>) => ["cache", "clear", "--cache", db, ...more]
      expect(yield* run(clear())).toMatchObject({
        code: 0,
        stdout: `${db}: 3 answers deleted, 1 answer left, of 1 other namespace (--all clears them too)\n`
      })
      expect((yield* run(clear("--expired", "--all"))).stdout).toBe(
        `${db}: 1 expired answer deleted, 1 answer left\n`
      )
      // a terminal that types for us is not everywhere
      if (existsSync("/usr/bin/script")) {
        const declined = yield* run(clear("--all"), {
          shell: `exec script -qec "$(printf "'%s' " "$@")" /dev/null`,
          stdin: "n\n"
        })
        expect(declined).toMatchObject({ code: 1 })
        expect(declined.stdout).toContain(`Delete 1 answer from ${db}? [y/N]`)
        expect(declined.stdout).toContain("Nothing was deleted")
      }
      expect(json((yield* run(clear("--all", "--json"))).stdout)).toEqual({ cache: db, deleted: 1, left: 0 })
      expect(yield* summaries(db)).toEqual([])
    })
  )

  it.scopedLive(
    "exports into what is there: its mode, where a link points, a pipe, no file of another name",
    () =>
      Effect.gen(function* () {
        const files = yield* folder
        const db = files.path("cache.db")
        yield* fill(db, "", 3)
        yield* exported(db, files.path("plain"))
        const lines = files.bytes("plain").toString()
        expect(lines.split("\n").length).toBe(4)

        const mine = files.write("target", "old")
        chmodSync(mine, 0o600)
        files.write("link.part", "mine")
        symlinkSync(mine, files.path("link"))
        yield* exported(db, files.path("link"))
        expect(lstatSync(files.path("link")).isSymbolicLink()).toBe(true)
        expect(files.bytes("target").toString()).toBe(lines)
        expect(statSync(mine).mode & 0o777).toBe(0o600)
        expect(files.bytes("link.part").toString()).toBe("mine")

        symlinkSync(files.path("later"), files.path("dangling"))
        yield* exported(db, files.path("dangling"))
        expect(files.bytes("later").toString()).toBe(lines)

        const pipe = files.path("pipe")
        execFileSync("mkfifo", [pipe])
        const [read] = yield* Effect.all([Effect.promise(() => readFile(pipe, "utf8")), exported(db, pipe)], {
          concurrency: "unbounded"
        })
        expect(read).toBe(lines)
        expect(lstatSync(pipe).isFIFO()).toBe(true)
        expect(files.names().filter((name) => name.endsWith(".part"))).toEqual(["link.part"])

        const error = yield* Effect.flip(exported(db, files.path("none/out")))
        expect(error.message).toMatch(/--output: cannot write .*none\/out/)
      })
  )

  it.scopedLive("says what is wrong, and where", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const input = files.records("in.jsonl", [{ prompt: "a", cache: { mode: "fresh" } }])
      const out = files.path("out")
      const cases: ReadonlyArray<readonly [args: ReadonlyArray<string>, says: RegExp]> = [
        [["cache", "nothing"], /no command "cache nothing": try stats, clear, export, import/],
        [["cache", "stats", "--cahce", "x"], /unknown option --cahce: floodgate cache stats --help/],
        [["cache", "--help"], /floodgate cache COMMAND[\s\S]*stats[\s\S]*clear[\s\S]*export[\s\S]*import/],
        [batch(input, out, "--cache-mode", "readonly"), /--cache-mode takes one of read-write, bypass/],
        [batch(input, out), /line 1: "cache\.mode" is not as it should be/],
        [batch(input, out, "--samples", "99999999999"), /--samples must be from 1 to 10000/],
        [batch(input, out, "--cache", `${out}.journal`), /--cache is .*out\.journal, which --output needs/],
        [batch(input, `${out}-wal`, "--cache", out), /--output is .*out-wal, which --cache needs/]
      ]
      yield* Effect.forEach(
        cases,
        ([args, says]) =>
          Effect.map(runHere(args, { url: "http://127.0.0.1:9" }), ({ code, stderr, stdout }) => {
            expect({ args, code }).toMatchObject({ code: args.includes("--help") ? 0 : 2 })
            expect(`${stdout}${stderr}`).toMatch(says)
          }),
        { discard: true }
      )
      const given = { cacheTtl: undefined, namespace: undefined, cacheMode: undefined }
      const refused = (flags: Partial<Parameters<typeof checkCache>[0]> & { readonly cache: string }) =>
        Effect.map(Effect.flip(checkCache({ ...given, ...flags })), ({ message }) => message)
      expect(yield* refused({ cache: "off", namespace: "n" })).toMatch(/--namespace is about a cache/)
      expect(yield* refused({ cache: "memory", cacheMode: "replay" })).toMatch(/name one with --cache PATH/)
      // not the name of a file, which would hold the password
      for (const refusal of [
        yield* refused({ cache: "HTTPS://me:secret@host" }),
        (yield* Effect.flip(exported("postgres://me:secret@host", "-"))).message
      ]) {
        expect(refusal).toMatch(/--cache takes a file or a Redis server/)
        expect(refusal).not.toContain("secret")
      }
      expect((yield* Effect.flip(exported("REDIS://:secret@127.0.0.1:1", "-"))).message).toMatch(
        /^--cache: Redis at 127\.0\.0\.1:1: /
      )
      expect(yield* refused({ cache: "memory", cacheTtl: "0" })).toMatch(/--cache-ttl takes a time such as/)
    })
  )
})

describe.concurrent("floodgate batch with a cache", () => {
  it.scopedLive("asks for samples: apart in cache and output, and more of them reuse what is there", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve(numbered())
      const input = files.records("in.jsonl", [
        { prompt: "a", custom_id: "x" },
        { prompt: "b", custom_id: "y" }
      ])
      const cache = ["--cache", files.path("cache.db")]
      const ask = (name: string, ...more: ReadonlyArray<string>) =>
        Effect.map(runHere(batch(input, files.path(name), ...more), here(server)), ({ code, stderr }) => {
          expect({ code, stderr }).toMatchObject({ code: 0 })
          const lines = files.lines(name) as ReadonlyArray<Line & { readonly sample?: number }>
          return {
            shape: lines.map(({ custom_id, index, sample }) => [index, custom_id, sample]),
            texts: textsOf(lines)
          }
        })
      const one = yield* ask("out")
      expect(one.shape).toEqual([
        [0, "x", undefined],
        [1, "y", undefined]
      ])

      const three = yield* ask("out", "--samples", "3", ...cache)
      expect(server.requests()).toBe(6)
      expect(three.shape).toEqual([
        [0, "x", 0],
        [1, "x", 1],
        [2, "x", 2],
        [3, "y", 0],
        [4, "y", 1],
        [5, "y", 2]
      ])
      expect(new Set(three.texts).size).toBe(6)
      // what was asked without samples is sample 0
      expect([three.texts[0], three.texts[3]]).toEqual(one.texts)

      const two = yield* ask("out", "--samples", "2")
      expect(two.texts).toEqual([three.texts[0], three.texts[1], three.texts[3], three.texts[4]])
      expect(server.requests()).toBe(6)

      // sample 0 came from the output of a run without the cache: it alone is asked again
      const other = yield* ask("other", "--samples", "3", ...cache)
      expect(server.requests()).toBe(8)
      const kept = ({ texts }: { readonly texts: ReadonlyArray<unknown> }) =>
        texts.filter((_, n) => n % 3 > 0)
      expect(kept(other)).toEqual(kept(three))
    })
  )

  it.scopedLive("follows the flags, and a row's own word before them", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve(numbered())
      const db = files.path("cache.db")
      const ask = (name: string, records: ReadonlyArray<unknown>, ...more: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const input = files.records(`in-${name}`, records)
          const args = batch(input, files.path(name), "--cache", db, "--concurrency", "1", ...more)
          const { code } = yield* runHere(args, here(server))
          return { code, lines: files.lines(name), texts: textsOf(files.lines(name)) }
        })
      const messages = [{ role: "user", content: "a" }]
      expect((yield* ask("first", [{ prompt: "a" }])).texts).toEqual(["ANSWER 1"])
      const own = yield* ask(
        "own",
        [
          { prompt: "a", cache: { mode: "readWrite", namespace: "" } },
          { messages, cache: { namespace: "n" } },
          { custom_id: "s", body: { messages }, cache: { sample: 7 } },
          { prompt: "a", cache: "mine" }
        ],
        ...["--samples", "2", "--namespace", "m", "--cache-mode", "refresh"]
      )
      expect(own).toMatchObject({ code: 0, texts: { 0: "ANSWER 1" } })
      expect(own.lines).toMatchObject([0, 1, 0, 1, 7, 0, 1].map((sample) => ({ sample })))
      // what is no object is a field like any other
      expect(own.lines.map(({ metadata }) => metadata.cache)).toEqual([
        ...new Array(5).fill(undefined),
        ...["mine", "mine"]
      ])
      expect(server.bodies.some((body) => "cache" in body)).toBe(false)
      expect(yield* summaries(db)).toMatchObject([
        { namespace: "", entries: 2 },
        { namespace: "m", entries: 3 },
        { namespace: "n", entries: 2 }
      ])

      const calls = server.requests()
      const replayed = yield* ask(
        "replayed",
        [
          { q: "a", cache: { sample: "text" } },
          { q: "unknown", cache: {} }
        ],
        ...["--cache-mode", "replay", "--prompt", "{{q}}"]
      )
      const spending = [{ prompt: "b", cache: { mode: "readWrite" } }]
      expect(yield* ask("spending", spending, "--cache-mode", "replay")).toMatchObject({ code: 1 })
      expect(replayed).toMatchObject({ code: 1, texts: ["ANSWER 1", undefined] })
      expect(replayed.lines[1]?.error?._tag).toBe("CacheMissError")
      // nor is what goes with a template
      expect(replayed.lines[0]?.metadata).toEqual({ cache: { sample: "text" } })
      expect(server.requests()).toBe(calls)
    })
  )
})

describe.concurrent("an input that becomes shorter and longer again", () => {
  it.scopedLive("is paid for once: what was set aside is said, and used again", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve(numbered())
      const out = files.path("out")
      const ask = (count: number) =>
        runHere(batch(files.records("in.jsonl", prompts(count)), out), here(server))
      yield* ask(50)
      const before = textsOf(files.lines("out"))
      expect((yield* ask(5)).stderr).toMatch(
        /45 answers that are no longer asked for were set aside in .*out\./
      )
      expect((yield* ask(50)).code).toBe(0)
      expect(textsOf(files.lines("out"))).toEqual(before)
      expect(files.names()).toEqual(["in.jsonl", "out"])
      expect(server.requests()).toBe(50)
    })
  )
})

const redisIsThere = await new Promise<boolean>((resolve) => {
  const socket = connect(6379, "127.0.0.1")
  socket.once("connect", () => resolve(socket.destroy() !== undefined))
  socket.once("error", () => resolve(false))
})

describe.runIf(redisIsThere)("a cache in Redis", () => {
  it.scopedLive("is used by a run, and told and cleared", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const server = yield* serve()
      // the server is shared: what is ours is in this namespace
      const ours = [
        ...["--cache", "redis://127.0.0.1:6379"],
        ...["--namespace", `test-${process.pid}-${Date.now()}`]
      ]
      const input = files.records("in.jsonl", prompts(5))
      yield* Effect.gen(function* () {
        const ask = batch(input, files.path("out"), ...ours)
        expect(yield* runHere(ask, here(server))).toMatchObject({ code: 0 })
        expect((yield* runHere(["cache", "stats", ...ours], here(server))).stdout).toMatch(
          /^127\.0\.0\.1:6379: 5 answers\n/
        )
      }).pipe(
        Effect.ensuring(
          Effect.map(runHere(["cache", "clear", ...ours], here(server)), ({ stdout }) =>
            expect(stdout).toMatch(/^127\.0\.0\.1:6379: 5 answers deleted/)
          )
        )
      )
    })
  )
})
