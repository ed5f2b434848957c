/** What a request asks for that a provider does not have: an error that names it, or left out if the request says so. */
import * as Either from "effect/Either"
import { UnsupportedError } from "../LlmError.js"
import type { Content, Message, Part } from "../Message.js"
import { type Chat, type Request, withFields } from "../Request.js"

const partPrefix = "messages."

const speakerName = "messages.name"

/** Whether speakers are named. The name of a tool is no speaker's: it stands in its call. */
const hasNames = ({ messages }: Chat): boolean =>
  messages.some(({ name, role }) => name !== undefined && role !== "tool")

/** What a conversation has besides roles and text, as features: `"messages.image"`, `"messages.name"`. */
export const partsOf = (request: Request): ReadonlySet<string> => {
  const found = new Set<string>()
  if (request._tag !== "Chat") return found
  if (hasNames(request)) found.add(speakerName)
  for (const { content } of request.messages) {
    if (content == null || typeof content === "string") continue
    for (const part of content) found.add(partPrefix + part.type)
  }
  return found
}

/** Those of these fields that the request sets. */
export const setFields = <R extends Request>(
  request: R,
  fields: ReadonlyArray<keyof R & string>
): ReadonlyArray<string> => fields.filter((field) => request[field] !== undefined)

const contentWithout = (content: Content, kinds: ReadonlySet<string>): Content =>
  typeof content === "string" ? content : content.filter((part: Part) => !kinds.has(partPrefix + part.type))

const anonymous = (message: Message): Message => {
  if (message.role === "tool" || message.name === undefined) return message
  const { name: _, ...rest } = message
  return rest
}

const messageWithout = (given: Message, kinds: ReadonlySet<string>): Message => {
  const message = kinds.has(speakerName) ? anonymous(given) : given
  return message.content == null ? message : { ...message, content: contentWithout(message.content, kinds) }
}

/** The warning of a feature that was dropped. */
export const leftOut = (provider: string, feature: string): string =>
  `${provider} has no counterpart for ${feature}: it was left out`

/** The request without these features, if it lets them be dropped. */
export const drop = (
  provider: string,
  request: Request,
  features: ReadonlyArray<string>
): Either.Either<Request, UnsupportedError> => {
  const [first = ""] = features
  if (request.unsupported !== "drop") {
    return Either.left(
      new UnsupportedError({
        provider,
        feature: first,
        message:
          `${provider} has no counterpart for ${features.join(", ")}; nothing was sent. ` +
          `With unsupported: "drop" it is left out with a warning`
      })
    )
  }
  const kinds = new Set(features.filter((feature) => feature.startsWith(partPrefix)))
  const fields = Object.fromEntries(
    features.filter((feature) => !kinds.has(feature)).map((feature) => [feature, undefined])
  )
  // the names are the request's own fields
  const kept = withFields<Request>(request, fields as Partial<Request>)
  return Either.right(
    kept._tag === "Chat" && kinds.size > 0
      ? withFields(kept, { messages: kept.messages.map((message) => messageWithout(message, kinds)) })
      : kept
  )
}
