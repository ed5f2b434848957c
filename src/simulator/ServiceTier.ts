/** The service tier that answers name: the one that was asked for, where the choice was not left to the provider. */

/** OpenAI's: `fast` is another name of `priority`. */
export const ofOpenAi = (asked: unknown): string =>
  typeof asked !== "string" || asked === "auto" ? "default" : asked === "fast" ? "priority" : asked

/** Gemini's. */
export const ofGemini = (asked: unknown): string =>
  typeof asked === "string" && asked !== "unspecified" ? asked : "standard"
