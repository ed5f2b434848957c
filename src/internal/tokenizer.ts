/**
 * OpenAI's tokenizers, loaded when they are first needed: they are some megabytes of tables.
 */
import * as Effect from "effect/Effect"
import type { Tokenizer } from "./tokenForecast.js"

type Encoding = "o200k_base" | "cl100k_base"

const loaders = {
  o200k_base: () => import("gpt-tokenizer/encoding/o200k_base"),
  cl100k_base: () => import("gpt-tokenizer/encoding/cl100k_base")
}

/** The encoding of an OpenAI model: of the families, which new models join. */
const encodingOf = (model: string): Encoding | undefined => {
  const name = model.replace(/^(ft:|openai\/)+/, "")
  if (/^(gpt-4o|gpt-4\.[1-9]|gpt-[5-9]|chatgpt-|o\d)/.test(name)) return "o200k_base"
  return /^(gpt-4|gpt-3\.5|text-embedding-)/.test(name) ? "cl100k_base" : undefined
}

const loaded = new Map<Encoding, Tokenizer | undefined>()

/** What is special to a model is plain text in a prompt. */
const plain = { disallowedSpecial: new Set<string>() }

/** The tokenizer of an OpenAI model; none for others, or if it cannot be loaded: counting then goes by characters. */
export const tokenizerOf = (model: string): Effect.Effect<Tokenizer | undefined> => {
  const encoding = encodingOf(model)
  if (encoding === undefined) return Effect.succeed(undefined)
  if (loaded.has(encoding)) return Effect.succeed(loaded.get(encoding))
  return Effect.tryPromise(loaders[encoding]).pipe(
    Effect.map(
      ({ countTokens }): Tokenizer =>
        (text) =>
          countTokens(text, plain)
    ),
    Effect.orElseSucceed(() => undefined),
    Effect.tap((tokenizer) => Effect.sync(() => loaded.set(encoding, tokenizer)))
  )
}
