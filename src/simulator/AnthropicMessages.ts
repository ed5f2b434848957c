/**
 * `POST /v1/messages`: what is asked. What is answered is in `AnthropicAnswer`, what a model refuses in
 * `AnthropicRules`.
 */
import * as AnthropicAnswer from "./AnthropicAnswer.js"
import { badBlock } from "./AnthropicBlocks.js"
import { type Body, error, extraKeys, firstOf, invalid, list, record } from "./AnthropicError.js"
import * as AnthropicRules from "./AnthropicRules.js"
import * as AnthropicStrictSchema from "./AnthropicStrictSchema.js"
import { tokensOf } from "./Text.js"
import type { Call, Reply, WireOptions } from "./Wire.js"

const parameters = [
  "cache_control",
  "container",
  "context_management",
  "inference_geo",
  "max_tokens",
  "mcp_servers",
  "messages",
  "metadata",
  "model",
  "output_config",
  "service_tier",
  "stop_sequences",
  "stream",
  "system",
  "temperature",
  "thinking",
  "tool_choice",
  "tools",
  "top_k",
  "top_p"
]

const idsOf = (content: unknown, type: string, key: string): ReadonlyArray<unknown> =>
  list(content)
    .map(record)
    .filter((block) => block["type"] === type)
    .map((block) => block[key])

/** The content of neighbours of one role, which count as one turn. */
const turnsOf = (messages: ReadonlyArray<unknown>) => {
  const turns: Array<{ readonly role: unknown; content: ReadonlyArray<unknown> }> = []
  for (const item of messages) {
    const { content, role } = record(item)
    const blocks = typeof content === "string" ? [{ type: "text", text: content }] : list(content)
    const last = turns.at(-1)
    if (last?.role === role && last !== undefined) last.content = [...last.content, ...blocks]
    else turns.push({ role, content: blocks })
  }
  return turns
}

const badPairs = (messages: ReadonlyArray<unknown>): Reply | undefined => {
  const turns = turnsOf(messages)
  for (const [i, turn] of turns.entries()) {
    const results = idsOf(turn.content, "tool_result", "tool_use_id")
    const asked = idsOf(turns[i - 1]?.content, "tool_use", "id")
    const open = idsOf(turn.content, "tool_use", "id")
    if (results.some((id) => !asked.includes(id))) {
      return invalid(`messages.${i}.content.0: unexpected \`tool_use_id\` found in \`tool_result\` blocks`)
    }
    const answered = idsOf(turns[i + 1]?.content, "tool_result", "tool_use_id")
    const missing = open.filter((id) => !answered.includes(id))
    if (missing.length > 0) {
      return invalid(
        `messages.${i}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(", ")}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`
      )
    }
    const isFirst = (block: unknown) => record(block)["type"] === "tool_result"
    if (results.length > 0 && !turn.content.slice(0, results.length).every(isFirst)) {
      return invalid(`messages.${i}: \`tool_result\` blocks must come first in the content of a message`)
    }
  }
  return undefined
}

const badMessages = (body: Body, options: WireOptions): Reply | undefined => {
  const { messages } = body
  if (messages === undefined) return invalid("messages: Field required")
  if (!Array.isArray(messages)) return invalid("messages: Input should be a valid list")
  if (messages.length === 0) return invalid("messages: at least one message is required")
  for (const [i, item] of messages.entries()) {
    const message = record(item)
    const { content, role } = message
    if (role !== "user" && role !== "assistant") {
      return invalid(`messages.${i}.role: Input should be 'user' or 'assistant'`)
    }
    if (typeof content !== "string" && !Array.isArray(content)) {
      return invalid(`messages.${i}.content: Input should be a valid list`)
    }
    if (content.length === 0) {
      return invalid(
        content === ""
          ? "messages: text content blocks must be non-empty"
          : `messages.${i}: all messages must have non-empty content except for the optional final assistant message`
      )
    }
    const extra = options.strict ? extraKeys(message, ["role", "content"], `messages.${i}.`) : undefined
    if (extra !== undefined) return extra
    for (const [j, block] of (typeof content === "string" ? [] : content).entries()) {
      const bad = badBlock(block, role, `messages.${i}.content.${j}`, options.strict)
      if (bad !== undefined) return bad
    }
  }
  return record(messages[0])["role"] === "assistant"
    ? invalid('messages: first message must use the "user" role')
    : badPairs(messages)
}

const marksIn = (value: unknown): ReadonlyArray<Body> =>
  list(value).flatMap((item) => {
    const block = record(item)
    const mark = block["cache_control"]
    return [...marksIn(block["content"]), ...(mark === undefined || mark === null ? [] : [record(mark)])]
  })

