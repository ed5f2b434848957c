/** The providers by the names that config files and the command line know them by, each loaded when it is used. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Endpoint from "../Endpoint.js"
import type { Provider } from "../Providers.js"
import type * as OpenAiCompatible from "../providers/OpenAiCompatible.js"
import { optionalKey } from "./preset.js"

/** A provider, loaded. */
export interface Loaded {
  /** The provider over the `HttpClient` at hand. Some read a token from the environment, where endpoints have no keys. */
  readonly make: (keys: boolean) => Effect.Effect<Provider, ConfigError.ConfigError, HttpClient.HttpClient>
  /** The endpoint that the environment describes. */
  readonly config: Config.Config<Endpoint.Options>
}

export interface Entry {
  /** How the vendor writes its own name. */
  readonly vendor: string
  /** The variable of its key. Absent: it has none of its own. */
  readonly key?: string | undefined
  /** Further variables of it. */
  readonly keys?: ReadonlyArray<string> | undefined
  /** Variables of its address. */
  readonly bases?: ReadonlyArray<string> | undefined
  /** Whether it can be asked without a key. */
  readonly keyless?: boolean | undefined
  /** A variable of a token that stands in for a key. */
  readonly token?: string | undefined
  /** The variable of its model. */
  readonly model?: string | undefined
  /** What `config` needs to know of the address, by variable; absent where there is a default. */
  readonly place?: string | undefined
  readonly load: Effect.Effect<Loaded>
}

const lazily = <A>(module: () => Promise<A>, loaded: (module: A) => Loaded): Effect.Effect<Loaded> =>
  Effect.map(Effect.promise(module), loaded)

const plain = (module: {
  readonly make: Effect.Effect<Provider, never, HttpClient.HttpClient>
  readonly config: Config.Config<Endpoint.Options>
}): Loaded => ({ make: () => module.make, config: module.config })

/** A provider that takes tokens: a token of the environment is used where no endpoint has a key. */
const withToken =
  (variable: string) =>
  (module: {
    readonly make: (options: {
      readonly accessToken?: Effect.Effect<Redacted.Redacted> | undefined
    }) => Effect.Effect<Provider, never, HttpClient.HttpClient>
    readonly config: Config.Config<Endpoint.Options>
  }): Loaded => ({
    make: (keys) =>
      keys
        ? module.make({})
        : Effect.flatMap(optionalKey(variable), (token) =>
            module.make(token === undefined ? {} : { accessToken: Effect.succeed(token) })
          ),
    config: module.config
  })

const preset = (
  choose: (module: typeof OpenAiCompatible) => OpenAiCompatible.Preset,
  vendor: string,
  prefix: string,
  keyless = false,
  keys: ReadonlyArray<string> = []
): Entry => ({
  vendor,
  key: `${prefix}_API_KEY`,
  keys,
  bases: [`${prefix}_BASE_URL`],
  keyless,
  model: `${prefix}_MODEL`,
  load: lazily(
    () => import("../providers/OpenAiCompatible.js"),
    (module) => plain(choose(module))
  )
})

