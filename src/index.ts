/**
 * floodgate: a request goes in, and its one paid-for answer comes out.
 */

export { batch, batchStream } from "./Batch.js"
export * as Budget from "./Budget.js"
export * as Cache from "./Cache.js"
export * as CacheStore from "./CacheStore.js"
export * as CallLog from "./CallLog.js"
export * as Checkpoint from "./Checkpoint.js"
export { complete } from "./Complete.js"
export * as ConfigFile from "./ConfigFile.js"
export { layer as layerConfigFile } from "./ConfigFile.js"
export * as Endpoint from "./Endpoint.js"
export * as Estimate from "./Estimate.js"
export * as HttpClientPool from "./HttpClientPool.js"
export * as Ledger from "./Ledger.js"
export * as LlmError from "./LlmError.js"
export * as Media from "./Media.js"
export * as Message from "./Message.js"
export * as Mock from "./Mock.js"
export * as Outcome from "./Outcome.js"
export * as Prices from "./Prices.js"
export * as Progress from "./Progress.js"
export * as ProviderBatch from "./ProviderBatch.js"
export * as Providers from "./Providers.js"
export * as Anthropic from "./providers/Anthropic.js"
export { AnthropicLive } from "./providers/Anthropic.js"
export * as Azure from "./providers/Azure.js"
export { AzureLive } from "./providers/Azure.js"
export * as Cohere from "./providers/Cohere.js"
export { CohereLive } from "./providers/Cohere.js"
export * as Gemini from "./providers/Gemini.js"
export { GeminiLive } from "./providers/Gemini.js"
export * as Jina from "./providers/Jina.js"
export { JinaLive } from "./providers/Jina.js"
export * as Mistral from "./providers/Mistral.js"
export { MistralLive } from "./providers/Mistral.js"
export * as OpenAi from "./providers/OpenAi.js"
export { OpenAILive } from "./providers/OpenAi.js"
export * as OpenAiCompatible from "./providers/OpenAiCompatible.js"
export {
  DeepSeekLive,
  FireworksLive,
  GroqLive,
  LlamaCppLive,
  LmStudioLive,
  NvidiaLive,
  OllamaLive,
  OpenRouterLive,
  TogetherLive,
  VllmLive,
  XaiLive
} from "./providers/OpenAiCompatible.js"
export * as OpenAiResponses from "./providers/OpenAiResponses.js"
export { OpenAIResponsesLive } from "./providers/OpenAiResponses.js"
export * as Vertex from "./providers/Vertex.js"
export { VertexLive } from "./providers/Vertex.js"
export * as Voyage from "./providers/Voyage.js"
export { VoyageLive } from "./providers/Voyage.js"
export * as RateLimiter from "./RateLimiter.js"
export * as RateLimiterStore from "./RateLimiterStore.js"
export * as Receipt from "./Receipt.js"
export * as Recipes from "./Recipes.js"
export * as Report from "./Report.js"
export * as Request from "./Request.js"
export { Chat, Completion, Embedding, Rerank } from "./Request.js"
export * as Response from "./Response.js"
export * as Retry from "./Retry.js"
export * as Router from "./Router.js"
export * as Strategy from "./Strategy.js"
export { collect, stream } from "./Streaming.js"
export * as StreamPart from "./StreamPart.js"
export * as StructuredOutput from "./StructuredOutput.js"
export { object } from "./StructuredOutput.js"
export * as Task from "./Task.js"
export * as Telemetry from "./Telemetry.js"
export * as Throttle from "./Throttle.js"
export * as Tokens from "./Tokens.js"
export * as Tool from "./Tool.js"
export * as Toolkit from "./Toolkit.js"
export * as Usage from "./Usage.js"
export * as Wire from "./Wire.js"
