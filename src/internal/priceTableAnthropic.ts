/** Anthropic's list prices; see `priceTable`. Data kept in the United States (`inference_geo`) cost a tenth more. */
import type { PriceFields } from "./priceFields.js"
import type { Model, Vendor } from "./priceTable.js"

const page = { source: "platform.claude.com pricing", asOf: "2026-11" }
const modelsDev = { source: "models.dev", asOf: "2026-07-02" }

const large = { contextWindow: 1_000_000, maxOutputTokens: 128_000 }
const small = { contextWindow: 200_000, maxOutputTokens: 64_000 }

const one = (price: PriceFields): Model => ({ price })

/** Opus from 4.5 to 5. */
const opus = { input: 5, cacheRead: 0.5, cacheWrite: 6.25, cacheWrite1h: 10, output: 25 }
/** Sonnet of the fourth generation. */
const sonnet4 = { input: 3, cacheRead: 0.3, cacheWrite: 3.75, cacheWrite1h: 6, output: 15 }
const sonnet5 = { input: 2, cacheRead: 0.2, cacheWrite: 2.5, cacheWrite1h: 4, output: 10 }
const fable = { input: 10, cacheRead: 1, cacheWrite: 12.5, cacheWrite1h: 20, output: 50 }

export const anthropic: Vendor = {
  name: "anthropic",
  providers: ["anthropic"],
  prefixes: ["anthropic"],
  // claude-sonnet-4.5, as resellers write it
  spelled: (name) => name.replace(/(\d)\.(\d)/, "$1-$2"),
  dated: /[-@]\d{8}$/,
  tiers: { batch: [1, 2] },
  cachesOnRequest: true,
  models: {
    "claude-fable-5-1": one({ ...fable, cacheRead: 0.25, ...large, ...page }),
    "claude-fable-5": one({ ...fable, ...large, ...page }),
    "claude-opus-5-5": one({
      ...{ input: 4, cacheRead: 0.2, cacheWrite: 5, cacheWrite1h: 8, output: 20 },
      ...large,
      ...page
    }),
    "claude-sonnet-5-5": one({ ...sonnet5, cacheRead: 0.1, ...large, ...page }),
    "claude-haiku-5-5": one({
      ...{ input: 0.1, cacheRead: 0.01, cacheWrite: 0.125, cacheWrite1h: 0.2, output: 0.5 },
      longContext: {
        overInputTokens: 100_000,
        ...{ input: 0.5, cacheRead: 0.05, cacheWrite: 0.625, cacheWrite1h: 1, output: 2.5 }
      },
      ...large,
      ...page,
      doubt: "of prompts beyond 100,000 tokens the price of cache writes is inferred"
    }),
    "claude-opus-5": one({ ...opus, ...large, ...page }),
    "claude-opus-4-8": one({ ...opus, ...large, ...page }),
    "claude-opus-4-7": one({ ...opus, ...large, ...modelsDev }),
    "claude-opus-4-6": one({ ...opus, ...large, ...modelsDev }),
    "claude-opus-4-5": one({ ...opus, ...small, ...modelsDev }),
    "claude-sonnet-5": one({ ...sonnet5, ...large, ...page }),
    // lists have 64,000 as its longest answer, its makers 128,000: the price is not in doubt
    "claude-sonnet-4-6": one({ ...sonnet4, ...large, source: "models.dev; AI SDK", asOf: "2026-08-22" }),
    "claude-sonnet-4-5": one({ ...sonnet4, ...small, ...modelsDev }),
    "claude-haiku-4-5": one({
      ...{ input: 1, cacheRead: 0.1, cacheWrite: 1.25, cacheWrite1h: 2, output: 5 },
      ...small,
      ...modelsDev
    })
  }
}
