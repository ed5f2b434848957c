/**
 * Whether stored JSON is one plain answer to a chat, as nearly all are: text, and nothing that has parts of its own.
 * The schemas read the rest, at ten times the cost.
 */
import type { Meta } from "../Response.js"
import { isJsonObject, type JsonObject } from "./jsonObject.js"

type Types = ReadonlyMap<string, "string" | "number" | "boolean">

const metaTypes: Types = new Map([
  ["endpoint", "string"],
  ["attempts", "number"],
  ["cached", "boolean"],
  ["latencyMs", "number"],
  ["requestId", "string"],
  ["key", "string"],
  ["cost", "number"],
  ["resumed", "boolean"]
])

const usageTypes: Types = new Map([
  ["inputTokens", "number"],
  ["outputTokens", "number"],
  ["cacheReadTokens", "number"],
  ["cacheWriteTokens", "number"],
  ["reasoningTokens", "number"],
  ["audioInputTokens", "number"],
  ["audioOutputTokens", "number"],
  ["estimated", "boolean"]
])

const answerTypes: Types = new Map([
  ["id", "string"],
  ["text", "string"],
  ["finishReason", "string"],
  ["rawFinishReason", "string"],
  ["reasoning", "string"],
  ["refusal", "string"],
  ["model", "string"],
  ["provider", "string"],
  ["serviceTier", "string"]
])

const finishReasons: ReadonlySet<unknown> = new Set(["stop", "length", "tool_calls", "content_filter"])

/** Whether all fields are known and of their type: what a schema would drop is no part of a plain value. */
const fits = (value: JsonObject, types: Types): boolean => {
  for (const name in value) if (typeof value[name] !== types.get(name)) return false
  return true
}

const isUsage = (value: unknown): boolean =>
  isJsonObject(value) &&
  value.inputTokens !== undefined &&
  value.outputTokens !== undefined &&
  fits(value, usageTypes)

export const isMeta = (value: unknown): value is Meta =>
  isJsonObject(value) &&
  value.attempts !== undefined &&
  value.cached !== undefined &&
  value.latencyMs !== undefined &&
  fits(value, metaTypes)

/** The fields of an answer, but for those named in `beside`, which the caller looks at. */
export const isAnswer = (value: unknown, beside: ReadonlySet<string>): boolean => {
  if (!isJsonObject(value) || !finishReasons.has(value.finishReason)) return false
  if (value.text === undefined || value.model === undefined || value.provider === undefined) return false
  if (!Array.isArray(value.toolCalls) || value.toolCalls.length > 0 || !isUsage(value.usage)) return false
  for (const name in value) {
    if (name === "toolCalls" || name === "usage" || beside.has(name)) continue
    if (typeof value[name] !== answerTypes.get(name)) return false
  }
  return true
}
