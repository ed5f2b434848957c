import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import {
  batchStream,
  Cache,
  CallLog,
  Chat,
  Checkpoint,
  HttpClientPool,
  Ledger,
  OpenAi,
  Prices,
  RateLimiter,
  Receipt,
  Report,
  Retry,
  Router
} from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { type Browser, chromium } from "playwright-core"
import type { Flags } from "../src/cli/reportCommand.js"
import { runReport } from "../src/cli/runReport.js"
import { moneyOf } from "../src/internal/reportAmount.js"
import { project } from "./snippets.js"

const browserPath = "/usr/bin/chromium"

const folder = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "floodgate-report-"))),
    (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
  ),
  (root) => (name: string) => join(root, name)
)

const attack = `</script><script>window.attacked = true</script><img src=x onerror="window.attacked = true">`

const models = ["gpt-4o-mini", "gpt-4o", "gpt-4.1-nano", "our-own"] as const

const requests = Array.from({ length: 200 }, (_, n) =>
  Chat.prompt(n === 7 ? `Repeat: ${attack}` : `What is ${n % 180} + 1?`, {
    id: `row-${n}`,
    model: models[n % 180 < 100 ? 0 : (n % 180) % models.length],
    maxTokens: 80,
    metadata: n === 7 ? { note: attack } : { n }
  })
)

/** A run over the simulator, with all that it leaves behind. */
const runOver = (path: (name: string) => string) =>
  Effect.gen(function* () {
    const simulator = yield* Simulator.make({
      seed: 4,
      latency: { kind: "lognormal", median: "8 millis", p95: "30 millis" },
      faults: [
        { kind: "status", status: 500, rate: 0.08 },
        { kind: "status", status: 429, rate: 0.08, retryAfter: "5 millis" },
        { kind: "reset", rate: 0.04 },
        { kind: "status", status: 403, rate: 0.03 }
      ],
      script: [{ match: "What is 3 + 1?", times: "always", fault: { kind: "status", status: 400 } }]
    })
    const endpoint = (id: string) => ({
      id,
      provider: "openai",
      baseUrl: simulator.url,
      apiKey: Redacted.make("sk-test"),
      model: "gpt-4o-mini"
    })
    const services = Layer.mergeAll(
      Layer.provide(OpenAi.layer, HttpClientPool.layer()),
      Router.layer({ endpoints: [endpoint("east"), endpoint("west")], strategy: "roundRobin" }),
      RateLimiter.layerUnlimited,
      Cache.layerMemory(),
      Ledger.layer,
      CallLog.layerFile(path("calls.jsonl"), { prompt: 120 })
    )
    const receipt = yield* Effect.gen(function* () {
      const tally = Receipt.tally()
      yield* batchStream(requests, {
        concurrency: 16,
        retry: Retry.make({ maxRetries: 3, base: "5 millis", cap: "10 millis" }),
        checkpoint: Checkpoint.layerFile(path("out.jsonl"))
      }).pipe(Stream.runForEach((settled) => Effect.sync(() => tally.add(settled))))
      const summary = yield* Effect.flatMap(Ledger.Ledger, (ledger) => ledger.summary)
      return Receipt.withLedger(tally.receipt({ wallSeconds: 1.25, interrupted: false }), summary)
    }).pipe(Effect.provide(services))
    writeFileSync(path("receipt.json"), JSON.stringify(receipt))
    return receipt
  })

const flags = (run: string, others: Partial<Flags> = {}): Flags => ({
  ...{ run, output: undefined, receipt: undefined, calls: undefined, title: undefined, rows: 5_000 },
  ...{ rps: undefined, rpm: undefined, tpm: undefined, itpm: undefined, otpm: undefined },
  ...others
})

const browser: Effect.Effect<Browser, never, import("effect/Scope").Scope> = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({
      executablePath: browserPath,
      args: [
        ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
        ...["--disable-background-networking", "--disable-component-update", "--disable-sync"]
      ]
    })
  ),
  (browser) => Effect.promise(() => browser.close())
)

