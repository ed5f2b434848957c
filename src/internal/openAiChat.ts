/** OpenAI's wire in one dialect, as a protocol: chat completions, and the other calls that a server has. */
import * as Either from "effect/Either"
import type { Endpoint } from "../Endpoint.js"
import type { Chat } from "../Request.js"
import { type Context, unsupported, type Wire } from "../Wire.js"
import { type Dialect, openAi } from "./openAiDialect.js"
import * as OpenAiEvents from "./openAiEvents.js"
import * as OpenAiKinds from "./openAiKinds.js"
import * as OpenAiRequest from "./openAiRequest.js"
import * as OpenAiResponse from "./openAiResponse.js"
import * as WireWarnings from "./wireWarnings.js"

/** What is not the dialect's, but the provider's. */
export interface Options {
  /** The model by its own name, empty where it cannot be told. Default: the endpoint's `family`, or the model. */
  readonly family?: ((model: string, endpoint: Endpoint) => string) | undefined
  /** The path of a call such as `/chat/completions`, where the server has it below others. */
  readonly path?: ((path: string, model: string, endpoint: Endpoint) => string) | undefined
}

const byName = (model: string, endpoint: Endpoint): string => endpoint.family ?? model

const lacksFormat = ({ responseFormat: format }: Chat, { schemas }: Dialect): boolean => {
  if (format?.type === "json") return schemas === "none"
  return format?.type === "jsonSchema" && format.adapt !== true && (schemas === "json" || schemas === "none")
}

const lacks = (chat: Chat, dialect: Dialect, family: string, streaming: boolean): ReadonlyArray<string> => {
  const missing = [...dialect.lacks(chat, family)]
  if (chat.topK !== undefined && !dialect.topK) missing.push("topK")
  if (chat.thinking !== undefined && dialect.thinking === undefined) missing.push("thinking")
  if (lacksFormat(chat, dialect)) missing.push("responseFormat")
  // the parts of a stream are those of one answer
  if (streaming && chat.n !== undefined && chat.n > 1) missing.push("n")
  return missing
}

/** The protocol of a server. */
export const wire = (dialect: Dialect, options: Options = {}): Wire => {
  const family = options.family ?? byName
  const path = options.path ?? ((path: string) => path)
  const plainCall = OpenAiKinds.calls(dialect)
  const decode: typeof OpenAiResponse.decode = (body, asked) => OpenAiResponse.decode(body, asked, dialect)
  const events = OpenAiEvents.reader(dialect)
  return {
    name: dialect.name,
    chargesMaxTokens: dialect.chargesMaxTokens,
    streams: true,
    fetchesMedia: dialect.fetchesMedia,
    embeddingInputs: dialect.embeddingInputs,
    embeddingTokens: dialect.embeddingTokens,
    lacks: (request, { endpoint, model, streaming }: Context) =>
      request._tag === "Chat"
        ? lacks(request, dialect, family(model, endpoint), streaming)
        : OpenAiKinds.lacks(request),
    warns: (request, { endpoint }) => WireWarnings.ofFailedTools(endpoint.provider, request),
    encode: (request, { endpoint, model, streaming }) => {
      if (request._tag !== "Chat") {
        if (!dialect.kinds.includes(request._tag)) {
          return Either.left(unsupported(dialect.name, request._tag))
        }
        const call = plainCall(request, model)
        return Either.right({ ...call, path: path(call.path, model, endpoint) })
      }
      const own = family(model, endpoint)
      const refused = dialect.refuses(request, own)
      if (refused !== undefined) return Either.left(refused)
      return Either.right({
        path: path("/chat/completions", model, endpoint),
        body: OpenAiRequest.encode(request, model, { dialect, family: own, streaming }),
        decode,
        events
      })
    }
  }
}

/** OpenAI's own. */
export const openAiWire: Wire = wire(openAi)
