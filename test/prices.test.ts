import { writeFileSync } from "node:fs"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, FastCheck } from "effect"
import { Prices, type Usage } from "floodgate"
import { limitsFor } from "../src/internal/limits.js"
import { vendors } from "../src/internal/priceTable.js"

const { table } = Prices
/** A Saturday: outside of all peak hours. */
const at = Date.parse("2026-11-21T12:00:00Z")

const find = (provider: string, model: string, time = at) => table.find({ provider, model, at: time })

const price = (provider: string, model: string, time = at): Prices.Price => {
  const found = find(provider, model, time)
  assert.isDefined(found, `${provider}/${model} has a price`)
  return found as Prices.Price
}

const own = (options: Prices.Options) => Effect.runSync(Prices.make(options))

/** Every name of the table with a provider that sells it. */
const listed = vendors.flatMap((vendor) =>
  vendor.providers.flatMap((provider) =>
    Object.keys(vendor.models).map((model) => ({ provider, model, id: `${vendor.name}/${model}` }))
  )
)

const counts = FastCheck.nat({ max: 3_000_000 })
const anyPrice = FastCheck.constantFrom(...listed).map(({ model, provider }) => price(provider, model))
const anyBilling = FastCheck.record({
  batch: FastCheck.boolean(),
  serviceTier: FastCheck.constantFrom(undefined, "default", "flex", "priority", "standard", "scale")
})
const anyUsage: FastCheck.Arbitrary<Usage.Usage> = FastCheck.record({
  inputTokens: counts,
  outputTokens: counts,
  cacheReadTokens: FastCheck.option(counts, { nil: undefined }),
  cacheWriteTokens: FastCheck.option(counts, { nil: undefined }),
  cacheWrite1hTokens: FastCheck.option(counts, { nil: undefined }),
  reasoningTokens: FastCheck.option(counts, { nil: undefined }),
  audioInputTokens: FastCheck.option(counts, { nil: undefined }),
  searchUnits: FastCheck.option(FastCheck.nat({ max: 50 }), { nil: undefined })
})

const property = (
  name: string,
  ...args: Parameters<typeof FastCheck.property<[Prices.Price, Usage.Usage, Prices.Billing]>>
) => it(name, () => FastCheck.assert(FastCheck.property(...args), { numRuns: 300 }))

describe("Money", () => {
  it("reads what people write, exactly", () => {
    const read = (text: string) => Either.getOrThrow(Prices.parse(text))
    for (const text of ["25 USD", "$25", "25", "USD 25", "25.00 usd", "US$25", "25 dollars"]) {
      assert.strictEqual(read(text), 25_000_000_000_000n, text)
    }
    assert.strictEqual(read("0.50"), 500_000_000_000n)
    assert.strictEqual(read(".5"), 500_000_000_000n)
    assert.strictEqual(read("$1,250.10"), 1_250_100_000_000_000n)
    assert.strictEqual(read("0.000000000001"), 1n)
    for (const text of [
      "",
      "abc",
      "25 EUR",
      "€25",
      "-5",
      "1.2.3",
      "1,25",
      "0.0000000000001",
      "5 cents",
      "."
    ]) {
      const refused = Prices.parse(text)
      assert.isTrue(Either.isLeft(refused), text)
      if (Either.isLeft(refused)) assert.strictEqual(refused.left._tag, "InvalidAmountError")
    }
  })

  it("is written with the digits that count", () => {
    const written = (text: string) => Prices.format(Either.getOrThrow(Prices.parse(text)))
    assert.deepStrictEqual(
      [
        "0",
        "25",
        "1234567.891",
        "0.5",
        "0.0123",
        "0.01234567",
        "0.0000123456",
        "0.9999",
        "0.99",
        "0.995"
      ].map(written),
      [
        "$0.00",
        "$25.00",
        "$1,234,567.89",
        "$0.50",
        "$0.0123",
        "$0.0123",
        "$0.0000123",
        "$1.00",
        "$0.99",
        "$0.995"
      ]
    )
    assert.strictEqual(Prices.format(-1_500_000_000_000n), "-$1.50")
    assert.strictEqual(Prices.format(1n), "$0.000000000001")
  })

  it("comes back from two decimals on as it was", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.bigInt({ min: 100n, max: 10n ** 12n }), (cents) => {
        const money = cents * 10_000_000_000n
        assert.strictEqual(Either.getOrThrow(Prices.parse(Prices.format(money))), money)
      })
    )
  })
})

