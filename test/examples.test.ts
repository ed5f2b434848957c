import { spawn } from "node:child_process"
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { parse } from "csv-parse/sync"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { transform } from "esbuild"
import * as Simulator from "floodgate/Simulator"
import { environmentOf, execute, project, runTypeScript, userProject } from "./snippets.js"

const source = (name: string) => readFileSync(join(project, "examples", name), "utf8")

/** A user's project, with what the examples want installed beside Effect. */
const exampleProject = Effect.tap(userProject, (folder) =>
  Effect.sync(() => {
    for (const name of ["csv-parse", "csv-stringify"]) {
      symlinkSync(join(project, "node_modules", name), join(folder, "node_modules", name))
    }
  })
)

/** Compiles an example in the folder of a user, and gives the file. */
const compile = (folder: string, name: string) =>
  Effect.promise(async () => {
    const { code } = await transform(source(name), { loader: "ts", format: "esm", target: "node20" })
    const file = join(folder, "examples", name.replace(/ts$/, "mjs"))
    writeFileSync(file, code)
    return file
  })

const unsteady: Simulator.Options = { faults: [{ kind: "reset", rate: 0.1 }] }

/** Runs an example as its head says, with a simulator at its other end, in a process of its own each time. */
const run = (name: string, args: ReadonlyArray<string> = [], times = 1) =>
  Effect.gen(function* () {
    const folder = yield* exampleProject
    const simulator = yield* Simulator.make(unsteady)
    const said: Array<string> = []
    for (let time = 0; time < times; time++) {
      const { code, stderr, stdout } = yield* runTypeScript(folder, source(name), {
        args,
        env: environmentOf(simulator.url)
      })
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      said.push(stdout)
    }
    return { said, simulator, summary: yield* simulator.stats }
  })

/**
 * Runs examples one after the other in one process, which begins the next when it would have ended: to load the same
 * modules is most of what a process takes. Each has a simulator of its own at its other end.
 */
const inTurn = `
const plan = JSON.parse(process.argv[2])
process.on("beforeExit", async () => {
  const next = plan.shift()
  if (next === undefined) return
  process.stdout.write("\\f")
  Object.assign(process.env, next.env)
  process.argv.splice(1, Infinity, next.file, ...next.args)
  await import(next.url + "?" + plan.length)
})
`

/** Those that come to their end by themselves, with the arguments of each run, and the model where it matters. */
const examples: Readonly<
  Record<
    string,
    {
      readonly runs?: ReadonlyArray<ReadonlyArray<string>>
      readonly model?: string
      readonly isSteady?: boolean
    }
  >
> = {
  "batch.ts": {},
  "budget.ts": {
    runs: [
      ["0.01", "rivers.jsonl"],
      ["1", "rivers.jsonl"]
    ],
    model: "gpt-4.1"
  },
  "csv.ts": {},
  "effect-ai.ts": {},
  "extract.ts": {},
  "images.ts": {},
  "own-provider.ts": {},
  "router-app.ts": {},
  "search.ts": { runs: [["The library lends umbrellas."], []] },
  // a server that resets connections rests now and then, and the example says so
  "spray.ts": { isSteady: true },
  "stream.ts": {},
  "tasks.ts": {},
  "tools.ts": {}
}

interface Ran {
  readonly said: ReadonlyArray<string>
  readonly simulator: Simulator.Service
}

const runInTurn = Effect.gen(function* () {
  const folder = yield* exampleProject
  const runner = join(folder, "in-turn.mjs")
  writeFileSync(runner, inTurn)
  const plan = yield* Effect.forEach(Object.entries(examples), ([name, { isSteady, model, runs = [[]] }]) =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make(isSteady === true ? {} : unsteady)
      const file = yield* compile(folder, name)
      const env = { ...environmentOf(simulator.url), ...(model === undefined ? {} : { OPENAI_MODEL: model }) }
      const steps = runs.map((args) => ({ file, url: pathToFileURL(file).href, args, env }))
      return { name, simulator, steps }
    })
  )
  const steps = plan.flatMap(({ steps }) => steps)
  const { code, stderr, stdout } = yield* execute(process.execPath, [runner, JSON.stringify(steps)], {
    cwd: folder
  })
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  const said = stdout.split("\f").slice(1)
  const ran = new Map<string, Ran>()
  for (const { name, simulator, steps } of plan)
    ran.set(name, { simulator, said: said.splice(0, steps.length) })
  return { folder, ran }
})

