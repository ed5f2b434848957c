/** What `POST /v1/responses` refuses, and in which words. */
import { type Body, list, record, textOf } from "./BodyChecks.js"
import { error, firstOf, missing, outOfBounds, refused as refusedModel, wrongType } from "./OpenAiError.js"
import { isReasoning } from "./OpenAiFlavour.js"
import * as OpenAiStrictSchema from "./OpenAiStrictSchema.js"
import type { Reply, WireOptions } from "./Wire.js"

const parameters = new Set([
  "background",
  "context_management",
  "conversation",
  "include",
  "input",
  "instructions",
  "max_output_tokens",
  "max_tool_calls",
  "metadata",
  "model",
  "parallel_tool_calls",
  "previous_response_id",
  "prompt",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "reasoning",
  "safety_identifier",
  "service_tier",
  "store",
  "stream",
  "stream_options",
  "temperature",
  "text",
  "tool_choice",
  "tools",
  "top_logprobs",
  "top_p",
  "truncation",
  "user"
])

/** Parameters of chat completions, and what they are called here. */
const moved: Readonly<Record<string, string>> = {
  max_tokens: "max_output_tokens",
  max_completion_tokens: "max_output_tokens",
  messages: "input",
  reasoning_effort: "reasoning.effort",
  response_format: "text.format",
  verbosity: "text.verbosity"
}

const unknown = (param: string): Reply =>
  error(400, { message: `Unknown parameter: '${param}'.`, param, code: "unknown_parameter" })

const unsupported = (param: string, more = " is not supported with this model."): Reply =>
  error(400, { message: `Unsupported parameter: '${param}'${more}`, param, code: "unsupported_parameter" })

const badNames = (body: Body, { strict }: WireOptions): Reply | undefined => {
  for (const name of Object.keys(body)) {
    const to = moved[name]
    if (to !== undefined) {
      return unsupported(name, `. In the Responses API, this parameter has moved to '${to}'.`)
    }
    if (strict && !parameters.has(name)) return unknown(name)
  }
  for (const [object, known] of [
    ["text", ["format", "verbosity"]],
    ["reasoning", ["effort", "summary", "generate_summary", "context"]]
  ] as const) {
    const name = Object.keys(record(body[object])).find((key) => !known.some((other) => other === key))
    if (strict && name !== undefined) return unknown(`${object}.${name}`)
  }
  return undefined
}

// --- the input -------------------------------------------------------------------------------------------------

const invalidValue = (value: unknown, supported: ReadonlyArray<string>, param: string): Reply =>
  error(400, {
    message: `Invalid value: '${String(value)}'. Supported values are: ${supported.map((name) => `'${name}'`).join(", ")}.`,
    param,
    code: "invalid_value"
  })

const inputParts = ["input_text", "input_image", "input_file"]
const outputParts = ["output_text", "refusal"]

const badPart = (part: Body, role: unknown, param: string): Reply | undefined => {
  const { file_data: data, file_id: id, file_url: url, image_url: image, type } = part
  const supported = role === "assistant" ? outputParts : inputParts
  if (!supported.includes(String(type))) return invalidValue(type, supported, param)
  if (type === "input_image" && image !== undefined && typeof image !== "string") {
    return wrongType(`${param}.image_url`, "an image URL", image)
  }
  if (type === "input_file" && data === undefined && id === undefined && url === undefined) {
    return missing(`${param}.file_id`)
  }
  return (type === "input_text" || type === "output_text") && typeof part["text"] !== "string"
    ? missing(`${param}.text`)
    : undefined
}

const roles = ["assistant", "system", "developer", "user"]

const badMessage = ({ content, role }: Body, param: string): Reply | undefined => {
  if (!roles.includes(String(role))) return invalidValue(role, roles, `${param}.role`)
  if (typeof content === "string") return undefined
  if (!Array.isArray(content)) return missing(`${param}.content`)
  for (const [i, part] of content.entries()) {
    const bad = badPart(record(part), role, `${param}.content[${i}]`)
    if (bad !== undefined) return bad
  }
  return undefined
}