describe("the names of models", () => {
  it("every entry of the table is found by its own name, at each provider that sells it", () => {
    assert.isAtLeast(listed.length, 97)
    for (const { id, model, provider } of listed) {
      const found = price(provider, model)
      assert.strictEqual(found.id, id)
      assert.strictEqual(found.rule, "exact")
      assert.isString(found.source, id)
      assert.match(found.asOf ?? "", /^20\d\d-\d\d/, id)
    }
  })

  it("no name that begins like a known one takes its price", () => {
    const known = new Set(listed.map(({ model, provider }) => `${provider}/${model.toLowerCase()}`))
    const tails = [
      "-mini",
      "-nano",
      "-lite",
      "-pro",
      "-audio-preview",
      "-search-preview",
      "-16k",
      "x",
      "-2",
      ":nitro"
    ]
    for (const { id, model, provider } of listed) {
      for (const tail of tails) {
        const name = `${model}${tail}`
        if (known.has(`${provider}/${name.toLowerCase()}`)) {
          assert.strictEqual(price(provider, name).id, `${id}${tail}`)
        } else assert.isUndefined(find(provider, name), `${provider}/${name}`)
      }
    }
    const apart: ReadonlyArray<readonly [string, string, string]> = [
      ["openai", "gpt-4o-mini", "gpt-4o"],
      ["openai", "o3-mini", "o3"],
      ["gemini", "gemini-2.5-flash-lite", "gemini-2.5-flash"],
      ["voyage", "voyage-4-lite", "voyage-4"],
      ["anthropic", "claude-opus-5-5", "claude-opus-5"]
    ]
    for (const [provider, one, other] of apart) {
      assert.notDeepEqual(price(provider, one).tariff, price(provider, other).tariff)
    }
    for (const model of [
      "o1-mini",
      "o1",
      "gpt-4",
      "gpt-4o-2",
      "gpt-4-0613",
      "ft:gpt-4o-mini:me::1",
      "claude-3-opus"
    ]) {
      assert.isUndefined(find("openai", model), model)
    }
  })

  it("a dated name has the price of its model, but where that day had another", () => {
    const dated = price("openai", "gpt-4o-mini-2024-07-18")
    assert.deepStrictEqual([dated.id, dated.rule], ["openai/gpt-4o-mini", "dated"])
    assert.strictEqual(price("openai", "gpt-4o-2024-08-06").id, "openai/gpt-4o")
    assert.isUndefined(find("openai", "gpt-4o-2024-05-13"))
    assert.strictEqual(price("azure", "gpt-4.1-2025-04-14").id, "openai/gpt-4.1")
    assert.strictEqual(price("anthropic", "claude-sonnet-4-5-20250929").id, "anthropic/claude-sonnet-4-5")
    assert.isUndefined(find("anthropic", "claude-opus-4-20250514"))
    assert.strictEqual(price("openai", "gpt-3.5-turbo-0125").rule, "alias")
    assert.isUndefined(find("openai", "gpt-3.5-turbo-0613"))
    assert.strictEqual(price("gemini", "models/gemini-2.5-pro").id, "google/gemini-2.5-pro")
    // another month of a Mistral model is another model
    assert.isUndefined(find("mistral", "mistral-medium-2505"))
  })

  it("aggregators sell by the names of vendors; who hosts a model itself has a price of its own", () => {
    assert.deepInclude(price("openrouter", "openai/gpt-4o-mini"), {
      id: "openai/gpt-4o-mini",
      rule: "routed"
    })
    assert.strictEqual(price("openrouter", "anthropic/claude-sonnet-4.5").id, "anthropic/claude-sonnet-4-5")
    assert.strictEqual(price("openai-compatible", "google/gemini-2.5-flash").id, "google/gemini-2.5-flash")
    for (const [provider, model] of [
      ["openrouter", "openai/gpt-4o-mini:free"],
      ["openrouter", "meta-llama/llama-3.3-70b-instruct"],
      ["openrouter", "gpt-4o-mini"],
      ["vllm", "openai/gpt-4o-mini"],
      ["ollama", "llama3"],
      ["lmstudio", "gpt-4o"],
      ["fireworks", "gpt-4o"],
      ["nobody", "gpt-4o"]
    ] as const) {
      assert.isUndefined(find(provider, model), `${provider}/${model}`)
    }
  })

  it("a deployment is priced by its maker's name", () => {
    assert.strictEqual(
      table.find({ provider: "azure", model: "our-own", family: "gpt-4o-mini", at })?.id,
      "openai/gpt-4o-mini"
    )
    const endpoint = { provider: "vllm", model: "m", price: { input: 0.2, output: 0.4 } }
    const stated = Prices.ofEndpoint(table, endpoint, "m", at)
    assert.strictEqual(stated?.rule, "endpoint")
    assert.strictEqual(stated?.tariff.rates.input, 200_000n)
    // it says nothing of another model that is asked for there
    assert.isUndefined(Prices.ofEndpoint(table, endpoint, "n", at))
    assert.strictEqual(
      Prices.ofEndpoint(table, { ...endpoint, provider: "openai" }, "gpt-4o-mini", at)?.id,
      "openai/gpt-4o-mini"
    )
    const any = { provider: "vllm", price: endpoint.price }
    assert.strictEqual(Prices.ofEndpoint(table, any, "n", at)?.rule, "endpoint")
  })
})