/** The lines of what was said in one run. */
const linesOf = (said: ReadonlyArray<string>): ReadonlyArray<string> => (said[0] ?? "").trimEnd().split("\n")

/** Starts an example that serves, and gives the address that it prints. It is ended with the scope. */
const serve = (name: string, url: string) =>
  Effect.gen(function* () {
    const folder = yield* exampleProject
    const file = yield* compile(folder, name)
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [file], {
          cwd: folder,
          env: { ...process.env, ...environmentOf(url), PORT: "0" },
          stdio: ["ignore", "pipe", "inherit"]
        })
      ),
      (child) =>
        Effect.promise(() => {
          const ended = new Promise((resolve) => child.once("exit", resolve))
          child.kill()
          return ended
        })
    )
    return yield* Effect.async<string>((resume) => {
      child.stdout.setEncoding("utf8").once("data", (text: string) => {
        resume(Effect.succeed(/^Listening on (http:\S+)\n$/.exec(text)?.[1] ?? text))
      })
    })
  })

const hasRedis = await new Promise<boolean>((resolve) => {
  const socket = connect(6379, "127.0.0.1")
  socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
  socket.once("connect", () => socket.destroy())
})
if (!hasRedis) console.warn("No Redis at 127.0.0.1:6379: examples/shared-limits.ts is NOT tested")