const allMarks = (body: Body): ReadonlyArray<Body> => [
  ...marksIn(body["tools"]),
  ...marksIn(body["system"]),
  ...marksIn(body["messages"]),
  ...(body["cache_control"] === undefined ? [] : [record(body["cache_control"])])
]

const badMarks = (body: Body): Reply | undefined => {
  const marks = allMarks(body)
  if (marks.length > 4) {
    return invalid(`A maximum of 4 blocks with cache_control may be provided. Found ${marks.length}.`)
  }
  const bad = marks.find(
    ({ ttl, type }) => type !== "ephemeral" || (ttl !== undefined && ttl !== "5m" && ttl !== "1h")
  )
  return bad === undefined
    ? undefined
    : invalid("cache_control: Input should be 'ephemeral' with ttl '5m' or '1h'")
}

const badTools = (body: Body, options: WireOptions): Reply | undefined => {
  const tools = list(body["tools"])
  for (const [i, item] of tools.entries()) {
    const tool = record(item)
    if (typeof tool["type"] === "string" && tool["type"] !== "custom") continue
    if (!/^[\w-]{1,128}$/.test(String(tool["name"] ?? ""))) {
      return invalid(`tools.${i}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`)
    }
    const schema = record(tool["input_schema"])
    if (schema["type"] !== "object") return invalid(`tools.${i}.custom.input_schema.type: Field required`)
    const problem = tool["strict"] === true ? AnthropicStrictSchema.problem(schema) : undefined
    if (problem !== undefined) return invalid(`tools.${i}.custom: ${problem}`)
    const known = ["type", "name", "description", "input_schema", "strict", "cache_control", "input_examples"]
    const extra = options.strict
      ? extraKeys(
          tool,
          [...known, "allowed_callers", "defer_loading", "eager_input_streaming"],
          `tools.${i}.custom.`
        )
      : undefined
    if (extra !== undefined) return extra
  }
  const choice = body["tool_choice"]
  if (choice === undefined) return undefined
  const { name, type } = record(choice)
  if (!["auto", "any", "tool", "none"].includes(String(type))) {
    return invalid(
      "tool_choice: Input tag does not match any of the expected tags: 'any', 'auto', 'none', 'tool'"
    )
  }
  if (tools.length === 0) return invalid("tool_choice may only be specified while providing tools")
  return type === "tool" && !tools.some((tool) => record(tool)["name"] === name)
    ? invalid(`Tool '${String(name)}' not found in provided tools`)
    : extraKeys(
        record(choice),
        type === "none" ? ["type"] : ["type", "name", "disable_parallel_tool_use"],
        "tool_choice."
      )
}

const badRest = (body: Body, options: WireOptions): Reply | undefined => {
  const { max_tokens: maxTokens, metadata, output_config: config, service_tier: tier, system } = body
  if (maxTokens === undefined) return invalid("max_tokens: Field required")
  if (typeof maxTokens !== "number" || !Number.isInteger(maxTokens) || maxTokens < 0) {
    return invalid("max_tokens: Input should be greater than or equal to 0")
  }
  if (tier !== undefined && tier !== "auto" && tier !== "standard_only") {
    return invalid("service_tier: Input should be 'auto' or 'standard_only'")
  }
  if (system !== undefined && typeof system !== "string") {
    for (const [i, block] of list(system).entries()) {
      if (record(block)["type"] !== "text") return invalid(`system.${i}.type: Input should be 'text'`)
      if (record(block)["text"] === "") return invalid("system: text content blocks must be non-empty")
    }
  }
  const empty = list(body["stop_sequences"]).find((text) => String(text).trim() === "")
  if (empty !== undefined) return invalid("stop_sequences: each stop sequence must contain non-whitespace")
  const { format } = record(config)
  if (format !== undefined && format !== null) {
    const { schema, type } = record(format)
    if (type !== "json_schema") return invalid("output_config.format.type: Input should be 'json_schema'")
    const problem = AnthropicStrictSchema.problem(schema)
    if (problem !== undefined) return invalid(`output_config.format.schema: ${problem}`)
    const extra = extraKeys(record(format), ["type", "schema"], "output_config.format.")
    if (extra !== undefined) return extra
  }
  return options.strict
    ? (extraKeys(record(metadata), ["user_id"], "metadata.") ??
        extraKeys(record(config), ["effort", "format"], "output_config."))
    : undefined
}