describe("what usage costs", () => {
  it("is the sum of its classes, each a part of the whole that it belongs to", () => {
    const usage = {
      inputTokens: 1_000,
      cacheReadTokens: 300,
      cacheWriteTokens: 200,
      cacheWrite1hTokens: 50,
      outputTokens: 100,
      reasoningTokens: 60
    }
    // Claude Haiku 4.5: 1 in, 0.10 read, 1.25 written, 2 for an hour, 5 out
    assert.strictEqual(
      Prices.cost(price("anthropic", "claude-haiku-4-5"), usage),
      500n * 1_000_000n + 300n * 100_000n + 150n * 1_250_000n + 50n * 2_000_000n + 100n * 5_000_000n
    )
    const spoken = { inputTokens: 100, audioInputTokens: 40, outputTokens: 0 }
    assert.strictEqual(
      Prices.cost(price("gemini", "gemini-2.5-flash"), spoken),
      60n * 300_000n + 40n * 1_000_000n
    )
  })

  it("goes by what is billed, where that is stated apart, and by searches", () => {
    const billed = { inputTokens: 80, outputTokens: 12, billedInputTokens: 5, billedOutputTokens: 2 }
    assert.strictEqual(
      Prices.cost(price("cohere", "command-a-03-2025"), billed),
      5n * 2_500_000n + 2n * 10_000_000n
    )
    const searched = { inputTokens: 0, outputTokens: 0, searchUnits: 3 }
    assert.strictEqual(Prices.format(Prices.cost(price("cohere", "rerank-v3.5"), searched)), "$0.006")
  })

  it("of a long prompt is dearer as a whole, from the first token beyond the bound on", () => {
    for (const { model, provider } of listed) {
      const found = price(provider, model)
      const long = found.tariff.longContext
      if (long === undefined) continue
      const input = long.overInputTokens
      const at = (inputTokens: number) => Prices.cost(found, { inputTokens, outputTokens: 10 })
      assert.strictEqual(
        at(input),
        BigInt(input) * found.tariff.rates.input + 10n * found.tariff.rates.output
      )
      assert.strictEqual(at(input + 1), BigInt(input + 1) * long.rates.input + 10n * long.rates.output)
      assert.isTrue(at(input + 1) > at(input))
    }
  })

  it("depends on the tier that was billed; one that nobody priced is told", () => {
    const mini = price("openai", "gpt-4o-mini")
    const usage = { inputTokens: 1_000, outputTokens: 100 }
    const standard = 1_000n * 150_000n + 100n * 600_000n
    const of = (billing: Prices.Billing) => Prices.cost(mini, usage, billing)
    assert.strictEqual(of({}), standard)
    assert.strictEqual(of({ serviceTier: "default" }), standard)
    assert.strictEqual(of({ batch: true }), standard / 2n)
    assert.strictEqual(of({ serviceTier: "flex" }), standard / 2n)
    // $0.25 and $1.00
    assert.strictEqual(of({ serviceTier: "priority" }), 1_000n * 250_000n + 100n * 1_000_000n)
    assert.deepStrictEqual(Prices.doubts(mini, usage, { serviceTier: "flex" }), [])
    assert.strictEqual(of({ serviceTier: "scale" }), standard)
    assert.match(Prices.doubts(mini, usage, { serviceTier: "scale" })[0] ?? "", /service tier "scale"/)
    const heard = { ...usage, audioInputTokens: 5 }
    assert.match(Prices.doubts(price("gemini", "gemini-2.5-pro"), heard)[0] ?? "", /audio/)
  })

  it("changes with the day and the hour", () => {
    const input = (model: string, provider: string, time: string) =>
      price(provider, model, Date.parse(time)).tariff.rates.input
    assert.strictEqual(input("gemini-4-argon", "gemini", "2026-11-30T23:59:59Z"), 2_000_000n)
    assert.strictEqual(input("gemini-4-argon", "gemini", "2026-12-01T00:00:00Z"), 4_000_000n)
    assert.strictEqual(input("gpt-5.6", "openai", "2026-11-21T23:59:59Z"), 4_000_000n)
    assert.strictEqual(input("gpt-5.6-sol", "openai", "2026-11-22T00:00:00Z"), 5_000_000n)
    // DeepSeek: Monday to Friday, 01–04 and 06–10 UTC
    const peak = 300_000n
    const off = 150_000n
    for (const [time, rate] of [
      ["2026-11-20T00:59:59Z", off],
      ["2026-11-20T01:00:00Z", peak],
      ["2026-11-20T04:00:00Z", off],
      ["2026-11-20T09:59:59Z", peak],
      ["2026-11-20T10:00:00Z", off],
      ["2026-11-21T02:00:00Z", off]
    ] as const) {
      assert.strictEqual(input("deepseek-flash", "deepseek", time), rate, time)
    }
  })

  it("is no more than the worst case, also when the price changes before the answer", () => {
    const before = price("gemini", "gemini-4-argon", Date.parse("2026-11-30T20:00:00Z"))
    const after = price("gemini", "gemini-4-argon", Date.parse("2026-12-01T01:00:00Z"))
    const usage = { inputTokens: 500, outputTokens: 500 }
    const worst = Prices.worstCase(before, usage)
    assert.strictEqual(worst, Prices.cost(after, usage))
    assert.isUndefined(Prices.worstCase(after, { inputTokens: 5, outputTokens: Number.POSITIVE_INFINITY }))
  })

  property(
    "is never above the worst case of its bounds",
    anyPrice,
    anyUsage,
    anyBilling,
    (of, usage, billing) => {
      const spent = Prices.cost(of, usage, billing)
      const bounds = { ...usage, searchUnits: usage.searchUnits ?? 0 }
      assert.isTrue(spent <= (Prices.worstCase(of, bounds, billing) ?? -1n))
      const more = {
        inputTokens: usage.inputTokens + 7,
        outputTokens: usage.outputTokens + 3,
        searchUnits: 50
      }
      assert.isTrue(spent <= (Prices.worstCase(of, more, billing) ?? -1n))
    }
  )

  property(
    "grows with tokens, and cached input is never dearer",
    anyPrice,
    anyUsage,
    anyBilling,
    (of, usage, by) => {
      const plain = { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens }
      const spent = Prices.cost(of, plain, by)
      assert.isTrue(Prices.cost(of, { ...plain, inputTokens: plain.inputTokens + 1 }, by) >= spent)
      assert.isTrue(Prices.cost(of, { ...plain, outputTokens: plain.outputTokens + 1 }, by) >= spent)
      assert.isTrue(Prices.cost(of, { ...plain, cacheReadTokens: usage.cacheReadTokens }, by) <= spent)
      assert.isTrue(Prices.cost(of, { ...plain, reasoningTokens: usage.reasoningTokens }, by) === spent)
    }
  )

  it("adds up without drift: twenty thousand rows are as exact as one", () => {
    FastCheck.assert(
      FastCheck.property(
        anyPrice,
        FastCheck.nat({ max: 5_000 }),
        FastCheck.nat({ max: 5_000 }),
        (of, i, o) => {
          const usage = { inputTokens: i, outputTokens: o }
          const one = Prices.cost(of, usage, { batch: true })
          let sum = 0n
          for (let row = 0; row < 200; row++) sum += Prices.cost(of, usage, { batch: true })
          assert.strictEqual(sum, one * 200n)
          // where half of it is a whole number of picodollars it is just that
          const { rates } = of.tariff
          const full = BigInt(i) * rates.input + BigInt(o) * rates.output
          const factor = of.tiers.batch ?? [1, 1]
          if ((full * BigInt(factor[0])) % BigInt(factor[1]) === 0n) {
            assert.strictEqual(one * BigInt(factor[1]), full * BigInt(factor[0]))
          }
        }
      ),
      { numRuns: 100 }
    )
    const mini = price("openai", "gpt-4o-mini")
    let float = 0
    let exact = 0n
    for (let row = 0; row < 20_000; row++) {
      exact += Prices.cost(mini, { inputTokens: 7, outputTokens: 3, cacheReadTokens: 2 })
      float += (5 * 0.15 + 2 * 0.075 + 3 * 0.6) / 1e6
    }
    assert.strictEqual(exact, 20_000n * (5n * 150_000n + 2n * 75_000n + 3n * 600_000n))
    assert.notStrictEqual(BigInt(Math.round(float * 1e18)), exact * 1_000_000n)
  })

  it("counts of a broken server break nothing", () => {
    const mini = price("openai", "gpt-4o-mini")
    for (const tokens of [Number.NaN, -5, Number.POSITIVE_INFINITY]) {
      assert.strictEqual(Prices.cost(mini, { inputTokens: tokens, outputTokens: 0 }), 0n)
    }
    const odd = { inputTokens: 10, outputTokens: 0, cacheReadTokens: 50, cacheWriteTokens: 50 }
    assert.strictEqual(Prices.cost(mini, odd), 10n * 75_000n)
    assert.strictEqual(Prices.cost(mini, { inputTokens: 0.5, outputTokens: 0 }), 150_000n)
  })
})

