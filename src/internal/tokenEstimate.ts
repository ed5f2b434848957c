/** Tokens of a request before it is sent, and of an answer that states none. */
import type { Content } from "../Message.js"
import type { Request } from "../Request.js"

const contentCharacters = (content: Content | null | undefined): number => {
  if (content == null) return 0
  if (typeof content === "string") return content.length
  let characters = 0
  for (const part of content) if (part.type === "text") characters += part.text.length
  return characters
}

/** Characters of text in the prompt. */
export const promptCharacters = (request: Request): number => {
  let characters = 0
  for (const message of request.messages) characters += contentCharacters(message.content)
  return characters
}

/** Characters a token: the usual rule of thumb for English text. */
const charactersPerToken = 4

/** Tokens that this much text has, about. */
export const tokensOf = (characters: number): number => Math.ceil(characters / charactersPerToken)