const line = (index: number, fields: object) =>
  JSON.stringify({
    index,
    custom_id: null,
    status: "success",
    response: {
      text: `answer ${index}`,
      usage: { inputTokens: 3, outputTokens: 2 },
      model: "m",
      provider: "p"
    },
    error: null,
    meta: { attempts: 1, cached: false, latencyMs: index, key: `k${index}`, cost: 0.000_1 },
    metadata: {},
    ...fields
  })

const failure = (index: number) =>
  line(index, {
    status: "error",
    response: null,
    error: {
      _tag: "ServerError",
      message: `it broke at ${index}`,
      status: 500,
      retryable: true,
      provider: "p"
    }
  })

const reportOf = (lines: Iterable<string>, options?: Report.Options) =>
  Report.build({ outcomes: Stream.fromIterable(lines) }, options)

// without a browser on a developer's machine there is nothing to look with; where changes are checked there is one
const isThere = existsSync(browserPath) || process.env.CI !== undefined

describe("the page of a report", () => {
  it.scopedLive.skipIf(!isThere)("tells of a run what its receipt does, and works in a browser", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const receipt = yield* runOver(path)
      const ledger = receipt.ledger
      if (ledger === undefined) return expect.unreachable()
      yield* runReport(
        flags(path("out.jsonl"), {
          ...{
            output: path("report.html"),
            receipt: path("receipt.json"),
            calls: path("calls.jsonl"),
            tpm: 1e6
          }
        })
      ).pipe(Effect.provide(NodeContext.layer))

      const launched = yield* browser
      yield* Effect.promise(async () => {
        const page = await launched.newPage({ viewport: { width: 1200, height: 900 }, colorScheme: "light" })
        const asked: Array<string> = []
        const said: Array<string> = []
        page.on("request", (request) => asked.push(request.url()))
        page.on("console", (message) => said.push(message.text()))
        page.on("pageerror", (error) => said.push(error.message))
        const address = pathToFileURL(path("report.html")).href
        await page.goto(address)

        const value = (name: string) => page.locator(`[data-figure=${name}] .value`).textContent()
        const all = (name: string) => page.locator(`[data-figure=${name}]`).textContent()
        const dollars = (amount: number) => Prices.format(moneyOf(amount))
        const whole = (n: number) => n.toLocaleString("en-US")
        expect(await value("requests")).toBe("200")
        expect(receipt.failed).toBeGreaterThan(0)
        expect(await value("failed")).toBe(String(receipt.failed))
        expect(ledger.total.cost).toBeGreaterThan(0)
        expect(await value("cost")).toBe(dollars(ledger.total.cost))
        expect(await all("cached")).toContain(`${dollars(ledger.saved.cost)} saved`)
        expect(await all("cost")).toContain("without our-own: no price")
        expect(await value("calls")).toBe(whole(ledger.total.attempts))
        expect(await value("tokens")).toBe(whole(receipt.inputTokens + receipt.outputTokens))
        expect(await value("time")).toBe("1.25 s")
        const costs = await page
          .getByRole("region", { name: "By model", exact: true })
          .locator("tbody tr")
          .allInnerTexts()
        expect(costs.length).toBe(models.length)
        for (const model of ledger.models) {
          const row = costs.find((text) => text.startsWith(`${model.model}\t`))
          expect(row).toContain(model.unpriced > 0 ? "no price" : dollars(model.cost))
          expect(row).toContain(`\t${model.attempts}\t`)
        }
        const errors = await page
          .getByRole("region", { name: "Errors by class", exact: true })
          .locator("tbody tr")
          .allInnerTexts()
        for (const { attempts, outcome } of ledger.outcomes) {
          if (outcome === "answered" || outcome === "interrupted") continue
          const row = errors.find((text) => text.startsWith(`${outcome}\t`))
          expect(row).toContain(`\t${receipt.errors[outcome] ?? 0}\t${attempts}\t`)
        }

        // five charts over time and two of latencies; arrows tell their values
        expect(await page.locator(".chart canvas").count()).toBe(7)
        const chart = page.locator(".plot").first()
        await chart.focus()
        await page.keyboard.press("ArrowRight")
        expect(await chart.locator(".tooltip").textContent()).toMatch(/UTCanswered [\d.]+\/s/)

        // what others wrote is text
        const count = () => page.locator("#count").textContent()
        const shown = () => page.locator("#rows tbody tr").allInnerTexts()
        await page.fill("#search", "onerror=")
        expect(await count()).toBe("1 of 200 rows")
        await page.locator("#rows .open").click()
        expect(await page.locator("#rows .details").textContent()).toContain(attack)
        expect(await page.evaluate("window.attacked")).toBeUndefined()
        expect(await page.locator("img").count()).toBe(0)

        await page.fill("#search", "")
        expect(await count()).toBe("200 of 200 rows, 1 to 50 shown")
        await page.click("#next")
        expect(await count()).toBe("200 of 200 rows, 51 to 100 shown")
        await page.selectOption("#outcome", "failed")
        expect(await count()).toMatch(new RegExp(`^${receipt.failed} of 200 rows`))
        await page.selectOption("#outcome", "")
        await page.selectOption("#model", "gpt-4o")
        expect((await shown()).every((row) => row.includes("gpt-4o"))).toBe(true)
        await page.selectOption("#model", "")
        const latency = page.locator("#rows th", { hasText: "Latency" })
        await latency.getByRole("button").click()
        expect(await latency.getAttribute("aria-sort")).toBe("descending")
        const slowest = await page
          .getByRole("region", { name: "Slowest rows", exact: true })
          .locator("tbody td")
          .first()
          .textContent()
        expect((await shown())[0]?.split("\t")[0]).toBe(slowest)

        const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor")
        const light = await background()
        await page.emulateMedia({ colorScheme: "dark" })
        const dark = await background()
        expect(dark).not.toBe(light)
        await page.click("#theme")
        expect(await background()).toBe(light)
        await page.setViewportSize({ width: 360, height: 740 })
        // charts follow a moment later
        await vi.waitFor(async () =>
          expect(await page.evaluate("document.querySelector('.plot canvas').clientWidth")).toBeLessThan(360)
        )
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360)

        // a request is tried, and goes nowhere
        expect(said).toEqual([])
        expect(asked).toEqual([address])
        const tried = await page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
        expect([
          tried,
          said.length > 0 && said.every((text) => text.includes("Content Security Policy"))
        ]).toEqual(["refused", true])
      })
    })
  )

  it("is made of the script and style that stand beside it", () => {
    execFileSync(process.execPath, [join(project, "src/report/build.js"), "--check"], { stdio: "pipe" })
    expect(readFileSync(join(project, "src/internal/reportPage.ts"), "utf8")).toContain(
      "Permission is hereby granted"
    )
  })
})

