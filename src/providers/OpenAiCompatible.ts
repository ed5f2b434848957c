/**
 * Servers that speak OpenAI's chat completions: {@link make} for any of them, and a {@link Preset} for each of those
 * that are known by name.
 *
 * Wire: `POST {baseUrl}/chat/completions`, and where a server has them `/completions`, `/embeddings` and `/rerank`, with
 * a bearer key if the endpoint has one. What differs from server to
 * server is a {@link Dialect}: spellings, usage, thoughts, schemas. Answers are read leniently: usage, ids and
 * indexes may be missing, errors may come inside a 200.
 *
 * @example
 * import { batch, Chat, GroqLive } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * // GROQ_API_KEY and GROQ_MODEL
 * Effect.runPromise(batch([Chat.prompt("Why is the sky blue?")]).pipe(Effect.provide(GroqLive)))
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Endpoint from "../Endpoint.js"
import * as OpenAiChat from "../internal/openAiChat.js"
import { compatible, type Dialect } from "../internal/openAiDialect.js"
import * as Dialects from "../internal/openAiDialects.js"
import * as Presets from "../internal/preset.js"
import * as Providers from "../Providers.js"
import type * as Router from "../Router.js"
import * as Wire from "../Wire.js"

export type { Dialect } from "../internal/openAiDialect.js"
export type { ThinkTags } from "../internal/thinkTags.js"

/** Name of a provider that is given no other. */
export const name = compatible.name

/**
 * How a server differs. What is left out is as with most: `max_tokens`, a `system` role, usage in streams, `top_k`,
 * `reasoning_effort`, any JSON Schema, thoughts in tags told apart.
 */
export type Options = Partial<Dialect>

/** The protocol of a server. */
export const wire = (options: Options = {}): Wire.Wire => OpenAiChat.wire({ ...compatible, ...options })

/**
 * A provider for a server of your own.
 *
 * @example
 * import { OpenAiCompatible, Providers, Router } from "floodgate"
 * import * as Layer from "effect/Layer"
 *
 * // a model whose chat template begins its thoughts
 * const house = OpenAiCompatible.make({ name: "house", thinkTags: "template" })
 *
 * const services = Layer.mergeAll(
 *   Providers.layer([house]),
 *   Router.layer({ endpoints: [{ provider: "house", baseUrl: "http://llm.internal/v1", model: "qwen3" }] })
 * )
 */
export const make = (
  options: Options = {}
): Effect.Effect<Providers.Provider, never, HttpClient.HttpClient> => Wire.provider(wire(options))

/** That provider alone, as the {@link Providers} of an application. */
export const layer = (
  options: Options = {}
): Layer.Layer<Providers.Providers, never, HttpClient.HttpClient> => Providers.layer([make(options)])

/** A server known by name. */
export interface Preset {
  /** Name of the provider in endpoints and answers. */
  readonly name: string
  readonly defaultBaseUrl: string
  /** How it differs: to change a thing, `OpenAiCompatible.make({ ...vllm.dialect, thinkTags: "template" })`. */
  readonly dialect: Dialect
  readonly wire: Wire.Wire
  /** The provider over the `HttpClient` at hand. */
  readonly make: Effect.Effect<Providers.Provider, never, HttpClient.HttpClient>
  /** This provider alone, as the {@link Providers} of an application. */
  readonly layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient>
  /** The endpoint that the environment describes. */
  readonly config: Config.Config<Endpoint.Options>
  /** The provider and a router to the one endpoint that a config describes. */
  readonly layerConfig: (
    endpoint: Config.Config.Wrap<Endpoint.Options>
  ) => Layer.Layer<Providers.Providers | Router.Router, ConfigError.ConfigError, HttpClient.HttpClient>
  /** All that `batch` and `complete` need, from the environment. */
  readonly live: Presets.Live
}

interface Environment {
  /** The beginning of its variables: `GROQ` for `GROQ_API_KEY`, `GROQ_BASE_URL` and `GROQ_MODEL`. */
  readonly prefix: string
  /** How the vendor writes its own name; absent for servers that ask for no key. */
  readonly vendor?: string
  /** Further variables of the key. */
  readonly keys?: ReadonlyArray<string>
}

const preset = (
  dialect: Dialect,
  defaultBaseUrl: string,
  { keys = [], prefix, vendor }: Environment
): Preset => {
  const { name } = dialect
  const provider = make(dialect)
  const providers = Providers.layer([provider])
  const variable = `${prefix}_API_KEY`
  const config = Presets.endpoint(name, defaultBaseUrl, {
    apiKey:
      vendor === undefined
        ? Presets.optionalKey(variable, ...keys)
        : Presets.apiKey(variable, vendor, ...keys),
    baseUrl: [`${prefix}_BASE_URL`],
    model: `${prefix}_MODEL`
  })
  const layerConfig = Presets.layerConfig(providers)
  return {
    name,
    defaultBaseUrl,
    dialect,
    wire: wire(dialect),
    make: provider,
    layer: providers,
    config,
    layerConfig,
    live: Presets.live(layerConfig(config))
  }
}