/** All providers by name. */
export const registry = {
  openai: {
    vendor: "OpenAI",
    key: "OPENAI_API_KEY",
    bases: ["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    model: "OPENAI_MODEL",
    load: lazily(() => import("../providers/OpenAi.js"), plain)
  },
  "openai-responses": {
    vendor: "OpenAI",
    key: "OPENAI_API_KEY",
    bases: ["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    model: "OPENAI_MODEL",
    load: lazily(() => import("../providers/OpenAiResponses.js"), plain)
  },
  azure: {
    vendor: "Azure OpenAI",
    key: "AZURE_OPENAI_API_KEY",
    keys: ["AZURE_API_KEY"],
    bases: ["AZURE_OPENAI_ENDPOINT", "AZURE_RESOURCE_NAME"],
    token: "AZURE_OPENAI_AD_TOKEN",
    model: "AZURE_OPENAI_DEPLOYMENT",
    place: "AZURE_OPENAI_ENDPOINT",
    load: lazily(() => import("../providers/Azure.js"), withToken("AZURE_OPENAI_AD_TOKEN"))
  },
  anthropic: {
    vendor: "Anthropic",
    key: "ANTHROPIC_API_KEY",
    keys: ["ANTHROPIC_AUTH_TOKEN"],
    bases: ["ANTHROPIC_BASE_URL"],
    model: "ANTHROPIC_MODEL",
    load: lazily(() => import("../providers/Anthropic.js"), plain)
  },
  gemini: {
    vendor: "Gemini",
    key: "GOOGLE_API_KEY",
    keys: ["GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
    bases: ["GOOGLE_GEMINI_BASE_URL"],
    model: "GEMINI_MODEL",
    load: lazily(() => import("../providers/Gemini.js"), plain)
  },
  vertex: {
    vendor: "Vertex AI",
    key: "GOOGLE_VERTEX_API_KEY",
    bases: ["GOOGLE_VERTEX_BASE_URL"],
    token: "CLOUDSDK_AUTH_ACCESS_TOKEN",
    model: "GOOGLE_VERTEX_MODEL",
    place: "GOOGLE_CLOUD_PROJECT",
    load: lazily(() => import("../providers/Vertex.js"), withToken("CLOUDSDK_AUTH_ACCESS_TOKEN"))
  },
  mistral: {
    vendor: "Mistral",
    key: "MISTRAL_API_KEY",
    bases: ["MISTRAL_BASE_URL"],
    model: "MISTRAL_MODEL",
    load: lazily(() => import("../providers/Mistral.js"), plain)
  },
  cohere: {
    vendor: "Cohere",
    key: "CO_API_KEY",
    keys: ["COHERE_API_KEY"],
    bases: ["COHERE_BASE_URL"],
    model: "COHERE_MODEL",
    load: lazily(() => import("../providers/Cohere.js"), plain)
  },
  voyage: {
    vendor: "Voyage",
    key: "VOYAGE_API_KEY",
    bases: ["VOYAGE_BASE_URL"],
    model: "VOYAGE_MODEL",
    load: lazily(() => import("../providers/Voyage.js"), plain)
  },
  jina: {
    vendor: "Jina",
    key: "JINA_API_KEY",
    bases: ["JINA_BASE_URL"],
    model: "JINA_MODEL",
    load: lazily(() => import("../providers/Jina.js"), plain)
  },
  deepseek: preset(({ deepSeek }) => deepSeek, "DeepSeek", "DEEPSEEK"),
  groq: preset(({ groq }) => groq, "Groq", "GROQ"),
  together: preset(({ together }) => together, "Together", "TOGETHER", false, ["TOGETHER_AI_API_KEY"]),
  openrouter: preset(({ openRouter }) => openRouter, "OpenRouter", "OPENROUTER"),
  xai: preset(({ xai }) => xai, "xAI", "XAI"),
  fireworks: preset(({ fireworks }) => fireworks, "Fireworks", "FIREWORKS"),
  nvidia: preset(({ nvidia }) => nvidia, "NVIDIA", "NVIDIA", false, ["NVIDIA_NIM_API_KEY"]),
  vllm: preset(({ vllm }) => vllm, "vLLM", "VLLM", true),
  ollama: preset(({ ollama }) => ollama, "Ollama", "OLLAMA", true),
  lmstudio: preset(({ lmStudio }) => lmStudio, "LM Studio", "LMSTUDIO", true),
  llamacpp: preset(({ llamaCpp }) => llamaCpp, "llama.cpp", "LLAMACPP", true),
  "openai-compatible": {
    vendor: "any server that speaks OpenAI's wire",
    keyless: true,
    load: lazily(
      () => import("../providers/OpenAiCompatible.js"),
      (module) => ({
        make: () => module.make(),
        config: Config.succeed<Endpoint.Options>({ provider: module.name, baseUrl: "" })
      })
    )
  }
} satisfies Readonly<Record<string, Entry>>

/** The name of a provider. */
export type Name = keyof typeof registry

/** Their names, in the order in which they are told. */
export const names = Object.keys(registry) as ReadonlyArray<Name>

/** The entry of a name, where there is one. */
export const find = (name: string): Entry | undefined =>
  Object.hasOwn(registry, name) ? registry[name as Name] : undefined
