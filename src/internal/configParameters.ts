/** The parameters of requests as a config file writes them, of tasks and of endpoints. */
import * as Schema from "effect/Schema"
import {
  anyNumber,
  atLeastZero,
  count,
  field,
  flag,
  integer,
  json,
  listOf,
  mapOf,
  positive,
  text,
  word
} from "./configFields.js"

const stop = Schema.Union(text, listOf(text)).annotations({ message: () => "a text or a list of texts" })
const thinking = Schema.Union(integer, text).annotations({
  message: () => "off, an effort such as low, or a number of tokens"
})

const fields = {
  temperature: field(atLeastZero, "Randomness, 0 to 2 with most providers."),
  top_p: field(positive, "Nucleus sampling: the share of probability mass considered."),
  top_k: field(count, "Sampling from this many of the most probable tokens."),
  max_tokens: field(count, "The most tokens the answer may have, reasoning included."),
  stop: field(stop, "Texts at which the answer ends."),
  seed: field(integer, "Best-effort repeatability."),
  n: field(count, "How many answers to give."),
  logprobs: field(flag, "Tell probabilities of tokens."),
  top_logprobs: field(count, "How many of the most probable tokens to tell."),
  logit_bias: field(mapOf(anyNumber), "Bias by token id, -100 to 100."),
  frequency_penalty: field(anyNumber, "Penalty of frequent tokens."),
  presence_penalty: field(anyNumber, "Penalty of tokens that were there."),
  parallel_tool_calls: field(flag, "Whether several tools may be called at once."),
  thinking: field(thinking, "off, an effort such as low or high, or the most tokens to think with."),
  verbosity: field(text, "How much to say: low, medium, high."),
  service_tier: field(text, "Price and speed class."),
  store: field(flag, "Whether the provider keeps the answer for its dashboards."),
  labels: field(mapOf(text), "Labels that are sent to the provider and kept by it."),
  prompt_cache_key: field(text, "Routes requests with a common prefix to one prompt cache."),
  safety_identifier: field(text, "A stable, hashed id of the end user."),
  extra: field(json, "Body fields that the provider knows and floodgate does not: sent as they are."),
  unsupported: field(
    word({ fail: "fail" as const, drop: "drop" as const }),
    "What becomes of a field the provider has no counterpart for. Default fail."
  )
}

export const OfEndpoint = Schema.Struct(fields)

export const OfTask = Schema.Struct({
  model: field(text, "The model."),
  ...fields,
  dimensions: field(count, "Of embeddings: the length of the vectors."),
  top_n: field(count, "Of rankings: how many of the best to give.")
})

const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** The same by the names that requests have. */
export const fieldsOf = (written: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(written).map(([field, value]) => [camel(field), value]))