/** vLLM: `VLLM_BASE_URL` (default this machine), `VLLM_MODEL`, and `VLLM_API_KEY` where it was started with one. */
export const vllm = preset(Dialects.vllm, "http://localhost:8000/v1", { prefix: "VLLM" })

/** Ollama: `OLLAMA_BASE_URL` (default this machine), `OLLAMA_MODEL`, and `OLLAMA_API_KEY` for its cloud. */
export const ollama = preset(Dialects.ollama, "http://localhost:11434/v1", { prefix: "OLLAMA" })

/** LM Studio: `LMSTUDIO_BASE_URL` (default this machine), `LMSTUDIO_MODEL`, `LMSTUDIO_API_KEY`. */
export const lmStudio = preset(Dialects.lmStudio, "http://localhost:1234/v1", { prefix: "LMSTUDIO" })

/** llama.cpp's server: `LLAMACPP_BASE_URL` (default this machine), `LLAMACPP_MODEL`, `LLAMACPP_API_KEY`. */
export const llamaCpp = preset(Dialects.llamaCpp, "http://localhost:8080/v1", { prefix: "LLAMACPP" })

/**
 * DeepSeek: `DEEPSEEK_API_KEY` (required), `DEEPSEEK_BASE_URL`, `DEEPSEEK_MODEL`. It thinks unless `thinking` is
 * `"off"`, and while it does, temperature, `topP` and penalties have no effect.
 */
export const deepSeek = preset(Dialects.deepSeek, "https://api.deepseek.com", {
  prefix: "DEEPSEEK",
  vendor: "DeepSeek"
})

/** Groq: `GROQ_API_KEY` (required), `GROQ_BASE_URL`, `GROQ_MODEL`. */
export const groq = preset(Dialects.groq, "https://api.groq.com/openai/v1", {
  prefix: "GROQ",
  vendor: "Groq"
})

/** Together: `TOGETHER_API_KEY` (required), `TOGETHER_BASE_URL`, `TOGETHER_MODEL`. */
export const together = preset(Dialects.together, "https://api.together.xyz/v1", {
  prefix: "TOGETHER",
  vendor: "Together",
  keys: ["TOGETHER_AI_API_KEY"]
})

/** OpenRouter: `OPENROUTER_API_KEY` (required), `OPENROUTER_BASE_URL`, `OPENROUTER_MODEL`. */
export const openRouter = preset(Dialects.openRouter, "https://openrouter.ai/api/v1", {
  prefix: "OPENROUTER",
  vendor: "OpenRouter"
})

/** xAI: `XAI_API_KEY` (required), `XAI_BASE_URL`, `XAI_MODEL`. */
export const xai = preset(Dialects.xai, "https://api.x.ai/v1", { prefix: "XAI", vendor: "xAI" })

/** Fireworks: `FIREWORKS_API_KEY` (required), `FIREWORKS_BASE_URL`, `FIREWORKS_MODEL`. */
export const fireworks = preset(Dialects.fireworks, "https://api.fireworks.ai/inference/v1", {
  prefix: "FIREWORKS",
  vendor: "Fireworks"
})

/** NVIDIA: `NVIDIA_API_KEY` (required), `NVIDIA_BASE_URL`, `NVIDIA_MODEL`. */
export const nvidia = preset(Dialects.nvidia, "https://integrate.api.nvidia.com/v1", {
  prefix: "NVIDIA",
  vendor: "NVIDIA",
  keys: ["NVIDIA_NIM_API_KEY"]
})

/** All that `batch` and `complete` need to ask vLLM; see {@link vllm} for its variables. */
export const VllmLive = vllm.live
/** The same for Ollama; see {@link ollama}. */
export const OllamaLive = ollama.live
/** The same for LM Studio; see {@link lmStudio}. */
export const LmStudioLive = lmStudio.live
/** The same for llama.cpp; see {@link llamaCpp}. */
export const LlamaCppLive = llamaCpp.live
/** The same for DeepSeek; see {@link deepSeek}. */
export const DeepSeekLive = deepSeek.live
/** The same for Groq; see {@link groq}. */
export const GroqLive = groq.live
/** The same for Together; see {@link together}. */
export const TogetherLive = together.live
/** The same for OpenRouter; see {@link openRouter}. */
export const OpenRouterLive = openRouter.live
/** The same for xAI; see {@link xai}. */
export const XaiLive = xai.live
/** The same for Fireworks; see {@link fireworks}. */
export const FireworksLive = fireworks.live
/** The same for NVIDIA; see {@link nvidia}. */
export const NvidiaLive = nvidia.live