describe.concurrent("examples", () => {
  const scope = Effect.runSync(Scope.make())
  let together: Effect.Effect.Success<typeof runInTurn>

  beforeAll(async () => {
    together = await Effect.runPromise(Scope.extend(runInTurn, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  /** What an example said, each time, and what was asked of its simulator. */
  const ranOf = (name: string) =>
    Effect.gen(function* () {
      const ran = together.ran.get(name)
      if (ran === undefined) return yield* Effect.dieMessage(`${name} was not run`)
      return { ...ran, summary: yield* ran.simulator.stats }
    })

  it.scopedLive("batch.ts answers the prompts by topic", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* ranOf("batch.ts")
      const topics = new Map<string, number>()
      for (const line of source("prompts.jsonl").trimEnd().split("\n")) {
        const { topic } = JSON.parse(line)
        topics.set(topic, (topics.get(topic) ?? 0) + 1)
      }
      expect(said).toEqual([Array.from(topics, ([topic, count]) => `${topic}: ${count}\n`).join("")])
      expect(summary).toMatchObject({ successes: 42, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("resume.ts asks nothing the second time", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* run("resume.ts", ["facts.jsonl"], 2)
      expect(said).toEqual(["0 restored, 20 asked\n", "20 restored, 0 asked\n"])
      expect(summary).toMatchObject({ successes: 20, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("stream.ts shows each outcome as it finishes", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* ranOf("stream.ts")
      const lines = linesOf(said)
      const seen = lines.map((line) => /^(\d+)\/30 (\d+) Answer /.exec(line)?.slice(1).map(Number) ?? [])
      const upTo30 = Array.from({ length: 30 }, (_, n) => n)
      expect(seen.map(([done]) => done)).toEqual(upTo30.map((n) => n + 1))
      expect(seen.map(([, index]) => index).sort((a = 0, b = 0) => a - b)).toEqual(upTo30)
      expect(summary).toMatchObject({ successes: 30, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("effect-ai.ts has its objects, its tool and its story, and pays for nothing twice", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* ranOf("effect-ai.ts")
      const [oslo, lima, accra, again, ...rest] = linesOf(said)
      for (const [line, name] of [
        [oslo, "Oslo"],
        [lima, "Lima"],
        [accra, "Accra"]
      ]) {
        expect(line).toMatch(new RegExp(`^${name}: .+, \\d+(\\.\\d+)? people$`))
      }
      expect(again).toBe(lima)
      expect(rest).toEqual([
        'weather: {"sky":"clear","degrees":21}',
        expect.stringMatching(/^A story of [1-9]\d* characters$/)
      ])
      expect(summary).toMatchObject({ successes: 5, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("provider-batch.ts has its job answered, and goes on with it the second time", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* run("provider-batch.ts", ["reviews.jobs.jsonl"], 2)
      expect(said).toEqual(
        Array(2).fill(expect.stringMatching(/1000 of 1000 answered, [1-9]\d+ tokens in, [1-9]\d+ out\n$/))
      )
      expect(summary).toMatchObject({ successes: 1000, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("own-provider.ts is answered by the server it describes", () =>
    Effect.map(ranOf("own-provider.ts"), ({ said }) => {
      expect(said).toEqual(["Perhaps.\nPerhaps.\nPerhaps.\n"])
      expect(source("own-provider.ts").split("\n").length).toBeLessThan(80)
    })
  )

  it.scopedLive("router-app.ts sorts and answers three tickets, and tells of its endpoints", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* ranOf("router-app.ts")
      const lines = linesOf(said)
      for (const [i, line] of lines.slice(0, 3).entries()) {
        expect(line).toMatch(new RegExp(`^t${i + 1} Answer .+: Answer .+`))
      }
      expect(lines.slice(3).map((line) => line.split(" ")[0])).toEqual([
        "endpoint",
        "mini",
        "nano",
        "north",
        "south"
      ])
      expect(summary).toMatchObject({ successes: 6, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("csv.ts writes a copy of the table with a reply for each row", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* ranOf("csv.ts")
      expect(said).toEqual(["8 of 8 rows answered, see reviews.answers.csv\n"])
      const rows: ReadonlyArray<Record<string, string>> = parse(source("reviews.csv"), { columns: true })
      expect(parse(readFileSync(join(together.folder, "reviews.answers.csv")), { columns: true })).toEqual(
        rows.map((row) => ({
          ...row,
          reply: expect.stringContaining(`: ${row.product}: ${row.review?.slice(0, 10)}`),
          error: ""
        }))
      )
      expect(summary).toMatchObject({ successes: 8, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("spray.ts asks each model by its weight", () =>
    Effect.gen(function* () {
      const { said, simulator } = yield* ranOf("spray.ts")
      const answers = new Map(
        linesOf(said).map((line) => {
          const [, model = "", count] =
            /^(\S+): (\d+) answers, [1-9]\d* tokens, \$0\.0\d*[1-9]\d*$/.exec(line) ?? []
          return [model, Number(count)] as const
        })
      )
      const asked = new Map<string, number>()
      for (const { delivered, model } of yield* simulator.log) {
        if (delivered) asked.set(model, (asked.get(model) ?? 0) + 1)
      }
      expect(answers, said[0]).toEqual(asked)
      const counts = ["gpt-4.1-nano", "gpt-4.1-mini", "gpt-4.1"].map((model) => answers.get(model) ?? 0)
      expect(counts.reduce((sum, count) => sum + count)).toBe(200)
      for (const [i, share] of [140, 40, 20].entries()) {
        expect(Math.abs((counts[i] ?? 0) - share)).toBeLessThan(20)
      }
    })
  )

  it.scopedLive("tasks.ts has mails sorted by the small model, and summed up by the large one", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* ranOf("tasks.ts")
      expect(linesOf(said)).toEqual(
        [1, 2, 3].map((n) =>
          expect.stringMatching(
            new RegExp(`^m${n} \\[sim-small\\] Answer \\w+ \\| \\[sim-large\\] Answer \\w+: .+`)
          )
        )
      )
      expect(summary).toMatchObject({ successes: 6, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("extract.ts has an invoice of each mail", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* ranOf("extract.ts")
      expect(linesOf(said)).toEqual(
        Array(3).fill(expect.stringMatching(/^Answer \w+: 1 EUR for 1 items, due \d{4}-\d\d-\d\d$/))
      )
      expect(summary).toMatchObject({ successes: 3, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("images.ts asks about three images, and sends nothing that is none", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* ranOf("images.ts")
      expect(linesOf(said)).toEqual([
        ...["red", "green", "blue"].map((name) =>
          expect.stringMatching(new RegExp(`^${name}: Answer \\w+: Which colour`))
        ),
        expect.stringMatching(/^fake: InvalidRequestError, The data is not an image /)
      ])
      expect(summary).toMatchObject({ successes: 3, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("tools.ts looks at the weather before it answers", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* ranOf("tools.ts")
      expect(linesOf(said)).toEqual([
        "forecast(Oslo)",
        expect.stringMatching(/^answered after 2 turns: Answer \w+: Shall I take/)
      ])
      expect(summary).toMatchObject({ successes: 2, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("search.ts finds a sentence by itself, and embeds no text again", () =>
    Effect.gen(function* () {
      const query = "The library lends umbrellas."
      const { said, simulator } = yield* ranOf("search.ts")
      const [asked, best, ...rest] = linesOf(said)
      expect([asked, best]).toEqual([query, `1.000 ${query}`])
      const others = (count: number) => Array(count).fill(expect.stringMatching(/^0\.\d{3} [A-Z].+\.$/))
      expect(rest).toEqual(others(2))
      expect(linesOf(said.slice(1))).toEqual(["Where can I see animals?", ...others(3)])
      // the sentences, and in the second run the query alone
      const delivered = (yield* simulator.log).filter(({ delivered }) => delivered)
      expect(delivered.map(({ inputTokens }) => inputTokens > 10)).toEqual([true, false])
    })
  )

  it.scopedLive("budget.ts keeps to its ceiling, and goes on under a higher one", () =>
    Effect.gen(function* () {
      const { said, summary } = yield* ranOf("budget.ts")
      const [, answered, left, spent] =
        /^(\d+) answered, (\d+) left for a higher budget, \$(\S+) of \$0\.01 spent\n$/.exec(said[0] ?? "") ??
        []
      expect(Number(answered) + Number(left)).toBe(200)
      expect(Math.min(Number(answered), Number(left), Number(spent))).toBeGreaterThan(0)
      expect(Number(spent)).toBeLessThanOrEqual(0.01)
      expect(said[1]).toMatch(/^200 answered, 0 left for a higher budget, \$0\.\d+ of \$1 spent\n$/)
      expect(summary).toMatchObject({ successes: 200, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive.skipIf(!hasRedis)("shared-limits.ts has two processes keep to one limit", () =>
    Effect.gen(function* () {
      const { said, simulator, summary } = yield* run("shared-limits.ts")
      expect([...linesOf(said)].sort()).toEqual(
        ["first", "second"].map((name) =>
          expect.stringMatching(new RegExp(`^${name}: 20 answered in \\d+\\.\\d s$`))
        )
      )
      const times = (yield* simulator.log).map(({ time }) => time)
      expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(1500)
      expect(summary).toMatchObject({ successes: 40, answeredMoreThanOnce: 0 })
    })
  )

  it.scopedLive("http-app.ts streams and sorts over HTTP, with one cache for all", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.make()
      const url = yield* serve("http-app.ts", simulator.url)
      const get = (path: string, init?: RequestInit) =>
        Effect.promise(async () => {
          const response = await fetch(url + path, init)
          return { status: response.status, body: await response.text() }
        })

      const [first, second] = yield* Effect.all([get("/ask?question=Why"), get("/ask?question=Why")], {
        concurrency: 2
      })
      const texts = [first, second].map(({ body }) =>
        Array.from(body.matchAll(/^data: (.+)\n\n/gm), ([, data = ""]) => JSON.parse(data).text).join("")
      )
      expect(texts).toEqual(Array(2).fill(expect.stringMatching(/^Answer \w+: Why/)))
      expect(texts[0]).toBe(texts[1])

      const label = (body: unknown) =>
        get("/label", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body)
        })
      expect(yield* label({ text: "Where is my lamp?" })).toEqual({
        status: 200,
        body: '{"label":"question"}'
      })
      expect(yield* label({})).toEqual({ status: 400, body: expect.stringContaining("is missing") })

      const { body } = yield* get("/limits")
      expect(JSON.parse(body)).toEqual([
        expect.objectContaining({ domain: expect.stringContaining("sim-1"), inUse: 0, waiting: 0 })
      ])
      expect(yield* simulator.stats).toMatchObject({ requests: 2, successes: 2 })
    })
  )

  it("are all run: these here, those of tests by themselves, telemetry.ts and grafana by the tests of telemetry, demo.js and the guide by those of the README", () => {
    const files = readdirSync(join(project, "examples")).sort()
    expect(files).toEqual([
      "batch.ts",
      "budget.ts",
      "csv.ts",
      "demo.js",
      "effect-ai.ts",
      "extract.ts",
      "grafana",
      "guide",
      "http-app.ts",
      "images.ts",
      "mock.test.ts",
      "own-provider.ts",
      "prompts.jsonl",
      "provider-batch.ts",
      "resume.ts",
      "reviews.csv",
      "router-app.test.ts",
      "router-app.ts",
      "search.ts",
      "shared-limits.ts",
      "spray.ts",
      "stream.ts",
      "tasks.ts",
      "telemetry.ts",
      "tools.ts"
    ])
  })
})
