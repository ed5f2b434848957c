/**
 * What Google refuses in a chat: fields that there are not, values out of bounds, what a model cannot do.
 *
 * Sources: Google's API reference and guides. Message texts are those the API sends, where known.
 */
import { type Body, list, number, outOfRange, type Range, record, unknownFields } from "./BodyChecks.js"
import { invalid, type Server, unknownField } from "./GeminiError.js"
import type { Reply, WireOptions } from "./Wire.js"

const common = [
  "contents",
  "systemInstruction",
  "tools",
  "toolConfig",
  "safetySettings",
  "generationConfig",
  "cachedContent"
]

const topLevel: Readonly<Record<Server, ReadonlySet<string>>> = {
  gemini: new Set([...common, "model", "serviceTier", "store"]),
  vertex: new Set([...common, "labels", "modelArmorConfig"])
}

const configFields = new Set([
  "audioTimestamp",
  "candidateCount",
  "enableEnhancedCivicAnswers",
  "frequencyPenalty",
  "imageConfig",
  "logprobs",
  "maxOutputTokens",
  "mediaResolution",
  "presencePenalty",
  "responseJsonSchema",
  "responseLogprobs",
  "responseMimeType",
  "responseModalities",
  "responseSchema",
  "seed",
  "speechConfig",
  "stopSequences",
  "temperature",
  "thinkingConfig",
  "topK",
  "topP"
])

const partData = [
  "text",
  "inlineData",
  "fileData",
  "functionCall",
  "functionResponse",
  "executableCode",
  "codeExecutionResult"
]
const partFields = new Set([...partData, "thought", "thoughtSignature", "mediaResolution", "videoMetadata"])
const toolFields = new Set([
  "functionDeclarations",
  "googleSearch",
  "googleSearchRetrieval",
  "codeExecution",
  "urlContext",
  "googleMaps",
  "computerUse",
  "fileSearch"
])
const declarationFields = new Set([
  "name",
  "description",
  "parameters",
  "parametersJsonSchema",
  "response",
  "responseJsonSchema",
  "behavior"
])

const maxInlineBytes = 20 * 1024 * 1024

// --- the model ---------------------------------------------------------------------------------------------

/** The generation of a model, `NaN` if its name tells none. */
export const generationOf = (model: string): number =>
  Number(/^gemini-(\d+(?:\.\d+)?)-/.exec(model)?.[1] ?? Number.NaN)

const isGemma = (model: string): boolean => model.startsWith("gemma")

/** What stands for the proof of a thought: the sentinel for calls of other models, or one that was made here. */
const isProof = (signature: unknown): boolean =>
  signature === "skip_thought_signature_validator" ||
  (typeof signature === "string" && Buffer.from(signature, "base64").toString().startsWith("thought "))

/** The proof of a thought. */
export const proof = (of: string): string => Buffer.from(`thought ${of}`).toString("base64")

const badThinking = (config: Body, model: string): Reply | undefined => {
  if (config["thinkingConfig"] === undefined) return undefined
  const { thinkingBudget: budget, thinkingLevel: level } = record(config["thinkingConfig"])
  const generation = generationOf(model)
  if (isGemma(model) || generation < 2.5) return invalid(`Thinking is not enabled for models/${model}`)
  if (budget !== undefined && level !== undefined) {
    return invalid("You can only set only one of thinking budget and thinking level.")
  }
  if (generation < 3) {
    if (level !== undefined) return invalid("Thinking level is not supported for this model.")
    const lite = model.includes("flash-lite")
    const pro = model.includes("pro")
    if (budget === undefined || budget === -1) return undefined
    if (budget === 0) {
      return pro ? invalid("Budget 0 is invalid. This model only works in thinking mode.") : undefined
    }
    const [least, most] = [pro ? 128 : lite ? 512 : 1, pro ? 32_768 : 24_576]
    return typeof budget === "number" && budget >= least && budget <= most
      ? undefined
      : invalid(
          `The thinking budget ${budget} is invalid. Please choose a value between ${least} and ${most}.`
        )
  }
  if (budget === 0) return invalid("Budget 0 is invalid. This model only works in thinking mode.")
  if (budget !== undefined && generation >= 4) {
    return invalid("Thinking budget is not supported for this model.")
  }
  const levels = ["low", "medium", "high"]
  const hasMinimal = generation < 4 && !model.includes("pro") && generation !== 3.8
  const isKnown =
    level === undefined || [...levels, ...(hasMinimal ? ["minimal"] : [])].includes(String(level))
  return isKnown
    ? undefined
    : invalid(`Thinking level ${String(level).toUpperCase()} is not supported for this model.`)
}

// --- contents ----------------------------------------------------------------------------------------------