/** Nothing is kept here: the id of an item tells whether it would have been. */
export const unstoredMark = "rs_gone"

/** What the encrypted form of a thought begins with. */
export const encryptedMark = "gAAAA"

const badReasoning = ({ encrypted_content: secret, id, summary }: Body, param: string): Reply | undefined => {
  if (!Array.isArray(summary)) return missing(`${param}.summary`)
  if (secret != null && !String(secret).startsWith(encryptedMark)) {
    return error(400, {
      message: `The encrypted content ${String(secret).slice(0, 8)}... could not be verified. Reason: Encrypted content could not be decrypted or parsed.`,
      param: "input",
      code: "invalid_encrypted_content"
    })
  }
  if (id === undefined) return secret == null ? missing(`${param}.id`) : undefined
  return String(id).startsWith(unstoredMark)
    ? error(404, {
        message: `Item with id '${String(id)}' not found. Items are not persisted when \`store\` is set to false. Try again with \`store\` set to true, or remove this item from your input.`,
        param: "input"
      })
    : undefined
}

const badItem = (item: Body, param: string): Reply | undefined => {
  switch (item["type"]) {
    case undefined:
    case "message":
      return badMessage(item, param)
    case "function_call":
      for (const field of ["call_id", "name", "arguments"]) {
        if (typeof item[field] !== "string") return missing(`${param}.${field}`)
      }
      return undefined
    case "function_call_output":
      if (typeof item["call_id"] !== "string") return missing(`${param}.call_id`)
      return item["output"] === undefined ? missing(`${param}.output`) : undefined
    case "reasoning":
      return badReasoning(item, param)
    default:
      return undefined
  }
}

const idsOf = (items: ReadonlyArray<Body>, type: string): ReadonlyArray<unknown> =>
  items.filter((item) => item["type"] === type).map((item) => item["call_id"])

const badPairs = (body: Body, items: ReadonlyArray<Body>): Reply | undefined => {
  const calls = idsOf(items, "function_call")
  const outputs = idsOf(items, "function_call_output")
  const isWhole = body["previous_response_id"] == null && body["conversation"] == null
  const lost = isWhole ? outputs.find((id) => !calls.includes(id)) : undefined
  if (lost !== undefined) {
    const message = `No tool call found for function call output with call_id ${String(lost)}.`
    return error(400, { message, param: "input" })
  }
  const open = calls.find((id) => !outputs.includes(id))
  if (open !== undefined) {
    const message = `No tool output found for function call ${String(open)}.`
    return error(400, { message, param: "input" })
  }
  return undefined
}

const badInput = (body: Body, items: ReadonlyArray<Body>): Reply | undefined => {
  const { input } = body
  if (input === undefined && body["prompt"] === undefined && body["previous_response_id"] === undefined) {
    return error(400, {
      message:
        "Missing required parameter: one of 'input' or 'previous_response_id' or 'prompt' or 'conversation' must be provided.",
      code: "missing_required_parameter"
    })
  }
  if (input !== undefined && typeof input !== "string" && !Array.isArray(input)) {
    return wrongType("input", "one of a string or array of input items", input)
  }
  for (const [i, item] of items.entries()) {
    const bad = badItem(item, `input[${i}]`)
    if (bad !== undefined) return bad
  }
  return badPairs(body, items)
}

// --- parameters ------------------------------------------------------------------------------------------------

const badNumbers = (body: Body): Reply | undefined =>
  firstOf(
    () => outOfBounds(body, "temperature", { min: 0, max: 2 }),
    () => outOfBounds(body, "top_p", { min: 0, max: 1 }),
    () => outOfBounds(body, "max_output_tokens", { min: 16, integer: true }),
    () => outOfBounds(body, "max_tool_calls", { min: 1, integer: true }),
    () => outOfBounds(body, "top_logprobs", { min: 0, max: 20, integer: true })
  )

