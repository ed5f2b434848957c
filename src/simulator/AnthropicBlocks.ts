/**
 * The blocks that a message may have, each with its fields and where it may stand.
 */
import { isSigned } from "./AnthropicAnswer.js"
import { type Body, extraKeys, invalid, list, record } from "./AnthropicError.js"
import type { Reply } from "./Wire.js"

/** The fields of each kind of block that a request may have. */
const blocks: Readonly<Record<string, ReadonlyArray<string>>> = {
  text: ["type", "text", "cache_control", "citations"],
  image: ["type", "source", "cache_control", "transformations"],
  document: ["type", "source", "title", "context", "citations", "cache_control"],
  search_result: ["type", "content", "source", "title", "cache_control", "citations"],
  thinking: ["type", "thinking", "signature"],
  redacted_thinking: ["type", "data"],
  tool_use: ["type", "id", "name", "input", "cache_control", "caller", "toolset_name"],
  tool_result: ["type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"],
  server_tool_use: ["type", "id", "name", "input", "cache_control", "caller"],
  web_search_tool_result: ["type", "tool_use_id", "content", "cache_control", "caller"]
}

const imageTypes = ["image/jpeg", "image/png", "image/gif", "image/webp"]

const badSource = (block: Body, path: string): Reply | undefined => {
  const { data, file_id: file, media_type: media, type, url } = record(block["source"])
  if (type === "url")
    return typeof url === "string" ? undefined : invalid(`${path}.source.url: Field required`)
  if (type === "file") {
    return typeof file === "string" ? undefined : invalid(`${path}.source.file_id: Field required`)
  }
  if (type === "text" && block["type"] === "document") {
    return media === "text/plain"
      ? undefined
      : invalid(`${path}.source.media_type: Input should be 'text/plain'`)
  }
  if (type !== "base64") return invalid(`${path}.source: Input tag does not match any of the expected tags`)
  const allowed = block["type"] === "image" ? imageTypes : ["application/pdf"]
  if (typeof media !== "string" || !allowed.includes(media)) {
    return invalid(`${path}.source.base64.media_type: Input should be ${allowed.join(", ")}`)
  }
  return typeof data === "string" && !data.startsWith("data:")
    ? undefined
    : invalid(`${path}.source.base64.data: invalid base64 data`)
}

/** What is wrong with a block of a message with this role; `path` is where it stands. */
export const badBlock = (item: unknown, role: unknown, path: string, strict: boolean): Reply | undefined => {
  const block = record(item)
  const type = String(block["type"])
  const known = blocks[type]
  if (known === undefined) {
    return strict
      ? invalid(`${path}: Input tag '${type}' found using 'type' does not match any of the expected tags`)
      : undefined
  }
  const belongs =
    type === "tool_use" || type.endsWith("thinking")
      ? "assistant"
      : type === "tool_result"
        ? "user"
        : undefined
  if (belongs !== undefined && role !== belongs) {
    return invalid(`${path}: \`${type}\` blocks can only be in \`${belongs}\` messages`)
  }
  switch (type) {
    case "text":
      if (block["text"] === "") return invalid("messages: text content blocks must be non-empty")
      break
    case "image":
    case "document": {
      const bad = badSource(block, path)
      if (bad !== undefined) return bad
      break
    }
    case "thinking":
      if (!isSigned(block)) return invalid(`${path}: Invalid \`signature\` in \`thinking\` block`)
      break
    case "tool_use":
      if (!/^[\w-]+$/.test(String(block["id"]))) {
        return invalid(`${path}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'`)
      }
      if (record(block["input"]) !== block["input"]) {
        return invalid(`${path}.tool_use.input: Input should be a valid dictionary`)
      }
      break
    case "tool_result":
      for (const [i, part] of list(block["content"]).entries()) {
        const bad = badBlock(part, "tool", `${path}.content.${i}`, strict)
        if (bad !== undefined) return bad
      }
  }
  return strict ? extraKeys(block, known, `${path}.${type}.`) : undefined
}
