/** OpenAI's list prices; see `priceTable`. */
import type { Factor, PriceFields } from "./priceFields.js"
import type { Model, Vendor } from "./priceTable.js"

const quoted = { source: "docs.litellm.ai, quoting OpenAI", asOf: "2026-11" }
const codexometer = { source: "codexometer 0.18.4, quoting OpenAI" }
const modelsDev = { source: "models.dev openai", asOf: "2026-07-02" }
const lists = { source: "model-price-repo; models.dev", asOf: "2026-07-24" }

const large = { contextWindow: 1_050_000, maxOutputTokens: 128_000 }
const middle = { contextWindow: 400_000, maxOutputTokens: 128_000 }
const gpt41 = { contextWindow: 1_047_576, maxOutputTokens: 32_768 }
const gpt4o = { contextWindow: 128_000, maxOutputTokens: 16_384 }
const o = { contextWindow: 200_000, maxOutputTokens: 100_000 }

/** Beyond this much input another price holds for the whole of a request. */
const beyond = 272_000

/** From openai.com/api-priority-processing, where it states the model; else the rule that it is twice the price. */
const priority = (factor: Factor) => ({ tiers: { priority: factor, fast: factor } })

const one = (price: PriceFields): Model => ({ price })

const gpt56Sol = {
  ...{ input: 5, cacheRead: 0.5, cacheWrite: 6.25, output: 30 },
  longContext: { overInputTokens: beyond, input: 10, cacheRead: 1, cacheWrite: 12.5, output: 45 },
  ...large
}

/** Of GPT-6.1 Sol and GPT-6.2 Sol. */
const sol = {
  ...{ input: 2, cacheRead: 0.1, cacheWrite: 2.5, output: 10 },
  longContext: { overInputTokens: beyond, input: 4, cacheRead: 0.2, cacheWrite: 5, output: 15 },
  ...large
}

