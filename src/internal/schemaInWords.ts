/** A JSON Schema in the conversation, for models that are not held to it. */
import type { JsonObject } from "./jsonObject.js"

/** What the model is told. */
export const instruction = (schema: JsonObject): string =>
  `Answer with JSON that fits this JSON Schema, and nothing else:\n${JSON.stringify(schema)}`