const known = (body: Body, options: WireOptions): Reply | undefined => {
  const { model } = body
  if (typeof model !== "string" || model === "") return invalid("model: Field required")
  const extra = options.strict ? extraKeys(body, parameters) : undefined
  if (extra !== undefined) return extra
  return options.models !== undefined && !options.models.includes(model)
    ? error(404, `model: ${model}`)
    : undefined
}

// what a block that is not text stands for, and what stands around a message
const mediaTokens = 85
const messageTokens = 3

const textOf = (value: unknown): string => {
  if (typeof value === "string") return value
  return list(value)
    .map((item) => {
      const { content, text } = record(item)
      return typeof text === "string" ? text : content === undefined ? "" : textOf(content)
    })
    .join("")
}

/** Tokens of some blocks: text by its length, calls by their JSON, anything else as an image. */
const tokensIn = (content: unknown): number => {
  if (typeof content === "string") return tokensOf(content.length)
  let tokens = 0
  for (const item of list(content)) {
    const block = record(item)
    if (typeof block["text"] === "string") tokens += tokensOf(block["text"].length)
    else if (block["type"] === "tool_result") tokens += tokensIn(block["content"])
    else if (block["type"] === "tool_use") tokens += tokensOf(JSON.stringify(block["input"] ?? {}).length)
    else if (!String(block["type"]).endsWith("thinking")) tokens += mediaTokens
  }
  return tokens
}

const inputTokens = (body: Body): number => {
  let tokens = messageTokens + tokensIn(body["system"])
  for (const item of list(body["messages"])) tokens += messageTokens + tokensIn(record(item)["content"])
  for (const field of ["tools", "output_config"]) {
    if (body[field] !== undefined) tokens += tokensOf(JSON.stringify(body[field]).length)
  }
  return tokens
}

const tooLong = (body: Body, model: string, input: number, window: number | undefined): Reply | undefined => {
  if (window === undefined) return undefined
  if (input > window) return invalid(`prompt is too long: ${input} tokens > ${window} maximum`)
  const maxTokens = Number(body["max_tokens"])
  return AnthropicRules.refusesLongAnswers(model) && input + maxTokens > window
    ? invalid(
        `input length and \`max_tokens\` exceed context limit: ${input} + ${maxTokens} > ${window}, decrease input length or \`max_tokens\` and try again`
      )
    : undefined
}

/** The calls that the request insists on. */
const forcedTools = (body: Body): ReadonlyArray<AnthropicAnswer.ForcedTool> => {
  const tools = list(body["tools"])
    .map(record)
    .map(({ input_schema: schema, name }) => ({ name: String(name), schema }))
  const { disable_parallel_tool_use: single, name, type } = record(body["tool_choice"])
  if (type === "tool") return tools.filter((tool) => tool.name === name).slice(0, 1)
  // told to use any, this model uses all that it may
  return type === "any" ? tools.slice(0, single === true ? 1 : tools.length) : []
}

/** Reads a request, or refuses it as Anthropic does. */
export const read = (body: Body, options: WireOptions): Call | Reply => {
  const model = String(body["model"] ?? "")
  const input = inputTokens(body)
  const reply = firstOf(
    () => known(body, options),
    () => badRest(body, options),
    () => badMessages(body, options),
    () => badTools(body, options),
    () => badMarks(body),
    () => AnthropicRules.refused(body, model),
    () => tooLong(body, model, input, options.contextWindow)
  )
  if (reply !== undefined) return reply

  const messages = list(body["messages"]).map(record)
  const asked = messages.findLast((message) => message["role"] === "user")
  const { format } = record(body["output_config"])
  const marks = allMarks(body)
  const question: AnthropicAnswer.Question = {
    model,
    asked: textOf(asked?.["content"]),
    inputTokens: input,
    maxTokens: Number(body["max_tokens"]),
    window: options.contextWindow === undefined ? undefined : options.contextWindow - input,
    stop: list(body["stop_sequences"]).map(String),
    json: format === undefined || format === null ? undefined : (record(format)["schema"] ?? {}),
    tools: forcedTools(body),
    thinking: AnthropicRules.thinkingOf(body, model),
    cache: marks.length === 0 ? undefined : marks.some(({ ttl }) => ttl === "1h") ? "1h" : "5m",
    stream: body["stream"] === true
  }
  return {
    _tag: "Call",
    model,
    prompt: [textOf(body["system"]), ...messages.map(({ content }) => textOf(content))].join("\n"),
    inputTokens: input,
    // Anthropic charges what an answer has, and not what it might have had
    maxOutputTokens: undefined,
    answer: (context) => AnthropicAnswer.make(question, context)
  }
}
