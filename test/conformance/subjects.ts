/** The providers of the conformance suite: how each is reached on the simulator, and with which models. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import {
  Anthropic,
  Azure,
  Cache,
  Cohere,
  Gemini,
  HttpClientPool,
  Jina,
  Mistral,
  OpenAi,
  OpenAiCompatible,
  OpenAiResponses,
  type Providers,
  RateLimiter,
  Router,
  Vertex,
  Voyage
} from "floodgate"
import * as Simulator from "floodgate/Simulator"

/** The one key that the simulator takes. */
export const apiKey = "key-0123456789abcdefghij"

/** A provider as the suite sees it. */
export interface Subject {
  /** As people write it. */
  readonly title: string
  /** Name in endpoints, and among the simulator's URLs. */
  readonly provider: string
  readonly layer: Layer.Layer<Providers.Providers, never, HttpClient.HttpClient>
  /** Answers chats; absent where a provider has none. */
  readonly chat?: string
  /** Thinks before it answers, if another model does. */
  readonly thinker?: string
  readonly embedder?: string
  readonly reranker?: string
  /** What its usage tells apart of input and output. Default: {@link usuallyTold}. */
  readonly tells?: ReadonlyArray<keyof Simulator.Tokens>
  /** Whether its headers say when one of the requests of a used-up limit is free again. */
  readonly tellsReset?: boolean
  /** Whether a request can insist on a tool. Default `true`. */
  readonly choosesTools?: boolean
}

/** What is read from the prompt cache, and thoughts. */
export const usuallyTold: ReadonlyArray<keyof Simulator.Tokens> = ["cacheReadTokens", "reasoningTokens"]

/** Those with a wire of their own. */
export const vendors: ReadonlyArray<Subject> = [
  {
    title: "OpenAI",
    provider: "openai",
    layer: OpenAi.layer,
    chat: "gpt-4.1-mini",
    tells: ["cacheReadTokens", "reasoningTokens", "audioTokens"],
    tellsReset: true,
    thinker: "gpt-5-mini",
    embedder: "text-embedding-3-small"
  },
  {
    title: "OpenAI Responses",
    provider: "openai-responses",
    layer: OpenAiResponses.layer,
    chat: "gpt-4.1-mini",
    tellsReset: true,
    thinker: "gpt-5-mini"
  },
  {
    title: "Azure",
    provider: "azure",
    layer: Azure.layer(),
    chat: "my-deployment",
    tells: ["cacheReadTokens", "audioTokens"],
    tellsReset: true,
    embedder: "my-embeddings"
  },
  {
    title: "Anthropic",
    provider: "anthropic",
    layer: Anthropic.layer,
    chat: "claude-haiku-4-5",
    tells: ["cacheReadTokens", "cacheWriteTokens", "reasoningTokens"],
    tellsReset: true
  },
  {
    title: "Gemini",
    provider: "gemini",
    layer: Gemini.layer,
    chat: "gemini-2.5-flash",
    tells: ["cacheReadTokens", "reasoningTokens", "audioTokens"],
    embedder: "gemini-embedding-001"
  },
  {
    title: "Vertex",
    provider: "vertex",
    layer: Vertex.layer({ accessToken: Effect.succeed(Redacted.make(apiKey)) }),
    chat: "gemini-2.5-flash",
    tells: ["cacheReadTokens", "reasoningTokens", "audioTokens"]
  },
  {
    title: "Mistral",
    provider: "mistral",
    layer: Mistral.layer,
    chat: "mistral-large-latest",
    tells: ["cacheReadTokens"],
    thinker: "magistral-medium-latest",
    embedder: "mistral-embed"
  },
  {
    title: "Cohere",
    provider: "cohere",
    layer: Cohere.layer,
    chat: "command-a-03-2025",
    tells: ["cacheReadTokens"],
    tellsReset: true,
    thinker: "command-a-reasoning-08-2025",
    embedder: "embed-v4.0",
    reranker: "rerank-v3.5"
  },
  {
    title: "Voyage",
    provider: "voyage",
    layer: Voyage.layer,
    embedder: "voyage-3.5",
    reranker: "rerank-2.5"
  },
  {
    title: "Jina",
    provider: "jina",
    layer: Jina.layer,
    embedder: "jina-embeddings-v3",
    reranker: "jina-reranker-v2-base-multilingual"
  }
]

