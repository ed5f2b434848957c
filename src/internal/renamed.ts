/** The parameters of a chat that a wire has too, by names of its own. */
import type { Chat, ChatFields } from "../Request.js"

/** Our name and the wire's, of each parameter. */
export type Renamed = ReadonlyArray<readonly [field: keyof ChatFields, name: string]>

export const make = (names: Readonly<Partial<Record<keyof ChatFields, string>>>): Renamed =>
  // the keys are those of a chat
  Object.entries(names) as unknown as Renamed

/** Writes those that the chat sets. */
export const write = (body: Record<string, unknown>, chat: Chat, renamed: Renamed): void => {
  for (const [field, name] of renamed) {
    if (chat[field] !== undefined) body[name] = chat[field]
  }
}
