/**
 * What requests of one kind have in common: defaults by a name, which a batch or a single request is asked under.
 *
 * What a request says itself goes before what its task says, and that before what an endpoint says. A request that
 * names a `task` is asked under that one, whatever the batch's. Where a request's kind has no field for what its task
 * says, such as an embedding for a system prompt, it fails with an `UnsupportedError` before anything is sent; with
 * `unsupported: "drop"` that is left out, and a warning is logged.
 *
 * @example
 * import { batch, Chat, Router } from "floodgate"
 *
 * const router = Router.layer({
 *   endpoints: [
 *     { id: "fast", provider: "openai", baseUrl: "https://a.example/v1", model: "gpt-4o-mini" },
 *     { id: "good", provider: "openai", baseUrl: "https://a.example/v1", model: "gpt-4.1" }
 *   ],
 *   tasks: {
 *     label: { system: "Answer with one word.", parameters: { temperature: 0, maxTokens: 5 }, endpoints: ["fast"] }
 *   }
 * })
 *
 * const labels = batch([Chat.prompt("Is a tomato a fruit?")], { task: "label" })
 * const mixed = batch([Chat.prompt("Is a tomato a fruit?", { task: "label" }), Chat.prompt("Why?")])
 *
 * @module
 */
import { fill, misfits } from "./internal/requestDefaults.js"
import * as Message from "./Message.js"
import {
  type Chat,
  type ChatFields,
  type Embedding,
  type Request,
  type Rerank,
  withFields
} from "./Request.js"
import type { Strategy } from "./Strategy.js"

/** The fields of a request that a task may give; not what is asked, nor who asked it. */
export type Parameters = Partial<
  Omit<ChatFields, "messages" | "id" | "metadata" | "task"> &
    Pick<Embedding, "dimensions" | "purpose"> &
    Pick<Rerank, "topN">
>

/** Named defaults of requests. */
export interface Task {
  /** Fields for requests that leave them out. */
  readonly parameters?: Parameters | undefined
  /** The system prompt of chats that have none. */
  readonly system?: string | undefined
  /**
   * The last word on a chat, such as a schema for its answer:
   * `(chat) => StructuredOutput.withSchema(chat, Label)`.
   */
  readonly prepare?: ((chat: Chat) => Chat) | undefined
  /** The endpoints that may be asked, by id or model. Default: those of the strategy. */
  readonly endpoints?: ReadonlyArray<string> | undefined
  /** Default: that of the router. */
  readonly strategy?: Strategy | undefined
}

const hasSystem = ({ messages }: Chat): boolean => messages.some(({ role }) => role === "system")

/** What the task says that a request of this kind has no field for. */
export const unfit = (
  { parameters = {}, prepare, system }: Task,
  request: Request
): ReadonlyArray<string> => {
  const fields = misfits(request, parameters)
  if (request._tag === "Chat") return fields
  return [
    ...fields,
    ...(system === undefined ? [] : ["system"]),
    ...(prepare === undefined ? [] : ["prepare"])
  ]
}

/** The request with what its task adds. */
export const apply = ({ parameters, prepare, system }: Task, request: Request): Request => {
  const filled = fill(request, parameters)
  if (filled._tag !== "Chat") return filled
  const chat =
    system === undefined || hasSystem(filled)
      ? filled
      : withFields(filled, { messages: [Message.system(system), ...filled.messages] })
  return prepare === undefined ? chat : prepare(chat)
}