/** Those that speak OpenAI's chat completions, each in its way. */
export const servers: ReadonlyArray<Subject> = [
  {
    title: "DeepSeek",
    provider: "deepseek",
    layer: OpenAiCompatible.deepSeek.layer,
    chat: "deepseek-flash"
  },
  {
    title: "Groq",
    provider: "groq",
    layer: OpenAiCompatible.groq.layer,
    chat: "openai/gpt-oss-20b",
    tellsReset: true
  },
  {
    title: "OpenRouter",
    provider: "openrouter",
    layer: OpenAiCompatible.openRouter.layer,
    chat: "meta-llama/llama-3.3-70b-instruct",
    tells: ["cacheReadTokens", "reasoningTokens", "audioTokens"],
    tellsReset: true
  },
  { title: "xAI", provider: "xai", layer: OpenAiCompatible.xai.layer, chat: "grok-4", tellsReset: true },
  {
    title: "Together",
    provider: "together",
    layer: OpenAiCompatible.together.layer,
    chat: "Qwen/Qwen3-235B-A22B-fp8-tput",
    tellsReset: true,
    embedder: "BAAI/bge-large-en-v1.5",
    reranker: "Salesforce/Llama-Rank-V1"
  },
  {
    title: "Fireworks",
    provider: "fireworks",
    layer: OpenAiCompatible.fireworks.layer,
    chat: "accounts/fireworks/models/qwen3-235b-a22b",
    tells: ["cacheReadTokens"],
    tellsReset: true,
    embedder: "nomic-ai/nomic-embed-text-v1.5",
    reranker: "accounts/fireworks/models/qwen3-reranker-8b"
  },
  {
    title: "NVIDIA",
    provider: "nvidia",
    layer: OpenAiCompatible.nvidia.layer,
    chat: "nvidia/llama-3.3-nemotron-super-49b-v1",
    tells: [],
    embedder: "nvidia/llama-3.2-nv-embedqa-1b-v2"
  },
  {
    title: "vLLM",
    provider: "vllm",
    layer: OpenAiCompatible.vllm.layer,
    chat: "qwen3",
    tells: [],
    embedder: "bge-m3",
    reranker: "bge-reranker"
  },
  {
    title: "Ollama",
    provider: "ollama",
    layer: OpenAiCompatible.ollama.layer,
    chat: "qwen3",
    tells: [],
    choosesTools: false
  },
  {
    title: "LM Studio",
    provider: "lmstudio",
    layer: OpenAiCompatible.lmStudio.layer,
    chat: "qwen3",
    tells: [],
    embedder: "nomic-embed-text-v1.5"
  },
  {
    title: "llama.cpp",
    provider: "llamacpp",
    layer: OpenAiCompatible.llamaCpp.layer,
    chat: "qwen3",
    tells: [],
    embedder: "bge-m3",
    reranker: "bge-reranker"
  }
]

export const subjects: ReadonlyArray<Subject> = [...vendors, ...servers]

/** All that a request to the subject needs, made anew: what one test did to a limit domain is not known to the next. */
export const services = (
  { chat, embedder, layer, provider, reranker }: Subject,
  key = "key-0123456789abcdefghij",
  http: Layer.Layer<HttpClient.HttpClient> = HttpClientPool.layer()
) =>
  Layer.unwrapEffect(
    Effect.map(Simulator.Simulator, ({ urls }) =>
      Layer.mergeAll(
        Layer.provide(layer, http),
        Router.layer({
          endpoints: [
            {
              provider,
              baseUrl: urls[provider] ?? "",
              apiKey: Redacted.make(key),
              model: chat ?? embedder ?? reranker
            }
          ]
        }),
        RateLimiter.layer(),
        Cache.layerNone
      )
    )
  )