describe("a report", () => {
  it.effect("without receipt and call log says what is missing, and adds up the rows exactly", () =>
    Effect.gen(function* () {
      const report = yield* reportOf([...Array.from({ length: 30 }, (_, n) => line(n, {})), failure(30), "{"])
      expect(report.requests).toMatchObject({ total: 31, succeeded: 30, failed: 1, attempts: 31 })
      expect(report.money).toMatchObject({ source: "rows", cost: { text: "$0.0031" } })
      expect(report.timeline).toBeUndefined()
      expect(report.errors).toMatchObject([
        { tag: "ServerError", requests: 1, examples: [{ index: 30, status: 500 }] }
      ])
      expect(report.notes.join("\n")).toMatch(
        /no call log(.|\n)*no receipt(.|\n)*1 line of the output could not be read/
      )
      expect(Report.html(report)).toContain("There is no call log")
    })
  )

  it.effect("of many rows shows the slowest, failures, and an even sample, and counts all", () =>
    Effect.gen(function* () {
      const lines = function* () {
        for (let n = 0; n < 5_000; n++) yield n % 100 === 99 ? failure(n) : line(n, {})
      }
      const report = yield* reportOf(lines(), { rows: 400 })
      expect(report.requests).toMatchObject({ total: 5_000, failed: 50 })
      expect(report.rows.length).toBe(400)
      const shown = new Set(report.rows.map(({ index }) => index))
      expect(shown.size).toBe(400)
      for (const index of [...report.slowest, ...report.dearest]) expect(shown.has(index)).toBe(true)
      expect(report.slowest.slice(0, 3)).toEqual([4_999, 4_998, 4_997])
      expect(report.rows.filter(({ error }) => error !== undefined).length).toBe(50)
      // the sample is from everywhere
      for (let part = 0; part < 10; part++) {
        const inPart = report.rows.filter(
          ({ error, index }) => error === undefined && Math.floor(index / 500) === part
        )
        expect(inPart.length).toBeGreaterThan(10)
      }
      expect(report.notes.join()).toContain("400 of 5,000 rows are on this page")
    })
  )

  it.effect("of a run that was stopped counts the last outcome of each row", () =>
    Effect.gen(function* () {
      const report = yield* reportOf([failure(0), failure(1), line(2, {}), failure(0), line(0, {})])
      expect(report.requests).toMatchObject({ total: 3, succeeded: 2, failed: 1 })
      expect(report.notes.join()).toContain("2 outcomes that a later one of the same row replaces")
    })
  )

  it.effect("shows a day of calls in as many steps as a minute, and loses none", () =>
    Effect.gen(function* () {
      const calls = Array.from({ length: 2_000 }, (_, n) =>
        JSON.stringify({
          ...{ time: new Date(1.7e12 + n * 43_200).toISOString(), origin: "call", model: "m", attempt: 1 },
          ...{
            outcome: n % 10 === 0 ? "RateLimitError" : "answered",
            hedge: false,
            wasted: false,
            latencyMs: 90_000
          },
          ...{ unpriced: false, unsettled: false, inputTokens: 7, outputTokens: 1, cost: 0.01 }
        })
      )
      const report = yield* Report.build({
        outcomes: Stream.make(line(0, {})),
        calls: Stream.fromIterable(calls)
      })
      const { timeline } = report
      if (timeline === undefined) return expect.unreachable()
      const sum = (list: ReadonlyArray<number>) => list.reduce((total, n) => total + n, 0)
      expect(timeline.answered.length).toBeGreaterThan(90)
      expect(timeline.answered.length).toBeLessThanOrEqual(360)
      expect([sum(timeline.answered), sum(timeline.limited)]).toEqual([1_800, 200])
      expect(sum(timeline.inputTokens)).toBe(14_000)
      expect(timeline.cost.at(-1)?.text).toBe("$20.00")
      // 90 seconds each, one every 43.2: that many are under way
      expect(timeline.inFlight[50]).toBeCloseTo(90 / 43.2, 0)
    })
  )

  it.scoped("is not written over a file that is none, and is made of a table's checkpoint", () =>
    Effect.gen(function* () {
      const path = yield* folder
      writeFileSync(path("out.csv.floodgate.jsonl"), `${line(0, {})}\n`)
      writeFileSync(path("out.csv"), "answer\nanswer 0\n")
      const run = (output?: string) =>
        Effect.exit(Effect.provide(runReport(flags(path("out.csv"), { output })), NodeContext.layer))
      expect(Exit.isFailure(yield* run(path("out.csv")))).toBe(true)
      expect(readFileSync(path("out.csv"), "utf8")).toBe("answer\nanswer 0\n")
      expect(yield* run()).toEqual(Exit.void)
      expect(yield* run()).toEqual(Exit.void)
      expect(readFileSync(path("out.csv.html"), "utf8")).toContain("<title>out.csv ")
    })
  )
})
