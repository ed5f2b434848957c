/**
 * The marks of OpenAI's prompt cache. What is kept lasts as long as OpenAI says, whatever the mark asks for; of many
 * marks the server counts the last ones.
 */
import type { Part } from "../Message.js"
import { isJsonObject } from "./jsonObject.js"

/** A part on the wire, with the mark of the part that it stands for. */
export const add = (wire: unknown, part: Part): unknown =>
  "promptCache" in part && part.promptCache !== undefined && isJsonObject(wire)
    ? { ...wire, prompt_cache_breakpoint: { mode: "explicit" } }
    : wire
