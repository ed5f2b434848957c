/**
 * The words of OpenTelemetry's conventions for generative AI, version 1.41.0, for what we call otherwise.
 */
import type { Request } from "../Request.js"

/** Providers that the conventions have a name for which is not ours. */
const providerNames: ReadonlyMap<string, string> = new Map([
  ["azure", "azure.ai.openai"],
  ["gemini", "gcp.gemini"],
  ["mistral", "mistral_ai"],
  ["openai-responses", "openai"],
  ["vertex", "gcp.vertex_ai"],
  ["xai", "x_ai"]
])

/** `gen_ai.provider.name` */
export const providerName = (provider: string): string => providerNames.get(provider) ?? provider

/** `gen_ai.operation.name`. There is none for a reranking: it is ours. */
export const operationName = (tag: Request["_tag"]): string => {
  switch (tag) {
    case "Chat":
      return "chat"
    case "Completion":
      return "text_completion"
    case "Embedding":
      return "embeddings"
    case "Rerank":
      return "rerank"
  }
}
