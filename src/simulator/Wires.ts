/** The wires that a simulator speaks, each below its own path, as far as their paths would collide. */
import * as AnthropicBatch from "./AnthropicBatch.js"
import * as AnthropicWire from "./AnthropicWire.js"
import * as BatchJobs from "./BatchJobs.js"
import * as CohereWire from "./CohereWire.js"
import * as GeminiBatch from "./GeminiBatch.js"
import * as GeminiWire from "./GeminiWire.js"
import * as JinaWire from "./JinaWire.js"
import * as MistralBatch from "./MistralBatch.js"
import * as MistralWire from "./MistralWire.js"
import * as OpenAiAzure from "./OpenAiAzure.js"
import * as OpenAiBatch from "./OpenAiBatch.js"
import * as OpenAiResponses from "./OpenAiResponses.js"
import * as OpenAiServers from "./OpenAiServers.js"
import * as OpenAiWire from "./OpenAiWire.js"
import * as VoyageWire from "./VoyageWire.js"
import type { Wire, WireOptions } from "./Wire.js"

/** A wire and where it is: the base URL of its clients is the server's address and `path`. */
export interface Mounted {
  readonly wire: Wire
  readonly path: string
}

/** The wire with its paths below `prefix`. */
const below = (prefix: string, wire: Wire): Wire => ({
  ...wire,
  route: (method, path) =>
    path.startsWith(`${prefix}/`) ? wire.route(method, path.slice(prefix.length)) : undefined
})

/** The wire at its own paths, and below `prefix` as well, for those of them that are another's too. */
const also = (prefix: string, wire: Wire): Wire => {
  const { route } = below(prefix, wire)
  return { ...wire, route: (method, path) => route(method, path) ?? wire.route(method, path) }
}

/**
 * A wire whose clients have `base` after the address. `base` includes a prefix of its own (`/mistral/v1`) where the
 * provider's real paths are another's as well; the wire itself sees the path without the prefix (`/v1/…`).
 */
export const mount = (wire: Wire, base: string, prefix = ""): Mounted => ({
  wire: prefix === "" ? wire : below(prefix, wire),
  path: base
})

/** Where each server of OpenAI's wire is, below a prefix that its real paths do not have. */
const servers: Readonly<Record<string, string>> = {
  deepseek: "",
  groq: "/openai/v1",
  together: "/v1",
  openrouter: "/api/v1",
  xai: "/v1",
  fireworks: "/inference/v1",
  nvidia: "/v1",
  vllm: "/v1",
  ollama: "/v1",
  lmstudio: "/v1",
  llamacpp: "/v1",
  "openai-compatible": "/v1"
}

const compatible = (options: WireOptions): Readonly<Record<string, Mounted>> =>
  Object.fromEntries(
    Object.entries(OpenAiServers.make(options)).map(([name, wire]) => {
      const base = `/${name}${servers[name] ?? "/v1"}`
      return [name, mount(wire, base, base.replace(/\/v1$/, ""))]
    })
  )

/** The wire with the routes of its batch API. */
const withBatches = (wire: Wire, route: Wire["route"]): Wire => ({
  ...wire,
  route: (method, path) => route(method, path) ?? wire.route(method, path)
})

/** The wires that have batch APIs. */
const batching = (options: WireOptions) => {
  const routes =
    (...wires: ReadonlyArray<Wire>) =>
    (path: string) => {
      for (const wire of wires) {
        const found = wire.route("POST", path)
        if (found !== undefined) return found
      }
      return undefined
    }
  const jobs = () => BatchJobs.make(options.batches)
  const openai = OpenAiWire.make(options)
  const responses = OpenAiResponses.make(options)
  const azure = OpenAiAzure.make(options)
  const anthropic = AnthropicWire.make(options)
  const gemini = GeminiWire.make(options, "gemini")
  const mistral = MistralWire.make(options)
  return {
    openai: withBatches(openai, OpenAiBatch.route(jobs(), routes(openai, responses))),
    responses,
    azure: withBatches(azure, OpenAiBatch.route(jobs(), routes(azure))),
    anthropic: withBatches(anthropic, AnthropicBatch.route(jobs(), routes(anthropic))),
    gemini: withBatches(gemini, GeminiBatch.route(jobs(), routes(gemini))),
    mistral: withBatches(mistral, MistralBatch.route(jobs(), routes(mistral)))
  }
}

/** All wires by the names of their providers. OpenAI's answers on paths that are nobody's. */
export const make = (
  options: WireOptions
): Readonly<Record<string, Mounted>> & { readonly openai: Mounted } => {
  const { anthropic, azure, gemini, mistral, openai, responses } = batching(options)
  return {
    openai: mount(openai, "/v1"),
    "openai-responses": mount(responses, "/v1"),
    azure: mount(azure, "/azure/openai/v1", "/azure/openai"),
    ...compatible(options),
    anthropic: mount(anthropic, ""),
    // its list of models is at /v1/models, as OpenAI's is
    cohere: mount(also("/cohere", CohereWire.make(options)), "/v2"),
    gemini: mount(gemini, "/v1beta"),
    vertex: mount(GeminiWire.make(options, "vertex"), "/v1/projects/simulator/locations/global"),
    jina: mount(JinaWire.make(options), "/jina/v1", "/jina"),
    mistral: mount(mistral, "/mistral/v1", "/mistral"),
    voyage: mount(VoyageWire.make(options), "/voyage/v1", "/voyage")
  }
}
