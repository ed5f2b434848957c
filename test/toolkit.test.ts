import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { Chat, type Message, Mock, Response, StructuredOutput, Tool, Toolkit } from "floodgate"

const add = Tool.make("add", Schema.Struct({ a: Schema.Number, b: Schema.Number }), {
  description: "Adds two numbers."
})

const call = (id: string, name: string, args: string): Message.ToolCall => ({ id, name, arguments: args })

/** A model that makes these calls in its first turns, and then says what it was told last. */
const calling = (...turns: ReadonlyArray<ReadonlyArray<Message.ToolCall>>) => {
  const seen: Array<Chat> = []
  const layer = Mock.layer((request) => {
    seen.push(request)
    const calls = turns[seen.length - 1]
    const told = request.messages
      .filter((message) => message.role === "tool")
      .map((message) => String(message.content))
    return calls === undefined
      ? Mock.response(told.join(" | "), { usage: { inputTokens: 10, outputTokens: 1 } })
      : Mock.response("", {
          toolCalls: calls,
          finishReason: "tool_calls",
          usage: { inputTokens: 10, outputTokens: 1 }
        })
  })
  return { layer, seen }
}

const asked = Chat.prompt("What is 1 + 2?")
const sum = Toolkit.handle(add, ({ a, b }) => Effect.succeed(a + b))

describe("Tool", () => {
  it("is defined by a schema, and decodes the arguments of a call with it", () => {
    expect(add.definition).toMatchObject({
      type: "function",
      name: "add",
      description: "Adds two numbers.",
      parameters: { type: "object", required: ["a", "b"] }
    })
    expect(add.decode(call("1", "add", `{"a":1,"b":2}`))).toEqual(Either.right({ a: 1, b: 2 }))
    const wrong = Either.getOrThrow(Either.flip(add.decode(call("1", "add", `{"a":"x"}`))))
    expect(wrong.message).toContain("at a")
    expect(Either.getOrThrow(Either.flip(add.decode(call("1", "add", `{"a":`)))).message).toContain("JSON")
  })
})