export const openAi: Vendor = {
  name: "openai",
  providers: ["openai", "openai-responses", "azure"],
  prefixes: ["openai"],
  dated: /-\d{4}-\d{2}-\d{2}$/,
  tiers: { batch: [1, 2], flex: [1, 2], priority: [2, 1], fast: [2, 1] },
  models: {
    "gpt-6.2-astra": one({
      ...{ input: 8, cacheRead: 0.4, cacheWrite: 10, output: 40 },
      longContext: { overInputTokens: beyond, input: 16, cacheRead: 0.8, cacheWrite: 20, output: 60 },
      ...large,
      ...quoted,
      doubt: "second-hand price"
    }),
    "gpt-6.2-sol": one({
      ...sol,
      cacheWrite1h: 5,
      longContext: { ...sol.longContext, cacheWrite1h: 10 },
      tiers: { ultrafast: [3, 1] },
      source: "transcription of OpenAI's model page",
      asOf: "2026-11-19"
    }),
    "gpt-6.1-sol": one({ ...sol, source: "developers.openai.com, quoted", asOf: "2026-10-01" }),
    "gpt-6.1-terra": one({
      ...{ input: 1, cacheRead: 0.05, cacheWrite: 1.25, output: 5 },
      longContext: { overInputTokens: beyond, input: 2, cacheRead: 0.1, cacheWrite: 2.5, output: 7.5 },
      ...large,
      ...quoted
    }),
    "gpt-6-astra": one({
      ...{ input: 10, cacheRead: 1, cacheWrite: 12.5, output: 50 },
      longContext: { overInputTokens: beyond, input: 20, cacheRead: 2, cacheWrite: 25, output: 75 },
      ...large,
      ...quoted
    }),
    "gpt-6-sol": one({
      ...{ input: 2, cacheRead: 0.2, cacheWrite: 2.5, output: 10 },
      longContext: { overInputTokens: beyond, input: 4, cacheRead: 0.4, cacheWrite: 5, output: 15 },
      ...large,
      ...codexometer,
      asOf: "2026-10-13"
    }),
    "gpt-6-luna": one({
      ...{ input: 0.1, cacheRead: 0.01, cacheWrite: 0.125, output: 0.5 },
      longContext: { overInputTokens: beyond, input: 0.2, cacheRead: 0.02, cacheWrite: 0.25, output: 0.75 },
      ...large,
      ...codexometer,
      asOf: "2026-09-22"
    }),
    "gpt-5.6-sol": {
      price: [
        {
          ...{ input: 4, cacheRead: 0.4, cacheWrite: 5, output: 20 },
          longContext: { overInputTokens: beyond, input: 8, cacheRead: 0.8, cacheWrite: 10, output: 30 },
          ...large,
          until: "2026-11-21",
          source: "developers.openai.com/api/docs/models/gpt-5.6-sol",
          asOf: "2026-10",
          doubt: "a promotion, promised until 2026-11-21"
        },
        {
          ...gpt56Sol,
          from: "2026-11-22",
          source: "developers.openai.com/api/docs/models/gpt-5.6-sol",
          asOf: "2026-10",
          doubt: "the price before the promotion, which may go on"
        }
      ],
      names: ["gpt-5.6"]
    },
    "gpt-5.6-terra": one({
      ...{ input: 2, cacheRead: 0.2, cacheWrite: 2.5, output: 12 },
      longContext: { overInputTokens: beyond, input: 4, cacheRead: 0.4, cacheWrite: 5, output: 18 },
      ...large,
      ...quoted,
      doubt: "second-hand price; it was 2.50 and 15 at first"
    }),
    "gpt-5.6-luna": one({
      ...{ input: 0.2, cacheRead: 0.02, cacheWrite: 0.25, output: 1.2 },
      longContext: { overInputTokens: beyond, input: 0.4, cacheRead: 0.04, cacheWrite: 0.5, output: 1.8 },
      ...large,
      ...quoted,
      doubt: "second-hand price; it was 1 and 6 at first"
    }),
    "gpt-5.5": one({
      ...{ input: 5, cacheRead: 0.5, output: 30 },
      longContext: { overInputTokens: beyond, input: 10, cacheRead: 1, output: 45 },
      ...large,
      ...modelsDev
    }),
    "gpt-5.4": one({
      ...{ input: 2.5, cacheRead: 0.25, output: 15 },
      longContext: { overInputTokens: beyond, input: 5, cacheRead: 0.5, output: 22.5 },
      ...large,
      ...modelsDev
    }),
    "gpt-5.4-mini": one({ input: 0.75, cacheRead: 0.075, output: 4.5, ...middle, ...lists }),
    "gpt-5.4-nano": one({ input: 0.2, cacheRead: 0.02, output: 1.25, ...middle, ...lists }),
    "gpt-5.2": one({ input: 1.75, cacheRead: 0.175, output: 14, ...middle, ...lists }),
    "gpt-5.1": one({ input: 1.25, cacheRead: 0.125, output: 10, ...middle, ...lists }),
    "gpt-5": one({ input: 1.25, cacheRead: 0.125, output: 10, ...middle, ...lists }),
    "gpt-5-mini": one({
      ...{ input: 0.25, cacheRead: 0.025, output: 2 },
      ...middle,
      ...priority([9, 5]),
      ...lists
    }),
    "gpt-5-nano": one({ input: 0.05, cacheRead: 0.005, output: 0.4, ...middle, ...lists }),
    "gpt-4.1": one({ input: 2, cacheRead: 0.5, output: 8, ...gpt41, ...priority([7, 4]), ...lists }),
    "gpt-4.1-mini": one({ input: 0.4, cacheRead: 0.1, output: 1.6, ...gpt41, ...priority([7, 4]), ...lists }),
    "gpt-4.1-nano": one({ input: 0.1, cacheRead: 0.025, output: 0.4, ...gpt41, ...lists }),
    "gpt-4o": {
      price: { input: 2.5, cacheRead: 1.25, output: 10, ...gpt4o, ...priority([17, 10]), ...lists },
      // the first one costs twice as much
      except: ["gpt-4o-2024-05-13"]
    },
    "gpt-4o-mini": one({
      ...{ input: 0.15, cacheRead: 0.075, output: 0.6 },
      ...gpt4o,
      ...priority([5, 3]),
      ...lists
    }),
    o3: one({ input: 2, cacheRead: 0.5, output: 8, ...o, ...priority([7, 4]), ...lists }),
    "o3-mini": one({ input: 1.1, cacheRead: 0.55, output: 4.4, ...o, ...lists }),
    "o4-mini": one({ input: 1.1, cacheRead: 0.275, output: 4.4, ...o, ...priority([20, 11]), ...lists }),
    "gpt-3.5-turbo": {
      price: { input: 0.5, output: 1.5, contextWindow: 16_385, maxOutputTokens: 4_096, ...lists },
      // of its dated names the earlier ones cost more
      names: ["gpt-3.5-turbo-0125"]
    },
    "gpt-3.5-turbo-instruct": one({
      ...{ input: 1.5, output: 2, contextWindow: 4_096, maxOutputTokens: 4_096 },
      ...lists
    }),
    "text-embedding-3-small": one({ input: 0.02, output: 0, contextWindow: 8_191, ...modelsDev }),
    "text-embedding-3-large": one({ input: 0.13, output: 0, contextWindow: 8_191, ...modelsDev }),
    "text-embedding-ada-002": one({ input: 0.1, output: 0, contextWindow: 8_191, ...modelsDev })
  }
}
