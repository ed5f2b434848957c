/** Tokens of a request before it is sent, and of an answer that states none. */
import type { Content, ToolCall } from "../Message.js"
import type { Chat, Request } from "../Request.js"
import type { Usage } from "../Usage.js"

const contentCharacters = (content: Content | null | undefined): number => {
  if (content == null) return 0
  if (typeof content === "string") return content.length
  let characters = 0
  for (const part of content) if (part.type === "text") characters += part.text.length
  return characters
}

/** What a request that is no conversation has the model read. */
export const plainTexts = (request: Exclude<Request, Chat>): ReadonlyArray<string> => {
  switch (request._tag) {
    case "Completion":
      return [request.prompt, request.suffix ?? ""]
    case "Embedding":
      return request.input
    case "Rerank":
      return [request.query, ...request.documents]
  }
}

/** Characters of text in the prompt. */
export const promptCharacters = (request: Request): number => {
  let characters = 0
  if (request._tag !== "Chat") {
    for (const text of plainTexts(request)) characters += text.length
    return characters
  }
  for (const message of request.messages) {
    characters += contentCharacters(message.content)
    if (message.role === "assistant") characters += callCharacters(message.toolCalls)
  }
  return characters
}

const callCharacters = (calls: ReadonlyArray<ToolCall> = []): number =>
  calls.reduce((sum, call) => sum + call.name.length + call.arguments.length, 0)

/** What of an answer was put out, as far as it can be seen. */
export interface Said {
  readonly text: string
  readonly reasoning?: string | undefined
  readonly refusal?: string | undefined
  readonly toolCalls: ReadonlyArray<ToolCall>
}

const answerCharacters = ({ reasoning = "", refusal = "", text, toolCalls }: Said): number =>
  text.length + reasoning.length + refusal.length + callCharacters(toolCalls)

/** Characters a token: the usual rule of thumb for English text. */
const charactersPerToken = 4

/** Tokens that this much text has, about. */
export const tokensOf = (characters: number): number => Math.ceil(characters / charactersPerToken)

/** The usage of an answer that states none, from the characters of the prompt, where it is known, and of the answer. */
export const estimatedUsage = (request: Request | undefined, said?: Said): Usage => ({
  inputTokens: request === undefined ? 0 : tokensOf(promptCharacters(request)),
  outputTokens: said === undefined ? 0 : tokensOf(answerCharacters(said)),
  estimated: true
})