describe("Toolkit.run", () => {
  it.effect("runs what the model calls, also several at once, and tells it what came of it", () =>
    Effect.gen(function* () {
      const { layer, seen } = calling([
        call("c1", "add", `{"a":1,"b":2}`),
        call("c2", "add", `{"a":10,"b":20}`)
      ])
      const result = yield* Effect.provide(Toolkit.run(asked, [sum]), layer)
      expect(result).toMatchObject({ finished: true, turns: 2 })
      expect(result.response.text).toBe("3 | 30")
      expect(result.response.usage).toMatchObject({ inputTokens: 20, outputTokens: 2 })
      expect(seen[0]?.tools).toEqual([add.definition])
      expect(seen[1]?.messages.slice(1)).toMatchObject([
        { role: "assistant", toolCalls: [{ id: "c1" }, { id: "c2" }] },
        { role: "tool", toolCallId: "c1", content: "3" },
        { role: "tool", toolCallId: "c2", content: "30" }
      ])
    })
  )

  it.effect(
    "tells the model of arguments that cannot be read, of failures, and of tools that are not there",
    () =>
      Effect.gen(function* () {
        const failing = Toolkit.handle(Tool.make("fail", Schema.Struct({})), () =>
          Effect.fail(new Error("out of order"))
        )
        const { layer, seen } = calling([
          call("c1", "add", "{oops"),
          call("c2", "fail", ""),
          call("c3", "gone", "{}")
        ])
        const result = yield* Effect.provide(Toolkit.run(asked, [sum, failing]), layer)
        expect(result.finished).toBe(true)
        const told = seen[1]?.messages.filter((message) => message.role === "tool")
        expect(told?.map((message) => message.role === "tool" && message.isError)).toEqual([true, true, true])
        expect(result.response.text).toMatch(/not JSON.*out of order.*no tool "gone"/)
      })
  )

  it.effect("tells the model of results that cannot be written as JSON", () =>
    Effect.gen(function* () {
      const cyclic: Record<string, unknown> = {}
      cyclic.self = cyclic
      const named = (name: string, run: Effect.Effect<unknown, unknown>) =>
        Toolkit.handle(Tool.make(name, Schema.Struct({})), () => run)
      const { layer, seen } = calling([
        call("c1", "big", "{}"),
        call("c2", "cyclic", "{}"),
        call("c3", "failing", "{}")
      ])
      const toolkit = [
        named("big", Effect.succeed(10n)),
        named("cyclic", Effect.succeed(cyclic)),
        named("failing", Effect.fail(cyclic))
      ]
      const result = yield* Effect.provide(Toolkit.run(asked, toolkit), layer)
      expect(result.finished).toBe(true)
      const told = seen[1]?.messages.filter((message) => message.role === "tool") ?? []
      expect(told.map((message) => message.role === "tool" && message.isError)).toEqual([true, true, true])
      expect(told[0]?.content).toContain("BigInt")
      expect(told[1]?.content).toContain("cannot be written as JSON")
    })
  )

  it.effect("forces a call in the first turn alone", () =>
    Effect.gen(function* () {
      const add12 = call("c1", "add", `{"a":1,"b":2}`)
      for (const toolChoice of ["required", { type: "function", name: "add" }] as const) {
        const { layer, seen } = calling([add12])
        yield* Effect.provide(Toolkit.run(Chat.prompt("1 + 2?", { toolChoice }), [sum]), layer)
        expect(seen.map((request) => "toolChoice" in request)).toEqual([true, false])
        expect(seen[1]).toBeInstanceOf(Chat)
      }
      const { layer, seen } = calling([add12])
      yield* Effect.provide(Toolkit.run(Chat.prompt("1 + 2?", { toolChoice: "auto" }), [sum]), layer)
      expect(seen.map((request) => request.toolChoice)).toEqual(["auto", "auto"])
    })
  )

  it.effect("takes a request with a schema, whose tool calls are turns on the way", () =>
    Effect.gen(function* () {
      const { layer, seen } = calling([call("c1", "add", `{"a":1,"b":2}`)])
      const typed = StructuredOutput.withSchema(asked, Schema.Number)
      const result = yield* Effect.provide(Toolkit.run(typed, [sum]), layer)
      expect(result).toMatchObject({ finished: true, turns: 2, response: { text: "3", value: 3 } })
      expect(seen).toHaveLength(2)
    })
  )

  it.effect("refuses a request that cannot be made, before anything is sent", () =>
    Effect.gen(function* () {
      const { layer, seen } = calling()
      const messages = [{ role: "user", content: "Hi" }] as const
      // what a program without types may pass
      const wrong = [{ messages: "Hi" }, { messages, temprature: 0 }] as ReadonlyArray<unknown>
      for (const input of wrong as ReadonlyArray<{ readonly messages: typeof messages }>) {
        const error = yield* Effect.flip(Effect.provide(Toolkit.run(input, [sum]), layer))
        expect(error._tag).toBe("InvalidRequestError")
        expect(error.message).toMatch(/messages|temprature/)
      }
      expect(seen).toHaveLength(0)
    })
  )

  it.effect("ends after its turns, with the calls that were not run", () =>
    Effect.gen(function* () {
      const again = [call("c1", "add", `{"a":1,"b":2}`)]
      const { layer, seen } = calling(again, again, again, again)
      const result = yield* Effect.provide(Toolkit.run(asked, [sum], { maxTurns: 3 }), layer)
      expect(result).toMatchObject({ finished: false, turns: 3 })
      expect(result.response.toolCalls).toHaveLength(1)
      expect(seen).toHaveLength(3)
    })
  )
})

describe("Response.toMessage", () => {
  it("gives back what the provider wants to see again: calls, signatures, reasoning", () => {
    const reasoningParts = [{ text: "hm", signature: "s", provider: "anthropic" }]
    const response = Mock.response("", { toolCalls: [call("c1", "add", "{}")], reasoningParts })
    expect(Response.toMessage(response)).toEqual({
      role: "assistant",
      content: null,
      toolCalls: response.toolCalls,
      reasoning: reasoningParts
    })
  })
})