const badFile = (part: Body, server: Server): Reply | undefined => {
  const { fileUri } = record(part["fileData"])
  if (part["fileData"] === undefined) return undefined
  const isKnown =
    typeof fileUri === "string" &&
    (server === "vertex"
      ? /^(gs|https):\/\//.test(fileUri)
      : /^https:\/\/(generativelanguage\.googleapis\.com\/|www\.youtube\.com\/|youtu\.be\/)/.test(fileUri))
  return isKnown
    ? undefined
    : invalid("Cannot fetch content from the provided URL. Please ensure the URL is valid and accessible.")
}

const badPart = (part: Body, place: string, server: Server): Reply | undefined => {
  const [unknown] = unknownFields(part, partFields)
  if (unknown !== undefined) return unknownField(unknown, place)
  const data = partData.filter((name) => part[name] !== undefined)
  if (data.length !== 1) {
    return invalid(
      `* GenerateContentRequest.${place}.data: required oneof field 'data' must have one initialized field\n`
    )
  }
  if (part["thought"] !== undefined && typeof part["thought"] !== "boolean") {
    return invalid(`Invalid value at '${place}.thought' (TYPE_BOOL), ${JSON.stringify(part["thought"])}`)
  }
  const { data: bytes, mimeType } = record(part["inlineData"])
  if (part["inlineData"] !== undefined) {
    if (typeof mimeType !== "string" || mimeType === "") {
      return invalid(`* GenerateContentRequest.${place}.inline_data.mime_type: must not be empty\n`)
    }
    if (typeof bytes !== "string" || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(bytes)) {
      return invalid(`Invalid value at '${place}.inline_data.data' (TYPE_BYTES), Base64 decoding failed`)
    }
  }
  for (const field of ["functionCall", "functionResponse"] as const) {
    if (part[field] === undefined) continue
    const { args, id, name, response } = record(part[field])
    if (id !== undefined && server === "vertex") return unknownField("id", `${place}.${field}`)
    if (typeof name !== "string" || name === "") {
      return invalid(`* GenerateContentRequest.${place}.${field}.name: Name cannot be empty.\n`)
    }
    const value = field === "functionCall" ? (args ?? {}) : response
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return invalid(
        `Invalid value at '${place}.${field}.${field === "functionCall" ? "args" : "response"}' (type.googleapis.com/google.protobuf.Struct)`
      )
    }
  }
  return badFile(part, server)
}

const partsOf = (content: unknown): ReadonlyArray<Body> => list(record(content)["parts"]).map(record)

const callsOf = (content: unknown, field: "functionCall" | "functionResponse") =>
  partsOf(content).filter((part) => part[field] !== undefined)

/** Calls and their results, turn by turn. */
const badCalls = (contents: ReadonlyArray<unknown>, model: string): Reply | undefined => {
  for (const [i, content] of contents.entries()) {
    const calls = callsOf(content, "functionCall")
    const answers = callsOf(contents[i + 1], "functionResponse").length
    const isLast = i === contents.length - 1
    if (calls.length > 0 && !isLast && answers !== calls.length) {
      return invalid(
        "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
      )
    }
    if (
      callsOf(content, "functionResponse").length > 0 &&
      callsOf(contents[i - 1], "functionCall").length === 0
    ) {
      return invalid(
        "Please ensure that function response turn comes immediately after a function call turn."
      )
    }
    const [first] = calls
    if (first !== undefined && generationOf(model) >= 3 && first["thoughtSignature"] === undefined) {
      return invalid(
        `Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call \`default_api:${record(first["functionCall"])["name"]}\`, position ${i + 1}.`
      )
    }
    for (const part of partsOf(content)) {
      if (part["thoughtSignature"] !== undefined && !isProof(part["thoughtSignature"])) {
        return invalid("Corrupted thought signature.")
      }
    }
  }
  return undefined
}

const badContents = (body: Body, model: string, server: Server): Reply | undefined => {
  const contents = list(body["contents"])
  if (contents.length === 0) {
    return invalid("* GenerateContentRequest.contents: contents is not specified\n")
  }
  let bytes = 0
  for (const [i, content] of contents.entries()) {
    const { role } = record(content)
    if (role !== "user" && role !== "model" && !(role === undefined && server === "gemini")) {
      return invalid("Please use a valid role: user, model.")
    }
    const parts = partsOf(content)
    if (parts.length === 0) {
      return invalid(`* GenerateContentRequest.contents[${i}].parts: contents.parts must not be empty.\n`)
    }
    for (const [at, part] of parts.entries()) {
      const reply = badPart(part, `contents[${i}].parts[${at}]`, server)
      if (reply !== undefined) return reply
      const { data } = record(part["inlineData"])
      if (typeof data === "string") bytes += data.length
    }
  }
  if (bytes > maxInlineBytes) {
    return invalid(`Request payload size exceeds the limit: ${maxInlineBytes} bytes.`)
  }
  return badCalls(contents, model)
}

// --- settings ----------------------------------------------------------------------------------------------

const ranges: ReadonlyArray<Range> = [
  ["temperature", 0, 2],
  ["topP", 0, 1],
  ["topK", 1, 1000],
  ["candidateCount", 1, 8],
  ["maxOutputTokens", 1, 1_000_000],
  ["presencePenalty", -2, 2],
  ["frequencyPenalty", -2, 2],
  ["logprobs", 0, 20]
]

