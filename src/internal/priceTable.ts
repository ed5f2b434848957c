/**
 * List prices in US dollars for a million tokens, and the names that they hold for. Data: how a name is looked up is
 * told in `priceList`.
 *
 * A model is listed only where its price was stated somewhere. Where a statement is second-hand, inferred or about to
 * end, its `doubt` says so. What vendors have in common is a rule of theirs: half price for batches; of OpenAI's models
 * with a million tokens of context twice the input and one and a half times the output beyond 272,000 tokens, for the
 * whole of a request, and a quarter more for input written to the cache, from GPT-5.6 on.
 */
import type { Factor, PriceFields, PriceList } from "./priceFields.js"
import { anthropic } from "./priceTableAnthropic.js"
import { google } from "./priceTableGoogle.js"
import { openAi } from "./priceTableOpenAi.js"

/** The day up to which the table was kept. */
export const date = "2026-11-21"

export interface Model {
  readonly price: PriceList
  /** Other names of the same model, at the same price. */
  readonly names?: ReadonlyArray<string>
  /** Dated names of it that cost something else. */
  readonly except?: ReadonlyArray<string>
}

export interface Vendor {
  readonly name: string
  /** Our names of the providers that sell its models at these prices. */
  readonly providers: ReadonlyArray<string>
  /** What goes before its models' names where others pass them on, and the price with them. */
  readonly prefixes?: ReadonlyArray<string>
  /** Another way to write a name, as the table writes it. */
  readonly spelled?: (name: string) => string
  /** The end of a name that only dates it. */
  readonly dated?: RegExp
  readonly tiers: Readonly<Record<string, Factor>>
  /** Whether prompts are written to the cache only where the request marks them. */
  readonly cachesOnRequest?: boolean
  readonly models: Readonly<Record<string, Model>>
}

/** Half price for what is not needed at once. */
const halfBatch = { batch: [1, 2] } as const

const modelsDev = { source: "models.dev", asOf: "2026-07-02" }
const genaiPrices = { source: "genai-prices", asOf: "2026-08-21" }
const bothLists = { source: "genai-prices; models.dev", asOf: "2026-08-21" }
const groqLists = { source: "models.dev groq; genai-prices", asOf: "2026-07-02" }
const voyageLists = {
  source: "genai-prices; context: models.dev",
  asOf: "2026-08-21",
  contextWindow: 32_000
}

/** One price, with what else is known of a model. */
const one = (price: PriceFields): Model => ({ price })

const mistral: Vendor = {
  name: "mistral",
  providers: ["mistral"],
  prefixes: ["mistral", "mistralai"],
  // names end in the month of the model, and another month is another price
  tiers: halfBatch,
  models: {
    "mistral-large-4-0": one({
      input: 0.68,
      output: 2.09,
      contextWindow: 1_049_000,
      source: "third-party listing (getmaxim)",
      asOf: "2026-11",
      doubt: "third-party price"
    }),
    "mistral-large-2512": one({
      ...{ input: 0.5, cacheRead: 0.05, output: 1.5 },
      ...{ contextWindow: 262_144, maxOutputTokens: 262_144 },
      ...bothLists
    }),
    "mistral-medium-2604": one({ input: 1.5, output: 7.5, contextWindow: 262_144, ...modelsDev }),
    "mistral-medium-2508": one({ input: 0.4, output: 2, contextWindow: 262_144, ...modelsDev }),
    "mistral-small-2603": one({
      ...{ input: 0.15, cacheRead: 0.015, output: 0.6 },
      ...{ contextWindow: 256_000, maxOutputTokens: 256_000 },
      ...bothLists
    }),
    "codestral-2508": one({
      ...{ input: 0.3, cacheRead: 0.03, output: 0.9, contextWindow: 256_000 },
      ...bothLists
    }),
    "devstral-2512": one({
      ...{ input: 0.4, cacheRead: 0.04, output: 2, contextWindow: 262_144 },
      ...bothLists
    }),
    "magistral-medium-latest": one({
      ...{ input: 2, output: 5, contextWindow: 128_000 },
      ...bothLists,
      doubt: "the name moves on to newer models, which may have another price"
    }),
    "ministral-8b-2512": one({
      ...{ input: 0.15, cacheRead: 0.015, output: 0.15, contextWindow: 262_144 },
      source: "models.dev openrouter",
      asOf: "2026-07-02",
      doubt: "read from the list of a reseller"
    }),
    "ministral-3b-2512": one({
      ...{ input: 0.1, cacheRead: 0.01, output: 0.1, contextWindow: 262_144 },
      ...genaiPrices,
      doubt: "found in one list only"
    }),
    "mistral-embed": one({
      ...{ input: 0.1, output: 0, contextWindow: 8_192 },
      ...genaiPrices,
      doubt: "found in one list only"
    })
  }
}

const command = { input: 2.5, output: 10, ...modelsDev }

