/** Google's list prices, of the Gemini API and Vertex AI; see `priceTable`. */
import type { PriceFields } from "./priceFields.js"
import type { Model, Vendor } from "./priceTable.js"

const page = { source: "ai.google.dev pricing, transcribed", asOf: "2026-10-07" }
const lists = { source: "genai-prices; models.dev", asOf: "2026-08-21" }
const inferred = "the price of cached input is inferred: a tenth of other input"

const gemini = { contextWindow: 1_048_576, maxOutputTokens: 65_536 }

const one = (price: PriceFields): Model => ({ price })

/** Of Gemini 3.6, 3.7 and 3.8 Flash: half price until the end of the year. */
const flash: Model = {
  price: [
    {
      ...{ input: 0.75, cacheRead: 0.075, output: 3.75, until: "2026-12-31" },
      ...gemini,
      ...page,
      doubt: inferred
    },
    {
      ...{ input: 1.5, cacheRead: 0.15, output: 7.5, from: "2027-01-01" },
      ...gemini,
      ...page,
      doubt: inferred
    }
  ]
}

export const google: Vendor = {
  name: "google",
  providers: ["gemini", "vertex"],
  prefixes: ["google", "gemini"],
  spelled: (name) => name.replace(/^(publishers\/google\/)?models\//, ""),
  tiers: { batch: [1, 2], flex: [1, 2] },
  models: {
    "gemini-4-argon": {
      price: [
        { input: 2, cacheRead: 0.1, output: 10, until: "2026-11-30", ...gemini, ...page },
        { input: 4, cacheRead: 0.2, output: 20, from: "2026-12-01", ...gemini, ...page }
      ]
    },
    "gemini-3.8-flash": flash,
    "gemini-3.7-flash": flash,
    "gemini-3.6-flash": flash,
    "gemini-3.5-flash": one({ input: 1.5, cacheRead: 0.15, output: 9, ...gemini, ...lists }),
    "gemini-3.5-flash-lite": one({
      ...{ input: 0.3, cacheRead: 0.03, audioInput: 0.3, output: 2.5 },
      ...gemini,
      ...lists
    }),
    "gemini-3.1-pro-preview": one({
      ...{ input: 2, cacheRead: 0.2, output: 12 },
      longContext: { overInputTokens: 200_000, input: 4, cacheRead: 0.4, output: 18 },
      ...gemini,
      ...lists
    }),
    "gemini-3.1-flash-lite": one({ input: 0.25, cacheRead: 0.025, output: 1.5, ...gemini, ...lists }),
    "gemini-3-flash-preview": one({ input: 0.5, cacheRead: 0.05, output: 3, ...gemini, ...lists }),
    "gemini-2.5-pro": one({
      ...{ input: 1.25, cacheRead: 0.125, output: 10 },
      longContext: { overInputTokens: 200_000, input: 2.5, cacheRead: 0.25, output: 15 },
      ...gemini,
      ...lists
    }),
    "gemini-2.5-flash": one({
      ...{ input: 0.3, cacheRead: 0.03, audioInput: 1, output: 2.5 },
      ...gemini,
      ...lists
    }),
    "gemini-2.5-flash-lite": one({ input: 0.1, cacheRead: 0.01, output: 0.4, ...gemini, ...lists }),
    "gemini-embedding-001": one({ input: 0.15, output: 0, contextWindow: 2_048, ...lists }),
    "gemini-embedding-2": one({
      ...{ input: 0.2, output: 0, contextWindow: 8_192 },
      ...page,
      doubt: "the price is that of text"
    })
  }
}
