/**
 * Servers that speak OpenAI's chat completions in their own way: DeepSeek, Groq, Together, OpenRouter, xAI, Fireworks,
 * NVIDIA, vLLM, Ollama, LM Studio, llama.cpp, and `openai-compatible`, which does everything wrong that a server of this wire gets away with: no usage,
 * no ids, thoughts in tags, errors that are texts.
 *
 * Sources: the documentation of each, and what their users report of errors.
 */
import { list, record } from "./BodyChecks.js"
import { type Body, error } from "./OpenAiError.js"
import { type Counts, type Flavour, openAi } from "./OpenAiFlavour.js"
import * as OpenAiWire from "./OpenAiWire.js"
import type { Reply, Wire, WireOptions } from "./Wire.js"

/** Refuses messages with parts of these types. */
const refusesParts =
  (...types: ReadonlyArray<string>) =>
  (body: Body): Reply | undefined => {
    const part = list(body["messages"])
      .flatMap((message) => list(record(message)["content"]))
      .map((item) => String(record(item)["type"]))
      .find((type) => types.includes(type))
    return part === undefined
      ? undefined
      : error(400, { message: `Content parts of type '${part}' are not supported.`, param: "messages" })
  }

const textAndImages = refusesParts("input_audio", "file")

/** The first of these parameters that is set, refused. */
const refusesFields = (body: Body, fields: ReadonlyArray<string>): Reply | undefined => {
  const field = fields.find((name) => body[name] !== undefined && body[name] !== null)
  return field === undefined
    ? undefined
    : error(400, { message: `property '${field}' is unsupported`, param: field })
}

const open: Flavour = {
  ...openAi,
  parameters: undefined,
  families: false,
  thinks: (body) =>
    body["reasoning_effort"] !== "none" &&
    record(body["chat_template_kwargs"])["enable_thinking"] !== false &&
    record(body["reasoning"])["enabled"] !== false,
  thoughts: "reasoning"
}

const deepSeekThinks = (body: Body): boolean => record(body["thinking"])["type"] !== "disabled"

const forgotThoughts = (body: Body): boolean =>
  deepSeekThinks(body) &&
  list(body["messages"])
    .map(record)
    .some((message) => list(message["tool_calls"]).length > 0 && message["reasoning_content"] === undefined)

const deepSeek: Flavour = {
  ...open,
  name: "deepseek",
  thinks: deepSeekThinks,
  thoughts: "reasoning_content",
  refuses: (body) => {
    if (record(body["response_format"])["type"] === "json_schema") {
      return error(400, {
        message: "This response_format type is unavailable now",
        code: "invalid_request_error"
      })
    }
    const refused = textAndImages(body)
    if (refused !== undefined) return refused
    return forgotThoughts(body)
      ? error(400, {
          message: "The `reasoning_content` in the thinking mode must be passed back to the API.",
          code: "invalid_request_error"
        })
      : undefined
  },
  counts: ["cached", "reasoning"],
  usage: (counts) => ({
    prompt_tokens: counts.input,
    completion_tokens: counts.output,
    total_tokens: counts.input + counts.output,
    prompt_cache_hit_tokens: counts.cached,
    prompt_cache_miss_tokens: counts.input - counts.cached,
    completion_tokens_details: { reasoning_tokens: counts.reasoning }
  })
}

const groq: Flavour = {
  ...open,
  name: "groq",
  parameters: ["include_reasoning", "reasoning_format"],
  refuses: (body) =>
    textAndImages(body) ??
    refusesFields(body, ["logprobs", "top_logprobs", "logit_bias", "verbosity", "store", "metadata"]) ??
    (Number(body["n"] ?? 1) > 1
      ? error(400, { message: "'n' : number must be at most 1", param: "n" })
      : undefined),
  streamUsage: "x_groq",
  extras: { x_groq: { id: "req_simulator" } }
}

const openRouter: Flavour = {
  ...open,
  name: "openrouter",
  thoughts: "reasoning_details",
  thinks: (body) => record(body["reasoning"])["effort"] !== "none",
  streamUsage: "always",
  usage: (counts) => ({ ...openAi.usage?.(counts), cost: 0.000_1 }),
  choiceExtras: { native_finish_reason: "stop" }
}