const alwaysThinks = (model: string): boolean => /^(o\d|gpt-5(-|$)|gpt-6-astra|gpt-6\.[12])/.test(model)

const badForModel = (body: Body): Reply | undefined => {
  const model = String(body["model"])
  const { effort } = record(body["reasoning"])
  const include = list(body["include"])
  if (!isReasoning(model)) {
    if (effort != null) return unsupported("reasoning.effort")
    return include.includes("reasoning.encrypted_content")
      ? error(400, { message: "Encrypted content is not supported with this model.", param: "include" })
      : undefined
  }
  if (effort === "none") {
    if (!alwaysThinks(model)) return undefined
    const message = `Unsupported value: 'none' is not supported with the '${model}' model. Supported values are: 'minimal', 'low', 'medium', and 'high'.`
    return error(400, { message, param: "reasoning.effort", code: "unsupported_value" })
  }
  for (const param of ["temperature", "top_p"]) {
    if (body[param] != null && body[param] !== 1) return unsupported(param)
  }
  return body["top_logprobs"] != null || include.includes("message.output_text.logprobs")
    ? unsupported("top_logprobs")
    : undefined
}

const badFormat = (body: Body, items: ReadonlyArray<Body>): Reply | undefined => {
  const format = record(record(body["text"])["format"])
  if (format["type"] === "json_object") {
    // the instructions do not count
    if (items.some((item) => /json/i.test(textOf(item["content"])))) return undefined
    const message =
      "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
    return error(400, { message, param: "input" })
  }
  if (format["type"] !== "json_schema") return undefined
  const { name, schema, strict } = format
  if (name === undefined) return missing("text.format.name")
  if (schema === undefined) return missing("text.format.schema")
  const problem = strict === true ? OpenAiStrictSchema.problem(schema) : undefined
  if (problem === undefined) return undefined
  const message = `Invalid schema for response_format '${String(name)}': ${problem}`
  return error(400, { message, param: "text.format.schema", code: "invalid_json_schema" })
}

const badTools = (body: Body): Reply | undefined => {
  const tools = list(body["tools"]).map(record)
  for (const [i, { name, parameters: schema, strict, type }] of tools.entries()) {
    if (type === undefined) return missing(`tools[${i}].type`)
    if (type !== "function") continue
    if (typeof name !== "string") return missing(`tools[${i}].name`)
    const problem = strict === true ? OpenAiStrictSchema.problem(schema) : undefined
    if (problem !== undefined) {
      const message = `Invalid schema for function '${name}': ${problem}`
      return error(400, { message, param: `tools[${i}].parameters`, code: "invalid_function_parameters" })
    }
  }
  const choice = body["tool_choice"]
  if (choice == null || choice === "none" || choice === "auto") return undefined
  const { function: nested, name, type } = record(choice)
  if (nested !== undefined) return unknown("tool_choice.function")
  const isThere = type === "function" ? tools.some((tool) => tool["name"] === name) : tools.length > 0
  return isThere
    ? undefined
    : error(400, { message: "Tool choice 'function' not found in 'tools' parameter.", param: "tool_choice" })
}

/** The refusal of a request, if it is refused. */
export const refused = (
  body: Body,
  items: ReadonlyArray<Body>,
  inputTokens: number,
  options: WireOptions
): Reply | undefined =>
  firstOf(
    () => refusedModel(body, parameters, { ...options, strict: false }),
    () => badNames(body, options),
    () => badInput(body, items),
    () => badNumbers(body),
    () => badForModel(body),
    () => badFormat(body, items),
    () => badTools(body),
    () =>
      options.contextWindow !== undefined && inputTokens > options.contextWindow
        ? error(400, {
            message:
              "Your input exceeds the context window of this model. Please adjust your input and try again.",
            param: "input",
            code: "context_length_exceeded"
          })
        : undefined
  )
