/** A JSON object of unknown fields, as files and servers give them. */
export type JsonObject = Readonly<Record<string, unknown>>

/** Whether a value is an object in the sense of JSON: neither `null` nor a list. */
export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)