/** Nothing but `$` keywords may stand beside a reference. */
const badReference = (schema: unknown): boolean => {
  if (typeof schema !== "object" || schema === null) return false
  if (!Array.isArray(schema) && "$ref" in schema && Object.keys(schema).some((key) => !key.startsWith("$"))) {
    return true
  }
  return Object.values(schema).some(badReference)
}

const badConfig = (body: Body, model: string): Reply | undefined => {
  const config = record(body["generationConfig"])
  const [unknown] = unknownFields(config, configFields)
  if (unknown !== undefined) return unknownField(unknown, "generation_config")
  const range = outOfRange(config, ranges)
  if (range !== undefined) {
    const [field, min, max] = range
    return invalid(
      `Unable to submit request because it has a ${field} value of ${config[field]} but the supported range is from ${min} (inclusive) to ${max} (inclusive).`
    )
  }
  if (list(config["stopSequences"]).length > 5) {
    return invalid("The number of stop sequences must not be more than 5.")
  }
  if (config["logprobs"] !== undefined && config["responseLogprobs"] !== true) {
    return invalid("logprobs is set but response_logprobs is not.")
  }
  const isJson = config["responseMimeType"] === "application/json"
  const schema = config["responseJsonSchema"] ?? config["responseSchema"]
  if (config["responseJsonSchema"] !== undefined && config["responseSchema"] !== undefined) {
    return invalid("Only one of response_schema and response_json_schema can be set.")
  }
  if (schema !== undefined && !isJson) {
    return invalid("Response schema is only supported with response_mime_type: application/json.")
  }
  if (badReference(schema))
    return invalid("$ref cannot be combined with other fields in response_json_schema.")
  if (isJson && isGemma(model)) return invalid(`JSON mode is not enabled for models/${model}`)
  if (isJson && generationOf(model) < 2.5 && list(body["tools"]).length > 0) {
    return invalid("Function calling with a response mime type: 'application/json' is unsupported")
  }
  return badThinking(config, model)
}

const badTools = (body: Body): Reply | undefined => {
  const names: Array<string> = []
  for (const [i, item] of list(body["tools"]).entries()) {
    const tool = record(item)
    const [unknown] = unknownFields(tool, toolFields)
    if (unknown !== undefined) return unknownField(unknown, `tools[${i}]`)
    for (const [at, declared] of list(tool["functionDeclarations"]).entries()) {
      const place = `tools[${i}].function_declarations[${at}]`
      const [odd] = unknownFields(record(declared), declarationFields)
      if (odd !== undefined) return unknownField(odd, place)
      const { name, parameters, parametersJsonSchema } = record(declared)
      if (typeof name !== "string" || !/^[A-Za-z_][\w.:-]{0,127}$/.test(name)) {
        return invalid(`* GenerateContentRequest.${place}.name: Invalid function name.\n`)
      }
      if (parameters !== undefined && parametersJsonSchema !== undefined) {
        return invalid("Only one of parameters and parameters_json_schema can be set.")
      }
      names.push(name)
    }
  }
  const { allowedFunctionNames, mode } = record(record(body["toolConfig"])["functionCallingConfig"])
  if (
    mode !== undefined &&
    !["AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"].includes(String(mode))
  ) {
    return invalid(`Invalid value at 'tool_config.function_calling_config.mode', "${mode}"`)
  }
  if ((mode === "ANY" || mode === "VALIDATED") && names.length === 0) {
    return invalid("Function calling config is set without function_declarations.")
  }
  if (allowedFunctionNames !== undefined && mode !== "ANY" && mode !== "VALIDATED") {
    return invalid("Allowed function names should be set only when function calling mode is ANY.")
  }
  const stranger = list(allowedFunctionNames).find((name) => !names.includes(String(name)))
  return stranger === undefined
    ? undefined
    : invalid(`Allowed function name ${stranger} is not among the function declarations.`)
}

/** Why a chat is refused, if it is. */
export const refused = (
  body: Body,
  model: string,
  server: Server,
  options: WireOptions
): Reply | undefined => {
  const [unknown] = options.strict ? unknownFields(body, topLevel[server]) : []
  if (unknown !== undefined) return unknownField(unknown, "")
  if (body["systemInstruction"] !== undefined && isGemma(model)) {
    return invalid(`Developer instruction is not enabled for models/${model}`)
  }
  return badContents(body, model, server) ?? badConfig(body, model) ?? badTools(body)
}

/** The refusal of a prompt that does not fit the window. */
export const tooLong = (options: WireOptions, inputTokens: number): Reply | undefined => {
  const most = number(options.contextWindow)
  return most === undefined || inputTokens <= most
    ? undefined
    : invalid(
        `The input token count (${inputTokens}) exceeds the maximum number of tokens allowed (${most}).`
      )
}