const xai: Flavour = {
  ...open,
  name: "xai",
  refuses: (body) =>
    textAndImages(body) ??
    (/^grok-(3-mini|4|code)/.test(String(body["model"])) && !String(body["model"]).includes("non-reasoning")
      ? refusesFields(body, ["presence_penalty", "frequency_penalty", "stop"])
      : undefined),
  thoughts: "reasoning_content",
  usage: (counts) => ({
    ...openAi.usage?.({ ...counts, output: counts.output - counts.reasoning }),
    total_tokens: counts.input + counts.output
  })
}

const plainUsage = ({ input, output }: Counts) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output
})

/** Of servers that count a prompt and an answer, and nothing apart. */
const plain: Flavour = { ...open, counts: [], usage: plainUsage }

const vllm: Flavour = { ...plain, name: "vllm", refuses: refusesParts("file") }

/** It reads `max_tokens` and no other, and knows no choice of tools. */
const ollama: Flavour = {
  ...plain,
  name: "ollama",
  refuses: textAndImages,
  maxTokens: (body) => body["max_tokens"],
  extras: { system_fingerprint: "fp_ollama" }
}

/** It takes a choice of tools by a word alone, and no JSON without a schema. */
const lmStudio: Flavour = {
  ...plain,
  name: "lmstudio",
  thoughts: "reasoning_content",
  refuses: (body) => {
    if (typeof body["tool_choice"] === "object" && body["tool_choice"] !== null) {
      return error(400, {
        message: "Invalid tool_choice type: 'object'. Supported string values: none, auto, required"
      })
    }
    return record(body["response_format"])["type"] === "json_object"
      ? error(400, { message: "'response_format.type' must be 'json_schema' or 'text'" })
      : textAndImages(body)
  }
}

const llamaCpp: Flavour = {
  ...plain,
  name: "llamacpp",
  thoughts: "reasoning_content",
  refuses: refusesParts("file"),
  choosesTools: "words"
}

const fireworks: Flavour = {
  ...open,
  name: "fireworks",
  thoughts: "reasoning_content",
  refuses: textAndImages,
  streamUsage: "always",
  counts: ["cached"],
  usage: (counts) => ({ ...plainUsage(counts), prompt_tokens_details: { cached_tokens: counts.cached } })
}

const nvidia: Flavour = {
  ...plain,
  name: "nvidia",
  thoughts: "reasoning_content",
  refuses: textAndImages
}

const compatible: Flavour = {
  ...plain,
  name: "openai-compatible",
  thoughts: "tags",
  usage: undefined,
  sloppy: true
}

/** What an error is in each server's words. */
type Reworded = (status: number, said: Body) => unknown

const reword = (wire: Wire, words: Reworded): Wire => {
  const reworded = (reply: Reply): Reply => {
    if (reply.status < 400 || !reply.body.startsWith("{")) return reply
    const said = record(record(JSON.parse(reply.body))["error"])
    return { ...reply, body: JSON.stringify(words(reply.status, said)) }
  }
  return {
    ...wire,
    route: (method, path) => {
      const route = wire.route(method, path)
      if (route === undefined) return undefined
      if (route._tag === "Reply") return reworded(route)
      if (route._tag === "Raw") return route
      return {
        _tag: "Endpoint",
        read: (body) => {
          const read = route.read(body)
          return read._tag === "Reply" ? reworded(read) : read
        }
      }
    },
    unknownPath: (method, path) => reworded(wire.unknownPath(method, path)),
    unauthorized: (key) => reworded(wire.unauthorized(key)),
    invalidJson: reworded(wire.invalidJson),
    bodyTooLarge: reworded(wire.bodyTooLarge),
    rateLimited: (rejection, model) => reworded(wire.rateLimited(rejection, model)),
    quotaExhausted: reworded(wire.quotaExhausted),
    failure: (fault) => reworded(wire.failure(fault))
  }
}

