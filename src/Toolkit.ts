/**
 * Tools with what they do, and the loop that lets a model use them: ask, run what it calls, tell it what came of that,
 * ask again, until it answers or has had its turns.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { complete } from "./Complete.js"
import type * as Completer from "./internal/completer.js"
import * as SchemaCheck from "./internal/schemaCheck.js"
import type { LlmError } from "./LlmError.js"
import * as Message from "./Message.js"
import { type Chat, type ChatFields, type ToolChoice, withFields } from "./Request.js"
import { type ChatResponse, toMessage, withUsage } from "./Response.js"
import type { Tool } from "./Tool.js"
import * as Usage from "./Usage.js"

/** A tool with what it does. */
export interface Handled<R> {
  readonly tool: Tool<string, unknown>
  /** What the model is told of a call, its failure included. */
  readonly run: (call: Message.ToolCall) => Effect.Effect<Message.ToolMessage, never, R>
}

/** Tools that know what to do when they are called. */
export type Toolkit<R> = ReadonlyArray<Handled<R>>

/** What a tool gives, as the model is told; or why it cannot be told. */
const textOf = (value: unknown): Either.Either<string, string> =>
  typeof value === "string"
    ? Either.right(value)
    : Either.try({
        try: () => JSON.stringify(value) ?? "null",
        catch: (cause) =>
          `What the tool gave cannot be written as JSON${cause instanceof Error ? `: ${cause.message}` : ""}`
      })

/**
 * A tool with the effect that runs when it is called. What it gives is told to the model, as text or JSON; so is a
 * failure, a result that cannot be written as JSON, and what is wrong with arguments that cannot be read, so that the
 * model can try something else.
 */
export const handle = <Name extends string, A, R>(
  tool: Tool<Name, A>,
  run: (input: A) => Effect.Effect<unknown, unknown, R>
): Handled<R> => ({
  tool,
  run: (call) => {
    const told = (content: string, isError: boolean) =>
      Message.tool(call.id, content, { name: tool.name, ...(isError ? { isError } : undefined) })
    return Either.match(tool.decode(call), {
      onLeft: (problem) => Effect.succeed(told(problem.message, true)),
      onRight: (input) =>
        Effect.matchCauseEffect(
          Effect.suspend(() => run(input)),
          {
            onSuccess: (value) =>
              Effect.succeed(
                Either.match(textOf(value), {
                  onLeft: (problem) => told(problem, true),
                  onRight: (text) => told(text, false)
                })
              ),
            onFailure: (cause) => {
              if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
              const error = Cause.squash(cause)
              const message = error instanceof Error ? error.message : Either.merge(textOf(error))
              return Effect.succeed(told(`The tool failed: ${message}`, true))
            }
          }
        )
    })
  }
})

export interface Options extends Completer.Options {
  /** How often the model may be asked. Default 8. */
  readonly maxTurns?: number | undefined
  /** How many of the calls of one turn run at once. Default: all. */
  readonly concurrency?: number | "unbounded" | undefined
}

/** What came of a conversation with tools. */
export interface Result {
  /** The last answer, with the usage of all turns. It still has tool calls if the turns ran out. */
  readonly response: ChatResponse
  /** The conversation as it went, the last answer included. */
  readonly messages: ReadonlyArray<Message.Message>
  readonly turns: number
  /** Whether the model came to an answer within its turns. */
  readonly finished: boolean
}

/** Whether the model has to call a tool, and so could never come to an answer. */
const forces = (choice: ToolChoice | undefined): boolean =>
  choice === "required" || (typeof choice === "object" && choice.type === "function")

/**
 * Asks, and runs the tools that the model calls, until it answers. Each turn is a request like any other: limited,
 * retried, cached. A `toolChoice` that forces a call holds for the first turn; a choice in the provider's own words is
 * sent with each.
 *
 * @example
 * import { Chat, Tool, Toolkit } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 *
 * const add = Tool.make("add", Schema.Struct({ a: Schema.Number, b: Schema.Number }))
 *
 * const sum = Toolkit.run(Chat.prompt("What is 1234 + 4321?"), [
 *   Toolkit.handle(add, ({ a, b }) => Effect.succeed(a + b))
 * ])
 */
export const run = <R>(
  input: Chat | ChatFields,
  toolkit: Toolkit<R>,
  options: Options = {}
): Effect.Effect<Result, LlmError, R | Completer.Services> => {
  const byName = new Map(toolkit.map((handled) => [handled.tool.name, handled]))
  const maxTurns = options.maxTurns ?? 8
  const chat = SchemaCheck.passingToolCalls(SchemaCheck.chatOf(input))
  const tools = [...(chat.tools ?? []), ...toolkit.map(({ tool }) => tool.definition)]

  const chatOf = (messages: ReadonlyArray<Message.Message>, turn: number): Chat => {
    if (turn === 1 || !forces(chat.toolChoice)) return withFields(chat, { messages, tools })
    const { toolChoice: _, ...free } = chat
    return Object.assign(Object.create(Object.getPrototypeOf(chat)), free, { messages, tools })
  }

  const runCall = (call: Message.ToolCall): Effect.Effect<Message.ToolMessage, never, R> =>
    byName.get(call.name)?.run(call) ??
    Effect.succeed(
      Message.tool(call.id, `There is no tool "${call.name}". There are: ${[...byName.keys()].join(", ")}`, {
        name: call.name,
        isError: true
      })
    )

  const turn = (
    messages: ReadonlyArray<Message.Message>,
    turns: number,
    used: Usage.Usage
  ): Effect.Effect<Result, LlmError, R | Completer.Services> =>
    Effect.flatMap(complete(chatOf(messages, turns), options), (answer) => {
      const usage = Usage.add(used, answer.usage)
      const response = withUsage(answer, usage)
      const soFar = [...messages, toMessage(answer)]
      const finished = answer.toolCalls.length === 0
      if (finished || turns >= maxTurns) {
        return Effect.succeed({ response, messages: soFar, turns, finished })
      }
      return Effect.flatMap(
        Effect.forEach(answer.toolCalls, runCall, { concurrency: options.concurrency ?? "unbounded" }),
        (results) => turn([...soFar, ...results], turns + 1, usage)
      )
    })
  return turn(chat.messages, 1, Usage.zero)
}
