/** What a provider is told in another way than the request says it: the answer comes with a warning. */
import type { Request } from "../Request.js"

const none: ReadonlyArray<string> = []

/** Of protocols whose tool results are text and no more. */
export const ofFailedTools = (provider: string, request: Request): ReadonlyArray<string> =>
  request._tag === "Chat" && request.messages.some((message) => message.role === "tool" && message.isError)
    ? [`${provider} has no mark for a tool that failed: the content of its result has to say so`]
    : none

/** Of protocols whose standing instructions are apart from the conversation. */
export const ofLateInstructions = (provider: string, request: Request): ReadonlyArray<string> => {
  if (request._tag !== "Chat") return none
  const { messages } = request
  const begun = messages.findIndex(({ role }) => role !== "system")
  return begun >= 0 && messages.some(({ role }, index) => index > begun && role === "system")
    ? [
        `${provider} has system messages at the beginning alone: those within the conversation were moved there`
      ]
    : none
}
