/** A conversation as it grows: what was said, what goes with the next question, and the way back. */
import * as Either from "effect/Either"
import { isJsonObject } from "../internal/jsonObject.js"
import { decode } from "../internal/openAiRequest.js"
import type { InvalidRequestError } from "../LlmError.js"
import * as Message from "../Message.js"
import { type Chat, type ChatFields, chatFromFields } from "../Request.js"

/** Nothing of it is ever changed: each step gives another. */
export interface Conversation {
  /** Absent: the endpoint's own. */
  readonly model: string | undefined
  readonly system: string | undefined
  /** All turns, without the standing instructions. */
  readonly messages: ReadonlyArray<Message.Message>
  /** What goes with the next question. */
  readonly attached: ReadonlyArray<Message.ImagePart>
  /** The last question, where it got no answer: it is no part of the conversation, and can be asked again. */
  readonly unanswered: Message.UserMessage | undefined
}

export const empty: Conversation = {
  model: undefined,
  system: undefined,
  messages: [],
  attached: [],
  unanswered: undefined
}

/** The question of this text, with what is attached. */
export const question = ({ attached }: Conversation, text: string): Message.UserMessage =>
  Message.user(attached.length === 0 ? text : [Message.text(text), ...attached])

/** The request that asks this question. */
export const request = (
  { messages, model, system }: Conversation,
  asked: Message.UserMessage,
  parameters: Omit<ChatFields, "messages"> = {}
): Either.Either<Chat, InvalidRequestError> =>
  chatFromFields({
    ...parameters,
    ...(model === undefined ? undefined : { model }),
    messages: [...(system === undefined ? [] : [Message.system(system)]), ...messages, asked]
  })

/** The conversation with a question and its answer. */
export const answered = (
  conversation: Conversation,
  asked: Message.UserMessage,
  answer: Message.AssistantMessage
): Conversation => ({
  ...conversation,
  messages: [...conversation.messages, asked, answer],
  attached: [],
  unanswered: undefined
})

/** The conversation after a question that got no answer. */
export const failed = (conversation: Conversation, asked: Message.UserMessage): Conversation => ({
  ...conversation,
  attached: [],
  unanswered: asked
})

const isQuestion = (message: Message.Message): message is Message.UserMessage => message.role === "user"

/** The last question and the conversation before it; none where nothing was asked. */
export const back = (
  conversation: Conversation
): { readonly asked: Message.UserMessage; readonly before: Conversation } | undefined => {
  const { messages, unanswered } = conversation
  if (unanswered !== undefined)
    return { asked: unanswered, before: { ...conversation, unanswered: undefined } }
  const at = messages.findLastIndex(isQuestion)
  const asked = messages[at]
  return asked === undefined || !isQuestion(asked)
    ? undefined
    : { asked, before: { ...conversation, messages: messages.slice(0, at) } }
}

/** Without all that was said; model and standing instructions stay. */
export const cleared = (conversation: Conversation): Conversation => ({
  ...conversation,
  messages: [],
  attached: [],
  unanswered: undefined
})

/** As `/save` writes it: the fields of a `Chat`, which `complete` and `stream` take as they are. */
export const toJson = ({ messages, model, system }: Conversation): string =>
  `${JSON.stringify(
    {
      ...(model === undefined ? undefined : { model }),
      messages: [...(system === undefined ? [] : [Message.system(system)]), ...messages]
    },
    undefined,
    2
  )}\n`

/** What was saved: the fields of a `Chat`, or a body as OpenAI's endpoint takes it. */
export const fromJson = (text: string): Either.Either<Conversation, string> => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    return Either.left(`not JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  if (!isJsonObject(value) || !Array.isArray(value.messages)) {
    return Either.left('no conversation: that is an object with a list of "messages"')
  }
  const { _tag, ...fields } = value
  // the fields are checked one by one
  const own = chatFromFields(fields as unknown as ChatFields)
  const chat = Either.isRight(own) ? own : Either.orElse(decode(fields), () => own)
  return Either.mapBoth(chat, {
    onLeft: ({ message }) => message,
    onRight: ({ messages, model }) => {
      const [first, ...rest] = messages
      return first?.role === "system" && typeof first.content === "string"
        ? { ...empty, model, system: first.content, messages: rest }
        : { ...empty, model, messages }
    }
  })
}