/** Servers that run on a machine of one's own: any key or none, and no limits told. */
const own = ({ resetHeaders: _, ...wire }: Wire): Wire => ({
  ...wire,
  credential: (headers) => wire.credential(headers) ?? "none",
  headers: () => ({})
})

/** Servers that answer 402 when the money is gone. */
const prepaid = (wire: Wire, message: string): Wire => ({
  ...wire,
  quotaExhausted: error(402, { message, type: "unknown_error", code: "invalid_request_error" }),
  failure: (fault) =>
    fault.status === 402 ? error(402, { message: fault.message ?? message }) : wire.failure(fault)
})

/** Groq's answer to flex calls that find no capacity. */
const withFlex = (wire: Wire): Wire => ({
  ...wire,
  failure: (fault) =>
    fault.status === 498
      ? error(498, {
          message: fault.message ?? "Service tier capacity exceeded",
          type: "internal_server_error",
          code: "capacity_exceeded"
        })
      : wire.failure(fault)
})

/** OpenRouter names the end of a used-up limit in milliseconds since the epoch. */
const withReset = (wire: Wire): Wire => ({
  ...wire,
  resetHeaders: (waitMillis, now) => ({
    "x-ratelimit-limit": "20",
    "x-ratelimit-remaining": "0",
    "x-ratelimit-reset": String(Math.ceil(now + waitMillis))
  })
})

/** llama.cpp names its error of a prompt that is too long, and how long both are. */
const llamaCppError: Reworded = (status, { code, message }) => {
  const numbers = /length is (\d+) tokens.*?(\d+) tokens/.exec(String(message))
  return {
    error:
      code === "context_length_exceeded"
        ? {
            code: status,
            message:
              "the request exceeds the available context size. try increasing the context size or enable context shift",
            type: "exceed_context_size_error",
            n_prompt_tokens: Number(numbers?.[2] ?? 0),
            n_ctx: Number(numbers?.[1] ?? 0)
          }
        : { code: status, message, type: llamaCppTypes[status] ?? "server_error" }
  }
}

const llamaCppTypes: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  503: "unavailable_error"
}

/** What NVIDIA's gateway calls the errors that are its own; all others are of the server behind it. */
const nvidiaTitles: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  429: "Too Many Requests"
}

const typeOfStatus: Readonly<Record<number, string>> = {
  400: "BadRequestError",
  401: "Unauthorized",
  404: "NotFoundError",
  429: "RateLimitError"
}

/** The servers by the names of their providers. */
export const make = (options: WireOptions): Readonly<Record<string, Wire>> => {
  const of = (flavour: Flavour): Wire => OpenAiWire.make(options, flavour)
  return {
    deepseek: prepaid(of(deepSeek), "Insufficient Balance"),
    groq: withFlex(of(groq)),
    fireworks: reword(of(fireworks), (_, { code, message, type }) => ({
      error: { object: "error", type: type ?? "invalid_request_error", code: code ?? type, message }
    })),
    nvidia: {
      ...reword(prepaid(of(nvidia), "Your credits are used up."), (status, { message, param }) =>
        nvidiaTitles[status] === undefined
          ? { error: { message, type: typeOfStatus[status] ?? "InternalServerError", param, code: status } }
          : { status, title: nvidiaTitles[status], detail: message }
      ),
      headers: () => ({})
    },
    together: of({ ...open, name: "together", refuses: textAndImages }),
    openrouter: withReset(
      reword(prepaid(of(openRouter), "Insufficient credits"), (status, { message }) => ({
        error: { code: status, message, metadata: {} },
        user_id: "user_simulator"
      }))
    ),
    xai: reword(of(xai), (_, { code, message }) => ({
      code: code ?? "Client specified an invalid argument",
      error: message
    })),
    vllm: reword(own(of(vllm)), (status, { message, param }) => ({
      error: { message, type: typeOfStatus[status] ?? "InternalServerError", param, code: status }
    })),
    ollama: own(of(ollama)),
    lmstudio: reword(own(of(lmStudio)), (_, { message }) => ({ error: message })),
    llamacpp: reword(own(of(llamaCpp)), llamaCppError),
    "openai-compatible": reword(own(of(compatible)), (_, { message }) => ({ error: message }))
  }
}