describe("prices of your own", () => {
  it("take the place of the table's for all names of a model, and keep what it can", () => {
    const prices = own({ override: { "openai/gpt-4o-mini": { input: 0.1, output: 0.5 } } })
    const found = prices.find({ provider: "openai", model: "gpt-4o-mini-2024-07-18", at })
    assert.deepInclude(found, { id: "openai/gpt-4o-mini", rule: "own", maxOutputTokens: 16_384 })
    assert.strictEqual(found?.tariff.rates.input, 100_000n)
    assert.strictEqual(found?.tariff.rates.cacheRead, 100_000n)
    assert.strictEqual(prices.find({ provider: "openai", model: "gpt-4o", at })?.rule, "exact")
  })

  it("add models, by pattern too; servers of one's own cost nothing once that is said", () => {
    const prices = own({
      add: {
        "ollama/*": Prices.free,
        "ollama/rented-*": { input: 0.2, output: 0.2 },
        "openai/ft:gpt-4o-mini:*": { input: 0.3, output: 1.2, until: "2026-12-31" }
      }
    })
    const rate = (provider: string, model: string, time = at) =>
      prices.find({ provider, model, at: time })?.tariff.rates.input
    assert.strictEqual(rate("ollama", "llama3.3:70b"), 0n)
    assert.strictEqual(rate("ollama", "rented-one"), 200_000n)
    assert.strictEqual(rate("openai", "ft:gpt-4o-mini:me::1"), 300_000n)
    assert.isUndefined(rate("openai", "ft:gpt-4o-mini:me::1", Date.parse("2027-01-01")))
    assert.isUndefined(rate("vllm", "llama3"))
    assert.include(prices.ids, "ollama/*")
  })

  it("show in the version, each with its own", () => {
    const one = own({ add: { "vllm/*": Prices.free } })
    const other = own({ add: { "vllm/*": { input: 1, output: 1 } } })
    assert.strictEqual(table.version, "2026-11-21")
    assert.match(one.version, /^2026-11-21\+own\.[0-9a-f]{8}$/)
    assert.notStrictEqual(one.version, other.version)
    assert.strictEqual(own({}).version, table.version)
  })

  it.effect("may stand in a file, and the layer provides them", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.promise(() => mkdtemp(join(tmpdir(), "prices-")))
      const file = join(folder, "prices.json")
      writeFileSync(file, JSON.stringify({ add: { "vllm/*": { input: 1, output: 2 } } }))
      const prices = yield* Prices.Prices.pipe(
        Effect.provide(Prices.layer({ file, add: { "vllm/free": Prices.free } }))
      )
      const rate = (model: string) => prices.find({ provider: "vllm", model, at })?.tariff.rates.output
      assert.deepStrictEqual([rate("any"), rate("free")], [2_000_000n, 0n])
      assert.strictEqual((yield* Prices.Prices).version, table.version)
    })
  )

  it.effect("that can never apply, or are no prices, are refused by name", () =>
    Effect.gen(function* () {
      for (const [options, message] of [
        [{ override: { "openai/gpt-9": Prices.free } }, /no "openai\/gpt-9"/],
        [{ add: { "openai/gpt-4o": Prices.free } }, /in the table already/],
        [{ add: { llama: Prices.free } }, /names no provider/],
        [{ add: { "a/b": { input: -1, output: 0 } } }, /add\.a\/b\.input/],
        [{ add: { "a/b": { input: 0.000_000_1, output: 0 } } }, /6 decimals/],
        [{ add: { "a/b": { input: 1, output: 0, until: "soon" } } }, /day/],
        [{ file: "/nowhere/prices.json" }, /cannot be read/]
      ] as const) {
        const refused = yield* Effect.flip(Prices.make(options))
        assert.strictEqual(refused._tag, "InvalidPricesError")
        assert.match(refused.message, message)
      }
    })
  )

  it("a pattern is matched as the limits' are", () => {
    assert.strictEqual(limitsFor({ "a/*": 1, "a/b*": 2, "*": 3 }, "a/bc"), 2)
  })
})