const cohere: Vendor = {
  name: "cohere",
  providers: ["cohere"],
  prefixes: ["cohere"],
  tiers: {},
  models: {
    "command-a-plus-05-2026": one({ ...command, contextWindow: 128_000, maxOutputTokens: 64_000 }),
    "command-a-03-2025": one({ ...command, contextWindow: 256_000, maxOutputTokens: 8_000 }),
    "command-a-reasoning-08-2025": one({ ...command, contextWindow: 256_000, maxOutputTokens: 32_000 }),
    "command-r-plus-08-2024": one({ ...command, contextWindow: 128_000, maxOutputTokens: 4_000 }),
    "command-r-08-2024": one({
      ...{ input: 0.15, output: 0.6, contextWindow: 128_000, maxOutputTokens: 4_000 },
      ...modelsDev
    }),
    "command-r7b-12-2024": one({
      ...{ input: 0.0375, output: 0.15, contextWindow: 128_000, maxOutputTokens: 4_000 },
      ...modelsDev
    }),
    "embed-v4.0": one({ input: 0.12, output: 0, contextWindow: 128_000, ...genaiPrices }),
    "rerank-v3.5": one({
      ...{ input: 0, output: 0, perThousandSearches: 2 },
      source: "third-party price lists",
      asOf: "2026-08",
      doubt: "third-party price"
    })
  }
}

/** From Monday to Friday, 01–04 and 06–10 UTC. */
const peak = {
  days: [1, 2, 3, 4, 5],
  hours: [
    [1, 4],
    [6, 10]
  ]
} as const

const deepSeekPage = { source: "api-docs.deepseek.com pricing", asOf: "2026-10" }

const deepSeek: Vendor = {
  name: "deepseek",
  providers: ["deepseek"],
  tiers: {},
  models: {
    "deepseek-flash": one({
      ...{ input: 0.3, cacheRead: 0.006, output: 1.2 },
      offPeak: { peak, input: 0.15, cacheRead: 0.003, output: 0.6 },
      ...{ contextWindow: 1_000_000, maxOutputTokens: 384_000 },
      ...deepSeekPage
    }),
    "deepseek-v4-pro": one({
      ...{ input: 1.32, cacheRead: 0.044, output: 3.96 },
      offPeak: { peak, input: 0.66, cacheRead: 0.022, output: 1.98 },
      ...{ contextWindow: 1_000_000, maxOutputTokens: 384_000 },
      ...deepSeekPage
    })
  }
}

const grok4 = {
  ...{ input: 1.25, cacheRead: 0.2, output: 2.5, contextWindow: 1_000_000 },
  longContext: { overInputTokens: 200_000, input: 2.5, cacheRead: 0.4, output: 5 },
  ...bothLists
}

const xAi: Vendor = {
  name: "xai",
  providers: ["xai"],
  prefixes: ["x-ai", "xai"],
  tiers: {},
  models: {
    "grok-4.5": one({
      ...{ input: 2, cacheRead: 0.5, output: 6, contextWindow: 500_000 },
      longContext: { overInputTokens: 200_000, input: 4, cacheRead: 1, output: 12 },
      ...bothLists,
      doubt: "lists do not agree on the price"
    }),
    "grok-4.3": one(grok4),
    "grok-4.20": one(grok4),
    "grok-4-1-fast-reasoning": one({
      ...{ input: 0.2, cacheRead: 0.05, output: 0.5, contextWindow: 2_000_000 },
      ...bothLists
    }),
    "grok-code-fast-1": one({
      ...{ input: 0.2, cacheRead: 0.02, output: 1.5, contextWindow: 256_000 },
      ...bothLists
    })
  }
}

const groqModel = (price: Pick<PriceFields, "input" | "output" | "cacheRead">, maxOutputTokens: number) =>
  one({ ...price, contextWindow: 131_072, maxOutputTokens, ...groqLists })

const groq: Vendor = {
  name: "groq",
  providers: ["groq"],
  // flex is faster or not at all, at the same price
  tiers: { ...halfBatch, flex: [1, 1] },
  models: {
    "openai/gpt-oss-120b": groqModel({ input: 0.15, cacheRead: 0.075, output: 0.6 }, 65_536),
    "openai/gpt-oss-20b": groqModel({ input: 0.075, cacheRead: 0.0375, output: 0.3 }, 65_536),
    "llama-3.3-70b-versatile": groqModel({ input: 0.59, output: 0.79 }, 32_768),
    "llama-3.1-8b-instant": groqModel({ input: 0.05, output: 0.08 }, 131_072),
    "meta-llama/llama-4-scout-17b-16e-instruct": groqModel({ input: 0.11, output: 0.34 }, 8_192),
    "qwen/qwen3-32b": groqModel({ input: 0.29, output: 0.59 }, 40_960)
  }
}

const together: Vendor = {
  name: "together",
  providers: ["together"],
  tiers: {},
  models: {
    "meta-llama/Llama-3.3-70B-Instruct-Turbo": one({
      ...{ input: 0.88, output: 0.88, contextWindow: 131_072, maxOutputTokens: 131_072 },
      source: "models.dev togetherai",
      asOf: "2026-07-02"
    })
  }
}

const voyage: Vendor = {
  name: "voyage",
  providers: ["voyage"],
  tiers: {},
  models: {
    "voyage-4-large": one({ input: 0.12, output: 0, ...voyageLists }),
    "voyage-4": one({ input: 0.06, output: 0, ...voyageLists }),
    "voyage-4-lite": one({ input: 0.02, output: 0, ...voyageLists }),
    "voyage-code-3": one({ input: 0.18, output: 0, ...voyageLists })
  }
}

export const vendors: ReadonlyArray<Vendor> = [
  openAi,
  anthropic,
  google,
  mistral,
  cohere,
  deepSeek,
  xAi,
  groq,
  together,
  voyage
]
